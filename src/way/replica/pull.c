/*
 * What is listed and not here: the notices object first, since with it we can
 * renew; then the head object and m'. From the owner, or while he is away from
 * another member. A few at a time; what is large waits its turn, never what is
 * small. With outbox.replica_rate one large thing is pulled at a time, and the
 * next one not before the time is over that the rate gives the last one. What
 * did not come stands back until the owner's next round, so that it keeps
 * nothing else from coming. Octets count by their hash alone, so it does not
 * matter who gives them; who gives a wrong m' or head is not asked again for an
 * hour. A notices object may be newer than the list that we have, at anybody's.
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
	int64_t begun_ms;		/* what is large; 0 not yet */
	uint64_t taken;			/* octets of it */
	struct http_transfer *transfer;
	struct digest *sum;
	char *file;
	int fd;
	bool no_disk;
	uint64_t reserved;		/* of the quota */
	struct pull *next;
};

/* What did not come in this round of its owner. */
struct missed {
	uint8_t id[32];			/* of owner and h */
	char owner[LIMIT_ADDRESS + 1];
	UT_hash_handle hh;
};

struct pulls {
	struct replicas *r;
	struct missed *missed;
	struct pull *running;
	struct timer *look;		/* something has ended */
	struct timer *pace;		/* the rate allows the next one */
	bool full;			/* said so already */
	uint64_t too_large;		/* the smallest for which there was no room in this look */
};

static void start_stage(struct pull *p, enum replicas_what what);
static bool ask_source(struct pull *p);

static void drop_file(struct pull *p)
{
	if (p->file != NULL)
		files_drop(p->file);
	if (p->fd >= 0)
		pool_close(p->pulls->r->parts.pool, p->fd);
	TALLOC_FREE(p->file);
	p->fd = -1;
}

static void pull_free(struct pull *p)
{
	struct pull **at = &p->pulls->running;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->pulls->r->coming -= p->reserved;
	http_transfer_free(&p->transfer);
	drop_file(p);
	talloc_free(p);
}

static void look_everywhere(struct pulls *ps)
{
	for (struct member *m = ps->r->members; m != NULL; m = m->hh.next)
		pulls_look(ps, m->address);
}

static struct missed *missed_find(const struct pulls *ps, const char *owner, const uint8_t hash[32], uint8_t id[32])
{
	struct digest *d = digest_new(NULL);
	struct missed *found;

	digest_add(d, hash, 32);
	digest_add(d, owner, strlen(owner));
	digest_take(d, id);
	talloc_free(d);
	HASH_FIND(hh, ps->missed, id, 32, found);
	return found;
}

static void missed_add(struct pulls *ps, const char *owner, const uint8_t hash[32])
{
	uint8_t id[32];
	struct missed *one = missed_find(ps, owner, hash, id);

	if (one != NULL)
		return;
	one = talloc_zero(ps, struct missed);
	memcpy(one->id, id, sizeof(id));
	snprintf(one->owner, sizeof(one->owner), "%s", owner);
	HASH_ADD(hh, ps->missed, id, 32, one);
}

/* owner NULL: of all. */
static void missed_forget(struct pulls *ps, const char *owner)
{
	struct missed *one, *next;

	HASH_ITER(hh, ps->missed, one, next) {
		if (owner != NULL && strcmp(one->owner, owner) != 0)
			continue;
		HASH_DELETE(hh, ps->missed, one);
		talloc_free(one);
	}
}

/* What is tried again with the next round of this owner's list; the others have their turn now. */
static void pull_end(struct pull *p, const char *why)
{
	struct pulls *ps = p->pulls;
	struct replica *row = store_replica_find(ps->r->parts.store, p, p->owner, p->hash);

	if (row != NULL && why[0] != '\0' && strcmp(row->reason, why) != 0) {
		row->reason = why;
		store_replica_save(ps->r->parts.store, row);
		log_info("replica=%s state=lacking why=\"%s\"", p->owner, why);
	}
	if (why[0] != '\0' || ps->r->settings.rate == 0)
		ps->r->table.coming(ps->r->table.members, p->owner, p->hash, false);
	if (why[0] != '\0')
		missed_add(ps, p->owner, p->hash);
	pull_free(p);
	timer_set(ps->look, 0);
}

