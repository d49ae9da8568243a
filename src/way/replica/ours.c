/*
 * Our outbox for the members. A change of a letter makes it dirty; dirty ones
 * are taken in batches, each gets a new notices object if what it says has
 * changed (one gpg run each, behind everything somebody waits for), and after
 * the batch the list is made once. What the list is made of stays in RAM, so a
 * list costs no reading of rows. Before every letter was looked at once there
 * is no new list: members drop what a list has no more.
 *
 * The token that members must know changes with who they are; the greeting, a
 * list without lines and with serial 0, tells it to whom can read it, also to
 * members of other groups, whose outbox we hold, and who do not hold ours.
 * Serial 0 makes it worthless as a list.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/mail/value.h"
#include "way/replica/ours.h"

enum {
	DEBOUNCE_MS = 100, BATCH = 64, AGAIN_MS = 5000,
	MANY = 16, MANY_MS = 10000,	/* a letter with many recipients: not a large object for each receipt */
	LOOK_MS = 3600 * 1000,
	RENEW_S = 12 * 3600,
};

/* One object; its own talloc context. */
struct making {
	struct ours *own;
	enum { MAKE_NOTICES, MAKE_LIST, MAKE_GREETING } what;
	unsigned long generation;
	struct pgp *pgp;
	const char **fprs;
	size_t n_fprs;
	const char *dir;		/* notices: outbox/ */
	struct bytes plain, sealed;
	uint64_t letter, serial;
	unsigned long batch;
	int64_t issued_s;
	uint8_t hash[32], made_of[32], digest[32];
	enum outcome res;
	struct err err;
};

static void process(struct ours *o);

static void make_work(void *arg)
{
	struct making *m = arg;
	const char *role = m->what == MAKE_NOTICES ? "notices/1" : "msglist/1";

	m->res = pgp_sign_encrypt_work(m->pgp, m, role, m->fprs, m->n_fprs, m->plain, &m->sealed, &m->err);
	if (m->res != OK || m->what != MAKE_NOTICES)
		return;
	digest_of(m->sealed, m->digest);
	m->res = files_put(files_fanout(m, m->dir, m->digest), m->sealed, &m->err);
}

static struct item *item_find(const struct ours *o, uint64_t letter)
{
	struct item *i;

	HASH_FIND(hh, o->items, &letter, sizeof(letter), i);
	return i;
}

static void drop_notices(struct ours *o, const uint8_t hash[32])
{
	store_own_notices_drop(o->r->parts.store, hash);
	o->r->table.notices_set(o->r->table.members, hash, NULL);
}

static void item_drop(struct ours *o, struct item *i)
{
	HASH_DELETE(hh, o->items, i);
	HASH_DELETE(hh_hash, o->by_hash, i);	/* NOLINT(clang-analyzer-core.NullDereference): uthash's */
	talloc_free(i);
}

static void mark(struct ours *o, uint64_t letter)
{
	struct dirty *d;

	HASH_FIND(hh, o->dirty, &letter, sizeof(letter), d);
	if (d != NULL)
		return;
	d = talloc_zero(o, struct dirty);
	d->letter = letter;
	HASH_ADD(hh, o->dirty, letter, sizeof(d->letter), d);
}

static void take_notices(struct ours *o, const struct making *m)
{
	struct own_notices n = { .size = m->sealed.len };
	struct item *i = item_find(o, m->letter);

	memcpy(n.hash, m->hash, 32);
	memcpy(n.made_of, m->made_of, 32);
	memcpy(n.digest, m->digest, 32);
	if (i == NULL) {
		store_place_sweep(o->r->parts.store, PLACE_OUTBOX, m->digest);
		return;
	}
	i->kept = true;
	i->made_ms = clock_mono_ms();
	memcpy(i->digest, m->digest, 32);
	store_own_notices_save(o->r->parts.store, &n);
	o->r->table.notices_set(o->r->table.members, m->hash, m->digest);
}

/* A list whose row is written. */
struct publishing {
	struct ours *own;
	unsigned long generation;
};

static void on_list_durable(void *arg, bool durable)
{
	struct publishing *p = arg;
	struct ours *o = p->own;
	struct replicas *r = o != NULL ? o->r : NULL;

	if (durable && r != NULL && !r->stopped && p->generation == o->generation) {
		r->table.list_set(r->table.members, "", o->row.octets, o->row.serial);
		log_info("msglist=%llu messages=%u state=published", (unsigned long long)o->row.serial, HASH_COUNT(o->items));
		push_published(r);
	}
	talloc_free(p);
}

static void save_row(struct ours *o)
{
	store_own_list_save(o->r->parts.store, &o->row);
}

