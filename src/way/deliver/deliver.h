#ifndef DELIVER_DELIVER_H
#define DELIVER_DELIVER_H
/*
 * File into a mailbox: a message announced by a peer (its body here or not),
 * one submitted here, or one the daemon itself writes to its user. Loop
 * thread; scanning and fsync run on a worker. What is filed is durable with
 * the turn's commit.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/loop/pool.h"
#include "lib/mime/mime.h"
#include "lib/store/mailbox.h"

struct deliver;

struct deliver *deliver_start(struct pool *, struct store *);
void deliver_stop(struct deliver **);

/* What is known of a message; texts borrowed. */
struct deliver_item {
	const uint8_t *digest;
	uint64_t size;
	enum place place;		/* PLACE_NONE: not here, keyword $Remote */
	const struct mime *mime;
	const char *envelope, *body, *bodystructure;
	int64_t internal_ms;
	const char *keywords[4];	/* "$FirstUse", ...; NULL-terminated unless 4 */
	uint32_t flags;
};

/* Content and message rows, now. Returns the message's id; *content_out. */
uint64_t deliver_file(struct deliver *, struct mailbox *, const struct deliver_item *, uint64_t *content_out);

/*
 * A whole message of our own (a DSN, a notice): written, scanned and filed in
 * INBOX. done(arg, id, ok) is called when it is filed, in the same transaction,
 * never from inside.
 */
void deliver_own(struct deliver *, struct bytes message, uint64_t id, void (*done)(void *arg, uint64_t id, bool ok), void *arg);

#endif
