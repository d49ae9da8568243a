/* Syncs made by somebody else: who is told when, and what the WAL looks like meanwhile. */
#include <errno.h>
#include <sqlite3.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/base/log.h"
#include "lib/store/sync.h"
#include "store.h"

static struct sync *job;		/* started, and not over */
static unsigned n_started, n_synced, committed, undone;
static bool disk_fails, disk_is_fast;
static char heard[256];

/* In place of libc's, for SQLite as well. */
int fsync(int fd)
{
	n_synced++;
	return disk_is_fast ? 0 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	if (disk_fails) {
		errno = EIO;
		return -1;
	}
	n_synced++;
	return disk_is_fast ? 0 : (int)syscall(SYS_fdatasync, fd);
}

static void start(void *arg, struct sync *sync)
{
	ck_assert_ptr_eq(arg, st);
	ck_assert_ptr_null(job);
	job = sync;
	n_started++;
}

static void finish(void)
{
	struct sync *mine = job;

	ck_assert_ptr_nonnull(mine);
	sync_work(mine);
	job = NULL;
	store_synced(st);
}

static void finish_all(void)
{
	for (;;) {
		store_turn(st);
		if (job == NULL)
			break;
		finish();
	}
}

static void hear(void *arg, bool durable)
{
	snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "%s%c ", (const char *)arg, durable ? '+' : '-');
}

static void expect_heard(const char *want)
{
	ck_assert_str_eq(heard, want);
	heard[0] = '\0';
}

static void count_committed(void *arg)
{
	(void)arg;
	committed++;
}

static void count_undone(void *arg)
{
	(void)arg;
	undone++;
}

static void begin(void)
{
	store_watch(st, &(struct store_watcher){ .committed = count_committed, .undone = count_undone, .arg = st });
	store_sync_by(st, start, st);
}

START_TEST(told_when_it_is_synced)
{
	begin();
	store_meta_set(st, "x", 1);
	uint64_t first = store_commit(st);
	store_when_durable(st, hear, "a");
	store_turn(st);
	ck_assert_uint_eq(n_started, 1);
	ck_assert(store_is_pending(st) && !store_waits(st));
	expect_heard("");
	/* The next one waits for it, and has a number of its own. */
	store_meta_set(st, "x", 2);
	ck_assert_uint_eq(store_commit(st), first + 1);
	store_when_durable(st, hear, "b");
	store_turn(st);
	ck_assert_uint_eq(n_started, 1);
	ck_assert_uint_lt(store_commit_durable(st), first);
	finish();
	expect_heard("a+ ");
	ck_assert_uint_eq(committed, 1);
	ck_assert_uint_eq(store_commit_durable(st), first);
	ck_assert(store_is_pending(st) && store_waits(st));
	store_turn(st);
	ck_assert_uint_eq(n_started, 2);
	expect_heard("");
	finish();
	expect_heard("b+ ");
	ck_assert(!store_is_pending(st) && !store_waits(st));
	ck_assert_uint_eq(store_commit_durable(st), store_commit(st));
}
END_TEST

/* Who has written nothing asks of what is being synced, too. */
START_TEST(waits_for_what_is_under_way)
{
	begin();
	store_meta_set(st, "x", 1);
	store_turn(st);
	store_when_durable(st, hear, "a");
	store_turn(st);
	expect_heard("");
	finish();
	store_turn(st);
	expect_heard("a+ ");
	ck_assert_uint_eq(n_started, 1);
}
END_TEST

/* A transaction that fails takes nothing with it of what is being synced. */
START_TEST(undone_meanwhile)
{
	struct content lost = { .place = PLACE_INBOX };
	struct mailbox *inbox = store_mailbox_find(st, "INBOX");
	struct content c = unit_content(PLACE_INBOX, "kept");

	begin();
	store_message_add(st, inbox, c.id, 0, 0, 0);
	store_when_durable(st, hear, "a");
	store_turn(st);
	store_message_add(st, inbox, c.id, 0, 0, 0);
	store_content_add(st, &lost);
	store_when_durable(st, hear, "b");
	store_turn(st);
	ck_assert_uint_eq(undone, 0);
	finish();
	expect_heard("a+ ");
	store_turn(st);
	expect_heard("b- ");
	ck_assert_uint_eq(undone, 1);
	ck_assert_uint_eq(inbox->n_messages, 1);
	ck_assert_uint_eq(log_take_warnings(), 1);
	finish_all();
	store_sync_by(st, NULL, NULL);
	unit_reopen();
	ck_assert_uint_eq(store_mailbox_find(st, "INBOX")->n_messages, 1);
}
END_TEST

