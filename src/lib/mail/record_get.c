/*
 * Field readers. Each has one spelling of a value in mind and refuses every
 * other: what was signed, what was parsed and what would be printed again
 * are the same octets.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "lib/mail/record.h"
#include "lib/mail/urls.h"

static int bad(struct err *e, const char *name, const char *why)
{
	err_set(e, "record: %s %s", name, why);
	return -1;
}

int record_get_text(const struct record *r, const char *name, const char **out, struct err *e)
{
	int found = 0;

	for (size_t i = 0; i < r->n_fields; i++) {
		if (strcasecmp(r->fields[i].name, name) != 0)
			continue;
		if (found++)
			return bad(e, name, "is repeated");
		*out = r->fields[i].value;
	}
	return found;
}

int record_get_address(const struct record *r, const char *name, char out[LIMIT_ADDRESS + 1], struct err *e)
{
	const char *text;
	int there = record_get_text(r, name, &text, e);

	if (there <= 0)
		return there;
	if (addr_parse(text, out) < 0 || strcmp(text, out) != 0)
		return bad(e, name, "is no address in normal form");
	return 1;
}

int record_get_number(const struct record *r, const char *name, uint64_t max, uint64_t *out, struct err *e)
{
	const char *text;
	int there = record_get_text(r, name, &text, e);

	if (there <= 0)
		return there;
	if (record_parse_number(&text, max, out) < 0 || *text)
		return bad(e, name, "is no number, or too large");
	return 1;
}

int record_parse_number(const char **text, uint64_t max, uint64_t *out)
{
	const char *p = *text;
	uint64_t n = 0;

	if (*p < '0' || *p > '9' || (p[0] == '0' && p[1] >= '0' && p[1] <= '9'))
		return -1;
	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');
		if (digit > max || n > (max - digit) / 10)
			return -1;
		n = n * 10 + digit;
	}
	*text = p;
	*out = n;
	return 0;
}

int record_get_time(const struct record *r, const char *name, int64_t *s_out, struct err *e)
{
	const char *text;
	int there = record_get_text(r, name, &text, e);

	if (there <= 0)
		return there;
	if (clock_parse(text, s_out) < 0)
		return bad(e, name, "is no time");
	return 1;
}

int record_get_hash(const struct record *r, const char *name, uint8_t out[32], struct err *e)
{
	const char *text;
	int there = record_get_text(r, name, &text, e);

	if (there <= 0)
		return there;
	if (hex_parse(text, out, 32) < 0)
		return bad(e, name, "is not 64 lower-case hex digits");
	return 1;
}

int record_get_base64(const struct record *r, const void *ctx, const char *name, size_t max, struct bytes *out, struct err *e)
{
	const char *text;
	int there = record_get_text(r, name, &text, e);

	if (there <= 0)
		return there;
	if (base64_parse(ctx, text, max, out) < 0)
		return bad(e, name, "is no padded base64, or too long");
	return 1;
}

int record_get_octets(const struct record *r, const char *name, uint8_t *out, size_t len, struct err *e)
{
	struct bytes b;
	int there = record_get_base64(r, r, name, len, &b, e);

	if (there <= 0)
		return there;
	if (b.len != len)
		return bad(e, name, "has the wrong length");
	memcpy(out, b.data, len);
	return 1;
}

int record_get_head(const struct record *r, const char *name, uint8_t hash[32], uint64_t *size, struct err *e)
{
	const char *text;
	char hex[DIGEST_HEX];
	int there = record_get_text(r, name, &text, e);

	if (there <= 0)
		return there;
	if (strlen(text) > DIGEST_LEN * 2 && text[DIGEST_LEN * 2] == ' ') {
		memcpy(hex, text, DIGEST_LEN * 2);
		hex[DIGEST_LEN * 2] = '\0';
		text += DIGEST_LEN * 2 + 1;
		if (hex_parse(hex, hash, DIGEST_LEN) == 0 && record_parse_number(&text, LIMIT_HEAD, size) == 0 &&
		    *text == '\0' && *size > 0)
			return 1;
	}
	return bad(e, name, "is no hash and size");
}

int record_get_all(const struct record *r, const char *name, const char **out, size_t max, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_fields; i++) {
		if (strcasecmp(r->fields[i].name, name) != 0)
			continue;
		if (n == max)
			return bad(e, name, "is there too often");
		out[n++] = r->fields[i].value;
	}
	return (int)n;
}

int record_get_urls(const struct record *r, const void *ctx, const char *urls[LIMIT_URLS], size_t *n_out, struct err *e)
{
	int n = record_get_all(r, "Url", urls, LIMIT_URLS, e);

	for (int i = 0; i < n; i++) {
		const char *fault = urls_fault(urls[i]);

		if (fault != NULL)
			return bad(e, "Url", fault);
		urls[i] = mem_strdup(ctx, urls[i]);
	}
	*n_out = n < 0 ? 0 : (size_t)n;
	return n;
}

int record_get_group(const struct record *r, const void *ctx, const char **out, struct err *e)
{
	const char *text;
	int there = record_get_text(r, "Group", &text, e);

	if (there <= 0)
		return there;
	if (!addr_is_group(text))
		return bad(e, "Group", "is no group name");
	*out = mem_strdup(ctx, text);
	return 1;
}

int record_need(int there, const char *name, struct err *e)
{
	return there ? there : bad(e, name, "is missing");
}
