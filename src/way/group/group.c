/*
 * A group that we are in, or wait to be let into, is an entry in RAM that is
 * followed all the time; a sender's only while it is looked for. What is true
 * of it stands in rows; an entry's members are what others ask most, made anew
 * from rows and contacts whenever one of them may have changed, and compared:
 * so hooks.changed comes when there is something new, and not otherwise.
 */
#include <stdarg.h>
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "lib/store/contact.h"
#include "way/group/state.h"

enum { TICK_MAX_MS = 60000 };

struct entry *entry_find(const struct groups *g, const char *name)
{
	struct entry *e;

	HASH_FIND_STR(g->entries, name, e);
	return e;
}

struct entry *entry_get(struct groups *g, const char *name)
{
	struct entry *e = entry_find(g, name);

	if (e != NULL)
		return e;
	e = mem_zero(g, struct entry);
	snprintf(e->name, sizeof(e->name), "%s", name);
	e->groups = g;
	for (int i = 0; i < FIND_URLS; i++)
		e->askings[i].entry = e;
	HASH_ADD_STR(g->entries, name, e);
	return e;
}

void entry_drop(struct entry *e)
{
	struct groups *g = e->groups;

	find_stop(e);
	list_stop(e);
	join_stop(e);
	HASH_DELETE(hh, g->entries, e);
	talloc_free(e);
}

void groups_soon(struct groups *g)
{
	g->wanted = true;
	timer_set(g->soon, 0);
}

struct group_row *row_new(const void *ctx, const char *name, enum group_role role)
{
	struct group_row *row = mem_zero(ctx, struct group_row);

	row->name = mem_strdup(row, name);
	row->role = role;
	row->master = row->fpr = "";
	return row;
}

struct group_row *row_get(struct groups *g, const void *ctx, const char *name)
{
	struct group_row *row = store_group_find(g->parts.store, ctx, name);

	return row != NULL ? row : row_new(ctx, name, GROUP_NONE);
}

void tell_user(struct groups *g, const char *subject, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *text = mem_vprintf(NULL, fmt, ap);
	va_end(ap);
	g->hooks.tell(g->hooks.arg, subject, text);
	talloc_free(text);
}

/* Who is a member. */

static bool is_self(const struct groups *g, const char *address)
{
	return strcmp(address, g->settings.address) == 0;
}

static void fill_member(struct groups *g, const void *ctx, struct kept_member *m, const struct member_row *row)
{
	struct contact *c = store_contact_find(g->parts.store, ctx, row->address);
	bool self = is_self(g, row->address);

	snprintf(m->address, sizeof(m->address), "%s", row->address);
	snprintf(m->fpr, sizeof(m->fpr), "%s", row->fpr);
	m->urls = mem_strdup(ctx, self || c == NULL ? "" : c->urls);
	m->usable = self || (c != NULL && strcmp(c->fpr, row->fpr) == 0 && c->trust != TRUST_CONFLICT);
}

static bool same_members(const struct entry *e, const struct kept_member *m, size_t n)
{
	if (n != e->n_members)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(m[i].address, e->members[i].address) != 0 || strcmp(m[i].fpr, e->members[i].fpr) != 0 ||
		    strcmp(m[i].urls, e->members[i].urls) != 0 || m[i].usable != e->members[i].usable)
			return false;
	return true;
}

/* A list that holds, and we are in it with our key. */
static bool does_count(const struct entry *e, const struct group_row *row, const struct kept_member *m, size_t n)
{
	if (row == NULL || row->descriptor.len == 0 || (row->role != GROUP_MASTER && row->role != GROUP_MEMBER))
		return false;
	if (row->role == GROUP_MEMBER && list_is_expired(row))
		return false;
	for (size_t i = 0; i < n; i++)
		if (is_self(e->groups, m[i].address))
			return strcmp(m[i].fpr, pgp_own_fpr(e->groups->parts.pgp)) == 0;
	return false;
}

