#ifndef STORE_REPLICA_H
#define STORE_REPLICA_H
/*
 * Replicas (p2pmta-protocol(7), section 8): what we hold for fellow members of
 * our group, by (owner, h); and of our own outbox the notices objects, the
 * list and who holds what. Files are in replicas/, and of our own notices in
 * outbox/, named by their content: durable before their row, unlinked after
 * the commit that dropped it. Loop thread. Loaded structs are below ctx.
 */
#include "lib/store/store.h"

/* A fellow member, and how far we follow his list. */
struct replica_owner {
	const char *address, *group;
	uint64_t serial;		/* of the list taken last; 0 none */
	uint64_t token_serial;		/* of the list or greeting that token came with; 0 none */
	uint8_t token[32];		/* what he wants to see in our requests */
	const char *etag;		/* of his list at himself; "" none */
	int64_t issued_s;		/* when that list was made */
	int64_t confirmed_s;		/* he or another member said last that it is the newest */
	int64_t seen_s;			/* last contact, either way */
};

/* NULL: never heard of. */
struct replica_owner *store_replica_owner_find(struct store *, const void *ctx, const char *address);
struct replica_owner **store_replica_owners(struct store *, const void *ctx, size_t *n_out);
void store_replica_owner_save(struct store *, const struct replica_owner *);	/* adds or replaces */
/* The row, his list and everything held for him. */
void store_replica_owner_forget(struct store *, const char *address);
/* His msglist/1 exactly as it came, for other members; empty: none. */
struct bytes store_replica_list(struct store *, const void *ctx, const char *owner);
void store_replica_list_set(struct store *, const char *owner, struct bytes octets);

struct replica {
	const char *owner;
	uint8_t hash[32];		/* h */
	bool listed;			/* it stands in his list */
	uint64_t sealed_size;
	int64_t expires_s;
	uint8_t notices_hash[32];	/* as listed */
	uint8_t noticed[32];		/* of the notices object that is here; zeros: none */
	bool has_head;			/* said by that object, with the next two */
	uint8_t head_hash[32];
	uint64_t head_size;
	bool body;			/* m', and the head if there is one, are in replicas/ */
	int64_t body_ms;		/* since when */
	bool done;			/* nobody waits for it: its rows stay for their proofs */
	const char *reason;		/* why it is not here, for people; "" none */
};

/* Notices and body as listed? */
bool replica_is_whole(const struct replica *);

struct replica *store_replica_find(struct store *, const void *ctx, const char *owner, const uint8_t hash[32]);
/* All of an owner, by h. */
struct replica **store_replica_all(struct store *, const void *ctx, const char *owner, size_t *n_out);
/* Those that are listed, wanted, and not whole, and do not expire before now; by h. */
struct replica **store_replica_lacking(struct store *, const void *ctx, const char *owner, int64_t now_s, size_t *n_out);
/* Adds or replaces. Files that the row names no more go with the commit, unless another row has them. */
void store_replica_save(struct store *, const struct replica *);
/* The row with its recipients and files. */
void store_replica_drop(struct store *, const char *owner, const uint8_t hash[32]);

enum replica_rcpt_state { REPLICA_PENDING, REPLICA_GOT, REPLICA_DECLINED, REPLICA_RECALLED };

/* A recipient of a replica: what its notices object says of him, and what was heard. */
struct replica_rcpt {
	const char *owner;
	uint8_t hash[32];
	uint8_t key[20];		/* of his ns key in the DHT */
	int64_t expires_s;
	uint8_t c_get[32], c_got[32], c_declined[32], c_recall[32];
	struct bytes value;		/* his ns value */
	enum replica_rcpt_state state;
	uint8_t proof[32];		/* T_got, T_declined or T_recall; not when pending */
	bool served;			/* the whole of m' went out to him from here */
};

struct replica_rcpt **store_replica_rcpts(struct store *, const void *ctx, const char *owner, const uint8_t hash[32],
    size_t *n_out);
/* All rows of an owner in a state, with value only when pending. */
struct replica_rcpt **store_replica_rcpts_in(struct store *, const void *ctx, const char *owner, enum replica_rcpt_state,
    size_t *n_out);
