/* The table between loop and HTTP threads: who may ask as a member, and what replicas give to whom. */
#include "unit/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/mail/value.h"
#include "way/outbox/members.h"

static struct members *m;
static void *ctx;
static char dir[64];
static uint8_t hash[32], t_get[2][32];
static struct replica row;
static struct replica_rcpt rcpts[2], *ptrs[2] = { &rcpts[0], &rcpts[1] };

static void file(const char *text, uint8_t digest[32])
{
	struct err e;

	digest_of(bytes_str(text), digest);
	ck_assert_int_eq(files_put(files_fanout(ctx, dir, digest), bytes_str(text), &e), OK);
}

static void setup(void)
{
	strcpy(dir, "/tmp/p2pmem.XXXXXX");
	ck_assert(mkdtemp(dir) != NULL);
	ctx = mem_ctx(NULL);
	m = members_new(dir, dir);
	members_awake(m);
	file("sealed", hash);
	row = (struct replica){ .owner = "ann@home", .listed = true, .body = true };
	memcpy(row.hash, hash, 32);
	for (int i = 0; i < 2; i++) {
		rcpts[i] = (struct replica_rcpt){ .owner = "ann@home", .expires_s = clock_now_s() + 100, .value = bytes_str("ns") };
		memset(t_get[i], i + 1, 32);
		proof_commitment(t_get[i], rcpts[i].c_get);
		memset(rcpts[i].proof, 0x50 + i, 32);
	}
}

static int forget(const char *path, const struct stat *sb, int type, struct FTW *f)
{
	(void)sb, (void)type, (void)f;
	return remove(path);
}

static void teardown(void)
{
	members_free(&m);
	talloc_free(ctx);
	nftw(dir, forget, 16, FTW_DEPTH | FTW_PHYS);
}

static enum members_answer get(const uint8_t token[32], const char *owner_out)
{
	struct members_pass pass;
	enum members_answer res = members_open_http(m, ctx, hash, token, MEMBERS_BODY, &pass);

	if (res == MEMBERS_OPEN) {
		ck_assert_uint_eq(pass.size, 6);
		close(pass.fd);
		if (owner_out)
			ck_assert_str_eq(pass.owner, owner_out);
	}
	return res;
}

static const char *full(const char *name)
{
	return talloc_asprintf(ctx, "%s@%s", name, strcmp(name, "dan") == 0 ? "friends" : strcmp(name, "erin") == 0 ? "work" : "home");
}

START_TEST(authorization)
{
	const struct member_fellow who[] = { { "ann@home", 1, 1 }, { "bob@home", 3, 1 }, { "dan@friends", 2, 2 }, { "erin@work", 2, 2 } };
	uint8_t token[32] = { 1 }, other[32] = { 2 };
	struct member_request r = { .method = "GET", .path = "/outbox/msglist", .now_s = clock_now_s() };
	char out[LIMIT_ADDRESS + 1];

	digest_of(bytes_of(NULL, 0), r.body);
	char *good = member_auth_print(ctx, token, "bob@home", &r);
	ck_assert(!members_check_http(m, good, &r, out));
	members_set(m, who, 2, token);
	ck_assert(members_check_http(m, good, &r, out));
	ck_assert_str_eq(out, "bob@home");
	ck_assert(!members_check_http(m, NULL, &r, out));
	ck_assert(!members_check_http(m, "P2pMTA AAAA", &r, out));
	ck_assert(!members_check_http(m, member_auth_print(ctx, other, "bob@home", &r), &r, out));
	ck_assert(!members_check_http(m, member_auth_print(ctx, token, "eve@home", &r), &r, out));
	r.path = "/replica/ann@home/msglist";
	ck_assert(!members_check_http(m, good, &r, out));
	members_set(m, who, 1, token);
	r.path = "/outbox/msglist";
	ck_assert(!members_check_http(m, good, &r, out));
	/* About whose outbox: within the group that holds it. */
	members_set(m, who, 4, token);
	for (const char *const *c = (const char *const[]){
	    "ann", "", "bob", "", "ann", "bob@home", "bob", "ann@home", "bob", "dan@friends", "erin", "dan@friends",
	    "dan", "dan@friends", NULL }; *c != NULL; c += 2)
		ck_assert_msg(members_may_ask(m, full(c[0]), c[1]), "%s asks about %s", c[0], c[1]);
	for (const char *const *c = (const char *const[]){
	    "dan", "", "erin", "", "ann", "dan@friends", "erin", "ann@home", "erin", "bob@home", "eve", "", "eve", "ann@home",
	    "ann", "eve@home", NULL }; *c != NULL; c += 2)
		ck_assert_msg(!members_may_ask(m, full(c[0]), c[1]), "%s asks about %s", c[0], c[1]);
	members_set(m, NULL, 0, token);
	ck_assert(!members_may_ask(m, "ann@home", ""));
	ck_assert(!members_check_http(m, member_auth_print(ctx, token, "ann@home", &r), &r, out));
}
END_TEST

