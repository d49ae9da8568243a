#ifndef IMAP_SESSION_H
#define IMAP_SESSION_H
/*
 * Inside of the IMAP server: one struct per client, one per command it runs.
 * A session runs one command at a time; what the client sends ahead waits in
 * the connection, so answers keep their order. Loop thread.
 *
 * A handler answers with imap_finish() (at once, or later) exactly once. While
 * it waits it keeps no session pointer: timers and drain come back through
 * cmd->more, everything else through a struct imap_ref.
 */
#include <sys/queue.h>
#include <talloc.h>
#include <uthash.h>

#include "lib/base/bytes.h"
#include "way/imap/imap.h"
#include "way/imap/parser.h"
#include "way/imap/view.h"

struct imap_session;
struct imap_append;

/* Where a command is allowed, and what it may do. */
enum {
	IN_ANY = 1,		/* always */
	IN_START = 2,		/* before login */
	IN_AUTH = 4,		/* after login */
	IN_BOX = 8,		/* with a mailbox selected */
	WRITES = 16,		/* not in a mailbox that was EXAMINEd */
	KEEPS_NUMBERS = 32,	/* no EXPUNGE while it answers (RFC 3501 section 7.4.1) */
	BY_UID = 64,		/* numbers are UIDs, in the arguments and in what is sent unasked */
	ASIDE = 128,		/* clients look for its answer only: news that came with it is repeated, see imap_cmd_idle() */
};

/* What ENABLE, or a command that implies it, has turned on for this session. */
enum {
	ENABLED_CONDSTORE = 1,
	ENABLED_QRESYNC = 2,		/* never without CONDSTORE */
	ENABLED_UTF8 = 4,
	ENABLED_REV2 = 8,		/* IMAP4rev2: no \Recent, names in UTF-8, ESEARCH, UIDs with news */
};

#define IMAP_APPEND_MAX ((uint64_t)1024 * 1024 * 1024)

struct imap_cmd;

struct imap_verb {
	const char *name;
	unsigned flags;
	unsigned min_args, max_args;
	void (*run)(struct imap_session *, struct imap_cmd *);
};

struct imap_cmd {
	uint64_t serial;
	const char *tag;
	const struct imap_verb *verb;
	const struct imap_arg *args;
	size_t n_args;
	void *state;			/* the handler's, below the command */
	const char *reply;		/* of imap_finish_durable() */
	/* Go on: output has drained, or a turn has passed. */
	void (*more)(struct imap_session *);
	/* The next line of the client belongs to this command (without its line end). */
	void (*line)(struct imap_session *, const char *line, size_t len);
	/* The session ends, and will be freed when its last words are sent: give back what others wait for. */
	void (*stop)(struct imap_cmd *);
	/* The mailbox changed: tell at once. IDLE. */
	bool tells;
};

struct imap_session {
	struct imap *imap;
	uint64_t id;
	struct conn *conn;
	struct imap_parser *parser;
	struct imap_cmd *cmd;		/* that runs; NULL: none */
	uint64_t serial;
	struct imap_append *append;	/* whose literal is being read, or read */
	struct imap_view *view;		/* NULL: nothing selected */
	struct buf *out;		/* not yet given to the connection */
	struct timer *turn, *wait;	/* next slice; delays and progress */
	void (*on_wait)(struct imap_session *);
	bool authed, ending, draining, held_back, told_soon;
	bool is_held;			/* what goes out waits for the store, see imap_flush() */
	uint64_t held_for;		/* this commit of it */
	bool is_bound;			/* what is kept back is more than answers of imap_finish_ahead() */
	struct buf *ahead;		/* tags of those, a space after each; NULL: none */
	bool is_private;		/* what goes out now is of a message: not to be traced */
	unsigned failures;		/* of login */
	bool proof_waits;		/* is to be looked at by on_wait */
	bool is_proven;			/* it is the user's; SCRAM ends a line later */
	unsigned enabled;		/* ENABLED_... */
	uint64_t ticket;		/* of the pull it waits for; 0 none */
	uint64_t pulling;		/* that pull's content */
	bool pull_runs, pull_counts;	/* asked for; takes one of the places */
	TAILQ_ENTRY(imap_session) entry;
	UT_hash_handle hh;
};

/* Somebody who answers later, and may find session or server gone. */
struct imap_ref {
	struct imap *imap;		/* NULL: stopped */
	uint64_t session, serial;
	void (*fn)(struct imap_session *, bool ok);
	LIST_ENTRY(imap_ref) entry;
};

struct imap_ref *imap_ref_new(struct imap_session *, void (*fn)(struct imap_session *, bool ok));
/* Session that still runs the same command, or NULL; the ref stays. */
struct imap_session *imap_ref_session(const struct imap_ref *);
void imap_ref_free(struct imap_ref **);

