/*
 * One mutex; owners by address, their replicas by h in one table, because a
 * recipient asks by h alone. The same h of two owners is two replicas: what
 * one of them says of his recipients is nothing to the other. Files are named
 * by their content, so that a path needs no room here.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <talloc.h>
#include <uthash.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/mail/value.h"
#include "way/outbox/members.h"

enum { HELD_MAX = 32 * 1024 * 1024 };

struct fellow {
	char *address;
	uint64_t groups, own;
	UT_hash_handle hh;
};

struct owner {
	char *address;			/* "" ourselves */
	struct bytes list;
	uint64_t serial;
	bool serve;
	UT_hash_handle hh;
};

struct notices_object {
	uint8_t hash[32], digest[32];
	UT_hash_handle hh;
};

struct held_rcpt {
	uint8_t c_get[32], proof[32];
	int64_t expires_s;
	enum replica_rcpt_state state;
	bool tell, served;
};

struct held {
	uint8_t hash[32], head_hash[32], noticed[32];
	bool listed, body, whole, has_head, has_notices, newest_notices, coming;
	uint64_t sealed_size, head_size;
	struct held_rcpt *rcpts;
	size_t n_rcpts;
	struct owner *owner;
	struct held *next;		/* of another owner, same h */
	UT_hash_handle hh;
};

struct members {
	pthread_mutex_t lock;
	char *outbox, *replicas;
	uint8_t token[32];
	struct fellow *fellows;
	struct bytes greeting;
	struct owner *owners;
	struct notices_object *notices;
	struct held *held;
	struct clock_mark awake;
	uint64_t quota, used, uploading;	/* octets of bodies and heads: that may be here, are, and are being brought */
};

struct members *members_new(const char *outbox, const char *replicas)
{
	struct members *m = talloc_zero(NULL, struct members);

	pthread_mutex_init(&m->lock, NULL);
	m->outbox = talloc_strdup(m, outbox);
	m->replicas = talloc_strdup(m, replicas);
	return m;
}

static void fellows_free(struct members *m)
{
	struct fellow *f, *next;

	HASH_ITER(hh, m->fellows, f, next) {
		HASH_DELETE(hh, m->fellows, f);
		talloc_free(f);
	}
}

static uint64_t room_of(const struct held *h)
{
	return h->sealed_size + (h->has_head ? h->head_size : 0);
}

static void held_remove(struct members *m, struct held *h)
{
	struct held *first, *prev;

	m->used -= h->body ? room_of(h) : 0;
	HASH_FIND(hh, m->held, h->hash, 32, first);
	if (first == h) {
		HASH_DELETE(hh, m->held, h);
		if (h->next != NULL)
			HASH_ADD(hh, m->held, hash, 32, h->next);
	} else {
		for (prev = first; prev->next != h; prev = prev->next)	/* NOLINT(clang-analyzer-core.NullDereference): it is there */
			;
		prev->next = h->next;
	}
	talloc_free(h);
}

static void owner_remove(struct members *m, struct owner *o)
{
	struct held *h, *next_hash, *next;

	HASH_ITER(hh, m->held, h, next_hash) {
		for (struct held *at = h; at != NULL; at = next) {
			next = at->next;
			if (at->owner == o)
				held_remove(m, at);
		}
	}
	HASH_DELETE(hh, m->owners, o);
	talloc_free(o);
}

void members_free(struct members **mp)
{
	struct members *m = *mp;
	struct owner *o, *next_owner;
	struct notices_object *n, *next_notices;

	*mp = NULL;
	if (m == NULL)
		return;
	fellows_free(m);
	HASH_ITER(hh, m->owners, o, next_owner)
		owner_remove(m, o);
	HASH_ITER(hh, m->notices, n, next_notices) {
		HASH_DELETE(hh, m->notices, n);
		talloc_free(n);
	}
	pthread_mutex_destroy(&m->lock);
	explicit_bzero(m->token, sizeof(m->token));
	talloc_free(m);
}

/* Under the lock from here on. */

static struct owner *owner_find(struct members *m, const char *address)
{
	struct owner *o;

	HASH_FIND_STR(m->owners, address, o);
	return o;
}

