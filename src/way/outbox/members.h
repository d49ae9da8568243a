#ifndef OUTBOX_MEMBERS_H
#define OUTBOX_MEMBERS_H
/*
 * The second locked table between loop and HTTP threads (p2pmta-protocol(7),
 * sections 7 and 8): who may ask as a fellow member, what members get of our
 * own outbox, and the replicas that we hold, for members and for recipients.
 * Any thread; nothing in it survives a restart - way/replica fills it again
 * from its rows. Without a group it is empty and answers nobody.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/mail/member.h"
#include "lib/store/replica.h"
#include "way/outbox/offers.h"

struct members;

/* Folders of m', heads and notices objects: our own, and the replicas'. */
struct members *members_new(const char *outbox, const char *replicas);
void members_free(struct members **);

/* Who may ask, and the token that he must know. n 0: nobody any more. */
void members_set(struct members *, const struct member_fellow *, size_t n, const uint8_t token[32]);
/* The list without lines that tells the token; open, because only members can read it. Empty: none. */
void members_greeting_set(struct members *, struct bytes);
/* The list of an owner, "" ours, as it is served; empty: none any more. serial: of the list that we follow. */
void members_list_set(struct members *, const char *owner, struct bytes octets, uint64_t serial);
/* Our notices object of h is the file with this content; digest NULL: there is none any more. */
void members_notices_set(struct members *, const uint8_t hash[32], const uint8_t *digest);

/* Add or replace, with all its recipients; copies. What is withdrawn by it is broken off. */
void members_replica_set(struct members *, const struct replica *, struct replica_rcpt *const *, size_t n);
void members_replica_drop(struct members *, const char *owner, const uint8_t hash[32]);
/* We fetch it ourselves: nobody need bring its head and m'. */
void members_coming_set(struct members *, const char *owner, const uint8_t hash[32], bool);
/* May replicas of this owner be served? Not after an absence, until his list is known to be good (section 8). */
void members_serve(struct members *, const char *owner, bool);
/* How many octets of replicas there may be. */
void members_quota(struct members *, uint64_t octets);
/* The loop runs. When it did not for a while, nothing is served to recipients until it says so again. */
void members_awake(struct members *);
/* Everything of this owner goes. */
void members_owner_drop(struct members *, const char *owner);

/* Is it a request of a fellow member? who_out: of which one. HTTP threads. */
bool members_check_http(struct members *, const char *authorization, const struct member_request *,
    char who_out[LIMIT_ADDRESS + 1]);
bool members_is(struct members *, const char *address);
/* And about this owner's outbox, "" ours? Only in the group whose members hold it. */
bool members_may_ask(struct members *, const char *who, const char *owner);
/* Below ctx; empty: none. owner "" is ours, NULL the greeting. */
struct bytes members_list_http(struct members *, const void *ctx, const char *owner, uint64_t *serial_out);
/*
 * What we hold of an owner: "serial N" of the list that we follow, "h" for each message held whole, "+ T" for each
 * receive notification that he may not know (he names the recipient still), "! h C_get" for each recipient who had all of
 * m' from here. False: he is no owner known to us.
 */
bool members_held_http(struct members *, const void *ctx, const char *owner, struct bytes *out);

enum members_file { MEMBERS_BODY, MEMBERS_HEAD, MEMBERS_NOTICES };
struct members_pass {
	int fd;				/* yours */
	uint64_t size;
	struct bytes recalls;		/* OFFERS_RECALLED: below ctx */
	const char *owner;		/* below ctx: for members_may_send_http() */
};
enum members_answer { MEMBERS_NONE, MEMBERS_OPEN, MEMBERS_GONE, MEMBERS_LATER };
/* For a recipient: who holds T_get of a replica. LATER: not until our list is known to be good. */
enum members_answer members_open_http(struct members *, const void *ctx, const uint8_t hash[32], const uint8_t t_get[32],
    enum members_file, struct members_pass *out);
/* For a member: a replica's file, or our own notices object. m' and head of our own are the offers'. */
enum members_answer members_open_member_http(struct members *, const void *ctx, const char *who, const uint8_t hash[32],
    enum members_file, struct members_pass *out);
/*
 * Would we take so many octets as this of an owner's? HAVE: it is here already; COMING: not now. For a body that is wanted room is kept
 * until members_release_http().
 */
enum members_want { MEMBERS_UNKNOWN, MEMBERS_HAVE, MEMBERS_WANT, MEMBERS_WRONG, MEMBERS_COMING, MEMBERS_FULL };
enum members_want members_want_http(struct members *, const char *owner, const uint8_t hash[32], enum members_file, uint64_t size);
void members_release_http(struct members *, uint64_t size);
/* Before each block to a recipient: may it go? */
bool members_may_send_http(struct members *, const char *owner, const uint8_t hash[32], const uint8_t c_get[32]);

#endif