TAILQ_HEAD(imap_sessions, imap_session);
LIST_HEAD(imap_refs, imap_ref);

struct imap {
	struct loop *loop;
	struct pool *pool;
	struct store *store;
	struct imap_settings settings;
	struct imap_hooks hooks;
	struct listener **listeners;
	size_t n_listeners;
	struct imap_sessions sessions;
	struct imap_session *by_id;	/* uthash */
	size_t n_sessions;
	uint64_t last_id, last_ticket;
	struct imap_refs refs;
	uint64_t quiet;			/* id of the session whose own change is not news to it */
	struct penalty penalty;		/* unless settings.penalty */
	unsigned n_pulls;		/* that run */
	bool is_stopping;
	unsigned n_appends;		/* messages, since the last commit */
	LIST_HEAD(, imap_append_job) appending;	/* whose rows take several turns */
	bool is_closing_box;		/* a session deletes the mailbox it has selected */
};

/* Takes fd: greeting, then commands. */
void imap_session_open(struct imap *, int fd);
void imap_session_free(struct imap_session **);
struct imap_session *imap_session_find(struct imap *, uint64_t id);
/* cmd_auth.c: it is about to make room: a proof that waits is looked at now. True: it was right. */
bool imap_auth_look(struct imap_session *);

/* ---- what handlers use ---- */

