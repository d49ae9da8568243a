/*
 * One client: octets in, commands, octets out. The parser is fed until a
 * command is whole; then nothing more is read from the connection until its
 * answer is written, so pipelined commands are answered in order. Input that
 * comes meanwhile stays in the connection; only when much of it waits is
 * reading paused, since a paused connection does not notice that the client
 * has gone, and a client that waits for a pull often goes.
 *
 * No octet that may tell of a change leaves before that change is on disk, or a
 * kill would make it untrue: UIDs and mod-sequences would be given out twice.
 * So while the store has something that is not on disk, what a session sends is
 * kept back in its connection, stamped with the number of the commit that will
 * have it; when that is on disk it goes.
 */
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "way/imap/flags.h"
#include "way/imap/name.h"
#include "way/imap/session.h"

enum {
	INPUT_MAX = 128 * 1024,
	INPUT_PAUSE = 64 * 1024,
	OUT_LOW = 64 * 1024,		/* unsent, when the next slice begins */
	OUT_HIGH = 512 * 1024,		/* unsent, when a slice ends */
	OUT_FLUSH = 32 * 1024,
	OUT_MAX = 200 * 1024 * 1024,	/* one response line; parsers bound it long before */
	OUT_KEEP = 64 * 1024,
	SLICE_MS = 3,
	LINE_MAX_LEN = 16 * 1024,
	START_IDLE_S = 180,
	START_COMMAND = 8 * 1024,
};

#define NOT_STORED "[UNAVAILABLE] The change could not be stored, try again"

/* ---- output ---- */

bool imap_is_traced(void)
{
	return trace_get() & TRACE_IMAP;
}

static void trace(const struct imap_session *s, char dir, const char *data, size_t len)
{
	if (imap_is_traced())
		trace_line(TRACE_IMAP, (unsigned long)s->id, dir, data, len);
}

void imap_trace(const struct imap_session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *text = mem_vprintf(NULL, fmt, ap);

	va_end(ap);
	trace(s, '>', text, strlen(text));
	talloc_free(text);
}

/* Before the login nothing is told of the store. */
static void hold(struct imap_session *s)
{
	if (!s->authed || !store_is_pending(s->imap->store))
		return;
	uint64_t commit = store_commit(s->imap->store);

	if (s->is_held && s->held_for == commit)
		return;
	/* What is kept already is of the commit that is being synced: that one cannot be undone any more. */
	s->is_bound = false;
	TALLOC_FREE(s->ahead);
	s->is_held = true;
	s->held_for = commit;
	conn_hold(s->conn, commit);
}

void imap_release(struct imap_session *s, uint64_t commit)
{
	if (!s->is_held)
		return;
	conn_release(s->conn, commit);
	if (s->held_for > commit)
		return;
	s->is_held = s->is_bound = false;
	TALLOC_FREE(s->ahead);
}

/* It has not heard of anything that is not true, and has asked for nothing since. */
static bool can_go_on(const struct imap_session *s)
{
	return !s->view && !s->is_bound && !s->cmd && !s->append && imap_parser_is_fresh(s->parser);
}

void imap_undo(struct imap_session *s)
{
	struct buf *ahead = s->ahead;
	char *save = NULL;

	buf_clear(s->out);
	conn_drop(s->conn);
	s->is_held = false;
	s->ahead = NULL;
	if (!can_go_on(s))
		imap_end(s, "Changes could not be stored, please connect again");
	for (char *tag = ahead ? strtok_r(ahead->data, " ", &save) : NULL; tag && !s->ending; tag = strtok_r(NULL, " ", &save))
		imap_send(s, "%s NO " NOT_STORED, tag);
	imap_flush(s);
	talloc_free(ahead);
}

void imap_flush(struct imap_session *s)
{
	hold(s);
	if (s->out->len == 0)
		return;
	if (!s->is_private)
		trace(s, '>', s->out->data, s->out->len);
	conn_write(s->conn, s->out->data, s->out->len);
	if (s->out->size > OUT_KEEP) {
		talloc_free(s->out);
		s->out = buf_new(s, OUT_MAX);
	} else {
		buf_clear(s->out);
	}
}

