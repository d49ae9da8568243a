/* Addresses: what is taken is a fixed point, and its group is a group. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mail/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *in = malloc(size + 1);
	char out[LIMIT_ADDRESS + 1], again[LIMIT_ADDRESS + 1];

	if (!in)
		abort();
	memcpy(in, data, size);
	in[size] = '\0';
	if (addr_parse(in, out) == 0 &&
	    (addr_parse(out, again) < 0 || strcmp(out, again) != 0 || !addr_is_group(addr_group(out))))
		abort();
	if (addr_parse_base(in, out) == 0 && (addr_parse(out, again) < 0 || strcmp(out, again) != 0))
		abort();
	free(in);
	return 0;
}
