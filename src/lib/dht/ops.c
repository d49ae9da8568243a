/*
 * put, listen and get over OpenDHT.
 *
 * OpenDHT gives a value its id on its own thread when it runs the put, and
 * cancelling needs that id: so a put that is freed before its answer lives on
 * until the answer is here ("doomed") and is cancelled then.
 *
 * Puts take turns: a request that a node drops is sent again after a second,
 * so hundreds of puts at once would take longer. While OpenDHT is looking for
 * its first node it keeps them back and sends all of them then; so it does with
 * what it renews.
 *
 * What this node itself puts is also told to its own listens and gets, past
 * OpenDHT: that works without any other node, and where there is no IPv6, when
 * OpenDHT 2.4 forgets its local listeners.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/dht/internal.h"

enum { GET_VALUES = 256 };

struct dht_put {
	struct dht *dht;
	TAILQ_ENTRY(dht_put) entry;
	dht_infohash key;
	struct bytes octets;
	dht_value *value;
	struct hook *hook;		/* an answer is awaited */
	bool stored;			/* the last answer */
	bool answered;			/* done was called; again when `stored` turns true */
	bool doomed;
	struct put_queue *queue;	/* it waits in this one */
	TAILQ_ENTRY(dht_put) turn;
	void (*done)(void *arg, bool ok);
	void *arg;
};

struct dht_listen {
	struct dht *dht;
	LIST_ENTRY(dht_listen) entry;
	dht_infohash key;
	dht_op_token *token;
	struct hook *hook;
	void (*heard)(void *arg, struct bytes value);
	void *arg;
};

struct dht_get {
	struct dht *dht;
	LIST_ENTRY(dht_get) entry;
	struct hook *hook;
	struct timer *timer;
	bool ending;
	unsigned n_heard;
	void (*heard)(void *arg, struct bytes value);
	void (*done)(void *arg);
	void *arg;
};

static bool same_key(const dht_infohash *a, const dht_infohash *b)
{
	return memcmp(a->d, b->d, sizeof(a->d)) == 0;
}

static void trace(char dir, const char *verb, const dht_infohash *key, size_t len)
{
	char line[128], hex[2 * sizeof(key->d) + 1];

	if (!(trace_get() & TRACE_DHT))
		return;
	hex_print(bytes_of(key->d, sizeof(key->d)), hex);
	int n = snprintf(line, sizeof(line), "%s %s %zu", verb, hex, len);
	trace_line(TRACE_DHT, 0, dir, line, (size_t)n);
}

void dht_key_hash(const char *key, uint8_t out[DHT_HASH_LEN])
{
	dht_infohash hash;

	dht_infohash_get_from_string(&hash, key);
	static_assert(sizeof(hash.d) == DHT_HASH_LEN, "OpenDHT hashes to something else");
	memcpy(out, hash.d, DHT_HASH_LEN);
}

/* --- put --- */

static void put_free(struct dht_put *p)
{
	TAILQ_REMOVE(&p->dht->puts, p, entry);
	dht_value_unref(p->value);
	talloc_free(p);
}

static void put_cancel(struct dht_put *p)
{
	dht_runner_cancel_put(p->dht->runner, &p->key, dht_value_get_id(p->value));
}

static void put_on_over(void *owner, bool ok)
{
	struct dht_put *p = owner;

	bool news = !p->answered || (ok && !p->stored);

	p->hook = NULL;
	p->stored = ok;
	if (ok)
		nodes_answered(p->dht->nodes);
	else
		nodes_silent(p->dht->nodes);
	if (p->doomed) {
		put_cancel(p);
		put_free(p);
	} else if (news) {
		p->answered = true;
		if (p->done)
			p->done(p->arg, ok);
	}
}

static const struct hook_type put_type = { .on_over = put_on_over, .counted = true };

static void put_leave_queue(struct dht_put *p)
{
	if (p->queue)
		TAILQ_REMOVE(p->queue, p, turn);
	p->queue = NULL;
}

static void put_now(struct dht_put *p)
{
	struct dht *dht = p->dht;

	put_leave_queue(p);
	dht->put_ms[dht->n_sent++ % PUTS_MAX] = clock_mono_ms();
	trace('>', "put", &p->key, p->octets.len);
	p->hook = hook_new(dht, &put_type, p);
	dht_runner_put(dht->runner, &p->key, p->value, hook_on_done_dht, p->hook, true);
}

static struct dht_put *next_put(const struct dht *dht)
{
	return TAILQ_EMPTY(&dht->fresh) ? TAILQ_FIRST(&dht->repeats) : TAILQ_FIRST(&dht->fresh);
}

