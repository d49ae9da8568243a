#ifndef HTTP_CONTENT_DIGEST_H
#define HTTP_CONTENT_DIGEST_H
/*
 * The field Content-Digest (RFC 9530): "sha-256=:BASE64:", perhaps among digests
 * of other names. Pure, any thread.
 */
#include <stdint.h>

#include "lib/base/digest.h"

/* 1: out is the SHA-256; 0: well formed but none in it; -1: not well formed, or two of them. */
int http_content_digest_parse(const char *field, uint8_t out[DIGEST_LEN]);
/* Below ctx. */
char *http_content_digest_print(const void *ctx, const uint8_t digest[DIGEST_LEN]);

#endif
