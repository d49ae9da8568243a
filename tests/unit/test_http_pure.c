/* What of lib/http needs no socket: ranges, ETags, digests, addresses. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/address.h"
#include "lib/http/content_digest.h"
#include "lib/http/range.h"
#include "tests/unit/unit.h"

static const struct {
	const char *name, *field;
	uint64_t size;
	enum http_range want;
	uint64_t first, len;
} range_cases[] = {
	{ "middle", "bytes=2-4", 10, HTTP_RANGE_PART, 2, 3 },
	{ "one octet", "bytes=9-9", 10, HTTP_RANGE_PART, 9, 1 },
	{ "all", "bytes=0-9", 10, HTTP_RANGE_PART, 0, 10 },
	{ "open", "bytes=3-", 10, HTTP_RANGE_PART, 3, 7 },
	{ "end cut", "bytes=3-99", 10, HTTP_RANGE_PART, 3, 7 },
	{ "end beyond all numbers", "bytes=0-99999999999999999999999", 10, HTTP_RANGE_PART, 0, 10 },
	{ "suffix", "bytes=-1", 10, HTTP_RANGE_PART, 9, 1 },
	{ "long suffix", "bytes=-11", 10, HTTP_RANGE_PART, 0, 10 },
	{ "endless suffix", "bytes=-99999999999999999999999", 10, HTTP_RANGE_PART, 0, 10 },
	{ "empty suffix", "bytes=-0", 10, HTTP_RANGE_BEYOND, 0, 0 },
	{ "first beyond", "bytes=10-", 10, HTTP_RANGE_BEYOND, 0, 0 },
	{ "first far beyond", "bytes=99999999999999999999999-", 10, HTTP_RANGE_BEYOND, 0, 0 },
	{ "of nothing", "bytes=0-", 0, HTTP_RANGE_BEYOND, 0, 0 },
	{ "suffix of nothing", "bytes=-1", 0, HTTP_RANGE_BEYOND, 0, 0 },
	{ "largest", "bytes=0-", UINT64_MAX, HTTP_RANGE_PART, 0, UINT64_MAX },
	{ "backwards", "bytes=4-2", 10, HTTP_RANGE_NONE, 0, 0 },
	{ "two", "bytes=0-1,4-5", 10, HTTP_RANGE_NONE, 0, 0 },
	{ "unit", "octets=0-1", 10, HTTP_RANGE_NONE, 0, 0 },
	{ "no dash", "bytes=5", 10, HTTP_RANGE_NONE, 0, 0 },
	{ "dash alone", "bytes=-", 10, HTTP_RANGE_NONE, 0, 0 },
	{ "nothing", "bytes=", 10, HTTP_RANGE_NONE, 0, 0 },
	{ "sign", "bytes=+1-2", 10, HTTP_RANGE_NONE, 0, 0 },
	{ "space", "bytes=1 -2", 10, HTTP_RANGE_NONE, 0, 0 },
	{ "after", "bytes=1-2x", 10, HTTP_RANGE_NONE, 0, 0 },
	{ "suffix after", "bytes=-2x", 10, HTTP_RANGE_NONE, 0, 0 },
	{ "empty", "", 10, HTTP_RANGE_NONE, 0, 0 },
};

START_TEST(range_table)
{
	const char *name = range_cases[_i].name;
	uint64_t first = 77, len = 77;
	enum http_range got = http_range_parse(range_cases[_i].field, range_cases[_i].size, &first, &len);

	ck_assert_msg(got == range_cases[_i].want, "case '%s': %d", name, got);
	if (got == HTTP_RANGE_PART)
		ck_assert_msg(first == range_cases[_i].first && len == range_cases[_i].len,
		    "case '%s': %" PRIu64 " %" PRIu64, name, first, len);
}
END_TEST

static const struct {
	const char *name, *list;
	bool want;
} etag_cases[] = {
	{ "same", "\"a\"", true },
	{ "weak", "W/\"a\"", true },
	{ "second", "\"b\", \"a\"", true },
	{ "no space", "\"b\",\"a\"", true },
	{ "odd commas", ", ,\"b\" ,, W/\"a\",", true },
	{ "star", "*", true },
	{ "other", "\"b\"", false },
	{ "longer", "\"aa\"", false },
	{ "unquoted", "a", false },
	{ "open", "\"a", false },
	{ "comma inside", "\"x,\"a\"", false },
	{ "empty", "", false },
	{ "after nonsense", "b, \"a\"", false },
};

START_TEST(etag_table)
{
	ck_assert_msg(http_etag_in(etag_cases[_i].list, "\"a\"") == etag_cases[_i].want,
	    "case '%s'", etag_cases[_i].name);
}
END_TEST

#define B64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static const struct { const char *name, *field; int want; } digest_cases[] = {
	{ "good", "sha-256=:" B64 ":", 1 },
	{ "blanks around", " sha-256=:" B64 ":\t", 1 },
	{ "behind another", "md5=:AAEC:, sha-256=:" B64 ":", 1 },
	{ "before another", "sha-256=:" B64 ": ,\tsha-512=:AAEC:", 1 },
	{ "another", "sha-512=:AAEC:", 0 },
	{ "empty another", "unixsum=::", 0 },
	{ "twice", "sha-256=:" B64 ":, sha-256=:" B64 ":", -1 },
	{ "too short", "sha-256=:AAEC:", -1 },
	{ "too long", "sha-256=:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g:", -1 },
	{ "not canonical", "sha-256=:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=:", -1 },
	{ "not padded", "sha-256=:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:", -1 },
	{ "no base64", "sha-256=:?:", -1 },
	{ "hex", "sha-256=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", -1 },
	{ "no colons", "sha-256=" B64, -1 },
	{ "open", "sha-256=:" B64, -1 },
	{ "in capitals", "SHA-256=:" B64 ":", -1 },
	{ "parameter", "sha-256=:" B64 ":;q=1", -1 },
	{ "blank before the value", "sha-256= :" B64 ":", -1 },
	{ "no name", "=:" B64 ":", -1 },
	{ "comma at the end", "sha-256=:" B64 ":,", -1 },
	{ "two commas", "sha-256=:" B64 ":,,md5=:AAEC:", -1 },
	{ "no comma", "sha-256=:" B64 ": md5=:AAEC:", -1 },
	{ "empty", "", -1 },
};

START_TEST(digest_table)
{
	uint8_t out[DIGEST_LEN];

	ck_assert_msg(http_content_digest_parse(digest_cases[_i].field, out) == digest_cases[_i].want,
	    "case '%s'", digest_cases[_i].name);
	if (digest_cases[_i].want != 1)
		return;
	for (int i = 0; i < DIGEST_LEN; i++)
		ck_assert_uint_eq(out[i], i);
	char *field = http_content_digest_print(NULL, out);
	ck_assert_str_eq(field, "sha-256=:" B64 ":");
	talloc_free(field);
}
END_TEST

/* own: the host of one of our URLs. stranger, friend: may it be used? */
static const struct {
	const char *name, *address, *own;
	bool stranger, friend;
} address_cases[] = {
	{ "public", "93.184.216.34", NULL, true, true },
	{ "public 6", "2606:2800:220:1::1", NULL, true, true },
	{ "documentation", "198.51.100.7", NULL, true, true },
	{ "loopback", "127.0.0.1", NULL, false, true },
	{ "loopback, far end", "127.255.1.2", NULL, false, true },
	{ "loopback 6", "::1", NULL, false, true },
	{ "ten", "10.1.2.3", NULL, false, true },
	{ "nine and eleven", "11.0.0.0", NULL, true, true },
	{ "172.16", "172.16.0.1", NULL, false, true },
	{ "172.31", "172.31.255.255", NULL, false, true },
	{ "172.32", "172.32.0.1", NULL, true, true },
	{ "172.15", "172.15.255.255", NULL, true, true },
	{ "192.168", "192.168.1.1", NULL, false, true },
	{ "link-local", "169.254.169.254", NULL, false, true },
	{ "carrier", "100.64.0.1", NULL, false, true },
	{ "carrier's end", "100.127.255.255", NULL, false, true },
	{ "beside the carrier", "100.128.0.1", NULL, true, true },
	{ "below the carrier", "100.63.255.255", NULL, true, true },
	{ "benchmarks", "198.19.0.1", NULL, false, true },
	{ "zero", "0.0.0.0", NULL, false, false },
	{ "this network", "0.1.2.3", NULL, false, false },
	{ "multicast", "224.0.0.1", NULL, false, false },
	{ "reserved", "240.0.0.1", NULL, false, false },
	{ "broadcast", "255.255.255.255", NULL, false, false },
	{ "unspecified 6", "::", NULL, false, false },
	{ "compatible", "::127.0.0.1", NULL, false, false },
	{ "unique local", "fd12:3456::1", NULL, false, true },
	{ "unique local c", "fc00::1", NULL, false, true },
	{ "link-local 6", "fe80::1", NULL, false, true },
	{ "site-local", "fec0::1", NULL, false, true },
	{ "multicast 6", "ff02::1", NULL, false, false },
	{ "mapped loopback", "::ffff:127.0.0.1", NULL, false, true },
	{ "mapped ten", "::ffff:10.0.0.1", NULL, false, true },
	{ "mapped zero", "::ffff:0.0.0.0", NULL, false, false },
	{ "mapped public", "::ffff:93.184.216.34", NULL, true, true },
	{ "NAT64 ten", "64:ff9b::10.0.0.1", NULL, false, true },
	{ "NAT64 public", "64:ff9b::93.184.216.34", NULL, true, true },
	{ "6to4 ten", "2002:a00:1::1", NULL, false, true },
	{ "6to4 public", "2002:5db8:d822::1", NULL, true, true },
	{ "own loopback", "127.0.0.1", "127.0.0.1", true, true },
	{ "own loopback, elsewhere", "127.9.8.7", "127.0.0.1", true, true },
	{ "own localhost", "127.0.0.1", "localhost", true, true },
	{ "own loopback is not ten", "10.0.0.1", "127.0.0.1", false, true },
	{ "own loopback is not ::1", "::1", "127.0.0.1", false, true },
	{ "own ::1", "::1", "::1", true, true },
	{ "own ::1 is not IPv4", "10.0.0.1", "::1", false, true },
	{ "own ::1 is not mapped", "::ffff:127.0.0.1", "::1", false, true },
	{ "own /24", "192.168.1.77", "192.168.1.1", true, true },
	{ "beside own /24", "192.168.2.77", "192.168.1.1", false, true },
	{ "own /24 by mapped", "::ffff:192.168.1.77", "192.168.1.1", true, true },
	{ "own /64", "fd12:3456:0:1::9", "fd12:3456:0:1::1", true, true },
	{ "beside own /64", "fd12:3456:0:2::9", "fd12:3456:0:1::1", false, true },
	{ "own public address", "10.0.0.1", "93.184.216.34", false, true },
	{ "own name", "127.0.0.1", "mail.example.org", false, true },
	{ "own zero does not open it", "0.0.0.1", "0.0.0.2", false, false },
};

