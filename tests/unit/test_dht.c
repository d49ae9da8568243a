/* Real OpenDHT nodes on loopback, in a network of their own, that find each other by bootstrap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/dht/internal.h"
#include "tests/unit/unit.h"

enum { PATIENCE_MS = 20000 };

static struct loop *loop;
static struct timer *tick;

static void on_tick(void *arg)
{
	(void)arg;
	timer_set(tick, 5);
}

static void set_up(void)
{
	struct err err;

	loop = loop_new(&err);
	ck_assert_ptr_nonnull(loop);
	tick = timer_new(loop, on_tick, NULL);
	timer_set(tick, 5);
}

static void tear_down(void)
{
	timer_free(&tick);
	loop_free(&loop);
}

/* Turn until *n reaches want. */
static const unsigned *awaited;
static unsigned wanted;
static int64_t deadline_ms;

static void on_turn(void *arg)
{
	(void)arg;
	if (*awaited >= wanted || clock_mono_ms() > deadline_ms)
		loop_stop(loop);
}

static void await_for(const unsigned *n, unsigned want, int64_t ms)
{
	static struct loop *hooked;

	awaited = n;
	wanted = want;
	deadline_ms = clock_mono_ms() + ms;
	if (hooked != loop)
		loop_on_turn(loop, on_turn, NULL);
	hooked = loop;
	if (*n < want)
		loop_run(loop);
}

static void await(const unsigned *n, unsigned want)
{
	await_for(n, want, PATIENCE_MS);
	ck_assert_msg(*n >= want, "waited for %u, saw %u", want, *n);
}

static void await_ready(struct dht *a)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	unsigned never = 0;

	while (!dht_is_ready(a) && clock_mono_ms() < end)
		await_for(&never, 1, 10);
	ck_assert(dht_is_ready(a));
}

static struct dht *node_at(unsigned port, unsigned friend_port)
{
	char address[32];
	const char *list[] = { address };
	struct dht_settings settings = {
		.port = port,
		.bootstrap = list,
		.n_bootstrap = friend_port != 0,
		.network = (uint32_t)getpid() + 1000,
	};
	struct err err = { "" };

	snprintf(address, sizeof(address), "127.0.0.1:%u", friend_port);
	struct dht *dht = dht_new(loop, &settings, &err);
	ck_assert_msg(dht != NULL, "%s", err.text);
	return dht;
}

struct ear {
	unsigned n, n_done;
	bool ok;
	char last[64];
	unsigned seen[64];	/* per first octet - 'a' */
	unsigned n_distinct;
	int64_t at_ms;
};

static void heard(void *arg, struct bytes value)
{
	struct ear *e = arg;

	e->n++;
	snprintf(e->last, sizeof(e->last), "%.*s", (int)value.len, (const char *)value.data);
	if (value.len && value.data[0] >= 'a' && value.data[0] <= 'z' && !e->seen[value.data[0] - 'a']++)
		e->n_distinct++;
}

static void put_done(void *arg, bool ok)
{
	struct ear *e = arg;

	e->n_done++;
	e->ok = ok;
}

static void get_done(void *arg)
{
	struct ear *e = arg;

	e->n_done++;
}

START_TEST(put_is_heard)
{
	struct ear e = { 0 }, p = { 0 };
	struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a));

	await_ready(b);
	await_ready(a);
	ck_assert_uint_eq(dht_nodes(b), 1);
	struct dht_listen *l = dht_listen_new(b, "k", heard, &e);
	struct dht_put *put = dht_put_new(a, "k", bytes_str("alpha"), put_done, &p);
	await(&e.n, 1);
	ck_assert_str_eq(e.last, "alpha");
	await(&p.n_done, 1);
	ck_assert(p.ok);
	dht_put_free(&put);
	ck_assert_ptr_null(put);
	dht_listen_free(&l);
	dht_free(&a);
	dht_free(&b);
	ck_assert_uint_eq(p.n_done, 1);
}
END_TEST

