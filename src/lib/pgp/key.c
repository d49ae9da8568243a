/*
 * Keys in and out of the home. Ours has no passphrase: the daemon has to sign
 * while nobody is there, and the folder's mode protects it. A key of somebody
 * else is walked before gpg imports it: `gpg --import` would just as well take
 * a second key, or a secret one.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/pgp/work.h"

enum {
	TAG_SIGNATURE = 2, TAG_PUBLIC_KEY = 6, TAG_TRUST = 12, TAG_USER_ID = 13, TAG_PUBLIC_SUBKEY = 14, TAG_ATTRIBUTE = 17,
	LIMIT_SECRET_KEY = 64 * 1024,
};

static enum outcome key_failed(struct err *e, const char *what, gpgme_error_t failed)
{
	work_explain(e, what, failed);
	switch ((int)gpgme_err_code(failed)) {
	case GPG_ERR_NO_DATA:
	case GPG_ERR_EOF:
	case GPG_ERR_CONFLICT:
	case GPG_ERR_AMBIGUOUS_NAME:
		return REJECT;
	default:
		return RETRY;
	}
}

static void adopt(struct pgp *p, const char *fpr, char fpr_out[FPR_LEN])
{
	memcpy(p->own_fpr, fpr, FPR_LEN);
	memcpy(fpr_out, fpr, FPR_LEN);
}

/* gpg syncs nothing; who is told of a key must not lose it. */
static enum outcome keep_own(struct pgp *p, struct err *e)
{
	enum outcome res = ring_remember(p, p->home, e);
	int fd = open(p->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (res == OK && (fd < 0 || syncfs(fd) < 0)) {
		err_sys(e, "sync %s", p->home);
		res = RETRY;
	}
	if (fd >= 0)
		close(fd);
	return res;
}

/* Primary ed25519 to sign and certify, subkey cv25519 to encrypt. */
static gpgme_error_t make_key(struct work *w, const char *address, char fpr_out[FPR_LEN])
{
	const unsigned common = GPGME_CREATE_NOPASSWD | GPGME_CREATE_NOEXPIRE | GPGME_CREATE_FORCE;
	gpgme_key_t key = NULL;
	gpgme_error_t failed = gpgme_op_createkey(w->gpg, address, "ed25519", 0, 0, NULL,
	    common | GPGME_CREATE_SIGN | GPGME_CREATE_CERT);
	gpgme_genkey_result_t made = failed ? NULL : gpgme_op_genkey_result(w->gpg);

	if (failed)
		return failed;
	if (!made || !made->fpr || strlen(made->fpr) != FPR_LEN - 1)
		return gpgme_error(GPG_ERR_GENERAL);
	memcpy(fpr_out, made->fpr, FPR_LEN);
	failed = gpgme_get_key(w->gpg, fpr_out, &key, 1);
	if (!failed)
		failed = gpgme_op_createsubkey(w->gpg, key, "cv25519", 0, 0, common | GPGME_CREATE_ENCR);
	if (key)
		gpgme_key_unref(key);
	return failed;
}

enum outcome pgp_make_key_work(struct pgp *p, const char *address, char fpr_out[FPR_LEN], struct err *e)
{
	char fpr[FPR_LEN] = "";
	struct work w;
	enum outcome res = work_start(&w, p, ENGINE_BULK, e);
	gpgme_error_t failed = res == OK ? make_key(&w, address, fpr) : 0;

	work_end(&w);
	if (failed) {
		work_explain(e, "make a key", failed);
		return RETRY;
	}
	if (res != OK)
		return res;
	adopt(p, fpr, fpr_out);
	res = keep_own(p, e);
	return res == OK ? home_write(p, e) : res;
}

/* Signs and encrypts without a passphrase? Only then the daemon can use it. */
static enum outcome try_key(struct pgp *p, struct err *e)
{
	const char *fprs[] = { p->own_fpr };
	char *tmp = mem_ctx(NULL);
	struct bytes out;
	enum outcome res = pgp_sign_encrypt_work(p, tmp, "self/1", fprs, 1, bytes_str("?"), &out, e);

	bool works = res == OK;