void entry_refresh(struct entry *e)
{
	struct groups *g = e->groups;
	void *ctx = mem_ctx(NULL);
	struct group_row *row = store_group_find(g->parts.store, ctx, e->name);
	size_t n_rows, n = 0;
	struct member_row **rows = store_member_all(g->parts.store, ctx, e->name, &n_rows);
	struct kept_member *m = mem_zero_array(e, struct kept_member, n_rows + 1);

	for (size_t i = 0; i < n_rows; i++)
		if (!rows[i]->removed && rows[i]->fpr[0] != '\0')
			fill_member(g, m, &m[n++], rows[i]);
	bool counts = does_count(e, row, m, n);

	if (e->ours && (counts != e->counts || (counts && !same_members(e, m, n)))) {
		if (n != e->n_members) {	/* somebody is new: where is he? */
			e->n_resolves = 0;
			e->resolve_at_ms = 0;
		}
		e->changed = true;
		groups_soon(g);
	}
	if (counts != e->counts)
		e->n_looks = 0;
	e->counts = counts;
	e->expired = row != NULL && row->role == GROUP_MEMBER && row->descriptor.len > 0 && list_is_expired(row);
	talloc_free(e->members);
	e->members = m;
	e->n_members = n;
	talloc_free(ctx);
}

const char **groups_names(struct groups *g, const void *ctx, size_t *n_out)
{
	const char **names = mem_zero_array(ctx, const char *, HASH_COUNT(g->entries) + 1);
	size_t n = 0;

	for (const struct entry *e = g->entries; e != NULL; e = e->hh.next) {
		size_t i = n;

		if (!e->ours || !e->counts)
			continue;
		for (; i > 0 && strcmp(names[i - 1], e->name) > 0; i--)
			names[i] = names[i - 1];
		names[i] = mem_strdup(names, e->name);
		n++;
	}
	*n_out = n;
	return names;
}

const char *groups_own(const struct groups *g)
{
	return g->own[0] != '\0' ? g->own : NULL;
}

static void settle_own(struct groups *g)
{
	const struct entry *e = entry_find(g, addr_group(g->settings.address));
	void *ctx = mem_ctx(NULL);
	size_t n;
	const char **names = groups_names(g, ctx, &n);

	snprintf(g->own, sizeof(g->own), "%s", e != NULL && e->ours && e->counts ? e->name : n > 0 ? names[0] : "");
	talloc_free(ctx);
}

struct groups_member *groups_members(struct groups *g, const void *ctx, const char *group, size_t *n_out)
{
	const struct entry *e = entry_find(g, group);
	bool known = e != NULL && e->ours && e->counts;
	struct groups_member *all = mem_zero_array(ctx, struct groups_member, known ? e->n_members + 1 : 1);
	struct group_row *row = known ? row_get(g, all, group) : NULL;
	size_t n = 0;

	for (size_t i = 0; known && i < e->n_members; i++) {
		const struct kept_member *m = &e->members[i];

		if (!m->usable)
			continue;
		all[n++] = (struct groups_member){
			.address = mem_strdup(all, m->address), .fpr = mem_strdup(all, m->fpr), .urls = mem_strdup(all, m->urls),
			.is_self = is_self(g, m->address), .is_master = strcmp(row->master, m->address) == 0,
		};
	}
	*n_out = n;
	return all;
}

bool groups_is_fellow(const struct groups *g, const char *address)
{
	for (const struct entry *e = g->entries; e != NULL; e = e->hh.next)
		for (size_t i = 0; e->ours && e->counts && i < e->n_members; i++)
			if (e->members[i].usable && strcmp(e->members[i].address, address) == 0)
				return !is_self(g, address);
	return false;
}

/* p2pmta.conf. */

static const struct groups_conf *conf_find(const struct groups *g, const char *name)
{
	for (size_t i = 0; i < g->settings.n_conf; i++)
		if (strcmp(g->settings.conf[i].name, name) == 0)
			return &g->settings.conf[i];
	return NULL;
}

static bool names_member(const struct groups_conf *c, const char *address)
{
	for (size_t i = 0; i < c->n_members; i++)
		if (strcmp(c->members[i], address) == 0)
			return true;
	return false;
}

