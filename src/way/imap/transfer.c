/*
 * Senders get encodings wrong in small ways, and the reader wants the text all
 * the same: octets that are no base64 are skipped, each padding begins anew
 * (two files joined), a '=' that encodes nothing stands for itself, spaces at
 * the end of a quoted-printable line were added on the way (RFC 2045, 6.7).
 */
#include <string.h>
#include <strings.h>

#include "way/imap/transfer.h"

enum imap_encoding imap_encoding_of(const char *value)
{
	static const struct { const char *name; enum imap_encoding encoding; } names[] = {
		{ "", ENCODING_NONE }, { "7bit", ENCODING_NONE }, { "8bit", ENCODING_NONE }, { "binary", ENCODING_NONE },
		{ "base64", ENCODING_BASE64 }, { "quoted-printable", ENCODING_QUOTED },
	};

	if (!value)
		return ENCODING_NONE;
	value += strspn(value, " \t");
	size_t len = strcspn(value, " \t;(");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i].name) == len && strncasecmp(names[i].name, value, len) == 0)
			return names[i].encoding;
	return ENCODING_UNKNOWN;
}

static size_t undo_base64(struct imap_transfer *t, const char *in, size_t len, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		const char *d = in[i] ? strchr(digits, in[i]) : NULL;

		if (in[i] == '=')
			t->n_bits = 0;
		if (!d)
			continue;
		t->bits = t->bits << 6 | (uint32_t)(d - digits);
		t->n_bits += 6;
		if (t->n_bits >= 8) {
			t->n_bits -= 8;
			out[n++] = (char)(t->bits >> t->n_bits & 0xff);
		}
	}
	return n;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 :
	    c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t flush_spaces(struct imap_transfer *t, char *out)
{
	size_t n = t->n_spaces;

	memcpy(out, t->spaces, n);
	t->n_spaces = 0;
	return n;
}

/* Outside of "=..". */
static size_t undo_text(struct imap_transfer *t, char c, char *out)
{
	size_t n = 0;

	t->state = QUOTED_TEXT;
	if (c == ' ' || c == '\t') {
		if (t->n_spaces == TRANSFER_SPACES)
			n = flush_spaces(t, out);
		t->spaces[t->n_spaces++] = c;
		return n;
	}
	if (c == '\r' || c == '\n')
		t->n_spaces = 0;
	n = flush_spaces(t, out);
	if (c == '=')
		t->state = QUOTED_SIGN;
	else
		out[n++] = c;
	return n;
}

static size_t undo_octet(struct imap_transfer *t, char c, char *out)
{
	size_t n = 0;

	switch (t->state) {
	case QUOTED_TEXT:
		return undo_text(t, c, out);
	case QUOTED_SIGN:
		if (hex(c) >= 0) {
			t->digit = c;
			t->state = QUOTED_DIGIT;
		} else if (c == '\n') {
			t->state = QUOTED_TEXT;
		} else if (c == ' ' || c == '\t' || c == '\r') {
			t->state = QUOTED_SOFT;
		} else {
			out[n++] = '=';
			n += undo_text(t, c, out + n);
		}
		return n;
	case QUOTED_DIGIT:
		if (hex(c) >= 0) {
			out[n++] = (char)(hex(t->digit) << 4 | hex(c));
			t->state = QUOTED_TEXT;
		} else {
			out[n++] = '=';
			out[n++] = t->digit;
			n += undo_text(t, c, out + n);
		}
		return n;
	case QUOTED_SOFT:
		if (c == '\n')
			t->state = QUOTED_TEXT;
		else if (c != ' ' && c != '\t' && c != '\r')
			n = undo_text(t, c, out);
		return n;
	}
	return n;
}

size_t imap_transfer_decode(struct imap_transfer *t, const char *in, size_t len, char *out)
{
	size_t n = 0;

	switch (t->encoding) {
	case ENCODING_BASE64:
		return undo_base64(t, in, len, out);
	case ENCODING_QUOTED:
		for (size_t i = 0; i < len; i++)
			n += undo_octet(t, in[i], out + n);
		return n;
	case ENCODING_NONE:
	case ENCODING_UNKNOWN:
		break;
	}
	memcpy(out, in, len);
	return len;
}
