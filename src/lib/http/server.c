/*
 * libmicrohttpd does connections, limits and framing; here is what it lacks:
 * addresses in text, one range, ETags, a cap on bodies, and files that may be
 * withdrawn while they are sent. A request is one top-level talloc context that
 * lives from the request line to the last octet of the answer.
 *
 * One daemon, so one thread, per listen address; the handler and what belongs
 * to its answers run under one lock, so that whoever writes them sees one
 * thread at a time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/hostport.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/range.h"
#include "lib/http/server.h"

enum {
	BLOCK = 64 * 1024,		/* of a file at a time; each connection has one */
	POOL = LIMIT_HTTP_HEADER + 8 * 1024,	/* of a connection: header and what of the body comes with it */
};

struct http_server {
	void (*handler_http)(void *arg, const struct http_request *, struct http_answer *);
	void *arg;
	size_t max_body;
	pthread_mutex_t lock;		/* around everything of the handler's */
	struct MHD_Daemon **daemons;
	size_t n_daemons;
	unsigned port;
};

struct request {
	struct http_server *server;
	char *path;
	char peer[INET6_ADDRSTRLEN];
	bool begun, answered;
	size_t n_excess;		/* octets of the body beyond its limit, dropped */
	struct buf *body;
	struct http_answer answer;
	uint64_t first;			/* where in the file the part begins */
};

/* What of the answer goes out, after If-None-Match, If-Range and Range. */
struct part {
	unsigned status;
	uint64_t first, len;
	uint64_t size;		/* of all */
};

static const char *field(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static void peer_print(struct MHD_Connection *c, char out[INET6_ADDRSTRLEN])
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = info ? info->client_addr : NULL;

	snprintf(out, INET6_ADDRSTRLEN, "unknown");
	if (sa && sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		inet_ntop(AF_INET, &in.sin_addr, out, INET6_ADDRSTRLEN);
	} else if (sa && sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
			inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], out, INET6_ADDRSTRLEN);
		else
			inet_ntop(AF_INET6, &in6.sin6_addr, out, INET6_ADDRSTRLEN);
	}
}

/* --- the answer --- */

static ssize_t on_block_http(void *arg, uint64_t pos, char *out, size_t max)
{
	struct request *r = arg;
	const struct http_answer *a = &r->answer;
	uint64_t offset = r->first + pos;

	if (a->may_send) {
		pthread_mutex_lock(&r->server->lock);
		size_t n = a->may_send(a->arg, offset, max);
		pthread_mutex_unlock(&r->server->lock);
		max = n < max ? n : max;
	}
	if (!max)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	ssize_t n = pread(a->fd, out, max, (off_t)offset);
	return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct part part_of(struct MHD_Connection *c, const char *method, const struct http_answer *a)
{
	struct part p = { .status = a->status, .size = a->fd >= 0 ? a->size : a->body.len };
	const char *none = field(c, "If-None-Match"), *range = field(c, "Range"), *same;

	p.len = p.size;
	if (a->status != 200 || (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0))
		return p;
	if (a->etag && none && http_etag_in(none, a->etag)) {
		p.status = 304;
		p.len = 0;
		return p;
	}
	same = field(c, "If-Range");
	if (!range || strcmp(method, "HEAD") == 0 || (same && (!a->etag || strcmp(same, a->etag) != 0)))
		return p;
	switch (http_range_parse(range, p.size, &p.first, &p.len)) {
	case HTTP_RANGE_NONE:
		break;
	case HTTP_RANGE_PART:
		p.status = 206;
		break;
	case HTTP_RANGE_BEYOND:
		p.status = 416;
		p.len = 0;
		break;
	}
	return p;
}

static void response_fields(struct MHD_Response *res, const struct http_answer *a, const struct part *p)
{
	char range[80];

	if (a->type && p->status != 304 && p->status != 416)
		MHD_add_response_header(res, "Content-Type", a->type);
	if (a->etag)
		MHD_add_response_header(res, "ETag", a->etag);
	if (a->status == 200)
		MHD_add_response_header(res, "Accept-Ranges", "bytes");
	if (p->status == 206)
		snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
		    p->first, p->first + p->len - 1, p->size);
	else
		snprintf(range, sizeof(range), "bytes */%" PRIu64, p->size);
	if (p->status == 206 || p->status == 416)
		MHD_add_response_header(res, "Content-Range", range);
}

