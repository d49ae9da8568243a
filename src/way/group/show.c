/* How groups stand, for people. */
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/mail/join.h"
#include "lib/store/contact.h"
#include "way/group/state.h"

const char *groups_state_name(enum groups_state state)
{
	static const char *const names[] = {
		[GROUPS_MASTER] = "master", [GROUPS_SIGNING] = "signing", [GROUPS_MEMBER] = "member", [GROUPS_JOINING] = "joining",
		[GROUPS_WAITING] = "waiting", [GROUPS_EXPIRED] = "expired", [GROUPS_CONFLICT] = "conflict",
	};

	return names[state];
}

bool groups_is_in(const struct groups *g, const char *name)
{
	const struct entry *e = entry_find(g, name);

	return e != NULL && e->ours && e->counts;
}

static bool is_conflict(struct groups *g, const void *ctx, const struct group_row *row)
{
	struct contact *c = store_contact_find(g->parts.store, ctx, row->master);

	return c != NULL && (c->trust == TRUST_CONFLICT || (c->fpr[0] != '\0' && strcmp(c->fpr, row->fpr) != 0));
}

static enum groups_state state_of(struct groups *g, const void *ctx, const struct entry *e, const struct group_row *row)
{
	if (row->role == GROUP_MASTER)
		return row->signed_serial == row->serial ? GROUPS_MASTER : GROUPS_SIGNING;
	if (is_conflict(g, ctx, row))
		return GROUPS_CONFLICT;
	if (e->counts)
		return GROUPS_MEMBER;
	if (e->expired)
		return GROUPS_EXPIRED;
	return e->invite != NULL ? GROUPS_JOINING : GROUPS_WAITING;
}

static char *reason_of(const struct groups *g, const void *ctx, const struct entry *e, const struct group_row *row, enum groups_state state)
{
	switch (state) {
	case GROUPS_MASTER:
	case GROUPS_MEMBER:
		break;
	case GROUPS_SIGNING:
		return mem_strdup(ctx, "its list is being signed");
	case GROUPS_JOINING:
		if (!dht_is_ready(g->parts.dht) && e->invite->n_urls == 0)
			return mem_printf(ctx, "no node of DHT network %u answers", (unsigned)e->invite->network);
		if (e->ask.len == 0)
			return mem_printf(ctx, "%s's key has not been found yet: is that peer switched on?", row->master);
		return mem_printf(ctx, "%s has not answered yet: is that peer switched on, and the invite not used before?", row->master);
	case GROUPS_WAITING:
		if (row->descriptor.len == 0)
			return mem_printf(ctx, "no list signed by %s has been found yet", row->master);
		return mem_printf(ctx, "%s's list does not name this peer with its key %s", row->master, pgp_own_fpr(g->parts.pgp));
	case GROUPS_EXPIRED:
		return mem_printf(ctx, "its list is too old; %s's peer has to be switched on for a while", row->master);
	case GROUPS_CONFLICT:
		return mem_printf(ctx, "two keys claim %s; find out which is right, then p2pmta-ctl verify %s FPR", row->master, row->master);
	}
	return mem_strdup(ctx, "");
}

static void show_members(struct groups *g, struct groups_shown *s, const void *ctx)
{
	size_t n;
	struct member_row **all = store_member_all(g->parts.store, ctx, s->name, &n);

	s->members = mem_zero_array(ctx, struct groups_shown_member, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct contact *c = store_contact_find(g->parts.store, ctx, all[i]->address);
		bool self = strcmp(all[i]->address, g->settings.address) == 0;

		if (all[i]->removed)
			continue;
		s->members[s->n_members++] = (struct groups_shown_member){
			.address = all[i]->address, .fpr = all[i]->fpr, .is_self = self, .is_master = strcmp(all[i]->address, s->master) == 0,
			.conflict = !self && c != NULL && (c->trust == TRUST_CONFLICT || (c->fpr[0] != '\0' && all[i]->fpr[0] != '\0' &&
			    strcmp(c->fpr, all[i]->fpr) != 0)),
			.last_seen_s = self || c == NULL ? 0 : c->last_seen_s,
			.reachable = self ? g->settings.n_urls > 0 : c != NULL && c->urls[0] != '\0',
		};
	}
}

static size_t count_invites(struct groups *g, const char *name)
{
	void *ctx = mem_ctx(NULL);
	size_t n, n_of = 0;
	struct invite_row **open = store_invite_open(g->parts.store, ctx, clock_now_s(), &n);

	for (size_t i = 0; i < n; i++)
		n_of += strcmp(open[i]->group, name) == 0;
	talloc_free(ctx);
	return n_of;
}

static void show(struct groups *g, const void *ctx, const struct entry *e, const struct group_row *row, struct groups_shown *s)
{
	*s = (struct groups_shown){
		.name = row->name, .state = state_of(g, ctx, e, row), .master = row->master, .fpr = row->fpr,
		.serial = row->descriptor.len > 0 ? row->signed_serial : 0, .issued_s = row->issued_s, .expires_s = row->expires_s,
		.n_invites = count_invites(g, row->name),
	};
	s->reason = reason_of(g, ctx, e, row, s->state);
	show_members(g, s, ctx);
}

struct groups_shown *groups_show(struct groups *g, const void *ctx, size_t *n_out)
{
	size_t n_rows, n = 0;
	struct groups_shown *all = mem_zero_array(ctx, struct groups_shown, HASH_COUNT(g->entries) + 1);
	struct group_row **rows = store_group_all(g->parts.store, all, &n_rows);

	for (size_t i = 0; i < n_rows; i++) {
		const struct entry *e = entry_find(g, rows[i]->name);

		if (e != NULL && e->ours && (rows[i]->role == GROUP_MASTER || rows[i]->role == GROUP_MEMBER))
			show(g, all, e, rows[i], &all[n++]);
	}
	*n_out = n;
	return all;
}
