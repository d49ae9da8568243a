/*
 * A pull goes through its URLs one after the other: octets stream past a
 * digest and the framing check; a transfer that broke, or whose hash is not h,
 * makes it go on with the next URL. A small m' (or head object) waits in a
 * nameless file (in memory) until it is whole; then one worker job opens it.
 * A large m' flows into gpg while it arrives, through a pipe (feed.h), on a
 * thread that only streams use: a holder may take hours. There the result
 * counts when both have ended, and gpg cannot end before the hash is known.
 * A pull that nobody wants any more is taken out of the table; a job under
 * way finds that out when it is done.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <talloc.h>
#include <uthash.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/mail/packets.h"
#include "lib/mail/urls.h"
#include "lib/mail/value.h"
#include "way/fetch/feed.h"
#include "way/fetch/fetch.h"

enum { QUIET_MS = 20000, MAX_410 = 32 * 1024 };
enum { MAX_STREAMS = 8 };		/* more large transfers are held until one ends */
#define STREAM_ABOVE MIB(1)

struct pull_id {
	uint64_t id;
	uint64_t head;			/* 0 the body, 1 the head object */
};

/* One try to open what came; its own talloc context: it goes to a worker and back. */
struct opening {
	struct pull *pull;
	struct fetch_sealed sealed;
	struct fetch_result result;
	struct err err;
};

/* The loop's; a job under way reads order and head alone. */
struct pull {
	struct pull_id key;
	struct fetch *fetch;
	struct fetch_order order;
	const char *next_url;		/* and those behind it */
	bool heard;			/* somebody answered */
	bool recalled;
	bool forgotten;
	int64_t begun_ms, last_ms, arrived_ms;	/* last_ms: of the last octet from anybody */
	struct timer *soon;
	UT_hash_handle hh;

	/* The try with one URL. */
	struct http_transfer *transfer;
	uint64_t octets;
	struct digest *digest;
	struct packets *framing;
	bool whole;			/* it ended well, and the hash is right */
	bool misframed;
	bool full;			/* our disk, not their fault */
	struct err err;
	/* Where the octets go. */
	struct buf *head;		/* a head object is small: kept in memory */
	int fd;				/* a small m' */
	struct feed *feed;		/* a large m', until gpg has ended */
	struct opening *opening;
	bool busy;			/* a job has opening */
};

struct fetch {
	struct fetch_parts parts;
	struct fetch_hooks hooks;
	struct pool *streams;
	unsigned n_streams;
	struct pull *pulls;
};

static void try_next(struct pull *p);

static bool is_stream(const struct pull *p)
{
	return !p->key.head && p->order.sealed_size > STREAM_ABOVE;
}

static void pull_free(struct pull *p)
{
	http_transfer_free(&p->transfer);
	timer_free(&p->soon);
	feed_free(&p->feed);
	if (p->fd >= 0)
		close(p->fd);
	talloc_free(p->opening);
	talloc_free(p);
}

static void pull_end(struct pull *p, enum outcome res, const char *reason)
{
	struct fetch *f = p->fetch;
	struct fetch_result r = { 0 };

	if (p->opening != NULL)
		r = p->opening->result;
	r.id = p->key.id;
	r.res = res;
	r.reason = reason;
	r.recalled = p->recalled;
	r.heard = p->heard;
	HASH_DELETE(hh, f->pulls, p);
	if (p->key.head)
		f->hooks.got_head(f->hooks.arg, &r);
	else
		f->hooks.got_body(f->hooks.arg, &r);
	pull_free(p);
}

/* Opening. */

static void open_head_work(struct opening *o)
{
	struct pull *p = o->pull;
	struct fetch_parts *parts = &p->fetch->parts;
	struct fetch_result *r = &o->result;
	struct head *head;

	r->res = parts->unseal_head_work(o, parts->pgp, buf_bytes(p->head), &p->order, &head, &o->err);
	if (r->res == OK && memcmp(head->hash, p->order.hash, 32) != 0) {
		err_set(&o->err, "the head object belongs to another message");
		r->res = REJECT;
	}
	if (r->res == OK && head->skeleton.text.len > 0) {
		r->mime = mime_from_skeleton(o, head->skeleton.text, head->skeleton.parts, p->order.size, &o->err);
		r->res = r->mime != NULL ? OK : REJECT;
	}
}