/* --- whose turn it is --- */

static bool is_large(enum replicas_what what)
{
	return what != REPLICAS_NOTICES;
}

/* May one more of this kind run for this owner? */
static bool has_turn(const struct pulls *ps, const char *owner, bool large)
{
	bool rated = large && ps->r->settings.rate > 0;
	size_t n = 0, of_one = 0;

	for (const struct pull *p = ps->running; p != NULL; p = p->next) {
		n += is_large(p->what) == large;
		of_one += is_large(p->what) == large && strcmp(p->owner, owner) == 0;	/* NOLINT(clang-analyzer-core.NonNullParamChecker): it has one */
	}
	return n < (rated ? 1 : AT_ONCE) && of_one < AT_ONCE_OF_ONE && !(rated && timer_is_set(ps->pace));
}

/* What came faster than the rate is waited for afterwards. */
static void keep_pace(const struct pull *p)
{
	uint64_t rate = p->pulls->r->settings.rate;
	int64_t ms = rate > 0 ? (int64_t)(p->taken * 1000 / rate) - (clock_mono_ms() - p->begun_ms) : 0;

	if (is_large(p->what) && ms > 0)
		timer_set(p->pulls->pace, ms);
}

static void on_look(void *arg)
{
	look_everywhere(arg);
}

bool pulls_has_room(struct replicas *r, uint64_t size)
{
	uint64_t used = store_replica_count(r->parts.store, NULL).bytes;

	used += r->coming;
	return used <= r->settings.quota && size <= r->settings.quota - used;
}

