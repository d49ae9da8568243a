#ifndef FETCH_OPENING_H
#define FETCH_OPENING_H
/*
 * One try to open what came, with all that it needs: who asked for it may be
 * gone before gpg is. A stream takes one of MAX_STREAMS places and threads of its own;
 * its octets are added while they arrive. Loop thread.
 */
#include "way/fetch/feed.h"
#include "way/fetch/fetch.h"

enum { MAX_STREAMS = 8 };

struct opening {
	struct fetch *fetch;
	struct fetch_order order;	/* a copy without sources */
	struct bytes head;		/* a head object */
	struct fetch_sealed sealed;	/* a body; fd is ours unless there is a feed */
	struct feed *feed;		/* a stream, until gpg has ended */
	bool is_head, is_stream, ended;
	struct head *opened;		/* a head that was opened */
	struct fetch_result result;
	struct err err;
	/* It has ended. arg NULL: nobody wants it. */
	void (*done)(void *arg, struct opening *);
	void (*room)(void *arg);	/* a stream: its feed is no longer full */
	void *arg;
};

/* fetch and order, the latter copied, are given to each. Octets are copied. */
struct opening *opening_head(struct fetch *, const struct fetch_order *, struct bytes octets,
    void (*done)(void *arg, struct opening *), void *arg);
/* fd is taken: a whole m', its hash and framing right. */
struct opening *opening_file(struct fetch *, const struct fetch_order *, int fd, void (*done)(void *arg, struct opening *),
    void *arg);
/* NULL with err: no pipe. Only while opening_has_place(). */
struct opening *opening_stream(struct fetch *, const struct fetch_order *, void (*done)(void *arg, struct opening *),
    void (*room)(void *arg), void *arg, struct err *);

/* A stream. All came: whole says that it is right; gpg learns it with the end. Else it is cut. */
void opening_finish(struct opening *, bool whole);
/* It is not wanted any more; it goes when gpg has ended. NULL is fine. */
void opening_drop(struct opening **);

bool opening_has_place(const struct fetch *);

#endif
