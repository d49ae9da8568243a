/*
 * A list of our own: its serial is durable before anybody signs it, and the
 * signed list before it leaves, so that after a crash we never say less or
 * something else under the same number. A list of others is kept as it came;
 * members keep it in the DHT and on their pages too, for its master may be
 * away. Its age: told from day 60 on, and 30 days after its end nobody acts on
 * it any more.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/value.h"
#include "lib/store/contact.h"
#include "way/group/state.h"

enum {
	DAY_S = JUDGE_DAY_S, LIFE_S = 90 * DAY_S, WARN_S = 30 * DAY_S, RENEW_S = DAY_S,
	CHECK_MS = 60000, RESOLVE_FIRST_MS = 5000, RESOLVE_MAX_MS = 300 * 1000, RESOLVE_MANY = 8,
};

bool list_is_expired(const struct group_row *row)
{
	return clock_now_s() > row->expires_s + JUDGE_GOES_ON_S;
}

/* Publishing. */

static void unpublish(struct entry *e)
{
	struct groups *g = e->groups;

	if (e->put == NULL)
		return;
	dht_put_free(&e->put);
	e->put_octets = bytes_of(NULL, 0);
	g->hooks.published(g->hooks.arg, e->name, e->put_octets);
}

static void publish(struct entry *e, struct bytes descriptor)
{
	struct groups *g = e->groups;
	struct value v = { .kind = VALUE_GROUP, .message = descriptor };
	struct dht_put *old = e->put;
	char key[LIMIT_ADDRESS + 16];
	struct bytes value = value_print(e, &v);

	if (old != NULL && bytes_equal(e->put_octets, value)) {
		talloc_free((void *)(uintptr_t)value.data);
		return;
	}
	value_key(KEY_GROUP, e->name, key);
	e->put = dht_put_new(g->parts.dht, key, value, NULL, NULL);
	dht_put_free(&old);
	talloc_free((void *)(uintptr_t)e->put_octets.data);
	e->put_octets = value;
	g->hooks.published(g->hooks.arg, e->name, descriptor);
}

void list_publish(struct entry *e)
{
	void *ctx = talloc_new(NULL);
	struct group_row *row = store_group_find(e->groups->parts.store, ctx, e->name);

	if (row != NULL && row->descriptor.len > 0 && e->counts)
		publish(e, row->descriptor);
	else
		unpublish(e);
	talloc_free(ctx);
}

void list_stop(struct entry *e)
{
	dht_put_free(&e->put);
}

/* Somebody else's list. */

void list_unvouch(struct groups *g, const char *address)
{
	void *ctx = talloc_new(NULL);
	struct contact *c = store_contact_find(g->parts.store, ctx, address);

	if (c != NULL && c->trust == TRUST_GROUP && !groups_is_fellow(g, address)) {
		c->trust = TRUST_FIRST_USE;
		store_contact_save(g->parts.store, c);
	}
	talloc_free(ctx);
}

static void replace_members(struct entry *e, const struct group *l)
{
	struct store *s = e->groups->parts.store;

	store_member_drop_all(s, e->name);
	for (size_t i = 0; i < l->n_members; i++) {
		struct member_row m = { .group = e->name, .address = l->members[i].address, .fpr = l->members[i].fpr };

		store_member_save(s, &m);
	}
}

static void vouch_for_all(struct entry *e, const struct group *l)
{
	struct groups *g = e->groups;

	for (size_t i = 0; i < l->n_members; i++)
		if (strcmp(l->members[i].address, g->settings.address) != 0)
			g->hooks.vouch(g->hooks.arg, l->members[i].address, l->members[i].fpr);
}

/* Who was a member before and is none now. */
static void unvouch_gone(struct entry *e, struct member_row **old, size_t n_old, const struct group *l)
{
	for (size_t i = 0; i < n_old; i++)
		if (group_find(l, old[i]->address) == NULL)
			list_unvouch(e->groups, old[i]->address);
}

