/*
 * What members bring. A list of theirs or of another owner's is looked at like
 * one that was fetched; the other things only when the list that we have names
 * them. The answer waits for the disk: 204 means that it is kept.
 */
#include <string.h>
#include <unistd.h>

#include <talloc.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "way/replica/state.h"

/* One of these; its own talloc context. */
struct putting {
	struct replicas *r;
	void (*done)(void *arg, unsigned status);
	void *arg;
	unsigned status;
	struct timer *timer;
	uint64_t reserved;		/* of the quota */
};

static void on_answer(void *arg)
{
	struct putting *p = arg;

	p->done(p->arg, p->status);
	timer_free(&p->timer);
	talloc_free(p);
}

static void answer_soon(struct replicas *r, const struct replicas_put *put, unsigned status)
{
	struct putting *p = talloc_zero(r, struct putting);

	p->done = put->done;
	p->arg = put->arg;
	p->status = status;
	p->timer = timer_new(r->parts.loop, on_answer, p);
	timer_set(p->timer, 0);
	if (put->file != NULL) {
		files_drop(put->file);
		pool_close(r->parts.pool, put->fd);
	}
}

static void on_durable(void *arg, bool durable)
{
	struct putting *p = arg;

	p->done(p->arg, durable ? 204 : 507);
	talloc_free(p);
}

static void on_kept(struct keep *k)
{
	struct putting *p = talloc_steal(NULL, k->arg);

	k->r->coming -= p->reserved;
	if (k->res == OK) {
		store_when_durable(k->r->parts.store, on_durable, p);
		pulls_look(k->r->pulls, k->owner);
		return;
	}
	p->done(p->arg, k->res == RETRY ? 507 : 409);
	talloc_free(p);
}

static void keep(struct replicas *r, struct member *owner, const struct replicas_put *put, const uint8_t digest[32])
{
	struct keep *k = talloc_zero(NULL, struct keep);
	struct putting *p = talloc_zero(k, struct putting);

	p->r = r;
	p->done = put->done;
	p->arg = put->arg;
	k->r = r;
	memcpy(k->owner, owner->address, sizeof(k->owner));
	memcpy(k->fpr, owner->fpr, sizeof(k->fpr));
	memcpy(k->hash, put->hash, 32);
	memcpy(k->digest, digest, 32);
	k->what = put->what;
	k->fd = -1;
	k->octets = bytes_dup(k, put->octets);
	p->reserved = put->what == REPLICAS_BODY ? put->size : 0;
	r->coming += p->reserved;
	if (put->file != NULL) {
		k->file = talloc_strdup(k, put->file);
		k->fd = put->fd;
	}
	k->done = on_kept;
	k->arg = p;
	keep_submit(k);
}

static bool is_none(const uint8_t hash[32])
{
	static const uint8_t none[32];

	return memcmp(hash, none, 32) == 0;
}

/* 0: take it, with this digest. */
static unsigned judge(struct replicas *r, const struct replica *row, const struct replicas_put *put, const uint8_t **digest_out)
{
	if (row == NULL || !row->listed)
		return 404;
	if (row->done)
		return 204;
	switch (put->what) {
	case REPLICAS_NOTICES:
		*digest_out = row->notices_hash;
		return memcmp(row->noticed, row->notices_hash, 32) == 0 ? 204 : 0;
	case REPLICAS_HEAD:
		*digest_out = row->head_hash;
		if (is_none(row->noticed) || !row->has_head)
			return 404;
		if (row->body)
			return 204;
		if (put->octets.len != row->head_size)
			return 409;
		return pulls_has_room(r, row->head_size + row->sealed_size) ? 0 : 507;
	case REPLICAS_BODY:
		*digest_out = row->hash;
		if (row->body)
			return 204;
		if (is_none(row->noticed) || (row->has_head && !pulls_has_file(r, row->head_hash)))
			return 404;
		if (put->size != row->sealed_size || memcmp(put->digest, row->hash, 32) != 0)
			return 409;
		return pulls_has_room(r, put->size) ? 0 : 507;
	case REPLICAS_LIST:
		break;
	}
	return 404;
}

void replicas_put(struct replicas *r, const struct replicas_put *put)
{
	struct member *owner = member_find(r, put->owner);
	void *ctx = talloc_new(NULL);
	const uint8_t *digest;

	if (owner == NULL) {
		answer_soon(r, put, 404);
	} else if (put->what == REPLICAS_LIST) {
		if (owner->opening)
			answer_soon(r, put, 503);
		else
			sync_take(owner, put->octets, put->done, put->arg);
	} else {
		unsigned status = judge(r, store_replica_find(r->parts.store, ctx, put->owner, put->hash), put, &digest);

		if (status != 0)
			answer_soon(r, put, status);
		else
			keep(r, owner, put, digest);
	}
	talloc_free(ctx);
}
