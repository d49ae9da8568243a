/* OpenPGP framing: whole and in pieces, the answer is the same. The first octet says in what pieces. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/mail/packets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(enum packets_shape shape, struct bytes in, size_t piece)
{
	struct packets *p = packets_new(NULL, shape);
	struct err e;
	int res = 0;

	for (size_t at = 0; at < in.len && res == 0; at += piece)
		res = packets_feed(p, bytes_of(in.data + at, in.len - at < piece ? in.len - at : piece), &e);
	if (res == 0)
		res = packets_end(p, &e);
	talloc_free(p);
	return res;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;

	if (size == 0)
		return 0;
	struct bytes in = bytes_of(data + 1, size - 1);
	for (enum packets_shape shape = PACKETS_NS; shape <= PACKETS_SIGNED; shape++)
		if (packets_check(shape, in, &e) != feed(shape, in, 1 + data[0] % 64))
			abort();
	return 0;
}
