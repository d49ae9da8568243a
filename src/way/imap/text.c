/*
 * A part passes through four steps in blocks: octets, transfer decoding,
 * charset to UTF-8 (iconv), case folding; at the end a window that keeps the
 * last octets of the block before, so that a find may lie across two blocks.
 * Nothing here holds a part in memory.
 */
#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <strings.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/mime/header.h"
#include "way/imap/text.h"
#include "way/imap/transfer.h"

enum { BLOCK = 32 * 1024, MAX_CHARSET = 64 };

/* ---- folding ---- */

/* Lower case of a code point of two octets in UTF-8 (Latin-1 to Cyrillic). */
static unsigned fold_point(unsigned c)
{
	if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f))
		return c + 0x20;
	if (c >= 0x400 && c <= 0x40f)
		return c + 0x50;
	if ((c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177) || (c >= 0x460 && c <= 0x481) ||
	    (c >= 0x48a && c <= 0x4bf) || (c >= 0x4d0 && c <= 0x52f))
		return c | 1;
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
		return c + (c & 1);
	return c == 0x178 ? 0xff : c;
}

/* In place: a folded letter is as long as it was. Returns how many octets are done; half a letter at the end waits. */
static size_t fold(char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 'A' && c <= 'Z') {
			s[i] = (char)(c + 32);
		} else if (c >= 0xc3 && c <= 0xd4) {
			if (i + 1 == len)
				return i;
			unsigned char d = (unsigned char)s[i + 1];

			if ((d & 0xc0) != 0x80)
				continue;
			unsigned p = fold_point((c & 0x1fu) << 6 | (d & 0x3fu));

			s[i++] = (char)(0xc0 | p >> 6);
			s[i] = (char)(0x80 | (p & 0x3f));
		}
	}
	return len;
}

char *imap_text_fold(const void *ctx, const char *text)
{
	char *copy = mem_strdup(ctx, text);

	fold(copy, strlen(copy));
	return copy;
}

/* ---- headers ---- */

/* What has neither encoded words nor letters beyond ASCII, like most. False: look closer. */
static bool is_simple(struct bytes value, char *folded, size_t size)
{
	size_t n = 0;

	if (value.len >= size || memmem(value.data, value.len, "=?", 2))
		return false;
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];

		if (c >= 0x80)
			return false;
		folded[n] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
		n += c != '\r' && c != '\n' && c != '\0';
	}
	folded[n] = '\0';
	return true;
}

static bool decoded_has(const void *ctx, struct bytes value, const char *text)
{
	char *plain = mem_array(ctx, char, value.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] != '\r' && value.data[i] != '\n' && value.data[i] != '\0')
			plain[n++] = (char)value.data[i];
	plain[n] = '\0';
	char *decoded = header_decode(ctx, plain);

	fold(plain, n);
	fold(decoded, strlen(decoded));
	/* As written, too, for who searches for that; else what encodes letters would be found as letters. */
	return strstr(decoded, text) || (strstr(text, "=?") && strstr(plain, text));
}

static bool value_has(struct bytes value, const char *text)
{
	char folded[1024];

	if (is_simple(value, folded, sizeof(folded)))
		return strstr(folded, text);
	void *ctx = mem_ctx(NULL);
	bool found = decoded_has(ctx, value, text);

	talloc_free(ctx);
	return found;
}

static bool name_has(struct bytes name, const char *text)
{
	char *copy = mem_strndup(NULL, (const char *)name.data, name.len);

	fold(copy, strlen(copy));
	bool found = strstr(copy, text);

	talloc_free(copy);
	return found;
}

bool imap_text_in_header(struct bytes block, const char *field, const char *text)
{
	struct bytes name, value, whole;
	size_t pos = 0;
	bool found = false;

	while (!found && header_next(block, &pos, &name, &value, &whole)) {
		if (field && !header_is(name, field))
			continue;
		found = value_has(value, text) || (!field && name_has(name, text));
	}
	return found;
}

/* ---- bodies ---- */

struct stream {
	const char *text;
	size_t text_len;
	iconv_t charset;		/* (iconv_t)-1: as it is */
	struct imap_transfer transfer;
	char raw[8];			/* half a character for iconv */
	size_t n_raw;
	char *window;			/* what was folded last, then what comes */
	size_t kept, size;
	bool found;
};

