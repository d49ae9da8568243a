/*
 * lib/pgp with real gpg: two peers with homes of their own and a bench home
 * in which gpg's command line makes what we never would. Each refusal is
 * asked for its reason, so that a row cannot pass for another one's.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/pgp/pgp.h"
#include "unit/unit.h"

enum { MAX = 1 << 20 };

static char top[] = "/tmp/pgp.XXXXXX";
static struct pgp *alice, *bob;
static char alice_fpr[FPR_LEN], bob_fpr[FPR_LEN];
static void *ctx;
static struct err e;

/* Runs a shell line with $A, $B, $C, $T (folder), $GPG and $S (gpg for signers of home C). */
static void shell(const char *line)
{
	ck_assert_msg(system(line) == 0, "failed: %s", line);
}

static struct bytes load(const char *name)
{
	struct bytes out;
	enum outcome res = files_get(ctx, mem_printf(ctx, "%s/%s", top, name), MAX, &out, &e);

	ck_assert_msg(res == OK, "%s", e.text);
	return out;
}

static void share_key(struct pgp *from, const char *fpr, struct pgp *to)
{
	struct bytes key;
	char got[FPR_LEN];

	ck_assert_msg(pgp_export_work(from, ctx, fpr, false, &key, &e) == OK, "%s", e.text);
	ck_assert_uint_le(key.len, 450);
	ck_assert_msg(pgp_import_work(to, key, got, &e) == OK, "%s", e.text);
	ck_assert_str_eq(got, fpr);
}

static char *home(const char *name)
{
	char *path = mem_printf(ctx, "%s/%s", top, name);

	setenv(name, path, 1);
	return path;
}

/* Home C: rsa (old hashes), carol (signs with a subkey), eve. Bob knows rsa and carol. */
static void make_bench(void)
{
	setenv("T", top, 1);
	setenv("GPG", GPG_PATH, 1);
	setenv("TO", bob_fpr, 1);
	ck_assert(mkdir(home("C"), 0700) == 0);
	setenv("S", GPG_PATH " --homedir $C --batch --yes -q --trust-model always --no-auto-key-locate --pinentry-mode loopback --passphrase ''", 1);
	shell("eval \"$S --quick-gen-key rsa@home rsa2048 default never\" && "
	    "eval \"$S --quick-gen-key carol@home ed25519 cert never\" && "
	    "eval \"$S --quick-gen-key eve@home future-default default never\" && "
	    "F=$($GPG --homedir $C --with-colons -K carol@home | awk -F: '$1 == \"fpr\" { print $10; exit }') && "
	    "eval \"$S --quick-add-key $F ed25519 sign never\" && eval \"$S --quick-add-key $F cv25519 encr never\" && "
	    "echo $F > $T/carol.fpr && eval \"$S --export rsa@home\" > $T/rsa.pub && eval \"$S --export carol@home\" > $T/carol.pub && "
	    "eval \"$S --export-secret-keys carol@home\" > $T/carol.sec && eval \"$S --export $TO\" > /dev/null; "
	    "eval \"$GPG --homedir $B --batch -q --import\" < $T/rsa.pub && eval \"$GPG --homedir $B --batch -q --import\" < $T/carol.pub && "
	    "$GPG --homedir $B --export $TO | $GPG --homedir $C --batch -q --import && "
	    "head -c 90000 /dev/zero | tr '\\0' x | fold -w 66 > $T/text");
}

static void make_peers(void)
{
	ctx = mem_ctx(NULL);
	ck_assert(mkdtemp(top));
	alice = pgp_new(home("A"), NULL, &e);
	bob = pgp_new(home("B"), NULL, &e);
	ck_assert_msg(alice && bob, "%s", e.text);
	ck_assert(!pgp_own_fpr(alice));
	ck_assert_msg(pgp_make_key_work(alice, "alice@home", alice_fpr, &e) == OK, "%s", e.text);
	ck_assert_msg(pgp_make_key_work(bob, "bob@home", bob_fpr, &e) == OK, "%s", e.text);
	ck_assert_str_eq(pgp_own_fpr(alice), alice_fpr);
	share_key(alice, alice_fpr, bob);
	share_key(bob, bob_fpr, alice);
	make_bench();
}

static void make_peers_with_clerks(void)
{
	struct clerks *hers = clerks_start("./p2pmta-clerk", &e), *his = clerks_start("/nonexistent", &e);

	ck_assert_msg(hers && his, "%s", e.text);
	make_peers();
	pgp_take_clerks(alice, hers);
	pgp_take_clerks(bob, his);
}

