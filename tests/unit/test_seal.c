/* From m to m' and back, with real gpg: what is small is octets, what is not is a file, at the very octet. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "unit/unit.h"
#include "way/seal/seal.h"

enum { NOISE = 40000, FOLDERS = 3 };

static char top[] = "/tmp/seal.XXXXXX";
static const char *const folders[FOLDERS] = { "out", "in", "spool" };
static struct pgp *alice;
static void *ctx;
static struct err e;

static const char *in_top(const char *name)
{
	return mem_printf(ctx, "%s/%s", top, name);
}

static void setup(void)
{
	char fpr[FPR_LEN];

	ctx = mem_ctx(NULL);
	ck_assert_ptr_nonnull(mkdtemp(top));
	for (int i = 0; i < FOLDERS; i++)
		ck_assert_int_eq(files_mkdir(in_top(folders[i]), &e), OK);
	alice = pgp_new(in_top("A"), NULL, &e);
	ck_assert_msg(alice, "%s", e.text);
	ck_assert_msg(pgp_make_key_work(alice, "alice@home", fpr, &e) == OK, "%s", e.text);
}

static void teardown(void)
{
	pgp_free(&alice);
	ck_assert_int_eq(system(mem_printf(ctx, "rm -rf %s", top)), 0);
	memcpy(top, "/tmp/seal.XXXXXX", sizeof(top));
	talloc_free(ctx);
}

/* So many octets of text that no compression makes less of, behind a header that is about as long as asked. */
static struct bytes message(size_t header, size_t noise)
{
	uint8_t *random = mem_array(ctx, uint8_t, noise + 1);
	struct buf *m = buf_new(ctx, MIB(1));

	buf_adds(m, "From: alice@home\r\n");
	for (size_t i = 0; m->len < header; i++)
		buf_addf(m, "X-%zu: %s\r\n", i, "abcdefghijklmnopqrstuvwxyz");
	random_fill(random, noise);
	buf_adds(m, "\r\n");
	buf_adds(m, base64_print(ctx, bytes_of(random, noise)));
	return buf_bytes(m);
}

static enum outcome seal(struct bytes m, size_t small_max, bool from_file, struct sealed *out)
{
	uint8_t *digest = mem_array(ctx, uint8_t, 32);
	struct seal_order o = {
		.pgp = alice, .m = m, .spool_path = in_top("spool/m"), .digest = digest, .outbox = in_top("out"), .inline_max = 1000,
		.small_max = small_max,
	};

	digest_of(m, digest);
	if (from_file) {
		ck_assert_int_eq(files_put(o.spool_path, m, &e), OK);
		o.m = bytes_of(NULL, 0);
	}
	return seal_work(ctx, &o, out, &e);
}

/* Octets, or the file; exactly one of them, and h is theirs. */
static struct bytes octets_of(const uint8_t hash[32], uint64_t size, struct bytes octets)
{
	uint8_t is[32];
	struct bytes file = { NULL, 0 };
	bool there = files_get(ctx, files_fanout(ctx, in_top("out"), hash), MIB(1), &file, &e) == OK;

	ck_assert_int_ne(there, octets.data != NULL);
	if (there)
		octets = file;
	ck_assert_uint_eq(octets.len, size);
	digest_of(octets, is);
	ck_assert_mem_eq(is, hash, 32);
	return octets;
}

static void assert_opens(struct bytes m, const struct sealed *s, struct bytes sealed)
{
	atomic_bool whole = true;
	uint8_t digest[32];
	struct mime *mime = NULL;
	struct unseal_order o = {
		.pgp = alice, .sealed_fd = files_in_memory(sealed), .whole = &whole, .dir = in_top("in"), .key = s->key,
		.fpr = pgp_own_fpr(alice), .digest = digest, .size = m.len,
	};
	struct bytes got;

	digest_of(m, digest);
	ck_assert_msg(unseal_work(ctx, &o, &mime, &e) == OK, "%s", e.text);
	ck_assert_int_eq(files_get(ctx, files_fanout(ctx, o.dir, digest), MIB(1), &got, &e), OK);
	ck_assert(bytes_equal(got, m));
	close(o.sealed_fd);
}

static const struct { const char *name; size_t header, noise; bool from_file, has_head; } sizes[] = {
	{ "small", 100, 100, false, false },
	{ "not small", 100, NOISE, false, false },
	{ "out of a file", 100, NOISE, true, false },
	{ "with a head", 3000, 100, false, true },
};

/* m' is of the same size each time but for the compressor's mood: so the limit is put where the last one was, or below it. */
START_TEST(small_or_file)
{
	struct bytes m = message(sizes[_i].header, sizes[_i].noise);
	struct sealed s;

	for (int below = 0; below <= 1; below++) {
		ck_assert_msg(seal(m, below ? 10 : MIB(1), sizes[_i].from_file, &s) == OK, "%s: %s", sizes[_i].name, e.text);
		ck_assert_int_eq(s.octets.data == NULL, below);
		ck_assert_int_eq(s.has_head, sizes[_i].has_head);
		assert_opens(m, &s, octets_of(s.hash, s.size, s.octets));
		if (s.has_head)
			octets_of(s.head_hash, s.head_size, s.head_octets);
	}
}
END_TEST

/* At the limit exactly it is small, one octet over it is not. */
START_TEST(at_the_limit)
{
	struct bytes m = message(100, NOISE);
	struct sealed s;
	bool seen[2] = { false, false };	/* over it, at it */

	ck_assert_int_eq(seal(m, MIB(1), false, &s), OK);
	size_t limit = s.size;

	/* The signature is compressed with the rest, and another one each time: of some dozen sizes one is hit soon. */
	for (int i = 0; i < 600 && !(seen[0] && seen[1]); i++) {
		size_t max = seen[0] ? limit : limit - 1;

		ck_assert_int_eq(seal(m, max, false, &s), OK);
		ck_assert_int_eq(s.octets.data != NULL, s.size <= max);
		octets_of(s.hash, s.size, s.octets);
		if (s.size == limit)
			seen[s.size <= max] = true;
	}
	ck_assert(seen[0] && seen[1]);
}
END_TEST

START_TEST(no_folder)
{
	struct bytes m = message(100, NOISE);
	struct sealed s;

	ck_assert_int_eq(rmdir(in_top("out")), 0);
	ck_assert_int_eq(seal(m, 1000, false, &s), RETRY);
	ck_assert_msg(strstr(e.text, "outbox") && strstr(e.text, "No such file"), "%s", e.text);
	ck_assert_int_eq(seal(m, MIB(1), false, &s), OK);
}
END_TEST

/* What lies in the spool is not what was accepted. */
START_TEST(other_octets)
{
	struct bytes m = message(100, 100), other = message(100, 100);
	struct sealed s;
	struct seal_order o = {
		.pgp = alice, .m = other, .spool_path = "spool/m", .outbox = in_top("out"), .inline_max = 1000, .small_max = MIB(1),
	};
	uint8_t digest[32];

	digest_of(m, digest);
	o.digest = digest;
	ck_assert_int_eq(seal_work(ctx, &o, &s, &e), REJECT);
	ck_assert_ptr_nonnull(strstr(e.text, "is not what was accepted"));
}
END_TEST

UNIT_SUITE("seal")
{
	tcase_add_checked_fixture(unit_case, setup, teardown);
	UNIT_LOOP(small_or_file, sizes);
	UNIT(at_the_limit);
	UNIT(no_folder);
	UNIT(other_octets);
}
UNIT_END
