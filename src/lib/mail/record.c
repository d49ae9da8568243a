/*
 * One pass over lines, one over the octets of each value. What RFC 5322
 * allows and records do not need is refused (tabs, empty fold lines, other
 * line ends), so that a record has as few spellings as possible.
 */
#include "lib/mail/record.h"

#include <string.h>
#include <strings.h>

#include <unistr.h>

#include "lib/base/mem.h"

struct cursor {
	struct bytes in;
	size_t pos;
};

/* One field with its fold lines and last CRLF; false: incomplete or a bare CR, LF, NUL within. */
static bool next_field(struct cursor *c, struct bytes *out)
{
	const uint8_t *start = c->in.data + c->pos;
	size_t left = c->in.len - c->pos, at = 0;

	if (left > LIMIT_FIELD)
		left = LIMIT_FIELD;
	for (;;) {
		while (at < left && start[at] != '\r' && start[at] != '\n' && start[at] != '\0')
			at++;
		if (left - at < 2 || start[at] != '\r' || start[at + 1] != '\n')
			return false;
		at += 2;
		size_t next = c->pos + at;
		if (next >= c->in.len || c->in.data[next] != ' ')
			break;
		/* A fold line of nothing but blanks would look like the end. */
		while (at < left && start[at] == ' ')
			at++;
		if (at < left && start[at] == '\r')
			return false;
	}
	*out = bytes_of(start, at);
	c->pos += at;
	return true;
}

static size_t name_len(struct bytes field)
{
	size_t n = 0;

	while (n < field.len && field.data[n] > ' ' && field.data[n] < 0x7f && field.data[n] != ':')
		n++;
	return n < field.len && field.data[n] == ':' ? n : 0;
}

/* Unfolded: the CRLF of a fold goes, its blanks stay; blanks before the value go. */
static char *unfold(const void *ctx, struct bytes raw)
{
	char *out = mem_array(ctx, char, raw.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < raw.len; i++) {
		char ch = (char)raw.data[i];
		if (ch == '\r' || ch == '\n' || (ch == ' ' && n == 0))
			continue;
		out[n++] = ch;
	}
	out[n] = '\0';
	return out;
}

/* Valid UTF-8 without control characters (C0, DEL, C1). */
static bool is_clean(const char *s)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t len = strlen(s);

	if (u8_check(p, len))
		return false;
	for (size_t i = 0; i < len; i++)
		if (p[i] < ' ' || p[i] == 0x7f || (p[i] == 0xc2 && p[i + 1] < 0xa0))
			return false;
	return true;
}

static int split_field(const void *ctx, struct bytes raw, struct record_field *out, struct err *e)
{
	size_t n = name_len(raw);

	if (n == 0) {
		err_set(e, "record: a line that is no field");
		return -1;
	}
	out->name = mem_strndup(ctx, (const char *)raw.data, n);
	out->value = unfold(ctx, bytes_of(raw.data + n + 1, raw.len - n - 1));
	if (!is_clean(out->value)) {
		err_set(e, "record: control character or invalid UTF-8 in %s", out->name);
		return -1;
	}
	return 0;
}

/* "ns/1" to "ns". */
static int parse_type(struct record *r, const struct record_field *f, struct err *e)
{
	size_t n = strspn(f->value, "abcdefghijklmnopqrstuvwxyz");

	if (strcasecmp(f->name, "P2pMTA") != 0 || n == 0 || n >= sizeof(r->type) ||
	    strcmp(f->value + n, "/1") != 0) {
		err_set(e, "record: does not begin with P2pMTA and a type of version 1");
		return -1;
	}
	memcpy(r->type, f->value, n);
	return 0;
}

static int add_field(struct record *r, const struct record_field *f, struct err *e)
{
	if (strcasecmp(f->name, "P2pMTA") == 0) {
		err_set(e, "record: P2pMTA is repeated");
		return -1;
	}
	if (r->n_fields == LIMIT_FIELDS) {
		err_set(e, "record: more than %d fields", LIMIT_FIELDS);
		return -1;
	}
	if ((r->n_fields & (r->n_fields - 1)) == 0)
		r->fields = mem_resize(r, r->fields, struct record_field,
		    r->n_fields ? 2 * r->n_fields : 1);
	r->fields[r->n_fields++] = *f;
	return 0;
}

static int parse_header(struct record *r, struct cursor *c, struct err *e)
{
	bool first = true;

	if (c->in.len == 0) {
		err_set(e, "record: empty");
		return -1;
	}
	while (c->in.len - c->pos < 2 || memcmp(c->in.data + c->pos, "\r\n", 2) != 0) {
		struct bytes raw;
		struct record_field f;
		if (!next_field(c, &raw) || c->pos > LIMIT_RECORD) {
			err_set(e, "record: a field or header block that is too long or does not end");
			return -1;
		}
		if (split_field(r, raw, &f, e) < 0 ||
		    (first ? parse_type(r, &f, e) : add_field(r, &f, e)) < 0)
			return -1;
		first = false;
	}
	if (first) {
		err_set(e, "record: no field");
		return -1;
	}
	c->pos += 2;
	return 0;
}

/* Takes Length out of the fields. */
static int parse_body(struct record *r, struct cursor *c, size_t max_body, struct err *e)
{
	uint64_t len = 0;
	int there = record_get_number(r, "Length", SIZE_MAX, &len, e);

	if (there < 0)
		return -1;
	if (len > max_body || len > c->in.len - c->pos) {
		err_set(e, "record: Length is more than there is or may be");
		return -1;
	}
	r->body = bytes_of(c->in.data + c->pos, (size_t)len);
	c->pos += (size_t)len;
	if (!there)
		return 0;

	size_t i = 0;
	while (strcasecmp(r->fields[i].name, "Length") != 0)
		i++;
	r->n_fields--;
	memmove(r->fields + i, r->fields + i + 1, (r->n_fields - i) * sizeof(*r->fields));
	return 0;
}

struct record *record_parse(const void *ctx, struct bytes in, size_t max_body, size_t *used_out, struct err *e)
{
	struct record *r = mem_zero(ctx, struct record);
	struct cursor c = { in, 0 };

	if (parse_header(r, &c, e) < 0 || parse_body(r, &c, max_body, e) < 0) {
		talloc_free(r);
		return NULL;
	}
	*used_out = c.pos;
	return r;
}

const char *record_find_must(const struct record *r, const char *const *known)
{
	for (size_t i = 0; i < r->n_fields; i++) {
		const char *name = r->fields[i].name;
		if (strncasecmp(name, "Must-", 5) != 0)
			continue;
		const char *const *k = known;
		while (*k && strcasecmp(*k, name) != 0)
			k++;
		if (!*k)
			return name;
	}
	return NULL;
}
