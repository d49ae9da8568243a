/* Mailboxes, messages, keywords and watchers. */
#include "store.h"

START_TEST(standard_mailboxes)
{
	size_t n;
	struct mailbox **all = store_mailbox_all(st, ctx, &n);
	static const char *const want[] = { "Drafts", "INBOX", "Junk", "Outbox", "Requests", "Sent", "Trash" };

	ck_assert_uint_eq(n, N_STANDARD);
	for (size_t i = 0; i < n; i++) {
		ck_assert_str_eq(all[i]->name, want[i]);
		ck_assert(all[i]->subscribed);
		for (size_t j = 0; j < i; j++)
			ck_assert_uint_ne(all[i]->uidvalidity, all[j]->uidvalidity);
	}
	ck_assert_str_eq(store_mailbox_standard(st, BOX_SENT)->special, "\\Sent");
	ck_assert_ptr_null(store_mailbox_standard(st, BOX_OUTBOX)->special);
	ck_assert_ptr_eq(store_mailbox_find(st, "iNbOx"), store_mailbox_standard(st, BOX_INBOX));
	ck_assert_ptr_null(store_mailbox_find(st, "sent"));
}
END_TEST

START_TEST(special_use_survives)
{
	struct err e;

	ck_assert_int_eq(store_mailbox_create(st, "Mine", &e), OK);
	store_mailbox_set_special(st, store_mailbox_find(st, "Mine"), "\\Drafts \\Sent");
	ck_assert_str_eq(store_mailbox_find(st, "Mine")->special, "\\Drafts \\Sent");
	unit_reopen();
	ck_assert_str_eq(store_mailbox_find(st, "Mine")->special, "\\Drafts \\Sent");
}
END_TEST

START_TEST(times_far_away)
{
	struct mailbox *box = store_mailbox_find(st, "INBOX");
	struct content c = unit_content(PLACE_INBOX, "hello");
	static const struct { int64_t ms, want; } cases[] = {
		{ INT64_C(253402300799000), MESSAGE_MS_MAX }, { INT64_MAX, MESSAGE_MS_MAX }, { INT64_MIN, -MESSAGE_MS_MAX },
		{ MESSAGE_MS_MAX, MESSAGE_MS_MAX }, { -1, -1 },
	};

	for (int i = 0; i < N_ROWS(cases); i++)
		ck_assert_int_eq(store_message_add(st, box, c.id, 0, 0, cases[i].ms)->internal_ms, cases[i].want);
	store_turn(st);
	unit_reopen();
	box = store_mailbox_find(st, "INBOX");
	for (int i = 0; i < N_ROWS(cases); i++)
		ck_assert_int_eq(box->messages[i].internal_ms, cases[i].want);
}
END_TEST

START_TEST(messages_survive)
{
	struct mailbox *box = store_mailbox_find(st, "INBOX");
	uint32_t validity = box->uidvalidity;
	struct content c = unit_content(PLACE_INBOX, "hello");
	uint64_t bit = store_keyword(st, "$Remote");
	const struct message *m = store_message_add(st, box, c.id, FLAG_SEEN | FLAG_RECENT, bit, 123);
	uint64_t id = m->id;

	ck_assert_uint_eq(m->uid, 1);
	ck_assert_uint_eq(m->size, 5);
	ck_assert_uint_eq(m->flags, FLAG_SEEN | FLAG_RECENT);
	store_message_add(st, box, c.id, 0, 0, 124);
	ck_assert_uint_eq(box->n_messages, 2);
	ck_assert_uint_eq(box->n_unseen, 1);
	ck_assert_uint_eq(box->n_recent, 2);
	unit_reopen();

	box = store_mailbox_find(st, "INBOX");
	ck_assert_uint_eq(box->uidvalidity, validity);
	ck_assert_uint_eq(box->uidnext, 3);
	ck_assert_uint_eq(box->n_messages, 2);
	ck_assert_uint_eq(box->n_recent, 0);
	ck_assert_uint_eq(box->n_unseen, 1);
	m = store_message_find(box, 1);
	ck_assert_uint_eq(m->id, id);
	ck_assert_uint_eq(m->flags, FLAG_SEEN);
	ck_assert_uint_eq(m->keywords, store_keyword(st, "$remote"));
	ck_assert_int_eq(m->internal_ms, 123);
	ck_assert_str_eq(store_content_find(st, ctx, m->content)->envelope, "(env)");
	ck_assert(unit_there(PLACE_INBOX, c.digest));
}
END_TEST

