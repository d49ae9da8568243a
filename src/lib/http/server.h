#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H
/*
 * A small HTTP server over libmicrohttpd: one epoll thread of its own, all
 * limits here. The handler runs on the HTTP thread, must not block and must
 * not touch loop or store. Range (one), ETag and If-None-Match are done here.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"

struct http_server;

struct http_request {
	const char *method, *path;		/* path decoded is not: no %XX is accepted in ours */
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
	void *ctx;			/* talloc: what body and etag point to may live below; freed with the answer */
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
void http_server_free(struct http_server **);
unsigned http_server_port(const struct http_server *);	/* of the first address */

#endif
