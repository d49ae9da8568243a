/*
 * Who is there: capabilities, TLS, login. A wrong password costs the client
 * time - one second more each time - and the fifth ends the connection; when
 * many failed lately, at whatever door, each is looked at late (penalty.h), or
 * when its session has to make room (server.c).
 * Passwords go over TLS or loopback only.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/scram.h"
#include "way/imap/session.h"

enum { MAX_FAILURES = 5, DELAY_MS = 1000, MAX_SASL = 8 * 1024, FAKE_ROUNDS = 10000 };

void imap_cmd_capability(struct imap_session *s, struct imap_cmd *c)
{
	struct buf *caps = buf_new(c, KIB(4));

	imap_capability(s, caps);
	imap_send(s, "* CAPABILITY %s", caps->data);
	imap_finish(s, "OK Capability completed");
}

void imap_cmd_noop(struct imap_session *s, struct imap_cmd *c)
{
	imap_finish(s, "OK %s completed", c->verb->name);
}

void imap_cmd_logout(struct imap_session *s, struct imap_cmd *c)
{
	(void)c;
	imap_send(s, "* BYE Logging out");
	imap_deselect(s);
	imap_finish(s, "OK Logout completed");
	imap_end(s, NULL);
}

void imap_cmd_id(struct imap_session *s, struct imap_cmd *c)
{
	(void)c;
	imap_send(s, "* ID (\"name\" \"p2pMTA\" \"version\" \"%s\")", PACKAGE_VERSION);
	imap_finish(s, "OK ID completed");
}

/* RFC 5161: what is not known is passed over. */
void imap_cmd_enable(struct imap_session *s, struct imap_cmd *c)
{
	static const struct { const char *name; unsigned bits; } known[] = {
		{ "CONDSTORE", ENABLED_CONDSTORE },
		{ "QRESYNC", ENABLED_QRESYNC | ENABLED_CONDSTORE },
		{ "UTF8=ACCEPT", ENABLED_UTF8 },
		{ "IMAP4rev2", ENABLED_REV2 },
	};
	unsigned bits = 0, rows = 0;

	for (size_t i = 0; i < c->n_args; i++) {
		if (c->args[i].kind != IMAP_ATOM) {
			imap_finish(s, "BAD Names of capabilities were expected");
			return;
		}
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (strcasecmp(known[k].name, c->args[i].text) == 0) {
				bits |= known[k].bits;
				rows |= 1u << k;
			}
	}
	if (bits & ENABLED_CONDSTORE)
		imap_enable_condstore(s);
	s->enabled |= bits;
	if (bits & ENABLED_REV2 && s->view)
		imap_view_forget_recent(s->view);
	buf_adds(s->out, "* ENABLED");
	for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
		if (rows & 1u << k)
			buf_addf(s->out, " %s", known[k].name);
	buf_adds(s->out, "\r\n");
	imap_finish(s, "OK Enable completed");
}

void imap_cmd_starttls(struct imap_session *s, struct imap_cmd *c)
{
	(void)c;
	if (conn_is_tls(s->conn)) {
		imap_finish(s, "BAD TLS is on already");
		return;
	}
	if (!s->imap->settings.tls || s->imap->settings.tls_mode != 1) {
		imap_finish(s, "BAD TLS is not offered");
		return;
	}
	imap_finish(s, "OK Begin TLS negotiation now");
	conn_start_tls(s->conn, s->imap->settings.tls);
}

/* RFC 4978: the answer is the last that goes as it is. */
void imap_cmd_compress(struct imap_session *s, struct imap_cmd *c)
{
	const char *mechanism = imap_arg_text(s, &c->args[0]);

	if (!mechanism)
		return;
	if (strcasecmp(mechanism, "DEFLATE") != 0) {
		imap_finish(s, "NO [CANNOT] Mechanism is not known");
		return;
	}
	if (conn_is_deflated(s->conn)) {
		imap_finish(s, "NO [COMPRESSIONACTIVE] DEFLATE is on already");
		return;
	}
	imap_finish(s, "OK DEFLATE is on from here");
	conn_start_deflate(s->conn);
}

/* ---- login ---- */