/* A holder knows where, not under which text. */
START_TEST(put_at_hash_is_heard)
{
	struct ear e = { 0 }, own = { 0 }, p = { 0 };
	struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a));
	uint8_t hash[DHT_HASH_LEN];

	await_ready(b);
	struct dht_listen *l = dht_listen_new(b, "p2pmta:ns:bob@home", heard, &e);
	struct dht_listen *l_own = dht_listen_new(a, "p2pmta:ns:bob@home", heard, &own);
	dht_key_hash("p2pmta:ns:bob@home", hash);
	struct dht_put *put = dht_put_at_new(a, hash, bytes_str("alpha"), put_done, &p);
	await(&e.n, 1);
	ck_assert_str_eq(e.last, "alpha");
	await(&own.n, 1);
	await(&p.n_done, 1);
	ck_assert(p.ok);
	dht_put_free(&put);
	dht_listen_free(&l);
	dht_listen_free(&l_own);
	dht_free(&a);
	dht_free(&b);
}
END_TEST

/* SHA-1, as others compute it. */
START_TEST(key_hash)
{
	static const char want[] = "c93d7d1dd03585293f00fcab9d64fbb4389b55c7";
	uint8_t hash[DHT_HASH_LEN];
	char hex[2 * DHT_HASH_LEN + 1];

	dht_key_hash("p2pmta:ns:bob@home", hash);
	hex_print(bytes_of(hash, sizeof(hash)), hex);
	ck_assert_str_eq(hex, want);
}
END_TEST

/* For people (the bound is generous: the machine may be busy): what a value takes from put to heard. */
START_TEST(put_to_heard_is_fast)
{
	enum { ROUNDS = 21 };
	struct ear e = { 0 };
	struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a));
	int64_t took[ROUNDS], best = INT64_MAX;
	struct dht_put *puts[ROUNDS];

	await_ready(b);
	await_ready(a);
	struct dht_listen *l = dht_listen_new(b, "k", heard, &e);
	for (int i = 0; i < ROUNDS; i++) {
		char octets[2] = { (char)('a' + i) };
		struct timespec t0, t1;

		clock_gettime(CLOCK_MONOTONIC, &t0);
		puts[i] = dht_put_new(a, "k", bytes_of(octets, 1), NULL, NULL);
		await(&e.n_distinct, (unsigned)i + 1);
		clock_gettime(CLOCK_MONOTONIC, &t1);
		took[i] = (t1.tv_sec - t0.tv_sec) * 1000000 + (t1.tv_nsec - t0.tv_nsec) / 1000;
		best = took[i] < best ? took[i] : best;
	}
	printf("put to heard: first %lld us, second %lld us, last %lld us, best %lld us\n", (long long)took[0],
	    (long long)took[1], (long long)took[ROUNDS - 1], (long long)best);
	ck_assert_msg(best < 100000, "best of %d took %lld us", ROUNDS, (long long)best);
	for (int i = 0; i < ROUNDS; i++)
		dht_put_free(&puts[i]);
	dht_listen_free(&l);
	dht_free(&b);
	dht_free(&a);
}
END_TEST

START_TEST(put_is_got)
{
	struct ear e = { 0 };
	struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a));

	await_ready(b);
	struct dht_put *put = dht_put_new(a, "k", bytes_str("alpha"), put_done, &e);
	await(&e.n_done, 1);
	struct dht_get *g = dht_get_new(b, "k", PATIENCE_MS, heard, get_done, &e);
	await(&e.n_done, 2);
	ck_assert_str_eq(e.last, "alpha");
	g = dht_get_new(b, "nothing here", PATIENCE_MS, heard, get_done, &e);
	ck_assert_ptr_nonnull(g);
	unsigned before = e.n;
	await(&e.n_done, 3);
	ck_assert_uint_eq(e.n, before);
	dht_put_free(&put);
	dht_free(&a);
	dht_free(&b);
}
END_TEST

