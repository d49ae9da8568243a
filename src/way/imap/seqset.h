#ifndef IMAP_SEQSET_H
#define IMAP_SEQSET_H
/* Sets of sequence numbers or UIDs: "1:4,7,*" (RFC 3501 section 9, sequence-set). Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

#define IMAP_STAR (UINT64_C(1) << 32)	/* '*', until resolved */

struct imap_range {
	uint64_t lo, hi;
};

struct imap_seqset {
	struct imap_range *ranges;	/* below ctx; ascending and apart after parsing, but for '*' */
	size_t n;
	bool single;			/* names exactly one message: "7", "7:7", "*" */
};

/* 1, or -1 when text is none. */
int imap_seqset_parse(const void *ctx, const char *text, struct imap_seqset *out);
/* '*' is last; then ascending and apart. last 0 (nothing there): '*' names nothing. */
void imap_seqset_resolve(struct imap_seqset *, uint32_t last);
bool imap_seqset_has(const struct imap_seqset *, uint32_t);
/* Highest number; 0 when empty. */
uint64_t imap_seqset_max(const struct imap_seqset *);
/* "4,7:9" of ascending numbers. */
void imap_seqset_print(struct buf *, const uint32_t *numbers, size_t n);

#endif
