/*
 * What is listed and not here: the notices object first, since with it we can
 * renew; then the head object and m'. From the owner, or while he is away from
 * another member. A few at a time, and one with outbox.replica_rate. Octets
 * count by their hash alone, so it does not matter who gives them; who gives
 * wrong ones is not asked again for an hour.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/log.h"
#include "way/replica/state.h"

enum { AT_ONCE = 4, AT_ONCE_OF_ONE = 2 };

struct pull {
	struct pulls *pulls;
	char owner[LIMIT_ADDRESS + 1];
	uint8_t hash[32];
	enum replicas_what what;	/* NOTICES, HEAD, BODY */
	uint8_t digest[32];
	uint64_t size;			/* of what is pulled; the most it may have */
	char source[LIMIT_ADDRESS + 1];
	size_t n_asked;			/* sources */
	struct http_transfer *transfer;
	struct digest *sum;
	char *file;
	int fd;
	bool no_disk;
	struct pull *next;
};

struct pulls {
	struct replicas *r;
	struct pull *running;
	size_t n_running;
	bool full;			/* said so already */
};

static void start_stage(struct pull *p, enum replicas_what what);
static bool ask_source(struct pull *p);

static void drop_file(struct pull *p)
{
	if (p->fd >= 0)
		close(p->fd);
	if (p->file != NULL)
		files_drop(p->file);
	TALLOC_FREE(p->file);
	p->fd = -1;
}

static void pull_free(struct pull *p)
{
	struct pull **at = &p->pulls->running;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->pulls->n_running--;
	http_transfer_free(&p->transfer);
	drop_file(p);
	talloc_free(p);
}

static void look_everywhere(struct pulls *ps)
{
	for (struct member *m = ps->r->members; m != NULL; m = m->hh.next)
		pulls_look(ps, m->address);
}

/* What is tried again with the next round of this owner's list. */
static void pull_end(struct pull *p, const char *why)
{
	struct pulls *ps = p->pulls;
	struct replica *row = store_replica_find(ps->r->parts.store, p, p->owner, p->hash);

	if (row != NULL && why[0] != '\0' && strcmp(row->reason, why) != 0) {
		row->reason = why;
		store_replica_save(ps->r->parts.store, row);
		log_info("replica=%s state=lacking why=\"%s\"", p->owner, why);
	}
	pull_free(p);
	if (why[0] == '\0')
		look_everywhere(ps);
}

bool pulls_has_room(struct replicas *r, uint64_t size)
{
	uint64_t used = store_replica_count(r->parts.store, NULL).bytes;

	return used <= r->settings.quota && size <= r->settings.quota - used;
}

/* --- keeping what came, on a worker --- */

static enum outcome open_notices(struct keep *k)
{
	struct pgp_verdict v;
	struct bytes plain;
	enum outcome res = pgp_open_shared_work(k->r->parts.pgp, k, "notices/1", k->octets, LIMIT_LIST + LIMIT_RECORD, &plain, &v,
	    &k->err);

	if (res != OK)
		return res;
	if (v.signer != PGP_GOOD || strcmp(v.fpr, k->fpr) != 0) {
		err_set(&k->err, "notices signed by another key");
		return REJECT;
	}
	k->notices = notices_parse(k, plain, &k->err);
	if (k->notices == NULL)
		return REJECT;
	if (strcmp(k->notices->owner, k->owner) != 0 || memcmp(k->notices->hash, k->hash, 32) != 0) {
		err_set(&k->err, "notices of something else");
		return REJECT;
	}
	return OK;
}

static void keep_work(void *arg)
{
	struct keep *k = arg;
	char *path = store_path(k->r->parts.store, k, PLACE_REPLICA, k->digest);
	uint8_t digest[32];

	if (k->what == REPLICAS_BODY) {
		k->res = files_keep(k->fd, k->file, path, &k->err);
		return;
	}
	digest_of(k->octets, digest);
	k->res = REJECT;
	if (memcmp(digest, k->digest, 32) != 0) {
		err_set(&k->err, "other octets than were listed");
		return;
	}
	k->res = k->what == REPLICAS_NOTICES ? open_notices(k) : OK;
	if (k->res == OK)
		k->res = files_put(path, k->octets, &k->err);
}

static void keep_rows(struct keep *k)
{
	struct replicas *r = k->r;
	struct replica *row = member_find(r, k->owner) != NULL ? store_replica_find(r->parts.store, k, k->owner, k->hash) : NULL;
	bool wanted = row != NULL && row->listed && !row->done;

	if (wanted && k->what == REPLICAS_NOTICES && memcmp(row->notices_hash, k->digest, 32) == 0) {
		row->reason = "";
		apply_notices(r, row, k->notices, k->digest);
	} else if (wanted && k->what == REPLICAS_BODY) {
		row->body = true;
		row->body_ms = clock_now_ms();
		row->reason = "";
		store_replica_save(r->parts.store, row);
		log_info("replica=%s state=here size=%llu", k->owner, (unsigned long long)row->sealed_size);
		apply_maybe_done(r, row);
		apply_show(r, k->owner, k->hash);
	} else if (!wanted || k->what != REPLICAS_HEAD) {
		store_place_sweep(r->parts.store, PLACE_REPLICA, k->digest);
	}
}

