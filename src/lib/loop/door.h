#ifndef LOOP_DOOR_H
#define LOOP_DOOR_H
/*
 * The one way from another thread into the loop: a bounded, locked list and
 * an eventfd. The loop takes the whole list under the lock and runs it
 * unlocked. Each accepted post is run or dropped exactly once: when the door
 * closes, drop() is called for what was not run.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/loop/loop.h"

struct door;

/* max: posts waiting at most; a full door refuses. */
struct door *door_new(struct loop *, size_t max, struct err *);
/* From now on it refuses; what waits is dropped. For threads that still send while they are being stopped. */
void door_close(struct door *);
/* Closes it. No other thread may use it any more. */
void door_free(struct door **);

/*
 * Any thread. run(arg) is called once on the loop, or drop(arg) once when the
 * door closes first; both own arg. false: full or closed, arg is still yours.
 */
bool post_send(struct door *, void (*run)(void *arg), void (*drop)(void *arg), void *arg);

#endif
