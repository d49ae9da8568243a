/*
 * An ask lives while its address is looked for: the DHT and, when URLs are
 * known, the peer itself are asked side by side; what they say is verified in
 * one job on a worker, and the contact row is written from its result.
 */
#include <string.h>

#include <talloc.h>
#include <uthash.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/urls.h"
#include "lib/mail/value.h"
#include "way/resolve/check.h"
#include "way/resolve/own.h"
#include "way/resolve/resolve.h"

enum { LOOK_MS = 10000, DAY_S = 86400 };

struct ask {
	char address[LIMIT_ADDRESS + 1];
	struct resolve *resolve;
	struct dht_get *get;
	struct http_transfer *transfer;
	bool checking;
	struct bytes values[CHECK_MAX];
	size_t n_values;
	UT_hash_handle hh;
};

struct resolve {
	struct resolve_parts parts;
	struct resolve_settings settings;
	struct resolve_hooks hooks;
	struct own *own;
	struct ask *asks;
	char *group;			/* set while it runs */
	struct ask_answer *answers;	/* known ones, answered in the next turn */
	struct timer *soon;
};

struct ask_answer {
	char address[LIMIT_ADDRESS + 1];
	struct ask_answer *next;
};

static void ask_free(struct ask *a)
{
	HASH_DELETE(hh, a->resolve->asks, a);
	dht_get_free(&a->get);
	http_transfer_free(&a->transfer);
	talloc_free(a);
}

static void ask_end(struct ask *a, enum outcome res, const char *reason)
{
	struct resolve *r = a->resolve;
	char address[LIMIT_ADDRESS + 1];

	memcpy(address, a->address, sizeof(address));
	ask_free(a);
	r->hooks.resolved(r->hooks.arg, address, res, reason);
}

static void take_descriptor(struct contact *c, const struct check *check)
{
	const struct peer *p = check->peer;

	if (p == NULL)
		return;
	c->serial = p->serial;
	c->descriptor = check->descriptor;
	c->expires_s = p->expires_s;
	c->reachable_until_s = p->reachable_until_s;
	c->urls = urls_print(c, p->urls, p->n_urls);
	c->group = p->group != NULL ? p->group : "";
	c->stamp = p->stamp;
}

static struct contact *contact_get(struct resolve *r, const void *ctx, const char *address)
{
	struct contact *c = store_contact_find(r->parts.store, ctx, address);

	if (c != NULL)
		return c;
	c = talloc_zero(ctx, struct contact);
	c->address = talloc_strdup(c, address);
	c->fpr = c->rival = c->urls = c->group = "";
	return c;
}

/* Another key is in sight: tell the user once, until he has decided; more of them cost a stranger nothing. */
static void note_rival(struct resolve *r, struct contact *c, const char *rival)
{
	if (rival[0] == '\0' || c->rival[0] != '\0')
		return;
	c->rival = rival;
	log_warn("address=%s key=%s rival=%s", c->address, c->fpr, rival);
	r->hooks.conflict(r->hooks.arg, c->address, c->fpr, rival);
}

static bool is_held(const struct contact *c)
{
	return c->trust == TRUST_CONFLICT;
}

/* The address is pinned and its key is in the cache: may mail be sealed for it? */
static bool is_known(const struct contact *c)
{
	return c->fpr[0] != '\0' && !is_held(c) && c->descriptor.len > 0 && c->expires_s + DAY_S >= clock_now_s();
}

static void conclude(struct resolve *r, struct contact *c, const struct check *check)
{
	bool pinned = c->fpr[0] != '\0';

	if (!pinned && !is_held(c) && check->fpr[0] != '\0') {
		bool two = check->rival[0] != '\0';

		c->fpr = two ? "" : check->fpr;
		c->trust = two ? TRUST_CONFLICT : TRUST_FIRST_USE;
		if (two)
			r->hooks.conflict(r->hooks.arg, c->address, check->fpr, check->rival);
		c->rival = check->rival;
	} else if (pinned) {
		note_rival(r, c, check->rival);
	}
	if (c->fpr[0] != '\0' && strcmp(c->fpr, check->fpr) == 0)
		take_descriptor(c, check);
	if (c->fpr[0] != '\0' || is_held(c))
		store_contact_save(r->parts.store, c);
}

