/*
 * Who waits for which body. Tickets belong to IMAP sessions (or p2pmta-ctl);
 * many tickets may wait for one notice, which is pulled once.
 */
#include <string.h>

#include <talloc.h>
#include <uthash.h>

#include "app/courier/state.h"
#include "lib/base/clock.h"

struct waiter {
	uint64_t ticket, notice;
	UT_hash_handle hh;
};

/* A notice whose sender did not answer: his descriptor is looked up once before giving up. */
struct refresh {
	uint64_t notice;
	char address[LIMIT_ADDRESS + 1];
	bool asked;			/* the answer is still out */
	UT_hash_handle hh;
};

struct pulls {
	struct waiter *waiters;
	struct refresh *refreshes;
};

struct pulls *pulls_new(void)
{
	return talloc_zero(NULL, struct pulls);
}

void pulls_free(struct pulls **pp)
{
	struct pulls *p = *pp;
	struct waiter *w, *next_waiter;
	struct refresh *r, *next_refresh;

	*pp = NULL;
	if (p == NULL)
		return;
	HASH_ITER(hh, p->waiters, w, next_waiter) {
		HASH_DELETE(hh, p->waiters, w);
		talloc_free(w);
	}
	HASH_ITER(hh, p->refreshes, r, next_refresh) {
		HASH_DELETE(hh, p->refreshes, r);
		talloc_free(r);
	}
	talloc_free(p);
}

bool pulls_are_waiting(const struct courier *c, uint64_t notice)
{
	for (const struct waiter *w = c->pulls->waiters; w != NULL; w = w->hh.next)
		if (w->notice == notice)
			return true;
	return false;
}

/* An answer on its way to a session; its own talloc context. */
struct answer {
	struct courier *courier;
	uint64_t ticket;
	enum outcome res;
	const char *text;
};

static void on_answer_durable(void *arg, bool durable)
{
	struct answer *a = arg;
	struct courier *c = a->courier;

	if (!durable)
		a->res = RETRY;
	c->hooks.pulled(c->hooks.arg, a->ticket, a->res, durable ? a->text : "The message could not be written to disk.");
	talloc_free(a);
}

static void answer(struct courier *c, uint64_t ticket, enum outcome res, const char *text)
{
	struct answer *a = talloc_zero(NULL, struct answer);

	a->courier = c;
	a->ticket = ticket;
	a->res = res;
	a->text = talloc_strdup(a, text);
	store_when_durable(c->parts.store, on_answer_durable, a);
}

void pulls_forget_refresh(struct courier *c, uint64_t notice)
{
	struct refresh *r;

	HASH_FIND(hh, c->pulls->refreshes, &notice, sizeof(notice), r);
	if (r == NULL)
		return;
	HASH_DELETE(hh, c->pulls->refreshes, r);
	talloc_free(r);
}

void pulls_answer(struct courier *c, uint64_t notice, enum outcome res, const char *text)
{
	struct waiter *w, *next;

	pulls_forget_refresh(c, notice);
	HASH_ITER(hh, c->pulls->waiters, w, next) {
		if (w->notice != notice)
			continue;
		HASH_DELETE(hh, c->pulls->waiters, w);
		answer(c, w->ticket, res, text);
		talloc_free(w);
	}
}

bool pulls_is_refreshed(const struct courier *c, uint64_t notice)
{
	struct refresh *r;

	HASH_FIND(hh, c->pulls->refreshes, &notice, sizeof(notice), r);
	return r != NULL;
}

bool pulls_refresh(struct courier *c, const struct notice *n)
{
	struct refresh *r;

	HASH_FIND(hh, c->pulls->refreshes, &n->id, sizeof(n->id), r);
	if (r != NULL || strcmp(n->from, c->settings.address) == 0)
		return false;
	r = talloc_zero(c->pulls, struct refresh);
	r->notice = n->id;
	memcpy(r->address, n->from, sizeof(r->address));
	r->asked = true;
	HASH_ADD(hh, c->pulls->refreshes, notice, sizeof(r->notice), r);
	resolve_ask(c->parts.resolve, n->from, true);
	return true;
}

void pulls_resolved(struct courier *c, const char *address)
{
	struct refresh *r, *next;

	HASH_ITER(hh, c->pulls->refreshes, r, next) {
		if (!r->asked || strcmp(r->address, address) != 0)
			continue;
		/* With what was learned, or without: one more try, and its failure is the answer. */
		r->asked = false;
		agenda_set(c->agenda, AGENDA_NOTICE, r->notice, clock_now_ms());
	}
}

static void wait_for(struct courier *c, struct notice *n, uint64_t ticket)
{
	struct waiter *w = talloc_zero(c->pulls, struct waiter);

	w->ticket = ticket;
	w->notice = n->id;
	HASH_ADD(hh, c->pulls->waiters, ticket, sizeof(w->ticket), w);
	n->wanted = true;
	store_notice_save(c->parts.store, n);
	fetch_body(c->parts.fetch, in_order(c, n, n));
}

void courier_pull(struct courier *c, uint64_t content, uint64_t ticket)
{
	void *ctx = talloc_new(NULL);
	struct content *what = store_content_find_brief(c->parts.store, ctx, content);
	struct notice *n = store_notice_of_content(c->parts.store, ctx, content);

	if (what != NULL && what->place != PLACE_NONE)
		answer(c, ticket, OK, "");
	else if (n != NULL && (n->state == NOTICE_FILED || n->state == NOTICE_LAPSED))
		wait_for(c, n, ticket);
	else if (n != NULL && n->state == NOTICE_SPOILT)
		answer(c, ticket, REJECT, "This message is not what its sender announced; it cannot be opened.");
	else
		answer(c, ticket, REJECT, "This message is not there any more.");
	talloc_free(ctx);
}

void courier_pull_forget(struct courier *c, uint64_t ticket)
{
	struct waiter *w;

	HASH_FIND(hh, c->pulls->waiters, &ticket, sizeof(ticket), w);
	if (w == NULL)
		return;
	HASH_DELETE(hh, c->pulls->waiters, w);
	talloc_free(w);
}

bool courier_want(struct courier *c, uint64_t content)
{
	void *ctx = talloc_new(NULL);
	struct notice *n = store_notice_of_content(c->parts.store, ctx, content);
	bool wanted = n != NULL && n->state == NOTICE_FILED;

	if (wanted) {
		n->wanted = true;
		store_notice_save(c->parts.store, n);
		agenda_set(c->agenda, AGENDA_NOTICE, n->id, clock_now_ms());
	}
	talloc_free(ctx);
	return wanted;
}
