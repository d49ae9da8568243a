#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H
/*
 * What the files of this folder share, and the tests of the session. Loop
 * thread. A session lives from smtp_session_new() until its connection ends;
 * nobody outside the loop's turn keeps a pointer to one, only its ticket.
 */
#include <sys/queue.h>

#include "lib/base/digest.h"
#include "way/smtp/data.h"
#include "way/smtp/smtp.h"

/* Where in the dialogue: one bit each, for the command table. */
enum smtp_phase {
	PHASE_START = 1,	/* no EHLO yet */
	PHASE_HELLO = 2,	/* greeted, not logged in */
	PHASE_READY = 4,	/* logged in */
	PHASE_MAIL = 8,		/* has a sender */
	PHASE_RCPT = 16,	/* and a recipient */
	PHASE_CHUNK = 32,	/* and the first chunks of the message (BDAT) */
};

/* Who reads the next octets. */
enum smtp_input {
	INPUT_COMMAND,
	INPUT_AUTH,		/* a line of a SASL exchange */
	INPUT_DATA,
	INPUT_CHUNK,		/* the octets of a BDAT */
	INPUT_WAIT,		/* nobody: an answer is on its way */
	INPUT_END,		/* nobody, ever */
};

/* What the client must hurry with: each has a time limit of its own. */
enum smtp_pace {
	PACE_NONE,		/* it waits for us */
	PACE_IDLE,		/* the next line */
	PACE_LINE,		/* the rest of a line */
	PACE_DATA,		/* octets of a message */
};

enum auth_step {
	AUTH_PLAIN,
	AUTH_LOGIN_USER,
	AUTH_LOGIN_PASSWORD,
	AUTH_SCRAM_FIRST,
	AUTH_SCRAM_FINAL,
	AUTH_SCRAM_END,		/* the client's nod to our last message */
};

LIST_HEAD(smtp_job_list, smtp_job);

/* What jobs on workers hold instead of the server; loop thread. */
struct smtp_anchor {
	struct smtp *smtp;	/* NULL after smtp_stop() */
	struct smtp_job_list jobs;
};

LIST_HEAD(smtp_session_list, smtp_session);

struct smtp {
	struct loop *loop;
	struct pool *pool;
	struct smtp_settings set;
	struct smtp_hooks hooks;
	struct listener **listeners;
	size_t n_listeners;
	struct smtp_session_list sessions;
	size_t n_sessions;
	uint64_t next_id, next_ticket;
	struct penalty penalty;		/* unless set.penalty */
	struct smtp_anchor *anchor;
};

/* One message on its way into the spool: see submit.c. */
struct spool;

struct smtp_session {
	LIST_ENTRY(smtp_session) link;
	struct smtp *smtp;
	uint64_t id;
	struct conn *conn;
	struct timer *timer;	/* a late answer to AUTH */
	struct timer *deadline;	/* of pace */
	enum smtp_pace pace;
	uint64_t octets, octets_before;	/* of messages: now, and when the deadline was set */
	enum smtp_phase phase;
	enum smtp_input input;
	bool skipping;		/* the rest of a line that was too long */
	bool is_esmtp;
	bool is_proven;		/* it is the user's; SCRAM ends a line later */
	bool is_logged_in;
	bool is_clogged;	/* answers wait because the client does not read them */
	unsigned errors, auth_failures, n_messages;
	unsigned n_idle;	/* commands that brought no message nearer */
	int64_t since_ms;

	const char *auth_mechanism;
	enum auth_step auth_step;
	char *auth_user;	/* of LOGIN */
	struct scram *scram;
	struct bytes held;	/* a proof or password that waits to be looked at */

	/* The transaction; strings are below txn. */
	void *txn;
	bool is_utf8;
	char *sender;
	const char **recipients;
	uint8_t *notify;
	const char **orcpt;
	size_t n_recipients;
	enum smtp_ret ret;
	char *envid;
	struct spool *spool;
	struct {
		uint64_t len, left;
		bool is_last;
		const char *refusal;	/* the chunk is only read, and this is the answer */
	} chunk;
	uint64_t ticket;	/* 0: none */
};

