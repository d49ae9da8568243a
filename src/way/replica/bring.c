/*
 * Bringing a member what he lacks of our outbox. In two lanes, so that what is
 * small does not wait behind what is large: first the notices objects of all
 * messages, then head and m' of one after the other; while these are on their
 * way the first lane may run again. What he has by now he refuses at the
 * request line (204), so nothing goes twice, and so he does with what he is
 * pulling himself (503). Where it ends for good or for now, the next message is
 * tried: his answer to `held` says what is still lacking. With
 * outbox.replica_rate one large thing goes out at a time, to whomever, and the
 * next one not before the time is over that the rate gives the last one. Who
 * took nothing is left alone for a while.
 */
#include <string.h>
#include <unistd.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/store/sealed.h"
#include "way/replica/state.h"

struct lane {
	struct member *m;
	bool large, running;
	uint8_t hashes[BRING_MAX][32];
	size_t n, at;
	enum replicas_what what;
	struct ours_file file;
	int64_t begun_ms;
	struct http_transfer *transfer;
};

struct bring {
	struct lane notices, bodies;
	bool taken;			/* a whole message, at least */
	bool refused;			/* in a way that a moment does not mend */
};

static void next_file(struct lane *l);

bool bring_is_running(const struct member *m)
{
	return m->bring != NULL;
}

/* Somebody else may have his turn. */
static void turn(struct replicas *r)
{
	struct member *m, *next;

	HASH_ITER(hh, r->members, m, next)
		if (!r->stopped && m->bring != NULL && m->bring->bodies.running && m->bring->bodies.transfer == NULL)
			next_file(&m->bring->bodies);
}

static void on_pace(void *arg)
{
	turn(arg);
}

static bool has_turn(const struct lane *l)
{
	const struct replicas *r = l->m->r;

	if (!l->large || r->settings.rate == 0)
		return true;
	for (const struct member *m = r->members; m != NULL; m = m->hh.next)
		if (m->bring != NULL && m->bring->bodies.transfer != NULL)
			return false;
	return r->pace == NULL || !timer_is_set(r->pace);
}

static void keep_pace(const struct lane *l)
{
	struct replicas *r = l->m->r;
	int64_t ms = l->large && r->settings.rate > 0 ?
	    (int64_t)(l->file.size * 1000 / r->settings.rate) - (clock_mono_ms() - l->begun_ms) : 0;

	if (r->pace == NULL)
		r->pace = timer_new(r->parts.loop, on_pace, r);
	if (ms > 0)
		timer_set(r->pace, ms);
}

void bring_stop(struct member *m)
{
	struct bring *b = m->bring;

	m->bring = NULL;
	if (b == NULL)
		return;
	http_transfer_free(&b->notices.transfer);
	http_transfer_free(&b->bodies.transfer);
	talloc_free(b);
	turn(m->r);
}

static void next_message(struct lane *l)
{
	l->at++;
	l->what = l->large ? REPLICAS_HEAD : REPLICAS_NOTICES;
}

static void on_brought(void *arg, const struct http_reply *reply)
{
	struct lane *l = arg;
	struct member *m = l->m;

	l->transfer = NULL;
	if (reply->status == 204)
		keep_pace(l);
	member_answered(m, reply);
	if (reply->status == 507)
		log_info("member=%s why=\"he has no room for more\"", m->address);
	if (reply->status == 0 || reply->status == 401 || reply->status == 507) {
		bring_stop(m);
		push_later(m);
		return;
	}
	m->bring->taken |= reply->status == 204 && l->what == REPLICAS_BODY;
	m->bring->refused |= reply->status != 204 && reply->status != 503;
	if (reply->status == 204 && l->what == REPLICAS_HEAD)
		l->what = REPLICAS_BODY;
	else
		next_message(l);
	next_file(l);
}

static bool send_file(struct lane *l, int fd)
{
	static const char *const tails[] = { [REPLICAS_NOTICES] = ".notices", [REPLICAS_HEAD] = ".head", [REPLICAS_BODY] = "" };
	struct member *m = l->m;
	char name[DIGEST_HEX + 16];
	struct member_call call = {
		.method = "PUT", .from_file = true, .fd = fd, .size = l->file.size, .digest = l->file.digest, .max = 4096,
		.quiet_ms = QUIET_MS, .bulk = l->large, .done = on_brought, .arg = l,
	};

	hex_print(bytes_of(l->hashes[l->at], 32), name);
	snprintf(name + 64, sizeof(name) - 64, "%s", tails[l->what]);
	call.path = member_path(m->bring, m->r->settings.address, name);
	l->begun_ms = clock_mono_ms();
	l->transfer = member_call(m, &call);
	return l->transfer != NULL;
}

/* Both lanes are through: what is still lacking? */
static void lane_end(struct lane *l)
{
	struct member *m = l->m;
	struct bring *b = m->bring;

	l->running = false;
	if (!l->large && !b->bodies.running) {
		memcpy(b->bodies.hashes, l->hashes, sizeof(l->hashes));
		b->bodies.n = l->n;
		b->bodies.at = 0;
		b->bodies.what = REPLICAS_HEAD;
		b->bodies.running = true;
		next_file(&b->bodies);
	} else if (!b->notices.running && !b->bodies.running) {
		bool taken = b->taken, refused = b->refused;

		bring_stop(m);
		if (taken)
			push_to(m);
		else if (refused)
			push_later(m);
		else
			push_again(m);
	}
}

static void next_file(struct lane *l)
{
	struct member *m = l->m;

	while (l->at < l->n) {
		if (!has_turn(l))
			return;		/* turn() */
		bool there = ours_file(m->r->ours, l->hashes[l->at], l->what, &l->file);
		int fd = there ? store_sealed_open(m->r->parts.store, l->file.digest) : -1;
		bool sent = fd >= 0 && send_file(l, fd);

		if (fd >= 0)
			close(fd);
		if (sent)
			return;
		if (!there && l->what == REPLICAS_HEAD)
			l->what = REPLICAS_BODY;
		else
			next_message(l);
	}
	lane_end(l);
}

void bring_start(struct member *m, uint8_t (*hashes)[32], size_t n)
{
	struct bring *b = m->bring;

	if (b == NULL) {
		b = m->bring = talloc_zero(m, struct bring);
		b->notices.m = b->bodies.m = m;
		b->bodies.large = true;
	}
	if (b->notices.running)
		return;
	b->notices.n = n < BRING_MAX ? n : BRING_MAX;
	memcpy(b->notices.hashes, hashes, b->notices.n * 32);
	b->notices.at = 0;
	b->notices.what = REPLICAS_NOTICES;
	b->notices.running = true;
	next_file(&b->notices);
}

void bring_look(struct member *m)
{
	struct lane *l = m->bring != NULL ? &m->bring->bodies : NULL;

	if (l == NULL || l->transfer == NULL || ours_has(m->r->ours, l->hashes[l->at]))
		return;
	http_transfer_free(&l->transfer);
	next_message(l);
	next_file(l);
}
