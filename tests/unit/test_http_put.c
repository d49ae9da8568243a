/* Bodies that go to a file: what the server takes and refuses, by octets over sockets and by our own client. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/limits.h"
#include "lib/http/client.h"
#include "lib/http/server.h"
#include "lib/http/upload.h"
#include "tests/unit/http_dial.h"

enum { MAX_BODY = 1000, BIG = 5 * 1024 * 1024, PATIENCE_MS = 20000 };

/* SHA-256 of "hello", and of nothing. */
#define HELLO "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"
#define NOTHING "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"

static struct http_server *server;
static char file_path[] = "/tmp/p2pmta-put.XXXXXX";

static char byte_at(uint64_t i)
{
	return (char)('a' + (i / 7) % 26);
}

/* What the hooks saw. */
static struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned n_admitted, n_done, n_closed, n_later, n_posts;
	uint64_t size, ticket;
	bool has_digest;
	uint8_t announced[32], digest[32];
	char path[64], authorization[64], peer[64];
	char text[64];			/* begin of what is in the file */
	int fd;				/* the server's number of it, for whether it was closed */
	int taken;			/* the descriptor that done_http took */
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void put_done(void *arg, struct http_put *p, struct http_answer *a)
{
	ck_assert_ptr_eq(arg, &seen);
	pthread_mutex_lock(&seen.lock);
	seen.n_done++;
	seen.size = p->size;
	memcpy(seen.digest, p->digest, 32);
	memset(seen.text, 0, sizeof(seen.text));
	ck_assert_int_ge(pread(p->fd, seen.text, sizeof(seen.text) - 1, 0), 0);
	a->status = 204;
	if (strcmp(p->path, "/later") == 0) {
		a->later = true;
		seen.n_later++;
		seen.ticket = p->ticket;
	} else if (strcmp(p->path, "/take") == 0) {
		seen.taken = p->fd;
		p->fd = -1;
	} else if (strcmp(p->path, "/talk") == 0) {
		a->status = 503;
		a->retry_s = 7;
		a->body = bytes_str("not now");
	}
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
}

static void put_closed(void *arg)
{
	ck_assert_ptr_eq(arg, &seen);
	pthread_mutex_lock(&seen.lock);
	seen.n_closed++;
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
}

static int unlinked(void)
{
	char path[] = "/tmp/p2pmta-put.XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	return fd;
}

static void admit(void *arg, struct http_put *p)
{
	ck_assert_ptr_eq(arg, &server);
	ck_assert_int_eq(p->fd, -1);
	ck_assert_uint_eq(p->status, 404);
	pthread_mutex_lock(&seen.lock);
	seen.n_admitted++;
	seen.has_digest = p->has_digest;
	memcpy(seen.announced, p->digest, 32);
	snprintf(seen.path, sizeof(seen.path), "%s", p->path);
	snprintf(seen.peer, sizeof(seen.peer), "%s", p->peer);
	snprintf(seen.authorization, sizeof(seen.authorization), "%s", p->authorization ? p->authorization : "-");
	p->arg = &seen;
	p->closed = put_closed;
	seen.fd = -1;
	if (strcmp(p->path, "/have") == 0) {
		p->status = 204;
	} else if (strcmp(p->path, "/nothing") != 0) {
		p->status = 0;
		p->max = strcmp(p->path, "/small") == 0 ? 10 : 100 * 1024 * 1024;
		p->fd = strcmp(p->path, "/full") == 0 ? open("/dev/full", O_WRONLY | O_CLOEXEC) :
		    strcmp(p->path, "/broken") == 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : unlinked();
		p->done_http = put_done;
		seen.fd = p->fd;
	}
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
}

static void handler(void *arg, const struct http_request *r, struct http_answer *a)
{
	(void)arg;
	pthread_mutex_lock(&seen.lock);
	seen.n_posts++;
	pthread_mutex_unlock(&seen.lock);
	ck_assert_str_ne(r->method, "PUT");
	a->status = 200;
	a->etag = "\"ten\"";
	if (strcmp(r->path, "/file") == 0) {
		a->fd = open(file_path, O_RDONLY | O_CLOEXEC);
		a->size = BIG;
	} else {
		a->body = bytes_str("0123456789");
	}
}

/* Until what another thread counts reaches want. */
static void await(const unsigned *n, unsigned want)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_MS / 1000;
	pthread_mutex_lock(&seen.lock);
	while (*n < want)
		ck_assert_int_eq(pthread_cond_timedwait(&seen.changed, &seen.lock, &until), 0);
	pthread_mutex_unlock(&seen.lock);
}

