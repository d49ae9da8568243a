/* The server, asked over real sockets with octets as a client would send them. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "tests/unit/http_dial.h"

enum { MAX_BODY = 1000, BIG = 3 * 1024 * 1024 };

static struct http_server *server;
static char file_path[] = "/tmp/p2pmta-http.XXXXXX";

/* What the handler and its answers saw; the server's lock is around all of it. */
static struct seen {
	pthread_mutex_t lock;
	unsigned n_asked, n_opened, n_closed, n_blocks;
	uint64_t sent;			/* octets that may_send let out, in order */
	uint64_t stop_at;		/* 0: never */
	size_t block_max;		/* 0: no bound */
	char method[16], path[256], authorization[64], peer[64], body[2000];
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

static size_t may_send(void *arg, uint64_t offset, size_t len)
{
	size_t n = len;

	pthread_mutex_lock(&seen.lock);
	ck_assert_ptr_eq(arg, &seen);
	if (seen.block_max && n > seen.block_max)
		n = seen.block_max;
	if (seen.stop_at && offset >= seen.stop_at)
		n = 0;
	seen.n_blocks++;
	seen.sent += n;
	pthread_mutex_unlock(&seen.lock);
	return n;
}

static void closed(void *arg)
{
	pthread_mutex_lock(&seen.lock);
	ck_assert_ptr_eq(arg, &seen);
	seen.n_closed++;
	pthread_mutex_unlock(&seen.lock);
}

static void give_file(struct http_answer *a, const char *path)
{
	a->status = 200;
	a->type = "application/octet-stream";
	a->etag = "\"tag\"";
	a->fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(a->fd, 0);
	a->size = (uint64_t)lseek(a->fd, 0, SEEK_END);
	a->may_send = may_send;
	a->closed = closed;
	a->arg = &seen;
	seen.n_opened++;
}

static void handler(void *arg, const struct http_request *r, struct http_answer *a)
{
	ck_assert_ptr_eq(arg, &server);
	ck_assert_int_eq(a->fd, -1);
	ck_assert_uint_eq(a->status, 404);
	ck_assert_ptr_nonnull(a->ctx);
	pthread_mutex_lock(&seen.lock);
	seen.n_asked++;
	snprintf(seen.method, sizeof(seen.method), "%s", r->method);
	snprintf(seen.path, sizeof(seen.path), "%s", r->path);
	snprintf(seen.peer, sizeof(seen.peer), "%s", r->peer);
	snprintf(seen.authorization, sizeof(seen.authorization), "%s", r->authorization ? r->authorization : "-");
	snprintf(seen.body, sizeof(seen.body), "%.*s", (int)r->body.len, (const char *)r->body.data);
	if (strcmp(r->path, "/text") == 0) {
		a->status = 200;
		a->type = "text/plain";
		a->body = bytes_str(mem_strdup(a->ctx, "0123456789"));
		a->etag = mem_strdup(a->ctx, "\"ten\"");
		a->closed = closed;
		a->arg = &seen;
		seen.n_opened++;
	} else if (strcmp(r->path, "/gone") == 0) {
		a->status = 410;
		a->body = bytes_str("gone for good");
	} else if (strcmp(r->path, "/file") == 0) {
		give_file(a, file_path);
	} else if (strcmp(r->path, "/empty") == 0) {
		give_file(a, "/dev/null");
	} else if (strcmp(r->path, "/cut") == 0) {
		give_file(a, file_path);
		a->size += 1000;	/* the file is shorter than we said */
	} else if (strcmp(r->path, "/post") == 0) {
		a->status = strcmp(r->method, "POST") == 0 ? 202 : 405;
	}
	pthread_mutex_unlock(&seen.lock);
}

static char byte_at(uint64_t i)
{
	return (char)('a' + (i / 7) % 26);
}

static void set_up(void)
{
	const char *listen[] = { "127.0.0.1:0", "127.0.0.1:0" };
	struct http_server_settings settings = { .listen = listen, .n_listen = 2, .max_body = MAX_BODY };
	struct err err = { "" };
	char *data = mem_array(NULL, char, BIG);

	for (size_t i = 0; i < BIG; i++)
		data[i] = byte_at(i);
	int fd = mkstemp(file_path);
	ck_assert_int_ge(fd, 0);
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
	ck_assert_uint_eq(seen.n_opened, seen.n_closed);
}

static int dial(void)
{
	return dial_port(http_server_port(server));
}

static char *ask(const char *request, size_t *len_out)
{
	return ask_port(http_server_port(server), request, len_out);
}

static const struct {
	const char *name, *request;
	unsigned status;
	const char *has, *has_not;	/* in the header */
	const char *body;		/* NULL: whatever */
} server_cases[] = {
	{ "text", "GET /text" CLOSE "\r\n", 200, "ETag: \"ten\"\r\n", "Content-Range", "0123456789" },
	{ "type", "GET /text" CLOSE "\r\n", 200, "Content-Type: text/plain\r\n", NULL, NULL },
	{ "unknown", "GET /nothing" CLOSE "\r\n", 404, "Content-Length: 0\r\n", "Accept-Ranges", "" },
	{ "status of the handler", "GET /gone" CLOSE "\r\n", 410, NULL, "Content-Range", "gone for good" },
	{ "range of a 410", "GET /gone" CLOSE "Range: bytes=0-1\r\n\r\n", 410, NULL, "Content-Range", "gone for good" },
	{ "range", "GET /text" CLOSE "Range: bytes=2-4\r\n\r\n", 206, "Content-Range: bytes 2-4/10\r\n", NULL, "234" },
	{ "range of one", "GET /text" CLOSE "Range: bytes=0-0\r\n\r\n", 206, "Content-Range: bytes 0-0/10\r\n", NULL, "0" },
	{ "open range", "GET /text" CLOSE "Range: bytes=7-\r\n\r\n", 206, "Content-Range: bytes 7-9/10\r\n", NULL, "789" },
	{ "suffix", "GET /text" CLOSE "Range: bytes=-3\r\n\r\n", 206, "Content-Range: bytes 7-9/10\r\n", NULL, "789" },
	{ "long suffix", "GET /text" CLOSE "Range: bytes=-99\r\n\r\n", 206, "Content-Range: bytes 0-9/10\r\n", NULL, "0123456789" },
	{ "beyond", "GET /text" CLOSE "Range: bytes=10-\r\n\r\n", 416, "Content-Range: bytes */10\r\n", NULL, "" },
	{ "two ranges", "GET /text" CLOSE "Range: bytes=0-1,3-4\r\n\r\n", 200, NULL, "Content-Range", "0123456789" },
	{ "odd unit", "GET /text" CLOSE "Range: lines=0-1\r\n\r\n", 200, NULL, "Content-Range", "0123456789" },
	{ "known already", "GET /text" CLOSE "If-None-Match: \"nine\", W/\"ten\"\r\n\r\n", 304, "ETag: \"ten\"\r\n", NULL, "" },
	{ "known before range", "GET /text" CLOSE "If-None-Match: \"ten\"\r\nRange: bytes=99-\r\n\r\n", 304, NULL, NULL, "" },
	{ "anything known", "GET /text" CLOSE "If-None-Match: *\r\n\r\n", 304, NULL, NULL, "" },
	{ "other known", "GET /text" CLOSE "If-None-Match: \"nine\"\r\n\r\n", 200, NULL, NULL, "0123456789" },
	{ "if-range same", "GET /text" CLOSE "If-Range: \"ten\"\r\nRange: bytes=1-1\r\n\r\n", 206, NULL, NULL, "1" },
	{ "if-range other", "GET /text" CLOSE "If-Range: \"old\"\r\nRange: bytes=1-1\r\n\r\n", 200, NULL, NULL, "0123456789" },
	{ "if-range weak", "GET /text" CLOSE "If-Range: W/\"ten\"\r\nRange: bytes=1-1\r\n\r\n", 200, NULL, NULL, "0123456789" },
	{ "if-range date", "GET /text" CLOSE "If-Range: Sat, 21 Nov 2026 10:00:00 GMT\r\nRange: bytes=1-1\r\n\r\n", 200, NULL, NULL, NULL },
	{ "head", "HEAD /text" CLOSE "\r\n", 200, "Content-Length: 10\r\n", NULL, "" },
	{ "head of a file", "HEAD /file" CLOSE "\r\n", 200, "Content-Length: 3145728\r\n", NULL, "" },
	{ "head with range", "HEAD /text" CLOSE "Range: bytes=1-1\r\n\r\n", 200, "Content-Length: 10\r\n", NULL, "" },
	{ "head with etag", "HEAD /text" CLOSE "If-None-Match: \"ten\"\r\n\r\n", 304, NULL, NULL, "" },
	{ "empty file", "GET /empty" CLOSE "\r\n", 200, "Content-Length: 0\r\n", NULL, "" },
	{ "range of empty", "GET /empty" CLOSE "Range: bytes=0-\r\n\r\n", 416, "Content-Range: bytes */0\r\n", NULL, "" },
	{ "suffix of empty", "GET /empty" CLOSE "Range: bytes=-5\r\n\r\n", 416, NULL, NULL, "" },
	{ "file range", "GET /file" CLOSE "Range: bytes=700000-700006\r\n\r\n", 206, "Content-Range: bytes 700000-700006/3145728\r\n", NULL, "eeeeeee" },
	{ "end of file", "GET /file" CLOSE "Range: bytes=3145727-9999999999999999999999\r\n\r\n", 206, "Content-Range: bytes 3145727-3145727/3145728\r\n", NULL, NULL },
	{ "file known", "GET /file" CLOSE "If-None-Match: \"tag\"\r\n\r\n", 304, NULL, NULL, "" },
	{ "post", "POST /post" CLOSE "Content-Length: 5\r\n\r\nhello", 202, NULL, NULL, "" },
	{ "post chunked", "POST /post" CLOSE "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 202, NULL, NULL, "" },
	{ "method of the handler", "GET /post" CLOSE "\r\n", 405, NULL, NULL, "" },
	{ "other method", "DELETE /post" CLOSE "\r\n", 405, NULL, NULL, "" },
	{ "range of a post", "POST /text" CLOSE "Content-Length: 0\r\nRange: bytes=1-1\r\n\r\n", 200, NULL, NULL, "0123456789" },
	{ "escapes stay", "GET /te%78t" CLOSE "\r\n", 404, NULL, NULL, "" },
	{ "query stays", "GET /text?x=1" CLOSE "\r\n", 404, NULL, NULL, "" },
	{ "announced too long", "POST /post" CLOSE "Content-Length: 1001\r\n\r\n", 413, NULL, NULL, "" },
	{ "announced far too long", "POST /post" CLOSE "Content-Length: 99999999999999999999\r\n\r\n", 413, NULL, NULL, NULL },
};

START_TEST(server_table)
{
	size_t len;
	char *answer = ask(server_cases[_i].request, &len), *body = strstr(answer, "\r\n\r\n");
	const char *name = server_cases[_i].name;
	unsigned status = 0;

	sscanf(answer, "HTTP/1.1 %u", &status);
	ck_assert_msg(status == server_cases[_i].status, "case '%s': %u, not %u:\n%s", name, status, server_cases[_i].status, answer);
	ck_assert_msg(body != NULL, "case '%s':\n%s", name, answer);
	body[2] = '\0';
	body += 4;
	if (server_cases[_i].has)
		ck_assert_msg(strstr(answer, server_cases[_i].has), "case '%s':\n%s", name, answer);
	if (server_cases[_i].has_not)
		ck_assert_msg(!strstr(answer, server_cases[_i].has_not), "case '%s':\n%s", name, answer);
	if (server_cases[_i].body)
		ck_assert_msg(strcmp(body, server_cases[_i].body) == 0, "case '%s': body '%s'", name, body);
	forget(answer);
}
END_TEST

START_TEST(request_reaches_handler)
{
	size_t len;

	forget(ask("POST /post?q=%20" CLOSE "Authorization: P2pMTA abc=\r\nContent-Length: 3\r\n\r\nxyz", &len));
	ck_assert_str_eq(seen.method, "POST");
	ck_assert_str_eq(seen.path, "/post?q=%20");
	ck_assert_str_eq(seen.authorization, "P2pMTA abc=");
	ck_assert_str_eq(seen.body, "xyz");
	ck_assert_str_eq(seen.peer, "127.0.0.1");
	forget(ask("HEAD /text" CLOSE "\r\n", &len));
	ck_assert_str_eq(seen.method, "GET");
	ck_assert_str_eq(seen.authorization, "-");
	ck_assert_str_eq(seen.body, "");
}
END_TEST

START_TEST(whole_file)
{
	size_t len;

	seen.block_max = 50001;
	char *answer = ask("GET /file" CLOSE "\r\n", &len), *body = strstr(answer, "\r\n\r\n") + 4;
	ck_assert_uint_eq(len - (size_t)(body - answer), BIG);
	size_t n_wrong = 0;
	for (size_t i = 0; i < BIG; i++)
		n_wrong += body[i] != byte_at(i);
	ck_assert_uint_eq(n_wrong, 0);
	ck_assert_uint_eq(seen.sent, BIG);
	forget(answer);
}
END_TEST

/* Withdrawn in the middle, or shorter than announced: the client must be able to tell. */
START_TEST(broken_off)
{
	size_t len;

	seen.stop_at = BIG / 2;
	char *answer = ask("GET /file" CLOSE "\r\n", &len);
	ck_assert_ptr_nonnull(strstr(answer, "Content-Length: 3145728\r\n"));
	ck_assert_uint_lt(len, BIG / 2 + 1024 * 1024);
	forget(answer);
	seen.stop_at = 0;
	answer = ask("GET /cut" CLOSE "\r\n", &len);
	ck_assert_ptr_nonnull(strstr(answer, "Content-Length: 3146728\r\n"));
	ck_assert_uint_lt(len, BIG + 1000);
	forget(answer);
	seen.stop_at = 1;
	answer = ask("GET /file" CLOSE "Range: bytes=100-\r\n\r\n", &len);
	ck_assert_uint_lt(len, 1000);
	forget(answer);
}
END_TEST

START_TEST(client_goes_away)
{
	for (int i = 0; i < 20; i++) {
		int fd = dial();
		char block[100];

		ck_assert_int_eq(files_write(fd, "GET /file" CLOSE "\r\n", strlen("GET /file" CLOSE "\r\n")), 0);
		if (i & 1)
			ck_assert_int_gt(read(fd, block, sizeof(block)), 0);
		close(fd);
	}
	/* And ones that never ask, or half: the server is freed with them open. */
	const char *halves[] = { "", "G", "GET /text", "GET /text HTTP/1.1\r\nHost: x\r\nX: ",
		"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
		"GET /file HTTP/1.1\r\nHost: x\r\n\r\n" };
	for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++)
		ck_assert_int_eq(files_write(dial(), halves[i], strlen(halves[i])), 0);
	/* A whole one, so that the server has had its turn with the others. */
	size_t len;
	forget(ask("GET /text" CLOSE "\r\n", &len));
}
END_TEST

START_TEST(nonsense_leaves_nothing)
{
	static const char *const nonsense[] = {
		"\r\n\r\n\r\n", "GET\r\n\r\n", "GET /text HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\x00", "GET /a b c HTTP/1.1\r\n\r\n",
		"GET /text HTTP/1.1\r\nno colon\r\n\r\n", "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"POST /post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	};

	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		int fd = dial();

		ck_assert_int_eq(files_write(fd, nonsense[i], strlen(nonsense[i])), 0);
		close(fd);
	}
	size_t len;
	char *answer = ask("GET /text" CLOSE "\r\n", &len);
	ck_assert_ptr_nonnull(strstr(answer, "200 OK"));
	forget(answer);
}
END_TEST