static void send_waiting(void *arg)
{
	struct dht *dht = arg;
	struct dht_put *p;
	int64_t pause_ms = 0;

	while ((p = next_put(dht))) {
		if (dht->n_sent >= PUTS_MAX)
			pause_ms = dht->put_ms[dht->n_sent % PUTS_MAX] + PUTS_MS - clock_mono_ms();
		if (pause_ms > 0)
			break;
		put_now(p);
	}
	if (p)
		timer_set(dht->turn, pause_ms);
}

static void put_queue(struct dht_put *p, struct put_queue *queue)
{
	if (p->queue)
		return;
	p->queue = queue;
	TAILQ_INSERT_TAIL(queue, p, turn);
	send_waiting(p->dht);
}

struct dht_put *dht_put_at_new(struct dht *dht, const uint8_t hash[DHT_HASH_LEN], struct bytes value,
    void (*done)(void *arg, bool ok), void *arg)
{
	struct dht_put *p = mem_zero(NULL, struct dht_put);

	assert(value.len > 0 && value.len <= LIMIT_DHT_VALUE - 512);
	p->dht = dht;
	memcpy(p->key.d, hash, DHT_HASH_LEN);
	p->octets = bytes_dup(p, value);
	p->value = dht_value_new(value.data, value.len);
	p->done = done;
	p->arg = arg;
	TAILQ_INSERT_TAIL(&dht->puts, p, entry);
	for (struct dht_listen *l = LIST_FIRST(&dht->listens); l; l = LIST_NEXT(l, entry)) {
		if (same_key(&l->key, &p->key))
			hook_echo(l->hook, p->octets);
	}
	put_queue(p, &dht->fresh);
	return p;
}

struct dht_put *dht_put_new(struct dht *dht, const char *key, struct bytes value,
    void (*done)(void *arg, bool ok), void *arg)
{
	uint8_t hash[DHT_HASH_LEN];

	dht_key_hash(key, hash);
	return dht_put_at_new(dht, hash, value, done, arg);
}

void dht_put_free(struct dht_put **pp)
{
	struct dht_put *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	trace('>', "end", &p->key, p->octets.len);
	p->done = NULL;
	p->doomed = true;
	put_leave_queue(p);
	if (!p->hook) {
		put_cancel(p);
		put_free(p);
	}
}

void dht_put_again(struct dht_put *p)
{
	if (p->hook || p->queue)
		return;		/* it is under way */
	/* Cancelled first: OpenDHT would do nothing for a value that it believes announced. */
	put_cancel(p);
	put_queue(p, &p->dht->repeats);
}

void ops_put_again(struct dht *dht)
{
	for (struct dht_put *p = TAILQ_FIRST(&dht->puts); p; p = TAILQ_NEXT(p, entry)) {
		if (!p->hook && !p->stored)
			put_queue(p, &dht->repeats);
	}
}

bool ops_putting(const struct dht *dht)
{
	for (const struct dht_put *p = TAILQ_FIRST(&dht->puts); p; p = TAILQ_NEXT(p, entry)) {
		if (p->hook && !p->doomed)
			return true;
	}
	return false;
}

/* --- listen --- */

static void listen_on_value(void *owner, struct bytes value)
{
	struct dht_listen *l = owner;

	trace('<', "heard", &l->key, value.len);
	l->heard(l->arg, value);
}

static void listen_on_over(void *owner, bool ok)
{
	/* OpenDHT dropped it by itself: only when its runner ends. */
	struct dht_listen *l = owner;

	(void)ok;
	l->hook = NULL;
}

static const struct hook_type listen_type = {
	.on_value = listen_on_value,
	.on_over = listen_on_over,
};

/* What we put ourselves under this key. */
static void echo_puts(struct dht *dht, const dht_infohash *key, struct hook *h)
{
	for (struct dht_put *p = TAILQ_FIRST(&dht->puts); p; p = TAILQ_NEXT(p, entry)) {
		if (!p->doomed && same_key(key, &p->key))
			hook_echo(h, p->octets);
	}
}

struct dht_listen *dht_listen_new(struct dht *dht, const char *key,
    void (*heard)(void *arg, struct bytes value), void *arg)
{
	struct dht_listen *l = mem_zero(NULL, struct dht_listen);

	l->dht = dht;
	dht_infohash_get_from_string(&l->key, key);
	l->heard = heard;
	l->arg = arg;
	l->hook = hook_new(dht, &listen_type, l);
	LIST_INSERT_HEAD(&dht->listens, l, entry);
	trace('>', "listen", &l->key, 0);
	l->token = dht_runner_listen(dht->runner, &l->key, hook_on_listen_dht,
	    hook_on_shutdown_dht, l->hook);
	echo_puts(dht, &l->key, l->hook);
	return l;
}

