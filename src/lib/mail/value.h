#ifndef MAIL_VALUE_H
#define MAIL_VALUE_H
/*
 * What stands in the DHT octet by octet (p2pmta-protocol(7), section 4), the keys it
 * stands under, and what p proves. Pure; any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/limits.h"

enum value_kind { VALUE_NS, VALUE_NR, VALUE_RECALL, VALUE_PEER, VALUE_GROUP };

/* Of an ns: from a stranger, from a correspondent, or no ns at all but join/1 for the master of a group (section 8). */
enum value_ns_kind { NS_STRANGER, NS_CORRESPONDENT, NS_JOIN };

enum { VALUE_PROOF_LEN = 37, VALUE_TOKEN_LEN = 16 };

struct value {
	enum value_kind kind;
	uint8_t ns_kind;		/* ns: enum value_ns_kind */
	uint32_t day;			/* ns: days since 1970 */
	uint8_t token[VALUE_TOKEN_LEN];	/* ns */
	uint8_t proof[32];		/* nr: T_got or T_declined; recall: T_recall */
	struct bytes message;		/* ns, descriptors: the OpenPGP message, borrowed from in */
};

/* 0, or -1 for what is no value of ours. */
int value_parse(struct bytes in, struct value *out);
/* As they stand in the DHT, below ctx. */
struct bytes value_print(const void *ctx, const struct value *);
struct bytes value_print_proof(const void *ctx, enum value_kind, const uint8_t proof[32]);

/* Is the day not more than 1 ahead nor 31 behind (section 5)? */
bool value_day_good(uint32_t day, int64_t now_s);

enum value_key { KEY_PEER, KEY_GROUP, KEY_NS, KEY_NR };
/* "p2pmta:ns:ADDRESS" and so on; out holds LIMIT_ADDRESS + 16. */
void value_key(enum value_key, const char *name, char out[LIMIT_ADDRESS + 16]);

/* T_x = HMAC-SHA-256(p, x ‖ 0x00 ‖ h); C_x = SHA-256(T_x). Section 1. */
enum proof { PROOF_GET, PROOF_GOT, PROOF_DECLINED, PROOF_RECALL };
void proof_make(enum proof, const uint8_t secret[32], const uint8_t hash[32], uint8_t out[32]);
void proof_commitment(const uint8_t proof[32], uint8_t out[32]);
/* SHA-256(T ‖ "seen"): the answer that shows a receive notification was heard. */
void proof_seen(const uint8_t proof[32], uint8_t out[32]);

/* "Authorization: P2pMTA BASE64(T_get)" (section 7): value of the field and back. */
char *auth_print(const void *ctx, const uint8_t t_get[32]);
int auth_parse(const char *value, uint8_t t_get_out[32]);

#endif