static void drop_peers(void)
{
	shell("gpgconf --homedir $C --kill all");
	pgp_free(&alice);
	pgp_free(&bob);
	ck_assert(!alice && !bob);
	shell("rm -rf $T");
	memcpy(top, "/tmp/pgp.XXXXXX", sizeof(top));
	talloc_free(ctx);
}

/* K of every test. */
static const char key[SEAL_KEY_TEXT] = "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

struct memory { struct bytes in; size_t pos; struct buf *out; };

static ssize_t memory_read(void *arg, void *buf, size_t len)
{
	struct memory *m = arg;
	size_t n = m->in.len - m->pos < len ? m->in.len - m->pos : len;

	memcpy(buf, m->in.data + m->pos, n);
	m->pos += n;
	return (ssize_t)n;
}

static int memory_write(void *arg, const void *buf, size_t len)
{
	struct memory *m = arg;

	return buf_add(m->out, buf, len) ? 0 : -1;
}

static struct bytes seal(struct pgp *p, const char *role, bool compress, struct bytes in)
{
	struct memory m = { .in = in, .out = buf_new(ctx, MAX) };
	struct pgp_source source = { memory_read, &m };
	struct pgp_sink sink = { memory_write, &m };

	ck_assert_msg(pgp_seal_work(p, role, key, compress, &source, &sink, &e) == OK, "%s", e.text);
	return buf_bytes(m.out);
}

static enum outcome unseal(struct bytes in, const char k[SEAL_KEY_TEXT], uint64_t max, struct bytes *out, struct pgp_verdict *v)
{
	struct memory m = { .in = in, .out = buf_new(ctx, MAX) };
	struct pgp_source source = { memory_read, &m };
	struct pgp_sink sink = { memory_write, &m };
	enum outcome res = pgp_unseal_work(bob, "m/1", k, max, &source, &sink, v, &e);

	*out = buf_bytes(m.out);
	return res;
}

static struct bytes sign(struct pgp *p, const char *role, struct bytes in)
{
	struct bytes out;

	ck_assert_msg(pgp_sign_work(p, ctx, role, in, &out, &e) == OK, "%s", e.text);
	return out;
}

static struct bytes encrypt(struct pgp *p, const char *role, struct bytes in)
{
	const char *to[] = { bob_fpr };
	struct bytes out;

	ck_assert_msg(pgp_sign_encrypt_work(p, ctx, role, to, 1, in, &out, &e) == OK, "%s", e.text);
	return out;
}

static void refused(enum outcome res, enum outcome want, const char *why)
{
	ck_assert_msg(res == want, "outcome %d, wanted %d: %s", res, want, e.text);
	ck_assert_msg(strstr(e.text, why), "'%s' does not say '%s'", e.text, why);
}

START_TEST(round_trips)
{
	struct bytes in = bytes_str("hello\r\n"), out;
	struct pgp_verdict v;

	ck_assert_msg(pgp_verify_work(bob, ctx, "peer/1", sign(alice, "peer/1", in), MAX, &out, &v, &e) == OK, "%s", e.text);
	ck_assert(bytes_equal(in, out) && v.signer == PGP_GOOD && !strcmp(v.fpr, alice_fpr));

	ck_assert_msg(pgp_open_work(bob, ctx, "ns/1", encrypt(alice, "ns/1", in), MAX, &out, &v, &e) == OK, "%s", e.text);
	ck_assert(bytes_equal(in, out) && v.signer == PGP_GOOD && !strcmp(v.fpr, alice_fpr));

	ck_assert_msg(unseal(seal(alice, "m/1", false, in), key, in.len, &out, &v) == OK, "%s", e.text);
	ck_assert(bytes_equal(in, out) && v.signer == PGP_GOOD && !strcmp(v.fpr, alice_fpr));

	ck_assert_msg(unseal(seal(alice, "m/1", false, bytes_str("")), key, 0, &out, &v) == OK, "%s", e.text);
	ck_assert(out.len == 0 && v.signer == PGP_GOOD);
}
END_TEST

/* Key IDs stay hidden, and the same recipients may be many. */
START_TEST(two_readers)
{
	const char *to[] = { bob_fpr, alice_fpr };
	struct bytes sealed;

	ck_assert_msg(pgp_sign_encrypt_work(alice, ctx, "notices/1", to, 2, bytes_str("x"), &sealed, &e) == OK, "%s", e.text);
	files_put(mem_printf(ctx, "%s/two", top), sealed, &e);
	shell("test $($GPG --homedir $B --batch --list-packets $T/two 2> /dev/null | grep -c 'pubkey enc.*keyid 0000000000000000') = 2");

	struct bytes out;
	struct pgp_verdict v;

	ck_assert_msg(pgp_open_shared_work(bob, ctx, "notices/1", sealed, MAX, &out, &v, &e) == OK, "%s", e.text);
	ck_assert(bytes_equal(out, bytes_str("x")) && v.signer == PGP_GOOD && !strcmp(v.fpr, alice_fpr));
	ck_assert_msg(pgp_open_shared_work(alice, ctx, "notices/1", sealed, MAX, &out, &v, &e) == OK, "%s", e.text);
	refused(pgp_open_shared_work(bob, ctx, "msglist/1", sealed, MAX, &out, &v, &e), REJECT, "role");
	refused(pgp_open_work(bob, ctx, "notices/1", sealed, MAX, &out, &v, &e), REJECT, "framing");
}
END_TEST

