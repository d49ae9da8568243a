#ifndef MIME_MIME_H
#define MIME_MIME_H
/*
 * The structure of a message, from one pass over its octets, with bounded
 * memory: a tree of parts with offsets, the skeleton (p2pmta-protocol(7), section 3),
 * and what IMAP shows of it. A skeleton with its Parts gives, through the same
 * scanner, the same tree as the whole message: that is the point of it.
 * Never fails on content: what is broken is a leaf. Any thread, one at a time.
 *
 * Parts are opened down to LIMIT_MIME_DEPTH and LIMIT_MIME_PARTS; multiparts
 * by boundary, message/rfc822 (and message/global) unless base64 or
 * quoted-printable. Lines end with CRLF; a bare LF counts as content.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/base/limits.h"

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

struct mime_part {
	enum mime_kind kind;
	uint32_t parent;		/* index into parts; own index for the root */
	uint32_t first_child, next;	/* 0: none */
	uint32_t number;		/* 1.. among its siblings */
	/* All offsets are in the whole message. */
	uint64_t header_off, header_len;	/* with the empty line */
	uint64_t body_off, body_len;
	uint64_t lines;			/* of the body */
	uint64_t skeleton_off;		/* of the header block, in the skeleton */
};

struct mime;

/* Push scanner for a whole message. */
struct mime_scan;
struct mime_scan *mime_scan_new(const void *ctx);
void mime_scan_feed(struct mime_scan *, struct bytes);
/* The result, below ctx; the scan is freed. */
struct mime *mime_scan_take(struct mime_scan **, const void *ctx);

/* From a skeleton and its Parts. size: of the whole message. NULL with err when the two do not fit together. */
struct mime *mime_from_skeleton(const void *ctx, struct bytes skeleton, const char *parts, uint64_t size, struct err *);
/* From a file; -1 with errno in err. Blocks. */
struct mime *mime_from_fd(const void *ctx, int fd, struct err *);

uint64_t mime_size(const struct mime *);
struct bytes mime_skeleton(const struct mime *);
const char *mime_parts_text(const struct mime *);	/* "octets/lines ..." */
/* More than LIMIT_HEAD: the message has to be pulled before it is filed. */
bool mime_is_too_big(const struct mime *);
/* Same tree, same header octets? What was filed against what was pulled. */
bool mime_equal(const struct mime *, const struct mime *);

/* parts[0] is the message itself. */
const struct mime_part *mime_parts(const struct mime *, size_t *n_out);
/* IMAP section part number "1.2" ("" is the message). RFC 3501 section 6.4.5 numbering. NULL: no such part. */
const struct mime_part *mime_find(const struct mime *, const char *section);
/* Header block of a part, with the empty line; for MIME_MESSAGE content see its child. Borrowed. */
struct bytes mime_header(const struct mime *, const struct mime_part *);

/* As IMAP sends them, with parentheses; 7-bit or UTF-8 as in the message; below ctx. RFC 3501 section 7.4.2. */
char *mime_envelope(const void *ctx, const struct mime *);
char *mime_body(const void *ctx, const struct mime *);
char *mime_bodystructure(const void *ctx, const struct mime *);
/* For IMAP4rev2, which shows message/global as the message it is (RFC 9051 section 7.5.2). */
char *mime_body_global(const void *ctx, const struct mime *);
char *mime_bodystructure_global(const void *ctx, const struct mime *);

#endif
