/* What is wrong in state.db is found, and mended without another UID. */
#include "lib/store/check.h"
#include "store_back.h"

static unsigned n_bad, n_repaired;
static char told[4096];

/* What a daemon does meanwhile, at the first fault. */
static bool expunges;

static void hear(void *arg, const struct store_fault *f)
{
	(void)arg;
	n_bad += !f->repaired;
	n_repaired += f->repaired;
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s\n", f->text);
	ck_assert_str_ne(f->advice, "");
	if (expunges) {
		expunges = false;
		store_message_expunge(st, store_mailbox_find(st, "INBOX"), 2);
		while (store_waits(st))
			store_turn(st);
	}
}

static void look(bool repair)
{
	struct err e = { "" };

	n_bad = n_repaired = 0;
	told[0] = '\0';
	ck_assert_msg(store_check(unit_dir, repair, hear, NULL, &e) == OK, "%s", e.text);
}

static void fill(void)
{
	struct mailbox *box = store_mailbox_find(st, "INBOX");

	for (int i = 0; i < 5; i++) {
		struct content c = unit_content(PLACE_INBOX, mem_printf(ctx, "text %d", i));
		store_message_add(st, box, c.id, 0, 0, 0);
	}
	store_message_set_flags(st, box, 3, FLAG_SEEN, 1);
	store_turn(st);
}

static const struct { const char *name, *sql, *text; } fault_cases[] = {
	{ "content", "DELETE FROM content WHERE id = 2", "1 messages without a content" },
	{ "uidnext", "UPDATE mailbox SET uidnext = 4, modseq = 2 WHERE id = 1", "1 mailboxes whose next UID" },
	{ "record", "UPDATE journal SET uids = x'80'", "1 records of flags" },
	{ "page", "INSERT INTO flags VALUES(1, 0, x'ff')", "1 pages of flags" },
	{ "unused", "INSERT INTO content(id, digest, size, place) VALUES(99, x'00', 1, 0); UPDATE meta SET value = 99 WHERE name ="
	  " 'id.content'", "1 contents that nothing" },
	{ "skeleton", "INSERT INTO skeleton(id, parts) VALUES(99, '')", "1 parts of contents" },
	{ "sealed", "INSERT INTO sealed VALUES(x'00', x'00')", "1 sealed messages that no letter" },
	{ "expunged", "INSERT INTO expunged VALUES(1, 99, 5, 5)", "1 mailboxes whose next UID" },
	{ "event", "INSERT INTO event VALUES(99, 1, 1, 'x')", "the counter of event ids" },
	{ "posting", "INSERT INTO posting VALUES(99, 'a', x'00', 1)", "the counter of posting ids" },
	{ "uidvalidity", "UPDATE meta SET value = 1 WHERE name = 'uidvalidity'", "the counter of UIDVALIDITY" },
	{ "counter", "UPDATE meta SET value = 2 WHERE name = 'id.message'", "the counter of message ids" },
};

START_TEST(faults)
{
	fill();
	store_close(&st);
	look(false);
	ck_assert_msg(n_bad == 0, "%s", told);
	unit_run_sql(fault_cases[_i].sql);
	look(false);
	ck_assert_msg(n_bad > 0 && strstr(told, fault_cases[_i].text), "%s: %s", fault_cases[_i].name, told);
	look(true);
	ck_assert_msg(n_bad == 0 && n_repaired > 0, "%s", told);
	look(false);
	ck_assert_msg(n_bad == 0, "%s", told);
	unit_open();
	struct mailbox *box = store_mailbox_find(st, "INBOX");
	const bool gone = strcmp(fault_cases[_i].name, "content") == 0;

	ck_assert_uint_eq(box->n_messages, gone ? 4 : 5);
	ck_assert_uint_eq(box->messages[0].uid, 1);
	ck_assert_uint_eq(box->messages[1].uid, gone ? 3 : 2);
	ck_assert_uint_eq(box->uidnext, 6);
}
END_TEST

static const struct { const char *name, *sql; } dropped_cases[] = {
	{ "record", "UPDATE journal SET uids = x'80' WHERE modseq = 7" },
	{ "page", "INSERT INTO flags VALUES(1, 0, x'ff')" },
};

