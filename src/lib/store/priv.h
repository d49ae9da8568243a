#ifndef STORE_PRIV_H
#define STORE_PRIV_H
/*
 * What the files of this folder share: the connection, words over SQLite's
 * statements, ids, and the mailboxes in RAM. Included nowhere else.
 */
#include <assert.h>
#include <sqlite3.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <uthash.h>

#include "lib/base/mem.h"
#include "lib/store/contact.h"
#include "lib/store/letter.h"
#include "lib/store/mailbox.h"
#include "lib/store/notice.h"

/* Ids are counted in RAM and written with each commit: no id is given out twice, not even after an undone transaction. */
enum counter {
	COUNTER_CONTENT, COUNTER_LETTER, COUNTER_RCPT, COUNTER_EVENT, COUNTER_POSTING, COUNTER_NOTICE,
	COUNTER_MAILBOX, COUNTER_MESSAGE, COUNTER_UIDVALIDITY, N_COUNTERS,
};

struct stmt {
	const char *sql;		/* key: the literal's address */
	sqlite3_stmt *q;
	UT_hash_handle hh;
};

struct waiter {
	void (*done)(void *arg, bool durable);
	void *arg;
	STAILQ_ENTRY(waiter) link;
};
STAILQ_HEAD(waiters, waiter);

struct gone_file {
	enum place place;
	uint8_t digest[32];
};

/* A list of files to unlink. */
struct gone {
	struct gone_file *files;
	size_t n, size;
};

/* UIDs that went one after the other; hi 0: none. */
struct expunged_run {
	uint32_t lo, hi;
	uint64_t modseq;
};

struct box {
	struct mailbox pub;
	size_t size;			/* of pub.messages */
	bool loaded;
	bool dirty;			/* uidnext, modseq or messages changed since the last commit */
	LIST_ENTRY(box) dirty_link;
	struct expunged_run run;	/* no row yet */
	int64_t n_runs;			/* rows of expunged; -1: not counted */
	size_t gap;			/* unused ones before pub.messages */
	uint32_t *uids;			/* of the first n_uids messages; NULL: nobody has asked */
	size_t n_uids, uids_size;
	uint64_t journal_cost;		/* of reading its journal again, in messages */
	uint64_t folded;		/* changes up to here are in pages, later ones in the journal */
	bool folding;
	uint64_t fold_upto;
	uint64_t fold_cost;		/* of what is being folded */
	uint32_t fold_uid;		/* from here on pages are to be looked at */
	LIST_ENTRY(box) fold_link;
	bool seen;			/* scratch of the reload */
	UT_hash_handle hh_id, hh_name;
};

struct watch_entry {
	struct store_watcher w;
	bool dead;
	TAILQ_ENTRY(watch_entry) link;
};

/* Tables that are read row after row; see db_walk(). */
enum walk { WALK_CONTENT, WALK_SKELETON, N_WALKS };

struct walk_state {
	sqlite3_stmt *q;		/* NULL: ended */
	uint64_t id, from;		/* of its row; nothing has an id from here up to it */
};

struct store {
	char *dir, *places[PLACE_REPLICA + 1];
	int lock_fd;
	sqlite3 *db;
	struct stmt *stmts;
	bool fresh;			/* state.db was made just now */

	unsigned n_holds;		/* no commit now */
	struct syncs *syncs;
	struct reader *sealed;		/* for other threads */
	bool begun;			/* a transaction is open */
	bool wrote;			/* in it */
	bool unsynced;			/* something was committed, and nobody is syncing it */
	bool reading;			/* one that only reads is */
	bool poisoned;			/* something in it failed: it will be undone */
	bool failing;			/* the last one was undone: that has been logged */
	bool turning;
	bool read_failed;		/* a read did; cleared by who wants to know */
	struct walk_state walks[N_WALKS];
	struct err why;
	struct waiters waiters;
	struct gone deferred;		/* unlink after the commit */
	struct gone made;		/* unlink when there is no commit */
	struct gone leaving;		/* committed: unlink after its sync */
	struct gone going;		/* unlink some each turn */

	int64_t counters[N_COUNTERS];	/* the last one given out */
	bool counter_dirty[N_COUNTERS];

	struct box *by_id, *by_name;
	LIST_HEAD(, box) dirty, folding;
	unsigned n_freed;		/* rows that went since space.c looked */
	bool giving_back;		/* pages */
	struct box *standard[N_STANDARD];
	char *keywords[LIMIT_KEYWORDS];

	TAILQ_HEAD(, watch_entry) watchers;
	unsigned watching;		/* depth of calls to watchers */

	int64_t rcpt_asked_ms, notice_asked_ms;
};

