/* Calls whose other side does all it can to keep us, or to fill us. */
#include <dlfcn.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "tests/unit/http_script.h"
#include "tests/unit/turns.h"

static struct http_client *client;
static int n_done;

static void set_up(void)
{
	static const char *const own[] = { "http://127.0.0.1:1" };
	struct http_client_settings settings = { own, 1, "test" };
	struct err e;

	signal(SIGPIPE, SIG_IGN);
	turns_begin();
	client = http_client_new(loop, &settings, &e);
	ck_assert_msg(client != NULL, "%s", e.text);
}

static void tear_down(void)
{
	http_client_free(&client);
	turns_end();
}

struct end { unsigned status; uint64_t octets; char text[256]; };

static void on_done(void *arg, const struct http_reply *reply)
{
	struct end *e = arg;

	snprintf(e->text, sizeof(e->text), "%s", reply->text);
	e->status = reply->status;
	e->octets = reply->octets;
	n_done++;
}

static enum http_taken on_part(void *arg, struct bytes b)
{
	(void)arg, (void)b;
	return HTTP_TAKEN;
}

static struct http_call call_of(struct end *e)
{
	return (struct http_call){ .method = "GET", .max = 100 * 1024 * 1024, .quiet_ms = 5000, .done = on_done, .arg = e };
}

static const char *script_url(const struct script *s)
{
	static char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", s->port);
	return url;
}

static void run(const struct http_call *call)
{
	int want = n_done + 1;

	http_call(client, call);
	turns_until(&n_done, want);
}

/* A refusal is read to be understood, not to be kept: it may be as long as what was asked for. */
START_TEST(endless_refusal)
{
	struct buf *b = buf_new(NULL, 3000000);
	struct end e = { 0 };
	struct http_call call = call_of(&e);
	char line[1000];

	memset(line, 'x', sizeof(line));
	buf_adds(b, "HTTP/1.1 404 Not Found\r\nContent-Length: 2000000000\r\n\r\n");
	for (int i = 0; i < 2000; i++)
		buf_add(b, line, sizeof(line));
	struct script s = { .say = b->data, .stay = true, .may_break = true };
	script_start(&s);
	call.url = script_url(&s);
	call.on_octets = on_part;
	call.quiet_ms = 1000;
	run(&call);
	ck_assert_uint_eq(e.status, 0);
	ck_assert_msg(strstr(e.text, "more than"), "%s", e.text);
	ck_assert_uint_lt(e.octets, 100000);
	http_client_free(&client);
	script_stop(&s);
	talloc_free(b);
}
END_TEST

/* Octets that trickle, of the body and of the header: no life of what is pulled, but of anything else. */
static const char *const trickles[] = { "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "HTTP/1.1 200 OK\r\n" };

START_TEST(trickle_table)
{
	struct buf *b = buf_new(NULL, 1000);
	struct end e = { 0 }, f = { 0 };
	struct http_call call = call_of(&e);

	for (int i = 0; i < 40; i++)
		buf_adds(b, _i == 0 ? "x" : "a:\n");
	struct script s = { .say = trickles[_i], .drip = b->data, .stay = true };
	script_start(&s);
	call.url = script_url(&s);
	call.on_octets = on_part;
	call.quiet_ms = 300;
	run(&call);
	ck_assert_uint_eq(e.status, 0);
	ck_assert_msg(strstr(e.text, "slow"), "%s", e.text);
	call.on_octets = NULL;
	call.arg = &f;
	call.total_ms = 1000;
	run(&call);
	ck_assert_str_eq(f.text, "not done after 1 s");
	http_client_free(&client);
	script_stop(&s);
	talloc_free(b);
}
END_TEST

/* libcurl's look-up of a name, on a thread of its own; this one has no answer for long. */
static atomic_uint n_looking;

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (host && strcmp(host, "slow.example") == 0) {
		n_looking++;
		nanosleep(&(struct timespec){ .tv_sec = 3 }, NULL);
		n_looking--;
		return EAI_AGAIN;
	}
	*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	return next(host, service, hints, out);
}

/* Who gives up on it does not wait for its end, and nobody else does. */
START_TEST(name_without_answer)
{
	struct script s = { .say = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" };
	struct end e = { 0 }, f = { 0 };
	struct http_call call = call_of(&e), other = call_of(&f);
	int64_t begin_ms = clock_mono_ms();

	script_start(&s);
	call.url = "http://slow.example/";
	call.quiet_ms = 200;
	run(&call);
	ck_assert_uint_eq(n_looking, 1);
	ck_assert_uint_eq(e.status, 0);
	call.quiet_ms = 100000;
	http_call(client, &call);
	other.url = script_url(&s);
	run(&other);
	ck_assert_uint_eq(f.status, 200);
	http_client_free(&client);
	ck_assert_int_lt(clock_mono_ms() - begin_ms, 2000);
	script_stop(&s);
}
END_TEST

UNIT_SUITE("http_ends")
{
	tcase_add_checked_fixture(unit_case, set_up, tear_down);
	UNIT(endless_refusal);
	UNIT_LOOP(trickle_table, trickles);
	UNIT(name_without_answer);
}
UNIT_END