static const struct { const char *name, *in; bool good; } name_cases[] = {
	{ "plain",            "Work",               true },
	{ "levels",           "Work/2026/May",      true },
	{ "non-ascii",        "Entw\xc3\xbcrfe",  true },
	{ "astral",           "\xf0\x9f\x93\xac", true },
	{ "below INBOX",      "inbox/Lists",        true },
	{ "INBOX prefix",     "inboxes",            true },
	{ "one separator",    "Work/",              true },
	{ "dotted",           "..hidden.",          true },
	{ "empty",            "",                   false },
	{ "only separator",   "/",                  false },
	{ "leading",          "/Work",              false },
	{ "doubled",          "Work//May",          false },
	{ "two at the end",   "Work//",             false },
	{ "dot",              "Work/./May",         false },
	{ "dot dot",          "../state.db",        false },
	{ "dot dot at end",   "Work/..",            false },
	{ "percent",          "50%",                false },
	{ "star",             "a*",                 false },
	{ "newline",          "a\nb",              false },
	{ "delete",           "a\177",             false },
	{ "C1 control",       "a\xc2\x85",        false },
	{ "line separator",   "a\xe2\x80\xa8",   false },
	{ "bad UTF-8",        "a\xff",             false },
	{ "cut UTF-8",        "a\xe2\x80",        false },
	{ "overlong",         "a\xc0\xaf",        false },
	{ "overlong 3",       "a\xe0\x80\xaf",   false },
	{ "surrogate",        "a\xed\xa0\x80",   false },
	{ "beyond Unicode",   "\xf4\x90\x80\x80", false },
	{ "there already",    "sent/",              true },
	{ "standard",         "Sent",               false },
	{ "INBOX",            "inBOX",              false },
};

START_TEST(names)
{
	struct err e = { "" };
	enum outcome res = store_mailbox_create(st, name_cases[_i].in, &e);

	ck_assert_msg((res == OK) == name_cases[_i].good, "case '%s': %s", name_cases[_i].name, e.text);
	ck_assert(res == OK || (res == REJECT && e.text[0]));
}
END_TEST

START_TEST(name_length_and_depth)
{
	char name[2 * LIMIT_MAILBOX_NAME];
	struct err e;

	memset(name, 'a', sizeof(name));
	name[LIMIT_MAILBOX_NAME + 1] = '\0';
	ck_assert_int_eq(store_mailbox_create(st, name, &e), REJECT);
	name[LIMIT_MAILBOX_NAME] = '\0';
	ck_assert_int_eq(store_mailbox_create(st, name, &e), OK);
	ck_assert_int_eq(store_mailbox_rename(st, name, "short", &e), OK);
	ck_assert_int_eq(store_mailbox_create(st, "short/child", &e), OK);
	name[LIMIT_MAILBOX_NAME - 2] = '\0';
	ck_assert_int_eq(store_mailbox_rename(st, "short", name, &e), REJECT);
	ck_assert_ptr_nonnull(store_mailbox_find(st, "short/child"));
	for (size_t i = 0; i < 33; i++)
		memcpy(&name[2 * i], "a/", 2);
	name[65] = '\0';
	ck_assert_int_eq(store_mailbox_create(st, name, &e), REJECT);
	name[63] = '\0';
	ck_assert_int_eq(store_mailbox_create(st, name, &e), OK);
}
END_TEST

START_TEST(create_makes_parents)
{
	struct err e;

	ck_assert_int_eq(store_mailbox_create(st, "a/b/c", &e), OK);
	ck_assert_ptr_nonnull(store_mailbox_find(st, "a"));
	ck_assert_ptr_nonnull(store_mailbox_find(st, "a/b"));
	ck_assert_int_eq(store_mailbox_create(st, "a/b", &e), REJECT);
	ck_assert_int_eq(store_mailbox_create(st, "inbox/x", &e), OK);
	ck_assert_str_eq(store_mailbox_find(st, "Inbox/x")->name, "INBOX/x");
	store_mailbox_subscribe(st, store_mailbox_find(st, "a"), true);
	unit_reopen();
	ck_assert_ptr_nonnull(store_mailbox_find(st, "a/b/c"));
	ck_assert(store_mailbox_find(st, "a")->subscribed);
	ck_assert(!store_mailbox_find(st, "a/b")->subscribed);
}
END_TEST