START_TEST(compression)
{
	struct bytes in = load("text"), out;
	struct pgp_verdict v;
	struct bytes squeezed = seal(alice, "m/1", true, in);

	ck_assert_uint_lt(squeezed.len, in.len / 10);
	ck_assert_uint_gt(seal(alice, "m/1", false, in).len, in.len);
	ck_assert_uint_gt(sign(alice, "peer/1", in).len, in.len);
	ck_assert_uint_gt(encrypt(alice, "ns/1", in).len, in.len);
	ck_assert_msg(unseal(squeezed, key, in.len, &out, &v) == OK, "%s", e.text);
	ck_assert(bytes_equal(in, out));
}
END_TEST

static void take_back(struct pgp *p, const char *name)
{
	char fpr[FPR_LEN];

	ck_assert_msg(pgp_import_work(p, load(name), fpr, &e) == OK, "%s: %s", name, e.text);
}

/* What other tests need of other people comes back. */
static void keep_own_only(struct pgp *p)
{
	ck_assert_msg(pgp_keep_only_work(p, NULL, 0, &e) == OK, "%s", e.text);
	take_back(p, "carol.pub");
	take_back(p, "rsa.pub");
}

/* A descriptor's key is read before its signer can be known. */
START_TEST(unknown_signer)
{
	struct bytes in = bytes_str("text"), signed_ = sign(alice, "peer/1", in), out;
	struct bytes opened = encrypt(alice, "ns/1", in), sealed = seal(alice, "m/1", false, in);
	struct pgp_verdict v;

	keep_own_only(bob);
	keep_own_only(bob);
	ck_assert_msg(pgp_verify_work(bob, ctx, "peer/1", signed_, MAX, &out, &v, &e) == OK, "%s", e.text);
	ck_assert(bytes_equal(in, out) && v.signer == PGP_UNKNOWN && !strcmp(v.fpr, alice_fpr));
	ck_assert_msg(pgp_open_work(bob, ctx, "ns/1", opened, MAX, &out, &v, &e) == OK, "%s", e.text);
	ck_assert(bytes_equal(in, out) && v.signer == PGP_UNKNOWN);
	ck_assert_msg(unseal(sealed, key, MAX, &out, &v) == OK, "%s", e.text);
	ck_assert(v.signer == PGP_UNKNOWN);
	share_key(alice, alice_fpr, bob);
	ck_assert_msg(pgp_verify_work(bob, ctx, "peer/1", signed_, MAX, &out, &v, &e) == OK, "%s", e.text);
	ck_assert_int_eq(v.signer, PGP_GOOD);
}
END_TEST

/* What gpg's command line makes, and why it is refused (NULL: taken). $N is a good notation. */
#define NOTE "-N role@p2pmta.invalid=x/1 "
static const struct row { const char *name, *make, *why; } verify_rows[] = {
	{ "rsa is fine", "$S " NOTE "-u rsa@home -s", NULL },
	{ "compressed is fine", "$S " NOTE "-u rsa@home --compress-algo zlib -s", NULL },
	{ "signing subkey is fine", "$S " NOTE "-u carol@home -s", NULL },
	{ "no role", "$S -u rsa@home -s", "role" },
	{ "role of another name", "$S -N role@example.org=x/1 -u rsa@home -s", "role" },
	{ "two roles", "$S " NOTE "-N role@p2pmta.invalid=y/1 -u rsa@home -s", "role" },
	{ "critical role", "$S -N '!role@p2pmta.invalid=y/1' -u rsa@home -s", "signature" },
	{ "SHA-1", "$S " NOTE "--digest-algo SHA1 -u rsa@home -s", "weaker" },
	{ "SHA-224", "$S " NOTE "--digest-algo SHA224 -u rsa@home -s", "weaker" },
	{ "text mode", "$S " NOTE "-t -u rsa@home -s", "binary" },
	{ "two signatures", "$S " NOTE "-u rsa@home -u carol@home -s", "" },
	{ "two signatures in a compressed packet", "$S " NOTE "--compress-algo zlib -u rsa@home -u carol@home -s", "more than one signature" },
	{ "not signed", "$S --store", "" },
	{ "not signed, compressed", "$S --compress-algo zlib --store", "" },
	{ "clear text", "$S " NOTE "-u rsa@home --clearsign", "" },
	{ "armored", "$S " NOTE "-u rsa@home -a -s", "" },
	{ "detached", "$S " NOTE "-u rsa@home -b", "" },
	{ "expired signature", "$S " NOTE "--faked-system-time 20200101T000000 --ignore-time-conflict --default-sig-expire 1 -u rsa@home -s", "signature" },
	{ "expands to more than max", "head -c 30000000 /dev/zero | $S " NOTE "-u rsa@home --compress-algo bzip2 -s", "larger" },
	{ "encrypted", "$S " NOTE "-u rsa@home -r $TO -se", "" },
};

