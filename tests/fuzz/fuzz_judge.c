/* A list as it comes from the DHT, already without its signature: whatever is judged good keeps every rule. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "way/group/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first line of the input: facts as "MASTER FPR SERIAL NOW SIGNER". */
static int read_facts(char *line, struct judge_facts *f, const char **signer)
{
	char *word[5], *rest = line;

	for (int i = 0; i < 5; i++)
		if ((word[i] = strsep(&rest, " ")) == NULL)
			return -1;
	*f = (struct judge_facts){ .name = "home", .master = word[0], .fpr = word[1], .serial = strtoull(word[2], NULL, 10) & INT64_MAX,
		.now_s = (int64_t)(strtoull(word[3], NULL, 10) & UINT32_MAX), .sender = "", .sender_fpr = "" };
	*signer = word[4];
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = mem_ctx(NULL);
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	struct judge_facts f;
	const char *signer;
	struct err e;

	if (end == NULL)
		goto out;
	char *line = mem_strndup(ctx, (const char *)data, (size_t)(end - data));
	struct group *g = group_parse(ctx, bytes_of(end + 1, size - (size_t)(end - data) - 1), &e);

	if (g == NULL || read_facts(line, &f, &signer) < 0 || judge(&f, g, signer) != JUDGE_GOOD)
		goto out;
	if (strcmp(g->name, "home") != 0 || strcmp(signer, g->master.fpr) != 0 || g->serial <= f.serial ||
	    (f.fpr[0] != '\0' && strcmp(f.fpr, signer) != 0) || group_find(g, g->master.address) == NULL)
		abort();
out:
	talloc_free(ctx);
	return 0;
}
