/*
 * Peers meet only within one DHT network. Who joins by invite may have been in
 * another one, alone: he goes into that of who invited him, and back when no
 * group is left for which he came. A row says so, and what was configured at
 * that time: when the user configures something else later, that counts.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/hostport.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mail/join.h"
#include "lib/mail/urls.h"
#include "way/group/state.h"

struct network_row *groups_network(struct store *s, const void *ctx, uint32_t configured)
{
	struct network_row *row = store_network_find(s, ctx);

	return row != NULL && row->instead_of == configured ? row : NULL;
}

uint32_t network_number(struct groups *g)
{
	void *ctx = mem_ctx(NULL);
	struct network_row *row = groups_network(g->parts.store, ctx, g->settings.network);
	uint32_t number = row != NULL ? row->number : g->settings.network;

	talloc_free(ctx);
	return number;
}

static void list_add(const void *ctx, const char **out, size_t *n, size_t max, const char *node)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(out[i], node) == 0)
			return;
	if (*n < max && node[0] != '\0')
		out[(*n)++] = mem_strdup(ctx, node);
}

/* HOST of "http://HOST:PORT/path", as it stands there; NULL when there is none. */
static char *host_of(const void *ctx, const char *url)
{
	const char *host = strstr(url, "://");
	size_t len;

	if (host == NULL)
		return NULL;
	host += 3;
	len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	return len > 1 ? mem_strndup(ctx, host, len) : NULL;
}

/* "a\nb" to a list. */
static void lines_add(const void *ctx, const char **out, size_t *n, size_t max, const char *lines)
{
	for (; lines[0] != '\0'; lines = urls_rest(lines))
		list_add(ctx, out, n, max, mem_strndup(ctx, lines, strcspn(lines, "\n")));
}

size_t network_bootstrap(struct groups *g, const void *ctx, const char **out, size_t max)
{
	struct network_row *row = groups_network(g->parts.store, ctx, g->settings.network);
	size_t n = 0;

	for (size_t i = 0; i < g->settings.n_urls; i++) {
		char *host = host_of(ctx, g->settings.urls[i]);

		if (host != NULL)
			list_add(ctx, out, &n, max, mem_printf(ctx, "%s:%u", host, dht_port(g->parts.dht)));
	}
	if (row != NULL)
		lines_add(ctx, out, &n, max, row->bootstrap);
	if (row == NULL || row->number == g->settings.network)
		for (size_t i = 0; i < g->settings.n_bootstrap; i++)
			list_add(ctx, out, &n, max, g->settings.bootstrap[i]);
	return n;
}

/* Somebody of a group of ours is in the network where we are now. */
static const struct entry *find_company(const struct groups *g)
{
	for (const struct entry *e = g->entries; e != NULL; e = e->hh.next)
		if (e->ours && ((e->counts && e->n_members > 1) || e->invite != NULL))
			return e;
	return NULL;
}

static bool is_configured(const struct groups *g, const char *node)
{
	for (size_t i = 0; i < g->settings.n_bootstrap; i++)
		if (strcmp(g->settings.bootstrap[i], node) == 0)
			return true;
	return false;
}

static bool is_all_configured(const struct groups *g, const struct invite *i)
{
	for (size_t j = 0; j < i->n_bootstrap; j++)
		if (!is_configured(g, i->bootstrap[j]))
			return false;
	return true;
}

bool network_take(struct groups *g, const struct invite *invite, struct err *e)
{
	const struct entry *company = find_company(g);
	uint32_t number = network_number(g);
	struct network_row row = { .number = invite->network, .instead_of = g->settings.network };

	if (invite->network != number && company != NULL) {
		err_set(e, "the group %s is in another DHT network than %s, in which this peer is: leave that first", invite->group,
		    company->name);
		return false;
	}
	if (invite->network == number && is_all_configured(g, invite))
		return true;
	row.bootstrap = urls_print(NULL, invite->bootstrap, invite->n_bootstrap);
	store_network_save(g->parts.store, &row);
	g->moved |= invite->network != number || !dht_is_ready(g->parts.dht);
	log_info("network=%u bootstrap=%zu why=\"invited into %s\"", (unsigned)row.number, invite->n_bootstrap, invite->group);
	talloc_free((void *)(uintptr_t)row.bootstrap);
	return true;
}

void network_settle(struct groups *g)
{
	void *ctx = mem_ctx(NULL);
	struct network_row *row = store_network_find(g->parts.store, ctx);

	for (const struct entry *e = g->entries; row != NULL && e != NULL; e = e->hh.next)
		if (e->ours)
			row = NULL;
	if (row != NULL) {
		g->moved |= row->instead_of == g->settings.network && row->number != g->settings.network;
		store_network_save(g->parts.store, NULL);
		log_info("network=%u why=\"no group is left that needs another one\"", (unsigned)g->settings.network);
	}
	talloc_free(ctx);
}

static void on_move_durable(void *arg, bool durable)
{
	struct groups *g = arg;

	if (durable)
		g->hooks.moved(g->hooks.arg);
}

void network_tick(struct groups *g)
{
	if (!g->moved)
		return;
	g->moved = false;
	store_when_durable(g->parts.store, on_move_durable, g);
}