/* Who is named newly comes in; who is named no more, and came that way, goes. */
static bool seed_members(struct groups *g, const struct groups_conf *c)
{
	void *ctx = mem_ctx(NULL);
	struct store *s = g->parts.store;
	size_t n;
	struct member_row **all = store_member_all(s, ctx, c->name, &n);
	bool changed = false;

	for (size_t i = 0; i < n; i++) {
		if (!all[i]->from_conf || names_member(c, all[i]->address))
			continue;
		store_member_drop(s, c->name, all[i]->address);
		list_unvouch(g, all[i]->address);
		changed |= !all[i]->removed && all[i]->fpr[0] != '\0';
	}
	for (size_t i = 0; i < c->n_members; i++) {
		struct member_row m = { .group = c->name, .address = c->members[i], .fpr = "", .from_conf = true };

		if (is_self(g, m.address) || store_member_find(s, ctx, c->name, m.address) != NULL)
			continue;
		store_member_save(s, &m);	/* its key is filled in when it is known (list.c) */
	}
	talloc_free(ctx);
	return changed;
}

static bool seed_self(struct groups *g, const char *name)
{
	void *ctx = mem_ctx(NULL);
	struct member_row m = { .group = name, .address = g->settings.address, .fpr = pgp_own_fpr(g->parts.pgp) };
	struct member_row *old = store_member_find(g->parts.store, ctx, name, m.address);
	bool changed = old == NULL || strcmp(old->fpr, m.fpr) != 0 || old->removed;

	if (changed)
		store_member_save(g->parts.store, &m);
	talloc_free(ctx);
	return changed;
}

static void seed_ours(struct groups *g, const struct groups_conf *c, struct group_row *row)
{
	bool fresh = row->role != GROUP_MASTER;

	if (fresh) {
		store_member_drop_all(g->parts.store, c->name);
		row->role = GROUP_MASTER;
		row->descriptor = bytes_of(NULL, 0);
		row->master = g->settings.address;
		row->fpr = pgp_own_fpr(g->parts.pgp);
	}
	row->from_conf = true;
	bool changed = seed_self(g, c->name);

	changed |= seed_members(g, c);
	if (fresh || changed)
		list_renew(g, row);
	else
		store_group_save(g->parts.store, row);
}

static void seed_foreign(struct groups *g, const struct groups_conf *c, struct group_row *row)
{
	bool same = strcmp(row->master, c->master) == 0 && strcmp(row->fpr, c->key) == 0 && row->role != GROUP_MASTER;

	if (!same) {		/* another group by that name, as far as lists go */
		row->serial = row->signed_serial = 0;
		row->descriptor = bytes_of(NULL, 0);
		row->issued_s = row->expires_s = 0;
		row->warned = false;
		store_member_drop_all(g->parts.store, c->name);
	}
	row->role = GROUP_MEMBER;
	row->master = c->master;
	row->fpr = c->key;
	row->from_conf = true;
	store_group_save(g->parts.store, row);
	g->hooks.vouch(g->hooks.arg, c->master, c->key);
}

static void seed_one(struct groups *g, const struct groups_conf *c)
{
	void *ctx = mem_ctx(NULL);
	struct group_row *row = row_get(g, ctx, c->name);
	bool ours = strcmp(c->master, g->settings.address) == 0;

	if (ours && c->key[0] != '\0' && strcmp(c->key, pgp_own_fpr(g->parts.pgp)) != 0) {
		log_err("group=%s key=%s why=\"the configuration names us as its master with a key that is not ours\"", c->name, c->key);
	} else if (!row->left) {
		ours ? seed_ours(g, c, row) : seed_foreign(g, c, row);
		struct entry *e = entry_get(g, c->name);

		e->ours = true;
		find_start(e);
		entry_refresh(e);
		list_publish(e);
	}
	talloc_free(ctx);
}

/* A section that was taken out of p2pmta.conf: we are not in that group any more. Pin and serial stay. */
static void seed_gone(struct groups *g)
{
	void *ctx = mem_ctx(NULL);
	size_t n;
	struct group_row **all = store_group_all(g->parts.store, ctx, &n);

	for (size_t i = 0; i < n; i++) {
		if (!all[i]->from_conf || conf_find(g, all[i]->name) != NULL)
			continue;
		all[i]->from_conf = false;
		if (all[i]->role != GROUP_FOREIGN && !all[i]->left)
			change_out(g, all[i]);
		else
			store_group_save(g->parts.store, all[i]);
	}
	talloc_free(ctx);
}

