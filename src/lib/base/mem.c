/*
 * Running out of memory is no answer any caller could handle well: a mail
 * daemon that keeps its promises only in durable rows and files may stop at
 * any instruction, so it stops here.
 */
#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"

void *mem_check(void *p)
{
	if (p == NULL) {
		log_err("out of memory");
		abort();
	}
	return p;
}

void *mem_dup(const void *ctx, const void *p, size_t len)
{
	/* talloc_memdup takes NULL for a failure, even of no octets. */
	return mem_check(talloc_memdup(ctx, p != NULL ? p : "", p != NULL ? len : 0));
}

char *mem_strdup(const void *ctx, const char *s)
{
	return mem_check(talloc_strdup(ctx, s));
}

char *mem_strndup(const void *ctx, const char *s, size_t max)
{
	return mem_check(talloc_strndup(ctx, s, max));
}

char *mem_vprintf(const void *ctx, const char *fmt, va_list ap)
{
	return mem_check(talloc_vasprintf(ctx, fmt, ap));
}

char *mem_printf(const void *ctx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *s = mem_vprintf(ctx, fmt, ap);
	va_end(ap);
	return s;
}
