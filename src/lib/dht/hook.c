/*
 * The border between OpenDHT's thread and the loop. OpenDHT calls us while it
 * holds its runner's mutex, so nothing here calls the runner; values are copied
 * at once, since they are gone when the callback returns. An end may not be lost
 * when strangers fill their door, hence a second door for ends; since two doors
 * may overtake each other, the end says how many values went before it.
 */
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/dht/internal.h"

enum { MAX_WAITING = 8 * 1024 * 1024 };	/* octets of strangers' values before the loop has seen them */

struct said {
	struct hook *hook;
	size_t len;
	uint8_t data[];
};

struct over {
	struct hook *hook;
	unsigned n_total;
	bool ok;
};

struct hook *hook_new(struct dht *dht, const struct hook_type *type, void *owner)
{
	struct hook *h = mem_zero(NULL, struct hook);

	h->type = type;
	h->dht = dht;
	h->owner = owner;
	atomic_init(&h->deaf, false);
	LIST_INSERT_HEAD(&dht->hooks, h, entry);
	if (type->counted) {
		pthread_mutex_lock(&dht->lock);
		dht->n_putting++;
		pthread_mutex_unlock(&dht->lock);
	}
	return h;
}

static void settle(struct hook *h)
{
	if (!h->over || h->n_seen != h->n_total || h->n_echoes || h->busy)
		return;
	void *owner = h->owner;

	/* Freed first: the owner may begin the same operation anew. */
	void (*on_over)(void *, bool) = h->type->on_over;
	bool ok = h->ok;

	LIST_REMOVE(h, entry);
	talloc_free(h);
	if (owner)
		on_over(owner, ok);
}

void hook_leave(struct hook **hp)
{
	struct hook *h = *hp;

	*hp = NULL;
	if (!h)
		return;
	h->owner = NULL;
	atomic_store(&h->deaf, true);
	settle(h);
}

static void tell(struct hook *h, const struct said *s)
{
	h->busy = true;
	if (h->owner)
		h->type->on_value(h->owner, bytes_of(s->data, s->len));
	h->busy = false;
	settle(h);
}

static struct said *said_new(struct hook *h, const void *data, size_t len)
{
	struct said *s = mem_check(talloc_size(NULL, sizeof(*s) + len));

	s->hook = h;
	s->len = len;
	if (len)
		memcpy(s->data, data, len);
	return s;
}

static void echo_run(void *arg)
{
	struct said *s = arg;

	s->hook->n_echoes--;
	tell(s->hook, s);
	talloc_free(s);
}

static void post_drop(void *arg)
{
	talloc_free(arg);
}

void hook_echo(struct hook *h, struct bytes value)
{
	struct said *s = said_new(h, value.data, value.len);

	if (post_send(h->dht->own, echo_run, post_drop, s))
		h->n_echoes++;
	else
		talloc_free(s);
}

static void said_run(void *arg)
{
	struct said *s = arg;

	atomic_fetch_sub(&s->hook->dht->octets, s->len);
	s->hook->n_seen++;
	tell(s->hook, s);
	talloc_free(s);
}

bool hook_on_value_dht(const dht_value *value, void *arg)
{
	struct hook *h = arg;
	dht_data_view view = dht_value_get_data(value);

	if (atomic_load(&h->deaf))
		return false;
	if (view.size > LIMIT_DHT_VALUE || !view.data)
		return true;
	if (h->type->max_values && h->n_values++ >= h->type->max_values)
		return false;
	if (atomic_fetch_add(&h->dht->octets, view.size) > MAX_WAITING) {
		atomic_fetch_sub(&h->dht->octets, view.size);
		return true;
	}
	struct said *s = said_new(h, view.data, view.size);
	if (post_send(h->dht->values, said_run, post_drop, s)) {
		h->n_sent++;
	} else {
		atomic_fetch_sub(&h->dht->octets, view.size);
		talloc_free(s);
	}
	return true;
}

/* Never false: an end comes from cancelling alone, so that there is one only. */
bool hook_on_listen_dht(const dht_value *value, bool expired, void *arg)
{
	if (!expired)
		hook_on_value_dht(value, arg);
	return true;
}

static void over_run(void *arg)
{
	struct over *o = arg;
	struct hook *h = o->hook;

	h->over = true;
	h->ok = o->ok;
	h->n_total = o->n_total;
	talloc_free(o);
	settle(h);
}

void hook_on_done_dht(bool ok, void *arg)
{
	struct hook *h = arg;
	struct dht *dht = h->dht;
	bool counted = h->type->counted;
	struct over *o = mem_new(NULL, struct over);

	o->hook = h;
	o->n_total = h->n_sent;
	o->ok = ok;
	/* Refused only when the door is closed, and then hooks go with the runner. */
	if (!post_send(dht->own, over_run, post_drop, o))
		talloc_free(o);
	/* From here on the loop may have freed h. */
	if (counted) {
		pthread_mutex_lock(&dht->lock);
		dht->n_putting--;
		pthread_cond_signal(&dht->put_ended);
		pthread_mutex_unlock(&dht->lock);
	}
}

void hook_on_shutdown_dht(void *arg)
{
	hook_on_done_dht(true, arg);
}
