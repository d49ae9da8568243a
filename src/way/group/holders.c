/*
 * Who may hold a sender's messages: the members of the group that he names,
 * if its master's list names him with the key we know. A list of a group that
 * we are not in vouches for nobody: it says whom to ask, and what he gives is
 * checked like anybody's. Hence members are found as any address is, and count
 * only when their key is that of the list.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "lib/store/contact.h"
#include "way/group/state.h"

enum {
	FRESH_S = 3600,			/* a list is looked for again after */
	PAUSE_MS = 60 * 1000,		/* between two looks that found nothing */
	HOLDERS_MAX = 16,		/* members that are asked for */
	ENTRIES_MAX = 64,		/* of senders' groups, in RAM */
};

static bool is_current(const struct group_row *row)
{
	return row != NULL && row->descriptor.len > 0 && !list_is_expired(row);
}

static bool names_sender(struct groups *g, const void *ctx, const struct groups_sender *s)
{
	struct member_row *m = store_member_find(g->parts.store, ctx, s->group, s->address);

	return m != NULL && !m->removed && strcmp(m->fpr, s->fpr) == 0;
}

/* Members without the sender and ourselves. */
static bool is_other(const struct groups *g, const struct member_row *m, const char *sender)
{
	return !m->removed && m->fpr[0] != '\0' && strcmp(m->address, sender) != 0 && strcmp(m->address, g->settings.address) != 0;
}

static bool is_reachable(const struct contact *c, const struct member_row *m)
{
	return c != NULL && c->urls[0] != '\0' && strcmp(c->fpr, m->fpr) == 0 && c->trust != TRUST_CONFLICT;
}

static struct groups_holder *holders_of(struct groups *g, const void *ctx, const struct groups_sender *s, size_t *n_out)
{
	size_t n_all, n = 0;
	struct member_row **all = store_member_all(g->parts.store, ctx, s->group, &n_all);
	struct groups_holder *holders = mem_zero_array(ctx, struct groups_holder, n_all + 1);

	for (size_t i = 0; i < n_all; i++) {
		struct contact *c = is_other(g, all[i], s->address) ? store_contact_find(g->parts.store, ctx, all[i]->address) : NULL;

		if (is_reachable(c, all[i]))
			holders[n++] = (struct groups_holder){ c->address, c->urls, groups_is_fellow(g, c->address) };
	}
	*n_out = n;
	return holders;
}

/* Who else can be asked for the list: one URL per line. */
static char *urls_of(struct groups *g, const void *ctx, const struct groups_sender *s)
{
	char *urls = mem_strdup(ctx, s->urls);
	size_t n;
	struct groups_holder *h = holders_of(g, urls, s, &n);

	for (size_t i = 0; i < n; i++)
		urls = talloc_asprintf_append(urls, "%s%s", urls[0] != '\0' ? "\n" : "", h[i].urls);
	return urls;
}

/* Ask where members are that we know nothing of, or nothing new. */
static void look_for_members(struct groups *g, const char *group, const char *sender)
{
	void *ctx = mem_ctx(NULL);
	size_t n;
	unsigned n_asked = 0;
	struct member_row **all = store_member_all(g->parts.store, ctx, group, &n);

	for (size_t i = 0; i < n && n_asked < HOLDERS_MAX; i++) {
		if (!is_other(g, all[i], sender))
			continue;
		struct contact *c = store_contact_find(g->parts.store, ctx, all[i]->address);

		if (c != NULL && c->descriptor.len > 0 && c->reachable_until_s >= clock_now_s())
			continue;
		g->hooks.resolve(g->hooks.arg, all[i]->address, true);
		n_asked++;
	}
	talloc_free(ctx);
}

/* The one whose last look is longest ago makes room. */
static void make_room(struct groups *g)
{
	struct entry *oldest = NULL;
	unsigned n = 0;

	for (struct entry *e = g->entries; e != NULL; e = e->hh.next) {
		if (e->ours)
			continue;
		n++;
		if (!find_is_busy(e) && (oldest == NULL || e->looked_ms < oldest->looked_ms))
			oldest = e;
	}
	if (n >= ENTRIES_MAX && oldest != NULL)
		entry_drop(oldest);
}

static void look(struct groups *g, const void *ctx, const struct groups_sender *s, bool current)
{
	struct entry *e = entry_find(g, s->group);
	struct group_row *row = store_group_find(g->parts.store, ctx, s->group);
	bool same = e != NULL && strcmp(e->sender, s->address) == 0;

	if (e != NULL && (e->ours || find_is_busy(e)))
		return;
	if (same && e->looked_ms != 0 && clock_mono_ms() < e->looked_ms + PAUSE_MS)
		return;
	if (current && clock_now_s() < row->looked_s + FRESH_S) {
		if (e != NULL)
			e->looked_ms = clock_mono_ms();
		look_for_members(g, s->group, s->address);
		return;
	}
	if (e == NULL) {
		make_room(g);
		e = entry_get(g, s->group);
	}
	snprintf(e->sender, sizeof(e->sender), "%s", s->address);
	snprintf(e->sender_fpr, sizeof(e->sender_fpr), "%s", s->fpr);
	find_look(e, urls_of(g, ctx, s));
}

static bool is_looking(const struct groups *g, const struct groups_sender *s)
{
	const struct entry *e = entry_find(g, s->group);

	return e != NULL && !e->ours && strcmp(e->sender, s->address) == 0 && find_is_busy(e);
}

struct groups_holder *groups_holders(struct groups *g, const void *ctx, const struct groups_sender *s, bool may_look, size_t *n_out,
    bool *more_out)
{
	struct groups_holder *holders = NULL;
	bool askable = s->group[0] != '\0' && s->fpr[0] != '\0' && addr_is_group(s->group);

	*n_out = 0;
	if (askable) {
		struct group_row *row = store_group_find(g->parts.store, ctx, s->group);
		bool current = is_current(row) && row->role != GROUP_NONE && names_sender(g, ctx, s);

		if (current)
			holders = holders_of(g, ctx, s, n_out);
		if (may_look)
			look(g, ctx, s, current);
	}
	if (more_out != NULL)
		*more_out = askable && is_looking(g, s);
	return holders;
}

void holders_found(struct entry *e)
{
	struct groups *g = e->groups;
	void *ctx = mem_ctx(NULL);
	struct group_row *row = store_group_find(g->parts.store, ctx, e->name);

	if (row != NULL && row->role == GROUP_FOREIGN) {
		row->looked_s = clock_now_s();
		store_group_save(g->parts.store, row);
		store_group_forget_foreign(g->parts.store, FOREIGN_MAX);
		look_for_members(g, e->name, e->sender);
		if (is_current(row))
			g->hooks.holders(g->hooks.arg, e->sender, e->name);
	}
	talloc_free(ctx);
}

void holders_resolved(struct groups *g, const char *address)
{
	struct entry *e, *next;

	HASH_ITER(hh, g->entries, e, next) {
		void *ctx = mem_ctx(NULL);

		if (!e->ours && e->sender[0] != '\0' && store_member_find(g->parts.store, ctx, e->name, address) != NULL)
			g->hooks.holders(g->hooks.arg, e->sender, e->name);
		talloc_free(ctx);
	}
}