static void open_work(void *arg)
{
	struct opening *o = arg;
	struct pull *p = o->pull;
	struct fetch_parts *parts = &p->fetch->parts;
	struct fetch_result *r = &o->result;

	if (p->key.head)
		open_head_work(o);
	else
		r->res = parts->unseal_work(o, parts->pgp, &o->sealed, parts->inbox, &p->order, &r->mime, &o->err);
	if (r->res == OK && r->mime != NULL) {
		r->envelope = mime_envelope(o, r->mime);
		r->body = mime_body(o, r->mime);
		r->bodystructure = mime_bodystructure(o, r->mime);
	}
}

/* Streams that found no place. Each takes one or is held again. */
static void resume_held(struct fetch *f)
{
	struct pull *p, *next;

	HASH_ITER(hh, f->pulls, p, next) {
		if (is_stream(p) && p->transfer != NULL && p->opening == NULL && f->n_streams < MAX_STREAMS)
			http_transfer_resume(p->transfer);
	}
}

static void open_ended(struct pull *p)
{
	p->busy = false;
	p->fetch->n_streams -= is_stream(p);
	feed_free(&p->feed);
}

/* gpg has enough before all came. Is that m' at all? Its hash has to be known before anybody is blamed. */
static void stream_ended_early(struct pull *p)
{
	if (p->opening->result.res == RETRY && !p->misframed) {
		pull_end(p, RETRY, p->opening->err.text);
		return;
	}
	p->opening->result.res = REJECT;
	http_transfer_resume(p->transfer);
}

static void drop_unwanted(struct pull *p)
{
	if (p->opening->result.res == OK && !p->key.head)
		p->fetch->hooks.unwanted(p->fetch->hooks.arg, p->order.digest);
	pull_free(p);
}

static void settle(struct pull *p);

static void open_done(void *arg)
{
	struct pull *p = ((struct opening *)arg)->pull;
	struct fetch *f = p->fetch;

	if (p->transfer == NULL)
		log_debug("notice=%llu octets=%llu transfer_ms=%lld open_ms=%lld", (unsigned long long)p->key.id,
		    (unsigned long long)p->octets, (long long)(p->arrived_ms - p->begun_ms),
		    (long long)(clock_mono_ms() - p->arrived_ms));
	open_ended(p);
	if (p->forgotten)
		drop_unwanted(p);
	else if (p->transfer != NULL)
		stream_ended_early(p);
	else
		settle(p);
	resume_held(f);
}

static void open_drop(void *arg)
{
	struct pull *p = ((struct opening *)arg)->pull;

	open_ended(p);
	/* fetch_stop() finds those that are still in the table. */
	if (p->forgotten)
		pull_free(p);
}

static void open_start(struct pull *p, struct pool *pool, int fd)
{
	static const struct pool_job job = { open_work, open_done, open_drop };

	p->opening = talloc_zero(NULL, struct opening);
	p->opening->pull = p;
	p->opening->sealed.fd = fd;
	atomic_store(&p->opening->sealed.whole, p->whole);
	p->busy = true;
	p->fetch->n_streams += is_stream(p);
	pool_submit(pool, POOL_SOON, &job, p->opening);
}

/* The try has ended, transfer and opening. */
static void settle(struct pull *p)
{
	if (!p->whole)
		try_next(p);
	else if (p->misframed)
		pull_end(p, REJECT, p->err.text);
	else if (p->opening == NULL)
		open_start(p, p->fetch->parts.pool, p->fd);
	else
		pull_end(p, p->opening->result.res, p->opening->err.text);
}

/* Arriving. */

static void on_room(void *arg)
{
	struct pull *p = arg;

	http_transfer_resume(p->transfer);
}

/* gpg starts when the first octets are here: a holder who does not answer takes no place. */
static bool stream_start(struct pull *p)
{
	p->feed = feed_new(p->fetch->parts.loop, on_room, p, &p->err);
	if (p->feed == NULL)
		return false;
	open_start(p, p->fetch->streams, feed_fd(p->feed));
	return true;
}