static void keep_done(void *arg)
{
	struct keep *k = arg;

	if (k->fd >= 0)
		close(k->fd);
	if (k->res != OK && k->file != NULL)
		files_drop(k->file);
	if (k->res == OK)
		keep_rows(k);
	k->done(k);
	talloc_free(k);
}

static void keep_drop(void *arg)
{
	struct keep *k = arg;

	if (k->fd >= 0)
		close(k->fd);
	talloc_free(k);
}

void keep_submit(struct keep *k)
{
	static const struct pool_job job = { keep_work, keep_done, keep_drop };

	pool_submit(k->r->parts.pool, POOL_BULK, &job, k);
}

/* --- one pull --- */

static struct pull *pull_find(struct pulls *ps, const char *owner, const uint8_t hash[32])
{
	struct pull *p = ps->running;

	while (p != NULL && (strcmp(p->owner, owner) != 0 || memcmp(p->hash, hash, 32) != 0))
		p = p->next;
	return p;
}

static void distrust(struct pull *p, const char *why)
{
	struct member *m = member_find(p->pulls->r, p->source);

	log_warn("member=%s why=\"%s\"", p->source, why);
	if (m != NULL)
		m->distrust_ms = clock_mono_ms() + DISTRUST_MS;
}

static bool has_file(const struct pull *p, const uint8_t digest[32])
{
	char *path = store_path(p->pulls->r->parts.store, p, PLACE_REPLICA, digest);
	bool there = access(path, F_OK) == 0;

	talloc_free(path);
	return there;
}

static void next_stage(struct pull *p)
{
	struct replica *row = store_replica_find(p->pulls->r->parts.store, p, p->owner, p->hash);

	if (row == NULL || !row->listed || row->done) {
		pull_end(p, "");
	} else if (memcmp(row->noticed, row->notices_hash, 32) != 0) {
		memcpy(p->digest, row->notices_hash, 32);
		p->size = LISTS_MAX;
		start_stage(p, REPLICAS_NOTICES);
	} else if (row->body) {
		pull_end(p, "");
	} else if (!pulls_has_room(p->pulls->r, row->sealed_size + (row->has_head ? row->head_size : 0))) {
		if (!p->pulls->full)
			log_warn("replicas=full why=\"outbox.replica_quota is used up: what fellow members offer is not taken\"");
		p->pulls->full = true;
		pull_end(p, "outbox.replica_quota is used up");
	} else if (row->has_head && !has_file(p, row->head_hash)) {
		p->pulls->full = false;
		memcpy(p->digest, row->head_hash, 32);
		p->size = row->head_size;
		start_stage(p, REPLICAS_HEAD);
	} else {
		p->pulls->full = false;
		memcpy(p->digest, row->hash, 32);
		p->size = row->sealed_size;
		start_stage(p, REPLICAS_BODY);
	}
}

static void on_kept(struct keep *k)
{
	struct pulls *ps = k->arg;
	struct pull *p = ps->r->stopped ? NULL : pull_find(ps, k->owner, k->hash);

	if (p == NULL)
		return;
	if (k->res == OK && k->what == REPLICAS_BODY) {
		pull_end(p, "");
	} else if (k->res == OK) {
		next_stage(p);
	} else if (k->res == REJECT && k->notices == NULL) {
		distrust(p, k->err.text);
		if (!ask_source(p))
			pull_end(p, "nobody gives what is listed");
	} else {
		pull_end(p, k->err.text);
	}
}

static void keep_it(struct pull *p, struct bytes octets)
{
	struct keep *k = talloc_zero(NULL, struct keep);
	const struct member *owner = member_find(p->pulls->r, p->owner);

	k->r = p->pulls->r;
	memcpy(k->owner, p->owner, sizeof(k->owner));
	memcpy(k->fpr, owner != NULL ? owner->fpr : "", owner != NULL ? sizeof(k->fpr) : 1);
	memcpy(k->hash, p->hash, 32);
	memcpy(k->digest, p->digest, 32);
	k->what = p->what;
	k->octets = bytes_dup(k, octets);
	k->file = talloc_steal(k, p->file);
	k->fd = p->fd;
	p->file = NULL;
	p->fd = -1;
	k->done = on_kept;
	k->arg = p->pulls;
	keep_submit(k);
}

static enum http_taken on_octets(void *arg, struct bytes octets)
{
	struct pull *p = arg;

	if (files_write(p->fd, octets.data, octets.len) < 0) {
		p->no_disk = true;
		return HTTP_STOP;
	}
	digest_add(p->sum, octets.data, octets.len);
	return HTTP_TAKEN;
}

static bool is_right(struct pull *p, const struct http_reply *reply)
{
	uint8_t sum[32];

	if (p->what != REPLICAS_BODY)
		return true;		/* a worker looks */
	digest_take(p->sum, sum);
	return reply->octets == p->size && memcmp(sum, p->digest, 32) == 0;
}

