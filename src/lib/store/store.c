/*
 * Opening, the turn, closing. One transaction gathers what a turn of the loop
 * wrote; the sync of its commit (sync.c) is the one that everybody who waits
 * shares. When the commit fails, rows, RAM and the files to unlink go back to
 * the last one together, then each waiter hears false. Waiters may write again:
 * that is the next transaction, committed in the same store_turn() if nobody
 * else makes the syncs, so that nobody's write sleeps with the loop; after a
 * failure it waits for the next turn, so that a full disk is not asked again
 * at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/store/priv.h"

enum {
	MAX_ROUNDS = 8,			/* commits in one turn */
	MAX_UNLINKS = 256,		/* files unlinked in one turn */
};

/* flock, not the pid in the file, is the lock: it goes with the process, however that ends. */
enum outcome store_lock(const char *dir, int *fd_out, struct err *e)
{
	char pid[24] = "";
	char *path = mem_printf(NULL, "%s/lock", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	enum outcome res = RETRY;

	*fd_out = fd;
	if (fd < 0) {
		err_sys(e, "open %s", path);
	} else if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
		if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, strlen(pid), 0) < 0) {
			/* A full disk: the lock holds without the number. */
		}
		res = OK;
	} else if (errno != EWOULDBLOCK) {
		err_sys(e, "lock %s", path);
	} else {
		if (files_pread(fd, pid, sizeof(pid) - 1, 0) <= 0 || atol(pid) <= 0)
			err_set(e, "%s is in use by another p2pmta: stop it first", dir);
		else
			err_set(e, "%s is in use by another p2pmta with process id %ld: stop it first", dir, atol(pid));
		res = REJECT;
	}
	talloc_free(path);
	return res;
}

/* Made by ourselves, because SQLite would let the umask decide who may read it. */
static enum outcome open_db(struct store *s, struct err *e)
{
	char *path = mem_printf(s, "%s/state.db", s->dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		err_sys(e, "open %s", path);
		return RETRY;
	}
	close(fd);
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL)
	    != SQLITE_OK) {
		err_set(e, "open %s: %s", path, sqlite3_errmsg(s->db));
		return RETRY;
	}
	sqlite3_busy_timeout(s->db, BUSY_MS);
	db_plain(s, "PRAGMA trusted_schema = OFF");
	db_plain(s, "PRAGMA temp_store = MEMORY");
	enum outcome res = schema_migrate(s, e);

	if (res == OK)
		res = sync_open(s, e);
	return res == OK ? sealed_start(s, e) : res;
}

static void teardown(struct store *s)
{
	mailbox_free(s);
	sealed_end(s);
	sync_close(s);
	db_finish(s);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	talloc_free(s);
}

static enum outcome start(struct store *s, struct err *e)
{
	enum outcome res = files_mkdir(s->dir, e);

	if (res == OK)
		res = store_lock(s->dir, &s->lock_fd, e);
	if (res == OK)
		res = place_make(s, e);
	if (res == OK)
		res = open_db(s, e);
	if (res != OK)
		return res;
	ids_load(s);
	keyword_load(s);
	res = mailbox_start(s, e);
	if (s->unsynced)
		sync_start(s, &s->waiters);
	if (res == OK && !s->poisoned)
		place_sweep(s);
	if (s->poisoned) {
		err_set(e, "read %s/state.db: %s: restore it from a backup together with spool/, inbox/ and outbox/", s->dir,
		    s->why.text);
		res = RETRY;
	}
	return res;
}

struct store *store_open(const char *dir, struct err *e)
{
	struct store *s = mem_zero(NULL, struct store);

	s->dir = mem_strdup(s, dir);
	s->lock_fd = -1;
	s->rcpt_asked_ms = s->notice_asked_ms = INT64_MIN;
	STAILQ_INIT(&s->waiters);
	LIST_INIT(&s->dirty);
	LIST_INIT(&s->folding);
	TAILQ_INIT(&s->watchers);
	if (start(s, e) != OK) {
		teardown(s);
		return NULL;
	}
	return s;
}

void store_when_durable(struct store *s, void (*done)(void *arg, bool durable), void *arg)
{
	struct waiter *w = mem_zero(s, struct waiter);

	w->done = done;
	w->arg = arg;
	STAILQ_INSERT_TAIL(&s->waiters, w, link);
}

