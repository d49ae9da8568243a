/* DHT values, their keys, and what p proves (p2pmta-protocol(7), sections 1, 4, 5, 7). */
#include "unit/unit.h"

#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/mail/value.h"

#define T16 "tttttttttttttttt"
#define P32 "pppppppppppppppppppppppppppppppp"
#define ROW(octets) octets, sizeof(octets) - 1

static const struct { const char *name, *in; size_t len; int want; enum value_kind kind; } value_cases[] = {
	{ "ns", ROW("p2ns\x01\x01" "\0\0\x50\x2a" T16 "x"), 0, VALUE_NS },
	{ "ns of a stranger", ROW("p2ns\x01\0" "\0\0\x50\x2a" T16 "x"), 0, VALUE_NS },
	{ "ns that is a join", ROW("p2ns\x01\x02" "\0\0\x50\x2a" T16 "x"), 0, VALUE_NS },
	{ "ns of another kind", ROW("p2ns\x01\x03" "\0\0\x50\x2a" T16 "x"), -1, VALUE_NS },
	{ "ns without a message", ROW("p2ns\x01\x01" "\0\0\x50\x2a" T16), -1, VALUE_NS },
	{ "ns cut", ROW("p2ns\x01\x01" "\0\0"), -1, VALUE_NS },
	{ "version 2", ROW("p2ns\x02\x01" "\0\0\x50\x2a" T16 "x"), -1, VALUE_NS },
	{ "nr", ROW("p2nr\x01" P32), 0, VALUE_NR },
	{ "nr too short", ROW("p2nr\x01" "ppp"), -1, VALUE_NR },
	{ "nr too long", ROW("p2nr\x01" P32 "p"), -1, VALUE_NR },
	{ "recall", ROW("p2rc\x01" P32), 0, VALUE_RECALL },
	{ "recall too short", ROW("p2rc\x01"), -1, VALUE_RECALL },
	{ "peer", ROW("p2pd\x01" "x"), 0, VALUE_PEER },
	{ "peer without a message", ROW("p2pd\x01"), -1, VALUE_PEER },
	{ "group", ROW("p2gd\x01" "x"), 0, VALUE_GROUP },
	{ "another magic", ROW("p2xx\x01" "x"), -1, VALUE_NS },
	{ "empty", ROW(""), -1, VALUE_NS },
	{ "cut magic", ROW("p2ns"), -1, VALUE_NS },
};

START_TEST(value_table)
{
	struct bytes in = bytes_of(value_cases[_i].in, value_cases[_i].len);
	struct value v;

	ck_assert_msg(value_parse(in, &v) == value_cases[_i].want, "case '%s'", value_cases[_i].name);
	if (value_cases[_i].want < 0)
		return;
	ck_assert_int_eq(v.kind, value_cases[_i].kind);

	void *ctx = mem_ctx(NULL);
	struct bytes again = value_print(ctx, &v);
	ck_assert_msg(bytes_equal(in, again), "case '%s'", value_cases[_i].name);
	talloc_free(ctx);
}
END_TEST

START_TEST(value_fields)
{
	struct value v;

	ck_assert_int_eq(value_parse(bytes_of("p2ns\x01\x01" "\x01\x02\x03\x04" T16 "xyz", 29), &v), 0);
	ck_assert_uint_eq(v.ns_kind, 1);
	ck_assert_uint_eq(v.day, 0x01020304);
	ck_assert_mem_eq(v.token, T16, 16);
	ck_assert(bytes_equal(v.message, bytes_str("xyz")));
	ck_assert_int_eq(value_parse(bytes_of("p2nr\x01" P32, 37), &v), 0);
	ck_assert_mem_eq(v.proof, P32, 32);
}
END_TEST

static const struct { enum value_kind kind; const char *magic; size_t most; } size_cases[] = {
	{ VALUE_NS, "p2ns\x01\x01", LIMIT_NS_VALUE },
	{ VALUE_PEER, "p2pd\x01", LIMIT_DESCRIPTOR },
	{ VALUE_GROUP, "p2gd\x01", LIMIT_DHT_VALUE },
};

START_TEST(value_size_table)
{
	static uint8_t in[LIMIT_DHT_VALUE + 1];
	struct value v;

	memcpy(in, size_cases[_i].magic, strlen(size_cases[_i].magic));
	ck_assert_int_eq(value_parse(bytes_of(in, size_cases[_i].most), &v), 0);
	ck_assert_int_eq(v.kind, size_cases[_i].kind);
	ck_assert_int_eq(value_parse(bytes_of(in, size_cases[_i].most + 1), &v), -1);
}
END_TEST

START_TEST(value_proof_print)
{
	void *ctx = mem_ctx(NULL);
	struct bytes b = value_print_proof(ctx, VALUE_RECALL, (const uint8_t *)P32);

	ck_assert(bytes_equal(b, bytes_str("p2rc\x01" P32)));
	talloc_free(ctx);
}
END_TEST

static const struct { int64_t day, now; bool want; } day_cases[] = {
	{ 20000, 20000, true }, { 20001, 20000, true }, { 20002, 20000, false },
	{ 19969, 20000, true }, { 19968, 20000, false }, { 0, 20000, false }, { UINT32_MAX, 20000, false },
};

