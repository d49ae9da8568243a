/*
 * A pull goes through its URLs one after the other: octets stream into a
 * temporary file and a digest; a transfer that broke, or whose hash is not h,
 * makes it go on with the next URL. Then one worker job opens it. A pull that
 * nobody wants any more is taken out of the table; a job under way finds that
 * out when it is done.
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
#include "lib/mail/urls.h"
#include "lib/mail/value.h"
#include "way/fetch/fetch.h"

enum { QUIET_MS = 20000, MAX_410 = 32 * 1024 };

struct pull_id {
	uint64_t id;
	uint64_t head;			/* 0 the body, 1 the head object */
};

/* Its own talloc context: it goes to the worker and back. */
struct pull {
	struct pull_id key;
	struct fetch *fetch;
	struct fetch_order order;
	const char *next_url;		/* and those behind it */
	struct http_transfer *transfer;
	int fd;
	char *tmp;
	struct digest *digest;
	struct buf *head;		/* a head object is small: kept in memory */
	uint64_t octets;
	bool full;			/* our disk, not their fault */
	bool opening;			/* on a worker */
	bool forgotten;
	int64_t begun_ms, last_ms, arrived_ms;	/* last_ms: of the last octet from anybody */
	struct timer *soon;
	struct fetch_result result;
	struct err err;
	UT_hash_handle hh;
};

struct fetch {
	struct fetch_parts parts;
	struct fetch_hooks hooks;
	struct pull *pulls;
};

static void try_next(struct pull *p);

static void pull_free(struct pull *p)
{
	http_transfer_free(&p->transfer);
	timer_free(&p->soon);
	if (p->fd >= 0)
		close(p->fd);
	if (p->tmp != NULL)
		files_drop(p->tmp);
	talloc_free(p);
}

static void pull_end(struct pull *p, enum outcome res, const char *reason)
{
	struct fetch *f = p->fetch;

	p->result.id = p->key.id;
	p->result.res = res;
	p->result.reason = reason;
	HASH_DELETE(hh, f->pulls, p);
	if (p->key.head)
		f->hooks.got_head(f->hooks.arg, &p->result);
	else
		f->hooks.got_body(f->hooks.arg, &p->result);
	pull_free(p);
}

static void open_work(void *arg)
{
	struct pull *p = arg;
	struct fetch_parts *parts = &p->fetch->parts;
	struct fetch_result *r = &p->result;
	struct head *head;

	if (!p->key.head) {
		r->res = parts->unseal_work(p, parts->pgp, p->tmp, parts->inbox, &p->order, &r->mime, &p->err);
	} else {
		r->res = parts->unseal_head_work(p, parts->pgp, buf_bytes(p->head), &p->order, &head, &p->err);
		if (r->res == OK && memcmp(head->hash, p->order.hash, 32) != 0) {
			err_set(&p->err, "the head object belongs to another message");
			r->res = REJECT;
		}
		if (r->res == OK && head->skeleton.text.len > 0) {
			r->mime = mime_from_skeleton(p, head->skeleton.text, head->skeleton.parts, p->order.size, &p->err);
			r->res = r->mime != NULL ? OK : REJECT;
		}
	}
	if (r->res == OK && r->mime != NULL) {
		r->envelope = mime_envelope(p, r->mime);
		r->body = mime_body(p, r->mime);
		r->bodystructure = mime_bodystructure(p, r->mime);
	}
}

static void open_done(void *arg)
{
	struct pull *p = arg;

	log_debug("notice=%llu octets=%llu transfer_ms=%lld open_ms=%lld", (unsigned long long)p->key.id,
	    (unsigned long long)p->octets, (long long)(p->arrived_ms - p->begun_ms),
	    (long long)(clock_mono_ms() - p->arrived_ms));
	if (!p->forgotten) {
		pull_end(p, p->result.res, p->err.text);
		return;
	}
	if (p->result.res == OK && !p->key.head)
		p->fetch->hooks.unwanted(p->fetch->hooks.arg, p->order.digest);
	pull_free(p);
}

static void open_drop(void *arg)
{
	struct pull *p = arg;

	/* fetch_stop() finds those that are still in the table. */
	if (p->forgotten)
		pull_free(p);
	else
		p->opening = false;
}

static void open_later(struct pull *p)
{
	static const struct pool_job job = { open_work, open_done, open_drop };

	p->opening = true;
	p->arrived_ms = clock_mono_ms();
	pool_submit(p->fetch->parts.pool, POOL_SOON, &job, p);
}

/* Empty file, empty digest: a new try. */
static bool rewind_file(struct pull *p)
{
	uint8_t unused[DIGEST_LEN];

	p->octets = 0;
	digest_take(p->digest, unused);
	if (p->key.head) {
		buf_clear(p->head);
		return true;
	}
	if (p->fd < 0)
		p->fd = files_tmp(p, p->fetch->parts.inbox, &p->tmp, &p->err);
	return p->fd >= 0 && ftruncate(p->fd, 0) == 0 && lseek(p->fd, 0, SEEK_SET) == 0;
}

static int on_octets(void *arg, struct bytes b)
{
	struct pull *p = arg;

	p->octets += b.len;
	p->last_ms = clock_mono_ms();
	digest_add(p->digest, b.data, b.len);
	if (p->key.head)
		return buf_add(p->head, b.data, b.len) ? 0 : -1;
	if (files_write(p->fd, b.data, b.len) == 0)
		return 0;
	err_sys(&p->err, "write %s", p->tmp);
	p->full = true;
	return -1;
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

static void on_done(void *arg, const struct http_reply *reply)
{
	struct pull *p = arg;

	p->transfer = NULL;
	p->result.heard |= reply->status != 0;
	if (p->full) {
		pull_end(p, RETRY, p->err.text);
	} else if (reply->status == 200 && is_whole(p)) {
		open_later(p);
	} else if (reply->status == 410 && is_recalled(p, reply->body)) {
		p->result.recalled = true;
		pull_end(p, RETRY, "it was taken back by its sender");
	} else {
		if (reply->status == 200)
			err_set(&p->err, "what came is not the message that was announced");
		else if (reply->status == 404)
			err_set(&p->err, "the sender does not offer it (any more)");
		else if (reply->status != 0)
			err_set(&p->err, "the sender's peer answered %u", reply->status);
		else
			err_set(&p->err, "%s", reply->text);
		try_next(p);
	}
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
	if (!rewind_file(p)) {
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
	if (!p->opening)
		pull_free(p);
}

void fetch_forget(struct fetch *f, uint64_t id)
{
	forget(f, pull_find(f, id, false));
	forget(f, pull_find(f, id, true));
}

struct fetch *fetch_start(const struct fetch_parts *parts, const struct fetch_hooks *hooks)
{
	struct fetch *f = talloc_zero(NULL, struct fetch);

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
	talloc_free(f);
}