/* Everything first, company later. */
START_TEST(newcomer_finds_what_was_before)
{
	struct ear la = { 0 }, lb = { 0 }, p = { 0 }, g = { 0 };
	struct dht *a = node_at(0, 0);
	struct dht_listen *listen_a = dht_listen_new(a, "to a", heard, &la);
	struct dht_put *put_a = dht_put_new(a, "to b", bytes_str("alpha"), put_done, &p);

	await(&p.n_done, 1);
	ck_assert(!p.ok);
	ck_assert(!dht_is_ready(a));
	ck_assert_uint_eq(dht_nodes(a), 0);

	int64_t begin = clock_mono_ms();
	struct dht *b = node_at(0, dht_port(a));
	struct dht_listen *listen_b = dht_listen_new(b, "to b", heard, &lb);
	await(&lb.n, 1);
	ck_assert_str_eq(lb.last, "alpha");
	printf("put before, heard %lld ms after the newcomer came\n", (long long)(clock_mono_ms() - begin));
	await_ready(a);
	ck_assert_uint_ge(dht_nodes(a), 1);

	struct dht_put *put_b = dht_put_new(b, "to a", bytes_str("beta"), NULL, NULL);
	await(&la.n, 1);
	ck_assert_str_eq(la.last, "beta");

	/* It was announced to the newcomer, not only found at the old node. */
	dht_put_free(&put_b);
	struct dht *c = node_at(0, dht_port(b));
	await_ready(c);
	dht_free(&a);
	dht_get_new(c, "to b", PATIENCE_MS, heard, get_done, &g);
	await(&g.n_done, 1);
	ck_assert_str_eq(g.last, "alpha");

	dht_listen_free(&listen_b);
	dht_free(&b);
	dht_free(&c);
	(void)listen_a;		/* gone with a */
	(void)put_a;
}
END_TEST

START_TEST(values_under_one_key)
{
	struct ear e = { 0 }, g = { 0 };
	struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a));
	struct dht_put *puts[20], *twin;

	await_ready(b);
	for (int i = 0; i < 20; i++) {
		uint8_t octets[3000];

		memset(octets, 'a' + i, sizeof(octets));
		puts[i] = dht_put_new(i % 2 ? a : b, "k", bytes_of(octets, sizeof(octets)), NULL, NULL);
	}
	twin = dht_put_new(a, "k", bytes_str("b"), NULL, NULL);
	struct dht_listen *l = dht_listen_new(b, "k", heard, &e), *l2 = dht_listen_new(b, "k", heard, &g);
	await(&e.n_distinct, 20);
	await(&g.n_distinct, 20);

	struct ear c = { 0 };
	dht_get_new(a, "k", PATIENCE_MS, heard, get_done, &c);
	await(&c.n_done, 1);
	ck_assert_uint_eq(c.n_distinct, 20);
	for (int i = 0; i < 20; i++)
		dht_put_free(&puts[i]);
	dht_put_free(&twin);
	dht_listen_free(&l);
	dht_listen_free(&l2);
	dht_free(&a);
	dht_free(&b);
}
END_TEST

/* Kept: renewed for a newcomer. Freed: a newcomer that does not meet the old storage nodes hears nothing. */
START_TEST(free_stops_renewal)
{
	struct ear p = { 0 }, e = { 0 };
	struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a));

	await_ready(b);
	struct dht_put *kept = dht_put_new(a, "k", bytes_str("a kept"), put_done, &p);
	struct dht_put *freed = dht_put_new(a, "k", bytes_str("b freed"), put_done, &p);
	struct dht_put *hasty = dht_put_new(a, "k", bytes_str("c freed at once"), put_done, &p);
	dht_put_free(&hasty);
	await(&p.n_done, 2);
	dht_put_free(&freed);
	dht_free(&b);

	struct dht *c = node_at(0, dht_port(a));
	await_ready(c);
	dht_get_new(c, "k", PATIENCE_MS, heard, get_done, &e);
	await(&e.n_done, 1);
	ck_assert_uint_eq(e.seen[0], 1);
	ck_assert_uint_eq(e.seen[1], 0);
	ck_assert_uint_eq(p.n_done, 2);		/* the hasty one never tells */
	dht_put_free(&kept);
	dht_free(&c);
	dht_free(&a);
}
END_TEST

