/*
 * The serial is durable before a descriptor with it leaves this peer: a
 * reader takes only what is newer, and after a crash we must not say less.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/peer.h"
#include "lib/mail/value.h"
#include "way/resolve/own.h"

enum { DAY_S = 86400, BINDING_S = 30 * DAY_S, RENEW_S = DAY_S / 2, CHECK_MS = 60000, AGAIN_MS = 5000 };

struct own {
	const struct resolve_parts *parts;
	const struct resolve_settings *settings;
	const struct resolve_hooks *hooks;
	struct timer *timer;
	struct dht_put *put;
	struct bytes key;		/* minimal, binary */
	int64_t issued_s;		/* of the one that is published; 0: none */
	bool running, again;
};

/* One signing; its own talloc context. */
struct own_job {
	struct own *own;
	struct pgp *pgp;
	struct peer peer;
	struct bytes key, pubkey, descriptor;
	enum outcome res;
	struct err err;
};

static void sign_work(void *arg)
{
	struct own_job *j = arg;
	struct buf *record = buf_new(j, LIMIT_DESCRIPTOR);

	j->res = pgp_export_work(j->pgp, j, pgp_own_fpr(j->pgp), false, &j->key, &j->err);
	if (j->res == OK)
		j->res = pgp_export_work(j->pgp, j, pgp_own_fpr(j->pgp), true, &j->pubkey, &j->err);
	if (j->res != OK)
		return;
	j->peer.key = j->key;
	peer_print(record, &j->peer);
	j->res = pgp_sign_work(j->pgp, j, "peer/1", buf_bytes(record), &j->descriptor, &j->err);
}

static void publish(struct own *o, struct own_job *j)
{
	struct value v = { .kind = VALUE_PEER, .message = j->descriptor };
	char key[LIMIT_ADDRESS + 16];
	struct dht_put *old = o->put;

	value_key(KEY_PEER, o->settings->address, key);
	o->put = dht_put_new(o->parts->dht, key, value_print(j, &v), NULL, NULL);
	dht_put_free(&old);
	talloc_free((void *)(uintptr_t)o->key.data);
	o->key = bytes_dup(o, j->key);
	o->issued_s = j->peer.issued_s;
	log_info("descriptor=published serial=%llu urls=%zu", (unsigned long long)j->peer.serial, j->peer.n_urls);
	o->hooks->published(o->hooks->arg, j->descriptor, j->pubkey);
}

static void sign_done(void *arg)
{
	struct own_job *j = arg;
	struct own *o = j->own;

	o->running = false;
	if (j->res == OK)
		publish(o, j);
	else if (j->res == RETRY)
		log_info("descriptor=again why=\"%s\"", j->err.text);
	else
		log_err("descriptor=unsigned why=\"%s\"", j->err.text);
	if (o->again)
		o->issued_s = 0;
	timer_set(o->timer, o->again ? 0 : j->res == OK ? CHECK_MS : AGAIN_MS);
	o->again = false;
	talloc_free(j);
}

static void sign_drop(void *arg)
{
	talloc_free(arg);
}

/* The serial is on disk: sign. */
static void on_serial_durable(void *arg, bool durable)
{
	static const struct pool_job job = { sign_work, sign_done, sign_drop };
	struct own_job *j = arg;

	if (durable) {
		pool_submit(j->own->parts->pool, POOL_SOON, &job, j);
		return;
	}
	j->res = RETRY;
	err_set(&j->err, "the serial could not be written");
	sign_done(j);
}

static uint64_t next_serial(struct own *o)
{
	int64_t last = store_meta_get(o->parts->store, "serial", 0), now = clock_now_ms();
	int64_t serial = now > last ? now : last + 1;

	store_meta_set(o->parts->store, "serial", serial);
	return (uint64_t)serial;
}

static void on_timer(void *arg)
{
	struct own *o = arg;
	const struct resolve_settings *s = o->settings;
	int64_t now = clock_now_s();

	timer_set(o->timer, CHECK_MS);
	/* The nodes that kept it may be gone. OpenDHT would notice within ten minutes: so long nobody new could write to us. */
	if (o->put != NULL)
		dht_put_again(o->put);
	if (o->running || (now >= o->issued_s && now < o->issued_s + RENEW_S))
		return;
	struct own_job *j = talloc_zero(NULL, struct own_job);

	j->own = o;
	j->pgp = o->parts->pgp;
	j->peer = (struct peer){
		.issued_s = now, .expires_s = now + BINDING_S, .reachable_until_s = now + DAY_S,
		.serial = next_serial(o), .n_urls = s->n_urls, .group = s->group != NULL ? talloc_strdup(j, s->group) : NULL, .stamp = s->stamp,
	};
	snprintf(j->peer.address, sizeof(j->peer.address), "%s", s->address);
	for (size_t i = 0; i < s->n_urls; i++)
		j->peer.urls[i] = s->urls[i];
	o->running = true;
	store_when_durable(o->parts->store, on_serial_durable, j);
}

void own_renew(struct own *o)
{
	o->again = o->running;
	o->issued_s = 0;
	timer_set(o->timer, 0);
}

struct bytes own_key(const struct own *o)
{
	return o->key;
}

struct own *own_start(const struct resolve_parts *parts, const struct resolve_settings *settings,
    const struct resolve_hooks *hooks)
{
	struct own *o = talloc_zero(NULL, struct own);

	o->parts = parts;
	o->settings = settings;
	o->hooks = hooks;
	o->timer = timer_new(parts->loop, on_timer, o);
	timer_set(o->timer, 0);
	return o;
}

void own_stop(struct own **op)
{
	struct own *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	dht_put_free(&o->put);
	timer_free(&o->timer);
	talloc_free(o);
}
