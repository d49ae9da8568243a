#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H
/*
 * Pull m' (or its head object) from whoever holds it and open it (p2pmta-protocol(7)
 * section 4, step 5). Loop thread; opening runs on a worker, that of a large
 * m' while it arrives, on a thread that no other job waits for. What was
 * opened lies in a temporary file until hash, framing, signature, digest and
 * size are checked.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"
#include "lib/loop/pool.h"
#include "lib/mail/ns.h"
#include "lib/mime/mime.h"
#include "lib/pgp/pgp.h"

/* Where it may be had. */
struct fetch_source {
	const char *url;		/* base URL */
	const char *who;		/* whose peer, for people: "alice@home"; NULL not known: the URL stands for it */
	bool friend_address;		/* private addresses are fine */
	bool holder;			/* not its sender's */
};

/* What to pull; copied. */
struct fetch_order {
	uint64_t id;			/* the caller's; one body and one head at a time for each */
	const char *sender;		/* address */
	const char *fpr;		/* who must have signed it */
	const struct fetch_source *sources;	/* best first */
	size_t n_sources;
	bool more;			/* others are looked for, and fetch_add_sources() may tell: worth a few seconds */
	int64_t patience_ms;		/* so long without any octet from anybody: RETRY */
	uint8_t hash[32], digest[32], key[32], t_get[32], t_recall[32];
	uint64_t sealed_size, size;
	uint8_t head_hash[32];
	uint64_t head_size;		/* 0: there is none */
};

/* m' for him who opens it. */
struct fetch_sealed {
	int fd;				/* a file, or a pipe that fills while it arrives; framing is checked */
	atomic_bool whole;		/* set before the end can be read: all came, and its hash is right */
};

/* A source that sends nothing for so long gets another one beside it (fetch_parts). */
enum { FETCH_HEDGE_MS = 1000 };

struct fetch_parts {
	struct loop *loop;
	struct pool *pool;
	struct pgp *pgp;
	struct http_client *http;
	const char *inbox;		/* folder for files: store_dir(PLACE_INBOX) */
	int64_t hedge_ms;		/* FETCH_HEDGE_MS */
	/* How one station does the work of another one (way/seal): worker thread. The order has no sources. */
	enum outcome (*unseal_work)(const void *ctx, struct pgp *, const struct fetch_sealed *, const char *dir,
	    const struct fetch_order *, struct mime **out, struct err *);
	enum outcome (*unseal_head_work)(const void *ctx, struct pgp *, struct bytes sealed,
	    const struct fetch_order *, struct head **out, struct err *);
};

struct fetch_result {
	uint64_t id;
	/* OK: it is here. RETRY: nobody has it now, or the disk is full. REJECT: it is not what was announced. */
	enum outcome res;
	const char *reason;		/* a sentence for people: who is away, or what is wrong */
	bool recalled;			/* a 410 showed our T_recall: its sender took it back */
	bool heard;			/* its sender's peer answered */
	const char *from;		/* who delivered it: "alice@home", "carol@home 31 dave@home 30" when in pieces */
	/* The structure, of the message or of the skeleton in the head; NULL when that has none. Rendered (mime.h). */
	struct mime *mime;
	const char *envelope, *body, *bodystructure;
};

struct fetch_hooks {
	/* Borrowed for the call. The file of a body is durable in inbox/ when res is OK. */
	void (*got_body)(void *arg, const struct fetch_result *);
	void (*got_head)(void *arg, const struct fetch_result *);
	/* A body was opened, but forgotten meanwhile: its file lies in inbox/ and nobody wants it. */
	void (*unwanted)(void *arg, const uint8_t digest[32]);
	void *arg;
};

struct fetch;

struct fetch *fetch_start(const struct fetch_parts *, const struct fetch_hooks *, struct err *);
/* After the pool's end. */
void fetch_stop(struct fetch **);

/* Ends with a hook, never from inside. Asking for what is under way does nothing: false. */
bool fetch_body(struct fetch *, const struct fetch_order *);
bool fetch_head(struct fetch *, const struct fetch_order *);
/* Others may have what this sender sent: for all that is under way. Known URLs are not taken twice. */
void fetch_add_sources(struct fetch *, const char *sender, const struct fetch_source *, size_t n);
/* Nobody wants it any more (a recall): nothing is called; what arrived is dropped. */
void fetch_forget(struct fetch *, uint64_t id);

#endif
