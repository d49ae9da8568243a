/* The transaction of a turn, opening, crashing, sweeping. */
#include <signal.h>
#include <sys/wait.h>

#include "store.h"

static char heard[256];
static int again;

static void hear(void *arg, bool durable)
{
	snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "%s%c ", (const char *)arg, durable ? '+' : '-');
}

static void hear_and_write(void *arg, bool durable)
{
	hear(arg, durable);
	store_meta_set(st, "again", ++again);
	store_when_durable(st, hear, "again");
}

static void expect_heard(const char *want)
{
	ck_assert_str_eq(heard, want);
	heard[0] = '\0';
}

START_TEST(meta)
{
	ck_assert_int_eq(store_meta_get(st, "serial", -7), -7);
	store_meta_set(st, "serial", 5);
	store_meta_set(st, "serial", INT64_MAX);
	ck_assert_int_eq(store_meta_get(st, "serial", -7), INT64_MAX);
	unit_reopen();
	ck_assert_int_eq(store_meta_get(st, "serial", -7), INT64_MAX);
}
END_TEST

START_TEST(waiters)
{
	ck_assert(!store_waits(st));
	store_when_durable(st, hear, "a");
	ck_assert(store_waits(st));
	expect_heard("");
	store_turn(st);
	expect_heard("a+ ");
	store_meta_set(st, "x", 1);
	store_when_durable(st, hear, "b");
	store_when_durable(st, hear_and_write, "c");
	store_turn(st);
	expect_heard("b+ c+ again+ ");
	ck_assert(!store_waits(st));
	store_turn(st);
	expect_heard("");
	store_meta_set(st, "x", 2);
	store_when_durable(st, hear, "closing");
	store_close(&st);
	expect_heard("closing+ ");
	unit_open();
	ck_assert_int_eq(store_meta_get(st, "x", 0), 2);
	ck_assert_int_eq(store_meta_get(st, "again", 0), 1);
}
END_TEST

static int committed, undone;

static void count_committed(void *arg)
{
	(void)arg;
	ck_assert(!store_is_pending(st));
	committed++;
}

static void count_undone(void *arg)
{
	(void)arg;
	undone++;
}

/* Before the waiters, who may write again. */
START_TEST(pending)
{
	store_watch(st, &(struct store_watcher){ .committed = count_committed, .arg = st });
	ck_assert(!store_is_pending(st));
	store_turn(st);
	ck_assert_int_eq(committed, 0);
	store_meta_set(st, "x", 1);
	ck_assert(store_is_pending(st));
	store_when_durable(st, hear_and_write, "a");
	store_turn(st);
	ck_assert_int_eq(committed, 2);
	expect_heard("a+ again+ ");
}
END_TEST

