/* Sets, names, dates, FETCH items, search keys, folding: pure parsers, a table each. */
#include <strings.h>
#include <time.h>

#include "lib/base/mem.h"
#include "lib/store/mailbox.h"
#include "unit/unit.h"
#include "way/imap/date.h"
#include "way/imap/fetchatt.h"
#include "way/imap/name.h"
#include "way/imap/search.h"
#include "way/imap/seqset.h"
#include "way/imap/transfer.h"
#include "way/imap/subject.h"
#include "way/imap/text.h"
#include "way/imap/thread.h"

/* ---- sets ---- */

static const struct {
	const char *name, *in;
	bool single;
	uint32_t last;
	const char *want;	/* after '*' became last; NULL: no set */
} sets[] = {
	{ "one", "7", true, 9, "7-7" },
	{ "range of one", "7:7", true, 9, "7-7" },
	{ "twice the same", "7,7", true, 9, "7-7" },
	{ "star", "*", true, 9, "9-9" },
	{ "star range", "*:*", true, 9, "9-9" },
	{ "all", "1:*", false, 9, "1-9" },
	{ "backwards", "5:3", false, 9, "3-5" },
	{ "from the end", "*:7", false, 9, "7-9" },
	{ "beyond the end", "12:*", false, 9, "9-12" },
	{ "several", "9,1:3,5", false, 9, "1-3 5-5 9-9" },
	{ "overlap", "1:5,3:9,20", false, 30, "1-9 20-20" },
	{ "neighbours", "1,2,3", false, 9, "1-3" },
	{ "star joins", "1:8,*", false, 9, "1-9" },
	{ "star of nothing", "1:*", false, 0, "" },
	{ "largest", "4294967295", true, 9, "4294967295-4294967295" },
	{ "too large", "4294967296", false, 9, NULL },
	{ "zero", "0", false, 9, NULL },
	{ "leading zero", "01", false, 9, NULL },
	{ "empty", "", false, 9, NULL },
	{ "comma at the end", "1,", false, 9, NULL },
	{ "comma first", ",1", false, 9, NULL },
	{ "half a range", "1:", false, 9, NULL },
	{ "three ends", "1:2:3", false, 9, NULL },
	{ "letters", "1a", false, 9, NULL },
	{ "minus", "-1", false, 9, NULL },
	{ "two stars", "**", false, 9, NULL },
};

START_TEST(seqset_table)
{
	void *ctx = mem_ctx(NULL);
	struct imap_seqset s;
	int res = imap_seqset_parse(ctx, sets[_i].in, &s);

	ck_assert_msg((res == 1) == (sets[_i].want != NULL), "case '%s': %d", sets[_i].name, res);
	if (res == 1) {
		struct buf *out = buf_new(ctx, KIB(1));

		ck_assert_msg(s.single == sets[_i].single, "case '%s': single", sets[_i].name);
		imap_seqset_resolve(&s, sets[_i].last);
		for (size_t i = 0; i < s.n; i++)
			buf_addf(out, "%s%llu-%llu", i > 0 ? " " : "", (unsigned long long)s.ranges[i].lo,
			    (unsigned long long)s.ranges[i].hi);
		ck_assert_msg(strcmp(out->data, sets[_i].want) == 0, "case '%s': '%s'", sets[_i].name, out->data);
	}
	talloc_free(ctx);
}
END_TEST

START_TEST(seqset_has_and_prints)
{
	void *ctx = mem_ctx(NULL);
	struct imap_seqset s;
	struct buf *out = buf_new(ctx, KIB(1));
	static const uint32_t numbers[] = { 1, 2, 3, 7, 9, 10 };

	ck_assert_int_eq(imap_seqset_parse(ctx, "2:4,8,10:12", &s), 1);
	for (uint32_t i = 0; i < 15; i++)
		ck_assert_int_eq(imap_seqset_has(&s, i), (i >= 2 && i <= 4) || i == 8 || (i >= 10 && i <= 12));
	imap_seqset_print(out, numbers, 6);
	ck_assert_str_eq(out->data, "1:3,7,9:10");
	talloc_free(ctx);
}
END_TEST

/* ---- names ---- */

