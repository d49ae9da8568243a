#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H
/* What client.c (libcurl's multi handle on the loop) and transfer.c (one call) share. */
#include <curl/curl.h>
#include <sys/queue.h>

#include "lib/base/bytes.h"
#include "lib/http/address.h"
#include "lib/http/client.h"

struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct timer *timer;			/* libcurl's */
	char *user_agent;
	struct http_network *nets;
	size_t n_nets;
	TAILQ_HEAD(transfer_list, http_transfer) transfers;
	LIST_HEAD(sock_list, sock) socks;
	bool in_curl;				/* no handle may be added or removed now */
};

enum why { WHY_CURL, WHY_ADDRESS, WHY_SIZE, WHY_HEADER, WHY_STOPPED, WHY_FILE };

struct http_transfer {
	struct http_client *client;
	TAILQ_ENTRY(http_transfer) entry;
	struct http_call call;			/* its strings are ours, and its fd */
	uint64_t n_read;			/* octets of the file that libcurl took */
	CURL *easy;				/* NULL: could not be made */
	struct curl_slist *fields;
	struct timer *timer;
	bool attached;				/* the multi handle has it */
	bool gone;				/* freed by its owner while libcurl was running */
	bool ending;				/* in done() */
	bool held;				/* its owner takes no octets for now */
	CURLcode broken;			/* what a resume met; the timer ends it */
	int64_t begin_ms, last_ms;		/* last octet, either way; of a streamed answer: last step */
	bool begun;				/* an answer has */
	uint64_t n_step;			/* octets of a streamed answer since last_ms */
	curl_off_t n_up;			/* octets sent, when last looked at */
	size_t n_header;
	uint64_t octets;
	struct buf *body;
	char *etag;
	enum why why;
	char address[80];			/* last one tried */
	char text[256];
	char curl_text[CURL_ERROR_SIZE];
};

/* Made and set up; on failure text says why and easy is NULL. */
struct http_transfer *transfer_new(struct http_client *, const struct http_call *);
void transfer_attach(struct http_transfer *);
/* Not from inside libcurl: takes it from the multi handle and frees it, done() is not called. */
void transfer_drop(struct http_transfer *);
/* Not from inside libcurl, with in_curl set: what it held comes again, and more. */
void transfer_resume(struct http_transfer *);
/* Not from inside libcurl: result to done(), then drop. */
void transfer_end(struct http_transfer *, CURLcode);

#endif