/* Nothing was written, and yet what RAM says is not true. */
START_TEST(poisoned_before_the_first_write)
{
	struct content c = unit_content(PLACE_INBOX, "x");
	struct mailbox *inbox = store_mailbox_find(st, "INBOX");
	sqlite3 *other;

	store_turn(st);
	ck_assert_int_eq(sqlite3_open(mem_printf(ctx, "%s/state.db", unit_dir), &other), SQLITE_OK);
	begin();
	store_meta_set(st, "x", 1);
	store_turn(st);
	uint64_t syncing = store_commit(st);
	ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	store_message_add(st, inbox, c.id, 0, 0, 0);
	ck_assert_uint_gt(store_commit(st), syncing);
	finish();
	ck_assert_uint_eq(store_commit_durable(st), syncing);
	sqlite3_close(other);
	store_turn(st);
	ck_assert_uint_eq(undone, 1);
	ck_assert_uint_eq(inbox->n_messages, 0);
	ck_assert_uint_eq(log_take_warnings(), 1);
	finish_all();
	store_sync_by(st, NULL, NULL);
}
END_TEST

static unsigned count_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* The octets of a large file go with its last descriptor, and not on the loop. Its name is free at once. */
START_TEST(large_files_are_closed_aside)
{
	struct content c = unit_content(PLACE_INBOX, "large");

	ck_assert_int_eq(truncate(store_path(st, ctx, PLACE_INBOX, c.digest), 20 << 20), 0);
	store_turn(st);
	begin();
	store_content_sweep(st, c.id);
	store_turn(st);
	unsigned n = count_open();
	finish();
	ck_assert(!unit_there(PLACE_INBOX, c.digest));
	ck_assert_uint_eq(count_open(), n + 1);
	store_turn(st);
	sync_work(job);
	ck_assert_uint_eq(count_open(), n);
	job = NULL;
	store_synced(st);
	ck_assert(!store_waits(st));
	store_sync_by(st, NULL, NULL);
}
END_TEST

/* A commit that is not on disk yet has dropped the last row: it may come back. */
START_TEST(keeps_what_may_come_back)
{
	enum { MANY = 300 };		/* more than go in one turn */
	struct content many[MANY], last = { 0 };

	for (int i = 0; i < MANY; i++)
		many[i] = unit_content(PLACE_INBOX, mem_printf(ctx, "%d", i));
	store_turn(st);
	begin();
	for (int i = 0; i < MANY; i++)
		store_content_sweep(st, many[i].id);
	store_turn(st);
	finish();
	/* The one that is still there is named again, and dropped. */
	for (int i = 0; i < MANY; i++) {
		if (!unit_there(PLACE_INBOX, many[i].digest))
			continue;
		last = many[i];
		break;
	}
	ck_assert_uint_ne(last.id, 0);
	store_content_add(st, &last);
	store_turn(st);
	finish();
	store_content_sweep(st, last.id);
	store_turn(st);
	ck_assert(unit_there(PLACE_INBOX, last.digest));
	finish();
	finish_all();
	ck_assert(!unit_there(PLACE_INBOX, last.digest));
}
END_TEST

/* A power cut would bring the row back: its file is still there. */
START_TEST(unlinks_after_the_sync)
{
	struct content c = unit_content(PLACE_INBOX, "goes");

	store_turn(st);
	begin();
	store_content_sweep(st, c.id);
	store_turn(st);
	store_meta_set(st, "x", 1);
	store_turn(st);
	ck_assert(unit_there(PLACE_INBOX, c.digest));
	finish();
	finish_all();
	ck_assert(!unit_there(PLACE_INBOX, c.digest));
}
END_TEST

START_TEST(stops_while_it_syncs)
{
	begin();
	store_meta_set(st, "x", 1);
	store_when_durable(st, hear, "a");
	store_turn(st);
	store_meta_set(st, "x", 2);
	store_when_durable(st, hear, "b");
	job = NULL;
	store_sync_by(st, NULL, NULL);
	expect_heard("a+ ");
	unit_reopen();
	expect_heard("b+ ");
	ck_assert_int_eq(store_meta_get(st, "x", 0), 2);
}
END_TEST

