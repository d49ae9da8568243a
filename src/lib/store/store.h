#ifndef STORE_STORE_H
#define STORE_STORE_H
/*
 * state.db (SQLite, WAL, synced by sync.h) and the message files named by
 * their content. Loop thread only: this is the only writing connection.
 *
 * Writes gather in one transaction which store_turn() commits at the end of
 * the loop's turn: waiting sessions share one sync. Who promises durability
 * asks store_when_durable() and answers from there. When the commit fails (a
 * full disk), everything since the last commit is undone, also in RAM, and
 * each waiter hears false.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/digest.h"
#include "lib/base/err.h"
#include "lib/base/limits.h"

struct store;

/* dir: the state folder; makes it and spool/ inbox/ outbox/ replicas/ in it, migrates state.db, locks it against a second daemon, sweeps temporary files and files without a row. */
struct store *store_open(const char *dir, struct err *);
void store_close(struct store **);	/* commits what waits */

/*
 * Commit, and tell the waiters when that is on disk (sync.h says who waits for it); the daemon calls it at the end of
 * each turn.
 */
void store_turn(struct store *);
/*
 * Rows of several turns that are to be one transaction: until as many releases came, nothing is committed, and
 * everybody who waits waits longer. For moments.
 */
void store_hold(struct store *);
void store_release(struct store *);
/* Is there more for the next turn: writes made by waiters after a failure, waiters, files to unlink? Then do not sleep for long. */
bool store_waits(const struct store *);
/* Was something written that is not on disk yet? */
bool store_is_pending(const struct store *);
/* The number of the commit that has all that was written so far; of the last one that is on disk. */
uint64_t store_commit(const struct store *);
uint64_t store_commit_durable(const struct store *);
/* done(arg, true) after all that was written so far is on disk; false when it was undone. Never called from inside. */
void store_when_durable(struct store *, void (*done)(void *arg, bool durable), void *arg);

enum place { PLACE_NONE, PLACE_SPOOL, PLACE_INBOX, PLACE_OUTBOX, PLACE_REPLICA };
/* Folder of a place, borrowed: where temporary files for it are made (files_tmp). */
const char *store_dir(const struct store *, enum place);
/* The file with this content; below ctx. */
char *store_path(const struct store *, const void *ctx, enum place, const uint8_t digest[32]);

/* A file was made for rows that never came: it goes with the next commit, unless a row has it after all. */
void store_place_sweep(struct store *, enum place, const uint8_t digest[32]);

/* A file was just made for rows of this turn: should they be undone, it goes, unless another row has it. */
void store_place_new(struct store *, enum place, const uint8_t digest[32]);

/* Small durable values by name ("serial", "uidvalidity"). get: fallback when absent. */
int64_t store_meta_get(struct store *, const char *name, int64_t fallback);
void store_meta_set(struct store *, const char *name, int64_t);

#endif