static void take_list(struct ours *o, const struct making *m)
{
	struct publishing *p = talloc_zero(NULL, struct publishing);

	talloc_free((void *)(uintptr_t)o->row.octets.data);
	o->row.octets = bytes_dup(o, m->sealed);
	o->row.serial = m->serial;
	o->row.issued_s = m->issued_s;
	for (struct item *i = o->items; i != NULL; i = i->hh.next)
		if (i->n_recalls > 0 && i->recall_serial == 0 && i->batch < m->batch)
			i->recall_serial = m->serial;
	memcpy(o->row.made_of, m->made_of, 32);
	save_row(o);
	p->own = o;
	p->generation = o->generation;
	store_when_durable(o->r->parts.store, on_list_durable, p);
}

static void take_greeting(struct ours *o, const struct making *m)
{
	talloc_free((void *)(uintptr_t)o->row.greeting.data);
	o->row.greeting = bytes_dup(o, m->sealed);
	save_row(o);
	o->r->table.greeting_set(o->r->table.members, o->row.greeting);
}

static void make_done(void *arg)
{
	struct making *m = arg;
	struct ours *o = m->own;
	bool current = m->generation == o->generation;

	o->n_running -= m->what == MAKE_NOTICES;
	if (m->what == MAKE_LIST)
		o->list_running = false;
	if (m->res != OK) {
		log_warn("members=%s why=\"%s\"", m->what == MAKE_NOTICES ? "notices" : "msglist", m->err.text);
		if (m->what == MAKE_NOTICES)
			mark(o, m->letter);
		timer_set(o->timer, AGAIN_MS);
	} else if (!current) {
		if (m->what == MAKE_NOTICES)
			store_place_sweep(o->r->parts.store, PLACE_OUTBOX, m->digest);
	} else if (m->what == MAKE_NOTICES) {
		take_notices(o, m);
	} else if (m->what == MAKE_LIST) {
		take_list(o, m);
	} else {
		take_greeting(o, m);
	}
	talloc_free(m);
	if (!timer_is_set(o->timer))
		process(o);
}

static void make_drop(void *arg)
{
	talloc_free(arg);
}

static void submit(struct ours *o, struct making *m, enum pool_lane lane)
{
	static const struct pool_job job = { make_work, make_done, make_drop };

	m->own = o;
	m->generation = o->generation;
	m->pgp = o->r->parts.pgp;
	m->n_fprs = m->what == MAKE_GREETING ? o->n_all : o->n_fprs;
	m->fprs = talloc_array(m, const char *, m->n_fprs);
	for (size_t i = 0; i < m->n_fprs; i++)
		m->fprs[i] = talloc_strdup(m, o->fprs[i]);
	m->dir = talloc_strdup(m, store_dir(o->r->parts.store, PLACE_OUTBOX));
	pool_submit(o->r->parts.pool, lane, &job, m);
}

/* The same members and the same text need no new object. */
static void made_of(const struct ours *o, struct bytes text, uint8_t out[32])
{
	struct digest *d = digest_new(NULL);

	digest_add(d, o->row.members_hash, 32);
	digest_add(d, o->row.token, 32);
	digest_add(d, text.data, text.len);
	digest_take(d, out);
	talloc_free(d);
}

/* --- letters --- */

static void notices_of(const struct ours *o, const struct own_message *m, struct notices *n)
{
	snprintf(n->owner, sizeof(n->owner), "%s", o->r->settings.address);
	memcpy(n->hash, m->hash, 32);
	n->has_head = m->has_head;
	memcpy(n->head_hash, m->head_hash, 32);
	n->head_size = m->head_size;
	n->items = talloc_zero_array(n, struct notices_item, m->n_rcpts);
	for (size_t i = 0; i < m->n_rcpts; i++) {
		const struct own_rcpt *r = &m->rcpts[i];
		struct notices_item *item = &n->items[n->n_items];
		char key[LIMIT_ADDRESS + 16];

		if (r->recalled)
			continue;
		value_key(KEY_NS, r->address, key);
		dht_key_hash(key, item->key);
		item->expires_s = r->expires_s;
		item->value = r->value;
		ours_commitment(r, m->hash, PROOF_GET, item->c_get);
		ours_commitment(r, m->hash, PROOF_GOT, item->c_got);
		ours_commitment(r, m->hash, PROOF_DECLINED, item->c_declined);
		ours_commitment(r, m->hash, PROOF_RECALL, item->c_recall);
		n->n_items++;
	}
}

