/*
 * What p proves (p2pmta-protocol(7), section 1). One word per purpose, so that the
 * proof for one says nothing about another.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/mail/value.h"

static const char scheme[] = "P2pMTA";

void proof_make(enum proof what, const uint8_t secret[32], const uint8_t hash[32], uint8_t out[32])
{
	static const char *const words[] = {
		[PROOF_GET] = "get", [PROOF_GOT] = "got",
		[PROOF_DECLINED] = "declined", [PROOF_RECALL] = "recall",
	};
	uint8_t text[16 + DIGEST_LEN];
	size_t n = strlen(words[what]) + 1;	/* the NUL is the 0x00 */

	memcpy(text, words[what], n);
	memcpy(text + n, hash, DIGEST_LEN);
	digest_hmac(bytes_of(secret, 32), bytes_of(text, n + DIGEST_LEN), out);
}

void proof_commitment(const uint8_t proof[32], uint8_t out[32])
{
	digest_of(bytes_of(proof, 32), out);
}

void proof_seen(const uint8_t proof[32], uint8_t out[32])
{
	uint8_t text[DIGEST_LEN + 4];

	memcpy(text, proof, DIGEST_LEN);
	memcpy(text + DIGEST_LEN, "seen", 4);
	digest_of(bytes_of(text, sizeof(text)), out);
}

char *auth_print(const void *ctx, const uint8_t t_get[32])
{
	char *token = base64_print(ctx, bytes_of(t_get, 32));
	char *value = mem_printf(ctx, "%s %s", scheme, token);

	talloc_free(token);
	return value;
}

int auth_parse(const char *value, uint8_t t_get_out[32])
{
	struct bytes token;
	size_t n = sizeof(scheme) - 1;
	int res = -1;

	if (strncasecmp(value, scheme, n) != 0 || value[n] != ' ')
		return -1;
	value += n;
	value += strspn(value, " ");

	void *ctx = mem_ctx(NULL);
	if (base64_parse(ctx, value, 32, &token) == 0 && token.len == 32) {
		memcpy(t_get_out, token.data, 32);
		res = 0;
	}
	talloc_free(ctx);
	return res;
}
