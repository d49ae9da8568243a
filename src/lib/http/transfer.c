/*
 * One call. libcurl calls us with octets, header lines and addresses; every
 * limit is checked there, and what was wrong is noted for the sentence that
 * people get to read.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/content_digest.h"
#include "lib/http/internal.h"

enum {
	RECEIVE_BUFFER = 128 * 1024,
	READS_PER_SECOND = 400,		/* with a rate: libcurl takes up to 100 buffers before it looks at the clock */
	SMALL_BUFFER = 1024,		/* the least for it */
	UPLOAD_BUFFER = 16 * 1024,
	EXPECT_ABOVE = 32 * 1024,	/* octets of a file that are not sent before somebody wants them */
	EXPECT_MS = 2000,		/* nor kept longer when nobody says so */
};

/* --- addresses --- */

static void address_print(const struct sockaddr *sa, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(in.sin_port));
	} else {
		memcpy(&in6, sa, sizeof(in6));
		inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(in6.sin6_port));
	}
}

static bool allowed(struct http_transfer *t, const struct sockaddr *sa)
{
	if (http_address_allowed(sa, t->client->nets, t->client->n_nets, t->call.friend_address))
		return true;
	t->why = WHY_ADDRESS;
	return false;
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct http_transfer *t = arg;

	if (purpose != CURLSOCKTYPE_IPCXN || (a->family != AF_INET && a->family != AF_INET6))
		return CURL_SOCKET_BAD;
	address_print(&a->addr, t->address, sizeof(t->address));
	if (!allowed(t, &a->addr))
		return CURL_SOCKET_BAD;
	t->why = WHY_CURL;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* A connection that is used again was opened under the rules of another call. */
static int on_connected(void *arg, char *remote, char *local, int remote_port, int local_port)
{
	struct http_transfer *t = arg;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)remote_port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)remote_port) };
	const struct sockaddr *sa = NULL;
	char host[INET6_ADDRSTRLEN];

	(void)local;
	(void)local_port;
	snprintf(host, sizeof(host), "%.*s", (int)strcspn(remote, "%"), remote);
	if (inet_pton(AF_INET, host, &in.sin_addr) == 1)
		sa = (const struct sockaddr *)&in;
	else if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1)
		sa = (const struct sockaddr *)&in6;
	if (!sa)
		return CURL_PREREQFUNC_ABORT;
	address_print(sa, t->address, sizeof(t->address));
	return allowed(t, sa) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* --- the body of a PUT --- */

static size_t on_read(char *out, size_t one, size_t max, void *arg)
{
	struct http_transfer *t = arg;
	uint64_t left = t->call.size - t->n_read;

	max *= one;
	if (t->gone)
		return CURL_READFUNC_ABORT;
	t->last_ms = clock_mono_ms();
	ssize_t n = files_pread(t->call.fd, out, left < max ? (size_t)left : max, t->call.offset + t->n_read);
	/* A file that ends early would leave the other side waiting for the rest. */
	if (n < 0 || (n == 0 && left > 0)) {
		t->why = WHY_FILE;
		return CURL_READFUNC_ABORT;
	}
	t->n_read += (uint64_t)n;
	return (size_t)n;
}

/* Once more from there: a kept connection turned out to be closed. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct http_transfer *t = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->call.size)
		return CURL_SEEKFUNC_FAIL;
	t->n_read = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* --- the answer --- */

/* One octet now and then is no life: not of what is pulled. */
static void see_answer(struct http_transfer *t, size_t len)
{
	t->n_step += len;
	if (t->begun && t->call.on_octets && t->n_step < LIMIT_HTTP_PULL_MIN)
		return;
	t->begun = true;
	t->n_step = 0;
	t->last_ms = clock_mono_ms();
}

static bool status_is_streamed(struct http_transfer *t)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return t->call.on_octets && (status == 200 || status == 206);
}

