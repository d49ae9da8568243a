/*
 * A range that cannot be understood is no error in HTTP: it is as if it were
 * not there (RFC 9110 section 14.2). Only one that is understood and lies
 * outside gets 416.
 */
#include <string.h>

#include "lib/http/range.h"

/* Digits to a number that stops at the largest; the count of digits, 0 if there is none. */
static size_t number_parse(const char *s, uint64_t *out)
{
	uint64_t n = 0;
	size_t i = 0;

	for (; s[i] >= '0' && s[i] <= '9'; i++) {
		uint64_t digit = (uint64_t)(s[i] - '0');

		n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
	}
	*out = n;
	return i;
}

static enum http_range suffix_parse(const char *s, uint64_t size, uint64_t *first_out,
    uint64_t *len_out)
{
	uint64_t n;
	size_t digits = number_parse(s, &n);

	if (!digits || s[digits])
		return HTTP_RANGE_NONE;
	if (n == 0 || size == 0)
		return HTTP_RANGE_BEYOND;
	*len_out = n < size ? n : size;
	*first_out = size - *len_out;
	return HTTP_RANGE_PART;
}

enum http_range http_range_parse(const char *field, uint64_t size, uint64_t *first_out,
    uint64_t *len_out)
{
	uint64_t first, last = UINT64_MAX;

	if (strncmp(field, "bytes=", 6) != 0)
		return HTTP_RANGE_NONE;
	const char *s = field + 6;
	if (*s == '-')
		return suffix_parse(s + 1, size, first_out, len_out);
	size_t digits = number_parse(s, &first);
	if (!digits || s[digits] != '-')
		return HTTP_RANGE_NONE;
	s += digits + 1;
	digits = number_parse(s, &last);
	if (s[digits])
		return HTTP_RANGE_NONE;
	if (!digits)
		last = UINT64_MAX;
	if (last < first)
		return HTTP_RANGE_NONE;
	if (first >= size)
		return HTTP_RANGE_BEYOND;
	*first_out = first;
	*len_out = (last < size - 1 ? last : size - 1) - first + 1;
	return HTTP_RANGE_PART;
}

bool http_etag_in(const char *list, const char *etag)
{
	size_t len = strlen(etag);

	if (strcmp(list, "*") == 0)
		return true;
	for (const char *s = list; *s; ) {
		s += strspn(s, " \t,");
		if (strncmp(s, "W/", 2) == 0)
			s += 2;
		if (*s != '"')
			return false;
		const char *end = strchr(s + 1, '"');
		if (!end)
			return false;
		if ((size_t)(end + 1 - s) == len && memcmp(s, etag, len) == 0)
			return true;
		s = end + 1;
	}
	return false;
}
