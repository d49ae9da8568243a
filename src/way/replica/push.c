/*
 * Our list to each member, as soon as it is made and whatever else is under
 * way to him, because it may say what he has to forget; and then the question
 * what he holds: at short pauses until he follows it and holds all, then with
 * every round, because his answer also brings the receive notifications that
 * he heard for us. Who lacks something pulls it; where we cannot be asked, or
 * it takes him long, we bring it.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/mail/value.h"
#include "way/replica/state.h"

enum { ASK_FIRST_MS = 150, ASK_MAX_MS = 10000, PATIENCE_MS = 5000, BUSY_MS = 500 };

static void step(void *arg);

static void again(struct member *m, int64_t ms)
{
	if (m->push == NULL)
		m->push = timer_new(m->r->parts.loop, step, m);
	timer_set(m->push, ms);
}

/* --- what he holds --- */

struct holding {
	struct member *m;
	const struct held_text *text;
	uint8_t (*had)[32];
	size_t n_had, lacking;
	uint8_t first[BRING_MAX][32];
};

static void compare(void *arg, const uint8_t hash[32])
{
	struct holding *h = arg;
	bool holds = held_has(h->text, hash);
	const struct held_text had = { .hashes = h->had, .n_hashes = h->n_had };

	if (!holds && h->lacking < BRING_MAX)
		memcpy(h->first[h->lacking], hash, 32);
	h->lacking += !holds;
	if (holds != held_has(&had, hash))
		store_holder_set(h->m->r->parts.store, hash, h->m->address, holds);
}

/* The pause grows until he has a new list, or holds all. */
void push_again(struct member *m)
{
	int64_t pause = ASK_FIRST_MS << (m->push_tries < 7 ? m->push_tries++ : 7);

	again(m, pause < ASK_MAX_MS ? pause : ASK_MAX_MS);
}

static void next_step(struct member *m, const struct held_text *text, struct holding *h)
{
	int64_t now = clock_mono_ms();
	bool news = m->push_tries == 0;
	uint64_t serial;

	ours_list(m->r->ours, &serial);
	if (m->pushed != serial) {
		again(m, 0);		/* a list came out while he was asked */
		return;
	}
	if (h->lacking == 0) {
		m->push_since_ms = 0;
		if (text->serial != serial) {
			push_again(m);	/* he was asked before he had it */
			return;
		}
		m->push_tries = 0;
		again(m, m->r->settings.sync_ms);
		return;
	}
	if (m->push_since_ms == 0)
		m->push_since_ms = now;
	if ((m->r->settings.n_urls == 0 || now - m->push_since_ms > PATIENCE_MS) && (news || !bring_is_running(m)))
		bring_start(m, h->first, h->lacking);
	else
		push_again(m);
}

/* Those of one message stand together. */
static void take_served(struct replicas *r, const struct held_text *text)
{
	for (size_t i = 0, n; i < text->n_served; i += n) {
		for (n = 1; i + n < text->n_served && memcmp(text->served[i + n][0], text->served[i][0], 32) == 0;)
			n++;
		ours_served(r->ours, (const uint8_t (*)[2][32])text->served + i, n);
	}
}

static void take_held(struct member *m, const struct held_text *text)
{
	struct replicas *r = m->r;
	struct holding h = { .m = m, .text = text };
	void *ctx = talloc_new(NULL);

	h.had = store_held_by(r->parts.store, ctx, m->address, &h.n_had);
	ours_each(r->ours, compare, &h);
	for (size_t i = 0; i < text->n_proofs; i++)
		r->hooks.receipt(r->hooks.arg, text->proofs[i]);
	take_served(r, text);
	m->held_serial = text->serial;
	confirm_look(r);
	talloc_free(ctx);
	next_step(m, text, &h);
}

static void on_held(void *arg, const struct http_reply *reply)
{
	struct member *m = arg;
	void *ctx = talloc_new(NULL);
	struct held_text text;

	m->held_call = NULL;
	member_answered(m, reply);
	again(m, m->r->settings.sync_ms);
	if (reply->status == 200 && held_parse(ctx, reply->body, &text) < 0)
		log_warn("member=%s why=\"he says in other words than agreed what he holds\"", m->address);
	else if (reply->status == 200)
		take_held(m, &text);
	talloc_free(ctx);
}

static void ask_held(struct member *m)
{
	void *ctx = talloc_new(NULL);
	struct member_call call = {
		.method = "GET", .path = member_path(ctx, m->r->settings.address, "held"), .max = LISTS_MAX, .quiet_ms = CALL_MS,
		.done = on_held, .arg = m,
	};

	m->held_call = member_call(m, &call);
	talloc_free(ctx);
}

/* --- the list --- */

static void on_list_put(void *arg, const struct http_reply *reply)
{
	struct member *m = arg;

	m->push_call = NULL;
	member_answered(m, reply);
	if (reply->status == 204 || reply->status == 200) {
		m->pushed = m->pushing;
		m->push_since_ms = 0;
		m->push_tries = 0;
		again(m, ASK_FIRST_MS);
		return;
	}
	if (reply->status == 401)
		sync_now(m);		/* it gets his new token */
	m->pushed = 0;
	again(m, reply->status == 503 ? BUSY_MS : m->r->settings.sync_ms);
}

static void put_list(struct member *m, struct bytes list, uint64_t serial)
{
	void *ctx = talloc_new(NULL);
	struct member_call call = {
		.method = "PUT", .path = member_path(ctx, m->r->settings.address, "msglist"), .body = list, .max = 4096,
		.quiet_ms = CALL_MS, .done = on_list_put, .arg = m,
	};

	m->pushing = serial;
	m->push_call = member_call(m, &call);
	talloc_free(ctx);
}

static void step(void *arg)
{
	struct member *m = arg;
	uint64_t serial;
	struct bytes list = ours_list(m->r->ours, &serial);

	/* What runs asks again when it ends; a list, a token and membership come with a push of their own. */
	if (m->r->stopped || !m->ours || !member_can_be_asked(m) || list.len == 0 || m->push_call != NULL)
		return;
	if (m->pushed != serial)
		put_list(m, list, serial);
	else if (m->held_call == NULL)
		ask_held(m);
}

void push_to(struct member *m)
{
	again(m, 0);
}

void push_later(struct member *m)
{
	again(m, m->r->settings.sync_ms);
}

void push_published(struct replicas *r)
{
	struct member *m, *next;

	HASH_ITER(hh, r->members, m, next) {
		bring_look(m);
		if (!m->away)
			again(m, 0);
	}
	confirm_look(r);
}

void push_stop(struct member *m)
{
	bring_stop(m);
	timer_free(&m->push);
	http_transfer_free(&m->push_call);
	http_transfer_free(&m->held_call);
}
