/*
 * Durability by hand. SQLite would sync inside COMMIT, on the loop; so its own
 * connection never syncs (synchronous = OFF), and what has to reach the disk,
 * and in which order, is seen to here:
 *
 * - A commit has appended to the WAL. It counts when the WAL is synced.
 * - From time to time pages are copied from the WAL into state.db (a
 *   checkpoint), by a connection of its own that does sync: the WAL first,
 *   then state.db.
 * - When all of it was copied, SQLite writes the WAL again from its beginning.
 *   After a power cut in the middle of that, old frames before the new ones
 *   could look like the whole WAL and undo a part of what was copied. So the
 *   WAL's header is erased first, on disk: then nothing old is to be found in
 *   it. (Truncating it would do as well, but what is appended then costs each
 *   sync half as much again.) For that the loop's connection must not commit
 *   with the WAL copied and not erased. A copy begins with a transaction open
 *   (SQLite then goes on appending); when it is over, and nothing was written
 *   in that one, it is the moment to erase. Nothing is committed until that is
 *   on disk, nor written: cache_spill is off meanwhile.
 * - A reader in another process makes SQLite append after all: then the header
 *   is put back, before the sync that makes the commit count.
 * - Who writes in each such moment keeps it from ever coming: then the loop
 *   copies the rest and truncates the WAL itself, once in 64 MB; and so it does
 *   before it writes when all is copied and the header could not be erased.
 *
 * A small content that stays becomes a file here, too, see content.c; and large
 * files are unlinked, see place.c.
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
	WAL_HEADER = 32,
	EXIT_IO = 74,
};

enum { NOTHING, SYNCING, COPYING, ERASING, DROPPING };

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
	int n_copied;			/* frames of the WAL, from its beginning */
	struct err err;			/* "" when it went well */
	bool fatal;			/* else it can be tried again */
	struct settling *settling;
	size_t n_settling, size;
	char *drop;			/* a file to unlink */
};

struct drop {
	STAILQ_ENTRY(drop) link;
	char *path;
};

STAILQ_HEAD(drops, drop);

struct syncs {
	struct sync job;
	unsigned doing;
	void (*start)(void *arg, struct sync *);
	void *arg;
	int frames;			/* in the WAL */
	int n_copied;			/* of them; -1: nobody knows */
	int copy_at, truncate_at;	/* so many; see COPY_FRAMES, MAX_FRAMES */
	bool truncates;
	unsigned n_tries;		/* to copy */
	bool appended;			/* something, since it was erased */
	bool erased;			/* its header, and nothing was committed since */
	uint8_t header[WAL_HEADER];	/* what that was */
	bool syncs_itself;		/* SQLite, in this transaction */
	struct waiters waiters;		/* of the commit that is being synced */
	uint64_t n_commits, n_syncing, n_durable;
	struct settling *settling;	/* for the next */
	size_t n_settling, size;
	struct drops drops;
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

static const uint8_t no_header[WAL_HEADER];

static bool put_header(const struct sync *j, const uint8_t header[WAL_HEADER])
{
	return pwrite(j->wal, header, WAL_HEADER, 0) == WAL_HEADER;
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
	if (j->what == COPYING) {
		copy_pages(j);
		return;
	}
	if (j->what == DROPPING) {
		files_drop(j->drop);
		return;
	}
	if (j->what == SYNCING)
		settle_files(j);
	if ((j->what == ERASING && !put_header(j, no_header)) || fdatasync(j->wal) < 0) {
		err_sys(&j->err, "sync %s/state.db-wal", j->dir);
		j->fatal = true;
	}
}

/* ---- on the loop ---- */

/* Our promise is that nothing is said before it is on disk; with a disk that does not take it we cannot go on. */
static void must_be_good(const struct sync *j)
{
	if (!j->fatal)
		return;
	log_err("store: %s: nobody was told that it is stored; p2pmta stops", j->err.text);
	_exit(EXIT_IO);
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct syncs *y = arg;

	(void)db, (void)name;
	y->frames = frames;
	y->appended = true;
	return SQLITE_OK;
}

/* From frame 0 on; what is in it already was written just now. */
static void begin_anew(struct syncs *y)
{
	y->n_copied = 0;
	y->copy_at = COPY_FRAMES;
	y->truncate_at = MAX_FRAMES;
	y->n_tries = 0;
}

/* Would SQLite begin anew? */
static bool is_whole(const struct syncs *y)
{
	return !y->erased && (y->n_copied < 0 || (y->frames > 0 && y->n_copied == y->frames));
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
		begin_anew(y);
		y->frames = 0;
		y->erased = false;
	}
	return good;
}