START_TEST(too_many_mailboxes)
{
	struct err e;
	char name[32];

	for (int i = N_STANDARD; i < LIMIT_MAILBOXES - 1; i++) {
		snprintf(name, sizeof(name), "box%d", i);
		ck_assert_int_eq(store_mailbox_create(st, name, &e), OK);
	}
	ck_assert_int_eq(store_mailbox_create(st, "deep/er", &e), REJECT);
	ck_assert_ptr_null(store_mailbox_find(st, "deep"));
	ck_assert_int_eq(store_mailbox_create(st, "last", &e), OK);
	ck_assert_int_eq(store_mailbox_create(st, "onemore", &e), REJECT);
	ck_assert_int_eq(store_mailbox_rename(st, "last", "deep/er", &e), REJECT);
	ck_assert_ptr_nonnull(store_mailbox_find(st, "last"));
}
END_TEST

/* What a watcher saw, as a line of words. */
static char seen[4096];
static bool unwatch_at_once;

#define SAW(...) snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), __VA_ARGS__)

static void saw_added(void *arg, struct mailbox *box, const struct message *m)
{
	(void)arg;
	SAW("+%s:%u/%zu ", box->name, m->uid, box->n_messages);
	if (unwatch_at_once)
		store_unwatch(st, arg);
}

static void saw_changed(void *arg, struct mailbox *box)
{
	(void)arg;
	SAW("!%s:%llu ", box->name, (unsigned long long)box->modseq);
}

static void saw_expunged(void *arg, struct mailbox *box, const struct message *was, bool last)
{
	(void)arg;
	/* What it showed can still be read. */
	ck_assert_ptr_nonnull(store_content_find(st, ctx, was->content));
	SAW("-%s:%u/%zu%s ", box->name, was->uid, box->n_messages, last ? "L" : "");
}

static void saw_mailbox_gone(void *arg, uint64_t mailbox)
{
	(void)arg;
	ck_assert_ptr_null(store_mailbox_get(st, mailbox));
	SAW("gone ");
}

static const struct store_watcher watcher = {
	.added = saw_added, .changed = saw_changed, .expunged = saw_expunged, .mailbox_gone = saw_mailbox_gone, .arg = seen,
};

static void expect_seen(const char *want)
{
	ck_assert_str_eq(seen, want);
	seen[0] = '\0';
}

static struct mailbox *box_of_three(const char *name, struct content *c)
{
	struct mailbox *box = store_mailbox_find(st, name);

	*c = unit_content(PLACE_INBOX, name);
	for (int i = 0; i < 3; i++)
		store_message_add(st, box, c->id, 0, 0, i);
	return box;
}

START_TEST(flags_and_watchers)
{
	struct content c;

	store_watch(st, &watcher);
	struct mailbox *box = box_of_three("INBOX", &c);
	expect_seen("+INBOX:1/1 +INBOX:2/2 +INBOX:3/3 ");
	uint64_t modseq = box->modseq;
	store_message_set_flags(st, box, 2, FLAG_SEEN | FLAG_DELETED, 5);
	expect_seen("!INBOX:5 ");
	ck_assert_uint_eq(box->modseq, modseq + 1);
	ck_assert_uint_eq(store_message_find(box, 2)->modseq, modseq + 1);
	ck_assert_uint_eq(box->n_unseen, 2);
	store_message_set_flags(st, box, 2, FLAG_SEEN | FLAG_DELETED | FLAG_RECENT, 5);
	expect_seen("");
	ck_assert_uint_eq(box->modseq, modseq + 1);
	store_message_clear_recent(st, box);
	ck_assert_uint_eq(box->n_recent, 0);
	ck_assert_uint_eq(store_message_find(box, 2)->flags, FLAG_SEEN | FLAG_DELETED);
	store_message_set_flags(st, box, 2, 0, 0);
	expect_seen("!INBOX:6 ");
	store_message_set_flags(st, box, 4, FLAG_SEEN, 0);
	expect_seen("");
	store_unwatch(st, seen);
	store_message_set_flags(st, box, 2, FLAG_DRAFT, 1);
	expect_seen("");
	unit_reopen();
	box = store_mailbox_find(st, "INBOX");
	ck_assert_uint_eq(box->modseq, modseq + 3);
	ck_assert_uint_eq(store_message_find(box, 2)->modseq, modseq + 3);
	ck_assert_uint_eq(store_message_find(box, 2)->flags, FLAG_DRAFT);
}
END_TEST

