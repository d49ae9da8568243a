/* Notices, the seen-cache, contents and contacts. */
#include "lib/mail/value.h"
#include "store.h"

static struct notice some_notice(uint8_t h)
{
	struct notice n = { .fpr = "AAAA", .sealed_size = 1, .size = 2, .issued_s = 3, .expires_s = 4, .heard_ms = 5,
		.urls = "http://a\nhttp://b", .group = "home", .has_head = true, .head_size = 6, .wanted = true,
		.due_ms = 7, .tries = 8, .reason = "away" };

	strcpy(n.from, "alice@home");
	memset(n.hash, h, 32);
	memset(n.digest, 2, 32);
	memset(n.key, 3, 32);
	memset(n.secret, 4, 32);
	memset(n.head_hash, 5, 32);
	return n;
}

START_TEST(notice_columns)
{
	struct notice n = some_notice(1);
	uint8_t recall[32], got[32];

	store_notice_add(st, &n);
	ck_assert_uint_eq(n.id, 1);
	unit_reopen();
	struct notice *g = store_notice_of(st, ctx, n.hash, "alice@home");
	ck_assert_ptr_nonnull(g);
	ck_assert_uint_eq(g->id, n.id);
	ck_assert_int_eq(g->state, NOTICE_NOTICED);
	ck_assert_str_eq(g->from, "alice@home");
	ck_assert_str_eq(g->fpr, "AAAA");
	ck_assert_mem_eq(g->hash, n.hash, 32);
	ck_assert_mem_eq(g->digest, n.digest, 32);
	ck_assert_mem_eq(g->key, n.key, 32);
	ck_assert_mem_eq(g->secret, n.secret, 32);
	ck_assert_mem_eq(g->head_hash, n.head_hash, 32);
	ck_assert(g->sealed_size == 1 && g->size == 2 && g->issued_s == 3 && g->expires_s == 4 && g->heard_ms == 5);
	ck_assert(g->has_head && g->head_size == 6 && g->wanted && g->due_ms == 7 && g->tries == 8 && !g->done);
	ck_assert_str_eq(g->urls, "http://a\nhttp://b");
	ck_assert_str_eq(g->group, "home");
	ck_assert_str_eq(g->reason, "away");
	ck_assert_uint_eq(g->content, 0);
	ck_assert_ptr_null(store_notice_of(st, ctx, n.hash, "bob@home"));
	ck_assert_ptr_null(store_notice_of_content(st, ctx, 0));
	ck_assert_ptr_null(store_notice_find(st, ctx, 9));
	proof_make(PROOF_RECALL, n.secret, n.hash, recall);
	proof_make(PROOF_GOT, n.secret, n.hash, got);
	ck_assert_uint_eq(store_notice_of_recall(st, ctx, recall)->id, n.id);
	ck_assert_ptr_null(store_notice_of_recall(st, ctx, got));
	ck_assert_str_eq(notice_state_name(NOTICE_NOTICED), "noticed");
	ck_assert_str_eq(notice_state_name(NOTICE_SPOILT), "spoilt");
}
END_TEST

