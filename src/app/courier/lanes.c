/*
 * A notification costs a gpg process whatever its size, and several fit into
 * one message. So a lane per address gathers its recipients: one that is
 * alone goes at once; while more of them are being sealed, as many as fit into
 * one value are waited for, a moment: one may be large. p is made here, and
 * written with the octets that carry it before anybody can see them
 * (p2pmta-protocol(7), section 4, step 3).
 */
#include <string.h>

#include <talloc.h>
#include <uthash.h>

#include "app/courier/state.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"

/* As many as fit into one value at first, before it is known; batches under way for one address. */
enum { FIT = 4, SETTLED = 8, BATCHES_MAX = 2, GATHER_MS = 250 };

struct member {
	uint64_t rcpt;
	enum lane_stage stage;
	UT_hash_handle hh;
};

struct lane {
	struct courier *courier;
	char *address;
	struct member *members;
	size_t n[N_LANE_STAGES];
	size_t n_batches;
	size_t fit;			/* as many went into one value */
	unsigned settled;		/* batches before one more is tried */
	struct timer *gather;		/* until then those who come are waited for */
	bool gathered;
	UT_hash_handle hh;
};

/* Records on a worker. */
struct batch {
	uint64_t ticket;
	char *address;
	size_t n;
	struct { uint64_t rcpt; uint8_t secret[32], hash[32]; int64_t issued_s, expires_s; } rows[LIMIT_NS_RECORDS];
	UT_hash_handle hh;
};

struct lanes {
	struct lane *lanes;
	struct batch *batches;
	uint64_t last_ticket;
};

struct lanes *lanes_new(void)
{
	return talloc_zero(NULL, struct lanes);
}

static void lane_maybe_free(struct lanes *ls, struct lane *lane)
{
	if (lane->members != NULL || lane->n_batches > 0)
		return;
	HASH_DELETE(hh, ls->lanes, lane);
	timer_free(&lane->gather);
	talloc_free(lane);
}

static void member_drop(struct lane *lane, struct member *m)
{
	lane->n[m->stage]--;
	HASH_DELETE(hh, lane->members, m);
	talloc_free(m);
}

void lanes_free(struct lanes **lp)
{
	struct lanes *ls = *lp;
	struct lane *lane, *next_lane;
	struct member *m, *next_member;
	struct batch *b, *next_batch;

	*lp = NULL;
	if (ls == NULL)
		return;
	HASH_ITER(hh, ls->lanes, lane, next_lane) {
		HASH_ITER(hh, lane->members, m, next_member)
			member_drop(lane, m);
		lane->n_batches = 0;
		lane_maybe_free(ls, lane);
	}
	HASH_ITER(hh, ls->batches, b, next_batch) {
		HASH_DELETE(hh, ls->batches, b);
		talloc_free(b);
	}
	talloc_free(ls);
}

static struct lane *lane_find(struct lanes *ls, const char *address)
{
	struct lane *lane;

	HASH_FIND_STR(ls->lanes, address, lane);
	return lane;
}

static struct lane *lane_get(struct courier *c, const char *address)
{
	struct lanes *ls = c->lanes;
	struct lane *lane = lane_find(ls, address);

	if (lane == NULL) {
		lane = talloc_zero(ls, struct lane);
		lane->courier = c;
		lane->address = talloc_strdup(lane, address);
		lane->fit = FIT;
		HASH_ADD_KEYPTR(hh, ls->lanes, lane->address, strlen(lane->address), lane);
	}
	return lane;
}

/* What the ns says of this message to this recipient; below ctx. NULL when he is not resolved any more. */
static struct ns *compose(struct courier *c, const void *ctx, uint64_t id, bool first, uint8_t secret[32])
{
	struct ns *ns = talloc_zero(ctx, struct ns);
	struct rcpt *r = store_rcpt_find(c->parts.store, ns, id);

	if (r == NULL || r->state != RCPT_RESOLVED)
		return NULL;
	struct letter *l = store_letter_find(c->parts.store, ns, r->letter);
	struct content *content = store_content_find(c->parts.store, ns, l->content);

