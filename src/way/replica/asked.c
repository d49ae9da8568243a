/* What the rest of the station wants to know of our list: what is in it, where its files are, who may not know of a withdrawal yet. */
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "way/replica/ours.h"

void ours_commitment(const struct own_rcpt *r, const uint8_t hash[32], enum proof kind, uint8_t out[32])
{
	uint8_t proof[32];

	proof_make(kind, r->secret, hash, proof);
	proof_commitment(proof, out);
}

struct bytes ours_list(const struct ours *o, uint64_t *serial_out)
{
	*serial_out = o->row.serial;
	return o->active ? o->row.octets : bytes_of(NULL, 0);
}

void ours_each(const struct ours *o, void (*each)(void *arg, const uint8_t hash[32]), void *arg)
{
	struct item *i, *next;

	HASH_ITER(hh, o->items, i, next)
		if (i->kept)
			each(arg, i->hash);
}

size_t ours_count(const struct ours *o)
{
	return HASH_COUNT(o->items);
}

bool ours_has(const struct ours *o, const uint8_t hash[32])
{
	struct item *i;

	HASH_FIND(hh_hash, o->by_hash, hash, 32, i);
	return i != NULL && i->kept;
}

static bool knows(const struct member *m, const struct item *i)
{
	return i->recall_serial != 0 && m->held_serial >= i->recall_serial;
}

static bool held_by(const struct item *i, const char *address)
{
	size_t len = strlen(address);

	for (const char *at = i->holders; at != NULL && *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n')
		if (strncmp(at, address, len) == 0 && (at[len] == '\n' || at[len] == '\0'))
			return true;
	return i->holders == NULL;
}

/* Who has no URL gives nothing away: nobody can ask him, and if somebody could, he would not (sync_judge()). */
const char *ours_holdout(const struct ours *o, const uint8_t hash[32])
{
	struct item *i;

	HASH_FIND(hh_hash, o->by_hash, hash, 32, i);
	for (const struct member *m = o->r->members; i != NULL && i->n_recalls > 0 && m != NULL; m = m->hh.next)
		if (m->ours && m->urls[0] != '\0' && held_by(i, m->address) && !knows(m, i))
			return m->address;
	return NULL;
}

bool ours_is_told(const struct ours *o, const uint8_t hash[32])
{
	struct item *i;

	HASH_FIND(hh_hash, o->by_hash, hash, 32, i);
	return i == NULL || (i->n_recalls > 0 && i->recall_serial != 0);
}

bool ours_file(const struct ours *o, const uint8_t hash[32], enum replicas_what what, struct ours_file *out)
{
	void *ctx = talloc_new(NULL);
	struct own_message *m = NULL;
	struct own_notices *n = store_own_notices_find(o->r->parts.store, ctx, hash);
	struct item *i;

	HASH_FIND(hh_hash, o->by_hash, hash, 32, i);
	if (i != NULL && i->kept)
		m = store_own_message(o->r->parts.store, ctx, i->letter, clock_now_s());
	bool there = m != NULL && !m->dropped && n != NULL && (what != REPLICAS_HEAD || m->has_head);

	if (there && what == REPLICAS_NOTICES) {
		memcpy(out->digest, n->digest, 32);
		out->size = n->size;
	} else if (there) {
		memcpy(out->digest, what == REPLICAS_HEAD ? m->head_hash : m->hash, 32);
		out->size = what == REPLICAS_HEAD ? m->head_size : m->sealed_size;
	}
	talloc_free(ctx);
	return there;
}

void ours_served(struct ours *o, const uint8_t (*served)[2][32], size_t n)
{
	void *ctx = talloc_new(NULL);
	struct own_message *m = NULL;
	struct item *i;

	HASH_FIND(hh_hash, o->by_hash, served[0][0], 32, i);
	if (i != NULL)
		m = store_own_message(o->r->parts.store, ctx, i->letter, clock_now_s());
	for (size_t k = 0; m != NULL && k < m->n_rcpts; k++) {
		uint8_t commitment[32];
		size_t at = 0;

		ours_commitment(&m->rcpts[k], served[0][0], PROOF_GET, commitment);
		while (at < n && memcmp(commitment, served[at][1], 32) != 0)
			at++;
		if (at < n)
			o->r->hooks.served(o->r->hooks.arg, m->rcpts[k].rcpt);
	}
	talloc_free(ctx);
}