/* More than a node takes from one address in a second: the rest has to wait, and is stored, too. */
START_TEST(many_puts_take_turns)
{
	enum { N = PUTS_MAX + 20, FREED = 10 };
	struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a));
	struct dht_put *puts[N];
	struct ear p = { 0 };
	char key[32];

	await_ready(a);
	for (int i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "one of many %d", i);
		puts[i] = dht_put_new(a, key, bytes_str("x"), put_done, &p);
	}
	ck_assert_uint_eq(a->n_sent, PUTS_MAX);
	for (int i = N - FREED; i < N; i++)
		dht_put_free(&puts[i]);
	dht_put_again(puts[N - FREED - 1]);
	ck_assert_uint_eq(a->n_sent, PUTS_MAX);
	await(&p.n_done, N - FREED);
	ck_assert(p.ok);
	ck_assert_uint_eq(a->n_sent, N - FREED);
	/* One that waits when all ends. */
	for (int i = 0; i < N; i++)
		dht_put_new(a, "one more", bytes_str("x"), put_done, &p);
	ck_assert(!TAILQ_EMPTY(&a->fresh));
	dht_free(&a);
	dht_free(&b);
}
END_TEST

START_TEST(node_returns_on_its_port)
{
	struct ear e = { 0 }, back = { 0 };
	struct dht *a = node_at(0, 0);
	unsigned port_a = dht_port(a);
	struct dht *b = node_at(0, port_a);
	unsigned port_b = dht_port(b);

	await_ready(b);
	struct dht_listen *l = dht_listen_new(a, "to a", heard, &e);
	struct dht_put *put = dht_put_new(a, "to b", bytes_str("alpha"), NULL, NULL);
	dht_free(&b);

	b = node_at(port_b, port_a);
	ck_assert_uint_eq(dht_port(b), port_b);
	struct dht_listen *lb = dht_listen_new(b, "to b", heard, &back);
	struct dht_put *pb = dht_put_new(b, "to a", bytes_str("beta"), NULL, NULL);
	int64_t begin = clock_mono_ms();
	await(&e.n, 1);
	await(&back.n, 1);
	printf("after a restart on the same port: %lld ms\n", (long long)(clock_mono_ms() - begin));
	dht_put_free(&put);
	dht_put_free(&pb);
	dht_listen_free(&l);
	dht_listen_free(&lb);
	dht_free(&a);
	dht_free(&b);
}
END_TEST

static dht_infohash id_of_a_node(const char *path)
{
	struct dht_settings settings = { .network = (uint32_t)getpid() + 1000, .id_path = path };
	struct err err = { "" };
	struct dht *dht = dht_new(loop, &settings, &err);

	ck_assert_msg(dht != NULL, "%s", err.text);
	dht_infohash id = dht_runner_get_node_id(dht->runner);
	dht_free(&dht);
	return id;
}

/* Else others keep its old self in their tables, and each of their searches waits for it. */
START_TEST(node_is_the_same_after_a_restart)
{
	static const char *const damaged[] = { "", "0123\n", "0123456789abcdef0123456789abcdef0123456", "0123456789abcdef0123456789abcdef0123456X\n" };
	char dir[] = "/tmp/dht.XXXXXX", path[32];
	struct err err;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/node", dir);
	dht_infohash first = id_of_a_node(path), again = id_of_a_node(path), other = id_of_a_node(NULL);
	ck_assert_mem_eq(first.d, again.d, DHT_HASH_LEN);
	ck_assert_mem_ne(first.d, other.d, DHT_HASH_LEN);
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		ck_assert(files_put(path, bytes_str(damaged[i]), &err) == OK);
		first = id_of_a_node(path);
		again = id_of_a_node(path);
		ck_assert_mem_eq(first.d, again.d, DHT_HASH_LEN);
	}
	files_drop(path);
	rmdir(dir);
}
END_TEST