START_TEST(value_day_table)
{
	int64_t now = day_cases[_i].now * 86400;

	ck_assert_int_eq(value_day_good((uint32_t)day_cases[_i].day, now), day_cases[_i].want);
	ck_assert_int_eq(value_day_good((uint32_t)day_cases[_i].day, now + 86399), day_cases[_i].want);
}
END_TEST

static const struct { enum value_key key; const char *name, *want; } key_cases[] = {
	{ KEY_PEER, "alice@home", "p2pmta:peer:alice@home" },
	{ KEY_GROUP, "home", "p2pmta:group:home" },
	{ KEY_NS, "alice@home", "p2pmta:ns:alice@home" },
	{ KEY_NR, "alice@home", "p2pmta:nr:alice@home" },
};

START_TEST(value_key_table)
{
	char out[LIMIT_ADDRESS + 16];

	value_key(key_cases[_i].key, key_cases[_i].name, out);
	ck_assert_str_eq(out, key_cases[_i].want);
}
END_TEST

/* HMAC-SHA-256 under 32 x 0x01 of the word, 0x00 and 32 x 0x02, by Python's hmac. */
static const struct { enum proof what; const char *want, *commitment, *seen; } proof_cases[] = {
	{ PROOF_GET, "5840986b9f18626bc7fca6c73ec1c9e566fdcdbf8179d09b0fea8cb63c49788f",
	  "68a84d011d258ebb8e27b53c14b16284e43a3b088b096a374d1d26e46db0e7d4",
	  "b093726ecb260ed2d3f4944f9fc29c2028965b9050fe97cdc3eae2b94ae57fa4" },
	{ PROOF_GOT, "77a5718218d58503852553924d050d880518e4b85256ff4930c0a49817688a13",
	  "7b0e8b36a334b7329bf8ec7f37cea6cbac7dbb4c8e29ae549beab4cdf2d9bd05",
	  "67e134c71346cf63811e4bbab53c47240033468a959468d7d7d4474552af8ef9" },
	{ PROOF_DECLINED, "70b615aedc6c4d06f60dd2f1695885c0765fc58c15094caad860a28db13839d1",
	  "70c168789ea6805392221f4aa8889baddd2cd82d1e7ad261df2faf4195be7762",
	  "1380ef5feb0fecf9e92e3654c28967371fd3d110e9f7d5ec0fe6814907624b21" },
	{ PROOF_RECALL, "0103ce060e85db6c699fd9a9b857757f8d7b8103becf7703a0cc7c187653ec04",
	  "0c6c91e2fe17a47d0bbeac0a001dd3133b90f6f5c56688f9ad227c481382035b",
	  "7e73b1f8a5c05ecb5235d2aa680fd9f0a8ed42028534cfde40f85ad7315f109b" },
};

START_TEST(proof_table)
{
	uint8_t secret[32], hash[32], out[32], more[32];
	char hex[DIGEST_HEX];

	memset(secret, 1, 32);
	memset(hash, 2, 32);
	proof_make(proof_cases[_i].what, secret, hash, out);
	hex_print(bytes_of(out, 32), hex);
	ck_assert_str_eq(hex, proof_cases[_i].want);
	proof_commitment(out, more);
	hex_print(bytes_of(more, 32), hex);
	ck_assert_str_eq(hex, proof_cases[_i].commitment);
	proof_seen(out, more);
	hex_print(bytes_of(more, 32), hex);
	ck_assert_str_eq(hex, proof_cases[_i].seen);
}
END_TEST

#define B64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static const struct { const char *name, *in; int want; } auth_cases[] = {
	{ "good", "P2pMTA " B64, 0 },
	{ "scheme in other case", "p2pmta " B64, 0 },
	{ "two spaces", "P2pMTA  " B64, 0 },
	{ "no space", "P2pMTA" B64, -1 },
	{ "another scheme", "Basic " B64, -1 },
	{ "a member's", "P2pMTA-Member alice@home " B64, -1 },
	{ "nothing", "P2pMTA ", -1 },
	{ "empty", "", -1 },
	{ "too short", "P2pMTA AAEC", -1 },
	{ "too long", "P2pMTA AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", -1 },
	{ "trailing space", "P2pMTA " B64 " ", -1 },
	{ "not canonical", "P2pMTA AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", -1 },
};

START_TEST(auth_table)
{
	uint8_t out[32];

	ck_assert_msg(auth_parse(auth_cases[_i].in, out) == auth_cases[_i].want, "case '%s'", auth_cases[_i].name);
	if (auth_cases[_i].want < 0)
		return;
	for (int i = 0; i < 32; i++)
		ck_assert_uint_eq(out[i], i);
	char *text = auth_print(NULL, out);
	ck_assert_str_eq(text, "P2pMTA " B64);
	talloc_free(text);
}
END_TEST

UNIT_SUITE("value")
{
	UNIT_LOOP(value_table, value_cases);
	UNIT(value_fields);
	UNIT_LOOP(value_size_table, size_cases);
	UNIT(value_proof_print);
	UNIT_LOOP(value_day_table, day_cases);
	UNIT_LOOP(value_key_table, key_cases);
	UNIT_LOOP(proof_table, proof_cases);
	UNIT_LOOP(auth_table, auth_cases);
}
UNIT_END