static struct penalty *penalty(const struct imap_session *s)
{
	return s->imap->settings.penalty ? s->imap->settings.penalty : &s->imap->penalty;
}

static int64_t delay_unit(const struct imap_session *s)
{
	return s->imap->settings.auth_delay_ms > 0 ? s->imap->settings.auth_delay_ms : DELAY_MS;
}

static void refuse(struct imap_session *s)
{
	if (s->failures >= MAX_FAILURES) {
		imap_send(s, "%s NO [AUTHENTICATIONFAILED] Wrong user or password", s->cmd->tag);
		imap_end(s, "Too many failed logins");
		return;
	}
	imap_finish(s, "NO [AUTHENTICATIONFAILED] Wrong user or password");
}

static void fail(struct imap_session *s)
{
	int64_t now = clock_mono_ms();

	s->failures++;
	penalty_add(penalty(s), now);
	log_info("imap=%llu state=refused tries=%u in_all=%u", (unsigned long long)s->id, s->failures, penalty_get(penalty(s), now));
	s->cmd->line = NULL;
	imap_wait(s, delay_unit(s) * penalty_delay(penalty(s), now, s->failures), refuse);
}

/* At what the command holds: now, or late. */
static void look(struct imap_session *s, void (*fn)(struct imap_session *))
{
	unsigned units = penalty_hold(penalty(s), clock_mono_ms());

	s->cmd->line = NULL;
	s->proof_waits = units > 0;
	if (units > 0)
		imap_wait(s, delay_unit(s) * units, fn);
	else
		fn(s);
}

bool imap_auth_look(struct imap_session *s)
{
	int64_t begun = clock_mono_ms();

	if (!s->proof_waits || s->ending || !penalty_may_look(penalty(s), begun))
		return false;
	timer_clear(s->wait);
	s->on_wait(s);
	penalty_looked(penalty(s), clock_mono_ms() - begun);
	return s->is_proven;
}

static void welcome(struct imap_session *s)
{
	struct buf *caps = buf_new(s->cmd, KIB(4));

	s->authed = s->is_proven = true;
	imap_parser_set_limits(s->parser, LIMIT_IMAP_LINE, LIMIT_IMAP_LINE);
	conn_set_idle(s->conn, (int64_t)LIMIT_IMAP_IDLE_S * 1000);
	log_info("imap=%llu state=login", (unsigned long long)s->id);
	imap_capability(s, caps);
	imap_finish(s, "OK [CAPABILITY %s] Logged in", caps->data);
}

static void login(struct imap_session *s, const char *user, const char *password)
{
	if (s->imap->hooks.login(s->imap->hooks.arg, user, password))
		welcome(s);
	else
		fail(s);
}

static bool is_private(struct imap_session *s)
{
	if (conn_is_tls(s->conn) || conn_is_loopback(s->conn))
		return true;
	imap_finish(s, "NO [PRIVACYREQUIRED] Login needs TLS");
	return false;
}

static void try_login(struct imap_session *s)
{
	/* The command's own copies are gone with it. */
	char *user = mem_strdup(NULL, s->cmd->args[0].text), *password = mem_strdup(NULL, s->cmd->args[1].text);

	s->proof_waits = false;
	login(s, user, password);
	explicit_bzero(password, strlen(password));
	talloc_free(password);
	talloc_free(user);
}

void imap_cmd_login(struct imap_session *s, struct imap_cmd *c)
{
	if (c->args[0].kind == IMAP_LIST || c->args[1].kind == IMAP_LIST) {
		imap_finish(s, "BAD Strings were expected");
		return;
	}
	if (is_private(s))
		look(s, try_login);
}

/* ---- AUTHENTICATE ---- */

/* What the client's next message is for. */
struct sasl {
	void (*step)(struct imap_session *, struct bytes);
	struct scram *scram;
	struct bytes proof;		/* to be looked at */
};

static void on_response(struct imap_session *, const char *line, size_t len);

static void bad(struct imap_session *s)
{
	imap_finish(s, "BAD Bad SASL response");
}

