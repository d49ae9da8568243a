#ifndef RESOLVE_RESOLVE_H
#define RESOLVE_RESOLVE_H
/*
 * Whose key, which address (p2pmta-protocol(7), section 3, peer/1; section 6): our own
 * descriptor is signed, published and renewed; other peers' are found in the
 * DHT (and at their URLs), verified and kept with the key they bind. The first
 * key seen for an address is pinned; another one is never used. Loop thread.
 */
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/dht/dht.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"
#include "lib/loop/pool.h"
#include "lib/pgp/pgp.h"
#include "lib/store/contact.h"

/* Borrowed; outlive the station. */
struct resolve_parts {
	struct loop *loop;
	struct pool *pool;
	struct store *store;
	struct pgp *pgp;
	struct dht *dht;
	struct http_client *http;
};

struct resolve_settings {
	const char *address;
	const char *const *urls;	/* base URLs of our outbox */
	size_t n_urls;
	const char *group;		/* NULL: none */
	unsigned stamp;			/* bits asked of strangers */
};

struct resolve_hooks {
	/* An ask ended. RETRY: not found now, or held; reason says why, for people. */
	void (*resolved)(void *arg, const char *address, enum outcome, const char *reason);
	/* Our signed descriptor and armored key, as they are to be served. */
	void (*published)(void *arg, struct bytes descriptor, struct bytes pubkey);
	/* Somebody shows another key for a pinned address, or two before a pin. Told once per key. */
	void (*conflict)(void *arg, const char *address, const char *fpr, const char *rival);
	/* A fellow member of a group of ours? Then his private addresses may be asked. May be NULL. */
	bool (*is_friend)(void *arg, const char *address);
	void *arg;
};

struct resolve;

struct resolve *resolve_start(const struct resolve_parts *, const struct resolve_settings *, const struct resolve_hooks *);
void resolve_stop(struct resolve **);

/* Find address's key. Ends with hooks.resolved, never from inside; asks for one address are merged. fresh: look again even if it is known. */
void resolve_ask(struct resolve *, const char *address, bool fresh);

/*
 * The key that signed a verified notice: is it the pinned one? Pins it when
 * there is none (first use). False: another one is pinned, or a conflict is open.
 */
bool resolve_pin(struct resolve *, const char *address, const char *fpr);

/* The same with the word of a pinned master (section 6): trust becomes TRUST_GROUP, unless it is more already. */
bool resolve_vouch(struct resolve *, const char *address, const char *fpr);
/* The group that our descriptor names from now on; NULL none. Borrowed until the next call. */
void resolve_set_group(struct resolve *, const char *group);

/* Our minimal public key, once published; empty before. Borrowed. */
struct bytes resolve_own_key(const struct resolve *);

#endif
