#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H
/*
 * The two request fields that are parsed by ourselves (RFC 9110 sections 13
 * and 14). Pure, any thread.
 */
#include <stdbool.h>
#include <stdint.h>

enum http_range {
	HTTP_RANGE_NONE,	/* several ranges, another unit or nonsense: answer with all of it */
	HTTP_RANGE_PART,	/* 206 */
	HTTP_RANGE_BEYOND,	/* 416 */
};

/* "bytes=0-99", "bytes=100-", "bytes=-5" of something that has size octets. len_out is never 0. */
enum http_range http_range_parse(const char *field, uint64_t size, uint64_t *first_out,
    uint64_t *len_out);

/* Is etag (quoted) in the list of If-None-Match, or the list "*"? W/ makes no difference. */
bool http_etag_in(const char *list, const char *etag);

#endif
