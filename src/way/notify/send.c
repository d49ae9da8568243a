/*
 * What goes out: a permanent put under the other side's key and, in addition,
 * one POST at a time to its URLs, one URL after the other until one answers.
 * A recall has no route of its own; the DHT and the 410 of a GET carry it.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/mail/urls.h"
#include "lib/mail/value.h"
#include "way/notify/state.h"

enum { POST_MS = 10000 };

struct sending_id {
	uint64_t kind, id;
};

struct sending {
	struct sending_id id;
	struct notify *notify;
	struct dht_put *put;
	bool stored;			/* the DHT has it */
	struct http_transfer *transfer;
	struct bytes value;
	char *urls;			/* of the POSTs under way */
	const char *next_url;
	bool friend_address;
	bool own;			/* it is for ourselves */
	struct timer *to_self;
	UT_hash_handle hh;
};

static const char *const routes[] = { [NOTIFY_NS] = "/ns", [NOTIFY_RECALL] = NULL, [NOTIFY_RECEIPT] = "/nr" };

static void post_next(struct sending *s);

static void sending_free(struct sending *s)
{
	HASH_DELETE(hh, s->notify->sendings, s);
	dht_put_free(&s->put);
	http_transfer_free(&s->transfer);
	timer_free(&s->to_self);
	talloc_free(s);
}

static void told_sent(struct sending *s)
{
	struct notify *n = s->notify;

	n->hooks.sent(n->hooks.arg, (enum notify_kind)s->id.kind, s->id.id);
}

static void on_put(void *arg, bool ok)
{
	struct sending *s = arg;

	s->stored = ok;
	if (ok)
		told_sent(s);
}

static bool is_proof(const struct sending *s, struct bytes body)
{
	struct value v;
	uint8_t seen[DIGEST_LEN];

	if (s->id.kind != NOTIFY_RECEIPT || value_parse(s->value, &v) < 0)
		return false;
	proof_seen(v.proof, seen);
	return body.len == sizeof(seen) && secret_equal(body.data, seen, sizeof(seen));
}

static void on_posted(void *arg, const struct http_reply *reply)
{
	struct sending *s = arg;
	struct notify *n = s->notify;
	uint64_t id = s->id.id;

	s->transfer = NULL;
	if (is_proof(s, reply->body)) {
		n->hooks.proven(n->hooks.arg, id);
	} else if (reply->status == 202 || reply->status == 200) {
		s->next_url = "";
		told_sent(s);
	} else {
		post_next(s);
	}
}

static void post_next(struct sending *s)
{
	const char *route = routes[s->id.kind];
	struct http_call call = {
		.method = "POST", .body = s->value, .max = 4096, .quiet_ms = POST_MS, .total_ms = POST_MS,
		.friend_address = s->friend_address, .done = on_posted, .arg = s,
	};

	if (route == NULL || (call.url = urls_first(s->urls, s->next_url, route)) == NULL)
		return;
	s->next_url = urls_rest(s->next_url);
	s->transfer = http_call(s->notify->parts.http, &call);
}

/* For ourselves there is nobody to ask: take it as if it had come. A receipt is proven by that: it is the same state.db. */
static void on_to_self(void *arg)
{
	struct sending *s = arg;
	struct notify *n = s->notify;
	struct bytes value = bytes_dup(n, s->value);
	uint64_t id = s->id.id;
	enum notify_kind kind = (enum notify_kind)s->id.kind;

	notify_take(n, value);
	if (kind == NOTIFY_RECEIPT)
		n->hooks.proven(n->hooks.arg, id);
	else
		n->hooks.sent(n->hooks.arg, kind, id);
	talloc_free((void *)(uintptr_t)value.data);
}

static struct sending *sending_new(struct notify *n, struct sending_id id, const struct notify_message *m)
{
	struct sending *s = talloc_zero(n, struct sending);
	char key[LIMIT_ADDRESS + 16];

	s->id = id;
	s->notify = n;
	s->value = bytes_dup(s, m->value);
	s->own = strcmp(m->address, n->settings.address) == 0;
	HASH_ADD(hh, n->sendings, id, sizeof(s->id), s);
	value_key(id.kind == NOTIFY_RECEIPT ? KEY_NR : KEY_NS, m->address, key);
	if (s->own)
		s->to_self = timer_new(n->parts.loop, on_to_self, s);
	else
		s->put = dht_put_new(n->parts.dht, key, s->value, on_put, s);
	return s;
}

void notify_send(struct notify *n, enum notify_kind kind, uint64_t id, const struct notify_message *m)
{
	struct sending_id key = { (uint64_t)kind, id };
	struct sending *s;

	HASH_FIND(hh, n->sendings, &key, sizeof(key), s);
	if (s == NULL)
		s = sending_new(n, key, m);
	else if (!s->stored && s->put != NULL)
		dht_put_again(s->put);
	if (s->own) {
		timer_set(s->to_self, 0);
		return;
	}
	if (s->transfer != NULL)
		return;
	talloc_free(s->urls);
	s->urls = talloc_strdup(s, m->urls);
	s->next_url = s->urls;
	s->friend_address = m->friend_address;
	post_next(s);
}

void notify_end(struct notify *n, enum notify_kind kind, uint64_t id)
{
	struct sending_id key = { (uint64_t)kind, id };
	struct sending *s;

	HASH_FIND(hh, n->sendings, &key, sizeof(key), s);
	if (s != NULL)
		sending_free(s);
}

void send_stop(struct notify *n)
{
	struct sending *s, *next;

	HASH_ITER(hh, n->sendings, s, next)
		sending_free(s);
}
