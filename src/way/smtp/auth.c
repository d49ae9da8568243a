/*
 * SASL PLAIN (RFC 4616), LOGIN and SCRAM-SHA-256 (RFC 7677). A wrong password
 * is answered late, later each time, by a timer: the session reads nothing
 * meanwhile. When many logins failed lately, whoever they were, a password is
 * even looked at late, or hanging up would be a way around the wait; that is a
 * few seconds at most, and less when the session would have to make room (smtp.c),
 * so a right one is never kept out for long. What holds
 * a password is wiped and never goes into a log or trace.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "way/smtp/session.h"

enum {
	FAILURES_MAX = 5,		/* in one connection */
	DELAY_MS = 1000,
	SECRET_MAX = LIMIT_SMTP_AUTH_LINE,
	FAKE_ROUNDS = 10000,
};

static const struct {
	const char *name;
	enum auth_step first;
} mechanisms[] = { { "SCRAM-SHA-256", AUTH_SCRAM_FIRST }, { "PLAIN", AUTH_PLAIN }, { "LOGIN", AUTH_LOGIN_USER } };
enum { N_MECHANISMS = sizeof(mechanisms) / sizeof(mechanisms[0]) };

/* Its row, or N_MECHANISMS. */
static size_t find_mechanism(const char *arg)
{
	size_t len = strcspn(arg, " "), i = 0;

	while (i < N_MECHANISMS && (strlen(mechanisms[i].name) != len || strncasecmp(mechanisms[i].name, arg, len) != 0))
		i++;
	return i;
}

const char *smtp_auth_names(const char *arg)
{
	size_t i = find_mechanism(arg);

	return i < N_MECHANISMS ? mechanisms[i].name : NULL;
}

bool smtp_auth_is_offered(const struct smtp_session *s)
{
	return conn_is_tls(s->conn) || conn_is_loopback(s->conn);
}

const char *smtp_auth_mechanisms(const struct smtp_session *s)
{
	return s->smtp->hooks.secret ? "SCRAM-SHA-256 PLAIN LOGIN" : "PLAIN LOGIN";
}

static struct penalty *penalty(const struct smtp_session *s)
{
	return s->smtp->set.penalty ? s->smtp->set.penalty : &s->smtp->penalty;
}

static int64_t delay_unit(const struct smtp_session *s)
{
	return s->smtp->set.auth_delay_ms > 0 ? s->smtp->set.auth_delay_ms : DELAY_MS;
}

/* b is a copy of our own, const only by its type. */
static void wipe(struct bytes b)
{
	void *p;

	memcpy(&p, &b.data, sizeof(p));
	if (b.len > 0)
		explicit_bzero(p, b.len);
}

static void drop_held(struct smtp_session *s)
{
	union { const uint8_t *ro; void *rw; } p = { s->held.data };

	wipe(s->held);
	talloc_free(p.rw);
	s->held = bytes_of(NULL, 0);
}

void smtp_auth_forget(struct smtp_session *s)
{
	TALLOC_FREE(s->auth_user);
	TALLOC_FREE(s->scram);
	drop_held(s);
}

static void refuse(struct smtp_session *s, const char *reply)
{
	smtp_auth_forget(s);
	s->input = INPUT_COMMAND;
	smtp_reply(s, "%s", reply);
}

static void fail(struct smtp_session *s)
{
	int64_t now = clock_mono_ms();

	smtp_auth_forget(s);
	penalty_add(penalty(s), now);
	unsigned in_all = penalty_get(penalty(s), now);
	s->auth_failures++;
	log_info("smtp=%llu peer=%s auth=failed times=%u in_all=%u", (unsigned long long)s->id, conn_peer(s->conn),
	    s->auth_failures, in_all);
	smtp_session_wait(s);
	timer_set(s->timer, delay_unit(s) * penalty_delay(penalty(s), now, s->auth_failures));
}

static void welcome(struct smtp_session *s)
{
	smtp_auth_forget(s);
	s->is_proven = s->is_logged_in = true;
	s->phase = PHASE_READY;
	s->input = INPUT_COMMAND;
	log_info("smtp=%llu peer=%s auth=ok mechanism=%s tls=%s", (unsigned long long)s->id, conn_peer(s->conn),
	    s->auth_mechanism, conn_is_tls(s->conn) ? "yes" : "no");
	smtp_reply(s, "235 2.7.0 Welcome");
}

static void try_login(struct smtp_session *s, const char *user, const char *password)
{
	if (s->smtp->hooks.login(s->smtp->hooks.arg, user, password))
		welcome(s);
	else
		fail(s);
}

/* authzid NUL authcid NUL password; acting for another than oneself is refused. */
static void take_plain(struct smtp_session *s, struct bytes b)
{
	const char *authzid = (const char *)b.data, *end = authzid + b.len;
	const char *user = memchr(authzid, '\0', b.len);
	const char *password = user ? memchr(user + 1, '\0', (size_t)(end - user - 1)) : NULL;

	if (!password || memchr(password + 1, '\0', (size_t)(end - password - 1))) {
		refuse(s, "501 5.5.2 No PLAIN message");
		return;
	}
	user++;
	password++;
	if (*authzid && strcmp(authzid, user) != 0)
		fail(s);
	else
		try_login(s, user, password);
}

