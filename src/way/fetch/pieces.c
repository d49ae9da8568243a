/*
 * What is late is a guess from what was seen: how long a piece took of the
 * source that is free, and how far the other one has come since it was asked.
 * A wrong guess costs a piece sent twice, never a wrong one.
 */
#include <assert.h>
#include <string.h>

#include "way/fetch/pieces.h"

void pieces_init(struct pieces *p, uint64_t size, uint64_t piece_size, int64_t silent_ms)
{
	memset(p, 0, sizeof(*p));
	p->size = size;
	p->piece_size = piece_size;
	p->silent_ms = silent_ms;
	p->each = PIECES_EACH;
	p->n = (unsigned)((size + piece_size - 1) / piece_size);
	assert(p->n <= PIECES_MAX);
}

uint64_t pieces_len(const struct pieces *p, unsigned piece)
{
	uint64_t left = p->size - piece * p->piece_size;

	return left < p->piece_size ? left : p->piece_size;
}

bool pieces_is_silent(const struct pieces *p, unsigned ask, int64_t now_ms)
{
	return now_ms - p->asks[ask].last_ms >= p->silent_ms;
}

/* Would the other one have all of it before this one has the rest? */
static bool is_late(const struct pieces *p, unsigned ask, int64_t pace_ms, int64_t now_ms)
{
	const struct pieces_ask *a = &p->asks[ask];
	uint64_t len = pieces_len(p, a->piece);
	int64_t spent = now_ms - a->begun_ms;

	if (pieces_is_silent(p, ask, now_ms))
		return true;
	if (pace_ms == 0 || spent < p->silent_ms / 4 || a->octets >= len)
		return false;
	/* Nor does it matter how near the end it is if it never gets there. */
	if (spent > 4 * (pace_ms + p->silent_ms))
		return true;
	if (a->octets == 0)
		return spent > 2 * pace_ms;
	return (uint64_t)spent * (len - a->octets) / a->octets > (uint64_t)(pace_ms * 3 / 2);
}

/* How it stands with a piece that is not here yet, for this source. */
static bool may_ask(const struct pieces *p, unsigned piece, size_t source, bool again, int64_t now_ms)
{
	unsigned n = 0, busy = 0;

	for (unsigned i = 0; i < PIECES_ASKS; i++) {
		if (!p->asks[i].used || p->asks[i].piece != piece)
			continue;
		if (p->asks[i].source == source || !is_late(p, i, p->pace_ms[source], now_ms))
			return false;
		n++;
		busy += !pieces_is_silent(p, i, now_ms);
	}
	return again ? n > 0 && busy < PIECES_ONE : n == 0;
}

static bool has_room(const struct pieces *p, size_t source, int64_t now_ms)
{
	unsigned all = 0, busy = 0, own = 0;
	bool delivers = p->pace_ms[source] != 0;

	for (unsigned i = 0; i < PIECES_ASKS; i++) {
		if (!p->asks[i].used)
			continue;
		all++;
		busy += !pieces_is_silent(p, i, now_ms);
		own += p->asks[i].source == source;
		delivers |= p->asks[i].source == source && p->asks[i].octets > 0;
	}
	return all < PIECES_ASKS && busy < PIECES_BUSY && own < (delivers ? p->each : 1);
}

unsigned pieces_next(const struct pieces *p, size_t source, int64_t now_ms)
{
	unsigned end = p->n - p->first < PIECES_WINDOW ? p->n : p->first + PIECES_WINDOW;

	if (!has_room(p, source, now_ms))
		return PIECES_NONE;
	for (int again = 0; again < 2; again++)
		for (unsigned piece = p->first; piece < end; piece++)
			if (!p->here[piece] && may_ask(p, piece, source, again, now_ms))
				return piece;
	return PIECES_NONE;
}

unsigned pieces_ask(struct pieces *p, unsigned piece, size_t source, int64_t now_ms)
{
	unsigned i = 0;

	while (p->asks[i].used)
		i++;
	assert(i < PIECES_ASKS);
	p->asks[i] = (struct pieces_ask){
		.used = true, .piece = piece, .source = source, .begun_ms = now_ms, .last_ms = now_ms,
	};
	return i;
}

void pieces_came(struct pieces *p, unsigned ask, uint64_t octets, int64_t now_ms)
{
	p->asks[ask].octets += octets;
	p->asks[ask].last_ms = now_ms;
}

void pieces_got(struct pieces *p, unsigned ask, int64_t now_ms)
{
	struct pieces_ask *a = &p->asks[ask];
	int64_t *pace = &p->pace_ms[a->source], took = now_ms - a->begun_ms + 1;

	/* The last one is shorter. */
	took = (int64_t)((uint64_t)took * p->piece_size / pieces_len(p, a->piece));
	*pace = *pace == 0 ? took : (*pace + took) / 2;
	p->here[a->piece] = true;
	a->used = false;
}

void pieces_end(struct pieces *p, unsigned ask, int64_t now_ms)
{
	struct pieces_ask *a = &p->asks[ask];
	int64_t *pace = &p->pace_ms[a->source];

	/* One that was cut because it was late has shown how slow it is. */
	if (a->octets > 0) {
		int64_t would = (int64_t)((uint64_t)(now_ms - a->begun_ms) * p->piece_size / a->octets);

		if (would > *pace)
			*pace = would;
	}
	a->used = false;
}

void pieces_used(struct pieces *p)
{
	assert(p->here[p->first]);
	p->first++;
}