static void look(struct stream *s, const char *data, size_t len)
{
	if (s->found || len == 0)
		return;
	if (s->kept + len > s->size) {
		s->size = s->kept + len;
		s->window = mem_resize(NULL, s->window, char, s->size);
	}
	memcpy(s->window + s->kept, data, len);
	size_t n = s->kept + len, done = fold(s->window, n);

	s->found = memmem(s->window, done, s->text, s->text_len) != NULL;
	/* Keep what may be the beginning of a find, and half a letter. */
	size_t keep = s->text_len > 0 ? s->text_len - 1 : 0;

	keep = done < keep ? n : keep + (n - done);
	memmove(s->window, s->window + n - keep, keep);
	s->kept = keep;
}

static void to_utf8(struct stream *s, const char *data, size_t len)
{
	char in[BLOCK + TRANSFER_SPACES + 2 + sizeof(s->raw)], out[4096];

	if (s->charset == (iconv_t)-1) {
		look(s, data, len);
		return;
	}
	memcpy(in, s->raw, s->n_raw);
	memcpy(in + s->n_raw, data, len);
	char *p = in;
	size_t left = s->n_raw + len;

	s->n_raw = 0;
	while (left > 0) {
		char *q = out;
		size_t room = sizeof(out);
		size_t res = iconv(s->charset, &p, &left, &q, &room);
		int why = errno;

		look(s, out, (size_t)(q - out));
		if (res != (size_t)-1 || why == E2BIG)
			continue;
		if (why == EINVAL && left < sizeof(s->raw)) {
			memcpy(s->raw, p, left);
			s->n_raw = left;
			return;
		}
		p++;	/* no character of this charset: go on after it */
		left--;
	}
}

static void feed(struct stream *s, const char *data, size_t len)
{
	char out[BLOCK + TRANSFER_SPACES + 2];

	to_utf8(s, out, imap_transfer_decode(&s->transfer, data, len, out));
}

/* charset=... of a Content-Type value. */
static iconv_t open_charset(const char *type)
{
	const char *p = type ? strcasestr(type, "charset=") : NULL;
	char name[MAX_CHARSET];

	if (!p)
		return (iconv_t)-1;
	p += strlen("charset=");
	if (*p == '"')
		p++;
	size_t n = strcspn(p, "\"; \t()");

	if (n == 0 || n >= sizeof(name))
		return (iconv_t)-1;
	memcpy(name, p, n);
	name[n] = '\0';
	if (strcasecmp(name, "utf-8") == 0 || strcasecmp(name, "us-ascii") == 0)
		return (iconv_t)-1;
	return iconv_open("UTF-8", name);
}

static void read_part(struct stream *s, const struct mime_part *part, int fd)
{
	char block[BLOCK];
	uint64_t at = part->body_off, left = part->body_len;

	while (left > 0 && !s->found) {
		size_t want = left < sizeof(block) ? (size_t)left : sizeof(block);
		ssize_t n = files_pread(fd, block, want, at);

		if (n <= 0)
			return;
		feed(s, block, (size_t)n);
		at += (uint64_t)n;
		left -= (uint64_t)n;
	}
}

static bool part_has(const struct mime *m, const struct mime_part *part, int fd, const char *text)
{
	void *ctx = mem_ctx(NULL);
	char *type = header_get(ctx, mime_header(m, part), "Content-Type");
	char *encoding = header_get(ctx, mime_header(m, part), "Content-Transfer-Encoding");
	struct stream s = { .text = text, .text_len = strlen(text), .charset = (iconv_t)-1 };

	if (!type || strncasecmp(type + strspn(type, " \t"), "text/", 5) == 0) {
		s.transfer.encoding = imap_encoding_of(encoding);
		s.charset = open_charset(type);
		s.found = s.text_len == 0;
		read_part(&s, part, fd);
	}
	if (s.charset != (iconv_t)-1)
		iconv_close(s.charset);
	talloc_free(s.window);
	talloc_free(ctx);
	return s.found;
}

bool imap_text_in_body(const struct mime *m, int fd, const char *text)
{
	size_t n;
	const struct mime_part *parts = mime_parts(m, &n);

	for (size_t i = 0; i < n; i++) {
		if (parts[i].kind == MIME_LEAF && part_has(m, &parts[i], fd, text))
			return true;
		if (parts[i].kind == MIME_MESSAGE && parts[i].first_child != 0 &&
		    imap_text_in_header(mime_header(m, &parts[parts[i].first_child]), NULL, text))
			return true;
	}
	return false;
}