void imap_send(struct imap_session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *text = mem_vprintf(s, fmt, ap);

	va_end(ap);
	buf_adds(s->out, text);
	buf_adds(s->out, "\r\n");
	talloc_free(text);
	if (s->out->len > OUT_FLUSH)
		imap_flush(s);
}

void imap_continue(struct imap_session *s, const char *text)
{
	imap_send(s, "+ %s", text);
	imap_flush(s);
}

void imap_end(struct imap_session *s, const char *text)
{
	if (s->ending)
		return;
	if (text)
		imap_send(s, "* BYE %s", text);
	imap_flush(s);
	s->ending = true;
	if (s->cmd && s->cmd->stop)
		s->cmd->stop(s->cmd);
	timer_clear(s->turn);
	timer_clear(s->wait);
	conn_finish(s->conn);
}

/* ---- the end of a command ---- */

/* What waits in the connection is read again. */
static void take_input(struct imap_session *s)
{
	if (!s->held_back)
		return;
	s->held_back = false;
	conn_pause(s->conn);
	conn_resume(s->conn);
}

static void drop_cmd(struct imap_session *s)
{
	timer_clear(s->turn);
	timer_clear(s->wait);
	s->draining = false;
	TALLOC_FREE(s->cmd);
}

static void finish(struct imap_session *s, const char *text, bool ahead)
{
	struct imap_cmd *c = s->cmd;

	if (s->ending)
		return;
	unsigned flags = c->verb ? c->verb->flags : 0;

	if (s->view && imap_tell(s, !(flags & KEEPS_NUMBERS), flags & BY_UID) && flags & ASIDE)
		s->view->told_aside = true;
	imap_send(s, "%s %s", c->tag, text);
	hold(s);
	if (ahead) {
		s->ahead = s->ahead ? s->ahead : buf_new(s, MIB(1));
		buf_addf(s->ahead, "%s ", c->tag);
	}
	drop_cmd(s);
	imap_flush(s);
	s->is_bound |= s->is_held && !ahead;
	take_input(s);
}

void imap_finish(struct imap_session *s, const char *fmt, ...)
{
	va_list ap;

	assert(s->cmd);
	va_start(ap, fmt);
	char *text = mem_vprintf(s, fmt, ap);

	va_end(ap);
	finish(s, text, false);
	talloc_free(text);
}

void imap_finish_ahead(struct imap_session *s, const char *fmt, ...)
{
	va_list ap;

	assert(s->cmd && store_is_pending(s->imap->store));
	va_start(ap, fmt);
	char *text = mem_vprintf(s, fmt, ap);

	va_end(ap);
	finish(s, text, true);
	talloc_free(text);
}

static void finish_now(struct imap_session *s, bool ok)
{
	const char *reply = ok ? s->cmd->reply : "NO " NOT_STORED;

	imap_finish(s, "%s", reply);
}

static void on_durable(void *arg, bool durable)
{
	struct imap_ref *r = (struct imap_ref *)arg;
	struct imap_session *s = imap_ref_session(r);

	if (s)
		r->fn(s, durable);
	imap_ref_free(&r);
}

void imap_when_durable(struct imap_session *s, void (*fn)(struct imap_session *, bool ok))
{
	store_when_durable(s->imap->store, on_durable, imap_ref_new(s, fn));
}

void imap_finish_durable(struct imap_session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	s->cmd->reply = mem_vprintf(s->cmd, fmt, ap);
	va_end(ap);
	imap_when_durable(s, finish_now);
}

/* ---- slices ---- */

bool imap_is_slice_over(const struct imap_session *s, int64_t started)
{
	return conn_unsent(s->conn) + s->out->len > OUT_HIGH || clock_mono_ms() - started >= SLICE_MS;
}

