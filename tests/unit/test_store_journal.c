/* Flags as records and pages: what is read back is what was in RAM, after every way a folding can end. */
#include "store_back.h"

enum { N = 9000, SOME_ROUNDS = 60 };

static const unsigned seeds[] = { 1, 2, 3, 4 };

static struct mailbox *inbox(void)
{
	return store_mailbox_find(st, "INBOX");
}

static int64_t count_rows(const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *q;
	int64_t n = -1;

	ck_assert_int_eq(sqlite3_open(mem_printf(ctx, "%s/state.db", unit_dir), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	if (sqlite3_step(q) == SQLITE_ROW)
		n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return n;
}

static void fill(unsigned n)
{
	struct content c = unit_content(PLACE_NONE, "m");

	for (unsigned i = 0; i < n; i++)
		store_message_add(st, inbox(), c.id, i % 3 ? 0 : FLAG_SEEN, i % 5, 0);
	store_turn(st);
}

/* All messages from index on, each step-th. */
static void change(size_t from, size_t to, size_t step, const struct flag_change *what)
{
	struct changing *c = store_change_begin(st, inbox(), what);

	for (size_t i = from; i < to && i < inbox()->n_messages; i += step)
		store_change_one(st, c, i);
	store_change_end(st, &c);
}

static struct message *remember(size_t *n_out)
{
	struct message *all = mem_array(ctx, struct message, inbox()->n_messages + 1);

	*n_out = inbox()->n_messages;
	for (size_t i = 0; i < *n_out; i++) {
		all[i] = inbox()->messages[i];
		all[i].flags &= ~(uint32_t)FLAG_RECENT;
	}
	return all;
}

static void compare(const struct message *all, size_t n)
{
	const struct mailbox *box = inbox();
	size_t unseen = 0;

	ck_assert_uint_eq(box->n_messages, n);
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq(box->messages[i].uid, all[i].uid);
		ck_assert_uint_eq(box->messages[i].id, all[i].id);
		ck_assert_msg((box->messages[i].flags & ~(uint32_t)FLAG_RECENT) == all[i].flags &&
		    box->messages[i].keywords == all[i].keywords && box->messages[i].modseq == all[i].modseq,
		    "uid %u", all[i].uid);
		unseen += !(all[i].flags & FLAG_SEEN);
	}
	ck_assert_uint_eq(box->n_unseen, unseen);
}

static void reopen_and_compare(void)
{
	size_t n;
	struct message *all = remember(&n);

	unit_reopen();
	compare(all, n);
	talloc_free(all);
}

START_TEST(one_record)
{
	fill(N);
	uint64_t modseq = inbox()->modseq;

	change(0, N, 1, &(struct flag_change){ .set = FLAG_FLAGGED, .set_keywords = 2 });
	ck_assert_uint_eq(inbox()->modseq, modseq + 1);
	ck_assert_uint_eq(inbox()->messages[0].modseq, modseq + 1);
	store_turn(st);
	ck_assert_int_eq(count_rows("SELECT count(*) FROM journal"), 1);
	ck_assert_int_eq(count_rows("SELECT length(uids) FROM journal"), 3);
	/* What makes no difference is no record, and what makes one only for some is of those. */
	change(0, N, 1, &(struct flag_change){ .set = FLAG_FLAGGED });
	ck_assert_uint_eq(inbox()->modseq, modseq + 1);
	change(0, N, 1, &(struct flag_change){ .set = FLAG_SEEN });
	ck_assert_uint_eq(inbox()->messages[0].modseq, modseq + 1);
	ck_assert_uint_eq(inbox()->messages[1].modseq, modseq + 2);
	store_turn(st);
	ck_assert_int_eq(count_rows("SELECT count(*) FROM journal"), 2);
	reopen_and_compare();
	change(1, N, 7, &(struct flag_change){ .clear = ~UINT32_C(0), .set = FLAG_DRAFT, .clear_keywords = 3 });
	store_message_expunge(st, inbox(), 4000);
	change(0, N, 1, &(struct flag_change){ .clear = FLAG_SEEN });
	reopen_and_compare();
}
END_TEST

/* Any changes, with foldings in between, ended or not, and messages that come and go. */
START_TEST(random_changes)
{
	unsigned seed = seeds[_i];

	fill(N);
	for (unsigned round = 0; round < SOME_ROUNDS; round++) {
		const struct flag_change what = {
			.clear = (uint32_t)rand_r(&seed) & 31, .set = (uint32_t)rand_r(&seed) & 31,
			.clear_keywords = (uint64_t)rand_r(&seed), .set_keywords = (uint64_t)rand_r(&seed) << (seed % 33),
		};
		size_t from = (size_t)rand_r(&seed) % (inbox()->n_messages + 1), to = from + (size_t)rand_r(&seed) % N;

		change(from, to, 1 + (size_t)rand_r(&seed) % 4, &what);
		if (round % 3 == 0 && from < inbox()->n_messages)
			store_message_expunge(st, inbox(), inbox()->messages[from].uid);
		if (round % 7 == 0)
			store_message_add(st, inbox(), inbox()->messages[0].content, FLAG_DRAFT, 9, 0);
		if (round % 5 != 0)
			store_turn(st);
		if (round % 11 == 0)
			reopen_and_compare();
	}
	for (unsigned i = 0; store_waits(st); i++) {
		ck_assert_uint_lt(i, 100);
		store_turn(st);
	}
	ck_assert_int_gt(count_rows("SELECT count(*) FROM flags"), 0);
	ck_assert_int_lt(count_rows("SELECT count(*) FROM journal"), SOME_ROUNDS - 10);
	reopen_and_compare();
}
END_TEST

/* Records that were folded already, or only in part, are read again without harm. */
START_TEST(folded_in_part)
{
	fill(N);
	for (unsigned i = 0; i < 6; i++) {
		change(i, N, 2, &(struct flag_change){ .set = 1u << (i % 5), .clear = 1u << ((i + 1) % 5), .set_keywords = i });
		store_turn(st);
	}
	size_t n;
	struct message *all = remember(&n);

	store_close(&st);
	unit_run_sql("CREATE TABLE kept AS SELECT * FROM journal");
	unit_open();
	for (unsigned i = 0; i < 20 && count_rows("SELECT count(*) FROM journal") > 1; i++) {
		change(0, 1, 1, &(struct flag_change){ .set_keywords = 128u << i });
		change(1, N, 1, &(struct flag_change){ .set_keywords = UINT64_C(1) << 40 });
		change(1, N, 1, &(struct flag_change){ .clear_keywords = UINT64_C(1) << 40 });
		while (store_waits(st))
			store_turn(st);
	}
	talloc_free(all);
	all = remember(&n);
	store_close(&st);
	unit_run_sql("INSERT OR IGNORE INTO journal SELECT * FROM kept");
	unit_open();
	compare(all, n);
}
END_TEST

enum { SPARSE = 200 };

/* Each message in a page of its own, more of them than one turn looks at; then the last one changes until that is folded. */
static void change_the_last_of_many_pages(void)
{
	fill(SPARSE);
	store_close(&st);
	unit_run_sql("UPDATE message SET uid = uid * 4096; UPDATE mailbox SET uidnext = 201 * 4096 WHERE id = 1");
	unit_open();
	for (unsigned i = 0; i < 1200; i++)
		change(SPARSE - 1, SPARSE, 1, &(struct flag_change){ .set_keywords = i % 2, .clear_keywords = 1 });
	store_turn(st);
	ck_assert(store_waits(st));
	ck_assert_int_ge(count_rows("SELECT count(*) FROM journal"), 1200 - 1);
}

static void turn_until_idle(void)
{
	for (unsigned i = 0; store_waits(st); i++) {
		ck_assert_uint_lt(i, 10);
		store_turn(st);
	}
}

/* A turn that only looks at pages writes nothing. */
START_TEST(folded_sparse)
{
	change_the_last_of_many_pages();
	turn_until_idle();
	ck_assert_uint_eq(log_take_warnings(), 0);
	ck_assert_int_lt(count_rows("SELECT count(*) FROM journal"), 1200);
	ck_assert_int_eq(count_rows("SELECT count(*) FROM flags"), 1);
	reopen_and_compare();
}
END_TEST

/* What could not be folded is tried again with the next change. */
START_TEST(folded_after_failure)
{
	change_the_last_of_many_pages();
	unit_run_sql("CREATE TRIGGER full BEFORE INSERT ON flags BEGIN SELECT raise(ABORT, 'no room'); END");
	turn_until_idle();
	ck_assert_uint_eq(log_take_warnings(), 1);
	ck_assert_int_eq(count_rows("SELECT count(*) FROM flags"), 0);
	unit_run_sql("DROP TRIGGER full");
	change(SPARSE - 1, SPARSE, 1, &(struct flag_change){ .set = FLAG_DRAFT });
	turn_until_idle();
	ck_assert_int_eq(count_rows("SELECT count(*) FROM flags"), 1);
	ck_assert_int_eq(count_rows("SELECT count(*) FROM journal"), 0);
	reopen_and_compare();
}
END_TEST

/* A fold that a restart cut off, or that the daemon never came to, begins with the next start. */
START_TEST(folded_after_start)
{
	fill(N);
	for (unsigned i = 0; i < 3500; i++)
		change(i, i + 1, 1, &(struct flag_change){ .set = FLAG_FLAGGED, .set_keywords = 1u << i % 20 });
	ck_assert(store_waits(st));
	reopen_and_compare();
	ck_assert_int_eq(count_rows("SELECT count(*) FROM journal"), 3500);
	turn_until_idle();
	ck_assert_int_eq(count_rows("SELECT count(*) FROM journal"), 0);
	ck_assert_int_eq(count_rows("SELECT count(*) FROM flags"), 1);
	reopen_and_compare();
	ck_assert(!store_waits(st));
}
END_TEST

/* What was little beside a large mailbox is much beside what is left of it, and nothing is left to say of an empty one. */
START_TEST(folded_after_expunge)
{
	fill(N);
	for (unsigned i = 0; i < 1500; i++)
		change(i, i + 1, 1, &(struct flag_change){ .set = FLAG_FLAGGED });
	turn_until_idle();
	ck_assert_int_eq(count_rows("SELECT count(*) FROM journal"), 1500);
	while (inbox()->n_messages > 1000)
		store_message_expunge(st, inbox(), inbox()->messages[1000].uid);
	turn_until_idle();
	ck_assert_int_eq(count_rows("SELECT count(*) FROM journal"), 0);
	reopen_and_compare();
	change(0, 1, 1, &(struct flag_change){ .clear = FLAG_FLAGGED });
	turn_until_idle();
	ck_assert_int_eq(count_rows("SELECT count(*) FROM journal"), 1);
	while (inbox()->n_messages > 0)
		store_message_expunge(st, inbox(), inbox()->messages[0].uid);
	turn_until_idle();
	ck_assert_int_eq(count_rows("SELECT count(*) FROM journal"), 0);
	ck_assert_int_eq(count_rows("SELECT count(*) FROM flags"), 0);
}
END_TEST

START_TEST(emptied_and_renamed)
{
	struct err e;
	size_t n;

	fill(N);
	change(0, N, 2, &(struct flag_change){ .set = FLAG_ANSWERED, .set_keywords = 6 });
	store_turn(st);
	struct message *all = remember(&n);

	ck_assert_int_eq(store_mailbox_rename(st, "INBOX", "Old", &e), OK);
	store_turn(st);
	ck_assert_uint_eq(inbox()->n_messages, 0);
	ck_assert_int_eq(count_rows("SELECT count(*) FROM journal"), 0);
	unit_reopen();
	struct mailbox *old = store_mailbox_find(st, "Old");

	ck_assert_uint_eq(old->n_messages, n);
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq(old->messages[i].flags, all[i].flags);
		ck_assert_uint_eq(old->messages[i].keywords, all[i].keywords);
		ck_assert_uint_eq(old->messages[i].uid, all[i].uid);
		ck_assert_uint_eq(old->messages[i].modseq, old->modseq);
	}
	/* From both ends to the middle. */
	while (old->n_messages > 0)
		store_message_expunge(st, old, old->messages[old->n_messages % 2 ? 0 : old->n_messages - 1].uid);
	store_turn(st);
	ck_assert_int_eq(count_rows("SELECT count(*) FROM flags"), 0);
	store_message_add(st, old, unit_content(PLACE_NONE, "n").id, 0, 0, 0);
	ck_assert_uint_eq(old->messages[0].uid, N + 1);
	store_message_set_flags(st, old, N + 1, FLAG_SEEN, 0);
	ck_assert_int_eq(store_mailbox_delete(st, "Old", &e), OK);
	unit_reopen();
	ck_assert_int_eq(count_rows("SELECT count(*) FROM journal"), 0);
}
END_TEST

