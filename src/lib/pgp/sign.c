/*
 * What we sign, and what we seal. The signing key is gpg.conf's default-key:
 * a gpgme_get_key() for a signer would cost another gpg process. Each
 * signature says in a notation what it is for, so that one given for one
 * purpose is worth nothing for another.
 */
#include <assert.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/pgp/clerk.h"
#include "lib/pgp/work.h"

enum { OVERHEAD = 64 * 1024 };	/* what gpg may add to a record: signature, headers, PKESKs */

/* A gpg run between two flows: memory to memory, or stream to stream. */
struct run {
	struct work work;
	struct flow in, out;
};

static enum outcome run_start(struct run *r, struct pgp *p, enum engine engine, const char *role, struct err *e)
{
	*r = (struct run){ 0 };
	if (!*p->own_fpr) {
		err_set(e, "there is no key to sign with");
		return REJECT;
	}
	enum outcome res = work_start(&r->work, p, engine, e);
	if (res == OK)
		res = work_set_role(&r->work, role, e);
	return res;
}

static enum outcome run_open(struct run *r, const struct pgp_source *source, const struct pgp_sink *sink,
    uint64_t max, struct err *e)
{
	enum outcome res = flow_open_source(&r->in, source, e);

	if (res == OK)
		res = flow_open_sink(&r->out, sink, max, e);
	return res;
}

/* Making something fails for want of gpg, disk (then gpg says that ours is unusable) or a usable key of his. */
static enum outcome run_result(struct run *r, const char *what, gpgme_error_t failed, struct err *e)
{
	if (!failed)
		return OK;
	if (r->out.over) {
		err_set(e, "%s: the result is too big", what);
		return REJECT;
	}
	if (r->in.broken || r->out.broken) {
		err_set(e, "%s: reading or writing failed", what);
		return RETRY;
	}
	work_explain(e, what, failed);
	switch ((int)gpgme_err_code(failed)) {
	case GPG_ERR_UNUSABLE_PUBKEY:
	case GPG_ERR_NO_PUBKEY:
		return REJECT;
	default:
		/* Our own key cannot be used while the disk is full or the agent is ending: that passes. */
		return RETRY;
	}
}

static void run_end(struct run *r)
{
	flow_close(&r->in);
	flow_close(&r->out);
	work_end(&r->work);
}

enum outcome pgp_sign_work(struct pgp *p, const void *ctx, const char *role, struct bytes in, struct bytes *out, struct err *e)
{
	struct clerk_order order = { .task = CLERK_SIGN, .role = role, .in = in };
	enum outcome done;

	if (*p->own_fpr && clerk_do(p, ctx, &order, &done, out, NULL, e))
		return done;
	struct octets octets = { .in = in };
	struct pgp_source source = octets_source(&octets);
	struct buf *buf = buf_new(ctx, in.len + OVERHEAD);
	struct pgp_sink sink = octets_sink(buf);
	struct run r;
	enum outcome res = run_start(&r, p, ENGINE_SIGN, role, e);

	if (res == OK)
		res = run_open(&r, &source, &sink, buf->max, e);
	if (res == OK)
		res = run_result(&r, "sign", gpgme_op_sign(r.work.gpg, r.in.data, r.out.data, GPGME_SIG_MODE_NORMAL), e);
	*out = buf_bytes(buf);
	run_end(&r);
	return res;
}

/* As GPGME takes them: no options after "--", one fingerprint a line. */
static char *recipients(const char *const *fprs, size_t n)
{
	struct buf *list = buf_new(NULL, 3 + n * FPR_LEN);

	buf_adds(list, "--\n");
	for (size_t i = 0; i < n; i++) {
		assert(strlen(fprs[i]) == FPR_LEN - 1);
		buf_addf(list, "%s\n", fprs[i]);
	}
	char *text = mem_strdup(NULL, list->data);
	talloc_free(list);
	return text;
}

static enum outcome encrypt_once(struct pgp *p, const void *ctx, const char *role, const char *const *fprs, size_t n_fprs,
    struct bytes in, struct bytes *out, struct err *e)
{
	const gpgme_encrypt_flags_t flags = GPGME_ENCRYPT_ALWAYS_TRUST | GPGME_ENCRYPT_NO_ENCRYPT_TO |
	    GPGME_ENCRYPT_THROW_KEYIDS | GPGME_ENCRYPT_NO_COMPRESS;
	struct clerk_order order = { .task = CLERK_NOTICE, .role = role, .fpr = fprs[0], .in = in };
	enum outcome done;

