/*
 * m' in pieces from several sources at once (pieces.h says which of whom). A
 * piece counts when its hash is that of the head object, so nobody's lies reach
 * gpg. Pieces wait in the slots of one nameless file, one for each piece under
 * way or waiting; those that are next go to gpg in order, past the framing
 * check and the digest that has to be h. So neither memory nor disk hold more
 * than the window, whatever the size of m'.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/mail/packets.h"
#include "way/fetch/pieces.h"
#include "way/fetch/pull.h"

/* FEW_PULLS: more of them keep the lines busy by themselves. */
enum { MAX_AT_ONCE = 8, FEW_PULLS = 4, BLOCK = 128 * 1024, NO_SLOT = -1 };
/* A window of pieces that are here or asked for once, and what is asked for again. */
enum { SLOTS = PIECES_WINDOW + PIECES_ASKS };

/* One request. */
struct ask {
	struct swarm *swarm;
	unsigned number;		/* in pieces */
	struct http_transfer *transfer;
	struct digest *digest;
	int slot;
	bool lied;			/* more than was asked for */
};

struct swarm {
	struct pull *pull;
	struct pieces pieces;
	const uint8_t *hashes;
	struct ask asks[PIECES_ASKS];
	int fd;
	bool taken[SLOTS];
	bool any_right, any_lied;
	bool crowded;			/* one request for each source must do */
	int slot_of[PIECES_WINDOW];	/* of the pieces that are here, by number modulo the window */
	/* What goes to gpg. */
	uint64_t fed;			/* of the first piece */
	uint8_t *block;
	struct digest *digest;
	struct packets *framing;
	bool misframed, finished;
	struct opening *opening;
	bool refused;			/* gpg had enough before all came */
	struct err err;
};

static void feed_more(struct swarm *s);
static void ask_around(struct swarm *s);

static struct source *source_of(const struct ask *a)
{
	return &a->swarm->pull->sources->list[a->swarm->pieces.asks[a->number].source];
}

static int slot_take(struct swarm *s)
{
	int i = 0;

	while (s->taken[i])
		i++;
	s->taken[i] = true;
	return i;
}

static void ask_close(struct ask *a)
{
	http_transfer_free(&a->transfer);
	source_of(a)->n_busy--;
	if (a->slot != NO_SLOT)
		a->swarm->taken[a->slot] = false;
	a->slot = NO_SLOT;
}

static void ask_cut(struct ask *a)
{
	ask_close(a);
	pieces_end(&a->swarm->pieces, a->number, clock_mono_ms());
}

/* Opening. */

static void finish(struct swarm *s)
{
	struct opening *o = s->opening;

	s->opening = NULL;
	pull_end_opened(s->pull, o);
}

static void on_opened(void *arg, struct opening *o)
{
	struct swarm *s = arg;

	/* As a whole, then: what came of these pieces is no word about m'. */
	if (s->pull->ended || s->pull->without_pieces)
		return;
	if (s->finished || (o->result.res == RETRY && !s->misframed)) {
		finish(s);
		return;
	}
	/* gpg had enough before all came. Is that m' at all? Its hash has to be known before anybody is blamed. */
	o->result.res = REJECT;
	s->refused = true;
	feed_more(s);
	ask_around(s);
}

static void on_room(void *arg)
{
	struct swarm *s = arg;

	if (s->pull->ended)
		return;
	feed_more(s);
	ask_around(s);
}

static bool is_h(struct swarm *s)
{
	uint8_t hash[DIGEST_LEN];

	digest_take(s->digest, hash);
	return memcmp(hash, s->pull->order.hash, sizeof(hash)) == 0;
}

/* All pieces went by. */
static void all_fed(struct swarm *s)
{
	struct pull *p = s->pull;

	s->finished = true;
	p->arrived_ms = clock_mono_ms();
	if (!is_h(s)) {
		pull_without_pieces(p);
		return;
	}
	if (!s->misframed && packets_end(s->framing, &s->err) < 0)
		s->misframed = true;
	if (s->misframed)
		pull_end(p, REJECT, s->err.text);
	else if (s->opening->ended)
		finish(s);
	else
		opening_finish(s->opening, true);
}

