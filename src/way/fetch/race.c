/*
 * The head object, or m' as a whole: one source is asked; when it is silent
 * for a second, the next one is asked beside it, and whoever is ahead goes on
 * alone: so a good one goes on at once beside one that says nothing, and one
 * that only paused keeps what it has brought. One that is lame, that is would
 * need long for the rest at its pace, gets one other beside it that was not
 * asked yet, and whoever would be done first goes on. Octets stream past a digest and the framing check.
 * A small m' (or head object) waits in a nameless file (in memory) until it is whole; then
 * one worker job opens it. A large m' flows into gpg while it arrives: there the
 * result counts when both have ended, and gpg cannot end before the hash is known.
 */
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/mail/packets.h"
#include "way/fetch/pull.h"

enum { MAX_TRIES = 8 };
/* In times of a hedge: over how long a pace is measured, and for how long a lame one would need. */
enum { WINDOW = 2, LAME = 20 };

/* With one source; its own talloc context. */
struct try {
	struct race *race;
	size_t source;
	struct http_transfer *transfer;
	int64_t last_ms;
	bool held;			/* it waits for us */
	uint64_t octets;
	int64_t window_ms;		/* begin of the window */
	uint64_t before;		/* octets until then */
	int64_t left_ms;		/* for the rest at the pace of the last window; -1: there was none yet */
	bool lame;
	struct digest *digest;
	struct packets *framing;
	bool misframed;
	struct err err;
	/* Where the octets go. */
	struct buf *head;
	int fd;				/* a small m' */
	struct opening *opening;	/* a large m' */
	bool refused;			/* gpg had enough before all came */
};

struct race {
	struct pull *pull;
	bool head;
	struct try *tries[MAX_TRIES];
	size_t n;
	bool won;			/* the only try left has all */
	struct opening *opening;	/* of a head, or of a small m' */
};

static void next_try(struct race *r, bool beside);

static bool is_stream(const struct race *r)
{
	return !r->head && r->pull->order.sealed_size > STREAM_ABOVE;
}

static void try_free(struct try *t)
{
	struct race *r = t->race;
	size_t i = 0;

	http_transfer_free(&t->transfer);
	r->pull->sources->list[t->source].n_busy--;
	opening_drop(&t->opening);
	if (t->fd >= 0)
		close(t->fd);
	while (r->tries[i] != t)
		i++;
	r->tries[i] = r->tries[--r->n];
	talloc_free(t);
}

static bool is_silent(const struct try *t, int64_t now_ms)
{
	return !t->held && now_ms - t->last_ms >= t->race->pull->fetch->parts.hedge_ms;
}

static uint64_t size_of(const struct race *r)
{
	return r->head ? r->pull->order.head_size : r->pull->order.sealed_size;
}

static void see_pace(struct try *t, int64_t now_ms)
{
	int64_t hedge_ms = t->race->pull->fetch->parts.hedge_ms, spent = now_ms - t->window_ms;
	uint64_t came = t->octets - t->before, size = size_of(t->race);

	if (!t->held && spent < WINDOW * hedge_ms)
		return;
	if (!t->held && t->octets < size) {
		t->left_ms = came == 0 ? INT64_MAX : (int64_t)((size - t->octets) * (uint64_t)spent / came);
		t->lame = t->left_ms > LAME * hedge_ms;
	}
	t->window_ms = now_ms;
	t->before = t->octets;
}

static bool is_behind(const struct try *other, const struct try *t)
{
	if ((t->lame || other->lame) && t->left_ms >= 0)
		return other->left_ms > t->left_ms;
	return other->octets <= t->octets;
}

/*
 * Those that are behind this one; all of them when it has won, or another would win, too. What had begun to deliver
 * and then stopped, or nearly so, is remembered for it.
 */
static void cut_others(struct race *r, const struct try *t, bool won)
{
	for (size_t i = r->n; i-- > 0;) {
		struct try *other = r->tries[i];

		if (other == t || (!won && !is_behind(other, t)))
			continue;
		if (other->octets > 0 && (is_silent(other, clock_mono_ms()) || (other->lame && !t->lame)))
			pull_blame_stalled(r->pull, other->source);
		try_free(other);
	}
}

