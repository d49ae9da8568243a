/* Records: each reader on each field of whatever parses. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/mail/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_field(const struct record *r, const char *name)
{
	const char *text, *all[LIMIT_URLS];
	char address[LIMIT_ADDRESS + 1];
	uint8_t octets[32];
	uint64_t number;
	int64_t s;
	struct bytes b;
	struct err e;

	record_get_text(r, name, &text, &e);
	record_get_address(r, name, address, &e);
	record_get_number(r, name, UINT64_MAX, &number, &e);
	record_get_time(r, name, &s, &e);
	record_get_hash(r, name, octets, &e);
	record_get_base64(r, r, name, LIMIT_PUBKEY, &b, &e);
	record_get_octets(r, name, octets, 32, &e);
	record_get_all(r, name, all, LIMIT_URLS, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const known[] = { "Must-Know", NULL };
	void *ctx = mem_ctx(NULL);
	size_t used = 0;
	struct err e;
	struct record *r = record_parse(ctx, bytes_of(data, size), LIMIT_RECORD, &used, &e);

	if (r && (used > size || r->body.len > used))
		abort();
	for (size_t i = 0; r && i < r->n_fields && i < 64; i++)
		read_field(r, r->fields[i].name);
	if (r)
		record_find_must(r, known);
	talloc_free(ctx);
	return 0;
}