static struct owner *owner_get(struct members *m, const char *address)
{
	struct owner *o = owner_find(m, address);

	if (o == NULL) {
		o = talloc_zero(m, struct owner);
		o->address = talloc_strdup(o, address);
		HASH_ADD_KEYPTR(hh, m->owners, o->address, strlen(o->address), o);
	}
	return o;
}

static struct held *held_first(struct members *m, const uint8_t hash[32])
{
	struct held *h;

	HASH_FIND(hh, m->held, hash, 32, h);
	return h;
}

static struct held *held_of(struct members *m, const char *owner, const uint8_t hash[32])
{
	struct held *h = held_first(m, hash);

	while (h != NULL && strcmp(h->owner->address, owner) != 0)
		h = h->next;
	return h;
}

static const struct fellow *fellow_find(struct members *m, const char *address)
{
	struct fellow *f;

	HASH_FIND_STR(m->fellows, address, f);
	return f;
}

static bool may_ask(struct members *m, const char *who, const char *owner)
{
	const struct fellow *asking = fellow_find(m, who), *asked = fellow_find(m, owner);
	uint64_t own = owner[0] == '\0' ? 1 : asked != NULL ? asked->own : 0;

	return asking != NULL && (asking == asked || (asking->groups & own) != 0);
}

void members_set(struct members *m, const struct member_fellow *all, size_t n, const uint8_t token[32])
{
	pthread_mutex_lock(&m->lock);
	fellows_free(m);
	for (size_t i = 0; i < n; i++) {
		struct fellow *f = talloc_zero(m, struct fellow);

		f->address = talloc_strdup(f, all[i].address);
		f->groups = all[i].groups;
		f->own = all[i].own;
		HASH_ADD_KEYPTR(hh, m->fellows, f->address, strlen(f->address), f);
	}
	memcpy(m->token, token, sizeof(m->token));
	pthread_mutex_unlock(&m->lock);
}

static void replace(const void *ctx, struct bytes *at, struct bytes with)
{
	talloc_free((void *)(uintptr_t)at->data);
	*at = with.len > 0 ? bytes_dup(ctx, with) : bytes_of(NULL, 0);
}

void members_greeting_set(struct members *m, struct bytes octets)
{
	pthread_mutex_lock(&m->lock);
	replace(m, &m->greeting, octets);
	pthread_mutex_unlock(&m->lock);
}

void members_list_set(struct members *m, const char *owner, struct bytes octets, uint64_t serial)
{
	pthread_mutex_lock(&m->lock);
	struct owner *o = owner_get(m, owner);

	replace(o, &o->list, octets);
	o->serial = serial;
	pthread_mutex_unlock(&m->lock);
}

void members_notices_set(struct members *m, const uint8_t hash[32], const uint8_t *digest)
{
	struct notices_object *n;

	pthread_mutex_lock(&m->lock);
	HASH_FIND(hh, m->notices, hash, 32, n);
	if (n != NULL && digest == NULL) {
		HASH_DELETE(hh, m->notices, n);
		talloc_free(n);
	} else if (digest != NULL) {
		if (n == NULL) {
			n = talloc_zero(m, struct notices_object);
			memcpy(n->hash, hash, 32);
			HASH_ADD(hh, m->notices, hash, 32, n);
		}
		memcpy(n->digest, digest, 32);
	}
	pthread_mutex_unlock(&m->lock);
}

static struct held *held_get(struct members *m, const char *owner, const uint8_t hash[32])
{
	struct held *h = held_of(m, owner, hash), *first = held_first(m, hash);

	if (h != NULL)
		return h;
	h = talloc_zero(m, struct held);
	h->owner = owner_get(m, owner);
	memcpy(h->hash, hash, 32);
	if (first != NULL) {
		h->next = first->next;
		first->next = h;
	} else {
		HASH_ADD(hh, m->held, hash, 32, h);
	}
	return h;
}

