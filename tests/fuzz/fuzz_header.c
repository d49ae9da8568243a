/*
 * Any octets as a header block, and every value of it as every kind of value.
 * Decoding adds no line and no control character; a subset and its complement
 * have each field once.
 */
#include <assert.h>
#include <stdint.h>

#include "lib/base/mem.h"
#include "lib/mime/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void one_value(const void *ctx, struct bytes value)
{
	const char *text = mem_strndup(ctx, (const char *)value.data, value.len);
	size_t n;
	int64_t s;

	for (const char *p = header_decode(ctx, text); *p != '\0'; p++)
		assert((unsigned char)*p >= ' ' && *p != 0x7f);
	header_mailbox(ctx, text, &n);
	header_date(text, &s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const names[] = { "Subject", "From", "X" };
	struct bytes block = bytes_of(data, len), name, value, whole;
	size_t pos = 0, last = 0, fields = 0;

	if (len > 64 * 1024)
		return 0;
	while (header_next(block, &pos, &name, &value, &whole)) {
		void *ctx = mem_ctx(NULL);
		assert(pos > last && pos <= len && name.len > 0);
		assert(whole.data >= data && whole.data + whole.len == data + pos);
		assert(value.data >= whole.data && value.data + value.len <= whole.data + whole.len);
		last = pos;
		fields++;
		one_value(ctx, value);
		talloc_free(ctx);
	}
	void *ctx = mem_ctx(NULL);
	header_get_decoded(ctx, block, "Subject");
	size_t found = 0;
	for (int not = 0; not < 2; not++) {
		struct bytes some = header_subset(ctx, block, names, 3, not);
		for (pos = 0; header_next(some, &pos, &name, &value, &whole);)
			found++;
	}
	assert(found == fields);
	talloc_free(ctx);
	return 0;
}