static size_t stream_octets(struct http_transfer *t, struct bytes b)
{
	enum http_taken taken = t->call.on_octets(t->call.arg, b);

	if (t->gone)
		return CURL_WRITEFUNC_ERROR;
	switch (taken) {
	case HTTP_TAKEN:
		t->octets += b.len;
		return b.len;
	case HTTP_HOLD:
		t->held = true;
		return CURL_WRITEFUNC_PAUSE;
	case HTTP_STOP:
		break;
	}
	t->why = WHY_STOPPED;
	return CURL_WRITEFUNC_ERROR;
}

static size_t on_octets(char *data, size_t one, size_t len, void *arg)
{
	struct http_transfer *t = arg;

	(void)one;
	if (t->gone)
		return CURL_WRITEFUNC_ERROR;
	see_answer(t, len);
	bool streamed = status_is_streamed(t);

	if (t->call.on_octets && !streamed && t->call.max > LIMIT_HTTP_REFUSAL)
		t->call.max = LIMIT_HTTP_REFUSAL;
	if (t->octets + len > t->call.max) {
		t->why = WHY_SIZE;
		return CURL_WRITEFUNC_ERROR;
	}
	if (!streamed) {
		t->octets += len;
		buf_add(t->body, data, len);
		return len;
	}
	return stream_octets(t, bytes_of(data, len));
}

static void take_etag(struct http_transfer *t, const char *line, size_t len)
{
	const char *s = line + 5, *end = line + len;

	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	while (end > s && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
		end--;
	talloc_free(t->etag);
	t->etag = end > s ? mem_strndup(t, s, (size_t)(end - s)) : NULL;
}

static size_t on_field(char *line, size_t one, size_t len, void *arg)
{
	struct http_transfer *t = arg;

	(void)one;
	see_answer(t, len);
	t->n_header += len;
	if (t->n_header > LIMIT_HTTP_HEADER) {
		t->why = WHY_HEADER;
		return 0;
	}
	if (len > 5 && strncasecmp(line, "etag:", 5) == 0)
		take_etag(t, line, len);
	return len;
}

/* --- time --- */

static void timer_next(struct http_transfer *t)
{
	int64_t now = clock_mono_ms(), next = -1;

	if (t->call.quiet_ms)
		next = t->last_ms + t->call.quiet_ms - now;
	if (t->call.total_ms && (next < 0 || t->begin_ms + t->call.total_ms - now < next))
		next = t->begin_ms + t->call.total_ms - now;
	if (t->call.quiet_ms || t->call.total_ms)
		timer_set(t->timer, next > 0 ? next : 0);
}

/* What went out is looked at here only, so an upload may be given up a little late, never early. */
static void see_upload(struct http_transfer *t)
{
	curl_off_t up = 0;

	curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	if (up != t->n_up) {
		t->n_up = up;
		t->last_ms = clock_mono_ms();
	}
}

/* The silence of a call that was faster than its rate is our own. */
static bool is_ahead(const struct http_transfer *t, int64_t now)
{
	uint64_t due = t->call.max_rate * (uint64_t)(now - t->begin_ms) / 1000;

	return t->call.max_rate && (t->octets > due || (uint64_t)t->n_up > due);
}

static void on_timer(void *arg)
{
	struct http_transfer *t = arg;

	if (!t->easy || t->broken != CURLE_OK) {
		transfer_end(t, t->easy ? t->broken : CURLE_FAILED_INIT);
		return;
	}
	see_upload(t);
	int64_t now = clock_mono_ms();
	if (t->held || is_ahead(t, now))
		t->last_ms = now;
	if (t->call.total_ms && now - t->begin_ms >= t->call.total_ms) {
		snprintf(t->text, sizeof(t->text), "not done after %g s", (double)t->call.total_ms / 1000);
		transfer_end(t, CURLE_OPERATION_TIMEDOUT);
	} else if (t->call.quiet_ms && now - t->last_ms >= t->call.quiet_ms) {
		snprintf(t->text, sizeof(t->text), t->n_step > 0 ? "too slow for %g s" : "no octet for %g s",
		    (double)t->call.quiet_ms / 1000);
		transfer_end(t, CURLE_OPERATION_TIMEDOUT);
	} else {
		timer_next(t);
	}
}

/* --- life --- */

static void set_up_body(struct http_transfer *t)
{
	const struct http_call *c = &t->call;
	CURL *e = t->easy;

	if (c->from_file) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->size);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(e, CURLOPT_READDATA, t);
		curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
		curl_easy_setopt(e, CURLOPT_EXPECT_100_TIMEOUT_MS, (long)EXPECT_MS);
	} else if (strcmp(c->method, "HEAD") == 0) {
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	} else if (strcmp(c->method, "GET") != 0) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body.len);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, c->body.data);
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, c->method);
	}
}