static void seed(struct groups *g)
{
	g->seeded = true;
	seed_gone(g);
	for (size_t i = 0; i < g->settings.n_conf; i++)
		seed_one(g, &g->settings.conf[i]);
}

static void conf_copy(struct groups *g, const struct groups_conf *conf, size_t n)
{
	talloc_free(g->conf_ctx);
	struct groups_conf *copy = mem_zero_array(g, struct groups_conf, n + 1);

	for (size_t i = 0; i < n; i++) {
		const char **members = mem_zero_array(copy, const char *, conf[i].n_members + 1);

		for (size_t j = 0; j < conf[i].n_members; j++)
			members[j] = mem_strdup(members, conf[i].members[j]);
		copy[i] = (struct groups_conf){
			.name = mem_strdup(copy, conf[i].name), .master = mem_strdup(copy, conf[i].master),
			.key = mem_strdup(copy, conf[i].key), .members = members, .n_members = conf[i].n_members,
		};
	}
	g->conf_ctx = copy;
	g->settings.conf = copy;
	g->settings.n_conf = n;
}

void groups_set(struct groups *g, const struct groups_conf *conf, size_t n)
{
	conf_copy(g, conf, n);
	g->seeded = false;
	groups_soon(g);
}

/* Life. */

static void tell_changes(struct groups *g)
{
	struct entry *e, *next;

	settle_own(g);
	HASH_ITER(hh, g->entries, e, next) {
		if (!e->changed)
			continue;
		e->changed = false;
		g->hooks.changed(g->hooks.arg, e->name);
	}
}

static void on_soon(void *arg)
{
	struct groups *g = arg;
	int64_t now = clock_mono_ms(), next_ms = TICK_MAX_MS;
	struct entry *e, *next;

	g->wanted = false;
	if (!g->seeded)
		seed(g);
	HASH_ITER(hh, g->entries, e, next) {
		int64_t due[] = { join_tick(e, now), find_tick(e, now), list_tick(e, now) };

		for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++)
			next_ms = due[i] < next_ms ? due[i] : next_ms;
		/* Taken out meanwhile: told once more, then it goes. */
		if (!e->ours && !find_is_busy(e) && e->sender[0] == '\0' && !e->changed)
			entry_drop(e);
	}
	tell_changes(g);
	network_tick(g);
	store_invite_forget(g->parts.store, clock_now_s() - JOIN_LIFE_S);
	if (!g->wanted)
		timer_set(g->soon, next_ms > 0 ? next_ms : 1);
}

static void load(struct groups *g)
{
	void *ctx = mem_ctx(NULL);
	size_t n;
	struct group_row **all = store_group_all(g->parts.store, ctx, &n);

	for (size_t i = 0; i < n; i++) {
		if (all[i]->role != GROUP_MASTER && all[i]->role != GROUP_MEMBER)
			continue;
		struct entry *e = entry_get(g, all[i]->name);

		e->ours = true;
		find_start(e);
		entry_refresh(e);
	}
	talloc_free(ctx);
}

struct groups *groups_start(const struct groups_parts *parts, const struct groups_settings *settings,
    const struct groups_hooks *hooks)
{
	struct groups *g = mem_zero(NULL, struct groups);
	struct entry *e, *next;

	g->parts = *parts;
	g->settings = *settings;
	g->hooks = *hooks;
	conf_copy(g, settings->conf, settings->n_conf);
	g->soon = timer_new(parts->loop, on_soon, g);
	load(g);
	settle_own(g);
	join_load(g);
	HASH_ITER(hh, g->entries, e, next)
		list_publish(e);
	groups_soon(g);
	return g;
}

void groups_stop(struct groups **gp)
{
	struct groups *g = *gp;
	struct entry *e, *next;

	*gp = NULL;
	if (g == NULL)
		return;
	HASH_ITER(hh, g->entries, e, next)
		entry_drop(e);
	timer_free(&g->soon);
	talloc_free(g);
}

void groups_on_resolved(struct groups *g, const char *address, enum outcome res)
{
	find_resolved(g, address);
	if (res == OK) {
		list_resolved(g, address);
		holders_resolved(g, address);
	}
}
