/* Two passes: lines are counted before room for them is asked. Lines that begin otherwise are for a later version. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/mail/record.h"
#include "way/replica/held.h"

enum { HEX = 64, LINE_MAX = 3 + 2 * HEX };

static int by_octets(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static int parse_hex(const char *at, uint8_t out[32])
{
	char hex[HEX + 1];

	memcpy(hex, at, HEX);
	hex[HEX] = '\0';
	return hex_parse(hex, out, 32);
}

static int parse_line(const char *line, size_t len, struct held_text *h)
{
	if (len == HEX)
		return parse_hex(line, h->hashes[h->n_hashes++]);
	if (len == 2 + HEX && memcmp(line, "+ ", 2) == 0)
		return parse_hex(line + 2, h->proofs[h->n_proofs++]);
	if (len == LINE_MAX && memcmp(line, "! ", 2) == 0 && line[2 + HEX] == ' ') {
		uint8_t (*served)[32] = h->served[h->n_served++];

		return parse_hex(line + 2, served[0]) < 0 ? -1 : parse_hex(line + 3 + HEX, served[1]);
	}
	return 0;
}

/* "serial N": what follows it. */
static int parse_serial(const struct bytes *text, const char **at, uint64_t *out)
{
	static const char word[] = "serial ";
	char number[24] = "";
	const char *end = memchr(text->data, '\n', text->len), *n = number;
	size_t len = end != NULL ? (size_t)(end - (const char *)text->data) : 0;

	if (len < sizeof(word) || len - (sizeof(word) - 1) >= sizeof(number) || memcmp(text->data, word, sizeof(word) - 1) != 0)
		return -1;
	memcpy(number, text->data + sizeof(word) - 1, len - (sizeof(word) - 1));
	if (record_parse_number(&n, INT64_MAX, out) < 0 || *n != '\0')
		return -1;
	*at = end + 1;
	return 0;
}

int held_parse(const void *ctx, struct bytes text, struct held_text *out)
{
	const char *at, *end = (const char *)text.data + text.len, *lf;
	size_t n = 1;

	*out = (struct held_text){ .serial = 0 };
	if (text.len == 0 || parse_serial(&text, &at, &out->serial) < 0)
		return -1;
	for (const char *c = at; (lf = memchr(c, '\n', (size_t)(end - c))) != NULL; c = lf + 1)
		n++;
	if (n > 1 + (size_t)(end - at) / 2)
		return -1;		/* empty lines */
	out->hashes = mem_check(talloc_size(ctx, n * 32));
	out->proofs = mem_check(talloc_size(ctx, n * 32));
	out->served = mem_check(talloc_size(ctx, n * 64));
	for (; at < end; at = lf + 1) {
		lf = memchr(at, '\n', (size_t)(end - at));
		if (lf == NULL || parse_line(at, (size_t)(lf - at), out) < 0)
			return -1;
	}
	qsort(out->hashes, out->n_hashes, 32, by_octets);
	return 0;
}

bool held_has(const struct held_text *h, const uint8_t hash[32])
{
	return h->n_hashes > 0 && bsearch(hash, h->hashes, h->n_hashes, 32, by_octets) != NULL;
}
