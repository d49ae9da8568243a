/*
 * Any octets: the scan gives a sound tree, the same in chunks, and its skeleton
 * gives the same again, with everything that IMAP shows, which is what IMAP's
 * grammar calls a list (RFC 3501 section 9). Then the input itself
 * is taken for a skeleton with Parts (after its first LF): refused or not, it
 * must not crash.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/mime/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct mime *scan(const void *ctx, struct bytes in, size_t chunk)
{
	struct mime_scan *s = mime_scan_new(ctx);

	for (size_t i = 0; i < in.len; i += chunk)
		mime_scan_feed(s, bytes_of(in.data + i, in.len - i < chunk ? in.len - i : chunk));
	return mime_scan_take(&s, ctx);
}

static void sound(const struct mime *m, struct bytes in)
{
	size_t n;
	const struct mime_part *p = mime_parts(m, &n);

	assert(mime_size(m) == in.len && n >= 1 && n <= LIMIT_MIME_PARTS);
	for (size_t i = 0; i < n; i++) {
		const struct mime_part *up = &p[p[i].parent];
		uint64_t end = p[i].body_off + p[i].body_len;
		assert(p[i].header_off + p[i].header_len == p[i].body_off && end <= in.len);
		assert(bytes_equal(mime_header(m, &p[i]), bytes_of(in.data + p[i].header_off, p[i].header_len)));
		assert(i == 0 || (p[i].header_off >= up->body_off && end <= up->body_off + up->body_len));
		assert(p[i].kind != MIME_MESSAGE || p[i].first_child != 0);
	}
}

/* After one string that begins at p: quoted 7-bit text, or a literal without NUL. */
static const char *skip_string(const char *p)
{
	if (*p == '{') {
		char *end;
		size_t len = strtoul(p + 1, &end, 10);

		assert(strncmp(end, "}\r\n", 3) == 0 && strnlen(end + 3, len) == len);
		return end + 3 + len;
	}
	for (p++; *p != '"'; p++) {
		assert((unsigned char)*p < 0x80 && *p != '\0' && *p != '\r' && *p != '\n');
		if (*p == '\\') {
			p++;
			assert(*p == '"' || *p == '\\');
		}
	}
	return p + 1;
}

/* Lists of strings, numbers, NIL and lists, one space between, none but between the parts of a multipart. */
static const char *well_formed(const char *text)
{
	const char *p = text;
	size_t depth = 0;

	do {
		if (*p == '(') {
			depth++;
			p++;
			continue;
		}
		if (*p == '"' || *p == '{') {
			p = skip_string(p);
		} else if (*p != ')') {
			size_t n = strncmp(p, "NIL", 3) == 0 ? 3 : strspn(p, "0123456789");

			assert(n > 0);
			p += n;
		}
		while (*p == ')' && depth > 0) {
			depth--;
			p++;
		}
		assert(depth == 0 || *p == ' ' || (*p == '(' && p[-1] == ')'));
		if (*p == ' ') {
			p++;
			assert(*p != ' ' && *p != ')');
		}
	} while (depth > 0);
	assert(text[0] == '(' && *p == '\0');
	return text;
}

static void shown_alike(const void *ctx, const struct mime *a, const struct mime *b)
{
	size_t n_a, n_b;
	const struct mime_part *pa = mime_parts(a, &n_a), *pb = mime_parts(b, &n_b);

	assert(mime_equal(a, b) && n_a == n_b);
	for (size_t i = 0; i < n_a; i++)
		assert(pa[i].kind == pb[i].kind && pa[i].parent == pb[i].parent && pa[i].number == pb[i].number &&
		    pa[i].header_off == pb[i].header_off && pa[i].body_off == pb[i].body_off &&
		    pa[i].body_len == pb[i].body_len && pa[i].lines == pb[i].lines);
	assert(strcmp(well_formed(mime_envelope(ctx, a)), mime_envelope(ctx, b)) == 0);
	assert(strcmp(well_formed(mime_body(ctx, a)), mime_body(ctx, b)) == 0);
	assert(strcmp(well_formed(mime_bodystructure(ctx, a)), mime_bodystructure(ctx, b)) == 0);
}

static void as_skeleton(const void *ctx, struct bytes in)
{
	const uint8_t *lf = in.len > 0 ? memchr(in.data, '\n', in.len) : NULL;
	struct err e;

	if (lf == NULL)
		return;
	char *parts = mem_strndup(ctx, (const char *)in.data, (size_t)(lf - in.data));
	struct bytes skeleton = bytes_of(lf + 1, in.len - (size_t)(lf + 1 - in.data));
	struct mime *m = mime_from_skeleton(ctx, skeleton, parts, in.len, &e);
	if (m != NULL)
		well_formed(mime_bodystructure(ctx, m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	void *ctx = mem_ctx(NULL);
	struct bytes in = bytes_of(data, len);
	struct mime *whole = scan(ctx, in, SIZE_MAX);
	struct err e;

	sound(whole, in);
	shown_alike(ctx, whole, scan(ctx, in, 1 + len % 7));
	struct mime *back = mime_from_skeleton(ctx, mime_skeleton(whole), mime_parts_text(whole), len, &e);
	assert(back != NULL);
	shown_alike(ctx, whole, back);
	mime_find(whole, "1.2.1");
	as_skeleton(ctx, in);
	talloc_free(ctx);
	return 0;
}
