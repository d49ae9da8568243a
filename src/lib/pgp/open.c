/*
 * Opening what came from others. gpg is generous: it hands out plaintext of
 * messages that are unsigned, signed twice, signed by anybody, or followed by
 * other packets. So the framing is walked before gpg sees a message, and
 * afterwards every rule of p2pmta-protocol(7), section 2 is asked for by name; what
 * is not known to be right is refused.
 */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/mail/packets.h"
#include "lib/pgp/clerk.h"
#include "lib/pgp/work.h"

static bool is_fpr(const char *s)
{
	return s && strlen(s) == FPR_LEN - 1 && strspn(s, "0123456789ABCDEF") == FPR_LEN - 1;
}

static bool is_strong(gpgme_hash_algo_t hash)
{
	return hash == GPGME_MD_SHA256 || hash == GPGME_MD_SHA384 || hash == GPGME_MD_SHA512;
}

static enum outcome refuse(struct err *e, const char *why)
{
	err_set(e, "%s", why);
	return REJECT;
}

static enum outcome judge_good(struct work *w, gpgme_signature_t sig, const char *role, struct pgp_verdict *v, struct err *e)
{
	if (w->heard.validsig != 1 || !is_fpr(w->heard.primary))
		return refuse(e, "not exactly one valid signature");
	if (!w->heard.binary)
		return refuse(e, "the signature is not one over binary data");
	if (!is_strong(sig->hash_algo))
		return refuse(e, "the signature's hash is weaker than SHA-256");
	if (!work_is_role(sig->notations, role)) {
		err_set(e, "the signature's role is not %s", role);
		return REJECT;
	}
	v->signer = PGP_GOOD;
	memcpy(v->fpr, w->heard.primary, FPR_LEN);
	return OK;
}

static enum outcome judge_signature(struct work *w, const char *role, struct pgp_verdict *v, struct err *e)
{
	gpgme_verify_result_t result = gpgme_op_verify_result(w->gpg);
	gpgme_signature_t sig = result ? result->signatures : NULL;

	*v = (struct pgp_verdict){ .signer = PGP_UNKNOWN };
	if (!sig)
		return refuse(e, "not signed");
	if (sig->next || w->heard.newsig != 1)
		return refuse(e, "more than one signature");
	if (w->heard.plaintext != 1)
		return refuse(e, "not exactly one text");
	switch ((int)gpgme_err_code(sig->status)) {
	case GPG_ERR_NO_ERROR:
		return judge_good(w, sig, role, v, e);
	case GPG_ERR_NO_PUBKEY:
		if (is_fpr(sig->fpr))
			memcpy(v->fpr, sig->fpr, FPR_LEN);
		return OK;
	default:
		work_explain(e, "signature", sig->status);
		return REJECT;
	}
}

static enum outcome judge_encryption(struct work *w, bool aes256, struct err *e)
{
	gpgme_decrypt_result_t result = gpgme_op_decrypt_result(w->gpg);

	if (!result || result->legacy_cipher_nomdc || w->heard.goodmdc != 1 || w->heard.decryption != 1)
		return refuse(e, "not protected against changes (MDC)");
	/* A session key for our public key would do for gpg, too. */
	if (aes256 && (!w->asked || !result->symkey_algo || strncmp(result->symkey_algo, "AES256.", 7)))
		return refuse(e, "not sealed under the key with AES-256");
	return OK;
}

enum task { TASK_OPEN, TASK_SHARED, TASK_VERIFY, TASK_UNSEAL };

static enum outcome judge_failure(struct work *w, const struct flow *in, const struct flow *out, gpgme_error_t failed,
    struct err *e)
{
	if (out->over)
		return refuse(e, "larger than announced");
	if (in->broken || out->broken) {
		err_set(e, "reading or writing failed");
		return RETRY;
	}
	work_explain(e, "gpg", failed);
	return work_judge(w, failed);
}

static enum outcome judge(struct work *w, enum task task, const char *role, struct pgp_verdict *v, struct err *e)
{
	enum outcome res = OK;

	if (task != TASK_VERIFY)
		res = judge_encryption(w, task == TASK_UNSEAL, e);
	return res == OK ? judge_signature(w, role, v, e) : res;
}

static enum outcome run(struct work *w, enum task task, const char *role, struct flow *in, struct flow *out,
    struct pgp_verdict *v, struct err *e)
{
	gpgme_error_t failed;

	if (task == TASK_VERIFY)
		failed = gpgme_op_verify(w->gpg, in->data, NULL, out->data);
	else
		failed = gpgme_op_decrypt_verify(w->gpg, in->data, out->data);
	return failed ? judge_failure(w, in, out, failed, e) : judge(w, task, role, v, e);
}

static enum outcome open_octets(struct pgp *p, enum task task, const char *role, struct bytes in, struct buf *out,
    struct pgp_verdict *v, struct err *e)
{
	struct octets octets = { .in = in };
	struct pgp_source source = octets_source(&octets);
	struct pgp_sink sink = octets_sink(out);
	struct flow flow_in = { 0 }, flow_out = { 0 };
	struct work w;
	enum outcome res;

