/*
 * way/fetch and way/seal alone, with real gpg and HTTP, for `run pieces`: pull one message from given URLs.
 *
 *	pull GPGHOME FOLDER FPR HASH DIGEST KEY SECRET SEALED-SIZE SIZE HEAD-HASH HEAD-SIZE URL...
 *
 * Prints "MILLISECONDS WHO-DELIVERED".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/mail/value.h"
#include "way/fetch/fetch.h"
#include "way/seal/seal.h"

static struct loop *loop;
static int status = 1;
static int64_t begun_ms;

static enum outcome body_work(const void *ctx, struct pgp *pgp, const struct fetch_sealed *sealed, const char *dir,
    const struct fetch_order *o, struct mime **out, struct err *e)
{
	struct unseal_order order = {
		.pgp = pgp, .sealed_fd = sealed->fd, .whole = &sealed->whole, .dir = dir, .key = o->key, .fpr = o->fpr,
		.digest = o->digest, .size = o->size,
	};

	return unseal_work(ctx, &order, out, e);
}

static enum outcome head_work(const void *ctx, struct pgp *pgp, struct bytes sealed, const struct fetch_order *o,
    struct head **out, struct err *e)
{
	return unseal_head_work(ctx, pgp, sealed, o->key, o->fpr, out, e);
}

static void on_body(void *arg, const struct fetch_result *r)
{
	(void)arg;
	if (r->res == OK)
		printf("%lld %s\n", (long long)(clock_mono_ms() - begun_ms), r->from);
	else
		fprintf(stderr, "pull: %s\n", r->reason);
	status = r->res == OK ? 0 : 1;
	loop_stop(loop);
}

static bool take_order(char **a, struct fetch_order *o)
{
	uint8_t secret[32];

	o->fpr = a[0];
	if (hex_parse(a[1], o->hash, 32) < 0 || hex_parse(a[2], o->digest, 32) < 0 || hex_parse(a[3], o->key, 32) < 0 ||
	    hex_parse(a[4], secret, 32) < 0 || hex_parse(a[7], o->head_hash, 32) < 0)
		return false;
	o->sealed_size = strtoull(a[5], NULL, 10);
	o->size = strtoull(a[6], NULL, 10);
	o->head_size = strtoull(a[8], NULL, 10);
	proof_make(PROOF_GET, secret, o->hash, o->t_get);
	proof_make(PROOF_RECALL, secret, o->hash, o->t_recall);
	return true;
}

static int run(const struct fetch_parts *parts, const struct fetch_order *o, struct err *e)
{
	struct fetch_hooks hooks = { .got_body = on_body };
	struct fetch *f = fetch_start(parts, &hooks, e);
	struct pool *pool = parts->pool;

	if (f == NULL)
		return 1;
	begun_ms = clock_mono_ms();
	fetch_body(f, o);
	loop_run(loop);
	pool_free(&pool);
	fetch_stop(&f);
	return status;
}

int main(int argc, char **argv)
{
	struct fetch_source sources[16] = { { 0 } };
	struct fetch_order o = { .id = 1, .sender = "sender@bench", .sources = sources, .patience_ms = 60000 };
	struct http_client_settings settings = { .user_agent = "bench" };
	struct err e = { "usage: see pull.c" };
	struct pgp *pgp = NULL;

	if (argc > 12 && argc <= 12 + 16 && take_order(argv + 3, &o))
		pgp = pgp_new(argv[1], NULL, &e);
	if (pgp != NULL)
		loop = loop_new(&e);
	if (loop == NULL) {
		fprintf(stderr, "pull: %s\n", e.text);
		return 1;
	}
	for (int i = 12; i < argc; i++)
		sources[o.n_sources++] = (struct fetch_source){ .url = argv[i], .friend_address = true };
	struct fetch_parts parts = {
		loop, pool_new(loop, 0, &e), pgp, http_client_new(loop, &settings, &e), argv[2], FETCH_HEDGE_MS, body_work, head_work,
	};

	if (parts.pool == NULL || parts.http == NULL || run(&parts, &o, &e) != 0)
		fprintf(stderr, "pull: %s\n", e.text);
	http_client_free(&parts.http);
	loop_free(&loop);
	pgp_free(&pgp);
	return status;
}
