/*
 * Whom we can talk to. OpenDHT looks for its bootstrap nodes ever more rarely
 * (up to once a day), so we do it: without end until one answers, every minute
 * after that. A ping is sent three times and given up after eight seconds by
 * OpenDHT. Names are resolved on threads of their own, which are looked after
 * once a second, since a resolver may take half a minute.
 *
 * OpenDHT holds puts, gets and listens back while a ping is under way and it
 * knows nobody; hence the pause of a second between rounds.
 *
 * A node that others bootstrap to knows that it has company when one of them
 * has told it its own address.
 *
 * OpenDHT also holds everything back while it has been contacted but has not
 * yet asked back, and it may take its time for that (10 s and more), unless a
 * search is open that the newcomer fits into: then it asks at once. So a listen
 * on a key of its own stands as long as the node; it has to be there before the
 * first ping, and the answer to a get that was sent after it says when it is.
 */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/hostport.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/dht/internal.h"

enum {
	SOON_MS = 1000,
	LATER_MS = 60 * 1000,
	MAX_ADDRESSES = 4,		/* of one bootstrap node */
	RESOLVE_MS = 60 * 1000,		/* names are asked for again */
};

/*
 * A question to the resolver, on a thread of its own. Whoever comes second to state frees it: the
 * thread with its answer, or the loop that does not want it any more.
 */
enum lookup_state { LOOKUP_RUNS, LOOKUP_DONE, LOOKUP_LEFT };

struct lookup {
	struct hostport name;
	struct addrinfo *list;		/* the answer; NULL: none */
	atomic_int state;
};

struct boot {
	struct dht_nodes *nodes;
	struct hostport name;
	struct sockaddr_storage addr[MAX_ADDRESSES];
	socklen_t addr_len[MAX_ADDRESSES];
	unsigned n_addr;
	bool literal;			/* needs no resolver */
	int64_t resolved_ms;		/* 0: never */
	struct lookup *lookup;
	bool asked;			/* in this round */
	unsigned n_pings;		/* unanswered */
	bool answered;			/* in this round */
	bool alive;			/* in this or the last */
};

struct dht_nodes {
	struct dht *dht;
	struct timer *timer;
	struct boot *boots;
	size_t n_boots;
	dht_infohash key;	/* where nothing is ever put */
	dht_op_token *listen;
	bool ready;
	bool heard;		/* somebody did something for us since the last look */
};

static const struct hook_type listen_type = { .max_values = 0 };

static void on_standing(void *owner, bool ok)
{
	struct dht_nodes *n = owner;

	(void)ok;
	timer_set(n->timer, 0);
}

static const struct hook_type standing_type = { .on_over = on_standing };

static bool drop_listened(const dht_value *value, bool expired, void *arg)
{
	(void)value;
	(void)expired;
	(void)arg;
	return true;
}

static bool drop_got(const dht_value *value, void *arg)
{
	(void)value;
	(void)arg;
	return true;
}

static void stand(struct dht_nodes *n)
{
	dht_runner *runner = n->dht->runner;

	dht_infohash_random(&n->key);
	n->listen = dht_runner_listen(runner, &n->key, drop_listened, hook_on_shutdown_dht,
	    hook_new(n->dht, &listen_type, NULL));
	dht_runner_get(runner, &n->key, drop_got, hook_on_done_dht, hook_new(n->dht, &standing_type, n));
}

static void become_ready(struct dht_nodes *n)
{
	if (n->ready)
		return;
	n->ready = true;
	log_info("dht=ready nodes=%u", nodes_count(n));
	ops_put_again(n->dht);
}

static void ping_on_over(void *owner, bool ok)
{
	struct boot *b = owner;

	b->n_pings--;
	if (ok) {
		b->answered = b->alive = true;
		become_ready(b->nodes);
	}
	if (!b->n_pings && !b->answered)
		b->alive = false;
}

static const struct hook_type ping_type = { .on_over = ping_on_over };

static void boot_take_addresses(struct boot *b, const struct addrinfo *list)
{
	b->resolved_ms = clock_mono_ms();
	if (list)
		b->n_addr = 0;		/* when the resolver fails the old ones may still be right */
	for (const struct addrinfo *a = list; a && b->n_addr < MAX_ADDRESSES; a = a->ai_next) {
		if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
			continue;
		memcpy(&b->addr[b->n_addr], a->ai_addr, a->ai_addrlen);
		b->addr_len[b->n_addr++] = a->ai_addrlen;
	}
}

static void lookup_free(struct lookup *l)
{
	if (l->list)
		freeaddrinfo(l->list);
	talloc_free(l);
}

static void *lookup_work(void *arg)
{
	struct lookup *l = arg;
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };

	if (getaddrinfo(l->name.host, l->name.port, &hints, &l->list) != 0)
		l->list = NULL;
	if (atomic_exchange(&l->state, LOOKUP_DONE) == LOOKUP_LEFT)
		lookup_free(l);
	return NULL;
}