void imap_yield(struct imap_session *s, void (*more)(struct imap_session *))
{
	s->cmd->more = more;
	imap_flush(s);
	if (conn_unsent(s->conn) > OUT_LOW)
		s->draining = true;
	else
		timer_set(s->turn, 0);
}

static void on_turn(void *arg)
{
	struct imap_session *s = (struct imap_session *)arg;

	if (!s->ending && s->cmd && s->cmd->more)
		s->cmd->more(s);
}

static void on_drain(void *arg)
{
	struct imap_session *s = (struct imap_session *)arg;

	if (!s->draining)
		return;
	s->draining = false;
	timer_set(s->turn, 0);
}

void imap_wait(struct imap_session *s, int64_t ms, void (*fn)(struct imap_session *))
{
	s->on_wait = fn;
	timer_set(s->wait, ms);
}

static void on_wait(void *arg)
{
	struct imap_session *s = (struct imap_session *)arg;

	if (!s->ending && s->cmd)
		s->on_wait(s);
}

/* ---- input ---- */

/*
 * The answer to what is no command. Before the login that may be a password which strayed, so the
 * trace does not show what stood in place of a tag.
 */
static void answer_no_command(struct imap_session *s, const char *tag, const char *text)
{
	imap_flush(s);
	s->is_private = !s->authed;
	imap_send(s, "%s %s", tag, text);
	imap_flush(s);
	s->is_private = false;
	if (!s->authed)
		imap_trace(s, "*** %s", text);
}

static void finish_no_command(struct imap_session *s)
{
	if (s->authed) {
		imap_finish(s, "BAD Unknown command");
		return;
	}
	answer_no_command(s, s->cmd->tag, "BAD Unknown command");
	drop_cmd(s);
	take_input(s);
}

/* What a trace shows of a command: not passwords, not what is searched for. */
static void trace_cmd(const struct imap_session *s, const struct imap_cmd *c)
{
	if (!imap_is_traced())
		return;
	struct buf *b = buf_new(NULL, 900);
	bool secret = !c->verb || c->verb->flags & IN_START || c->verb->run == imap_cmd_search ||
	    c->verb->run == imap_cmd_sort || c->verb->run == imap_cmd_thread;

	buf_addf(b, "%s %s", c->verb || s->authed ? c->tag : "***", c->verb ? c->verb->name : "?");
	for (size_t i = 0; i < c->n_args && !b->overflow; i++) {
		const struct imap_arg *a = &c->args[i];

		if (secret)
			buf_adds(b, " ***");
		else if (a->kind == IMAP_LIST)
			buf_addf(b, " (%zu items)", a->n_args);
		else if (a->kind == IMAP_STREAM)
			buf_addf(b, " {%llu}", (unsigned long long)a->size);
		else
			buf_addf(b, a->kind == IMAP_ATOM ? " %s" : " \"%s\"", a->text);
	}
	trace(s, '<', b->data, b->len);
	talloc_free(b);
}

static bool is_allowed(const struct imap_session *s, const struct imap_verb *v)
{
	if (v->flags & IN_ANY)
		return true;
	if (!s->authed)
		return v->flags & IN_START;
	return v->flags & IN_AUTH || (v->flags & IN_BOX && s->view);
}

/* Finds, checks, calls. */
static void dispatch(struct imap_session *s, struct imap_cmd *c, const char *name)
{
	if (imap_verb_is_prefix(name) && c->n_args > 0 && c->args[0].kind == IMAP_ATOM) {
		name = mem_printf(c, "%s %s", name, c->args[0].text);
		c->args++;
		c->n_args--;
	}
	c->verb = imap_verb_find(name);
	trace_cmd(s, c);
	if (!c->verb)
		finish_no_command(s);
	else if (!is_allowed(s, c->verb))
		imap_finish(s, c->verb->flags & IN_BOX && s->authed ? "BAD No mailbox is selected" :
		    s->authed ? "BAD Already logged in" : "BAD Please log in first");
	else if (c->n_args < c->verb->min_args)
		imap_finish(s, "BAD Arguments missing for %s", c->verb->name);
	else if (c->n_args > c->verb->max_args)
		imap_finish(s, "BAD Too many arguments for %s", c->verb->name);
	else if (c->verb->flags & WRITES && s->view->read_only)
		imap_finish(s, "NO [READ-ONLY] Mailbox was opened read-only");
	else
		c->verb->run(s, c);
}

