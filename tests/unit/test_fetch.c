/*
 * Pulls from real HTTP servers with holders of every kind. What opens m' is
 * replaced by one who only reads it and does what the test wants, gpg being
 * asked in test_pgp.c; a large m' reaches him while it arrives.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "tests/unit/turns.h"
#include "way/fetch/fetch.h"

enum { SMALL = 300 * 1024, LARGE = 5 * 1024 * 1024, CHANGED_AT = 200000, N_STALLED = 8 };

static void *ctx;
static char dir[] = "/tmp/fetch.XXXXXX";
static struct pool *pool;
static struct http_server *server;
static struct http_client *client;
static struct fetch *fetch;

/* m'; and one that only the holder "small" has. Set before anything turns. */
static struct bytes sealed, small;

/* How he who opens behaves. */
enum opener { OPENS, REFUSES_EARLY, REFUSES_CHANGED, FAILS_EARLY };
static enum opener opener;
static atomic_int n_opened, n_not_whole;

static int n_got, n_unwanted;
static enum outcome got_res;
static char got_reason[200];

/* A well framed m' without any sense. */
static struct bytes make_sealed(size_t size, bool misframed)
{
	static const uint8_t skesk[] = { 0x8c, 4, 4, 9, 0, 8 };
	size_t body = size - sizeof(skesk) - 6 - (misframed ? 3 : 0);
	uint8_t head[] = { 0xd2, 0xff, (uint8_t)(body >> 24), (uint8_t)(body >> 16), (uint8_t)(body >> 8), (uint8_t)body, 1 };

	uint8_t *m = mem_array(ctx, uint8_t, size);

	for (size_t i = 0; i < size; i++)
		m[i] = (uint8_t)(i * 7 + (i >> 8));
	memcpy(m, skesk, sizeof(skesk));
	memcpy(m + sizeof(skesk), head, sizeof(head));
	return bytes_of(m, size);
}

/* /HOLDER/outbox/HASH: what a holder of that kind has. */
static void answer(void *arg, const struct http_request *r, struct http_answer *a)
{
	struct bytes m = strncmp(r->path, "/small/", 7) == 0 ? small : sealed;
	uint8_t *copy = mem_dup(a->ctx, m.data, m.len);
	size_t size = m.len;

	(void)arg;
	if (strncmp(r->path, "/none/", 6) == 0)
		return;
	if (strncmp(r->path, "/changed/", 9) == 0)
		copy[CHANGED_AT] ^= 1;
	else if (strncmp(r->path, "/unframed/", 10) == 0)
		copy[0] = 'x';
	else if (strncmp(r->path, "/short/", 7) == 0)
		size -= 1;
	a->status = 200;
	a->body = bytes_of(copy, size);
}

static enum outcome refuse(struct err *e, enum outcome res)
{
	err_set(e, "refused by him who opens");
	return res;
}

static enum outcome unseal_work(const void *job, struct pgp *pgp, const struct fetch_sealed *in, const char *inbox,
    const struct fetch_order *o, struct mime **out, struct err *e)
{
	uint8_t block[10000], hash[DIGEST_LEN];
	char *path = mem_printf(NULL, "/proc/self/fd/%d", in->fd);
	int fd = open(path, O_RDONLY);
	struct digest *d = digest_new(job);
	uint64_t at = 0;
	ssize_t n;

	(void)pgp, (void)inbox, (void)out;
	talloc_free(path);
	n_opened++;
	while ((n = read(fd, block, sizeof(block))) > 0) {
		enum outcome res = opener == FAILS_EARLY ? RETRY : REJECT;
		bool changed = at <= CHANGED_AT && CHANGED_AT < at + (uint64_t)n && block[CHANGED_AT - at] != sealed.data[CHANGED_AT];

		digest_add(d, block, (size_t)n);
		at += (uint64_t)n;
		if (at > 100000 && (opener == REFUSES_EARLY || opener == FAILS_EARLY || (opener == REFUSES_CHANGED && changed))) {
			close(fd);
			return refuse(e, res);
		}
	}
	close(fd);
	if (!in->whole) {
		n_not_whole++;
		return refuse(e, RETRY);
	}
	digest_take(d, hash);
	return memcmp(hash, o->hash, sizeof(hash)) == 0 ? OK : refuse(e, REJECT);
}

