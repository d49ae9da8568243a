/* Framing of OpenPGP messages: each in memory, and fed in pieces of every size. */
#include "unit/unit.h"

#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/mail/packets.h"

/* Bodies; what is encrypted in them does not matter here. */
#define ID0 "\0\0\0\0\0\0\0\0"
#define X10 "xxxxxxxxxx"
#define X40 X10 X10 X10 X10
#define X41 X40 "x"
#define X512 X40 X40 X40 X40 X40 X40 X40 X40 X40 X40 X40 X40 X10 X10 "xxxxxxxxxxxx"

#define PKESK "\xc1\x0d\x03" ID0 "\x01xxx"
#define SEIPD "\xd2\x29\x01" X40
#define SEIPD_PARTIAL "\xd2\xe9\x01" X512 X10 "\x05xxxxx"
#define SKESK_SALTED "\xc3\x0c\x04\x09\x01\x08" "saltsalt"
#define SKESK_SIMPLE "\xc3\x04\x04\x09\x00\x08"
#define ONE_PASS "\xc4\x0d\x03\x00\x08\x01" "keykeyke" "\x01"
#define LITERAL "\xcb\x08" "b\0dddd" "xx"
#define SIGNATURE "\xc2\x0c\x04\x00\x01\x08" "xxxxxxxx"
#define COMPRESSED "\xa3\x01xxxx"

#define ROW(octets) octets, sizeof(octets) - 1