/* A row whose file is not there: everything since the last commit goes back, in RAM and on disk. */
START_TEST(poisoned_turn)
{
	struct err e;
	struct content kept = unit_content(PLACE_INBOX, "kept"), lost = { .place = PLACE_INBOX };
	struct mailbox *inbox = store_mailbox_find(st, "INBOX");
	uint64_t letter_before;

	store_watch(st, &(struct store_watcher){ .undone = count_undone, .arg = st });
	store_message_add(st, inbox, kept.id, 0, 0, 0);
	store_message_add(st, inbox, kept.id, 0, 0, 0);
	ck_assert_int_eq(store_mailbox_create(st, "stays", &e), OK);
	ck_assert_int_eq(store_mailbox_create(st, "old", &e), OK);
	store_keyword(st, "first");
	struct letter l = { .content = kept.id };
	store_letter_add(st, &l, NULL, 0);
	letter_before = l.id;
	store_turn(st);

	uint64_t modseq = inbox->modseq;
	uint64_t old_id = store_mailbox_find(st, "old")->id;
	store_message_set_flags(st, inbox, 1, FLAG_SEEN, 0);
	store_message_expunge(st, inbox, 2);
	store_message_add(st, inbox, kept.id, 0, store_keyword(st, "second"), 0);
	ck_assert_int_eq(store_mailbox_delete(st, "old", &e), OK);
	ck_assert_int_eq(store_mailbox_create(st, "new", &e), OK);
	ck_assert_int_eq(store_mailbox_rename(st, "stays", "moved", &e), OK);
	store_mailbox_subscribe(st, store_mailbox_find(st, "Sent"), false);
	store_letter_add(st, &l, NULL, 0);
	store_content_add(st, &lost);
	store_message_add(st, store_mailbox_find(st, "Sent"), lost.id, 0, 0, 0);
	store_meta_set(st, "after", 1);
	store_when_durable(st, hear, "a");
	store_when_durable(st, hear_and_write, "b");
	ck_assert_uint_eq(log_take_warnings(), 0);
	store_turn(st);
	ck_assert_uint_eq(log_take_warnings(), 1);
	expect_heard("a- b- ");
	ck_assert_int_eq(undone, 1);

	inbox = store_mailbox_find(st, "INBOX");
	ck_assert_uint_eq(inbox->n_messages, 2);
	ck_assert_uint_eq(inbox->n_unseen, 2);
	ck_assert_uint_eq(inbox->n_recent, 1);
	ck_assert_uint_eq(store_message_find(inbox, 1)->flags, FLAG_RECENT);
	ck_assert_ptr_nonnull(store_message_find(inbox, 2));
	/* Nobody was told of what these had become. */
	ck_assert_uint_eq(inbox->uidnext, 3);
	ck_assert_uint_eq(inbox->modseq, modseq);
	ck_assert_uint_eq(store_mailbox_find(st, "Sent")->n_messages, 0);
	ck_assert(store_mailbox_find(st, "Sent")->subscribed);
	ck_assert_uint_eq(store_mailbox_find(st, "old")->id, old_id);
	ck_assert_ptr_nonnull(store_mailbox_find(st, "stays"));
	ck_assert_ptr_null(store_mailbox_find(st, "new"));
	ck_assert_ptr_null(store_mailbox_find(st, "moved"));
	ck_assert_str_eq(store_keyword_name(st, 0), "first");
	ck_assert_ptr_null(store_keyword_name(st, 1));
	ck_assert_ptr_null(store_letter_find(st, ctx, letter_before + 1));
	ck_assert_ptr_null(store_content_find(st, ctx, lost.id));
	ck_assert_int_eq(store_meta_get(st, "after", 0), 0);

	/* The next transaction works, and gives out nothing twice. */
	ck_assert(store_waits(st));
	store_letter_add(st, &l, NULL, 0);
	ck_assert_uint_eq(l.id, letter_before + 2);
	ck_assert_uint_eq(store_message_add(st, inbox, kept.id, 0, 0, 0)->uid, 3);
	store_turn(st);
	expect_heard("again+ ");
	unit_reopen();
	inbox = store_mailbox_find(st, "INBOX");
	ck_assert_uint_eq(inbox->n_messages, 3);
	ck_assert_uint_eq(inbox->uidnext, 4);
	ck_assert_uint_eq(log_take_warnings(), 0);
}
END_TEST

START_TEST(poisoned_unlinks)
{
	struct content c = unit_content(PLACE_INBOX, "stays"), lost = { .place = PLACE_INBOX };

	store_turn(st);
	store_content_sweep(st, c.id);
	store_content_add(st, &lost);
	store_turn(st);
	ck_assert_uint_eq(log_take_warnings(), 1);
	ck_assert(unit_there(PLACE_INBOX, c.digest));
	ck_assert_ptr_nonnull(store_content_find(st, ctx, c.id));
	store_meta_set(st, "x", 1);
	store_turn(st);
	ck_assert(unit_there(PLACE_INBOX, c.digest));
	/* Dropped and added again in one transaction. */
	store_content_sweep(st, c.id);
	c = unit_content(PLACE_INBOX, "stays");
	store_turn(st);
	ck_assert(unit_there(PLACE_INBOX, c.digest));
}
END_TEST

/* Durable or not at all, wherever the process dies. */
static const struct { const char *name; bool turn; } crash_cases[] = {
	{ "after the turn",  true },
	{ "before the turn", false },
};

