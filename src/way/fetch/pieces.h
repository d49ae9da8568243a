#ifndef FETCH_PIECES_H
#define FETCH_PIECES_H
/*
 * Which piece of m' is asked of whom. Pieces are used in order, so only those
 * within a window from the first unused one are asked for. Whoever is done with one asks for the
 * next, two at a time: so the fast get more. When all in the window are asked
 * for, the first one that is late is asked of somebody else as well: one whose
 * source has been silent for long, takes longer for the rest than the other for all of it, or has had
 * several times as long.
 * Pure; the caller brings the time.
 */
#include <stdbool.h>
#include <stdint.h>

#include "way/fetch/sources.h"

enum {
	PIECES_MAX = 1024,
	PIECES_WINDOW = 24,
	PIECES_EACH = 2,		/* asked of one source at once, so that its line is never idle */
	PIECES_BUSY = 16,		/* in all, without those that are silent */
	PIECES_ONE = 4,			/* of one piece, likewise */
	PIECES_ASKS = 64,
	PIECES_NONE = PIECES_MAX,
};

struct pieces {
	uint64_t size, piece_size;	/* of m' */
	int64_t silent_ms;		/* without an octet: it is silent */
	unsigned each;			/* at most so many of one source; one before it delivers */
	unsigned n;
	unsigned first;			/* all before are used */
	bool here[PIECES_MAX];
	struct pieces_ask {
		bool used;
		unsigned piece;
		size_t source;
		uint64_t octets;
		int64_t begun_ms, last_ms;
	} asks[PIECES_ASKS];
	int64_t pace_ms[MAX_SOURCES];	/* what one took of this source; 0 not known */
};

void pieces_init(struct pieces *, uint64_t size, uint64_t piece_size, int64_t silent_ms);
uint64_t pieces_len(const struct pieces *, unsigned piece);

/* What to ask this source for now, or PIECES_NONE. */
unsigned pieces_next(const struct pieces *, size_t source, int64_t now_ms);
/* It is asked: number of the ask, which the next ones name. */
unsigned pieces_ask(struct pieces *, unsigned piece, size_t source, int64_t now_ms);
void pieces_came(struct pieces *, unsigned ask, uint64_t octets, int64_t now_ms);
bool pieces_is_silent(const struct pieces *, unsigned ask, int64_t now_ms);
/* Done, and right: it is here. The others that ask for it are the caller's to end. */
void pieces_got(struct pieces *, unsigned ask, int64_t now_ms);
/* Cut or failed. */
void pieces_end(struct pieces *, unsigned ask, int64_t now_ms);
/* The first one was used up. */
void pieces_used(struct pieces *);

#endif
