/*
 * A body that trickles holds a descriptor and one of few places, so each
 * stretch of time has to bring something; whoever brings nothing at all is
 * left to the server's idle limit.
 */
#include <errno.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/http/upload.h"

struct upload {
	int fd;
	uint64_t size, n;		/* announced, here */
	unsigned failed;
	int64_t since_ms;		/* begin of the stretch */
	uint64_t n_stretch;
	struct digest *digest;
};

struct upload *upload_new(const void *ctx, int fd, uint64_t size, int64_t now_ms)
{
	struct upload *u = mem_zero(ctx, struct upload);

	u->fd = fd;
	u->size = size;
	u->since_ms = now_ms;
	u->digest = digest_new(u);
	return u;
}

static bool is_slow(struct upload *u, size_t len, int64_t now_ms)
{
	u->n_stretch += len;
	if (now_ms - u->since_ms < LIMIT_HTTP_UPLOAD_S * 1000)
		return false;
	bool slow = u->n_stretch < LIMIT_HTTP_UPLOAD_MIN && u->n < u->size;

	u->since_ms = now_ms;
	u->n_stretch = 0;
	return slow;
}

unsigned upload_add(struct upload *u, struct bytes b, int64_t now_ms)
{
	if (b.len > u->size - u->n) {
		u->failed = 400;
		return u->failed;
	}
	u->n += b.len;
	if (u->failed == 0 && is_slow(u, b.len, now_ms))
		u->failed = 408;
	if (u->failed == 0 && files_write(u->fd, b.data, b.len) < 0)
		u->failed = errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? 507 : 500;
	if (u->failed == 0)
		digest_add(u->digest, b.data, b.len);
	return u->failed;
}

uint64_t upload_left(const struct upload *u)
{
	return u->size - u->n;
}

unsigned upload_end(struct upload *u, uint8_t digest_out[32])
{
	if (u->failed != 0)
		return u->failed;
	digest_take(u->digest, digest_out);
	return u->n == u->size ? 0 : 400;
}