/* The reason stands for framing when it is "". */
static void craft(const char *make)
{
	shell(mem_printf(ctx, "eval \"%s\" < $T/text > $T/crafted", make));
}

START_TEST(verify_table)
{
	const struct row *r = &verify_rows[_i];
	struct bytes out;
	struct pgp_verdict v;

	craft(r->make);
	enum outcome res = pgp_verify_work(bob, ctx, "x/1", load("crafted"), MAX, &out, &v, &e);
	if (r->why) {
		ck_assert_msg(res == REJECT, "case '%s': %d", r->name, res);
		ck_assert_msg(strstr(e.text, r->why), "case '%s': %s", r->name, e.text);
		return;
	}
	ck_assert_msg(res == OK && v.signer == PGP_GOOD, "case '%s': %s", r->name, e.text);
	if (strstr(r->make, "carol"))
		ck_assert(!memcmp(v.fpr, load("carol.fpr").data, FPR_LEN - 1));
}
END_TEST

#define ENC " -r $TO --throw-keyids -e"
static const struct row open_rows[] = {
	{ "fine", "$S " NOTE "-u rsa@home -s" ENC, NULL },
	{ "signing subkey is fine", "$S " NOTE "-u carol@home -s" ENC, NULL },
	{ "not signed", "$S " ENC, "not signed" },
	{ "two signatures", "$S " NOTE "-u rsa@home -u carol@home -s" ENC, "more than one signature" },
	{ "no role", "$S -u rsa@home -s" ENC, "role" },
	{ "SHA-1", "$S " NOTE "--digest-algo SHA1 -u rsa@home -s" ENC, "weaker" },
	{ "key ID in sight", "$S " NOTE "-u rsa@home -s -r $TO -e", "" },
	{ "two readers", "$S " NOTE "-u rsa@home -r eve@home -s" ENC, "" },
	{ "bomb", "head -c 30000000 /dev/zero | $S " NOTE "--compress-algo bzip2 -u rsa@home -s" ENC, "larger" },
	{ "not for us", "$S " NOTE "-u rsa@home -s --throw-keyids -r eve@home -e", "No secret key" },
	{ "only signed", "$S " NOTE "-u rsa@home -s", "" },
	{ "with a passphrase", "$S " NOTE "-u rsa@home --passphrase x -s -c", "" },
};

START_TEST(open_table)
{
	const struct row *r = &open_rows[_i];
	struct bytes out;
	struct pgp_verdict v;

	craft(r->make);
	enum outcome res = pgp_open_work(bob, ctx, "x/1", load("crafted"), MAX, &out, &v, &e);
	if (r->why) {
		ck_assert_msg(res == REJECT, "case '%s': %d", r->name, res);
		ck_assert_msg(strstr(e.text, r->why), "case '%s': %s", r->name, e.text);
	} else {
		ck_assert_msg(res == OK && v.signer == PGP_GOOD, "case '%s': %s", r->name, e.text);
	}
}
END_TEST

/* The passphrase is base64(key). */
#define SYM " --passphrase AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= --s2k-mode 1 --cipher-algo AES256 "
#define ROLE "-N role@p2pmta.invalid=m/1 "
static const struct row unseal_rows[] = {
	{ "fine", "$S " ROLE "-u rsa@home" SYM "-s -c", NULL },
	{ "not signed", "$S" SYM "-c", "not signed" },
	{ "two signatures", "$S " ROLE "-u rsa@home -u carol@home" SYM "-s -c", "more than one signature" },
	{ "AES-128", "$S " ROLE "-u rsa@home" SYM "--cipher-algo AES128 --s2k-cipher-algo AES128 -s -c", "under the key" },
	{ "role of a notice", "$S -N role@p2pmta.invalid=ns/1 -u rsa@home" SYM "-s -c", "role" },
	{ "SHA-1", "$S " ROLE "--digest-algo SHA1 -u rsa@home" SYM "-s -c", "weaker" },
	{ "no MDC", "$S " ROLE "--rfc2440 -u rsa@home" SYM "--s2k-cipher-algo AES256 -s -c", "Decryption failed" },
	{ "bomb", "head -c 90000000 /dev/zero | $S " ROLE "-u rsa@home --compress-algo bzip2" SYM "-s -c", "larger" },
	{ "for a key", "$S " ROLE "-u rsa@home -r $TO -s -e", "under the key" },
	{ "only signed", "$S " ROLE "-u rsa@home -s", "" },
};

