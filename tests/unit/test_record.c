/* Records, their strictness and their readers (p2pmta-protocol(7), section 3). */
#include "unit/unit.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/mail/record.h"

#define H "P2pMTA: test/1\r\n"

static const struct { const char *name, *in; int want; } parse_cases[] = {
	{ "smallest", H "\r\n", 0 },
	{ "field", H "A: b\r\n\r\n", 0 },
	{ "no space after the colon", H "A:b\r\n\r\n", 0 },
	{ "empty value", H "A:\r\n\r\n", 0 },
	{ "folded", H "A: b\r\n c\r\n\r\n", 0 },
	{ "utf-8", H "A: \xc3\xbc\r\n\r\n", 0 },
	{ "unknown field twice", H "A: b\r\nA: c\r\n\r\n", 0 },
	{ "body", H "Length: 3\r\n\r\nabc", 0 },
	{ "body and more", H "Length: 3\r\n\r\nabcd", 0 },
	{ "length zero", H "Length: 0\r\n\r\n", 0 },
	{ "name in other case", "p2pmta: test/1\r\n\r\n", 0 },
	{ "empty", "", -1 },
	{ "only an empty line", "\r\n", -1 },
	{ "no empty line", H, -1 },
	{ "cut in a line", H "A: b", -1 },
	{ "cut in the empty line", H "\r", -1 },
	{ "bare LF", H "A: b\n\r\n", -1 },
	{ "bare CR", H "A: b\rc\r\n\r\n", -1 },
	{ "LF as the empty line", H "\n", -1 },
	{ "first field is another", "A: b\r\n" H "\r\n", -1 },
	{ "P2pMTA again", H H "\r\n", -1 },
	{ "version 2", "P2pMTA: test/2\r\n\r\n", -1 },
	{ "no version", "P2pMTA: test\r\n\r\n", -1 },
	{ "version and more", "P2pMTA: test/1 \r\n\r\n", -1 },
	{ "no type", "P2pMTA: /1\r\n\r\n", -1 },
	{ "type in capitals", "P2pMTA: Test/1\r\n\r\n", -1 },
	{ "type too long", "P2pMTA: aaaaaaaaaaaaaaaa/1\r\n\r\n", -1 },
	{ "no colon", H "A\r\n\r\n", -1 },
	{ "no name", H ": b\r\n\r\n", -1 },
	{ "space in the name", H "A b: c\r\n\r\n", -1 },
	{ "space before the colon", H "A : c\r\n\r\n", -1 },
	{ "utf-8 in the name", H "\xc3\xbc: c\r\n\r\n", -1 },
	{ "tab", H "A: b\tc\r\n\r\n", -1 },
	{ "folded with a tab", H "A: b\r\n\tc\r\n\r\n", -1 },
	{ "folded with nothing", H "A: b\r\n \r\n\r\n", -1 },
	{ "begins with a fold", " " H "\r\n", -1 },
	{ "control", H "A: \x01\r\n\r\n", -1 },
	{ "escape", H "A: \x1b[0m\r\n\r\n", -1 },
	{ "delete", H "A: \x7f\r\n\r\n", -1 },
	{ "C1 control", H "A: \xc2\x9b\r\n\r\n", -1 },
	{ "invalid utf-8", H "A: \xff\r\n\r\n", -1 },
	{ "overlong utf-8", H "A: \xc0\x80\r\n\r\n", -1 },
	{ "surrogate", H "A: \xed\xa0\x80\r\n\r\n", -1 },
	{ "cut utf-8 at the end", H "A: \xc3\r\n\r\n", -1 },
	{ "length too long", H "Length: 4\r\n\r\nabc", -1 },
	{ "length over max_body", H "Length: 11\r\n\r\nabcdefghijkl", -1 },
	{ "length twice", H "Length: 1\r\nLength: 1\r\n\r\nabc", -1 },
	{ "length with a sign", H "Length: +1\r\n\r\nabc", -1 },
	{ "length negative", H "Length: -1\r\n\r\nabc", -1 },
	{ "length with a leading zero", H "Length: 01\r\n\r\nabc", -1 },
	{ "length empty", H "Length:\r\n\r\nabc", -1 },
	{ "length wraps 64 bits", H "Length: 18446744073709551617\r\n\r\nabc", -1 },
};

