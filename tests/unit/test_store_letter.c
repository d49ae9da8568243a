/* Letters, their recipients, postings and files in the outbox. */
#include "lib/mail/value.h"
#include "store.h"

static const char *const three[] = { "bob@home", "carol@home", "dave@home" };

static struct letter add_letter(struct content *c, size_t n)
{
	*c = unit_content(PLACE_SPOOL, "Subject: hi\r\n\r\nhello\r\n");
	struct letter l = { .content = c->id, .message_id = "<1@home>", .subject = "hi", .sender = "alice@home",
		.submitted_ms = 1000 };

	store_letter_add(st, &l, three, n);
	return l;
}

static void seal(struct letter *l, const char *text)
{
	l->sealed = true;
	memset(l->key, 7, 32);
	l->sealed_size = strlen(text);
	unit_file(PLACE_OUTBOX, text, l->hash);
	store_letter_save(st, l);
}

START_TEST(letter_columns)
{
	struct content c;
	struct letter l = add_letter(&c, 2);

	ck_assert_uint_eq(l.id, 1);
	seal(&l, "sealed");
	l.has_head = true;
	memset(l.head_hash, 3, 32);
	l.head_size = 99;
	l.outbox_message = 12;
	store_letter_save(st, &l);
	unit_reopen();
	struct letter *got = store_letter_find(st, ctx, l.id);
	ck_assert_ptr_nonnull(got);
	ck_assert_uint_eq(got->content, c.id);
	ck_assert_str_eq(got->message_id, "<1@home>");
	ck_assert_str_eq(got->subject, "hi");
	ck_assert_str_eq(got->sender, "alice@home");
	ck_assert_int_eq(got->submitted_ms, 1000);
	ck_assert(got->sealed && got->has_head && !got->done);
	ck_assert_mem_eq(got->key, l.key, 32);
	ck_assert_mem_eq(got->hash, l.hash, 32);
	ck_assert_mem_eq(got->head_hash, l.head_hash, 32);
	ck_assert_uint_eq(got->sealed_size, 6);
	ck_assert_uint_eq(got->head_size, 99);
	ck_assert_uint_eq(got->outbox_message, 12);
	ck_assert_uint_eq(store_letter_of_message(st, 12), l.id);
	ck_assert_uint_eq(store_letter_of_message(st, 13), 0);
	ck_assert_uint_eq(store_letter_of_message(st, 0), 0);
	ck_assert_ptr_null(store_letter_find(st, ctx, 99));
}
END_TEST

START_TEST(rcpt_columns)
{
	struct content c;
	struct letter l = add_letter(&c, 2);
	size_t n;
	struct rcpt **rows = store_rcpt_of_letter(st, ctx, l.id, &n);

	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(rows[0]->address, "bob@home");
	ck_assert_str_eq(rows[1]->address, "carol@home");
	ck_assert_int_eq(rows[0]->state, RCPT_ACCEPTED);
	ck_assert(!rows[0]->done && !rows[0]->served && rows[0]->due_ms <= clock_now_ms() && rows[0]->due_ms == rows[0]->since_ms);
	struct rcpt r = *rows[0];
	r.state = RCPT_EXPIRED;
	r.done = r.warned = r.served = true;
	r.since_ms = 5;
	r.due_ms = 6;
	r.tries = 7;
	r.reason = "away";
	memset(r.secret, 8, 32);
	r.posting = 9;
	r.issued_s = 10;
	r.expires_s = 11;
	store_rcpt_save(st, &r);
	unit_reopen();
	struct rcpt *got = store_rcpt_find(st, ctx, r.id);
	ck_assert_uint_eq(got->letter, l.id);
	ck_assert_str_eq(got->address, "bob@home");
	ck_assert_int_eq(got->state, RCPT_EXPIRED);
	ck_assert(got->done && got->warned && got->served);
	ck_assert_int_eq(got->since_ms, 5);
	ck_assert_int_eq(got->due_ms, 6);
	ck_assert_uint_eq(got->tries, 7);
	ck_assert_str_eq(got->reason, "away");
	ck_assert_mem_eq(got->secret, r.secret, 32);
	ck_assert_uint_eq(got->posting, 9);
	ck_assert_int_eq(got->issued_s, 10);
	ck_assert_int_eq(got->expires_s, 11);
	ck_assert_ptr_null(store_rcpt_find(st, ctx, 77));
	ck_assert_str_eq(rcpt_state_name(RCPT_ACCEPTED), "accepted");
	ck_assert_str_eq(rcpt_state_name(RCPT_FAILED), "failed");
}
END_TEST