START_TEST(unseal_table)
{
	const struct row *r = &unseal_rows[_i];
	struct bytes out;
	struct pgp_verdict v;

	craft(r->make);
	enum outcome res = unseal(load("crafted"), key, 100000, &out, &v);
	if (r->why) {
		ck_assert_msg(res == REJECT, "case '%s': %d %s", r->name, res, e.text);
		ck_assert_msg(strstr(e.text, r->why), "case '%s': %s", r->name, e.text);
	} else {
		ck_assert_msg(res == OK && v.signer == PGP_GOOD, "case '%s': %s", r->name, e.text);
	}
}
END_TEST

static struct bytes change(struct bytes in, size_t len, size_t at)
{
	uint8_t *copy = mem_zero_array(ctx, uint8_t, in.len + 16);

	memcpy(copy, in.data, in.len);
	if (at < in.len)
		copy[at] ^= 1;
	return bytes_of(copy, len);
}

/* Octet by octet would take minutes; a spread over headers, text, signature and MDC does. */
START_TEST(damage)
{
	struct bytes in = bytes_str("a short text, but long enough to have a middle"), out;
	struct bytes whole[] = { sign(alice, "x/1", in), encrypt(alice, "x/1", in), seal(alice, "m/1", false, in) };
	struct pgp_verdict v;

	for (int i = 0; i < 3; i++) {
		size_t len = whole[i].len;
		struct bytes bad[] = {
			change(whole[i], len, len - 1), change(whole[i], len, len / 2), change(whole[i], len, len / 3),
			change(whole[i], len, 0), change(whole[i], len - 1, len), change(whole[i], len / 2, len),
			change(whole[i], 0, len), change(whole[i], len + 2, len),
		};
		for (size_t j = 0; j < sizeof(bad) / sizeof(bad[0]); j++) {
			enum outcome res = i == 0 ? pgp_verify_work(bob, ctx, "x/1", bad[j], MAX, &out, &v, &e) :
			    i == 1 ? pgp_open_work(bob, ctx, "x/1", bad[j], MAX, &out, &v, &e) : unseal(bad[j], key, MAX, &out, &v);
			/* Octets after m' are the caller's to find (struct packets). */
			bool fine = i == 2 && j == 7;
			ck_assert_msg(fine || res == REJECT, "message %d, damage %zu: %d %s", i, j, res, e.text);
		}
	}
}
END_TEST

START_TEST(ceilings)
{
	struct bytes in = bytes_str("12345678"), out;
	struct pgp_verdict v;
	static const char other[SEAL_KEY_TEXT] = "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

	refused(pgp_verify_work(bob, ctx, "x/1", sign(alice, "x/1", in), 7, &out, &v, &e), REJECT, "larger");
	refused(pgp_open_work(bob, ctx, "x/1", encrypt(alice, "x/1", in), 7, &out, &v, &e), REJECT, "larger");
	refused(unseal(seal(alice, "m/1", false, in), key, 7, &out, &v), REJECT, "larger");
	refused(unseal(seal(alice, "m/1", false, in), other, 8, &out, &v), REJECT, "gpg");
}
END_TEST

static ssize_t broken_read(void *arg, void *buf, size_t len)
{
	(void)arg, (void)buf, (void)len;
	return -1;
}

static int broken_write(void *arg, const void *buf, size_t len)
{
	(void)arg, (void)buf, (void)len;
	return -1;
}

/* A full disk is no judgement on the message. */
START_TEST(streams_that_break)
{
	struct memory m = { .in = seal(alice, "m/1", false, bytes_str("x")), .out = buf_new(ctx, MAX) };
	struct pgp_source source = { memory_read, &m }, no_source = { broken_read, NULL };
	struct pgp_sink sink = { memory_write, &m }, no_sink = { broken_write, NULL };
	struct pgp_verdict v;

	refused(pgp_unseal_work(bob, "m/1", key, MAX, &no_source, &sink, &v, &e), RETRY, "reading or writing");
	refused(pgp_unseal_work(bob, "m/1", key, MAX, &source, &no_sink, &v, &e), RETRY, "reading or writing");
	refused(pgp_seal_work(bob, "m/1", key, false, &no_source, &sink, &e), RETRY, "reading or writing");
}
END_TEST