	static const enum packets_shape shapes[] = {
		[TASK_OPEN] = PACKETS_NS, [TASK_SHARED] = PACKETS_SHARED, [TASK_VERIFY] = PACKETS_SIGNED,
	};

	if (packets_check(shapes[task], in, e) < 0)
		return REJECT;
	res = work_start(&w, p, ENGINE_RECORD, e);
	if (res == OK)
		res = flow_open_source(&flow_in, &source, e);
	if (res == OK)
		res = flow_open_sink(&flow_out, &sink, out->max, e);
	if (res == OK)
		res = run(&w, task, role, &flow_in, &flow_out, v, e);
	flow_close(&flow_in);
	flow_close(&flow_out);
	work_end(&w);
	return res;
}

static enum outcome open_once(struct pgp *p, const void *ctx, enum task task, const char *role, struct bytes in,
    size_t max, struct bytes *out, struct pgp_verdict *v, struct err *e)
{
	static const enum clerk_task tasks[] = {
		[TASK_OPEN] = CLERK_OPEN, [TASK_SHARED] = CLERK_SHARED, [TASK_VERIFY] = CLERK_VERIFY,
	};
	struct clerk_order order = { .task = tasks[task], .role = role, .in = in, .max = max };
	enum outcome res;

	if (clerk_do(p, ctx, &order, &res, out, v, e))
		return res;
	struct buf *buf = buf_new(ctx, max);
	res = open_octets(p, task, role, in, buf, v, e);

	if (res == OK) {
		*out = buf_bytes(buf);
	} else {
		*out = bytes_of(NULL, 0);
		talloc_free(buf);
	}
	return res;
}

static enum outcome open_below(struct pgp *p, const void *ctx, enum task task, const char *role, struct bytes in,
    size_t max, struct bytes *out, struct pgp_verdict *v, struct err *e)
{
	for (int i = 0; i < RING_TRIES; i++) {
		unsigned before = atomic_load(&p->ring_changes);
		enum outcome res = open_once(p, ctx, task, role, in, max, out, v, e);

		if (!ring_is_doubtful(p, before, res, v))
			return res;
	}
	*out = bytes_of(NULL, 0);
	return ring_doubt(e);
}

enum outcome pgp_open_work(struct pgp *p, const void *ctx, const char *role, struct bytes in, size_t max,
    struct bytes *out, struct pgp_verdict *v, struct err *e)
{
	return open_below(p, ctx, TASK_OPEN, role, in, max, out, v, e);
}

enum outcome pgp_open_shared_work(struct pgp *p, const void *ctx, const char *role, struct bytes in, size_t max,
    struct bytes *out, struct pgp_verdict *v, struct err *e)
{
	return open_below(p, ctx, TASK_SHARED, role, in, max, out, v, e);
}

enum outcome pgp_verify_work(struct pgp *p, const void *ctx, const char *role, struct bytes in, size_t max,
    struct bytes *out, struct pgp_verdict *v, struct err *e)
{
	return open_below(p, ctx, TASK_VERIFY, role, in, max, out, v, e);
}

enum outcome pgp_unseal_work(struct pgp *p, const char *role, const char key[SEAL_KEY_TEXT], uint64_t max,
    const struct pgp_source *source, const struct pgp_sink *sink, struct pgp_verdict *v, struct err *e)
{
	struct flow in = { 0 }, out = { 0 };
	struct work w;
	unsigned before = atomic_load(&p->ring_changes);
	enum outcome res = work_start(&w, p, ENGINE_BULK, e);

	if (res == OK)
		res = flow_open_source(&in, source, e);
	if (res == OK)
		res = flow_open_sink(&out, sink, max, e);
	if (res == OK) {
		work_set_passphrase(&w, key);
		res = run(&w, TASK_UNSEAL, role, &in, &out, v, e);
	}
	flow_close(&in);
	flow_close(&out);
	work_end(&w);
	return ring_is_doubtful(p, before, res, v) ? ring_doubt(e) : res;
}

enum outcome pgp_unseal_fd_work(struct pgp *p, const char *role, const char key[SEAL_KEY_TEXT], uint64_t max,
    int fd, const struct pgp_sink *sink, struct pgp_verdict *v, struct err *e)
{
	struct flow in = { 0 }, out = { 0 };
	gpgme_error_t failed;
	struct work w;
	unsigned before = atomic_load(&p->ring_changes);
	enum outcome res = work_start(&w, p, ENGINE_DIRECT, e);

	if (res == OK)
		res = flow_open_sink(&out, sink, max, e);
	if (res == OK) {
		work_set_passphrase(&w, key);
		res = direct_decrypt(&w, fd, &out, &failed, e);
	}
	/* gpg may have been done before its last octets were refused. */
	if (res == OK && (failed || out.over || out.broken))
		res = judge_failure(&w, &in, &out, failed, e);
	else if (res == OK)
		res = judge(&w, TASK_UNSEAL, role, v, e);
	flow_close(&out);
	work_end(&w);
	return ring_is_doubtful(p, before, res, v) ? ring_doubt(e) : res;
}
