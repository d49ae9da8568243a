/* What a member says he holds: any octets; what is taken is sorted and can be searched. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "way/replica/held.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = mem_ctx(NULL);
	struct held_text h;

	if (held_parse(ctx, bytes_of(data, size), &h) == 0) {
		if (h.n_hashes + h.n_proofs + h.n_served > size / 64)
			abort();
		for (size_t i = 0; i < h.n_hashes; i++)
			if (!held_has(&h, h.hashes[i]) || (i > 0 && memcmp(h.hashes[i - 1], h.hashes[i], 32) > 0))
				abort();
	}
	talloc_free(ctx);
	return 0;
}
