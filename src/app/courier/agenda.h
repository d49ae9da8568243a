#ifndef COURIER_AGENDA_H
#define COURIER_AGENDA_H
/*
 * Which row is due when: a heap in RAM, filled from state.db at start. An id
 * that is not on it is being worked on, waits for somebody else, or is done.
 * Wall-clock times, because rows keep theirs over restarts; a clock that was
 * moved is noticed within a minute. Loop thread.
 */
#include <stdint.h>

#include "lib/loop/loop.h"

enum agenda_kind { AGENDA_RCPT, AGENDA_NOTICE };

struct agenda;

/* due() is called once per entry, at most some dozens in one turn of the loop. */
struct agenda *agenda_new(struct loop *, void (*due)(void *arg, enum agenda_kind, uint64_t id), void *arg);
void agenda_free(struct agenda **);
/* Add it, or move it to another time. */
void agenda_set(struct agenda *, enum agenda_kind, uint64_t id, int64_t due_ms);
void agenda_drop(struct agenda *, enum agenda_kind, uint64_t id);

#endif
