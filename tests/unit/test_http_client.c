/* The client against our own server, and against ones that misbehave by script. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/http/server.h"
#include "tests/unit/http_script.h"

enum { PATIENCE_MS = 20000, BIG = 5 * 1024 * 1024 };

static struct loop *loop;
static struct timer *tick;
static struct http_server *server;
static struct http_client *client, *stranger;
static char file_path[] = "/tmp/p2pmta-http.XXXXXX";
static atomic_uint n_requests;

static char byte_at(uint64_t i)
{
	return (char)('a' + (i / 7) % 26);
}

static void handler(void *arg, const struct http_request *r, struct http_answer *a)
{
	(void)arg;
	n_requests++;
	if (strcmp(r->path, "/text") == 0) {
		a->status = 200;
		a->etag = "\"ten\"";
		a->body = bytes_str("0123456789");
	} else if (strcmp(r->path, "/file") == 0) {
		a->status = 200;
		a->fd = open(file_path, O_RDONLY | O_CLOEXEC);
		a->size = BIG;
	} else if (strcmp(r->path, "/echo") == 0) {
		a->status = 202;
		a->body = bytes_str(mem_printf(a->ctx, "%s %s %.*s", r->method,
		    r->authorization ? r->authorization : "-", (int)r->body.len, (const char *)r->body.data));
	} else if (strcmp(r->path, "/long") == 0) {
		a->status = 404;
		a->body = bytes_str("this is why it is not here");
	}
}

static void on_tick(void *arg)
{
	(void)arg;
	timer_set(tick, 5);
}

static struct http_client *client_for(const char *own_url)
{
	const char *own[] = { own_url };
	struct http_client_settings settings = { .own_urls = own, .n_own_urls = own_url != NULL, .user_agent = "test" };
	struct err err;
	struct http_client *c = http_client_new(loop, &settings, &err);

	ck_assert_ptr_nonnull(c);
	return c;
}

static void set_up(void)
{
	const char *listen[] = { "127.0.0.1:0" };
	struct http_server_settings settings = { .listen = listen, .n_listen = 1, .max_body = 100000 };
	struct err err = { "" };
	char *data = mem_array(NULL, char, BIG);

	for (size_t i = 0; i < BIG; i++)
		data[i] = byte_at(i);
	int fd = mkstemp(file_path);
	ck_assert_int_eq(files_write(fd, data, BIG), 0);
	close(fd);
	talloc_free(data);
	/* Neither is to be looked at. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	loop = loop_new(&err);
	tick = timer_new(loop, on_tick, NULL);
	timer_set(tick, 5);
	server = http_server_new(&settings, handler, NULL, &err);
	ck_assert_msg(server != NULL, "%s", err.text);
	client = client_for("http://127.0.0.1:4180");
	stranger = client_for(NULL);
}

static void tear_down(void)
{
	http_client_free(&client);
	http_client_free(&stranger);
	http_server_free(&server);
	timer_free(&tick);
	loop_free(&loop);
	unlink(file_path);
}

/* One call and what became of it. */
struct end {
	unsigned n_done, status, n_parts;
	bool in_call;
	uint64_t octets, streamed, wrong;
	uint64_t stop_at;
	uint64_t hold_at, hold_step;	/* octets; 0: no hold */
	int64_t hold_ms;
	unsigned n_holds;
	struct timer *resume;
	char body[200], text[256], etag[64];
	struct http_transfer *transfer, *victim;
	struct end *next;		/* begun in done() */
	struct end *inner;		/* begun in on_octets() */
};

static unsigned n_awaited;
static int64_t deadline_ms;

static void on_done(void *arg, const struct http_reply *reply)
{
	struct end *e = arg;

	ck_assert(!e->in_call);
	e->n_done++;
	n_awaited--;
	e->status = reply->status;
	e->octets = reply->octets;
	snprintf(e->body, sizeof(e->body), "%.*s", (int)reply->body.len, (const char *)reply->body.data);
	snprintf(e->text, sizeof(e->text), "%s", reply->text);
	snprintf(e->etag, sizeof(e->etag), "%s", reply->etag ? reply->etag : "-");
}

