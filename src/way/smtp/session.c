/*
 * Octets to lines, lines to whoever reads them now (command, SASL, data), and
 * answers back. One line per call of the connection, so that a pause or TLS
 * takes effect before the next pipelined command.
 *
 * Only CRLF ends a command line: a bare LF, a bare CR or another control
 * character is answered with 500 and never taken as part of a command.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "way/smtp/session.h"

enum {
	INPUT_MAX = 64 * 1024,
	REPLY_MAX = 1024,	/* RFC 5321 section 4.5.3.1.5 says 512, but for SASL */
	UNSENT_MAX = 128 * 1024,	/* answers; then no more commands are read */
	END_MS = 10 * 1000,	/* for the last words to get through */
};

void smtp_trace(const struct smtp_session *s, char dir, const char *text)
{
	trace_line(TRACE_SMTP, (unsigned long)s->id, dir, text, strlen(text));
}

/* Faults of the client's own making; what is refused for its content does not count. */
static bool is_error(const char *reply)
{
	int code = atoi(reply);

	return (code >= 500 && code <= 504) || code == 530 || code == 535 || code == 538 || code == 555;
}

void smtp_reply(struct smtp_session *s, const char *fmt, ...)
{
	char text[REPLY_MAX - 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (is_error(text))
		s->errors++;
	/* What a SASL mechanism says is half of what somebody needs to guess at leisure. */
	smtp_trace(s, '>', strncmp(text, "334 ", 4) == 0 ? "334 ***" : text);
	conn_printf(s->conn, "%s\r\n", text);
}

static int64_t seconds_or(int64_t set_ms, int seconds)
{
	return set_ms > 0 ? set_ms : seconds * (int64_t)1000;
}

static int64_t pace_ms(const struct smtp_session *s, enum smtp_pace pace)
{
	const struct smtp_settings *set = &s->smtp->set;

	if (pace == PACE_LINE)
		return seconds_or(set->line_ms, LIMIT_SMTP_LINE_S);
	if (pace == PACE_DATA)
		return seconds_or(set->data_ms, LIMIT_SMTP_DATA_S);
	int64_t idle = seconds_or(set->idle_ms, LIMIT_SMTP_IDLE_S);
	int64_t left = s->since_ms + seconds_or(set->login_ms, LIMIT_SMTP_LOGIN_S) - clock_mono_ms();
	if (s->is_logged_in || idle < left)
		return idle;
	return left > 0 ? left : 0;
}

/* The deadline of a line or of data runs on; that of the next line begins with each one. */
static void set_pace(struct smtp_session *s, enum smtp_pace pace)
{
	if (pace == s->pace && pace != PACE_IDLE)
		return;
	s->pace = pace;
	s->octets_before = s->octets;
	if (pace == PACE_NONE)
		timer_clear(s->deadline);
	else
		timer_set(s->deadline, pace_ms(s, pace));
}

static void on_deadline(void *arg)
{
	struct smtp_session *s = arg;

	switch (s->pace) {
	case PACE_NONE:
		break;
	case PACE_IDLE:
		smtp_session_end(s, "421 4.4.2 Nothing was said for too long");
		break;
	case PACE_LINE:
		smtp_session_end(s, "421 4.4.2 Too slow");
		break;
	case PACE_DATA:
		if (s->octets - s->octets_before < LIMIT_SMTP_DATA_MIN) {
			smtp_session_end(s, "421 4.4.2 Too slow");
		} else {
			s->octets_before = s->octets;
			timer_set(s->deadline, pace_ms(s, PACE_DATA));
		}
		break;
	}
}

void smtp_session_end(struct smtp_session *s, const char *reply)
{
	smtp_session_reset(s);
	s->input = INPUT_END;
	smtp_reply(s, "%s", reply);
	set_pace(s, PACE_NONE);
	conn_set_idle(s->conn, END_MS);
	conn_finish(s->conn);
}

void smtp_session_wait(struct smtp_session *s)
{
	s->input = INPUT_WAIT;
	set_pace(s, PACE_NONE);
	conn_pause(s->conn);
}

void smtp_session_go_on(struct smtp_session *s, enum smtp_input input)
{
	s->input = input;
	set_pace(s, PACE_IDLE);
	conn_resume(s->conn);
}

void smtp_session_reset(struct smtp_session *s)
{
	smtp_spool_free(&s->spool, s->smtp->pool);
	TALLOC_FREE(s->txn);
	s->sender = NULL;
	s->recipients = NULL;
	s->notify = NULL;
	s->orcpt = NULL;
	s->ret = SMTP_RET_NONE;
	s->envid = NULL;
	s->n_recipients = 0;
	s->is_utf8 = false;
	s->ticket = 0;
	s->chunk.refusal = NULL;
	if (s->phase & (PHASE_MAIL | PHASE_RCPT | PHASE_CHUNK))
		s->phase = PHASE_READY;
}

static void run_line(struct smtp_session *s, const char *data, size_t len)
{
	char *line = mem_array(s, char, len + 1);

	memcpy(line, data, len);
	line[len] = '\0';
	bool bad = strlen(line) != len;
	for (const char *p = line; *p; p++)
		bad |= (unsigned char)*p < ' ' || *p == 0x7f;
	if (bad) {
		s->input = INPUT_COMMAND;
		smtp_reply(s, "500 5.5.2 A control character or bare line end");
	} else if (s->input == INPUT_AUTH) {
		smtp_trace(s, '<', "***");
		smtp_auth_line(s, line);
	} else {
		smtp_command_run(s, line);
	}
	explicit_bzero(line, len);
	talloc_free(line);
	if (s->errors >= LIMIT_SMTP_ERRORS && s->input != INPUT_END && s->input != INPUT_WAIT)
		smtp_session_end(s, "421 4.7.0 Too many errors");
}

static size_t skip_line(struct smtp_session *s, const char *data, size_t len)
{
	const char *lf = memchr(data, '\n', len);

	if (!lf)
		return len;
	s->skipping = false;
	s->input = INPUT_COMMAND;
	smtp_reply(s, "500 5.5.2 Line too long");
	if (s->errors >= LIMIT_SMTP_ERRORS)
		smtp_session_end(s, "421 4.7.0 Too many errors");
	return (size_t)(lf - data) + 1;
}

/* A SASL line may be longer than others, and so may an AUTH with its initial response. */
static size_t line_max(const struct smtp_session *s, const char *data, size_t len)
{
	bool is_auth = s->input == INPUT_AUTH || (len >= 5 && strncasecmp(data, "AUTH ", 5) == 0);

	return is_auth ? LIMIT_SMTP_AUTH_LINE : LIMIT_SMTP_LINE;
}

static size_t take_line(struct smtp_session *s, const char *data, size_t len)
{
	if (s->skipping)
		return skip_line(s, data, len);

	size_t max = line_max(s, data, len);
	const char *lf = memchr(data, '\n', len < max ? len : max);
	if (!lf) {
		if (len < max)
			return 0;
		s->skipping = true;
		return skip_line(s, data, len);
	}

	size_t n = (size_t)(lf - data);
	/* Without its CR the line keeps a control character at its end, and fails by that. */
	run_line(s, data, n > 0 && data[n - 1] == '\r' ? n - 1 : n + 1);
	return n + 1;
}

/* Who does not read answers gets no more of them. */
static bool is_clogged(struct smtp_session *s)
{
	s->is_clogged = conn_unsent(s->conn) > UNSENT_MAX;
	if (s->is_clogged)
		conn_pause(s->conn);
	return s->is_clogged;
}

static void on_drain(void *arg)
{
	struct smtp_session *s = arg;

	if (s->is_clogged) {
		s->is_clogged = false;
		conn_resume(s->conn);
	}
}

static size_t feed(struct smtp_session *s, const char *data, size_t len)
{
	size_t used;

	switch (s->input) {
	case INPUT_COMMAND:
	case INPUT_AUTH:
		return is_clogged(s) ? 0 : take_line(s, data, len);
	case INPUT_DATA:
		used = smtp_data_feed(s, data, len);
		s->octets += used;
		return used;
	case INPUT_CHUNK:
		used = smtp_chunk_feed(s, data, len);
		s->octets += used;
		return used;
	case INPUT_WAIT:
		return 0;
	case INPUT_END:
		break;
	}
	return len;
}

static size_t on_data(void *arg, const char *data, size_t len)
{
	struct smtp_session *s = arg;
	size_t used = feed(s, data, len);

	if (s->input == INPUT_DATA || s->input == INPUT_CHUNK)
		set_pace(s, PACE_DATA);
	else if ((s->input == INPUT_COMMAND || s->input == INPUT_AUTH) && !s->is_clogged)
		set_pace(s, used == 0 || s->skipping ? PACE_LINE : PACE_IDLE);
	return used;
}

static void on_close(void *arg, const char *why)
{
	struct smtp_session *s = arg;

	log_info("smtp=%" PRIu64 " peer=%s end=%s messages=%u errors=%u ms=%" PRId64, s->id, conn_peer(s->conn), why,
	    s->n_messages, s->errors, clock_mono_ms() - s->since_ms);
	smtp_session_free(s);
}

static void on_timer(void *arg)
{
	smtp_auth_answer_late(arg);
}

void smtp_session_new(struct smtp *smtp, int fd)
{
	static const struct conn_hooks hooks = { .on_data = on_data, .on_close = on_close, .on_drain = on_drain };
	const struct conn_settings set = { .max_input = INPUT_MAX, .low = UNSENT_MAX / 2 };
	struct smtp_session *s = mem_zero(NULL, struct smtp_session);

	s->smtp = smtp;
	s->id = smtp->next_id++;
	s->since_ms = clock_mono_ms();
	s->phase = PHASE_START;
	s->conn = conn_new(smtp->loop, fd, &set, &hooks, s);
	s->timer = timer_new(smtp->loop, on_timer, s);
	s->deadline = timer_new(smtp->loop, on_deadline, s);
	set_pace(s, PACE_IDLE);
	LIST_INSERT_HEAD(&smtp->sessions, s, link);
	smtp->n_sessions++;
	if (smtp->set.tls_mode == TLS_ALWAYS)
		conn_start_tls(s->conn, smtp->set.tls);
	smtp_reply(s, "220 %s ESMTP p2pMTA", addr_group(smtp->set.address));
}

void smtp_session_free(struct smtp_session *s)
{
	smtp_session_reset(s);
	LIST_REMOVE(s, link);
	s->smtp->n_sessions--;
	smtp_auth_forget(s);
	timer_free(&s->timer);
	timer_free(&s->deadline);
	conn_free(&s->conn);
	talloc_free(s);
}

void smtp_session_evict(struct smtp_session *s, const char *reply)
{
	if (!conn_is_tls(s->conn) && conn_unsent(s->conn) == 0)
		(void)!send(conn_fd(s->conn), reply, strlen(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
	smtp_session_free(s);
}