/* The node that everybody bootstraps to was away: who stayed finds it again by itself, with puts and listens. */
START_TEST(bootstrap_node_returns)
{
	struct ear e = { 0 }, p = { 0 }, g = { 0 };
	struct dht *a = node_at(0, 0);
	unsigned port = dht_port(a);
	struct dht *b = node_at(0, port);

	await_ready(b);
	struct dht_put *put = dht_put_new(b, "from b", bytes_str("alpha"), put_done, &p);
	struct dht_listen *l = dht_listen_new(b, "to b", heard, &e);
	await(&p.n_done, 1);
	dht_free(&a);
	/* It notices when it asks for something. */
	dht_get_new(b, "else", 200, heard, get_done, &p);
	await(&p.n_done, 2);

	int64_t begin = clock_mono_ms();
	a = node_at(port, 0);
	struct dht_put *pa = dht_put_new(a, "to b", bytes_str("beta"), NULL, NULL);
	await(&e.n, 1);
	while (!g.n) {
		g.n_done = 0;
		dht_get_new(a, "from b", 2000, heard, get_done, &g);
		await(&g.n_done, 1);
		ck_assert(clock_mono_ms() - begin < PATIENCE_MS);
	}
	printf("bootstrap node back: %lld ms\n", (long long)(clock_mono_ms() - begin));
	dht_put_free(&pa);
	dht_put_free(&put);
	dht_listen_free(&l);
	dht_free(&b);
	dht_free(&a);
}
END_TEST

START_TEST(alone_one_hears_oneself)
{
	struct ear e = { 0 }, early = { 0 }, g = { 0 };
	struct dht *a = node_at(0, 1);	/* nobody lives there */

	struct dht_listen *l1 = dht_listen_new(a, "k", heard, &early);
	struct dht_put *put = dht_put_new(a, "k", bytes_str("alpha"), NULL, NULL);
	struct dht_listen *l2 = dht_listen_new(a, "k", heard, &e);
	dht_get_new(a, "k", 500, heard, get_done, &g);
	await(&early.n, 1);
	await(&e.n, 1);
	await(&g.n_done, 1);
	ck_assert_uint_ge(g.n, 1);
	ck_assert_str_eq(g.last, "alpha");
	ck_assert(!dht_is_ready(a));
	dht_listen_free(&l1);
	dht_listen_free(&l2);
	dht_put_free(&put);
	dht_free(&a);
}
END_TEST

START_TEST(get_gives_up)
{
	struct ear g = { 0 };
	struct dht *a = node_at(0, 1);
	int64_t begin = clock_mono_ms();

	dht_get_new(a, "k", 100, heard, get_done, &g);
	await(&g.n_done, 1);
	ck_assert_int_lt(clock_mono_ms() - begin, 3000);
	dht_free(&a);
	ck_assert_uint_eq(g.n_done, 1);
}
END_TEST

START_TEST(end_with_everything_open)
{
	struct ear e = { 0 };
	char key[16];

	for (int round = 0; round < 4; round++) {
		struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a));
		int64_t begin;

		if (round & 1)
			await_ready(b);
		for (int i = 0; i < 50; i++) {
			snprintf(key, sizeof(key), "k%d", i % 7);
			dht_put_new(b, key, bytes_str(key), put_done, &e);
			dht_put_new(a, key, bytes_str("a"), put_done, &e);
			dht_listen_new(b, key, heard, &e);
			dht_get_new(a, key, 60000, heard, get_done, &e);
			if (round & 2)
				await_for(&e.n, e.n + 1, 5);
		}
		begin = clock_mono_ms();
		dht_free(&a);
		dht_free(&b);
		ck_assert_int_lt(clock_mono_ms() - begin, 5000);
	}
}
END_TEST

struct self {
	struct ear ear;
	struct dht_listen *listen;
	struct dht_get *get;
	struct dht_put *put;
};

static void heard_and_freed(void *arg, struct bytes value)
{
	struct self *s = arg;

	heard(&s->ear, value);
	dht_listen_free(&s->listen);
	dht_get_free(&s->get);
	dht_put_free(&s->put);
}

