#ifndef OUTBOX_OFFERS_H
#define OUTBOX_OFFERS_H
/*
 * The one locked table between loop and HTTP threads (p2pmta-protocol(7), section 7):
 * which m' is on offer, whose token opens it, and who came first when a
 * cancel and a GET meet. Any thread; nothing in it survives a restart - the
 * courier fills it again from its rows.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"

struct offers;

/* The octets with this hash, to read: a descriptor, or -1. On HTTP threads, with nothing locked. */
struct offers_source {
	int (*open)(void *arg, const uint8_t hash[32]);
	void *arg;
};
struct offers *offers_new(const struct offers_source *);
void offers_free(struct offers **);

struct offer {
	uint8_t hash[32];		/* h */
	uint64_t size;			/* of m' */
	bool has_head;
	uint8_t head_hash[32];
	uint64_t head_size;
};

/* Add or replace; copies. */
void offers_put(struct offers *, const struct offer *);
/* A recipient's token. */
struct grant {
	uint64_t rcpt;			/* whose it is, for outbox_hooks.served */
	uint8_t t_get[32];
	int64_t expires_s;
	bool served;			/* he had it once already */
};
/* Who holds T_get may have it. */
void offers_grant(struct offers *, const uint8_t hash[32], const struct grant *);
/* m' left the outbox; withdrawn tokens go on being answered with their recalls. Without any the entry goes. */
void offers_remove(struct offers *, const uint8_t hash[32]);
/* This recipient is done, or his recall has stood long enough: his token opens nothing new; a transfer under way may end. */
void offers_revoke(struct offers *, const uint8_t hash[32], const uint8_t t_get[32]);

/*
 * Take it back: true when no whole copy left this peer under this token, and
 * from now on none will (an open transfer is broken); false: too late, and
 * nothing changed. A grant gives it back: the row behind it was not written.
 */
bool offers_withdraw(struct offers *, const uint8_t hash[32], const uint8_t t_get[32]);
/* The withdrawal is durable: 410 shows t_recall from now on until expires_s. Also for a token never granted. */
void offers_recall(struct offers *, const uint8_t hash[32], const uint8_t t_get[32], const uint8_t t_recall[32],
    int64_t expires_s);

/* What an HTTP request may have. */
enum offers_answer { OFFERS_NONE, OFFERS_OPEN, OFFERS_RECALLED };
struct offers_pass {
	int fd;				/* OFFERS_OPEN: to read, yours */
	uint64_t size;
	struct bytes recalls;		/* OFFERS_RECALLED: all T_recall of h, 32 octets each, below ctx */
	uint64_t token;			/* for offers_may_send; never reused */
};
enum offers_answer offers_open_http(struct offers *, const void *ctx, const uint8_t hash[32], const uint8_t t_get[32],
    bool head, struct offers_pass *out);
/* For a fellow member, who needs no token and is not counted: m' or its head. */
enum offers_answer offers_open_member_http(struct offers *, const uint8_t hash[32], bool head, struct offers_pass *out);
/*
 * Before each block of m' or its head: how much of it may go. 0: withdrawn meanwhile. *served_out: whose token
 * it is when with this block the whole of m' has gone out under it for the first time; else 0.
 */
size_t offers_may_send_http(struct offers *, uint64_t token, bool head, size_t len, uint64_t *served_out);
/* A transfer that offers_open_http() opened has ended. */
void offers_closed_http(struct offers *, uint64_t token);

/* Receive notifications that are durably known, for the answer that proves it (proof_seen). Bounded; oldest go first. */
void offers_heard_add(struct offers *, const uint8_t proof[32]);
bool offers_heard_has(struct offers *, const uint8_t proof[32]);

/* Open descriptors, published in one piece: descriptor (binary), own public key (armored), others' keys by address, group lists by name. Copied; empty removes. */
enum offers_page { PAGE_DESCRIPTOR, PAGE_PUBKEY, PAGE_GROUP };
void offers_page_set(struct offers *, enum offers_page, const char *address, struct bytes);
/* Below ctx; empty when there is none. address "" is our own; for PAGE_GROUP it is the name. */
struct bytes offers_page_get(struct offers *, const void *ctx, enum offers_page, const char *address);

#endif
