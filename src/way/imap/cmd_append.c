/*
 * APPEND: the message goes from the connection into a temporary file, octet
 * by octet as it is; a worker computes digest and structure and makes the file
 * durable under its name; then the rows. Whatever is wrong is known before the
 * client is asked for the octets. When the session goes in between, the file
 * goes, too: a content row is made and swept, since the store alone knows
 * whether another message has the same octets.
 *
 * Files are named by their content, and until there is a row the name is not
 * ours alone: the last message with the same octets may go at this moment, and
 * the file with it. The open descriptor still has the octets; then the worker
 * writes them once more.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mime/mime.h"
#include "way/imap/date.h"
#include "way/imap/flags.h"
#include "way/imap/name.h"
#include "way/imap/session.h"

enum { MAX_TRIES = 10, BLOCK = 64 * 1024 };

struct imap_append {
	const char *mailbox;
	struct imap_flags flags;
	int64_t internal_ms;
	uint64_t left;			/* octets of the literal still to come */
	int fd;				/* -1: they are thrown away */
	char *path;
	const char *error;		/* answer of the command, once they are over */
};

struct job {
	struct imap_ref *ref;
	struct store *store;
	char *dir;
	const char *mailbox;
	char *tmp;			/* NULL: renamed to path */
	char *path;
	unsigned tries;
	int fd;
	struct imap_flags flags;
	int64_t internal_ms;
	enum outcome res;
	struct err err;
	struct content content;		/* strings below the job */
};

/* ---- the literal ---- */

void imap_append_drop(struct imap_append **append)
{
	struct imap_append *a = *append;

	if (!a)
		return;
	if (a->fd >= 0)
		close(a->fd);
	if (a->path)
		files_drop(a->path);
	talloc_free(a);
	*append = NULL;
}

static bool is_utf8(const struct imap_arg *a)
{
	return a->kind == IMAP_ATOM && strcasecmp(a->text, "UTF8") == 0;
}

/* "{5}", or, when UTF8=ACCEPT is enabled, "UTF8 (~{5}" (RFC 6855 section 4). */
bool imap_append_is_due(const struct imap_session *s)
{
	size_t n;
	const struct imap_arg *args = imap_parser_args(s->parser, &n);

	if (!imap_parser_literal_is_8(s->parser))
		return imap_parser_depth(s->parser) == 0;
	return s->enabled & ENABLED_UTF8 && imap_parser_depth(s->parser) == 1 && n > 1 && is_utf8(&args[n - 1]);
}

/* mailbox [flags] [date] [UTF8]: what stands before the literal. The answer if it is wrong, else NULL. */
static const char *check(struct imap_session *s, struct imap_append *a, const struct imap_arg *args, size_t n)
{
	size_t i = 1;

	if (args[0].kind != IMAP_ATOM && args[0].kind != IMAP_STRING)
		return "BAD Mailbox name was expected";
	a->mailbox = imap_name_of(s, a, args[0].text);
	if (!a->mailbox)
		return "NO [CANNOT] Mailbox name is not valid";
	struct mailbox *box = store_mailbox_find(s->imap->store, a->mailbox);

	if (!box)
		return "NO [TRYCREATE] No such mailbox";
	if (imap_is_outbox(s, box))
		return "NO [CANNOT] Only what is submitted goes to the Outbox";
	if (i < n && args[i].kind == IMAP_LIST) {
		enum imap_flags_result res = imap_flags_parse(s->imap->store, args[i].args, args[i].n_args, &a->flags);

		if (res != IMAP_FLAGS_OK)
			return res == IMAP_FLAGS_BAD ? "BAD Bad flags" : "NO [LIMIT] No room for another keyword";
		i++;
	}
	a->internal_ms = clock_now_ms();
	if (i < n && args[i].kind == IMAP_STRING) {
		if (imap_date_parse_time(args[i].text, &a->internal_ms) < 0)
			return "BAD Bad date-time";
		i++;
	}
	if (imap_parser_depth(s->parser) == 1 && i < n && is_utf8(&args[i]))
		i++;
	return i == n ? NULL : "BAD Bad arguments of APPEND";
}

static const char *check_size(uint64_t size)
{
	if (size == 0)
		return "NO Message is empty";
	return size > IMAP_APPEND_MAX ? "NO [TOOBIG] Message is too large" : NULL;
}

void imap_append_literal(struct imap_session *s)
{
	struct imap_parser *p = s->parser;
	uint64_t size = imap_parser_literal(p);
	size_t n;
	const struct imap_arg *args = imap_parser_args(p, &n);

	if (s->append) {
		imap_parser_literal_refuse(p, "BAD One message at a time");
		return;
	}
	struct imap_append *a = mem_zero(s, struct imap_append);
	struct err e;

	a->fd = -1;
	a->left = size;
	a->error = check(s, a, args, n);
	if (!a->error)
		a->error = check_size(size);
	if (!a->error) {
		a->fd = files_tmp(a, store_dir(s->imap->store, PLACE_INBOX), &a->path, &e);
		if (a->fd < 0) {
			log_err("imap=%llu append=refused: %s", (unsigned long long)s->id, e.text);
			a->error = "NO [UNAVAILABLE] No room for the message, try again later";
		}
	}
	s->append = a;
	/* A client that does not wait for us sends it anyway. */
	if (a->error && (imap_parser_literal_waits(p) || size > IMAP_APPEND_MAX)) {
		imap_parser_literal_refuse(p, a->error);
		return;
	}
	bool waits = imap_parser_literal_waits(p);

	imap_parser_literal_stream(p);
	if (waits)
		imap_continue(s, "OK");
}