START_TEST(broken)
{
	fill(3);
	change(0, 3, 1, &(struct flag_change){ .set = FLAG_FLAGGED });
	store_close(&st);
	unit_run_sql("INSERT INTO journal SELECT mailbox, modseq + 1, 0, 16, 0, 0, x'8080' FROM journal;"
	        "INSERT INTO journal SELECT mailbox, 0, 31, 0, 0, 0, uids FROM journal ORDER BY modseq LIMIT 1;"
	        "INSERT INTO journal SELECT mailbox, 1 << 48, 31, 0, 0, 0, uids FROM journal WHERE modseq = 0;"
	        "INSERT INTO flags SELECT mailbox, 0, x'ffffff' FROM journal LIMIT 1;"
	        "INSERT INTO flags SELECT mailbox, 1, x'0100008080808080808001' FROM journal LIMIT 1");
	unit_open();
	ck_assert_uint_eq(log_take_warnings(), 5);
	for (size_t i = 0; i < 3; i++)
		ck_assert(inbox()->messages[i].flags & FLAG_FLAGGED);
}
END_TEST

/* What was expunged is given back: rows, and in the end pages of the file. */
static void fill_and_expunge(void)
{
	char *text = mem_array(ctx, char, 4000);

	memset(text, 'x', 3999);
	text[3999] = '\0';
	for (unsigned i = 0; i < 2000; i++) {
		struct content c = { .place = PLACE_NONE, .size = 1, .envelope = text };

		store_content_add(st, &c);
		store_message_add(st, inbox(), c.id, 0, 0, 0);
	}
	store_turn(st);
	while (inbox()->n_messages > 100)
		store_message_expunge(st, inbox(), inbox()->messages[inbox()->n_messages / 2].uid);
	for (unsigned i = 0; store_waits(st); i++) {
		ck_assert_uint_lt(i, 200);
		store_turn(st);
	}
	ck_assert_int_eq(count_rows("SELECT count(*) FROM content"), 100);
}

