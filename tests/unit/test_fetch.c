/*
 * Pulls from real HTTP servers with holders of every kind. What opens m' is
 * replaced by one who only reads it and does what the test wants, gpg being
 * asked in test_pgp.c; a large m' reaches him while it arrives.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "tests/unit/holders.h"
#include "tests/unit/turns.h"
#include "way/fetch/fetch.h"

enum { SMALL = 300 * 1024, LARGE = 5 * 1024 * 1024 - 1000, CHANGED_AT = 200000, N_STALLED = 8 };
/* Shorter than for people: there are many rows. */
enum { HEDGE_MS = 250 };

static void *ctx;
static char dir[] = "/tmp/fetch.XXXXXX";
static struct pool *pool;
static struct http_server *server;
static struct http_client *client;
static struct fetch *fetch;

/* m'; and one that only the holder "small" has. Set before anything turns. */
static struct bytes sealed, small;

/* How he who opens behaves. */
enum opener { OPENS, REFUSES_EARLY, REFUSES_CHANGED, FAILS_EARLY, LINGERS };
static enum opener opener;
/* What the head object lists. */
#define HEAD "the head object"
enum list { LIST_GOOD, LIST_WRONG, LIST_SHORT, LIST_BAD_HEAD };
static enum list listed;
static atomic_int n_opened, n_not_whole;

static int n_got, n_unwanted;
static uint64_t got_ids;		/* a bit for each */
static enum outcome got_res;
static char got_reason[300], got_from[300];
static bool got_recalled, got_heard;

/* A well framed m' without any sense. */
static struct bytes make_sealed(size_t size, bool misframed)
{
	static const uint8_t skesk[] = { 0x8c, 4, 4, 9, 0, 8 };
	size_t body = size - sizeof(skesk) - 6 - (misframed ? 3 : 0);
	uint8_t head[] = { 0xd2, 0xff, (uint8_t)(body >> 24), (uint8_t)(body >> 16), (uint8_t)(body >> 8), (uint8_t)body, 1 };

	uint8_t *m = mem_array(ctx, uint8_t, size);

	for (size_t i = 0; i < size; i++)
		m[i] = (uint8_t)(i * 7 + (i >> 8));
	memcpy(m, skesk, sizeof(skesk));
	memcpy(m + sizeof(skesk), head, sizeof(head));
	return bytes_of(m, size);
}

/* /HOLDER/outbox/HASH: what a holder of that kind has. */
static void answer(void *arg, const struct http_request *r, struct http_answer *a)
{
	struct bytes m = strncmp(r->path, "/small/", 7) == 0 ? small : sealed;
	uint8_t *copy = mem_dup(a->ctx, m.data, m.len);
	size_t size = m.len;

	(void)arg;
	if (strncmp(r->path, "/none/", 6) == 0)
		return;
	if (strncmp(r->path, "/changed/", 9) == 0)
		copy[CHANGED_AT] ^= 1;
	else if (strncmp(r->path, "/unframed/", 10) == 0)
		copy[0] = 'x';
	else if (strncmp(r->path, "/short/", 7) == 0)
		size -= 1;
	a->status = 200;
	a->body = bytes_of(copy, size);
}

static enum outcome refuse(struct err *e, enum outcome res)
{
	err_set(e, "refused by him who opens");
	return res;
}

static enum outcome unseal_work(const void *job, struct pgp *pgp, const struct fetch_sealed *in, const char *inbox,
    const struct fetch_order *o, struct mime **out, struct err *e)
{
	uint8_t block[10000], hash[DIGEST_LEN];
	char *path = mem_printf(NULL, "/proc/self/fd/%d", in->fd);
	int fd = open(path, O_RDONLY);
	struct digest *d = digest_new(job);
	uint64_t at = 0;
	ssize_t n;

	(void)pgp, (void)inbox, (void)out;
	talloc_free(path);
	n_opened++;
	while ((n = read(fd, block, sizeof(block))) > 0) {
		enum outcome res = opener == FAILS_EARLY ? RETRY : REJECT;
		bool changed = at <= CHANGED_AT && CHANGED_AT < at + (uint64_t)n && block[CHANGED_AT - at] != sealed.data[CHANGED_AT];

		digest_add(d, block, (size_t)n);
		at += (uint64_t)n;
		if (at > 100000 && (opener == REFUSES_EARLY || opener == FAILS_EARLY || (opener == REFUSES_CHANGED && changed))) {
			close(fd);
			return refuse(e, res);
		}
	}
	close(fd);
	holders_all.opened = 1;
	while (opener == LINGERS && !holders_all.over && n_opened == 1)
		usleep(1000);
	if (!in->whole) {
		n_not_whole++;
		return refuse(e, RETRY);
	}
	digest_take(d, hash);
	return memcmp(hash, o->hash, sizeof(hash)) == 0 ? OK : refuse(e, REJECT);
}