/* db.c: one argument of a statement, one for each ? in order. */
struct arg {
	enum { ARG_END, ARG_INT, ARG_TEXT, ARG_BLOB } kind;
	int64_t i;
	const void *p;			/* NULL: SQL's NULL */
	size_t len;
};
#define I(value) { .kind = ARG_INT, .i = (int64_t)(value) }
#define T(text) { .kind = ARG_TEXT, .p = (text) }
#define B(data, n) { .kind = ARG_BLOB, .p = (data), .len = (n) }
#define ARGS(...) ((const struct arg[]){ __VA_ARGS__, { .kind = ARG_END } })
#define NO_ARGS ((const struct arg[]){ { .kind = ARG_END } })

/*
 * sql must be a literal: it is the statement's key. A write opens the
 * transaction when none is open; one that fails poisons it, and the rest of a
 * poisoned transaction is skipped.
 */
void db_write(struct store *, const char *sql, const struct arg *);
/* Rows: db_next() until it is false, or db_done(). No writes and no calls to watchers in between. */
sqlite3_stmt *db_read(struct store *, const char *sql, const struct arg *);
bool db_next(struct store *, sqlite3_stmt *);
void db_done(sqlite3_stmt *);
/*
 * The row with this id, or NULL; sql: "SELECT id, ... WHERE id >= ? ORDER BY id".
 * Its columns are lent until the next call with the same walk, the next write, or
 * the end of the turn. Who asks in the order of ids reads one row after the other.
 */
sqlite3_stmt *db_walk(struct store *, enum walk, const char *sql, uint64_t id);
/* Is there a row? */
bool db_has(struct store *, const char *sql, const struct arg *);
/* First column of the first row, or fallback. */
int64_t db_get_int(struct store *, const char *sql, const struct arg *, int64_t fallback);
/* All ids of a one-column query, below ctx. */
uint64_t *db_get_ids(struct store *, const void *ctx, const char *sql, const struct arg *, size_t *n_out);

/* Columns. text: "" for NULL; text_or_null keeps it. raw: zeros when it has another length. */
const char *col_text(const void *ctx, sqlite3_stmt *, int column);
const char *col_text_or_null(const void *ctx, sqlite3_stmt *, int column);
void col_raw(sqlite3_stmt *, int column, void *out, size_t len);
struct bytes col_bytes(const void *ctx, sqlite3_stmt *, int column);
int64_t col_int(sqlite3_stmt *, int column);

