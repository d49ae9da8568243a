/*
 * A dictionary of structured fields (RFC 8941 section 3.2), of which we know
 * members that are byte sequences without parameters: nothing else is a digest.
 */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/content_digest.h"

enum { OTHER_MAX = 1024 };	/* octets of a digest that is none of ours */

static const char name[] = "sha-256";

/* "key=:BASE64:" at *at, which moves behind it: the parts, or -1. */
static int next_member(const char **at, struct bytes *key, struct bytes *code)
{
	const char *p = *at;
	size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789_-.*");

	if (n == 0 || strncmp(p + n, "=:", 2) != 0)
		return -1;
	*key = bytes_of(p, n);
	p += n + 2;

	const char *end = strchr(p, ':');
	if (end == NULL)
		return -1;
	*code = bytes_of(p, (size_t)(end - p));
	*at = end + 1;
	return 0;
}

/* 1 or 0: ours or another; -1: no base64, or of the wrong length. */
static int take_member(struct bytes key, struct bytes code, uint8_t out[DIGEST_LEN])
{
	void *ctx = mem_ctx(NULL);
	struct bytes raw;
	bool ours = bytes_equal(key, bytes_str(name));
	int res = base64_parse(ctx, mem_strndup(ctx, (const char *)code.data, code.len), OTHER_MAX, &raw);

	if (res == 0 && ours) {
		res = raw.len == DIGEST_LEN ? 1 : -1;
		if (res > 0)
			memcpy(out, raw.data, DIGEST_LEN);
	}
	talloc_free(ctx);
	return res;
}

int http_content_digest_parse(const char *field, uint8_t out[DIGEST_LEN])
{
	int found = 0;

	for (const char *p = field + strspn(field, " "); ; p += 1 + strspn(p + 1, " \t")) {
		struct bytes key, code;
		int taken = next_member(&p, &key, &code) == 0 ? take_member(key, code, out) : -1;

		if (taken < 0 || found + taken > 1)
			return -1;
		found += taken;
		p += strspn(p, " \t");
		if (*p == '\0')
			return found;
		if (*p != ',')
			return -1;
	}
}

char *http_content_digest_print(const void *ctx, const uint8_t digest[DIGEST_LEN])
{
	char *code = base64_print(ctx, bytes_of(digest, DIGEST_LEN));
	char *field = mem_printf(ctx, "%s=:%s:", name, code);

	talloc_free(code);
	return field;
}
