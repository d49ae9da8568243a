/* Names of mailboxes: what is taken is its own normal form, and nothing a LIST or a path could be confused by. */
#include <stdlib.h>

#include "lib/store/priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;
	void *ctx = mem_ctx(NULL);
	char *in = mem_strndup(ctx, (const char *)data, size);
	char *name = name_normal(ctx, in, &e);

	if (name) {
		char *again = name_normal(ctx, name, &e);
		char *parent = name_parent(ctx, name);

		if (!again || strcmp(again, name) != 0 || strlen(name) > LIMIT_MAILBOX_NAME || strpbrk(name, "%*\r\n\t"))
			abort();
		if (name[0] == '/' || strstr(name, "//") || strcmp(name, "..") == 0 || strstr(name, "/../"))
			abort();
		if (parent && !name_normal(ctx, parent, &e))
			abort();
	}
	talloc_free(ctx);
	return 0;
}