static enum outcome unseal_head_work(const void *job, struct pgp *pgp, struct bytes octets, const struct fetch_order *o,
    struct head **out, struct err *e)
{
	(void)job, (void)pgp, (void)octets, (void)o, (void)out;
	return refuse(e, REJECT);
}

static void on_got(void *arg, const struct fetch_result *r)
{
	(void)arg;
	got_res = r->res;
	snprintf(got_reason, sizeof(got_reason), "%s", r->reason);
	n_got++;
}

static void on_unwanted(void *arg, const uint8_t digest[32])
{
	(void)arg, (void)digest;
	n_unwanted++;
}

static void set_up(void)
{
	const char *listen[] = { "127.0.0.1:0" }, *own[] = { "http://127.0.0.1:1" };
	struct http_server_settings settings = { listen, 1, 1000 };
	struct http_client_settings client_settings = { own, 1, "test" };
	struct fetch_hooks hooks = { on_got, on_got, on_unwanted, NULL };
	struct err e;

	ctx = mem_ctx(NULL);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	turns_begin();
	pool = pool_new(loop, 2, &e);
	server = http_server_new(&settings, answer, NULL, &e);
	ck_assert_msg(server != NULL, "%s", e.text);
	client = http_client_new(loop, &client_settings, &e);
	struct fetch_parts parts = { loop, pool, NULL, client, dir, unseal_work, unseal_head_work };

	fetch = fetch_start(&parts, &hooks, &e);
	ck_assert_ptr_nonnull(fetch);
}

static void tear_down(void)
{
	pool_free(&pool);
	fetch_stop(&fetch);
	http_client_free(&client);
	http_server_free(&server);
	turns_end();
	/* No name was left behind. */
	ck_assert_int_eq(rmdir(dir), 0);
	talloc_free(ctx);
}

/* holders: words; m from 127.0.0.1:PORT. */
static void pull(uint64_t id, struct bytes m, const char *holders, unsigned port)
{
	struct fetch_order o = { .id = id, .fpr = "F", .patience_ms = 10000, .sealed_size = m.len };
	char *words = mem_strdup(ctx, holders), *urls = mem_strdup(ctx, ""), *save;

	for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		urls = mem_printf(ctx, "%shttp://127.0.0.1:%u/%s\n", urls, port, w);
	if (*urls)
		urls[strlen(urls) - 1] = '\0';
	o.urls = urls;
	digest_of(m, o.hash);
	fetch_body(fetch, &o);
}

static const struct row {
	const char *name, *holders;
	enum opener opener;
	bool misframed;
	enum outcome want;
	const char *reason;
} rows[] = {
	{ "a good one", "good", OPENS, false, OK, "" },
	{ "octets changed, then good", "changed good", OPENS, false, OK, "" },
	{ "refused because it was changed, then good", "changed good", REFUSES_CHANGED, false, OK, "" },
	{ "all changed", "changed changed", REFUSES_CHANGED, false, RETRY, "not the message" },
	{ "cut short, then good", "short good", OPENS, false, OK, "" },
	{ "does not have it, then good", "none good", OPENS, false, OK, "" },
	{ "nobody has it", "none none", OPENS, false, RETRY, "does not offer" },
	{ "no OpenPGP, then good", "unframed good", OPENS, false, OK, "" },
	{ "something behind the last packet", "changed good", OPENS, true, REJECT, "framing" },
	{ "gpg refuses before the end", "good", REFUSES_EARLY, false, REJECT, "refused by him" },
	{ "our own trouble before the end", "good", FAILS_EARLY, false, RETRY, "refused by him" },
};

static void check_row(const struct row *r, size_t size)
{
	sealed = make_sealed(size, r->misframed);
	opener = r->opener;
	pull(1, sealed, r->holders, http_server_port(server));
	turns_until(&n_got, 1);
	ck_assert_msg(got_res == r->want, "case '%s': %d %s", r->name, got_res, got_reason);
	ck_assert_msg(strstr(got_reason, r->reason) != NULL, "case '%s': %s", r->name, got_reason);
}

START_TEST(small_ones)
{
	check_row(&rows[_i], SMALL);
	/* Nobody opens what is not known to be right. */
	ck_assert_int_eq(n_not_whole, 0);
}
END_TEST