static void take_login(struct smtp_session *s, struct bytes b)
{
	const char *text = (const char *)b.data;

	if (memchr(text, '\0', b.len)) {
		refuse(s, "501 5.5.2 NUL in user or password");
	} else if (s->auth_step == AUTH_LOGIN_USER) {
		s->auth_user = mem_strdup(s, text);
		s->auth_step = AUTH_LOGIN_PASSWORD;
		s->input = INPUT_AUTH;
		smtp_reply(s, "334 UGFzc3dvcmQ6");
	} else {
		try_login(s, s->auth_user, text);
	}
}

static void ask(struct smtp_session *s, const char *message, enum auth_step next)
{
	char *text = base64_print(s, bytes_str(message));

	s->auth_step = next;
	s->input = INPUT_AUTH;
	smtp_reply(s, "334 %s", text);
	talloc_free(text);
}

static void take_scram_first(struct smtp_session *s, struct bytes b)
{
	struct scram_secret secret = { 0 };

	s->scram = scram_new(s, NULL);
	const char *user = scram_take_first(s->scram, b);
	if (!user) {
		refuse(s, "501 5.5.2 No SCRAM message, or an extension that is not known here");
		return;
	}
	if (!s->smtp->hooks.secret(s->smtp->hooks.arg, user, &secret))
		scram_secret_fake(&secret, user, FAKE_ROUNDS);
	ask(s, scram_challenge(s->scram, &secret), AUTH_SCRAM_FINAL);
	explicit_bzero(&secret, sizeof(secret));
}

static void take_scram_final(struct smtp_session *s, struct bytes b)
{
	const char *final;

	switch (scram_take_final(s->scram, b, &final)) {
	case SCRAM_BAD_MESSAGE:
		refuse(s, "501 5.5.2 No SCRAM message");
		break;
	case SCRAM_WRONG:
		fail(s);
		break;
	case SCRAM_RIGHT:
		s->is_proven = true;
		ask(s, final, AUTH_SCRAM_END);
		break;
	}
}

static void take_message(struct smtp_session *s, struct bytes b)
{
	switch (s->auth_step) {
	case AUTH_PLAIN:
		take_plain(s, b);
		break;
	case AUTH_LOGIN_USER:
	case AUTH_LOGIN_PASSWORD:
		take_login(s, b);
		break;
	case AUTH_SCRAM_FIRST:
		take_scram_first(s, b);
		break;
	case AUTH_SCRAM_FINAL:
		take_scram_final(s, b);
		break;
	case AUTH_SCRAM_END:
		if (b.len > 0)
			refuse(s, "501 5.5.2 Nothing was due");
		else
			welcome(s);
		break;
	}
}

static bool is_proof(enum auth_step step)
{
	return step == AUTH_PLAIN || step == AUTH_LOGIN_PASSWORD || step == AUTH_SCRAM_FINAL;
}

/* While many logins fail, each one waits before it is looked at. */
static bool hold(struct smtp_session *s, struct bytes b)
{
	unsigned units = penalty_hold(penalty(s), clock_mono_ms());

	if (units == 0 || !is_proof(s->auth_step))
		return false;
	s->held = bytes_dup(s, b);
	smtp_session_wait(s);
	timer_set(s->timer, delay_unit(s) * units);
	return true;
}

void smtp_auth_answer_late(struct smtp_session *s)
{
	if (s->held.data) {
		struct bytes b = s->held;
		s->held = bytes_of(NULL, 0);
		smtp_session_go_on(s, INPUT_AUTH);
		take_message(s, b);
		s->held = b;
		drop_held(s);
	} else if (s->auth_failures >= FAILURES_MAX) {
		smtp_session_end(s, "421 4.7.0 Too many failures");
	} else {
		smtp_reply(s, "535 5.7.8 User or password is wrong");
		smtp_session_go_on(s, INPUT_COMMAND);
	}
}

bool smtp_auth_look(struct smtp_session *s)
{
	int64_t begun = clock_mono_ms();

	if (!s->held.data || !penalty_may_look(penalty(s), begun))
		return false;
	timer_clear(s->timer);
	smtp_auth_answer_late(s);
	penalty_looked(penalty(s), clock_mono_ms() - begun);
	return s->is_proven;
}

void smtp_auth_line(struct smtp_session *s, const char *line)
{
	void *ctx = mem_ctx(NULL);
	struct bytes b;

	if (strcmp(line, "*") == 0) {
		refuse(s, "501 5.7.0 Given up");
	} else if (base64_parse(ctx, line, SECRET_MAX, &b) < 0) {
		refuse(s, "501 5.5.2 No base64");
	} else {
		if (!hold(s, b))
			take_message(s, b);
		wipe(b);
	}
	talloc_free(ctx);
}

void smtp_auth_start(struct smtp_session *s, char *arg)
{
	size_t n = strcspn(arg, " "), i = find_mechanism(arg);
	const char *initial = arg[n] ? arg + n + 1 : NULL;

	smtp_auth_forget(s);
	if (i == N_MECHANISMS || (mechanisms[i].first == AUTH_SCRAM_FIRST && !s->smtp->hooks.secret)) {
		smtp_reply(s, "504 5.5.4 Known are %s", smtp_auth_mechanisms(s));
		return;
	}
	s->auth_mechanism = mechanisms[i].name;
	s->auth_step = mechanisms[i].first;
	if (initial) {
		smtp_auth_line(s, strcmp(initial, "=") == 0 ? "" : initial);
		return;
	}
	s->input = INPUT_AUTH;
	smtp_reply(s, "334 %s", s->auth_step == AUTH_LOGIN_USER ? "VXNlcm5hbWU6" : "");
}
