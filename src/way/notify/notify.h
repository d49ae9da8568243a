#ifndef NOTIFY_NOTIFY_H
#define NOTIFY_NOTIFY_H
/*
 * Send and receive notifications and recalls, through the DHT and straight
 * over HTTP (p2pmta-protocol(7), section 4). This station makes the octets, brings
 * them out until told to stop, and checks what comes in, cheap checks first;
 * what it means is the courier's. Loop thread; gpg runs on workers.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/dht/dht.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"
#include "lib/loop/pool.h"
#include "lib/mail/ns.h"
#include "lib/mime/mime.h"
#include "lib/pgp/pgp.h"
#include "lib/store/notice.h"

/* Borrowed; outlive the station. */
struct notify_parts {
	struct loop *loop;
	struct pool *pool;
	struct store *store;
	struct pgp *pgp;
	struct dht *dht;
	struct http_client *http;
};

struct notify_settings {
	const char *address;		/* our own */
	int64_t poll_ms;
};

/* A send notification is verified: who signed, and what it announces. Borrowed for the call. */
struct notify_heard {
	const char *fpr;		/* of the signer */
	size_t n;
	struct notify_item {
		const struct ns *ns;
		struct mime *mime;	/* from the skeleton; NULL with ns->has_head */
		/* Rendered on the worker (mime.h); NULL with ns->has_head. */
		const char *envelope, *body, *bodystructure;
	} *items;
};

enum notify_kind { NOTIFY_NS, NOTIFY_RECALL, NOTIFY_RECEIPT };

struct notify_hooks {
	/* notify_make() ended. OK: value holds the first n of the ns given; the others did not fit in. */
	void (*made)(void *arg, uint64_t ticket, enum outcome, struct bytes value, size_t n, const char *reason);
	/* It is in the DHT, or the other side took it. Comes again each time. */
	void (*sent)(void *arg, enum notify_kind, uint64_t id);
	/* A receipt was heard by the sender: proof is here (proof_seen). */
	void (*proven)(void *arg, uint64_t id);
	/* False: the signer is not who this address belongs to; it is held, not forgotten. */
	bool (*heard)(void *arg, const struct notify_heard *);
	/* Somebody shows a T_recall, or a T_got or T_declined: a lookup decides what it is worth. */
	void (*recalled)(void *arg, const uint8_t proof[32]);
	void (*receipt)(void *arg, const uint8_t proof[32]);
	/* An ns value of kind 2: somebody wants to join a group of ours. Unchecked; may be NULL. */
	void (*join)(void *arg, struct bytes value);
	void *arg;
};

struct notify;

struct notify *notify_start(const struct notify_parts *, const struct notify_settings *, const struct notify_hooks *);
void notify_stop(struct notify **);

/*
 * Make the ns value for one receiver out of up to LIMIT_NS_RECORDS records,
 * as many as fit into one value. Copies. Ends with hooks.made(ticket).
 */
void notify_make(struct notify *, const char *fpr, const struct ns *const *, size_t n, uint64_t ticket);

/* What is brought out, and where to. urls: base URLs, one per line; may be "". */
struct notify_message {
	const char *address;		/* whose ns (or nr) key */
	struct bytes value;		/* as it stands in the DHT */
	const char *urls;
	bool friend_address;		/* a fellow member: private addresses are fine */
};

/* Put it until stopped, and POST it now (ns and receipts). Again with the same kind and id: POST again, put again if nobody has it. */
void notify_send(struct notify *, enum notify_kind, uint64_t id, const struct notify_message *);
void notify_end(struct notify *, enum notify_kind, uint64_t id);

/* An ns or nr value that came over HTTP, unchecked. */
void notify_take(struct notify *, struct bytes value);
/* The user has decided about this sender: what was held is read again as it is found in the DHT. */
void notify_release(struct notify *, const char *address);
/* Look into the DHT now. */
void notify_poll(struct notify *);

#endif
