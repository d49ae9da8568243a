/*
 * An invite's secret is good for one join. Who has it asks with an HMAC under
 * it over his key and address, signed, and encrypted to the master: nobody
 * else can ask in his place, nor read who asks. The request's octets are
 * written before they go out, and go out (DHT, POST /ns) until the master's
 * list names us or the invite has expired; then all is as before.
 *
 * At the master's the token comes first, so that only somebody with an open
 * invite makes gpg run; then the invite is used up, and the member added, in
 * one transaction.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "lib/mail/join.h"
#include "lib/mail/packets.h"
#include "lib/mail/urls.h"
#include "lib/mail/value.h"
#include "lib/store/contact.h"
#include "way/group/state.h"

enum { DAY_S = 86400, ASK_FIRST_MS = 1000, ASK_MAX_MS = 60000, POST_MS = 10000, PLAIN_MAX = 16 * 1024 };

/* Inviting. */

char *groups_invite(struct groups *g, const void *ctx, const char *name, const char **group_out, int64_t *expires_out, struct err *e)
{
	void *tmp = mem_ctx(NULL);
	struct invite i = { .group = change_own_name(g, tmp, name, e), .network = network_number(g),
		.expires_s = clock_now_s() + JOIN_LIFE_S };
	char *text = NULL;
	size_t n_open;

	if (i.group == NULL)
		goto out;
	store_invite_open(g->parts.store, tmp, clock_now_s(), &n_open);
	if (n_open >= INVITES_MAX) {
		err_set(e, "%zu invites are open; each ends by itself after %d hours", n_open, JOIN_LIFE_S / 3600);
		goto out;
	}
	snprintf(i.master.address, sizeof(i.master.address), "%s", g->settings.address);
	snprintf(i.master.fpr, sizeof(i.master.fpr), "%s", pgp_own_fpr(g->parts.pgp));
	i.n_bootstrap = network_bootstrap(g, tmp, i.bootstrap, LIMIT_URLS);
	for (; i.n_urls < g->settings.n_urls && i.n_urls < LIMIT_URLS; i.n_urls++)
		i.urls[i.n_urls] = g->settings.urls[i.n_urls];
	random_fill(i.secret, sizeof(i.secret));
	text = invite_print(ctx, &i);
	if (text == NULL) {
		err_set(e, "the invite would be too long: too many URLs (outbox.url) or nodes (dht.bootstrap)");
		goto out;
	}
	struct invite_row row = { .group = i.group, .expires_s = i.expires_s, .used_by = "" };

	memcpy(row.secret, i.secret, sizeof(row.secret));
	store_invite_add(g->parts.store, &row);
	log_info("group=%s invite=made", i.group);
	*group_out = mem_strdup(ctx, i.group);
	*expires_out = i.expires_s;
	explicit_bzero(row.secret, sizeof(row.secret));
out:
	explicit_bzero(i.secret, sizeof(i.secret));
	talloc_free(tmp);
	return text;
}

/* Asking. */

void join_stop(struct entry *e)
{
	dht_put_free(&e->ask_put);
	http_transfer_free(&e->ask_post);
	talloc_free(e->invite);
	e->invite = NULL;
	talloc_free((void *)(uintptr_t)e->ask.data);
	e->ask = bytes_of(NULL, 0);
}

bool join_end(struct entry *e)
{
	struct groups *g = e->groups;

	if (e->invite == NULL)
		return false;
	store_joining_drop(g->parts.store, e->name);
	join_stop(e);
	if (e->counts)
		log_info("group=%s role=member", e->name);
	return true;
}

/* One request being made; its own talloc context. */
struct making {
	struct groups *groups;
	struct pgp *pgp;
	struct join join;
	const char *master_fpr;
	uint8_t secret[INVITE_SECRET_LEN];
	struct bytes value;
	enum outcome res;
	struct err err;
};

