/*
 * Both messages of a SCRAM client, split at the first LF. Nobody knows the
 * password, so nobody gets in; a user that was read fits into a message.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *lf = size > 0 ? memchr(data, '\n', size) : NULL;
	size_t n = lf ? (size_t)(lf - data) : size;
	struct scram_secret secret;
	struct scram *s = scram_new(NULL, "server");
	const char *final;
	const char *user = scram_take_first(s, bytes_of(data, n));

	if (user) {
		if (strlen(user) == 0 || strlen(user) > n)
			abort();
		scram_secret_fake(&secret, user, 1);
		if (strncmp(scram_challenge(s, &secret), "r=", 2) != 0)
			abort();
	}
	if (lf && scram_take_final(s, bytes_of(lf + 1, size - n - 1), &final) == SCRAM_RIGHT)
		abort();
	talloc_free(s);
	return 0;
}
