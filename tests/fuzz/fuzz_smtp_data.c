/*
 * The data reader: in one piece and in many the same m, the same end, the
 * same verdict; a good m has no bare CR, LF or NUL, and no more octets than allowed.
 * The first octet says in what pieces.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "way/smtp/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_SIZE = 100000 };

struct result {
	struct buf *m;
	struct data *d;
	size_t used;
	bool is_end;
};

static void put(void *arg, const char *octets, size_t len)
{
	buf_add(arg, octets, len);
}

static struct result run(void *ctx, const char *in, size_t len, size_t piece)
{
	struct result r = { .m = buf_new(ctx, MAX_SIZE) };
	const struct data_settings set = {
		.max_size = MAX_SIZE, .address = "alice@home", .date = "D", .message_id = "<I>", .put = put, .arg = r.m,
	};

	r.d = data_new(ctx, &set);
	while (r.used < len && !r.is_end)
		r.used += data_feed(r.d, in + r.used, len - r.used < piece ? len - r.used : piece, &r.is_end);
	return r;
}

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_lines(struct bytes m)
{
	for (size_t i = 0; i < m.len; i++) {
		check(m.data[i] != '\0');
		if (m.data[i] == '\r')
			check(i + 1 < m.len && m.data[i + 1] == '\n');
		if (m.data[i] == '\n')
			check(i > 0 && m.data[i - 1] == '\r');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	void *ctx = mem_ctx(NULL);
	const char *in = (const char *)data + 1;
	struct result a = run(ctx, in, size - 1, size), b = run(ctx, in, size - 1, 1 + data[0] % 32);

	check(a.is_end == b.is_end && a.used == b.used && data_verdict(a.d) == data_verdict(b.d));
	if (a.is_end && data_verdict(a.d) == DATA_GOOD) {
		check(bytes_equal(buf_bytes(a.m), buf_bytes(b.m)) && !a.m->overflow && data_size(a.d) == a.m->len);
		check_lines(buf_bytes(a.m));
		check(a.m->len == 0 || a.m->data[a.m->len - 1] == '\n');
	}
	talloc_free(ctx);
	return 0;
}