/* Whoever has an array keeps it as it was; new messages go behind, where he does not look. */
START_TEST(uids)
{
	struct mailbox *box = store_mailbox_find(st, "INBOX");
	struct content c = unit_content(PLACE_INBOX, "hello");

	ck_assert_ptr_nonnull(store_message_uids(box));
	for (int i = 0; i < 3; i++)
		store_message_add(st, box, c.id, 0, 0, 0);

	const uint32_t *had = talloc_reference(ctx, store_message_uids(box));

	ck_assert_ptr_eq(had, store_message_uids(box));
	for (int i = 3; i < 300; i++)
		store_message_add(st, box, c.id, 0, 0, 0);
	for (uint32_t i = 0; i < 300; i++)
		ck_assert_uint_eq(store_message_uids(box)[i], i + 1);
	store_message_expunge(st, box, 2);
	store_message_expunge(st, box, 300);
	ck_assert_uint_eq(store_message_uids(box)[1], 3);
	ck_assert_uint_eq(store_message_uids(box)[297], 299);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_uint_eq(had[i], i + 1);
	/* The last one goes, another comes: as many as before. */
	had = talloc_reference(ctx, store_message_uids(box));
	store_message_expunge(st, box, 299);
	store_message_add(st, box, c.id, 0, 0, 0);
	ck_assert_uint_eq(store_message_uids(box)[297], 301);
	ck_assert_uint_eq(had[297], 299);
	store_turn(st);
	unit_reopen();
	ck_assert_uint_eq(store_message_uids(store_mailbox_find(st, "INBOX"))[297], 301);
	ck_assert_uint_eq(had[297], 299);
}
END_TEST

START_TEST(unwatch_inside)
{
	struct content c;

	unwatch_at_once = true;
	store_watch(st, &watcher);
	box_of_three("INBOX", &c);
	expect_seen("+INBOX:1/1 ");
	unwatch_at_once = false;
}
END_TEST

START_TEST(expunge_and_content)
{
	struct content c;
	struct mailbox *box = box_of_three("INBOX", &c), *sent = store_mailbox_find(st, "Sent");

	store_message_add(st, sent, c.id, FLAG_SEEN, 0, 9);
	store_turn(st);
	store_watch(st, &watcher);
	store_message_expunge(st, box, 2);
	expect_seen("-INBOX:2/2 ");
	store_message_expunge(st, box, 2);
	expect_seen("");
	ck_assert_uint_eq(store_message_index(box, 2), 1);
	ck_assert_uint_eq(store_message_index(box, 9), 2);
	ck_assert_ptr_null(store_message_find(box, 2));
	store_message_expunge(st, box, 1);
	store_message_expunge(st, box, 3);
	expect_seen("-INBOX:1/1 -INBOX:3/0 ");
	ck_assert_uint_eq(box->n_messages, 0);
	ck_assert_uint_eq(box->n_unseen, 0);
	ck_assert_uint_eq(box->n_recent, 0);
	store_turn(st);
	ck_assert(unit_there(PLACE_INBOX, c.digest));
	store_message_expunge(st, sent, 1);
	expect_seen("-Sent:1/0L ");
	ck_assert(unit_there(PLACE_INBOX, c.digest));
	ck_assert_ptr_null(store_content_find(st, ctx, c.id));
	store_turn(st);
	ck_assert(!unit_there(PLACE_INBOX, c.digest));
	unit_reopen();
	box = store_mailbox_find(st, "INBOX");
	ck_assert_uint_eq(box->n_messages, 0);
	ck_assert_uint_eq(box->uidnext, 4);
}
END_TEST

START_TEST(ids_never_again)
{
	struct content c;
	struct mailbox *box = box_of_three("INBOX", &c);
	uint64_t id = store_message_find(box, 3)->id;
	uint32_t uid;
	struct mailbox *at;

	ck_assert(store_message_locate(st, id, &at, &uid));
	ck_assert_ptr_eq(at, box);
	ck_assert_uint_eq(uid, 3);
	store_message_expunge(st, box, 3);
	ck_assert(!store_message_locate(st, id, &at, &uid));
	unit_reopen();
	box = store_mailbox_find(st, "INBOX");
	const struct message *m = store_message_add(st, box, c.id, 0, 0, 0);
	ck_assert_uint_eq(m->uid, 4);
	ck_assert_uint_eq(m->id, id + 1);
}
END_TEST

