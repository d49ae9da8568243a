/*
 * Three hash tables under one mutex: offers by h, tokens by their number (for
 * running transfers), and what was heard. Every critical section is short and
 * does no I/O. A token's `sent` counts octets of m' handed to
 * the network under it: when they reach the size of m', somebody may have all
 * of it, and a cancel is too late. Counting blocks once more for a resumed
 * transfer errs on that same, honest side.
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <talloc.h>
#include <uthash.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "way/outbox/offers.h"

enum { HEARD_MAX = 65536 };

struct token {
	uint64_t number, rcpt;
	uint8_t t_get[32], t_recall[32];
	bool withdrawn, recalled, revoked, served;
	unsigned n_transfers;		/* under way */
	uint64_t sent;
	int64_t expires_s;
	struct entry *entry;
	struct token *next;		/* of the same m' */
	UT_hash_handle hh;
};

struct entry {
	uint8_t hash[32];
	bool here;			/* else m' is gone, and only recalls are answered */
	uint64_t size;
	bool has_head;
	uint8_t head_hash[32];
	uint64_t head_size;
	struct token *tokens;
	UT_hash_handle hh;
};

struct heard {
	uint8_t proof[32];
	UT_hash_handle hh;
};

struct page {
	char *key;			/* "0 alice@home": kind and address */
	struct bytes octets;
	UT_hash_handle hh;
};

struct offers {
	struct offers_source source;
	pthread_mutex_t lock;
	struct entry *entries;
	struct token *tokens;
	struct heard *heard;
	struct page *pages;
	uint64_t last_number;
};

struct offers *offers_new(const struct offers_source *source)
{
	struct offers *o = talloc_zero(NULL, struct offers);

	o->source = *source;
	pthread_mutex_init(&o->lock, NULL);
	return o;
}

static void entry_free(struct offers *o, struct entry *entry)
{
	while (entry->tokens != NULL) {
		struct token *t = entry->tokens;

		entry->tokens = t->next;
		HASH_DELETE(hh, o->tokens, t);	/* NOLINT(clang-analyzer-core.NullDereference): uthash's */
		explicit_bzero(t->t_get, sizeof(t->t_get));
		talloc_free(t);
	}
	HASH_DELETE(hh, o->entries, entry);
	talloc_free(entry);
}

void offers_free(struct offers **op)
{
	struct offers *o = *op;
	struct entry *entry, *next_entry;
	struct heard *heard, *next_heard;
	struct page *page, *next_page;

	*op = NULL;
	if (o == NULL)
		return;
	HASH_ITER(hh, o->entries, entry, next_entry)
		entry_free(o, entry);
	HASH_ITER(hh, o->heard, heard, next_heard) {
		HASH_DELETE(hh, o->heard, heard);
		talloc_free(heard);
	}
	HASH_ITER(hh, o->pages, page, next_page) {
		HASH_DELETE(hh, o->pages, page);
		talloc_free(page);
	}
	pthread_mutex_destroy(&o->lock);
	talloc_free(o);
}

/* Under the lock from here on. */

static struct entry *entry_get(struct offers *o, const uint8_t hash[32])
{
	struct entry *entry;

	HASH_FIND(hh, o->entries, hash, 32, entry);
	if (entry == NULL) {
		entry = talloc_zero(o, struct entry);
		memcpy(entry->hash, hash, 32);
		HASH_ADD(hh, o->entries, hash, 32, entry);
	}
	return entry;
}

static struct token *token_find(const struct entry *entry, const uint8_t t_get[32])
{
	struct token *found = NULL;

	/* All are compared: how long it takes says nothing about which. */
	for (struct token *t = entry->tokens; t != NULL; t = t->next)
		if (secret_equal(t->t_get, t_get, 32))
			found = t;
	return found;
}

static struct token *token_get(struct offers *o, struct entry *entry, const uint8_t t_get[32], int64_t expires_s)
{
	struct token *t = token_find(entry, t_get);

	if (t == NULL) {
		t = talloc_zero(o, struct token);
		t->number = ++o->last_number;
		t->entry = entry;
		memcpy(t->t_get, t_get, 32);
		t->next = entry->tokens;
		entry->tokens = t;
		HASH_ADD(hh, o->tokens, number, sizeof(t->number), t);
	}
	if (expires_s != 0)
		t->expires_s = expires_s;
	return t;
}

/* Once m' is gone, is there still a recall to show, or a transfer to end? */
static bool entry_is_needed(const struct entry *entry)
{
	for (const struct token *t = entry->tokens; t != NULL; t = t->next)
		if (t->withdrawn || t->n_transfers > 0)
			return true;
	return false;
}