static void on_command(struct imap_session *s)
{
	struct imap_cmd *c = mem_zero(s, struct imap_cmd);
	const char *name = imap_parser_name(s->parser);

	c->serial = ++s->serial;
	c->tag = imap_parser_tag(s->parser);
	c->args = imap_parser_args(s->parser, &c->n_args);
	imap_parser_give(s->parser, c);
	s->cmd = c;
	dispatch(s, c, name);
	/* An APPEND that never came to its handler leaves nothing. */
	if (!s->cmd)
		imap_append_drop(&s->append, s->imap->pool);
}

static void on_bad(struct imap_session *s)
{
	const char *tag = imap_parser_tag(s->parser), *error = imap_parser_error(s->parser);
	bool code = strncmp(error, "NO ", 3) == 0 || strncmp(error, "BAD ", 4) == 0;
	char *text = mem_printf(NULL, "%s%s", code ? "" : "BAD ", error);

	imap_append_drop(&s->append, s->imap->pool);
	answer_no_command(s, tag ? tag : "*", text);
	talloc_free(text);
	if (imap_parser_is_fatal(s->parser))
		imap_end(s, "Literal is too large");
	imap_parser_reset(s->parser);
}

static void on_literal(struct imap_session *s)
{
	const char *name = imap_parser_name(s->parser);
	size_t n;

	imap_parser_args(s->parser, &n);
	if (s->authed && name && strcasecmp(name, "APPEND") == 0 && n > 0 && imap_append_is_due(s)) {
		imap_append_literal(s);
		return;
	}
	if (imap_parser_literal_is_8(s->parser)) {
		imap_parser_literal_refuse(s->parser, "BAD A literal8 is not expected here");
		return;
	}
	if (!imap_parser_literal_fits(s->parser)) {
		imap_parser_literal_refuse(s->parser, "BAD [TOOBIG] Literal is too large");
		return;
	}
	bool waits = imap_parser_literal_waits(s->parser);

	imap_parser_literal_take(s->parser);
	if (waits)
		imap_continue(s, "OK");
}

static size_t feed_parser(struct imap_session *s, const char *data, size_t len)
{
	size_t used;

	switch (imap_parser_feed(s->parser, data, len, &used)) {
	case IMAP_PARSE_MORE:
		break;
	case IMAP_PARSE_DONE:
		on_command(s);
		break;
	case IMAP_PARSE_BAD:
		on_bad(s);
		break;
	case IMAP_PARSE_LITERAL:
		on_literal(s);
		/* A refused synchronising literal is answered now, without more input. */
		if (!s->ending && imap_parser_feed(s->parser, "", 0, &(size_t){ 0 }) == IMAP_PARSE_BAD)
			on_bad(s);
		break;
	}
	return used;
}

/* The next line for a command that reads lines itself (IDLE, AUTHENTICATE). */
static size_t feed_line(struct imap_session *s, const char *data, size_t len)
{
	const char *end = (const char *)memchr(data, '\n', len);

	if (!end) {
		if (len >= LINE_MAX_LEN)
			imap_end(s, "Line is too long");
		return s->ending ? len : 0;
	}
	size_t n = (size_t)(end - data);
	char *line = mem_strndup(s->cmd, data, n > 0 && data[n - 1] == '\r' ? n - 1 : n);

	/* The command, and the line with it, may be gone after this. */
	s->cmd->line(s, line, strlen(line));
	return n + 1;
}

