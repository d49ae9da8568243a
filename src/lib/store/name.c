/*
 * Names of mailboxes: UTF-8, '/' between levels, INBOX in any case is "INBOX".
 * Refused is what a client could not type, list or tell apart: control
 * characters, the wildcards of LIST, empty levels, "." and "..".
 */
#include <strings.h>

#include "lib/store/priv.h"

enum { MAX_LEVELS = 32 };

/* One character: its octets, or 0 when it is invalid UTF-8. */
static size_t decode(const uint8_t *p, uint32_t *out)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
	uint32_t c = n == 1 ? *p : n ? *p & (0xffu >> (n + 1)) : 0;

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (n == 0 || c < lowest[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*out = c;
	return n;
}

static const char *bad_character(const char *name)
{
	for (const uint8_t *p = (const uint8_t *)name; *p; ) {
		uint32_t c;
		size_t n = decode(p, &c);

		if (n == 0)
			return "is not valid UTF-8";
		if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
			return "has a control character";
		if (c == '%' || c == '*')
			return "has a wildcard";
		p += n;
	}
	return NULL;
}

static const char *bad_level(const char *name)
{
	unsigned levels = 0;

	for (const char *p = name; ; p++) {
		size_t n = strcspn(p, "/");

		if (n == 0)
			return "has an empty level";
		if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return "has a level of dots";
		if (++levels > MAX_LEVELS)
			return "has too many levels";
		p += n;
		if (!*p)
			return NULL;
	}
}

char *name_normal(const void *ctx, const char *name, struct err *e)
{
	size_t len = strlen(name);
	const char *why = len > LIMIT_MAILBOX_NAME ? "is too long" : bad_character(name);

	if (!why)
		why = bad_level(name);
	if (why) {
		err_set(e, "the mailbox name %s", why);
		return NULL;
	}
	char *normal = mem_strdup(ctx, name);
	if (strncasecmp(normal, "INBOX", 5) == 0 && (len == 5 || normal[5] == '/'))
		memcpy(normal, "INBOX", 5);
	return normal;
}

char *name_parent(const void *ctx, const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? mem_strndup(ctx, name, (size_t)(slash - name)) : NULL;
}
