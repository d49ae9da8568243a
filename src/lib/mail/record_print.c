/*
 * Printers: one field per line, never folded, in the order of the calls. What
 * a caller passes was checked when it came in or is our own: a control
 * character here is a bug.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/mail/record.h"

void record_print_start(struct buf *b, const char *type)
{
	buf_addf(b, "P2pMTA: %s/1\r\n", type);
}

void record_print_text(struct buf *b, const char *name, const char *value)
{
	assert(!strpbrk(value, "\r\n"));
	buf_addf(b, "%s: %s\r\n", name, value);
}

void record_print_number(struct buf *b, const char *name, uint64_t n)
{
	buf_addf(b, "%s: %" PRIu64 "\r\n", name, n);
}

void record_print_time(struct buf *b, const char *name, int64_t s)
{
	char text[CLOCK_TEXT];

	clock_print(s, text);
	record_print_text(b, name, text);
}

void record_print_hash(struct buf *b, const char *name, const uint8_t hash[32])
{
	char text[DIGEST_HEX];

	hex_print(bytes_of(hash, 32), text);
	record_print_text(b, name, text);
}

void record_print_base64(struct buf *b, const char *name, struct bytes value)
{
	char *text = base64_print(b, value);

	record_print_text(b, name, text);
	talloc_free(text);
}

void record_print_head(struct buf *b, const char *name, const uint8_t hash[32], uint64_t size)
{
	char hex[DIGEST_HEX];

	hex_print(bytes_of(hash, DIGEST_LEN), hex);
	buf_addf(b, "%s: %s %" PRIu64 "\r\n", name, hex, size);
}

void record_print_body(struct buf *b, struct bytes body)
{
	if (body.len > 0)
		record_print_number(b, "Length", body.len);
	buf_adds(b, "\r\n");
	if (body.len > 0)
		buf_add(b, body.data, body.len);
}
