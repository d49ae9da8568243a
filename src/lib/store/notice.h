#ifndef STORE_NOTICE_H
#define STORE_NOTICE_H
/*
 * What comes in: one row per (h, sender). Loop thread. Loaded structs are
 * below ctx.
 */
#include "lib/store/content.h"

enum notice_state {
	NOTICE_NOTICED,		/* verified; its skeleton is not here yet */
	NOTICE_FILED,		/* in a mailbox, body not here */
	NOTICE_HERE,		/* body verified and here: nr T_got */
	NOTICE_DECLINED,	/* expunged unpulled: nr T_declined */
	NOTICE_RECALLED,	/* taken back by its sender */
	NOTICE_LAPSED,		/* expired unpulled; the entry stays, $Expired */
	NOTICE_SPOILT,		/* what was pulled was not what was announced, or no skeleton */
};
const char *notice_state_name(enum notice_state);

struct notice {
	uint64_t id;
	enum notice_state state;
	bool done;			/* nr acknowledged or out of time; or an end without nr */
	char from[LIMIT_ADDRESS + 1];
	const char *fpr;		/* signer */
	uint8_t hash[32], digest[32], key[32], secret[32];
	uint64_t sealed_size, size;
	int64_t issued_s, expires_s, heard_ms;
	const char *urls;		/* one per line */
	const char *group;		/* "" none */
	bool has_head;
	uint8_t head_hash[32];
	uint64_t head_size;
	uint64_t content;		/* 0 until filed; kept alive by this row in noticed and filed only */
	bool wanted;			/* somebody asked for the body: retry in the background */
	int64_t due_ms;
	unsigned tries;
	const char *reason;
};

void store_notice_add(struct store *, struct notice *);		/* sets id */
struct notice *store_notice_find(struct store *, const void *ctx, uint64_t id);
struct notice *store_notice_of(struct store *, const void *ctx, const uint8_t hash[32], const char *from);
struct notice *store_notice_of_content(struct store *, const void *ctx, uint64_t content);
/* By T_recall (indexed, filled by add). */
struct notice *store_notice_of_recall(struct store *, const void *ctx, const uint8_t t_recall[32]);
void store_notice_save(struct store *, const struct notice *);
/* Not done, in this state, due up to now_ms. */
struct notice **store_notice_due(struct store *, const void *ctx, enum notice_state, int64_t now_ms, size_t max, size_t *n_out);
/* Like store_rcpt_next_due(). */
int64_t store_notice_next_due(struct store *);
/* Signers of what is noticed, filed or lapsed: their keys are still needed. Below ctx. */
const char **store_notice_signers(struct store *, const void *ctx, size_t *n_out);
uint64_t store_notice_count_unpulled(struct store *);
/* Forget rows done whose expiry lies 31 days back. */
void store_notice_forget(struct store *, int64_t now_s);

/* Seen-cache: SHA-256 of DHT and POST octets, kept as long as their day is good (section 5). */
bool store_seen_has(struct store *, const uint8_t hash[32]);
void store_seen_add(struct store *, const uint8_t hash[32], uint32_t day);
void store_seen_forget(struct store *, uint32_t before_day);

#endif