static void on_turn(void *arg)
{
	(void)arg;
	if (!n_awaited || clock_mono_ms() > deadline_ms)
		loop_stop(loop);
}

static void await_all(void)
{
	static struct loop *hooked;

	if (hooked != loop)
		loop_on_turn(loop, on_turn, NULL);
	hooked = loop;
	deadline_ms = clock_mono_ms() + PATIENCE_MS;
	if (n_awaited)
		loop_run(loop);
	ck_assert_msg(!n_awaited, "%u calls did not end", n_awaited);
}

static char *url_of(unsigned port, const char *path)
{
	static char url[300];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
	return url;
}

static struct http_call call_of(struct end *e, const char *path)
{
	return (struct http_call){
		.method = "GET", .url = url_of(http_server_port(server), path),
		.max = 100 * 1024 * 1024, .quiet_ms = PATIENCE_MS, .done = on_done, .arg = e,
	};
}

static void begin(struct http_client *c, struct end *e, const struct http_call *call)
{
	n_awaited++;
	e->in_call = true;
	e->transfer = http_call(c, call);
	e->in_call = false;
}

static void run(struct http_client *c, struct end *e, const struct http_call *call)
{
	begin(c, e, call);
	await_all();
	ck_assert_uint_eq(e->n_done, 1);
}

START_TEST(get_text)
{
	struct end e = { 0 };
	struct http_call call = call_of(&e, "/text");

	run(client, &e, &call);
	ck_assert_msg(e.status == 200, "%s", e.text);
	ck_assert_str_eq(e.body, "0123456789");
	ck_assert_str_eq(e.etag, "\"ten\"");
	ck_assert_uint_eq(e.octets, 10);
}
END_TEST

START_TEST(get_range)
{
	struct end e = { 0 };
	struct http_call call = call_of(&e, "/text");

	call.range = "2-4";
	run(client, &e, &call);
	ck_assert_uint_eq(e.status, 206);
	ck_assert_str_eq(e.body, "234");
}
END_TEST

START_TEST(post_body)
{
	struct end e = { 0 };
	struct http_call call = call_of(&e, "/echo");

	call.method = "POST";
	call.authorization = "P2pMTA abc=";
	call.body = bytes_str("hello");
	run(client, &e, &call);
	ck_assert_uint_eq(e.status, 202);
	ck_assert_str_eq(e.body, "POST P2pMTA abc= hello");

	struct end put = { 0 }, head = { 0 }, nothing = { 0 };
	call = call_of(&put, "/echo");
	call.method = "PUT";
	call.body = bytes_str("there");
	run(client, &put, &call);
	ck_assert_str_eq(put.body, "PUT - there");
	call = call_of(&head, "/text");
	call.method = "HEAD";
	run(client, &head, &call);
	ck_assert_uint_eq(head.status, 200);
	ck_assert_uint_eq(head.octets, 0);
	ck_assert_str_eq(head.etag, "\"ten\"");
	call = call_of(&nothing, "/echo");
	call.method = "POST";
	run(client, &nothing, &call);
	ck_assert_str_eq(nothing.body, "POST - ");
}
END_TEST

static enum http_taken on_part(void *arg, struct bytes b)
{
	struct end *e = arg;

	if (e->hold_at && e->streamed >= e->hold_at) {
		e->n_holds++;
		timer_set(e->resume, e->hold_ms);
		return HTTP_HOLD;
	}
	for (size_t i = 0; i < b.len; i++)
		e->wrong += (char)b.data[i] != byte_at(e->streamed + i);
	e->streamed += b.len;
	e->n_parts++;
	if (e->victim) {
		http_transfer_free(&e->victim);
		n_awaited--;
	}
	if (e->inner && e->n_parts == 1) {
		struct http_call call = call_of(e->inner, "/text");

		begin(client, e->inner, &call);
	}
	return e->stop_at && e->streamed >= e->stop_at ? HTTP_STOP : HTTP_TAKEN;
}