static struct MHD_Response *response_empty(void)
{
	static char nothing[1];

	return MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_answer(struct MHD_Connection *c, const char *method, struct request *r)
{
	const struct http_answer *a = &r->answer;
	struct part p = part_of(c, method, a);
	struct MHD_Response *res;

	r->first = p.first;
	if (p.len == 0)
		res = response_empty();
	else if (a->fd >= 0)
		res = MHD_create_response_from_callback(p.len, BLOCK, on_block_http, r, NULL);
	else
		res = MHD_create_response_from_buffer(p.len, mem_dup(r, a->body.data + p.first, p.len),
		    MHD_RESPMEM_PERSISTENT);
	if (!res)
		return MHD_NO;
	response_fields(res, a, &p);
	enum MHD_Result ok = MHD_queue_response(c, p.status, res);
	MHD_destroy_response(res);
	if (trace_get() & TRACE_HTTP) {
		char line[LIMIT_HTTP_HEADER];
		int n = snprintf(line, sizeof(line), "%s %s %s: %u, %" PRIu64 " octets",
		    r->peer, method, r->path, p.status, p.len);

		trace_line(TRACE_HTTP, 0, '>', line,
		    (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
	}
	return ok;
}

static enum MHD_Result send_status(struct MHD_Connection *c, unsigned status)
{
	struct MHD_Response *res = response_empty();

	if (!res)
		return MHD_NO;
	enum MHD_Result ok = MHD_queue_response(c, status, res);
	MHD_destroy_response(res);
	return ok;
}

/* --- the request --- */

static void *on_uri_http(void *arg, const char *uri, struct MHD_Connection *c)
{
	struct request *r = mem_zero(NULL, struct request);

	r->server = arg;
	r->path = mem_strdup(r, uri);
	r->answer.fd = -1;
	peer_print(c, r->peer);
	return r;
}

static enum MHD_Result begin(struct MHD_Connection *c, struct request *r)
{
	const char *length = field(c, "Content-Length");

	r->begun = true;
	r->body = buf_new(r, r->server->max_body);
	/* MHD has checked that it is a number. */
	if (length && (strlen(length) > 18 || strtoull(length, NULL, 10) > r->server->max_body))
		return send_status(c, 413);
	return MHD_YES;
}

static enum MHD_Result take_body(struct request *r, const char *data, size_t *len)
{
	if (r->n_excess || !buf_add(r->body, data, *len))
		r->n_excess += *len;
	*len = 0;
	/* A chunked body has no length beforehand; some of it is swallowed so that the 413 gets there. */
	return r->n_excess > 4 * r->server->max_body + MIB(1) ? MHD_NO : MHD_YES;
}

static enum MHD_Result answer(struct MHD_Connection *c, const char *method, struct request *r)
{
	struct http_server *s = r->server;
	struct http_request req = {
		.method = strcmp(method, "HEAD") == 0 ? "GET" : method,
		.path = r->path,
		.authorization = field(c, "Authorization"),
		.body = buf_bytes(r->body),
		.peer = r->peer,
	};

	if (r->n_excess)
		return send_status(c, 413);
	r->answer.status = 404;
	r->answer.ctx = r;
	pthread_mutex_lock(&s->lock);
	s->handler_http(s->arg, &req, &r->answer);
	pthread_mutex_unlock(&s->lock);
	r->answered = true;
	return send_answer(c, method, r);
}

static enum MHD_Result on_request_http(void *arg, struct MHD_Connection *c, const char *url,
    const char *method, const char *version, const char *data, size_t *len, void **request)
{
	struct request *r = *request;

	(void)arg;
	(void)url;
	(void)version;
	if (!r->begun)
		return begin(c, r);
	if (*len)
		return take_body(r, data, len);
	return answer(c, method, r);
}

static void on_completed_http(void *arg, struct MHD_Connection *c, void **request,
    enum MHD_RequestTerminationCode how)
{
	struct request *r = *request;
	struct http_server *s = arg;

	(void)c;
	(void)how;
	*request = NULL;
	if (!r)
		return;
	if (r->answered && r->answer.closed) {
		pthread_mutex_lock(&s->lock);
		r->answer.closed(r->answer.arg);
		pthread_mutex_unlock(&s->lock);
	}
	if (r->answer.fd >= 0)
		close(r->answer.fd);
	if (r->answer.ctx != r)
		talloc_free(r->answer.ctx);	/* the handler brought its own */
	talloc_free(r);
}

/* A path is compared as it came. */
static size_t keep_escapes(void *arg, struct MHD_Connection *c, char *s)
{
	(void)arg;
	(void)c;
	return strlen(s);
}

__attribute__((format(printf, 2, 0)))
static void on_log_http(void *arg, const char *fmt, va_list ap)
{
	char line[512], clean[1024];

	(void)arg;
	vsnprintf(line, sizeof(line), fmt, ap);
	log_debug("http: %s", log_escape(clean, sizeof(clean), line, strcspn(line, "\n")));
}

/* --- life --- */

static int listen_on(const char *address, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *list;
	struct hostport hp;
	int on = 1;

	if (hostport_parse(address, &hp) < 0) {
		err_set(err, "\"%s\" is not HOST:PORT", address);
		return -1;
	}
	int res = getaddrinfo(hp.host, hp.port, &hints, &list);
	if (res != 0) {
		err_set(err, "%s: %s", address, gai_strerror(res));
		return -1;
	}
	int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (list->ai_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	if (fd < 0 || bind(fd, list->ai_addr, list->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
		err_sys(err, "listen on %s", address);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	return fd;
}

static unsigned port_of(int fd)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	struct sockaddr_in in;

	getsockname(fd, (struct sockaddr *)&ss, &len);
	memcpy(&in, &ss, sizeof(in));	/* the port lies at the same place in both families */
	return ntohs(in.sin_port);
}

static struct MHD_Daemon *daemon_start(struct http_server *s, int fd, size_t n_listen)
{
	return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL,
	    on_request_http, s,
	    MHD_OPTION_EXTERNAL_LOGGER, on_log_http, NULL,
	    MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)(LIMIT_HTTP_CONNS / n_listen),
	    MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)LIMIT_HTTP_CONNS_PER_IP,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)LIMIT_HTTP_IDLE_S,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL,
	    MHD_OPTION_URI_LOG_CALLBACK, on_uri_http, s,
	    MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed_http, s,
	    MHD_OPTION_END);
}

struct http_server *http_server_new(const struct http_server_settings *settings,
    void (*handler_http)(void *arg, const struct http_request *, struct http_answer *), void *arg,
    struct err *err)
{
	struct http_server *s = mem_zero(NULL, struct http_server);

	s->handler_http = handler_http;
	s->arg = arg;
	s->max_body = settings->max_body;
	pthread_mutex_init(&s->lock, NULL);
	s->daemons = mem_zero_array(s, struct MHD_Daemon *, settings->n_listen + 1);
	for (size_t i = 0; i < settings->n_listen; i++) {
		int fd = listen_on(settings->listen[i], err);

		if (fd < 0)
			goto fail;
		if (i == 0)
			s->port = port_of(fd);
		s->daemons[i] = daemon_start(s, fd, settings->n_listen);
		if (!s->daemons[i]) {
			err_set(err, "HTTP server on %s does not start", settings->listen[i]);
			goto fail;
		}
		s->n_daemons++;
	}
	return s;
fail:
	http_server_free(&s);
	return NULL;
}

void http_server_free(struct http_server **sp)
{
	struct http_server *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	for (size_t i = 0; i < s->n_daemons; i++)
		MHD_stop_daemon(s->daemons[i]);
	pthread_mutex_destroy(&s->lock);
	talloc_free(s);
}

unsigned http_server_port(const struct http_server *s)
{
	return s->port;
}
