/*
 * Sealing: one gpg process signs and encrypts m under a fresh K. On its way
 * into gpg m is digested and scanned for its skeleton; on its way out m' is
 * hashed. So a message is read once and written once, whatever its size, and
 * nothing of it is held in memory but the skeleton, and an m' that is small. Unsealing: gpg reads m'
 * itself, perhaps while it arrives; what comes out is digested, scanned and
 * written.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <talloc.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/mail/packets.h"
#include "way/seal/seal.h"

/* gpg's zlib pays for text; above this it only costs time (p2pmta-protocol(7), section 2). */
#define COMPRESS_BELOW MIB(1)
#define WRITE_STEP MIB(8)

/* Octets that pass through: a file or memory on one side, a digest over them. */
struct flow {
	int fd;				/* -1: memory */
	struct bytes memory;		/* in: what is left of it */
	struct buf *small;		/* out: all of it, while it fits */
	const char *dir;		/* else a file is made here: */
	char *tmp;			/* below small */
	struct digest *digest;
	struct mime_scan *scan;		/* NULL: not scanned */
	uint64_t octets;
	uint64_t begun;			/* to be written to disk */
	int error;			/* errno of a failed read or write */
};

static ssize_t take_memory(struct bytes *left, void *buf, size_t len)
{
	size_t n = len < left->len ? len : left->len;

	if (n > 0)
		memcpy(buf, left->data, n);
	left->data += n;
	left->len -= n;
	return (ssize_t)n;
}

static ssize_t flow_read(void *arg, void *buf, size_t len)
{
	struct flow *f = arg;
	ssize_t n = f->fd < 0 ? take_memory(&f->memory, buf, len) : files_read(f->fd, buf, len);

	if (n < 0) {
		f->error = errno;
		return -1;
	}
	digest_add(f->digest, buf, (size_t)n);
	mime_scan_feed(f->scan, bytes_of(buf, (size_t)n));
	f->octets += (uint64_t)n;
	return n;
}

/* The disk works while we do, so that the fsync at the end has little left. It may fail; that one may not. */
static void write_behind(struct flow *f)
{
	if (f->fd < 0 || f->octets - f->begun < WRITE_STEP)
		return;
	sync_file_range(f->fd, (off_t)f->begun, (off_t)(f->octets - f->begun), SYNC_FILE_RANGE_WRITE);
	f->begun = f->octets;
}

/* It has become too large for memory: what came so far begins the file. */
static int make_file(struct flow *f)
{
	struct err e;	/* seal_body() tells errno */

	f->fd = files_tmp(f->small, f->dir, &f->tmp, &e);
	return f->fd < 0 ? -1 : files_write(f->fd, f->small->data, f->small->len);
}

static int put_down(struct flow *f, const void *buf, size_t len)
{
	if (f->fd < 0 && buf_add(f->small, buf, len))
		return 0;
	if (f->fd < 0 && make_file(f) < 0)
		return -1;
	return files_write(f->fd, buf, len);
}

static int flow_write(void *arg, const void *buf, size_t len)
{
	struct flow *f = arg;

	if (put_down(f, buf, len) < 0) {
		f->error = errno;
		return -1;
	}
	digest_add(f->digest, buf, len);
	if (f->scan != NULL)
		mime_scan_feed(f->scan, bytes_of(buf, len));
	f->octets += len;
	write_behind(f);
	return 0;
}

/* SHA-256 of each piece of m' (p2pmta-protocol(7), section 3, Skeleton), below ctx. */
static enum outcome hash_pieces(const void *ctx, int fd, uint64_t size, uint64_t piece, struct bytes *out, struct err *e)
{
	size_t n = (size_t)((size + piece - 1) / piece);
	uint8_t *hashes = talloc_array(ctx, uint8_t, n * DIGEST_LEN);
	uint8_t *block = talloc_array(ctx, uint8_t, MIB(1));
	struct digest *d = digest_new(ctx);

	for (uint64_t at = 0; at < size; at += MIB(1)) {
		ssize_t got = files_pread(fd, block, MIB(1), at);

		if (got <= 0) {
			err_sys(e, "read the sealed message again");
			return RETRY;
		}
		digest_add(d, block, (size_t)got);
		if ((at + (uint64_t)got) % piece == 0 || at + (uint64_t)got == size)
			digest_take(d, hashes + at / piece * DIGEST_LEN);
	}
	*out = bytes_of(hashes, n * DIGEST_LEN);
	return OK;
}

/* K as gpg takes it. */
static void key_text(const uint8_t key[SEAL_KEY_LEN], char out[SEAL_KEY_TEXT])
{
	char *text = base64_print(NULL, bytes_of(key, SEAL_KEY_LEN));

	memcpy(out, text, SEAL_KEY_TEXT);
	explicit_bzero(text, SEAL_KEY_TEXT);
	talloc_free(text);
}

