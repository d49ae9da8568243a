/* What is remembered of what went: UIDs, exactly for as long as it fits, and subscriptions. */
#include "lib/base/log.h"
#include "store_back.h"

static struct mailbox *filled(int n)
{
	struct content c = unit_content(PLACE_INBOX, "text");
	struct mailbox *box = store_mailbox_find(st, "INBOX");

	for (int i = 0; i < n; i++)
		store_message_add(st, box, c.id, 0, 0, i);
	return box;
}

static const char *since(struct mailbox *box, uint64_t modseq)
{
	size_t n;
	struct uid_range *r = store_expunged_since(st, ctx, box, modseq, &n);
	struct buf *b = buf_new(ctx, MIB(1));

	for (size_t i = 0; i < n; i++)
		buf_addf(b, "%u-%u ", (unsigned)r[i].lo, (unsigned)r[i].hi);
	return mem_strdup(ctx, b->len > 0 ? b->data : "");
}

static void expunge(struct mailbox *box, uint32_t from, uint32_t to)
{
	for (uint32_t uid = from; uid <= to; uid++)
		store_message_expunge(st, box, uid);
}

START_TEST(runs)
{
	struct mailbox *box = filled(12);
	uint64_t first = box->modseq;

	ck_assert_str_eq(since(box, 0), "");
	expunge(box, 3, 5);
	uint64_t second = box->modseq;
	store_message_expunge(st, box, 8);
	store_message_expunge(st, box, 7);
	for (int i = 0; i < 2; i++) {
		ck_assert_str_eq(since(box, 0), "3-5 7-8 ");
		ck_assert_str_eq(since(box, first), "3-5 7-8 ");
		ck_assert_str_eq(since(box, second), "7-8 ");
		ck_assert_str_eq(since(box, box->modseq), "");
		ck_assert_str_eq(since(box, UINT64_MAX), "");
		unit_reopen();
		box = store_mailbox_find(st, "INBOX");
	}
	expunge(box, 6, 6);
	ck_assert_str_eq(since(box, second), "6-8 ");
	expunge(box, 12, 12);
	ck_assert_str_eq(since(box, 0), "3-8 12-12 ");
}
END_TEST

START_TEST(renamed_and_deleted)
{
	struct err e;
	struct mailbox *box = filled(3);

	store_message_expunge(st, box, 1);
	ck_assert_int_eq(store_mailbox_rename(st, "INBOX", "old", &e), OK);
	ck_assert_str_eq(since(store_mailbox_find(st, "INBOX"), 0), "1-3 ");
	expunge(store_mailbox_find(st, "old"), 2, 2);
	ck_assert_str_eq(since(store_mailbox_find(st, "old"), 0), "2-2 ");
	ck_assert_int_eq(store_mailbox_delete(st, "old", &e), OK);
	ck_assert_int_eq(store_mailbox_create(st, "old", &e), OK);
	ck_assert_str_eq(since(store_mailbox_find(st, "old"), 0), "");
	unit_reopen();
	ck_assert_str_eq(since(store_mailbox_find(st, "old"), 0), "");
	ck_assert_str_eq(since(store_mailbox_find(st, "INBOX"), 0), "1-3 ");
}
END_TEST

START_TEST(subscriptions)
{
	struct err e;
	size_t n;

	ck_assert_int_eq(store_mailbox_create(st, "a/b", &e), OK);
	store_mailbox_subscribe(st, store_mailbox_find(st, "a/b"), true);
	ck_assert_int_eq(store_mailbox_delete(st, "a/b", &e), OK);
	ck_assert_int_eq(store_mailbox_delete(st, "a", &e), OK);
	unit_reopen();
	const char **names = store_subscription_all(st, ctx, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(names[0], "a/b");
	ck_assert_int_eq(store_mailbox_create(st, "a/b", &e), OK);
	ck_assert(store_mailbox_find(st, "a/b")->subscribed);
	ck_assert(!store_mailbox_find(st, "a")->subscribed);
	ck_assert(!store_subscription_drop(st, "a/b"));
	store_subscription_all(st, ctx, &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

/* What was not written did not happen. */
START_TEST(undone)
{
	struct mailbox *box = filled(6);

	expunge(box, 1, 1);
	store_turn(st);
	uint64_t before = box->modseq;
	expunge(box, 3, 3);
	expunge(box, 5, 5);
	store_message_add(st, box, 999, 0, 0, 0);
	store_turn(st);
	ck_assert_uint_eq(log_take_warnings(), 1);
	box = store_mailbox_find(st, "INBOX");
	ck_assert_str_eq(since(box, before), "");
	expunge(box, 5, 5);
	store_turn(st);
	ck_assert_str_eq(since(box, before), "5-5 ");
	ck_assert_str_eq(since(box, 0), "1-1 5-5 ");
}
END_TEST

/* Every other message goes: as many runs. Older ones are told with more than is asked for, never with what is there. */
START_TEST(bounded)
{
	struct mailbox *box = filled(9000);
	uint64_t early = 0, late = 0;

	for (uint32_t uid = 2; uid <= 9000; uid += 2) {
		store_message_expunge(st, box, uid);
		if (uid == 100)
			early = box->modseq;
		if (uid == 8990)
			late = box->modseq;
	}
	unit_reopen();
	box = store_mailbox_find(st, "INBOX");
	ck_assert_str_eq(since(box, late), "8992-8992 8994-8994 8996-8996 8998-8998 9000-9000 ");
	size_t n;
	struct uid_range *all = store_expunged_since(st, ctx, box, early, &n);

	ck_assert_uint_eq(n, 4500);
	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(all[i].lo, 2 * (i + 1));
	store_close(&st);
	sqlite3 *db;
	sqlite3_stmt *q;

	ck_assert_int_eq(sqlite3_open(mem_printf(ctx, "%s/state.db", unit_dir), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT count(*) FROM expunged", -1, &q, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
	ck_assert_int_le(sqlite3_column_int(q, 0), 2048);
	sqlite3_finalize(q);
	sqlite3_close(db);
	unit_open();
}
END_TEST

/* A state folder from before there was this table. */
START_TEST(migrated)
{
	struct mailbox *box = filled(5);

	store_message_expunge(st, box, 2);
	store_message_expunge(st, box, 5);
	uint64_t before = box->modseq;
	store_close(&st);
	unit_back_to(3);
	unit_open();
	box = store_mailbox_find(st, "INBOX");
	ck_assert_str_eq(since(box, 1), "2-2 5-5 ");
	store_message_expunge(st, box, 3);
	ck_assert_str_eq(since(box, before), "3-3 ");
	ck_assert_str_eq(since(box, before - 1), "2-3 5-5 ");
}
END_TEST

STORE_SUITE("store_expunged") {
	UNIT(runs);
	UNIT(renamed_and_deleted);
	UNIT(subscriptions);
	UNIT(undone);
	UNIT(bounded);
	UNIT(migrated);
} UNIT_END