static enum outcome unseal_head_work(const void *job, struct pgp *pgp, struct bytes octets, const struct fetch_order *o,
    struct head **out, struct err *e)
{
	uint64_t piece = head_piece_size(sealed.len);
	size_t n = (size_t)((sealed.len + piece - 1) / piece);
	struct head *head = mem_zero(job, struct head);
	uint8_t *hashes = mem_array(head, uint8_t, n * DIGEST_LEN);

	(void)pgp;
	if (listed == LIST_BAD_HEAD)
		return refuse(e, REJECT);
	ck_assert(bytes_equal(octets, bytes_str(HEAD)));
	for (size_t i = 0; i < n; i++)
		digest_of(bytes_of(sealed.data + i * piece, i + 1 < n ? piece : sealed.len - i * piece), hashes + i * DIGEST_LEN);
	if (listed == LIST_WRONG)
		random_fill(hashes, n * DIGEST_LEN);
	memcpy(head->hash, o->hash, sizeof(head->hash));
	head->skeleton.parts = "";
	head->piece_size = piece;
	head->pieces = bytes_of(hashes, (listed == LIST_SHORT ? n - 1 : n) * DIGEST_LEN);
	*out = head;
	return OK;
}

static void on_got(void *arg, const struct fetch_result *r)
{
	(void)arg;
	got_res = r->res;
	snprintf(got_reason, sizeof(got_reason), "%s", r->reason);
	snprintf(got_from, sizeof(got_from), "%s", r->from);
	got_recalled = r->recalled;
	got_heard = r->heard;
	got_ids |= UINT64_C(1) << (r->id % 64);
	n_got++;
}

static void on_unwanted(void *arg, const uint8_t digest[32])
{
	(void)arg, (void)digest;
	n_unwanted++;
}

static void set_up(void)
{
	const char *listen[] = { "127.0.0.1:0" }, *own[] = { "http://127.0.0.1:1" };
	struct http_server_settings settings = { .listen = listen, .n_listen = 1, .max_body = 1000 };
	struct http_client_settings client_settings = { own, 1, "test" };
	struct fetch_hooks hooks = { on_got, on_got, on_unwanted, NULL };
	struct err e;

	ctx = mem_ctx(NULL);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	turns_begin();
	pool = pool_new(loop, 2, &e);
	server = http_server_new(&settings, answer, NULL, &e);
	ck_assert_msg(server != NULL, "%s", e.text);
	client = http_client_new(loop, &client_settings, &e);
	struct fetch_parts parts = { loop, pool, NULL, client, dir, HEDGE_MS, unseal_work, unseal_head_work };

	fetch = fetch_start(&parts, &hooks, &e);
	ck_assert_ptr_nonnull(fetch);
}

static void tear_down(void)
{
	pool_free(&pool);
	fetch_stop(&fetch);
	http_client_free(&client);
	http_server_free(&server);
	turns_end();
	/* No name was left behind. */
	ck_assert_int_eq(rmdir(dir), 0);
	talloc_free(ctx);
}

/* holders: words, KIND and a number; m from 127.0.0.1:PORT. Below ctx. */
static struct fetch_source *sources_of(const char *holders, unsigned port, size_t *n_out)
{
	struct fetch_source *list = mem_zero_array(ctx, struct fetch_source, 32);
	char *words = mem_strdup(ctx, holders), *save;
	size_t n = 0;

	for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save), n++)
		list[n] = (struct fetch_source){
			.url = mem_printf(ctx, "http://127.0.0.1:%u/%s", port, w), .who = mem_printf(ctx, "%s@home", w),
			.holder = n > 0,
		};
	*n_out = n;
	return list;
}

