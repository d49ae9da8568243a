/* The table between loop and HTTP threads: whose token opens what, and who came first when a cancel and a GET meet. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "unit/unit.h"
#include "way/outbox/offers.h"

enum { SIZE = 1000, HEAD_SIZE = 600 };

static char dir[] = "/tmp/offers.XXXXXX";
static struct offers *o;
static void *ctx;
static size_t n_empty;			/* what an empty table takes */
static const uint8_t hash[32] = { 1 }, ann[32] = { 2 }, ben[32] = { 3 }, ann_recall[32] = { 4 };

static bool fails, ends;		/* what open_file() does */

/* Their names begin with these octets. */
static int open_file(void *arg, const uint8_t name[32])
{
	ck_assert_str_eq(arg, dir);
	ck_assert(name[0] == 1 || name[0] == 9);
	if (ends) {
		offers_revoke(o, hash, ann);
		offers_remove(o, hash);
	}
	if (fails)
		return -1;
	return open(mem_printf(ctx, name[0] == 1 ? "%s/m" : "%s/head", dir), O_RDONLY | O_CLOEXEC);
}

static void put(void)
{
	struct offer offer = { .hash = { 1 }, .size = SIZE, .has_head = true, .head_hash = { 9 }, .head_size = HEAD_SIZE };

	offers_put(o, &offer);
}

static void grant(const uint8_t t_get[32], uint64_t rcpt)
{
	struct grant g = { .rcpt = rcpt, .expires_s = clock_now_s() + 100 };

	memcpy(g.t_get, t_get, 32);
	offers_grant(o, hash, &g);
}

static void setup(void)
{
	uint8_t octets[SIZE] = { 0 };
	struct err e;

	ctx = mem_ctx(NULL);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(files_put(mem_printf(ctx, "%s/m", dir), bytes_of(octets, SIZE), &e), OK);
	ck_assert_int_eq(files_put(mem_printf(ctx, "%s/head", dir), bytes_of(octets, HEAD_SIZE), &e), OK);
	o = offers_new(&(struct offers_source){ open_file, dir });
	n_empty = talloc_total_blocks(o);
	put();
	grant(ann, 7);
	grant(ben, 8);
}

static void teardown(void)
{
	offers_free(&o);
	unlink(mem_printf(ctx, "%s/m", dir));
	unlink(mem_printf(ctx, "%s/head", dir));
	rmdir(dir);
	talloc_free(ctx);
	memcpy(dir, "/tmp/offers.XXXXXX", sizeof(dir));
}

static enum offers_answer ask(const uint8_t t_get[32], bool head, struct offers_pass *pass)
{
	enum offers_answer res = offers_open_http(o, ctx, hash, t_get, head, pass);

	if (pass->fd >= 0)
		close(pass->fd);
	return res;
}

/* All of it under this token; whose it is when it has become served by that. */
static uint64_t take(const uint8_t t_get[32], bool head)
{
	struct offers_pass pass;
	uint64_t served;

	ck_assert_int_eq(ask(t_get, head, &pass), OFFERS_OPEN);
	ck_assert_uint_eq(pass.size, head ? HEAD_SIZE : SIZE);
	ck_assert_uint_eq(offers_may_send_http(o, pass.token, head, pass.size, &served), pass.size);
	offers_closed_http(o, pass.token);
	return served;
}

START_TEST(served_once)
{
	ck_assert_uint_eq(take(ann, false), 7);
	ck_assert_uint_eq(take(ann, false), 0);
	ck_assert(!offers_withdraw(o, hash, ann));
	ck_assert(offers_withdraw(o, hash, ben));
}
END_TEST

/* Who has read what is announced, however often, has not got the message. */
START_TEST(head_is_not_the_message)
{
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(take(ann, true), 0);
	ck_assert(offers_withdraw(o, hash, ann));
}
END_TEST