void members_replica_set(struct members *m, const struct replica *r, struct replica_rcpt *const *rcpts, size_t n)
{
	static const uint8_t none[32];

	pthread_mutex_lock(&m->lock);
	struct held *h = held_get(m, r->owner, r->hash);

	m->used -= h->body ? room_of(h) : 0;
	memcpy(h->head_hash, r->head_hash, 32);
	memcpy(h->noticed, r->noticed, 32);
	h->listed = r->listed;
	h->body = r->body;
	h->whole = r->listed && replica_is_whole(r);
	h->has_head = r->has_head;
	h->sealed_size = r->sealed_size;
	h->head_size = r->head_size;
	m->used += h->body ? room_of(h) : 0;
	h->has_notices = memcmp(r->noticed, none, 32) != 0;
	h->newest_notices = memcmp(r->noticed, r->notices_hash, 32) == 0;
	talloc_free(h->rcpts);
	h->rcpts = talloc_zero_array(h, struct held_rcpt, n);
	h->n_rcpts = n;
	for (size_t i = 0; i < n; i++) {
		struct held_rcpt *rcpt = &h->rcpts[i];

		memcpy(rcpt->c_get, rcpts[i]->c_get, 32);
		memcpy(rcpt->proof, rcpts[i]->proof, 32);
		rcpt->expires_s = rcpts[i]->expires_s;
		rcpt->state = rcpts[i]->state;
		rcpt->served = rcpts[i]->served;
		rcpt->tell = rcpts[i]->value.len > 0 &&
		    (rcpt->state == REPLICA_GOT || rcpt->state == REPLICA_DECLINED);
	}
	pthread_mutex_unlock(&m->lock);
}

void members_replica_drop(struct members *m, const char *owner, const uint8_t hash[32])
{
	pthread_mutex_lock(&m->lock);
	struct held *h = held_of(m, owner, hash);

	if (h != NULL)
		held_remove(m, h);
	pthread_mutex_unlock(&m->lock);
}

void members_coming_set(struct members *m, const char *owner, const uint8_t hash[32], bool coming)
{
	pthread_mutex_lock(&m->lock);
	struct held *h = held_of(m, owner, hash);

	if (h != NULL)
		h->coming = coming;
	pthread_mutex_unlock(&m->lock);
}

void members_serve(struct members *m, const char *owner, bool serve)
{
	pthread_mutex_lock(&m->lock);
	owner_get(m, owner)->serve = serve;
	pthread_mutex_unlock(&m->lock);
}

void members_awake(struct members *m)
{
	pthread_mutex_lock(&m->lock);
	clock_mark(&m->awake);
	pthread_mutex_unlock(&m->lock);
}

void members_quota(struct members *m, uint64_t octets)
{
	pthread_mutex_lock(&m->lock);
	m->quota = octets;
	pthread_mutex_unlock(&m->lock);
}

void members_owner_drop(struct members *m, const char *owner)
{
	pthread_mutex_lock(&m->lock);
	struct owner *o = owner_find(m, owner);

	if (o != NULL)
		owner_remove(m, o);
	pthread_mutex_unlock(&m->lock);
}

bool members_check_http(struct members *m, const char *authorization, const struct member_request *request,
    char who_out[LIMIT_ADDRESS + 1])
{
	struct member_auth auth;
	uint8_t token[32];

	if (authorization == NULL || member_auth_parse(authorization, &auth) < 0)
		return false;
	pthread_mutex_lock(&m->lock);
	bool known = fellow_find(m, auth.address) != NULL;

	memcpy(token, m->token, sizeof(token));
	pthread_mutex_unlock(&m->lock);
	memcpy(who_out, auth.address, sizeof(auth.address));
	known = known && member_auth_check(&auth, token, request);
	explicit_bzero(token, sizeof(token));
	return known;
}

bool members_is(struct members *m, const char *address)
{
	pthread_mutex_lock(&m->lock);
	bool is = fellow_find(m, address) != NULL;

	pthread_mutex_unlock(&m->lock);
	return is;
}

bool members_may_ask(struct members *m, const char *who, const char *owner)
{
	pthread_mutex_lock(&m->lock);
	bool may = may_ask(m, who, owner);

	pthread_mutex_unlock(&m->lock);
	return may;
}

struct bytes members_list_http(struct members *m, const void *ctx, const char *owner, uint64_t *serial_out)
{
	struct bytes out = { NULL, 0 };

	*serial_out = 0;
	pthread_mutex_lock(&m->lock);
	struct owner *o = owner != NULL ? owner_find(m, owner) : NULL;

