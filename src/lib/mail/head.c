/*
 * The head object: what does not fit into the ns. It is verified by the hash
 * in the ns before it comes here, but its author is as much a stranger as
 * the author of the ns.
 */
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/mail/ns.h"
#include "lib/mail/parts.h"

enum { PIECES_MAX = 1024 };

static const char *const no_must[] = { NULL };

uint64_t head_piece_size(uint64_t sealed_size)
{
	uint64_t size = MIB(1);

	if (sealed_size <= size)
		return 0;
	while (sealed_size > size * PIECES_MAX)
		size *= 2;
	return size;
}

static bool is_piece_size(uint64_t size)
{
	return size >= MIB(1) && (size & (size - 1)) == 0;
}

static int parse_body(struct head *h, const struct record *r, struct err *e)
{
	uint64_t skeleton;

	if (record_need(record_get_number(r, "Skeleton-Size", r->body.len, &skeleton, e), "Skeleton-Size", e) < 0)
		return -1;

	int there = record_get_number(r, "Piece-Size", LIMIT_MESSAGE, &h->piece_size, e);
	size_t pieces = r->body.len - (size_t)skeleton;
	if (there < 0)
		return -1;
	if ((there > 0) != (pieces > 0) || pieces % DIGEST_LEN != 0 ||
	    pieces / DIGEST_LEN > PIECES_MAX || (there > 0 && !is_piece_size(h->piece_size))) {
		err_set(e, "record: Piece-Size and the piece hashes do not fit");
		return -1;
	}
	h->skeleton.text = bytes_dup(h, bytes_of(r->body.data, (size_t)skeleton));
	h->pieces = bytes_dup(h, bytes_of(r->body.data + skeleton, pieces));
	return 0;
}

struct head *head_parse(const void *ctx, struct bytes in, struct err *e)
{
	struct head *h = mem_zero(ctx, struct head);
	size_t used;
	struct record *r = record_parse(h, in, LIMIT_HEAD, &used, e);

	if (!r)
		goto fail;
	if (strcmp(r->type, "head") != 0 || record_find_must(r, no_must) || used != in.len) {
		err_set(e, "record: no head that we can read");
		goto fail;
	}
	if (record_need(record_get_hash(r, "Hash", h->hash, e), "Hash", e) < 0 ||
	    parts_parse(r, h, &h->skeleton.parts, e) < 0 || parse_body(h, r, e) < 0)
		goto fail;
	talloc_free(r);
	return h;
fail:
	talloc_free(h);
	return NULL;
}

void head_print(struct buf *b, const struct head *h)
{
	struct bytes text = h->skeleton.text, pieces = h->pieces;

	record_print_start(b, "head");
	record_print_hash(b, "Hash", h->hash);
	if (h->skeleton.parts)
		parts_print(b, h->skeleton.parts);
	record_print_number(b, "Skeleton-Size", text.len);
	if (pieces.len > 0)
		record_print_number(b, "Piece-Size", h->piece_size);
	if (text.len + pieces.len > 0)
		record_print_number(b, "Length", text.len + pieces.len);
	buf_adds(b, "\r\n");
	if (text.len > 0)
		buf_add(b, text.data, text.len);
	if (pieces.len > 0)
		buf_add(b, pieces.data, pieces.len);
}