static bool must_wait(const struct pull *p)
{
	if (!is_stream(p))
		return false;
	return p->opening == NULL ? p->fetch->n_streams >= MAX_STREAMS : p->feed != NULL && feed_is_full(p->feed);
}

/* -1: our disk is full, or the like. */
static int keep_octets(struct pull *p, struct bytes b)
{
	if (p->key.head)
		return buf_add(p->head, b.data, b.len) ? 0 : -1;
	if (!is_stream(p)) {
		if (files_write(p->fd, b.data, b.len) == 0)
			return 0;
		err_sys(&p->err, "write a file in %s", p->fetch->parts.inbox);
		return -1;
	}
	if (p->opening == NULL && !stream_start(p))
		return -1;
	if (p->feed != NULL)
		feed_add(p->feed, b);
	return 0;
}

/* What is not framed as it must be does not get to gpg; only its hash is still of interest. */
static bool is_framed(struct pull *p, struct bytes b)
{
	if (p->key.head || (!p->misframed && packets_feed(p->framing, b, &p->err) == 0))
		return true;
	p->misframed = true;
	if (p->feed != NULL)
		feed_cut(p->feed);
	return false;
}

static enum http_taken on_octets(void *arg, struct bytes b)
{
	struct pull *p = arg;

	if (must_wait(p))
		return HTTP_HOLD;
	p->octets += b.len;
	p->last_ms = clock_mono_ms();
	digest_add(p->digest, b.data, b.len);
	if (!is_framed(p, b) || keep_octets(p, b) == 0)
		return HTTP_TAKEN;
	p->full = true;
	return HTTP_STOP;
}

static bool is_whole(struct pull *p)
{
	uint64_t size = p->key.head ? p->order.head_size : p->order.sealed_size;
	uint8_t hash[DIGEST_LEN];

	digest_take(p->digest, hash);
	return p->octets == size && memcmp(hash, p->key.head ? p->order.head_hash : p->order.hash, 32) == 0;
}

/* A 410 without our T_recall proves nothing: no use now, like a 404. */
static bool is_recalled(const struct pull *p, struct bytes recalls)
{
	bool found = false;

	for (size_t at = 0; at + 32 <= recalls.len; at += 32)
		found |= secret_equal(recalls.data + at, p->order.t_recall, 32);
	return found;
}

static void explain(struct pull *p, const struct http_reply *reply)
{
	if (reply->status == 200)
		err_set(&p->err, "what came is not the message that was announced");
	else if (reply->status == 404)
		err_set(&p->err, "the sender does not offer it (any more)");
	else if (reply->status != 0)
		err_set(&p->err, "the sender's peer answered %u", reply->status);
	else
		err_set(&p->err, "%s", reply->text);
}

/* All is known about the octets that came; gpg learns it with their end. */
static void transfer_ended(struct pull *p)
{
	if (p->whole && !p->key.head && !p->misframed && packets_end(p->framing, &p->err) < 0)
		p->misframed = true;
	if (p->feed != NULL && p->whole && !p->misframed) {
		atomic_store(&p->opening->sealed.whole, true);
		feed_end(p->feed);
	} else if (p->feed != NULL) {
		feed_cut(p->feed);
	}
	if (!p->busy)
		settle(p);
}

static void on_done(void *arg, const struct http_reply *reply)
{
	struct pull *p = arg;

	p->transfer = NULL;
	p->arrived_ms = clock_mono_ms();
	p->heard |= reply->status != 0;
	if (p->full) {
		pull_end(p, RETRY, p->err.text);
	} else if (reply->status == 410 && is_recalled(p, reply->body)) {
		p->recalled = true;
		pull_end(p, RETRY, "it was taken back by its sender");
	} else {
		p->whole = reply->status == 200 && is_whole(p);
		if (!p->whole)
			explain(p, reply);
		transfer_ended(p);
	}
}

/* Without a name: nobody finds it, and no crash leaves it behind. */
static int file_new(struct pull *p)
{
	char *tmp = NULL;
	int fd = files_tmp(p, p->fetch->parts.inbox, &tmp, &p->err);

	if (fd >= 0)
		files_drop(tmp);
	talloc_free(tmp);
	return fd;
}