static void took_ours(struct entry *e, struct member_row **old, size_t n_old, const struct group *l)
{
	struct groups *g = e->groups;
	bool was_in = e->counts;

	vouch_for_all(e, l);
	entry_refresh(e);
	unvouch_gone(e, old, n_old, l);
	list_publish(e);
	if (e->counts)
		join_end(e);
	else if (was_in && group_find(l, g->settings.address) == NULL)
		tell_user(g, "No longer in a group", "%s has taken you out of the group %s.\r\n\r\nIts members keep nothing for you any more.\r\n",
		    l->master.address, e->name);
	groups_soon(g);
}

/* A list that we signed ourselves and do not remember: an old state folder was put back. Say more than that one. */
static void surpass(struct entry *e, struct group_row *row, uint64_t serial)
{
	log_warn("group=%s serial=%llu why=\"a newer list of ours is out than this peer remembers; signing anew\"", e->name,
	    (unsigned long long)serial);
	row->serial = serial;
	list_renew(e->groups, row);
}

void list_take(struct entry *e, const struct group *l, struct bytes octets)
{
	struct groups *g = e->groups;
	void *ctx = talloc_new(NULL);
	struct group_row *row = store_group_find(g->parts.store, ctx, e->name);
	struct member_row **old;
	size_t n_old;

	if (row == NULL)
		row = row_new(ctx, e->name, GROUP_FOREIGN);
	if (row->role == GROUP_MASTER)
		surpass(e, row, l->serial);
	if (row->role == GROUP_MASTER || row->role == GROUP_NONE)
		goto out;
	old = store_member_all(g->parts.store, ctx, e->name, &n_old);
	row->master = l->master.address;
	row->fpr = l->master.fpr;
	row->serial = row->signed_serial = l->serial;
	row->descriptor = octets;
	row->issued_s = l->issued_s;
	row->expires_s = l->expires_s;
	row->warned = false;
	store_group_save(g->parts.store, row);
	replace_members(e, l);
	log_info("group=%s list=taken serial=%llu members=%zu", e->name, (unsigned long long)l->serial, l->n_members);
	if (e->ours)
		took_ours(e, old, n_old, l);
out:
	talloc_free(ctx);
}

/* Our own list. */

void list_renew(struct groups *g, struct group_row *row)
{
	uint64_t now = (uint64_t)clock_now_ms();

	row->serial = now > row->serial ? now : row->serial + 1;
	store_group_save(g->parts.store, row);
	groups_soon(g);
}

/* One signing; its own talloc context. */
struct signing {
	struct groups *groups;
	struct pgp *pgp;
	struct group list;
	struct bytes record, octets;
	enum outcome res;
	struct err err;
};

static void on_signed_durable(void *arg, bool durable)
{
	struct signing *s = arg;
	struct entry *e = entry_find(s->groups, s->list.name);

	if (e != NULL && durable) {
		log_info("group=%s list=published serial=%llu members=%zu", e->name, (unsigned long long)s->list.serial,
		    s->list.n_members);
		entry_refresh(e);
		list_publish(e);
	}
	groups_soon(s->groups);
	talloc_free(s);
}

/* Is what was signed still what is to be said? */
static bool keep_signed(struct signing *s)
{
	struct store *store = s->groups->parts.store;
	struct group_row *row = store_group_find(store, s, s->list.name);

	if (row == NULL || row->role != GROUP_MASTER || row->serial != s->list.serial)
		return false;
	row->signed_serial = s->list.serial;
	row->descriptor = s->octets;
	row->issued_s = s->list.issued_s;
	row->expires_s = s->list.expires_s;
	store_group_save(store, row);
	return true;
}