/* Is there a transaction to commit, or to undo? */
static bool is_open(const struct store *s)
{
	return s->wrote || s->poisoned;
}

bool store_is_pending(const struct store *s)
{
	return is_open(s) || s->unsynced || sync_is_syncing(s);
}

static void tell(struct waiters *list, bool durable)
{
	while (!STAILQ_EMPTY(list)) {
		struct waiter *w = STAILQ_FIRST(list);

		STAILQ_REMOVE_HEAD(list, link);
		w->done(w->arg, durable);
		talloc_free(w);
	}
}

static void undo(struct store *s)
{
	if (!s->failing)
		log_err("store: what was written since the last commit is undone: %s", s->why.text);
	s->failing = true;
	db_rollback(s);
	place_undone(s);
	ids_undone(s);
	keyword_load(s);
	mailbox_undone(s);
	watch_undone(s);
}

static bool commit(struct store *s)
{
	if (!is_open(s))
		return true;
	mailbox_write(s);
	ids_write(s);
	if (!db_commit(s)) {
		undo(s);
		return false;
	}
	if (s->failing)
		log_info("store: writing works again");
	s->failing = false;
	mailbox_committed(s);
	place_committed(s);
	return true;
}

static bool to_commit(const struct store *s)
{
	return is_open(s) || s->unsynced || !STAILQ_EMPTY(&s->waiters);
}

bool store_waits(const struct store *s)
{
	return !sync_is_busy(s) &&
	    (to_commit(s) || s->going.n > 0 || !LIST_EMPTY(&s->folding) || space_waits(s) || sync_waits(s));
}

void store_durable(struct store *s, struct waiters *waiters)
{
	place_durable(s);
	watch_committed(s);
	if (!is_open(s))
		place_unlink(s, MAX_UNLINKS);
	tell(waiters, true);
}

static bool turn_once(struct store *s, size_t max_unlinks)
{
	struct waiters list = STAILQ_HEAD_INITIALIZER(list);

	STAILQ_CONCAT(&list, &s->waiters);
	if (!commit(s)) {
		tell(&list, false);
		return false;
	}
	if (s->unsynced)
		sync_after_commit(s);
	place_unlink(s, max_unlinks);
	if (s->unsynced)
		return sync_start(s, &list);
	tell(&list, true);
	return true;
}

/* In a transaction of its own: when it fails, nothing that anybody was told is undone. */
static void fold(struct store *s)
{
	struct box *box = LIST_FIRST(&s->folding);

	if (!box || to_commit(s))
		return;
	uint64_t folded = box->folded;

	fold_step(s, box);
	/* It may only have looked at pages. */
	if (!is_open(s))
		return;
	if (db_commit(s))
		return;
	log_warn("store: mailbox=%llu journal=not folded: %s", (unsigned long long)box->pub.id, s->why.text);
	db_rollback(s);
	box->folded = folded;
	fold_failed(box);
}

void store_hold(struct store *s)
{
	s->n_holds++;
}

void store_release(struct store *s)
{
	assert(s->n_holds > 0);
	s->n_holds--;
}

void store_turn(struct store *s)
{
	assert(!s->turning);
	if (s->n_holds > 0)
		return;
	db_end_reading(s);
	if (!store_waits(s))
		return;
	s->turning = true;
	int rounds = 0;
	while (turn_once(s, MAX_UNLINKS) && to_commit(s) && ++rounds < MAX_ROUNDS)
		;
	if (!sync_is_busy(s)) {
		fold(s);
		db_end_reading(s);
		if (!to_commit(s) && space_waits(s))
			space_step(s);
		/* At once: so that all which may still be undone is one transaction. */
		if (!is_open(s) && s->unsynced)
			sync_start(s, &s->waiters);
		else if (!to_commit(s))
			sync_rest(s);
	}
	s->turning = false;
}

void store_close(struct store **sp)
{
	struct store *s = *sp;

	if (!s)
		return;
	*sp = NULL;
	for (int rounds = 0; (to_commit(s) || s->going.n > 0) && rounds < MAX_ROUNDS; rounds++) {
		if (!turn_once(s, SIZE_MAX))
			break;
	}
	/* Who writes in answer to a failure at the very end writes for nothing. */
	db_rollback(s);
	struct waiters list = STAILQ_HEAD_INITIALIZER(list);
	STAILQ_CONCAT(&list, &s->waiters);
	tell(&list, false);
	teardown(s);
}
