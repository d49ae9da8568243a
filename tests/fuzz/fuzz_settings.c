/* p2pmta.conf: whatever is in it, settings or a reason with file and line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/daemon/settings.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char name[] = "/f/p2pmta.conf";
	char *text = mem_strndup(NULL, (const char *)data, size);
	struct err e = { "" };
	struct settings *s = settings_parse(text, name, text, &e);

	if (!s && strncmp(e.text, name, strlen(name)))
		abort();
	if (s && (!*s->address || *s->state != '/' || *s->control.socket != '/' || s->outbox.validity_s < 60))
		abort();
	talloc_free(text);
	return 0;
}
