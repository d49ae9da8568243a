/*
 * APPEND, of one message or several (RFC 3502). A small one waits in memory and
 * becomes a row, durable with the others of its turn; the next command begins at
 * once, so that many sent ahead share a sync. A larger one goes from the
 * connection into a temporary file, octet by octet as it is; a worker computes
 * digests and structures and makes the files durable under their names; then
 * the rows, all in one transaction, which for very many takes several turns: it
 * is not committed, and nobody is told of it, before the last. Whatever is wrong is known before the client
 * is asked for the octets. When the session goes in between, the files go, too:
 * the store alone knows whether another message has the same octets.
 *
 * A literal8 (RFC 3516) is taken as a literal is; a message with NUL is not
 * kept, since BODY[] could not give it back.
 *
 * Files are named by their content, and until there is a row the name is not
 * ours alone: the last message with the same octets may go at this moment, and
 * the file with it. A second, temporary name still has the octets; then the
 * worker renames once more. A descriptor is open while a literal is read, and
 * in the worker, one at a time.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mime/mime.h"
#include "way/imap/date.h"
#include "way/imap/flags.h"
#include "way/imap/name.h"
#include "way/imap/seqset.h"
#include "way/imap/session.h"

enum {
	MAX_TRIES = 10,
	SMALL_MAX = 16 * 1024,		/* larger ones are files */
	SMALL_SUM = 1024 * 1024,	/* of one command */
	AHEAD_MAX = 32,			/* messages that one turn takes */
	SLICE_MS = 3,
	ROOM_MIN = 2 * 1024 * 1024,	/* octets left on the disk, to begin with one */
};

/* One message: what it is given, and its octets or its file. */
struct item {
	struct imap_flags flags;
	int64_t internal_ms;
	uint8_t *octets;		/* NULL: a file */
	size_t n_octets, size;
	char *tmp;
	char *spare;			/* a second name of the file; the worker's */
	char *path;			/* what it is renamed to */
	bool is_kept;			/* under that name, durably */
	struct content content;		/* strings below the job */
};

struct imap_append {
	const char *mailbox;
	struct item *items;
	size_t n, size;
	size_t n_literals;		/* also of those that were wrong */
	uint64_t left;			/* octets of the literal still to come */
	size_t n_small;			/* octets in memory */
	int fd;				/* of the last one; -1: it is small, or its octets are thrown away */
	bool is_literal8;
	const char *error;		/* answer of the command, once the octets are over */
};

struct imap_append_job {
	struct imap_ref *ref;
	struct store *store;
	struct pool *pool;
	char *dir;
	const char *mailbox;
	unsigned tries;
	struct item *items;
	size_t n;
	size_t n_headers;		/* octets of what was rendered */
	enum outcome res;
	struct err err;
	/* The rows: so many contents, then all messages. */
	size_t n_contents;
	uint32_t *uids;
	struct timer *turn;		/* next slice; the store is held meanwhile */
	LIST_ENTRY(imap_append_job) entry;
};

/* ---- the literal ---- */

/* A large one goes on a worker. */
static void drop_file(struct pool *pool, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	files_drop(path);
	if (fd >= 0)
		pool_close(pool, fd);
}

void imap_append_drop(struct imap_append **append, struct pool *pool)
{
	struct imap_append *a = *append;

	if (!a)
		return;
	if (a->fd >= 0)
		close(a->fd);
	for (size_t i = 0; i < a->n; i++)
		if (a->items[i].tmp)
			drop_file(pool, a->items[i].tmp);
	talloc_free(a);
	*append = NULL;
}

static bool is_utf8(const struct imap_arg *a)
{
	return a->kind == IMAP_ATOM && strcasecmp(a->text, "UTF8") == 0;
}

/* "{5}" or "~{5}" (RFC 3516), or, when UTF8=ACCEPT is enabled, "UTF8 (~{5}" (RFC 6855 section 4). */
bool imap_append_is_due(const struct imap_session *s)
{
	size_t n;
	const struct imap_arg *args = imap_parser_args(s->parser, &n);

	if (imap_parser_depth(s->parser) == 0)
		return true;
	return imap_parser_literal_is_8(s->parser) && s->enabled & ENABLED_UTF8 && imap_parser_depth(s->parser) == 1 &&
	    n > 1 && is_utf8(&args[n - 1]);
}