static void make_work(void *arg)
{
	struct making *m = arg;
	struct buf *record = buf_new(m, PLAIN_MAX);
	struct value v = { .kind = VALUE_NS, .ns_kind = NS_JOIN };

	m->res = pgp_export_work(m->pgp, m, pgp_own_fpr(m->pgp), false, &m->join.key, &m->err);
	if (m->res != OK)
		return;
	join_mac(m->secret, m->join.fpr, m->join.address, m->join.mac);
	join_print(record, &m->join);
	m->res = pgp_sign_encrypt_work(m->pgp, m, "join/1", &m->master_fpr, 1, buf_bytes(record), &v.message, &m->err);
	if (m->res != OK)
		return;
	v.day = (uint32_t)(m->join.issued_s / DAY_S);
	join_token(m->secret, v.message, v.token);
	m->value = value_print(m, &v);
	if (m->value.len > LIMIT_NS_VALUE) {
		err_set(&m->err, "the request would be %zu octets, the DHT takes %d", m->value.len, LIMIT_NS_VALUE);
		m->res = REJECT;
	}
}

/* The octets are written: from now on they, and no others, go out. */
static void on_made_durable(void *arg, bool durable)
{
	struct making *m = arg;
	struct entry *e = entry_find(m->groups, m->join.group);

	if (e != NULL && durable && e->invite != NULL && e->ask.len == 0)
		e->ask = bytes_dup(e, m->value);
	if (e != NULL)
		e->asking_made = false;
	groups_soon(m->groups);
	talloc_free(m);
}

static void on_make_done(void *arg)
{
	struct making *m = arg;
	struct groups *g = m->groups;
	struct entry *e = entry_find(g, m->join.group);

	if (m->res == OK && e != NULL && e->invite != NULL) {
		struct joining_row row = {
			.group = e->name, .invite = invite_print(m, e->invite), .value = m->value, .expires_s = e->invite->expires_s,
		};

		store_joining_save(g->parts.store, &row);
		store_when_durable(g->parts.store, on_made_durable, m);
		return;
	}
	if (m->res != OK)
		log_warn("group=%s join=unmade why=\"%s\"", m->join.group, m->err.text);
	if (e != NULL)
		e->asking_made = false;
	explicit_bzero(m->secret, sizeof(m->secret));
	talloc_free(m);
}

static void on_make_work(void *arg)
{
	make_work(arg);
}

static void on_make_drop(void *arg)
{
	talloc_free(arg);
}

static void make(struct entry *e)
{
	static const struct pool_job job = { on_make_work, on_make_done, on_make_drop };
	struct groups *g = e->groups;
	struct making *m = mem_zero(NULL, struct making);

	m->groups = g;
	m->pgp = g->parts.pgp;
	m->join.group = mem_strdup(m, e->name);
	m->join.issued_s = clock_now_s();
	m->join.expires_s = e->invite->expires_s;
	snprintf(m->join.address, sizeof(m->join.address), "%s", g->settings.address);
	snprintf(m->join.fpr, sizeof(m->join.fpr), "%s", pgp_own_fpr(g->parts.pgp));
	m->master_fpr = mem_strdup(m, e->invite->master.fpr);
	memcpy(m->secret, e->invite->secret, sizeof(m->secret));
	e->asking_made = true;
	pool_submit(g->parts.pool, POOL_SOON, &job, m);
}

/* Is the master's key in the cache? His descriptor brought it. */
static bool has_masters_key(struct entry *e)
{
	void *ctx = mem_ctx(NULL);
	struct contact *c = store_contact_find(e->groups->parts.store, ctx, e->invite->master.address);
	bool has = c != NULL && strcmp(c->fpr, e->invite->master.fpr) == 0 && c->descriptor.len > 0;

	talloc_free(ctx);
	return has;
}

static void on_posted(void *arg, const struct http_reply *reply)
{
	struct entry *e = arg;

	e->ask_post = NULL;
	/* He has it: his list will not be long in coming. */
	if (reply->status == 202) {
		e->n_looks = 0;
		e->look_at_ms = 0;
		groups_soon(e->groups);
	}
}

static void post(struct entry *e)
{
	void *ctx = mem_ctx(NULL);
	const struct invite *i = e->invite;
	struct contact *c = store_contact_find(e->groups->parts.store, ctx, i->master.address);
	const char *urls = c != NULL && c->urls[0] != '\0' ? c->urls : urls_print(ctx, i->urls, i->n_urls);
	struct http_call call = {
		.method = "POST", .url = urls_first(ctx, urls, "/ns"), .body = e->ask, .max = 4096, .quiet_ms = POST_MS,
		.total_ms = POST_MS, .friend_address = true, .done = on_posted, .arg = e,
	};

	if (call.url != NULL && e->ask_post == NULL)
		e->ask_post = http_call(e->groups->parts.http, &call);
	talloc_free(ctx);
}