static void set_up(void)
{
	const char *listen[] = { "127.0.0.1:0", "127.0.0.1:0" };
	struct http_server_settings settings = { .listen = listen, .n_listen = 2, .max_body = MAX_BODY, .admit_http = admit };
	struct err err = { "" };
	char *data = mem_array(NULL, char, BIG);

	for (size_t i = 0; i < BIG; i++)
		data[i] = byte_at(i);
	int fd = mkstemp(file_path);
	ck_assert_int_eq(files_write(fd, data, BIG), 0);
	close(fd);
	talloc_free(data);
	server = http_server_new(&settings, handler, &server, &err);
	ck_assert_msg(server != NULL, "%s", err.text);
}

static void tear_down(void)
{
	http_server_free(&server);
	unlink(file_path);
	ck_assert_uint_eq(seen.n_closed, seen.n_admitted);
	if (seen.n_admitted > 0 && seen.taken == 0)
		ck_assert_msg(fcntl(seen.fd, F_GETFD) < 0, "descriptor %d is still open", seen.fd);
}

static int dial(void)
{
	return dial_port(http_server_port(server));
}

static int dial_saying(const char *octets)
{
	int fd = dial();

	ck_assert_int_eq(files_write(fd, octets, strlen(octets)), 0);
	return fd;
}

/* --- by octets --- */