static void check_done(void *arg)
{
	struct check *check = arg;
	struct resolve *r = check->owner;
	struct contact *c = contact_get(r, check, check->address);
	struct ask *a;

	conclude(r, c, check);
	HASH_FIND_STR(r->asks, check->address, a);
	if (a != NULL && is_known(c))
		ask_end(a, OK, "");
	else if (a != NULL && is_held(c))
		ask_end(a, RETRY, "two keys claim this address; choose one with p2pmta-ctl verify");
	else if (a != NULL)
		ask_end(a, RETRY, check->n_values > 0 ? "no valid descriptor was found" : "no descriptor was found: the peer has not been seen");
	talloc_free(check);
}

static void check_run(void *arg)
{
	check_work(arg);
}

static void check_drop(void *arg)
{
	talloc_free(arg);
}

static void ask_check(struct ask *a)
{
	static const struct pool_job job = { check_run, check_done, check_drop };
	struct resolve *r = a->resolve;
	struct check *check = talloc_zero(NULL, struct check);
	struct contact *c = contact_get(r, check, a->address);

	check->owner = r;
	check->pgp = r->parts.pgp;
	check->address = talloc_strdup(check, a->address);
	check->pinned = c->fpr;
	check->serial = c->serial;
	check->now_s = clock_now_s();
	check->n_values = a->n_values;
	for (size_t i = 0; i < a->n_values; i++)
		check->values[i] = bytes_dup(check, a->values[i]);
	a->checking = true;
	pool_submit(r->parts.pool, POOL_SOON, &job, check);
}

static void ask_hear(struct ask *a, struct bytes message)
{
	if (a->n_values == CHECK_MAX || message.len > LIMIT_DESCRIPTOR)
		return;
	for (size_t i = 0; i < a->n_values; i++)
		if (bytes_equal(a->values[i], message))
			return;
	a->values[a->n_values++] = bytes_dup(a, message);
}

static void ask_maybe_check(struct ask *a)
{
	if (a->get == NULL && a->transfer == NULL && !a->checking)
		ask_check(a);
}

static void on_dht_value(void *arg, struct bytes octets)
{
	struct value v;

	if (value_parse(octets, &v) == 0 && v.kind == VALUE_PEER)
		ask_hear(arg, v.message);
}

static void on_dht_done(void *arg)
{
	struct ask *a = arg;

	a->get = NULL;
	ask_maybe_check(a);
}

static void on_http_done(void *arg, const struct http_reply *reply)
{
	struct ask *a = arg;

	a->transfer = NULL;
	if (reply->status == 200)
		ask_hear(a, reply->body);
	ask_maybe_check(a);
}

static void ask_peer_itself(struct ask *a, const struct contact *c)
{
	const struct resolve *r = a->resolve;
	struct http_call call = {
		.method = "GET", .max = LIMIT_DESCRIPTOR, .quiet_ms = LOOK_MS, .total_ms = LOOK_MS,
		.done = on_http_done, .arg = a,
	};

	call.url = urls_first(c, c->urls, "/descriptor");
	if (call.url == NULL)
		return;
	call.friend_address = r->hooks.is_friend != NULL && r->hooks.is_friend(r->hooks.arg, a->address);
	a->transfer = http_call(a->resolve->parts.http, &call);
}

static void answer_soon(struct resolve *r, const char *address)
{
	struct ask_answer *n = talloc_zero(r, struct ask_answer);

	snprintf(n->address, sizeof(n->address), "%s", address);
	n->next = r->answers;
	r->answers = n;
	timer_set(r->soon, 0);
}

