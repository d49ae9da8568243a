/* base64, hex, times and the log's escapes: what parses prints the same again; what is escaped is clean. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const void *ctx, const char *text)
{
	struct bytes raw;
	uint8_t octets[DIGEST_LEN];
	char hex[DIGEST_HEX], time[CLOCK_TEXT];
	int64_t s;

	if (base64_parse(ctx, text, 1000, &raw) == 0 && (raw.len > 1000 || strcmp(base64_print(ctx, raw), text) != 0))
		abort();
	for (size_t len = 0; len <= DIGEST_LEN; len++) {
		if (hex_parse(text, octets, len) < 0)
			continue;
		hex_print(bytes_of(octets, len), hex);
		if (strcmp(hex, text) != 0)
			abort();
	}
	if (clock_parse(text, &s) == 0) {
		clock_print(s, time);
		if (strcmp(time, text) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = mem_ctx(NULL);
	char out[200];

	check_text(ctx, mem_strndup(ctx, (const char *)data, size));
	for (size_t room = 1; room <= sizeof(out); room += 33) {
		log_escape(out, room, (const char *)data, size);
		if (strlen(out) >= room)
			abort();
		for (const char *p = out; *p != '\0'; p++)
			if ((unsigned char)*p < ' ' || *p == '"' || *p == '\'' || *p == 0x7f)
				abort();
	}
	talloc_free(ctx);
	return 0;
}
