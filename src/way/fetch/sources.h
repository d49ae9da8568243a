#ifndef FETCH_SOURCES_H
#define FETCH_SOURCES_H
/*
 * Who may be asked next. A source that does not have it is spent. One that
 * lies or stalls is left for the rest of the transfer, and shunned for an
 * hour: it comes after all others, and when it is all there is, it gets one more chance,
 * or as many as it brings us further. Pure; the caller brings the time.
 */
#include <stddef.h>

#include "way/fetch/fetch.h"

enum { MAX_SOURCES = 64, SOURCES_NONE = MAX_SOURCES };
enum { SHUN_MS = 3600 * 1000, MAX_SHUNNED = 256 };

/* Base URLs with a fault, of all transfers. More than MAX_SHUNNED: the oldest is forgiven. */
struct shunned;
struct shunned *shunned_new(const void *ctx);
void shunned_add(struct shunned *, const char *url, int64_t now_ms);
bool shunned_has(const struct shunned *, const char *url, int64_t now_ms);

struct source {
	const char *url, *who, *text;	/* text: why it was no help; "" */
	bool friend_address, holder;
	bool shunned;
	enum { SOURCE_GOOD, SOURCE_LEFT, SOURCE_SPENT } state;
	unsigned n_faults;
	bool helped;			/* since its last fault */
	unsigned n_pieces;		/* that it delivered; a whole m' is one */
	unsigned n_busy;		/* transfers under way, the caller's */
	bool silent;			/* all of them are, the caller's */
	bool asked;			/* for all of m', the caller's */
};

/* One transfer's; talloc. */
struct sources {
	struct source list[MAX_SOURCES];
	size_t n;
};

/* Behind the others; nothing when it is known or there are too many. */
void sources_add(struct sources *, const struct fetch_source *, bool shunned);

/* It does not have it. */
void sources_spend(struct sources *, size_t i, const char *text);
void sources_fault(struct sources *, size_t i, const char *text);
/* It delivered what was right. */
void sources_help(struct sources *, size_t i);

/* What was wrong was not theirs: who was left may be asked once more. */
void sources_forgive(struct sources *);

/* The next one for all of m', nothing being under way with it; beside: another one is, but silent. Or SOURCES_NONE. */
size_t sources_next(const struct sources *, bool beside);
/* A good one that was not asked for all of m' yet, or SOURCES_NONE. */
size_t sources_fresh(const struct sources *);
/* May pieces be asked of it, beside the others? One URL of each peer, unless that is silent. */
bool sources_is_usable(const struct sources *, size_t i);

/* "alice@home: TEXT; carol@home: TEXT": why nobody helped. */
void sources_say(const struct sources *, struct err *);
/* Who delivered, below ctx. */
char *sources_credit(const struct sources *, const void *ctx);

#endif
