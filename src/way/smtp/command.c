/*
 * The table says where a command may stand and whether it has an argument;
 * one dispatcher checks both, so handlers do neither. Everything that moves
 * mail needs a login, and the table knows that by the phase alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "way/smtp/session.h"

enum { ANY = PHASE_START | PHASE_HELLO | PHASE_READY | PHASE_MAIL | PHASE_RCPT | PHASE_CHUNK };

static void do_helo(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_session_reset(s);
	s->is_esmtp = false;
	s->phase = s->is_logged_in ? PHASE_READY : PHASE_HELLO;
	smtp_reply(s, "250 %s", addr_group(s->smtp->set.address));
}

static void do_ehlo(struct smtp_session *s, char *arg)
{
	const struct smtp_settings *set = &s->smtp->set;

	(void)arg;
	smtp_session_reset(s);
	s->is_esmtp = true;
	s->phase = s->is_logged_in ? PHASE_READY : PHASE_HELLO;
	smtp_reply(s, "250-%s", addr_group(set->address));
	smtp_reply(s, "250-SIZE %" PRIu64, set->max_size);
	smtp_reply(s, "250-8BITMIME");
	smtp_reply(s, "250-SMTPUTF8");
	smtp_reply(s, "250-PIPELINING");
	smtp_reply(s, "250-ENHANCEDSTATUSCODES");
	smtp_reply(s, "250-CHUNKING");
	smtp_reply(s, "250-DSN");
	if (set->tls_mode == TLS_STARTTLS && !conn_is_tls(s->conn))
		smtp_reply(s, "250-STARTTLS");
	if (!s->is_logged_in && smtp_auth_is_offered(s))
		smtp_reply(s, "250-AUTH %s", smtp_auth_mechanisms(s));
	smtp_reply(s, "250 HELP");
}

static void do_auth(struct smtp_session *s, char *arg)
{
	if (!s->is_esmtp)
		smtp_reply(s, "503 5.5.1 Say EHLO first");
	else if (!smtp_auth_is_offered(s))
		smtp_reply(s, "538 5.7.11 Not without TLS");
	else
		smtp_auth_start(s, arg);
}

/* RFC 3207 section 4.2: afterwards nothing is known that was said before. */
static void do_starttls(struct smtp_session *s, char *arg)
{
	(void)arg;
	if (s->smtp->set.tls_mode != TLS_STARTTLS || conn_is_tls(s->conn)) {
		smtp_reply(s, "502 5.5.1 No STARTTLS here");
		return;
	}
	smtp_session_reset(s);
	s->phase = PHASE_START;
	s->is_logged_in = s->is_esmtp = false;
	smtp_reply(s, "220 2.0.0 Go ahead");
	conn_start_tls(s->conn, s->smtp->set.tls);
}

static void do_data(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_data_start(s);
}

static void do_rset(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_session_reset(s);
	smtp_reply(s, "250 2.0.0 Ok");
}

static void do_noop(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_reply(s, "250 2.0.0 Ok");
}

static void do_vrfy(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_reply(s, "252 2.5.2 Send a mail and see");
}

static void do_help(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_reply(s, "214 2.0.0 This is RFC 6409 submission; see p2pmta(8)");
}

static void do_quit(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_session_end(s, "221 2.0.0 Bye");
}

static void do_unimplemented(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_reply(s, "502 5.5.1 Not implemented");
}

static void do_http(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_session_end(s, "421 4.7.0 This is no web server");
}

enum arg { ARG_NONE, ARG_MAY, ARG_MUST };

