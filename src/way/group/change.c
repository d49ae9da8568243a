/* What the user changes. Each is one transaction; for the master's list a new serial is part of it. */
#include <string.h>

#include <talloc.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "lib/store/contact.h"
#include "way/group/state.h"

void change_out(struct groups *g, struct group_row *row)
{
	void *ctx = mem_ctx(NULL);
	size_t n;
	struct member_row **all = store_member_all(g->parts.store, ctx, row->name, &n);
	struct entry *e = entry_find(g, row->name);

	row->role = GROUP_NONE;
	row->descriptor = bytes_of(NULL, 0);
	row->signed_serial = 0;
	row->warned = false;
	store_group_save(g->parts.store, row);
	store_member_drop_all(g->parts.store, row->name);
	store_joining_drop(g->parts.store, row->name);
	if (e != NULL) {
		join_stop(e);
		find_stop(e);
		entry_refresh(e);
		list_publish(e);
		e->ours = false;
	}
	for (size_t i = 0; i < n; i++)
		list_unvouch(g, all[i]->address);
	network_settle(g);
	groups_soon(g);
	talloc_free(ctx);
}

/* The group that is meant, whose master we are. */
static struct group_row *own_group(struct groups *g, const void *ctx, const char *name, struct err *e)
{
	size_t n, n_ours = 0;
	struct group_row **all = store_group_all(g->parts.store, ctx, &n), *found = NULL;
	const char *home = addr_group(g->settings.address);

	for (size_t i = 0; i < n; i++) {
		if (all[i]->role != GROUP_MASTER || (name != NULL && strcmp(all[i]->name, name) != 0))
			continue;
		n_ours++;
		if (found == NULL || strcmp(all[i]->name, home) == 0)
			found = all[i];
	}
	if (found != NULL && (n_ours == 1 || strcmp(found->name, home) == 0))
		return found;
	if (n_ours > 1)
		err_set(e, "this peer is the master of several groups: say which with --group GNAME");
	else if (name != NULL)
		err_set(e, "this peer is not the master of a group %s", name);
	else
		err_set(e, "this peer is the master of no group; p2pmta-ctl group create %s makes one", home);
	return NULL;
}

static bool may_create(const struct group_row *row, struct err *e)
{
	if (row->role == GROUP_MASTER)
		err_set(e, "this peer is the master of %s already", row->name);
	else if (row->role == GROUP_MEMBER)
		err_set(e, "this peer is in the group %s of %s; leave it first, or take another name", row->name, row->master);
	else if (row->role == GROUP_FOREIGN)
		err_set(e, "there is a group %s already, its master is %s; take another name", row->name, row->master);
	else
		return true;
	return false;
}

enum outcome groups_create(struct groups *g, const char *name, struct err *e)
{
	void *ctx = mem_ctx(NULL);
	struct group_row *row = row_get(g, ctx, name);
	enum outcome res = REJECT;

	if (!may_create(row, e))
		goto out;
	struct member_row self = { .group = name, .address = g->settings.address, .fpr = pgp_own_fpr(g->parts.pgp) };
	struct entry *entry = entry_get(g, name);

	row->role = GROUP_MASTER;
	row->left = false;
	row->master = g->settings.address;
	row->fpr = self.fpr;
	store_member_drop_all(g->parts.store, name);
	store_member_save(g->parts.store, &self);
	list_renew(g, row);
	entry->ours = true;
	find_start(entry);
	log_info("group=%s role=master", name);
	res = OK;
out:
	talloc_free(ctx);
	return res;
}

static bool may_add(struct groups *g, const void *ctx, const struct group_row *row, const char *address, struct err *e)
{
	size_t n, n_in = 0;
	struct member_row **all = store_member_all(g->parts.store, ctx, row->name, &n);

	for (size_t i = 0; i < n; i++)
		n_in += !all[i]->removed && strcmp(all[i]->address, address) != 0;
	if (n_in < LIMIT_GROUP_MEMBERS)
		return true;
	err_set(e, "the group %s is full: it has %d members", row->name, LIMIT_GROUP_MEMBERS);
	return false;
}