START_TEST(crash)
{
	struct content c = unit_content(PLACE_INBOX, "first");

	store_message_add(st, store_mailbox_find(st, "INBOX"), c.id, 0, 0, 0);
	store_close(&st);
	pid_t pid = fork();
	if (pid == 0) {
		unit_open();
		struct content d = unit_content(PLACE_INBOX, "second");

		for (int i = 0; i < 100; i++)
			store_message_add(st, store_mailbox_find(st, "INBOX"), d.id, 0, 0, i);
		store_message_expunge(st, store_mailbox_find(st, "INBOX"), 1);
		if (crash_cases[_i].turn)
			store_turn(st);
		kill(getpid(), SIGKILL);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	unit_open();
	uint8_t second[32];
	digest_of(bytes_str("second"), second);
	struct mailbox *inbox = store_mailbox_find(st, "INBOX");
	ck_assert_uint_eq(inbox->n_messages, crash_cases[_i].turn ? 100 : 1);
	ck_assert_uint_eq(inbox->uidnext, crash_cases[_i].turn ? 102 : 2);
	ck_assert(unit_there(PLACE_INBOX, c.digest) == !crash_cases[_i].turn);
	ck_assert(unit_there(PLACE_INBOX, second) == crash_cases[_i].turn);
}
END_TEST

/* Killed at some moment of a stream of turns: what was told to be durable is there, and all of each turn or nothing. */
START_TEST(crash_anywhere)
{
	int pipes[2];

	store_close(&st);
	for (int round = 0; round < 10; round++) {
		ck_assert_int_eq(pipe(pipes), 0);
		pid_t pid = fork();
		if (pid == 0) {
			unit_open();
			for (int64_t i = store_meta_get(st, "a", 0) + 1; ; i++) {
				store_meta_set(st, "a", i);
				store_meta_set(st, "b", i);
				store_turn(st);
				if (write(pipes[1], &i, sizeof(i)) != sizeof(i))
					_exit(1);
			}
		}
		close(pipes[1]);
		int64_t last = 0, one;
		for (int i = 0; i < 5 + round; i++)
			ck_assert_int_eq(read(pipes[0], &last, sizeof(last)), sizeof(last));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while (read(pipes[0], &one, sizeof(one)) == sizeof(one))
			last = one;
		close(pipes[0]);
		unit_open();
		ck_assert_int_ge(store_meta_get(st, "a", 0), last);
		ck_assert_int_eq(store_meta_get(st, "a", 0), store_meta_get(st, "b", 0));
		store_close(&st);
	}
	unit_open();
}
END_TEST

START_TEST(second_daemon)
{
	struct err e = { "" };
	char pid[16];

	ck_assert_ptr_null(store_open(unit_dir, &e));
	snprintf(pid, sizeof(pid), " %d:", (int)getpid());
	ck_assert_msg(strstr(e.text, pid) != NULL, "%s", e.text);
	unit_reopen();
}
END_TEST

START_TEST(modes)
{
	struct stat sb;
	static const char *const files[] = { "state.db", "state.db-wal", "lock" };
	static const char *const folders[] = { "spool", "inbox", "outbox" };

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(stat(mem_printf(ctx, "%s/%s", unit_dir, files[i]), &sb), 0);
		ck_assert_uint_eq(sb.st_mode & 0777, 0600);
		ck_assert_int_eq(stat(mem_printf(ctx, "%s/%s", unit_dir, folders[i]), &sb), 0);
		ck_assert_uint_eq(sb.st_mode & 0777, 0700);
	}
}
END_TEST

static void put_db(const void *octets, size_t len)
{
	struct err e;
	char *path = mem_printf(ctx, "%s/state.db", unit_dir);

	ck_assert_int_eq(files_put(path, bytes_of(octets, len), &e), OK);
}

/* Change octets of state.db. */
static void patch_db(long offset, const char *octets, size_t len)
{
	FILE *f = fopen(mem_printf(ctx, "%s/state.db", unit_dir), "r+");

	ck_assert(f != NULL);
	fseek(f, offset, SEEK_SET);
	ck_assert_uint_eq(fwrite(octets, 1, len, f), len);
	fclose(f);
}

static void read_db(long at, char *octets, size_t len)
{
	FILE *f = fopen(mem_printf(ctx, "%s/state.db", unit_dir), "rb");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fseek(f, at, SEEK_SET), 0);
	ck_assert_uint_eq(fread(octets, 1, len, f), len);
	fclose(f);
}

static void expect_refused(const char *words)
{
	struct err e = { "" };

	ck_assert_ptr_null(store_open(unit_dir, &e));
	ck_assert_msg(strstr(e.text, words) != NULL, "%s", e.text);
	ck_assert_ptr_nonnull(strstr(e.text, unit_dir));
}

START_TEST(bad_databases)
{
	char version[4];

	store_close(&st);
	read_db(60, version, 4);
	patch_db(60, "\0\0\0\143", 4);		/* user_version */
	expect_refused("newer p2pmta");
	patch_db(60, version, 4);
	patch_db(68, "abcd", 4);		/* application_id */
	expect_refused("another program");
	patch_db(68, "\xff\xff\xff\xff", 4);
	expect_refused("another program");
	patch_db(68, "p2pm", 4);
	unit_reopen();
	store_close(&st);
	patch_db(100, "garbage garbage garbage", 23);	/* the first page's tree */
	expect_refused("restore it from a backup");
	put_db("this is no database at all, just some text that somebody put here", 60);
	expect_refused("restore it from a backup");
	put_db("", 0);
	unit_open();
}
END_TEST

/* Without state.db every file is without a row: nothing may be swept then. */
START_TEST(lost_database)
{
	uint8_t digest[32];

	unit_file(PLACE_INBOX, "precious", digest);
	struct content c = unit_content(PLACE_INBOX, "precious");
	char *file = store_path(st, ctx, PLACE_INBOX, digest), *db = mem_printf(ctx, "%s/state.db", unit_dir);
	store_close(&st);
	ck_assert_int_eq(rename(db, mem_printf(ctx, "%s.away", db)), 0);
	expect_refused("hold messages");
	expect_refused("hold messages");
	ck_assert_int_eq(access(file, F_OK), 0);
	ck_assert_int_eq(rename(mem_printf(ctx, "%s.away", db), db), 0);
	unit_open();
	ck_assert_ptr_nonnull(store_content_find(st, ctx, c.id));
}
END_TEST

