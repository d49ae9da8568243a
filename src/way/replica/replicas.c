/*
 * The station's life and its members. Who is up is what we saw ourselves: an
 * answer, or a request that his MAC made good. Nobody is asked whether he is
 * there but by what we have to ask anyway.
 */
#include <ctype.h>
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/mail/member.h"
#include "lib/mail/urls.h"
#include "lib/mail/value.h"
#include "lib/store/mailbox.h"
#include "way/replica/elect.h"
#include "way/replica/state.h"

enum { UNDONE_MS = 1000, TICK_MS = 1000, REFUSED_AGAIN_MS = 10000, AGE_MS = 3600 * 1000, PROOFS_S = 2 * 86400 };

struct member *member_find(struct replicas *r, const char *address)
{
	struct member *m;

	HASH_FIND_STR(r->members, address, m);
	return m;
}

size_t members_count_ours(const struct replicas *r)
{
	size_t n = 0;

	for (const struct member *m = r->members; m != NULL; m = m->hh.next)
		n += m->ours;
	return n;
}

const char **members_up(const struct member *owner, const void *ctx, size_t *n_out)
{
	struct replicas *r = owner->r;
	const char **all = talloc_array(ctx, const char *, HASH_COUNT(r->members) + 1);
	struct member *m, *next;

	*n_out = 0;
	HASH_ITER(hh, r->members, m, next)
		if (!m->away && member_has_fellow(owner, m))
			all[(*n_out)++] = m->address;
	return all;
}

void member_save(struct member *m)
{
	store_replica_owner_save(m->r->parts.store, &m->row);
	m->has_row = true;
}

bool members_is_alone(const struct replicas *r)
{
	for (const struct member *m = r->members; m != NULL; m = m->hh.next)
		if (m->heard_ms != 0 && !m->away)
			return false;
	return true;
}

static void absent(struct replicas *r)
{
	struct member *m, *next;

	HASH_ITER(hh, r->members, m, next)
		sync_absent(m);
}

bool members_heard(const struct replicas *r, int64_t within_ms)
{
	int64_t now = clock_mono_ms();

	for (const struct member *m = r->members; m != NULL; m = m->hh.next)
		if (m->heard_ms != 0 && now - m->heard_ms <= within_ms)
			return true;
	return false;
}

void member_heard(struct member *m)
{
	bool news = m->away || m->heard_ms == 0, alone = !members_heard(m->r, 2 * m->r->settings.sync_ms);

	if (news || m->missed)
		tell_to(m, news);
	m->missed = false;
	m->heard_ms = clock_mono_ms();
	m->refused_ms = 0;
	if (!news)
		return;
	m->away = false;
	m->up_ms = m->heard_ms;
	m->row.seen_s = clock_now_s();
	member_save(m);
	log_info("member=%s state=up", m->address);
	m->r->hooks.seen(m->r->hooks.arg, m->address);
	stand_changed(m->r->stand);
	if (alone)
		absent(m->r);	/* we may have been cut off */
	else
		sync_returned(m);
	push_to(m);
}

static void set_away(struct member *m)
{
	if (m->away)
		return;
	m->away = true;
	if (m->heard_ms != 0) {
		m->row.seen_s = clock_now_s() - (clock_mono_ms() - m->heard_ms) / 1000;
		member_save(m);
	}
	log_info("member=%s state=away", m->address);
	m->r->hooks.seen(m->r->hooks.arg, m->address);
	stand_changed(m->r->stand);
}

void member_answered(struct member *m, const struct http_reply *reply)
{
	int64_t now = clock_mono_ms();

	/* Who else answers at his URL by now does not know of our lists. */
	if (reply->status == 200 || reply->status == 204 || reply->status == 304) {
		member_heard(m);
		return;
	}
	if (reply->status != 0)
		return;
	m->missed = true;
	m->next_url = urls_rest(m->next_url);
	if (m->next_url[0] == '\0')
		m->next_url = m->urls;
	if (strstr(reply->text, "refused") == NULL)
		return;
	if (m->refused_ms == 0)
		m->refused_ms = now;
	else if (now - m->refused_ms >= REFUSED_AGAIN_MS && now - m->heard_ms >= REFUSED_AGAIN_MS)
		set_away(m);
}

bool member_can_be_asked(const struct member *m)
{
	return m->urls[0] != '\0' && m->row.token_serial != 0;
}

