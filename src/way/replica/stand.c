/*
 * Standing in for owners who are away. For each of them we listen for receive
 * notifications, and where the election says so we put exactly the octets he
 * left us: ns values of those who are still waited for, recalls of those he
 * withdrew, his descriptor. What is to be put is computed anew from rows when
 * something has changed, and compared with what is being put; the same octets
 * under the same key are put once, whatever number of messages they announce.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/mail/value.h"
#include "lib/store/contact.h"
#include "way/replica/elect.h"
#include "way/replica/state.h"

enum { DEBOUNCE_MS = 200, LOOK_MS = 600 * 1000, PUTS_MAX = 65536 };

struct standing {
	uint8_t id[32];			/* of key and octets */
	struct dht_put *put;
	unsigned long round;		/* wanted in it */
	UT_hash_handle hh;
};

struct stand {
	struct replicas *r;
	struct standing *puts;
	unsigned long round;
	struct timer *timer;
};

static void standing_free(struct stand *s, struct standing *p)
{
	HASH_DELETE(hh, s->puts, p);
	dht_put_free(&p->put);
	talloc_free(p);
}

static void want(struct stand *s, const uint8_t key[DHT_HASH_LEN], struct bytes value)
{
	struct digest *d = digest_new(NULL);
	struct standing *p;
	uint8_t id[32];

	digest_add(d, key, DHT_HASH_LEN);
	digest_add(d, value.data, value.len);
	digest_take(d, id);
	talloc_free(d);
	HASH_FIND(hh, s->puts, id, sizeof(id), p);
	if (p == NULL && HASH_COUNT(s->puts) < PUTS_MAX) {
		p = talloc_zero(s, struct standing);
		memcpy(p->id, id, sizeof(id));
		p->put = dht_put_at_new(s->r->parts.dht, key, value, NULL, NULL);
		HASH_ADD(hh, s->puts, id, sizeof(p->id), p);
	}
	if (p != NULL)
		p->round = s->round;
}

static void want_rcpts(struct stand *s, const void *ctx, struct member *m, const char *const *up, size_t n_up)
{
	struct replicas *r = s->r;
	int64_t now = clock_now_s();
	size_t n;
	struct replica_rcpt **pending = store_replica_rcpts_in(r->parts.store, ctx, m->address, REPLICA_PENDING, &n);

	/* What may have been taken back while we were off is not told of. */
	for (size_t i = 0; i < n && m->serving; i++)
		if (now < pending[i]->expires_s && pending[i]->value.len > 0 &&
		    elect_is_in(pending[i]->hash, r->settings.address, up, n_up))
			want(s, pending[i]->key, pending[i]->value);
	struct replica_rcpt **recalled = store_replica_rcpts_in(r->parts.store, ctx, m->address, REPLICA_RECALLED, &n);

	for (size_t i = 0; i < n; i++)
		if (now < recalled[i]->expires_s && elect_is_in(recalled[i]->hash, r->settings.address, up, n_up))
			want(s, recalled[i]->key, value_print_proof(ctx, VALUE_RECALL, recalled[i]->proof));
}

/* Mail to him can be sealed as long as his descriptor can be found. */
static void want_descriptor(struct stand *s, const void *ctx, struct member *m, const char *const *up, size_t n_up)
{
	struct contact *c = store_contact_find(s->r->parts.store, ctx, m->address);
	uint8_t hash[32], key[DHT_HASH_LEN];
	char name[LIMIT_ADDRESS + 16];

	if (c == NULL || c->descriptor.len == 0 || strcmp(c->fpr, m->fpr) != 0 || c->expires_s < clock_now_s())
		return;
	digest_of(bytes_str(m->address), hash);
	if (!elect_is_in(hash, s->r->settings.address, up, n_up))
		return;
	struct value v = { .kind = VALUE_PEER, .message = c->descriptor };

	value_key(KEY_PEER, m->address, name);
	dht_key_hash(name, key);
	want(s, key, value_print(ctx, &v));
}

static void on_value(void *arg, struct bytes octets)
{
	struct member *m = arg;
	struct value v;

	if (value_parse(octets, &v) == 0 && v.kind == VALUE_NR)
		replicas_on_receipt(m->r, v.proof);
}

static void listen_for(struct stand *s, struct member *m)
{
	char key[LIMIT_ADDRESS + 16];

	if (!m->away || !m->has_row) {
		dht_listen_free(&m->nr);
	} else if (m->nr == NULL) {
		value_key(KEY_NR, m->address, key);
		m->nr = dht_listen_new(s->r->parts.dht, key, on_value, m);
	}
}

static void on_timer(void *arg)
{
	struct stand *s = arg;
	struct standing *p, *next_put;
	size_t before = HASH_COUNT(s->puts);

	s->round++;
	for (struct member *m = s->r->members; m != NULL; m = m->hh.next) {
		void *ctx = talloc_new(NULL);
		size_t n_up;
		const char **up = members_up(m, ctx, &n_up);

		listen_for(s, m);
		if (m->away) {
			want_descriptor(s, ctx, m, up, n_up);
			want_rcpts(s, ctx, m, up, n_up);
		}
		talloc_free(ctx);
	}
	HASH_ITER(hh, s->puts, p, next_put)
		if (p->round != s->round)
			standing_free(s, p);
	if (HASH_COUNT(s->puts) != before)
		log_info("standing-in=%u", HASH_COUNT(s->puts));
	timer_set(s->timer, LOOK_MS);
}

void stand_changed(struct stand *s)
{
	if (s != NULL)
		timer_set(s->timer, DEBOUNCE_MS);
}

void stand_member_gone(struct member *m)
{
	dht_listen_free(&m->nr);
}

struct stand *stand_start(struct replicas *r)
{
	struct stand *s = talloc_zero(r, struct stand);

	s->r = r;
	s->timer = timer_new(r->parts.loop, on_timer, s);
	return s;
}

void stand_stop(struct stand **sp)
{
	struct stand *s = *sp;
	struct standing *p, *next;

	*sp = NULL;
	if (s == NULL)
		return;
	HASH_ITER(hh, s->puts, p, next)
		standing_free(s, p);
	timer_free(&s->timer);
	talloc_free(s);
}
