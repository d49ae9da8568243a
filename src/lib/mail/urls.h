#ifndef MAIL_URLS_H
#define MAIL_URLS_H
/*
 * Base URLs of a peer's outbox as rows keep them: one per line, "" for none.
 * Pure; any thread. Results are below ctx.
 */
#include <stddef.h>

/* What is wrong with it as a base URL (http or https, printable ASCII, at most LIMIT_URL); NULL for nothing. */
const char *urls_fault(const char *url);

char *urls_print(const void *ctx, const char *const *urls, size_t n);
/* The first one with path ("/ns"), joined by exactly one slash; NULL when there is none. */
char *urls_first(const void *ctx, const char *urls, const char *path);
/* What follows the first one; "" at the end. Borrowed. */
const char *urls_rest(const char *urls);

#endif