START_TEST(too_much)
{
	struct buf *b = buf_new(NULL, MIB(8));
	char block[4096];
	size_t len;
	unsigned before = seen.n_asked;

	memset(block, 'x', sizeof(block));
	/* A header that does not end. */
	buf_adds(b, "GET /text" CLOSE "X: ");
	for (int i = 0; i < 20; i++)
		buf_add(b, block, sizeof(block));
	buf_adds(b, "\r\n\r\n");
	char *answer = ask(b->data, &len);
	ck_assert_msg(strncmp(answer, "HTTP/1.1 431", 12) == 0 || !*answer, "%.40s", answer);
	forget(answer);
	/* A body of unknown length. */
	buf_clear(b);
	buf_adds(b, "POST /post" CLOSE "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		buf_adds(b, "1000\r\n");
		buf_add(b, block, sizeof(block));
		buf_adds(b, "\r\n");
	}
	buf_adds(b, "0\r\n\r\n");
	answer = ask(b->data, &len);
	ck_assert_msg(strncmp(answer, "HTTP/1.1 413", 12) == 0, "%.40s", answer);
	forget(answer);
	/* One octet below is fine. */
	buf_clear(b);
	buf_adds(b, "POST /post" CLOSE "Content-Length: 1000\r\n\r\n");
	buf_add(b, block, 1000);
	ck_assert_uint_eq(seen.n_asked, before);
	answer = ask(b->data, &len);
	ck_assert_msg(strncmp(answer, "HTTP/1.1 202", 12) == 0, "%.40s", answer);
	ck_assert_uint_eq(strlen(seen.body), 1000);
	forget(answer);
	talloc_free(b);
}
END_TEST

