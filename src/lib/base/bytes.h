#ifndef BASE_BYTES_H
#define BASE_BYTES_H
/*
 * Octets with a length, and a buffer that grows up to a ceiling given at
 * birth. Memory is talloc's: freed with its context. Not locked.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed octets, never NUL-terminated by promise. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
	return (struct bytes){ (const uint8_t *)data, len };
}

static inline struct bytes bytes_str(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

bool bytes_equal(struct bytes, struct bytes);
/* A copy below ctx; always followed by a NUL that len does not count. */
struct bytes bytes_dup(const void *ctx, struct bytes);

/* A growing buffer. data is NUL-terminated after every call. */
struct buf {
	char *data;
	size_t len;
	size_t max;		/* ceiling, without the NUL */
	size_t size;		/* allocated */
	bool overflow;		/* something did not fit; it was dropped whole */
};

struct buf *buf_new(const void *ctx, size_t max);
/* Each returns false, sets overflow and adds nothing when the ceiling would be passed. */
bool buf_add(struct buf *, const void *, size_t);
bool buf_adds(struct buf *, const char *);
bool buf_addf(struct buf *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_clear(struct buf *);
struct bytes buf_bytes(const struct buf *);

#endif