static void on_sign_done(void *arg)
{
	struct signing *s = arg;
	struct groups *g = s->groups;
	struct entry *e = entry_find(g, s->list.name);

	if (s->res != OK)
		log_err("group=%s list=unsigned why=\"%s\"", s->list.name, s->err.text);
	if (e != NULL)
		e->signing = false;
	if (e != NULL && s->res == OK && keep_signed(s)) {
		store_when_durable(g->parts.store, on_signed_durable, s);
		return;
	}
	if (s->res == OK)
		groups_soon(g);
	talloc_free(s);
}

static void on_sign_work(void *arg)
{
	struct signing *s = arg;

	s->res = pgp_sign_work(s->pgp, s, "group/1", s->record, &s->octets, &s->err);
}

static void on_sign_drop(void *arg)
{
	talloc_free(arg);
}

static void on_serial_durable(void *arg, bool durable)
{
	static const struct pool_job job = { on_sign_work, on_sign_done, on_sign_drop };
	struct signing *s = arg;

	if (durable) {
		pool_submit(s->groups->parts.pool, POOL_SOON, &job, s);
		return;
	}
	s->res = RETRY;
	err_set(&s->err, "its serial could not be written");
	on_sign_done(s);
}

static void fill_members(struct signing *s)
{
	size_t n;
	struct member_row **all = store_member_all(s->groups->parts.store, s, s->list.name, &n);

	s->list.members = talloc_array(s, struct group_named, n + 1);
	for (size_t i = 0; i < n; i++) {
		if (all[i]->removed || all[i]->fpr[0] == '\0' || s->list.n_members == LIMIT_GROUP_MEMBERS)
			continue;
		struct group_named *m = &s->list.members[s->list.n_members++];

		snprintf(m->address, sizeof(m->address), "%s", all[i]->address);
		snprintf(m->fpr, sizeof(m->fpr), "%s", all[i]->fpr);
	}
}

static void sign(struct entry *e, const struct group_row *row)
{
	struct groups *g = e->groups;
	struct signing *s = talloc_zero(NULL, struct signing);
	struct buf *record = buf_new(s, LIMIT_RECORD);
	int64_t now = clock_now_s();

	s->groups = g;
	s->pgp = g->parts.pgp;
	s->list = (struct group){ .name = talloc_strdup(s, e->name), .issued_s = now, .expires_s = now + LIFE_S, .serial = row->serial };
	snprintf(s->list.master.address, sizeof(s->list.master.address), "%s", g->settings.address);
	snprintf(s->list.master.fpr, sizeof(s->list.master.fpr), "%s", pgp_own_fpr(g->parts.pgp));
	fill_members(s);
	group_print(record, &s->list);
	s->record = buf_bytes(record);
	e->signing = true;
	store_when_durable(g->parts.store, on_serial_durable, s);
}

/* Named in p2pmta.conf without a key: whoever is pinned for the address is meant. */
static void fill_keys(struct entry *e, struct group_row *row, bool ask)
{
	struct groups *g = e->groups;
	size_t n;
	struct member_row **all = store_member_all(g->parts.store, row, e->name, &n);
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		if (all[i]->removed || all[i]->fpr[0] != '\0')
			continue;
		struct contact *c = store_contact_find(g->parts.store, row, all[i]->address);

		if (c != NULL && c->fpr[0] != '\0' && c->trust != TRUST_CONFLICT) {
			g->hooks.vouch(g->hooks.arg, c->address, c->fpr);
			all[i]->fpr = c->fpr;
			store_member_save(g->parts.store, all[i]);
			found = true;
		} else if (ask) {
			g->hooks.resolve(g->hooks.arg, all[i]->address, true);
		}
	}
	if (found)
		list_renew(g, row);
}

static void tick_master(struct entry *e, struct group_row *row, bool ask)
{
	int64_t now = clock_now_s();

	fill_keys(e, row, ask);
	if (row->signed_serial == row->serial && (now < row->issued_s - DAY_S || now >= row->issued_s + RENEW_S))
		list_renew(e->groups, row);
	if (row->signed_serial != row->serial && !e->signing)
		sign(e, row);
}