START_TEST(address_table)
{
	const char *name = address_cases[_i].name, *text = address_cases[_i].address;
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const struct sockaddr *sa = (const struct sockaddr *)&in;
	struct http_network net;
	size_t n_nets = address_cases[_i].own && http_network_of(address_cases[_i].own, &net);

	if (inet_pton(AF_INET, text, &in.sin_addr) != 1) {
		ck_assert_int_eq(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
		sa = (const struct sockaddr *)&in6;
	}
	ck_assert_msg(http_address_allowed(sa, &net, n_nets, false) == address_cases[_i].stranger,
	    "case '%s', a stranger's", name);
	ck_assert_msg(http_address_allowed(sa, &net, n_nets, true) == address_cases[_i].friend,
	    "case '%s', a friend's", name);
}
END_TEST

START_TEST(address_of_another_kind)
{
	struct sockaddr sa = { .sa_family = AF_UNIX };

	ck_assert(!http_address_allowed(&sa, NULL, 0, true));
}
END_TEST

UNIT_SUITE("http_pure")
{
	UNIT_LOOP(range_table, range_cases);
	UNIT_LOOP(etag_table, etag_cases);
	UNIT_LOOP(digest_table, digest_cases);
	UNIT_LOOP(address_table, address_cases);
	UNIT(address_of_another_kind);
}
UNIT_END