	if (owner == NULL && m->greeting.len > 0)
		out = bytes_dup(ctx, m->greeting);
	if (o != NULL && o->list.len > 0) {
		out = bytes_dup(ctx, o->list);
		*serial_out = o->serial;
	}
	pthread_mutex_unlock(&m->lock);
	return out;
}

/* MARK, one or two hashes (two NULL: one). */
static void add_line(struct buf *out, const char *mark, const uint8_t *one, const uint8_t *two)
{
	char first[DIGEST_HEX], second[DIGEST_HEX] = "";

	hex_print(bytes_of(one, 32), first);
	if (two != NULL)
		hex_print(bytes_of(two, 32), second);
	buf_addf(out, "%s%s%s%s\n", mark, first, two != NULL ? " " : "", second);
}

static void add_held(struct buf *out, const struct held *h)
{
	if (h->whole)
		add_line(out, "", h->hash, NULL);
	for (size_t i = 0; i < h->n_rcpts; i++) {
		if (h->rcpts[i].tell)
			add_line(out, "+ ", h->rcpts[i].proof, NULL);
		if (h->rcpts[i].served)
			add_line(out, "! ", h->hash, h->rcpts[i].c_get);
	}
}

bool members_held_http(struct members *m, const void *ctx, const char *owner, struct bytes *out)
{
	struct buf *text = buf_new(ctx, HELD_MAX);
	struct held *h, *next;

	pthread_mutex_lock(&m->lock);
	struct owner *o = owner_find(m, owner);

	if (o != NULL)
		buf_addf(text, "serial %" PRIu64 "\n", o->serial);
	HASH_ITER(hh, m->held, h, next) {
		for (struct held *at = h; o != NULL && at != NULL; at = at->next)
			if (at->owner == o)
				add_held(text, at);
	}
	pthread_mutex_unlock(&m->lock);
	*out = buf_bytes(text);
	return o != NULL;
}

static enum members_answer open_file(struct members *m, const char *dir, const uint8_t digest[32],
    struct members_pass *out)
{
	char *path = files_fanout(m, dir, digest);
	struct stat sb;

	out->fd = open(path, O_RDONLY | O_CLOEXEC);
	talloc_free(path);
	if (out->fd >= 0 && fstat(out->fd, &sb) < 0) {
		close(out->fd);
		out->fd = -1;
	}
	if (out->fd < 0)
		return MEMBERS_NONE;
	out->size = (uint64_t)sb.st_size;
	return MEMBERS_OPEN;
}

static enum members_answer open_replica(struct members *m, const void *ctx, const struct held *h, enum members_file file,
    struct members_pass *out)
{
	out->owner = talloc_strdup(ctx, h->owner->address);
	if (file == MEMBERS_NOTICES)
		return h->has_notices ? open_file(m, m->replicas, h->noticed, out) : MEMBERS_NONE;
	if (!h->body || (file == MEMBERS_HEAD && !h->has_head))
		return MEMBERS_NONE;
	return open_file(m, m->replicas, file == MEMBERS_HEAD ? h->head_hash : h->hash, out);
}

static const struct held_rcpt *rcpt_of(const struct held *h, const uint8_t c_get[32])
{
	for (size_t i = 0; i < h->n_rcpts; i++)
		if (memcmp(h->rcpts[i].c_get, c_get, 32) == 0)
			return &h->rcpts[i];
	return NULL;
}

static struct bytes recalls_of(const struct held *h, const void *ctx)
{
	uint8_t *all = talloc_array(ctx, uint8_t, 32 * h->n_rcpts + 1);
	size_t n = 0;

	for (size_t i = 0; i < h->n_rcpts; i++)
		if (h->rcpts[i].state == REPLICA_RECALLED)
			memcpy(all + 32 * n++, h->rcpts[i].proof, 32);
	return bytes_of(all, 32 * n);
}

