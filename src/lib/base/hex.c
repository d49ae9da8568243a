/*
 * Hex: apart from its neighbours in digest.h, so that a small program need not
 * load GnuTLS for the name of a file.
 */
#include <string.h>

#include "lib/base/digest.h"

void hex_print(struct bytes b, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < b.len; i++) {
		*out++ = digits[b.data[i] >> 4];
		*out++ = digits[b.data[i] & 15];
	}
	*out = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int hex_parse(const char *s, uint8_t *out, size_t len)
{
	if (strnlen(s, 2 * len + 1) != 2 * len)
		return -1;
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