/* Whoever asks what changed hears of every message that may have; what could be read is kept. */
START_TEST(dropped_is_told)
{
	fill();
	store_message_set_flags(st, store_mailbox_find(st, "INBOX"), 4, FLAG_FLAGGED, 2);
	uint64_t modseq = store_mailbox_find(st, "INBOX")->modseq;

	store_close(&st);
	ck_assert_uint_eq(modseq, 8);
	unit_run_sql(dropped_cases[_i].sql);
	look(true);
	ck_assert_msg(n_repaired == 1, "%s", told);
	unit_open();
	struct mailbox *box = store_mailbox_find(st, "INBOX");

	ck_assert_uint_eq(box->modseq, modseq + 1);
	for (size_t i = 0; i < box->n_messages; i++)
		ck_assert_uint_eq(box->messages[i].modseq, modseq + 1);
	ck_assert_uint_eq(store_message_find(box, 4)->flags & ~(uint32_t)FLAG_RECENT, FLAG_FLAGGED);
	ck_assert_uint_eq(store_message_find(box, 4)->keywords, 2);
	/* And from there it goes on. */
	store_message_set_flags(st, box, 5, FLAG_SEEN, 0);
	store_message_add(st, box, box->messages[0].content, 0, 0, 0);
	store_turn(st);
	unit_reopen();
	box = store_mailbox_find(st, "INBOX");
	ck_assert_uint_eq(box->messages[4].modseq, modseq + 2);
	ck_assert_uint_eq(box->messages[5].modseq, modseq + 3);
}
END_TEST

/* A mod-sequence that is behind is raised before it is used. */
START_TEST(expunged_is_told)
{
	size_t n;

	fill();
	uint64_t modseq = store_mailbox_find(st, "INBOX")->modseq;

	store_close(&st);
	unit_run_sql("DELETE FROM content WHERE id = 2; UPDATE mailbox SET modseq = 2 WHERE id = 1");
	look(true);
	unit_open();
	struct uid_range *gone = store_expunged_since(st, ctx, store_mailbox_find(st, "INBOX"), modseq, &n);

	ck_assert_uint_eq(n, 1);
	ck_assert(gone[0].lo == 2 && gone[0].hi == 2);
}
END_TEST

START_TEST(gives_no_space_back)
{
	store_close(&st);
	unit_run_sql("PRAGMA auto_vacuum = 0; VACUUM");
	look(true);
	ck_assert_uint_eq(n_bad, 1);
	ck_assert_ptr_nonnull(strstr(told, "auto_vacuum"));
	unit_run_sql("PRAGMA auto_vacuum = 2; VACUUM");
	look(true);
	ck_assert_uint_eq(n_bad, 0);
}
END_TEST

static void set_index(const char *condition)
{
	unit_run_sql(mem_printf(ctx, "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql ="
	    " 'CREATE INDEX message_content ON message(content)%s' WHERE name = 'message_content'", condition));
}

/* An index that lacks a row. */
START_TEST(bad_index)
{
	fill();
	store_close(&st);
	set_index(" WHERE content <> 2");
	unit_run_sql("REINDEX message_content");
	set_index("");
	look(false);
	ck_assert_msg(n_bad > 0 && strstr(told, "message_content"), "%s", told);
	look(true);
	ck_assert_msg(n_bad == 0 && n_repaired == 1, "%s", told);
	look(false);
	ck_assert_uint_eq(n_bad, 0);
	unit_open();
	size_t n;

	store_message_of_content(st, ctx, 2, &n);
	ck_assert_uint_eq(n, 1);
}
END_TEST

START_TEST(missing_file)
{
	fill();
	uint8_t digest[32];

	digest_of(bytes_str("text 1"), digest);
	ck_assert_int_eq(unlink(store_path(st, ctx, PLACE_INBOX, digest)), 0);
	look(false);
	ck_assert_uint_eq(n_bad, 1);
	ck_assert_ptr_nonnull(strstr(told, "is missing"));
}
END_TEST

/* One that went with its row while it was looked for. */
START_TEST(file_goes_meanwhile)
{
	uint8_t digest[32];

	fill();
	unit_run_sql("INSERT INTO skeleton(id, parts) VALUES(99, '')");
	expunges = true;
	look(false);
	digest_of(bytes_str("text 1"), digest);
	ck_assert(!unit_there(PLACE_INBOX, digest));
	ck_assert_msg(n_bad == 1, "%s", told);
}
END_TEST

START_TEST(in_use)
{
	struct err e;

	look(false);
	ck_assert_int_eq(store_check(unit_dir, true, hear, NULL, &e), REJECT);
	ck_assert_ptr_nonnull(strstr(e.text, "stop it first"));
}
END_TEST

STORE_SUITE("store_check") {
	UNIT_LOOP(faults, fault_cases);
	UNIT_LOOP(dropped_is_told, dropped_cases);
	UNIT(expunged_is_told);
	UNIT(gives_no_space_back);
	UNIT(bad_index);
	UNIT(missing_file);
	UNIT(file_goes_meanwhile);
	UNIT(in_use);
} UNIT_END