static struct fetch_order order_of(uint64_t id, struct bytes m, const char *holders, unsigned port)
{
	struct fetch_order o = { .id = id, .sender = "sender@home", .fpr = "F", .patience_ms = 10000, .sealed_size = m.len };

	o.sources = sources_of(holders, port, &o.n_sources);
	memset(o.t_recall, 7, sizeof(o.t_recall));
	digest_of(m, o.hash);
	return o;
}

static void pull(uint64_t id, struct bytes m, const char *holders, unsigned port)
{
	struct fetch_order o = order_of(id, m, holders, port);

	ck_assert(fetch_body(fetch, &o));
	ck_assert(!fetch_body(fetch, &o));
}

static const struct row {
	const char *name, *holders;
	enum opener opener;
	bool misframed;
	enum outcome want;
	const char *reason;
} rows[] = {
	{ "a good one", "good", OPENS, false, OK, "" },
	{ "octets changed, then good", "changed good", OPENS, false, OK, "" },
	{ "refused because it was changed, then good", "changed good", REFUSES_CHANGED, false, OK, "" },
	{ "all changed", "changed changed", REFUSES_CHANGED, false, RETRY, "not the message" },
	{ "cut short, then good", "short good", OPENS, false, OK, "" },
	{ "does not have it, then good", "none good", OPENS, false, OK, "" },
	{ "nobody has it", "none none", OPENS, false, RETRY, "does not offer" },
	{ "no OpenPGP, then good", "unframed good", OPENS, false, OK, "" },
	{ "something behind the last packet", "changed good", OPENS, true, REJECT, "framing" },
	{ "gpg refuses before the end", "good", REFUSES_EARLY, false, REJECT, "refused by him" },
	{ "our own trouble before the end", "good", FAILS_EARLY, false, RETRY, "refused by him" },
};

static void check_row(const struct row *r, size_t size)
{
	sealed = make_sealed(size, r->misframed);
	opener = r->opener;
	pull(1, sealed, r->holders, http_server_port(server));
	turns_until(&n_got, 1);
	ck_assert_msg(got_res == r->want, "case '%s': %d %s", r->name, got_res, got_reason);
	ck_assert_msg(strstr(got_reason, r->reason) != NULL, "case '%s': %s", r->name, got_reason);
}

START_TEST(small_ones)
{
	check_row(&rows[_i], SMALL);
	/* Nobody opens what is not known to be right. */
	ck_assert_int_eq(n_not_whole, 0);
}
END_TEST

START_TEST(large_ones)
{
	check_row(&rows[_i], LARGE);
}
END_TEST

/* More than there are places. */
START_TEST(many)
{
	sealed = make_sealed(LARGE, false);
	for (uint64_t id = 1; id <= 2 * N_STALLED; id++)
		pull(id, sealed, "changed good", http_server_port(server));
	turns_until(&n_got, 2 * N_STALLED);
	ck_assert_int_eq(got_res, OK);
	/* The first ones; then who changes it is known. */
	ck_assert_int_gt(n_not_whole, 0);
	ck_assert_int_le(n_opened, 6 * N_STALLED);	/* on a slow machine he is asked beside others, too */
}
END_TEST

/* What the test waits for is counted on the loop. */
static int n_stalled;

static void on_turn(void *arg)
{
	(void)arg;
	n_stalled = n_opened;
}

static void on_tick(void *arg)
{
	struct timer **t = arg;

	timer_set(*t, 5);
}

/*
 * As many stalled holders as there are places: small mails go on, a large one
 * waits and goes on when one of them is given up, and nothing hangs at the end.
 */
