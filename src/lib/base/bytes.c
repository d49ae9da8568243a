/*
 * A buffer takes a thing whole or not at all: a line that was cut in the middle
 * would be worse than one that is missing, and overflow says that it is.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/base/bytes.h"
#include "lib/base/mem.h"

enum { BUF_FIRST = 64, BUF_MAX = 255 * 1024 * 1024 };	/* talloc ends at 256 MiB */

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

struct bytes bytes_dup(const void *ctx, struct bytes b)
{
	uint8_t *copy = mem_array(ctx, uint8_t, b.len + 1);

	if (b.len > 0)
		memcpy(copy, b.data, b.len);
	copy[b.len] = '\0';
	return (struct bytes){ copy, b.len };
}

struct buf *buf_new(const void *ctx, size_t max)
{
	struct buf *b = mem_zero(ctx, struct buf);

	b->max = max < BUF_MAX ? max : BUF_MAX;
	b->size = BUF_FIRST;
	b->data = mem_array(b, char, b->size);
	b->data[0] = '\0';
	return b;
}

/* Room for len more and the NUL; false over the ceiling. */
static bool make_room(struct buf *b, size_t len)
{
	if (len > b->max - b->len) {
		b->overflow = true;
		return false;
	}
	size_t need = b->len + len + 1;

	if (need > b->size) {
		size_t size = b->size;

		while (size < need)
			size *= 2;
		if (size > b->max + 1)
			size = b->max + 1;
		b->data = mem_resize(b, b->data, char, size);
		b->size = size;
	}
	return true;
}

bool buf_add(struct buf *b, const void *data, size_t len)
{
	if (!make_room(b, len))
		return false;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return true;
}

bool buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);

	bool fits = make_room(b, (size_t)n);

	if (fits) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	return fits;
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->overflow = false;
	b->data[0] = '\0';
}

struct bytes buf_bytes(const struct buf *b)
{
	return bytes_of(b->data, b->len);
}