START_TEST(lists)
{
	uint64_t serial;

	ck_assert_uint_eq(members_list_http(m, ctx, "", &serial).len, 0);
	ck_assert_uint_eq(members_list_http(m, ctx, NULL, &serial).len, 0);
	members_greeting_set(m, bytes_str("hello"));
	members_list_set(m, "", bytes_str("ours"), 7);
	members_list_set(m, "ann@home", bytes_str("hers"), 8);
	ck_assert_str_eq((const char *)members_list_http(m, ctx, NULL, &serial).data, "hello");
	ck_assert_str_eq((const char *)members_list_http(m, ctx, "", &serial).data, "ours");
	ck_assert_uint_eq(serial, 7);
	ck_assert_str_eq((const char *)members_list_http(m, ctx, "ann@home", &serial).data, "hers");
	ck_assert_uint_eq(serial, 8);
	members_owner_drop(m, "ann@home");
	ck_assert_uint_eq(members_list_http(m, ctx, "ann@home", &serial).len, 0);
}
END_TEST

static const struct { const char *name; enum replica_rcpt_state state; bool serve, body; int64_t expires_s; enum members_answer want; } gets[] = {
	{ "pending",             REPLICA_PENDING,  true,  true,  100, MEMBERS_OPEN },
	{ "not known to be good", REPLICA_PENDING, false, true,  100, MEMBERS_LATER },
	{ "m' is not here",      REPLICA_PENDING,  true,  false, 100, MEMBERS_NONE },
	{ "expired",             REPLICA_PENDING,  true,  true,  0,   MEMBERS_NONE },
	{ "received",            REPLICA_GOT,      true,  true,  100, MEMBERS_NONE },
	{ "declined",            REPLICA_DECLINED, true,  true,  100, MEMBERS_NONE },
	{ "withdrawn",           REPLICA_RECALLED, true,  true,  100, MEMBERS_GONE },
	{ "withdrawn, list old", REPLICA_RECALLED, false, false, 100, MEMBERS_GONE },
};

START_TEST(get_table)
{
	rcpts[0].state = gets[_i].state;
	rcpts[0].expires_s = clock_now_s() + gets[_i].expires_s;
	row.body = gets[_i].body;
	members_replica_set(m, &row, ptrs, 2);
	members_serve(m, "ann@home", gets[_i].serve);
	ck_assert_msg(get(t_get[0], "ann@home") == gets[_i].want, "case '%s'", gets[_i].name);
	ck_assert_int_eq(get(hash, NULL), MEMBERS_NONE);
	if (gets[_i].serve && gets[_i].body)
		ck_assert_int_eq(get(t_get[1], NULL), MEMBERS_OPEN);
	ck_assert(members_may_send_http(m, "ann@home", hash, rcpts[0].c_get) == (gets[_i].state != REPLICA_RECALLED));
	members_replica_drop(m, "ann@home", hash);
	ck_assert_int_eq(get(t_get[1], NULL), MEMBERS_NONE);
	ck_assert(!members_may_send_http(m, "ann@home", hash, rcpts[0].c_get));
}
END_TEST

