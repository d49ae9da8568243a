#ifndef HTTP_SERVER_INTERNAL_H
#define HTTP_SERVER_INTERNAL_H
/* What server.c (life, requests), answer.c and put.c share. HTTP threads, unless something else is said. */
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/queue.h>

#include "lib/http/server.h"

struct http_server {
	void (*handler_http)(void *arg, const struct http_request *, struct http_answer *);
	void (*admit_http)(void *arg, struct http_put *);
	void *arg;
	size_t max_body;
	pthread_mutex_t lock;		/* around everything of the handler's, and the next four */
	LIST_HEAD(waiting_list, request) waiting;	/* for http_server_answer() */
	uint64_t last_ticket;
	unsigned n_uploads;
	bool stopping;
	struct MHD_Daemon **daemons;
	size_t n_daemons;
	unsigned port;
};

struct request {
	struct http_server *server;
	char *path;
	char peer[INET6_ADDRSTRLEN];
	bool begun, answered, is_put;
	size_t n_excess;		/* octets of the body beyond its limit, dropped */
	struct buf *body;
	struct http_answer answer;
	uint64_t first;			/* where in the file the part begins */

	struct http_put put;
	unsigned refused;		/* the answer to a PUT whose body is swallowed */
	bool admitted;			/* admit_http was asked: closed is owed */
	struct upload *upload;
	struct MHD_Connection *connection;	/* NULL: nothing is awaited */
	LIST_ENTRY(request) entry;	/* among the waiting */
};

/* server.c */
/* A field of the request, or NULL. */
const char *request_field(struct MHD_Connection *, const char *name);
/* The size that Content-Length says; false when it is absent. */
bool request_length(struct MHD_Connection *, uint64_t *out);

/* answer.c */
/* r->answer, after If-None-Match, If-Range and Range. */
enum MHD_Result answer_send(struct MHD_Connection *, const char *method, struct request *);
enum MHD_Result answer_send_status(struct MHD_Connection *, unsigned status);

/* put.c: header, octets and end of a PUT that somebody admits. */
enum MHD_Result put_begin(struct MHD_Connection *, struct request *);
enum MHD_Result put_take(struct MHD_Connection *, struct request *, struct bytes);
enum MHD_Result put_finish(struct MHD_Connection *, struct request *);
/* No more are admitted, and nobody waits: MHD stops with nobody suspended only. Any thread. */
void put_stop(struct http_server *);

#endif
