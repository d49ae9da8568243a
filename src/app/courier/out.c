/*
 * accepted -> sealed -> resolved: what happens before anybody else can know of
 * the message. Sealing runs once per letter, whatever the number of its
 * recipients; the first of them to come up starts it.
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
#include "way/seal/seal.h"

/*
 * A skeleton up to this goes into the ns: what 4 KiB leave beside the other
 * fields, a PKESK and our signature, and our own key in base64.
 */
enum { INLINE_MAX = 1280, INLINE_AND_KEY_MAX = 1900 };

static size_t inline_max(struct courier *c)
{
	size_t key = resolve_own_key(c->parts.resolve).len * 4 / 3;

	if (key >= INLINE_AND_KEY_MAX)
		return 0;
	return INLINE_AND_KEY_MAX - key < INLINE_MAX ? INLINE_AND_KEY_MAX - key : INLINE_MAX;
}

/* A letter on a worker; its own talloc context. */
struct sealing {
	uint64_t letter;
	struct courier *courier;
	struct seal_order order;
	uint8_t digest[32];
	struct sealed sealed;
	const char *envelope, *body, *bodystructure;
	enum outcome res;
	struct err err;
	UT_hash_handle hh;
};

static void seal_run(void *arg)
{
	struct sealing *s = arg;

	s->res = seal_work(s, &s->order, &s->sealed, &s->err);
	if (s->res != OK)
		return;
	s->envelope = mime_envelope(s, s->sealed.mime);
	s->body = mime_body(s, s->sealed.mime);
	s->bodystructure = mime_bodystructure(s, s->sealed.mime);
}

/* The message appears in the Outbox mailbox as soon as its structure is known. */
static void show_in_outbox(struct courier *c, struct letter *l)
{
	const struct message *m = store_message_add(c->parts.store, store_mailbox_standard(c->parts.store, BOX_OUTBOX),
	    l->content, FLAG_SEEN, 0, l->submitted_ms);

	l->outbox_message = m->id;
}

static void keep_structure(struct courier *c, const struct letter *l, const struct sealing *s)
{
	struct content content = {
		.id = l->content, .envelope = s->envelope, .body = s->body, .bodystructure = s->bodystructure,
		.skeleton = mime_skeleton(s->sealed.mime), .parts = mime_parts_text(s->sealed.mime),
	};

	store_content_set_structure(c->parts.store, &content);
}

static void letter_sealed(struct courier *c, struct letter *l, const struct sealing *s)
{
	l->sealed = true;
	memcpy(l->key, s->sealed.key, sizeof(l->key));
	memcpy(l->hash, s->sealed.hash, sizeof(l->hash));
	l->sealed_size = s->sealed.size;
	l->has_head = s->sealed.has_head;
	memcpy(l->head_hash, s->sealed.head_hash, sizeof(l->head_hash));
	l->head_size = s->sealed.head_size;
	keep_structure(c, l, s);
	show_in_outbox(c, l);
	store_letter_save(c->parts.store, l);
}

/* The outcome counts for every recipient that waits for it. */
static void seal_conclude(struct courier *c, struct letter *l, const struct sealing *s)
{
	size_t n;
	struct rcpt **rcpts = store_rcpt_of_letter(c->parts.store, l, l->id, &n);

	if (s->res == OK)
		letter_sealed(c, l, s);
	for (size_t i = 0; i < n; i++) {
		struct rcpt *r = rcpts[i];

		if (r->state != RCPT_ACCEPTED)
			continue;
		if (s->res == OK) {
			rcpt_move(c, r, RCPT_SEALED, "");
			continue;
		}
		lanes_drop(c, r->address, r->id);
		rcpt_failed(c, r, s->res, s->err.text);
	}
	if (s->res == OK)
		out_show(c, l->id);
}

/* Everybody was cancelled while it was sealed: what was made goes at once. */
static void drop_unwanted(struct courier *c, struct letter *l, const struct sealing *s)
{
	l->sealed = true;
	memcpy(l->hash, s->sealed.hash, sizeof(l->hash));
	l->has_head = s->sealed.has_head;
	memcpy(l->head_hash, s->sealed.head_hash, sizeof(l->head_hash));
	store_letter_drop_files(c->parts.store, l);
}

static void seal_done(void *arg)
{
	struct sealing *s = arg;
	struct courier *c = s->courier;
	struct letter *l = store_letter_find(c->parts.store, s, s->letter);

	HASH_DELETE(hh, c->sealings, s);
	if (s->res != OK)
		log_warn("letter=%llu state=accepted why=\"%s\"", (unsigned long long)s->letter, s->err.text);
	if (l != NULL && !l->done)
		seal_conclude(c, l, s);
	else if (l != NULL && s->res == OK)
		drop_unwanted(c, l, s);
	talloc_free(s);
}

