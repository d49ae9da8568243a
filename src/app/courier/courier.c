/*
 * A row comes off the agenda, is read from state.db, and its state says which
 * step it needs: that is the whole courier. A step either ends in this turn,
 * moves the row and puts it back on the agenda, or waits for a worker or the
 * network and does so later. Nothing of it is remembered only in RAM.
 */
#include <string.h>

#include <talloc.h>

#include "app/courier/state.h"
#include "lib/base/clock.h"

enum {
	UNDONE_MS = 1000,
	DAY_MS = 86400000,
	/* A letter's row outlives its notification by two days: receipts may come, a recall stands until then. */
	KEEP_DAYS = 33,
};

static void (*const rcpt_steps[])(struct courier *, struct rcpt *) = {
	[RCPT_ACCEPTED]  = out_seal,
	[RCPT_SEALED]    = out_resolve,
	[RCPT_RESOLVED]  = out_offer,
	[RCPT_OFFERED]   = sent_notify,
	[RCPT_NOTIFIED]  = sent_wait,
	[RCPT_DELIVERED] = sent_withdraw,
	[RCPT_DECLINED]  = sent_withdraw,
	[RCPT_EXPIRED]   = report_failure,
	[RCPT_FAILED]    = report_failure,
	[RCPT_CANCELLED] = sent_recall,
};

static void (*const notice_steps[])(struct courier *, struct notice *) = {
	[NOTICE_NOTICED]  = in_head,
	[NOTICE_FILED]    = in_fetch,
	[NOTICE_HERE]     = in_receipt,
	[NOTICE_DECLINED] = in_receipt,
	[NOTICE_RECALLED] = NULL,
	[NOTICE_LAPSED]   = NULL,
	[NOTICE_SPOILT]   = NULL,
};

static void on_due(void *arg, enum agenda_kind kind, uint64_t id)
{
	struct courier *c = arg;
	void *ctx = talloc_new(NULL);

	if (kind == AGENDA_RCPT) {
		struct rcpt *r = store_rcpt_find(c->parts.store, ctx, id);

		if (r != NULL && (!r->done || r->state == RCPT_CANCELLED))
			rcpt_steps[r->state](c, r);
	} else {
		struct notice *n = store_notice_find(c->parts.store, ctx, id);

		if (n != NULL && !n->done && notice_steps[n->state] != NULL)
			notice_steps[n->state](c, n);
	}
	talloc_free(ctx);
}

/* Rows are due at once after a start: what was put or offered before is gone with the old process. */
static void recover_rcpts(struct courier *c)
{
	static const enum rcpt_state at_once[] = { RCPT_OFFERED, RCPT_NOTIFIED, RCPT_CANCELLED };
	void *ctx = talloc_new(NULL);
	int64_t now = clock_now_ms();
	size_t n;
	struct rcpt **posted = store_rcpt_posted(c->parts.store, ctx, now / 1000, &n);

	for (size_t i = 0; i < n; i++)
		agenda_set(c->agenda, AGENDA_RCPT, posted[i]->id, now);
	for (int state = RCPT_ACCEPTED; state <= RCPT_FAILED; state++) {
		struct rcpt **rows = store_rcpt_due(c->parts.store, ctx, (enum rcpt_state)state, INT64_MAX, SIZE_MAX, &n);
		bool now_due = false;

		for (size_t i = 0; i < sizeof(at_once) / sizeof(at_once[0]); i++)
			now_due |= at_once[i] == (enum rcpt_state)state;
		for (size_t i = 0; i < n; i++)
			agenda_set(c->agenda, AGENDA_RCPT, rows[i]->id, now_due ? now : rows[i]->due_ms);
	}
	talloc_free(ctx);
}

static void recover_notices(struct courier *c)
{
	void *ctx = talloc_new(NULL);

	for (int state = NOTICE_NOTICED; state <= NOTICE_SPOILT; state++) {
		bool receipt = state == NOTICE_HERE || state == NOTICE_DECLINED;
		size_t n;
		struct notice **rows = store_notice_due(c->parts.store, ctx, (enum notice_state)state, INT64_MAX, SIZE_MAX, &n);

		for (size_t i = 0; i < n; i++)
			agenda_set(c->agenda, AGENDA_NOTICE, rows[i]->id, receipt ? clock_now_ms() : rows[i]->due_ms);
	}
	talloc_free(ctx);
}

/* Rows are as they were before the commit that failed, or before the process ended: go on from there. */
static void recover(void *arg)
{
	struct courier *c = arg;

	recover_rcpts(c);
	recover_notices(c);
}

static void on_undone(void *arg)
{
	timer_set(((struct courier *)arg)->undone, UNDONE_MS);
}

static void on_expunged(void *arg, struct mailbox *box, const struct message *was, bool last)
{
	(void)box;
	if (last)
		in_expunged(arg, was);
}

static void on_daily(void *arg)
{
	struct courier *c = arg;

	store_letter_forget(c->parts.store, clock_now_ms() - KEEP_DAYS * (int64_t)DAY_MS);
	store_notice_forget(c->parts.store, clock_now_s());
	timer_set(c->daily, DAY_MS);
}

struct courier *courier_new(const struct courier_settings *settings, const struct courier_hooks *hooks)
{
	struct courier *c = talloc_zero(NULL, struct courier);

	c->settings = *settings;
	c->hooks = *hooks;
	c->lanes = lanes_new();
	c->sealings = sealings_new();
	c->pulls = pulls_new();
	return c;
}

void courier_start(struct courier *c, const struct courier_parts *parts)
{
	c->parts = *parts;
	c->agenda = agenda_new(parts->loop, on_due, c);
	c->undone = timer_new(parts->loop, recover, c);
	c->daily = timer_new(parts->loop, on_daily, c);
	store_watch(c->parts.store, &(struct store_watcher){ .expunged = on_expunged, .undone = on_undone, .arg = c });
	recover(c);
	on_daily(c);
}

void courier_stop(struct courier *c)
{
	if (c->agenda == NULL)
		return;
	store_unwatch(c->parts.store, c);
	agenda_free(&c->agenda);
	timer_free(&c->undone);
	timer_free(&c->daily);
	c->stopped = true;
}

void courier_free(struct courier **cp)
{
	struct courier *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	sealings_free(&c->sealings);
	report_stop(c);
	lanes_free(&c->lanes);
	pulls_free(&c->pulls);
	agenda_free(&c->agenda);
	talloc_free(c);
}

void courier_set(struct courier *c, const struct courier_settings *settings)
{
	c->settings.validity_s = settings->validity_s;
	c->settings.lifetime_s = settings->lifetime_s;
	c->settings.warn_after_s = settings->warn_after_s;
}

void courier_set_group(struct courier *c, const char *group)
{
	talloc_free(c->group);
	c->group = group != NULL ? talloc_strdup(c, group) : NULL;
}

/* Who waits for this address's key need not wait any longer. */
static void bring_forward(struct courier *c, const char *address, enum rcpt_state state)
{
	void *ctx = talloc_new(NULL);
	size_t n;
	struct rcpt **rows = store_rcpt_due(c->parts.store, ctx, state, INT64_MAX, SIZE_MAX, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i]->address, address) == 0)
			agenda_set(c->agenda, AGENDA_RCPT, rows[i]->id, clock_now_ms());
	talloc_free(ctx);
}

void courier_release(struct courier *c, const char *address)
{
	notify_release(c->parts.notify, address);
	for (int state = RCPT_SEALED; state <= RCPT_RESOLVED; state++)
		bring_forward(c, address, (enum rcpt_state)state);
}