/* Takes fd. Tests use it with a socket pair. */
void smtp_session_new(struct smtp *, int fd);
/* At once and without a word. */
void smtp_session_free(struct smtp_session *);

/* One line, "250 2.0.0 Ok"; control characters in it become '?'. */
void smtp_reply(struct smtp_session *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The last answer: then the connection ends. */
void smtp_session_end(struct smtp_session *, const char *reply);
/* Answer later: no input is read until smtp_session_go_on(). */
void smtp_session_wait(struct smtp_session *);
void smtp_session_go_on(struct smtp_session *, enum smtp_input);
/* Forget sender, recipients and a message that is not in the spool yet. */
void smtp_session_reset(struct smtp_session *);
/* The connection is full or the server ends: a word if it can be said at once, then free. */
void smtp_session_evict(struct smtp_session *, const char *reply);
void smtp_trace(const struct smtp_session *, char dir, const char *text);

/* command.c: one line without its CRLF. */
void smtp_command_run(struct smtp_session *, char *line);

/* envelope.c */
void smtp_mail(struct smtp_session *, char *arg);
void smtp_rcpt(struct smtp_session *, char *arg);

/* auth.c: the words behind "250-AUTH ". */
const char *smtp_auth_mechanisms(const struct smtp_session *);
bool smtp_auth_is_offered(const struct smtp_session *);
/* The mechanism that AUTH's argument begins with, spelled our way; NULL when it is none of ours. */
const char *smtp_auth_names(const char *arg);
void smtp_auth_start(struct smtp_session *, char *arg);
void smtp_auth_line(struct smtp_session *, const char *line);
void smtp_auth_answer_late(struct smtp_session *);
/* The session is about to make room: a proof that waits is looked at now. True: it was right. */
bool smtp_auth_look(struct smtp_session *);
/* Nothing of an exchange is left in memory. */
void smtp_auth_forget(struct smtp_session *);

/* path.c: "<ADDRESS> K=V..." behind FROM: or TO:. -1 when it is not that. params_out points into arg. */
int smtp_path_parse(char *arg, const char *word, char **address_out, char **params_out);
/* The next "K" or "K=V"; value NULL without '='. False at the end. */
bool smtp_param_next(char **params, char **name_out, char **value_out);
/* xtext (RFC 3461 section 4) to what it stands for, printable ASCII, below ctx. NULL when it is none. */
char *smtp_xtext_parse(const void *ctx, const char *);
/* The address of ORCPT=utf-8;... (RFC 6533 section 3), with what is beyond ASCII as \x{HEX}, below ctx. NULL when it is none. */
char *smtp_utf8_address_parse(const void *ctx, const char *);

/* submit.c: room for a message of this size? 0: any. */
bool smtp_spool_has_room(const struct smtp *, uint64_t size);
/* The answer when the outbox has none; NULL: it has. */
const char *smtp_outbox_fault(const struct smtp *, uint64_t size);
/* Answers 354. */
void smtp_data_start(struct smtp_session *);
size_t smtp_data_feed(struct smtp_session *, const char *data, size_t len);
/* The same for chunks: octets without an answer; at last the answer to the whole. */
void smtp_spool_open(struct smtp_session *);
void smtp_spool_feed(struct smtp_session *, const char *data, size_t len);
void smtp_spool_finish(struct smtp_session *);
/* What is wrong with it so far, as an answer; NULL: nothing. */
const char *smtp_spool_fault(const struct smtp_session *);

/* chunk.c */
void smtp_bdat(struct smtp_session *, char *arg);
size_t smtp_chunk_feed(struct smtp_session *, const char *data, size_t len);
/* NULL is fine. A file not yet in the spool goes. */
void smtp_spool_free(struct spool **, struct pool *);

#endif