/* Opening from a descriptor. */

struct writer { int fd; struct bytes octets; };

/* As way/fetch does it: it does not see when the reader dies, for the read end is open here, too. */
static void *writer_main(void *arg)
{
	struct writer *w = arg;
	size_t done = 0;

	for (ssize_t n; done < w->octets.len; done += (size_t)n)
		if ((n = write(w->fd, w->octets.data + done, w->octets.len - done)) < 0)
			break;
	close(w->fd);
	return NULL;
}

static enum outcome unseal_fd(int fd, uint64_t max, struct bytes *out, struct pgp_verdict *v)
{
	struct memory m = { .out = buf_new(ctx, MAX) };
	struct pgp_sink sink = { memory_write, &m };
	enum outcome res = pgp_unseal_fd_work(bob, "m/1", key, max, fd, &sink, v, &e);

	*out = buf_bytes(m.out);
	return res;
}

/* The first len octets through a pipe; the writer's end comes after gpg's, or with it. */
static enum outcome unseal_piped(struct bytes in, size_t len, struct bytes *out, struct pgp_verdict *v)
{
	int fds[2];
	pthread_t thread;

	ck_assert_int_eq(pipe(fds), 0);
	struct writer w = { fds[1], bytes_of(in.data, len) };
	ck_assert_int_eq(pthread_create(&thread, NULL, writer_main, &w), 0);
	enum outcome res = unseal_fd(fds[0], MAX, out, v);
	close(fds[0]);		/* ends a writer whose reader died */
	pthread_join(thread, NULL);
	return res;
}

static int nameless(struct bytes in)
{
	char *tmp;
	int fd = files_tmp(ctx, top, &tmp, &e);

	ck_assert_int_eq(files_write(fd, in.data, in.len), 0);
	files_drop(tmp);
	return fd;
}

START_TEST(unseal_from_fd)
{
	uint8_t *octets = mem_array(ctx, uint8_t, MAX - 1);
	struct bytes in = bytes_of(octets, MAX - 1), out;
	struct pgp_verdict v;

	for (size_t i = 0; i < in.len; i++)
		octets[i] = (uint8_t)(i * i >> 7);

	struct bytes sealed = bytes_of(NULL, 0);
	struct memory m = { .in = in, .out = buf_new(ctx, 2 * MAX) };

	ck_assert_msg(pgp_seal_work(alice, "m/1", key, false, &(struct pgp_source){ memory_read, &m },
	    &(struct pgp_sink){ memory_write, &m }, &e) == OK, "%s", e.text);
	sealed = buf_bytes(m.out);
	int fd = nameless(sealed);
	ck_assert_msg(unseal_fd(fd, MAX, &out, &v) == OK, "%s", e.text);
	ck_assert(bytes_equal(in, out) && v.signer == PGP_GOOD && !strcmp(v.fpr, alice_fpr));
	refused(unseal_fd(fd, MAX - 2, &out, &v), REJECT, "larger");
	close(fd);

	ck_assert_msg(unseal_piped(sealed, sealed.len, &out, &v) == OK, "%s", e.text);
	ck_assert(bytes_equal(in, out) && v.signer == PGP_GOOD && !strcmp(v.fpr, alice_fpr));
	/* The writer dies: at once, after the header, in the middle, just before the end. */
	size_t cuts[] = { 0, 1, 100, sealed.len / 2, sealed.len - 1 };
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
		ck_assert_msg(unseal_piped(sealed, cuts[i], &out, &v) != OK, "cut at %zu", cuts[i]);
}
END_TEST

START_TEST(unseal_fd_table)
{
	const struct row *r = &unseal_rows[_i];
	struct bytes out;
	struct pgp_verdict v;

	craft(r->make);
	int fd = nameless(load("crafted"));
	enum outcome res = unseal_fd(fd, 100000, &out, &v);

	close(fd);
	if (r->why) {
		ck_assert_msg(res == REJECT, "case '%s': %d %s", r->name, res, e.text);
		ck_assert_msg(strstr(e.text, r->why), "case '%s': %s", r->name, e.text);
	} else {
		ck_assert_msg(res == OK && v.signer == PGP_GOOD, "case '%s': %s", r->name, e.text);
	}
}
END_TEST