/* Statements of one's own, not cached: PRAGMA, BEGIN. SQLite's answer. */
int db_plain(struct store *, const char *sql);
int64_t db_plain_int(struct store *, const char *sql, int64_t fallback);
void db_poison(struct store *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool db_begin(struct store *);
bool db_begin_idly(struct store *);	/* for nothing that anybody has to write: it fails at once, and harms nothing */
bool db_commit(struct store *);
bool db_end_unused(struct store *);	/* the transaction in which nothing was written */
void db_rollback(struct store *);
void db_end_reading(struct store *);
void db_finish(struct store *);

/* store.c: the state folder is ours until fd is closed; it may be open when this fails. */
enum outcome store_lock(const char *dir, int *fd_out, struct err *);
/* What was committed is on disk. */
void store_durable(struct store *, struct waiters *);

/* sync.c */
enum { BUSY_MS = 2000 };	/* somebody has state.db locked with a tool */
enum outcome sync_open(struct store *, struct err *);
void sync_close(struct store *);
bool sync_begin(struct store *);	/* a transaction that may write */
void sync_end(struct store *, bool committed);	/* of any */
void sync_after_commit(struct store *);	/* of a turn */
/* The waiters hear of it when all that was committed is on disk. True: they have. */
bool sync_start(struct store *, struct waiters *);
/* When nobody waits for a commit: what else the thread has to do, if there is something. */
void sync_rest(struct store *);
void sync_close_file(struct store *, int fd);	/* in that time */
bool sync_can_close(const struct store *);	/* not too many wait for it */
bool sync_waits(const struct store *);
bool sync_is_busy(const struct store *);
bool sync_is_syncing(const struct store *);
/* The file of a small content is to be on disk, and not octets in a row any more. */
void sync_settle(struct store *, uint64_t content, const char *path);

/* content.c: that file is on disk now. */
void content_settled(struct store *, uint64_t content, const char *path, const struct stat *what);

/* sealed.c */
enum outcome sealed_start(struct store *, struct err *);
void sealed_end(struct store *);
bool sealed_forget(struct store *, const uint8_t hash[32]);	/* was there one? */

/* schema.c */
enum outcome schema_migrate(struct store *, struct err *);
int schema_newest(void);

/* ids.c */
void ids_load(struct store *);
void ids_write(struct store *);
void ids_undone(struct store *);
uint64_t ids_next(struct store *, enum counter);

/* rcpt.c */
void rcpt_forget(struct store *, uint64_t letter);

/* place.c */
enum outcome place_make(struct store *, struct err *);
bool place_has_files(const struct store *);
void place_sweep(struct store *);
/* Unlink once what was written so far is durable, if no row has it then. */
void place_drop(struct store *, enum place, const uint8_t digest[32]);
void place_committed(struct store *);
void place_durable(struct store *);
void place_undone(struct store *);
/* Unlink what a commit that is on disk left over, at most max. */
void place_unlink(struct store *, size_t max);
bool place_exists(const struct store *, enum place, const uint8_t digest[32]);

/* mailbox.c, message.c, keyword.c */
enum outcome mailbox_start(struct store *, struct err *);
void mailbox_free(struct store *);
struct box *mailbox_by_id(struct store *, uint64_t id);	/* not loaded */
void mailbox_touch(struct store *, struct box *);	/* its row is written with the commit */
void mailbox_write(struct store *);
void mailbox_committed(struct store *);
void mailbox_undone(struct store *);
bool message_load(struct store *, struct box *);
void message_unload(struct box *);
void message_reload(struct store *, struct box *);
void message_expunge_all(struct store *, struct box *);
void message_move_all(struct store *, struct box *from, struct box *to);
void keyword_load(struct store *);

#define MODSEQ_MAX ((UINT64_C(1) << 48) - 1)	/* that a struct message holds */

enum { FLAGS_STORED = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT };

/* uids.c */
void uids_drop(struct box *);	/* a message goes */

/* journal.c */
void journal_replay(struct store *, struct box *);
void journal_cost(struct store *, struct box *, uint64_t n_messages);
void journal_look(struct store *, struct box *);	/* folds it, if reading it costs too much for what the mailbox has */
void journal_forget(struct store *, struct box *);	/* and pages: the mailbox is empty, or goes */
/* One record into the array; how many messages it names. False: it is broken, from some UID on. */
bool journal_take(struct mailbox *, uint64_t modseq, const struct flag_change *, struct bytes uids, uint64_t *n_out);
bool journal_check(struct bytes uids);		/* can it be read? */

/* fold.c */
void fold_begin(struct store *, struct box *);
void fold_stop(struct box *);
void fold_failed(struct box *);			/* nothing of it was committed */
void fold_step(struct store *, struct box *);	/* some pages */
void fold_all(struct store *, struct box *);	/* every page now */
void fold_read(struct store *, struct box *);	/* pages into the array */
void fold_expunged(struct store *, struct box *, uint32_t uid);
/* One page into the array. False: it is broken, from some message on. */
bool fold_take(struct mailbox *, uint32_t page, struct bytes octets);
bool fold_check(uint32_t page, struct bytes octets);

/* space.c */
void space_freed(struct store *, unsigned n_rows);
bool space_waits(const struct store *);
void space_step(struct store *);		/* outside of any transaction */

/* subscription.c */
void subscription_keep(struct store *, const char *name);

/* expunged.c */
void expunged_note(struct store *, struct box *, uint32_t uid);	/* with the mailbox's mod-sequence as of now */
void expunged_write(struct store *, struct box *);
void expunged_undone(struct box *);

/* Seven bits an octet, lowest first, the upper bit: more follows. */
enum { VARINT_MAX = 10 };

static inline size_t varint_put(uint8_t *to, uint64_t value)
{
	size_t n = 0;

	for (; value >= 0x80; value >>= 7)
		to[n++] = (uint8_t)(value | 0x80);
	to[n++] = (uint8_t)value;
	return n;
}

static inline bool varint_get(struct bytes *from, uint64_t *out)
{
	*out = 0;
	for (unsigned shift = 0; shift < 64 && from->len > 0; shift += 7) {
		uint8_t octet = *from->data++;

		from->len--;
		*out |= (uint64_t)(octet & 0x7f) << shift;
		if (!(octet & 0x80))
			return true;
	}
	return false;
}

static inline struct box *box_of(struct mailbox *box)
{
	return (struct box *)(void *)((char *)box - offsetof(struct box, pub));
}

/* name.c: canonical form below ctx, or NULL with err. */
char *name_normal(const void *ctx, const char *name, struct err *);
/* The name above, below ctx; NULL at the top. */
char *name_parent(const void *ctx, const char *name);

/* watch.c */
void watch_added(struct store *, struct box *, const struct message *);
void watch_changed(struct store *, struct box *);
void watch_expunged(struct store *, struct box *, const struct message *, bool last);
void watch_mailbox_gone(struct store *, uint64_t id);
void watch_committed(struct store *);
void watch_undone(struct store *);

#endif