	if (works)
		res = pgp_export_work(p, tmp, p->own_fpr, false, &out, e);
	if (res == OK && out.len > LIMIT_OWN_PUBKEY) {
		err_set(e, "this key takes %zu octets and a notice has room for %d: use an ed25519 key, or RSA up to 3072 bits",
		    out.len, LIMIT_OWN_PUBKEY);
		res = REJECT;
	}
	talloc_free(tmp);
	if (!works) {
		err_wrap(e, "this key does not work (has it a passphrase, or no encryption subkey?)");
		res = REJECT;
	}
	return res;
}

static enum outcome import(struct work *w, struct bytes key, struct err *e)
{
	gpgme_data_t data = NULL;
	gpgme_error_t failed = gpgme_data_new_from_mem(&data, (const char *)key.data, key.len, 0);

	if (!failed)
		failed = gpgme_op_import(w->gpg, data);
	if (data)
		gpgme_data_release(data);
	return failed ? key_failed(e, "import", failed) : OK;
}

/* The one key that was imported with wanted in its status; NULL when there is none or more. */
static const char *imported(struct work *w, unsigned wanted)
{
	gpgme_import_result_t result = gpgme_op_import_result(w->gpg);
	const char *fpr = NULL;

	for (gpgme_import_status_t i = result ? result->imports : NULL; i; i = i->next) {
		if (i->result || !i->fpr || strlen(i->fpr) != FPR_LEN - 1 || (i->status & wanted) != wanted)
			continue;
		if (fpr && strcmp(fpr, i->fpr))
			return NULL;
		fpr = i->fpr;
	}
	return fpr;
}

enum outcome pgp_import_secret_work(struct pgp *p, struct bytes key, char fpr_out[FPR_LEN], struct err *e)
{
	struct work w;
	enum outcome res;

	if (key.len > LIMIT_SECRET_KEY) {
		err_set(e, "the secret key is larger than %d octets", LIMIT_SECRET_KEY);
		return REJECT;
	}
	res = work_start(&w, p, ENGINE_BULK, e);
	if (res == OK)
		res = import(&w, key, e);
	const char *fpr = res == OK ? imported(&w, GPGME_IMPORT_SECRET) : NULL;
	if (res == OK && !fpr) {
		err_set(e, "not exactly one secret key in it");
		res = REJECT;
	}
	if (res == OK)
		adopt(p, fpr, fpr_out);
	work_end(&w);
	if (res == OK)
		res = keep_own(p, e);
	if (res == OK)
		res = home_write(p, e);
	return res == OK ? try_key(p, e) : res;
}

/* One packet header: its tag and the octets of header and body, or 0 when it does not fit. */
static size_t packet(struct bytes in, unsigned *tag_out)
{
	static const uint8_t length_octets[] = { 1, 2, 4 };
	const uint8_t *d = in.data;
	size_t head, body = 0;

	if (in.len < 2 || !(d[0] & 0x80))
		return 0;
	if (d[0] & 0x40) {
		*tag_out = d[0] & 0x3f;
		head = d[1] < 192 ? 2 : d[1] < 224 ? 3 : 6;
		if (in.len < head || (d[1] >= 224 && d[1] != 255))
			return 0;
		body = head == 2 ? d[1] : head == 3 ? ((d[1] - 192u) << 8) + d[2] + 192u :
		    (size_t)d[2] << 24 | (size_t)d[3] << 16 | (size_t)d[4] << 8 | d[5];
	} else {
		*tag_out = d[0] >> 2 & 0x0f;
		if ((d[0] & 3) == 3)
			return 0;
		head = 1 + length_octets[d[0] & 3];
		if (in.len < head)
			return 0;
		for (size_t i = 1; i < head; i++)
			body = body << 8 | d[i];
	}
	return body <= in.len - head ? head + body : 0;
}

/* One public key, with what belongs to it, and nothing else. */
static bool is_one_key(struct bytes key)
{
	unsigned tag, n_keys = 0;

	while (key.len) {
		size_t used = packet(key, &tag);
		if (!used)
			return false;
		if (tag == TAG_PUBLIC_KEY)
			n_keys++;
		else if (tag != TAG_SIGNATURE && tag != TAG_TRUST && tag != TAG_USER_ID && tag != TAG_PUBLIC_SUBKEY &&
		    tag != TAG_ATTRIBUTE)
			return false;
		if (!n_keys)
			return false;
		key = bytes_of(key.data + used, key.len - used);
	}
	return n_keys == 1;
}

enum outcome pgp_import_work(struct pgp *p, struct bytes key, char fpr_out[FPR_LEN], struct err *e)
{
	struct ring ring;
	enum outcome res;