static void touch(const char *name)
{
	int fd = open(mem_printf(ctx, "%s/%s", unit_dir, name), O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static bool is_there(const char *name)
{
	return access(mem_printf(ctx, "%s/%s", unit_dir, name), F_OK) == 0;
}

START_TEST(start_sweep)
{
	struct letter l = { .sealed = true, .has_head = true }, gone;
	uint8_t orphan[32], spool_orphan[32];
	struct content c = unit_content(PLACE_INBOX, "with a row"), s = unit_content(PLACE_SPOOL, "with a row too");

	l.content = s.id;
	unit_file(PLACE_INBOX, "orphan", orphan);
	unit_file(PLACE_SPOOL, "with a row", spool_orphan);
	unit_file(PLACE_OUTBOX, "sealed", l.hash);
	unit_file(PLACE_OUTBOX, "head", l.head_hash);
	store_letter_add(st, &l, NULL, 0);
	gone = (struct letter){ .sealed = true, .done = true, .content = s.id };
	unit_file(PLACE_OUTBOX, "done", gone.hash);
	store_letter_add(st, &gone, NULL, 0);
	touch("tmp.abcdef");
	touch("inbox/tmp.abcdef");
	touch("outbox/tmp.abcdef");
	/* Beside what it was to become. */
	char *beside = mem_printf(ctx, "outbox/%02x/tmp.abcdef", l.hash[0]);

	touch(beside);
	touch("inbox/README");
	touch("outbox/keep");
	unit_reopen();
	ck_assert(unit_there(PLACE_INBOX, c.digest));
	ck_assert(unit_there(PLACE_SPOOL, s.digest));
	ck_assert(unit_there(PLACE_OUTBOX, l.hash));
	ck_assert(unit_there(PLACE_OUTBOX, l.head_hash));
	ck_assert(!unit_there(PLACE_INBOX, orphan));
	ck_assert(!unit_there(PLACE_SPOOL, spool_orphan));
	ck_assert(!unit_there(PLACE_OUTBOX, gone.hash));
	ck_assert(!is_there("tmp.abcdef") && !is_there("inbox/tmp.abcdef") && !is_there("outbox/tmp.abcdef"));
	ck_assert(!is_there(beside));
	ck_assert(is_there("inbox/README") && is_there("outbox/keep"));
	/* Dropped before it is done: the file does not come back into use. */
	store_letter_drop_files(st, &l);
	store_turn(st);
	ck_assert(!unit_there(PLACE_OUTBOX, l.hash) && !unit_there(PLACE_OUTBOX, l.head_hash));
}
END_TEST

START_TEST(many_files)
{
	enum { N = 2000 };
	char text[16];
	struct content c[N];
	int64_t start = clock_mono_ms();

	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "%d", i);
		c[i] = (struct content){ .place = PLACE_INBOX };
		digest_of(bytes_str(text), c[i].digest);
		char *path = store_path(st, ctx, PLACE_INBOX, c[i].digest);
		*strrchr(path, '/') = '\0';
		mkdir(path, 0700);
		path[strlen(path)] = '/';
		close(open(path, O_CREAT | O_WRONLY, 0600));
		store_content_add(st, &c[i]);
	}
	unit_reopen();
	for (int i = 0; i < N; i++)
		ck_assert(unit_there(PLACE_INBOX, c[i].digest));
	/* More than one turn unlinks at once: the rest follows. */
	for (int i = 0; i < N; i++)
		store_content_sweep(st, c[i].id);
	store_turn(st);
	ck_assert(store_waits(st));
	for (int i = 0; store_waits(st) && i < N; i++)
		store_turn(st);
	for (int i = 0; i < N; i++)
		ck_assert(!unit_there(PLACE_INBOX, c[i].digest));
	ck_assert_int_lt(clock_mono_ms() - start, 20000);
}
END_TEST

STORE_SUITE("store_turn") {
	UNIT(meta);
	UNIT(waiters);
	UNIT(pending);
	UNIT(poisoned_turn);
	UNIT(poisoned_unlinks);
	UNIT_LOOP(crash, crash_cases);
	UNIT(crash_anywhere);
	UNIT(second_daemon);
	UNIT(modes);
	UNIT(bad_databases);
	UNIT(lost_database);
	UNIT(start_sweep);
	UNIT(many_files);
} UNIT_END
