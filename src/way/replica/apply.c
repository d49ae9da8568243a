/*
 * What an owner says, in rows. The list decides which messages there are and
 * who was withdrawn; a notices object decides who is still waited for. A
 * recipient whose receipt we heard keeps his row after the owner knows of it,
 * too: the receiver may come to us for the proof that it was heard.
 */
#include <stdlib.h>
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/value.h"
#include "way/replica/elect.h"
#include "way/replica/state.h"

void apply_show(struct replicas *r, const char *owner, const uint8_t hash[32])
{
	void *ctx = talloc_new(NULL);
	struct replica *row = store_replica_find(r->parts.store, ctx, owner, hash);
	size_t n;

	if (row == NULL) {
		r->table.replica_drop(r->table.members, owner, hash);
	} else {
		struct replica_rcpt **rcpts = store_replica_rcpts(r->parts.store, ctx, owner, hash, &n);

		r->table.replica_set(r->table.members, row, rcpts, n);
		for (size_t i = 0; i < n; i++)
			if (rcpts[i]->state == REPLICA_GOT || rcpts[i]->state == REPLICA_DECLINED)
				r->table.heard(r->table.offers, rcpts[i]->proof);
	}
	talloc_free(ctx);
}

void apply_show_all(struct member *m)
{
	struct replicas *r = m->r;
	void *ctx = talloc_new(NULL);
	size_t n;
	struct replica **rows = store_replica_all(r->parts.store, ctx, m->address, &n);

	if (m->has_row)
		r->table.list_set(r->table.members, m->address, store_replica_list(r->parts.store, ctx, m->address), m->row.serial);
	for (size_t i = 0; i < n; i++)
		apply_show(r, m->address, rows[i]->hash);
	talloc_free(ctx);
}

/* m' goes; the row stays as long as one of its recipients has something to show. */
static void end(struct replicas *r, struct replica *row)
{
	static const uint8_t none[32];

	pulls_gone(r->pulls, row->owner, row->hash);
	row->body = false;
	row->done = true;
	memcpy(row->noticed, none, 32);
	row->reason = "";
	store_replica_save(r->parts.store, row);
}

void apply_end(struct replicas *r, struct replica *row)
{
	end(r, row);
	apply_show(r, row->owner, row->hash);
}

void apply_maybe_done(struct replicas *r, struct replica *row)
{
	if (row->done || store_replica_pending(r->parts.store, row->owner, row->hash) > 0)
		return;
	/* Before its notices are here nobody knows who waits for it. */
	static const uint8_t none[32];

	if (memcmp(row->noticed, none, 32) == 0)
		return;
	end(r, row);
}

static bool is_proof_of(const struct msglist_item *item, const uint8_t c_recall[32], uint8_t proof_out[32])
{
	for (size_t i = 0; i < item->n_recalls; i++) {
		uint8_t commitment[32];

		proof_commitment(item->recalls + 32 * i, commitment);
		if (memcmp(commitment, c_recall, 32) == 0) {
			memcpy(proof_out, item->recalls + 32 * i, 32);
			return true;
		}
	}
	return false;
}

static void recall(struct replicas *r, const void *ctx, const char *owner, const struct msglist_item *item)
{
	size_t n;
	struct replica_rcpt **rcpts = store_replica_rcpts(r->parts.store, ctx, owner, item->hash, &n);

	for (size_t i = 0; i < n; i++) {
		uint8_t proof[32];

		if (rcpts[i]->state != REPLICA_PENDING || !is_proof_of(item, rcpts[i]->c_recall, proof))
			continue;
		rcpts[i]->state = REPLICA_RECALLED;
		memcpy(rcpts[i]->proof, proof, 32);
		store_replica_rcpt_save(r->parts.store, rcpts[i]);
		log_info("replica=%s state=recalled", owner);
	}
}

static void drop(struct replicas *r, const struct replica *row)
{
	pulls_gone(r->pulls, row->owner, row->hash);
	store_replica_drop(r->parts.store, row->owner, row->hash);
}

/* The owner has let go of it: who is still pending here is done there. */
static void gone(struct replicas *r, const void *ctx, const struct replica *was)
{
	struct replica row = *was;
	size_t n, kept = 0;
	struct replica_rcpt **rcpts = store_replica_rcpts(r->parts.store, ctx, was->owner, was->hash, &n);

	for (size_t i = 0; i < n; i++) {
		if (rcpts[i]->state == REPLICA_PENDING) {
			store_replica_rcpt_drop(r->parts.store, rcpts[i]);
			continue;
		}
		kept++;
		rcpts[i]->value = bytes_of(NULL, 0);
		store_replica_rcpt_save(r->parts.store, rcpts[i]);
	}
	row.listed = false;
	if (kept > 0)
		end(r, &row);
	else
		drop(r, &row);
}