/* RFC 4616: [authzid] NUL authcid NUL password. b is followed by a NUL; one inside the password would cut it. */
static void plain(struct imap_session *s, struct bytes b)
{
	const char *authzid = (const char *)b.data, *stop = authzid + b.len;
	const char *authcid = (const char *)memchr(authzid, '\0', b.len);
	const char *password = authcid ? (const char *)memchr(authcid + 1, '\0', (size_t)(stop - authcid - 1)) : NULL;

	if (!password || memchr(password + 1, '\0', (size_t)(stop - password - 1))) {
		bad(s);
		return;
	}
	authcid++;
	password++;
	if (authzid[0] != '\0' && strcmp(authzid, authcid) != 0)
		imap_finish(s, "NO [AUTHORIZATIONFAILED] There is one user only");
	else
		login(s, authcid, password);
}

/* What a mechanism says is half of what somebody needs to guess at leisure: not for the trace. */
static void ask(struct imap_session *s, const char *message, void (*step)(struct imap_session *, struct bytes))
{
	((struct sasl *)s->cmd->state)->step = step;
	imap_flush(s);
	s->is_private = true;
	imap_continue(s, base64_print(s->cmd, bytes_str(message)));
	s->is_private = false;
	imap_trace(s, "+ ***");
}

/* The client has seen our proof. */
static void scram_end(struct imap_session *s, struct bytes b)
{
	if (b.len > 0)
		bad(s);
	else
		welcome(s);
}

static void scram_final(struct imap_session *s, struct bytes b)
{
	const char *final;

	switch (scram_take_final(((struct sasl *)s->cmd->state)->scram, b, &final)) {
	case SCRAM_BAD_MESSAGE:
		bad(s);
		break;
	case SCRAM_WRONG:
		fail(s);
		break;
	case SCRAM_RIGHT:
		s->is_proven = true;
		ask(s, final, scram_end);
		break;
	}
}

static void scram_first(struct imap_session *s, struct bytes b)
{
	struct sasl *x = (struct sasl *)s->cmd->state;
	struct scram_secret secret = { 0 };

	x->scram = scram_new(x, NULL);
	const char *user = scram_take_first(x->scram, b);

	if (!user) {
		bad(s);
		return;
	}
	if (!s->imap->hooks.secret(s->imap->hooks.arg, user, &secret))
		scram_secret_fake(&secret, user, FAKE_ROUNDS);
	ask(s, scram_challenge(x->scram, &secret), scram_final);
	explicit_bzero(&secret, sizeof(secret));
}

static void try_proof(struct imap_session *s)
{
	const struct sasl *x = (const struct sasl *)s->cmd->state;

	s->proof_waits = false;
	s->cmd->line = on_response;
	x->step(s, x->proof);
}

static void take(struct imap_session *s, const char *base64)
{
	struct sasl *x = (struct sasl *)s->cmd->state;
	struct bytes b;

	if (base64_parse(s->cmd, base64, MAX_SASL, &b) < 0) {
		bad(s);
	} else if (x->step == plain || x->step == scram_final) {
		x->proof = b;
		look(s, try_proof);
	} else {
		x->step(s, b);
	}
}

static void on_response(struct imap_session *s, const char *line, size_t len)
{
	(void)len;
	if (strcmp(line, "*") == 0)
		imap_finish(s, "BAD Authentication was cancelled");
	else
		take(s, line);
}

void imap_cmd_authenticate(struct imap_session *s, struct imap_cmd *c)
{
	const char *mechanism = imap_arg_text(s, &c->args[0]);

	if (!mechanism)
		return;
	struct sasl *x = mem_zero(c, struct sasl);

	c->state = x;
	if (strcasecmp(mechanism, "PLAIN") == 0)
		x->step = plain;
	else if (strcasecmp(mechanism, "SCRAM-SHA-256") == 0 && s->imap->hooks.secret)
		x->step = scram_first;
	if (!x->step) {
		imap_finish(s, "NO [CANNOT] Mechanism is not known");
		return;
	}
	if (!is_private(s))
		return;
	c->line = on_response;
	if (c->n_args == 1) {
		imap_continue(s, "");
		return;
	}
	const char *first = imap_arg_text(s, &c->args[1]);

	if (first)
		take(s, strcmp(first, "=") == 0 ? "" : first);
}
