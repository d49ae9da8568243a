/*
 * Life of one OpenDHT node. Its runner has two threads of its own (socket and
 * work); see hook.c for how they reach us. At the end there is no good-bye to
 * wait for: OpenDHT's own shutdown waits for operations that were cancelled and
 * will never answer, so we wait, a little, for our own puts and then join its
 * threads, after which nobody calls us any more and all hooks can go.
 */
#include <errno.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/dht/internal.h"

enum { END_WAIT_S = 2, PORT_TRIES = 500, PORT_PAUSE_MS = 2 };

static bool runner_start(struct dht *dht, const struct dht_settings *settings, struct err *err)
{
	dht_runner_config config;

	dht_runner_config_default(&config);
	config.dht_config.node_config.network = settings->network;
	config.dht_config.node_config.node_id = node_id(settings->id_path);
	config.peer_discovery = settings->discovery;
	config.peer_publish = settings->discovery;
	dht->runner = dht_runner_new();
	if (dht_runner_run_config(dht->runner, (in_port_t)settings->port, &config) != 0) {
		err_set(err, "UDP port %u cannot be used by the DHT", settings->port);
		return false;
	}
	/* A port that is taken for one family only would leave us deaf on it, and OpenDHT silent. */
	if (settings->port && dht_runner_get_bound_port(dht->runner, AF_INET) != settings->port) {
		err_set(err, "UDP port %u is in use already", settings->port);
		return false;
	}
	return true;
}

struct dht *dht_new(struct loop *loop, const struct dht_settings *settings, struct err *err)
{
	struct dht *dht = mem_zero(NULL, struct dht);
	pthread_condattr_t attr;

	dht->loop = loop;
	ops_init(dht);
	pthread_mutex_init(&dht->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&dht->put_ended, &attr);
	pthread_condattr_destroy(&attr);
	dht->values = door_new(loop, LIMIT_DOOR_STRANGERS, err);
	if (!dht->values)
		goto fail;
	dht->own = door_new(loop, SIZE_MAX, err);
	if (!dht->own)
		goto fail;
	if (!runner_start(dht, settings, err))
		goto fail;
	dht->nodes = nodes_new(dht, settings, err);
	if (!dht->nodes)
		goto fail;
	return dht;
fail:
	dht_free(&dht);
	return NULL;
}

/* What was put a moment ago should leave the house. */
static void wait_for_puts(struct dht *dht)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += END_WAIT_S;
	pthread_mutex_lock(&dht->lock);
	while (dht->n_putting > 0) {
		if (pthread_cond_timedwait(&dht->put_ended, &dht->lock, &until) == ETIMEDOUT)
			break;
	}
	pthread_mutex_unlock(&dht->lock);
}

static void free_hooks(struct dht *dht)
{
	struct hook *h;

	while ((h = LIST_FIRST(&dht->hooks))) {
		LIST_REMOVE(h, entry);
		talloc_free(h);
	}
}

void dht_free(struct dht **dhtp)
{
	struct dht *dht = *dhtp;

	*dhtp = NULL;
	if (!dht)
		return;
	if (dht->nodes && nodes_ready(dht->nodes) && ops_putting(dht))
		wait_for_puts(dht);
	if (dht->runner)
		dht_runner_delete(dht->runner);
	door_free(&dht->values);
	door_free(&dht->own);
	ops_free_all(dht);
	nodes_free(&dht->nodes);
	free_hooks(dht);
	pthread_cond_destroy(&dht->put_ended);
	pthread_mutex_destroy(&dht->lock);
	talloc_free(dht);
}

/* A child that was forked a moment ago has our socket until it is another program: then the port is free again. */
static bool runner_restart(struct dht *dht, const struct dht_settings *settings, struct err *err)
{
	static const struct timespec pause = { .tv_nsec = PORT_PAUSE_MS * 1000000 };

	for (unsigned i = 1; !runner_start(dht, settings, err); i++) {
		if (i == PORT_TRIES)
			return false;
		dht_runner_delete(dht->runner);
		nanosleep(&pause, NULL);
	}
	return true;
}

bool dht_move(struct dht *dht, const struct dht_settings *settings, struct err *err)
{
	struct dht_settings here = *settings;

	here.port = dht_port(dht);
	dht_runner_delete(dht->runner);
	door_free(&dht->values);
	door_free(&dht->own);
	nodes_free(&dht->nodes);
	free_hooks(dht);
	dht->n_putting = 0;
	atomic_store(&dht->octets, 0);
	bool good = runner_restart(dht, &here, err);

	dht->values = good ? door_new(dht->loop, LIMIT_DOOR_STRANGERS, err) : NULL;
	dht->own = dht->values ? door_new(dht->loop, SIZE_MAX, err) : NULL;
	dht->nodes = dht->own ? nodes_new(dht, &here, err) : NULL;
	ops_moved(dht, dht->nodes != NULL);
	return dht->nodes != NULL;
}

unsigned dht_port(const struct dht *dht)
{
	unsigned port = dht_runner_get_bound_port(dht->runner, AF_INET);

	return port ? port : dht_runner_get_bound_port(dht->runner, AF_INET6);
}

unsigned dht_nodes(const struct dht *dht)
{
	return nodes_count(dht->nodes);
}

bool dht_is_ready(const struct dht *dht)
{
	return nodes_ready(dht->nodes);
}
