/*
 * One direction's worth of zlib each, without headers (RFC 1951), between
 * libevent's buffers. Windows are small: there is one pair for every
 * connection that asked for it, and mail text repeats itself within a few KiB.
 */
#define ZLIB_CONST
#include <event2/buffer.h>
#include <zlib.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/loop/private.h"

enum {
	LEVEL = 3,		/* what a client waits for is worth more than the last percent */
	OUT_BITS = 13, OUT_MEMORY = 7,
	IN_BITS = 15,		/* the client may use the largest */
	BLOCK = 16 * 1024,
};

struct deflate {
	z_stream out, in;
	bool unflushed;
};

static int wipe(struct deflate *d)
{
	deflateEnd(&d->out);
	inflateEnd(&d->in);
	return 0;
}

struct deflate *deflate_new(const void *ctx)
{
	struct deflate *d = mem_zero(ctx, struct deflate);

	if (deflateInit2(&d->out, LEVEL, Z_DEFLATED, -OUT_BITS, OUT_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK ||
	    inflateInit2(&d->in, -IN_BITS) != Z_OK)
		mem_check(NULL);
	talloc_set_destructor(d, wipe);
	return d;
}

/* What zlib has to say, until it has no more. */
static void run_out(struct deflate *d, int flush, struct evbuffer *to)
{
	struct evbuffer_iovec v;

	do {
		if (evbuffer_reserve_space(to, BLOCK, &v, 1) != 1)
			mem_check(NULL);
		d->out.next_out = (unsigned char *)v.iov_base;
		d->out.avail_out = BLOCK;
		/* Z_BUF_ERROR: there was nothing to do. */
		deflate(&d->out, flush);
		v.iov_len = BLOCK - d->out.avail_out;
		evbuffer_commit_space(to, &v, 1);
	} while (d->out.avail_out == 0);
}

void deflate_write(struct deflate *d, const void *data, size_t len, struct evbuffer *to)
{
	d->out.next_in = (const Bytef *)data;
	d->out.avail_in = (uInt)len;
	run_out(d, Z_NO_FLUSH, to);
	d->unflushed = true;
}

void deflate_flush(struct deflate *d, struct evbuffer *to)
{
	if (!d->unflushed)
		return;
	d->out.avail_in = 0;
	run_out(d, Z_SYNC_FLUSH, to);
	d->unflushed = false;
}

bool deflate_read(struct deflate *d, struct evbuffer *from, struct evbuffer *to, size_t max)
{
	struct evbuffer_iovec v;
	int res = Z_OK;

	while (res == Z_OK && evbuffer_get_length(to) < max) {
		size_t len = evbuffer_get_contiguous_space(from);

		if (evbuffer_reserve_space(to, BLOCK, &v, 1) != 1)
			mem_check(NULL);
		d->in.next_in = len > 0 ? evbuffer_pullup(from, (ev_ssize_t)len) : NULL;
		d->in.avail_in = (uInt)len;
		d->in.next_out = (unsigned char *)v.iov_base;
		d->in.avail_out = BLOCK;
		/* Without input it may still have output, and says Z_BUF_ERROR when it has none. */
		res = inflate(&d->in, Z_SYNC_FLUSH);
		evbuffer_drain(from, len - d->in.avail_in);
		v.iov_len = BLOCK - d->in.avail_out;
		evbuffer_commit_space(to, &v, 1);
	}
	return res == Z_OK || res == Z_BUF_ERROR;
}
