#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H
/*
 * A small HTTP server over libmicrohttpd: an epoll thread of its own per listen
 * address, all limits here. handler_http, may_send, closed and what belongs to
 * a PUT run on one of these threads, one at a time (a lock of the server's is
 * held), must not block, must not touch loop or store, and must not call the
 * server. Range
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
	const char *method;			/* "GET" (also for HEAD), "POST"..., "PUT" when nobody admits */
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
	unsigned retry_s;		/* Retry-After; 0: none */
	bool later;			/* done_http only: http_server_answer() brings the status */
	size_t (*may_send)(void *arg, uint64_t offset, size_t len);
	void (*closed)(void *arg);
	void *arg;
};

/*
 * A PUT that streams into a descriptor: asked for when its header is here, done
 * when its body is. The body is hashed on its way and nowhere in memory. Before
 * anybody hears of it: 411 without Content-Length, 400 for a Content-Digest that
 * is none or for chunks beside the Content-Length. Before done_http: 503 when LIMIT_HTTP_UPLOADS are under way, 413 over
 * max, 409 for octets with another digest than announced, 507 and 500 when they
 * cannot be written. One that is cut off or too slow (LIMIT_HTTP_UPLOAD_S) ends
 * without an answer: libmicrohttpd has none in the middle of a body. An answer
 * at header time spares a client that expects a 100-continue the body.
 */
struct http_put {
	const char *path;
	const char *authorization;		/* NULL when absent */
	const char *peer;
	uint64_t size;				/* Content-Length */
	bool has_digest;			/* Content-Digest has a SHA-256 */
	uint8_t digest[32];			/* that one; in done_http of what came */
	uint64_t ticket;			/* for http_server_answer(); never used again */

	/* What admit_http decides; before: status 404, fd -1, the rest zero. */
	unsigned status;			/* the answer, without the body; 0: take the body */
	int fd;					/* taken: written from where it stands, closed at the end */
	uint64_t max;				/* of size */
	/* All is here. May take fd by setting it to -1. The answer is as handler_http's. */
	void (*done_http)(void *arg, struct http_put *, struct http_answer *);
	/* After done_http and the answer, or instead, fd is closed; once, also when status was not 0; may be NULL. */
	void (*closed)(void *arg);
	void *arg;
};

struct http_server_settings {
	const char *const *listen;	/* "HOST:PORT" */
	size_t n_listen;
	size_t max_body;
	/* NULL: PUT is as POST. Gets the arg of the server. */
	void (*admit_http)(void *arg, struct http_put *);
};

/* handler_http: fill answer (zeroed before, fd = -1, status 404). HTTP thread. */
struct http_server *http_server_new(const struct http_server_settings *,
    void (*handler_http)(void *arg, const struct http_request *, struct http_answer *), void *arg, struct err *);
/* Breaks what is open (closed is called), joins the threads. */
void http_server_free(struct http_server **);
/*
 * The status of an answer that was to come later (what is durable takes a worker), once; any thread, not from
 * inside a hook. For a ticket that is gone nothing happens. The client's connection waits without a limit of time.
 */
void http_server_answer(struct http_server *, uint64_t ticket, unsigned status);
unsigned http_server_port(const struct http_server *);	/* of the first address */

#endif