static void set_recalls(struct item *i, const struct own_message *m)
{
	talloc_free(i->recalls);
	i->recalls = talloc_array(i, uint8_t, 32 * m->n_rcpts);
	i->n_recalls = 0;
	for (size_t k = 0; k < m->n_rcpts; k++)
		if (m->rcpts[k].recalled)
			proof_make(PROOF_RECALL, m->rcpts[k].secret, m->hash, i->recalls + 32 * i->n_recalls++);
}

static struct item *item_get(struct ours *o, const struct own_message *m)
{
	struct item *i = item_find(o, m->letter);

	if (i != NULL)
		return i;
	i = talloc_zero(o, struct item);
	i->letter = m->letter;
	memcpy(i->hash, m->hash, 32);
	HASH_ADD(hh, o->items, letter, sizeof(i->letter), i);
	HASH_ADD(hh_hash, o->by_hash, hash, 32, i);
	return i;
}

static int64_t latest(const struct own_message *m)
{
	int64_t expires_s = 0;

	for (size_t i = 0; i < m->n_rcpts; i++)
		if (!m->rcpts[i].recalled && m->rcpts[i].expires_s > expires_s)
			expires_s = m->rcpts[i].expires_s;
	return expires_s;
}

static bool is_there(const struct ours *o, const struct own_notices *had)
{
	char *path = store_path(o->r->parts.store, NULL, PLACE_OUTBOX, had->digest);
	bool there = access(path, F_OK) == 0;

	talloc_free(path);
	return there;
}

/* Has it an object that says this? Else one is made. */
static void want_notices(struct ours *o, struct item *i, const struct own_message *m)
{
	struct making *job = talloc_zero(NULL, struct making);
	struct notices *n = talloc_zero(job, struct notices);
	struct buf *text = buf_new(job, LIMIT_LIST + LIMIT_RECORD);
	struct own_notices *had = store_own_notices_find(o->r->parts.store, job, m->hash);

	notices_of(o, m, n);
	notices_print(text, n);
	job->plain = buf_bytes(text);
	made_of(o, job->plain, job->made_of);
	if (text->overflow) {
		log_warn("letter=%llu why=\"more recipients than members can be told of\"", (unsigned long long)m->letter);
	} else if (had != NULL && memcmp(had->made_of, job->made_of, 32) == 0 && is_there(o, had)) {
		i->kept = true;
		memcpy(i->digest, had->digest, 32);
		o->r->table.notices_set(o->r->table.members, i->hash, i->digest);
	} else {
		job->what = MAKE_NOTICES;
		job->letter = m->letter;
		memcpy(job->hash, m->hash, 32);
		o->n_running++;
		submit(o, job, POOL_BULK);
		return;
	}
	talloc_free(job);
}

/* Those who hold it must hear of it: until then nobody knows whether it came in time. */
static void note_withdrawn(struct ours *o, struct item *i)
{
	talloc_free(i->holders);
	i->holders = i->kept ? talloc_strdup(i, store_holders(o->r->parts.store, i, i->hash)) : NULL;
	i->recall_serial = 0;
	i->batch = o->n_lists;
}

/* False: later, it was made a moment ago and has many recipients. */
static bool refresh(struct ours *o, uint64_t letter)
{
	void *ctx = talloc_new(NULL);
	struct own_message *m = store_own_message(o->r->parts.store, ctx, letter, clock_now_s());
	struct item *i = item_find(o, letter);
	bool now = true;

	if (m == NULL && i != NULL) {
		drop_notices(o, i->hash);
		item_drop(o, i);
	} else if (m != NULL) {
		size_t recalls = i != NULL ? i->n_recalls : 0;

		i = item_get(o, m);
		set_recalls(i, m);
		if (i->n_recalls > recalls)
			note_withdrawn(o, i);
		i->size = m->sealed_size;
		i->expires_s = latest(m);
		if (m->dropped || i->expires_s == 0) {
			i->kept = false;
			drop_notices(o, i->hash);
		} else if (m->n_rcpts > MANY && i->kept && recalls == i->n_recalls && clock_mono_ms() - i->made_ms < MANY_MS) {
			now = false;
		} else {
			want_notices(o, i, m);
		}
	}
	talloc_free(ctx);
	return now;
}

/* --- the list --- */

