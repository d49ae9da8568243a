/*
 * Walking a header block. A line that is no field (no colon, no name) is passed
 * over, with its folding; an empty line ends the block. Only CRLF ends a line,
 * as in the scanner. Values over LIMIT_MIME_FIELD count as absent.
 */
#include "lib/mime/header.h"

#include <string.h>
#include <strings.h>

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/mime/field.h"

/* Where the line at pos ends, behind its CRLF. */
static size_t line_end(struct bytes b, size_t pos)
{
	while (pos < b.len) {
		const uint8_t *lf = memchr(b.data + pos, '\n', b.len - pos);
		if (lf == NULL)
			return b.len;
		size_t at = (size_t)(lf - b.data);
		if (at > pos && lf[-1] == '\r')
			return at + 1;
		pos = at + 1;
	}
	return b.len;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static size_t without_crlf(struct bytes b, size_t begin, size_t end)
{
	return end - begin >= 2 && memcmp(b.data + end - 2, "\r\n", 2) == 0 ? end - 2 : end;
}

/* The name before the colon of the line, without blanks; 0 when it is no field. */
static size_t name_len(struct bytes line, size_t *colon_out)
{
	const uint8_t *colon = memchr(line.data, ':', line.len);

	if (colon == NULL)
		return 0;
	size_t len = *colon_out = (size_t)(colon - line.data);
	while (len > 0 && is_blank(line.data[len - 1]))
		len--;
	for (size_t i = 0; i < len; i++)
		if (line.data[i] <= ' ' || line.data[i] == 0x7f)
			return 0;
	return len;
}

bool header_next(struct bytes b, size_t *pos, struct bytes *name_out, struct bytes *value_out, struct bytes *whole_out)
{
	while (*pos < b.len) {
		size_t begin = *pos;
		size_t first = line_end(b, begin), end = first, colon = 0;

		if (first - begin == 2 && memcmp(b.data + begin, "\r\n", 2) == 0)
			return false;
		while (end < b.len && is_blank(b.data[end]) && b.data[end - 1] == '\n')
			end = line_end(b, end);
		*pos = end;
		size_t len = name_len(bytes_of(b.data + begin, without_crlf(b, begin, first) - begin), &colon);
		if (len == 0)
			continue;
		size_t value = begin + colon + 1;
		size_t value_end = without_crlf(b, value, end);
		while (value < value_end && is_blank(b.data[value]))
			value++;
		*name_out = bytes_of(b.data + begin, len);
		*value_out = bytes_of(b.data + value, value_end - value);
		*whole_out = bytes_of(b.data + begin, end - begin);
		return true;
	}
	return false;
}

bool header_is(struct bytes name, const char *wanted)
{
	return name.len == strlen(wanted) && strncasecmp((const char *)name.data, wanted, name.len) == 0;
}

/* Unfolded (RFC 5322 section 2.2.3): without CR, LF and NUL, and without blanks at its ends. */
static char *unfold(const void *ctx, struct bytes v)
{
	char *out = mem_array(ctx, char, v.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < v.len; i++) {
		uint8_t c = v.data[i];
		/* A bare LF is no fold: it may not join two words. */
		if (c == '\n' && i + 1 < v.len && !is_blank(v.data[i + 1]))
			c = ' ';
		if (c == '\0' || c == '\r' || c == '\n' || (n == 0 && is_blank(c)))
			continue;
		out[n++] = (char)c;
	}
	while (n > 0 && is_blank((uint8_t)out[n - 1]))
		n--;
	out[n] = '\0';
	return out;
}

char *header_get(const void *ctx, struct bytes block, const char *name)
{
	size_t pos = 0;
	struct bytes n, value, whole;

	while (header_next(block, &pos, &n, &value, &whole))
		if (header_is(n, name))
			return value.len <= LIMIT_MIME_FIELD ? unfold(ctx, value) : NULL;
	return NULL;
}

char *header_get_decoded(const void *ctx, struct bytes block, const char *name)
{
	char *raw = header_get(ctx, block, name);

	if (raw == NULL)
		return NULL;
	char *out = header_decode(ctx, raw);
	talloc_free(raw);
	return out;
}

char *header_mailbox(const void *ctx, const char *value, size_t *n_out)
{
	void *tmp = mem_ctx(ctx);
	size_t n, found = 0;
	char *out = NULL;
	const struct mime_address *list = NULL;

	n = 0;
	if (strlen(value) <= LIMIT_MIME_FIELD)
		list = mime_addresses(tmp, value, &n);
	for (size_t i = 0; i < n; i++) {
		if (list[i].kind != ADDRESS_MAILBOX)
			continue;
		if (found++ == 0 && !list[i].is_broken)
			out = mem_printf(ctx, "%s@%s", list[i].mailbox, list[i].host);
	}
	*n_out = found;
	talloc_free(tmp);
	return out;
}

char *header_first(const void *ctx, const char *value)
{
	void *tmp = mem_ctx(ctx);
	size_t n = 0;
	const struct mime_address *list = strlen(value) <= LIMIT_MIME_FIELD ? mime_addresses(tmp, value, &n) : NULL;
	char *out = n > 0 && list[0].mailbox && list[0].mailbox[0] ? mem_strdup(ctx, list[0].mailbox) : NULL;

	talloc_free(tmp);
	return out;
}

/* A letter in both cases differs in one bit: most names are not even looked at. */
static bool is_one_of(struct bytes name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((name.data[0] ^ (uint8_t)names[i][0]) & 0xdf) == 0 && header_is(name, names[i]))
			return true;
	return false;
}

struct bytes header_subset(const void *ctx, struct bytes block, const char *const *names, size_t n, bool not)
{
	struct buf *b = buf_new(ctx, block.len + 4);
	size_t pos = 0;
	struct bytes name, value, whole;

	while (header_next(block, &pos, &name, &value, &whole)) {
		if (is_one_of(name, names, n) == not)
			continue;
		buf_add(b, whole.data, whole.len);
		if (whole.data[whole.len - 1] != '\n')
			buf_adds(b, "\r\n");
	}
	buf_adds(b, "\r\n");
	return buf_bytes(b);
}