static void ask(struct entry *e)
{
	struct groups *g = e->groups;
	char key[LIMIT_ADDRESS + 16];

	if (e->ask.len == 0) {
		if (e->asking_made)
			return;
		if (has_masters_key(e))
			make(e);
		else
			g->hooks.resolve(g->hooks.arg, e->invite->master.address, true);
		return;
	}
	value_key(KEY_NS, e->invite->master.address, key);
	if (e->ask_put == NULL)
		e->ask_put = dht_put_new(g->parts.dht, key, e->ask, NULL, NULL);
	post(e);
}

static void give_up(struct entry *e)
{
	struct groups *g = e->groups;
	void *ctx = mem_ctx(NULL);
	struct group_row *row = row_get(g, ctx, e->name);

	log_info("group=%s join=expired", e->name);
	tell_user(g, "Not in the group", "%s has not taken this peer into the group %s before the invite expired.\r\n\r\n"
	    "Ask for another invite; each is good once, for 24 hours.\r\n", e->invite->master.address, e->name);
	join_end(e);
	if (row->from_conf) {
		talloc_free(ctx);
		return;
	}
	change_out(g, row);
	talloc_free(ctx);
}

int64_t join_tick(struct entry *e, int64_t now_ms)
{
	int64_t pause = ASK_FIRST_MS << (e->n_asks < 6 ? e->n_asks : 6);

	if (e->invite == NULL)
		return INT64_MAX;
	if (clock_now_s() >= e->invite->expires_s) {
		give_up(e);
		return INT64_MAX;
	}
	/* As soon as one step is done the next one begins; what is out is repeated ever less often. */
	if (now_ms < e->ask_at_ms && !(e->ask.len > 0 && e->ask_put == NULL) && !(e->ask.len == 0 && !e->asking_made && has_masters_key(e)))
		return e->ask_at_ms - now_ms;
	e->n_asks++;
	e->ask_at_ms = now_ms + (pause < ASK_MAX_MS ? pause : ASK_MAX_MS);
	ask(e);
	return e->ask_at_ms - now_ms;
}

static void begin(struct groups *g, struct invite *i, struct bytes value)
{
	struct entry *e = entry_get(g, i->group);

	e->ours = true;
	e->sender[0] = '\0';
	e->invite = talloc_steal(e, i);
	e->ask = value.len > 0 ? bytes_dup(e, value) : bytes_of(NULL, 0);
	e->ask_at_ms = e->look_at_ms = 0;
	e->n_asks = e->n_looks = 0;
	find_start(e);
	groups_soon(g);
}

static bool may_join(struct groups *g, const struct group_row *row, const struct invite *i, struct err *e)
{
	if (clock_now_s() >= i->expires_s)
		err_set(e, "this invite has expired; ask %s for another one", i->master.address);
	else if (strcmp(i->master.address, g->settings.address) == 0)
		err_set(e, "this peer is the master of %s: give the invite to somebody else", i->group);
	else if (row->role == GROUP_MASTER)
		err_set(e, "this peer is the master of a group %s of its own; leave that first", i->group);
	else if (row->role != GROUP_NONE && strcmp(row->fpr, i->master.fpr) != 0)
		err_set(e, "another master is known for the group %s: %s; p2pmta-ctl group leave %s forgets it", i->group, row->master, i->group);
	else
		return true;
	return false;
}

/* The master as the invite names him: pinned, and reachable for the first question. */
static bool know_master(struct groups *g, const void *ctx, const struct invite *i, struct err *e)
{
	if (!g->hooks.vouch(g->hooks.arg, i->master.address, i->master.fpr)) {
		err_set(e, "another key is known for %s than that of the invite (%s); find out which is right, then p2pmta-ctl verify %s FPR",
		    i->master.address, i->master.fpr, i->master.address);
		return false;
	}
	struct contact *c = store_contact_find(g->parts.store, ctx, i->master.address);

	if (c != NULL && c->descriptor.len == 0 && i->n_urls > 0) {
		c->urls = urls_print(ctx, i->urls, i->n_urls);
		store_contact_save(g->parts.store, c);
	}
	return true;
}