void imap_send(struct imap_session *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* s->out goes to the connection. What is told of the store stays there until all that was written so far is on disk. */
void imap_flush(struct imap_session *);
/* This commit is on disk: what was kept back for it goes. */
void imap_release(struct imap_session *, uint64_t commit);
/* A commit failed: what was kept back, and what is in s->out, goes to nobody. */
void imap_undo(struct imap_session *);
/* A line for the trace, instead of what is_private kept out of it. */
void imap_trace(const struct imap_session *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool imap_is_traced(void);
/* "+ text" */
void imap_continue(struct imap_session *, const char *text);
/* What the mailbox has become, then "TAG text" (text begins with OK, NO, BAD). The command is gone after it. */
void imap_finish(struct imap_session *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Same, once all that was written so far is on disk. */
void imap_finish_durable(struct imap_session *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * Same, but the next command may begin at once; its answer goes after this one. When what was written is undone,
 * the client hears NO if all that was kept back from it are such answers, else the session ends.
 */
void imap_finish_ahead(struct imap_session *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* fn once all that was written so far is on disk (ok), or was undone. */
void imap_when_durable(struct imap_session *, void (*fn)(struct imap_session *, bool ok));
/* Let others have a turn, wait until output has drained, then more(). */
void imap_yield(struct imap_session *, void (*more)(struct imap_session *));
/* Has this slice run long enough? started: clock_mono_ms(). */
bool imap_is_slice_over(const struct imap_session *, int64_t started);
void imap_wait(struct imap_session *, int64_t ms, void (*fn)(struct imap_session *));
/* "* BYE text" and no more. */
void imap_end(struct imap_session *, const char *text);

/* The selected mailbox; NULL when it went. */
struct mailbox *imap_box(const struct imap_session *);
void imap_deselect(struct imap_session *);
/* Untagged responses for what changed; EXPUNGE only when allowed. False: nothing did. */
bool imap_tell(struct imap_session *, bool may_expunge, bool with_uid);
/* "* 3 FETCH (FLAGS (...))" */
void imap_tell_flags(struct imap_session *, size_t index, const struct message *, bool with_uid);
/* FLAGS and PERMANENTFLAGS again when there are keywords the client has not been told of. */
void imap_tell_keywords(struct imap_session *);
/* A decimal number, without the cost of printf. */
void imap_add_number(struct buf *, uint64_t);
/* A text for people as it may stand in a response: one line of US-ASCII; below ctx. */
const char *imap_plain(const void *ctx, const char *text);
/* An argument as text; NULL (and BAD was answered) when it is none. */
const char *imap_arg_text(struct imap_session *, const struct imap_arg *);
/* An argument as mailbox name, UTF-8; NULL (and NO was answered) when it is none. */
const char *imap_arg_name(struct imap_session *, const struct imap_arg *);
/* The same of a text; NULL when it is no name. What is there under its normal form only is found by any form. */
const char *imap_name_of(const struct imap_session *, const void *ctx, const char *wire);
/* Names and searches are UTF-8. */
bool imap_is_utf8(const struct imap_session *);
/* A name as this client wants it. */
void imap_print_name(const struct imap_session *, struct buf *, const char *name);
/* Spans of a set argument; false when BAD was answered. single_out may be NULL. */
bool imap_arg_set(struct imap_session *, const struct imap_arg *, struct imap_walk *, bool *single_out);
/* A mod-sequence (RFC 7162 section 7), from 0 on; false when the argument is none. */
bool imap_arg_modseq(const struct imap_arg *, uint64_t *out);
/* Mod-sequences from now on; the first time in a mailbox it is told where that begins (RFC 7162 section 3.1). */
void imap_enable_condstore(struct imap_session *);
/* "[HIGHESTMODSEQ 12] " for the answer to what expunged (RFC 7162 section 3.2.7); "" when the client does not care. Below the command. */
const char *imap_highest(const struct imap_session *);
bool imap_is_outbox(const struct imap_session *, const struct mailbox *);

/* Capabilities as of now. */
void imap_capability(const struct imap_session *, struct buf *);

/* ---- the commands (verbs.c has the table) ---- */

const struct imap_verb *imap_verb_find(const char *name);
bool imap_verb_is_prefix(const char *name);	/* "UID" */

void imap_cmd_capability(struct imap_session *, struct imap_cmd *);
void imap_cmd_noop(struct imap_session *, struct imap_cmd *);
void imap_cmd_logout(struct imap_session *, struct imap_cmd *);
void imap_cmd_id(struct imap_session *, struct imap_cmd *);
void imap_cmd_starttls(struct imap_session *, struct imap_cmd *);
void imap_cmd_login(struct imap_session *, struct imap_cmd *);
void imap_cmd_authenticate(struct imap_session *, struct imap_cmd *);
void imap_cmd_compress(struct imap_session *, struct imap_cmd *);
void imap_cmd_enable(struct imap_session *, struct imap_cmd *);
void imap_cmd_namespace(struct imap_session *, struct imap_cmd *);
void imap_cmd_list(struct imap_session *, struct imap_cmd *);
void imap_cmd_lsub(struct imap_session *, struct imap_cmd *);
void imap_cmd_subscribe(struct imap_session *, struct imap_cmd *);
void imap_cmd_unsubscribe(struct imap_session *, struct imap_cmd *);
void imap_cmd_create(struct imap_session *, struct imap_cmd *);
void imap_cmd_delete(struct imap_session *, struct imap_cmd *);
void imap_cmd_rename(struct imap_session *, struct imap_cmd *);
void imap_cmd_status(struct imap_session *, struct imap_cmd *);
void imap_cmd_getquota(struct imap_session *, struct imap_cmd *);
void imap_cmd_getquotaroot(struct imap_session *, struct imap_cmd *);
void imap_cmd_select(struct imap_session *, struct imap_cmd *);
void imap_cmd_examine(struct imap_session *, struct imap_cmd *);
void imap_cmd_unselect(struct imap_session *, struct imap_cmd *);
void imap_cmd_close(struct imap_session *, struct imap_cmd *);
void imap_cmd_expunge(struct imap_session *, struct imap_cmd *);
void imap_cmd_fetch(struct imap_session *, struct imap_cmd *);
void imap_cmd_store(struct imap_session *, struct imap_cmd *);
void imap_cmd_copy(struct imap_session *, struct imap_cmd *);
void imap_cmd_move(struct imap_session *, struct imap_cmd *);
void imap_cmd_search(struct imap_session *, struct imap_cmd *);
void imap_cmd_sort(struct imap_session *, struct imap_cmd *);
void imap_cmd_thread(struct imap_session *, struct imap_cmd *);
void imap_cmd_append(struct imap_session *, struct imap_cmd *);
void imap_cmd_idle(struct imap_session *, struct imap_cmd *);

/* "* LIST (...) "/" "new" ("OLDNAME" ("old"))"; no old name if it is NULL or the same (RFC 9051 section 6.3.9.7). */
void imap_list_one(struct imap_session *, const char *name, const char *old);
/* STATUS items for one mailbox ("(MESSAGES 3 ...)"); false: an unknown item. */
bool imap_status_print(struct buf *, struct mailbox *, const struct imap_arg *items, size_t n);

/* A literal was announced in APPEND: is it the message? */
bool imap_append_is_due(const struct imap_session *);
/* APPEND's literal was announced: take it or refuse it. */
void imap_append_literal(struct imap_session *);
/* How many octets of data belong to it (0: it is complete). */
size_t imap_append_data(struct imap_session *, const char *data, size_t len);
/* The server stops: what has begun comes to its end now. */
void imap_append_stop(struct imap *);
void imap_append_drop(struct imap_append **, struct pool *);

/* Bring the body of this content here, when it is our turn; ends with imap_fetch_pulled(). */
void imap_pull_ask(struct imap_session *, uint64_t content);
/* The session goes; harmless when it waits for nothing. */
void imap_pull_drop(struct imap_session *);
/* The pull this session waits for has ended. */
void imap_fetch_pulled(struct imap_session *, enum outcome, const char *text);

#endif
