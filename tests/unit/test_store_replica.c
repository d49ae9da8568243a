/* Replicas of fellow members, and what members see of our own outbox. */
#include <signal.h>
#include <sys/wait.h>

#include "lib/mail/value.h"
#include "lib/store/replica.h"
#include "store.h"

static struct replica some_replica(const char *owner, const char *body, const char *notices)
{
	struct replica r = { .owner = owner, .listed = true, .sealed_size = 100, .expires_s = 1000, .reason = "" };

	unit_file(PLACE_REPLICA, body, r.hash);
	r.body = true;
	r.body_ms = 7;
	if (notices) {
		unit_file(PLACE_REPLICA, notices, r.noticed);
		memcpy(r.notices_hash, r.noticed, 32);
	}
	return r;
}

static struct replica_rcpt some_rcpt(const struct replica *of, uint8_t n)
{
	struct replica_rcpt r = { .owner = of->owner, .expires_s = 500, .value = bytes_str("octets of the ns") };
	uint8_t secret[32], t[32];

	memcpy(r.hash, of->hash, 32);
	memset(r.key, n, sizeof(r.key));
	memset(secret, n, 32);
	proof_make(PROOF_GET, secret, r.hash, t);
	proof_commitment(t, r.c_get);
	proof_make(PROOF_GOT, secret, r.hash, t);
	proof_commitment(t, r.c_got);
	proof_make(PROOF_DECLINED, secret, r.hash, t);
	proof_commitment(t, r.c_declined);
	proof_make(PROOF_RECALL, secret, r.hash, t);
	proof_commitment(t, r.c_recall);
	return r;
}

START_TEST(owners)
{
	struct replica_owner o = { .address = "ann@home", .group = "home", .serial = 7, .token_serial = 6, .etag = "\"x\"",
		.issued_s = 5, .confirmed_s = 4, .seen_s = 3 };
	size_t n;

	memset(o.token, 9, 32);
	store_replica_owner_save(st, &o);
	store_replica_list_set(st, "ann@home", bytes_str("a list"));
	o.address = "bob@home";
	store_replica_owner_save(st, &o);
	unit_reopen();
	struct replica_owner *g = store_replica_owner_find(st, ctx, "ann@home");
	ck_assert_ptr_nonnull(g);
	ck_assert_str_eq(g->group, "home");
	ck_assert_str_eq(g->etag, "\"x\"");
	ck_assert_mem_eq(g->token, o.token, 32);
	ck_assert(g->serial == 7 && g->token_serial == 6 && g->issued_s == 5 && g->confirmed_s == 4 && g->seen_s == 3);
	ck_assert_str_eq((const char *)store_replica_list(st, ctx, "ann@home").data, "a list");
	ck_assert_uint_eq(store_replica_list(st, ctx, "bob@home").len, 0);
	ck_assert_str_eq(store_replica_owners(st, ctx, &n)[1]->address, "bob@home");
	ck_assert_uint_eq(n, 2);
	ck_assert_ptr_null(store_replica_owner_find(st, ctx, "carl@home"));
	store_replica_owner_forget(st, "ann@home");
	ck_assert_ptr_null(store_replica_owner_find(st, ctx, "ann@home"));
	ck_assert_uint_eq(store_replica_list(st, ctx, "ann@home").len, 0);
}
END_TEST

START_TEST(columns)
{
	struct replica r = some_replica("ann@home", "sealed", "notices");
	size_t n;

	r.has_head = true;
	r.head_size = 11;
	unit_file(PLACE_REPLICA, "head", r.head_hash);
	r.reason = "no room";
	store_replica_save(st, &r);
	unit_reopen();
	struct replica *g = store_replica_find(st, ctx, "ann@home", r.hash);
	ck_assert_ptr_nonnull(g);
	ck_assert(g->listed && g->body && g->has_head && !g->done);
	ck_assert(g->sealed_size == 100 && g->expires_s == 1000 && g->head_size == 11 && g->body_ms == 7);
	ck_assert_mem_eq(g->noticed, r.noticed, 32);
	ck_assert_mem_eq(g->head_hash, r.head_hash, 32);
	ck_assert_str_eq(g->reason, "no room");
	ck_assert(replica_is_whole(g));
	ck_assert(unit_there(PLACE_REPLICA, r.hash) && unit_there(PLACE_REPLICA, r.head_hash) &&
	    unit_there(PLACE_REPLICA, r.noticed));
	ck_assert_ptr_null(store_replica_find(st, ctx, "bob@home", r.hash));
	store_replica_all(st, ctx, "ann@home", &n);
	ck_assert_uint_eq(n, 1);
	g->notices_hash[0] ^= 1;
	ck_assert(!replica_is_whole(g));
	store_replica_save(st, g);
	struct replica_counts c = store_replica_count(st, NULL);
	ck_assert(c.messages == 1 && c.bytes == 111 && c.wanted == 1);
	c = store_replica_count(st, "bob@home");
	ck_assert(c.messages == 0 && c.bytes == 0 && c.wanted == 0);
}
END_TEST