static void token_drop(struct offers *o, struct token *t)
{
	struct token **at = &t->entry->tokens;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	HASH_DELETE(hh, o->tokens, t);
	explicit_bzero(t->t_get, sizeof(t->t_get));
	talloc_free(t);
}

/* m' is gone, and now the last who needed the entry. */
static void entry_sweep(struct offers *o, struct entry *entry)
{
	if (!entry->here && !entry_is_needed(entry))
		entry_free(o, entry);
}

void offers_put(struct offers *o, const struct offer *offer)
{
	pthread_mutex_lock(&o->lock);
	struct entry *entry = entry_get(o, offer->hash);

	entry->here = true;
	entry->size = offer->size;
	entry->has_head = offer->has_head;
	memcpy(entry->head_hash, offer->head_hash, sizeof(entry->head_hash));
	entry->head_size = offer->head_size;
	pthread_mutex_unlock(&o->lock);
}

void offers_grant(struct offers *o, const uint8_t hash[32], const struct grant *grant)
{
	pthread_mutex_lock(&o->lock);
	struct token *t = token_get(o, entry_get(o, hash), grant->t_get, grant->expires_s);

	t->rcpt = grant->rcpt;
	t->withdrawn = t->recalled = false;
	t->served |= grant->served;
	pthread_mutex_unlock(&o->lock);
}

void offers_revoke(struct offers *o, const uint8_t hash[32], const uint8_t t_get[32])
{
	struct entry *entry;
	struct token *t = NULL;

	pthread_mutex_lock(&o->lock);
	HASH_FIND(hh, o->entries, hash, 32, entry);
	if (entry != NULL)
		t = token_find(entry, t_get);
	if (t != NULL && t->n_transfers > 0)
		t->revoked = true;
	else if (t != NULL)
		token_drop(o, t);
	if (entry != NULL)
		entry_sweep(o, entry);
	pthread_mutex_unlock(&o->lock);
}

void offers_remove(struct offers *o, const uint8_t hash[32])
{
	struct entry *entry;

	pthread_mutex_lock(&o->lock);
	HASH_FIND(hh, o->entries, hash, 32, entry);
	if (entry != NULL) {
		entry->here = false;
		entry_sweep(o, entry);
	}
	pthread_mutex_unlock(&o->lock);
}

bool offers_withdraw(struct offers *o, const uint8_t hash[32], const uint8_t t_get[32])
{
	pthread_mutex_lock(&o->lock);
	struct token *t = token_get(o, entry_get(o, hash), t_get, 0);
	bool in_time = !t->served;

	t->withdrawn |= in_time;
	pthread_mutex_unlock(&o->lock);
	return in_time;
}

void offers_recall(struct offers *o, const uint8_t hash[32], const uint8_t t_get[32], const uint8_t t_recall[32],
    int64_t expires_s)
{
	pthread_mutex_lock(&o->lock);
	struct token *t = token_get(o, entry_get(o, hash), t_get, expires_s);

	t->withdrawn = t->recalled = true;
	t->expires_s = expires_s;
	memcpy(t->t_recall, t_recall, 32);
	pthread_mutex_unlock(&o->lock);
}

static struct bytes recalls_of(const struct entry *entry, const void *ctx)
{
	uint8_t *all = talloc_array(ctx, uint8_t, 0);
	size_t len = 0;

	for (const struct token *t = entry->tokens; t != NULL; t = t->next) {
		if (!t->recalled)
			continue;
		all = talloc_realloc(ctx, all, uint8_t, len + 32);
		memcpy(all + len, t->t_recall, 32);
		len += 32;
	}
	return bytes_of(all, len);
}

/* What is to be opened. False: there is no such thing, or not any more. */
static bool name_of(const struct entry *entry, bool head, uint8_t name_out[32], struct offers_pass *out)
{
	if (!entry->here || (head && !entry->has_head))
		return false;
	memcpy(name_out, head ? entry->head_hash : entry->hash, 32);
	out->size = head ? entry->head_size : entry->size;
	return true;
}

static enum offers_answer answer(struct entry *entry, struct token *t, const void *ctx, bool head,
    uint8_t name_out[32], struct offers_pass *out)
{
	if (t == NULL || t->revoked || clock_now_s() >= t->expires_s || (t->withdrawn && !t->recalled))
		return OFFERS_NONE;
	if (t->recalled) {
		out->recalls = recalls_of(entry, ctx);
		return OFFERS_RECALLED;
	}
	if (!name_of(entry, head, name_out, out))
		return OFFERS_NONE;
	out->token = t->number;
	t->n_transfers++;
	return OFFERS_OPEN;
}

