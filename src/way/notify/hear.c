/*
 * What comes in. In this order, each step cheaper than the next: magic and
 * length, day, seen before, framing; then one worker job. A value is marked
 * as seen in the same transaction as what it led to; one that is held or
 * failed for a passing reason is not, and comes again with a later poll.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/mail/packets.h"
#include "lib/mail/value.h"
#include "way/notify/read.h"
#include "way/notify/state.h"

enum { READING_MAX = 1024, HELD_MAX = 256 };

/* A value that is being read, or that is held until the user decides about its signer. */
struct pending {
	uint8_t hash[32];
	char from[LIMIT_ADDRESS + 1];	/* of a held one */
	UT_hash_handle hh;
};

struct hearing {
	struct dht_listen *ns, *nr;
	struct dht_get *poll_ns, *poll_nr;
	struct timer *timer;
	struct pending *pending;
	struct pending *held;		/* oldest first; what is dropped comes again with a poll */
};

static void pending_drop(struct pending **table, struct pending *p)
{
	HASH_DELETE(hh, *table, p);
	talloc_free(p);
}

static void hold(struct hearing *h, struct pending *p, const char *from)
{
	HASH_DELETE(hh, h->pending, p);
	snprintf(p->from, sizeof(p->from), "%s", from);
	HASH_ADD(hh, h->held, hash, sizeof(p->hash), p);
	if (HASH_COUNT(h->held) > HELD_MAX)
		pending_drop(&h->held, h->held);
}

static void on_read(void *arg)
{
	struct reading *r = arg;
	struct notify *n = r->owner;
	struct pending *p;
	bool believed = r->res == OK && n->hooks.heard(n->hooks.arg, &r->heard);

	HASH_FIND(hh, n->hearing->pending, r->hash, 32, p);
	if (r->res == OK && !believed) {
		hold(n->hearing, p, r->heard.items[0].ns->from);
	} else {
		if (r->res != RETRY)
			store_seen_add(n->parts.store, r->hash, r->day);
		pending_drop(&n->hearing->pending, p);
	}
	if (r->res != OK)
		log_info("notice=%s why=\"%s\"", r->res == REJECT ? "dropped" : "again", r->err.text);
	talloc_free(r);
}

static void on_read_work(void *arg)
{
	read_work(arg);
}

static void on_read_drop(void *arg)
{
	talloc_free(arg);
}

static void read_later(struct notify *n, const struct value *v, const uint8_t hash[32])
{
	static const struct pool_job job = { on_read_work, on_read, on_read_drop };
	struct pending *p = talloc_zero(n->hearing, struct pending);
	struct reading *r = talloc_zero(NULL, struct reading);

	memcpy(p->hash, hash, 32);
	HASH_ADD(hh, n->hearing->pending, hash, 32, p);
	r->owner = n;
	r->pgp = n->parts.pgp;
	r->address = talloc_strdup(r, n->settings.address);
	r->now_s = clock_now_s();
	memcpy(r->hash, hash, 32);
	r->day = v->day;
	r->message = bytes_dup(r, v->message);
	pool_submit(n->parts.pool, POOL_SOON, &job, r);
}

static void hear_ns(struct notify *n, const struct value *v, struct bytes octets)
{
	struct pending *p;
	uint8_t hash[32];
	struct err e;

	if (octets.len > LIMIT_NS_VALUE || !value_day_good(v->day, clock_now_s()))
		return;
	digest_of(octets, hash);
	HASH_FIND(hh, n->hearing->pending, hash, 32, p);
	if (p == NULL)
		HASH_FIND(hh, n->hearing->held, hash, 32, p);
	if (p != NULL || HASH_COUNT(n->hearing->pending) >= READING_MAX || store_seen_has(n->parts.store, hash))
		return;
	if (packets_check(PACKETS_NS, v->message, &e) == 0)
		read_later(n, v, hash);
	else
		log_debug("notice=dropped why=\"%s\"", e.text);
}

void notify_take(struct notify *n, struct bytes octets)
{
	struct value v;

	if (value_parse(octets, &v) < 0)
		return;
	switch (v.kind) {
	case VALUE_NS:
		if (v.ns_kind != NS_JOIN)
			hear_ns(n, &v, octets);
		else if (n->hooks.join != NULL)
			n->hooks.join(n->hooks.arg, octets);
		break;
	case VALUE_NR:
		n->hooks.receipt(n->hooks.arg, v.proof);
		break;
	case VALUE_RECALL:
		n->hooks.recalled(n->hooks.arg, v.proof);
		break;
	case VALUE_PEER:
	case VALUE_GROUP:
		break;
	}
}

static void on_value(void *arg, struct bytes octets)
{
	notify_take(arg, octets);
}

static void on_polled_ns(void *arg)
{
	((struct notify *)arg)->hearing->poll_ns = NULL;
}

static void on_polled_nr(void *arg)
{
	((struct notify *)arg)->hearing->poll_nr = NULL;
}

void notify_poll(struct notify *n)
{
	struct hearing *h = n->hearing;
	char key[LIMIT_ADDRESS + 16];

	value_key(KEY_NS, n->settings.address, key);
	if (h->poll_ns == NULL)
		h->poll_ns = dht_get_new(n->parts.dht, key, n->settings.poll_ms, on_value, on_polled_ns, n);
	value_key(KEY_NR, n->settings.address, key);
	if (h->poll_nr == NULL)
		h->poll_nr = dht_get_new(n->parts.dht, key, n->settings.poll_ms, on_value, on_polled_nr, n);
}

static void on_poll_time(void *arg)
{
	struct notify *n = arg;
	uint32_t day = (uint32_t)(clock_now_s() / 86400);

	timer_set(n->hearing->timer, n->settings.poll_ms);
	notify_poll(n);
	store_seen_forget(n->parts.store, day > 32 ? day - 32 : 0);
}

void hear_start(struct notify *n)
{
	struct hearing *h = talloc_zero(n, struct hearing);
	char key[LIMIT_ADDRESS + 16];

	n->hearing = h;
	value_key(KEY_NS, n->settings.address, key);
	h->ns = dht_listen_new(n->parts.dht, key, on_value, n);
	value_key(KEY_NR, n->settings.address, key);
	h->nr = dht_listen_new(n->parts.dht, key, on_value, n);
	h->timer = timer_new(n->parts.loop, on_poll_time, n);
	timer_set(h->timer, n->settings.poll_ms);
}

void hear_stop(struct notify *n)
{
	struct hearing *h = n->hearing;
	struct pending *p, *next;

	dht_listen_free(&h->ns);
	dht_listen_free(&h->nr);
	dht_get_free(&h->poll_ns);
	dht_get_free(&h->poll_nr);
	timer_free(&h->timer);
	HASH_ITER(hh, h->pending, p, next)
		pending_drop(&h->pending, p);
	HASH_ITER(hh, h->held, p, next)
		pending_drop(&h->held, p);
}

void notify_release(struct notify *n, const char *address)
{
	struct hearing *h = n->hearing;
	struct pending *p, *next;

	HASH_ITER(hh, h->held, p, next)
		if (strcmp(p->from, address) == 0)
			pending_drop(&h->held, p);
	notify_poll(n);
}