/* What a disk has that could not sync, nobody knows: nobody is told, and the process ends. */
START_TEST(disk_that_fails)
{
	store_close(&st);
	pid_t pid = fork();
	if (pid == 0) {
		unit_open();
		begin();
		store_meta_set(st, "x", 1);
		store_when_durable(st, hear, "a");
		store_turn(st);
		disk_fails = true;
		finish();
		_exit(heard[0] != '\0' ? 2 : 0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 74);
	unit_open();
}
END_TEST

/* ---- the WAL ---- */

/* Its header has other salts when it is begun anew. */
struct wal { off_t size; uint8_t header[32]; };

static struct wal read_wal(void)
{
	struct wal wal = { 0 };
	struct stat sb;
	int fd = open(mem_printf(ctx, "%s/state.db-wal", unit_dir), O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &sb), 0);
	wal.size = sb.st_size;
	ck_assert_int_ge(files_pread(fd, wal.header, sizeof(wal.header), 0), 0);
	close(fd);
	return wal;
}

/* A turn with its commit. When the WAL is begun anew over what is there, its header was synced. */
static void commit_turn(void)
{
	struct wal was = read_wal();
	unsigned n = n_synced;

	store_turn(st);
	struct wal wal = read_wal();

	if (was.size > 0 && memcmp(wal.header, was.header, sizeof(was.header)) != 0)
		ck_assert_uint_gt(n_synced, n);
}

static void copy_file(const char *name, const char *to)
{
	struct bytes all;
	struct err e;

	ck_assert_int_eq(files_get(ctx, mem_printf(ctx, "%s/%s", unit_dir, name), 1 << 30, &all, &e), OK);
	ck_assert_int_eq(files_put(mem_printf(ctx, "%s/%s", to, name), all, &e), OK);
	talloc_free((void *)(uintptr_t)all.data);
}