/* What is not framed as it must be does not get to gpg; only its hash is still of interest. */
static void feed_block(struct swarm *s, struct bytes b)
{
	digest_add(s->digest, b.data, b.len);
	if (!s->misframed && packets_feed(s->framing, b, &s->err) < 0) {
		s->misframed = true;
		opening_finish(s->opening, false);
	}
	if (!s->misframed && s->opening->feed != NULL)
		feed_add(s->opening->feed, b);
}

static bool can_feed(struct swarm *s)
{
	struct pull *p = s->pull;

	if (s->pieces.first == s->pieces.n || !s->pieces.here[s->pieces.first] || p->ended)
		return false;
	if (s->opening == NULL) {
		if (!opening_has_place(p->fetch))
			return false;
		s->opening = opening_stream(p->fetch, &p->order, on_opened, on_room, s, &s->err);
		if (s->opening == NULL)
			pull_end(p, RETRY, s->err.text);
	}
	return s->opening != NULL && (s->opening->feed == NULL || !feed_is_full(s->opening->feed));
}

/* A block of the first piece; false: our disk. */
static bool feed_first(struct swarm *s)
{
	int *slot = &s->slot_of[s->pieces.first % PIECES_WINDOW];
	uint64_t len = pieces_len(&s->pieces, s->pieces.first), left = len - s->fed;
	ssize_t n = files_pread(s->fd, s->block, left < BLOCK ? (size_t)left : BLOCK,
	    (uint64_t)*slot * s->pieces.piece_size + s->fed);

	if (n <= 0) {
		err_sys(&s->err, "read what was pulled");
		return false;
	}
	feed_block(s, bytes_of(s->block, (size_t)n));
	s->fed += (uint64_t)n;
	if (s->fed == len) {
		s->taken[*slot] = false;
		s->fed = 0;
		pieces_used(&s->pieces);
	}
	return true;
}

static void feed_more(struct swarm *s)
{
	while (!s->finished && can_feed(s)) {
		if (!feed_first(s))
			pull_end(s->pull, RETRY, s->err.text);
		else if (s->pieces.first == s->pieces.n)
			all_fed(s);
	}
}

/* Arriving. */

static enum http_taken on_octets(void *arg, struct bytes b)
{
	struct ask *a = arg;
	struct swarm *s = a->swarm;
	struct pieces_ask *pa = &s->pieces.asks[a->number];

	if (s->pull->ended)
		return HTTP_STOP;
	a->lied |= pa->octets + b.len > pieces_len(&s->pieces, pa->piece);
	if (a->lied)
		return HTTP_STOP;
	errno = ENOSPC;			/* what a short one means */
	if (pwrite(s->fd, b.data, b.len, (off_t)((uint64_t)a->slot * s->pieces.piece_size + pa->octets)) != (ssize_t)b.len) {
		err_sys(&s->err, "write a file in %s", s->pull->fetch->parts.inbox);
		pull_end(s->pull, RETRY, s->err.text);
		return HTTP_STOP;
	}
	digest_add(a->digest, b.data, b.len);
	pull_came(s->pull, b.len);
	pieces_came(&s->pieces, a->number, b.len, clock_mono_ms());
	return HTTP_TAKEN;
}

static bool is_right(struct ask *a)
{
	struct pieces *p = &a->swarm->pieces;
	const struct pieces_ask *pa = &p->asks[a->number];
	uint8_t hash[DIGEST_LEN];

	digest_take(a->digest, hash);
	return pa->octets == pieces_len(p, pa->piece) && memcmp(hash, a->swarm->hashes + pa->piece * DIGEST_LEN, DIGEST_LEN) == 0;
}

static void cut_all_of(struct swarm *s, size_t source)
{
	for (size_t i = 0; i < PIECES_ASKS; i++)
		if (s->pieces.asks[i].used && s->pieces.asks[i].source == source)
			ask_cut(&s->asks[i]);
}

