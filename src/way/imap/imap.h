#ifndef IMAP_IMAP_H
#define IMAP_IMAP_H
/*
 * The user's mail client reads here (RFC 3501, RFC 9051; p2pmta(8), READING). Works
 * on the store's mailboxes; what is not here is pulled through a hook. Other
 * sessions go on while one waits. Loop thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/penalty.h"
#include "lib/base/scram.h"
#include "lib/loop/conn.h"
#include "lib/loop/loop.h"
#include "lib/loop/pool.h"
#include "lib/store/mailbox.h"

struct imap_settings {
	const char *const *listen;
	size_t n_listen;
	int tls_mode;			/* 0 off, 1 starttls, 2 always */
	struct tls *tls;
	uint64_t outbox_quota;		/* outbox.quota, as GETQUOTA tells it */
	bool bulk_pull;			/* imap.bulk = "pull" */
	const char *address;
	struct penalty *penalty;	/* failed logins of all doors together; NULL: only this one's */
	int64_t auth_delay_ms;		/* unit of the wait after a failed login; 0: 1 s */
	int64_t progress_ms;		/* between two INPROGRESS; 0: 15 s */
};

struct imap_hooks {
	bool (*login)(void *arg, const char *user, const char *password);
	/* What SCRAM needs to know of the user; false when there is no such user. NULL: SCRAM is not offered. */
	bool (*secret)(void *arg, const char *user, struct scram_secret *out);
	/*
	 * Bring the body of this content here. Ends with imap_pull_done(ticket),
	 * never from inside. Two pulls of one content are one; 60 s at most.
	 */
	void (*pull)(void *arg, uint64_t content, uint64_t ticket);
	/* The client that asked went away. */
	void (*pull_forget)(void *arg, uint64_t ticket);
	/*
	 * A message in Outbox is to go (expunge, move): take back what was not
	 * pulled. OK: it may go. REJECT: too late for some, err says for whom.
	 */
	enum outcome (*withdraw)(void *arg, uint64_t message, struct err *);
	void *arg;
};

struct imap;

struct imap *imap_start(struct loop *, struct pool *, struct store *, const struct imap_settings *,
    const struct imap_hooks *, struct err *);
void imap_stop(struct imap **);		/* BYE to every session */
unsigned imap_port(const struct imap *);

/* OK: the body is here now. RETRY: NO [UNAVAILABLE] text. REJECT: NO text (recalled, spoilt, expired). */
void imap_pull_done(struct imap *, uint64_t ticket, enum outcome, const char *text);

#endif
