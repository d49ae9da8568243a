/*
 * offered -> notified -> delivered or declined -> done: from the moment others
 * can know of the message until m' leaves the outbox. Positive proof beats
 * any negative: a receipt turns also `expired` and `cancelled` into what it says.
 */
#include <string.h>

#include <talloc.h>

#include "app/courier/state.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/value.h"

/* POSTs to a receiver who does not answer: in addition to the DHT, ever less often. */
enum { POST_FIRST_S = 60, POST_MAX_S = 3600, NOTIFY_FIRST_S = 2, NOTIFY_MAX_S = 300, NOTIFY_LAST_S = 30 };

#define NOT_TAKEN "neither the DHT nor the receiver took the notification"

void rcpt_proof(const struct rcpt *r, const struct letter *l, int proof, uint8_t out[32])
{
	proof_make((enum proof)proof, r->secret, l->hash, out);
}

static void offer(struct courier *c, const struct rcpt *r, const struct letter *l)
{
	struct offer o = { .size = l->sealed_size, .has_head = l->has_head, .head_size = l->head_size };
	struct grant grant = { .rcpt = r->id, .expires_s = r->expires_s, .served = r->served };

	memcpy(o.hash, l->hash, sizeof(o.hash));
	memcpy(o.head_hash, l->head_hash, sizeof(o.head_hash));
	offers_put(c->parts.offers, &o);
	rcpt_proof(r, l, PROOF_GET, grant.t_get);
	offers_grant(c->parts.offers, l->hash, &grant);
}

/* Where the receiver can be POSTed to; below ctx. */
static const char *urls_of(struct courier *c, const void *ctx, const char *address)
{
	struct contact *to = store_contact_find(c->parts.store, ctx, address);

	if (to == NULL || to->reachable_until_s < clock_now_s())
		return "";
	return to->urls;
}

static void bring_out(struct courier *c, const struct rcpt *r)
{
	struct posting *p = store_posting_find(c->parts.store, r, r->posting);
	struct notify_message m = {
		.address = r->address, .urls = urls_of(c, r, r->address), .friend_address = groups_is_fellow(c->parts.groups, r->address),
	};

	if (p == NULL)
		return;
	m.value = p->value;
	notify_send(c->parts.notify, NOTIFY_NS, p->id, &m);
}

static bool is_expired(const struct rcpt *r)
{
	return clock_now_s() >= r->expires_s;
}

static void give_up(struct courier *c, struct rcpt *r, const struct letter *l, enum rcpt_state state, const char *reason)
{
	rcpt_move(c, r, state, reason);
	sent_end_offer(c, r, l);
	out_show(c, r->letter);
}

static void expire(struct courier *c, struct rcpt *r, const struct letter *l)
{
	char until[40];

	clock_print_rfc5322(r->expires_s, until, sizeof(until));
	give_up(c, r, l, RCPT_EXPIRED, talloc_asprintf(r, "it was announced, and not collected until %s", until));
}

/* Nobody may have had the chance to take it, ever or while we were away ourselves: then there is one more try. */
static bool was_tried_in_time(const struct rcpt *r)
{
	return r->tries > 0 && clock_now_ms() < r->due_ms + NOTIFY_LAST_S * 1000;
}

void sent_notify(struct courier *c, struct rcpt *r)
{
	struct letter *l = store_letter_find(c->parts.store, r, r->letter);
	bool is_over_age = clock_now_ms() >= courier_lifetime_end_ms(c, l);

	if (is_expired(r) || (is_over_age && was_tried_in_time(r))) {
		give_up(c, r, l, RCPT_FAILED, NOT_TAKEN);
		return;
	}
	offer(c, r, l);
	bring_out(c, r);
	if (is_over_age) {
		rcpt_again(c, r, NOT_TAKEN, NOTIFY_LAST_S, NOTIFY_LAST_S);
		return;
	}
	rcpt_again(c, r, r->tries > 0 ? NOT_TAKEN : "", NOTIFY_FIRST_S, NOTIFY_MAX_S);
	report_delay(c, r);
}

void courier_on_sent(void *courier, enum notify_kind kind, uint64_t id)
{
	struct courier *c = courier;
	void *ctx = talloc_new(NULL);
	size_t n = 0;
	struct rcpt **rcpts = NULL;

	if (kind == NOTIFY_NS && c->agenda != NULL)
		rcpts = store_rcpt_of_posting(c->parts.store, ctx, id, &n);
	for (size_t i = 0; i < n; i++) {
		if (rcpts[i]->state != RCPT_OFFERED)
			continue;
		rcpt_move(c, rcpts[i], RCPT_NOTIFIED, "");
		rcpt_again(c, rcpts[i], "", POST_FIRST_S, POST_MAX_S);
		out_show(c, rcpts[i]->letter);
	}
	talloc_free(ctx);
}

void sent_wait(struct courier *c, struct rcpt *r)
{
	struct letter *l = store_letter_find(c->parts.store, r, r->letter);

	if (is_expired(r)) {
		expire(c, r, l);
		return;
	}
	offer(c, r, l);
	bring_out(c, r);
	r->due_ms = clock_now_ms() + courier_pause_ms(++r->tries, POST_FIRST_S, POST_MAX_S);
	if (r->due_ms > r->expires_s * 1000)
		r->due_ms = r->expires_s * 1000;
	store_rcpt_save(c->parts.store, r);
	agenda_set(c->agenda, AGENDA_RCPT, r->id, r->due_ms);
}