/* The others that were asked for this piece, too. Who has been silent meanwhile has stalled. */
static void cut_rivals(struct swarm *s, unsigned piece)
{
	for (unsigned i = 0; i < PIECES_ASKS; i++) {
		struct pieces_ask *pa = &s->pieces.asks[i];

		if (!pa->used || pa->piece != piece)
			continue;
		if (pieces_is_silent(&s->pieces, i, clock_mono_ms())) {
			pull_blame_stalled(s->pull, pa->source);
			cut_all_of(s, pa->source);
		} else {
			ask_cut(&s->asks[i]);
		}
	}
}

static void take_piece(struct ask *a)
{
	struct swarm *s = a->swarm;
	const struct pieces_ask *pa = &s->pieces.asks[a->number];
	unsigned piece = pa->piece;

	s->any_right = true;
	sources_help(s->pull->sources, pa->source);
	s->slot_of[piece % PIECES_WINDOW] = a->slot;
	a->slot = NO_SLOT;
	ask_close(a);
	pieces_got(&s->pieces, a->number, clock_mono_ms());
	cut_rivals(s, piece);
	feed_more(s);
}

/* It came to nothing, but not for want of life: others wait for the same line. */
static bool is_crowded_out(const struct ask *a, const struct http_reply *reply)
{
	const struct pieces *p = &a->swarm->pieces;
	const struct pieces_ask *pa = &p->asks[a->number];

	if (reply->status != 0 || pa->octets > 0)
		return false;
	for (unsigned i = 0; i < PIECES_ASKS; i++)
		if (p->asks[i].used && p->asks[i].source == pa->source && p->asks[i].octets > 0 &&
		    !pieces_is_silent(p, i, clock_mono_ms()))
			return true;
	return false;
}

static void ask_failed(struct ask *a, const struct http_reply *reply)
{
	struct pieces_ask *pa = &a->swarm->pieces.asks[a->number];
	size_t source = pa->source;

	if (is_crowded_out(a, reply)) {
		a->swarm->crowded = true;
		ask_cut(a);
		return;
	}
	a->swarm->any_lied |= reply->status == 206 || a->lied;
	/* What is no answer to this request, however good it is otherwise, is none at all. */
	pull_blame(a->swarm->pull, source, reply, pa->octets + a->lied);
	cut_all_of(a->swarm, source);
}

static void on_done(void *arg, const struct http_reply *reply)
{
	struct ask *a = arg;
	struct swarm *s = a->swarm;

	a->transfer = NULL;
	if (s->pull->ended || pull_takes_answer(s->pull, s->pieces.asks[a->number].source, reply))
		return;
	if (reply->status == 206 && is_right(a))
		take_piece(a);
	else
		ask_failed(a, reply);
	ask_around(s);
}

/* Asking. */

static void ask_start(struct swarm *s, size_t source, unsigned piece)
{
	unsigned number = pieces_ask(&s->pieces, piece, source, clock_mono_ms());
	uint64_t at = piece * s->pieces.piece_size, len = pieces_len(&s->pieces, piece);
	struct ask *a = &s->asks[number];
	char range[48];
	uint8_t unused[DIGEST_LEN];

	snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)at, (unsigned long long)(at + len - 1));
	digest_take(a->digest, unused);
	a->slot = slot_take(s);
	a->lied = false;
	s->pull->sources->list[source].n_busy++;
	a->transfer = pull_call(s->pull, source, "", range, len, on_octets, on_done, a);
}

/* All that is under way with it, if anything. */
static bool is_silent(const struct swarm *s, size_t source, int64_t now_ms)
{
	bool any = false;

	for (unsigned i = 0; i < PIECES_ASKS; i++) {
		if (!s->pieces.asks[i].used || s->pieces.asks[i].source != source)
			continue;
		any = true;
		if (!pieces_is_silent(&s->pieces, i, now_ms))
			return false;
	}
	return any;
}