static void throw_away(struct imap_append *a, const char *error)
{
	a->error = error;
	close(a->fd);
	a->fd = -1;
	files_drop(a->path);
	TALLOC_FREE(a->path);
}

size_t imap_append_data(struct imap_session *s, const char *data, size_t len)
{
	struct imap_append *a = s->append;
	size_t n = a->left < len ? (size_t)a->left : len;

	if (n == 0)
		return 0;
	a->left -= n;
	if (a->fd < 0)
		return n;
	if (memchr(data, '\0', n)) {
		throw_away(a, "NO Message has a NUL octet");
	} else if (files_write(a->fd, data, n) < 0) {
		log_err("imap=%llu append=failed: %s", (unsigned long long)s->id, strerror(errno));
		throw_away(a, "NO [UNAVAILABLE] No room for the message, try again later");
	}
	return n;
}

/* ---- the worker's part ---- */

static enum outcome scan(struct job *j)
{
	struct content *c = &j->content;
	struct mime *m;

	if (digest_of_fd(j->fd, c->digest, &c->size) < 0) {
		err_sys(&j->err, "read %s", j->tmp);
		return RETRY;
	}
	m = mime_from_fd(j, j->fd, &j->err);
	if (!m)
		return RETRY;
	c->place = PLACE_INBOX;
	c->envelope = mime_envelope(j, m);
	c->body = mime_body(j, m);
	c->bodystructure = mime_bodystructure(j, m);
	c->skeleton = mime_skeleton(m);
	c->parts = mime_parts_text(m);
	j->path = files_fanout(j, j->dir, c->digest);
	return OK;
}

/* A new temporary file with the octets of the one that lost its name. */
static enum outcome write_again(struct job *j)
{
	char block[BLOCK];
	uint64_t at = 0;
	int fd = files_tmp(j, j->dir, &j->tmp, &j->err);

	if (fd < 0)
		return RETRY;
	while (at < j->content.size) {
		ssize_t n = files_pread(j->fd, block, sizeof(block), at);

		if (n <= 0 || files_write(fd, block, (size_t)n) < 0) {
			err_sys(&j->err, "write %s", j->tmp);
			close(fd);
			return RETRY;
		}
		at += (uint64_t)n;
	}
	close(j->fd);
	j->fd = fd;
	return OK;
}

static void work(void *arg)
{
	struct job *j = (struct job *)arg;

	j->res = j->path ? write_again(j) : scan(j);
	if (j->res == OK)
		j->res = files_keep(j->fd, j->tmp, j->path, &j->err);
	if (j->res == OK)
		TALLOC_FREE(j->tmp);
}

static void job_free(struct job *j)
{
	if (j->tmp)
		files_drop(j->tmp);
	close(j->fd);
	imap_ref_free(&j->ref);
	talloc_free(j);
}

static void drop(void *arg)
{
	struct job *j = (struct job *)arg;

	/* A file without a row is swept when the daemon starts. */
	job_free(j);
}

/* ---- the rows ---- */

static void add(struct imap_session *s, struct job *j)
{
	struct store *st = s->imap->store;
	struct mailbox *box = store_mailbox_find(st, j->mailbox);

	if (!box) {
		store_content_sweep(st, j->content.id);
		imap_finish(s, "NO [TRYCREATE] Mailbox was deleted");
		return;
	}
	uint32_t uidvalidity = box->uidvalidity;
	const struct message *m = store_message_add(st, box, j->content.id, j->flags.flags, j->flags.keywords, j->internal_ms);

	imap_finish_durable(s, "OK [APPENDUID %u %u] Append completed", (unsigned)uidvalidity, (unsigned)m->uid);
}

static void done(void *arg);

static const struct pool_job append_job = { .work = work, .done = done, .drop = drop };

static void done(void *arg)
{
	struct job *j = (struct job *)arg;
	struct imap_session *s = imap_ref_session(j->ref);
	bool here = j->res == OK && access(j->path, R_OK) == 0;

	if (j->res == OK && !here && j->ref->imap && ++j->tries < MAX_TRIES) {
		pool_submit(j->ref->imap->pool, POOL_SOON, &append_job, j);
		return;
	}
	if (!here) {
		log_err("append=failed: %s", j->res == OK ? "the file does not stay" : j->err.text);
		if (s)
			imap_finish(s, "NO [UNAVAILABLE] The message could not be stored");
	} else if (j->ref->imap) {
		store_content_add(j->store, &j->content);
		if (s)
			add(s, j);
		else
			store_content_sweep(j->store, j->content.id);
	}
	job_free(j);
}

void imap_cmd_append(struct imap_session *s, struct imap_cmd *c)
{
	struct imap_append *a = s->append;

	const struct imap_arg *last = &c->args[c->n_args - 1];

	if (last->kind == IMAP_LIST && last->n_args == 1)
		last = &last->args[0];
	if (!a || last->kind != IMAP_STREAM) {
		imap_finish(s, "BAD The message has to be a literal, and the last argument");
		return;
	}
	if (a->error) {
		imap_finish(s, "%s", a->error);
		return;
	}
	struct job *j = mem_zero(NULL, struct job);

	j->ref = imap_ref_new(s, NULL);
	j->store = s->imap->store;
	j->dir = mem_strdup(j, store_dir(s->imap->store, PLACE_INBOX));
	j->tmp = talloc_steal(j, a->path);
	j->mailbox = talloc_steal(j, a->mailbox);
	j->fd = a->fd;
	j->flags = a->flags;
	j->internal_ms = a->internal_ms;
	a->fd = -1;
	a->path = NULL;
	imap_append_drop(&s->append);
	pool_submit(s->imap->pool, POOL_SOON, &append_job, j);
}