static void listen_free(struct dht_listen *l)
{
	LIST_REMOVE(l, entry);
	dht_op_token_delete(l->token);
	talloc_free(l);
}

void dht_listen_free(struct dht_listen **lp)
{
	struct dht_listen *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	if (l->token)
		dht_runner_cancel_listen(l->dht->runner, &l->key, l->token);
	hook_leave(&l->hook);
	listen_free(l);
}

/* --- get --- */

static void get_free(struct dht_get *g)
{
	LIST_REMOVE(g, entry);
	timer_free(&g->timer);
	talloc_free(g);
}

static void get_end(struct dht_get *g)
{
	g->ending = true;
	timer_clear(g->timer);
	g->done(g->arg);
	get_free(g);
}

static void get_on_value(void *owner, struct bytes value)
{
	struct dht_get *g = owner;

	if (g->n_heard++ < GET_VALUES)
		g->heard(g->arg, value);
}

static void get_on_over(void *owner, bool ok)
{
	struct dht_get *g = owner;

	g->hook = NULL;
	if (ok)
		nodes_answered(g->dht->nodes);
	else
		nodes_silent(g->dht->nodes);
	get_end(g);
}

static const struct hook_type get_type = {
	.on_value = get_on_value,
	.on_over = get_on_over,
	.max_values = GET_VALUES,
};

static void get_on_timer(void *arg)
{
	struct dht_get *g = arg;

	hook_leave(&g->hook);
	get_end(g);
}

struct dht_get *dht_get_new(struct dht *dht, const char *key, int64_t timeout_ms,
    void (*heard)(void *arg, struct bytes value), void (*done)(void *arg), void *arg)
{
	struct dht_get *g = mem_zero(NULL, struct dht_get);
	dht_infohash hash;

	g->dht = dht;
	g->heard = heard;
	g->done = done;
	g->arg = arg;
	g->hook = hook_new(dht, &get_type, g);
	g->timer = timer_new(dht->loop, get_on_timer, g);
	timer_set(g->timer, timeout_ms);
	LIST_INSERT_HEAD(&dht->gets, g, entry);
	dht_infohash_get_from_string(&hash, key);
	trace('>', "get", &hash, 0);
	echo_puts(dht, &hash, g->hook);
	dht_runner_get(dht->runner, &hash, hook_on_value_dht, hook_on_done_dht, g->hook);
	return g;
}

void dht_get_free(struct dht_get **gp)
{
	struct dht_get *g = *gp;

	*gp = NULL;
	if (!g || g->ending)
		return;
	hook_leave(&g->hook);
	get_free(g);
}

static void put_moved(struct dht_put *p)
{
	p->hook = NULL;
	p->stored = false;
	put_leave_queue(p);
	if (p->doomed) {
		put_free(p);
		return;
	}
	/* The old one has an id that counts where we come from. */
	dht_value_unref(p->value);
	p->value = dht_value_new(p->octets.data, p->octets.len);
}

static void listen_moved(struct dht_listen *l, bool alive)
{
	dht_op_token_delete(l->token);
	l->token = NULL;
	l->hook = NULL;
	if (!alive)
		return;
	l->hook = hook_new(l->dht, &listen_type, l);
	l->token = dht_runner_listen(l->dht->runner, &l->key, hook_on_listen_dht, hook_on_shutdown_dht, l->hook);
}

void ops_moved(struct dht *dht, bool alive)
{
	struct dht_put *p, *next;
	struct dht_listen *l;
	struct dht_get *g;

	for (p = TAILQ_FIRST(&dht->puts); p; p = next) {
		next = TAILQ_NEXT(p, entry);
		put_moved(p);
	}
	/* After all of them: one that is queued may send another. */
	if (alive)
		ops_put_again(dht);
	LIST_FOREACH(l, &dht->listens, entry)
		listen_moved(l, alive);
	LIST_FOREACH(g, &dht->gets, entry) {
		g->hook = NULL;
		timer_set(g->timer, 0);
	}
}

void ops_init(struct dht *dht)
{
	TAILQ_INIT(&dht->puts);
	TAILQ_INIT(&dht->fresh);
	TAILQ_INIT(&dht->repeats);
	dht->turn = timer_new(dht->loop, send_waiting, dht);
}

void ops_free_all(struct dht *dht)
{
	struct dht_get *g;
	struct dht_listen *l;
	struct dht_put *p;

	while ((g = LIST_FIRST(&dht->gets)))
		get_free(g);
	while ((l = LIST_FIRST(&dht->listens)))
		listen_free(l);
	while ((p = TAILQ_FIRST(&dht->puts)))
		put_free(p);
	timer_free(&dht->turn);
}