static const struct { const char *name; enum packets_shape shape; const char *in; size_t len; int want; } cases[] = {
	{ "ns", PACKETS_NS, ROW(PKESK SEIPD), 0 },
	{ "ns in old format", PACKETS_NS, ROW("\x84\x0d\x03" ID0 "\x01xxx" SEIPD), 0 },
	{ "ns, old format, two octets of length", PACKETS_NS, ROW("\x85\x00\x0d\x03" ID0 "\x01xxx" SEIPD), 0 },
	{ "ns, old format, four octets of length", PACKETS_NS, ROW("\x86\x00\x00\x00\x0d\x03" ID0 "\x01xxx" SEIPD), 0 },
	{ "ns, old format, no length", PACKETS_NS, ROW("\x87\x03" ID0 "\x01xxx" SEIPD), -1 },
	{ "ns, five octets of length", PACKETS_NS, ROW("\xc1\xff\x00\x00\x00\x0d\x03" ID0 "\x01xxx" SEIPD), 0 },
	{ "ns with a named key", PACKETS_NS, ROW("\xc1\x0d\x03" "\0\0\0\0\0\0\0\x01" "\x01xxx" SEIPD), -1 },
	{ "ns with PKESK version 6", PACKETS_NS, ROW("\xc1\x0d\x06" ID0 "\x01xxx" SEIPD), -1 },
	{ "ns with a short PKESK", PACKETS_NS, ROW("\xc1\x09\x03" ID0 SEIPD), -1 },
	{ "ns with an empty PKESK", PACKETS_NS, ROW("\xc1\x00" SEIPD), -1 },
	{ "ns for two", PACKETS_NS, ROW(PKESK PKESK SEIPD), -1 },
	{ "ns with a password", PACKETS_NS, ROW(SKESK_SALTED SEIPD), -1 },
	{ "ns with both", PACKETS_NS, ROW(PKESK SKESK_SALTED SEIPD), -1 },
	{ "ns without SEIPD", PACKETS_NS, ROW(PKESK), -1 },
	{ "only SEIPD", PACKETS_NS, ROW(SEIPD), -1 },
	{ "ns with two SEIPD", PACKETS_NS, ROW(PKESK SEIPD SEIPD), -1 },
	{ "ns and an octet", PACKETS_NS, ROW(PKESK SEIPD "\0"), -1 },
	{ "ns and a marker", PACKETS_NS, ROW(PKESK SEIPD "\xca\x03PGP"), -1 },
	{ "a marker and ns", PACKETS_NS, ROW("\xca\x03PGP" PKESK SEIPD), -1 },
	{ "ns without MDC", PACKETS_NS, ROW(PKESK "\xc9\x29\x01" X40), -1 },
	{ "ns with AEAD", PACKETS_NS, ROW(PKESK "\xd4\x29\x01" X40), -1 },
	{ "SEIPD version 2", PACKETS_NS, ROW(PKESK "\xd2\x29\x02" X40), -1 },
	{ "SEIPD too short", PACKETS_NS, ROW(PKESK "\xd2\x28\x01" X10 X10 X10 "xxxxxxxxx"), -1 },
	{ "SEIPD empty", PACKETS_NS, ROW(PKESK "\xd2\x00"), -1 },
	{ "SEIPD partial", PACKETS_NS, ROW(PKESK SEIPD_PARTIAL), -1 },
	{ "PKESK partial", PACKETS_NS, ROW("\xc1\xe9\x03" ID0 X512), -1 },
	{ "empty", PACKETS_NS, ROW(""), -1 },
	{ "text", PACKETS_NS, ROW("-----BEGIN PGP MESSAGE-----"), -1 },
	{ "shared by one", PACKETS_SHARED, ROW(PKESK SEIPD), 0 },
	{ "shared by three", PACKETS_SHARED, ROW(PKESK PKESK PKESK SEIPD), 0 },
	{ "shared by nobody", PACKETS_SHARED, ROW(SEIPD), -1 },
	{ "shared, without SEIPD", PACKETS_SHARED, ROW(PKESK PKESK), -1 },
	{ "shared, with a named key", PACKETS_SHARED, ROW(PKESK "\xc1\x0d\x03" "\0\0\0\0\0\0\0\x01" "\x01xxx" SEIPD), -1 },
	{ "shared, with a password", PACKETS_SHARED, ROW(PKESK SKESK_SALTED SEIPD), -1 },
	{ "shared, a key behind it", PACKETS_SHARED, ROW(PKESK SEIPD PKESK), -1 },
	{ "shared, two SEIPD", PACKETS_SHARED, ROW(PKESK PKESK SEIPD SEIPD), -1 },
	{ "sealed, salted", PACKETS_SEALED, ROW(SKESK_SALTED SEIPD), 0 },
	{ "sealed, simple", PACKETS_SEALED, ROW(SKESK_SIMPLE SEIPD), 0 },
	{ "sealed, with a session key", PACKETS_SEALED, ROW("\xc3\x25\x04\x09\x00\x08" X10 X10 X10 "xxx" SEIPD), 0 },
	{ "sealed, iterated", PACKETS_SEALED, ROW("\xc3\x0d\x04\x09\x03\x08" "saltsalt\xff" SEIPD), -1 },
	{ "sealed, AES-128", PACKETS_SEALED, ROW("\xc3\x0c\x04\x07\x01\x08" "saltsalt" SEIPD), -1 },
	{ "sealed, SKESK version 5", PACKETS_SEALED, ROW("\xc3\x0c\x05\x09\x01\x08" "saltsalt" SEIPD), -1 },
	{ "sealed, salt cut", PACKETS_SEALED, ROW("\xc3\x0b\x04\x09\x01\x08" "saltsal" SEIPD), -1 },
	{ "sealed, salt too long", PACKETS_SEALED, ROW("\xc3\x0d\x04\x09\x01\x08" "saltsaltx" SEIPD), -1 },
	{ "sealed with a key", PACKETS_SEALED, ROW(PKESK SEIPD), -1 },
	{ "sealed with both", PACKETS_SEALED, ROW(SKESK_SALTED PKESK SEIPD), -1 },
	{ "sealed twice", PACKETS_SEALED, ROW(SKESK_SALTED SKESK_SALTED SEIPD), -1 },
	{ "sealed and another", PACKETS_SEALED, ROW(SKESK_SALTED SEIPD SKESK_SALTED SEIPD), -1 },
	{ "sealed and a literal", PACKETS_SEALED, ROW(SKESK_SALTED SEIPD LITERAL), -1 },
	{ "signed", PACKETS_SIGNED, ROW(ONE_PASS LITERAL SIGNATURE), 0 },
	{ "signed, compressed", PACKETS_SIGNED, ROW(COMPRESSED), 0 },
	{ "signed, compressed with a length", PACKETS_SIGNED, ROW("\xc8\x04\x01xxx"), 0 },
	{ "compressed and more", PACKETS_SIGNED, ROW("\xc8\x04\x01xxx" SIGNATURE), -1 },
	{ "compressed twice", PACKETS_SIGNED, ROW("\xc8\x04\x01xxx" "\xc8\x04\x01xxx"), -1 },
	{ "compressed, empty", PACKETS_SIGNED, ROW("\xa3"), -1 },
	{ "compressed in the middle", PACKETS_SIGNED, ROW(ONE_PASS COMPRESSED), -1 },
	{ "compressed ns", PACKETS_NS, ROW(COMPRESSED), -1 },
	{ "not signed", PACKETS_SIGNED, ROW(LITERAL), -1 },
	{ "signature first", PACKETS_SIGNED, ROW(SIGNATURE LITERAL), -1 },
	{ "no signature", PACKETS_SIGNED, ROW(ONE_PASS LITERAL), -1 },
	{ "literal without a length", PACKETS_SIGNED, ROW(ONE_PASS "\xaf" "b\0ddddxx" SIGNATURE), -1 },
	{ "signed twice", PACKETS_SIGNED, ROW(ONE_PASS ONE_PASS LITERAL SIGNATURE SIGNATURE), -1 },
	{ "two signatures", PACKETS_SIGNED, ROW(ONE_PASS LITERAL SIGNATURE SIGNATURE), -1 },
	{ "nested one-pass", PACKETS_SIGNED, ROW("\xc4\x0d\x03\x00\x08\x01" "keykeyke" "\x00" LITERAL SIGNATURE), -1 },
	{ "SHA-1", PACKETS_SIGNED, ROW("\xc4\x0d\x03\x00\x02\x01" "keykeyke" "\x01" LITERAL SIGNATURE), -1 },
	{ "text signature", PACKETS_SIGNED, ROW("\xc4\x0d\x03\x01\x08\x01" "keykeyke" "\x01" LITERAL SIGNATURE), -1 },
	{ "signature version 3", PACKETS_SIGNED, ROW(ONE_PASS LITERAL "\xc2\x0c\x03\x00\x01\x08" "xxxxxxxx"), -1 },
	{ "two literals", PACKETS_SIGNED, ROW(ONE_PASS LITERAL LITERAL SIGNATURE), -1 },
	{ "trailing literal", PACKETS_SIGNED, ROW(ONE_PASS LITERAL SIGNATURE LITERAL), -1 },
	{ "a second message", PACKETS_SIGNED, ROW(ONE_PASS LITERAL SIGNATURE ONE_PASS LITERAL SIGNATURE), -1 },
};