/* Takes a little more, then holds again. */
static void on_resume(void *arg)
{
	struct end *e = arg;

	e->hold_at = e->hold_step ? e->streamed + e->hold_step : 0;
	e->in_call = true;
	http_transfer_resume(e->transfer);
	e->in_call = false;
}

START_TEST(streamed)
{
	struct end e = { 0 };
	struct http_call call = call_of(&e, "/file");

	call.on_octets = on_part;
	run(client, &e, &call);
	ck_assert_uint_eq(e.status, 200);
	ck_assert_uint_eq(e.streamed, BIG);
	ck_assert_uint_eq(e.octets, BIG);
	ck_assert_uint_eq(e.wrong, 0);
	ck_assert_str_eq(e.body, "");
}
END_TEST

START_TEST(refusal_is_not_streamed)
{
	struct end e = { 0 };
	struct http_call call = call_of(&e, "/long");

	call.on_octets = on_part;
	run(client, &e, &call);
	ck_assert_uint_eq(e.status, 404);
	ck_assert_uint_eq(e.n_parts, 0);
	ck_assert_str_eq(e.body, "this is why it is not here");
}
END_TEST

START_TEST(more_than_max)
{
	struct end e = { 0 }, f = { 0 }, g = { 0 };
	struct http_call call = call_of(&e, "/text");

	call.max = 9;
	run(client, &e, &call);
	ck_assert_uint_eq(e.status, 0);
	ck_assert_msg(strstr(e.text, "more than 9 octets from 127.0.0.1:"), "%s", e.text);
	call = call_of(&f, "/file");
	call.on_octets = on_part;
	call.max = BIG - 1;
	run(client, &f, &call);
	ck_assert_uint_eq(f.status, 0);
	ck_assert_uint_lt(f.streamed, BIG);
	call = call_of(&g, "/text");
	call.max = 10;
	run(client, &g, &call);
	ck_assert_uint_eq(g.status, 200);
}
END_TEST

START_TEST(stopped_by_us)
{
	struct end e = { .stop_at = 1000 };
	struct http_call call = call_of(&e, "/file");

	call.on_octets = on_part;
	run(client, &e, &call);
	ck_assert_uint_eq(e.status, 0);
	ck_assert_str_eq(e.text, "stopped");
	ck_assert_uint_eq(e.n_parts, 1);
}
END_TEST

/* Nothing is lost or comes twice, whatever the rhythm; and what is held is not a silence of the other side. */
static const struct { const char *name; uint64_t at, step; int64_t ms, quiet_ms; } hold_cases[] = {
	{ "once", 1, 0, 0, PATIENCE_MS },
	{ "in the middle", BIG / 2, 0, 0, PATIENCE_MS },
	{ "again and again", 1, BIG / 50, 0, PATIENCE_MS },
	{ "longer than the other side may be quiet", BIG / 2, 0, 600, 200 },
};

START_TEST(held)
{
	struct end e = { .hold_at = hold_cases[_i].at, .hold_step = hold_cases[_i].step, .hold_ms = hold_cases[_i].ms };
	struct http_call call = call_of(&e, "/file");

	e.resume = timer_new(loop, on_resume, &e);
	call.on_octets = on_part;
	call.quiet_ms = hold_cases[_i].quiet_ms;
	run(client, &e, &call);
	ck_assert_msg(e.status == 200, "case '%s': %s", hold_cases[_i].name, e.text);
	ck_assert_uint_ge(e.n_holds, hold_cases[_i].step ? 20 : 1);
	ck_assert_uint_eq(e.streamed, BIG);
	ck_assert_uint_eq(e.octets, BIG);
	ck_assert_uint_eq(e.wrong, 0);
	timer_free(&e.resume);
}
END_TEST

