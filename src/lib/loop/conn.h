#ifndef LOOP_CONN_H
#define LOOP_CONN_H
/*
 * One byte stream to a client: buffered both ways, TLS or not, compressed or not, with a ceiling
 * on input, an idle time and back-pressure. Loop thread only.
 * The session owns the conn; conn_free() may be called inside any hook.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/loop/loop.h"

struct conn;
struct tls;

struct conn_hooks {
	/*
	 * There is input. Return how many octets were used up; the rest stays
	 * and comes again with more. Called until it uses nothing, or reading
	 * is paused. A full input buffer of which nothing is used is an error.
	 */
	size_t (*on_data)(void *arg, const char *data, size_t len);
	/* Output sank below conn_settings.low: write more. May be NULL. */
	void (*on_drain)(void *arg);
	/* The peer or the network ended it, or it idled too long. Free it. */
	void (*on_close)(void *arg, const char *why);
};

struct conn_settings {
	size_t max_input;	/* octets kept unread */
	size_t low;		/* on_drain threshold, octets waiting to go out */
	int64_t idle_ms;	/* nothing read or written for so long: on_close("idle"); 0 never */
};

/* Takes fd (closed on failure too). unix or TCP socket, already connected. */
struct conn *conn_new(struct loop *, int fd, const struct conn_settings *, const struct conn_hooks *, void *arg);
void conn_free(struct conn **);

/* Copied and sent when the loop gets to it; never blocks. */
void conn_write(struct conn *, const void *, size_t);
void conn_printf(struct conn *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* len octets of fd from offset, in order with what is written before and after; takes fd. */
void conn_write_file(struct conn *, int fd, uint64_t offset, uint64_t len);
size_t conn_unsent(const struct conn *);
/*
 * What is written from now on is kept back until conn_release() of that or a later stamp, or forgotten by conn_drop();
 * what was written before goes, or waits for its own stamp. Stamps do not fall. It counts as unsent. Not before
 * conn_start_tls().
 */
void conn_hold(struct conn *, uint64_t stamp);
void conn_release(struct conn *, uint64_t stamp);
void conn_drop(struct conn *);
/* No more reading; send what waits, then on_close("closed"). */
void conn_finish(struct conn *);

void conn_pause(struct conn *);		/* stop calling on_data; input backs up to the client */
void conn_resume(struct conn *);	/* what waits is delivered in the next turn */
void conn_set_idle(struct conn *, int64_t ms);

/*
 * Speak TLS from now on as the server: after what waits to go out has gone.
 * Input that came before the handshake is discarded (RFC 3207 section 4.2).
 * Once, and not while a file is on its way.
 */
void conn_start_tls(struct conn *, struct tls *);
bool conn_is_tls(const struct conn *);
/* DEFLATE (RFC 1951) both ways from now on: what comes in, and what is written after this. Once; not before TLS. */
void conn_start_deflate(struct conn *);
bool conn_is_deflated(const struct conn *);
bool conn_is_loopback(const struct conn *);
const char *conn_peer(const struct conn *);	/* "127.0.0.1:4711", "unix" */
int conn_fd(const struct conn *);

/* Certificate and key in PEM files, TLS 1.2 and later. NULL with err. */
struct tls *tls_new(const char *cert, const char *key, struct err *);
void tls_free(struct tls **);
/* Read other files from now on, for new connections. REJECT with err: all stays as it was. */
enum outcome tls_reload(struct tls *, const char *cert, const char *key, struct err *);
/* A self-signed certificate for localhost and name, and its key, both durable and 0600. */
enum outcome tls_make_self_signed(const char *name, const char *cert, const char *key, struct err *);

/*
 * Listen on "HOST:PORT", "[V6]:PORT", or "unix:PATH" (mode 0600). Port 0 takes any. on_accept
 * takes fd. Sockets passed by systemd with the same address are used instead.
 */
struct listener;
struct listener *listener_new(struct loop *, const char *address,
    void (*on_accept)(void *arg, int fd), void *arg, struct err *);
void listener_free(struct listener **);
unsigned listener_port(const struct listener *);
void listener_pause(struct listener *, bool paused);

#endif