	assert(n_fprs > 0);
	if (n_fprs == 1 && clerk_do(p, ctx, &order, &done, out, NULL, e))
		return done;
	struct octets octets = { .in = in };
	struct pgp_source source = octets_source(&octets);
	struct buf *buf = buf_new(ctx, in.len + OVERHEAD + n_fprs * LIMIT_PKESK);
	struct pgp_sink sink = octets_sink(buf);
	char *list = recipients(fprs, n_fprs);
	struct run r;
	enum outcome res = run_start(&r, p, ENGINE_RECORD, role, e);

	if (res == OK)
		res = run_open(&r, &source, &sink, buf->max, e);
	if (res == OK)
		res = run_result(&r, "encrypt", gpgme_op_encrypt_sign_ext(r.work.gpg, NULL, list, flags,
		    r.in.data, r.out.data), e);
	*out = buf_bytes(buf);
	run_end(&r);
	talloc_free(list);
	return res;
}

enum outcome pgp_sign_encrypt_work(struct pgp *p, const void *ctx, const char *role, const char *const *fprs, size_t n_fprs,
    struct bytes in, struct bytes *out, struct err *e)
{
	for (int i = 0; i < RING_TRIES; i++) {
		unsigned before = atomic_load(&p->ring_changes);
		enum outcome res = encrypt_once(p, ctx, role, fprs, n_fprs, in, out, e);

		if (!ring_is_doubtful(p, before, res, NULL))
			return res;
	}
	*out = bytes_of(NULL, 0);
	return ring_doubt(e);
}

/* A source that has been read so far: as much as a clerk takes, then the rest. */
struct begun {
	struct octets octets;
	bool over, broken;
	const struct pgp_source *rest;
};

static struct bytes begin(struct begun *b, const void *ctx, const struct pgp_source *source)
{
	uint8_t *octets = mem_array(ctx, uint8_t, CLERK_MAX);
	size_t len = 0;

	*b = (struct begun){ .rest = source };
	while (len < CLERK_MAX && !b->over && !b->broken) {
		ssize_t n = source->read(source->arg, octets + len, CLERK_MAX - len);

		b->over = n == 0;
		b->broken = n < 0;
		len += n > 0 ? (size_t)n : 0;
	}
	return b->octets.in = bytes_of(octets, len);
}

static ssize_t begun_read(void *arg, void *buf, size_t len)
{
	struct begun *b = arg;
	struct pgp_source octets = octets_source(&b->octets);
	ssize_t n = octets.read(octets.arg, buf, len);

	return n > 0 || b->over ? n : b->rest->read(b->rest->arg, buf, len);
}

static enum outcome seal_here(struct pgp *p, const char *role, const char key[SEAL_KEY_TEXT], bool compress,
    const struct pgp_source *source, const struct pgp_sink *sink, struct err *e)
{
	struct run r;
	enum outcome res = run_start(&r, p, ENGINE_BULK, role, e);

	if (res == OK)
		res = run_open(&r, source, sink, UINT64_MAX, e);
	if (res == OK) {
		work_set_passphrase(&r.work, key);
		/* No recipients: --symmetric --sign in one process. */
		res = run_result(&r, "seal", gpgme_op_encrypt_sign(r.work.gpg, NULL,
		    compress ? 0 : GPGME_ENCRYPT_NO_COMPRESS, r.in.data, r.out.data), e);
	}
	run_end(&r);
	return res;
}

enum outcome pgp_seal_work(struct pgp *p, const char *role, const char key[SEAL_KEY_TEXT], bool compress,
    const struct pgp_source *source, const struct pgp_sink *sink, struct err *e)
{
	char *tmp = mem_ctx(NULL);
	struct begun begun;
	struct clerk_order order = { .task = CLERK_SEAL, .role = role, .key = key, .compress = compress };
	struct bytes out;
	enum outcome res = RETRY;

	order.in = begin(&begun, tmp, source);
	if (begun.broken) {
		err_set(e, "seal: reading or writing failed");
	} else if (!begun.over || !clerk_do(p, tmp, &order, &res, &out, NULL, e)) {
		res = seal_here(p, role, key, compress, &(struct pgp_source){ begun_read, &begun }, sink, e);
	} else if (res == OK && sink->write(sink->arg, out.data, out.len) < 0) {
		err_set(e, "seal: reading or writing failed");
		res = RETRY;
	}
	talloc_free(tmp);
	return res;
}
