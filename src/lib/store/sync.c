/*
 * Durability by hand. SQLite would sync inside COMMIT, on the loop; with
 * synchronous = NORMAL it does not, and a commit that has appended to the WAL
 * counts when a thread has synced that.
 *
 * From time to time pages are copied from the WAL into state.db (a checkpoint),
 * by a connection of the thread's own; SQLite syncs both files then, in order.
 * When all of it is copied, SQLite begins the WAL anew, over what is there: so
 * it syncs the new header first, on the loop. An empty WAL needs no such care:
 * there is nothing old that could be mistaken for new after a power cut. So the
 * WAL is truncated when all is copied and nobody is writing, and what is written
 * into an empty one is written with synchronous = OFF: this is looked at with
 * the lock for writing held, for another process may have written. That we have
 * emptied it gets on disk before anything is written: meanwhile nothing is
 * committed, nor spilled. With a reader, in another process or at that very
 * moment sealed.c's, it cannot be truncated: then SQLite's sync of the new header
 * is one that the loop waits for.
 *
 * A copy begins with a transaction open: what is written meanwhile goes behind
 * the rest, and not to the beginning. Who writes during each copy keeps the WAL
 * from being truncated: then the loop copies the last bit itself, once in 64 MB.
 *
 * A small content that stays becomes a file here, too, see content.c; and large
 * files that were unlinked are closed, see place.c.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/store/priv.h"
#include "lib/store/sync.h"

enum {
	COPY_FRAMES = 1000,		/* 4 MB in the WAL are worth copying */
	COPY_TRIES = 4,			/* one after the other, to find a moment to truncate it */
	MAX_FRAMES = 16 * COPY_FRAMES,	/* that moment does not come: the loop waits once */
	MAX_CLOSINGS = 8,
	EXIT_IO = 74,
};

enum { NOTHING, SYNCING, COPYING, EMPTYING, CLOSING };

struct settling {
	uint64_t content;
	const char *path;
	struct stat what;		/* is on disk; st_ino 0: nothing */
};

/* What a thread works at; it alone, from start() to store_synced(). */
struct sync {
	int wal;
	sqlite3 *db;
	const char *dir;
	unsigned what;			/* see syncs.doing */
	bool done;
	int n_frames, n_copied;		/* in the WAL; of them */
	struct err err;			/* "" when it went well */
	bool fatal;			/* else it can be tried again */
	struct settling *settling;
	size_t n_settling, size;
	int fd;				/* to close */
};

struct closing {
	STAILQ_ENTRY(closing) link;
	int fd;
};

STAILQ_HEAD(closings, closing);

struct syncs {
	struct sync job;
	unsigned doing;
	void (*start)(void *arg, struct sync *);
	void *arg;
	int frames;			/* in the WAL */
	int copy_at, truncate_at;	/* so many; see COPY_FRAMES, MAX_FRAMES */
	bool truncates;			/* with the next commit */
	unsigned n_tries;		/* to copy */
	bool is_off;			/* SQLite does not even sync a new header, in this transaction */
	struct waiters waiters;		/* of the commit that is being synced */
	uint64_t n_commits, n_syncing, n_durable;
	struct settling *settling;	/* for the next */
	size_t n_settling, size;
	struct closings closings;
	unsigned n_closings;
};

/* ---- on any thread ---- */

static void settle_files(struct sync *j)
{
	for (size_t i = 0; i < j->n_settling; i++) {
		struct settling *f = &j->settling[i];

		if (stat(f->path, &f->what) < 0 || files_sync(f->path) < 0)
			f->what.st_ino = 0;
	}
}

static void copy_pages(struct sync *j)
{
	int code = sqlite3_wal_checkpoint_v2(j->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &j->n_frames, &j->n_copied);

	/* Busy: somebody else copies. */
	if (code == SQLITE_OK || code == SQLITE_BUSY)
		return;
	err_set(&j->err, "copy %s/state.db-wal: %s", j->dir, sqlite3_errmsg(j->db));
	j->fatal = code == SQLITE_IOERR_FSYNC;
}

void sync_work(struct sync *j)
{
	/* An error is told once: who asks again hears that all is well. */
	if (j->done)
		return;
	j->done = true;
	if (j->what == COPYING) {
		copy_pages(j);
		return;
	}
	if (j->what == CLOSING) {
		close(j->fd);
		return;
	}
	if (j->what == SYNCING)
		settle_files(j);
	if (fdatasync(j->wal) < 0) {
		err_sys(&j->err, "sync %s/state.db-wal", j->dir);
		j->fatal = true;
	}
}

/* ---- on the loop ---- */

/* Our promise is that nothing is said before it is on disk; with a disk that does not take it we cannot go on. */
static void stop_for(const char *why)
{
	log_err("store: %s: nobody was told that it is stored; p2pmta stops", why);
	_exit(EXIT_IO);
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct syncs *y = arg;

	(void)db, (void)name;
	y->frames = frames;
	return SQLITE_OK;
}