static void listed(struct replicas *r, const char *owner, const struct diff *d)
{
	struct replica row = d->row != NULL ? *d->row : (struct replica){ .owner = owner, .reason = "" };

	memcpy(row.hash, d->item->hash, 32);
	memcpy(row.notices_hash, d->item->notices_hash, 32);
	row.listed = true;
	row.done = false;
	row.expires_s = d->item->expires_s;
	if (!row.body)
		row.sealed_size = d->item->sealed_size;
	store_replica_save(r->parts.store, &row);
}

struct applying {
	struct member *m;
	void *ctx;
	size_t n_new, n_gone;
};

static void on_diff(void *arg, const struct diff *d)
{
	struct applying *a = arg;
	struct replicas *r = a->m->r;

	switch (d->kind) {
	case DIFF_NEW:
	case DIFF_CHANGED:
		a->n_new += d->kind == DIFF_NEW;
		listed(r, a->m->address, d);
		break;
	case DIFF_GONE:
		a->n_gone++;
		gone(r, a->ctx, d->row);
		break;
	case DIFF_RECALLED:
		recall(r, a->ctx, a->m->address, d->item);
		break;
	}
	apply_show(r, a->m->address, d->item != NULL ? d->item->hash : d->row->hash);
}

void apply_list(struct member *m, const struct msglist *list)
{
	struct applying a = { .m = m, .ctx = talloc_new(NULL) };
	size_t n;
	struct replica **rows = store_replica_all(m->r->parts.store, a.ctx, m->address, &n);

	diff_each(list, rows, n, on_diff, &a);
	log_info("member=%s list=%llu messages=%zu new=%zu gone=%zu", m->address, (unsigned long long)list->serial,
	    list->n_items, a.n_new, a.n_gone);
	talloc_free(a.ctx);
}

static int by_c_get(const void *a, const void *b)
{
	const struct notices_item *const *x = a, *const *y = b;

	return memcmp((*x)->c_get, (*y)->c_get, 32);
}

static void take_item(struct replicas *r, const struct replica *row, struct replica_rcpt *had, const struct notices_item *item)
{
	struct replica_rcpt rcpt = { .owner = row->owner, .state = REPLICA_PENDING };

	if (had != NULL)
		rcpt = *had;
	memcpy(rcpt.hash, row->hash, 32);
	memcpy(rcpt.key, item->key, sizeof(rcpt.key));
	memcpy(rcpt.c_get, item->c_get, 32);
	memcpy(rcpt.c_got, item->c_got, 32);
	memcpy(rcpt.c_declined, item->c_declined, 32);
	memcpy(rcpt.c_recall, item->c_recall, 32);
	rcpt.expires_s = item->expires_s;
	rcpt.value = item->value;
	store_replica_rcpt_save(r->parts.store, &rcpt);
}

/* A recipient that the owner names no more: done there. What we can show for him stays. */
static void not_named(struct replicas *r, struct replica_rcpt *had)
{
	had->value = bytes_of(NULL, 0);
	if (had->state == REPLICA_PENDING)
		store_replica_rcpt_drop(r->parts.store, had);
	else
		store_replica_rcpt_save(r->parts.store, had);
}

/* Rows and items, both by C_get, side by side. */
static void merge(struct replicas *r, const struct replica *row, const struct notices *notices)
{
	void *ctx = talloc_new(NULL);
	size_t n, i = 0, at = 0;
	struct replica_rcpt **rcpts = store_replica_rcpts(r->parts.store, ctx, row->owner, row->hash, &n);
	const struct notices_item **items = talloc_array(ctx, const struct notices_item *, notices->n_items + 1);

	for (size_t k = 0; k < notices->n_items; k++)
		items[k] = &notices->items[k];
	qsort(items, notices->n_items, sizeof(const struct notices_item *), by_c_get);
	while (i < n || at < notices->n_items) {
		int order = i == n ? 1 : at == notices->n_items ? -1 : memcmp(rcpts[i]->c_get, items[at]->c_get, 32);

		if (order < 0) {
			not_named(r, rcpts[i++]);
		} else {
			take_item(r, row, order == 0 ? rcpts[i] : NULL, items[at++]);
			i += order == 0;
		}
	}
	talloc_free(ctx);
}

void apply_notices(struct replicas *r, struct replica *row, const struct notices *notices, const uint8_t digest[32])
{
	merge(r, row, notices);
	memcpy(row->noticed, digest, 32);
	if (!row->body) {
		row->has_head = notices->has_head;
		memcpy(row->head_hash, notices->head_hash, 32);
		row->head_size = notices->head_size;
	}
	store_replica_save(r->parts.store, row);
	apply_maybe_done(r, row);
	apply_show(r, row->owner, row->hash);
	stand_changed(r->stand);
}

void apply_forget(struct replicas *r, const char *owner)
{
	log_info("member=%s state=gone", owner);
	store_replica_owner_forget(r->parts.store, owner);
	store_holder_forget(r->parts.store, owner);
	r->table.owner_drop(r->table.members, owner);
}
