/* Two spellings of one letter - composed, or with a combining mark - look the same: one of them is stored. */
#include "lib/mail/text.h"

#include <stdlib.h>
#include <string.h>

#include <uninorm.h>
#include <unistr.h>

#include "lib/base/mem.h"

char *text_nfc(const void *ctx, const char *text)
{
	size_t len = strlen(text), n = 0;

	if (u8_check((const uint8_t *)text, len))
		return NULL;
	uint8_t *out = u8_normalize(UNINORM_NFC, (const uint8_t *)text, len, NULL, &n);

	if (len > 0 && !out)
		return NULL;
	char *copy = mem_strndup(ctx, out ? (const char *)out : "", n);

	free(out);
	return copy;
}