START_TEST(stopped_when_resumed)
{
	struct end e = { .hold_at = 100000, .stop_at = 100001 };
	struct http_call call = call_of(&e, "/file");

	e.resume = timer_new(loop, on_resume, &e);
	call.on_octets = on_part;
	run(client, &e, &call);
	ck_assert_uint_eq(e.status, 0);
	ck_assert_str_eq(e.text, "stopped");
	timer_free(&e.resume);
}
END_TEST

/* Others go on, and a held one may be freed. */
START_TEST(freed_while_held)
{
	struct end e = { .hold_at = 1, .hold_ms = 60000 }, other = { 0 };
	struct http_call call = call_of(&e, "/file");

	e.resume = timer_new(loop, on_resume, &e);
	call.on_octets = on_part;
	begin(client, &e, &call);
	while (e.n_holds == 0) {
		n_awaited--;
		other = (struct end){ 0 };
		call = call_of(&other, "/text");
		run(client, &other, &call);
		n_awaited++;
	}
	call = call_of(&other, "/file");
	other = (struct end){ 0 };
	call.on_octets = on_part;
	n_awaited--;
	run(client, &other, &call);
	ck_assert_uint_eq(other.octets, BIG);
	ck_assert_uint_eq(e.n_done, 0);
	http_transfer_free(&e.transfer);
	http_client_free(&client);
	ck_assert_uint_eq(e.n_done, 0);
	timer_free(&e.resume);
}
END_TEST

static unsigned closed_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	getsockname(fd, (struct sockaddr *)&in, &len);
	close(fd);
	return ntohs(in.sin_port);
}

START_TEST(refused)
{
	struct end e = { 0 };
	struct http_call call = call_of(&e, "/");
	unsigned port = closed_port();
	char want[80];

	call.url = url_of(port, "/");
	run(client, &e, &call);
	snprintf(want, sizeof(want), "connection refused by 127.0.0.1:%u", port);
	ck_assert_uint_eq(e.status, 0);
	ck_assert_str_eq(e.text, want);
}
END_TEST

static const struct {
	const char *name, *url, *text;
} url_cases[] = {
	{ "file", "file:///etc/passwd", "only http and https" },
	{ "ftp", "ftp://127.0.0.1/x", "only http and https" },
	{ "gopher", "gopher://127.0.0.1/x", "only http and https" },
	{ "unknown scheme", "p2p://x", "only http and https" },
	{ "user in URL", "http://a:b@127.0.0.1:1/", "user name" },
	{ "empty", "", "" },
	{ "blank", "http://a b/", "" },
	{ "port", "http://127.0.0.1:99999/", "" },
};

START_TEST(url_table)
{
	struct end e = { 0 };
	struct http_call call = call_of(&e, "/");

	call.url = url_cases[_i].url;
	run(client, &e, &call);
	ck_assert_uint_eq(e.status, 0);
	ck_assert_msg(e.text[0] && strstr(e.text, url_cases[_i].text), "case '%s': %s", url_cases[_i].name, e.text);
}
END_TEST

START_TEST(private_addresses)
{
	struct end e = { 0 }, f = { 0 }, g = { 0 };
	struct http_call call = call_of(&e, "/text");
	char url[64];

	run(stranger, &e, &call);
	ck_assert_uint_eq(e.status, 0);
	ck_assert_msg(strstr(e.text, "private network"), "%s", e.text);
	ck_assert_uint_eq(n_requests, 0);
	/* A name that leads there is no better. */
	snprintf(url, sizeof(url), "http://localhost:%u/text", http_server_port(server));
	call.url = url;
	e.n_done = 0;
	run(stranger, &e, &call);
	ck_assert_msg(strstr(e.text, "private network"), "%s", e.text);
	call = call_of(&f, "/text");
	call.friend_address = true;
	run(stranger, &f, &call);
	ck_assert_uint_eq(f.status, 200);
	/* The friend's connection is still open, and not for a stranger's URL. */
	call = call_of(&g, "/text");
	run(stranger, &g, &call);
	ck_assert_uint_eq(g.status, 0);
	ck_assert_msg(strstr(g.text, "private network"), "%s", g.text);
	ck_assert_uint_eq(n_requests, 1);
}
END_TEST