static const struct {
	const char *name, *request;
	unsigned status;
	unsigned n_admitted, n_done;
} put_cases[] = {
	{ "good", "PUT /x" CLOSE "Content-Length: 5\r\nContent-Digest: " HELLO "\r\n\r\nhello", 204, 1, 1 },
	{ "without a digest", "PUT /x" CLOSE "Content-Length: 5\r\n\r\nhello", 204, 1, 1 },
	{ "digest of another name", "PUT /x" CLOSE "Content-Length: 5\r\nContent-Digest: md5=:AAEC:\r\n\r\nhello", 204, 1, 1 },
	{ "nothing", "PUT /x" CLOSE "Content-Length: 0\r\nContent-Digest: " NOTHING "\r\n\r\n", 204, 1, 1 },
	{ "as long as may be", "PUT /small" CLOSE "Content-Length: 10\r\n\r\nhellohello", 204, 1, 1 },
	{ "waits for the word", "PUT /x" CLOSE "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello", 204, 1, 1 },
	{ "answer with a text", "PUT /talk" CLOSE "Content-Length: 5\r\n\r\nhello", 503, 1, 1 },
	{ "wrong digest", "PUT /x" CLOSE "Content-Length: 5\r\nContent-Digest: " HELLO "\r\n\r\nhallo", 409, 1, 0 },
	{ "digest of nothing", "PUT /x" CLOSE "Content-Length: 5\r\nContent-Digest: " NOTHING "\r\n\r\nhello", 409, 1, 0 },
	{ "digest that is none", "PUT /x" CLOSE "Content-Length: 5\r\nContent-Digest: hello\r\n\r\nhello", 400, 0, 0 },
	{ "digest that is too short", "PUT /x" CLOSE "Content-Length: 5\r\nContent-Digest: sha-256=:AAEC:\r\n\r\nhello", 400, 0, 0 },
	{ "refused", "PUT /nothing" CLOSE "Content-Length: 5\r\n\r\nhello", 404, 1, 0 },
	{ "refused before the body", "PUT /nothing" CLOSE "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", 404, 1, 0 },
	{ "there already", "PUT /have" CLOSE "Content-Length: 5\r\n\r\nhello", 204, 1, 0 },
	{ "there already, before the body", "PUT /have" CLOSE "Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n", 204, 1, 0 },
	{ "too long", "PUT /small" CLOSE "Content-Length: 11\r\n\r\nhellohello!", 413, 1, 0 },
	{ "far too long", "PUT /x" CLOSE "Content-Length: 5000000000000\r\n\r\n", 413, 1, 0 },
	{ "longer than can be said", "PUT /x" CLOSE "Content-Length: 99999999999999999999\r\n\r\n", 413, 0, 0 },
	{ "of unknown length", "PUT /x" CLOSE "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 411, 0, 0 },
	{ "no length", "PUT /x" CLOSE "\r\n", 411, 0, 0 },
	{ "of two lengths", "PUT /small" CLOSE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n14\r\nhellohellohellohello\r\n0\r\n\r\n", 400, 0, 0 },
	{ "disk full", "PUT /full" CLOSE "Content-Length: 5\r\n\r\nhello", 507, 1, 0 },
	{ "disk broken", "PUT /broken" CLOSE "Content-Length: 5\r\n\r\nhello", 500, 1, 0 },
	{ "not a PUT", "POST /x" CLOSE "Content-Length: 5\r\n\r\nhello", 200, 0, 0 },
};

START_TEST(put_table)
{
	const char *name = put_cases[_i].name;
	unsigned status = 0;
	size_t len;
	char *answer = ask_port(http_server_port(server), put_cases[_i].request, &len), *at = answer;

	if (strncmp(at, "HTTP/1.1 100", 12) == 0)
		at = strstr(at, "\r\n\r\n") + 4;
	sscanf(at, "HTTP/1.1 %u", &status);
	ck_assert_msg(status == put_cases[_i].status, "case '%s': %u, not %u:\n%s", name, status, put_cases[_i].status, answer);
	ck_assert_msg(seen.n_admitted == put_cases[_i].n_admitted, "case '%s': admitted %u", name, seen.n_admitted);
	ck_assert_msg(seen.n_done == put_cases[_i].n_done, "case '%s': done %u", name, seen.n_done);
	if (status == 503)
		ck_assert_ptr_nonnull(strstr(answer, "Retry-After: 7\r\n"));
	forget(answer);
}
END_TEST

START_TEST(hooks_are_told)
{
	uint8_t hello[32];
	size_t len;

	forget(ask_port(http_server_port(server), "PUT /replica/%41?x" CLOSE "Authorization: P2pMTA-Member a b\r\n"
	    "Content-Length: 5\r\nContent-Digest: " HELLO "\r\n\r\nhello", &len));
	digest_of(bytes_str("hello"), hello);
	ck_assert_str_eq(seen.path, "/replica/%41?x");
	ck_assert_str_eq(seen.peer, "127.0.0.1");
	ck_assert_str_eq(seen.authorization, "P2pMTA-Member a b");
	ck_assert(seen.has_digest);
	ck_assert_mem_eq(seen.announced, hello, 32);
	ck_assert_mem_eq(seen.digest, hello, 32);
	ck_assert_uint_eq(seen.size, 5);
	ck_assert_str_eq(seen.text, "hello");
	forget(ask_port(http_server_port(server), "PUT /y" CLOSE "Content-Length: 5\r\n\r\nhello", &len));
	ck_assert(!seen.has_digest);
	ck_assert_str_eq(seen.authorization, "-");
	ck_assert_mem_eq(seen.digest, hello, 32);
}
END_TEST

START_TEST(descriptor_is_taken)
{
	char text[8] = "";
	size_t len;

	forget(ask_port(http_server_port(server), "PUT /take" CLOSE "Content-Length: 5\r\n\r\nhello", &len));
	await(&seen.n_closed, 1);
	ck_assert_int_eq(pread(seen.taken, text, sizeof(text), 0), 5);
	ck_assert_str_eq(text, "hello");
	ck_assert_int_eq(close(seen.taken), 0);
}
END_TEST

/* A short body that was refused leaves the connection as it was. */
START_TEST(connection_goes_on)
{
	size_t len;
	char *answer = ask_port(http_server_port(server),
	    "PUT /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	    "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	    "PUT /full HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	    "GET /text" CLOSE "\r\n", &len);

	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 404"));
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 204"));
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 507"));
	ck_assert_ptr_nonnull(strstr(answer, "0123456789"));
	forget(answer);
}
END_TEST

START_TEST(cut_off)
{
	close(dial_saying("PUT /x" CLOSE "Content-Length: 10\r\n\r\nhello"));
	await(&seen.n_closed, 1);
	ck_assert_uint_eq(seen.n_done, 0);
	ck_assert_int_lt(fcntl(seen.fd, F_GETFD), 0);

	/* The server ends while one is under way. */
	int fd = dial_saying("PUT /x" CLOSE "Content-Length: 10\r\n\r\nhello");
	await(&seen.n_admitted, 2);
	http_server_free(&server);
	ck_assert_uint_eq(seen.n_closed, 2);
	ck_assert_uint_eq(seen.n_done, 0);
	close(fd);
}
END_TEST

START_TEST(as_many_as_may_be)
{
	int fds[LIMIT_HTTP_UPLOADS];
	size_t len;

	for (int i = 0; i < LIMIT_HTTP_UPLOADS; i++)
		fds[i] = dial_saying("PUT /x" CLOSE "Content-Length: 10\r\n\r\nhello");
	await(&seen.n_admitted, LIMIT_HTTP_UPLOADS);
	char *answer = ask_port(http_server_port(server), "PUT /x" CLOSE "Content-Length: 5\r\n\r\nhello", &len);
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 503"));
	forget(answer);
	await(&seen.n_closed, 1);
	ck_assert_int_lt(fcntl(seen.fd, F_GETFD), 0);

	/* What is there already takes no place. */
	answer = ask_port(http_server_port(server), "PUT /have" CLOSE "Content-Length: 5\r\n\r\nhello", &len);
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 204"));
	forget(answer);
	close(fds[0]);
	await(&seen.n_closed, 3);
	answer = ask_port(http_server_port(server), "PUT /x" CLOSE "Content-Length: 5\r\n\r\nhello", &len);
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 204"));
	forget(answer);
	for (int i = 1; i < LIMIT_HTTP_UPLOADS; i++)
		close(fds[i]);
	await(&seen.n_closed, LIMIT_HTTP_UPLOADS + 3);
}
END_TEST

START_TEST(answered_later)
{
	size_t len;
	int one = dial_saying("PUT /later" CLOSE "Content-Length: 5\r\n\r\nhello");

	await(&seen.n_later, 1);
	uint64_t first = seen.ticket;
	int two = dial_saying("PUT /later HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /text" CLOSE "\r\n");
	await(&seen.n_later, 2);
	ck_assert_uint_ne(seen.ticket, first);

	/* Others are served meanwhile. */
	forget(ask_port(http_server_port(server), "GET /text" CLOSE "\r\n", &len));
	http_server_answer(server, first + 1000, 204);
	http_server_answer(server, seen.ticket, 507);
	char *answer = drain(two, &len);
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 507"));
	ck_assert_ptr_nonnull(strstr(answer, "0123456789"));
	forget(answer);
	http_server_answer(server, first, 204);
	http_server_answer(server, first, 500);
	answer = drain(one, &len);
	ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 204"));
	forget(answer);
	http_server_answer(server, first, 204);
}
END_TEST

/* Who hangs up before the answer, and a server that ends before it. */
START_TEST(never_answered)
{
	close(dial_saying("PUT /later" CLOSE "Content-Length: 5\r\n\r\nhello"));
	await(&seen.n_later, 1);
	http_server_answer(server, seen.ticket, 204);
	await(&seen.n_closed, 1);

	int fd = dial_saying("PUT /later" CLOSE "Content-Length: 5\r\n\r\nhello");
	await(&seen.n_later, 2);
	http_server_free(&server);
	ck_assert_uint_eq(seen.n_closed, 2);
	close(fd);
}
END_TEST

/* --- the pure part --- */

START_TEST(slow_body)
{
	enum { STRETCH_MS = LIMIT_HTTP_UPLOAD_S * 1000 };
	static const uint8_t block[LIMIT_HTTP_UPLOAD_MIN];
	void *ctx = mem_ctx(NULL);
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct upload *u = upload_new(ctx, fd, MIB(1), 1000);
	uint8_t digest[32];

	ck_assert_uint_eq(upload_add(u, bytes_of(block, 1), 1000 + STRETCH_MS - 1), 0);
	ck_assert_uint_eq(upload_add(u, bytes_of(block, sizeof(block) - 1), 1000 + STRETCH_MS), 0);
	ck_assert_uint_eq(upload_add(u, bytes_of(block, sizeof(block)), 1000 + 2 * STRETCH_MS), 0);
	ck_assert_uint_eq(upload_left(u), MIB(1) - 2 * sizeof(block));
	ck_assert_uint_eq(upload_add(u, bytes_of(block, 100), 2000 + 2 * STRETCH_MS), 0);
	ck_assert_uint_eq(upload_add(u, bytes_of(block, 100), 1000 + 3 * STRETCH_MS), 408);
	ck_assert_uint_eq(upload_add(u, bytes_of(block, sizeof(block)), 1000 + 3 * STRETCH_MS), 408);
	ck_assert_uint_eq(upload_end(u, digest), 408);

	/* The last octets may be few. */
	u = upload_new(ctx, fd, 10, 0);
	ck_assert_uint_eq(upload_add(u, bytes_of(block, 9), 1), 0);
	ck_assert_uint_eq(upload_add(u, bytes_of(block, 1), 2 * STRETCH_MS), 0);
	ck_assert_uint_eq(upload_end(u, digest), 0);
	u = upload_new(ctx, fd, 10, 0);
	ck_assert_uint_eq(upload_add(u, bytes_of(block, 9), 1), 0);
	ck_assert_uint_eq(upload_end(u, digest), 400);
	u = upload_new(ctx, fd, 10, 0);
	ck_assert_uint_eq(upload_add(u, bytes_of(block, 9), 1), 0);
	ck_assert_uint_eq(upload_add(u, bytes_of(block, 2), 1), 400);
	ck_assert_uint_eq(upload_left(u), 1);
	ck_assert_uint_eq(upload_end(u, digest), 400);
	close(fd);
	talloc_free(ctx);
}
END_TEST

/* --- by our own client --- */

static struct loop *loop;
static struct http_client *client;

struct end {
	unsigned status;
	uint64_t octets;
	bool done;
	char text[256], etag[64];
};

static void on_done(void *arg, const struct http_reply *reply)
{
	struct end *e = arg;

	e->done = true;
	e->status = reply->status;
	e->octets = reply->octets;
	snprintf(e->text, sizeof(e->text), "%s", reply->text);
	snprintf(e->etag, sizeof(e->etag), "%s", reply->etag ? reply->etag : "-");
	loop_stop(loop);
}

static void client_start(void)
{
	const char *own[] = { "http://127.0.0.1:1" };
	struct http_client_settings settings = { .own_urls = own, .n_own_urls = 1 };
	struct err err;

	loop = loop_new(&err);
	client = http_client_new(loop, &settings, &err);
	ck_assert_ptr_nonnull(client);
}

static void client_end(void)
{
	http_client_free(&client);
	loop_free(&loop);
}

static struct http_call call_to(const char *method, const char *path)
{
	static char url[300];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", http_server_port(server), path);
	return (struct http_call){ .method = method, .url = url, .max = 100 * 1024 * 1024, .quiet_ms = PATIENCE_MS, .done = on_done };
}

static struct end run(struct http_call *call)
{
	struct end e = { 0 };

	call->arg = &e;
	http_call(client, call);
	loop_run(loop);
	ck_assert(e.done);
	return e;
}

/* size octets of the big file, from offset on. */
static struct http_call call_of_file(const char *path, int fd, uint64_t offset, uint64_t size)
{
	struct http_call call = call_to("PUT", path);

	call.from_file = true;
	call.fd = fd;
	call.offset = offset;
	call.size = size;
	return call;
}

static void digest_of_big(uint64_t offset, uint64_t size, uint8_t out[32])
{
	struct digest *d = digest_new(NULL);

	for (uint64_t i = 0; i < size; i++) {
		char c = byte_at(offset + i);
		digest_add(d, &c, 1);
	}
	digest_take(d, out);
	talloc_free(d);
}

static const struct { const char *name; uint64_t offset, size; } file_cases[] = {
	{ "all", 0, BIG }, { "begin", 0, 10 }, { "middle", 1000003, 2000001 }, { "end", BIG - 1, 1 }, { "nothing", 7, 0 },
};

START_TEST(file_table)
{
	int fd = open(file_path, O_RDONLY | O_CLOEXEC);
	struct http_call call = call_of_file("/x", fd, file_cases[_i].offset, file_cases[_i].size);
	uint8_t digest[32];
	struct end e = { 0 };

	client_start();
	digest_of_big(call.offset, call.size, digest);
	call.digest = digest;
	call.authorization = "P2pMTA-Member a b";
	call.arg = &e;
	http_call(client, &call);
	/* It has its own. */
	close(fd);
	digest[0]++;
	loop_run(loop);
	digest[0]--;
	ck_assert_msg(e.status == 204, "case '%s': %s", file_cases[_i].name, e.text);
	ck_assert_uint_eq(seen.size, file_cases[_i].size);
	ck_assert_mem_eq(seen.digest, digest, 32);
	ck_assert(seen.has_digest);
	ck_assert_str_eq(seen.authorization, "P2pMTA-Member a b");
	if (call.size > 0)
		ck_assert_int_eq(seen.text[0], byte_at(call.offset));
	client_end();
}
END_TEST

static const struct { const char *path; unsigned status; unsigned n_done; } refusal_cases[] = {
	{ "/nothing", 404, 0 }, { "/have", 204, 0 }, { "/small", 413, 0 }, { "/full", 0, 0 }, { "/take", 204, 1 },
};

/* What is refused comes to no harm on its way, long or short; one that breaks in the middle may. */
START_TEST(refusal_table)
{
	static const uint64_t sizes[] = { 11, 900, 20000, 40000, BIG };
	int fd = open(file_path, O_RDONLY | O_CLOEXEC);

	client_start();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct http_call call = call_of_file(refusal_cases[_i].path, fd, 0, sizes[i]);
		struct end e = run(&call);
		unsigned want = refusal_cases[_i].status ? refusal_cases[_i].status : sizes[i] > MIB(1) ? 0 : 507;

		ck_assert_msg(e.status == want, "%s of %u: %u (%s)", refusal_cases[_i].path, (unsigned)sizes[i], e.status, e.text);
		ck_assert_uint_eq(seen.n_done, refusal_cases[_i].n_done * (i + 1));
		if (seen.taken)
			close(seen.taken);
	}
	client_end();
	close(fd);
}
END_TEST

START_TEST(file_that_shrinks)
{
	int fd = open(file_path, O_RDONLY | O_CLOEXEC);
	struct http_call call = call_of_file("/x", fd, 0, BIG + 1);

	client_start();
	struct end e = run(&call);
	ck_assert_uint_eq(e.status, 0);
	ck_assert_str_eq(e.text, "the file to send cannot be read");
	await(&seen.n_closed, 1);
	ck_assert_uint_eq(seen.n_done, 0);
	call = call_of_file("/x", -1, 0, 10);
	e = run(&call);
	ck_assert_uint_eq(e.status, 0);
	ck_assert_ptr_nonnull(strstr(e.text, "file to send: "));
	client_end();
	close(fd);
}
END_TEST

static void on_tick(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

START_TEST(given_up)
{
	int fd = open(file_path, O_RDONLY | O_CLOEXEC);
	struct http_call call = call_of_file("/x", fd, 0, BIG);

	client_start();
	call.max_rate = 10000;
	struct http_transfer *t = http_call(client, &call);
	struct timer *timer = timer_new(loop, on_tick, NULL);
	timer_set(timer, 50);
	loop_run(loop);
	http_transfer_free(&t);
	if (seen.n_admitted > 0)
		await(&seen.n_closed, 1);
	ck_assert_uint_eq(seen.n_done, 0);
	timer_free(&timer);
	client_end();
	close(fd);
}
END_TEST

START_TEST(same_etag)
{
	struct http_call call = call_to("GET", "/text");

	client_start();
	call.etag = "\"ten\"";
	struct end e = run(&call);
	ck_assert_uint_eq(e.status, 304);
	ck_assert_uint_eq(e.octets, 0);
	ck_assert_str_eq(e.etag, "\"ten\"");
	call.etag = "\"nine\"";
	e = run(&call);
	ck_assert_uint_eq(e.status, 200);
	ck_assert_uint_eq(e.octets, 10);
	client_end();
}
END_TEST

static const struct { const char *method, *path; unsigned status; } rate_cases[] = {
	{ "PUT", "/x", 204 }, { "GET", "/file", 200 },
};

/* At half of its size a second it takes some time either way, and the silence in between is not held against it. */
START_TEST(rate_table)
{
	int fd = open(file_path, O_RDONLY | O_CLOEXEC);
	struct http_call call = call_of_file(rate_cases[_i].path, fd, 0, BIG);
	int64_t begin = clock_mono_ms();

	client_start();
	call.method = rate_cases[_i].method;
	call.from_file = strcmp(call.method, "PUT") == 0;
	call.max_rate = BIG / 2;
	call.quiet_ms = 300;
	struct end e = run(&call);
	ck_assert_msg(e.status == rate_cases[_i].status, "%s: %s", rate_cases[_i].method, e.text);
	ck_assert_int_ge(clock_mono_ms() - begin, 1500);
	client_end();
	close(fd);
}
END_TEST

UNIT_SUITE("http_put")
{
	tcase_add_checked_fixture(unit_case, set_up, tear_down);
	UNIT_LOOP(put_table, put_cases);
	UNIT(hooks_are_told);
	UNIT(descriptor_is_taken);
	UNIT(connection_goes_on);
	UNIT(cut_off);
	UNIT(as_many_as_may_be);
	UNIT(answered_later);
	UNIT(never_answered);
	UNIT(slow_body);
	UNIT_LOOP(file_table, file_cases);
	UNIT_LOOP(refusal_table, refusal_cases);
	UNIT(file_that_shrinks);
	UNIT(given_up);
	UNIT(same_etag);
	UNIT_LOOP(rate_table, rate_cases);
}
UNIT_END