/* The octets of a message, with what UTF8 puts around them. */
static bool is_message(const struct imap_arg *a)
{
	return a->kind == IMAP_STREAM || (a->kind == IMAP_LIST && a->n_args == 1 && a->args[0].kind == IMAP_STREAM);
}

static const char *check_mailbox(struct imap_session *s, struct imap_append *a, const struct imap_arg *name)
{
	if (name->kind != IMAP_ATOM && name->kind != IMAP_STRING)
		return "BAD Mailbox name was expected";
	a->mailbox = imap_name_of(s, a, name->text);
	if (!a->mailbox)
		return "NO [CANNOT] Mailbox name is not valid";
	struct mailbox *box = store_mailbox_find(s->imap->store, a->mailbox);

	if (!box)
		return "NO [TRYCREATE] No such mailbox";
	return imap_is_outbox(s, box) ? "NO [CANNOT] Only what is submitted goes to the Outbox" : NULL;
}

/* [flags] [date] [UTF8]: what stands before the literal, after the one before. The answer if it is wrong, else NULL. */
static const char *check(struct imap_session *s, struct item *item, const struct imap_arg *args, size_t n)
{
	size_t i = n;

	while (i > 1 && !is_message(&args[i - 1]))
		i--;
	if (i < n && args[i].kind == IMAP_LIST) {
		enum imap_flags_result res = imap_flags_parse(s->imap->store, args[i].args, args[i].n_args, &item->flags);

		if (res != IMAP_FLAGS_OK)
			return res == IMAP_FLAGS_BAD ? "BAD Bad flags" : "NO [LIMIT] No room for another keyword";
		i++;
	}
	item->internal_ms = clock_now_ms();
	if (i < n && args[i].kind == IMAP_STRING) {
		if (imap_date_parse_time(args[i].text, &item->internal_ms) < 0)
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

/* RFC 9208 section 4.3.1, or another reason. */
static const char *no_room(int code)
{
	return code == ENOSPC || code == EDQUOT ? "NO [OVERQUOTA] No room for the message, the disk is full" :
	    "NO [UNAVAILABLE] The message could not be stored, try again later";
}

/* The file that takes the octets; the answer if there is none. */
static const char *open_file(struct imap_session *s, struct imap_append *a, struct item *item)
{
	struct err e;

	a->fd = files_tmp(a, store_dir(s->imap->store, PLACE_INBOX), &item->tmp, &e);
	if (a->fd >= 0)
		return NULL;
	int code = errno;

	log_err("imap=%llu append=refused: %s", (unsigned long long)s->id, e.text);
	return no_room(code);
}

/* What a file would say when it is written. */
static const char *wait_in_memory(struct imap_session *s, struct imap_append *a, struct item *item)
{
	struct statvfs st;

	if (statvfs(store_dir(s->imap->store, PLACE_INBOX), &st) == 0 && (uint64_t)st.f_bavail * st.f_frsize < ROOM_MIN)
		return no_room(ENOSPC);
	item->size = (size_t)a->left;
	item->octets = mem_array(a, uint8_t, item->size);
	a->n_small += item->size;
	return NULL;
}

static struct item *add_item(struct imap_append *a)
{
	if (a->n == a->size) {
		a->size = a->size ? a->size * 2 : 1;
		a->items = mem_resize(a, a->items, struct item, a->size);
	}
	a->items[a->n] = (struct item){ 0 };
	return &a->items[a->n++];
}

/* Another message; a->error if it cannot be. */
static void begin_item(struct imap_session *s, struct imap_append *a, const struct imap_arg *args, size_t n)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	a->left = imap_parser_literal(s->parser);
	a->is_literal8 = imap_parser_literal_is_8(s->parser);
	if (++a->n_literals > LIMIT_IMAP_APPENDS && !a->error)
		a->error = "NO [LIMIT] Too many messages in one command";
	if (a->error)
		return;
	struct item *item = add_item(a);

	a->error = a->n == 1 ? check_mailbox(s, a, &args[0]) : NULL;
	if (!a->error)
		a->error = check(s, item, args, n);
	if (!a->error)
		a->error = check_size(a->left);
	if (!a->error && a->left <= SMALL_MAX && a->left <= SMALL_SUM - a->n_small)
		a->error = wait_in_memory(s, a, item);
	else if (!a->error)
		a->error = open_file(s, a, item);
}

void imap_append_literal(struct imap_session *s)
{
	struct imap_parser *p = s->parser;
	bool waits = imap_parser_literal_waits(p);
	size_t n;
	const struct imap_arg *args = imap_parser_args(p, &n);

	if (!s->append) {
		s->append = mem_zero(s, struct imap_append);
		s->append->fd = -1;
	}
	struct imap_append *a = s->append;

	begin_item(s, a, args, n);
	/* A client that does not wait for us sends it anyway. */
	if (a->error && (waits || a->left > IMAP_APPEND_MAX || a->n_literals > LIMIT_IMAP_APPENDS)) {
		a->left = 0;
		imap_parser_literal_refuse(p, a->error);
		return;
	}
	imap_parser_literal_stream(p);
	if (waits)
		imap_continue(s, "OK");
}

static void throw_away(struct imap_append *a, const char *error)
{
	a->error = error;
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

size_t imap_append_data(struct imap_session *s, const char *data, size_t len)
{
	struct imap_append *a = s->append;
	size_t n = a->left < len ? (size_t)a->left : len;

	if (n == 0)
		return 0;
	a->left -= n;
	if (a->error)
		return n;
	struct item *item = &a->items[a->n - 1];

	if (memchr(data, '\0', n)) {
		throw_away(a, a->is_literal8 ? "NO [UNKNOWN-CTE] Message has a NUL octet" : "NO Message has a NUL octet");
	} else if (item->octets) {
		memcpy(item->octets + item->n_octets, data, n);
		item->n_octets += n;
	} else if (files_write(a->fd, data, n) < 0) {
		int code = errno;

		log_err("imap=%llu append=failed: %s", (unsigned long long)s->id, strerror(code));
		throw_away(a, no_room(code));
	}
	return n;
}

/* ---- the worker's part ---- */

/* Strings below ctx, as m is. */
static void describe(const void *ctx, struct content *c, const struct mime *m)
{
	c->place = PLACE_INBOX;
	c->envelope = mime_envelope(ctx, m);
	c->body = mime_body(ctx, m);
	c->bodystructure = mime_bodystructure(ctx, m);
	c->skeleton = mime_skeleton(m);
	c->parts = mime_parts_text(m);
}

static enum outcome scan(struct imap_append_job *j, struct item *item, int fd)
{
	struct content *c = &item->content;
	struct mime *m;

	if (digest_of_fd(fd, c->digest, &c->size) < 0) {
		err_sys(&j->err, "read %s", item->tmp);
		return RETRY;
	}
	m = mime_from_fd(j, fd, &j->err);
	if (!m)
		return RETRY;
	describe(j, c, m);
	item->path = files_fanout(j, j->dir, c->digest);
	j->n_headers += c->skeleton.len + strlen(c->envelope) + strlen(c->body) + strlen(c->bodystructure) + strlen(c->parts);
	if (j->n_headers <= LIMIT_IMAP_APPEND_HEADERS)
		return OK;
	err_set(&j->err, "[LIMIT] The headers of all these messages together are too large");
	return REJECT;
}

/* The same of a small one; on the loop. */
static void scan_small(const void *ctx, struct item *item, struct bytes octets)
{
	struct mime_scan *scan = mime_scan_new(ctx);

	mime_scan_feed(scan, octets);
	digest_of(octets, item->content.digest);
	item->content.size = octets.len;
	describe(ctx, &item->content, mime_scan_take(&scan, ctx));
}

/* Under its name; its octets have another one, in case that goes. */
static enum outcome work_item(struct imap_append_job *j, struct item *item)
{
	bool again = item->spare != NULL;
	int fd = open(again ? item->spare : item->tmp, O_RDONLY | O_CLOEXEC);
	enum outcome res = RETRY;

	if (fd < 0) {
		err_sys(&j->err, "open %s", item->tmp);
		return RETRY;
	}
	if (!again)
		item->spare = mem_printf(j, "%s.spare", item->tmp);
	if (link(again ? item->spare : item->tmp, again ? item->tmp : item->spare) < 0)
		err_sys(&j->err, "link %s", item->tmp);
	else
		res = again ? OK : scan(j, item, fd);
	if (res == OK)
		res = files_keep(fd, item->tmp, item->path, &j->err);
	item->is_kept = res == OK;
	close(fd);
	return res;
}

static void work(void *arg)
{
	struct imap_append_job *j = (struct imap_append_job *)arg;

	j->res = OK;
	for (size_t i = 0; i < j->n && j->res == OK; i++)
		if (!j->items[i].octets && !j->items[i].is_kept)
			j->res = work_item(j, &j->items[i]);
}

static void job_free(struct imap_append_job *j)
{
	for (size_t i = 0; i < j->n; i++) {
		if (j->items[i].tmp && !j->items[i].is_kept)
			drop_file(j->pool, j->items[i].tmp);
		if (j->items[i].spare)
			drop_file(j->pool, j->items[i].spare);
	}
	if (j->turn) {
		timer_free(&j->turn);
		LIST_REMOVE(j, entry);
		store_release(j->store);
	}
	imap_ref_free(&j->ref);
	talloc_free(j);
}

static void drop(void *arg)
{
	struct imap_append_job *j = (struct imap_append_job *)arg;

	/* A file without a row is swept when the daemon starts. */
	job_free(j);
}

/* ---- the rows ---- */

/* No message comes of them. */
static void sweep(struct imap_append_job *j)
{
	for (size_t i = 0; i < j->n && j->ref->imap; i++) {
		const struct content *c = &j->items[i].content;

		if (i < j->n_contents) {
			store_content_sweep(j->store, c->id);
		} else if (j->items[i].is_kept) {
			store_place_new(j->store, PLACE_INBOX, c->digest);	/* when this turn is undone */
			store_place_sweep(j->store, PLACE_INBOX, c->digest);
		}
	}
}

static void add_content(struct store *st, struct item *item)
{
	struct content *c = &item->content;
	void *ctx = mem_ctx(NULL);

	if (item->octets) {
		struct bytes octets = bytes_of(item->octets, item->n_octets);

		scan_small(ctx, item, octets);
		store_content_add_small(st, c, octets);
	} else {
		store_place_new(st, PLACE_INBOX, c->digest);
		store_content_add(st, c);
	}
	talloc_free(ctx);
}

/* All in one turn: another session sees none of them or all. */
static void add_messages(struct imap_append_job *j, struct mailbox *box)
{
	j->uids = mem_array(j, uint32_t, j->n);
	for (size_t i = 0; i < j->n; i++) {
		const struct item *item = &j->items[i];

		j->uids[i] = store_message_add(j->store, box, item->content.id, item->flags.flags, item->flags.keywords,
		    item->internal_ms)->uid;
	}
}

static void added(struct imap_session *s, struct imap_append_job *j, const struct mailbox *box)
{
	struct buf *b = buf_new(j, KIB(64));

	buf_addf(b, "OK [APPENDUID %u ", (unsigned)box->uidvalidity);
	imap_seqset_print(b, j->uids, j->n);
	s->imap->n_appends += (unsigned)j->n;
	/* So many, and the next is of another turn. */
	if (s->imap->n_appends < AHEAD_MAX)
		imap_finish_ahead(s, "%s] Append completed", b->data);
	else
		imap_finish_durable(s, "%s] Append completed", b->data);
}

static void add_some(void *arg);

/* The rest in other turns, while nothing is committed. */
static void go_on_later(struct imap_append_job *j)
{
	struct imap *imap = j->ref->imap;

	if (!j->turn) {
		j->turn = timer_new(imap->loop, add_some, j);
		LIST_INSERT_HEAD(&imap->appending, j, entry);
		store_hold(j->store);
	}
	timer_set(j->turn, 0);
}

/*
 * Once it has begun it comes to its end, whether the client still waits or not. They go to the mailbox that has the
 * name then.
 */
static void add_some(void *arg)
{
	struct imap_append_job *j = (struct imap_append_job *)arg;
	struct imap_session *s = imap_ref_session(j->ref);
	struct mailbox *box = store_mailbox_find(j->store, j->mailbox);
	int64_t started = clock_mono_ms();

	while (box && j->n_contents < j->n) {
		add_content(j->store, &j->items[j->n_contents++]);
		if (j->n > 1 && !j->ref->imap->is_stopping && clock_mono_ms() - started >= SLICE_MS) {
			go_on_later(j);
			return;
		}
	}
	if (box) {
		add_messages(j, box);
		if (s)
			added(s, j, box);
	} else {
		sweep(j);
		if (s)
			imap_finish(s, "NO [TRYCREATE] Mailbox was deleted");
	}
	job_free(j);
}

void imap_append_stop(struct imap *imap)
{
	struct imap_append_job *j;

	assert(imap->is_stopping);
	while ((j = LIST_FIRST(&imap->appending)))
		add_some(j);
}

/* What another message with the same octets took along is written again. */
static bool are_here(struct imap_append_job *j)
{
	bool here = j->res == OK;

	for (size_t i = 0; i < j->n && j->res == OK; i++) {
		if (j->items[i].octets)
			continue;
		j->items[i].is_kept = access(j->items[i].path, R_OK) == 0;
		here = here && j->items[i].is_kept;
	}
	return here;
}

static void done(void *arg);

static const struct pool_job append_job = { .work = work, .done = done, .drop = drop };

static void done(void *arg)
{
	struct imap_append_job *j = (struct imap_append_job *)arg;
	struct imap_session *s = imap_ref_session(j->ref);
	bool here = are_here(j);

	if (j->res == OK && !here && j->ref->imap && ++j->tries < MAX_TRIES) {
		pool_submit(j->ref->imap->pool, POOL_SOON, &append_job, j);
		return;
	}
	if (here && s) {
		add_some(j);
		return;
	}
	sweep(j);
	if (!here && j->res != REJECT)
		log_err("append=failed: %s", j->res == OK ? "the file does not stay" : j->err.text);
	if (s && j->res == REJECT)
		imap_finish(s, "NO %s", j->err.text);
	else if (s)
		imap_finish(s, "NO [UNAVAILABLE] The message could not be stored");
	job_free(j);
}

/* ---- the command ---- */

/* Mailbox, then messages with what is given for each: all were looked at, and nothing stands between or after them. */
static bool is_complete(const struct imap_append *a, const struct imap_cmd *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_args; i++)
		n += is_message(&c->args[i]) ? 1 : 0;
	return a && n > 0 && is_message(&c->args[c->n_args - 1]) && (a->error || n == a->n);
}

void imap_cmd_append(struct imap_session *s, struct imap_cmd *c)
{
	struct imap_append *a = s->append;

	if (!is_complete(a, c)) {
		imap_finish(s, "BAD The message has to be a literal, and the last argument");
		return;
	}
	if (a->error) {
		imap_finish(s, "%s", a->error);
		return;
	}
	struct imap_append_job *j = mem_zero(NULL, struct imap_append_job);

	j->ref = imap_ref_new(s, NULL);
	j->store = s->imap->store;
	j->pool = s->imap->pool;
	j->dir = mem_strdup(j, store_dir(s->imap->store, PLACE_INBOX));
	j->mailbox = talloc_steal(j, a->mailbox);
	j->items = talloc_steal(j, a->items);
	j->n = a->n;
	bool all_small = true;

	for (size_t i = 0; i < j->n; i++) {
		struct item *item = &j->items[i];

		item->tmp = talloc_steal(j, item->tmp);
		item->octets = talloc_steal(j, item->octets);
		all_small &= item->octets != NULL;
	}
	a->n = 0;
	imap_append_drop(&s->append, s->imap->pool);
	if (all_small)
		add_some(j);
	else
		pool_submit(s->imap->pool, POOL_SOON, &append_job, j);
}
