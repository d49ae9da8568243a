/* SHA-256 and HMAC against published values; hex and base64 take one text for one value. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "unit/unit.h"

/* FIPS 180-2 appendix B. */
static const struct { const char *name, *in, *hex; } digest_cases[] = {
	{ "empty", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

START_TEST(digest_table)
{
	const char *in = digest_cases[_i].in;
	struct digest *d = digest_new(NULL);
	uint8_t out[DIGEST_LEN];
	char hex[DIGEST_HEX];

	digest_of(bytes_str(in), out);
	hex_print(bytes_of(out, sizeof(out)), hex);
	ck_assert_str_eq(hex, digest_cases[_i].hex);
	for (int again = 0; again < 2; again++) {
		for (const char *p = in; *p != '\0'; p++)
			digest_add(d, p, 1);
		digest_take(d, out);
		hex_print(bytes_of(out, sizeof(out)), hex);
		ck_assert_str_eq(hex, digest_cases[_i].hex);
	}
	talloc_free(d);
}
END_TEST

START_TEST(digest_of_a_file)
{
	char path[] = "test_base_digest.tmp.XXXXXX", block[1000];
	int fd = mkstemp(path);
	uint8_t out[DIGEST_LEN];
	char hex[DIGEST_HEX];
	uint64_t size;

	ck_assert_int_ge(fd, 0);
	unlink(path);
	memset(block, 'a', sizeof(block));
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(write(fd, block, sizeof(block)), sizeof(block));
	ck_assert_int_eq(digest_of_fd(fd, out, &size), 0);
	hex_print(bytes_of(out, sizeof(out)), hex);
	ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	ck_assert_uint_eq(size, 1000000);
	close(fd);
	ck_assert_int_eq(digest_of_fd(fd, out, NULL), -1);
}
END_TEST

/* RFC 4231 test cases 2 and 6. */
START_TEST(hmac_values)
{
	uint8_t out[DIGEST_LEN], key[131];
	char hex[DIGEST_HEX];

	digest_hmac(bytes_str("Jefe"), bytes_str("what do ya want for nothing?"), out);
	hex_print(bytes_of(out, sizeof(out)), hex);
	ck_assert_str_eq(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	digest_hmac(bytes_of(key, sizeof(key)), bytes_str("Test Using Larger Than Block-Size Key - Hash Key First"), out);
	hex_print(bytes_of(out, sizeof(out)), hex);
	ck_assert_str_eq(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	digest_hmac(bytes_of(NULL, 0), bytes_of(NULL, 0), out);
	hex_print(bytes_of(out, sizeof(out)), hex);
	ck_assert_str_eq(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(random_and_compare)
{
	uint8_t a[64] = { 0 }, b[64];

	random_fill(a, sizeof(a));
	random_fill(b, sizeof(b));
	ck_assert(!secret_equal(a, b, sizeof(a)));
	memcpy(b, a, sizeof(b));
	ck_assert(secret_equal(a, b, sizeof(a)));
	b[63] ^= 1;
	ck_assert(!secret_equal(a, b, sizeof(a)));
	ck_assert(secret_equal(a, b, 63));
	ck_assert_uint_ne(random_u64(), random_u64());
}
END_TEST

static const struct { const char *name, *in; size_t len; int res; } hex_cases[] = {
	{ "all digits", "0123456789abcdef", 8, 0 },
	{ "nothing", "", 0, 0 },
	{ "upper case", "0A", 1, -1 },
	{ "too short", "0a0", 2, -1 },
	{ "too long", "0a0b", 1, -1 },
	{ "half a digit more", "0a0", 1, -1 },
	{ "no digit", "0g", 1, -1 },
	{ "blank", " a", 1, -1 },
	{ "sign", "-1", 1, -1 },
};

START_TEST(hex_table)
{
	uint8_t out[8];
	char again[17];

	ck_assert_msg(hex_parse(hex_cases[_i].in, out, hex_cases[_i].len) == hex_cases[_i].res, "case '%s'",
	    hex_cases[_i].name);
	if (hex_cases[_i].res == 0) {
		hex_print(bytes_of(out, hex_cases[_i].len), again);
		ck_assert_str_eq(again, hex_cases[_i].in);
	}
}
END_TEST

/* RFC 4648 section 10, and what must not pass. want NULL: -1. */
static const struct { const char *name, *in; size_t max; const char *want; } base64_cases[] = {
	{ "empty", "", 0, "" },
	{ "one", "Zg==", 10, "f" },
	{ "two", "Zm8=", 10, "fo" },
	{ "three", "Zm9v", 10, "foo" },
	{ "six", "Zm9vYmFy", 10, "foobar" },
	{ "as long as allowed", "Zm9v", 3, "foo" },
	{ "one too long", "Zm9v", 2, NULL },
	{ "much too long", "Zm9vYmFyZm9vYmFy", 2, NULL },
	{ "nothing allowed", "Zg==", 0, NULL },
	{ "no padding", "Zg", 10, NULL },
	{ "half of the padding", "Zg=", 10, NULL },
	{ "stray bits", "Zh==", 10, NULL },
	{ "stray bits of two", "Zm9=", 10, NULL },
	{ "padding only", "====", 10, NULL },
	{ "too much padding", "Z===", 10, NULL },
	{ "padding inside", "Zg==Zg==", 10, NULL },
	{ "line end", "Zm9v\n", 10, NULL },
	{ "line end inside", "Zm9v\r\n\r\nYmFy", 10, NULL },
	{ "blanks", "Zm9v    ", 10, NULL },
	{ "URL alphabet", "-_-_", 10, NULL },
	{ "no alphabet", "Zm9*", 10, NULL },
};

START_TEST(base64_table)
{
	void *ctx = mem_ctx(NULL);
	const char *want = base64_cases[_i].want;
	struct bytes out = bytes_str("untouched");
	int res = base64_parse(ctx, base64_cases[_i].in, base64_cases[_i].max, &out);

	ck_assert_msg(res == (want != NULL ? 0 : -1), "case '%s'", base64_cases[_i].name);
	if (want != NULL) {
		ck_assert(bytes_equal(out, bytes_str(want)));
		ck_assert_str_eq(base64_print(ctx, out), base64_cases[_i].in);
	}
	talloc_free(ctx);
}
END_TEST

START_TEST(base64_of_any_length)
{
	uint8_t raw[300];

	random_fill(raw, sizeof(raw));
	for (size_t len = 0; len <= sizeof(raw); len++) {
		void *ctx = mem_ctx(NULL);
		char *text = base64_print(ctx, bytes_of(raw, len));
		struct bytes out;

		ck_assert_uint_eq(strlen(text), (len + 2) / 3 * 4);
		ck_assert_int_eq(base64_parse(ctx, text, len, &out), 0);
		ck_assert(bytes_equal(out, bytes_of(raw, len)));
		ck_assert_int_eq(out.data[len], 0);
		talloc_free(ctx);
	}
}
END_TEST

UNIT_SUITE("base_digest")
	UNIT_LOOP(digest_table, digest_cases);
	UNIT(digest_of_a_file);
	UNIT(hmac_values);
	UNIT(random_and_compare);
	UNIT_LOOP(hex_table, hex_cases);
	UNIT_LOOP(base64_table, base64_cases);
	UNIT(base64_of_any_length);
UNIT_END