START_TEST(content_keywords)
{
	struct content c, other;
	struct mailbox *box = box_of_three("INBOX", &c);
	size_t n;

	box_of_three("Sent", &other);
	unit_reopen();
	store_content_set_keywords(st, c.id, 6, 0);
	store_watch(st, &watcher);
	store_content_set_keywords(st, c.id, 1, 2);
	expect_seen("!INBOX:8 !INBOX:9 !INBOX:10 ");
	store_content_set_keywords(st, c.id, 1, 2);
	expect_seen("");
	box = store_mailbox_find(st, "INBOX");
	uint64_t *ids = store_message_of_content(st, ctx, c.id, &n);
	ck_assert_uint_eq(n, 3);
	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(ids[i], box->messages[i].id);
	ck_assert_uint_eq(store_message_find(store_mailbox_find(st, "Sent"), 1)->keywords, 0);
}
END_TEST

START_TEST(keywords)
{
	char name[16];

	ck_assert_uint_eq(store_keyword(st, "$Remote"), 1);
	ck_assert_uint_eq(store_keyword(st, "$FirstUse"), 2);
	ck_assert_uint_eq(store_keyword(st, "$REMOTE"), 1);
	ck_assert_str_eq(store_keyword_name(st, 0), "$Remote");
	ck_assert_ptr_null(store_keyword_name(st, 2));
	ck_assert_ptr_null(store_keyword_name(st, 64));
	ck_assert_uint_eq(store_keyword(st, ""), 0);
	ck_assert_uint_eq(store_keyword(st, "\\Seen"), 0);
	ck_assert_uint_eq(store_keyword(st, "a b"), 0);
	ck_assert_uint_eq(store_keyword(st, "a)"), 0);
	ck_assert_uint_eq(store_keyword(st, "\xc3\xbc"), 0);
	for (int i = 2; i < 64; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		ck_assert_uint_eq(store_keyword(st, name), UINT64_C(1) << i);
	}
	ck_assert_uint_eq(store_keyword(st, "onemore"), 0);
	struct content c = unit_content(PLACE_NONE, "x");
	store_message_add(st, store_mailbox_find(st, "INBOX"), c.id, 0, UINT64_MAX, 0);
	unit_reopen();
	ck_assert_uint_eq(store_keyword(st, "K63"), UINT64_C(1) << 63);
	ck_assert_str_eq(store_keyword_name(st, 63), "k63");
	ck_assert_uint_eq(store_message_find(store_mailbox_find(st, "INBOX"), 1)->keywords, UINT64_MAX);
}
END_TEST

START_TEST(delete_mailbox)
{
	struct err e;
	struct content c;

	ck_assert_int_eq(store_mailbox_create(st, "a/b", &e), OK);
	struct mailbox *box = box_of_three("a", &c);
	uint64_t id = box->id;
	uint32_t validity = box->uidvalidity;
	store_turn(st);
	store_watch(st, &watcher);
	ck_assert_int_eq(store_mailbox_delete(st, "a", &e), OK);
	expect_seen("-a:3/2 -a:2/1 -a:1/0L gone ");
	ck_assert_ptr_null(store_mailbox_get(st, id));
	ck_assert_ptr_nonnull(store_mailbox_find(st, "a/b"));
	ck_assert_int_eq(store_mailbox_delete(st, "a", &e), REJECT);
	ck_assert_int_eq(store_mailbox_delete(st, "inbox", &e), REJECT);
	ck_assert_int_eq(store_mailbox_delete(st, "Outbox", &e), REJECT);
	store_turn(st);
	ck_assert(!unit_there(PLACE_INBOX, c.digest));
	ck_assert_int_eq(store_mailbox_create(st, "a", &e), OK);
	ck_assert_uint_gt(store_mailbox_find(st, "a")->uidvalidity, validity);
	ck_assert_int_eq(store_mailbox_delete(st, "a", &e), OK);
	unit_reopen();
	ck_assert_ptr_null(store_mailbox_find(st, "a"));
	ck_assert_int_eq(store_mailbox_create(st, "a", &e), OK);
	ck_assert_uint_gt(store_mailbox_find(st, "a")->uidvalidity, validity + 1);
	ck_assert_uint_gt(store_mailbox_find(st, "a")->id, id + 1);
}
END_TEST