/* What one owner says of an h is nothing to another owner's. */
START_TEST(two_owners)
{
	struct replica other = row;

	members_serve(m, "ann@home", true);
	members_serve(m, "eve@home", true);
	members_replica_set(m, &row, ptrs, 1);
	other.owner = "eve@home";
	rcpts[1].owner = "eve@home";
	members_replica_set(m, &other, &ptrs[1], 1);
	ck_assert_int_eq(get(t_get[0], "ann@home"), MEMBERS_OPEN);
	ck_assert_int_eq(get(t_get[1], "eve@home"), MEMBERS_OPEN);
	rcpts[1].state = REPLICA_RECALLED;
	members_replica_set(m, &other, &ptrs[1], 1);
	ck_assert_int_eq(get(t_get[0], "ann@home"), MEMBERS_OPEN);
	ck_assert_int_eq(get(t_get[1], NULL), MEMBERS_GONE);
	members_owner_drop(m, "ann@home");
	ck_assert_int_eq(get(t_get[0], NULL), MEMBERS_NONE);
	ck_assert_int_eq(get(t_get[1], NULL), MEMBERS_GONE);
	members_replica_set(m, &row, ptrs, 1);
	members_owner_drop(m, "eve@home");
	members_serve(m, "ann@home", true);
	ck_assert_int_eq(get(t_get[0], NULL), MEMBERS_OPEN);
}
END_TEST

START_TEST(held)
{
	struct bytes text;
	char hex[DIGEST_HEX], proof[DIGEST_HEX], c_get[DIGEST_HEX];

	ck_assert(!members_held_http(m, ctx, "ann@home", &text));
	members_list_set(m, "ann@home", bytes_str("list"), 8);
	rcpts[0].state = REPLICA_GOT;
	rcpts[1].served = true;
	members_replica_set(m, &row, ptrs, 2);
	ck_assert(members_held_http(m, ctx, "ann@home", &text));
	hex_print(bytes_of(hash, 32), hex);
	hex_print(bytes_of(rcpts[0].proof, 32), proof);
	hex_print(bytes_of(rcpts[1].c_get, 32), c_get);
	ck_assert_str_eq((const char *)text.data, mem_printf(ctx, "serial 8\n%s\n+ %s\n! %s %s\n", hex, proof, hex, c_get));
	/* The owner knows of the receipt: he names the recipient no more. Not whole: new notices are listed. */
	rcpts[0].value = bytes_of(NULL, 0);
	rcpts[1].served = false;
	row.notices_hash[0] = 1;
	members_replica_set(m, &row, ptrs, 2);
	ck_assert(members_held_http(m, ctx, "ann@home", &text));
	ck_assert_str_eq((const char *)text.data, "serial 8\n");
}
END_TEST

/* What is refused before its first octet. */
START_TEST(wanted)
{
	members_quota(m, 20);
	row.body = false;
	row.sealed_size = 6;
	memset(row.notices_hash, 1, 32);
	members_replica_set(m, &row, ptrs, 2);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_NOTICES, 100), MEMBERS_WANT);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_BODY, 6), MEMBERS_UNKNOWN);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_HEAD, 5), MEMBERS_UNKNOWN);
	memset(row.noticed, 1, 32);
	row.has_head = true;
	row.head_size = 5;
	members_replica_set(m, &row, ptrs, 2);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_NOTICES, 100), MEMBERS_HAVE);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_BODY, 7), MEMBERS_WRONG);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_HEAD, 4), MEMBERS_WRONG);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_HEAD, 5), MEMBERS_WANT);
	members_coming_set(m, "ann@home", hash, true);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_BODY, 6), MEMBERS_COMING);
	members_coming_set(m, "ann@home", hash, false);
	/* Room is kept for what is on its way: three times 6 fit into 20, a head and its body do not fit beside two. */
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_BODY, 6), MEMBERS_WANT);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_BODY, 6), MEMBERS_WANT);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_HEAD, 5), MEMBERS_FULL);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_BODY, 6), MEMBERS_WANT);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_BODY, 6), MEMBERS_FULL);
	for (int i = 0; i < 3; i++)
		members_release_http(m, 6);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_HEAD, 5), MEMBERS_WANT);
	/* What is here counts, until it goes. */
	row.body = true;
	members_replica_set(m, &row, ptrs, 2);
	members_replica_set(m, &row, ptrs, 2);
	row.owner = "bob@home";
	row.body = false;
	members_replica_set(m, &row, ptrs, 2);
	ck_assert_int_eq(members_want_http(m, "bob@home", hash, MEMBERS_HEAD, 5), MEMBERS_FULL);
	members_owner_drop(m, "ann@home");
	ck_assert_int_eq(members_want_http(m, "bob@home", hash, MEMBERS_HEAD, 5), MEMBERS_WANT);
}
END_TEST