static long receive_buffer(uint64_t rate)
{
	uint64_t size = rate / READS_PER_SECOND;

	if (rate == 0 || size > RECEIVE_BUFFER)
		return RECEIVE_BUFFER;
	return size < SMALL_BUFFER ? SMALL_BUFFER : (long)size;
}

static bool set_up(struct http_transfer *t)
{
	const struct http_call *c = &t->call;
	CURL *e = t->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->curl_text);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);	/* who ends a transfer does not wait for the look-up of its name */
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, receive_buffer(c->max_rate));
	curl_easy_setopt(e, CURLOPT_USERAGENT, t->client->user_agent);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_octets);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_field);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->fields);
	if (c->range)
		curl_easy_setopt(e, CURLOPT_RANGE, c->range);
	if (c->max_rate) {
		curl_easy_setopt(e, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)c->max_rate);
		curl_easy_setopt(e, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)c->max_rate);
		curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
	}
	set_up_body(t);
	CURLcode res = curl_easy_setopt(e, CURLOPT_URL, c->url);
	if (res != CURLE_OK)
		snprintf(t->text, sizeof(t->text), "%s", curl_easy_strerror(res));
	return res == CURLE_OK;
}

/* Ours, but it must never become two fields. */
static void add_field(struct http_transfer *t, const char *name, const char *value)
{
	char *line = mem_printf(NULL, "%s: %s", name, value);

	assert(!strpbrk(line, "\r\n"));
	t->fields = curl_slist_append(t->fields, line);
	talloc_free(line);
}

static void fields_make(struct http_transfer *t)
{
	const struct http_call *c = &t->call;

	if (c->authorization)
		add_field(t, "Authorization", c->authorization);
	if (c->etag)
		add_field(t, "If-None-Match", c->etag);
	if (c->digest) {
		char *digest = http_content_digest_print(NULL, c->digest);

		add_field(t, "Content-Digest", digest);
		talloc_free(digest);
	}
	add_field(t, "Content-Type", "application/octet-stream");
	/* What is refused or there already should not be sent first. */
	t->fields = curl_slist_append(t->fields,
	    c->from_file && c->size > EXPECT_ABOVE ? "Expect: 100-continue" : "Expect:");
}

static void call_dup(struct http_transfer *t, const struct http_call *call)
{
	struct http_call *c = &t->call;

	*c = *call;
	c->method = mem_strdup(t, call->method);
	c->url = mem_strdup(t, call->url);
	c->authorization = call->authorization ? mem_strdup(t, call->authorization) : NULL;
	c->range = call->range ? mem_strdup(t, call->range) : NULL;
	c->etag = call->etag ? mem_strdup(t, call->etag) : NULL;
	c->digest = call->digest ? mem_dup(t, call->digest, DIGEST_LEN) : NULL;
	c->body = bytes_dup(t, call->body);
	c->fd = call->from_file ? fcntl(call->fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (call->from_file && c->fd < 0)
		snprintf(t->text, sizeof(t->text), "file to send: %s", strerror(errno));
}

struct http_transfer *transfer_new(struct http_client *client, const struct http_call *call)
{
	struct http_transfer *t = mem_zero(NULL, struct http_transfer);

	assert(!call->from_file || strcmp(call->method, "PUT") == 0);
	t->client = client;
	call_dup(t, call);
	t->body = buf_new(t, call->max < SIZE_MAX / 2 ? (size_t)call->max : SIZE_MAX / 2);
	t->begin_ms = t->last_ms = clock_mono_ms();
	fields_make(t);
	t->timer = timer_new(client->loop, on_timer, t);
	TAILQ_INSERT_TAIL(&client->transfers, t, entry);
	t->easy = mem_check(curl_easy_init());
	if (t->text[0] || !set_up(t)) {
		curl_easy_cleanup(t->easy);
		t->easy = NULL;
		timer_set(t->timer, 0);
	} else {
		timer_next(t);
	}
	return t;
}

void transfer_attach(struct http_transfer *t)
{
	t->attached = true;
	curl_multi_add_handle(t->client->multi, t->easy);
}

void transfer_drop(struct http_transfer *t)
{
	assert(!t->client->in_curl);
	TAILQ_REMOVE(&t->client->transfers, t, entry);
	timer_free(&t->timer);
	if (t->attached)
		curl_multi_remove_handle(t->client->multi, t->easy);
	if (t->easy)
		curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->fields);
	if (t->call.fd >= 0)
		close(t->call.fd);
	talloc_free(t);
}