static const struct { const char *name, *from, *to; bool good; const char *after; } rename_cases[] = {
	{ "leaf",               "w/x/y",  "z",     true,  "w w/x z" },
	{ "tree",               "w",      "z",     true,  "z z/x z/x/y" },
	{ "tree under parents", "w/x",    "p/q",   true,  "p p/q p/q/y w" },
	{ "up",                 "w/x",    "x",     true,  "w x x/y" },
	{ "trailing separator", "w/x/y",  "z/",    true,  "w w/x z" },
	{ "to one that exists", "w/x/y",  "w",     false, NULL },
	{ "to itself",          "w",      "w",     false, NULL },
	{ "below itself",       "w",      "w/x/z", false, NULL },
	{ "to INBOX",           "w",      "inbox", false, NULL },
	{ "nothing there",      "v",      "z",     false, NULL },
	{ "a name that begins so", "w/",  "z",     false, NULL },
	{ "standard",           "Sent",   "z",     false, NULL },
	{ "bad name",           "w",      "a//b",  false, NULL },
};

START_TEST(rename_mailbox)
{
	struct err e = { "" };
	struct content c;
	char after[256] = "";
	size_t n;

	ck_assert_int_eq(store_mailbox_create(st, "w/x/y", &e), OK);
	struct mailbox *box = box_of_three("w/x/y", &c);
	uint64_t id = box->id;
	uint32_t validity = box->uidvalidity;
	enum outcome res = store_mailbox_rename(st, rename_cases[_i].from, rename_cases[_i].to, &e);
	ck_assert_msg((res == OK) == rename_cases[_i].good, "case '%s': %s", rename_cases[_i].name, e.text);
	unit_reopen();
	struct mailbox **all = store_mailbox_all(st, ctx, &n);
	for (size_t i = 0; i < n; i++) {
		if (strchr("pqwxyz", all[i]->name[0]))
			snprintf(after + strlen(after), sizeof(after) - strlen(after), "%s%s", after[0] ? " " : "", all[i]->name);
	}
	ck_assert_str_eq(after, rename_cases[_i].after ? rename_cases[_i].after : "w w/x w/x/y");
	ck_assert_uint_eq(store_mailbox_get(st, id)->n_messages, 3);
	ck_assert_uint_eq(store_mailbox_get(st, id)->uidvalidity, validity);
}
END_TEST

START_TEST(rename_inbox)
{
	struct err e;
	struct content c;
	struct mailbox *box = box_of_three("INBOX", &c);
	uint64_t id = store_message_find(box, 3)->id;
	uint32_t uid, validity = box->uidvalidity;

	ck_assert_int_eq(store_mailbox_create(st, "INBOX/sub", &e), OK);
	store_message_expunge(st, box, 1);
	store_watch(st, &watcher);
	ck_assert_int_eq(store_mailbox_rename(st, "inbox", "old/mail", &e), OK);
	expect_seen("-INBOX:3/1 -INBOX:2/0 +old/mail:2/1 +old/mail:3/2 ");
	for (int i = 0; i < 2; i++) {
		box = store_mailbox_find(st, "INBOX");
		ck_assert_uint_eq(box->n_messages, 0);
		ck_assert_uint_eq(box->n_unseen, 0);
		ck_assert_uint_eq(box->uidvalidity, validity);
		ck_assert_uint_eq(box->uidnext, 4);
		ck_assert_ptr_nonnull(store_mailbox_find(st, "INBOX/sub"));
		ck_assert(store_message_locate(st, id, &box, &uid));
		ck_assert_str_eq(box->name, "old/mail");
		ck_assert_uint_eq(uid, 3);
		ck_assert_uint_eq(box->uidnext, 4);
		ck_assert_uint_ne(box->uidvalidity, validity);
		ck_assert_uint_eq(box->n_messages, 2);
		ck_assert_uint_eq(box->n_unseen, 2);
		unit_reopen();
	}
}
END_TEST

STORE_SUITE("store_mailbox") {
	UNIT(standard_mailboxes);
	UNIT(special_use_survives);
	UNIT(times_far_away);
	UNIT(messages_survive);
	UNIT_LOOP(names, name_cases);
	UNIT(name_length_and_depth);
	UNIT(create_makes_parents);
	UNIT(too_many_mailboxes);
	UNIT(flags_and_watchers);
	UNIT(uids);
	UNIT(unwatch_inside);
	UNIT(expunge_and_content);
	UNIT(ids_never_again);
	UNIT(content_keywords);
	UNIT(keywords);
	UNIT(delete_mailbox);
	UNIT_LOOP(rename_mailbox, rename_cases);
	UNIT(rename_inbox);
} UNIT_END
