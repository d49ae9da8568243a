#ifndef BASE_MEM_H
#define BASE_MEM_H
/*
 * talloc that never returns NULL: when memory is out, a line is logged and the
 * process aborts (systemd restarts it, rows and files survive). Any thread, but
 * all contexts below one top-level context belong to one thread at a time.
 * talloc refuses single blocks of 256 MiB and more; here that aborts, too.
 */
#include <stdarg.h>
#include <stddef.h>
#include <talloc.h>

/* p, or the end of the process. */
void *mem_check(void *p);

#define mem_new(ctx, type) ((type *)mem_check(talloc(ctx, type)))
#define mem_zero(ctx, type) ((type *)mem_check(talloc_zero(ctx, type)))
#define mem_array(ctx, type, n) ((type *)mem_check(talloc_array(ctx, type, n)))
#define mem_zero_array(ctx, type, n) ((type *)mem_check(talloc_zero_array(ctx, type, n)))
/* Grow or shrink an array in place; p may be NULL, n is at least 1. */
#define mem_resize(ctx, p, type, n) ((type *)mem_check(talloc_realloc(ctx, p, type, n)))
/* A context for what belongs together. One octet, so that a pointer to it lies inside for the leak checker. */
#define mem_ctx(parent) mem_check(talloc_named_const(parent, 1, "context"))

void *mem_dup(const void *ctx, const void *p, size_t len);
char *mem_strdup(const void *ctx, const char *);
char *mem_strndup(const void *ctx, const char *, size_t max);
char *mem_printf(const void *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *mem_vprintf(const void *ctx, const char *fmt, va_list) __attribute__((format(printf, 2, 0)));

#endif