	random_fill(secret, 32);
	snprintf(ns->from, sizeof(ns->from), "%s", c->settings.address);
	snprintf(ns->to, sizeof(ns->to), "%s", r->address);
	memcpy(ns->hash, l->hash, 32);
	memcpy(ns->digest, content->digest, 32);
	memcpy(ns->key, l->key, 32);
	memcpy(ns->secret, secret, 32);
	ns->sealed_size = l->sealed_size;
	ns->size = content->size;
	ns->issued_s = clock_now_s();
	ns->expires_s = ns->issued_s + c->settings.validity_s;
	for (ns->n_urls = 0; ns->n_urls < c->settings.n_urls && ns->n_urls < LIMIT_URLS; ns->n_urls++)
		ns->urls[ns->n_urls] = c->settings.urls[ns->n_urls];
	ns->group = c->group;
	/* One that does not know us looks for our key in the first record. */
	if (first && !store_rcpt_knows_us(c->parts.store, r->address))
		ns->sender_key = resolve_own_key(c->parts.resolve);
	ns->has_head = l->has_head;
	memcpy(ns->head_hash, l->head_hash, 32);
	ns->head_size = l->head_size;
	if (!l->has_head)
		ns->skeleton = (struct skeleton){ content->skeleton, content->parts };
	return ns;
}

/* Now and then one more than went into the last, to learn whether it does: it is back when not, but may have cost a gpg. */
static bool is_full(const struct lane *lane, size_t n)
{
	return n == LIMIT_NS_RECORDS || n >= lane->fit + (lane->settled == 0);
}

static void learn_fit(struct lane *lane, size_t n, size_t made)
{
	if (lane->settled > 0)
		lane->settled--;
	if (made < n)
		lane->settled = SETTLED;
	if (made < n || made > lane->fit)
		lane->fit = made;
}

static void batch_start(struct courier *c, struct lane *lane, const char *fpr)
{
	const struct ns *ns[LIMIT_NS_RECORDS];
	struct batch *b = talloc_zero(c->lanes, struct batch);
	struct member *m, *next;

	lane->gathered = false;
	b->ticket = ++c->lanes->last_ticket;
	b->address = talloc_strdup(b, lane->address);
	HASH_ITER(hh, lane->members, m, next) {
		if (m->stage != LANE_READY || is_full(lane, b->n))
			continue;
		ns[b->n] = compose(c, b, m->rcpt, b->n == 0, b->rows[b->n].secret);
		if (ns[b->n] == NULL) {
			member_drop(lane, m);
			continue;
		}
		b->rows[b->n].rcpt = m->rcpt;
		memcpy(b->rows[b->n].hash, ns[b->n]->hash, 32);
		b->rows[b->n].issued_s = ns[b->n]->issued_s;
		b->rows[b->n].expires_s = ns[b->n]->expires_s;
		lane->n[LANE_READY]--;
		lane->n[m->stage = LANE_MAKING]++;
		b->n++;
	}
	if (b->n == 0) {
		talloc_free(b);
		return;
	}
	HASH_ADD(hh, c->lanes->batches, ticket, sizeof(b->ticket), b);
	lane->n_batches++;
	notify_make(c->parts.notify, fpr, ns, b->n, b->ticket);
}

/* Our own key must be known before the first notice can carry it. */
static bool can_make(struct courier *c, const struct lane *lane)
{
	size_t coming = lane->n[LANE_COMING] + lane->n[LANE_ASKING];

	return lane->n[LANE_READY] > 0 && lane->n_batches < BATCHES_MAX &&
	    (coming == 0 || lane->gathered || is_full(lane, lane->n[LANE_READY])) && resolve_own_key(c->parts.resolve).len > 0;
}

/* reason NULL: it is us who are not ready. */
static void each_ready_again(struct courier *c, struct lane *lane, const char *reason)
{
	struct member *m, *next;

	HASH_ITER(hh, lane->members, m, next) {
		struct rcpt *r = m->stage == LANE_READY ? store_rcpt_find(c->parts.store, NULL, m->rcpt) : NULL;

		if (m->stage != LANE_READY)
			continue;
		member_drop(lane, m);
		if (r != NULL && r->state == RCPT_RESOLVED && reason == NULL)
			rcpt_soon(c, r);
		else if (r != NULL && r->state == RCPT_RESOLVED)
			rcpt_failed(c, r, RETRY, reason);
		talloc_free(r);
	}
}

static void lane_run(struct courier *, struct lane *);