static bool is_empty(const struct syncs *y)
{
	struct stat st;

	return fstat(y->job.wal, &st) == 0 && st.st_size == 0;
}

/* Copies what is not copied yet, with all syncs; there is none to make when nothing is. */
static bool truncate_wal(struct store *s)
{
	struct syncs *y = s->syncs;

	sqlite3_busy_timeout(s->db, 0);
	int code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	if (code == SQLITE_IOERR_FSYNC)
		stop_for("state.db cannot be synced");
	if (code != SQLITE_OK)
		return false;
	y->frames = 0;
	y->copy_at = COPY_FRAMES;
	y->truncate_at = MAX_FRAMES;
	y->n_tries = 0;
	return true;
}

static void set_synced(struct store *s)
{
	if (s->syncs->is_off) {
		db_plain(s, "PRAGMA synchronous = NORMAL");
		db_plain(s, "PRAGMA cache_spill = ON");
	}
	s->syncs->is_off = false;
}

bool sync_begin(struct store *s)
{
	struct syncs *y = s->syncs;

	if (!y || !is_empty(y))
		return db_plain(s, "BEGIN IMMEDIATE") == SQLITE_OK;
	y->is_off = db_plain(s, "PRAGMA synchronous = OFF") == SQLITE_OK;
	if (y->is_off && sync_is_busy(s))
		db_plain(s, "PRAGMA cache_spill = OFF");
	bool begun = db_plain(s, "BEGIN IMMEDIATE") == SQLITE_OK;

	if (begun && is_empty(y))
		return true;
	/* Somebody else was quicker. */
	if (begun)
		db_plain(s, "ROLLBACK");
	set_synced(s);
	return begun && db_plain(s, "BEGIN IMMEDIATE") == SQLITE_OK;
}

void sync_end(struct store *s, bool committed)
{
	struct syncs *y = s->syncs;

	s->unsynced |= committed;
	if (!y)
		return;
	y->n_commits += committed;
	set_synced(s);
}

void sync_after_commit(struct store *s)
{
	struct syncs *y = s->syncs;

	if (y->truncates && !truncate_wal(s))
		y->truncate_at = y->frames + MAX_FRAMES;
	y->truncates = false;
}

void sync_settle(struct store *s, uint64_t content, const char *path)
{
	struct syncs *y = s->syncs;

	if (y->n_settling == y->size) {
		y->size = y->size ? y->size * 2 : 16;
		y->settling = mem_resize(y, y->settling, struct settling, y->size);
	}
	y->settling[y->n_settling++] = (struct settling){ .content = content, .path = mem_strdup(y, path) };
	s->unsynced = true;
}

static void take_settling(struct syncs *y)
{
	struct sync *j = &y->job;
	struct settling *mine = y->settling;
	size_t size = y->size;

	y->settling = j->settling;
	y->size = j->size;
	j->settling = mine;
	j->size = size;
	j->n_settling = y->n_settling;
	y->n_settling = 0;
}

static void end_settling(struct store *s)
{
	struct sync *j = &s->syncs->job;

	for (size_t i = 0; i < j->n_settling; i++) {
		struct settling *f = &j->settling[i];

		if (f->what.st_ino != 0)
			content_settled(s, f->content, f->path, &f->what);
		talloc_free((void *)(uintptr_t)f->path);
	}
	j->n_settling = 0;
}

static bool start_job(struct store *, unsigned what);

static void end_copy(struct store *s)
{
	struct syncs *y = s->syncs;
	const struct sync *j = &y->job;

	if (j->err.text[0])
		log_warn("store: %s", j->err.text);
	bool is_whole = j->n_frames >= 0 && j->n_frames == j->n_copied;

	if (!s->wrote && !s->poisoned && db_end_unused(s) && is_whole && truncate_wal(s)) {
		start_job(s, EMPTYING);
		return;
	}
	/* With the next commit, which is all that is left to copy then. */
	y->truncates = y->frames > y->truncate_at;
	/* What was written meanwhile is little: the next copy is quick, and the moment to truncate perhaps behind it. */
	y->copy_at = y->frames + (is_whole && ++y->n_tries % COPY_TRIES != 0 ? 1 : COPY_FRAMES);
}

static void end_job(struct store *s)
{
	struct syncs *y = s->syncs;
	unsigned what = y->doing;

	y->doing = NOTHING;
	if (y->job.fatal)
		stop_for(y->job.err.text);
	if (what == COPYING)
		end_copy(s);
	if (what != SYNCING)
		return;
	y->n_durable = y->n_syncing;
	end_settling(s);
	store_durable(s, &y->waiters);
}

/* Is it over already? */
static bool start_job(struct store *s, unsigned what)
{
	struct syncs *y = s->syncs;
	struct sync *j = &y->job;

	y->doing = what;
	j->what = what;
	j->done = j->fatal = false;
	j->err.text[0] = '\0';
	j->n_frames = j->n_copied = -1;
	if (y->start) {
		y->start(y->arg, j);
		return false;
	}
	sync_work(j);
	end_job(s);
	return true;
}