struct http_transfer *member_call(struct member *m, const struct member_call *c)
{
	struct replicas *r = m->r;
	void *ctx = talloc_new(NULL);
	struct member_request request = { .method = c->method, .path = c->path, .now_s = clock_now_s() };
	struct http_call call = {
		.method = c->method, .body = c->body, .max = c->max, .quiet_ms = c->quiet_ms, .friend_address = true,
		.etag = c->etag, .max_rate = c->bulk ? r->settings.rate : 0,
		.from_file = c->from_file, .fd = c->fd, .size = c->size,
		.on_octets = c->on_octets, .done = c->done, .arg = c->arg,
	};
	struct http_transfer *transfer = NULL;

	if (c->from_file)
		memcpy(request.body, c->digest, 32);
	else
		digest_of(c->body, request.body);
	call.digest = strcmp(c->method, "PUT") == 0 ? request.body : NULL;
	call.url = urls_first(ctx, m->next_url, c->path);
	if (!c->open && m->row.token_serial != 0)
		call.authorization = member_auth_print(ctx, m->row.token, r->settings.address, &request);
	if (call.url != NULL && (c->open || call.authorization != NULL))
		transfer = http_call(r->parts.http, &call);
	talloc_free(ctx);
	return transfer;
}

char *member_path(const void *ctx, const char *owner, const char *what)
{
	char *path = talloc_strdup(ctx, "/replica/");

	for (const char *c = owner; *c != '\0'; c++) {
		bool plain = isalnum((unsigned char)*c) || strchr("-._~@+!$&'()*,;=:", *c) != NULL;

		path = plain ? talloc_asprintf_append(path, "%c", *c) : talloc_asprintf_append(path, "%%%02X", (unsigned char)*c);
	}
	return talloc_asprintf_append(path, "/%s", what);
}

/* --- members come and go --- */

static void load_row(struct member *m)
{
	struct replica_owner *row = store_replica_owner_find(m->r->parts.store, m, m->address);

	m->has_row = row != NULL;
	m->row = row != NULL ? *row : (struct replica_owner){ .etag = "", .group = "" };
	m->row.address = m->address;
}

static struct member *member_new(struct replicas *r, const struct replicas_member *from)
{
	struct member *m = talloc_zero(r, struct member);

	m->r = r;
	snprintf(m->address, sizeof(m->address), "%s", from->address);
	m->urls = talloc_strdup(m, "");
	m->next_url = m->urls;
	HASH_ADD_STR(r->members, address, m);
	load_row(m);
	m->absent_ms = clock_mono_ms();
	apply_show_all(m);
	sync_judge(m);
	return m;
}

/* His key, for whoever wants to write to him while he is away; its own talloc context. */
struct showing {
	struct replicas *r;
	char address[LIMIT_ADDRESS + 1], fpr[FPR_LEN];
	struct bytes key;
	enum outcome res;
	struct err err;
};

static void show_work(void *arg)
{
	struct showing *s = arg;

	s->res = pgp_export_work(s->r->parts.pgp, s, s->fpr, true, &s->key, &s->err);
}

static void show_done(void *arg)
{
	struct showing *s = arg;

	if (s->res == OK && member_find(s->r, s->address) != NULL)
		s->r->table.pubkey_set(s->r->table.offers, s->address, s->key);
	talloc_free(s);
}

static void show_drop(void *arg)
{
	talloc_free(arg);
}

static void show_key(struct member *m)
{
	static const struct pool_job job = { show_work, show_done, show_drop };
	struct showing *s = talloc_zero(NULL, struct showing);

	s->r = m->r;
	memcpy(s->address, m->address, sizeof(s->address));
	memcpy(s->fpr, m->fpr, sizeof(s->fpr));
	pool_submit(m->r->parts.pool, POOL_BULK, &job, s);
}

static void member_free(struct member *m)
{
	m->r->table.pubkey_set(m->r->table.offers, m->address, bytes_of(NULL, 0));
	sync_stop(m);
	push_stop(m);
	tell_stop(m);
	stand_member_gone(m);
	HASH_DELETE(hh, m->r->members, m);
	talloc_free(m);
}

static void member_set(struct member *m, const struct replicas_member *from)
{
	if (strcmp(m->fpr, from->fpr) != 0) {
		snprintf(m->fpr, sizeof(m->fpr), "%s", from->fpr);
		show_key(m);
	}
	bool moved = strcmp(m->urls, from->urls) != 0 || m->groups != from->groups || m->own != from->own;

	if (!moved)
		return;
	m->groups = from->groups;
	m->own = from->own;
	m->ours = (m->groups & 1) != 0;
	talloc_free(m->urls);
	m->urls = talloc_strdup(m, from->urls);
	m->next_url = m->urls;
	sync_now(m);
	push_to(m);
	tell_to(m, true);
}

