/*
 * Taking back (p2pmta-protocol(7), section 4, Cancel). Before the notification is out
 * a cancel always comes in time; after that the locked table of offers
 * decides, and a recall tells the receiver.
 */
#include <string.h>

#include <talloc.h>

#include "app/courier/state.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/addr.h"
#include "lib/mail/value.h"

const char *cancel_state_name(enum cancel_state state)
{
	static const char *const names[] = {
		[CANCEL_IN_TIME] = "in-time", [CANCEL_TOO_LATE] = "too-late", [CANCEL_UNKNOWN] = "unknown",
	};

	return names[state];
}

/* Does the table let us have it back? Before `offered` nobody can have it. */
static bool take_back(struct courier *c, const struct rcpt *r, const struct letter *l)
{
	uint8_t t_get[32];

	if (r->state < RCPT_OFFERED)
		return true;
	if (r->served)
		return false;
	rcpt_proof(r, l, PROOF_GET, t_get);
	return offers_withdraw(c->parts.offers, l->hash, t_get);
}

/* Done for him; sent_close() is for whoever has settled all. */
static void settle(struct courier *c, struct rcpt *r, const struct letter *l)
{
	enum rcpt_state was = r->state;

	r->done = true;
	rcpt_move(c, r, RCPT_CANCELLED, "");
	if (was < RCPT_OFFERED)
		lanes_drop(c, r->address, r->id);
	else
		sent_end_offer(c, r, l);
}

/* What became of it: a member may have given it away before he heard. */
static void cancelled_before(struct courier *c, const struct rcpt *r, const struct letter *l, struct cancelled *out)
{
	const char *holdout = r->posting != 0 ? c->hooks.holdout(c->hooks.arg, l->hash) : NULL;

	if (r->served) {
		out->reason = "a fellow member has given it to the receiver's peer";
	} else if (holdout != NULL) {
		out->state = CANCEL_UNKNOWN;
		out->reason = talloc_asprintf(r, "%s, who holds it too, has not confirmed that it was taken back", holdout);
	} else {
		out->state = CANCEL_IN_TIME;
		out->reason = "it was cancelled before";
	}
}

static struct cancelled cancel_rcpt(struct courier *c, struct rcpt *r, const struct letter *l)
{
	struct cancelled out = { .address = r->address, .state = CANCEL_TOO_LATE, .reason = "" };

	switch (r->state) {
	case RCPT_ACCEPTED:
	case RCPT_SEALED:
	case RCPT_RESOLVED:
	case RCPT_OFFERED:
	case RCPT_NOTIFIED:
		if (take_back(c, r, l)) {
			settle(c, r, l);
			out.state = CANCEL_IN_TIME;
		} else {
			out.reason = "the receiver's peer has pulled it already";
		}
		break;
	case RCPT_DELIVERED:
		out.reason = "it was delivered already";
		break;
	case RCPT_DECLINED:
		out.reason = "the receiver deleted it unread already";
		break;
	case RCPT_CANCELLED:
		cancelled_before(c, r, l, &out);
		break;
	case RCPT_EXPIRED:
	case RCPT_FAILED:
		out.reason = "it was given up already and nobody got it";
		break;
	}
	return out;
}

static bool is_meant(const struct rcpt *r, const char *const *addresses, size_t n)
{
	char peer[LIMIT_ADDRESS + 1];

	for (size_t i = 0; i < n; i++)
		if (addr_parse_base(addresses[i], peer) == 0 && strcmp(r->address, peer) == 0)
			return true;
	return n == 0;
}

struct cancelled *courier_cancel(struct courier *c, const void *ctx, uint64_t letter, const char *const *addresses, size_t n,
    size_t *n_out)
{
	struct letter *l = store_letter_find(c->parts.store, ctx, letter);
	size_t n_rcpts;

	*n_out = 0;
	if (l == NULL)
		return NULL;
	struct rcpt **rcpts = store_rcpt_of_letter(c->parts.store, ctx, letter, &n_rcpts);
	struct cancelled *all = talloc_zero_array(ctx, struct cancelled, n_rcpts + 1);

	for (size_t i = 0; i < n_rcpts; i++)
		if (is_meant(rcpts[i], addresses, n))
			all[(*n_out)++] = cancel_rcpt(c, rcpts[i], l);
	sent_close(c, letter);
	return all;
}

/* The IMAP session expunges the message itself: it must not vanish under its hands. */
static void let_go_of_message(struct courier *c, struct letter *l)
{
	l->outbox_message = 0;
	store_letter_save(c->parts.store, l);
}

/* A message that leaves the Outbox although its deletion was refused: its letter is done with. */
struct leaving {
	struct store *store;
	uint64_t message;
};

static void on_leaving_durable(void *arg, bool durable)
{
	struct leaving *l = arg;
	struct mailbox *box;
	uint32_t uid;

	(void)durable;
	if (store_message_locate(l->store, l->message, &box, &uid))
		store_message_expunge(l->store, box, uid);
	talloc_free(l);
}

/* Deleting was refused, so the message stays: as long as its letter does, which the client hears a moment later. */
static void keep_message(struct courier *c, struct letter *l, uint64_t message)
{
	struct leaving *leaving;

	if (!l->done) {
		l->outbox_message = message;
		store_letter_save(c->parts.store, l);
		return;
	}
	leaving = talloc_zero(NULL, struct leaving);
	leaving->store = c->parts.store;
	leaving->message = message;
	store_when_durable(c->parts.store, on_leaving_durable, leaving);
}

enum outcome courier_withdraw(struct courier *c, uint64_t message, struct err *e)
{
	void *ctx = talloc_new(NULL);
	uint64_t id = store_letter_of_message(c->parts.store, message);
	struct letter *l = id != 0 ? store_letter_find(c->parts.store, ctx, id) : NULL;
	enum outcome res = OK;
	size_t n;

	if (l == NULL || l->done)
		goto out;
	let_go_of_message(c, l);
	struct cancelled *all = courier_cancel(c, ctx, id, NULL, 0, &n);

	for (size_t i = 0; i < n; i++) {
		if (all[i].state == CANCEL_IN_TIME)
			continue;
		err_set(e, "too late for %s: %s", all[i].address, all[i].reason);
		res = REJECT;
	}
	if (res == REJECT)
		keep_message(c, store_letter_find(c->parts.store, ctx, id), message);
out:
	talloc_free(ctx);
	return res;
}
