#ifndef STORE_GROUP_H
#define STORE_GROUP_H
/*
 * Groups: those this peer is in and those it has seen, their members, the
 * invites of a master, the joins that wait for one, and the network that a
 * join brought. Loop thread; structs below ctx. What a descriptor is worth,
 * is way/group's.
 */
#include "lib/store/store.h"

enum group_role {
	GROUP_NONE,		/* not in it (any more); pin and serial stay */
	GROUP_MASTER,		/* ours: member rows say who is in it */
	GROUP_MEMBER,		/* somebody else's: member rows are his list */
	GROUP_FOREIGN,		/* a sender's: we are not in it */
};

struct group_row {
	const char *name;
	enum group_role role;
	bool left;			/* the user left it: p2pmta.conf does not bring it back */
	bool from_conf;
	const char *master;		/* address; "" not known yet */
	const char *fpr;		/* the master's, pinned; "" before */
	uint64_t serial;		/* the highest one given out or taken; never goes back */
	uint64_t signed_serial;		/* of descriptor; another one than serial: it is to be signed anew */
	struct bytes descriptor;	/* signed group/1 as it came or was made; empty: none */
	int64_t issued_s, expires_s;	/* of descriptor */
	bool warned;			/* the user was told that descriptor is old */
	int64_t looked_s;		/* foreign: when it was last looked for */
};

struct member_row {
	const char *group, *address;
	const char *fpr;		/* "" not known yet: named in p2pmta.conf, to be resolved */
	bool removed;			/* the user removed it: p2pmta.conf does not bring it back */
	bool from_conf;
};

struct group_row *store_group_find(struct store *, const void *ctx, const char *name);
void store_group_save(struct store *, const struct group_row *);	/* adds or replaces */
/* With its members, invites and join. */
void store_group_drop(struct store *, const char *name);
/* By name. */
struct group_row **store_group_all(struct store *, const void *ctx, size_t *n_out);
/* Of what is foreign, all but the max looked for last go. */
void store_group_forget_foreign(struct store *, size_t max);

struct member_row *store_member_find(struct store *, const void *ctx, const char *group, const char *address);
void store_member_save(struct store *, const struct member_row *);	/* adds or replaces */
void store_member_drop(struct store *, const char *group, const char *address);
void store_member_drop_all(struct store *, const char *group);
/* By address. */
struct member_row **store_member_all(struct store *, const void *ctx, const char *group, size_t *n_out);

struct invite_row {
	const char *group;
	uint8_t secret[32];
	int64_t expires_s;
	const char *used_by;		/* address; "" open */
};
void store_invite_add(struct store *, const struct invite_row *);
/* Open: neither used nor expired. */
struct invite_row **store_invite_open(struct store *, const void *ctx, int64_t now_s, size_t *n_out);
/* False: it is not open (any more). */
bool store_invite_use(struct store *, const uint8_t secret[32], const char *by, int64_t now_s);
/* Those that expired before. */
void store_invite_forget(struct store *, int64_t before_s);

/* We asked to be taken in, and wait. */
struct joining_row {
	const char *group;
	const char *invite;		/* its text */
	struct bytes value;		/* the ns value that asks, exactly these octets; empty: not made yet */
	int64_t expires_s;
};
void store_joining_save(struct store *, const struct joining_row *);
void store_joining_drop(struct store *, const char *group);
struct joining_row **store_joining_all(struct store *, const void *ctx, size_t *n_out);

/* The DHT network of who invited us, used instead of the configured one for as long as that stays what it was then. */
struct network_row {
	uint32_t number, instead_of;
	const char *bootstrap;		/* HOST:PORT, one per line */
};
struct network_row *store_network_find(struct store *, const void *ctx);	/* NULL: none */
void store_network_save(struct store *, const struct network_row *);	/* NULL: forget it */

#endif
