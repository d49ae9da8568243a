/*
 * Two spellings of one letter - composed, or with a combining mark - look the same: one of them is stored.
 * What is shown to people takes the columns that UAX 11 says.
 */
#include "lib/mail/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <unicase.h>
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

static char *ascii_upper(const void *ctx, const char *text)
{
	char *out = mem_strdup(ctx, text);

	for (char *p = out; *p; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	return out;
}

static bool is_ascii(const char *text)
{
	while (*text && !((unsigned char)*text & 0x80))
		text++;
	return !*text;
}

char *text_casemap(const void *ctx, const char *text)
{
	size_t len = strlen(text), n = 0, done = 0;
	const uint8_t *in = (const uint8_t *)text;

	if (is_ascii(text) || u8_check(in, len))
		return ascii_upper(ctx, text);
	/* A letter and its title case have at most this. */
	uint8_t *title = mem_array(NULL, uint8_t, len * 4);

	for (size_t i = 0; i < len;) {
		ucs4_t c;

		i += (size_t)u8_mbtouc(&c, in + i, len - i);
		int octets = u8_uctomb(title + done, uc_totitle(c), (ptrdiff_t)(len * 4 - done));

		done += octets > 0 ? (size_t)octets : 0;
	}
	uint8_t *out = u8_normalize(UNINORM_NFKD, title, done, NULL, &n);
	char *copy = out ? mem_strndup(ctx, (const char *)out, n) : ascii_upper(ctx, text);

	free(out);
	talloc_free(title);
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
