/*
 * Octets on their way into and out of gpg. GPGME reads and writes through
 * callbacks; what comes out is counted while it comes, because gpg hands out
 * plaintext before it knows whether the message is whole, and a compressed
 * bomb has no end worth waiting for. A callback that fails ends the operation;
 * gpg then meets a closed pipe and ends, too.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/pgp/work.h"

/* A pipe's worth: the default of 512 costs half the throughput, and more than 64 KiB a third. */
static const char buffer_size[] = "65536";

static ssize_t on_read(void *arg, void *buf, size_t len)
{
	struct flow *f = arg;
	ssize_t n = f->source->read(f->source->arg, buf, len);

	if (n < 0) {
		f->broken = true;
		errno = EIO;
	}
	return n;
}

int flow_put(struct flow *f, const void *buf, size_t len)
{
	if (len > f->left) {
		f->over = true;
		errno = EFBIG;
		return -1;
	}
	f->left -= len;
	if (f->sink->write(f->sink->arg, buf, len) < 0) {
		f->broken = true;
		errno = EIO;
		return -1;
	}
	return 0;
}

static ssize_t on_write(void *arg, const void *buf, size_t len)
{
	return flow_put(arg, buf, len) < 0 ? -1 : (ssize_t)len;
}

static enum outcome flow_open(struct flow *f, struct err *e)
{
	/* GPGME keeps the address, and takes it without const. */
	static struct gpgme_data_cbs source_cbs = { .read = on_read };
	static struct gpgme_data_cbs sink_cbs = { .write = on_write };
	gpgme_error_t failed = gpgme_data_new_from_cbs(&f->data, f->source ? &source_cbs : &sink_cbs, f);

	if (failed) {
		work_explain(e, "gpg data", failed);
		return RETRY;
	}
	gpgme_data_set_flag(f->data, "io-buffer-size", buffer_size);
	return OK;
}

enum outcome flow_open_source(struct flow *f, const struct pgp_source *source, struct err *e)
{
	*f = (struct flow){ .source = source };
	return flow_open(f, e);
}

enum outcome flow_open_sink(struct flow *f, const struct pgp_sink *sink, uint64_t max, struct err *e)
{
	*f = (struct flow){ .sink = sink, .left = max };
	return flow_open(f, e);
}

void flow_close(struct flow *f)
{
	if (f->data)
		gpgme_data_release(f->data);
	f->data = NULL;
}

static ssize_t octets_read(void *arg, void *buf, size_t len)
{
	struct octets *o = arg;
	size_t n = o->in.len - o->pos;

	if (n > len)
		n = len;
	if (n)
		memcpy(buf, o->in.data + o->pos, n);
	o->pos += n;
	return (ssize_t)n;
}

struct pgp_source octets_source(struct octets *o)
{
	return (struct pgp_source){ octets_read, o };
}

static int octets_write(void *arg, const void *buf, size_t len)
{
	return buf_add(arg, buf, len) ? 0 : -1;
}

struct pgp_sink octets_sink(struct buf *b)
{
	return (struct pgp_sink){ octets_write, b };
}