/* What a start after a kill in this moment would find. */
static int64_t recovered(void)
{
	char *dir = mem_printf(ctx, "%s/copy", unit_dir);
	sqlite3 *db;
	sqlite3_stmt *q;

	copy_file("state.db", dir);
	copy_file("state.db-wal", dir);
	ck_assert_int_eq(sqlite3_open(mem_printf(ctx, "%s/state.db", dir), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE name = 'i'", -1, &q, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
	int64_t i = sqlite3_column_int64(q, 0);

	sqlite3_finalize(q);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &q, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
	ck_assert_str_eq((const char *)sqlite3_column_text(q, 0), "ok");
	sqlite3_finalize(q);
	sqlite3_close(db);
	return i;
}

static void write_some(int64_t i)
{
	static uint8_t octets[3500];

	store_meta_set(st, "i", i);
	struct content c = { .place = PLACE_SPOOL };
	memset(octets, (int)i, sizeof(octets));
	memcpy(c.digest, &i, sizeof(i));
	store_content_add_small(st, &c, bytes_of(octets, sizeof(octets)));
}

START_TEST(wal_is_truncated)
{
	unsigned n_empty = 0, n_copies = 0;
	int64_t durable = 0;

	disk_is_fast = true;
	begin();
	for (int64_t i = 1; i <= 4000; i++) {
		write_some(i);
		commit_turn();
		for (bool copying = false; job != NULL; copying = true) {
			struct sync *mine = job;

			/* Sometimes somebody writes when all is copied and we have not heard of it yet. */
			sync_work(mine);
			if (copying || i % 500 == 0)
				ck_assert_int_ge(recovered(), durable);
			if (copying && n_copies++ % 4 == 0)
				write_some(++i);
			job = NULL;
			store_synced(st);
			durable = copying ? durable : i;
			n_empty += read_wal().size == 0;
			ck_assert_int_le(read_wal().size, 20 << 20);
		}
	}
	ck_assert_uint_ge(n_empty, 3);
	finish_all();
	ck_assert_int_eq(recovered(), store_meta_get(st, "i", 0));
	store_sync_by(st, NULL, NULL);
	unit_reopen();
	ck_assert_int_ge(store_meta_get(st, "i", 0), 4000);
}
END_TEST

/* Written to while it is copied, each time: there is an end to its growth, too. */
START_TEST(wal_without_a_pause)
{
	off_t size = 0, longest = 0;
	int64_t i = 0;

	disk_is_fast = true;
	begin();
	do {
		write_some(++i);
		commit_turn();
		if (job != NULL) {
			write_some(++i);
			finish();
		}
		size = read_wal().size;
		longest = size > longest ? size : longest;
		ck_assert_int_le(longest, 80 << 20);
	} while (size > 0);
	ck_assert_int_ge(longest, 60 << 20);
	finish_all();
	ck_assert_int_eq(recovered(), i);
	store_sync_by(st, NULL, NULL);
	unit_reopen();
	ck_assert_int_eq(store_meta_get(st, "i", 0), i);
}
END_TEST

static void run(sqlite3 *db, const char *sql)
{
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* Up to the moment when the WAL is to be copied. */
static int64_t write_until_copying(int64_t i)
{
	for (;;) {
		write_some(++i);
		store_turn(st);
		finish();
		if (job != NULL)
			return i;
		finish_all();
	}
}

/* A reader is in the way of truncating it. */
START_TEST(with_a_reader)
{
	sqlite3 *other;

	ck_assert_int_eq(sqlite3_open(mem_printf(ctx, "%s/state.db", unit_dir), &other), SQLITE_OK);
	begin();
	int64_t i = write_until_copying(0);

	run(other, "BEGIN; SELECT count(*) FROM content");
	finish();
	struct wal old = read_wal();
	ck_assert_int_gt(old.size, 3 << 20);
	run(other, "COMMIT");
	write_some(++i);
	commit_turn();
	struct wal anew = read_wal();
	ck_assert_mem_ne(anew.header, old.header, sizeof(old.header));
	finish();
	ck_assert_int_eq(recovered(), i);
	/* One that stays. */
	i = write_until_copying(i);
	run(other, "BEGIN; SELECT count(*) FROM content");
	finish();
	old = read_wal();
	write_some(++i);
	commit_turn();
	ck_assert_mem_eq(read_wal().header, old.header, sizeof(old.header));
	finish();
	ck_assert_int_eq(recovered(), i);
	finish_all();
	/* So does a daemon that is started beside it. */
	store_sync_by(st, NULL, NULL);
	unit_reopen();
	begin();
	write_some(++i);
	commit_turn();
	finish();
	ck_assert_int_eq(recovered(), i);
	run(other, "COMMIT");
	sqlite3_close(other);
	i = write_until_copying(i);
	finish();
	ck_assert_int_eq(read_wal().size, 0);
	store_sync_by(st, NULL, NULL);
	unit_reopen();
	ck_assert_int_eq(store_meta_get(st, "i", 0), i);
}
END_TEST

/* It is empty on disk before anything gets into it, also of a transaction that is larger than SQLite's cache. */
START_TEST(empty_on_disk_first)
{
	begin();
	int64_t i = write_until_copying(0);

	finish();
	ck_assert_int_eq(read_wal().size, 0);
	ck_assert_ptr_nonnull(job);
	for (int n = 0; n < 2000; n++)
		write_some(++i);
	store_turn(st);
	ck_assert_int_eq(read_wal().size, 0);
	unsigned n = n_synced;
	finish();
	ck_assert_uint_eq(n_synced, n + 1);
	store_turn(st);
	ck_assert_int_gt(read_wal().size, 4 << 20);
	/* And only the thread syncs. */
	ck_assert_uint_eq(n_synced, n + 1);
	finish();
	ck_assert_int_eq(recovered(), i);
	finish_all();
	store_sync_by(st, NULL, NULL);
}
END_TEST

/* Somebody else copies, or writes into the empty one. */
START_TEST(with_a_shell)
{
	sqlite3 *other;

	ck_assert_int_eq(sqlite3_open(mem_printf(ctx, "%s/state.db", unit_dir), &other), SQLITE_OK);
	begin();
	int64_t i = 0;

	for (int n = 0; n < 5; n++) {
		write_some(++i);
		commit_turn();
		finish_all();
		run(other, "PRAGMA wal_checkpoint(PASSIVE)");
	}
	struct wal was = read_wal();
	write_some(++i);
	commit_turn();
	ck_assert_mem_ne(read_wal().header, was.header, sizeof(was.header));
	finish_all();
	ck_assert_int_eq(recovered(), i);
	i = write_until_copying(i);
	finish();
	finish();
	ck_assert_int_eq(read_wal().size, 0);
	run(other, "INSERT INTO meta(name, value) VALUES('other', 1)");
	run(other, "PRAGMA wal_checkpoint(PASSIVE)");
	was = read_wal();
	ck_assert_int_gt(was.size, 0);
	write_some(++i);
	commit_turn();
	ck_assert_mem_ne(read_wal().header, was.header, sizeof(was.header));
	finish_all();
	ck_assert_int_eq(recovered(), i);
	sqlite3_close(other);
	store_sync_by(st, NULL, NULL);
}
END_TEST

static void write_nothing(void)
{
	store_content_sweep(st, 0);
	store_content_set_structure(st, &(struct content){ .id = 1ull << 40 });
}

static void write_and_fail(void)
{
	struct content lost = { .place = PLACE_INBOX };

	write_some(1 << 20);
	store_content_add(st, &lost);
}

/* While all of it is copied somebody opens a transaction that leaves no frame in the WAL. */
static const struct { const char *name; void (*write)(void); bool fails; } frameless[] = {
	{ "no row is changed", write_nothing, false },
	{ "it is undone", write_and_fail, true },
};

START_TEST(copied_beside_nothing)
{
	begin();
	int64_t i = write_until_copying(0);

	frameless[_i].write();
	finish();
	finish_all();
	ck_assert_uint_eq(log_take_warnings(), frameless[_i].fails);
	for (int n = 0; n < 3; n++) {
		write_some(++i);
		commit_turn();
		ck_assert_int_eq(recovered(), i);
		finish_all();
	}
	store_sync_by(st, NULL, NULL);
	unit_reopen();
	ck_assert_int_eq(store_meta_get(st, "i", 0), i);
}
END_TEST

/* What a kill left in the WAL is in state.db after the next start. */
START_TEST(left_over)
{
	store_close(&st);
	pid_t pid = fork();
	if (pid == 0) {
		unit_open();
		begin();
		write_some(7);
		store_turn(st);
		_exit(read_wal().size > 0 ? 0 : 1);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	unit_open();
	ck_assert_int_eq(read_wal().size, 0);
	ck_assert_int_eq(store_meta_get(st, "i", 0), 7);
}
END_TEST

/* ---- a small content that stays ---- */

static struct content sent_copy(void)
{
	struct content c = { .place = PLACE_SPOOL, .size = 5 };

	digest_of(bytes_str("small"), c.digest);
	store_content_add_small(st, &c, bytes_str("small"));
	store_message_add(st, store_mailbox_find(st, "Sent"), c.id, 0, 0, 0);
	return c;
}

static bool is_row(const struct content *c)
{
	return store_content_octets(st, ctx, c->id).data != NULL;
}

START_TEST(small_becomes_a_file)
{
	begin();
	struct content c = sent_copy();

	finish_all();
	store_content_sweep(st, c.id);
	store_turn(st);
	ck_assert(is_row(&c) && unit_there(PLACE_SPOOL, c.digest));
	finish();
	finish_all();
	ck_assert(!is_row(&c) && unit_there(PLACE_SPOOL, c.digest));
}
END_TEST

/* The file that was synced is gone, and who reads has made another: that one is not on disk. */
START_TEST(small_stays_a_row)
{
	begin();
	struct content c = sent_copy();

	finish_all();
	store_content_sweep(st, c.id);
	store_turn(st);
	sync_work(job);
	files_drop(store_path(st, ctx, PLACE_SPOOL, c.digest));
	ck_assert_ptr_nonnull(store_content_path(st, ctx, c.id));
	job = NULL;
	store_synced(st);
	finish_all();
	ck_assert(is_row(&c));
	store_content_sweep(st, c.id);
	finish_all();
	ck_assert(!is_row(&c) && unit_there(PLACE_SPOOL, c.digest));
}
END_TEST

static void forget(void)
{
	job = NULL;
	n_started = committed = undone = 0;
	disk_fails = disk_is_fast = false;
	heard[0] = '\0';
}

STORE_SUITE("store_sync") {

	tcase_add_checked_fixture(unit_case, forget, NULL);
	UNIT(told_when_it_is_synced);
	UNIT(waits_for_what_is_under_way);
	UNIT(undone_meanwhile);
	UNIT(poisoned_before_the_first_write);
	UNIT(unlinks_after_the_sync);
	UNIT(large_files_are_closed_aside);
	UNIT(keeps_what_may_come_back);
	UNIT(stops_while_it_syncs);
	UNIT(disk_that_fails);
	UNIT(wal_is_truncated);
	UNIT(wal_without_a_pause);
	UNIT(with_a_reader);
	UNIT(empty_on_disk_first);
	UNIT(with_a_shell);
	UNIT_LOOP(copied_beside_nothing, frameless);
	UNIT(left_over);
	UNIT(small_becomes_a_file);
	UNIT(small_stays_a_row);
} UNIT_END