START_TEST(stalled)
{
	struct timer *tick;

	sealed = make_sealed(LARGE, false);
	small = make_sealed(SMALL, false);
	unsigned port = holders_start(sealed);

	tick = timer_new(loop, on_tick, &tick);
	timer_set(tick, 5);
	loop_on_turn(loop, on_turn, NULL);
	for (uint64_t id = 1; id <= N_STALLED; id++)
		pull(id, sealed, "stall", port);
	turns_until(&n_stalled, N_STALLED);
	pull(100, sealed, "good", http_server_port(server));
	pull(101, small, "small", http_server_port(server));
	turns_until(&n_got, 1);
	ck_assert_int_eq(got_res, OK);
	ck_assert_int_eq(n_opened, N_STALLED + 1);

	n_got = 0;
	fetch_forget(fetch, 1);
	turns_until(&n_got, 1);
	ck_assert_msg(got_res == OK, "%s", got_reason);
	ck_assert_int_eq(n_opened, N_STALLED + 2);
	pool_free(&pool);
	fetch_stop(&fetch);		/* with seven of them under way */
	holders_stop();
	ck_assert_int_eq(n_got, 1);
	ck_assert_int_eq(n_unwanted, 0);
	ck_assert_int_eq(n_not_whole, N_STALLED);
	timer_free(&tick);
}
END_TEST

/* From the kinds of holders.h. */
struct race_row {
	const char *name, *holders;
	enum outcome want;
	const char *reason, *from;
};

static const struct race_row race_rows[] = {
	{ "beside a silent one", "silent good", OK, "", "good@home" },
	{ "beside one that stalls", "stall good", OK, "", "good@home" },
	{ "beside one that trickles", "drip good", OK, "", "good@home" },
	{ "beside one that trickles in the end", "fade good", OK, "", "good@home" },
	{ "beside one that trickles in the end, slowly", "fade slow", OK, "", "slow@home" },
	{ "one that trickles", "drip", RETRY, "too slow for 4 s", "" },
	{ "one that trickles in the end", "fade", RETRY, "too slow for 4 s", "" },
	{ "cut short, then good", "cut good", OK, "", "good@home" },
	{ "all silent", "silent silent2", RETRY, "silent2@home: no octet for 1 s", "" },
	{ "the only one, cut short once", "cutonce", OK, "", "cutonce@home" },
	{ "the only one, always cut short", "cut", RETRY, "broke off", "" },
	{ "busy and dead", "busy dead", RETRY, "dead@home: ", "" },
	{ "taken back", "recall good", RETRY, "taken back", "" },
	{ "a silent one that has it taken back", "silent recall", RETRY, "taken back", "" },
	{ "another 410", "gone good", OK, "", "good@home" },
};

static void check_race(const struct race_row *r, size_t size)
{
	struct fetch_order o;
	unsigned port;

	sealed = make_sealed(size, false);
	port = holders_start(sealed);
	o = order_of(1, sealed, r->holders, port);
	o.patience_ms = strstr(r->name, "trickles") != NULL ? 4000 : 1000;
	fetch_body(fetch, &o);
	turns_until(&n_got, 1);
	ck_assert_msg(got_res == r->want, "case '%s': %d %s", r->name, got_res, got_reason);
	ck_assert_msg(strstr(got_reason, r->reason) != NULL, "case '%s': %s", r->name, got_reason);
	ck_assert_msg(strcmp(got_from, r->from) == 0, "case '%s': %s", r->name, got_from);
	ck_assert_int_eq(got_recalled, strcmp(r->reason, "taken back") == 0);
	holders_stop();
}

START_TEST(small_races)
{
	check_race(&race_rows[_i], SMALL);
}
END_TEST

/* One that seemed lame has all of it, and while that is opened the other gets all of it, too: there is one winner. */
START_TEST(two_winners)
{
	sealed = make_sealed(SMALL, false);
	opener = LINGERS;
	pull(1, sealed, "wakes last", holders_start(sealed));
	turns_until(&n_got, 1);
	ck_assert_msg(got_res == OK, "%s", got_reason);
	ck_assert_str_eq(got_from, "wakes@home");
	ck_assert_int_eq(n_opened, 1);
	holders_stop();
}
END_TEST

START_TEST(large_races)
{
	check_race(&race_rows[_i], LARGE);
}
END_TEST