/* --- servers by script --- */

static const struct {
	const char *name, *say, *drip;
	bool stay;
	int64_t quiet_ms, total_ms;
	unsigned status;
	const char *text, *body;
} script_cases[] = {
	{ "good", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", NULL, false, 5000, 0, 200, "answered 200", "hi" },
	{ "redirect", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", NULL, false, 5000, 0, 302, "answered 302", "" },
	{ "etag twice", "HTTP/1.1 200 OK\r\neTaG:\"a\"  \r\nETag: \"b\"\r\nContent-Length: 0\r\n\r\n", NULL, false, 5000, 0, 200, "", "" },
	{ "silent", NULL, NULL, true, 200, 0, 0, "no octet for 0.2 s", "" },
	{ "silent after header", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", NULL, true, 200, 0, 0, "no octet for 0.2 s", "" },
	{ "slow but alive", "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n", "0123456789abcdef", true, 300, 0, 200, "answered 200", "0123456789abcdef" },
	{ "slow and too long", "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n", "0123456789abcdef", true, 5000, 200, 0, "not done after 0.2 s", NULL },
	{ "hangs up", NULL, NULL, false, 5000, 0, 0, "hung up without an answer", "" },
	{ "breaks off", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhello", NULL, false, 5000, 0, 0, "broke off", NULL },
	{ "not HTTP", "220 mail ESMTP\r\n", NULL, false, 5000, 0, 0, "", "" },
	{ "HTTP/0.9", "<html>", NULL, false, 5000, 0, 0, "", "" },
};

START_TEST(script_table)
{
	struct script s = { .say = script_cases[_i].say, .drip = script_cases[_i].drip, .stay = script_cases[_i].stay };
	const char *name = script_cases[_i].name;
	struct end e = { 0 };
	struct http_call call = call_of(&e, "/");

	script_start(&s);
	call.url = url_of(s.port, "/");
	call.quiet_ms = script_cases[_i].quiet_ms;
	call.total_ms = script_cases[_i].total_ms;
	run(client, &e, &call);
	ck_assert_msg(e.status == script_cases[_i].status, "case '%s': %u %s", name, e.status, e.text);
	ck_assert_msg(e.text[0] && strstr(e.text, script_cases[_i].text), "case '%s': '%s'", name, e.text);
	if (script_cases[_i].body)
		ck_assert_msg(strcmp(e.body, script_cases[_i].body) == 0, "case '%s': '%s'", name, e.body);
	ck_assert_uint_eq(s.n_accepted, 1);
	http_client_free(&client);
	script_stop(&s);
}
END_TEST

START_TEST(endless_header)
{
	struct buf *b = buf_new(NULL, 1000000);
	struct end e = { 0 };
	struct http_call call = call_of(&e, "/");

	buf_adds(b, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 1000; i++)
		buf_addf(b, "X-%d: 0123456789012345678901234567890123456789\r\n", i);
	struct script s = { .say = b->data, .stay = true };
	script_start(&s);
	call.url = url_of(s.port, "/");
	run(client, &e, &call);
	ck_assert_uint_eq(e.status, 0);
	ck_assert_msg(strstr(e.text, "header too long"), "%s", e.text);
	http_client_free(&client);
	script_stop(&s);
	talloc_free(b);
}
END_TEST

START_TEST(connection_is_kept)
{
	struct script s = { .say = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", .n_requests = 5 };

	script_start(&s);
	for (int i = 0; i < 5; i++) {
		struct end e = { 0 };
		struct http_call call = call_of(&e, "/");

		call.url = url_of(s.port, "/");
		run(client, &e, &call);
		ck_assert_uint_eq(e.status, 200);
	}
	ck_assert_uint_eq(s.n_accepted, 1);
	ck_assert_uint_eq(s.n_asked, 5);
	http_client_free(&client);
	script_stop(&s);
}
END_TEST

/* --- ends --- */

static void on_done_next(void *arg, const struct http_reply *reply)
{
	struct end *e = arg;
	struct http_call call = call_of(e->next, "/text");

	begin(client, e->next, &call);
	http_transfer_free(&e->transfer);	/* harmless: it ends anyway */
	http_transfer_free(&e->victim);
	on_done(arg, reply);
}

START_TEST(begun_and_freed_in_done)
{
	struct script s = { .stay = true };
	struct end e = { 0 }, next = { 0 }, victim = { 0 };
	struct http_call call = call_of(&victim, "/");

	script_start(&s);
	call.url = url_of(s.port, "/");
	begin(client, &victim, &call);
	n_awaited--;
	call = call_of(&e, "/text");
	e.next = &next;
	e.victim = victim.transfer;
	call.done = on_done_next;
	begin(client, &e, &call);
	await_all();
	ck_assert_uint_eq(e.status, 200);
	ck_assert_uint_eq(next.status, 200);
	ck_assert_uint_eq(victim.n_done, 0);
	http_client_free(&client);
	script_stop(&s);
}
END_TEST

START_TEST(begun_and_freed_in_on_octets)
{
	struct end e = { 0 }, inner = { 0 };
	struct http_call call = call_of(&e, "/file");

	call.on_octets = on_part;
	e.inner = &inner;
	begin(client, &e, &call);
	e.victim = e.transfer;		/* itself */
	await_all();
	ck_assert_uint_eq(inner.status, 200);
	ck_assert_uint_eq(e.n_done, 0);
	ck_assert_uint_eq(e.n_parts, 1);
}
END_TEST

START_TEST(freed_with_calls_open)
{
	struct script s = { .stay = true };
	struct end e[10] = { { 0 } }, bad = { 0 }, text = { 0 };

	script_start(&s);
	for (int i = 0; i < 10; i++) {
		struct http_call call = call_of(&e[i], "/");

		call.url = url_of(s.port, "/");
		begin(client, &e[i], &call);
	}
	struct http_call call = call_of(&bad, "/");
	call.url = "file:///x";
	begin(client, &bad, &call);
	n_awaited = 1;
	call = call_of(&text, "/text");
	run(client, &text, &call);		/* turns a while */
	http_transfer_free(&e[3].transfer);
	http_client_free(&client);
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(e[i].n_done, 0);
	ck_assert_uint_eq(bad.n_done, 1);
	script_stop(&s);
}
END_TEST

START_TEST(many_at_once)
{
	static struct end e[200];

	for (int i = 0; i < 200; i++) {
		struct http_call call = call_of(&e[i], i % 2 ? "/text" : "/echo");

		begin(client, &e[i], &call);
	}
	await_all();
	for (int i = 0; i < 200; i++)
		ck_assert_msg(e[i].status == (i % 2 ? 200 : 202), "%d: %s", i, e[i].text);
}
END_TEST

UNIT_SUITE("http_client")
{
	tcase_add_checked_fixture(unit_case, set_up, tear_down);
	UNIT(get_text);
	UNIT(get_range);
	UNIT(post_body);
	UNIT(streamed);
	UNIT(refusal_is_not_streamed);
	UNIT(more_than_max);
	UNIT(stopped_by_us);
	UNIT_LOOP(held, hold_cases);
	UNIT(stopped_when_resumed);
	UNIT(freed_while_held);
	UNIT(refused);
	UNIT_LOOP(url_table, url_cases);
	UNIT(private_addresses);
	UNIT_LOOP(script_table, script_cases);
	UNIT(endless_header);
	UNIT(connection_is_kept);
	UNIT(begun_and_freed_in_done);
	UNIT(begun_and_freed_in_on_octets);
	UNIT(freed_with_calls_open);
	UNIT(many_at_once);
}
UNIT_END