static void lookup_start(struct boot *b)
{
	struct lookup *l = mem_zero(NULL, struct lookup);
	pthread_attr_t attr;
	pthread_t thread;

	l->name = b->name;
	atomic_init(&l->state, LOOKUP_RUNS);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, lookup_work, l) == 0)
		b->lookup = l;
	else
		lookup_free(l);
	pthread_attr_destroy(&attr);
}

static void lookup_poll(struct boot *b)
{
	if (atomic_load(&b->lookup->state) == LOOKUP_RUNS)
		return;
	boot_take_addresses(b, b->lookup->list);
	lookup_free(b->lookup);
	b->lookup = NULL;
}

static void lookup_stop(struct boot *b)
{
	struct lookup *l = b->lookup;

	b->lookup = NULL;
	if (l && atomic_exchange(&l->state, LOOKUP_LEFT) == LOOKUP_DONE)
		lookup_free(l);
}

static void boot_resolve(struct boot *b)
{
	if (b->literal)
		return;
	if (b->lookup)
		lookup_poll(b);
	else if (!b->resolved_ms || clock_mono_ms() - b->resolved_ms > RESOLVE_MS)
		lookup_start(b);
}

static void boot_ping(struct boot *b)
{
	struct dht *dht = b->nodes->dht;

	b->asked = b->n_addr > 0;
	b->answered = false;
	for (unsigned i = 0; i < b->n_addr; i++) {
		struct hook *h = hook_new(dht, &ping_type, b);

		b->n_pings++;
		dht_runner_ping(dht->runner, (struct sockaddr *)&b->addr[i], b->addr_len[i],
		    hook_on_done_dht, h);
	}
}

/* Has another node told us our address? */
static bool has_company(struct dht *dht)
{
	struct sockaddr **list = dht_runner_get_public_address(dht->runner);

	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
	return list != NULL;
}

static bool any_alive(const struct dht_nodes *n)
{
	for (size_t i = 0; i < n->n_boots; i++) {
		if (n->boots[i].alive)
			return true;
	}
	return false;
}

static bool any_pinging(const struct dht_nodes *n)
{
	for (size_t i = 0; i < n->n_boots; i++) {
		if (n->boots[i].n_pings)
			return true;
	}
	return false;
}

static void on_timer(void *arg)
{
	struct dht_nodes *n = arg;
	bool pinging = any_pinging(n);

	for (size_t i = 0; i < n->n_boots; i++) {
		boot_resolve(&n->boots[i]);
		if (!pinging)
			n->boots[i].asked = false;
		if (!n->boots[i].asked)
			boot_ping(&n->boots[i]);
	}
	bool company = has_company(n->dht) || any_alive(n) || n->heard;
	n->heard = false;
	if (company)
		become_ready(n);
	else if (!pinging)
		n->ready = false;
	if (n->ready)
		ops_put_again(n->dht);
	timer_set(n->timer, any_alive(n) || (n->ready && !n->n_boots) ? LATER_MS : SOON_MS);
}

static bool boot_init(struct boot *b, struct dht_nodes *n, const char *text, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST }, *list;

	b->nodes = n;
	if (hostport_parse(text, &b->name) < 0) {
		err_set(err, "DHT node \"%s\" is not HOST:PORT", text);
		return false;
	}
	if (getaddrinfo(b->name.host, b->name.port, &hints, &list) == 0) {
		b->literal = true;
		boot_take_addresses(b, list);
		freeaddrinfo(list);
	}
	return true;
}

struct dht_nodes *nodes_new(struct dht *dht, const struct dht_settings *settings, struct err *err)
{
	struct dht_nodes *n = mem_zero(dht, struct dht_nodes);

	n->dht = dht;
	n->n_boots = settings->n_bootstrap;
	n->boots = mem_zero_array(n, struct boot, n->n_boots + 1);
	for (size_t i = 0; i < n->n_boots; i++) {
		if (!boot_init(&n->boots[i], n, settings->bootstrap[i], err)) {
			talloc_free(n);
			return NULL;
		}
	}
	n->timer = timer_new(dht->loop, on_timer, n);
	timer_set(n->timer, SOON_MS);
	stand(n);
	return n;
}

void nodes_free(struct dht_nodes **np)
{
	struct dht_nodes *n = *np;

	*np = NULL;
	if (!n)
		return;
	timer_free(&n->timer);
	for (size_t i = 0; i < n->n_boots; i++)
		lookup_stop(&n->boots[i]);
	dht_op_token_delete(n->listen);
	talloc_free(n);
}

void nodes_answered(struct dht_nodes *n)
{
	n->heard = true;
	become_ready(n);
}

void nodes_silent(struct dht_nodes *n)
{
	if (n->ready && !any_pinging(n))
		timer_set(n->timer, SOON_MS);
}

unsigned nodes_count(const struct dht_nodes *n)
{
	unsigned count = 0;

	for (size_t i = 0; i < n->n_boots; i++)
		count += n->boots[i].alive;
	return count ? count : n->ready;
}

bool nodes_ready(const struct dht_nodes *n)
{
	return n->ready;
}
