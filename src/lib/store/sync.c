/*
 * Durability by hand. SQLite would sync inside COMMIT, on the loop; so its own
 * connection never syncs (synchronous = OFF), and what has to reach the disk,
 * and in which order, is seen to here:
 *
 * - A commit has appended to the WAL. It counts when the WAL is synced.
 * - From time to time pages are copied from the WAL into state.db (a
 *   checkpoint), by a connection of its own that does sync: the WAL first,
 *   then state.db.
 * - When all of it was copied, SQLite would write the WAL again from its
 *   beginning. After a power cut in the middle of that, old frames before the
 *   new ones could look like the whole WAL and undo a part of what was copied.
 *   So it is truncated instead: then nothing old is there to be found. For
 *   that the loop's connection must not write with the WAL copied and not
 *   truncated. A copy begins with a transaction open (SQLite then goes on
 *   appending); when it is over, and nothing was written in that one, it is
 *   the moment to truncate, else before the next write. A reader in another
 *   process can prevent that: then the next commit is one that SQLite syncs
 *   itself. And who writes in each such moment keeps it from ever coming:
 *   then the loop copies the rest itself, once in 64 MB.
 *
 * A small content that stays becomes a file here, too, see content.c.
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
	EXIT_IO = 74,
};

enum { NOTHING, SYNCING, COPYING };

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
	bool copies;			/* pages, else it syncs the WAL */
	bool done;
	int n_copied;			/* frames of the WAL, from its beginning */
	struct err err;			/* "" when it went well */
	bool fatal;			/* else it can be tried again */
	struct settling *settling;
	size_t n_settling, size;
};

struct syncs {
	struct sync job;
	unsigned doing;
	void (*start)(void *arg, struct sync *);
	void *arg;
	int frames;			/* in the WAL */
	int n_copied;			/* of them; -1: nobody knows */
	int copy_at, truncate_at;	/* so many; see COPY_FRAMES, MAX_FRAMES */
	unsigned n_tries;		/* to copy */
	bool syncs_itself;		/* SQLite, in this transaction */
	struct waiters waiters;		/* of the commit that is being synced */
	uint64_t n_commits, n_syncing, n_durable;
	struct settling *settling;	/* for the next */
	size_t n_settling, size;
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
	int code = sqlite3_wal_checkpoint_v2(j->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, &j->n_copied);

	if (code == SQLITE_OK)
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
	if (j->copies) {
		copy_pages(j);
		return;
	}
	settle_files(j);
	if (fdatasync(j->wal) < 0) {
		err_sys(&j->err, "sync %s/state.db-wal", j->dir);
		j->fatal = true;
	}
}

/* ---- on the loop ---- */

static int on_wal(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct syncs *y = arg;

	(void)db, (void)name;
	y->frames = frames;
	return SQLITE_OK;
}

/* Would SQLite begin anew? */
static bool is_whole(const struct syncs *y)
{
	return y->n_copied < 0 || (y->frames > 0 && y->n_copied == y->frames);
}

/* Outside of any transaction. Copies what is not copied yet, with all syncs; there is none to do when nothing is. */
static bool truncate_wal(struct store *s)
{
	struct syncs *y = s->syncs;

	sqlite3_busy_timeout(s->db, 0);
	bool good = db_plain(s, "PRAGMA synchronous = FULL") == SQLITE_OK &&
	    sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK;
	db_plain(s, "PRAGMA synchronous = OFF");
	sqlite3_busy_timeout(s->db, BUSY_MS);
	if (good) {
		y->frames = y->n_copied = 0;
		y->copy_at = COPY_FRAMES;
		y->truncate_at = MAX_FRAMES;
		y->n_tries = 0;
	}
	return good;
}

void sync_before_writing(struct store *s)
{
	struct syncs *y = s->syncs;

	if (y && is_whole(y) && !truncate_wal(s))
		y->syncs_itself = db_plain(s, "PRAGMA synchronous = FULL") == SQLITE_OK;
}

void sync_after_writing(struct store *s, bool committed)
{
	struct syncs *y = s->syncs;

	s->unsynced |= committed;
	if (!y)
		return;
	y->n_commits += committed;
	if (y->syncs_itself)
		db_plain(s, "PRAGMA synchronous = OFF");
	y->syncs_itself = false;
}

void sync_after_commit(struct store *s)
{
	struct syncs *y = s->syncs;

	if (y->frames > y->truncate_at && !truncate_wal(s))
		y->truncate_at = y->frames + MAX_FRAMES;
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

/* Our promise is that nothing is said before it is on disk; with a disk that does not take it we cannot go on. */
static void must_be_good(const struct sync *j)
{
	if (!j->fatal)
		return;
	log_err("store: %s: nobody was told that it is stored; p2pmta stops", j->err.text);
	_exit(EXIT_IO);
}

static void end_copy(struct store *s)
{
	struct syncs *y = s->syncs;
	const struct sync *j = &y->job;

	if (j->err.text[0])
		log_warn("store: %s", j->err.text);
	else if (j->n_copied >= 0)
		y->n_copied = j->n_copied;
	if (!s->wrote && !s->poisoned && db_end_unused(s) && is_whole(y) && truncate_wal(s))
		return;
	/* What was written meanwhile is little: the next copy is quick, and the moment to truncate perhaps behind it. */
	y->copy_at = y->frames + (++y->n_tries % COPY_TRIES == 0 ? COPY_FRAMES : 1);
}

static void end_job(struct store *s)
{
	struct syncs *y = s->syncs;
	bool synced = y->doing == SYNCING;

	y->doing = NOTHING;
	must_be_good(&y->job);
	if (!synced) {
		end_copy(s);
		return;
	}
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
	j->copies = what == COPYING;
	j->done = j->fatal = false;
	j->err.text[0] = '\0';
	j->n_copied = -1;
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

void sync_copy(struct store *s)
{
	struct syncs *y = s->syncs;

	if (y->frames < y->copy_at || is_whole(y) || s->poisoned)
		return;
	if (s->begun || db_begin_idly(s))
		start_job(s, COPYING);
	else
		y->copy_at = y->frames + COPY_FRAMES;
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
		sync_copy(s);
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
	int n = -1, n_copied = -1;

	y->job.wal = -1;
	y->job.dir = s->dir;
	STAILQ_INIT(&y->waiters);
	/* What a crash left in it; SQLite still syncs by itself. */
	if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &n, &n_copied) != SQLITE_OK) {
		y->frames = n > 0 ? n : 0;
		y->n_copied = n_copied;
	}
	y->copy_at = y->frames + COPY_FRAMES;
	y->truncate_at = y->frames + MAX_FRAMES;
	e->text[0] = '\0';
	if (!open_wal(s, e) || !open_copier(s, e))
		return RETRY;
	sqlite3_wal_hook(s->db, on_wal, y);
	if (db_plain(s, "PRAGMA synchronous = OFF") == SQLITE_OK)
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
	db_rollback(s);
	sqlite3_close(y->job.db);
	if (y->job.wal >= 0)
		close(y->job.wal);
	/* The last connection copies what is left, and removes the WAL: with all syncs, or not at all. */
	if (s->db && db_plain(s, "PRAGMA synchronous = FULL") != SQLITE_OK)
		sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	TALLOC_FREE(s->syncs);
}
