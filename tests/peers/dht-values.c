/*
 * Prints the values under a key of a DHT, one a line in hex: what any stranger
 * can see. It is a node of its own, so whatever it prints came over the
 * network. A key without values is asked for again until LOOKS are used up: a
 * new node learns of its neighbours only by and by.
 *
 * With values (in hex) it puts them there instead, says "put" when all are
 * stored, and stays until it is killed.
 *
 * usage: dht-values NETWORK HOST:PORT KEY [HEX...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/dht/dht.h"
#include "lib/loop/loop.h"

enum { PAUSE_MS = 200, LOOK_MS = 5000, READY_TRIES = 100, LOOKS = 3 };

struct look {
	struct loop *loop;
	struct dht *dht;
	struct dht_get *get;
	struct timer *timer;
	const char *key;
	int tries, looks, found;
	char **puts;			/* NULL: look */
	int n_puts, n_stored;
};

static void on_value(void *arg, struct bytes value)
{
	struct look *l = arg;
	char *hex = malloc(2 * value.len + 1);

	if (!hex)
		abort();
	hex_print(value, hex);
	puts(hex);
	free(hex);
	l->found++;
}

static void on_done(void *arg)
{
	struct look *l = arg;

	if (l->found || ++l->looks == LOOKS)
		loop_stop(l->loop);
	else
		timer_set(l->timer, PAUSE_MS);
}

static void on_stored(void *arg, bool ok)
{
	struct look *l = arg;

	if (ok && ++l->n_stored == l->n_puts) {
		puts("put");
		fflush(stdout);
	}
}

static void put_all(struct look *l)
{
	for (int i = 0; i < l->n_puts; i++) {
		size_t len = strlen(l->puts[i]) / 2;
		uint8_t *octets = malloc(len + 1);

		if (!octets || hex_parse(l->puts[i], octets, len) < 0) {
			fputs("dht-values: not hex\n", stderr);
			exit(2);
		}
		dht_put_new(l->dht, l->key, bytes_of(octets, len), on_stored, l);
		free(octets);
	}
}

static void look(void *arg)
{
	struct look *l = arg;

	if (!dht_is_ready(l->dht) && ++l->tries < READY_TRIES) {
		timer_set(l->timer, PAUSE_MS);
		return;
	}
	if (l->puts) {
		put_all(l);
		return;
	}
	l->get = dht_get_new(l->dht, l->key, LOOK_MS, on_value, on_done, l);
}

int main(int argc, char **argv)
{
	struct err e;
	struct look l = { .key = argc >= 4 ? argv[3] : NULL };

	if (!l.key) {
		fputs("usage: dht-values NETWORK HOST:PORT KEY [HEX...]\n", stderr);
		return 2;
	}
	l.puts = argc > 4 ? argv + 4 : NULL;
	l.n_puts = argc - 4;
	log_open("stderr", LOG_LEVEL_WARN);
	const char *bootstrap[] = { argv[2] };
	struct dht_settings settings = {
		.bootstrap = bootstrap, .n_bootstrap = 1, .network = (uint32_t)strtoul(argv[1], NULL, 10),
	};
	l.loop = loop_new(&e);
	l.dht = l.loop ? dht_new(l.loop, &settings, &e) : NULL;
	if (!l.dht) {
		fprintf(stderr, "dht-values: %s\n", e.text);
		return 1;
	}
	l.timer = timer_new(l.loop, look, &l);
	timer_set(l.timer, 0);
	loop_run(l.loop);
	fflush(stdout);
	timer_free(&l.timer);
	dht_free(&l.dht);
	loop_free(&l.loop);
	return 0;
}