static void seal_drop(void *arg)
{
	struct sealing *s = arg;

	HASH_DELETE(hh, s->courier->sealings, s);
	talloc_free(s);
}

static void seal_start(struct courier *c, const struct letter *l)
{
	static const struct pool_job job = { seal_run, seal_done, seal_drop };
	struct sealing *s = talloc_zero(NULL, struct sealing);
	struct content *content = store_content_find_brief(c->parts.store, s, l->content);

	s->letter = l->id;
	s->courier = c;
	if (content != NULL)
		memcpy(s->digest, content->digest, sizeof(s->digest));
	s->order = (struct seal_order){
		.pgp = c->parts.pgp,
		.spool_path = store_path(c->parts.store, s, PLACE_SPOOL, s->digest),
		.digest = s->digest,
		.outbox = talloc_strdup(s, store_dir(c->parts.store, PLACE_OUTBOX)),
		.inline_max = inline_max(c),
	};
	HASH_ADD(hh, c->sealings, letter, sizeof(s->letter), s);
	pool_submit(c->parts.pool, POOL_BULK, &job, s);
}

void out_seal(struct courier *c, struct rcpt *r)
{
	struct letter *l = store_letter_find(c->parts.store, r, r->letter);
	struct sealing *s;

	/* A moment after the start: how much fits into a notice depends on it. */
	if (resolve_own_key(c->parts.resolve).len == 0) {
		rcpt_soon(c, r);
		return;
	}
	lanes_set(c, r->address, r->id, LANE_COMING);
	HASH_FIND(hh, c->sealings, &r->letter, sizeof(r->letter), s);
	if (l->sealed)
		rcpt_move(c, r, RCPT_SEALED, "");
	else if (s == NULL)
		seal_start(c, l);
}

void out_stop(struct courier *c)
{
	struct sealing *s, *next;

	HASH_ITER(hh, c->sealings, s, next) {
		HASH_DELETE(hh, c->sealings, s);
		talloc_free(s);
	}
}

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
	uint64_t bits = 0;
	size_t n;

	if (l != NULL && l->outbox_message != 0 &&
	    store_message_locate(c->parts.store, l->outbox_message, &box, &uid)) {
		struct rcpt **rcpts = store_rcpt_of_letter(c->parts.store, ctx, letter, &n);

		for (size_t i = 0; i < n; i++)
			bits |= state_keyword(c, rcpts[i]->state);
		const struct message *m = store_message_find(box, uid);

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

/* A peer gets one copy, however many of its +tags are named; below ctx. */
static const char **each_peer_once(const void *ctx, const struct courier_submission *sub, size_t *n_out)
{
	const char **peers = talloc_zero_array(ctx, const char *, sub->n_recipients);
	struct member { UT_hash_handle hh; char address[LIMIT_ADDRESS + 1]; } *seen = NULL, *m;
	size_t n = 0;

	for (size_t i = 0; i < sub->n_recipients; i++) {
		char address[LIMIT_ADDRESS + 1];

		int bad = addr_parse_base(sub->recipients[i], address);

		assert(bad == 0);	/* the session has asked that */
		(void)bad;
		HASH_FIND_STR(seen, address, m);
		if (m != NULL)
			continue;
		m = talloc_zero(ctx, struct member);
		memcpy(m->address, address, sizeof(m->address));
		HASH_ADD_STR(seen, address, m);
		peers[n++] = m->address;
	}
	HASH_CLEAR(hh, seen);
	*n_out = n;
	return peers;
}

void courier_submit(struct courier *c, const struct courier_submission *sub, uint64_t ticket)
{
	struct submitting *s = talloc_zero(NULL, struct submitting);
	struct content content = { .size = sub->size, .place = PLACE_SPOOL };
	struct letter l = {
		.message_id = sub->message_id, .subject = sub->subject, .sender = sub->sender,
		.submitted_ms = clock_now_ms(), .size = sub->size,
	};

	memcpy(content.digest, sub->digest, sizeof(content.digest));
	store_content_add(c->parts.store, &content);
	l.content = content.id;
	size_t n;
	const char **peers = each_peer_once(s, sub, &n);

	store_letter_add(c->parts.store, &l, peers, n);
	s->courier = c;
	s->ticket = ticket;
	s->letter = l.id;
	log_info("letter=%llu state=accepted size=%llu recipients=%zu", (unsigned long long)l.id,
	    (unsigned long long)sub->size, n);
	store_when_durable(c->parts.store, on_submitted, s);
}
