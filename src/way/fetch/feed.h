#ifndef FETCH_FEED_H
#define FETCH_FEED_H
/*
 * The pipe between a transfer and the gpg that opens m' while it arrives. Loop
 * thread, never blocks. What the pipe does not take is kept, at most what one
 * feed_add() brought; until it went the feed is full.
 */
#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/loop/loop.h"

struct feed;

/* on_room: it is no longer full. */
struct feed *feed_new(struct loop *, void (*on_room)(void *arg), void *arg, struct err *);
/* Only when nobody may open its descriptor by its number any more: after gpg's end. */
void feed_free(struct feed **);

int feed_fd(const struct feed *);	/* the read end */
bool feed_is_full(const struct feed *);
void feed_add(struct feed *, struct bytes);	/* not when it is full */
/* The reader finds the end after all that was added; with feed_cut() after what he could read by now. */
void feed_end(struct feed *);
void feed_cut(struct feed *);

#endif
