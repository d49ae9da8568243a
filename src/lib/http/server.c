/*
 * libmicrohttpd does connections, limits and framing; here is what it lacks:
 * addresses in text and a cap on bodies; answer.c and put.c have the rest. A
 * request is one top-level talloc context that lives from the request line to
 * the last octet of the answer.
 *
 * One daemon, so one thread, per listen address; the handler and what belongs
 * to its answers run under one lock, so that whoever writes them sees one
 * thread at a time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/hostport.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/server_internal.h"

/* Of a connection: header and what of the body comes with it. */
enum { POOL = LIMIT_HTTP_HEADER + 8 * 1024 };

const char *request_field(struct MHD_Connection *c, const char *name)
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

/* --- the request --- */

static void *on_uri_http(void *arg, const char *uri, struct MHD_Connection *c)
{
	struct request *r = mem_zero(NULL, struct request);

	r->server = arg;
	r->path = mem_strdup(r, uri);
	r->answer.fd = -1;
	r->put.fd = -1;
	peer_print(c, r->peer);
	return r;
}

/* MHD has checked that it is a number. */
bool request_length(struct MHD_Connection *c, uint64_t *out)
{
	const char *length = request_field(c, "Content-Length");

	*out = length == NULL ? 0 : strlen(length) > 18 ? UINT64_MAX : strtoull(length, NULL, 10);
	return length != NULL;
}

static enum MHD_Result take_body(struct request *r, struct bytes octets)
{
	if (r->n_excess || !buf_add(r->body, octets.data, octets.len))
		r->n_excess += octets.len;
	/* A chunked body has no length beforehand; some of it is swallowed so that the 413 gets there. */
	return r->n_excess > 4 * r->server->max_body + MIB(1) ? MHD_NO : MHD_YES;
}

static enum MHD_Result answer(struct MHD_Connection *c, const char *method, struct request *r)
{
	struct http_server *s = r->server;
	struct http_request req = {
		.method = strcmp(method, "HEAD") == 0 ? "GET" : method,
		.path = r->path,
		.authorization = request_field(c, "Authorization"),
		.body = buf_bytes(r->body),
		.peer = r->peer,
	};

	if (r->n_excess)
		return answer_send_status(c, 413);
	r->answer.status = 404;
	r->answer.ctx = r;
	pthread_mutex_lock(&s->lock);
	s->handler_http(s->arg, &req, &r->answer);
	pthread_mutex_unlock(&s->lock);
	r->answered = true;
	return answer_send(c, method, r);
}

/* --- what MHD calls --- */

static enum MHD_Result begin(struct MHD_Connection *c, const char *method, struct request *r)
{
	uint64_t size;

	r->begun = true;
	if (r->server->admit_http && strcmp(method, "PUT") == 0) {
		r->is_put = true;
		return put_begin(c, r);
	}
	r->body = buf_new(r, r->server->max_body);
	if (request_length(c, &size) && size > r->server->max_body)
		return answer_send_status(c, 413);
	return MHD_YES;
}

static enum MHD_Result on_request_http(void *arg, struct MHD_Connection *c, const char *url,
    const char *method, const char *version, const char *data, size_t *len, void **request)
{
	struct request *r = *request;

	(void)arg;
	(void)url;
	(void)version;
	if (!r->begun)
		return begin(c, method, r);
	if (*len) {
		struct bytes octets = bytes_of(data, *len);

		*len = 0;	/* all of it is taken */
		return r->is_put ? put_take(c, r, octets) : take_body(r, octets);
	}
	if (r->answered)
		return answer_send(c, method, r);	/* it was to come later, and is here */
	return r->is_put ? put_finish(c, r) : answer(c, method, r);
}

/* The hooks of a request that is over, the PUT's last. */
static void tell_closed(struct http_server *s, struct request *r)
{
	pthread_mutex_lock(&s->lock);
	if (r->connection)
		LIST_REMOVE(r, entry);
	if (r->upload)
		s->n_uploads--;
	if (r->answered && r->answer.closed)
		r->answer.closed(r->answer.arg);
	if (r->admitted && r->put.closed)
		r->put.closed(r->put.arg);
	pthread_mutex_unlock(&s->lock);
}

static void on_completed_http(void *arg, struct MHD_Connection *c, void **request,
    enum MHD_RequestTerminationCode how)
{
	struct request *r = *request;

	(void)c;
	(void)how;
	*request = NULL;
	if (!r)
		return;
	if (r->answer.fd >= 0)
		close(r->answer.fd);
	if (r->put.fd >= 0)
		close(r->put.fd);
	if (r->answered || r->admitted)
		tell_closed(arg, r);
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
	return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME,
	    0, NULL, NULL,
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
	s->admit_http = settings->admit_http;
	s->max_body = settings->max_body;
	LIST_INIT(&s->waiting);
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
	put_stop(s);
	for (size_t i = 0; i < s->n_daemons; i++)
		MHD_stop_daemon(s->daemons[i]);
	pthread_mutex_destroy(&s->lock);
	talloc_free(s);
}

unsigned http_server_port(const struct http_server *s)
{
	return s->port;
}