static bool is_in(const char *address, const struct replicas_member *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].address, address) == 0)
			return true;
	return false;
}

/* Members that left lose what we hold for them, also those that left while we were off. */
static void forget_others(struct replicas *r, const void *ctx, const struct replicas_member *all, size_t n)
{
	struct member *m, *next;
	size_t n_rows;

	HASH_ITER(hh, r->members, m, next)
		if (!is_in(m->address, all, n))
			member_free(m);
	struct replica_owner **rows = store_replica_owners(r->parts.store, ctx, &n_rows);

	for (size_t i = 0; i < n_rows; i++)
		if (!is_in(rows[i]->address, all, n))
			apply_forget(r, rows[i]->address);
}

static int by_address(const struct member *a, const struct member *b)
{
	return strcmp(a->address, b->address);
}

void replicas_on_members(struct replicas *r)
{
	void *ctx = talloc_new(NULL);
	size_t n;
	struct replicas_member *all = r->hooks.members(r->hooks.arg, ctx, &n);

	forget_others(r, ctx, all, n);
	for (size_t i = 0; i < n; i++) {
		struct member *m = member_find(r, all[i].address);

		member_set(m != NULL ? m : member_new(r, &all[i]), &all[i]);
	}
	HASH_SORT(r->members, by_address);	/* people and scripts read lists of them */
	ours_on_members(r->ours);
	stand_changed(r->stand);
	if (n > 0 && !timer_is_set(r->tick)) {
		/* From now on, not from the first tick: a laptop may be closed within this second. */
		timer_set(r->tick, TICK_MS);
		clock_mark(&r->ticked);
		r->table.awake(r->table.members);
	}
	talloc_free(ctx);
}

/* --- who is away --- */

/* A laptop was asleep, or this process was stopped: all is as after a start. */
static void look_absent(struct replicas *r)
{
	int64_t gone_ms = clock_gone_ms(&r->ticked);
	struct member *m, *next;

	clock_mark(&r->ticked);
	if (gone_ms > 0) {
		log_info("replicas=absent s=%lld", (long long)gone_ms / 1000);
		HASH_ITER(hh, r->members, m, next) {
			if (m->heard_ms != 0 && !m->away)
				m->row.seen_s = clock_now_s() - gone_ms / 1000;
			m->heard_ms = 0;
		}
		absent(r);
	}
	r->table.awake(r->table.members);
}

static void on_tick(void *arg)
{
	struct replicas *r = arg;
	int64_t now = clock_mono_ms();
	struct member *m, *next;

	if (r->members == NULL)
		return;
	timer_set(r->tick, TICK_MS);
	look_absent(r);
	HASH_ITER(hh, r->members, m, next) {
		bool is_silent = m->heard_ms == 0 ? m->round_done : now - m->heard_ms > 2 * r->settings.sync_ms;

		if (!m->away && is_silent)
			set_away(m);
	}
}

/* --- what grows old --- */

/* The owner may be away for good. Receipts may come for two days more; then nobody asks for a proof. */
static void on_age(void *arg)
{
	struct replicas *r = arg;
	void *ctx = talloc_new(NULL);
	int64_t now = clock_now_s();
	size_t n;
	struct replica **rows = store_replica_over(r->parts.store, ctx, now, false, &n);

	for (size_t i = 0; i < n; i++) {
		log_info("replica=%s state=expired", rows[i]->owner);
		apply_end(r, rows[i]);
	}
	rows = store_replica_over(r->parts.store, ctx, now - PROOFS_S, true, &n);
	for (size_t i = 0; i < n; i++) {
		store_replica_drop(r->parts.store, rows[i]->owner, rows[i]->hash);
		apply_show(r, rows[i]->owner, rows[i]->hash);
	}
	timer_set(r->age, AGE_MS);
	talloc_free(ctx);
}

/* --- what is told --- */

void replicas_on_outbox(struct replicas *r, uint64_t letter)
{
	ours_on_letter(r->ours, letter);
}

void replicas_on_contact(struct replicas *r, const char *address)
{
	struct member *m = member_find(r, address);

	if (m == NULL)
		return;
	m->asked_ms = clock_mono_ms();
	member_heard(m);
}

