/*
 * The table says where a command may stand and whether it has an argument;
 * one dispatcher checks both, so handlers do neither. Everything that moves
 * mail needs a login, and the table knows that by the phase alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "way/smtp/session.h"

enum { ANY = PHASE_START | PHASE_HELLO | PHASE_READY | PHASE_MAIL | PHASE_RCPT };

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
	if (set->tls_mode == TLS_STARTTLS && !conn_is_tls(s->conn))
		smtp_reply(s, "250-STARTTLS");
	if (!s->is_logged_in && smtp_auth_is_offered(s))
		smtp_reply(s, "250-AUTH PLAIN LOGIN");
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

/* Decimal; UINT64_MAX when it is more than that. False when it is none. */
static bool parse_size(const char *text, uint64_t *out)
{
	size_t len = strlen(text);

	if (len == 0 || strspn(text, "0123456789") != len || len > 20)
		return false;
	*out = strtoull(text, NULL, 10);
	return true;
}

/* Answers and returns false when it is not acceptable. */
static bool take_mail_param(struct smtp_session *s, const char *name, const char *value, uint64_t *size)
{
	if (strcasecmp(name, "SIZE") == 0 && value && parse_size(value, size))
		return true;
	if (strcasecmp(name, "BODY") == 0 && value &&
	    (strcasecmp(value, "7BIT") == 0 || strcasecmp(value, "8BITMIME") == 0))
		return true;
	if (strcasecmp(name, "AUTH") == 0 && value)
		return true;
	if (strcasecmp(name, "SMTPUTF8") == 0 && !value) {
		s->is_utf8 = true;
		return true;
	}
	bool known = strcasecmp(name, "SIZE") == 0 || strcasecmp(name, "BODY") == 0 ||
	    strcasecmp(name, "AUTH") == 0 || strcasecmp(name, "SMTPUTF8") == 0;
	smtp_reply(s, known ? "501 5.5.4 Bad value of a parameter" : "555 5.5.4 Unknown parameter");
	return false;
}

/* RFC 6531 section 3.5: beyond ASCII only when the client said so. */
static bool is_speakable(const struct smtp_session *s, const char *address)
{
	for (; *address; address++)
		if ((unsigned char)*address >= 0x80)
			return s->is_utf8;
	return true;
}

static bool check_size(struct smtp_session *s, uint64_t size)
{
	if (size > s->smtp->set.max_size)
		smtp_reply(s, "552 5.3.4 Message is too big");
	else if (!smtp_spool_has_room(s->smtp, size))
		smtp_reply(s, "452 4.3.1 The disk is full");
	else
		return true;
	return false;
}

static bool check_sender(struct smtp_session *s, const char *address, char out[LIMIT_ADDRESS + 1])
{
	char base[LIMIT_ADDRESS + 1];

	if (!is_speakable(s, address))
		smtp_reply(s, "553 5.6.7 That address needs SMTPUTF8");
	else if (*address && addr_parse(address, out) < 0)
		smtp_reply(s, "501 5.1.7 The sender is no address");
	else if (!*address || addr_parse_base(address, base) < 0 || strcmp(base, s->smtp->set.address) != 0)
		smtp_reply(s, "550 5.7.1 The sender must be your own address");
	else
		return true;
	return false;
}

static void do_mail(struct smtp_session *s, char *arg)
{
	char *address, *params, *name, *value, normal[LIMIT_ADDRESS + 1];
	uint64_t size = 0;

	if (smtp_path_parse(arg, "FROM:", &address, &params) < 0) {
		smtp_reply(s, "501 5.5.4 Say MAIL FROM:<ADDRESS>");
		return;
	}
	s->is_utf8 = false;
	while (smtp_param_next(&params, &name, &value))
		if (!take_mail_param(s, name, value, &size))
			return;
	if (!check_sender(s, address, normal) || !check_size(s, size))
		return;
	s->txn = mem_ctx(s);
	s->sender = mem_strdup(s->txn, normal);
	s->phase = PHASE_MAIL;
	smtp_reply(s, "250 2.1.0 Ok");
}

