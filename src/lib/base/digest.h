#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H
/*
 * SHA-256, HMAC, random octets, hex and base64: thin words over GnuTLS.
 * Any thread; a struct digest belongs to one thread at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

enum { DIGEST_LEN = 32, DIGEST_HEX = 65 };	/* with the NUL */

struct digest;
struct digest *digest_new(const void *ctx);	/* talloc; freed with ctx */
void digest_add(struct digest *, const void *, size_t);
/* The value; the digest starts anew. */
void digest_take(struct digest *, uint8_t out[DIGEST_LEN]);

void digest_of(struct bytes, uint8_t out[DIGEST_LEN]);
/* SHA-256 of a whole file read in blocks; -1 with errno. Blocks for as long as the disk takes. */
int digest_of_fd(int fd, uint8_t out[DIGEST_LEN], uint64_t *size_out);
void digest_hmac(struct bytes key, struct bytes data, uint8_t out[DIGEST_LEN]);

/* PBKDF2 with HMAC-SHA-256, for passwords: about 0.4 ms per thousand rounds. */
void digest_pbkdf2(struct bytes password, struct bytes salt, unsigned rounds, uint8_t out[DIGEST_LEN]);

/* Random octets from the kernel; aborts when there are none. */
void random_fill(void *, size_t);
uint64_t random_u64(void);

/* Same octets? In time that depends on len only. */
bool secret_equal(const void *, const void *, size_t len);

/* Lower-case hex; out holds 2 * len + 1. */
void hex_print(struct bytes, char *out);
/* Exactly 2 * len lower-case digits and nothing after; -1 otherwise. */
int hex_parse(const char *, uint8_t *out, size_t len);

/* Padded base64 (RFC 4648 section 4), no line ends, below ctx. */
char *base64_print(const void *ctx, struct bytes);
/* Strict: canonical, padded, nothing else. -1 for anything else or more than max octets. */
int base64_parse(const void *ctx, const char *, size_t max, struct bytes *out);

#endif