/* Whose commitment SHA-256(T) is this? Of any owner; one's C_got may be another one's C_declined, when somebody lies. */
struct replica_rcpt **store_replica_of_proof(struct store *, const void *ctx, const uint8_t commitment[32], size_t *n_out);
/* Which of his it is; PENDING: none. */
enum replica_rcpt_state replica_proof_kind(const struct replica_rcpt *, const uint8_t commitment[32]);
void store_replica_rcpt_save(struct store *, const struct replica_rcpt *);	/* adds or replaces, by (owner, h, C_get) */
void store_replica_rcpt_drop(struct store *, const struct replica_rcpt *);
size_t store_replica_pending(struct store *, const char *owner, const uint8_t hash[32]);
/* Replicas, done or not, whose recipients have all expired before t. */
struct replica **store_replica_over(struct store *, const void *ctx, int64_t before_s, bool done, size_t *n_out);

/* Why something of this owner is not here; "" none, below ctx. */
const char *store_replica_reason(struct store *, const void *ctx, const char *owner);

struct replica_counts { uint64_t messages, bytes, wanted; };
/* Bodies here; and what is listed but not here. owner NULL: of all. */
struct replica_counts store_replica_count(struct store *, const char *owner);

/* Our own outbox for the members. */

/* The notices object of h: a file in outbox/ named digest. */
struct own_notices {
	uint8_t hash[32];
	uint8_t made_of[32];		/* of everything that went into it: the same again needs no new one */
	uint8_t digest[32];
	uint64_t size;
};
struct own_notices *store_own_notices_find(struct store *, const void *ctx, const uint8_t hash[32]);
struct own_notices **store_own_notices_all(struct store *, const void *ctx, size_t *n_out);	/* by h */
void store_own_notices_save(struct store *, const struct own_notices *);
void store_own_notices_drop(struct store *, const uint8_t hash[32]);

/* Our list as it is served; one row. */
struct own_list {
	uint8_t token[32];
	uint8_t members_hash[32];	/* of who may know the token */
	uint8_t made_of[32];
	uint64_t serial;
	int64_t issued_s;
	struct bytes octets, greeting;	/* empty: none yet */
};
struct own_list *store_own_list_find(struct store *, const void *ctx);
void store_own_list_save(struct store *, const struct own_list *);
void store_own_list_forget(struct store *);	/* we are in no group any more: notices objects and holders go, too */

/* Which member holds which message of ours. */
bool store_holder_has(struct store *, const uint8_t hash[32], const char *member);
void store_holder_set(struct store *, const uint8_t hash[32], const char *member, bool holds);
/* Their addresses, one per line; "" none. */
const char *store_holders(struct store *, const void *ctx, const uint8_t hash[32]);
/* What this member holds, sorted; below ctx. */
uint8_t (*store_held_by(struct store *, const void *ctx, const char *member, size_t *n_out))[32];
/* How many of our messages under way he holds, and how large they are. */
struct replica_counts store_holder_count(struct store *, const char *member);
/* Messages under way that so many of these hold; members: "\nADDRESS\n...ADDRESS\n". */
uint64_t store_holder_count_enough(struct store *, const char *members, size_t enough);
void store_holder_forget(struct store *, const char *member);

/* A recipient of ours, of any letter sealed as h, by T_recall's commitment or not: rows that members must know of. */
struct own_rcpt {
	uint64_t rcpt;
	const char *address;
	bool recalled;			/* else pending: offered or notified */
	int64_t expires_s;
	uint8_t secret[32];
	struct bytes value;		/* of the posting; pending only */
};
struct own_message {
	uint64_t letter;
	uint8_t hash[32];
	uint64_t sealed_size;
	bool dropped;			/* m' is gone: only recalls are left */
	bool has_head;
	uint8_t head_hash[32];
	uint64_t head_size;
	struct own_rcpt *rcpts;
	size_t n_rcpts;
};
/* NULL: not sealed, or nobody else needs to know of it (yet, or any more). */
struct own_message *store_own_message(struct store *, const void *ctx, uint64_t letter, int64_t now_s);
/* Letters with recipients that members must know of. */
uint64_t *store_own_messages(struct store *, const void *ctx, int64_t now_s, size_t *n_out);

#endif