enum offers_answer offers_open_http(struct offers *o, const void *ctx, const uint8_t hash[32], const uint8_t t_get[32],
    bool head, struct offers_pass *out)
{
	enum offers_answer res = OFFERS_NONE;
	struct entry *entry;
	uint8_t name[32];

	*out = (struct offers_pass){ .fd = -1 };
	pthread_mutex_lock(&o->lock);
	HASH_FIND(hh, o->entries, hash, 32, entry);
	if (entry != NULL)
		res = answer(entry, token_find(entry, t_get), ctx, head, name, out);
	pthread_mutex_unlock(&o->lock);
	if (res != OFFERS_OPEN)
		return res;
	out->fd = o->source.open(o->source.arg, name);
	if (out->fd >= 0)
		return res;
	offers_closed_http(o, out->token);
	return OFFERS_NONE;
}

enum offers_answer offers_open_member_http(struct offers *o, const uint8_t hash[32], bool head, struct offers_pass *out)
{
	struct entry *entry;
	uint8_t name[32];
	bool there = false;

	*out = (struct offers_pass){ .fd = -1 };
	pthread_mutex_lock(&o->lock);
	HASH_FIND(hh, o->entries, hash, 32, entry);
	if (entry != NULL)
		there = name_of(entry, head, name, out);
	pthread_mutex_unlock(&o->lock);
	if (there)
		out->fd = o->source.open(o->source.arg, name);
	return out->fd >= 0 ? OFFERS_OPEN : OFFERS_NONE;
}

size_t offers_may_send_http(struct offers *o, uint64_t token, bool head, size_t len, uint64_t *served_out)
{
	struct token *t;

	*served_out = 0;
	pthread_mutex_lock(&o->lock);
	HASH_FIND(hh, o->tokens, &token, sizeof(token), t);
	if (t == NULL || t->withdrawn)
		len = 0;
	if (len > 0 && !head) {
		t->sent += len;
		if (!t->served && t->sent >= t->entry->size) {
			t->served = true;
			*served_out = t->rcpt;
		}
	}
	pthread_mutex_unlock(&o->lock);
	return len;
}

void offers_closed_http(struct offers *o, uint64_t token)
{
	struct token *t;

	pthread_mutex_lock(&o->lock);
	HASH_FIND(hh, o->tokens, &token, sizeof(token), t);
	if (t != NULL && --t->n_transfers == 0) {
		struct entry *entry = t->entry;

		if (t->revoked)
			token_drop(o, t);
		entry_sweep(o, entry);
	}
	pthread_mutex_unlock(&o->lock);
}

void offers_heard_add(struct offers *o, const uint8_t proof[32])
{
	struct heard *h;

	pthread_mutex_lock(&o->lock);
	HASH_FIND(hh, o->heard, proof, 32, h);
	if (h == NULL) {
		h = talloc_zero(o, struct heard);
		memcpy(h->proof, proof, 32);
		HASH_ADD(hh, o->heard, proof, 32, h);
	}
	if (HASH_COUNT(o->heard) > HEARD_MAX) {
		h = o->heard;		/* uthash keeps the order of adding */
		HASH_DELETE(hh, o->heard, h);
		talloc_free(h);
	}
	pthread_mutex_unlock(&o->lock);
}

bool offers_heard_has(struct offers *o, const uint8_t proof[32])
{
	struct heard *h;

	pthread_mutex_lock(&o->lock);
	HASH_FIND(hh, o->heard, proof, 32, h);
	pthread_mutex_unlock(&o->lock);
	return h != NULL;
}

static char *page_key(const void *ctx, enum offers_page kind, const char *address)
{
	return talloc_asprintf(ctx, "%d %s", kind, address);
}

void offers_page_set(struct offers *o, enum offers_page kind, const char *address, struct bytes octets)
{
	struct page *page;

	pthread_mutex_lock(&o->lock);
	char *key = page_key(o, kind, address);

	HASH_FIND_STR(o->pages, key, page);
	if (page != NULL) {
		HASH_DELETE(hh, o->pages, page);
		talloc_free(page);
	}
	if (octets.len > 0) {
		page = talloc_zero(o, struct page);
		page->key = talloc_steal(page, key);
		page->octets = bytes_dup(page, octets);
		HASH_ADD_KEYPTR(hh, o->pages, page->key, strlen(page->key), page);
	} else {
		talloc_free(key);
	}
	pthread_mutex_unlock(&o->lock);
}

struct bytes offers_page_get(struct offers *o, const void *ctx, enum offers_page kind, const char *address)
{
	char *key = page_key(ctx, kind, address);
	struct bytes out = { NULL, 0 };
	struct page *page;

	pthread_mutex_lock(&o->lock);
	HASH_FIND_STR(o->pages, key, page);
	if (page != NULL)
		out = bytes_dup(ctx, page->octets);
	pthread_mutex_unlock(&o->lock);
	return out;
}