static enum outcome seal_under(const uint8_t key[SEAL_KEY_LEN], struct pgp *pgp, const char *role, bool compress,
    const struct pgp_source *source, const struct pgp_sink *sink, struct err *e)
{
	char k[SEAL_KEY_TEXT];

	key_text(key, k);
	enum outcome res = pgp_seal_work(pgp, role, k, compress, source, sink, e);

	explicit_bzero(k, sizeof(k));
	return res;
}

static ssize_t memory_read(void *arg, void *buf, size_t len)
{
	return take_memory(arg, buf, len);
}

static int memory_write(void *arg, const void *buf, size_t len)
{
	return buf_add(arg, buf, len) ? 0 : -1;
}

/* The head object: skeleton and piece hashes, signed and sealed under K; in s, or durable in the outbox. */
static enum outcome seal_head(const void *ctx, const struct seal_order *o, struct sealed *s, struct bytes pieces,
    uint64_t piece_size, struct err *e)
{
	struct head head = { .piece_size = piece_size, .pieces = pieces };
	struct buf *plain = buf_new(ctx, LIMIT_HEAD), *sealed = buf_new(ctx, LIMIT_HEAD);
	struct bytes in;
	enum outcome res;

	memcpy(head.hash, s->hash, sizeof(head.hash));
	/* A skeleton over the limit stays out: the receiver pulls the message before he files it. */
	head.skeleton.parts = mime_is_too_big(s->mime) ? "" : mime_parts_text(s->mime);
	if (!mime_is_too_big(s->mime))
		head.skeleton.text = mime_skeleton(s->mime);
	head_print(plain, &head);
	if (plain->overflow) {
		err_set(e, "head object of more than %d octets", LIMIT_HEAD);
		return REJECT;
	}
	in = buf_bytes(plain);
	res = seal_under(s->key, o->pgp, "head/1", true, &(struct pgp_source){ memory_read, &in },
	    &(struct pgp_sink){ memory_write, sealed }, e);
	if (res != OK)
		return res;
	if (sealed->overflow) {
		err_set(e, "sealed head object of more than %d octets", LIMIT_HEAD);
		return REJECT;
	}
	digest_of(buf_bytes(sealed), s->head_hash);
	s->head_size = sealed->len;
	s->has_head = true;
	if (sealed->len > o->small_max)
		return files_put(files_fanout(ctx, o->outbox, s->head_hash), buf_bytes(sealed), e);
	s->head_octets = buf_bytes(sealed);
	return OK;
}

static enum outcome seal_body(const void *ctx, const struct seal_order *o, struct flow *in, struct flow *out,
    struct sealed *s, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	struct stat st = { .st_size = (off_t)o->m.len };

	if (in->fd >= 0 && fstat(in->fd, &st) < 0) {
		err_sys(e, "stat %s", o->spool_path);
		return RETRY;
	}
	enum outcome res = seal_under(s->key, o->pgp, "m/1", (size_t)st.st_size < COMPRESS_BELOW,
	    &(struct pgp_source){ flow_read, in }, &(struct pgp_sink){ flow_write, out }, e);
	if (in->error || out->error) {
		errno = in->error ? in->error : out->error;
		err_sys(e, in->error ? "read %s" : "write m' of %s to outbox/", o->spool_path);
		return RETRY;
	}
	if (res != OK)
		return res;
	digest_take(in->digest, digest);
	if (memcmp(digest, o->digest, sizeof(digest)) != 0) {
		err_set(e, "%s is not what was accepted: its SHA-256 differs", o->spool_path);
		return REJECT;
	}
	digest_take(out->digest, s->hash);
	s->size = out->octets;
	s->mime = mime_scan_take(&in->scan, ctx);
	return OK;
}

static enum outcome seal_both(const void *ctx, const struct seal_order *o, struct flow *in, struct flow *out,
    struct sealed *s, struct err *e)
{
	struct bytes pieces = { NULL, 0 };
	enum outcome res = seal_body(ctx, o, in, out, s, e);

	if (res != OK)
		return res;
	uint64_t piece_size = head_piece_size(s->size);
	if (piece_size > 0)
		res = hash_pieces(ctx, out->fd, s->size, piece_size, &pieces, e);
	if (res != OK)
		return res;
	size_t inlined = mime_skeleton(s->mime).len + strlen(mime_parts_text(s->mime));
	if (piece_size > 0 || inlined > o->inline_max)
		res = seal_head(ctx, o, s, pieces, piece_size, e);
	if (res != OK)
		return res;
	if (out->fd >= 0)
		return files_keep(out->fd, out->tmp, files_fanout(ctx, o->outbox, s->hash), e);
	s->octets = buf_bytes(out->small);
	return OK;
}

