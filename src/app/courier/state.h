#ifndef COURIER_STATE_H
#define COURIER_STATE_H
/*
 * The courier's own state, shared by its files:
 *	courier.c  life, the two tables of steps
 *	rows.c     how a row changes: states, pauses, giving up
 *	sealing.c  accepted -> sealed
 *	out.c      submissions; sealed ... offered: resolve, offer
 *	lanes.c    which recipients of one address share a notification
 *	sent.c     offered ... done: notify, wait, receipts, withdraw
 *	cancel.c   taking back
 *	in.c       noticed ... done on the receiving side
 *	pulls.c    who waits for which body
 *	report.c   DSNs and notices to the user
 */
#include "app/courier/agenda.h"
#include "app/courier/courier.h"

struct lanes;
struct pulls;
struct reporting;
struct sealings;

struct courier {
	struct courier_settings settings;
	struct courier_hooks hooks;
	struct courier_parts parts;
	struct agenda *agenda;
	struct lanes *lanes;
	struct pulls *pulls;
	struct sealings *sealings;
	struct reporting *reportings;	/* DSNs on a worker (report.c) */
	struct timer *undone;		/* a commit failed: rows are read anew */
	struct timer *daily;
	char *group;			/* NULL: none */
	bool stopped;
};

/* rows.c */

/* The step is done; under die_after the daemon dies when this is durable. */
void courier_step(struct courier *, const char *step);
/* The pause before try n (1, 2, ...): doubles from first_s to max_s, with a tenth of jitter. Milliseconds. */
int64_t courier_pause_ms(unsigned n, int64_t first_s, int64_t max_s);
/* The DSN's word (RFC 3463) for one that is given up: the time is over, else, by where it failed, his address or key, or the message itself. */
const char *courier_failure_status(bool in_time, bool sealed);
/* When queue.lifetime is over for it. */
int64_t courier_lifetime_end_ms(const struct courier *, const struct letter *);
/* Write the row with a new state, due now, and log the change. */
void rcpt_move(struct courier *, struct rcpt *, enum rcpt_state, const char *reason);
/* Try the step again later: counts, pauses, keeps the reason. */
void rcpt_again(struct courier *, struct rcpt *, const char *reason, int64_t first_s, int64_t max_s);
/* The step failed: give it up (REJECT, or queue.lifetime is over) or try again, and tell the user when it lasts. */
void rcpt_failed(struct courier *, struct rcpt *, enum outcome, const char *reason);
/* A moment later, without counting as a try: we are not ready ourselves. */
void rcpt_soon(struct courier *, const struct rcpt *);
void notice_move(struct courier *, struct notice *, enum notice_state, const char *reason);
void notice_again(struct courier *, struct notice *, const char *reason, int64_t first_s, int64_t max_s);

/* sealing.c: letters on their way to a worker and on one */
struct sealings *sealings_new(void);
void sealings_free(struct sealings **);
/* A step: once per letter, whatever the number of its recipients. */
void out_seal(struct courier *, struct rcpt *);
/* A submission came in; its client was told how it went. */
void sealings_note_submit(struct courier *);
void sealings_note_answer(struct courier *);

/* out.c: steps */
void out_resolve(struct courier *, struct rcpt *);
void out_offer(struct courier *, struct rcpt *);
/* Outbox keywords follow the recipients' states. */
void out_show(struct courier *, uint64_t letter);

/* lanes.c: recipients on their way to a notification, by address */
enum lane_stage {
	LANE_COMING,	/* his message is being sealed: it pays to wait for him */
	LANE_ASKING,	/* his key is being looked for */
	LANE_READY,	/* resolved: make his notification, with others */
	LANE_MAKING,
	N_LANE_STAGES,
};
struct lanes *lanes_new(void);
void lanes_free(struct lanes **);
void lanes_set(struct courier *, const char *address, uint64_t rcpt, enum lane_stage);
bool lanes_is_making(struct courier *, const char *address, uint64_t rcpt);
/* He is on no way there any more (failed, later, cancelled, offered). */
void lanes_drop(struct courier *, const char *address, uint64_t rcpt);
/* Calls each for everybody who asks for this address's key. */
void lanes_each_asking(struct courier *, const char *address,
    void (*each)(struct courier *, struct rcpt *, enum outcome, const char *reason), enum outcome, const char *reason);

/* sent.c: steps */
void sent_notify(struct courier *, struct rcpt *);
void sent_wait(struct courier *, struct rcpt *);
void sent_withdraw(struct courier *, struct rcpt *);
void sent_recall(struct courier *, struct rcpt *);
/* Nothing is left to do for this recipient: done, and sent_close(). */
void sent_finish(struct courier *, struct rcpt *);
/* Some of its recipients are done by now: with the last one the letter leaves. */
void sent_close(struct courier *, uint64_t letter);
/* Stop its ns if no other recipient needs it; revoke the token. */
void sent_end_offer(struct courier *, struct rcpt *, const struct letter *);
/* T_x of a recipient. */
void rcpt_proof(const struct rcpt *, const struct letter *, int proof, uint8_t out[32]);

/* report.c: steps */
void report_failure(struct courier *, struct rcpt *);
void report_delay(struct courier *, struct rcpt *);
/* `delivered`, or that it was declined, when that was asked for: true, and sent_withdraw() follows when it is filed. False: nothing to say. */
bool report_receipt(struct courier *, struct rcpt *);
void report_stop(struct courier *);
void report_conflict(struct courier *, const char *address, const char *fpr, const char *rival);

/* in.c: steps */
void in_head(struct courier *, struct notice *);
void in_fetch(struct courier *, struct notice *);
void in_receipt(struct courier *, struct notice *);
void in_expunged(struct courier *, const struct message *was);
/* Where a notice's body can be had: fetch order below ctx. */
struct fetch_order *in_order(struct courier *, const void *ctx, const struct notice *);

/* pulls.c */
struct pulls *pulls_new(void);
void pulls_free(struct pulls **);
bool pulls_are_waiting(const struct courier *, uint64_t notice);
/* All that wait for this notice hear it when it is durable. */
void pulls_answer(struct courier *, uint64_t notice, enum outcome, const char *text);
/* Nobody answered: look once for new addresses of the sender before giving up. True: it goes on. */
bool pulls_refresh(struct courier *, const struct notice *);
bool pulls_is_refreshed(const struct courier *, uint64_t notice);
void pulls_forget_refresh(struct courier *, uint64_t notice);
void pulls_resolved(struct courier *, const char *address);

#endif
