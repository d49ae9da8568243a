#ifndef COURIER_COURIER_H
#define COURIER_COURIER_H
/*
 * THE table of a message's way (ARCHITECTURE, "The courier's table"): which
 * station takes a row from which state to which; retries, expiry, reports.
 * All state is in state.db; every step can be repeated. Loop thread.
 *
 * Stations call the functions named courier_on_*: their first argument is the
 * courier, so they fit into the stations' hooks as they are.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/loop/loop.h"
#include "lib/loop/pool.h"
#include "lib/store/letter.h"
#include "lib/store/mailbox.h"
#include "lib/store/notice.h"
#include "way/deliver/deliver.h"
#include "way/fetch/fetch.h"
#include "way/group/group.h"
#include "way/notify/notify.h"
#include "way/outbox/offers.h"
#include "way/resolve/resolve.h"

struct courier;

struct courier_settings {
	const char *address;
	const char *const *urls;	/* ours */
	size_t n_urls;
	const char *own_url;		/* how we reach our own outbox: "http://127.0.0.1:4180" */
	int64_t validity_s;		/* outbox.validity */
	int64_t lifetime_s, warn_after_s;	/* queue.* */
	const char *die_after;		/* tests: SIGKILL ourselves after this step is durable; NULL: never */
};

/* Stations and parts; borrowed, outlive the courier's work. */
struct courier_parts {
	struct loop *loop;
	struct pool *pool;
	struct store *store;
	struct pgp *pgp;
	struct resolve *resolve;
	struct offers *offers;
	struct notify *notify;
	struct fetch *fetch;
	struct deliver *deliver;
	struct groups *groups;
};

/* How waiting sessions hear of it. */
struct courier_hooks {
	/* OK: text is the letter's id. */
	void (*submitted)(void *arg, uint64_t ticket, enum outcome, const char *text);
	void (*pulled)(void *arg, uint64_t ticket, enum outcome, const char *text);
	/* Others may know more, or less, of this letter than before: an ns is committed, a recipient done or withdrawn. */
	void (*changed)(void *arg, uint64_t letter);
	/* A fellow member who may still give this message away although it was withdrawn; NULL none. Borrowed. */
	const char *(*holdout)(void *arg, const uint8_t hash[32]);
	/* A receipt that is for nobody of ours: for a fellow member, perhaps. */
	void (*foreign_receipt)(void *arg, const uint8_t proof[32]);
	void *arg;
};

/* The courier exists before its stations, which call it; it works from courier_start() on. */
struct courier *courier_new(const struct courier_settings *, const struct courier_hooks *);
/* Takes up every row that is not done. */
void courier_start(struct courier *, const struct courier_parts *);
/* No more steps; stations may stop. */
void courier_stop(struct courier *);
void courier_free(struct courier **);
/* New settings while it runs; address, urls and own_url stay as they were. */
void courier_set(struct courier *, const struct courier_settings *);

/* A submitted message: octets when it is small, else its file is durable in spool/ (way/smtp). */
struct courier_submission {
	struct bytes octets;
	const uint8_t *digest;
	uint64_t size;
	const char *sender, *message_id, *subject;
	const char *const *recipients;
	const uint8_t *tell;		/* one per recipient: RCPT_TELL bits */
	const char *const *orcpt;	/* one per recipient; NULL none */
	size_t n_recipients;
	bool ret_full;
	const char *envid;		/* NULL none */
};
/* Ends with hooks.submitted(ticket) when its rows are durable, never from inside. */
void courier_submit(struct courier *, const struct courier_submission *, uint64_t ticket);

/* Somebody opens the message with this content: ends with hooks.pulled(ticket), never from inside. */
void courier_pull(struct courier *, uint64_t content, uint64_t ticket);
void courier_pull_forget(struct courier *, uint64_t ticket);
/* Pull it in the background. False: nothing is left to pull. */
bool courier_want(struct courier *, uint64_t content);

/* The user has verified or forgotten this address: look at its mail again. */
void courier_release(struct courier *, const char *address);

enum cancel_state { CANCEL_IN_TIME, CANCEL_TOO_LATE, CANCEL_UNKNOWN };
const char *cancel_state_name(enum cancel_state);	/* "in-time", ... */

struct cancelled {
	const char *address;
	enum cancel_state state;
	const char *reason;
};
/*
 * Take back what was not pulled, for these addresses (none: all). The answers
 * are below ctx; give them to the user when they are durable. NULL: no such letter.
 */
struct cancelled *courier_cancel(struct courier *, const void *ctx, uint64_t letter, const char *const *addresses, size_t n,
    size_t *n_out);
/* The same for a message in the Outbox mailbox that is about to be expunged. REJECT: too late for some. */
enum outcome courier_withdraw(struct courier *, uint64_t message, struct err *);

/* The group that our notices name from now on, so that their receivers find our holders; NULL none. Copied. */
void courier_set_group(struct courier *, const char *group);

/* A message of this peer for its user. */
void courier_tell(struct courier *, const char *subject, const char *text);

/* Hooks of the stations. */
void courier_on_resolved(void *courier, const char *address, enum outcome, const char *reason);
void courier_on_conflict(void *courier, const char *address, const char *fpr, const char *rival);
void courier_on_made(void *courier, uint64_t ticket, enum outcome, struct bytes value, size_t n, const char *reason);
void courier_on_sent(void *courier, enum notify_kind, uint64_t id);
void courier_on_proven(void *courier, uint64_t id);
bool courier_on_heard(void *courier, const struct notify_heard *);
void courier_on_recalled(void *courier, const uint8_t proof[32]);
void courier_on_receipt(void *courier, const uint8_t proof[32]);
void courier_on_holders(void *courier, const char *sender, const char *group);
void courier_on_join(void *courier, struct bytes value);
void courier_on_served(void *courier, uint64_t rcpt);
void courier_on_body(void *courier, const struct fetch_result *);
void courier_on_head(void *courier, const struct fetch_result *);
void courier_on_unwanted(void *courier, const uint8_t digest[32]);

#endif
