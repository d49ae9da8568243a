#ifndef BASE_SCRAM_H
#define BASE_SCRAM_H
/*
 * The server's side of SASL SCRAM-SHA-256 (RFC 5802, RFC 7677), without
 * channel binding: messages in, messages out, no I/O and no log. What is kept
 * of a password (struct scram_secret) proves a login but cannot make one.
 * Pure but for the nonce; any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/digest.h"

enum { SCRAM_SALT_MAX = 32, SCRAM_MESSAGE_MAX = 4096 };

struct scram_secret {
	unsigned rounds;
	size_t salt_len;
	uint8_t salt[SCRAM_SALT_MAX];
	uint8_t stored_key[DIGEST_LEN], server_key[DIGEST_LEN];
};

/* From a password, or from what PBKDF2 made of it. rounds, salt and salt_len of the secret are given. */
void scram_secret_make(struct scram_secret *, const char *password);
void scram_secret_from_salted(struct scram_secret *, const uint8_t salted[DIGEST_LEN]);
/* RFC 8265 (NFC, spaces): a password typed on another keyboard is the same; NULL when it is nothing that can be prepared. */
char *scram_prepare(const char *password);
void scram_forget(char *prepared);	/* wiped; may be NULL */
/* Is it this password? Costs a PBKDF2. */
bool scram_secret_matches(const struct scram_secret *, const char *password);
/* For a user who does not exist: always the same salt for the same name, and nobody knows a password. */
void scram_secret_fake(struct scram_secret *, const char *user, unsigned rounds);

struct scram;

/* nonce: the server's part, for tests; NULL: random. */
struct scram *scram_new(const void *ctx, const char *nonce);
/* The client's first message: its user (below scram), or NULL when it is not acceptable. */
const char *scram_take_first(struct scram *, struct bytes message);
/* The answer, once the secret of that user is known. It is copied. */
const char *scram_challenge(struct scram *, const struct scram_secret *);

enum scram_verdict { SCRAM_BAD_MESSAGE, SCRAM_WRONG, SCRAM_RIGHT };
/* The client's last message; when right, *final_out is the server's last one. */
enum scram_verdict scram_take_final(struct scram *, struct bytes message, const char **final_out);

#endif