void replicas_on_taken(struct replicas *r, const char *address, const uint8_t hash[32])
{
	struct member *m = member_find(r, address);

	/* Whom we can ask says himself what he holds. */
	if (m != NULL && m->ours && !member_can_be_asked(m) && ours_has(r->ours, hash))
		store_holder_set(r->parts.store, hash, address, true);
}

void replicas_on_served(struct replicas *r, const char *owner, const uint8_t hash[32], const uint8_t c_get[32])
{
	void *ctx = talloc_new(NULL);
	size_t n;
	struct replica_rcpt **rcpts = store_replica_rcpts(r->parts.store, ctx, owner, hash, &n);

	for (size_t i = 0; i < n; i++) {
		if (memcmp(rcpts[i]->c_get, c_get, 32) != 0 || rcpts[i]->served)
			continue;
		rcpts[i]->served = true;
		store_replica_rcpt_save(r->parts.store, rcpts[i]);
		apply_show(r, owner, hash);
	}
	talloc_free(ctx);
}

/* A proof that is durable may be answered with proof of that. */
struct proven {
	struct replicas *r;
	uint8_t proof[32];
};

static void on_proof_durable(void *arg, bool durable)
{
	struct proven *p = arg;

	if (durable && !p->r->stopped)
		p->r->table.heard(p->r->table.offers, p->proof);
	talloc_free(p);
}

static void take_receipt(struct replicas *r, struct replica_rcpt *rcpt, enum replica_rcpt_state kind, const uint8_t proof[32])
{
	struct replica *row = store_replica_find(r->parts.store, rcpt, rcpt->owner, rcpt->hash);

	/* "Got" is the last word; a receipt overrides a recall. */
	if (row == NULL || rcpt->state == REPLICA_GOT || rcpt->state == kind)
		return;
	rcpt->state = kind;
	memcpy(rcpt->proof, proof, 32);
	store_replica_rcpt_save(r->parts.store, rcpt);
	log_info("replica=%s state=%s", rcpt->owner, kind == REPLICA_GOT ? "got" : "declined");
	apply_maybe_done(r, row);
	apply_show(r, rcpt->owner, rcpt->hash);
	stand_changed(r->stand);
}

void replicas_on_receipt(struct replicas *r, const uint8_t proof[32])
{
	void *ctx = talloc_new(NULL);
	uint8_t commitment[32];
	size_t n, n_taken = 0;

	if (r->members == NULL)
		goto out;
	proof_commitment(proof, commitment);
	struct replica_rcpt **rcpts = store_replica_of_proof(r->parts.store, ctx, commitment, &n);

	for (size_t i = 0; i < n; i++) {
		enum replica_rcpt_state kind = replica_proof_kind(rcpts[i], commitment);

		if (kind != REPLICA_GOT && kind != REPLICA_DECLINED)
			continue;
		take_receipt(r, rcpts[i], kind, proof);
		n_taken++;
	}
	if (n_taken == 0)
		goto out;
	struct proven *p = talloc_zero(NULL, struct proven);

	p->r = r;
	memcpy(p->proof, proof, 32);
	store_when_durable(r->parts.store, on_proof_durable, p);
out:
	talloc_free(ctx);
}

/* --- for people --- */

int64_t replicas_seen_s(const struct replicas *r, const char *address)
{
	const struct member *m;

	HASH_FIND_STR(r->members, address, m);
	return m == NULL ? 0 : m->heard_ms != 0 && !m->away ? clock_now_s() : m->row.seen_s;
}

struct replicas_shown *replicas_show(struct replicas *r, const void *ctx, size_t *n_out)
{
	struct replicas_shown *all = talloc_zero_array(ctx, struct replicas_shown, HASH_COUNT(r->members) + 1);
	struct member *m, *next;

	*n_out = 0;
	HASH_ITER(hh, r->members, m, next) {
		struct replica_counts n = store_replica_count(r->parts.store, m->address);
		struct replica_counts there = store_holder_count(r->parts.store, m->address);

		all[(*n_out)++] = (struct replicas_shown){
			.address = m->address, .up = m->heard_ms != 0 && !m->away, .messages = n.messages, .bytes = n.bytes,
			.wanted = n.wanted, .there = there.messages, .there_bytes = there.bytes, .seen_s = m->heard_ms != 0 && !m->away ? clock_now_s() : m->row.seen_s,
			.reason = n.wanted > 0 ? store_replica_reason(r->parts.store, all, m->address) : "",
		};
	}
	return all;
}

uint64_t replicas_quota(const struct replicas *r)
{
	return r->settings.quota;
}