START_TEST(withdrawn_while_it_goes_out)
{
	struct offers_pass body, head;
	uint64_t served;

	ask(ann, false, &body);
	ask(ann, true, &head);
	ck_assert_uint_eq(offers_may_send_http(o, body.token, false, SIZE - 1, &served), SIZE - 1);
	ck_assert(offers_withdraw(o, hash, ann));
	ck_assert_uint_eq(offers_may_send_http(o, body.token, false, 1, &served), 0);
	ck_assert_uint_eq(offers_may_send_http(o, head.token, true, 1, &served), 0);
	ck_assert_uint_eq(served, 0);
	ck_assert_int_eq(ask(ann, false, &body), OFFERS_NONE);
	offers_recall(o, hash, ann, ann_recall, clock_now_s() + 100);
	ck_assert_int_eq(ask(ann, false, &body), OFFERS_RECALLED);
	ck_assert(bytes_equal(body.recalls, bytes_of(ann_recall, 32)));
	ck_assert_int_eq(ask(ben, false, &body), OFFERS_OPEN);
}
END_TEST

/* Nothing stays of a message that everybody had, in whichever order it ends. */
START_TEST(nothing_is_left)
{
	struct offers_pass head, body;

	take(ann, true);
	take(ann, false);
	offers_revoke(o, hash, ann);
	ask(ben, true, &head);
	ask(ben, false, &body);
	offers_revoke(o, hash, ben);
	ck_assert_int_eq(ask(ben, false, &(struct offers_pass){ 0 }), OFFERS_NONE);
	offers_remove(o, hash);
	offers_closed_http(o, body.token);
	offers_closed_http(o, head.token);
	ck_assert_uint_eq(talloc_total_blocks(o), n_empty);

	/* Its end comes before anybody was told to go. */
	put();
	grant(ann, 7);
	ask(ann, false, &body);
	offers_remove(o, hash);
	offers_closed_http(o, body.token);
	ck_assert_uint_eq(talloc_total_blocks(o), n_empty);
}
END_TEST

/* It cannot be read: nobody has anything, and nothing is counted. */
START_TEST(no_octets)
{
	struct offers_pass pass;

	fails = true;
	ck_assert_int_eq(ask(ann, false, &pass), OFFERS_NONE);
	ck_assert_int_eq(ask(ann, true, &pass), OFFERS_NONE);
	ck_assert_int_eq(offers_open_member_http(o, hash, false, &pass), OFFERS_NONE);
	fails = false;
	ck_assert(offers_withdraw(o, hash, ann));
	offers_revoke(o, hash, ann);
	offers_revoke(o, hash, ben);
	offers_remove(o, hash);
	ck_assert_uint_eq(talloc_total_blocks(o), n_empty);
}
END_TEST

/* The loop takes all of it back while an HTTP thread opens the file. */
START_TEST(gone_while_it_is_opened)
{
	struct offers_pass pass;

	for (int i = 0; i < 2; i++) {
		ends = true;
		fails = i == 1;
		ck_assert_int_eq(ask(ann, false, &pass), fails ? OFFERS_NONE : OFFERS_OPEN);
		if (!fails)
			offers_closed_http(o, pass.token);
		ends = fails = false;
		offers_revoke(o, hash, ben);
		offers_remove(o, hash);
		ck_assert_uint_eq(talloc_total_blocks(o), n_empty);
		put();
		grant(ann, 7);
		grant(ben, 8);
	}
}
END_TEST

/* A recall has stood long enough; others under the same h are not concerned. */
START_TEST(recall_that_expired)
{
	struct offers_pass pass;

	offers_withdraw(o, hash, ann);
	offers_recall(o, hash, ann, ann_recall, clock_now_s() + 100);
	offers_revoke(o, hash, ann);
	ck_assert_int_eq(ask(ann, false, &pass), OFFERS_NONE);
	ck_assert_uint_eq(take(ben, false), 8);
	offers_withdraw(o, hash, ben);
	offers_recall(o, hash, ben, ann_recall, clock_now_s() + 100);
	offers_remove(o, hash);
	ck_assert_int_eq(ask(ben, false, &pass), OFFERS_RECALLED);
	offers_revoke(o, hash, ben);
	ck_assert_uint_eq(talloc_total_blocks(o), n_empty);
}
END_TEST

UNIT_SUITE("offers")
{
	tcase_add_checked_fixture(unit_case, setup, teardown);
	UNIT(served_once);
	UNIT(head_is_not_the_message);
	UNIT(withdrawn_while_it_goes_out);
	UNIT(nothing_is_left);
	UNIT(no_octets);
	UNIT(gone_while_it_is_opened);
	UNIT(recall_that_expired);
}
UNIT_END