static struct record *parse(const void *ctx, struct bytes in, size_t *used)
{
	struct err e = { "" };
	struct record *r = record_parse(ctx, in, 10, used, &e);

	ck_assert_msg((r == NULL) == (e.text[0] != '\0'), "%s", e.text);
	return r;
}

START_TEST(record_parse_table)
{
	void *ctx = mem_ctx(NULL);
	size_t used = 0;
	struct record *r = parse(ctx, bytes_str(parse_cases[_i].in), &used);

	ck_assert_msg((r ? 0 : -1) == parse_cases[_i].want, "case '%s'", parse_cases[_i].name);
	talloc_free(ctx);
}
END_TEST

START_TEST(record_parse_nul)
{
	static const char in[] = H "A: b\0c\r\n\r\n";
	size_t used;

	ck_assert_ptr_null(parse(NULL, bytes_of(in, sizeof(in) - 1), &used));
}
END_TEST

START_TEST(record_parse_parts)
{
	static const char in[] = H "A:   b\r\n  c \r\nLength: 2\r\nB: d\r\n\r\nxyz";
	size_t used = 0;
	struct record *r = parse(NULL, bytes_str(in), &used);

	ck_assert_ptr_nonnull(r);
	ck_assert_str_eq(r->type, "test");
	ck_assert_uint_eq(r->n_fields, 2);
	ck_assert_str_eq(r->fields[0].name, "A");
	ck_assert_str_eq(r->fields[0].value, "b  c ");
	ck_assert_str_eq(r->fields[1].name, "B");
	ck_assert_str_eq(r->fields[1].value, "d");
	ck_assert(bytes_equal(r->body, bytes_str("xy")));
	ck_assert_uint_eq(used, strlen(in) - 1);
	talloc_free(r);
}
END_TEST

/* Every cut of a good record is refused, none is read past its end. */
START_TEST(record_parse_cuts)
{
	static const char in[] = H "A: b\r\n c\r\nLength: 2\r\n\r\nxy";

	for (size_t len = 0; len < strlen(in); len++) {
		uint8_t *cut = malloc(len ? len : 1);
		size_t used;
		memcpy(cut, in, len);
		ck_assert_msg(!parse(NULL, bytes_of(cut, len), &used), "%zu", len);
		free(cut);
	}
}
END_TEST

static struct bytes long_record(void *ctx, size_t n_fields, size_t field)
{
	struct buf *b = buf_new(ctx, 16 * MIB(1));

	buf_adds(b, H);
	for (size_t i = 0; i < n_fields; i++) {
		char *value = mem_array(ctx, char, field);
		memset(value, 'x', field);
		memcpy(value, "A: ", 3);
		memcpy(value + field - 2, "\r\n", 2);
		buf_add(b, value, field);
		talloc_free(value);
	}
	buf_adds(b, "\r\n");
	return buf_bytes(b);
}

static const struct { const char *name; size_t n_fields, field; int want; } size_cases[] = {
	{ "longest field", 1, LIMIT_FIELD, 0 },
	{ "field too long", 1, LIMIT_FIELD + 1, -1 },
	{ "longest record", 31, LIMIT_FIELD, 0 },
	{ "record too long", 32, LIMIT_FIELD, -1 },
	{ "most fields", LIMIT_FIELDS, 6, 0 },
	{ "too many fields", LIMIT_FIELDS + 1, 6, -1 },
};

START_TEST(record_size_table)
{
	void *ctx = mem_ctx(NULL);
	size_t used;
	struct record *r = parse(ctx, long_record(ctx, size_cases[_i].n_fields, size_cases[_i].field), &used);

	ck_assert_msg((r ? 0 : -1) == size_cases[_i].want, "case '%s'", size_cases[_i].name);
	talloc_free(ctx);
}
END_TEST

START_TEST(record_folds_count)
{
	void *ctx = mem_ctx(NULL);
	struct buf *b = buf_new(ctx, MIB(1));
	size_t used;

	buf_adds(b, H "A: b\r\n");
	while (b->len < LIMIT_FIELD + 20)
		buf_adds(b, " c\r\n");
	buf_adds(b, "\r\n");
	ck_assert_ptr_null(parse(ctx, buf_bytes(b), &used));
	talloc_free(ctx);
}
END_TEST