/* Members ask for our list with every sync; who is up for long and has never done so does not get through. */
enum replicas_reach replicas_reach(const struct replicas *r, const char **by_out)
{
	int64_t now = clock_mono_ms(), patience = 3 * r->settings.sync_ms + CALL_MS;
	enum replicas_reach reach = REACH_UNKNOWN;

	*by_out = "";
	for (const struct member *m = r->members; m != NULL; m = m->hh.next) {
		if (m->asked_ms != 0 && now - m->asked_ms < patience) {
			*by_out = m->address;
			return REACH_YES;
		}
		if (m->heard_ms != 0 && !m->away && now - m->up_ms >= patience) {
			*by_out = m->address;
			reach = REACH_NO;
		}
	}
	return reach;
}

struct replicas_holder *replicas_holders(struct replicas *r, const void *ctx, const uint8_t hash[32], size_t *n_out)
{
	struct replicas_holder *all = talloc_zero_array(ctx, struct replicas_holder, HASH_COUNT(r->members) + 1);
	struct member *m, *next;

	*n_out = 0;
	HASH_ITER(hh, r->members, m, next)
		if (m->ours)
			all[(*n_out)++] = (struct replicas_holder){
				m->address, store_holder_has(r->parts.store, hash, m->address), m->urls[0] != '\0',
			};
	return all;
}

bool replicas_is_safe(const struct replicas_holder *all, size_t n)
{
	size_t holds = 0, reachable = 0;

	for (size_t i = 0; i < n; i++) {
		holds += all[i].holds && all[i].reachable;
		reachable += all[i].reachable;
	}
	return holds > 0 && (holds == reachable || holds >= ELECTED);
}

int64_t replicas_count_safe(struct replicas *r)
{
	char *reachable = talloc_strdup(NULL, "\n");
	size_t n = 0;
	int64_t safe = 0;

	for (const struct member *m = r->members; m != NULL; m = m->hh.next) {
		if (!m->ours || m->urls[0] == '\0')
			continue;
		reachable = talloc_asprintf_append(reachable, "%s\n", m->address);
		n++;
	}
	if (n > 0)
		safe = (int64_t)store_holder_count_enough(r->parts.store, reachable, n < ELECTED ? n : ELECTED);
	talloc_free(reachable);
	return members_count_ours(r) > 0 ? safe : -1;
}

/* --- life --- */

static void on_undone(void *arg)
{
	timer_set(((struct replicas *)arg)->undone, UNDONE_MS);
}

/* Rows are as they were before the commit that failed: what is in RAM follows. */
static void reload(void *arg)
{
	struct replicas *r = arg;
	struct member *m, *next;

	ours_reload(r->ours);
	HASH_ITER(hh, r->members, m, next) {
		load_row(m);
		r->table.owner_drop(r->table.members, m->address);
		apply_show_all(m);
		sync_judge(m);
		sync_now(m);
	}
	stand_changed(r->stand);
}

struct replicas *replicas_start(const struct replicas_parts *parts, const struct replicas_settings *settings,
    const struct replicas_table *table, const struct replicas_hooks *hooks)
{
	struct replicas *r = talloc_zero(NULL, struct replicas);

	r->parts = *parts;
	r->settings = *settings;
	r->table = *table;
	r->hooks = *hooks;
	r->undone = timer_new(parts->loop, reload, r);
	r->tick = timer_new(parts->loop, on_tick, r);
	store_watch(parts->store, &(struct store_watcher){ .undone = on_undone, .arg = r });
	r->age = timer_new(parts->loop, on_age, r);
	timer_set(r->age, 0);
	table->quota(table->members, settings->quota);
	r->ours = ours_start(r);
	r->pulls = pulls_start(r);
	r->stand = stand_start(r);
	replicas_on_members(r);
	return r;
}

void replicas_stop(struct replicas **rp)
{
	struct replicas *r = *rp;
	struct member *m, *next;

	*rp = NULL;
	if (r == NULL)
		return;
	r->stopped = true;
	r->parts.pool = NULL;	/* it has ended */
	store_unwatch(r->parts.store, r);
	HASH_ITER(hh, r->members, m, next)
		member_free(m);
	confirm_stop(r);
	stand_stop(&r->stand);
	pulls_stop(&r->pulls);
	ours_stop(&r->ours);
	timer_free(&r->undone);
	timer_free(&r->tick);
	timer_free(&r->pace);
	timer_free(&r->age);
	talloc_free(r);
}