static void list_of(const struct ours *o, struct msglist *l)
{
	struct item *i, *next;

	snprintf(l->owner, sizeof(l->owner), "%s", o->r->settings.address);
	l->group = o->r->hooks.group(o->r->hooks.arg);
	memcpy(l->member_token, o->row.token, 32);
	l->items = talloc_zero_array(l, struct msglist_item, 2 * HASH_COUNT(o->items) + 1);
	HASH_ITER(hh, o->items, i, next) {
		struct msglist_item item = { .sealed_size = i->size, .expires_s = i->expires_s };

		memcpy(item.hash, i->hash, 32);
		memcpy(item.notices_hash, i->digest, 32);
		if (i->kept)
			l->items[l->n_items++] = item;
		item.withdrawn = true;
		item.recalls = i->recalls;
		item.n_recalls = i->n_recalls;
		if (i->n_recalls > 0)
			l->items[l->n_items++] = item;
	}
}

static uint64_t next_serial(const struct ours *o)
{
	uint64_t now = (uint64_t)clock_now_ms();

	return now > o->row.serial ? now : o->row.serial + 1;
}

static void want_list(struct ours *o, bool greeting)
{
	struct making *job = talloc_zero(NULL, struct making);
	struct msglist *l = talloc_zero(job, struct msglist);
	struct buf *text = buf_new(job, LIMIT_LIST + LIMIT_RECORD);

	list_of(o, l);
	if (l->group == NULL)
		goto none;
	if (greeting)
		l->n_items = 0;
	else
		msglist_print(text, l);		/* without serial and time: the same again? */
	made_of(o, buf_bytes(text), job->made_of);
	job->issued_s = clock_now_s();
	if (!greeting && o->row.octets.len > 0 && memcmp(job->made_of, o->row.made_of, 32) == 0 &&
	    job->issued_s - o->row.issued_s < RENEW_S && job->issued_s >= o->row.issued_s)
		goto none;
	l->serial = greeting ? 0 : next_serial(o);
	l->issued_s = job->issued_s;
	job->serial = l->serial;
	buf_clear(text);
	msglist_print(text, l);
	if (text->overflow) {
		log_warn("msglist=unsent why=\"more messages than members can be told of\"");
		goto none;
	}
	job->plain = buf_bytes(text);
	job->what = greeting ? MAKE_GREETING : MAKE_LIST;
	o->list_running |= !greeting;
	o->n_lists += !greeting;
	job->batch = o->n_lists;
	submit(o, job, POOL_SOON);
	return;
none:
	talloc_free(job);
}

/* Rows of letters that are gone: they were dropped while nobody looked. */
static void drop_orphans(struct ours *o)
{
	void *ctx = talloc_new(NULL);
	size_t n;
	struct own_notices **all = store_own_notices_all(o->r->parts.store, ctx, &n);

	for (size_t i = 0; i < n; i++)
		if (!ours_has(o, all[i]->hash))
			drop_notices(o, all[i]->hash);
	talloc_free(ctx);
}

static void process(struct ours *o)
{
	struct dirty *d, *next;
	size_t n = 0;
	bool later = false;

	if (!o->active || o->n_running > 0 || o->list_running)
		return;
	HASH_ITER(hh, o->dirty, d, next) {
		if (n == BATCH)
			break;
		if (!refresh(o, d->letter)) {
			later = true;
			continue;
		}
		n++;
		HASH_DELETE(hh, o->dirty, d);
		talloc_free(d);
	}
	if (!o->looked && o->dirty == NULL && o->n_running == 0) {
		o->looked = true;
		drop_orphans(o);
	}
	if (o->n_running == 0 && o->looked)
		want_list(o, false);
	if (n == BATCH && o->n_running == 0 && !o->list_running)
		timer_set(o->timer, 0);
	else if (later)
		timer_set(o->timer, MANY_MS / 4);
}

void ours_on_letter(struct ours *o, uint64_t letter)
{
	if (!o->active)
		return;
	mark(o, letter);
	timer_set(o->timer, DEBOUNCE_MS);
}

static void mark_all(struct ours *o)
{
	void *ctx = talloc_new(NULL);
	size_t n;
	uint64_t *ids = store_own_messages(o->r->parts.store, ctx, clock_now_s(), &n);

	for (size_t i = 0; i < n; i++)
		mark(o, ids[i]);
	talloc_free(ctx);
	timer_set(o->timer, 0);
}

static void on_timer(void *arg)
{
	process(arg);
}

static void on_look(void *arg)
{
	struct ours *o = arg;

	timer_set(o->look, LOOK_MS);
	if (!o->active)
		return;
	for (struct item *i = o->items; i != NULL; i = i->hh.next)
		mark(o, i->letter);
	mark_all(o);
}

static void clear_items(struct ours *o)
{
	struct item *i, *next;
	struct dirty *d, *next_dirty;

	HASH_ITER(hh, o->items, i, next)
		item_drop(o, i);
	HASH_ITER(hh, o->dirty, d, next_dirty) {
		HASH_DELETE(hh, o->dirty, d);
		talloc_free(d);
	}
}