static const struct piece_row {
	const char *name, *holders;
	enum outcome want;
	const char *reason, *from;
	enum list list;
	enum opener opener;
	bool misframed;
} piece_rows[] = {
	{ .name = "one", .holders = "good", .want = OK, .from = "good@home 6" },
	{ .name = "one that lies, and a good one", .holders = "lie good", .want = OK, .from = "lie@home good@home 5" },
	{ .name = "one that lies", .holders = "lie", .want = RETRY, .reason = "not the message", .from = "lie@home" },
	{ .name = "one that sends too much, and a good one", .holders = "more good", .want = OK, .from = "more@home good@home 5" },
	{ .name = "one that knows no ranges, and a good one", .holders = "whole good", .want = OK },
	{ .name = "one that cuts short, and a good one", .holders = "cut good", .want = OK, .from = "cut@home good@home 5" },
	{ .name = "the only one, that cuts short once", .holders = "cutonce", .want = OK, .from = "cutonce@home 6" },
	{ .name = "one that takes one request at a time", .holders = "narrow", .want = OK, .from = "narrow@home 6" },
	{ .name = "one that stalls, and a good one", .holders = "stall good", .want = OK, .from = "good@home 6" },
	{ .name = "one that trickles, and a good one", .holders = "drip good", .want = OK, .from = "drip@home good@home 5" },
	{ .name = "one that trickles in the end, and a good one", .holders = "fade good", .want = OK, .from = "fade@home good@home 5" },
	{ .name = "one that trickles", .holders = "drip", .want = RETRY, .reason = "too slow" },
	{ .name = "one that is silent, and a good one", .holders = "silent good", .want = OK, .from = "good@home 6" },
	{ .name = "one that has it not, and a good one", .holders = "none good", .want = OK, .from = "good@home 6" },
	{ .name = "nobody has it", .holders = "none none2", .want = RETRY, .reason = "none2@home: this peer does not offer it" },
	{ .name = "nobody is there", .holders = "dead dead2", .want = RETRY, .reason = "dead2@home: " },
	{ .name = "taken back, says one", .holders = "good recall", .want = RETRY, .reason = "taken back" },
	{ .name = "a list that is wrong", .holders = "good", .want = OK, .list = LIST_WRONG },
	{ .name = "a list that is wrong, and one that lies", .holders = "lie good", .want = OK, .list = LIST_WRONG },
	{ .name = "a list too short", .holders = "good", .want = OK, .list = LIST_SHORT },
	{ .name = "a head that does not open", .holders = "good", .want = OK, .list = LIST_BAD_HEAD },
	{ .name = "no OpenPGP", .holders = "good", .want = REJECT, .reason = "framing", .misframed = true },
	{ .name = "gpg refuses before the end", .holders = "good good2", .want = REJECT, .reason = "refused by him",
	    .opener = REFUSES_EARLY },
	{ .name = "our own trouble before the end", .holders = "good", .want = RETRY, .reason = "refused by him",
	    .opener = FAILS_EARLY },
};

static struct fetch_order order_in_pieces(uint64_t id, const char *holders, unsigned port)
{
	struct fetch_order o = order_of(id, sealed, holders, port);

	o.head_size = strlen(HEAD);
	digest_of(bytes_str(HEAD), o.head_hash);
	return o;
}

START_TEST(in_pieces)
{
	const struct piece_row *r = &piece_rows[_i];
	struct fetch_order o;

	listed = r->list;
	opener = r->opener;
	sealed = make_sealed(LARGE, r->misframed);
	o = order_in_pieces(1, r->holders, holders_start(sealed));
	o.patience_ms = 5000;
	fetch_body(fetch, &o);
	turns_until(&n_got, 1);
	ck_assert_msg(got_res == r->want, "case '%s': %d %s", r->name, got_res, got_reason);
	ck_assert_msg(r->reason == NULL || strstr(got_reason, r->reason) != NULL, "case '%s': %s", r->name, got_reason);
	/* The head counts, too. */
	ck_assert_msg(r->from == NULL || strcmp(got_from, r->from) == 0, "case '%s': %s", r->name, got_from);
	holders_stop();
}
END_TEST

/* More than a window, four sources, and what may happen to one of them. */
static const struct many_row {
	const char *name, *other;
	int most;			/* pieces of it */
} many_rows[] = {
	{ "four good ones", "good4", 40 },
	{ "one dies in the middle", "dies", 7 },
	{ "one lies", "lie", 0 },
	{ "one is slow", "slow", 12 },
	{ "one stalls after some", "tires", 7 },
};

static int pieces_from(const char *who)
{
	const char *at = strstr(got_from, who);

	return at != NULL ? atoi(at + strlen(who) + 1) : 0;
}