static const struct smtp_command {
	const char *verb;
	unsigned phases;	/* where it is allowed; elsewhere 503, or 530 before the login */
	enum arg arg;		/* otherwise 501 */
	void (*run)(struct smtp_session *, char *arg);
} commands[] = {
	{ "EHLO", ANY, ARG_MUST, do_ehlo },
	{ "HELO", ANY, ARG_MUST, do_helo },
	{ "AUTH", PHASE_HELLO, ARG_MUST, do_auth },
	{ "STARTTLS", PHASE_HELLO | PHASE_READY, ARG_NONE, do_starttls },
	{ "MAIL", PHASE_READY, ARG_MUST, smtp_mail },
	{ "RCPT", PHASE_MAIL | PHASE_RCPT, ARG_MUST, smtp_rcpt },
	{ "DATA", PHASE_RCPT, ARG_NONE, do_data },
	{ "BDAT", ANY, ARG_MAY, smtp_bdat },
	{ "RSET", ANY, ARG_NONE, do_rset },
	{ "NOOP", ANY, ARG_MAY, do_noop },
	{ "VRFY", ANY, ARG_MUST, do_vrfy },
	{ "HELP", ANY, ARG_MAY, do_help },
	{ "QUIT", ANY, ARG_NONE, do_quit },
	{ "EXPN", ANY, ARG_MAY, do_unimplemented },
	{ "TURN", ANY, ARG_MAY, do_unimplemented },
	{ "ETRN", ANY, ARG_MAY, do_unimplemented },
	/* A browser that was sent here by somebody else's page. */
	{ "GET", ANY, ARG_MAY, do_http },
	{ "POST", ANY, ARG_MAY, do_http },
	{ "PUT", ANY, ARG_MAY, do_http },
	{ "HEAD", ANY, ARG_MAY, do_http },
	{ "OPTIONS", ANY, ARG_MAY, do_http },
	{ "CONNECT", ANY, ARG_MAY, do_http },
};

static const struct smtp_command *find_command(const char *verb)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcasecmp(commands[i].verb, verb) == 0)
			return &commands[i];
	return NULL;
}

/* Commands that move mail say what is missing. */
static void refuse_phase(struct smtp_session *s, const struct smtp_command *c)
{
	bool moves_mail = !(c->phases & (PHASE_START | PHASE_HELLO));

	if (s->phase == PHASE_START && !moves_mail)
		smtp_reply(s, "503 5.5.1 Say EHLO first");
	else if (!s->is_logged_in && moves_mail)
		smtp_reply(s, "530 5.7.0 Log in first");
	else
		smtp_reply(s, "503 5.5.1 Not now");
}

/*
 * AUTH's argument may hold a password, also when it is not what AUTH takes; so may a line that is no
 * command, or one for a web server.
 */
static void trace_command(const struct smtp_session *s, const struct smtp_command *c, const char *arg)
{
	char text[512];

	if (!(trace_get() & TRACE_SMTP))
		return;
	if (!c)
		snprintf(text, sizeof(text), "(no command)");
	else if (c->run == do_auth && smtp_auth_names(arg))
		snprintf(text, sizeof(text), "%s %s ***", c->verb, smtp_auth_names(arg));
	else if (c->run == do_auth || c->run == do_http)
		snprintf(text, sizeof(text), "%s ***", c->verb);
	else
		snprintf(text, sizeof(text), "%s%s%.400s", c->verb, *arg ? " " : "", arg);
	smtp_trace(s, '<', text);
}

static bool brings_mail(const struct smtp_command *c)
{
	return c->run == smtp_rcpt || c->run == do_data || c->run == smtp_bdat;
}

void smtp_command_run(struct smtp_session *s, char *line)
{
	char *arg = line + strcspn(line, " ");

	if (*arg)
		*arg++ = '\0';
	arg += strspn(arg, " ");
	for (size_t n = strlen(arg); n > 0 && arg[n - 1] == ' ';)
		arg[--n] = '\0';

	const struct smtp_command *c = find_command(line);
	trace_command(s, c, arg);
	if (!c)
		smtp_reply(s, "500 5.5.1 Unknown command");
	else if (!(c->phases & s->phase))
		refuse_phase(s, c);
	else if (c->arg == ARG_NONE ? *arg != '\0' : c->arg == ARG_MUST && *arg == '\0')
		smtp_reply(s, "501 5.5.4 %s", *arg ? "No argument here" : "An argument is missing");
	else if (!brings_mail(c) && ++s->n_idle > LIMIT_SMTP_COMMANDS)
		smtp_session_end(s, "421 4.7.0 Too many commands without a message");
	else
		c->run(s, arg);
}
