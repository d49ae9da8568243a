/* Who took something back wants to know whether it was in time, but not to wait for a member who is away. */
#include <string.h>

#include <talloc.h>

#include "way/replica/state.h"

struct confirm {
	struct replicas *r;
	uint8_t hash[32];
	struct timer *timer;
	void (*done)(void *arg);
	void *arg;
	struct confirm *next;
};

const char *replicas_holdout(const struct replicas *r, const uint8_t hash[32])
{
	return ours_holdout(r->ours, hash);
}

static void end(struct confirm *c)
{
	struct confirm **at = &c->r->confirms;
	void (*done)(void *arg) = c->done;
	void *arg = c->arg;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	timer_free(&c->timer);
	talloc_free(c);
	done(arg);
}

static void on_timer(void *arg)
{
	end(arg);
}

void replicas_when_confirmed(struct replicas *r, const uint8_t hash[32], int64_t ms, void (*done)(void *arg), void *arg)
{
	struct confirm *c = talloc_zero(r, struct confirm);

	c->r = r;
	memcpy(c->hash, hash, 32);
	c->done = done;
	c->arg = arg;
	c->next = r->confirms;
	r->confirms = c;
	c->timer = timer_new(r->parts.loop, on_timer, c);
	/* Without members nobody has to know: the list is not even looked at. */
	timer_set(c->timer, members_count_ours(r) > 0 ? ms : 0);
}

void confirm_look(struct replicas *r)
{
	for (struct confirm *c = r->confirms; c != NULL; c = c->next)
		if (ours_is_told(r->ours, c->hash) && ours_holdout(r->ours, c->hash) == NULL)
			timer_set(c->timer, 0);
}

void confirm_stop(struct replicas *r)
{
	/* Who waits has stopped before us. */
	while (r->confirms != NULL) {
		struct confirm *c = r->confirms;

		r->confirms = c->next;
		timer_free(&c->timer);
		talloc_free(c);
	}
}
