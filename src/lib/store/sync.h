#ifndef STORE_SYNC_H
#define STORE_SYNC_H
/*
 * Who waits for the disk. A disk may take seconds for a sync, and store_turn()
 * waits for it, unless somebody else does: the daemon has its syncs made by a
 * thread of their own. Then a commit is written in a turn and counts (waiters,
 * watchers, unlinking) when its sync is over; what is written meanwhile is the
 * next commit. A sync that fails ends the process: what is on disk then, nobody
 * knows, and nobody was told that anything is.
 */
#include "lib/store/store.h"

struct sync;

/*
 * start(arg, sync): have sync_work(sync) called on another thread, and after it store_synced() on the loop. It is not
 * called again before that. start NULL: turns wait again, and so does this for what is under way (no thread may be
 * working at it).
 */
void store_sync_by(struct store *, void (*start)(void *arg, struct sync *), void *arg);
/* Any thread; blocks. */
void sync_work(struct sync *);
/* Loop thread: the work of the last start() is done. What was written meanwhile is committed by the next store_turn(). */
void store_synced(struct store *);

#endif