static size_t on_data(void *arg, const char *data, size_t len)
{
	struct imap_session *s = (struct imap_session *)arg;
	size_t used = 0;

	if (s->ending)
		return len;
	if (s->cmd && s->cmd->line)
		used = feed_line(s, data, len);
	else if (!s->cmd) {
		if (s->append)
			used = imap_append_data(s, data, len);
		if (used == 0)
			used = feed_parser(s, data, len);
	} else {
		s->held_back = true;
		if (len >= INPUT_PAUSE)
			conn_pause(s->conn);
	}
	if (!s->ending)
		imap_flush(s);
	return used;
}

/* ---- life ---- */

static void on_close(void *arg, const char *why)
{
	struct imap_session *s = (struct imap_session *)arg;

	log_info("imap=%llu state=closed why=%s", (unsigned long long)s->id, why);
	imap_session_free(&s);
}

void imap_capability(const struct imap_session *s, struct buf *out)
{
	bool tls = conn_is_tls(s->conn), may_login = tls || conn_is_loopback(s->conn);

	buf_adds(out, "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID");
	if (!s->authed) {
		if (!tls && s->imap->settings.tls && s->imap->settings.tls_mode == 1)
			buf_adds(out, " STARTTLS");
		buf_adds(out, !may_login ? " LOGINDISABLED" : s->imap->hooks.secret ? " AUTH=SCRAM-SHA-256 AUTH=PLAIN" : " AUTH=PLAIN");
	}
	buf_adds(out, " IDLE NAMESPACE CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE UIDPLUS MOVE UNSELECT INPROGRESS BINARY MULTIAPPEND COMPRESS=DEFLATE"
	    " ENABLE CONDSTORE QRESYNC UTF8=ACCEPT ESEARCH SEARCHRES WITHIN STATUS=SIZE OBJECTID QUOTA QUOTA=RES-STORAGE SORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES");
	buf_addf(out, " APPENDLIMIT=%llu", (unsigned long long)IMAP_APPEND_MAX);
}

static void greet(struct imap_session *s)
{
	struct buf *caps = buf_new(s, KIB(4));

	imap_capability(s, caps);
	imap_send(s, "* OK [CAPABILITY %s] p2pMTA ready", caps->data);
	imap_flush(s);
	talloc_free(caps);
}

void imap_session_open(struct imap *imap, int fd)
{
	static const struct conn_hooks hooks = { .on_data = on_data, .on_drain = on_drain, .on_close = on_close };
	const struct conn_settings settings = {
		.max_input = INPUT_MAX, .low = OUT_LOW, .idle_ms = (int64_t)START_IDLE_S * 1000,
	};
	struct imap_session *s = mem_zero(NULL, struct imap_session);

	s->imap = imap;
	s->id = ++imap->last_id;
	s->parser = imap_parser_new(s);
	imap_parser_set_limits(s->parser, START_COMMAND, LIMIT_IMAP_LITERAL_PREAUTH);
	s->out = buf_new(s, OUT_MAX);
	s->conn = conn_new(imap->loop, fd, &settings, &hooks, s);
	if (!s->conn) {
		talloc_free(s);
		return;
	}
	s->turn = timer_new(imap->loop, on_turn, s);
	s->wait = timer_new(imap->loop, on_wait, s);
	TAILQ_INSERT_TAIL(&imap->sessions, s, entry);
	HASH_ADD(hh, imap->by_id, id, sizeof(s->id), s);
	imap->n_sessions++;
	log_info("imap=%llu state=open peer=%s", (unsigned long long)s->id, conn_peer(s->conn));
	if (imap->settings.tls_mode == 2 && imap->settings.tls)
		conn_start_tls(s->conn, imap->settings.tls);
	greet(s);
}

void imap_session_free(struct imap_session **session)
{
	struct imap_session *s = *session;

	if (!s)
		return;
	*session = NULL;
	imap_pull_drop(s);
	imap_append_drop(&s->append, s->imap->pool);
	TAILQ_REMOVE(&s->imap->sessions, s, entry);
	HASH_DEL(s->imap->by_id, s);
	s->imap->n_sessions--;
	timer_free(&s->turn);
	timer_free(&s->wait);
	conn_free(&s->conn);
	talloc_free(s);
}