bool sync_start(struct store *s, struct waiters *waiters)
{
	struct syncs *y = s->syncs;

	STAILQ_CONCAT(&y->waiters, waiters);
	take_settling(y);
	y->n_syncing = y->n_commits;
	s->unsynced = false;
	return start_job(s, SYNCING);
}

static void copy(struct store *s)
{
	struct syncs *y = s->syncs;

	if (y->frames < y->copy_at || s->poisoned)
		return;
	if (s->begun || db_begin_idly(s))
		start_job(s, COPYING);
	else
		y->copy_at = y->frames + COPY_FRAMES;
}

void sync_close_file(struct store *s, int fd)
{
	struct closing *c = mem_zero(s->syncs, struct closing);

	c->fd = fd;
	STAILQ_INSERT_TAIL(&s->syncs->closings, c, link);
	s->syncs->n_closings++;
}

bool sync_can_close(const struct store *s)
{
	return s->syncs->n_closings < MAX_CLOSINGS;
}

void sync_rest(struct store *s)
{
	struct syncs *y = s->syncs;
	struct closing *c = STAILQ_FIRST(&y->closings);

	if (c == NULL) {
		copy(s);
		return;
	}
	STAILQ_REMOVE_HEAD(&y->closings, link);
	y->job.fd = c->fd;
	y->n_closings--;
	talloc_free(c);
	start_job(s, CLOSING);
}

bool sync_waits(const struct store *s)
{
	return !STAILQ_EMPTY(&s->syncs->closings);
}

bool sync_is_busy(const struct store *s)
{
	return s->syncs && s->syncs->doing != NOTHING;
}

bool sync_is_syncing(const struct store *s)
{
	return s->syncs && s->syncs->doing == SYNCING;
}

void store_synced(struct store *s)
{
	bool synced = s->syncs->doing == SYNCING;

	assert(sync_is_busy(s));
	end_job(s);
	if (synced)
		copy(s);
}

void store_sync_by(struct store *s, void (*start)(void *arg, struct sync *), void *arg)
{
	struct syncs *y = s->syncs;

	y->start = start;
	y->arg = arg;
	if (!start && sync_is_busy(s)) {
		sync_work(&y->job);
		end_job(s);
	}
}

uint64_t store_commit(const struct store *s)
{
	return s->syncs->n_commits + (s->wrote || s->poisoned);
}

uint64_t store_commit_durable(const struct store *s)
{
	return s->syncs->n_durable;
}

/* ---- opening ---- */

static bool open_copier(struct store *s, struct err *e)
{
	struct sync *j = &s->syncs->job;
	char *path = mem_printf(NULL, "%s/state.db", s->dir);
	int code = sqlite3_open_v2(path, &j->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_exec(j->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	if (code != SQLITE_OK)
		err_set(e, "open %s once more: %s", path, sqlite3_errmsg(j->db));
	talloc_free(path);
	return code == SQLITE_OK;
}

static bool open_wal(struct store *s, struct err *e)
{
	struct sync *j = &s->syncs->job;
	char *path = mem_printf(NULL, "%s/state.db-wal", s->dir);

	j->wal = open(path, O_RDONLY | O_CLOEXEC);
	if (j->wal < 0)
		err_sys(e, "open %s", path);
	else if (files_sync(path) < 0)
		err_sys(e, "sync %s", path);
	bool good = j->wal >= 0 && e->text[0] == '\0';

	talloc_free(path);
	return good;
}

enum outcome sync_open(struct store *s, struct err *e)
{
	struct syncs *y = s->syncs = mem_zero(s, struct syncs);

	y->job.wal = -1;
	y->job.dir = s->dir;
	STAILQ_INIT(&y->waiters);
	STAILQ_INIT(&y->closings);
	/* What a crash left in it. A reader may be in the way: then it goes on where it is. */
	truncate_wal(s);
	y->copy_at = COPY_FRAMES;
	y->truncate_at = MAX_FRAMES;
	e->text[0] = '\0';
	if (!open_wal(s, e) || !open_copier(s, e))
		return RETRY;
	sqlite3_wal_hook(s->db, on_wal, y);
	if (db_plain(s, "PRAGMA synchronous = NORMAL") == SQLITE_OK)
		return OK;
	err_set(e, "prepare %s/state.db: %s", s->dir, sqlite3_errmsg(s->db));
	return RETRY;
}

void sync_close(struct store *s)
{
	struct syncs *y = s->syncs;

	if (!y)
		return;
	assert(y->doing == NOTHING);
	for (struct closing *c = STAILQ_FIRST(&y->closings); c; c = STAILQ_NEXT(c, link))
		close(c->fd);
	db_rollback(s);
	sqlite3_close(y->job.db);
	if (y->job.wal >= 0)
		close(y->job.wal);
	TALLOC_FREE(s->syncs);
}
