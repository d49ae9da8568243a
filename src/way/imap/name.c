/*
 * Modified UTF-7: printable US-ASCII stands for itself, "&-" for '&', and
 * "&...-" is base64 with ',' for '/' of UTF-16BE without padding. One name has
 * one encoding: what we would not write ourselves is refused, or two spellings
 * would name one mailbox.
 */
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "way/imap/name.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* ---- UTF-8 ---- */

/* One code point; its octets used, 0 when it is none. */
static size_t utf8_get(const char *s, uint32_t *out)
{
	const unsigned char *p = (const unsigned char *)s;
	static const struct { unsigned char mask, lead; uint32_t min; } kinds[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
	};

	for (size_t n = 0; n < 4; n++) {
		if ((p[0] & kinds[n].mask) != kinds[n].lead)
			continue;
		uint32_t c = p[0] & (unsigned char)~kinds[n].mask;

		for (size_t i = 1; i <= n; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (p[i] & 0x3f);
		}
		if (c < kinds[n].min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return 0;
		*out = c;
		return n + 1;
	}
	return 0;
}

static void utf8_put(struct buf *out, uint32_t c)
{
	char o[4];
	size_t n = 0;

	if (c < 0x80) {
		o[n++] = (char)c;
	} else if (c < 0x800) {
		o[n++] = (char)(0xc0 | c >> 6);
		o[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		o[n++] = (char)(0xe0 | c >> 12);
		o[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		o[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		o[n++] = (char)(0xf0 | c >> 18);
		o[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		o[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		o[n++] = (char)(0x80 | (c & 0x3f));
	}
	buf_add(out, o, n);
}

/* ---- modified UTF-7 ---- */

struct utf16 {
	struct buf *out;
	uint32_t high;		/* first half of a surrogate pair */
};

static bool utf16_put(struct utf16 *u, uint32_t unit)
{
	if (u->high) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return false;
		utf8_put(u->out, 0x10000 + ((u->high - 0xd800) << 10) + (unit - 0xdc00));
		u->high = 0;
		return true;
	}
	if (unit >= 0xd800 && unit <= 0xdbff) {
		u->high = unit;
		return true;
	}
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return false;
	/* Printable ASCII stands for itself; controls are in no name. */
	if (unit < 0x80 || unit == 0xfffe || unit == 0xffff)
		return false;
	utf8_put(u->out, unit);
	return true;
}

/* From after '&' to after '-'; NULL when it is wrong. */
static const char *decode_run(const char *p, struct buf *out)
{
	struct utf16 u = { .out = out };
	uint32_t bits = 0;
	unsigned n_bits = 0;

	for (; *p != '-'; p++) {
		const char *digit = *p ? strchr(base64, *p) : NULL;

		if (!digit)
			return NULL;
		bits = bits << 6 | (uint32_t)(digit - base64);
		n_bits += 6;
		if (n_bits >= 16) {
			n_bits -= 16;
			if (!utf16_put(&u, bits >> n_bits & 0xffff))
				return NULL;
			bits &= (1u << n_bits) - 1;
		}
	}
	/* Left over are less than a digit, all zero. */
	if (u.high || n_bits >= 6 || bits != 0)
		return NULL;
	/* "&..-&" would have been one run. */
	return p[1] == '&' && p[2] != '-' ? NULL : p + 1;
}

static void capital_inbox(char *name)
{
	if (strncasecmp(name, "INBOX", 5) == 0 && (name[5] == '\0' || name[5] == '/'))
		memcpy(name, "INBOX", 5);
}

char *imap_name_decode(const void *ctx, const char *wire)
{
	struct buf *out = buf_new(ctx, LIMIT_MAILBOX_NAME);

	for (const char *p = wire; *p;) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c >= 0x7f)
			goto bad;
		if (c != '&') {
			buf_add(out, p++, 1);
		} else if (p[1] == '-') {
			buf_add(out, "&", 1);
			p += 2;
		} else {
			p = decode_run(p + 1, out);
			if (!p)
				goto bad;
		}
	}
	if (out->overflow)
		goto bad;
	capital_inbox(out->data);
	char *name = mem_strndup(ctx, out->data, out->len);

	talloc_free(out);
	return name;
bad:
	talloc_free(out);
	return NULL;
}

char *imap_name_decode_utf8(const void *ctx, const char *wire)
{
	char *name = mem_strdup(ctx, wire);

	for (const char *p = name; *p;) {
		uint32_t c;
		size_t n = utf8_get(p, &c);

		if (n == 0 || c < 0x20 || c == 0x7f || c == 0xfffe || c == 0xffff)
			goto bad;
		p += n;
	}
	if (strlen(name) > LIMIT_MAILBOX_NAME)
		goto bad;
	capital_inbox(name);
	return name;
bad:
	talloc_free(name);
	return NULL;
}

struct run {
	struct buf *out;
	uint32_t bits;
	unsigned n_bits;
	bool open;
};

static void run_put(struct run *r, uint32_t unit)
{
	if (!r->open)
		buf_add(r->out, "&", 1);
	r->open = true;
	r->bits = r->bits << 16 | unit;
	r->n_bits += 16;
	while (r->n_bits >= 6) {
		r->n_bits -= 6;
		buf_add(r->out, &base64[r->bits >> r->n_bits & 63], 1);
	}
	r->bits &= (1u << r->n_bits) - 1;
}

static void run_end(struct run *r)
{
	if (!r->open)
		return;
	if (r->n_bits > 0)
		buf_add(r->out, &base64[r->bits << (6 - r->n_bits) & 63], 1);
	buf_add(r->out, "-", 1);
	r->open = false;
	r->bits = r->n_bits = 0;
}

char *imap_name_encode(const void *ctx, const char *name)
{
	struct run r = { .out = buf_new(ctx, KIB(64)) };

	while (*name) {
		uint32_t c = 0;
		size_t n = utf8_get(name, &c);

		if (n == 0) {
			c = 0xfffd;
			n = 1;
		}
		name += n;
		if (c >= 0x10000) {
			run_put(&r, 0xd800 + ((c - 0x10000) >> 10));
			run_put(&r, 0xdc00 + ((c - 0x10000) & 0x3ff));
		} else if (c < 0x20 || c >= 0x7f) {
			run_put(&r, c);
		} else {
			run_end(&r);
			buf_add(r.out, name - 1, 1);
			if (c == '&')
				buf_add(r.out, "-", 1);
		}
	}
	run_end(&r);
	char *wire = mem_strndup(ctx, r.out->data, r.out->len);

	talloc_free(r.out);
	return wire;
}

/* ---- patterns ---- */

/*
 * at[i]: the first i characters of the pattern match what was read of the
 * name. No backtracking: "****" costs no more than its length.
 */
static bool match(const char *pattern, size_t n, const char *name)
{
	bool at[2 * LIMIT_MAILBOX_NAME + 1] = { true };

	for (size_t i = 0; i < n; i++)
		at[i + 1] = at[i] && (pattern[i] == '*' || pattern[i] == '%');
	for (; *name; name++) {
		bool before = at[0];

		at[0] = false;
		for (size_t i = 0; i < n; i++) {
			bool wild = pattern[i] == '*' || (pattern[i] == '%' && *name != '/');
			bool stay = at[i + 1];

			/* A wild card may match nothing (at[i]), one more (stay); others this character. */
			at[i + 1] = pattern[i] == '*' || pattern[i] == '%' ?
			    at[i] || (wild && (stay || before)) : before && pattern[i] == *name;
			before = stay;
		}
	}
	return at[n];
}

bool imap_name_match(const char *pattern, const char *name)
{
	size_t n = strlen(pattern);
	char upper[2 * LIMIT_MAILBOX_NAME + 1];

	if (n >= sizeof(upper))
		return false;
	if (match(pattern, n, name))
		return true;
	if (strcmp(name, "INBOX") != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		upper[i] = pattern[i] >= 'a' && pattern[i] <= 'z' ? (char)(pattern[i] - 32) : pattern[i];
	return match(upper, n, name);
}

/* ---- printing ---- */

static void quote(struct buf *out, const char *text, size_t len)
{
	buf_add(out, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buf_add(out, "\\", 1);
		buf_add(out, text + i, 1);
	}
	buf_add(out, "\"", 1);
}

void imap_string_print(struct buf *out, const char *text, size_t len)
{
	bool quoted = len < 1024;

	for (size_t i = 0; i < len && quoted; i++) {
		unsigned char c = (unsigned char)text[i];

		quoted = c != '\r' && c != '\n' && c != '\0' && c < 0x80;
	}
	if (!quoted) {
		buf_addf(out, "{%zu}\r\n", len);
		buf_add(out, text, len);
		return;
	}
	quote(out, text, len);
}

void imap_name_print_utf8(struct buf *out, const char *name)
{
	quote(out, name, strlen(name));
}

void imap_name_print(struct buf *out, const char *name)
{
	char *wire = imap_name_encode(NULL, name);

	imap_string_print(out, wire, strlen(wire));
	talloc_free(wire);
}