static enum members_answer answer(struct members *m, const void *ctx, const struct held *h, const struct held_rcpt *rcpt,
    enum members_file file, struct members_pass *out)
{
	if (rcpt->state == REPLICA_RECALLED) {
		out->recalls = recalls_of(h, ctx);
		return MEMBERS_GONE;
	}
	if (rcpt->state != REPLICA_PENDING || clock_now_s() >= rcpt->expires_s || file == MEMBERS_NOTICES)
		return MEMBERS_NONE;
	if (!h->owner->serve || clock_gone_ms(&m->awake) > 0)
		return MEMBERS_LATER;
	return open_replica(m, ctx, h, file, out);
}

enum members_answer members_open_http(struct members *m, const void *ctx, const uint8_t hash[32], const uint8_t t_get[32],
    enum members_file file, struct members_pass *out)
{
	enum members_answer res = MEMBERS_NONE;
	uint8_t c_get[32];

	*out = (struct members_pass){ .fd = -1 };
	proof_commitment(t_get, c_get);
	pthread_mutex_lock(&m->lock);
	for (struct held *h = held_first(m, hash); h != NULL && res == MEMBERS_NONE; h = h->next) {
		const struct held_rcpt *rcpt = rcpt_of(h, c_get);

		if (rcpt != NULL)
			res = answer(m, ctx, h, rcpt, file, out);
	}
	pthread_mutex_unlock(&m->lock);
	return res;
}

enum members_answer members_open_member_http(struct members *m, const void *ctx, const char *who, const uint8_t hash[32],
    enum members_file file, struct members_pass *out)
{
	enum members_answer res = MEMBERS_NONE;
	struct notices_object *n = NULL;

	*out = (struct members_pass){ .fd = -1 };
	pthread_mutex_lock(&m->lock);
	if (file == MEMBERS_NOTICES && may_ask(m, who, ""))
		HASH_FIND(hh, m->notices, hash, 32, n);
	if (n != NULL)
		res = open_file(m, m->outbox, n->digest, out);
	for (struct held *h = held_first(m, hash); h != NULL && res == MEMBERS_NONE; h = h->next)
		if (may_ask(m, who, h->owner->address))
			res = open_replica(m, ctx, h, file, out);
	pthread_mutex_unlock(&m->lock);
	return res;
}

static bool has_room(const struct members *m, uint64_t size)
{
	uint64_t used = m->used + m->uploading;

	return used <= m->quota && size <= m->quota - used;
}

static enum members_want want(struct members *m, const struct held *h, enum members_file file, uint64_t size)
{
	if (h == NULL || !h->listed)
		return MEMBERS_UNKNOWN;
	if (file == MEMBERS_NOTICES)
		return h->newest_notices ? MEMBERS_HAVE : MEMBERS_WANT;
	if (h->body)
		return MEMBERS_HAVE;
	/* How large the others are is known when the notices object is here. */
	if (!h->has_notices || (file == MEMBERS_HEAD && !h->has_head))
		return MEMBERS_UNKNOWN;
	if (size != (file == MEMBERS_HEAD ? h->head_size : h->sealed_size))
		return MEMBERS_WRONG;
	if (h->coming)
		return MEMBERS_COMING;
	return has_room(m, file == MEMBERS_HEAD ? room_of(h) : size) ? MEMBERS_WANT : MEMBERS_FULL;
}

enum members_want members_want_http(struct members *m, const char *owner, const uint8_t hash[32], enum members_file file, uint64_t size)
{
	pthread_mutex_lock(&m->lock);
	enum members_want res = want(m, held_of(m, owner, hash), file, size);

	if (res == MEMBERS_WANT && file == MEMBERS_BODY)
		m->uploading += size;
	pthread_mutex_unlock(&m->lock);
	return res;
}

void members_release_http(struct members *m, uint64_t size)
{
	pthread_mutex_lock(&m->lock);
	m->uploading -= size;
	pthread_mutex_unlock(&m->lock);
}

bool members_may_send_http(struct members *m, const char *owner, const uint8_t hash[32], const uint8_t c_get[32])
{
	pthread_mutex_lock(&m->lock);
	const struct held *h = held_of(m, owner, hash);
	const struct held_rcpt *rcpt = h != NULL ? rcpt_of(h, c_get) : NULL;
	bool may = rcpt != NULL && rcpt->state != REPLICA_RECALLED;

	pthread_mutex_unlock(&m->lock);
	return may;
}
