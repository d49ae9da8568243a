#ifndef REPLICA_HELD_H
#define REPLICA_HELD_H
/*
 * GET /replica/ADDRESS/held (p2pmta-protocol(7), section 7): what a member
 * says he holds for the owner. Lines: `serial N` first, of the list that he
 * follows; `h` for a message held whole; `+ T` for a receive notification that he heard;
 * `! h C_get` for a recipient who got the whole m' from him. Pure; any thread.
 */
#include <stdint.h>

#include "lib/base/bytes.h"

struct held_text {
	uint64_t serial;
	uint8_t (*hashes)[32];		/* sorted */
	size_t n_hashes;
	uint8_t (*proofs)[32];
	size_t n_proofs;
	uint8_t (*served)[2][32];	/* h, C_get */
	size_t n_served;
};
/* 0, or -1 for what is no such text. Arrays below ctx. */
int held_parse(const void *ctx, struct bytes text, struct held_text *out);
bool held_has(const struct held_text *, const uint8_t hash[32]);

#endif