static void never_done(void *arg)
{
	(void)arg;
	ck_abort_msg("done() after free");
}

START_TEST(freed_from_inside)
{
	struct ear p = { 0 };
	struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a));

	await_ready(b);
	struct dht_put *one = dht_put_new(b, "k", bytes_str("a"), put_done, &p);
	struct dht_put *two = dht_put_new(b, "k", bytes_str("b"), put_done, &p);
	await(&p.n_done, 2);
	struct self s = { 0 }, t = { 0 };
	s.listen = dht_listen_new(a, "k", heard_and_freed, &s);
	t.get = dht_get_new(a, "k", PATIENCE_MS, heard_and_freed, never_done, &t);
	t.put = dht_put_new(a, "k", bytes_str("c"), put_done, &p);
	await(&s.ear.n, 1);
	await(&t.ear.n, 1);
	/* A turn for whatever was on its way. */
	await_for(&p.n_done, 4, 50);
	ck_assert_uint_eq(s.ear.n, 1);
	ck_assert_uint_eq(t.ear.n, 1);
	dht_put_free(&one);
	dht_put_free(&two);
	dht_free(&a);
	dht_free(&b);
}
END_TEST

START_TEST(put_again)
{
	struct ear p = { 0 }, e = { 0 };
	struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a));

	await_ready(b);
	struct dht_put *put = dht_put_new(a, "k", bytes_str("alpha"), put_done, &p);
	dht_put_again(put);
	await(&p.n_done, 1);
	ck_assert(p.ok);
	struct dht_listen *l = dht_listen_new(b, "k", heard, &e);
	await(&e.n, 1);
	dht_put_again(put);
	dht_put_again(put);
	dht_get_new(b, "k", PATIENCE_MS, heard, get_done, &p);
	await(&p.n_done, 2);
	ck_assert_uint_ge(p.n, 1);
	dht_put_free(&put);
	dht_listen_free(&l);
	dht_free(&b);
	dht_free(&a);
}
END_TEST

/* More values than the door takes while the loop is busy: some are dropped, nothing breaks, polling finds more. */
START_TEST(strangers_flood)
{
	enum { MANY = 1500 };
	struct ear e = { 0 }, p = { 0 }, g = { 0 };
	struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a));
	static struct dht_put *puts[MANY];

	await_ready(b);
	struct dht_listen *l = dht_listen_new(b, "k", heard, &e);
	for (int i = 0; i < MANY; i++) {
		char octets[16];

		snprintf(octets, sizeof(octets), "%c %d", 'a' + i % 20, i);
		puts[i] = dht_put_new(a, "k", bytes_str(octets), put_done, &p);
	}
	await(&e.n_distinct, 20);
	dht_get_new(b, "k", PATIENCE_MS, heard, get_done, &g);
	await(&g.n_done, 1);
	ck_assert_uint_gt(g.n, 0);
	ck_assert_uint_le(g.n, 256);
	for (int i = 0; i < MANY; i++)
		dht_put_free(&puts[i]);
	dht_listen_free(&l);
	dht_free(&a);
	dht_free(&b);
}
END_TEST

START_TEST(bootstrap_by_name)
{
	char address[32];
	const char *list[] = { "[::1]:9", address };
	struct err err = { "" };
	struct dht *a = node_at(0, 0);

	snprintf(address, sizeof(address), "localhost:%u", dht_port(a));
	struct dht_settings settings = { .bootstrap = list, .n_bootstrap = 2, .network = (uint32_t)getpid() + 1000 };
	struct dht *b = dht_new(loop, &settings, &err);
	ck_assert_ptr_nonnull(b);
	await_ready(b);
	dht_free(&b);
	/* Ended while the resolver may still be at work. */
	b = dht_new(loop, &settings, &err);
	ck_assert_ptr_nonnull(b);
	await_for(&(unsigned){ 0 }, 1, 20);
	dht_free(&b);
	dht_free(&a);
}
END_TEST