START_TEST(for_members)
{
	const struct member_fellow who[] = { { "ann@home", 1, 1 }, { "bob@home", 1, 1 }, { "dan@friends", 2, 2 } };
	struct members_pass pass;

	members_set(m, who, 3, hash);
	file("notices", row.noticed);
	memcpy(row.notices_hash, row.noticed, 32);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_BODY, 6), MEMBERS_UNKNOWN);
	members_replica_set(m, &row, ptrs, 2);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_BODY, 6), MEMBERS_HAVE);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_NOTICES, 6), MEMBERS_HAVE);
	ck_assert_int_eq(members_want_http(m, "eve@home", hash, MEMBERS_BODY, 6), MEMBERS_UNKNOWN);
	/* Members serve each other also when recipients have to wait. */
	ck_assert_int_eq(members_open_member_http(m, ctx, "bob@home", hash, MEMBERS_BODY, &pass), MEMBERS_OPEN);
	close(pass.fd);
	ck_assert_int_eq(members_open_member_http(m, ctx, "bob@home", hash, MEMBERS_NOTICES, &pass), MEMBERS_OPEN);
	ck_assert_uint_eq(pass.size, 7);
	close(pass.fd);
	ck_assert_int_eq(members_open_member_http(m, ctx, "dan@friends", hash, MEMBERS_BODY, &pass), MEMBERS_NONE);
	ck_assert_int_eq(members_open_member_http(m, ctx, "bob@home", hash, MEMBERS_HEAD, &pass), MEMBERS_NONE);
	row.body = false;
	row.notices_hash[0] ^= 1;
	row.sealed_size = 6;
	members_quota(m, 6);
	members_replica_set(m, &row, ptrs, 2);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_BODY, 6), MEMBERS_WANT);
	ck_assert_int_eq(members_open_member_http(m, ctx, "bob@home", hash, MEMBERS_BODY, &pass), MEMBERS_NONE);
	row.listed = false;
	members_replica_set(m, &row, ptrs, 2);
	ck_assert_int_eq(members_want_http(m, "ann@home", hash, MEMBERS_BODY, 6), MEMBERS_UNKNOWN);
	/* Our own notices object. */
	members_replica_drop(m, "ann@home", hash);
	members_notices_set(m, hash, row.noticed);
	ck_assert_int_eq(members_open_member_http(m, ctx, "bob@home", hash, MEMBERS_NOTICES, &pass), MEMBERS_OPEN);
	close(pass.fd);
	members_notices_set(m, hash, NULL);
	ck_assert_int_eq(members_open_member_http(m, ctx, "bob@home", hash, MEMBERS_NOTICES, &pass), MEMBERS_NONE);
}
END_TEST

UNIT_SUITE("members")
	tcase_add_checked_fixture(unit_case, setup, teardown);
	UNIT(authorization);
	UNIT(lists);
	UNIT_LOOP(get_table, gets);
	UNIT(two_owners);
	UNIT(held);
	UNIT(wanted);
	UNIT(for_members);
UNIT_END