/* Has SQLite gone on behind the old frames? Then they are the WAL, with the header that they had. */
static void look_at_header(struct syncs *y)
{
	uint8_t header[WAL_HEADER];

	y->erased = false;
	if (files_pread(y->job.wal, header, WAL_HEADER, 0) != WAL_HEADER)
		err_sys(&y->job.err, "read %s/state.db-wal", y->job.dir);
	else if (memcmp(header, no_header, WAL_HEADER) != 0)
		begin_anew(y);
	else if (!put_header(&y->job, y->header))
		err_sys(&y->job.err, "write %s/state.db-wal", y->job.dir);
	else
		return;
	y->job.fatal = y->job.err.text[0] != '\0';
	must_be_good(&y->job);
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
	if (y->erased && y->appended)
		look_at_header(y);
	if (y->syncs_itself)
		db_plain(s, "PRAGMA synchronous = OFF");
	y->syncs_itself = false;
}

void sync_after_commit(struct store *s)
{
	struct syncs *y = s->syncs;

	if (!y->truncates)
		return;
	y->truncates = false;
	if (!truncate_wal(s))
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

static bool start_job(struct store *, unsigned what);

/* All of it is copied, no transaction is open. */
static bool erase_wal(struct store *s)
{
	struct syncs *y = s->syncs;

	if (files_pread(y->job.wal, y->header, WAL_HEADER, 0) != WAL_HEADER)
		return false;
	y->erased = true;
	y->appended = false;
	db_plain(s, "PRAGMA cache_spill = OFF");
	start_job(s, ERASING);
	return true;
}

static void end_copy(struct store *s)
{
	struct syncs *y = s->syncs;
	const struct sync *j = &y->job;

	if (j->err.text[0])
		log_warn("store: %s", j->err.text);
	else if (j->n_copied >= 0)
		y->n_copied = j->n_copied;
	if (!s->wrote && !s->poisoned && db_end_unused(s) && is_whole(y) && erase_wal(s))
		return;
	/* With the next commit, which is all that is left to copy then. */
	y->truncates = y->frames > y->truncate_at;
	/* What was written meanwhile is little: the next copy is quick, and the moment to erase it perhaps behind it. */
	y->copy_at = y->frames + (++y->n_tries % COPY_TRIES == 0 ? COPY_FRAMES : 1);
}

static void end_job(struct store *s)
{
	struct syncs *y = s->syncs;
	unsigned what = y->doing;

	y->doing = NOTHING;
	must_be_good(&y->job);
	if (what == DROPPING)
		TALLOC_FREE(y->job.drop);
	if (what == ERASING)
		db_plain(s, "PRAGMA cache_spill = ON");
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

static void copy(struct store *s)
{
	struct syncs *y = s->syncs;

	if (y->frames < y->copy_at || is_whole(y) || s->poisoned)
		return;
	if (s->begun || db_begin_idly(s))
		start_job(s, COPYING);
	else
		y->copy_at = y->frames + COPY_FRAMES;
}

void sync_drop(struct store *s, const char *path)
{
	struct drop *d = mem_zero(s->syncs, struct drop);

	d->path = mem_strdup(d, path);
	STAILQ_INSERT_TAIL(&s->syncs->drops, d, link);
}

void sync_rest(struct store *s)
{
	struct syncs *y = s->syncs;
	struct drop *d = STAILQ_FIRST(&y->drops);

	if (d == NULL) {
		copy(s);
		return;
	}
	STAILQ_REMOVE_HEAD(&y->drops, link);
	y->job.drop = talloc_steal(y, d->path);
	talloc_free(d);
	start_job(s, DROPPING);
}

bool sync_waits(const struct store *s)
{
	return !STAILQ_EMPTY(&s->syncs->drops);
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

	j->wal = open(path, O_RDWR | O_CLOEXEC);
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
	STAILQ_INIT(&y->drops);
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
	if (db_plain(s, "PRAGMA synchronous = OFF") == SQLITE_OK && db_plain(s, "PRAGMA journal_size_limit = 16777216") == SQLITE_OK)
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
	for (struct drop *d = STAILQ_FIRST(&y->drops); d; d = STAILQ_NEXT(d, link))
		files_drop(d->path);
	db_rollback(s);
	sqlite3_close(y->job.db);
	if (y->job.wal >= 0)
		close(y->job.wal);
	/* The last connection copies what is left, and removes the WAL: with all syncs, or not at all. */
	if (s->db && db_plain(s, "PRAGMA synchronous = FULL") != SQLITE_OK)
		sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	TALLOC_FREE(s->syncs);
}
