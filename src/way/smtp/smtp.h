#ifndef SMTP_SMTP_H
#define SMTP_SMTP_H
/*
 * Submission (RFC 6409) for the one user this peer serves: a message becomes
 * a durable file in the spool, or octets for whoever runs the courier; whoever runs the courier makes its rows and
 * says when they are durable too; only then the client hears 250. Loop thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/base/limits.h"
#include "lib/base/penalty.h"
#include "lib/base/scram.h"
#include "lib/loop/conn.h"
#include "lib/loop/loop.h"
#include "lib/loop/pool.h"

enum tls_mode { TLS_OFF, TLS_STARTTLS, TLS_ALWAYS };

struct smtp_settings {
	const char *const *listen;
	size_t n_listen;
	enum tls_mode tls_mode;
	struct tls *tls;		/* NULL with TLS_OFF */
	uint64_t max_size;		/* of m */
	size_t max_recipients;
	const char *address;		/* the own address: MAIL FROM and header From (or a +tag of it) */
	const char *spool;		/* folder for files: store_dir(PLACE_SPOOL) */
	struct penalty *penalty;	/* failed logins of all doors together; NULL: only this one's */
	/* For tests; 0: the usual. */
	int64_t auth_delay_ms;		/* after the first wrong password */
	int64_t idle_ms, login_ms, line_ms, data_ms;	/* LIMIT_SMTP_*_S */
};

/*
 * What the sender wants to be told of a recipient (RFC 3461 section 4.1), as bits. Without NOTIFY it
 * is failure and delay; NOTIFY=NEVER is no bit. ASKED: FAILURE was one of its words.
 */
enum { SMTP_NOTIFY_SUCCESS = 1, SMTP_NOTIFY_FAILURE = 2, SMTP_NOTIFY_DELAY = 4, SMTP_NOTIFY_ASKED = 8 };
enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };	/* NONE: the client left it to us */

/*
 * A message. A small one comes as octets, for the hook to make durable; a larger one is safe in
 * spool/ab/DIGEST, only its rows are missing. Borrowed until the hook returns or answers.
 */
enum { SMTP_SMALL = 64 * 1024 };
struct smtp_submission {
	uint8_t digest[32];
	uint64_t size;
	struct bytes octets;		/* data NULL: it is in the spool */
	const char *sender;		/* envelope, normal form, +tag kept */
	const char *message_id, *subject;	/* as in m, without folding; subject "" when missing */
	const char *const *recipients;	/* normal form, each once */
	size_t n_recipients;
	const uint8_t *notify;			/* one per recipient: SMTP_NOTIFY bits */
	const char *const *orcpt;		/* one per recipient: "rfc822;ADDRESS" without xtext, or NULL */
	enum smtp_ret ret;
	const char *envid;			/* without xtext; NULL when the client gave none */
};

struct smtp_hooks {
	/* Is this the user? user may be the local part or the whole address. */
	bool (*login)(void *arg, const char *user, const char *password);
	/* What SCRAM needs to know of the user; false when there is no such user. NULL: SCRAM is not offered. */
	bool (*secret)(void *arg, const char *user, struct scram_secret *out);
	/* Is there room in the outbox for a message of this size (0: any)? Asked at MAIL and at the end of DATA. NULL: always. */
	bool (*has_room)(void *arg, uint64_t size);
	/*
	 * Take it; the file is the hook's from here on, whatever it answers (another message may
	 * have the same octets). Answer with smtp_submit_done(ticket), later or from inside.
	 */
	void (*submit)(void *arg, const struct smtp_submission *, uint64_t ticket);
	void *arg;
};

struct smtp;

struct smtp *smtp_start(struct loop *, struct pool *, const struct smtp_settings *, const struct smtp_hooks *, struct err *);
/* Ends every session, with 421 where that does not need a wait. Jobs on workers end by themselves. */
void smtp_stop(struct smtp **);
unsigned smtp_port(const struct smtp *);	/* of the first address */

/* OK: 250 "queued as" text, the id that p2pmta-ctl takes. RETRY: 452 4.3.1 with text. REJECT: 554 5.6.0 with text. A ticket whose session has gone is ignored. */
void smtp_submit_done(struct smtp *, uint64_t ticket, enum outcome, const char *text);

#endif
