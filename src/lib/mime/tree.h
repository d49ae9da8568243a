#ifndef MIME_TREE_H
#define MIME_TREE_H
/* What is inside a struct mime, and the scanner's side door for skeletons. For this folder only. */
#include "lib/mime/mime.h"

struct mime {
	uint64_t size;
	struct buf *skeleton;
	struct mime_part *parts;	/* in document order */
	size_t n_parts;
	char *parts_text;
	bool has_tail;			/* the skeleton reached its ceiling: the last of Parts is what follows it */
	uint64_t tail_octets, tail_lines;
};

/* One word of Parts. */
struct mime_measure {
	uint64_t octets, lines;
};

/* A scanner that is fed a skeleton: what is left out comes from given (borrowed until it is taken). */
struct mime_scan *mime_scan_replay(const void *ctx, const struct mime_measure *given, size_t n, uint64_t size);
/* After mime_scan_end(): did skeleton and measures fit? */
bool mime_scan_fits(const struct mime_scan *);
/* The end of the input; mime_scan_take() does it as well. */
void mime_scan_end(struct mime_scan *);

#endif