enum outcome groups_join(struct groups *g, const void *ctx, const char *text, const char **group_out, struct err *e)
{
	void *tmp = mem_ctx(NULL);
	struct invite *i = invite_parse(tmp, text, e);
	struct group_row *row = i != NULL ? row_get(g, tmp, i->group) : NULL;
	enum outcome res = REJECT;

	if (i == NULL || !may_join(g, row, i, e))
		goto out;
	*group_out = mem_strdup(ctx, i->group);
	res = OK;
	if (groups_is_in(g, i->group) || (entry_find(g, i->group) != NULL && entry_find(g, i->group)->invite != NULL))
		goto out;
	res = REJECT;
	if (!know_master(g, tmp, i, e) || !network_take(g, i, e))
		goto out;
	if (row->role != GROUP_MEMBER && strcmp(row->fpr, i->master.fpr) != 0)
		row->serial = row->signed_serial = 0;
	row->role = GROUP_MEMBER;
	row->left = false;
	row->master = i->master.address;
	row->fpr = i->master.fpr;
	store_group_save(g->parts.store, row);
	struct joining_row joining = { .group = i->group, .invite = text, .expires_s = i->expires_s };

	store_joining_save(g->parts.store, &joining);
	log_info("group=%s join=asked master=%s", i->group, i->master.address);
	begin(g, i, bytes_of(NULL, 0));
	res = OK;
out:
	talloc_free(tmp);
	return res;
}

void join_load(struct groups *g)
{
	void *ctx = mem_ctx(NULL);
	size_t n;
	struct joining_row **all = store_joining_all(g->parts.store, ctx, &n);

	for (size_t i = 0; i < n; i++) {
		struct err e;
		struct invite *invite = invite_parse(ctx, all[i]->invite, &e);

		if (invite != NULL)
			begin(g, invite, all[i]->value);
	}
	talloc_free(ctx);
}

/* Taking in. */

/* One request being read; its own talloc context. */
struct reading {
	struct groups *groups;
	struct pgp *pgp;
	struct invite_row invite;
	struct bytes message;
	int64_t now_s;
	struct join *join;
	enum outcome res;
	struct err err;
};

static enum outcome open_request(struct reading *r, struct pgp_verdict *v)
{
	struct bytes plain;
	enum outcome res = pgp_open_work(r->pgp, r, "join/1", r->message, PLAIN_MAX, &plain, v, &r->err);

	if (res != OK)
		return res;
	r->join = join_parse(r, plain, &r->err);
	return r->join != NULL ? OK : REJECT;
}

/* His key comes with it, and has to be the one that signed it. */
static enum outcome open_with_its_key(struct reading *r, struct pgp_verdict *v)
{
	char fpr[FPR_LEN];
	enum outcome res = pgp_import_work(r->pgp, r->join->key, fpr, &r->err);

	return res == OK ? open_request(r, v) : res;
}

static bool is_good(const struct reading *r, const struct pgp_verdict *v, struct err *e)
{
	const struct join *j = r->join;
	uint8_t mac[32];

	join_mac(r->invite.secret, j->fpr, j->address, mac);
	if (v->signer != PGP_GOOD || strcmp(v->fpr, j->fpr) != 0)
		err_set(e, "not signed by the key that it names");
	else if (!secret_equal(mac, j->mac, sizeof(mac)))
		err_set(e, "its proof is not by the invite");
	else if (strcmp(j->group, r->invite.group) != 0)
		err_set(e, "it is for another group than the invite");
	else if (j->issued_s > r->now_s + DAY_S || j->expires_s + DAY_S < r->now_s)
		err_set(e, "it is not of this time");
	else
		return true;
	return false;
}

static void read_work(void *arg)
{
	struct reading *r = arg;
	struct pgp_verdict v = { 0 };

	r->res = open_request(r, &v);
	if (r->res == OK && v.signer == PGP_UNKNOWN)
		r->res = open_with_its_key(r, &v);
	if (r->res == OK && !is_good(r, &v, &r->err))
		r->res = REJECT;
}