START_TEST(record_must)
{
	static const char *const known[] = { "Must-Have", NULL }, *const none[] = { NULL };
	size_t used;
	struct record *r = parse(NULL, bytes_str(H "must-have: x\r\nA: b\r\n\r\n"), &used);

	ck_assert_ptr_null(record_find_must(r, known));
	ck_assert_str_eq(record_find_must(r, none), "must-have");
	talloc_free(r);
}
END_TEST

enum reader { TEXT, ADDRESS, NUMBER, TIME, HASH, BASE64, OCTETS, URLS, GROUP };

#define HEX64 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define B64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define URL "http://127.0.0.1:4180"

static const struct { const char *name; enum reader reader; const char *value; int want; } get_cases[] = {
	{ "text", TEXT, "a b", 1 },
	{ "address", ADDRESS, "alice@home", 1 },
	{ "address not in normal form", ADDRESS, "Alice@home", -1 },
	{ "address decomposed", ADDRESS, "ju\xcc\x88rgen@home", -1 },
	{ "address with trailing space", ADDRESS, "alice@home ", -1 },
	{ "no address", ADDRESS, "alice", -1 },
	{ "zero", NUMBER, "0", 1 },
	{ "number", NUMBER, "1000", 1 },
	{ "number over max", NUMBER, "1001", -1 },
	{ "leading zero", NUMBER, "07", -1 },
	{ "two zeros", NUMBER, "00", -1 },
	{ "plus", NUMBER, "+7", -1 },
	{ "minus", NUMBER, "-7", -1 },
	{ "minus zero", NUMBER, "-0", -1 },
	{ "hex", NUMBER, "0x7", -1 },
	{ "number and more", NUMBER, "7 ", -1 },
	{ "fraction", NUMBER, "7.0", -1 },
	{ "no number", NUMBER, "", -1 },
	{ "over 64 bits", NUMBER, "18446744073709551616", -1 },
	{ "time", TIME, "2026-11-21T10:00:00Z", 1 },
	{ "leap day", TIME, "2028-02-29T23:59:59Z", 1 },
	{ "no leap day", TIME, "2026-02-29T00:00:00Z", -1 },
	{ "hour 24", TIME, "2026-11-21T24:00:00Z", -1 },
	{ "month 0", TIME, "2026-00-21T10:00:00Z", -1 },
	{ "leap second", TIME, "2026-11-21T23:59:60Z", -1 },
	{ "no zone", TIME, "2026-11-21T10:00:00", -1 },
	{ "offset", TIME, "2026-11-21T10:00:00+00:00", -1 },
	{ "small letters", TIME, "2026-11-21t10:00:00z", -1 },
	{ "fraction of a second", TIME, "2026-11-21T10:00:00.5Z", -1 },
	{ "a space in a time", TIME, "2026-11-21T 1:00:00Z", -1 },
	{ "hash", HASH, HEX64, 1 },
	{ "hash in capitals", HASH, "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", -1 },
	{ "hash too short", HASH, "000102", -1 },
	{ "hash too long", HASH, HEX64 "00", -1 },
	{ "hash with another letter", HASH, "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", -1 },
	{ "base64", BASE64, B64, 1 },
	{ "base64 empty", BASE64, "", 1 },
	{ "base64 without padding", BASE64, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", -1 },
	{ "base64 not canonical", BASE64, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", -1 },
	{ "base64 with two paddings too many", BASE64, "AAEC====", -1 },
	{ "base64 padded inside", BASE64, "AA==AAEC", -1 },
	{ "base64 with a space", BASE64, "AAEC AAEC", -1 },
	{ "base64url", BASE64, "____", -1 },
	{ "base64 too long", BASE64, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", -1 },
	{ "octets", OCTETS, B64, 1 },
	{ "octets too few", OCTETS, "AAEC", -1 },
	{ "octets none", OCTETS, "", -1 },
	{ "url", URLS, URL, 1 },
	{ "url https", URLS, "https://example.org/x", 1 },
	{ "url ftp", URLS, "ftp://example.org", -1 },
	{ "url file", URLS, "file:///etc/passwd", -1 },
	{ "url with a space", URLS, "http://a b", -1 },
	{ "url in utf-8", URLS, "http://\xc3\xbc", -1 },
	{ "group", GROUP, "home", 1 },
	{ "group in capitals", GROUP, "Home", -1 },
	{ "group empty", GROUP, "", -1 },
};

static int get(enum reader reader, const struct record *r, void *ctx)
{
	const char *text, *urls[LIMIT_URLS];
	char address[LIMIT_ADDRESS + 1];
	uint64_t number;
	int64_t s;
	uint8_t octets[32];
	struct bytes b;
	size_t n;
	struct err e = { "" };
	int res = -1;

	switch (reader) {
	case TEXT: res = record_get_text(r, "F", &text, &e); break;
	case ADDRESS: res = record_get_address(r, "F", address, &e); break;
	case NUMBER: res = record_get_number(r, "F", 1000, &number, &e); break;
	case TIME: res = record_get_time(r, "F", &s, &e); break;
	case HASH: res = record_get_hash(r, "F", octets, &e); break;
	case BASE64: res = record_get_base64(r, ctx, "F", 32, &b, &e); break;
	case OCTETS: res = record_get_octets(r, "F", octets, 32, &e); break;
	case URLS: res = record_get_urls(r, ctx, urls, &n, &e); break;
	case GROUP: res = record_get_group(r, ctx, &text, &e); break;
	}
	ck_assert_msg((res < 0) == (e.text[0] != '\0'), "%s", e.text);
	return res;
}

static const char *field_name(enum reader reader)
{
	return reader == URLS ? "Url" : reader == GROUP ? "Group" : "F";
}

/* n times the field. */
static int get_n(enum reader reader, const char *value, int n)
{
	void *ctx = mem_ctx(NULL);
	struct buf *b = buf_new(ctx, 4096);
	size_t used;

	buf_adds(b, H);
	for (int i = 0; i < n; i++)
		buf_addf(b, "%s: %s\r\n", field_name(reader), value);
	buf_adds(b, "\r\n");
	struct record *r = parse(ctx, buf_bytes(b), &used);
	ck_assert_ptr_nonnull(r);
	int res = get(reader, r, ctx);
	talloc_free(ctx);
	return res;
}

START_TEST(record_get_table)
{
	enum reader reader = get_cases[_i].reader;

	ck_assert_msg(get_n(reader, get_cases[_i].value, 1) == get_cases[_i].want, "case '%s'", get_cases[_i].name);
	ck_assert_int_eq(get_n(reader, get_cases[_i].value, 0), 0);
	if (reader != URLS)
		ck_assert_msg(get_n(reader, get_cases[_i].value, 2) == -1, "case '%s' twice", get_cases[_i].name);
}
END_TEST

START_TEST(record_urls_count)
{
	ck_assert_int_eq(get_n(URLS, URL, LIMIT_URLS), LIMIT_URLS);
	ck_assert_int_eq(get_n(URLS, URL, LIMIT_URLS + 1), -1);
}
END_TEST

START_TEST(record_print_all)
{
	uint8_t hash[32];
	struct buf *b = buf_new(NULL, 4096);

	for (int i = 0; i < 32; i++)
		hash[i] = (uint8_t)i;
	record_print_start(b, "test");
	record_print_text(b, "Text", "a b");
	record_print_number(b, "Number", UINT64_MAX);
	record_print_time(b, "Time", 1795255200);
	record_print_hash(b, "Hash", hash);
	record_print_base64(b, "Octets", bytes_of(hash, 32));
	record_print_body(b, bytes_str("body"));
	ck_assert_str_eq(b->data, H "Text: a b\r\nNumber: 18446744073709551615\r\nTime: 2026-11-21T10:00:00Z\r\n"
	    "Hash: " HEX64 "\r\nOctets: " B64 "\r\nLength: 4\r\n\r\nbody");
	talloc_free(b);
}
END_TEST

UNIT_SUITE("record")
{
	UNIT_LOOP(record_parse_table, parse_cases);
	UNIT(record_parse_nul);
	UNIT(record_parse_parts);
	UNIT(record_parse_cuts);
	UNIT_LOOP(record_size_table, size_cases);
	UNIT(record_folds_count);
	UNIT(record_must);
	UNIT_LOOP(record_get_table, get_cases);
	UNIT(record_urls_count);
	UNIT(record_print_all);
}
UNIT_END