/* gpg that dies, or never looks, or cannot: nothing hangs, and nobody else is blamed. */
START_TEST(unseal_fd_without_gpg)
{
	static const char *const wrappers[] = { "exit 1", "kill -9 $$", "exec head -c 3 /proc/self/exe", "exec /nonexistent" };
	uint8_t *octets = mem_zero_array(ctx, uint8_t, MAX);
	struct bytes sealed = seal(alice, "m/1", false, bytes_of(octets, MAX / 2)), out;
	struct pgp_verdict v;

	ck_assert_int_eq(unseal_piped(sealed, sealed.len, &out, &v), OK);
	shell("mv $B/gpg-direct $B/gpg-direct.good");
	for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++) {
		files_put(mem_printf(ctx, "%s/B/gpg-direct", top), bytes_str(mem_printf(ctx, "#!/bin/sh\n%s\n", wrappers[i])), &e);
		shell("chmod 700 $B/gpg-direct");
		ck_assert_msg(unseal_piped(sealed, sealed.len, &out, &v) == RETRY, "wrapper '%s'", wrappers[i]);
	}
	shell("mv $B/gpg-direct.good $B/gpg-direct");
	ck_assert_msg(unseal_piped(sealed, sealed.len, &out, &v) == OK, "%s", e.text);
	struct pgp_sink no_sink = { broken_write, NULL };
	int fd = nameless(sealed);
	refused(pgp_unseal_fd_work(bob, "m/1", key, MAX, fd, &no_sink, &v, &e), RETRY, "reading or writing");
	close(fd);
}
END_TEST

START_TEST(bad_public_keys)
{
	char fpr[FPR_LEN];
	struct bytes a, b, secret = load("carol.sec");
	uint8_t both[2048], large[LIMIT_PUBKEY + 1] = { 0 };

	pgp_export_work(alice, ctx, alice_fpr, false, &a, &e);
	pgp_export_work(bob, ctx, bob_fpr, false, &b, &e);
	memcpy(both, a.data, a.len);
	memcpy(both + a.len, b.data, b.len);
	struct bytes bad[] = { bytes_of(both, a.len + b.len), secret, bytes_of(a.data, a.len - 1), bytes_of(a.data + 51, a.len - 51),
	    bytes_str("no key"), bytes_str(""), bytes_of(large, sizeof(large)), bytes_of(a.data, 20) };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(pgp_import_work(bob, bad[i], fpr, &e) == REJECT, "key %zu", i);
	refused(pgp_export_work(bob, ctx, "0123456789ABCDEF0123456789ABCDEF01234567", false, &a, &e), REJECT, "no key");
	keep_own_only(bob);
	/* Our own stays, whatever goes. */
	encrypt(bob, "x/1", bytes_str("x"));
	share_key(alice, alice_fpr, bob);
}
END_TEST

/* A key from elsewhere becomes ours: signing subkey, primary fingerprint. */
START_TEST(own_key_from_elsewhere)
{
	struct pgp *carol = pgp_new(home("D"), NULL, &e);
	struct bytes out, in = bytes_str("x");
	struct pgp_verdict v;
	char fpr[FPR_LEN];

	ck_assert_msg(carol, "%s", e.text);
	refused(pgp_sign_work(carol, ctx, "x/1", in, &out, &e), REJECT, "no key");
	refused(pgp_import_secret_work(carol, load("carol.pub"), fpr, &e), REJECT, "not exactly one secret key");
	ck_assert_msg(pgp_import_secret_work(carol, load("carol.sec"), fpr, &e) == OK, "%s", e.text);
	ck_assert(!memcmp(fpr, load("carol.fpr").data, FPR_LEN - 1));
	ck_assert_msg(pgp_verify_work(bob, ctx, "x/1", sign(carol, "x/1", in), MAX, &out, &v, &e) == OK, "%s", e.text);
	ck_assert(v.signer == PGP_GOOD && !strcmp(v.fpr, fpr));
	pgp_free(&carol);
}
END_TEST

START_TEST(key_with_passphrase)
{
	struct pgp *dave = pgp_new(home("D2"), NULL, &e);
	char fpr[FPR_LEN];

	shell("$GPG --homedir $C --batch -q --pinentry-mode loopback --passphrase secret --quick-gen-key dave@home ed25519 sign never && "
	    "$GPG --homedir $C --batch -q --pinentry-mode loopback --passphrase secret --export-secret-keys dave@home > $T/dave.sec");
	refused(pgp_import_secret_work(dave, load("dave.sec"), fpr, &e), REJECT, "passphrase");
	pgp_free(&dave);
}
END_TEST

