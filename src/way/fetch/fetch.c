/*
 * A pull asks its sources for the head object, when m' is large and has one, and
 * then for m': as a whole (race.c) or in the pieces that the head lists
 * (swarm.c). Whatever a source does wrong costs a try with another one; only
 * octets whose hash is h can be refused. A pull ends in a turn of its own, so
 * nobody's state is freed below his feet; one that nobody wants any more is
 * taken out of the table, and a job under way finds that out when it is done.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mail/urls.h"
#include "lib/mail/value.h"
#include "way/fetch/pull.h"

static void pull_free(struct pull *p)
{
	race_stop(&p->race);
	swarm_stop(&p->swarm);
	opening_drop(&p->opening);
	timer_free(&p->tick);
	explicit_bzero(p->order.key, sizeof(p->order.key));
	talloc_free(p);
}

/* The end. */

void pull_end(struct pull *p, enum outcome res, const char *reason)
{
	if (p->ended)
		return;
	p->ended = true;
	p->res = res;
	if (reason != p->err.text)
		err_set(&p->err, "%s", reason);
	timer_set(p->tick, 0);
}

void pull_end_opened(struct pull *p, struct opening *o)
{
	p->opening = o;
	pull_end(p, o->result.res, o->err.text);
}

static void say_end(const struct pull *p, const char *from)
{
	char escaped[512];

	if (p->res == OK && !p->key.head)
		log_info("notice=%llu pulled=\"%s\" octets=%llu transfer_ms=%lld open_ms=%lld", (unsigned long long)p->key.id,
		    log_escape(escaped, sizeof(escaped), from, strlen(from)), (unsigned long long)p->order.sealed_size,
		    (long long)(p->arrived_ms - p->begun_ms), (long long)(clock_mono_ms() - p->arrived_ms));
}

static void tell_end(struct pull *p)
{
	struct fetch *f = p->fetch;
	struct fetch_result r = { 0 };

	if (p->opening != NULL)
		r = p->opening->result;
	r.id = p->key.id;
	r.res = p->res;
	r.reason = p->res == OK ? "" : p->err.text;
	r.recalled = p->recalled;
	r.heard = p->heard;
	r.from = sources_credit(p->sources, p);
	say_end(p, r.from);
	HASH_DELETE(hh, f->pulls, p);
	race_stop(&p->race);
	swarm_stop(&p->swarm);
	if (p->key.head)
		f->hooks.got_head(f->hooks.arg, &r);
	else
		f->hooks.got_body(f->hooks.arg, &r);
	pull_free(p);
}

bool pull_waits_for_more(const struct pull *p)
{
	return p->order.more && clock_mono_ms() - p->begun_ms < MORE_MS;
}

void pull_give_up(struct pull *p)
{
	struct err e = { "no address of the sender's peer is known" };

	sources_say(p->sources, &e);
	pull_end(p, RETRY, e.text);
}

void pull_check_patience(struct pull *p)
{
	struct err e;

	if (p->ended || clock_mono_ms() - p->last_ms < p->order.patience_ms)
		return;
	err_set(&e, "%s for %lld s", p->n_step > 0 ? "too slow" : "no octet", (long long)(p->order.patience_ms / 1000));
	for (size_t i = 0; i < p->sources->n; i++)
		if (p->sources->list[i].n_busy > 0)
			sources_spend(p->sources, i, e.text);
	pull_give_up(p);
}

/* What race and swarm have in common. */

void pull_came(struct pull *p, size_t octets)
{
	p->n_step += octets;
	if (p->n_step < LIMIT_HTTP_PULL_MIN)
		return;
	p->n_step = 0;
	p->last_ms = clock_mono_ms();
}

/* One silent source must not use up the patience for all. */
static int64_t quiet_ms(const struct pull *p)
{
	int64_t left = p->last_ms + p->order.patience_ms - clock_mono_ms();

	/* At the end it is the pull that has no more of it. */
	left = left > 0 ? left + 3 * TICK_MS : 1;
	return left < QUIET_MS ? left : QUIET_MS;
}