enum outcome seal_work(const void *ctx, const struct seal_order *o, struct sealed *s, struct err *e)
{
	struct flow in = { .fd = -1 }, out = { .fd = -1, .dir = o->outbox, .small = buf_new(ctx, o->small_max) };
	enum outcome res;

	*s = (struct sealed){ 0 };
	random_fill(s->key, sizeof(s->key));
	in.digest = digest_new(ctx);
	out.digest = digest_new(ctx);
	in.scan = mime_scan_new(ctx);
	in.memory = o->m;
	if (o->m.data == NULL)
		in.fd = open(o->spool_path, O_RDONLY | O_CLOEXEC);
	if (o->m.data == NULL && in.fd < 0) {
		res = errno == ENOENT ? REJECT : RETRY;
		err_sys(e, "open %s", o->spool_path);
		goto out;
	}
	res = seal_both(ctx, o, &in, &out, s, e);
	if (res != OK && out.tmp != NULL)
		files_drop(out.tmp);
out:
	if (in.fd >= 0)
		close(in.fd);
	if (out.fd >= 0)
		close(out.fd);
	return res;
}

static enum outcome check_verdict(const struct pgp_verdict *v, const char *fpr, struct err *e)
{
	if (v->signer == PGP_GOOD && strcmp(v->fpr, fpr) == 0)
		return OK;
	err_set(e, "signed by %s, expected %s", v->fpr[0] ? v->fpr : "an unknown key", fpr);
	return REJECT;
}

static enum outcome unseal_body(const void *ctx, const struct unseal_order *o, struct flow *out,
    struct mime **mime, struct err *e)
{
	uint8_t digest[DIGEST_LEN];
	struct pgp_verdict verdict = { 0 };
	char k[SEAL_KEY_TEXT];

	key_text(o->key, k);
	enum outcome res = pgp_unseal_fd_work(o->pgp, "m/1", k, o->size, o->sealed_fd,
	    &(struct pgp_sink){ flow_write, out }, &verdict, e);

	explicit_bzero(k, sizeof(k));
	if (out->error) {
		errno = out->error;
		err_sys(e, "write the message");
		return RETRY;
	}
	if (res == OK)
		res = check_verdict(&verdict, o->fpr, e);
	if (res != OK)
		return res;
	digest_take(out->digest, digest);
	if (out->octets != o->size || memcmp(digest, o->digest, sizeof(digest)) != 0) {
		err_set(e, "the message is not the one that was announced: size or digest differ");
		return REJECT;
	}
	/* gpg reads to the end, and that comes after the caller has judged the whole. */
	if (!atomic_load(o->whole)) {
		err_set(e, "not all of the sealed message came");
		return RETRY;
	}
	*mime = mime_scan_take(&out->scan, ctx);
	return OK;
}

enum outcome unseal_work(const void *ctx, const struct unseal_order *o, struct mime **mime, struct err *e)
{
	struct flow out = { .digest = digest_new(ctx), .scan = mime_scan_new(ctx) };
	enum outcome res;
	char *tmp = NULL;

	out.fd = files_tmp(ctx, o->dir, &tmp, e);
	if (out.fd < 0)
		return RETRY;
	res = unseal_body(ctx, o, &out, mime, e);
	if (res == OK)
		res = files_keep(out.fd, tmp, files_fanout(ctx, o->dir, o->digest), e);
	if (res != OK)
		files_drop(tmp);
	close(out.fd);
	return res;
}

enum outcome unseal_head_work(const void *ctx, struct pgp *pgp, struct bytes sealed, const uint8_t key[SEAL_KEY_LEN],
    const char *fpr, struct head **out, struct err *e)
{
	struct buf *plain = buf_new(ctx, LIMIT_HEAD);
	struct bytes in = sealed;
	struct pgp_verdict verdict = { 0 };
	char k[SEAL_KEY_TEXT];
	enum outcome res;

	if (packets_check(PACKETS_SEALED, sealed, e) < 0)
		return REJECT;
	key_text(key, k);
	res = pgp_unseal_work(pgp, "head/1", k, LIMIT_HEAD, &(struct pgp_source){ memory_read, &in },
	    &(struct pgp_sink){ memory_write, plain }, &verdict, e);
	explicit_bzero(k, sizeof(k));
	if (res == OK)
		res = check_verdict(&verdict, fpr, e);
	if (res != OK)
		return res;
	*out = head_parse(ctx, buf_bytes(plain), e);
	return *out != NULL ? OK : REJECT;
}