START_TEST(from_four)
{
	const struct many_row *r = &many_rows[_i];
	struct fetch_order o;

	sealed = make_sealed(41 * MIB(1) + 12345, false);
	o = order_in_pieces(1, mem_printf(ctx, "good1 good2 good3 %s", r->other), holders_start(sealed));
	fetch_body(fetch, &o);
	turns_until(&n_got, 1);
	ck_assert_msg(got_res == OK, "case '%s': %s", r->name, got_reason);
	ck_assert_int_eq(n_opened, 1);
	/* How many is the scheduler's, on a busy machine. */
	for (int i = 1; i <= 3; i++)
		ck_assert_msg(pieces_from(mem_printf(ctx, "good%d@home", i)) > 0, "case '%s': %s", r->name, got_from);
	ck_assert_msg(pieces_from(mem_printf(ctx, "%s@home", r->other)) <= r->most, "case '%s': %s", r->name, got_from);
	holders_stop();
}
END_TEST

/* Who lied once comes last for an hour, and is asked when nobody else is left. */
START_TEST(remembered)
{
	unsigned port;
	int n;

	sealed = make_sealed(SMALL, false);
	port = holders_start(sealed);
	pull(1, sealed, "lieonce good", port);
	turns_until(&n_got, 1);
	ck_assert_str_eq(got_from, "good@home");
	n = holders_asked("lieonce");
	ck_assert_int_eq(n, 1);
	pull(2, sealed, "lieonce good", port);
	turns_until(&n_got, 2);
	ck_assert_str_eq(got_from, "good@home");
	ck_assert_int_eq(holders_asked("lieonce"), n);
	pull(3, sealed, "lieonce none", port);
	turns_until(&n_got, 3);
	ck_assert_str_eq(got_from, "lieonce@home");
	holders_stop();
}
END_TEST

/* While a silent one is waited for, and after all have failed. */
START_TEST(added)
{
	const char *const first[] = { "silent", "none", "" };
	struct fetch_source *more;
	struct fetch_order o;
	unsigned port;
	size_t n;

	sealed = make_sealed(LARGE, false);
	port = holders_start(sealed);
	o = order_in_pieces(1, first[_i], port);
	o.more = true;
	fetch_body(fetch, &o);
	turns_some(5);
	if (first[_i][0])
		while (holders_asked(first[_i]) < 1)
			turns_some(1);
	more = sources_of("stranger", port, &n);
	fetch_add_sources(fetch, "another@home", more, n);
	more = sources_of("silent good", port, &n);
	fetch_add_sources(fetch, "sender@home", more, n);
	turns_until(&n_got, 1);
	ck_assert_msg(got_res == OK, "%s", got_reason);
	ck_assert_str_eq(got_from, "good@home 6");
	ck_assert_int_eq(holders_asked("stranger"), 0);
	holders_stop();
}
END_TEST

/* At any moment. */
START_TEST(forgotten)
{
	unsigned port;

	sealed = make_sealed(LARGE, false);
	port = holders_start(sealed);
	for (uint64_t id = 1; id <= 40; id++) {
		struct fetch_order o = order_in_pieces(id, id % 2 ? "good silent good2" : "stall slow", port);

		fetch_body(fetch, &o);
		turns_some((int)id);
		if (id % 10 != 0)
			fetch_forget(fetch, id);
	}
	for (uint64_t id = 1; id <= 40; id++)
		ck_assert(id % 10 == 0 || !(got_ids >> id & 1));
	pool_free(&pool);
	fetch_stop(&fetch);
	holders_stop();
}
END_TEST

UNIT_SUITE("fetch")
{
	tcase_add_checked_fixture(unit_case, set_up, tear_down);
	UNIT_LOOP(small_ones, rows);
	UNIT_LOOP(large_ones, rows);
	UNIT(many);
	UNIT(stalled);
	UNIT_LOOP(small_races, race_rows);
	UNIT(two_winners);
	UNIT_LOOP(large_races, race_rows);
	UNIT_LOOP(in_pieces, piece_rows);
	UNIT_LOOP(from_four, many_rows);
	UNIT(remembered);
	tcase_add_loop_test(unit_case, added, 0, 3);
	UNIT(forgotten);
}
UNIT_END