/* A dead agent is no judgement on the message; and gpg starts it again. */
START_TEST(dead_agent)
{
	struct bytes in = bytes_str("x"), out, opened = encrypt(alice, "x/1", in), sealed = seal(alice, "m/1", false, in);
	struct pgp_verdict v;

	shell("gpgconf --homedir $B --kill gpg-agent; mv $B/agent $B/agent.good; printf '#!/bin/sh\\nexit 1\\n' > $B/agent; chmod 700 $B/agent");
	ck_assert_int_eq(pgp_open_work(bob, ctx, "x/1", opened, MAX, &out, &v, &e), RETRY);
	ck_assert_int_eq(unseal(sealed, key, MAX, &out, &v), RETRY);
	ck_assert_int_eq(pgp_sign_work(bob, ctx, "x/1", in, &out, &e), RETRY);
	shell("mv $B/agent.good $B/agent");
	ck_assert_msg(pgp_open_work(bob, ctx, "x/1", opened, MAX, &out, &v, &e) == OK, "%s", e.text);
	ck_assert_msg(unseal(sealed, key, MAX, &out, &v) == OK, "%s", e.text);
	/* The agent outlives the limits of the gpg that started it. */
	shell("P=$(gpg-connect-agent --homedir $B 'getinfo pid' /bye | sed -n 's/^D //p') && grep -q '^Max cpu time *unlimited' /proc/$P/limits");
}
END_TEST

/* Nor is a key of our own that cannot be used for a while: an answer that says so would give up every message. */
START_TEST(own_key_out_of_reach)
{
	struct bytes in = bytes_str("x"), out;

	shell("mv $B/private-keys-v1.d $B/away");
	enum outcome res = pgp_sign_work(bob, ctx, "x/1", in, &out, &e);

	shell("rm -rf $B/private-keys-v1.d; mv $B/away $B/private-keys-v1.d");
	ck_assert_msg(res == RETRY, "%d %s", res, e.text);
	ck_assert_msg(pgp_sign_work(bob, ctx, "x/1", in, &out, &e) == OK, "%s", e.text);
}
END_TEST

static void *many_work(void *arg)
{
	const char *to[] = { bob_fpr };
	uintptr_t n_good = 0;

	for (int i = 0; i < 5; i++) {
		void *mine = mem_ctx(NULL);
		struct bytes sealed, out;
		struct pgp_verdict v;
		struct err own;

		if (pgp_sign_encrypt_work(alice, mine, arg, to, 1, bytes_str(arg), &sealed, &own) == OK &&
		    pgp_open_work(bob, mine, arg, sealed, MAX, &out, &v, &own) == OK && bytes_equal(out, bytes_str(arg)))
			n_good++;
		talloc_free(mine);
	}
	return (void *)n_good;
}

START_TEST(many_threads)
{
	static char roles[4][8] = { "a/1", "b/1", "c/1", "d/1" };
	pthread_t threads[4];
	void *n_good;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, many_work, roles[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &n_good);
		ck_assert_uint_eq((uintptr_t)n_good, 5);
	}
}
END_TEST

/* What a clerk takes, and what is too much for one. */
START_TEST(sizes)
{
	static uint8_t text[200000];
	struct pgp_verdict v;
	struct bytes out;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t len = 0; len <= sizeof(text); len = len < 65536 ? len * 3 + 21845 : len + 7000) {
		struct bytes in = bytes_of(text, len);

		ck_assert_msg(unseal(seal(alice, "m/1", len % 2, in), key, MAX, &out, &v) == OK, "%zu: %s", len, e.text);
		ck_assert_msg(bytes_equal(in, out), "%zu", len);
	}
}
END_TEST

START_TEST(home_too_long)
{
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	if (access("/run/user", F_OK) == 0)
		return;
	ck_assert(!pgp_new(path, NULL, &e));
	ck_assert(strstr(e.text, "too long"));
}
END_TEST

static void add_tests(TCase *unit_case)
{
	UNIT(round_trips);
	UNIT(two_readers);
	UNIT(compression);
	UNIT(unknown_signer);
	UNIT_LOOP(verify_table, verify_rows);
	UNIT_LOOP(open_table, open_rows);
	UNIT_LOOP(unseal_table, unseal_rows);
	UNIT(damage);
	UNIT(ceilings);
	UNIT(streams_that_break);
	UNIT(sizes);
	UNIT(unseal_from_fd);
	UNIT_LOOP(unseal_fd_table, unseal_rows);
	UNIT(unseal_fd_without_gpg);
	UNIT(bad_public_keys);
	UNIT(own_key_from_elsewhere);
	UNIT(key_with_passphrase);
	UNIT(dead_agent);
	UNIT(own_key_out_of_reach);
	UNIT(many_threads);
	UNIT(home_too_long);
}

UNIT_SUITE("pgp")
{
	tcase_add_unchecked_fixture(unit_case, make_peers, drop_peers);
	add_tests(unit_case);
	unit_case = tcase_create("pgp with clerks");
	tcase_add_checked_fixture(unit_case, unit_quiet, unit_no_warnings);
	tcase_set_timeout(unit_case, 60);
	suite_add_tcase(unit_suite, unit_case);
	tcase_add_unchecked_fixture(unit_case, make_peers_with_clerks, drop_peers);
	add_tests(unit_case);
}
UNIT_END
