#ifndef LOOP_PRIVATE_H
#define LOOP_PRIVATE_H
/*
 * What the files of this folder share, and nobody else.
 */
#include <stdbool.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "lib/loop/loop.h"

struct tls;

struct event_base *loop_base(struct loop *);
/* Something runs: the turn is measured from the first of these. */
void loop_begin(struct loop *, const char *what);

/*
 * watchdog.c: how long each turn blocked the loop by our own doing. The first
 * watchdog_begin() of a turn begins it; watchdog_since_ms() is 0 until then.
 */
struct watchdog;
struct watchdog *watchdog_new(const void *ctx);
void watchdog_free(struct watchdog **);
/* From now on it warns, and looks at the other threads of the process too. */
void watchdog_set_loud(struct watchdog *);
void watchdog_begin(struct watchdog *, const char *what);
/* Whatever runs now began now, and what ran before has ended. */
void watchdog_mark(struct watchdog *, const char *what);
int64_t watchdog_since_ms(const struct watchdog *);
/* The turn is over; in milliseconds. */
int64_t watchdog_end(struct watchdog *);

/*
 * deflate.c (RFC 1951): what is written comes out as it pleases zlib, and all of it with a flush; a read
 * goes on until `to` has max octets, a block more at most. false: that is no deflate, or it has ended.
 */
struct evbuffer;
struct deflate;
struct deflate *deflate_new(const void *ctx);
void deflate_write(struct deflate *, const void *, size_t, struct evbuffer *to);
void deflate_flush(struct deflate *, struct evbuffer *to);
bool deflate_read(struct deflate *, struct evbuffer *from, struct evbuffer *to, size_t max);

/* A new server side, or NULL. */
SSL *tls_accept(struct tls *);

struct sock_address {
	struct sockaddr_storage storage;
	socklen_t len;
};

/* REJECT: will never be an address; RETRY: could not be looked up. Blocks on names. */
enum outcome sock_parse_address(const char *, struct sock_address *, struct err *);
/* "127.0.0.1:4711", "[::1]:4711" or "unix"; true when the peer is this machine. */
bool sock_describe_peer(int fd, char *out, size_t size);

#endif
