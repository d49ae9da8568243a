/*
 * What comes in, and sealed -> resolved -> offered: what happens before anybody
 * else can know of the message. A submission is answered when its rows are
 * durable: all that came in one turn of the loop share that sync.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include <talloc.h>
#include <uthash.h>

#include "app/courier/state.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/addr.h"

void out_resolve(struct courier *c, struct rcpt *r)
{
	lanes_set(c, r->address, r->id, LANE_ASKING);
	resolve_ask(c->parts.resolve, r->address, false);
}

static void conclude_resolve(struct courier *c, struct rcpt *r, enum outcome res, const char *reason)
{
	if (res == OK) {
		rcpt_move(c, r, RCPT_RESOLVED, "");
		return;
	}
	lanes_drop(c, r->address, r->id);
	rcpt_failed(c, r, res, reason);
}

void courier_on_resolved(void *courier, const char *address, enum outcome res, const char *reason)
{
	struct courier *c = courier;

	if (c->agenda == NULL)
		return;
	lanes_each_asking(c, address, conclude_resolve, res, reason);
	pulls_resolved(c, address);
}

void courier_on_conflict(void *courier, const char *address, const char *fpr, const char *rival)
{
	report_conflict(courier, address, fpr, rival);
}

void out_offer(struct courier *c, struct rcpt *r)
{
	if (lanes_is_making(c, r->address, r->id))
		return;
	lanes_set(c, r->address, r->id, LANE_READY);
}

static uint64_t state_keyword(struct courier *c, enum rcpt_state state)
{
	static const char *const names[] = {
		[RCPT_OFFERED] = "$Offered", [RCPT_NOTIFIED] = "$Notified", [RCPT_DELIVERED] = "$Delivered",
		[RCPT_DECLINED] = "$Declined", [RCPT_EXPIRED] = "$Expired", [RCPT_CANCELLED] = "$Cancelled",
		[RCPT_FAILED] = "$Failed",
	};

	if ((size_t)state >= sizeof(names) / sizeof(names[0]) || names[state] == NULL)
		return 0;
	return store_keyword(c->parts.store, names[state]);
}

void out_show(struct courier *c, uint64_t letter)
{
	void *ctx = talloc_new(NULL);
	struct letter *l = store_letter_find(c->parts.store, ctx, letter);
	struct mailbox *box;
	uint32_t uid;
	uint64_t bits = 0, all = 0;

	if (l != NULL && l->outbox_message != 0 &&
	    store_message_locate(c->parts.store, l->outbox_message, &box, &uid)) {
		unsigned states = store_rcpt_states(c->parts.store, letter);

		for (unsigned state = RCPT_ACCEPTED; state <= RCPT_FAILED; state++) {
			uint64_t bit = state_keyword(c, (enum rcpt_state)state);

			all |= bit;
			bits |= states & 1u << state ? bit : 0;
		}
		const struct message *m = store_message_find(box, uid);

		/* What the user's client has set stays. */
		bits |= m->keywords & ~all;

		if (m->keywords != bits)
			store_message_set_flags(c->parts.store, box, uid, m->flags, bits);
	}
	talloc_free(ctx);
}

/* A submission whose rows are being written; its own talloc context. */
struct submitting {
	struct courier *courier;
	uint64_t ticket, letter;
};

static void on_submitted(void *arg, bool durable)
{
	struct submitting *s = arg;
	struct courier *c = s->courier;

	sealings_note_answer(c);
	if (durable && c->agenda != NULL) {
		size_t n;
		struct rcpt **rcpts = store_rcpt_of_letter(c->parts.store, s, s->letter, &n);

		for (size_t i = 0; i < n; i++)
			agenda_set(c->agenda, AGENDA_RCPT, rcpts[i]->id, rcpts[i]->due_ms);
		courier_step(c, "accepted");
	}
	c->hooks.submitted(c->hooks.arg, s->ticket, durable ? OK : RETRY, durable ?
	    talloc_asprintf(s, "%" PRIu64, s->letter) : "the message could not be written to disk");
	talloc_free(s);
}

struct peer { UT_hash_handle hh; char address[LIMIT_ADDRESS + 1]; unsigned tell; const char *orcpt; };

/* A peer gets one copy, however many of its +tags are named; what is to be told of one is told of it. */
static size_t add_recipients(struct courier *c, uint64_t letter, const struct courier_submission *sub)
{
	struct peer *seen = NULL, *p, *next;
	size_t n = 0;

	for (size_t i = 0; i < sub->n_recipients; i++) {
		char address[LIMIT_ADDRESS + 1];
		int bad = addr_parse_base(sub->recipients[i], address);

		assert(bad == 0);	/* the session has asked that */
		(void)bad;
		HASH_FIND_STR(seen, address, p);
		if (p == NULL) {
			p = talloc_zero(NULL, struct peer);
			memcpy(p->address, address, sizeof(p->address));
			HASH_ADD_STR(seen, address, p);
			n++;
		}
		p->tell |= sub->tell[i];
		if (p->orcpt == NULL)
			p->orcpt = sub->orcpt[i];
	}
	HASH_ITER(hh, seen, p, next) {
		store_rcpt_add(c->parts.store, letter, p->address, p->tell, p->orcpt);
		HASH_DELETE(hh, seen, p);
		talloc_free(p);
	}
	return n;
}

void courier_submit(struct courier *c, const struct courier_submission *sub, uint64_t ticket)
{
	struct submitting *s = talloc_zero(NULL, struct submitting);
	struct content content = { .size = sub->size, .place = PLACE_SPOOL };
	struct letter l = {
		.message_id = sub->message_id, .subject = sub->subject, .sender = sub->sender,
		.submitted_ms = clock_now_ms(), .size = sub->size, .ret_full = sub->ret_full, .envid = sub->envid,
	};

	memcpy(content.digest, sub->digest, sizeof(content.digest));
	if (sub->octets.data != NULL) {
		store_content_add_small(c->parts.store, &content, sub->octets);
	} else {
		store_content_add(c->parts.store, &content);
		store_place_new(c->parts.store, PLACE_SPOOL, content.digest);
	}
	l.content = content.id;
	store_letter_add(c->parts.store, &l, NULL, 0);
	size_t n = add_recipients(c, l.id, sub);

	s->courier = c;
	s->ticket = ticket;
	s->letter = l.id;
	sealings_note_submit(c);
	log_info("letter=%llu state=accepted size=%llu recipients=%zu", (unsigned long long)l.id,
	    (unsigned long long)sub->size, n);
	store_when_durable(c->parts.store, on_submitted, s);
}