static void tick_member(struct entry *e, struct group_row *row)
{
	struct groups *g = e->groups;
	char end[CLOCK_TEXT];

	if (row->descriptor.len == 0)
		return;
	if (list_is_expired(row) != e->expired) {
		entry_refresh(e);
		list_publish(e);
	}
	if (row->warned || !e->counts || clock_now_s() < row->expires_s - WARN_S)
		return;
	row->warned = true;
	store_group_save(g->parts.store, row);
	clock_print(row->expires_s + JUDGE_GOES_ON_S, end);
	log_warn("group=%s master=%s why=\"its list of members was not renewed for long\"", e->name, row->master);
	tell_user(g, "A group needs its master", "The list of members of the group %s is old: its master %s has not been\r\n"
	    "seen for long. The group goes on until %s. Before that %s's peer\r\n"
	    "has to be switched on for a while, or its members have to make a new group\r\n"
	    "(p2pmta-ctl group create, invite, join).\r\n", e->name, row->master, end, row->master);
}

/* Where members are: who has no URL, or only an old one, is looked for; a few at a time. */
static void look_for_members(struct entry *e)
{
	struct groups *g = e->groups;
	void *ctx = talloc_new(NULL);
	unsigned n = 0;

	for (size_t i = 0; i < e->n_members && n < RESOLVE_MANY; i++) {
		struct kept_member *m = &e->members[(i + e->resolve_from) % e->n_members];
		struct contact *c = store_contact_find(g->parts.store, ctx, m->address);

		if (!m->usable || strcmp(m->address, g->settings.address) == 0)
			continue;
		if (c != NULL && c->descriptor.len > 0 && c->reachable_until_s >= clock_now_s())
			continue;
		g->hooks.resolve(g->hooks.arg, m->address, true);
		n++;
	}
	e->resolve_from += RESOLVE_MANY;
	talloc_free(ctx);
}

int64_t list_tick(struct entry *e, int64_t now_ms)
{
	void *ctx = talloc_new(NULL);
	struct group_row *row = e->ours ? store_group_find(e->groups->parts.store, ctx, e->name) : NULL;
	bool ask = now_ms >= e->resolve_at_ms;

	if (row != NULL && row->role == GROUP_MASTER)
		tick_master(e, row, ask);
	else if (row != NULL && row->role == GROUP_MEMBER)
		tick_member(e, row);
	if (ask) {
		int64_t pause = RESOLVE_FIRST_MS << (e->n_resolves < 6 ? e->n_resolves : 6);

		e->n_resolves++;
		e->resolve_at_ms = now_ms + (pause < RESOLVE_MAX_MS ? pause : RESOLVE_MAX_MS);
		look_for_members(e);
		if (e->put != NULL)
			dht_put_again(e->put);
	}
	talloc_free(ctx);
	return e->resolve_at_ms - now_ms < CHECK_MS ? e->resolve_at_ms - now_ms : CHECK_MS;
}

/* The user has forgotten him: the list still says who he is. */
static void vouch_again(struct groups *g, const void *ctx, const struct member_row *m)
{
	struct contact *c = store_contact_find(g->parts.store, ctx, m->address);
	bool known = c != NULL && (c->fpr[0] != '\0' || c->trust == TRUST_CONFLICT);

	if (!known && !m->removed && m->fpr[0] != '\0' && strcmp(m->address, g->settings.address) != 0)
		g->hooks.vouch(g->hooks.arg, m->address, m->fpr);
}

/* His key or his URLs may be new. */
void list_resolved(struct groups *g, const char *address)
{
	struct entry *e, *next;

	HASH_ITER(hh, g->entries, e, next) {
		void *ctx = talloc_new(NULL);
		struct member_row *m = e->ours ? store_member_find(g->parts.store, ctx, e->name, address) : NULL;

		if (m != NULL) {
			if (e->counts)
				vouch_again(g, ctx, m);
			entry_refresh(e);
			groups_soon(g);
		}
		talloc_free(ctx);
	}
}