static const struct {
	const char *name, *wire, *utf8;	/* utf8 NULL: refused */
} names[] = {
	{ "plain", "Sent", "Sent" },
	{ "inbox", "inBox", "INBOX" },
	{ "below inbox", "inbox/Work", "INBOX/Work" },
	{ "not inbox", "inboxes", "inboxes" },
	{ "ampersand", "R&-D", "R&D" },
	{ "RFC 3501", "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
	{ "umlaut", "Entw&APw-rfe", "Entw\xc3\xbcrfe" },
	{ "beyond 16 bits", "&2D3eAA-", "\xf0\x9f\x98\x80" },
	{ "empty run is &", "&-&-", "&&" },
	{ "run, then &", "&APw-&-", "\xc3\xbc&" },
	{ "two runs in a row", "&APw-&APw-", NULL },
	{ "ASCII encoded", "&AEE-", NULL },
	{ "open run", "&APw", NULL },
	{ "bad digit", "&AP/-", NULL },
	{ "padding", "&APw=-", NULL },
	{ "bits left", "&APx-", NULL },
	{ "too many digits", "&APwA-", NULL },
	{ "half a pair", "&2D0-", NULL },
	{ "second half alone", "&3gA-", NULL },
	{ "8-bit", "Entw\xc3\xbcrfe", NULL },
	{ "control", "a\tb", NULL },
	{ "encoded NUL", "&AAA-", NULL },
};

START_TEST(name_table)
{
	void *ctx = mem_ctx(NULL);
	char *got = imap_name_decode(ctx, names[_i].wire);

	ck_assert_msg((got != NULL) == (names[_i].utf8 != NULL), "case '%s'", names[_i].name);
	if (got) {
		ck_assert_msg(strcmp(got, names[_i].utf8) == 0, "case '%s': '%s'", names[_i].name, got);
		if (strncasecmp(got, "INBOX", 5) != 0)
			ck_assert_str_eq(imap_name_encode(ctx, got), names[_i].wire);
	}
	talloc_free(ctx);
}
END_TEST

static const struct {
	const char *name, *wire, *utf8;	/* utf8 NULL: refused */
} utf8_names[] = {
	{ "plain", "Sent", "Sent" },
	{ "inbox", "iNbox/\xc3\xbc", "INBOX/\xc3\xbc" },
	{ "ampersand", "R&-D &APw-", "R&-D &APw-" },
	{ "four octets", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
	{ "cut", "\xf0\x9f\x98", NULL },
	{ "overlong", "\xc0\xaf", NULL },
	{ "half a pair", "\xed\xa0\xbd", NULL },
	{ "Latin-1", "Entw\xfcrfe", NULL },
	{ "control", "a\tb", NULL },
	{ "no character", "\xef\xbf\xbf", NULL },
};

START_TEST(utf8_name_table)
{
	void *ctx = mem_ctx(NULL);
	char *got = imap_name_decode_utf8(ctx, utf8_names[_i].wire);

	ck_assert_msg((got != NULL) == (utf8_names[_i].utf8 != NULL), "case '%s'", utf8_names[_i].name);
	if (got)
		ck_assert_msg(strcmp(got, utf8_names[_i].utf8) == 0, "case '%s': '%s'", utf8_names[_i].name, got);
	talloc_free(ctx);
}
END_TEST

static const struct {
	const char *name, *pattern, *box;
	bool want;
} patterns[] = {
	{ "same", "Sent", "Sent", true },
	{ "case", "sent", "Sent", false },
	{ "inbox in any case", "inbox", "INBOX", true },
	{ "inbox by pattern", "in*", "INBOX", true },
	{ "star", "*", "a/b/c", true },
	{ "percent", "%", "abc", true },
	{ "percent stops", "%", "a/b", false },
	{ "percent levels", "%/%", "a/b", true },
	{ "percent too few", "%/%", "a/b/c", false },
	{ "prefix", "a/*", "a/b/c", true },
	{ "prefix alone", "a/*", "a", false },
	{ "star is nothing", "a*", "a", true },
	{ "in between", "a*c", "a/b/c", true },
	{ "suffix", "*c", "a/b/c", true },
	{ "suffix not", "*b", "a/b/c", false },
	{ "many stars", "*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false },
	{ "star percent", "*%", "a/b", true },
	{ "percent star", "%*", "a/b", true },
	{ "empty", "", "a", false },
	{ "percent inside", "a%c", "abc", true },
	{ "percent inside stops", "a%c", "a/c", false },
};

START_TEST(match_table)
{
	ck_assert_msg(imap_name_match(patterns[_i].pattern, patterns[_i].box) == patterns[_i].want, "case '%s'",
	    patterns[_i].name);
}
END_TEST

START_TEST(string_printing)
{
	struct buf *out = buf_new(NULL, KIB(4));

	imap_name_print(out, "a\"b\\c");
	imap_name_print_utf8(out, "\"\xc3\xbc");
	imap_string_print(out, "x\r\ny", 4);
	imap_string_print(out, "\xc3\xbc", 2);
	ck_assert_str_eq(out->data, "\"a\\\"b\\\\c\"\"\\\"\xc3\xbc\"{4}\r\nx\r\ny{2}\r\n\xc3\xbc");
	talloc_free(out);
}
END_TEST

/* ---- dates ---- */

static const struct {
	const char *name, *in;
	int64_t want_s;		/* -1: no date */
} times[] = {
	{ "utc", "17-Jul-1996 02:44:25 +0000", 837571465 },
	{ "zone", "17-Jul-1996 02:44:25 -0700", 837596665 },
	{ "east", " 1-Jan-1970 01:30:00 +0130", 0 },
	{ "one digit", "1-Jan-1970 00:00:01 +0000", 1 },
	{ "month in any case", "01-JAN-1970 00:00:01 +0000", 1 },
	{ "leap day", "29-Feb-2024 00:00:00 +0000", 1709164800 },
	{ "the last that is kept", "31-Dec-9999 23:59:59 +0000", MESSAGE_MS_MAX / 1000 },
	{ "no leap day", "29-Feb-2023 00:00:00 +0000", -1 },
	{ "no month", "01-Foo-1970 00:00:01 +0000", -1 },
	{ "no zone", "01-Jan-1970 00:00:01", -1 },
	{ "short zone", "01-Jan-1970 00:00:01 +000", -1 },
	{ "short year", "01-Jan-70 00:00:01 +0000", -1 },
	{ "hour 24", "01-Jan-1970 24:00:01 +0000", -1 },
	{ "text after", "01-Jan-1970 00:00:01 +0000 ", -1 },
	{ "empty", "", -1 },
	{ "day alone", "01", -1 },
	{ "ends in the month", "01-Ja", -1 },
};

START_TEST(time_table)
{
	int64_t ms = -1000;
	int res = imap_date_parse_time(times[_i].in, &ms);

	ck_assert_msg(res == (times[_i].want_s < 0 ? -1 : 1), "case '%s': %d", times[_i].name, res);
	if (res == 1)
		ck_assert_msg(ms == times[_i].want_s * 1000, "case '%s': %lld", times[_i].name, (long long)ms);
}
END_TEST

START_TEST(time_prints_what_it_parses)
{
	char text[IMAP_DATE_TEXT];

	for (int64_t s = -2000000000; s < 9000000000; s += 86400 * 37 + 12345) {
		int64_t back;

		imap_date_print(s * 1000, text);
		ck_assert_msg(imap_date_parse_time(text, &back) == 1 && back == s * 1000, "'%s'", text);
		ck_assert_int_eq(imap_date_day(s * 1000), (s - ((s % 86400) + 86400) % 86400) / 86400);
	}
	imap_date_print(0, text);
	ck_assert_str_eq(text, " 1-Jan-1970 00:00:00 +0000");
}
END_TEST

static const struct {
	const char *name, *in;
	int64_t want;		/* day; -1: none */
} fields[] = {
	{ "RFC 5322", "Fri, 2 Jan 1970 23:59:59 -0800", 1 },
	{ "no weekday", "2 Jan 1970 00:00 +0000", 1 },
	{ "two digits", "2 Jan 71 00:00 +0000", 366 },
	{ "two digits, this century", "1 Jan 00 00:00", 10957 },
	{ "three digits", "2 Jan 071 00:00 +0000", 366 },
	{ "dashes", "2-Jan-1970", 1 },
	{ "comment", "(x) Fri, 2 Jan 1970", 1 },
	{ "none", "yesterday", -1 },
	{ "no year", "2 Jan", -1 },
	{ "empty", "", -1 },
};

START_TEST(field_date_table)
{
	int64_t day = -1;
	int res = imap_date_parse_field(fields[_i].in, &day);

	ck_assert_msg(res == (fields[_i].want < 0 ? -1 : 1) && (res < 0 || day == fields[_i].want), "case '%s': %lld",
	    fields[_i].name, (long long)day);
}
END_TEST

/* ---- FETCH items ---- */

/* The arguments of "x x ARGS", below ctx. */
static const struct imap_arg *args_of(void *ctx, const char *text, size_t *n)
{
	struct imap_parser *p = imap_parser_new(ctx);
	char *line = mem_printf(ctx, "a X %s\r\n", text);
	size_t used;

	ck_assert_int_eq(imap_parser_feed(p, line, strlen(line), &used), IMAP_PARSE_DONE);
	return imap_parser_args(p, n);
}

static const struct {
	const char *name, *in;
	unsigned needs;
	const char *labels;	/* NULL: refused */
} items[] = {
	{ "one", "UID", NEED_RAM, "UID" },
	{ "list", "(uid flags)", NEED_RAM, "UID FLAGS" },
	{ "fast", "FAST", NEED_RAM, "FLAGS INTERNALDATE RFC822.SIZE" },
	{ "all", "all", NEED_BRIEF, "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE" },
	{ "full", "FULL", NEED_BRIEF, "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY" },
	{ "structure", "BODYSTRUCTURE", NEED_BRIEF, "BODYSTRUCTURE" },
	{ "header", "RFC822.HEADER", NEED_SKELETON, "RFC822.HEADER" },
	{ "peek header", "BODY.PEEK[HEADER]", NEED_SKELETON, "BODY[HEADER]" },
	{ "header seen", "BODY[HEADER]", NEED_SKELETON | SETS_SEEN, "BODY[HEADER]" },
	{ "fields", "BODY.PEEK[HEADER.FIELDS (Date \"From\")]", NEED_SKELETON, "BODY[HEADER.FIELDS (Date From)]" },
	{ "fields not", "body.peek[1.2.header.fields.not (X)]<3.4>", NEED_SKELETON, "BODY[1.2.HEADER.FIELDS.NOT (X)]<3>" },
	{ "fields in a list", "(UID BODY.PEEK[HEADER.FIELDS (A)] FLAGS)", NEED_SKELETON, "UID BODY[HEADER.FIELDS (A)] FLAGS" },
	{ "mime", "BODY.PEEK[1.MIME]", NEED_SKELETON, "BODY[1.MIME]" },
	{ "part header", "BODY.PEEK[2.HEADER]", NEED_SKELETON, "BODY[2.HEADER]" },
	{ "whole", "BODY[]", NEED_BODY | SETS_SEEN, "BODY[]" },
	{ "whole peek", "BODY.PEEK[]", NEED_BODY, "BODY[]" },
	{ "partial", "BODY.PEEK[]<0.2048>", NEED_BODY, "BODY[]<0>" },
	{ "text", "BODY.PEEK[TEXT]", NEED_BODY | NEED_SKELETON, "BODY[TEXT]" },
	{ "part", "BODY.PEEK[1.2]", NEED_BODY | NEED_SKELETON, "BODY[1.2]" },
	{ "part text", "BODY.PEEK[1.TEXT]", NEED_BODY | NEED_SKELETON, "BODY[1.TEXT]" },
	{ "modseq and ids", "(MODSEQ EMAILID THREADID)", NEED_RAM, "MODSEQ EMAILID THREADID" },
	{ "rfc822", "RFC822", NEED_BODY | SETS_SEEN, "RFC822" },
	{ "rfc822.text", "RFC822.TEXT", NEED_BODY | NEED_SKELETON | SETS_SEEN, "RFC822.TEXT" },
	{ "binary", "BINARY[2]", NEED_BODY | NEED_SKELETON | NEED_DECODED | SETS_SEEN, "BINARY[2]" },
	{ "binary peek", "(UID binary.peek[1.2]<3.4>)", NEED_BODY | NEED_SKELETON | NEED_DECODED, "UID BINARY[1.2]<3>" },
	{ "binary size", "BINARY.SIZE[1]", NEED_BODY | NEED_SKELETON | NEED_DECODED, "BINARY.SIZE[1]" },
	{ "binary of all", "BINARY.PEEK[]", NEED_BODY | NEED_SKELETON | NEED_DECODED, "BINARY[]" },
	{ "binary with a section", "BINARY[1.MIME]", 0, NULL },
	{ "binary header", "BINARY[HEADER]", 0, NULL },
	{ "binary dot", "BINARY[1.]", 0, NULL },
	{ "size of a partial", "BINARY.SIZE[1]<0.1>", 0, NULL },
	{ "open binary", "BINARY[1", 0, NULL },
	{ "nothing", "()", 0, NULL },
	{ "two without list", "UID FLAGS", 0, NULL },
	{ "unknown", "FOO", 0, NULL },
	{ "string", "\"UID\"", 0, NULL },
	{ "open section", "BODY[", 0, NULL },
	{ "mime without part", "BODY[MIME]", 0, NULL },
	{ "part zero", "BODY[0]", 0, NULL },
	{ "dot at the end", "BODY[1.]", 0, NULL },
	{ "no dot", "BODY[1MIME]", 0, NULL },
	{ "two dots", "BODY[1..2]", 0, NULL },
	{ "fields without list", "BODY[HEADER.FIELDS]", 0, NULL },
	{ "empty fields", "BODY[HEADER.FIELDS ()]", 0, NULL },
	{ "unknown section", "BODY[FOO]", 0, NULL },
	{ "partial of nothing", "BODY[]<0.0>", 0, NULL },
	{ "partial without length", "BODY[]<5>", 0, NULL },
	{ "text after", "BODY[]x", 0, NULL },
	{ "macro in company", "(FAST UID)", 0, NULL },
};

START_TEST(fetch_table)
{
	void *ctx = mem_ctx(NULL);
	struct imap_fetch f;
	size_t n;
	const struct imap_arg *args = args_of(ctx, items[_i].in, &n);
	int res = imap_fetch_parse(ctx, args, n, &f);

	ck_assert_msg((res == 1) == (items[_i].labels != NULL), "case '%s': %d", items[_i].name, res);
	if (res == 1) {
		struct buf *out = buf_new(ctx, KIB(4));

		for (size_t i = 0; i < f.n; i++)
			buf_addf(out, "%s%s", i > 0 ? " " : "", f.atts[i].label);
		ck_assert_msg(strcmp(out->data, items[_i].labels) == 0, "case '%s': '%s'", items[_i].name, out->data);
		ck_assert_msg(f.needs == items[_i].needs, "case '%s': needs %u", items[_i].name, f.needs);
	}
	talloc_free(ctx);
}
END_TEST

/* ---- transfer encodings ---- */

static const struct {
	const char *name;
	enum imap_encoding encoding;
	const char *in, *out;
} transfers[] = {
	{ "none", ENCODING_NONE, "a=3D \r\n", "a=3D \r\n" },
	{ "base64", ENCODING_BASE64, "aGVs\r\nbG8=\r\n", "hello" },
	{ "base64 with dirt", ENCODING_BASE64, "aG!V s\tb-G8", "hello" },
	{ "two base64 joined", ENCODING_BASE64, "YQ==\r\nYmM=\r\nZA==", "abcd" },
	{ "quoted", ENCODING_QUOTED, "a=3Db=c3=BC", "a=b\xc3\xbc" },
	{ "soft line end", ENCODING_QUOTED, "one=\r\ntwo=\nthree", "onetwothree" },
	{ "soft line end with spaces", ENCODING_QUOTED, "one= \t\r\ntwo", "onetwo" },
	{ "spaces at the end", ENCODING_QUOTED, "one \t \r\n two\r\n", "one\r\n two\r\n" },
	{ "spaces inside", ENCODING_QUOTED, "a  b =20\r\n", "a  b  \r\n" },
	{ "signs that say nothing", ENCODING_QUOTED, "a=b=, =4x ==41", "a=b=, =4x =A" },
	{ "cut", ENCODING_QUOTED, "abc=", "abc" },
};

/* In two pieces, cut everywhere. */
START_TEST(transfer_table)
{
	const char *in = transfers[_i].in;
	size_t len = strlen(in);
	char out[512];

	for (size_t cut = 0; cut <= len; cut++) {
		struct imap_transfer t = { .encoding = transfers[_i].encoding };
		size_t n = imap_transfer_decode(&t, in, cut, out);

		n += imap_transfer_decode(&t, in + cut, len - cut, out + n);
		out[n] = '\0';
		ck_assert_msg(strcmp(out, transfers[_i].out) == 0, "case '%s', cut at %zu: '%s'", transfers[_i].name, cut, out);
	}
}
END_TEST

START_TEST(encoding_names)
{
	ck_assert_int_eq(imap_encoding_of(NULL), ENCODING_NONE);
	ck_assert_int_eq(imap_encoding_of(" 8BIT "), ENCODING_NONE);
	ck_assert_int_eq(imap_encoding_of("Base64 (why)"), ENCODING_BASE64);
	ck_assert_int_eq(imap_encoding_of("quoted-printable; x"), ENCODING_QUOTED);
	ck_assert_int_eq(imap_encoding_of("x-uuencode"), ENCODING_UNKNOWN);
	ck_assert_int_eq(imap_encoding_of("base6"), ENCODING_UNKNOWN);
}
END_TEST

/* ---- base subjects ---- */

static const struct {
	const char *name, *in, *out;
	bool is_reply;
} subjects[] = {
	{ "plain", "Hello", "HELLO", false },
	{ "re", "Re: Hello", "HELLO", true },
	{ "many", "re: FW: Fwd : hello", "HELLO", true },
	{ "blob", "[list] hello", "HELLO", false },
	{ "blob is all", "[list]", "[LIST]", false },
	{ "blob and blank", "[list] ", "[LIST]", false },
	{ "re with blob", "Re [3]: hello", "HELLO", true },
	{ "blob before re", "[a] [b]Re: [c] hello", "HELLO", true },
	{ "fwd at the end", "hello (fwd) (FWD)", "HELLO", true },
	{ "fwd around", "[Fwd: Re: hello (fwd)]", "HELLO", true },
	{ "fwd not closed", "[fwd: hello", "[FWD: HELLO", false },
	{ "blanks", "  a \t\r\n b ", "A B", false },
	{ "nothing", "", "", false },
	{ "re alone", "Re:", "", true },
	{ "no colon", "Re hello", "RE HELLO", false },
	{ "a word like re", "Red: hello", "RED: HELLO", false },
	{ "nested brackets", "[a[b]] hello", "[A[B]] HELLO", false },
	{ "only blobs", "[a][b][c]", "[C]", false },
	{ "empty fwd", "[fwd:]", "", true },
	{ "letters with marks", "Re: \xc3\xbc \xc4\xb0", "U\xcc\x88 I\xcc\x87", true },
};

START_TEST(subject_table)
{
	void *ctx = mem_ctx(NULL);
	bool is_reply;
	const char *base = imap_subject_base(ctx, subjects[_i].in, &is_reply);

	ck_assert_msg(strcmp(base, subjects[_i].out) == 0, "case '%s': '%s'", subjects[_i].name, base);
	ck_assert_msg(is_reply == subjects[_i].is_reply, "case '%s': reply %d", subjects[_i].name, is_reply);
	talloc_free(ctx);
}
END_TEST

/* ---- threads ---- */

static const struct {
	const char *name;
	/* A line per message: number, date, id, References, base subject; "re:" before it makes it a reply, "-" is none. */
	const char *in, *out;
} threads[] = {
	{ "nothing", "", "" },
	{ "one", "1 1 a - x", "(1)" },
	{ "reply", "1 1 a - x\n2 2 b <a> re:x", "(1 2)" },
	{ "reply comes first", "1 2 b <a> re:x\n2 1 a - x", "(2 1)" },
	{ "chain", "1 1 a - x\n2 2 b <a> re:x\n3 3 c <a><b> re:x\n4 4 d <b><c> re:x", "(1 2 3 4)" },
	{ "siblings", "3 1 a - x\n1 3 b <a> re:x\n2 2 c <a> re:x", "(3 (2)(1))" },
	{ "as in the RFC", "3 1 a - x\n6 2 b <a> re:x\n4 3 c <b> re:x\n23 4 d <c> re:x\n44 5 e <b> re:x\n7 6 f <e> re:x\n96 7 g <f> re:x",
	    "(3 6 (4 23)(44 7 96))" },
	{ "parent is missing", "1 1 b <a> -\n2 2 c <a> -", "((1)(2))" },
	{ "parent of one is missing", "1 1 b <a> -", "(1)" },
	{ "one is missing between", "1 1 a - -\n2 2 c <a><b> -", "(1 2)" },
	{ "two missing levels", "1 1 c <a><b> -\n2 2 d <a><b> -\n3 3 e <a> -", "((1)(2)(3))" },
	{ "a dummy is as old as its first child", "1 5 a - -\n2 4 c <b> -\n3 6 d <b> -", "((2)(3))(1)" },
	{ "subject of a dummy", "1 1 b <a> s\n2 2 c <a> s\n3 3 z - re:s", "((1)(2)(3))" },
	{ "reply by subject", "1 1 a - s\n2 2 b - re:s", "(1 2)" },
	{ "reply is older", "1 1 a - re:s\n2 2 b - s", "(2 1)" },
	{ "same subject, no reply", "1 1 a - s\n2 2 b - s\n3 3 c - s", "((1)(2)(3))" },
	{ "two dummies of one subject", "1 1 b <a> s\n2 2 c <a> s\n3 3 e <d> re:s\n4 4 f <d> re:s", "((1)(2)(3)(4))" },
	{ "no subject merges nothing", "1 1 a - -\n2 2 b - -", "(1)(2)" },
	{ "same id twice", "1 1 a - x\n2 2 a - y", "(1)(2)" },
	{ "loop", "1 1 a <b> x\n2 2 b <a> x", "(2 1)" },
	{ "itself", "1 1 a <a> x", "(1)" },
	{ "loop in references", "1 1 c <a><b><a> x\n2 2 a <c> y", "(2 1)" },
	{ "no ids", "1 2 - - x\n2 1 - - y", "(2)(1)" },
	{ "parent changes", "1 1 c <a><b> -\n2 2 b <x> -\n3 3 a - -", "(2 1)(3)" },
};

static size_t read_threads(void *ctx, const char *in, struct imap_thread_message *out)
{
	size_t n = 0;
	char *save = NULL, *text = mem_strdup(ctx, in);

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char id[16], refs[64], subject[16];
		struct imap_thread_message *m = &out[n++];
		long long date;

		ck_assert_int_eq(sscanf(line, "%u %lld %15s %63s %15s", &m->number, &date, id, refs, subject), 5);
		m->date = date;
		m->id = strcmp(id, "-") == 0 ? NULL : mem_strdup(ctx, id);
		m->refs = imap_thread_ids(ctx, refs, 8, &m->n_refs);
		m->is_reply = strncmp(subject, "re:", 3) == 0;
		m->subject = strcmp(subject, "-") == 0 ? "" : mem_strdup(ctx, subject + (m->is_reply ? 3 : 0));
	}
	return n;
}

/* Every link to the end of a long thread is looked at for loops all the way up. */
START_TEST(thread_in_bounded_time)
{
	enum { DEEP = 200000, MANY = 20000 };
	void *ctx = mem_ctx(NULL);
	struct imap_thread_message *m = mem_zero_array(ctx, struct imap_thread_message, MANY + 2);
	const char **chain = mem_array(ctx, const char *, DEEP), **ends = mem_array(ctx, const char *, 2 * MANY);
	struct buf *out = buf_new(ctx, MIB(4));

	for (size_t i = 0; i < DEEP; i++)
		chain[i] = mem_printf(ctx, "d%zu", i);
	m[0] = (struct imap_thread_message){ .refs = chain, .n_refs = DEEP };
	for (size_t i = 0; i < MANY; i++) {
		const char **pair = mem_array(ctx, const char *, 2);

		pair[0] = mem_printf(ctx, "a%zu", i);
		pair[1] = mem_printf(ctx, "c%zu", i);
		m[i + 1] = (struct imap_thread_message){ .refs = pair, .n_refs = 2 };
		ends[2 * i] = chain[DEEP - 1];
		ends[2 * i + 1] = pair[0];
	}
	m[MANY + 1] = (struct imap_thread_message){ .refs = ends, .n_refs = 2 * MANY };
	for (uint32_t i = 0; i < MANY + 2; i++) {
		m[i].number = i + 1;
		m[i].subject = "";
	}
	clock_t before = clock();

	imap_thread_print(out, m, MANY + 2);
	double s = (double)(clock() - before) / CLOCKS_PER_SEC;

	ck_assert_msg(s < 3, "%.1f s", s);
	ck_assert(out->len > MANY * 2);
	talloc_free(ctx);
}
END_TEST

START_TEST(thread_table)
{
	void *ctx = mem_ctx(NULL);
	struct imap_thread_message messages[16] = { 0 };
	struct buf *out = buf_new(ctx, KIB(4));
	size_t n = read_threads(ctx, threads[_i].in, messages);

	buf_adds(out, "");
	imap_thread_print(out, messages, n);
	ck_assert_msg(strcmp(out->len ? out->data : "", threads[_i].out) == 0, "case '%s': '%s'", threads[_i].name, out->data);
	talloc_free(ctx);
}
END_TEST

START_TEST(threads_may_be_deep)
{
	enum { DEPTH = 30000 };
	void *ctx = mem_ctx(NULL);
	struct imap_thread_message *messages = mem_array(ctx, struct imap_thread_message, DEPTH);
	struct buf *out = buf_new(ctx, MIB(4));

	for (unsigned i = 0; i < DEPTH; i++) {
		messages[i] = (struct imap_thread_message){ .number = i + 1, .date = i, .subject = "" };
		messages[i].id = mem_printf(ctx, "%u", i);
		/* Every second one is a leaf beside the chain. */
		messages[i].refs = imap_thread_ids(ctx, mem_printf(ctx, "<%u>", i & 1 ? i - 1 : i - 2), 8, &messages[i].n_refs);
		messages[i].n_refs = i > 0;
	}
	imap_thread_print(out, messages, DEPTH);
	ck_assert_int_eq(strncmp(out->data, "(1 (2)(3 (4)(5 (6)(7 ", 21), 0);
	ck_assert_int_eq(out->data[out->len - 1], ')');
	talloc_free(ctx);
}
END_TEST

/* ---- search keys ---- */

static bool has_hello(void *arg, const char *text)
{
	(void)arg;
	return strstr("hello world", text) != NULL;
}

static const struct {
	const char *name, *in;
	/* What flags alone, header as well, and body as well say; '?' maybe, '!' no search. */
	char ram, header, body;
} searches[] = {
	{ "all", "ALL", 'y', 'y', 'y' },
	{ "flag", "SEEN", 'y', 'y', 'y' },
	{ "not flag", "UNSEEN", 'n', 'n', 'n' },
	{ "and", "SEEN FLAGGED", 'n', 'n', 'n' },
	{ "or", "OR SEEN FLAGGED", 'y', 'y', 'y' },
	{ "not", "NOT SEEN", 'n', 'n', 'n' },
	{ "list", "(SEEN (NOT FLAGGED))", 'y', 'y', 'y' },
	{ "new", "NEW", 'n', 'n', 'n' },
	{ "recent", "RECENT", 'y', 'y', 'y' },
	{ "old", "OLD", 'n', 'n', 'n' },
	{ "numbers", "2:4", 'y', 'y', 'y' },
	{ "other numbers", "4:9", 'n', 'n', 'n' },
	{ "uid", "UID 70:80", 'y', 'y', 'y' },
	{ "larger", "LARGER 999", 'y', 'y', 'y' },
	{ "not larger", "LARGER 1000", 'n', 'n', 'n' },
	{ "smaller", "SMALLER 1001", 'y', 'y', 'y' },
	{ "before", "BEFORE 3-Jan-1970", 'y', 'y', 'y' },
	{ "on", "ON \"2-Jan-1970\"", 'y', 'y', 'y' },
	{ "since", "SINCE 3-Jan-1970", 'n', 'n', 'n' },
	{ "sent", "SENTON 7-Feb-1994", '?', 'y', 'y' },
	{ "sent since", "SENTSINCE 8-Feb-1994", '?', 'n', 'n' },
	{ "from", "FROM \"ANN@example\"", '?', 'y', 'y' },
	{ "subject decoded", "SUBJECT \"gr\xc3\x9c\xc3\x9f\x45\"", '?', 'y', 'y' },
	{ "not in what encodes it", "SUBJECT utf", '?', 'n', 'n' },
	{ "as it was written", "SUBJECT \"=?UTF-8?q?gr=c3\"", '?', 'y', 'y' },
	{ "header is there", "HEADER X-Foo \"\"", '?', 'y', 'y' },
	{ "header is not there", "HEADER X-Bar \"\"", '?', 'n', 'n' },
	{ "folded field", "HEADER x-foo \"one two\"", '?', 'y', 'y' },
	{ "body", "BODY HELLO", '?', '?', 'y' },
	{ "body not", "BODY example", '?', '?', 'n' },
	{ "text in header", "TEXT example", '?', 'y', 'y' },
	{ "text in body", "TEXT hello", '?', '?', 'y' },
	{ "text nowhere", "TEXT absent", '?', '?', 'n' },
	{ "no needs no body", "UNSEEN BODY hello", 'n', 'n', 'n' },
	{ "yes needs no body", "OR SEEN BODY hello", 'y', 'y', 'y' },
	{ "not body", "NOT BODY hello", '?', '?', 'n' },
	{ "keyword", "KEYWORD $x", 'n', 'n', 'n' },
	{ "unkeyword", "UNKEYWORD $x", 'y', 'y', 'y' },
	{ "older", "OLDER 100", 'y', 'y', 'y' },
	{ "younger", "YOUNGER 100", 'n', 'n', 'n' },
	{ "just not younger", "OR YOUNGER 100 NOT OLDER 101", 'y', 'y', 'y' },
	{ "modseq", "MODSEQ 12", 'y', 'y', 'y' },
	{ "modseq of a flag", "MODSEQ \"/flags/\\\\seen\" all 13", 'n', 'n', 'n' },
	{ "email", "EMAILID M5", 'y', 'y', 'y' },
	{ "another's email", "EMAILID 5", 'n', 'n', 'n' },
	{ "thread", "THREADID T5", 'n', 'n', 'n' },
	{ "saved", "NOT $", 'y', 'y', 'y' },
	{ "saved uids", "UID $", 'n', 'n', 'n' },
	{ "no age", "OLDER 0", '!', '!', '!' },
	{ "bad modseq", "MODSEQ \"/flags/x\" some 3", '!', '!', '!' },
	{ "modseq missing", "MODSEQ \"/flags/x\" all", '!', '!', '!' },
	{ "bad id", "EMAILID \"\"", '!', '!', '!' },
	{ "nothing", "()", '!', '!', '!' },
	{ "unknown", "FOO", '!', '!', '!' },
	{ "argument missing", "FROM", '!', '!', '!' },
	{ "half an or", "OR SEEN", '!', '!', '!' },
	{ "not what", "NOT", '!', '!', '!' },
	{ "bad date", "SINCE 31-Feb-1994", '!', '!', '!' },
	{ "bad number", "LARGER x", '!', '!', '!' },
	{ "bad set", "UID x", '!', '!', '!' },
	{ "string as key", "\"SEEN\"", '!', '!', '!' },
};

START_TEST(search_table)
{
	void *ctx = mem_ctx(NULL);
	const char *error = NULL;
	size_t n;
	const struct imap_arg *args = args_of(ctx, searches[_i].in, &n);
	struct imap_key *k = imap_search_parse(ctx, args, n, &error);
	struct imap_facts f = {
		.seq = 3, .uid = 77, .flags = FLAG_SEEN | FLAG_RECENT, .size = 1000, .internal_ms = 86400 * 1000 + 5,
		.now_ms = 86400 * 1000 + 100005, .modseq = 12, .content = 5,
	};
	static const char header[] = "From: Ann <ann@example.org>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
	    "X-Foo: one\r\n two\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\n";
	static const char letters[] = "ny?";

	if (!k) {
		ck_assert_msg(searches[_i].ram == '!', "case '%s': %s", searches[_i].name, error);
		talloc_free(ctx);
		return;
	}
	k = imap_search_dup(ctx, k);
	ck_assert_msg(letters[imap_search_eval(k, &f)] == searches[_i].ram, "case '%s': ram", searches[_i].name);
	f.has_header = true;
	f.header = bytes_str(header);
	ck_assert_msg(letters[imap_search_eval(k, &f)] == searches[_i].header, "case '%s': header", searches[_i].name);
	f.body = has_hello;
	ck_assert_msg(letters[imap_search_eval(k, &f)] == searches[_i].body, "case '%s': body", searches[_i].name);
	talloc_free(ctx);
}
END_TEST

START_TEST(search_chains_are_bounded)
{
	void *ctx = mem_ctx(NULL);
	struct buf *in = buf_new(ctx, KIB(60));
	const char *error = NULL;
	size_t n;

	for (unsigned i = 0; i < 5000; i++)
		buf_adds(in, "NOT ");
	buf_adds(in, "SEEN");
	const struct imap_arg *args = args_of(ctx, in->data, &n);

	ck_assert_ptr_null(imap_search_parse(ctx, args, n, &error));
	ck_assert_str_eq(error, "Search is too deep");
	talloc_free(ctx);
}
END_TEST

/* ---- folding ---- */

static const struct {
	const char *name, *in, *want;
} folds[] = {
	{ "ASCII", "Hello WORLD 1", "hello world 1" },
	{ "Latin-1", "\xc3\x84\xc3\x96\xc3\x9c \xc3\x97 \xc3\x9f", "\xc3\xa4\xc3\xb6\xc3\xbc \xc3\x97 \xc3\x9f" },
	{ "Latin Extended", "\xc4\x8c\xc5\x81\xc5\xb8", "\xc4\x8d\xc5\x82\xc3\xbf" },
	{ "Greek", "\xce\x91\xce\xa9", "\xce\xb1\xcf\x89" },
	{ "Cyrillic", "\xd0\x96\xd0\x81", "\xd0\xb6\xd1\x91" },
	{ "others stay", "\xe6\x97\xa5\xf0\x9f\x98\x80", "\xe6\x97\xa5\xf0\x9f\x98\x80" },
	{ "half a letter", "A\xc3", "a\xc3" },
};

START_TEST(fold_table)
{
	char *got = imap_text_fold(NULL, folds[_i].in);

	ck_assert_msg(strcmp(got, folds[_i].want) == 0, "case '%s': '%s'", folds[_i].name, got);
	talloc_free(got);
}
END_TEST

UNIT_SUITE("imap_words")
{
	UNIT_LOOP(seqset_table, sets);
	UNIT(seqset_has_and_prints);
	UNIT_LOOP(name_table, names);
	UNIT_LOOP(utf8_name_table, utf8_names);
	UNIT_LOOP(match_table, patterns);
	UNIT(string_printing);
	UNIT_LOOP(time_table, times);
	UNIT(time_prints_what_it_parses);
	UNIT_LOOP(field_date_table, fields);
	UNIT_LOOP(subject_table, subjects);
	UNIT_LOOP(thread_table, threads);
	UNIT(threads_may_be_deep);
	UNIT(thread_in_bounded_time);
	UNIT_LOOP(fetch_table, items);
	UNIT_LOOP(transfer_table, transfers);
	UNIT(encoding_names);
	UNIT_LOOP(search_table, searches);
	UNIT(search_chains_are_bounded);
	UNIT_LOOP(fold_table, folds);
}
UNIT_END
