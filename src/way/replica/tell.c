/*
 * What nobody can ask us, because we have no URL, we tell: the list that we
 * follow of each owner, to every member who holds that owner's outbox, when it
 * has changed and when he comes back. Who was off while an owner took something
 * back, and then finds the owner gone, hears of it from us or from nobody. What
 * comes right after an absence of his counts for nothing, as it may be old, so
 * he is told again when he has waited for long enough.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "way/replica/state.h"

enum { BUSY_MS = 500 };

/* A list that he has from us, or does not want. */
struct told {
	char owner[LIMIT_ADDRESS + 1];
	uint64_t serial;
	UT_hash_handle hh;
};

struct tell {
	struct told *told;
	struct http_transfer *call;
	char owner[LIMIT_ADDRESS + 1];	/* on its way, with this serial */
	uint64_t serial;
	struct timer *timer;
	int64_t again_ms;		/* then all of them once more; 0: no */
};

static uint64_t told_serial(const struct tell *t, const char *owner)
{
	struct told *d;

	HASH_FIND_STR(t->told, owner, d);
	return d != NULL ? d->serial : 0;
}

static void set_told(struct tell *t)
{
	struct told *d;

	HASH_FIND_STR(t->told, t->owner, d);
	if (d == NULL) {
		d = talloc_zero(t, struct told);
		memcpy(d->owner, t->owner, sizeof(d->owner));
		HASH_ADD_STR(t->told, owner, d);
	}
	d->serial = t->serial;
}

static void forget(struct tell *t)
{
	struct told *d, *next;

	HASH_ITER(hh, t->told, d, next) {
		HASH_DELETE(hh, t->told, d);
		talloc_free(d);
	}
}

static void on_told(void *arg, const struct http_reply *reply)
{
	struct member *m = arg;
	struct tell *t = m->tell;

	t->call = NULL;
	member_answered(m, reply);
	if (reply->status == 401)
		sync_now(m);		/* it gets his new token */
	/* He keeps it, or will never take this one. */
	if (reply->status == 204 || reply->status == 200 || reply->status == 404 || reply->status == 409) {
		set_told(t);
		timer_set(t->timer, 0);
	} else {
		timer_set(t->timer, reply->status == 503 ? BUSY_MS : m->r->settings.sync_ms);
	}
}

static void tell_list(struct member *m, const struct member *owner)
{
	struct tell *t = m->tell;
	void *ctx = talloc_new(NULL);
	struct member_call call = {
		.method = "PUT", .path = member_path(ctx, owner->address, "msglist"), .max = 4096, .quiet_ms = CALL_MS,
		.body = store_replica_list(m->r->parts.store, ctx, owner->address), .done = on_told, .arg = m,
	};

	memcpy(t->owner, owner->address, sizeof(t->owner));
	t->serial = owner->row.serial;
	if (call.body.len > 0)
		t->call = member_call(m, &call);
	talloc_free(ctx);
}

static void step(void *arg)
{
	struct member *m = arg, *owner;
	struct tell *t = m->tell;

	if (m->r->stopped || t->call != NULL || !member_can_be_asked(m))
		return;
	if (t->again_ms != 0 && clock_mono_ms() >= t->again_ms) {
		t->again_ms = 0;
		forget(t);
	}
	for (owner = m->r->members; owner != NULL && t->call == NULL; owner = owner->hh.next)
		if (member_has_fellow(owner, m) && owner->row.serial != 0 && told_serial(t, owner->address) != owner->row.serial)
			tell_list(m, owner);
	if (t->call == NULL && t->again_ms != 0)
		timer_set(t->timer, t->again_ms - clock_mono_ms());
}

void tell_to(struct member *m, bool all)
{
	if (m->r->settings.n_urls > 0)
		return;
	if (m->tell == NULL) {
		m->tell = talloc_zero(m, struct tell);
		m->tell->timer = timer_new(m->r->parts.loop, step, m);
	}
	if (all) {
		forget(m->tell);
		m->tell->again_ms = clock_mono_ms() + m->r->settings.sync_ms * 3 / 2;
	}
	timer_set(m->tell->timer, 0);
}

void tell_changed(const struct member *owner)
{
	for (struct member *m = owner->r->members; m != NULL; m = m->hh.next)
		if (member_has_fellow(owner, m))
			tell_to(m, false);
}

void tell_stop(struct member *m)
{
	struct tell *t = m->tell;

	m->tell = NULL;
	if (t == NULL)
		return;
	forget(t);
	http_transfer_free(&t->call);
	timer_free(&t->timer);
	talloc_free(t);
}
