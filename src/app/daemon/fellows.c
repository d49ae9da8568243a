/*
 * Between way/replica and the other stations: who our fellow members are
 * (way/group), what HTTP threads may give them and what they bring (way/outbox),
 * what of ours they have to know (the courier).
 */
#include <string.h>

#include <talloc.h>

#include "app/daemon/parts.h"
#include "lib/mail/addr.h"
#include "lib/store/contact.h"

static void on_contact(void *arg, const char *address)
{
	struct daemon *d = arg;

	if (d->replicas != NULL)
		replicas_on_contact(d->replicas, address);
}

static void on_taken(void *arg, const char *address, const uint8_t hash[32])
{
	struct daemon *d = arg;

	if (d->replicas != NULL)
		replicas_on_taken(d->replicas, address, hash);
}

static void on_replica_served(void *arg, const char *owner, const uint8_t hash[32], const uint8_t c_get[32])
{
	struct daemon *d = arg;

	if (d->replicas != NULL)
		replicas_on_served(d->replicas, owner, hash, c_get);
}

/* A PUT that waits for its answer; below the daemon. */
struct bringing {
	struct daemon *daemon;
	uint64_t ticket;
};

static void on_brought(void *arg, unsigned status)
{
	struct bringing *b = arg;

	if (b->daemon->outbox != NULL)
		outbox_answer(b->daemon->outbox, b->ticket, status);
	talloc_free(b);
}

static void on_put(void *arg, const struct outbox_put *p)
{
	static const enum replicas_what whats[] = {
		[MEMBERS_BODY] = REPLICAS_BODY, [MEMBERS_HEAD] = REPLICAS_HEAD, [MEMBERS_NOTICES] = REPLICAS_NOTICES,
	};
	struct daemon *d = arg;
	struct bringing *b = talloc_zero(d, struct bringing);
	struct replicas_put put = {
		.owner = p->owner, .what = p->list ? REPLICAS_LIST : whats[p->what], .octets = p->octets, .file = p->file,
		.fd = p->fd, .size = p->size, .done = on_brought, .arg = b,
	};

	b->daemon = d;
	b->ticket = p->ticket;
	memcpy(put.hash, p->hash, 32);
	memcpy(put.digest, p->digest, 32);
	if (d->replicas != NULL)
		replicas_put(d->replicas, &put);
	else
		on_brought(b, 503);
}

void fellows_fill_outbox(struct outbox_hooks *hooks)
{
	hooks->contact = on_contact;
	hooks->taken = on_taken;
	hooks->replica_served = on_replica_served;
	hooks->put = on_put;
}

static void on_changed(void *arg, uint64_t letter)
{
	struct daemon *d = arg;

	if (d->replicas != NULL)
		replicas_on_outbox(d->replicas, letter);
}

static const char *on_holdout(void *arg, const uint8_t hash[32])
{
	struct daemon *d = arg;

	return d->replicas != NULL ? replicas_holdout(d->replicas, hash) : NULL;
}

static void on_foreign_receipt(void *arg, const uint8_t proof[32])
{
	struct daemon *d = arg;

	if (d->replicas != NULL)
		replicas_on_receipt(d->replicas, proof);
}

void fellows_fill_courier(struct courier_hooks *hooks)
{
	hooks->changed = on_changed;
	hooks->holdout = on_holdout;
	hooks->foreign_receipt = on_foreign_receipt;
}

/* What way/replica wants to know. */

static const char *on_own_group(void *arg)
{
	return groups_own(((struct daemon *)arg)->groups);
}

static void add_member(struct replicas_member *all, size_t *n, const struct replicas_member *one)
{
	for (size_t i = 0; i < *n; i++) {
		if (strcmp(all[i].address, one->address) == 0) {
			all[i].groups |= one->groups;
			all[i].own |= one->own;
			return;
		}
	}
	all[(*n)++] = *one;
}