static void on_pulled(void *arg, const struct http_reply *reply)
{
	struct pull *p = arg;
	struct member *source = member_find(p->pulls->r, p->source);

	p->transfer = NULL;
	if (source != NULL)
		member_answered(source, reply);
	if (p->no_disk) {
		pull_end(p, "the disk is full");
	} else if (reply->status == 200 && is_right(p, reply)) {
		keep_it(p, reply->body);
	} else {
		if (reply->status == 200)
			distrust(p, "it gave other octets than were listed");
		drop_file(p);
		if (!ask_source(p))
			pull_end(p, "nobody gives it now");
	}
}

/* The nth source: the owner, then the others. */
static struct member *source_at(struct pull *p, size_t n)
{
	struct replicas *r = p->pulls->r;
	struct member *owner = member_find(r, p->owner), *m = r->members;

	if (n == 0 || owner == NULL)
		return n == 0 ? owner : NULL;
	for (; m != NULL; m = m->hh.next)
		if (m != owner && --n == 0)
			return m;
	return NULL;
}

static bool open_tmp(struct pull *p)
{
	struct err e;

	if (p->what != REPLICAS_BODY || p->fd >= 0)
		return true;
	p->fd = files_tmp(p, store_dir(p->pulls->r->parts.store, PLACE_REPLICA), &p->file, &e);
	p->sum = digest_new(p);
	p->no_disk = p->fd < 0;
	return p->fd >= 0;
}

static bool ask_source(struct pull *p)
{
	static const char *const tails[] = { [REPLICAS_NOTICES] = ".notices", [REPLICAS_HEAD] = ".head", [REPLICAS_BODY] = "" };
	char hex[DIGEST_HEX], path[128];
	struct member *m;

	hex_print(bytes_of(p->hash, 32), hex);
	snprintf(path, sizeof(path), "/outbox/%s%s", hex, tails[p->what]);
	struct member_call call = {
		.method = "GET", .path = path, .max = p->size, .quiet_ms = QUIET_MS, .bulk = true,
		.on_octets = p->what == REPLICAS_BODY ? on_octets : NULL, .done = on_pulled, .arg = p,
	};

	while (p->transfer == NULL) {
		m = source_at(p, p->n_asked++);
		if (m == NULL && p->n_asked > HASH_COUNT(p->pulls->r->members))
			return false;
		if (m == NULL || m->away || !member_can_be_asked(m) || clock_mono_ms() < m->distrust_ms || !open_tmp(p))
			continue;
		memcpy(p->source, m->address, sizeof(p->source));
		p->transfer = member_call(m, &call);
	}
	return true;
}

static void start_stage(struct pull *p, enum replicas_what what)
{
	p->what = what;
	p->n_asked = 0;
	if (!ask_source(p))
		pull_end(p, p->no_disk ? "the disk is full" : "nobody gives it now");
}

static bool is_lacking(const struct replica *row)
{
	return row->listed && !row->done && !replica_is_whole(row) && clock_now_s() < row->expires_s;
}

void pulls_look(struct pulls *ps, const char *owner)
{
	struct replicas *r = ps->r;
	void *ctx = talloc_new(NULL);
	size_t n, of_one = 0, max = r->settings.rate > 0 ? 1 : AT_ONCE;

	if (r->stopped || ps->n_running >= max || member_find(r, owner) == NULL ||
	    store_replica_count(r->parts.store, owner).wanted == 0)
		goto out;
	for (const struct pull *p = ps->running; p != NULL; p = p->next)
		of_one += strcmp(p->owner, owner) == 0;
	struct replica **rows = store_replica_all(r->parts.store, ctx, owner, &n);

	for (size_t i = 0; i < n && ps->n_running < max && of_one < AT_ONCE_OF_ONE; i++) {
		if (!is_lacking(rows[i]) || pull_find(ps, owner, rows[i]->hash) != NULL)
			continue;
		struct pull *p = talloc_zero(ps, struct pull);

		p->pulls = ps;
		snprintf(p->owner, sizeof(p->owner), "%s", owner);
		memcpy(p->hash, rows[i]->hash, 32);
		p->what = REPLICAS_NOTICES;
		p->fd = -1;
		p->next = ps->running;
		ps->running = p;
		ps->n_running++;
		of_one++;
		next_stage(p);
	}
out:
	talloc_free(ctx);
}

bool pulls_is_pulling(const struct pulls *ps, const char *owner)
{
	for (const struct pull *p = ps->running; p != NULL; p = p->next)
		if (strcmp(p->owner, owner) == 0)
			return true;
	return false;
}

struct pulls *pulls_start(struct replicas *r)
{
	struct pulls *ps = talloc_zero(r, struct pulls);

	ps->r = r;
	return ps;
}

void pulls_stop(struct pulls **pp)
{
	struct pulls *ps = *pp;

	*pp = NULL;
	if (ps == NULL)
		return;
	while (ps->running != NULL)
		pull_free(ps->running);
	talloc_free(ps);
}
