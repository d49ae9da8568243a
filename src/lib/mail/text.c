/*
 * Two spellings of one letter - composed, or with a combining mark - look the same: one of them is stored.
 * What is shown to people takes the columns that UAX 11 says.
 */
#include "lib/mail/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <uninorm.h>
#include <unistr.h>
#include <uniwidth.h>

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

/* Embeddings, overrides and isolates, line and paragraph separators: "moc.elgoog" would read otherwise. */
static bool turns_lines(ucs4_t c)
{
	return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

size_t text_char(const char *text, int *columns_out)
{
	ucs4_t c;
	int n = *text ? u8_mbtouc(&c, (const uint8_t *)text, strlen(text)) : 0;

	*columns_out = -1;
	if (n <= 0)
		return 0;
	/* What is no UTF-8 goes one octet after the other. */
	if (u8_check((const uint8_t *)text, (size_t)n))
		return 1;
	if (!turns_lines(c))
		*columns_out = uc_width(c, "UTF-8");
	return (size_t)n;
}