START_TEST(space)
{
	fill_and_expunge();
	ck_assert_int_lt(count_rows("PRAGMA page_count"), 600);
	reopen_and_compare();
}
END_TEST

/* Rows of messages that share a content are worth something, too, and so are records that were folded. */
START_TEST(space_of_copies)
{
	fill(4 * N);
	int64_t pages = count_rows("PRAGMA page_count");

	ck_assert_int_gt(pages, 400);
	while (inbox()->n_messages > 10)
		store_message_expunge(st, inbox(), inbox()->messages[inbox()->n_messages - 1].uid);
	for (unsigned i = 0; store_waits(st); i++) {
		ck_assert_uint_lt(i, 200);
		store_turn(st);
	}
	ck_assert_int_lt(count_rows("PRAGMA page_count"), pages * 3 / 4);
	reopen_and_compare();
}
END_TEST

/* In a file that cannot give pages back nobody waits for it. */
START_TEST(space_of_another_mode)
{
	store_close(&st);
	unit_run_sql("PRAGMA auto_vacuum = 0; VACUUM");
	unit_open();
	fill_and_expunge();
	ck_assert_int_gt(count_rows("PRAGMA page_count"), 600);
}
END_TEST

/* A state folder of a version that wrote flags into the row of each message. */
START_TEST(migrated)
{
	fill(100);
	size_t n;
	struct message *all = remember(&n);

	store_close(&st);
	unit_back_to(3);
	unit_run_sql("UPDATE message SET flags = 6, keywords = 5, modseq = 60 WHERE uid = 50");
	all[49].flags = 6;
	all[49].keywords = 5;
	all[49].modseq = 60;
	unit_open();
	compare(all, n);
	change(0, 100, 1, &(struct flag_change){ .set = FLAG_FLAGGED });
	reopen_and_compare();
}
END_TEST

STORE_SUITE("store_journal") {
	UNIT(one_record);
	UNIT_LOOP(random_changes, seeds);
	UNIT(folded_in_part);
	UNIT(folded_sparse);
	UNIT(folded_after_failure);
	UNIT(folded_after_start);
	UNIT(folded_after_expunge);
	UNIT(emptied_and_renamed);
	UNIT(broken);
	UNIT(space);
	UNIT(space_of_copies);
	UNIT(space_of_another_mode);
	UNIT(migrated);
} UNIT_END
