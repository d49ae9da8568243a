/*
 * A set is kept as ranges, ascending and apart, so that a hostile
 * "1:*,1:*,..." costs what "1:*" costs. '*' is a number above all others
 * until the mailbox says what it stands for.
 */
#include <stdlib.h>

#include "lib/base/mem.h"
#include "way/imap/seqset.h"

static const char *parse_number(const char *p, uint64_t *out)
{
	if (*p == '*') {
		*out = IMAP_STAR;
		return p + 1;
	}
	if (*p < '1' || *p > '9')
		return NULL;
	uint64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > UINT32_MAX)
			return NULL;
	}
	*out = n;
	return p;
}

static int by_low(const void *a, const void *b)
{
	const struct imap_range *x = (const struct imap_range *)a, *y = (const struct imap_range *)b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Sort; join what overlaps or touches. '*' touches nothing: nobody knows yet what it is. */
static void normalise(struct imap_seqset *s)
{
	size_t n = 0;

	qsort(s->ranges, s->n, sizeof(s->ranges[0]), by_low);
	for (size_t i = 0; i < s->n; i++) {
		struct imap_range r = s->ranges[i];
		struct imap_range *last = n > 0 ? &s->ranges[n - 1] : NULL;

		if (last && (r.lo <= last->hi || (r.lo == last->hi + 1 && r.lo != IMAP_STAR))) {
			if (r.hi > last->hi)
				last->hi = r.hi;
		} else {
			s->ranges[n++] = r;
		}
	}
	s->n = n;
}

int imap_seqset_parse(const void *ctx, const char *text, struct imap_seqset *out)
{
	size_t size = 4;

	*out = (struct imap_seqset){ .ranges = mem_array(ctx, struct imap_range, size) };
	for (const char *p = text;; p++) {
		struct imap_range r;

		p = parse_number(p, &r.lo);
		if (!p)
			return -1;
		r.hi = r.lo;
		if (*p == ':') {
			p = parse_number(p + 1, &r.hi);
			if (!p)
				return -1;
		}
		if (r.lo > r.hi)
			r = (struct imap_range){ r.hi, r.lo };
		if (out->n == size) {
			size *= 2;
			out->ranges = mem_resize(ctx, out->ranges, struct imap_range, size);
		}
		out->ranges[out->n++] = r;
		if (*p == '\0')
			break;
		if (*p != ',')
			return -1;
	}
	normalise(out);
	out->single = out->n == 1 && out->ranges[0].lo == out->ranges[0].hi;
	return 1;
}

void imap_seqset_resolve(struct imap_seqset *s, uint32_t last)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct imap_range r = s->ranges[i];

		if (r.hi == IMAP_STAR && last == 0)
			continue;
		if (r.lo == IMAP_STAR)
			r.lo = last;
		if (r.hi == IMAP_STAR)
			r.hi = last;
		/* "9:*" with five messages is "5:9" (RFC 3501 section 9). */
		if (r.lo > r.hi)
			r = (struct imap_range){ r.hi, r.lo };
		s->ranges[n++] = r;
	}
	s->n = n;
	normalise(s);
}

bool imap_seqset_has(const struct imap_seqset *s, uint32_t number)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->ranges[mid].hi < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && s->ranges[lo].lo <= number;
}

uint64_t imap_seqset_max(const struct imap_seqset *s)
{
	return s->n > 0 ? s->ranges[s->n - 1].hi : 0;
}

void imap_seqset_print(struct buf *out, const uint32_t *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t j = i;

		while (j + 1 < n && numbers[j + 1] == numbers[j] + 1)
			j++;
		buf_addf(out, "%s%u", i > 0 ? "," : "", (unsigned)numbers[i]);
		if (j > i)
			buf_addf(out, ":%u", (unsigned)numbers[j]);
		i = j;
	}
}
