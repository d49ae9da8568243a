#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H
/*
 * HTTP as a client over libcurl's multi interface (p2pmta-protocol(7), section 7, last
 * paragraph): http and https only, no redirects, no proxy from the
 * environment, limits on octets and time, and no loopback, link-local or
 * private address unless the rules allow it, checked on the resolved address
 * (address.h). Connections are kept and used again. Loop thread only.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/loop/loop.h"

struct http_client;

struct http_client_settings {
	/*
	 * Our own URLs: an address in the same network as one of these may be used. Only those whose host
	 * is an address (or "localhost") say so: 127.0.0.0/8, else the same /24, IPv6 /64.
	 */
	const char *const *own_urls;
	size_t n_own_urls;
	const char *user_agent;
};

struct http_client *http_client_new(struct loop *, const struct http_client_settings *, struct err *);
/* Transfers end without done(). Not from one of their callbacks. */
void http_client_free(struct http_client **);

struct http_reply {
	unsigned status;		/* 0: no answer or not all of it; text says why */
	struct bytes body;		/* when it was not streamed; borrowed for the call */
	const char *etag;		/* NULL: none */
	const char *text;		/* for people: "connection refused by 127.0.0.1:4180", "no octet for 60 s" */
	uint64_t octets;		/* of body, streamed or not */
};

/* What became of streamed octets. */
enum http_taken {
	HTTP_TAKEN,
	HTTP_HOLD,			/* not taken: they come again after http_transfer_resume() */
	HTTP_STOP,			/* no more: ends the transfer */
};

struct http_call {
	const char *method;		/* "GET", "HEAD", "POST", "PUT" */
	const char *url;		/* base and path in one */
	const char *authorization;	/* NULL: none */
	struct bytes body;		/* POST, PUT; copied */
	/* PUT: the body is size octets of fd at offset instead. fd is duplicated, its position does not matter. */
	bool from_file;
	int fd;
	uint64_t offset, size;
	const uint8_t *digest;		/* 32 octets, SHA-256 of the body: Content-Digest; NULL: none */
	const char *range;		/* "0-1048575" or NULL */
	const char *etag;		/* quoted: If-None-Match, then status 304 says that it is the same; or NULL */
	uint64_t max_rate;		/* octets a second, each way, over some seconds; from 1 KiB on; 0: no bound */
	uint64_t max;			/* octets of the answer's body; more ends it */
	/*
	 * No octet for so long ends it, once an answer has begun less than LIMIT_HTTP_PULL_MIN octets of one that
	 * is streamed; the wait for a connection counts, a hold or max_rate does not; 0: no bound.
	 */
	int64_t quiet_ms;
	int64_t total_ms;		/* 0: no bound */
	bool friend_address;		/* private addresses are fine (fellow member, ourselves) */
	/* Streamed answer (status 200 or 206 only; of others LIMIT_HTTP_REFUSAL octets are taken). NULL: collected into body. */
	enum http_taken (*on_octets)(void *arg, struct bytes);
	void (*done)(void *arg, const struct http_reply *);
	void *arg;
};

struct http_transfer;
/* Copies what it is given. done() is called exactly once, never from inside this call. */
struct http_transfer *http_call(struct http_client *, const struct http_call *);
/* Before done(): ends it, nothing is called any more. done() ends it by itself and frees it afterwards. */
void http_transfer_free(struct http_transfer **);
/* After HTTP_HOLD, else nothing happens; not from inside an on_octets(). on_octets() runs inside, done() does not. */
void http_transfer_resume(struct http_transfer *);

#endif
