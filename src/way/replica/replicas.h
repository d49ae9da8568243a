#ifndef REPLICA_REPLICAS_H
#define REPLICA_REPLICAS_H
/*
 * Mail from someone who is not there (p2pmta-protocol(7), section 8): fellow
 * members of our group hold what is in our outbox, and we hold what is in
 * theirs; while an owner is away, his members renew his notifications, answer
 * receipts and serve m'. Without fellow members nothing here runs. Loop thread;
 * gpg and fsync run on workers. Other members are trusted with ciphertext, not
 * with anything else: all that comes from them is checked and bounded.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/dht/dht.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"
#include "lib/loop/pool.h"
#include "lib/mail/member.h"
#include "lib/pgp/pgp.h"
#include "lib/store/replica.h"

/* Borrowed; outlive the station. */
struct replicas_parts {
	struct loop *loop;
	struct pool *pool;
	struct store *store;
	struct pgp *pgp;
	struct dht *dht;
	struct http_client *http;
};

struct replicas_settings {
	const char *address;
	size_t n_urls;			/* of our outbox; 0: nobody can ask us */
	int64_t sync_ms;
	uint64_t quota;			/* octets of m' and heads held for others */
	uint64_t rate;			/* octets a second for it; 0: no bound */
};

/* A fellow member whose key is in the key cache. */
struct replicas_member {
	const char *address, *fpr;
	const char *urls;		/* one per line; "" cannot be reached */
	uint64_t groups, own;		/* as in struct member_fellow */
};

struct members;
struct offers;

/* What HTTP threads may give away: way/outbox/members.h and offers.h, by their functions. */
struct replicas_table {
	struct members *members;
	struct offers *offers;
	void (*set)(struct members *, const struct member_fellow *, size_t n, const uint8_t token[32]);
	void (*greeting_set)(struct members *, struct bytes);
	void (*list_set)(struct members *, const char *owner, struct bytes octets, uint64_t serial);
	void (*notices_set)(struct members *, const uint8_t hash[32], const uint8_t *digest);
	void (*replica_set)(struct members *, const struct replica *, struct replica_rcpt *const *, size_t n);
	void (*replica_drop)(struct members *, const char *owner, const uint8_t hash[32]);
	void (*coming)(struct members *, const char *owner, const uint8_t hash[32], bool);
	void (*serve)(struct members *, const char *owner, bool);
	void (*awake)(struct members *);
	void (*quota)(struct members *, uint64_t octets);
	void (*owner_drop)(struct members *, const char *owner);
	void (*heard)(struct offers *, const uint8_t proof[32]);
	void (*pubkey_set)(struct offers *, const char *address, struct bytes armored);
};

struct replicas_hooks {
	/* All fellow members, by address; below ctx. */
	struct replicas_member *(*members)(void *arg, const void *ctx, size_t *n_out);
	/* The group of our own address; NULL none. */
	const char *(*group)(void *arg);
	/* A member heard a receive notification for us. */
	void (*receipt)(void *arg, const uint8_t proof[32]);
	/* The whole of m' went out to this recipient of ours, from a member. Comes again. */
	void (*served)(void *arg, uint64_t rcpt);
	/* A member has had contact with us, or is found to be away. */
	void (*seen)(void *arg, const char *address);
	void *arg;
};

struct replicas;

struct replicas *replicas_start(const struct replicas_parts *, const struct replicas_settings *,
    const struct replicas_table *, const struct replicas_hooks *);
/* After the pool's end. */
void replicas_stop(struct replicas **);

/* Members came, went or moved. */
void replicas_on_members(struct replicas *);
/* A recipient of this letter can be known to others, or is done, or was withdrawn. */
void replicas_on_outbox(struct replicas *, uint64_t letter);

/* A T_got or T_declined was shown, to whomever it belongs. */
void replicas_on_receipt(struct replicas *, const uint8_t proof[32]);
/* What HTTP threads tell. */
void replicas_on_contact(struct replicas *, const char *address);
void replicas_on_taken(struct replicas *, const char *address, const uint8_t hash[32]);
void replicas_on_served(struct replicas *, const char *owner, const uint8_t hash[32], const uint8_t c_get[32]);

/*
 * A member brings something of an owner's (PUT): ends with done(arg, status),
 * never from inside, when it is durable or refused (p2pmta-protocol(7), section 7).
 */
struct replicas_put {
	const char *owner;
	enum replicas_what { REPLICAS_LIST, REPLICAS_NOTICES, REPLICAS_HEAD, REPLICAS_BODY } what;
	uint8_t hash[32];		/* h; not of a list */
	struct bytes octets;		/* list, notices, head; copied */
	const char *file;		/* body: a temporary file in replicas/, and its descriptor; both taken */
	int fd;
	uint8_t digest[32];		/* of the body, as it came */
	uint64_t size;
	void (*done)(void *arg, unsigned status);
	void *arg;
};
void replicas_put(struct replicas *, const struct replicas_put *);

/*
 * A message of ours was withdrawn, from some recipients at least: the address of a member who may still give it away,
 * because he has not confirmed that he knows of it. NULL: none. Borrowed.
 */
const char *replicas_holdout(const struct replicas *, const uint8_t hash[32]);
/* done(arg) when there is no holdout any more, at the latest after ms; never from inside. */
void replicas_when_confirmed(struct replicas *, const uint8_t hash[32], int64_t ms, void (*done)(void *arg), void *arg);

/* For people. */
struct replicas_shown {
	const char *address;
	bool up;
	int64_t seen_s;			/* 0 never */
	uint64_t messages, bytes, wanted;	/* held here for him; and what is not here yet */
	uint64_t there, there_bytes;	/* of ours, held by him */
	const char *reason;		/* why not; "" none */
};
int64_t replicas_seen_s(const struct replicas *, const char *address);	/* 0: never, or no member */
struct replicas_shown *replicas_show(struct replicas *, const void *ctx, size_t *n_out);
uint64_t replicas_quota(const struct replicas *);
/* Does a fellow member get through to our outbox, by its URL? by_out: who does, or who is up and does not; "" nobody. Borrowed. */
enum replicas_reach { REACH_UNKNOWN, REACH_YES, REACH_NO };
enum replicas_reach replicas_reach(const struct replicas *, const char **by_out);
/* Members that hold this message of ours, and how many there are to hold it. reachable: he has a URL, so that others get it from him. */
struct replicas_holder { const char *address; bool holds, reachable; };
struct replicas_holder *replicas_holders(struct replicas *, const void *ctx, const uint8_t hash[32], size_t *n_out);
/* Enough that we may go: two of those that can be reached, or all of them when there are fewer. */
bool replicas_is_safe(const struct replicas_holder *, size_t n);
/* Of how many messages in our outbox is that so? -1: there are no members to hold any. */
int64_t replicas_count_safe(struct replicas *);

#endif