/* What a row does not name any more leaves the disk, unless another row does. */
START_TEST(files_follow_rows)
{
	struct replica a = some_replica("ann@home", "same", "a's"), b = some_replica("bob@home", "same", "b's");

	store_replica_save(st, &a);
	store_replica_save(st, &b);
	store_turn(st);
	store_replica_drop(st, "ann@home", a.hash);
	store_turn(st);
	ck_assert(unit_there(PLACE_REPLICA, b.hash) && unit_there(PLACE_REPLICA, b.noticed) &&
	    !unit_there(PLACE_REPLICA, a.noticed));
	uint8_t old[32];
	memcpy(old, b.noticed, 32);
	unit_file(PLACE_REPLICA, "b's second", b.noticed);
	store_replica_save(st, &b);
	store_turn(st);
	ck_assert(!unit_there(PLACE_REPLICA, old) && unit_there(PLACE_REPLICA, b.noticed) && unit_there(PLACE_REPLICA, b.hash));
	b.body = false;
	store_replica_save(st, &b);
	ck_assert(unit_there(PLACE_REPLICA, b.hash));
	store_turn(st);
	ck_assert(!unit_there(PLACE_REPLICA, b.hash) && unit_there(PLACE_REPLICA, b.noticed));
	/* A head that came, and then its body is not wanted any more. */
	b.has_head = true;
	unit_file(PLACE_REPLICA, "head", b.head_hash);
	store_replica_save(st, &b);
	store_turn(st);
	ck_assert(unit_there(PLACE_REPLICA, b.head_hash));
	b.done = true;
	store_replica_save(st, &b);
	store_turn(st);
	ck_assert(!unit_there(PLACE_REPLICA, b.head_hash));
	store_replica_owner_forget(st, "bob@home");
	store_turn(st);
	ck_assert(!unit_there(PLACE_REPLICA, b.noticed));
}
END_TEST

START_TEST(row_without_its_file)
{
	struct replica r = { .owner = "ann@home", .body = true };

	store_replica_save(st, &r);
	store_turn(st);
	ck_assert_uint_eq(log_take_warnings(), 1);
	ck_assert_ptr_null(store_replica_find(st, ctx, "ann@home", r.hash));
}
END_TEST

