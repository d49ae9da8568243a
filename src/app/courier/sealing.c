/*
 * accepted -> sealed. Sealing runs once per letter, whatever the number of its
 * recipients; the first of them to come up brings the letter here. Few letters
 * are on workers at a time: what waits is an id, not a message in memory, and
 * other jobs are not kept behind hundreds of them.
 *
 * While a stream of submissions comes in, processors and disk belong to those
 * who wait for their 250: letters are sealed behind it. Beside one that does not
 * end soon it is one at a time, by a process that steps back (lib/pgp/clerk.c).
 */
#include <string.h>
#include <sys/queue.h>

#include <talloc.h>
#include <uthash.h>

#include "app/courier/state.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/store/sealed.h"
#include "way/seal/seal.h"

/*
 * A skeleton up to this goes into the ns: what 4 KiB leave beside the other
 * fields, a PKESK and our signature, and our own key in base64.
 */
enum { INLINE_MAX = 1280, INLINE_AND_KEY_MAX = 1900 };
/*
 * SUBMITS submissions within STREAM_MS are a stream until all are answered and no other came within QUIET_MS:
 * a slow disk is not its end.
 */
enum { SUBMITS = 16, STREAM_MS = 400, QUIET_MS = 25, SOON_MS = 2000 };
enum { RUNNING_MAX = 8, RUNNING_BESIDE_STREAM = 1 };

struct sealing;
TAILQ_HEAD(sealing_list, sealing);

struct sealings {
	struct sealing *by_letter;
	struct sealing_list waiting;
	size_t n_running;
	int64_t submits_ms[SUBMITS];	/* when the last ones came in; a ring */
	size_t n_submits, n_unanswered;
	int64_t answered_ms;		/* the last of them */
	int64_t stream_ms;		/* since when there is a stream; 0: there is none */
	struct timer *timer;		/* it may be over */
};

