/*
 * SASL PLAIN (RFC 4616) and LOGIN. A wrong password is answered late, later
 * each time, by a timer: the session reads nothing meanwhile. What holds a
 * password is wiped and never goes into a log or trace.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "way/smtp/session.h"

enum {
	FAILURES_MAX = 5,
	DELAY_MS = 1000,
	SECRET_MAX = LIMIT_SMTP_AUTH_LINE,
};

bool smtp_auth_is_offered(const struct smtp_session *s)
{
	return conn_is_tls(s->conn) || conn_is_loopback(s->conn);
}

static void forget_user(struct smtp_session *s)
{
	TALLOC_FREE(s->auth_user);
}

static void refuse(struct smtp_session *s, const char *reply)
{
	forget_user(s);
	s->input = INPUT_COMMAND;
	smtp_reply(s, "%s", reply);
}

static void fail(struct smtp_session *s)
{
	int64_t unit = s->smtp->set.auth_delay_ms > 0 ? s->smtp->set.auth_delay_ms : DELAY_MS;

	s->auth_failures++;
	log_info("smtp=%llu peer=%s auth=failed times=%u", (unsigned long long)s->id, conn_peer(s->conn), s->auth_failures);
	smtp_session_wait(s);
	timer_set(s->timer, unit * s->auth_failures);
}

void smtp_auth_answer_late(struct smtp_session *s)
{
	if (s->auth_failures >= FAILURES_MAX) {
		smtp_session_end(s, "421 4.7.0 Too many failures");
		return;
	}
	smtp_reply(s, "535 5.7.8 User or password is wrong");
	smtp_session_go_on(s, INPUT_COMMAND);
}

static void try_login(struct smtp_session *s, const char *user, const char *password)
{
	bool good = s->smtp->hooks.login(s->smtp->hooks.arg, user, password);

	forget_user(s);
	s->input = INPUT_COMMAND;
	if (!good) {
		fail(s);
		return;
	}
	s->is_logged_in = true;
	s->phase = PHASE_READY;
	smtp_reply(s, "235 2.7.0 Welcome");
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

/* b is a copy of our own, const only by its type. */
static void wipe(struct bytes b)
{
	void *p;

	memcpy(&p, &b.data, sizeof(p));
	if (b.len > 0)
		explicit_bzero(p, b.len);
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
		if (s->auth_step == AUTH_PLAIN)
			take_plain(s, b);
		else
			take_login(s, b);
		wipe(b);
	}
	talloc_free(ctx);
}

void smtp_auth_start(struct smtp_session *s, char *arg)
{
	size_t n = strcspn(arg, " ");
	const char *initial = arg[n] ? arg + n + 1 : NULL;

	arg[n] = '\0';
	forget_user(s);
	if (strcasecmp(arg, "PLAIN") == 0) {
		s->auth_step = AUTH_PLAIN;
	} else if (strcasecmp(arg, "LOGIN") == 0) {
		s->auth_step = AUTH_LOGIN_USER;
	} else {
		smtp_reply(s, "504 5.5.4 PLAIN and LOGIN are known");
		return;
	}
	if (initial) {
		smtp_auth_line(s, strcmp(initial, "=") == 0 ? "" : initial);
		return;
	}
	s->input = INPUT_AUTH;
	smtp_reply(s, "334 %s", s->auth_step == AUTH_PLAIN ? "" : "VXNlcm5hbWU6");
}