START_TEST(two_on_one_connection)
{
	size_t len;
	char *answer = ask("GET /text HTTP/1.1\r\nHost: x\r\n\r\nGET /file HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n"
	    "GET /gone" CLOSE "\r\n", &len);

	ck_assert_ptr_nonnull(strstr(answer, "0123456789HTTP/1.1 206"));
	ck_assert_ptr_nonnull(strstr(answer, "aaHTTP/1.1 410"));
	forget(answer);
}
END_TEST

START_TEST(connections_per_address)
{
	int fds[LIMIT_HTTP_CONNS_PER_IP + 8];
	int n = sizeof(fds) / sizeof(fds[0]), n_cut = 0;

	for (int i = 0; i < n; i++)
		fds[i] = dial();
	for (int i = 0; i < n; i++) {
		struct pollfd p = { .fd = fds[i], .events = POLLIN };

		/* The first ones stay, so wait for the last ones only. */
		n_cut += poll(&p, 1, i < LIMIT_HTTP_CONNS_PER_IP ? 0 : 5000) > 0;
	}
	ck_assert_int_eq(n_cut, 8);
	for (int i = 0; i < n; i++)
		close(fds[i]);
}
END_TEST

START_TEST(cannot_listen)
{
	char taken[32];
	const char *listen[] = { taken };
	struct http_server_settings settings = { .listen = listen, .n_listen = 1 };
	struct err err = { "" };

	snprintf(taken, sizeof(taken), "127.0.0.1:%u", http_server_port(server));
	ck_assert_ptr_null(http_server_new(&settings, handler, NULL, &err));
	ck_assert_msg(strstr(err.text, taken), "%s", err.text);
	listen[0] = "nonsense";
	ck_assert_ptr_null(http_server_new(&settings, handler, NULL, &err));
	listen[0] = "[::1]:0";
	struct http_server *six = http_server_new(&settings, handler, NULL, &err);
	if (six)
		ck_assert_uint_ne(http_server_port(six), 0);
	http_server_free(&six);
	http_server_free(&six);
}
END_TEST

UNIT_SUITE("http_server")
{
	tcase_add_checked_fixture(unit_case, set_up, tear_down);
	UNIT_LOOP(server_table, server_cases);
	UNIT(request_reaches_handler);
	UNIT(whole_file);
	UNIT(broken_off);
	UNIT(client_goes_away);
	UNIT(nonsense_leaves_nothing);
	UNIT(too_much);
	UNIT(two_on_one_connection);
	UNIT(connections_per_address);
	UNIT(cannot_listen);
}
UNIT_END