static void on_gathered(void *arg)
{
	struct lane *lane = arg;

	lane->gathered = lane->n[LANE_READY] > 0;
	lane_run(lane->courier, lane);
}

/* Those who are ready wait for those who come, but not for long. */
static void gather(struct courier *c, struct lane *lane)
{
	if (lane->gather == NULL)
		lane->gather = timer_new(c->parts.loop, on_gathered, lane);
	if (!timer_is_set(lane->gather))
		timer_set(lane->gather, GATHER_MS);
}

static void lane_run(struct courier *c, struct lane *lane)
{
	void *ctx = talloc_new(NULL);

	if (can_make(c, lane)) {
		struct contact *to = store_contact_find(c->parts.store, ctx, lane->address);

		if (to != NULL && to->fpr[0] != '\0' && to->trust != TRUST_CONFLICT)
			batch_start(c, lane, to->fpr);
		else
			each_ready_again(c, lane, "the key is not settled");
	} else if (lane->n[LANE_READY] > 0 && resolve_own_key(c->parts.resolve).len == 0) {
		each_ready_again(c, lane, NULL);
	} else if (lane->n[LANE_READY] > 0 && !lane->gathered) {
		gather(c, lane);
	}
	lane_maybe_free(c->lanes, lane);
	talloc_free(ctx);
}

void lanes_set(struct courier *c, const char *address, uint64_t rcpt, enum lane_stage stage)
{
	struct lane *lane = lane_get(c, address);
	struct member *m;

	HASH_FIND(hh, lane->members, &rcpt, sizeof(rcpt), m);
	if (m == NULL) {
		m = talloc_zero(lane, struct member);
		m->rcpt = rcpt;
		HASH_ADD(hh, lane->members, rcpt, sizeof(m->rcpt), m);
	} else {
		lane->n[m->stage]--;
	}
	lane->n[m->stage = stage]++;
	if (stage == LANE_READY)
		lane_run(c, lane);
}

bool lanes_is_making(struct courier *c, const char *address, uint64_t rcpt)
{
	struct lane *lane = lane_find(c->lanes, address);
	struct member *m = NULL;

	if (lane != NULL)
		HASH_FIND(hh, lane->members, &rcpt, sizeof(rcpt), m);
	return m != NULL && m->stage == LANE_MAKING;
}

void lanes_drop(struct courier *c, const char *address, uint64_t rcpt)
{
	struct lane *lane = lane_find(c->lanes, address);
	struct member *m = NULL;

	if (lane != NULL)
		HASH_FIND(hh, lane->members, &rcpt, sizeof(rcpt), m);
	if (m == NULL)
		return;
	member_drop(lane, m);
	lane_run(c, lane);
}

void lanes_each_asking(struct courier *c, const char *address,
    void (*each)(struct courier *, struct rcpt *, enum outcome, const char *reason), enum outcome res, const char *reason)
{
	struct lane *lane = lane_find(c->lanes, address);
	void *ctx = talloc_new(NULL);
	size_t n = 0;

	if (lane != NULL && lane->n[LANE_ASKING] > 0) {
		uint64_t *ids = talloc_array(ctx, uint64_t, lane->n[LANE_ASKING]);
		struct member *m, *next;

		HASH_ITER(hh, lane->members, m, next)
			if (m->stage == LANE_ASKING)
				ids[n++] = m->rcpt;
		/* each() may end the lane: from here on by id. */
		for (size_t i = 0; i < n; i++) {
			struct rcpt *r = store_rcpt_find(c->parts.store, ctx, ids[i]);

			if (r != NULL && r->state == RCPT_SEALED)
				each(c, r, res, reason);
			else
				lanes_drop(c, address, ids[i]);
		}
	}
	talloc_free(ctx);
}

/* Rows with a p that is being written: nobody may see it before that. */
struct offering {
	struct courier *courier;
	size_t n;
	uint64_t rcpts[LIMIT_NS_RECORDS];
};

/* Not durable: all rows are as they were, and read anew. */
static void on_offer_durable(void *arg, bool durable)
{
	struct offering *o = arg;

	for (size_t i = 0; durable && !o->courier->stopped && i < o->n; i++)
		agenda_set(o->courier->agenda, AGENDA_RCPT, o->rcpts[i], clock_now_ms());
	talloc_free(o);
}