bool pulls_has_file(struct replicas *r, const uint8_t digest[32])
{
	char *path = store_path(r->parts.store, NULL, PLACE_REPLICA, digest);
	bool there = access(path, F_OK) == 0;

	talloc_free(path);
	return there;
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

	if (k->res != OK && k->file != NULL)
		files_drop(k->file);
	if (k->fd >= 0)
		pool_close(k->r->parts.pool, k->fd);
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

static uint64_t size_of(const struct replica *row)
{
	return row->sealed_size + (row->has_head ? row->head_size : 0);
}

static bool is_noticed(const struct replica *row)
{
	return memcmp(row->noticed, row->notices_hash, 32) == 0;
}

static void reserve(struct pull *p, uint64_t size)
{
	p->pulls->full = false;
	if (p->reserved > 0)
		return;
	p->reserved = size;
	p->pulls->r->coming += size;
}

static void end_full(struct pull *p, uint64_t size)
{
	struct pulls *ps = p->pulls;

	if (!ps->full)
		log_warn("replicas=full why=\"outbox.replica_quota is used up: what fellow members offer is not taken\"");
	ps->full = true;
	if (size < ps->too_large)
		ps->too_large = size;
	pull_end(p, "outbox.replica_quota is used up");
}

static void next_stage(struct pull *p)
{
	struct replica *row = store_replica_find(p->pulls->r->parts.store, p, p->owner, p->hash);

	/* NOLINTNEXTLINE(bugprone-branch-clone): one ends for good, the other for now */
	if (row == NULL || !row->listed || row->done || (row->body && is_noticed(row))) {
		pull_end(p, "");
	} else if (!is_noticed(row)) {
		memcpy(p->digest, row->notices_hash, 32);
		p->size = LISTS_MAX;
		start_stage(p, REPLICAS_NOTICES);
	} else if (p->reserved == 0 && !pulls_has_room(p->pulls->r, size_of(row))) {
		end_full(p, size_of(row));
	} else if (!is_large(p->what) && !has_turn(p->pulls, p->owner, true)) {
		pull_end(p, "");
	} else if (row->has_head && !pulls_has_file(p->pulls->r, row->head_hash)) {
		reserve(p, size_of(row));
		memcpy(p->digest, row->head_hash, 32);
		p->size = row->head_size;
		start_stage(p, REPLICAS_HEAD);
	} else {
		reserve(p, size_of(row));
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
		if (k->what == REPLICAS_HEAD)
			distrust(p, k->err.text);
		else
			log_info("member=%s notices=refused why=\"%s\"", p->source, k->err.text);
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
	p->taken += octets.len;
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
	p->taken += p->what == REPLICAS_HEAD ? reply->octets : 0;
	keep_pace(p);
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
		if (member_has_fellow(owner, m) && --n == 0)
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
		.method = "GET", .path = path, .max = p->size, .quiet_ms = QUIET_MS, .bulk = is_large(p->what),
		.on_octets = p->what == REPLICAS_BODY ? on_octets : NULL, .done = on_pulled, .arg = p,
	};

	while (p->transfer == NULL) {
		m = source_at(p, p->n_asked++);
		if (m == NULL && p->n_asked > HASH_COUNT(p->pulls->r->members))
			return false;
		if (m == NULL || m->away || !member_can_be_asked(m) || clock_mono_ms() < m->distrust_ms || !open_tmp(p))
			continue;
		memcpy(p->source, m->address, sizeof(p->source));
		if (is_large(p->what) && p->begun_ms == 0)
			p->begun_ms = clock_mono_ms();
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

static void pull_new(struct pulls *ps, const struct replica *row, enum replicas_what what)
{
	struct pull *p = talloc_zero(ps, struct pull);

	p->pulls = ps;
	snprintf(p->owner, sizeof(p->owner), "%s", row->owner);
	memcpy(p->hash, row->hash, 32);
	p->what = what;
	p->fd = -1;
	p->next = ps->running;
	ps->running = p;
	ps->r->table.coming(ps->r->table.members, p->owner, p->hash, true);
	next_stage(p);
}

static bool has_source(struct replicas *r)
{
	for (const struct member *m = r->members; m != NULL; m = m->hh.next)
		if (!m->away && member_can_be_asked(m) && clock_mono_ms() >= m->distrust_ms)
			return true;
	return false;
}

static bool may_begin(struct pulls *ps, const struct replica *row)
{
	bool too_large = is_noticed(row) && !row->body && size_of(row) >= ps->too_large;
	uint8_t id[32];

	return !too_large && missed_find(ps, row->owner, row->hash, id) == NULL && pull_find(ps, row->owner, row->hash) == NULL;
}

void pulls_look(struct pulls *ps, const char *owner)
{
	struct replicas *r = ps->r;
	struct member *m = member_find(r, owner);
	void *ctx = talloc_new(NULL);
	size_t n;

	if (r->stopped || m == NULL || !has_source(r) ||
	    (!has_turn(ps, owner, true) && !has_turn(ps, owner, false) && r->settings.rate == 0))
		goto out;
	struct replica **rows = store_replica_lacking(r->parts.store, ctx, owner, clock_now_s(), &n);

	ps->too_large = UINT64_MAX;
	for (size_t i = 0; i < n; i++) {
		bool large = is_noticed(rows[i]);

		if (!may_begin(ps, rows[i]))
			continue;
		/* He need not bring what we pull at our own pace. */
		if (r->settings.rate > 0 && !m->away && member_can_be_asked(m))
			r->table.coming(r->table.members, owner, rows[i]->hash, true);
		if (has_turn(ps, owner, large))
			pull_new(ps, rows[i], large ? REPLICAS_HEAD : REPLICAS_NOTICES);
	}
out:
	talloc_free(ctx);
}

void pulls_gone(struct pulls *ps, const char *owner, const uint8_t hash[32])
{
	struct pull *p = ps != NULL ? pull_find(ps, owner, hash) : NULL;

	/* What is on a worker sees it itself. */
	if (p == NULL || p->transfer == NULL)
		return;
	keep_pace(p);
	pull_free(p);
	timer_set(ps->look, 0);
}

void pulls_round(struct pulls *ps, struct member *owner)
{
	missed_forget(ps, owner->address);
	pulls_look(ps, owner->address);
}

struct pulls *pulls_start(struct replicas *r)
{
	struct pulls *ps = talloc_zero(r, struct pulls);

	ps->r = r;
	ps->look = timer_new(r->parts.loop, on_look, ps);
	ps->pace = timer_new(r->parts.loop, on_look, ps);
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
	missed_forget(ps, NULL);
	timer_free(&ps->look);
	timer_free(&ps->pace);
	talloc_free(ps);
}