START_TEST(rcpts_due)
{
	struct content c;
	struct letter l = add_letter(&c, 3);
	size_t n;
	struct rcpt **rows = store_rcpt_of_letter(st, ctx, l.id, &n);
	static const int64_t due[] = { 300, 100, 200 };

	for (size_t i = 0; i < n; i++) {
		rows[i]->due_ms = due[i];
		store_rcpt_save(st, rows[i]);
	}
	ck_assert_int_eq(store_rcpt_next_due(st), 100);
	struct rcpt **got = store_rcpt_due(st, ctx, RCPT_ACCEPTED, 200, 10, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(got[0]->id, rows[1]->id);
	ck_assert_uint_eq(got[1]->id, rows[2]->id);
	store_rcpt_due(st, ctx, RCPT_ACCEPTED, 300, 2, &n);
	ck_assert_uint_eq(n, 2);
	store_rcpt_due(st, ctx, RCPT_SEALED, 1000, 2, &n);
	ck_assert_uint_eq(n, 0);
	unit_reopen();
	store_rcpt_due(st, ctx, RCPT_ACCEPTED, 250, 10, &n);
	ck_assert_int_eq(store_rcpt_next_due(st), 300);
	rows[0]->done = true;
	store_rcpt_save(st, rows[0]);
	ck_assert_int_eq(store_rcpt_next_due(st), INT64_MAX);
	store_rcpt_due(st, ctx, RCPT_ACCEPTED, 300, 10, &n);
	ck_assert_uint_eq(n, 2);
}
END_TEST

START_TEST(proofs)
{
	struct content c;
	struct letter l = add_letter(&c, 2);
	size_t n;
	bool declined;
	uint8_t got[32], no[32], other[32] = { 0 };
	struct rcpt **rows = store_rcpt_of_letter(st, ctx, l.id, &n);

	memset(rows[1]->secret, 5, 32);
	store_rcpt_save(st, rows[1]);
	seal(&l, "m'");
	proof_make(PROOF_GOT, rows[1]->secret, l.hash, got);
	proof_make(PROOF_DECLINED, rows[1]->secret, l.hash, no);
	ck_assert_ptr_null(store_rcpt_of_proof(st, ctx, got, &declined));
	rows[1]->state = RCPT_NOTIFIED;
	store_rcpt_save(st, rows[1]);
	unit_reopen();
	ck_assert_uint_eq(store_rcpt_of_proof(st, ctx, got, &declined)->id, rows[1]->id);
	ck_assert(!declined);
	ck_assert_uint_eq(store_rcpt_of_proof(st, ctx, no, &declined)->id, rows[1]->id);
	ck_assert(declined);
	ck_assert_ptr_null(store_rcpt_of_proof(st, ctx, other, &declined));
	/* A row without a secret has no proof, not that of a secret of zeros. */
	proof_make(PROOF_GOT, rows[0]->secret, l.hash, got);
	ck_assert_ptr_null(store_rcpt_of_proof(st, ctx, got, &declined));
	ck_assert(!store_rcpt_knows_us(st, "carol@home"));
	rows[1]->state = RCPT_DELIVERED;
	store_rcpt_save(st, rows[1]);
	ck_assert(store_rcpt_knows_us(st, "carol@home"));
	ck_assert(!store_rcpt_knows_us(st, "bob@home"));
}
END_TEST

static const struct { const char *name; enum rcpt_state state; uint64_t posting; int64_t expires_s; bool want; } posted_cases[] = {
	{ "notified",            RCPT_NOTIFIED,  1, 200, true },
	{ "notified, expired",   RCPT_NOTIFIED,  1, 100, false },
	{ "cancelled before ns", RCPT_CANCELLED, 0, 200, false },
	{ "cancelled",           RCPT_CANCELLED, 1, 200, true },
	{ "cancelled, expired",  RCPT_CANCELLED, 1, 99,  false },
	{ "resolved",            RCPT_RESOLVED,  0, 200, false },
	{ "delivered",           RCPT_DELIVERED, 1, 200, false },
};

START_TEST(posted)
{
	struct content c;
	struct letter l = add_letter(&c, 1);
	size_t n;
	struct rcpt *r = store_rcpt_of_letter(st, ctx, l.id, &n)[0];

	r->state = posted_cases[_i].state;
	r->posting = posted_cases[_i].posting;
	r->expires_s = posted_cases[_i].expires_s;
	r->done = r->state == RCPT_CANCELLED;
	store_rcpt_save(st, r);
	struct rcpt **rows = store_rcpt_posted(st, ctx, 100, &n);
	ck_assert_msg(n == posted_cases[_i].want, "case '%s'", posted_cases[_i].name);
	ck_assert(n == 0 || rows[0]->id == r->id);
}
END_TEST

START_TEST(postings)
{
	struct content c;
	struct letter l = add_letter(&c, 3);
	size_t n;
	struct rcpt **rows = store_rcpt_of_letter(st, ctx, l.id, &n);
	struct posting p = { .address = "bob@home", .value = bytes_of("p2ns\0\1", 6), .expires_s = 5 }, q = p;

	store_posting_add(st, &p);
	store_posting_add(st, &q);
	ck_assert_uint_ne(p.id, q.id);
	static const enum rcpt_state states[] = { RCPT_OFFERED, RCPT_NOTIFIED, RCPT_DELIVERED };
	for (size_t i = 0; i < n; i++) {
		rows[i]->posting = p.id;
		rows[i]->state = states[i];
		store_rcpt_save(st, rows[i]);
	}
	ck_assert_uint_eq(store_posting_pending(st, p.id), 2);
	ck_assert_uint_eq(store_posting_pending(st, q.id), 0);
	ck_assert_uint_eq(store_posting_pending(st, 0), 0);
	struct rcpt **of = store_rcpt_of_posting(st, ctx, p.id, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert_uint_eq(of[2]->id, rows[2]->id);
	store_rcpt_of_posting(st, ctx, 0, &n);
	ck_assert_uint_eq(n, 0);
	unit_reopen();
	struct posting *got = store_posting_find(st, ctx, p.id);
	ck_assert_str_eq(got->address, "bob@home");
	ck_assert(bytes_equal(got->value, bytes_of("p2ns\0\1", 6)));
	ck_assert_int_eq(got->expires_s, 5);
	store_posting_drop(st, p.id);
	ck_assert_ptr_null(store_posting_find(st, ctx, p.id));
	ck_assert_uint_eq(store_rcpt_find(st, ctx, rows[0]->id)->posting, p.id);
	ck_assert_ptr_nonnull(store_posting_find(st, ctx, q.id));
}
END_TEST

START_TEST(events)
{
	size_t n;

	store_rcpt_log(st, 4, "sealed");
	store_rcpt_log(st, 5, "other");
	store_rcpt_log(st, 4, "resolved");
	unit_reopen();
	struct rcpt_event *e = store_rcpt_events(st, ctx, 4, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(e[0].text, "sealed");
	ck_assert_str_eq(e[1].text, "resolved");
	ck_assert(e[0].at_ms > 0 && e[0].at_ms <= e[1].at_ms);
	store_rcpt_events(st, ctx, 6, &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

/* Nothing is left on disk but what a month's `show` needs; then not that either. */
START_TEST(end_of_a_letter)
{
	struct content c;
	struct letter l = add_letter(&c, 2);
	size_t n;
	struct rcpt **rows = store_rcpt_of_letter(st, ctx, l.id, &n);

	seal(&l, "sealed octets");
	l.has_head = true;
	unit_file(PLACE_OUTBOX, "head", l.head_hash);
	l.head_size = 4;
	struct posting p = { .address = "bob@home", .value = bytes_str("x") };
	store_posting_add(st, &p);
	rows[0]->posting = p.id;
	store_rcpt_save(st, rows[0]);
	store_rcpt_log(st, rows[0]->id, "sealed");
	store_letter_save(st, &l);
	struct letter_counts counts = store_letter_count(st);
	ck_assert_uint_eq(counts.spool, 0);
	ck_assert_uint_eq(counts.outbox_messages, 1);
	ck_assert_uint_eq(counts.outbox_bytes, 17);
	store_turn(st);
	ck_assert(unit_there(PLACE_OUTBOX, l.hash) && unit_there(PLACE_SPOOL, c.digest));

	l.done = true;
	store_letter_save(st, &l);
	store_letter_drop_files(st, &l);
	ck_assert(unit_there(PLACE_OUTBOX, l.hash) && unit_there(PLACE_SPOOL, c.digest));
	store_turn(st);
	ck_assert(!unit_there(PLACE_OUTBOX, l.hash) && !unit_there(PLACE_OUTBOX, l.head_hash));
	ck_assert(!unit_there(PLACE_SPOOL, c.digest));
	store_letter_open(st, ctx, &n);
	ck_assert_uint_eq(n, 0);
	ck_assert_ptr_nonnull(store_letter_find(st, ctx, l.id));
	store_letter_forget(st, clock_now_ms() - 1000);
	ck_assert_ptr_nonnull(store_letter_find(st, ctx, l.id));
	clock_advance(2000);
	store_letter_save(st, &l);
	store_letter_forget(st, clock_now_ms() - 1000);
	unit_reopen();
	ck_assert_ptr_null(store_letter_find(st, ctx, l.id));
	ck_assert_ptr_null(store_rcpt_find(st, ctx, rows[0]->id));
	ck_assert_ptr_null(store_posting_find(st, ctx, p.id));
	store_rcpt_events(st, ctx, rows[0]->id, &n);
	ck_assert_uint_eq(n, 0);
	counts = store_letter_count(st);
	ck_assert_uint_eq(counts.spool + counts.outbox_messages + counts.outbox_bytes, 0);
}
END_TEST

START_TEST(open_letters)
{
	struct content c;
	size_t n;
	struct letter a = add_letter(&c, 1), b = add_letter(&c, 1), d = add_letter(&c, 1);

	b.done = true;
	store_letter_save(st, &b);
	uint64_t *ids = store_letter_open(st, ctx, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(ids[0], a.id);
	ck_assert_uint_eq(ids[1], d.id);
	ck_assert_uint_eq(store_letter_count(st).spool, 2);
	/* The same octets, three contents: the file stays for those that are left. */
	store_turn(st);
	ck_assert(unit_there(PLACE_SPOOL, c.digest));
	ck_assert_ptr_null(store_content_find(st, ctx, b.content));
	a.done = d.done = true;
	store_letter_save(st, &a);
	store_letter_save(st, &d);
	store_turn(st);
	ck_assert(!unit_there(PLACE_SPOOL, c.digest));
}
END_TEST

/* A copy in Sent keeps the octets when the letter is done. */
START_TEST(sent_copy_keeps_content)
{
	struct content c;
	struct letter l = add_letter(&c, 1);

	store_message_add(st, store_mailbox_find(st, "Sent"), c.id, FLAG_SEEN, 0, 0);
	l.done = true;
	store_letter_save(st, &l);
	store_turn(st);
	ck_assert(unit_there(PLACE_SPOOL, c.digest));
	store_message_expunge(st, store_mailbox_find(st, "Sent"), 1);
	store_turn(st);
	ck_assert(!unit_there(PLACE_SPOOL, c.digest));
}
END_TEST

static struct letter add_small(struct content *c)
{
	struct bytes m = bytes_str("Subject: small\r\n\r\nhello\r\n");

	*c = (struct content){ .size = m.len, .place = PLACE_SPOOL };
	digest_of(m, c->digest);
	store_content_add_small(st, c, m);
	struct letter l = { .content = c->id, .message_id = "<1@home>", .subject = "hi", .sender = "alice@home",
		.submitted_ms = 1000 };
	store_letter_add(st, &l, three, 1);
	return l;
}

static struct bytes file_of(uint64_t content)
{
	struct bytes b = { NULL, 0 };
	struct err e;
	char *path = store_content_path(st, ctx, content);

	ck_assert_ptr_nonnull(path);
	ck_assert_msg(files_get(ctx, path, 1000, &b, &e) == OK, "%s", e.text);
	return b;
}

START_TEST(small_is_a_row)
{
	struct content c;
	struct letter l = add_small(&c);

	store_turn(st);
	ck_assert(!unit_there(PLACE_SPOOL, c.digest));
	unit_reopen();
	struct bytes m = store_content_octets(st, ctx, c.id);
	ck_assert_uint_eq(m.len, c.size);
	ck_assert(!unit_there(PLACE_SPOOL, c.digest));
	/* A path makes a file; it is a copy only, and does not outlive the daemon. */
	ck_assert(bytes_equal(file_of(c.id), m));
	unit_reopen();
	ck_assert(!unit_there(PLACE_SPOOL, c.digest));
	ck_assert(bytes_equal(file_of(c.id), m));
	/* With its letter both go. */
	l.done = true;
	store_letter_save(st, &l);
	store_turn(st);
	ck_assert(!unit_there(PLACE_SPOOL, c.digest));
	ck_assert_ptr_null(store_content_octets(st, ctx, c.id).data);
	ck_assert_ptr_null(store_content_find(st, ctx, c.id));
}
END_TEST

START_TEST(small_outlives_its_letter)
{
	struct content c;
	struct letter l = add_small(&c);
	struct mailbox *sent = store_mailbox_standard(st, BOX_SENT);
	uint32_t uid = store_message_add(st, sent, c.id, 0, 0, 0)->uid;

	l.done = true;
	store_letter_save(st, &l);
	store_turn(st);
	ck_assert(unit_there(PLACE_SPOOL, c.digest));
	ck_assert_ptr_null(store_content_octets(st, ctx, c.id).data);
	unit_reopen();
	ck_assert_uint_eq(file_of(c.id).len, c.size);
	store_message_expunge(st, store_mailbox_standard(st, BOX_SENT), uid);
	store_turn(st);
	ck_assert(!unit_there(PLACE_SPOOL, c.digest));
}
END_TEST

STORE_SUITE("store_letter") {
	UNIT(letter_columns);
	UNIT(rcpt_columns);
	UNIT(rcpts_due);
	UNIT(proofs);
	UNIT_LOOP(posted, posted_cases);
	UNIT(postings);
	UNIT(events);
	UNIT(end_of_a_letter);
	UNIT(open_letters);
	UNIT(sent_copy_keeps_content);
	UNIT(small_is_a_row);
	UNIT(small_outlives_its_letter);
} UNIT_END