	if (key.len > LIMIT_PUBKEY || !is_one_key(key)) {
		err_set(e, "not exactly one public key of at most %d octets", LIMIT_PUBKEY);
		return REJECT;
	}
	res = ring_open(&ring, p, e);
	if (res == OK)
		res = import(&ring.work, key, e);
	const char *fpr = res == OK ? imported(&ring.work, 0) : NULL;
	if (res == OK && !fpr) {
		err_set(e, "gpg finds no usable key in it");
		res = REJECT;
	}
	if (res == OK) {
		memcpy(fpr_out, fpr, FPR_LEN);
		res = ring_keep(&ring, e);
	}
	ring_close(&ring);
	return res;
}

enum outcome pgp_export_work(struct pgp *p, const void *ctx, const char *fpr, bool armor, struct bytes *out, struct err *e)
{
	struct buf *buf = buf_new(ctx, 4 * LIMIT_PUBKEY);
	struct pgp_sink sink = octets_sink(buf);
	struct flow flow = { 0 };
	struct work w;
	unsigned before = atomic_load(&p->ring_changes);
	enum outcome res = work_start(&w, p, ENGINE_RECORD, e);

	if (res == OK)
		res = flow_open_sink(&flow, &sink, buf->max, e);
	if (res == OK) {
		gpgme_set_armor(w.gpg, armor);
		gpgme_error_t failed = gpgme_op_export(w.gpg, fpr, GPGME_EXPORT_MODE_MINIMAL, flow.data);
		if (failed)
			res = key_failed(e, "export", failed);
	}
	if (res == OK && !buf->len) {
		err_set(e, "there is no key %s", fpr);
		/* Ours is there: something else is wrong. */
		res = strcmp(fpr, p->own_fpr) == 0 ? RETRY : REJECT;
	}
	*out = buf_bytes(buf);
	flow_close(&flow);
	work_end(&w);
	return ring_is_doubtful(p, before, res, NULL) ? ring_doubt(e) : res;
}

static bool is_kept(const struct pgp *p, const char *fpr, const char *const *keep, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(fpr, keep[i]))
			return true;
	return !strcmp(fpr, p->own_fpr);
}

/* Deletes what is not kept; how many went. */
static gpgme_error_t delete_others(struct ring *r, const char *const *keep, size_t n, size_t *n_gone)
{
	gpgme_ctx_t gpg = r->work.gpg;
	gpgme_error_t failed = gpgme_op_keylist_start(gpg, NULL, 0);
	gpgme_key_t *gone = NULL, key;

	*n_gone = 0;
	while (!failed && !(failed = gpgme_op_keylist_next(gpg, &key))) {
		if (key->fpr && !is_kept(r->work.pgp, key->fpr, keep, n)) {
			gone = mem_resize(NULL, gone, gpgme_key_t, *n_gone + 1);
			gone[(*n_gone)++] = key;
		} else {
			gpgme_key_unref(key);
		}
	}
	failed = gpgme_err_code(failed) == GPG_ERR_EOF ? 0 : failed;
	for (size_t i = 0; i < *n_gone; i++) {
		if (!failed)
			failed = gpgme_op_delete_ext(gpg, gone[i], GPGME_DELETE_FORCE);
		gpgme_key_unref(gone[i]);
	}
	talloc_free(gone);
	return failed;
}

enum outcome pgp_keep_only_work(struct pgp *p, const char *const *fprs, size_t n, struct err *e)
{
	gpgme_error_t failed = 0;
	size_t n_gone = 0;
	struct ring ring;
	enum outcome res = ring_open(&ring, p, e);

	if (res == OK)
		failed = delete_others(&ring, fprs, n, &n_gone);
	if (failed)
		res = key_failed(e, "sweep the key ring", failed);
	if (res == OK && n_gone > 0)
		res = ring_keep(&ring, e);
	ring_close(&ring);
	return res;
}