static void on_opened(void *arg, struct opening *o)
{
	struct race *r = arg;
	struct pull *p = r->pull;

	if (p->ended)
		return;
	r->opening = NULL;
	if (o->is_head && !p->key.head)
		pull_on_head(p, o);
	else
		pull_end_opened(p, o);
}

/* Arriving. */

static void on_stream_room(void *arg)
{
	struct try *t = arg;

	if (t->transfer != NULL)
		http_transfer_resume(t->transfer);
}

static void take_stream(struct try *t)
{
	struct opening *o = t->opening;

	t->opening = NULL;
	pull_end_opened(t->race->pull, o);
}

/* gpg had enough before all came. Is that m' at all? Its hash has to be known before anybody is blamed. */
static void stream_ended_early(struct try *t)
{
	if (t->opening->result.res == RETRY && !t->misframed) {
		take_stream(t);
		return;
	}
	t->opening->result.res = REJECT;
	t->refused = true;
	http_transfer_resume(t->transfer);
}

static void on_stream_opened(void *arg, struct opening *o)
{
	struct try *t = arg;

	(void)o;
	if (t->race->pull->ended)
		return;
	if (t->transfer != NULL)
		stream_ended_early(t);
	else
		take_stream(t);
}

static bool must_wait(const struct try *t)
{
	const struct opening *o = t->opening;

	if (!is_stream(t->race))
		return false;
	return o == NULL ? !opening_has_place(t->race->pull->fetch) : o->feed != NULL && feed_is_full(o->feed);
}

/* gpg starts when the first octets are here: a holder who does not answer takes no place. */
static int keep_streamed(struct try *t, struct bytes b)
{
	struct pull *p = t->race->pull;

	if (t->opening == NULL)
		t->opening = opening_stream(p->fetch, &p->order, on_stream_opened, on_stream_room, t, &t->err);
	if (t->opening == NULL)
		return -1;
	if (t->opening->feed != NULL)
		feed_add(t->opening->feed, b);
	return 0;
}

/* -1: our disk is full, or the like. */
static int keep_octets(struct try *t, struct bytes b)
{
	struct pull *p = t->race->pull;

	if (t->race->head)
		return buf_add(t->head, b.data, b.len) ? 0 : -1;
	if (is_stream(t->race))
		return keep_streamed(t, b);
	if (files_write(t->fd, b.data, b.len) == 0)
		return 0;
	err_sys(&t->err, "write a file in %s", p->fetch->parts.inbox);
	return -1;
}

/* What is not framed as it must be does not get to gpg; only its hash is still of interest. */
static bool is_framed(struct try *t, struct bytes b)
{
	if (t->race->head || (!t->misframed && packets_feed(t->framing, b, &t->err) == 0))
		return true;
	t->misframed = true;
	if (t->opening != NULL)
		opening_finish(t->opening, false);
	return false;
}

static enum http_taken on_octets(void *arg, struct bytes b)
{
	struct try *t = arg;
	struct pull *p = t->race->pull;

	if (p->ended)
		return HTTP_STOP;
	t->last_ms = clock_mono_ms();
	pull_came(p, b.len);
	t->held = must_wait(t);
	if (t->held)
		return HTTP_HOLD;
	t->octets += b.len;
	cut_others(t->race, t, false);
	digest_add(t->digest, b.data, b.len);
	if (!is_framed(t, b) || keep_octets(t, b) == 0)
		return HTTP_TAKEN;
	pull_end(p, RETRY, t->err.text);
	return HTTP_STOP;
}

/* The end of a transfer. */

static bool is_whole(struct try *t)
{
	const struct fetch_order *o = &t->race->pull->order;
	uint8_t hash[DIGEST_LEN];

	digest_take(t->digest, hash);
	return t->octets == size_of(t->race) && memcmp(hash, t->race->head ? o->head_hash : o->hash, 32) == 0;
}