/* A new try: nothing is left of the one before. */
static bool try_reset(struct pull *p)
{
	uint8_t unused[DIGEST_LEN];

	p->octets = 0;
	digest_take(p->digest, unused);
	p->whole = p->misframed = false;
	talloc_free(p->framing);
	p->framing = packets_new(p, PACKETS_SEALED);
	talloc_free(p->opening);
	p->opening = NULL;
	if (p->key.head)
		buf_clear(p->head);
	if (p->key.head || is_stream(p))
		return true;
	if (p->fd < 0)
		p->fd = file_new(p);
	return p->fd >= 0 && ftruncate(p->fd, 0) == 0 && lseek(p->fd, 0, SEEK_SET) == 0;
}

/* One silent URL must not use up the patience for all. */
static int64_t quiet_ms(const struct pull *p)
{
	int64_t left = p->last_ms + p->order.patience_ms - clock_mono_ms();

	return left < QUIET_MS ? left : QUIET_MS;
}

/* The transfer for the next URL; ends the pull when there is none. */
static void try_next(struct pull *p)
{
	char hex[DIGEST_HEX];
	char *path;
	struct http_call call = {
		.method = "GET", .quiet_ms = quiet_ms(p), .friend_address = p->order.friend_address,
		.on_octets = on_octets, .done = on_done, .arg = p,
	};

	hex_print(bytes_of(p->order.hash, 32), hex);
	path = talloc_asprintf(p, "/outbox/%s%s", hex, p->key.head ? ".head" : "");
	call.url = urls_first(p, p->next_url, path);
	if (call.url == NULL || call.quiet_ms <= 0) {
		pull_end(p, RETRY, p->err.text[0] ? p->err.text : "no address of the sender's peer is known");
		return;
	}
	p->next_url = urls_rest(p->next_url);
	if (!try_reset(p)) {
		pull_end(p, RETRY, p->err.text);
		return;
	}
	call.authorization = auth_print(p, p->order.t_get);
	call.max = p->key.head ? p->order.head_size : p->order.sealed_size;
	if (call.max < MAX_410)
		call.max = MAX_410;
	p->transfer = http_call(p->fetch->parts.http, &call);
}

static void on_soon(void *arg)
{
	try_next(arg);
}

static void pull_start(struct fetch *f, const struct fetch_order *order, bool head)
{
	struct pull_id key = { order->id, head };
	struct pull *p;

	HASH_FIND(hh, f->pulls, &key, sizeof(key), p);
	if (p != NULL)
		return;
	p = talloc_zero(NULL, struct pull);
	p->key = key;
	p->fetch = f;
	p->order = *order;
	p->order.fpr = talloc_strdup(p, order->fpr);
	p->next_url = talloc_strdup(p, order->urls);
	p->order.urls = NULL;
	p->fd = -1;
	p->digest = digest_new(p);
	p->begun_ms = p->last_ms = clock_mono_ms();
	p->head = head ? buf_new(p, LIMIT_HEAD) : NULL;
	p->soon = timer_new(f->parts.loop, on_soon, p);
	HASH_ADD(hh, f->pulls, key, sizeof(p->key), p);
	timer_set(p->soon, 0);
}

void fetch_body(struct fetch *f, const struct fetch_order *order)
{
	pull_start(f, order, false);
}

void fetch_head(struct fetch *f, const struct fetch_order *order)
{
	pull_start(f, order, true);
}

static struct pull *pull_find(const struct fetch *f, uint64_t id, bool head)
{
	struct pull_id key = { id, head };
	struct pull *p;

	HASH_FIND(hh, f->pulls, &key, sizeof(key), p);
	return p;
}

static void forget(struct fetch *f, struct pull *p)
{
	if (p == NULL)
		return;
	HASH_DELETE(hh, f->pulls, p);
	p->forgotten = true;
	http_transfer_free(&p->transfer);
	if (p->feed != NULL)
		feed_cut(p->feed);
	if (!p->busy)
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

	if (streams == NULL)
		return NULL;
	struct fetch *f = talloc_zero(NULL, struct fetch);

	f->streams = streams;
	f->parts = *parts;
	f->parts.inbox = talloc_strdup(f, parts->inbox);
	f->hooks = *hooks;
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
