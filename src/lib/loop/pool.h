#ifndef LOOP_POOL_H
#define LOOP_POOL_H
/*
 * Worker threads, two per core: where gpg, MIME and fsync of large files run.
 * A job is work(arg) on a worker, then done(arg) on the loop. arg carries
 * copies and ids, never a session pointer; it is its own top-level talloc
 * context (talloc is not safe across threads below one parent).
 * POOL_SOON jobs (a person waits) go before POOL_BULK jobs, and have a worker
 * more: bulk jobs never occupy all.
 */
#include <stddef.h>

#include "lib/loop/loop.h"

enum pool_lane { POOL_SOON, POOL_BULK };

struct pool;

/* n_workers 0: two per core. */
struct pool *pool_new(struct loop *, unsigned n_workers, struct err *);
/* Waits for jobs that run; those that wait and those not yet done() get drop(). */
void pool_free(struct pool **);

struct pool_job {
	void (*work)(void *arg);	/* worker thread */
	void (*done)(void *arg);	/* loop thread; owns arg */
	void (*drop)(void *arg);	/* loop thread, instead of done(), at shutdown; owns arg */
};

/* Loop thread only. The job struct is copied; it is usually a static const. */
void pool_submit(struct pool *, enum pool_lane, const struct pool_job *, void *arg);
/*
 * close(fd). With the last descriptor of a file that was unlinked its octets go, which takes a while when they are many:
 * then a worker does it, or the caller when the pool has ended (NULL).
 */
void pool_close(struct pool *, int fd);
unsigned pool_workers(const struct pool *);
size_t pool_waiting(const struct pool *);

#endif
