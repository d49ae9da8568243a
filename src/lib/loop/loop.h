#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H
/*
 * The event loop: one thread that owns sessions, courier, timers and store.
 * Everything here is called on the loop thread unless a name ends otherwise.
 * Callbacks must return within a few milliseconds; a turn over 50 ms is
 * counted and logged by the watchdog.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

struct loop;

struct loop *loop_new(struct err *);
void loop_free(struct loop **);
/* Turn until loop_stop(). */
void loop_run(struct loop *);
void loop_stop(struct loop *);
/* cb runs on the loop, not in the signal handler. */
void loop_on_signal(struct loop *, int signo, void (*cb)(void *arg), void *arg);
/* cb runs at the end of every turn that ran anything, before the loop sleeps. */
void loop_on_turn(struct loop *, void (*cb)(void *arg), void *arg);
/*
 * From now on a turn that blocked for over 50 ms is logged with what took so long. It counts what the
 * loop's thread ran and waited for; not what it, or a thread it waited for, was kept from a processor,
 * nor a wait for a fork() of another thread. Of one loop in the process.
 */
void loop_watch_turns(struct loop *);
/* The longest turn since the last call, in milliseconds, counted like that. */
int64_t loop_take_longest_ms(struct loop *);
/* The longest ever. */
int64_t loop_longest_ms(const struct loop *);

/* One-shot timers on the monotonic clock. Setting again moves it; ms 0 is the next turn. */
struct timer;
struct timer *timer_new(struct loop *, void (*cb)(void *arg), void *arg);
void timer_free(struct timer **);
void timer_set(struct timer *, int64_t ms);
void timer_clear(struct timer *);
bool timer_is_set(const struct timer *);

/* A descriptor of somebody else's (libcurl's sockets). events: WATCH_READ | WATCH_WRITE. */
enum { WATCH_READ = 1, WATCH_WRITE = 2 };
struct watch;
struct watch *watch_new(struct loop *, int fd, void (*cb)(void *arg, int fd, unsigned events), void *arg);
void watch_set(struct watch *, unsigned events);	/* 0: not at all for now */
void watch_free(struct watch **);			/* the descriptor stays open */

#endif