START_TEST(what_cannot_start)
{
	struct err err = { "" };
	struct dht *a = node_at(0, 0), *b;
	const char *list[] = { "no port" };
	struct dht_settings settings = { .port = dht_port(a), .network = 1 };

	b = dht_new(loop, &settings, &err);
	ck_assert_ptr_null(b);
	ck_assert_msg(strstr(err.text, "port"), "%s", err.text);
	settings = (struct dht_settings){ .bootstrap = list, .n_bootstrap = 1, .network = 1 };
	b = dht_new(loop, &settings, &err);
	ck_assert_ptr_null(b);
	ck_assert_msg(strstr(err.text, "no port"), "%s", err.text);
	dht_free(&a);
	dht_free(&a);
}
END_TEST

/* Another network number is another world. */
/* Some wait for their turn, and when it has come there is another network: each goes there once. */
START_TEST(puts_that_wait_move)
{
	enum { N = PUTS_MAX + 30 };
	struct err err = { "" };
	char address[32], key[32];
	const char *list[] = { address };
	struct dht_settings other = { .network = 77 };
	struct dht *a = node_at(0, 0), *b = node_at(0, dht_port(a)), *c = dht_new(loop, &other, &err);
	struct dht_put *puts[N];
	struct ear p = { 0 };

	ck_assert_ptr_nonnull(c);
	await_ready(a);
	for (int i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "one that moves %d", i);
		puts[i] = dht_put_new(a, key, bytes_str("x"), put_done, &p);
	}
	for (int i = 0; i < PUTS_MAX; i++)
		a->put_ms[i] -= PUTS_MS;
	a->n_sent = PUTS_MAX;
	snprintf(address, sizeof(address), "127.0.0.1:%u", dht_port(c));
	other.bootstrap = list;
	other.n_bootstrap = 1;
	ck_assert_msg(dht_move(a, &other, &err), "%s", err.text);
	ck_assert_uint_eq(a->n_sent, 2 * PUTS_MAX);
	for (const struct hook *h = LIST_FIRST(&a->hooks); h; h = LIST_NEXT(h, entry))
		for (const struct hook *g = LIST_NEXT(h, entry); g; g = LIST_NEXT(g, entry))
			ck_assert_ptr_ne(h->owner, g->owner);
	p.n_done = 0;
	await(&p.n_done, N);
	for (int i = 0; i < N; i++)
		dht_put_free(&puts[i]);
	dht_free(&a);
	dht_free(&b);
	dht_free(&c);
}
END_TEST

START_TEST(networks_are_apart)
{
	struct err err = { "" };
	char address[32];
	const char *list[] = { address };
	struct dht *a = node_at(0, 0);
	struct dht_settings settings = { .bootstrap = list, .n_bootstrap = 1, .network = 77 };

	snprintf(address, sizeof(address), "127.0.0.1:%u", dht_port(a));
	struct dht *b = dht_new(loop, &settings, &err);
	await_for(&(unsigned){ 0 }, 1, 300);
	ck_assert(!dht_is_ready(b));
	ck_assert(!dht_is_ready(a));
	dht_free(&a);
	dht_free(&b);
}
END_TEST

UNIT_SUITE("dht")
{
	tcase_add_checked_fixture(unit_case, set_up, tear_down);
	UNIT(put_is_heard);
	UNIT(put_at_hash_is_heard);
	UNIT(key_hash);
	UNIT(put_to_heard_is_fast);
	UNIT(put_is_got);
	UNIT(newcomer_finds_what_was_before);
	UNIT(values_under_one_key);
	UNIT(free_stops_renewal);
	UNIT(many_puts_take_turns);
	UNIT(node_returns_on_its_port);
	UNIT(node_is_the_same_after_a_restart);
	UNIT(bootstrap_node_returns);
	UNIT(alone_one_hears_oneself);
	UNIT(get_gives_up);
	UNIT(end_with_everything_open);
	UNIT(freed_from_inside);
	UNIT(put_again);
	UNIT(strangers_flood);
	UNIT(bootstrap_by_name);
	UNIT(what_cannot_start);
	UNIT(puts_that_wait_move);
	UNIT(networks_are_apart);
}
UNIT_END