void sent_end_offer(struct courier *c, struct rcpt *r, const struct letter *l)
{
	uint8_t t_get[32];

	rcpt_proof(r, l, PROOF_GET, t_get);
	if (r->state != RCPT_CANCELLED)
		offers_revoke(c->parts.offers, l->hash, t_get);
	if (r->posting != 0 && store_posting_pending(c->parts.store, r->posting) == 0) {
		notify_end(c->parts.notify, NOTIFY_NS, r->posting);
		store_posting_drop(c->parts.store, r->posting);
	}
}

/* The last recipient is done: the message leaves outbox, spool and the Outbox mailbox. */
static void letter_finish(struct courier *c, struct letter *l)
{
	struct mailbox *box;
	uint32_t uid;
	uint64_t content = l->content;

	if (l->sealed) {
		offers_remove(c->parts.offers, l->hash);
		store_letter_drop_files(c->parts.store, l);
	}
	if (l->outbox_message != 0 && store_message_locate(c->parts.store, l->outbox_message, &box, &uid))
		store_message_expunge(c->parts.store, box, uid);
	l->outbox_message = 0;
	l->content = 0;
	l->done = true;
	store_letter_save(c->parts.store, l);
	store_content_sweep(c->parts.store, content);
	log_info("letter=%llu state=done", (unsigned long long)l->id);
	courier_step(c, "done");
}

void sent_close(struct courier *c, uint64_t letter)
{
	struct letter *l = store_letter_find(c->parts.store, NULL, letter);

	if (l != NULL && !l->done && !store_rcpt_any_open(c->parts.store, letter))
		letter_finish(c, l);
	else
		out_show(c, letter);
	talloc_free(l);
}

void sent_finish(struct courier *c, struct rcpt *r)
{
	r->done = true;
	store_rcpt_save(c->parts.store, r);
	sent_close(c, r->letter);
}

void sent_withdraw(struct courier *c, struct rcpt *r)
{
	if (report_receipt(c, r))
		return;
	sent_end_offer(c, r, store_letter_find(c->parts.store, r, r->letter));
	sent_finish(c, r);
}

/* A recall stands in the DHT until the notification it takes back has expired. */
void sent_recall(struct courier *c, struct rcpt *r)
{
	struct letter *l = store_letter_find(c->parts.store, r, r->letter);
	uint8_t t_get[32], t_recall[32];

	if (r->posting == 0)
		return;
	rcpt_proof(r, l, PROOF_GET, t_get);
	if (is_expired(r)) {
		notify_end(c->parts.notify, NOTIFY_RECALL, r->id);
		offers_revoke(c->parts.offers, l->hash, t_get);
		return;
	}
	rcpt_proof(r, l, PROOF_RECALL, t_recall);
	offers_recall(c->parts.offers, l->hash, t_get, t_recall, r->expires_s);
	struct notify_message m = { .address = r->address, .urls = "" };

	m.value = value_print_proof(r, VALUE_RECALL, t_recall);
	notify_send(c->parts.notify, NOTIFY_RECALL, r->id, &m);
	agenda_set(c->agenda, AGENDA_RCPT, r->id, r->expires_s * 1000);
}

/* A proof that is durable may be answered with proof of that. */
struct proven {
	struct courier *courier;
	uint8_t proof[32];
};

static void on_proof_durable(void *arg, bool durable)
{
	struct proven *p = arg;

	if (durable && !p->courier->stopped)
		offers_heard_add(p->courier->parts.offers, p->proof);
	talloc_free(p);
}

static void take_receipt(struct courier *c, struct rcpt *r, bool declined)
{
	bool was_done = r->done;

	if (r->state == RCPT_CANCELLED)
		notify_end(c->parts.notify, NOTIFY_RECALL, r->id);
	rcpt_move(c, r, declined ? RCPT_DECLINED : RCPT_DELIVERED, was_done ? "late" : "");
	out_show(c, r->letter);
	if (was_done) {
		r->done = true;
		store_rcpt_save(c->parts.store, r);
		report_receipt(c, r);
	}
}

void courier_on_receipt(void *courier, const uint8_t proof[32])
{
	struct courier *c = courier;
	void *ctx = talloc_new(NULL);
	bool declined;
	struct rcpt *r = c->agenda != NULL ? store_rcpt_of_proof(c->parts.store, ctx, proof, &declined) : NULL;

	if (r != NULL && !offers_heard_has(c->parts.offers, proof)) {
		struct proven *p = talloc_zero(NULL, struct proven);

		/* "Got" is the last word; a "declined" after it changes nothing. */
		if (r->state != RCPT_DELIVERED && (r->state != RCPT_DECLINED || !declined))
			take_receipt(c, r, declined);
		p->courier = c;
		memcpy(p->proof, proof, sizeof(p->proof));
		store_when_durable(c->parts.store, on_proof_durable, p);
	} else if (r == NULL) {
		c->hooks.foreign_receipt(c->hooks.arg, proof);
	}
	talloc_free(ctx);
}

void courier_on_served(void *courier, uint64_t rcpt)
{
	struct courier *c = courier;
	void *ctx = talloc_new(NULL);
	struct rcpt *r = c->agenda != NULL ? store_rcpt_find(c->parts.store, ctx, rcpt) : NULL;

	if (r != NULL && !r->served) {
		r->served = true;
		store_rcpt_save(c->parts.store, r);
		store_rcpt_log(c->parts.store, r->id, "the whole message went out");
	}
	talloc_free(ctx);
}