/* Is his key in the key cache? It came with his descriptor. */
static bool has_key(struct daemon *d, const void *ctx, const struct groups_member *m)
{
	struct contact *c = store_contact_find(d->store, ctx, m->address);

	return c != NULL && strcmp(c->fpr, m->fpr) == 0 && c->descriptor.len > 0;
}

static struct replicas_member *on_members(void *arg, const void *ctx, size_t *n_out)
{
	struct daemon *d = arg;
	const char *own = groups_own(d->groups);
	struct replicas_member *all = talloc_array(ctx, struct replicas_member, 1);
	size_t n_names, n;
	const char **names = groups_names(d->groups, ctx, &n_names);

	*n_out = 0;
	for (size_t i = 0; i < n_names; i++) {
		uint64_t bit = own != NULL && strcmp(own, names[i]) == 0 ? 1 : UINT64_C(2) << (i < 62 ? i : 62);
		struct groups_member *members = groups_members(d->groups, ctx, names[i], &n);

		all = talloc_realloc(ctx, all, struct replicas_member, *n_out + n + 1);
		for (size_t k = 0; k < n; k++) {
			const struct groups_member *m = &members[k];
			bool his = strcmp(addr_group(m->address), names[i]) == 0;
			struct replicas_member one = { m->address, m->fpr, m->urls, bit, his ? bit : 0 };

			if (!m->is_self && has_key(d, ctx, m))
				add_member(all, n_out, &one);
		}
	}
	/* Whose own group we are not in: it may be any of these. */
	for (size_t i = 0; i < *n_out; i++)
		if (all[i].own == 0)
			all[i].own = all[i].groups;
	return all;
}

static void on_receipt(void *arg, const uint8_t proof[32])
{
	courier_on_receipt(((struct daemon *)arg)->courier, proof);
}

static void on_served(void *arg, uint64_t rcpt)
{
	courier_on_served(((struct daemon *)arg)->courier, rcpt);
}

static void on_seen(void *arg, const char *address)
{
	struct daemon *d = arg;
	void *ctx = talloc_new(NULL);
	struct contact *c = store_contact_find(d->store, ctx, address);

	if (c != NULL) {
		c->last_seen_s = replicas_seen_s(d->replicas, address);
		store_contact_save(d->store, c);
	}
	talloc_free(ctx);
}

static void set_pubkey(struct offers *offers, const char *address, struct bytes armored)
{
	offers_page_set(offers, PAGE_PUBKEY, address, armored);
}

/* One clock is for all groups: that of the most impatient one. */
static int64_t least_sync(const struct settings *s)
{
	int64_t ms = s->n_groups > 0 ? s->groups[0].sync_ms : 60000;

	for (size_t i = 1; i < s->n_groups; i++)
		if (s->groups[i].sync_ms < ms)
			ms = s->groups[i].sync_ms;
	return ms;
}

void fellows_start(struct daemon *d)
{
	const struct settings *s = d->settings;
	struct replicas_parts parts = { d->loop, d->pool, d->store, d->pgp, d->dht, d->http };
	struct replicas_settings settings = {
		.address = s->address, .n_urls = s->outbox.url.n, .sync_ms = least_sync(s),
		.quota = s->outbox.replica_quota, .rate = s->outbox.replica_rate,
	};
	struct replicas_table table = {
		.members = d->members, .offers = d->offers, .set = members_set, .greeting_set = members_greeting_set,
		.list_set = members_list_set, .notices_set = members_notices_set, .replica_set = members_replica_set,
		.replica_drop = members_replica_drop, .coming = members_coming_set, .serve = members_serve,
		.awake = members_awake, .quota = members_quota, .owner_drop = members_owner_drop,
		.heard = offers_heard_add, .pubkey_set = set_pubkey,
	};
	struct replicas_hooks hooks = {
		.members = on_members, .group = on_own_group, .receipt = on_receipt, .served = on_served, .seen = on_seen, .arg = d,
	};

	d->replicas = replicas_start(&parts, &settings, &table, &hooks);
}
