/*
 * A message's structure once it is known: finding parts, comparing, and the
 * way back from a skeleton. Numbers of a replayed skeleton are checked as a
 * whole: kept text equal to what was given, every measure used, sum of the
 * octets equal to the size.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/mime/tree.h"

enum {
	READ_SIZE = 256 * 1024,
	/* What a head object needs beside skeleton and Parts: its fields, piece hashes in base64, framing. */
	HEAD_RESERVE = 96 * 1024,
	PARTS_MAX = LIMIT_RECORD - 64 * 1024,	/* they are fields of one record */
};

uint64_t mime_size(const struct mime *m)
{
	return m->size;
}

struct bytes mime_skeleton(const struct mime *m)
{
	return buf_bytes(m->skeleton);
}

const char *mime_parts_text(const struct mime *m)
{
	return m->parts_text;
}

bool mime_is_too_big(const struct mime *m)
{
	size_t n_parts = strlen(m->parts_text);

	return m->has_tail || n_parts > PARTS_MAX || m->skeleton->len + n_parts > LIMIT_HEAD - HEAD_RESERVE;
}

/* Skeleton, measures and size make the tree: equal in, equal out. */
bool mime_equal(const struct mime *a, const struct mime *b)
{
	return a->size == b->size && strcmp(a->parts_text, b->parts_text) == 0 &&
	    bytes_equal(mime_skeleton(a), mime_skeleton(b));
}

const struct mime_part *mime_parts(const struct mime *m, size_t *n_out)
{
	*n_out = m->n_parts;
	return m->parts;
}

struct bytes mime_header(const struct mime *m, const struct mime_part *p)
{
	return bytes_of(m->skeleton->data + p->skeleton_off, p->header_len);
}

static const struct mime_part *child(const struct mime *m, const struct mime_part *p, unsigned long number)
{
	for (uint32_t i = p->first_child; i != 0; i = m->parts[i].next)
		if (m->parts[i].number == number)
			return &m->parts[i];
	return NULL;
}

/* One number of a section: 1.. without leading zero; 0 when it is none. */
static unsigned long section_number(const char **section)
{
	unsigned long n = 0;
	const char *s = *section;

	if (*s < '1' || *s > '9')
		return 0;
	for (; *s >= '0' && *s <= '9'; s++)
		if (n <= LIMIT_MIME_PARTS)
			n = n * 10 + (unsigned long)(*s - '0');
	*section = s;
	return n;
}

const struct mime_part *mime_find(const struct mime *m, const char *section)
{
	const struct mime_part *p = &m->parts[0];

	while (*section != '\0') {
		unsigned long n = section_number(&section);
		if (n == 0)
			return NULL;
		if (p->kind == MIME_MULTIPART)
			p = child(m, p, n);
		else if (n != 1)	/* what is no multipart is its own part 1 */
			return NULL;
		if (p == NULL || *section == '\0')
			return p;
		if (*section++ != '.' || *section == '\0')
			return NULL;
		if (p->kind == MIME_MESSAGE)
			p = &m->parts[p->first_child];
		else if (p->kind == MIME_LEAF)
			return NULL;
	}
	return p;
}

static bool number_parse(const char **text, uint64_t max, uint64_t *out)
{
	const char *s = *text;
	uint64_t n = 0;

	if (*s < '0' || *s > '9' || (*s == '0' && s[1] >= '0' && s[1] <= '9'))
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (n > (UINT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (uint64_t)(*s - '0');
	}
	*text = s;
	*out = n;
	return n <= max;
}

/* "octets/lines octets/lines ..."; no measure is larger than the message. */
static struct mime_measure *measures_parse(const void *ctx, const char *text, uint64_t size, size_t *n_out)
{
	size_t n = 1, i = 0;

	for (const char *s = text; *s != '\0'; s++)
		n += *s == ' ';
	if (n > LIMIT_MIME_PARTS + 1)
		return NULL;
	struct mime_measure *list = mem_array(ctx, struct mime_measure, n);
	while (*text != '\0') {
		if (!number_parse(&text, size, &list[i].octets) || *text++ != '/' ||
		    !number_parse(&text, list[i].octets, &list[i].lines))
			goto bad;
		i++;
		if (*text != '\0' && (*text++ != ' ' || *text == '\0'))
			goto bad;
	}
	*n_out = i;
	return list;
bad:
	talloc_free(list);
	return NULL;
}

struct mime *mime_from_skeleton(const void *ctx, struct bytes skeleton, const char *parts, uint64_t size, struct err *e)
{
	size_t n;
	struct mime_measure *given = measures_parse(ctx, parts, size, &n);

	if (given == NULL) {
		err_set(e, "Parts is not a list of octets/lines of this message");
		return NULL;
	}
	struct mime_scan *scan = mime_scan_replay(ctx, given, n, size);
	mime_scan_feed(scan, skeleton);
	mime_scan_end(scan);
	bool fits = mime_scan_fits(scan);
	struct mime *m = mime_scan_take(&scan, ctx);
	talloc_free(given);
	if (!fits || !bytes_equal(mime_skeleton(m), skeleton)) {
		err_set(e, "skeleton, Parts and size do not fit together");
		TALLOC_FREE(m);
	}
	return m;
}

struct mime *mime_from_fd(const void *ctx, int fd, struct err *e)
{
	struct mime_scan *scan = mime_scan_new(ctx);
	uint8_t *block = mem_array(scan, uint8_t, READ_SIZE);
	uint64_t off = 0;
	ssize_t n;

	while ((n = files_pread(fd, block, READ_SIZE, off)) > 0) {
		mime_scan_feed(scan, bytes_of(block, (size_t)n));
		off += (uint64_t)n;
	}
	if (n < 0) {
		err_sys(e, "read the message");
		talloc_free(scan);
		return NULL;
	}
	return mime_scan_take(&scan, ctx);
}