struct http_transfer *pull_call(struct pull *p, size_t source, const char *what, const char *range, uint64_t max,
    enum http_taken (*on_octets)(void *arg, struct bytes), void (*done)(void *arg, const struct http_reply *), void *arg)
{
	void *ctx = mem_ctx(NULL);
	const struct source *s = &p->sources->list[source];
	struct http_call call = {
		.method = "GET", .quiet_ms = quiet_ms(p), .friend_address = s->friend_address, .range = range,
		.authorization = auth_print(ctx, p->order.t_get), .max = max < LIMIT_HTTP_REFUSAL ? LIMIT_HTTP_REFUSAL : max,
		.on_octets = on_octets, .done = done, .arg = arg,
	};
	struct http_transfer *t;
	char hex[DIGEST_HEX];

	hex_print(bytes_of(p->order.hash, 32), hex);
	call.url = urls_first(ctx, s->url, mem_printf(ctx, "/outbox/%s%s", hex, what));
	t = http_call(p->fetch->parts.http, &call);
	talloc_free(ctx);
	return t;
}

/* A 410 without our T_recall proves nothing: no use now, like a 404. */
static bool is_recalled(const struct pull *p, struct bytes recalls)
{
	bool found = false;

	for (size_t at = 0; at + 32 <= recalls.len; at += 32)
		found |= secret_equal(recalls.data + at, p->order.t_recall, 32);
	return found;
}

bool pull_takes_answer(struct pull *p, size_t source, const struct http_reply *reply)
{
	p->heard |= reply->status != 0 && !p->sources->list[source].holder;
	if (reply->status != 410 || !is_recalled(p, reply->body))
		return false;
	p->recalled = true;
	pull_end(p, RETRY, "it was taken back by its sender");
	return true;
}

static void fault(struct pull *p, size_t source, const char *text)
{
	sources_fault(p->sources, source, text);
	shunned_add(p->fetch->shunned, p->sources->list[source].url, clock_mono_ms());
}

void pull_blame(struct pull *p, size_t source, const struct http_reply *reply, uint64_t octets)
{
	const struct source *s = &p->sources->list[source];
	const char *who = s->holder ? "this peer" : "the sender";
	struct err e;

	if (reply->status == 200 || reply->status == 206) {
		fault(p, source, "what came is not the message that was announced");
	} else if (reply->status == 0 && (octets > 0 || s->n_pieces > 0)) {
		fault(p, source, reply->text);
	} else if (reply->status == 0) {
		sources_spend(p->sources, source, reply->text);
	} else {
		if (reply->status == 404)
			err_set(&e, "%s does not offer it (any more)", who);
		else
			err_set(&e, "%s answered %u", s->holder ? who : "the sender's peer", reply->status);
		sources_spend(p->sources, source, e.text);
	}
}

void pull_blame_stalled(struct pull *p, size_t source)
{
	fault(p, source, "it stopped while it was sending");
}

int pull_file_new(struct pull *p, struct err *e)
{
	char *tmp = NULL;
	int fd = files_tmp(p, p->fetch->parts.inbox, &tmp, e);

	if (fd >= 0)
		files_drop(tmp);
	talloc_free(tmp);
	return fd;
}

/* What comes after what. */

static bool is_listed(const struct pull *p)
{
	return !p->key.head && p->order.sealed_size > STREAM_ABOVE && p->order.head_size > 0;
}

void pull_on_head(struct pull *p, struct opening *o)
{
	race_stop(&p->race);
	if (o->result.res == RETRY) {
		pull_end_opened(p, o);
		return;
	}
	/* A head that lies is no reason to refuse what is announced by its own hash. */
	if (o->opened != NULL)
		p->swarm = swarm_start(p, o->opened);
	opening_drop(&o);
	if (p->swarm == NULL)
		p->race = race_start(p, false);
}

void pull_without_pieces(struct pull *p)
{
	p->without_pieces = true;
	timer_set(p->tick, 0);
}

static void begin(struct pull *p)
{
	p->race = race_start(p, p->key.head || is_listed(p));
}

