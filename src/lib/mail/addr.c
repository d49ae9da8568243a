/*
 * Normal form is a fixed point: lower-casing can make a pair that composes
 * (H and U+0331), and composing can make an ASCII letter (U+212A is K), so
 * both are done twice. The check comes last because composing can also make
 * forbidden ASCII (U+037E is a semicolon). Characters that nobody sees, and
 * those this Unicode version does not know and so cannot normalize, are
 * refused: two addresses that look the same must be the same.
 */
#include "lib/mail/addr.h"

#include <stdlib.h>
#include <string.h>

#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

enum {
	/* Decomposed input is longer than its normal form. */
	INPUT_MAX = 4 * LIMIT_ADDRESS,
	LABEL_MAX = 63,
};

static void lower_ascii(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s += 'a' - 'A';
}

static int normalize(char *s)
{
	uint8_t out[INPUT_MAX + 1];

	for (int round = 0; round < 2; round++) {
		size_t len = INPUT_MAX;

		lower_ascii(s);
		uint8_t *res = u8_normalize(UNINORM_NFC, (uint8_t *)s, strlen(s), out, &len);
		if (res != out) {
			if (res)
				free(res);
			return -1;
		}
		memcpy(s, out, len);
		s[len] = '\0';
	}
	return 0;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Number of labels, 0 when it is not LDH throughout. */
static size_t count_labels(const char *s)
{
	size_t n = 0;

	for (;;) {
		size_t len = 0;
		while (is_alnum(s[len]) || s[len] == '-')
			len++;
		if (len == 0 || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
			return 0;
		n++;
		if (s[len] == '\0')
			return n;
		if (s[len] != '.')
			return 0;
		s += len + 1;
	}
}

/* A character of a dot-atom (RFC 5322 section 3.2.3, RFC 6532), without the dot. */
static bool is_atext(ucs4_t c)
{
	if (c < 0x80)
		return is_alnum((char)c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", (int)c));
	return !uc_is_general_category_withtable(c,
	    UC_CATEGORY_MASK_Z | UC_CATEGORY_MASK_C);
}

static bool is_local_part(const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *)s;
	bool after_dot = true;

	while (len > 0) {
		ucs4_t c;
		int n = u8_mbtouc(&c, p, len);
		if (c == '.' ? after_dot : !is_atext(c))
			return false;
		after_dot = c == '.';
		p += n;
		len -= (size_t)n;
	}
	return !after_dot;
}

int addr_parse(const char *in, char out[LIMIT_ADDRESS + 1])
{
	char s[INPUT_MAX + 1];
	size_t len = strnlen(in, INPUT_MAX + 1);

	if (len > INPUT_MAX || u8_check((const uint8_t *)in, len))
		return -1;
	memcpy(s, in, len);
	s[len] = '\0';
	if (normalize(s) < 0)
		return -1;

	const char *at = strchr(s, '@');
	if (strlen(s) > LIMIT_ADDRESS || !at || !is_local_part(s, (size_t)(at - s)) ||
	    !addr_is_group(at + 1))
		return -1;
	strcpy(out, s);
	return 0;
}

int addr_parse_base(const char *in, char out[LIMIT_ADDRESS + 1])
{
	if (addr_parse(in, out) < 0)
		return -1;

	char *at = strchr(out, '@');
	char *plus = memchr(out, '+', (size_t)(at - out));
	if (!plus || plus == out)
		return 0;
	if (plus[-1] == '.')
		return -1;
	memmove(plus, at, strlen(at) + 1);
	return 0;
}

const char *addr_group(const char *address)
{
	return strchr(address, '@') + 1;
}

bool addr_is_group(const char *s)
{
	return strlen(s) <= LIMIT_ADDRESS - 2 && count_labels(s) > 0;
}
