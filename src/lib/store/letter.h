#ifndef STORE_LETTER_H
#define STORE_LETTER_H
/*
 * What goes out: a letter is one submitted message, a rcpt one (message,
 * recipient) row of the courier's table. Loop thread. Loaded structs are
 * below ctx; *_save writes all columns back.
 */
#include "lib/store/content.h"

enum rcpt_state {
	RCPT_ACCEPTED, RCPT_SEALED, RCPT_RESOLVED, RCPT_OFFERED, RCPT_NOTIFIED,
	RCPT_DELIVERED, RCPT_DECLINED, RCPT_EXPIRED, RCPT_CANCELLED, RCPT_FAILED,
};
const char *rcpt_state_name(enum rcpt_state);	/* "accepted", ... */

/* These numbers stand in state.db. */
enum { RCPT_TELL_SUCCESS = 1, RCPT_TELL_FAILURE = 2, RCPT_TELL_DELAY = 4, RCPT_TELL_ASKED = 8 };	/* ASKED: for FAILURE, in so many words */

struct letter {
	uint64_t id, content;
	const char *message_id, *subject, *sender;	/* sender: envelope, normal form */
	bool ret_full;			/* RET=FULL: a report of failure has all of m */
	const char *envid;		/* ENVID; "" none */
	int64_t submitted_ms;
	uint64_t size;			/* of m */
	bool sealed;
	uint8_t key[32];		/* K */
	uint8_t hash[32];		/* h */
	uint64_t sealed_size;
	bool has_head;
	uint8_t head_hash[32];
	uint64_t head_size;
	uint64_t outbox_message;	/* message id in the Outbox mailbox; 0 not yet, or gone */
	bool done;			/* nothing left to do; kept 30 days for `show`, its content is not */
};

struct rcpt {
	uint64_t id, letter;
	const char *address;
	enum rcpt_state state;
	bool done;			/* DSN sent, m' withdrawn: nothing left but a recall */
	int64_t since_ms, due_ms;	/* in this state since; next try */
	unsigned tries;
	const char *reason;		/* of the last failure, for people; "" none */
	bool warned;			/* the `delayed` DSN was sent */
	unsigned tell;			/* RCPT_TELL bits: what the sender wants reports of, and has not had */
	const char *orcpt;		/* ORCPT, "rfc822;ADDRESS"; "" none */
	uint8_t secret[32];		/* p */
	uint64_t posting;		/* the ns octets that carry it; 0 none */
	int64_t issued_s, expires_s;	/* of its ns */
	bool served;			/* the whole of m' has gone out under his token: too late to cancel */
};

/* One value for one address in the DHT: the ns octets of one or more rcpts. */
struct posting {
	uint64_t id;
	const char *address;
	struct bytes value;
	int64_t expires_s;
};

struct rcpt_event { int64_t at_ms; const char *text; };	/* for `show` */

/* Adds letter and rcpts (state accepted, due now; told of failure and delay); sets ids. */
void store_letter_add(struct store *, struct letter *, const char *const *addresses, size_t n);
/* One more recipient, in a letter that was added just now. orcpt: NULL none. */
void store_rcpt_add(struct store *, uint64_t letter, const char *address, unsigned tell, const char *orcpt);
struct letter *store_letter_find(struct store *, const void *ctx, uint64_t id);
void store_letter_save(struct store *, const struct letter *);
/* Ids of letters that are not done, oldest first; below ctx. */
uint64_t *store_letter_open(struct store *, const void *ctx, size_t *n_out);
/* The letter of an Outbox message; 0 when there is none. */
uint64_t store_letter_of_message(struct store *, uint64_t message);
/* m' and the head object go: rows (sealed.h) with the commit, files after it. */
void store_letter_drop_files(struct store *, const struct letter *);
/* Forget letters done before t, with rcpts and events. */
void store_letter_forget(struct store *, int64_t before_ms);

struct rcpt *store_rcpt_find(struct store *, const void *ctx, uint64_t id);
void store_rcpt_save(struct store *, const struct rcpt *);
struct rcpt **store_rcpt_of_letter(struct store *, const void *ctx, uint64_t letter, size_t *n_out);
/* Of a letter with many, without a look at each: the states they are in, a bit each; is any not done, or not done in another state? */
unsigned store_rcpt_states(struct store *, uint64_t letter);
bool store_rcpt_any_open(struct store *, uint64_t letter);
bool store_rcpt_any_open_else(struct store *, uint64_t letter, enum rcpt_state);
/* All that share these ns octets. */
struct rcpt **store_rcpt_of_posting(struct store *, const void *ctx, uint64_t posting, size_t *n_out);
/* Rows that are not done, in a state, due up to now_ms, at most max, oldest first. */
struct rcpt **store_rcpt_due(struct store *, const void *ctx, enum rcpt_state, int64_t now_ms, size_t max, size_t *n_out);
/* When the next row that is not done becomes due, later than the last now_ms of store_rcpt_due(); INT64_MAX: none. */
int64_t store_rcpt_next_due(struct store *);
/* All rows, of any letter, whose notification may be in the DHT or whose recall must be: notified, or cancelled with a posting; not expired. */
struct rcpt **store_rcpt_posted(struct store *, const void *ctx, int64_t now_s, size_t *n_out);
/* By T_got or T_declined (indexed columns, filled by save from secret and h). NULL none. declined_out: which it was. */
struct rcpt *store_rcpt_of_proof(struct store *, const void *ctx, const uint8_t proof[32], bool *declined_out);
/* Has this address ever given a T_got for a letter of ours? Then he knows our key. */
bool store_rcpt_knows_us(struct store *, const char *address);

void store_rcpt_log(struct store *, uint64_t rcpt, const char *text);
/* Oldest first. */
struct rcpt_event *store_rcpt_events(struct store *, const void *ctx, uint64_t rcpt, size_t *n_out);

void store_posting_add(struct store *, struct posting *);	/* sets id */
struct posting *store_posting_find(struct store *, const void *ctx, uint64_t id);
/* Rcpts of this posting still in offered or notified. */
size_t store_posting_pending(struct store *, uint64_t id);
void store_posting_drop(struct store *, uint64_t id);

/* Counts for `status`. */
struct letter_counts { uint64_t spool, spool_bytes, outbox_messages, outbox_bytes; };	/* spool_bytes: of m */
struct letter_counts store_letter_count(struct store *);

#endif
