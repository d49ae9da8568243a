#ifndef HTTP_UPLOAD_H
#define HTTP_UPLOAD_H
/*
 * The body of one PUT on its way into a descriptor: written as it comes, hashed
 * as it is written, never collected. HTTP thread; it belongs to its request.
 * Answers are HTTP statuses, 0 for none.
 */
#include <stdint.h>

#include "lib/base/bytes.h"

struct upload;

/* size octets will come; fd is borrowed, written from where it stands. Talloc: freed with ctx. */
struct upload *upload_new(const void *ctx, int fd, uint64_t size, int64_t now_ms);
/* 500 or 507: it cannot be written. 408: too slow. 400: more than size. After either nothing more is written. */
unsigned upload_add(struct upload *, struct bytes, int64_t now_ms);
uint64_t upload_left(const struct upload *);	/* octets that are still to come */
/* All of it is here: its SHA-256; 400 when octets are missing. Once. */
unsigned upload_end(struct upload *, uint8_t digest_out[32]);

#endif