START_TEST(large_ones)
{
	check_row(&rows[_i], LARGE);
}
END_TEST

START_TEST(many)
{
	sealed = make_sealed(LARGE, false);
	for (uint64_t id = 1; id <= 30; id++)
		pull(id, sealed, "changed good", http_server_port(server));
	turns_until(&n_got, 30);
	ck_assert_int_eq(got_res, OK);
	ck_assert_int_eq(n_opened, 60);
	ck_assert_int_eq(n_not_whole, 30);
}
END_TEST

/* A holder that sends a part, and then nothing: one connection, one thread. */
static int stalled_fd = -1;
static unsigned stalled_port;

static void *stall(void *arg)
{
	int *fd = arg;
	char head[200], request[2000];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LARGE);

	ck_assert_int_gt(read(*fd, request, sizeof(request)), 0);
	ck_assert_int_eq(files_write(*fd, head, (size_t)n), 0);
	ck_assert_int_eq(files_write(*fd, sealed.data, LARGE / 2), 0);
	/* Until he who pulls goes away. */
	while (read(*fd, request, sizeof(request)) > 0)
		;
	close(*fd);
	return NULL;
}

static void *accept_main(void *arg)
{
	pthread_t threads[N_STALLED];
	int fds[N_STALLED];

	(void)arg;
	for (int i = 0; i < N_STALLED; i++) {
		fds[i] = accept(stalled_fd, NULL, NULL);
		ck_assert_int_ge(fds[i], 0);
		pthread_create(&threads[i], NULL, stall, &fds[i]);
	}
	for (int i = 0; i < N_STALLED; i++)
		pthread_join(threads[i], NULL);
	return NULL;
}

static pthread_t stalled_start(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	pthread_t thread;

	stalled_fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(stalled_fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(listen(stalled_fd, 64), 0);
	getsockname(stalled_fd, (struct sockaddr *)&in, &len);
	stalled_port = ntohs(in.sin_port);
	pthread_create(&thread, NULL, accept_main, NULL);
	return thread;
}

/* What the test waits for is counted on the loop. */
static int n_stalled;

static void on_turn(void *arg)
{
	(void)arg;
	n_stalled = n_opened;
}

static void on_tick(void *arg)
{
	struct timer **t = arg;

	timer_set(*t, 5);
}

/*
 * As many stalled holders as there are places: small mails go on, a large one
 * waits and goes on when one of them is given up, and nothing hangs at the end.
 */
START_TEST(stalled)
{
	struct timer *tick;
	pthread_t holder;

	sealed = make_sealed(LARGE, false);
	small = make_sealed(SMALL, false);
	holder = stalled_start();
	tick = timer_new(loop, on_tick, &tick);
	timer_set(tick, 5);
	loop_on_turn(loop, on_turn, NULL);
	for (uint64_t id = 1; id <= N_STALLED; id++)
		pull(id, sealed, "x", stalled_port);
	turns_until(&n_stalled, N_STALLED);
	pull(100, sealed, "good", http_server_port(server));
	pull(101, small, "small", http_server_port(server));
	turns_until(&n_got, 1);
	ck_assert_int_eq(got_res, OK);
	ck_assert_int_eq(n_opened, N_STALLED + 1);

	n_got = 0;
	fetch_forget(fetch, 1);
	turns_until(&n_got, 1);
	ck_assert_msg(got_res == OK, "%s", got_reason);
	ck_assert_int_eq(n_opened, N_STALLED + 2);
	pool_free(&pool);
	fetch_stop(&fetch);		/* with seven of them under way */
	pthread_join(holder, NULL);
	close(stalled_fd);
	ck_assert_int_eq(n_got, 1);
	ck_assert_int_eq(n_unwanted, 0);
	ck_assert_int_eq(n_not_whole, N_STALLED);
	timer_free(&tick);
}
END_TEST

UNIT_SUITE("fetch")
{
	tcase_add_checked_fixture(unit_case, set_up, tear_down);
	UNIT_LOOP(small_ones, rows);
	UNIT_LOOP(large_ones, rows);
	UNIT(many);
	UNIT(stalled);
}
UNIT_END
