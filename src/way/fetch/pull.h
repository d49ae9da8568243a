#ifndef FETCH_PULL_H
#define FETCH_PULL_H
/*
 * A pull and what its files share:
 *	fetch.c    life, the table, what comes after what, the end
 *	race.c     the head object or m' as a whole, from one source after or beside the other
 *	swarm.c    m' in pieces from several sources
 *	opening.c  gpg
 *	sources.c  whom to ask (pure)
 *	pieces.c   which piece of whom (pure)
 */
#include <uthash.h>

#include "way/fetch/opening.h"
#include "way/fetch/sources.h"

enum { QUIET_MS = 20000, TICK_MS = 100, MORE_MS = 10000 };
#define STREAM_ABOVE MIB(1)

struct fetch {
	struct fetch_parts parts;
	struct fetch_hooks hooks;
	struct pool *streams;
	unsigned n_streams;
	struct pull *pulls;
	struct shunned *shunned;
};

struct pull_key {
	uint64_t id;
	uint64_t head;			/* 0 the body, 1 the head object */
};

struct pull {
	struct pull_key key;
	struct fetch *fetch;
	struct fetch_order order;	/* without sources */
	struct sources *sources;
	bool heard, recalled;
	int64_t begun_ms, last_ms, arrived_ms;	/* last_ms: of the last step from anybody */
	uint64_t n_step;			/* octets since then */
	struct timer *tick;
	UT_hash_handle hh;

	/* One of these is under way. */
	struct race *race;
	struct swarm *swarm;
	bool without_pieces;		/* in the next turn: as a whole */

	/* The end, in a turn of its own. */
	bool ended;
	enum outcome res;
	struct err err;
	struct opening *opening;	/* what it brought; NULL: nothing */
};

/* All that comes now is dropped, and the hook is called in a turn of its own. */
void pull_end(struct pull *, enum outcome, const char *reason);
/* The same with what an opening says; it is taken. */
void pull_end_opened(struct pull *, struct opening *);
/* Is there hope that others come? Else, with nobody under way, it has ended; and it has when all were silent for long. */
bool pull_waits_for_more(const struct pull *);
void pull_give_up(struct pull *);
void pull_check_patience(struct pull *);

/* A GET for this source; octets of the answer at most max. Authorization and limits of time are set here. */
struct http_transfer *pull_call(struct pull *, size_t source, const char *what, const char *range, uint64_t max,
    enum http_taken (*on_octets)(void *arg, struct bytes), void (*done)(void *arg, const struct http_reply *), void *arg);
/* Octets came from somebody; a trickle does not renew the patience. */
void pull_came(struct pull *, size_t octets);
/* Notes that somebody answered. A 410 with our T_recall ends the pull: true. */
bool pull_takes_answer(struct pull *, size_t source, const struct http_reply *);
/* It did not deliver: spent, or left and shunned when it lied, stalled or broke off. octets: of what was asked for, that came. */
void pull_blame(struct pull *, size_t source, const struct http_reply *, uint64_t octets);
void pull_blame_stalled(struct pull *, size_t source);
/* A file without a name in inbox/; -1 with err. */
int pull_file_new(struct pull *, struct err *);

/* All of the head object or of m'. What came of a head is opened before the end. */
struct race *race_start(struct pull *, bool head);
void race_stop(struct race **);
void race_tick(struct race *);
void race_place_is_free(struct race *);

/* m' by the pieces of this head; NULL: it has no good list of them. */
struct swarm *swarm_start(struct pull *, const struct head *);
void swarm_stop(struct swarm **);
void swarm_tick(struct swarm *);

/* The head of a body is here (race.c); taken. */
void pull_on_head(struct pull *, struct opening *);
/* All pieces are right, and m' is not: its sender's list lies (swarm.c). */
void pull_without_pieces(struct pull *);

/* A stream has ended (opening.c). */
void fetch_place_is_free(struct fetch *);

#endif
