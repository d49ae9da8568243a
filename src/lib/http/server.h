#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H
/*
 * A small HTTP server over libmicrohttpd: an epoll thread of its own per listen
 * address, all limits here. handler_http, may_send and closed run on one of
 * these threads, one at a time (a lock of the server's is held), must not
 * block, must not touch loop or store, and must not call the server. Range
 * (one), ETag, If-None-Match and If-Range are done here for answers of 200; HEAD
 * reaches the handler as GET. A body over max_body gets 413, a path too long
 * 414, and the handler hears of neither. A name in listen is
 * looked up once, in http_server_new().
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"

struct http_server;

struct http_request {
	const char *method;			/* "GET" (also for HEAD), "POST"... */
	const char *path;			/* the target as it came: %XX and ?query not taken apart */
	const char *authorization;		/* NULL when absent */
	struct bytes body;			/* POST and PUT, at most max_body */
	const char *peer;			/* "192.0.2.1" */
};

/*
 * What to answer. Octets (copied) or a file. A file's blocks pass may_send
 * first: it says how many of len octets at offset may go out (0: break the
 * connection), called on the HTTP thread before each block. closed is called
 * once when the answer ends, however it ends.
 */
struct http_answer {
	void *ctx;			/* set before the call, talloc: what body and etag point to may live below; freed when the answer has ended */
	unsigned status;
	const char *type;		/* Content-Type; static */
	struct bytes body;		/* copied */
	const char *etag;		/* quoted, or NULL; gives 304 and If-Range */
	int fd;				/* -1: body counts; else taken */
	uint64_t size;			/* of the file */
	size_t (*may_send)(void *arg, uint64_t offset, size_t len);
	void (*closed)(void *arg);
	void *arg;
};

struct http_server_settings {
	const char *const *listen;	/* "HOST:PORT" */
	size_t n_listen;
	size_t max_body;
};

/* handler_http: fill answer (zeroed before, fd = -1, status 404). HTTP thread. */
struct http_server *http_server_new(const struct http_server_settings *,
    void (*handler_http)(void *arg, const struct http_request *, struct http_answer *), void *arg, struct err *);
/* Breaks what is open (closed is called), joins the threads. */
void http_server_free(struct http_server **);
unsigned http_server_port(const struct http_server *);	/* of the first address */

#endif