/* --- members --- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_fprs(struct ours *o, bool ours)
{
	size_t first = o->n_all;

	for (const struct member *m = o->r->members; m != NULL; m = m->hh.next)
		if (m->ours == ours)
			o->fprs[o->n_all++] = talloc_strdup(o->fprs, m->fpr);
	qsort(o->fprs + first, o->n_all - first, sizeof(*o->fprs), by_text);
}

/* Who reads our list and greeting; the digest of that. */
static void set_fprs(struct ours *o, uint8_t hash_out[32])
{
	struct digest *d = digest_new(NULL);
	const char *group = o->r->hooks.group(o->r->hooks.arg);

	talloc_free(o->fprs);
	o->fprs = talloc_array(o, const char *, HASH_COUNT(o->r->members) + 1);
	o->n_all = 0;
	add_fprs(o, true);
	o->n_fprs = o->n_all;
	add_fprs(o, false);
	digest_add(d, group != NULL ? group : "", group != NULL ? strlen(group) : 0);
	for (size_t i = 0; i < o->n_all; i++) {
		if (i == o->n_fprs)
			digest_add(d, "\n", 1);
		digest_add(d, o->fprs[i], strlen(o->fprs[i]));
	}
	digest_take(d, hash_out);
	talloc_free(d);
}

static void deactivate(struct ours *o)
{
	static const uint8_t none[32];
	struct replicas_table *t = &o->r->table;

	if (o->active || o->row.serial != 0 || o->row.greeting.len > 0)
		store_own_list_forget(o->r->parts.store);
	o->active = o->shown = false;
	o->generation++;
	clear_items(o);
	o->row = (struct own_list){ .serial = o->row.serial };
	t->set(t->members, NULL, 0, none);
	t->greeting_set(t->members, bytes_of(NULL, 0));
	t->list_set(t->members, "", bytes_of(NULL, 0), 0);
}

static void show_fellows(struct ours *o)
{
	struct replicas_table *t = &o->r->table;
	void *ctx = talloc_new(NULL);
	struct member_fellow *all = talloc_array(ctx, struct member_fellow, HASH_COUNT(o->r->members) + 1);
	size_t n = 0;

	for (const struct member *m = o->r->members; m != NULL; m = m->hh.next)
		all[n++] = (struct member_fellow){ m->address, m->groups, m->own };
	t->set(t->members, all, n, o->row.token);
	talloc_free(ctx);
}

static void show(struct ours *o)
{
	struct replicas_table *t = &o->r->table;

	show_fellows(o);
	t->greeting_set(t->members, o->row.greeting);
	t->list_set(t->members, "", o->row.octets, o->row.serial);
}

void ours_on_members(struct ours *o)
{
	uint8_t hash[32];

	set_fprs(o, hash);
	if (o->n_fprs == 0 && (o->active || o->n_all == 0))
		deactivate(o);
	if (o->n_all == 0)
		return;
	if (o->shown && memcmp(hash, o->row.members_hash, 32) == 0) {
		show_fellows(o);
		return;
	}
	if (memcmp(hash, o->row.members_hash, 32) != 0) {
		o->generation++;
		memcpy(o->row.members_hash, hash, 32);
		random_fill(o->row.token, 32);
		o->row.octets = o->row.greeting = bytes_of(NULL, 0);
		save_row(o);
		for (struct member *m = o->r->members; m != NULL; m = m->hh.next)
			m->pushed = 0;
	}
	o->active = o->n_fprs > 0;
	o->shown = true;
	o->looked = false;
	show(o);
	if (o->row.greeting.len == 0)
		want_list(o, true);
	if (o->active)
		mark_all(o);
}

/* --- life --- */

static void load(struct ours *o)
{
	struct own_list *row = store_own_list_find(o->r->parts.store, o);

	o->row = row != NULL ? *row : (struct own_list){ .serial = 0 };
}

void ours_reload(struct ours *o)
{
	o->active = o->shown = false;
	o->generation++;
	clear_items(o);
	load(o);
	ours_on_members(o);
}

struct ours *ours_start(struct replicas *r)
{
	struct ours *o = talloc_zero(r, struct ours);

	o->r = r;
	o->timer = timer_new(r->parts.loop, on_timer, o);
	o->look = timer_new(r->parts.loop, on_look, o);
	timer_set(o->look, LOOK_MS);
	load(o);
	return o;
}

void ours_stop(struct ours **op)
{
	struct ours *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	clear_items(o);
	timer_free(&o->timer);
	timer_free(&o->look);
	talloc_free(o);
}