/* All is known about the octets that came; gpg learns it with their end. */
static void race_won(struct try *t)
{
	struct race *r = t->race;
	struct pull *p = r->pull;

	r->won = true;
	p->arrived_ms = clock_mono_ms();
	sources_help(p->sources, t->source);
	if (!r->head && !t->misframed && packets_end(t->framing, &t->err) < 0)
		t->misframed = true;
	if (t->misframed) {
		pull_end(p, REJECT, t->err.text);
	} else if (r->head) {
		r->opening = opening_head(p->fetch, &p->order, buf_bytes(t->head), on_opened, r);
	} else if (!is_stream(r)) {
		r->opening = opening_file(p->fetch, &p->order, t->fd, on_opened, r);
		t->fd = -1;
	} else if (t->opening->ended) {
		take_stream(t);
	} else {
		opening_finish(t->opening, true);
	}
}

static void on_done(void *arg, const struct http_reply *reply)
{
	struct try *t = arg;
	struct race *r = t->race;
	struct pull *p = r->pull;

	t->transfer = NULL;
	if (p->ended || pull_takes_answer(p, t->source, reply))
		return;
	if (reply->status == 200 && is_whole(t)) {
		cut_others(r, t, true);
		race_won(t);
		return;
	}
	pull_blame(p, t->source, reply, t->octets);
	try_free(t);
	next_try(r, r->n > 0);
}

/* A new try. */

static struct try *try_new(struct race *r, size_t source)
{
	struct pull *p = r->pull;
	struct try *t = mem_zero(NULL, struct try);

	t->race = r;
	t->source = source;
	t->fd = -1;
	t->digest = digest_new(t);
	t->framing = packets_new(t, PACKETS_SEALED);
	t->head = r->head ? buf_new(t, LIMIT_HEAD) : NULL;
	t->last_ms = t->window_ms = clock_mono_ms();
	t->left_ms = -1;
	r->tries[r->n++] = t;
	p->sources->list[source].n_busy++;
	p->sources->list[source].asked = true;
	return t;
}

static void try_start(struct race *r, size_t source)
{
	struct pull *p = r->pull;
	struct try *t = try_new(r, source);

	if (!r->head && !is_stream(r)) {
		t->fd = pull_file_new(p, &t->err);
		if (t->fd < 0) {
			pull_end(p, RETRY, t->err.text);
			return;
		}
	}
	t->transfer = pull_call(p, source, r->head ? ".head" : "", NULL, size_of(r), on_octets, on_done, t);
}

/* beside: others are under way. */
static void next_try(struct race *r, bool beside)
{
	struct pull *p = r->pull;
	size_t source = sources_next(p->sources, beside);

	if (source != SOURCES_NONE)
		try_start(r, source);
	else if (!beside && !pull_waits_for_more(p))
		pull_give_up(p);
}

static bool all_are_silent(const struct race *r, int64_t now_ms)
{
	for (size_t i = 0; i < r->n; i++)
		if (!is_silent(r->tries[i], now_ms))
			return false;
	return true;
}

static void hedge(struct race *r, int64_t now_ms)
{
	size_t fresh = r->n == 1 && r->tries[0]->lame ? sources_fresh(r->pull->sources) : SOURCES_NONE;

	if (r->n < MAX_TRIES && all_are_silent(r, now_ms))
		next_try(r, r->n > 0);
	else if (fresh != SOURCES_NONE)
		try_start(r, fresh);
}

void race_tick(struct race *r)
{
	struct pull *p = r->pull;
	int64_t now_ms = clock_mono_ms();

	if (r->won)
		return;
	for (size_t i = 0; i < r->n; i++) {
		if (r->tries[i]->held)
			p->last_ms = now_ms;
		see_pace(r->tries[i], now_ms);
	}
	pull_check_patience(p);
	if (!p->ended)
		hedge(r, now_ms);
}

/* A stream that found no place takes one, or is held again. */
void race_place_is_free(struct race *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct try *t = r->tries[i];

		if (t->held && t->opening == NULL && opening_has_place(r->pull->fetch)) {
			http_transfer_resume(t->transfer);
			return;
		}
	}
}

struct race *race_start(struct pull *p, bool head)
{
	struct race *r = mem_zero(NULL, struct race);

	r->pull = p;
	r->head = head;
	next_try(r, false);
	return r;
}

void race_stop(struct race **rp)
{
	struct race *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	while (r->n > 0)
		try_free(r->tries[r->n - 1]);
	opening_drop(&r->opening);
	talloc_free(r);
}