START_TEST(notices_due)
{
	static const int64_t due[] = { 30, 10, 20 };
	size_t n;

	for (uint8_t i = 0; i < 3; i++) {
		struct notice row = some_notice(i);

		row.due_ms = due[i];
		store_notice_add(st, &row);
	}
	ck_assert_int_eq(store_notice_next_due(st), 10);
	struct notice **rows = store_notice_due(st, ctx, NOTICE_NOTICED, 20, 9, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(rows[0]->due_ms, 10);
	ck_assert_int_eq(store_notice_next_due(st), 30);
	store_notice_due(st, ctx, NOTICE_NOTICED, 30, 1, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(store_notice_next_due(st), INT64_MAX);
	rows[0]->state = NOTICE_FILED;
	store_notice_save(st, rows[0]);
	rows[1]->done = true;
	store_notice_save(st, rows[1]);
	unit_reopen();
	store_notice_due(st, ctx, NOTICE_NOTICED, 30, 9, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(store_notice_count_unpulled(st), 1);
}
END_TEST

START_TEST(notices_forgotten)
{
	struct notice a = some_notice(1), b = some_notice(2);
	const int64_t day = 24 * 3600;

	a.done = true;
	a.expires_s = b.expires_s = 100 * day;
	store_notice_add(st, &a);
	store_notice_add(st, &b);
	store_notice_forget(st, 131 * day);
	ck_assert_ptr_nonnull(store_notice_find(st, ctx, a.id));
	store_notice_forget(st, 131 * day + 1);
	ck_assert_ptr_null(store_notice_find(st, ctx, a.id));
	ck_assert_ptr_nonnull(store_notice_find(st, ctx, b.id));
}
END_TEST

static struct notice file_notice(struct content *c, const char *text)
{
	struct notice n = some_notice(9);

	*c = unit_content(PLACE_NONE, text);
	n.state = NOTICE_FILED;
	n.content = c->id;
	store_notice_add(st, &n);
	store_message_add(st, store_mailbox_find(st, "INBOX"), c->id, 0, 1, 0);
	return n;
}

START_TEST(declined_unread)
{
	struct content c;
	struct notice n = file_notice(&c, "body");

	store_message_expunge(st, store_mailbox_find(st, "INBOX"), 1);
	ck_assert_uint_eq(store_notice_of_content(st, ctx, c.id)->id, n.id);
	ck_assert_ptr_nonnull(store_content_find(st, ctx, c.id));
	n.state = NOTICE_DECLINED;
	store_notice_save(st, &n);
	ck_assert_ptr_null(store_content_find(st, ctx, c.id));
	ck_assert_uint_eq(store_notice_of_content(st, ctx, c.id)->id, n.id);
}
END_TEST

START_TEST(body_comes)
{
	struct content c;
	struct notice n = file_notice(&c, "body");
	uint8_t digest[32];

	ck_assert_ptr_null(store_content_path(st, ctx, c.id));
	unit_file(PLACE_INBOX, "body", digest);
	store_content_set_place(st, c.id, PLACE_INBOX);
	n.state = NOTICE_HERE;
	store_notice_save(st, &n);
	unit_reopen();
	ck_assert_str_eq(store_content_path(st, ctx, c.id), store_path(st, ctx, PLACE_INBOX, digest));
	ck_assert(unit_there(PLACE_INBOX, digest));
	ck_assert_int_eq(store_content_find_brief(st, ctx, c.id)->place, PLACE_INBOX);
	store_message_expunge(st, store_mailbox_find(st, "INBOX"), 1);
	store_turn(st);
	ck_assert(!unit_there(PLACE_INBOX, digest));
	ck_assert_ptr_nonnull(store_notice_find(st, ctx, n.id));
}
END_TEST

/* What was pulled is filed again: the notice lets go of the old content. */
START_TEST(spoilt_is_filed_anew)
{
	struct content c, d = unit_content(PLACE_INBOX, "real");
	struct notice n = file_notice(&c, "promised");

	store_message_expunge(st, store_mailbox_find(st, "INBOX"), 1);
	store_message_add(st, store_mailbox_find(st, "INBOX"), d.id, 0, 0, 0);
	n.content = d.id;
	store_notice_save(st, &n);
	ck_assert_ptr_null(store_content_find(st, ctx, c.id));
	ck_assert_ptr_nonnull(store_content_find(st, ctx, d.id));
}
END_TEST

START_TEST(content_columns)
{
	struct content c = { .size = 5, .place = PLACE_NONE };

	memset(c.digest, 1, 32);
	store_content_add(st, &c);
	struct content *g = store_content_find(st, ctx, c.id);
	ck_assert(!g->envelope && !g->body && !g->bodystructure && !g->parts && !g->skeleton.data && g->size == 5);
	c.envelope = "e";
	c.body = "b";
	c.bodystructure = "s";
	c.parts = "3 1";
	c.skeleton = bytes_of("a\0b", 3);
	store_content_set_structure(st, &c);
	unit_reopen();
	g = store_content_find(st, ctx, c.id);
	ck_assert_mem_eq(g->digest, c.digest, 32);
	ck_assert_str_eq(g->envelope, "e");
	ck_assert_str_eq(g->body, "b");
	ck_assert_str_eq(g->bodystructure, "s");
	ck_assert_str_eq(g->parts, "3 1");
	ck_assert(bytes_equal(g->skeleton, c.skeleton));
	g = store_content_find_brief(st, ctx, c.id);
	ck_assert_str_eq(g->envelope, "e");
	ck_assert(!g->parts && !g->skeleton.data);
	store_content_sweep(st, c.id);
	ck_assert_ptr_null(store_content_find(st, ctx, c.id));
	ck_assert_ptr_null(store_content_find_brief(st, ctx, 0));
	store_content_sweep(st, 0);
}
END_TEST

START_TEST(content_moves)
{
	struct content c = unit_content(PLACE_SPOOL, "moved");
	uint8_t digest[32];

	unit_file(PLACE_INBOX, "moved", digest);
	store_content_set_place(st, c.id, PLACE_INBOX);
	ck_assert(unit_there(PLACE_SPOOL, digest));
	store_turn(st);
	ck_assert(!unit_there(PLACE_SPOOL, digest));
	ck_assert(unit_there(PLACE_INBOX, digest));
}
END_TEST

START_TEST(seen_cache)
{
	uint8_t a[32] = { 1 }, b[32] = { 2 };

	store_seen_add(st, a, 10);
	store_seen_add(st, a, 11);
	store_seen_add(st, b, 10);
	unit_reopen();
	ck_assert(store_seen_has(st, a) && store_seen_has(st, b));
	store_seen_forget(st, 11);
	ck_assert(store_seen_has(st, a) && !store_seen_has(st, b));
}
END_TEST

START_TEST(contacts)
{
	struct contact c = { .address = "bob@home", .fpr = "BBBB", .trust = TRUST_GROUP, .rival = "CCCC", .accepted = true,
		.last_seen_s = 1, .serial = 1700000000000, .descriptor = bytes_of("a\0b", 3), .expires_s = 3,
		.reachable_until_s = 4, .urls = "http://b", .group = "home", .stamp = 18 };
	struct contact d = { .address = "ann@home" };
	size_t n;

	store_contact_save(st, &c);
	store_contact_save(st, &d);
	unit_reopen();
	struct contact *g = store_contact_find(st, ctx, "bob@home");
	ck_assert_str_eq(g->address, "bob@home");
	ck_assert_str_eq(g->fpr, "BBBB");
	ck_assert_str_eq(g->rival, "CCCC");
	ck_assert(g->trust == TRUST_GROUP && g->accepted && g->last_seen_s == 1 && g->serial == 1700000000000);
	ck_assert(bytes_equal(g->descriptor, c.descriptor));
	ck_assert(g->expires_s == 3 && g->reachable_until_s == 4 && g->stamp == 18);
	ck_assert_str_eq(g->urls, "http://b");
	ck_assert_str_eq(g->group, "home");
	g = store_contact_find(st, ctx, "ann@home");
	ck_assert_str_eq(g->fpr, "");
	ck_assert_uint_eq(g->descriptor.len, 0);
	c.trust = TRUST_VERIFIED;
	store_contact_save(st, &c);
	struct contact **all = store_contact_all(st, ctx, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(all[0]->address, "ann@home");
	ck_assert_int_eq(all[1]->trust, TRUST_VERIFIED);
	store_contact_forget(st, "bob@home");
	ck_assert_ptr_null(store_contact_find(st, ctx, "bob@home"));
	ck_assert_str_eq(trust_name(TRUST_FIRST_USE), "first-use");
	ck_assert_str_eq(trust_name(TRUST_CONFLICT), "conflict");
}
END_TEST

STORE_SUITE("store_notice") {
	UNIT(notice_columns);
	UNIT(notices_due);
	UNIT(notices_forgotten);
	UNIT(declined_unread);
	UNIT(body_comes);
	UNIT(spoilt_is_filed_anew);
	UNIT(content_columns);
	UNIT(content_moves);
	UNIT(seen_cache);
	UNIT(contacts);
} UNIT_END