static bool is_open(struct groups *g, const void *ctx, const uint8_t secret[32])
{
	size_t n;
	struct invite_row **open = store_invite_open(g->parts.store, ctx, clock_now_s(), &n);

	for (size_t i = 0; i < n; i++)
		if (secret_equal(open[i]->secret, secret, 32))
			return true;
	return false;
}

/* Invite, member and serial change together, or nothing does. */
static enum outcome take_in(struct groups *g, struct reading *r)
{
	struct group_row *row = store_group_find(g->parts.store, r, r->invite.group);
	const struct join *j = r->join;

	if (row == NULL || row->role != GROUP_MASTER) {
		err_set(&r->err, "this peer is not the master of %s any more", r->invite.group);
		return REJECT;
	}
	if (!is_open(g, r, r->invite.secret)) {
		err_set(&r->err, "the invite was used or has expired");
		return REJECT;
	}
	if (change_add(g, row, j->address, j->fpr, &r->err) != OK)
		return REJECT;
	store_invite_use(g->parts.store, r->invite.secret, j->address, clock_now_s());
	tell_user(g, "A new member", "%s has joined the group %s by your invite.\r\n\r\nfingerprint  %s\r\n\r\n"
	    "p2pmta-ctl group remove %s takes it back.\r\n", j->address, row->name, j->fpr, j->address);
	return OK;
}

static bool is_being_read(const struct groups *g, const uint8_t secret[32])
{
	for (unsigned i = 0; i < g->n_joins; i++)
		if (secret_equal(g->joins[i], secret, 32))
			return true;
	return false;
}

static void read_ended(struct groups *g, const uint8_t secret[32])
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->n_joins; i++)
		if (!secret_equal(g->joins[i], secret, 32))
			memmove(g->joins[n++], g->joins[i], 32);
	g->n_joins = n;
}

static void on_read_done(void *arg)
{
	struct reading *r = arg;
	struct groups *g = r->groups;

	read_ended(g, r->invite.secret);
	if (r->res == OK)
		r->res = take_in(g, r);
	if (r->res != OK)
		log_warn("group=%s join=%s why=\"%s\"", r->invite.group, r->res == REJECT ? "refused" : "again", r->err.text);
	explicit_bzero(r->invite.secret, sizeof(r->invite.secret));
	talloc_free(r);
}

static void on_read_drop(void *arg)
{
	talloc_free(arg);
}

/* Whose open invite made this token? */
static struct invite_row *invite_of(struct groups *g, const void *ctx, const struct value *v)
{
	size_t n;
	struct invite_row **open = store_invite_open(g->parts.store, ctx, clock_now_s(), &n), *found = NULL;

	for (size_t i = 0; i < n; i++) {
		uint8_t token[VALUE_TOKEN_LEN];

		join_token(open[i]->secret, v->message, token);
		if (secret_equal(token, v->token, sizeof(token)))
			found = open[i];
	}
	return found;
}

void groups_on_join(struct groups *g, struct bytes octets)
{
	static const struct pool_job job = { read_work, on_read_done, on_read_drop };
	void *ctx = mem_ctx(NULL);
	struct invite_row *invite;
	struct value v;
	struct err e;

	if (octets.len > LIMIT_NS_VALUE || value_parse(octets, &v) < 0 || v.kind != VALUE_NS || v.ns_kind != NS_JOIN ||
	    !value_day_good(v.day, clock_now_s()) || g->n_joins >= JOINS_MAX)
		goto out;
	invite = invite_of(g, ctx, &v);
	if (invite == NULL || is_being_read(g, invite->secret) || packets_check(PACKETS_NS, v.message, &e) < 0)
		goto out;
	struct reading *r = mem_zero(NULL, struct reading);

	r->groups = g;
	r->pgp = g->parts.pgp;
	r->invite = *invite;
	r->invite.group = mem_strdup(r, invite->group);
	r->message = bytes_dup(r, v.message);
	r->now_s = clock_now_s();
	memcpy(g->joins[g->n_joins++], invite->secret, 32);
	pool_submit(g->parts.pool, POOL_SOON, &job, r);
out:
	talloc_free(ctx);
}