START_TEST(recipients)
{
	struct replica r = some_replica("ann@home", "sealed", NULL);
	struct replica_rcpt one = some_rcpt(&r, 1), two = some_rcpt(&r, 2);
	size_t n;

	store_replica_save(st, &r);
	store_replica_rcpt_save(st, &one);
	store_replica_rcpt_save(st, &two);
	unit_reopen();
	struct replica_rcpt **all = store_replica_rcpts(st, ctx, "ann@home", r.hash, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert(bytes_equal(all[0]->value, one.value));
	ck_assert(all[0]->state == REPLICA_PENDING && all[0]->expires_s == 500 && !all[0]->served);
	ck_assert_uint_eq(store_replica_pending(st, "ann@home", r.hash), 2);
	store_replica_of_proof(st, ctx, one.c_get, &n);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(replica_proof_kind(&one, one.c_declined), REPLICA_DECLINED);
	ck_assert_int_eq(replica_proof_kind(&one, one.c_recall), REPLICA_RECALLED);
	ck_assert_int_eq(replica_proof_kind(&one, two.c_got), REPLICA_PENDING);
	all = store_replica_of_proof(st, ctx, two.c_got, &n);
	ck_assert(n == 1 && replica_proof_kind(all[0], two.c_got) == REPLICA_GOT && all[0]->key[0] == 2);
	all[0]->state = REPLICA_GOT;
	memset(all[0]->proof, 5, 32);
	all[0]->served = true;
	store_replica_rcpt_save(st, all[0]);
	ck_assert_uint_eq(store_replica_pending(st, "ann@home", r.hash), 1);
	all = store_replica_rcpts_in(st, ctx, "ann@home", REPLICA_GOT, &n);
	ck_assert(n == 1 && all[0]->proof[31] == 5 && all[0]->served && all[0]->value.len == 0);
	all = store_replica_rcpts_in(st, ctx, "ann@home", REPLICA_PENDING, &n);
	ck_assert(n == 1 && all[0]->key[0] == 1 && all[0]->value.len > 0);
	store_replica_rcpt_drop(st, all[0]);
	store_replica_rcpts(st, ctx, "ann@home", r.hash, &n);
	ck_assert_uint_eq(n, 1);
	store_replica_drop(st, "ann@home", r.hash);
	store_replica_rcpts(st, ctx, "ann@home", r.hash, &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

/* Somebody says of his own recipient what is true of another owner's. */
START_TEST(one_commitment_of_two)
{
	struct replica a = some_replica("ann@home", "sealed", NULL), b = some_replica("bob@home", "other", NULL);
	struct replica_rcpt good = some_rcpt(&a, 1), liar = some_rcpt(&b, 2);
	size_t n, n_declined = 0;

	memcpy(liar.c_got, good.c_declined, 32);
	store_replica_save(st, &a);
	store_replica_save(st, &b);
	store_replica_rcpt_save(st, &good);
	store_replica_rcpt_save(st, &liar);
	struct replica_rcpt **all = store_replica_of_proof(st, ctx, good.c_declined, &n);
	ck_assert_uint_eq(n, 2);
	for (size_t i = 0; i < n; i++)
		n_declined += replica_proof_kind(all[i], good.c_declined) == REPLICA_DECLINED;
	ck_assert_uint_eq(n_declined, 1);
}
END_TEST

/* A head may be here before its m', also over a restart; it goes when that is not wanted any more. */
START_TEST(head_first)
{
	struct replica r = some_replica("ann@home", "sealed", "notices");

	r.body = false;
	r.has_head = true;
	unit_file(PLACE_REPLICA, "head", r.head_hash);
	store_replica_save(st, &r);
	r.reason = "no room";
	store_replica_save(st, &r);
	store_turn(st);
	unit_reopen();
	ck_assert(unit_there(PLACE_REPLICA, r.head_hash) && !unit_there(PLACE_REPLICA, r.hash));
	r.done = true;
	store_replica_save(st, &r);
	store_turn(st);
	ck_assert(!unit_there(PLACE_REPLICA, r.head_hash));
	unit_file(PLACE_REPLICA, "head", r.head_hash);
	r.done = false;
	store_replica_save(st, &r);
	store_replica_drop(st, "ann@home", r.hash);
	store_turn(st);
	ck_assert(!unit_there(PLACE_REPLICA, r.head_hash));
}
END_TEST

START_TEST(lacking)
{
	struct replica whole = some_replica("ann@home", "whole", "n1"), old = some_replica("ann@home", "old notices", "n2"),
	    none = some_replica("ann@home", "none", NULL);
	size_t n;

	old.notices_hash[0] ^= 1;
	none.body = false;
	none.notices_hash[0] = 1;
	store_replica_save(st, &whole);
	store_replica_save(st, &old);
	store_replica_save(st, &none);
	store_replica_lacking(st, ctx, "ann@home", 999, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(store_replica_reason(st, ctx, "ann@home"), "");
	none.reason = "no room";
	whole.reason = "what was";
	store_replica_save(st, &none);
	store_replica_save(st, &whole);
	ck_assert_str_eq(store_replica_reason(st, ctx, "ann@home"), "no room");
	ck_assert_str_eq(store_replica_reason(st, ctx, "bob@home"), "");
	none.done = true;
	store_replica_save(st, &none);
	ck_assert_ptr_nonnull(store_replica_lacking(st, ctx, "ann@home", 999, &n)[0]);
	ck_assert_uint_eq(n, 1);
	store_replica_lacking(st, ctx, "ann@home", 1000, &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(over)
{
	struct replica r = some_replica("ann@home", "sealed", NULL);
	struct replica_rcpt one = some_rcpt(&r, 1);
	size_t n;

	r.expires_s = 400;
	store_replica_save(st, &r);
	store_replica_rcpt_save(st, &one);
	store_replica_over(st, ctx, 10000, true, &n);
	ck_assert_uint_eq(n, 0);
	store_replica_over(st, ctx, 500, false, &n);
	ck_assert_uint_eq(n, 0);
	store_replica_over(st, ctx, 501, false, &n);
	ck_assert_uint_eq(n, 1);
	r.done = true;
	store_replica_save(st, &r);
	store_replica_over(st, ctx, 501, false, &n);
	ck_assert_uint_eq(n, 0);
	store_replica_over(st, ctx, 501, true, &n);
	ck_assert_uint_eq(n, 1);
}
END_TEST

static const struct { const char *name; bool turn; } crash_cases[] = {
	{ "after the turn",  true },
	{ "before the turn", false },
};

/* Killed: rows and files are those of the last commit. */
START_TEST(crash)
{
	struct replica first = some_replica("ann@home", "first", "n1");

	store_replica_save(st, &first);
	store_close(&st);
	pid_t pid = fork();
	if (pid == 0) {
		unit_open();
		struct replica second = some_replica("ann@home", "second", "n2");
		struct replica_rcpt rcpt = some_rcpt(&second, 1);

		store_replica_save(st, &second);
		store_replica_rcpt_save(st, &rcpt);
		store_replica_drop(st, "ann@home", first.hash);
		if (crash_cases[_i].turn)
			store_turn(st);
		kill(getpid(), SIGKILL);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	unit_open();
	uint8_t second[32], n2[32];
	digest_of(bytes_str("second"), second);
	digest_of(bytes_str("n2"), n2);
	bool turn = crash_cases[_i].turn;
	ck_assert((store_replica_find(st, ctx, "ann@home", second) != NULL) == turn);
	ck_assert((store_replica_find(st, ctx, "ann@home", first.hash) != NULL) == !turn);
	ck_assert_uint_eq(store_replica_pending(st, "ann@home", second), turn);
	ck_assert(unit_there(PLACE_REPLICA, second) == turn && unit_there(PLACE_REPLICA, n2) == turn);
	ck_assert(unit_there(PLACE_REPLICA, first.hash) == !turn && unit_there(PLACE_REPLICA, first.noticed) == !turn);
}
END_TEST

/* A letter on its way with n recipients in these states; its id. */
static uint64_t some_letter(const char *sealed, const enum rcpt_state *states, size_t n, uint8_t hash[32])
{
	struct content c = unit_content(PLACE_SPOOL, sealed);
	struct letter l = { .content = c.id };
	static const char *const names[] = { "a@x", "b@x", "c@x", "d@x" };
	struct posting p = { .address = "a@x", .value = bytes_str("ns"), .expires_s = 900 };
	size_t n_rcpts;

	store_letter_add(st, &l, names, n);
	l.sealed = true;
	l.sealed_size = 12;
	unit_file(PLACE_OUTBOX, sealed, l.hash);
	memcpy(hash, l.hash, 32);
	store_letter_save(st, &l);
	store_posting_add(st, &p);
	struct rcpt **rcpts = store_rcpt_of_letter(st, ctx, l.id, &n_rcpts);
	for (size_t i = 0; i < n; i++) {
		rcpts[i]->state = states[i];
		rcpts[i]->posting = states[i] >= RCPT_OFFERED ? p.id : 0;
		rcpts[i]->expires_s = 900;
		memset(rcpts[i]->secret, (int)i + 1, 32);
		store_rcpt_save(st, rcpts[i]);
	}
	return l.id;
}

START_TEST(own_messages)
{
	static const enum rcpt_state on[] = { RCPT_SEALED, RCPT_NOTIFIED, RCPT_DELIVERED, RCPT_CANCELLED };
	static const enum rcpt_state off[] = { RCPT_RESOLVED, RCPT_DELIVERED };
	uint8_t hash[32], other[32];
	size_t n;
	uint64_t id = some_letter("on", on, 4, hash), none = some_letter("off", off, 2, other);

	struct own_message *m = store_own_message(st, ctx, id, 899);
	ck_assert_ptr_nonnull(m);
	ck_assert_mem_eq(m->hash, hash, 32);
	ck_assert(m->sealed_size == 12 && !m->dropped && m->n_rcpts == 2);
	ck_assert(!m->rcpts[0].recalled && m->rcpts[0].value.len == 2 && m->rcpts[0].secret[0] == 2);
	ck_assert_str_eq(m->rcpts[0].address, "b@x");
	ck_assert(m->rcpts[1].recalled && m->rcpts[1].secret[0] == 4);
	ck_assert_ptr_null(store_own_message(st, ctx, id, 900));
	ck_assert_ptr_null(store_own_message(st, ctx, none, 1));
	uint64_t *ids = store_own_messages(st, ctx, 899, &n);
	ck_assert(n == 1 && ids[0] == id);
	store_own_messages(st, ctx, 900, &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(held_by_enough)
{
	static const enum rcpt_state on[] = { RCPT_NOTIFIED };
	uint8_t both[32], one[32];

	some_letter("both", on, 1, both);
	some_letter("one", on, 1, one);
	some_letter("none", on, 1, (uint8_t[32]){ 0 });
	store_holder_set(st, both, "ann@home", true);
	store_holder_set(st, both, "bob@home", true);
	store_holder_set(st, one, "bob@home", true);
	ck_assert_uint_eq(store_holder_count_enough(st, "\nann@home\nbob@home\n", 2), 1);
	ck_assert_uint_eq(store_holder_count_enough(st, "\nann@home\nbob@home\n", 1), 2);
	ck_assert_uint_eq(store_holder_count_enough(st, "\nann@home\n", 1), 1);
	ck_assert_uint_eq(store_holder_count_enough(st, "\njoann@home\nbob@home.org\n", 1), 0);
}
END_TEST

START_TEST(own_objects)
{
	struct own_notices a = { .size = 7 };
	struct own_list l = { .serial = 5, .issued_s = 6, .octets = bytes_str("list"), .greeting = bytes_str("hi") };
	size_t n;

	memset(a.hash, 1, 32);
	memset(a.made_of, 2, 32);
	unit_file(PLACE_OUTBOX, "object", a.digest);
	store_own_notices_save(st, &a);
	store_holder_set(st, a.hash, "bob@home", true);
	store_holder_set(st, a.hash, "ann@home", true);
	store_holder_set(st, a.hash, "ann@home", true);
	ck_assert_ptr_null(store_own_list_find(st, ctx));
	store_own_list_save(st, &l);
	unit_reopen();
	ck_assert(unit_there(PLACE_OUTBOX, a.digest));
	struct own_notices *g = store_own_notices_find(st, ctx, a.hash);
	ck_assert(g->size == 7 && g->made_of[0] == 2);
	struct own_list *gl = store_own_list_find(st, ctx);
	ck_assert(gl->serial == 5 && gl->issued_s == 6 && gl->octets.len == 4 && gl->greeting.len == 2);
	ck_assert_str_eq(store_holders(st, ctx, a.hash), "ann@home\nbob@home");
	ck_assert(store_holder_has(st, a.hash, "bob@home"));
	store_holder_set(st, a.hash, "bob@home", false);
	ck_assert_str_eq(store_holders(st, ctx, a.hash), "ann@home");
	store_holder_forget(st, "ann@home");
	ck_assert_str_eq(store_holders(st, ctx, a.hash), "");
	uint8_t old[32];
	memcpy(old, a.digest, 32);
	unit_file(PLACE_OUTBOX, "second", a.digest);
	store_own_notices_save(st, &a);
	store_turn(st);
	ck_assert(!unit_there(PLACE_OUTBOX, old) && unit_there(PLACE_OUTBOX, a.digest));
	store_own_list_forget(st);
	store_turn(st);
	ck_assert(!unit_there(PLACE_OUTBOX, a.digest));
	ck_assert_ptr_null(store_own_list_find(st, ctx));
	store_own_notices_all(st, ctx, &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

STORE_SUITE("store_replica")
	UNIT(owners);
	UNIT(columns);
	UNIT(files_follow_rows);
	UNIT(row_without_its_file);
	UNIT(recipients);
	UNIT(over);
	UNIT(lacking);
	UNIT(head_first);
	UNIT(one_commitment_of_two);
	UNIT_LOOP(crash, crash_cases);
	UNIT(own_messages);
	UNIT(held_by_enough);
	UNIT(own_objects);
UNIT_END