static int feed(enum packets_shape shape, struct bytes in, size_t piece)
{
	struct err e = { "" };
	struct packets *p = packets_new(NULL, shape);
	int res = 0;

	for (size_t at = 0; at < in.len && res == 0; at += piece) {
		size_t n = in.len - at < piece ? in.len - at : piece;
		res = packets_feed(p, bytes_of(in.data + at, n), &e);
	}
	if (res == 0)
		res = packets_end(p, &e);
	ck_assert_int_eq(res < 0, e.text[0] != '\0');
	talloc_free(p);
	return res;
}

START_TEST(packets_table)
{
	struct bytes in = bytes_of(cases[_i].in, cases[_i].len);
	struct err e;

	ck_assert_msg(packets_check(cases[_i].shape, in, &e) == cases[_i].want, "case '%s'", cases[_i].name);
	for (size_t piece = 1; piece < 70; piece++)
		ck_assert_msg(feed(cases[_i].shape, in, piece) == cases[_i].want, "case '%s' in %zu", cases[_i].name, piece);
}
END_TEST

/* No good message is good when it is cut, except where nothing tells its end. */
START_TEST(packets_cut)
{
	struct err e;

	for (size_t len = 0; len < cases[_i].len; len++)
		if (cases[_i].want == 0 && (unsigned char)cases[_i].in[0] != 0xa3)
			ck_assert_msg(packets_check(cases[_i].shape, bytes_of(cases[_i].in, len), &e) == -1,
			    "case '%s' cut at %zu", cases[_i].name, len);
}
END_TEST

/* Partial lengths of 512 and 1 octets, a last one of 0; version 1 first. */
static struct bytes partial(void *ctx, uint8_t first, uint8_t second, uint8_t last)
{
	struct buf *b = buf_new(ctx, MIB(1));
	char octets[1024];

	memset(octets, 1, sizeof(octets));
	buf_add(b, PKESK "\xd2", sizeof(PKESK "\xd2") - 1);
	buf_add(b, &first, 1);
	buf_add(b, octets, (size_t)1 << (first & 31));
	buf_add(b, &second, 1);
	buf_add(b, octets, (size_t)1 << (second & 31));
	buf_add(b, &last, 1);
	buf_add(b, octets, last);
	return buf_bytes(b);
}

static const struct { const char *name; uint8_t first, second, last; int want; } partial_cases[] = {
	{ "512, 1, 0", 0xe9, 0xe0, 0, 0 },
	{ "1024, 2, 100", 0xea, 0xe1, 100, 0 },
	{ "256 first", 0xe8, 0xe9, 1, -1 },
};

START_TEST(packets_partial_table)
{
	void *ctx = mem_ctx(NULL);
	struct bytes in = partial(ctx, partial_cases[_i].first, partial_cases[_i].second, partial_cases[_i].last);
	struct err e;

	ck_assert_msg(packets_check(PACKETS_NS, in, &e) == partial_cases[_i].want, "%s", partial_cases[_i].name);
	ck_assert_int_eq(feed(PACKETS_NS, in, 1), partial_cases[_i].want);
	ck_assert_int_eq(feed(PACKETS_NS, in, 7), partial_cases[_i].want);
	/* It ends with a partial length: there must be another. */
	in.len -= 1 + (size_t)partial_cases[_i].last;
	ck_assert_int_eq(packets_check(PACKETS_NS, in, &e), -1);
	talloc_free(ctx);
}
END_TEST

static const struct { size_t len; int want; } pkesk_cases[] = { { 600, 0 }, { 601, -1 } };

START_TEST(packets_pkesk_size)
{
	uint8_t in[700] = { 0xc1, 0xff, 0, 0, (uint8_t)(pkesk_cases[_i].len >> 8), (uint8_t)pkesk_cases[_i].len, 3 };
	size_t len = 6 + pkesk_cases[_i].len;
	struct err e;

	memcpy(in + len, SEIPD, sizeof(SEIPD) - 1);
	ck_assert_int_eq(packets_check(PACKETS_NS, bytes_of(in, len + sizeof(SEIPD) - 1), &e), pkesk_cases[_i].want);
}
END_TEST

UNIT_SUITE("packets")
{
	UNIT_LOOP(packets_table, cases);
	UNIT_LOOP(packets_cut, cases);
	UNIT_LOOP(packets_partial_table, partial_cases);
	UNIT_LOOP(packets_pkesk_size, pkesk_cases);
}
UNIT_END