static bool has_recipient(const struct smtp_session *s, const char *address)
{
	for (size_t i = 0; i < s->n_recipients; i++)
		if (strcmp(s->recipients[i], address) == 0)
			return true;
	return false;
}

static void add_recipient(struct smtp_session *s, const char *address)
{
	size_t n = s->n_recipients;

	if ((n & (n - 1)) == 0) {
		size_t room = n ? 2 * n : 1;
		s->recipients = mem_resize(s->txn, s->recipients, const char *, room);
		s->notify = mem_resize(s->txn, s->notify, uint8_t, room);
		s->orcpt = mem_resize(s->txn, s->orcpt, const char *, room);
	}
	s->recipients[n] = mem_strdup(s->txn, address);
	s->notify[n] = SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY;
	s->orcpt[n] = NULL;
	s->n_recipients++;
}

/* An address whose peer has one, too: behind "bob.+x" there is none. */
static bool is_peer(const char *address, char normal[LIMIT_ADDRESS + 1])
{
	char base[LIMIT_ADDRESS + 1];

	return addr_parse(address, normal) == 0 && addr_parse_base(address, base) == 0;
}

static void do_rcpt(struct smtp_session *s, char *arg)
{
	char *address, *params, *name, *value, normal[LIMIT_ADDRESS + 1];

	if (smtp_path_parse(arg, "TO:", &address, &params) < 0) {
		smtp_reply(s, "501 5.5.4 Say RCPT TO:<ADDRESS>");
	} else if (smtp_param_next(&params, &name, &value)) {
		smtp_reply(s, "555 5.5.4 Unknown parameter");
	} else if (!is_speakable(s, address)) {
		smtp_reply(s, "553 5.6.7 That address needs SMTPUTF8");
	} else if (strcasecmp(address, "postmaster") != 0 && !is_peer(address, normal)) {
		smtp_reply(s, "550 5.1.3 The recipient is no address");
	} else {
		/* RFC 5321 section 4.5.1: the postmaster of one user's server is that user. */
		const char *to = strcasecmp(address, "postmaster") == 0 ? s->smtp->set.address : normal;
		if (!has_recipient(s, to)) {
			if (s->n_recipients >= s->smtp->set.max_recipients) {
				smtp_reply(s, "452 4.5.3 Too many recipients");
				return;
			}
			add_recipient(s, to);
		}
		s->phase = PHASE_RCPT;
		smtp_reply(s, "250 2.1.5 Ok");
	}
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
	{ "MAIL", PHASE_READY, ARG_MUST, do_mail },
	{ "RCPT", PHASE_MAIL | PHASE_RCPT, ARG_MUST, do_rcpt },
	{ "DATA", PHASE_RCPT, ARG_NONE, do_data },
	{ "RSET", ANY, ARG_NONE, do_rset },
	{ "NOOP", ANY, ARG_MAY, do_noop },
	{ "VRFY", ANY, ARG_MUST, do_vrfy },
	{ "HELP", ANY, ARG_MAY, do_help },
	{ "QUIT", ANY, ARG_NONE, do_quit },
	{ "EXPN", ANY, ARG_MAY, do_unimplemented },
	{ "BDAT", ANY, ARG_MAY, do_unimplemented },
	{ "TURN", ANY, ARG_MAY, do_unimplemented },
	{ "ETRN", ANY, ARG_MAY, do_unimplemented },
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

/* AUTH's argument, and a line that is no command, may hold a password. */
static void trace_command(const struct smtp_session *s, const struct smtp_command *c, const char *arg)
{
	char text[512];

	if (!(trace_get() & TRACE_SMTP))
		return;
	if (!c)
		snprintf(text, sizeof(text), "(no command)");
	else if (c->run == do_auth)
		snprintf(text, sizeof(text), "%s %.*s ***", c->verb, (int)strcspn(arg, " "), arg);
	else
		snprintf(text, sizeof(text), "%s%s%.400s", c->verb, *arg ? " " : "", arg);
	smtp_trace(s, '<', text);
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
	else
		c->run(s, arg);
}