static bool ask_all(struct swarm *s, int64_t now_ms)
{
	struct sources *sources = s->pull->sources;
	bool asked = false;

	for (size_t i = 0, n = 0; i < sources->n && n < MAX_AT_ONCE; i++) {
		unsigned piece;

		if (!sources_is_usable(sources, i))
			continue;
		piece = pieces_next(&s->pieces, i, now_ms);
		if (piece != PIECES_NONE)
			ask_start(s, i, piece);
		asked |= piece != PIECES_NONE;
		n += !sources->list[i].silent;
	}
	return asked;
}

static bool is_anything_asked(const struct swarm *s)
{
	for (size_t i = 0; i < PIECES_ASKS; i++)
		if (s->pieces.asks[i].used)
			return true;
	return false;
}

/* The next piece is here, so it is gpg, or a place for it, that all wait for. */
static bool waits_for_us(const struct swarm *s)
{
	return s->pieces.first == s->pieces.n || s->pieces.here[s->pieces.first];
}

/* Where not one piece was right it may be the list that is wrong. */
static void give_up(struct swarm *s)
{
	if (s->any_lied && !s->any_right) {
		s->finished = true;
		sources_forgive(s->pull->sources);
		pull_without_pieces(s->pull);
	} else {
		pull_give_up(s->pull);
	}
}

/* One for each, and then another one for each. */
static void ask_around(struct swarm *s)
{
	struct pull *p = s->pull;
	int64_t now_ms = clock_mono_ms();

	if (p->ended || s->finished)
		return;
	s->pieces.each = s->crowded || HASH_COUNT(p->fetch->pulls) > FEW_PULLS ? 1 : PIECES_EACH;
	for (size_t i = 0; i < p->sources->n; i++)
		p->sources->list[i].silent = is_silent(s, i, now_ms);
	while (ask_all(s, now_ms))
		;
	if (!is_anything_asked(s) && !waits_for_us(s) && !pull_waits_for_more(p))
		give_up(s);
}

void swarm_tick(struct swarm *s)
{
	if (s->finished)
		return;
	if (waits_for_us(s))
		s->pull->last_ms = clock_mono_ms();
	pull_check_patience(s->pull);
	feed_more(s);
	ask_around(s);
}

/* A list of pieces that fits to m'. */
static bool is_good_list(const struct pull *p, const struct head *h)
{
	uint64_t size = p->order.sealed_size, piece = head_piece_size(size);

	return piece != 0 && h->piece_size == piece && (size + piece - 1) / piece <= PIECES_MAX &&
	    h->pieces.len == (size + piece - 1) / piece * DIGEST_LEN;
}

struct swarm *swarm_start(struct pull *p, const struct head *h)
{
	struct swarm *s;

	if (!is_good_list(p, h))
		return NULL;
	s = mem_zero(NULL, struct swarm);
	s->pull = p;
	pieces_init(&s->pieces, p->order.sealed_size, h->piece_size, p->fetch->parts.hedge_ms);
	s->hashes = bytes_dup(s, h->pieces).data;
	s->block = mem_array(s, uint8_t, BLOCK);
	s->digest = digest_new(s);
	s->framing = packets_new(s, PACKETS_SEALED);
	for (unsigned i = 0; i < PIECES_ASKS; i++)
		s->asks[i] = (struct ask){ .swarm = s, .number = i, .digest = digest_new(s), .slot = NO_SLOT };
	s->fd = pull_file_new(p, &s->err);
	if (s->fd < 0)
		pull_end(p, RETRY, s->err.text);
	ask_around(s);
	return s;
}

void swarm_stop(struct swarm **sp)
{
	struct swarm *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	for (size_t i = 0; i < PIECES_ASKS; i++)
		if (s->pieces.asks[i].used)
			ask_cut(&s->asks[i]);
	opening_drop(&s->opening);
	if (s->fd >= 0)
		close(s->fd);
	talloc_free(s);
}