/* The row gets its p and the octets that carry it; one cancelled meanwhile is recalled with them. */
static void take_posting(struct courier *c, const struct batch *b, size_t i, uint64_t posting, struct offering *o)
{
	struct rcpt *r = store_rcpt_find(c->parts.store, b, b->rows[i].rcpt);

	lanes_drop(c, b->address, b->rows[i].rcpt);
	if (r == NULL || (r->state != RCPT_RESOLVED && r->state != RCPT_CANCELLED))
		return;
	memcpy(r->secret, b->rows[i].secret, sizeof(r->secret));
	r->posting = posting;
	r->issued_s = b->rows[i].issued_s;
	r->expires_s = b->rows[i].expires_s;
	if (r->state == RCPT_RESOLVED) {
		rcpt_move(c, r, RCPT_OFFERED, "");
		out_show(c, r->letter);
	} else {
		store_rcpt_save(c->parts.store, r);
		c->hooks.changed(c->hooks.arg, r->letter);
	}
	agenda_drop(c->agenda, AGENDA_RCPT, r->id);
	o->rcpts[o->n++] = r->id;
}

/*
 * Does it still say what the rows say? A commit that failed meanwhile may have undone the very sealing it
 * announces: the message will be sealed anew, and must not be announced twice. Then none of it goes out.
 */
static bool is_true(struct courier *c, const struct batch *b, size_t n)
{
	void *ctx = talloc_new(NULL);
	bool same = true;

	for (size_t i = 0; i < n && same; i++) {
		struct rcpt *r = store_rcpt_find(c->parts.store, ctx, b->rows[i].rcpt);
		struct letter *l = r != NULL ? store_letter_find(c->parts.store, ctx, r->letter) : NULL;

		same = l != NULL && (r->state == RCPT_RESOLVED || r->state == RCPT_CANCELLED) && l->sealed &&
		    memcmp(l->hash, b->rows[i].hash, sizeof(l->hash)) == 0;
	}
	talloc_free(ctx);
	return same;
}

static void again(struct courier *c, const struct batch *b, size_t i, enum outcome res, const char *reason)
{
	struct rcpt *r = store_rcpt_find(c->parts.store, b, b->rows[i].rcpt);

	/* It is the first that is refused: its neighbours may be fine. */
	if (r == NULL || r->state != RCPT_RESOLVED) {
		lanes_drop(c, b->address, b->rows[i].rcpt);
	} else if (res == OK || (res == REJECT && i > 0)) {
		lanes_set(c, b->address, r->id, LANE_READY);
	} else {
		lanes_drop(c, b->address, r->id);
		rcpt_failed(c, r, res, reason);
	}
}

void courier_on_made(void *courier, uint64_t ticket, enum outcome res, struct bytes value, size_t n, const char *reason)
{
	struct courier *c = courier;
	struct posting posting = { .value = value };
	struct offering *o;
	struct lane *lane;
	struct batch *b;

	HASH_FIND(hh, c->lanes->batches, &ticket, sizeof(ticket), b);
	if (b == NULL || c->agenda == NULL)
		return;
	HASH_DELETE(hh, c->lanes->batches, b);
	lane = lane_get(c, b->address);
	lane->n_batches--;
	if (res == OK)
		learn_fit(lane, b->n, n);
	if (res == OK && !is_true(c, b, n))
		n = 0;
	if (res == OK && n > 0) {
		posting.address = b->address;
		for (size_t i = 0; i < n; i++)
			if (b->rows[i].expires_s > posting.expires_s)
				posting.expires_s = b->rows[i].expires_s;
		store_posting_add(c->parts.store, &posting);
	} else if (res != OK) {
		log_warn("notification=failed why=\"%s\"", reason);
	}
	o = talloc_zero(NULL, struct offering);
	o->courier = c;
	for (size_t i = 0; i < b->n; i++) {
		if (res == OK && i < n)
			take_posting(c, b, i, posting.id, o);
		else
			again(c, b, i, res, reason);
	}
	/* All whom it was made for were cancelled meanwhile. */
	if (posting.id != 0 && store_posting_pending(c->parts.store, posting.id) == 0)
		store_posting_drop(c->parts.store, posting.id);
	store_when_durable(c->parts.store, on_offer_durable, o);
	lane_run(c, lane_get(c, b->address));
	talloc_free(b);
}