enum outcome change_add(struct groups *g, struct group_row *row, const char *address, const char *fpr, struct err *e)
{
	void *ctx = mem_ctx(NULL);
	struct member_row m = { .group = row->name, .address = address, .fpr = fpr };
	struct member_row *old = store_member_find(g->parts.store, ctx, row->name, address);
	enum outcome res = REJECT;

	if (strcmp(address, g->settings.address) == 0) {
		err_set(e, "this is our own address: the master is a member by himself");
		goto out;
	}
	if (!may_add(g, ctx, row, address, e))
		goto out;
	if (!g->hooks.vouch(g->hooks.arg, address, fpr)) {
		err_set(e, "another key is known for %s than %s; find out which is right, then p2pmta-ctl verify %s FPR", address, fpr,
		    address);
		goto out;
	}
	res = OK;
	if (old != NULL && !old->removed && strcmp(old->fpr, fpr) == 0)
		goto out;
	m.from_conf = old != NULL && old->from_conf;
	store_member_save(g->parts.store, &m);
	list_renew(g, row);
	log_info("group=%s member=%s key=%s change=added", row->name, address, fpr);
out:
	talloc_free(ctx);
	return res;
}

enum outcome groups_add(struct groups *g, const char *name, const char *address, const char *fpr, struct err *e)
{
	void *ctx = mem_ctx(NULL);
	struct group_row *row = own_group(g, ctx, name, e);
	enum outcome res = row != NULL ? change_add(g, row, address, fpr, e) : REJECT;

	talloc_free(ctx);
	return res;
}

enum outcome groups_remove(struct groups *g, const char *name, const char *address, struct err *e)
{
	void *ctx = mem_ctx(NULL);
	struct group_row *row = own_group(g, ctx, name, e);
	struct member_row *m = row != NULL ? store_member_find(g->parts.store, ctx, row->name, address) : NULL;
	enum outcome res = REJECT;

	if (row == NULL)
		goto out;
	if (m == NULL || m->removed) {
		err_set(e, "%s is not in the group %s", address, row->name);
		goto out;
	}
	if (strcmp(address, g->settings.address) == 0) {
		err_set(e, "the master cannot be removed; p2pmta-ctl group leave %s ends the group once it is empty", row->name);
		goto out;
	}
	m->removed = true;
	store_member_save(g->parts.store, m);
	list_renew(g, row);
	entry_refresh(entry_get(g, row->name));
	list_unvouch(g, address);
	log_info("group=%s member=%s change=removed", row->name, address);
	res = OK;
out:
	talloc_free(ctx);
	return res;
}

static bool may_leave(struct groups *g, const void *ctx, const struct group_row *row, struct err *e)
{
	size_t n, n_in = 0;
	struct member_row **all = store_member_all(g->parts.store, ctx, row->name, &n);

	for (size_t i = 0; i < n; i++)
		n_in += !all[i]->removed;
	if (row->role == GROUP_MASTER && n_in > 1) {
		err_set(e, "this peer is the master of %s: its members would go on without you; p2pmta-ctl group remove them first", row->name);
		return false;
	}
	return true;
}

enum outcome groups_leave(struct groups *g, const char *name, struct err *e)
{
	void *ctx = mem_ctx(NULL);
	struct group_row *row = store_group_find(g->parts.store, ctx, name);
	enum outcome res = REJECT;

	if (row == NULL || row->role == GROUP_NONE) {
		err_set(e, "this peer is not in a group %s", name);
	} else if (may_leave(g, ctx, row, e)) {
		row->left = row->role != GROUP_FOREIGN;
		log_info("group=%s role=none why=\"left\"", name);
		if (row->role == GROUP_FOREIGN)
			store_group_drop(g->parts.store, name);
		else
			change_out(g, row);
		res = OK;
	}
	talloc_free(ctx);
	return res;
}

const char *change_own_name(struct groups *g, const void *ctx, const char *name, struct err *e)
{
	const struct group_row *row = own_group(g, ctx, name, e);

	return row != NULL ? row->name : NULL;
}