static void on_soon(void *arg)
{
	struct resolve *r = arg;

	while (r->answers != NULL) {
		struct ask_answer *n = r->answers;

		r->answers = n->next;
		r->hooks.resolved(r->hooks.arg, n->address, OK, "");
		talloc_free(n);
	}
}

void resolve_ask(struct resolve *r, const char *address, bool fresh)
{
	void *ctx = talloc_new(NULL);
	struct contact *c = contact_get(r, ctx, address);
	char key[LIMIT_ADDRESS + 16];
	struct ask *a;

	HASH_FIND_STR(r->asks, address, a);
	if (a != NULL)
		goto out;
	if (is_known(c) && !fresh) {
		answer_soon(r, address);
		if (c->reachable_until_s >= clock_now_s())
			goto out;
	}
	a = talloc_zero(r, struct ask);
	a->resolve = r;
	snprintf(a->address, sizeof(a->address), "%s", address);
	HASH_ADD_STR(r->asks, address, a);
	value_key(KEY_PEER, address, key);
	a->get = dht_get_new(r->parts.dht, key, LOOK_MS, on_dht_value, on_dht_done, a);
	ask_peer_itself(a, c);
out:
	talloc_free(ctx);
}

bool resolve_pin(struct resolve *r, const char *address, const char *fpr)
{
	void *ctx = talloc_new(NULL);
	struct contact *c = contact_get(r, ctx, address);
	bool good = !is_held(c) && (c->fpr[0] == '\0' || strcmp(c->fpr, fpr) == 0);

	if (good) {
		if (c->fpr[0] == '\0')
			c->trust = TRUST_FIRST_USE;
		c->fpr = fpr;
		c->last_seen_s = clock_now_s();
	} else {
		note_rival(r, c, fpr);
	}
	store_contact_save(r->parts.store, c);
	talloc_free(ctx);
	return good;
}

bool resolve_vouch(struct resolve *r, const char *address, const char *fpr)
{
	void *ctx = talloc_new(NULL);
	struct contact *c = contact_get(r, ctx, address);
	bool good = !is_held(c) && (c->fpr[0] == '\0' || strcmp(c->fpr, fpr) == 0);

	if (!good) {
		note_rival(r, c, fpr);
		store_contact_save(r->parts.store, c);
	} else if (c->fpr[0] == '\0' || c->trust < TRUST_GROUP) {
		c->fpr = fpr;
		c->trust = TRUST_GROUP;
		store_contact_save(r->parts.store, c);
	}
	talloc_free(ctx);
	return good;
}

void resolve_set_group(struct resolve *r, const char *group)
{
	const char *old = r->settings.group;

	if ((old == NULL && group == NULL) || (old != NULL && group != NULL && strcmp(old, group) == 0))
		return;
	char *copy = group != NULL ? talloc_strdup(r, group) : NULL;

	talloc_free(r->group);
	r->settings.group = r->group = copy;
	own_renew(r->own);
}

struct bytes resolve_own_key(const struct resolve *r)
{
	return own_key(r->own);
}

struct resolve *resolve_start(const struct resolve_parts *parts, const struct resolve_settings *settings,
    const struct resolve_hooks *hooks)
{
	struct resolve *r = talloc_zero(NULL, struct resolve);

	r->parts = *parts;
	r->settings = *settings;
	r->hooks = *hooks;
	r->soon = timer_new(parts->loop, on_soon, r);
	r->own = own_start(&r->parts, &r->settings, &r->hooks);
	return r;
}

void resolve_stop(struct resolve **rp)
{
	struct resolve *r = *rp;
	struct ask *a, *next;

	*rp = NULL;
	if (r == NULL)
		return;
	HASH_ITER(hh, r->asks, a, next)
		ask_free(a);
	own_stop(&r->own);
	timer_free(&r->soon);
	talloc_free(r);
}