static void begin_again(struct pull *p)
{
	p->without_pieces = false;
	swarm_stop(&p->swarm);
	p->race = race_start(p, false);
}

static void on_tick(void *arg)
{
	struct pull *p = arg;

	if (p->ended) {
		tell_end(p);
		return;
	}
	timer_set(p->tick, TICK_MS);
	if (p->without_pieces)
		begin_again(p);
	else if (p->race != NULL)
		race_tick(p->race);
	else if (p->swarm != NULL)
		swarm_tick(p->swarm);
	else
		begin(p);
}

void fetch_place_is_free(struct fetch *f)
{
	struct pull *p, *next;

	HASH_ITER(hh, f->pulls, p, next) {
		if (p->ended || !opening_has_place(f))
			continue;
		if (p->race != NULL)
			race_place_is_free(p->race);
		else if (p->swarm != NULL)
			swarm_tick(p->swarm);
	}
}

/* The table. */

static struct pull *pull_find(const struct fetch *f, uint64_t id, bool head)
{
	struct pull_key key = { id, head };
	struct pull *p;

	HASH_FIND(hh, f->pulls, &key, sizeof(key), p);
	return p;
}

static void add_sources(struct pull *p, const struct fetch_source *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sources_add(p->sources, &list[i], shunned_has(p->fetch->shunned, list[i].url, clock_mono_ms()));
}

static bool pull_start(struct fetch *f, const struct fetch_order *order, bool head)
{
	struct pull *p;

	if (pull_find(f, order->id, head) != NULL)
		return false;
	p = mem_zero(NULL, struct pull);
	p->key = (struct pull_key){ order->id, head };
	p->fetch = f;
	p->order = *order;
	p->order.fpr = mem_strdup(p, order->fpr);
	p->order.sender = mem_strdup(p, order->sender);
	p->order.sources = NULL;
	p->order.n_sources = 0;
	p->sources = mem_zero(p, struct sources);
	add_sources(p, order->sources, order->n_sources);
	p->begun_ms = p->last_ms = clock_mono_ms();
	p->tick = timer_new(f->parts.loop, on_tick, p);
	HASH_ADD(hh, f->pulls, key, sizeof(p->key), p);
	timer_set(p->tick, 0);
	return true;
}

bool fetch_body(struct fetch *f, const struct fetch_order *order)
{
	return pull_start(f, order, false);
}

bool fetch_head(struct fetch *f, const struct fetch_order *order)
{
	return pull_start(f, order, true);
}

void fetch_add_sources(struct fetch *f, const char *sender, const struct fetch_source *list, size_t n)
{
	struct pull *p, *next;

	HASH_ITER(hh, f->pulls, p, next) {
		if (p->ended || strcmp(p->order.sender, sender) != 0)
			continue;
		add_sources(p, list, n);
		timer_set(p->tick, 0);
	}
}

static void forget(struct fetch *f, struct pull *p)
{
	if (p == NULL)
		return;
	HASH_DELETE(hh, f->pulls, p);
	pull_free(p);
}

void fetch_forget(struct fetch *f, uint64_t id)
{
	forget(f, pull_find(f, id, false));
	forget(f, pull_find(f, id, true));
}

struct fetch *fetch_start(const struct fetch_parts *parts, const struct fetch_hooks *hooks, struct err *e)
{
	struct pool *streams = pool_new(parts->loop, MAX_STREAMS - 1, e);
	struct fetch *f;

	if (streams == NULL)
		return NULL;
	f = mem_zero(NULL, struct fetch);
	f->streams = streams;
	f->parts = *parts;
	f->parts.inbox = mem_strdup(f, parts->inbox);
	f->hooks = *hooks;
	f->shunned = shunned_new(f);
	return f;
}

void fetch_stop(struct fetch **fp)
{
	struct fetch *f = *fp;
	struct pull *p, *next;

	*fp = NULL;
	if (f == NULL)
		return;
	HASH_ITER(hh, f->pulls, p, next)
		forget(f, p);
	/* Their pipes have ended, so they do. */
	pool_free(&f->streams);
	talloc_free(f);
}