/* A letter that waits for a worker or is on one; its own talloc context. */
struct sealing {
	uint64_t letter;
	struct courier *courier;
	struct seal_order order;
	uint8_t digest[32];
	struct sealed sealed;
	const char *envelope, *body, *bodystructure;
	enum outcome res;
	struct err err;
	bool waits;
	TAILQ_ENTRY(sealing) link;	/* while it waits */
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

/* Without octets it is a file already. */
static void keep_octets(struct courier *c, const uint8_t hash[32], struct bytes octets)
{
	if (octets.data != NULL)
		store_sealed_add(c->parts.store, hash, octets);
	else
		store_place_new(c->parts.store, PLACE_OUTBOX, hash);
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
	keep_octets(c, l->hash, s->sealed.octets);
	if (l->has_head)
		keep_octets(c, l->head_hash, s->sealed.head_octets);
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

static void run_next(struct courier *);

static void seal_done(void *arg)
{
	struct sealing *s = arg;
	struct courier *c = s->courier;
	struct letter *l = store_letter_find(c->parts.store, s, s->letter);

	HASH_DELETE(hh, c->sealings->by_letter, s);
	c->sealings->n_running--;
	if (s->res != OK)
		log_warn("letter=%llu state=accepted why=\"%s\"", (unsigned long long)s->letter, s->err.text);
	if (l != NULL && !l->done)
		seal_conclude(c, l, s);
	else if (l != NULL && s->res == OK)
		drop_unwanted(c, l, s);
	talloc_free(s);
	run_next(c);
}

static void seal_drop(void *arg)
{
	struct sealing *s = arg;

	HASH_DELETE(hh, s->courier->sealings->by_letter, s);
	s->courier->sealings->n_running--;
	talloc_free(s);
}

static size_t inline_max(struct courier *c)
{
	size_t key = resolve_own_key(c->parts.resolve).len * 4 / 3;

	if (key >= INLINE_AND_KEY_MAX)
		return 0;
	return INLINE_AND_KEY_MAX - key < INLINE_MAX ? INLINE_AND_KEY_MAX - key : INLINE_MAX;
}

static void run(struct courier *c, struct sealing *s, const struct letter *l)
{
	static const struct pool_job job = { seal_run, seal_done, seal_drop };
	struct content *content = store_content_find_brief(c->parts.store, s, l->content);

	if (content != NULL)
		memcpy(s->digest, content->digest, sizeof(s->digest));
	s->order = (struct seal_order){
		.pgp = c->parts.pgp,
		.m = store_content_octets(c->parts.store, s, l->content),
		.spool_path = store_path(c->parts.store, s, PLACE_SPOOL, s->digest),
		.digest = s->digest,
		.outbox = talloc_strdup(s, store_dir(c->parts.store, PLACE_OUTBOX)),
		.small_max = SEALED_SMALL,
		.inline_max = inline_max(c),
	};
	c->sealings->n_running++;
	pool_submit(c->parts.pool, POOL_BULK, &job, s);
}

static bool is_stream(const struct sealings *all)
{
	int64_t now = clock_mono_ms();

	if (all->n_submits < SUBMITS)
		return false;
	int64_t first = all->submits_ms[all->n_submits % SUBMITS], last = all->submits_ms[(all->n_submits - 1) % SUBMITS];

	return last - first < STREAM_MS && (all->n_unanswered > 0 || now - all->answered_ms < QUIET_MS);
}

static size_t running_max(struct sealings *all)
{
	if (!is_stream(all)) {
		all->stream_ms = 0;
		return RUNNING_MAX;
	}
	if (all->stream_ms == 0)
		all->stream_ms = clock_mono_ms();
	return clock_mono_ms() - all->stream_ms < SOON_MS ? 0 : RUNNING_BESIDE_STREAM;
}

static void on_timer(void *arg)
{
	run_next(arg);
}

static void wait_for_end(struct courier *c)
{
	struct sealings *all = c->sealings;

	if (all->timer == NULL)
		all->timer = timer_new(c->parts.loop, on_timer, c);
	if (!timer_is_set(all->timer))
		timer_set(all->timer, QUIET_MS);
}

static void run_next(struct courier *c)
{
	struct sealings *all = c->sealings;
	struct sealing *s;

	while (c->agenda != NULL && all->n_running < RUNNING_MAX && (s = TAILQ_FIRST(&all->waiting)) != NULL) {
		struct letter *l = store_letter_find(c->parts.store, s, s->letter);

		if (l != NULL && !l->done && all->n_running >= running_max(all)) {
			talloc_free(l);
			wait_for_end(c);
			return;
		}
		TAILQ_REMOVE(&all->waiting, s, link);
		if (l != NULL && !l->done) {
			run(c, s, l);
		} else {
			HASH_DELETE(hh, all->by_letter, s);	/* NOLINT(clang-analyzer-core.NullDereference): uthash's */
			talloc_free(s);
		}
	}
}

void out_seal(struct courier *c, struct rcpt *r)
{
	struct sealings *all = c->sealings;
	struct letter *l = store_letter_find(c->parts.store, r, r->letter);
	struct sealing *s;

	/* A moment after the start: how much fits into a notice depends on it. */
	if (resolve_own_key(c->parts.resolve).len == 0) {
		rcpt_soon(c, r);
		return;
	}
	lanes_set(c, r->address, r->id, LANE_COMING);
	HASH_FIND(hh, all->by_letter, &r->letter, sizeof(r->letter), s);
	if (l->sealed) {
		rcpt_move(c, r, RCPT_SEALED, "");
	} else if (s == NULL) {
		s = talloc_zero(NULL, struct sealing);
		s->letter = l->id;
		s->courier = c;
		HASH_ADD(hh, all->by_letter, letter, sizeof(s->letter), s);
		TAILQ_INSERT_TAIL(&all->waiting, s, link);
		run_next(c);
	}
}

void sealings_note_submit(struct courier *c)
{
	c->sealings->submits_ms[c->sealings->n_submits++ % SUBMITS] = clock_mono_ms();
	c->sealings->n_unanswered++;
}

void sealings_note_answer(struct courier *c)
{
	c->sealings->answered_ms = clock_mono_ms();
	c->sealings->n_unanswered--;
}

struct sealings *sealings_new(void)
{
	struct sealings *all = talloc_zero(NULL, struct sealings);

	TAILQ_INIT(&all->waiting);
	return all;
}

void sealings_free(struct sealings **ap)
{
	struct sealings *all = *ap;
	struct sealing *s, *next;

	*ap = NULL;
	if (all == NULL)
		return;
	HASH_ITER(hh, all->by_letter, s, next) {
		HASH_DELETE(hh, all->by_letter, s);
		talloc_free(s);
	}
	timer_free(&all->timer);
	talloc_free(all);
}
