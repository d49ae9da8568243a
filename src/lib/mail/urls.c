/* A base URL may come with a slash at its end or without: both mean the same, and routes are compared octet by octet. */
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/mail/urls.h"

const char *urls_fault(const char *url)
{
	const char *p = url;

	if (strncmp(p, "http://", 7) != 0 && strncmp(p, "https://", 8) != 0)
		return "is neither http nor https";
	for (p = strchr(p, '/'); *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return "has a character that no URL has";
	return strlen(url) > LIMIT_URL ? "is too long" : NULL;
}

char *urls_print(const void *ctx, const char *const *urls, size_t n)
{
	char *all = mem_strdup(ctx, "");

	for (size_t i = 0; i < n; i++)
		all = talloc_asprintf_append_buffer(all, "%s%s", i > 0 ? "\n" : "", urls[i]);
	return all;
}

char *urls_first(const void *ctx, const char *urls, const char *path)
{
	size_t len = strcspn(urls, "\n");

	while (len > 0 && urls[len - 1] == '/')
		len--;
	return len > 0 ? mem_printf(ctx, "%.*s%s", (int)len, urls, path) : NULL;
}

const char *urls_rest(const char *urls)
{
	const char *end = strchr(urls, '\n');

	return end != NULL ? end + 1 : "";
}
