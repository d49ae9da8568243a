/* ns/1, head/1 and peer/1: what parses is printed, and parses again to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/mail/ns.h"
#include "lib/mail/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void try_ns(void *ctx, struct bytes in)
{
	struct err e;
	size_t used, at = 0;
	struct ns *n;

	while ((n = ns_parse(ctx, bytes_of(in.data + at, in.len - at), &used, &e))) {
		struct buf *first = buf_new(ctx, MIB(1)), *second = buf_new(ctx, MIB(1));
		struct buf *record = buf_new(ctx, MIB(1));
		ns_print(record, n);
		ns_add_padded(first, buf_bytes(record));
		check(record->overflow || first->overflow || first->len % 512 == 0);
		struct ns *again = ns_parse(ctx, buf_bytes(first), &used, &e);
		check(record->overflow || first->overflow || (again && used == first->len));
		if (again) {
			ns_print(second, again);
			check(bytes_equal(buf_bytes(record), buf_bytes(second)));
		}
		at += used < in.len - at ? used : in.len - at;
	}
}

static void try_head(void *ctx, struct bytes in)
{
	struct err e;
	struct buf *b = buf_new(ctx, MIB(4));
	struct head *h = head_parse(ctx, in, &e);

	if (!h)
		return;
	head_print(b, h);
	struct head *again = head_parse(ctx, buf_bytes(b), &e);
	check(again && bytes_equal(h->pieces, again->pieces) && bytes_equal(h->skeleton.text, again->skeleton.text) &&
	    strcmp(h->skeleton.parts, again->skeleton.parts) == 0);
}

static void try_peer(void *ctx, struct bytes in)
{
	struct err e;
	struct buf *b = buf_new(ctx, MIB(1));
	struct peer *p = peer_parse(ctx, in, &e);

	if (!p)
		return;
	peer_print(b, p);
	struct peer *again = peer_parse(ctx, buf_bytes(b), &e);
	check(again && bytes_equal(p->key, again->key) && p->serial == again->serial && p->n_urls == again->n_urls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = mem_ctx(NULL);
	struct bytes in = bytes_of(data, size);

	if (size > 0) {
		try_ns(ctx, in);
		try_head(ctx, in);
		try_peer(ctx, in);
	}
	talloc_free(ctx);
	return 0;
}