void transfer_resume(struct http_transfer *t)
{
	t->held = false;
	t->last_ms = clock_mono_ms();
	t->broken = curl_easy_pause(t->easy, CURLPAUSE_CONT);
	if (t->broken != CURLE_OK)
		timer_set(t->timer, 0);
}

/* --- what people read --- */

static void say_no_connection(struct http_transfer *t)
{
	long error = 0;

	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &error);
	if (error == ECONNREFUSED)
		snprintf(t->text, sizeof(t->text), "connection refused by %s", t->address);
	else if (error)
		snprintf(t->text, sizeof(t->text), "no connection to %s: %s", t->address, strerror((int)error));
	else
		snprintf(t->text, sizeof(t->text), "no connection to %s", t->address);
}

static void say_curl(struct http_transfer *t, CURLcode res)
{
	size_t size = sizeof(t->text);
	const char *more = t->curl_text[0] ? t->curl_text : curl_easy_strerror(res);

	if (res == CURLE_COULDNT_CONNECT)
		say_no_connection(t);
	else if (res == CURLE_PARTIAL_FILE || res == CURLE_RECV_ERROR || res == CURLE_SEND_ERROR)
		snprintf(t->text, size, "connection to %s broke off", t->address);
	else if (res == CURLE_GOT_NOTHING)
		snprintf(t->text, size, "%s hung up without an answer", t->address);
	else if (res == CURLE_LOGIN_DENIED)
		snprintf(t->text, size, "a user name in the URL is not used");
	else if (res == CURLE_UNSUPPORTED_PROTOCOL)
		snprintf(t->text, size, "only http and https can be used");
	else
		snprintf(t->text, size, "%s", more);
}

static void say(struct http_transfer *t, CURLcode res, unsigned status)
{
	size_t size = sizeof(t->text);

	if (t->text[0])
		return;
	if (res == CURLE_OK) {
		snprintf(t->text, size, "%s answered %u", t->address, status);
		return;
	}
	switch (t->why) {
	case WHY_ADDRESS:
		snprintf(t->text, size, "address %s is inside a private network and not used", t->address);
		break;
	case WHY_SIZE:
		snprintf(t->text, size, "more than %llu octets from %s",
		    (unsigned long long)t->call.max, t->address);
		break;
	case WHY_HEADER:
		snprintf(t->text, size, "header too long from %s", t->address);
		break;
	case WHY_STOPPED:
		snprintf(t->text, size, "stopped");
		break;
	case WHY_FILE:
		snprintf(t->text, size, "the file to send cannot be read");
		break;
	case WHY_CURL:
		say_curl(t, res);
		break;
	}
}

void transfer_end(struct http_transfer *t, CURLcode res)
{
	long status = 0;

	if (res == CURLE_OK)
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	say(t, res, (unsigned)status);
	if (trace_get() & TRACE_HTTP) {
		char *line = mem_printf(NULL, "%s %s: %s", t->call.method, t->call.url, t->text);

		trace_line(TRACE_HTTP, 0, '<', line, strlen(line));
		talloc_free(line);
	}
	struct http_reply reply = {
		.status = (unsigned)status,
		.body = buf_bytes(t->body),
		.etag = status ? t->etag : NULL,
		.text = t->text,
		.octets = t->octets,
	};

	t->ending = true;
	timer_clear(t->timer);
	t->call.done(t->call.arg, &reply);
	transfer_drop(t);
}
