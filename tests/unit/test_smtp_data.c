/* The data reader: what becomes of the octets, where they end, and what spoils them. */
#include "unit/unit.h"

#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "way/smtp/data.h"

#define F "From: alice@home\r\n"
#define DATE "Date: D\r\n"
#define ID "Message-ID: <I>\r\n"
#define TOP DATE ID
#define END ".\r\n"
#define ROW(octets) octets, sizeof(octets) - 1

struct result {
	struct buf *m;
	struct data *d;
	size_t used;
	bool is_end;
};

static void put(void *arg, const char *octets, size_t len)
{
	buf_add(arg, octets, len);
}

static struct data *make(struct buf *m, uint64_t max_size)
{
	const struct data_settings set = {
		.max_size = max_size, .address = "alice@home", .date = "D", .message_id = "<I>", .put = put, .arg = m,
	};

	return data_new(m, &set);
}

/* In pieces of first octets, and then of rest octets each. */
static struct result run(struct bytes in, size_t first, size_t rest)
{
	struct result r = { .m = buf_new(NULL, MIB(8)) };
	size_t piece = first;

	r.d = make(r.m, MIB(4));
	while (r.used < in.len && !r.is_end) {
		if (piece > in.len - r.used)
			piece = in.len - r.used;
		/* A copy, so that a sanitizer sees one octet too many. */
		char *copy = malloc(piece ? piece : 1);
		memcpy(copy, in.data + r.used, piece);
		size_t used = data_feed(r.d, copy, piece, &r.is_end);
		free(copy);
		ck_assert(used == piece || r.is_end);
		r.used += used;
		piece = rest;
	}
	return r;
}

/* want: m, or NULL for a verdict. left: octets behind the end, -1 when it must not end. */
static const struct {
	const char *name, *in;
	size_t len;
	const char *want;
	enum data_verdict verdict;
	int left;
} cases[] = {
	{ "plain", ROW(F "\r\nhello\r\n" END), TOP F "\r\nhello\r\n", DATA_GOOD, 0 },
	{ "no body", ROW(F "\r\n" END), TOP F "\r\n", DATA_GOOD, 0 },
	{ "no empty line", ROW(F END), TOP F, DATA_GOOD, 0 },
	{ "nothing", ROW(END), NULL, DATA_FROM, 0 },
	{ "only an empty line", ROW("\r\n" END), NULL, DATA_FROM, 0 },
	{ "no header block", ROW("hello\r\nFrom: x\r\n" END), NULL, DATA_FROM, 0 },
	{ "begins with a fold", ROW(" a: b\r\n\r\nc\r\n" END), NULL, DATA_FROM, 0 },
	{ "body without a header", ROW("\r\nhello\r\n" END), NULL, DATA_FROM, 0 },
	{ "commands behind", ROW(F "\r\n" END "QUIT\r\n"), TOP F "\r\n", DATA_GOOD, 6 },
	{ "has Date", ROW("Date: x\r\n" F "\r\n" END), ID "Date: x\r\n" F "\r\n", DATA_GOOD, 0 },
	{ "has Message-ID", ROW("message-id: <x>\r\n" F "\r\n" END), DATE "message-id: <x>\r\n" F "\r\n", DATA_GOOD, 0 },
	{ "has both", ROW("DATE: x\r\nMESSAGE-ID: <x>\r\n" F "\r\n" END), "DATE: x\r\nMESSAGE-ID: <x>\r\n" F "\r\n",
	  DATA_GOOD, 0 },
	{ "empty Message-ID", ROW(F "Message-ID:\r\nTo: z\r\n\r\n" END), TOP F "To: z\r\n\r\n", DATA_GOOD, 0 },
	{ "empty Date and Message-ID, folded", ROW("Date: \r\n \t\r\nMessage-ID:\t\r\n \r\n" F "\r\n" END), TOP F "\r\n", DATA_GOOD, 0 },
	{ "empty Message-ID and another", ROW("Message-ID: \r\nMessage-ID: <x>\r\n" F "\r\n" END), DATE "Message-ID: <x>\r\n" F "\r\n",
	  DATA_GOOD, 0 },
	{ "empty Date, then a record", ROW("Date:\r\nP2pMTA: ns/1\r\n" F "\r\n" END), NULL, DATA_RECORD, 0 },
	{ "empty Subject stays", ROW(F "Subject:\r\n\r\n" END), TOP F "Subject:\r\n\r\n", DATA_GOOD, 0 },
	{ "resent by us", ROW("Resent-From: alice+x@home\r\n" F "\r\n" END), TOP "Resent-From: alice+x@home\r\n" F "\r\n", DATA_GOOD, 0 },
	{ "resent by us, and by others before", ROW("Resent-From: alice@home\r\nResent-From: eve@home\r\n" F "\r\n" END),
	  TOP "Resent-From: alice@home\r\nResent-From: eve@home\r\n" F "\r\n", DATA_GOOD, 0 },
	{ "resent by somebody else", ROW(F "Resent-From: eve@home\r\n\r\n" END), NULL, DATA_RESENT_FROM, 0 },
	{ "resent by two", ROW(F "Resent-From: alice@home, eve@home\r\n\r\n" END), NULL, DATA_RESENT_FROM, 0 },
	{ "resent by nobody", ROW(F "Resent-From:\r\n\r\n" END), NULL, DATA_RESENT_FROM, 0 },
	{ "Date in the body", ROW(F "\r\nDate: x\r\n" END), TOP F "\r\nDate: x\r\n", DATA_GOOD, 0 },
	{ "a line that is no field", ROW(F "hello\r\nDate: x\r\n\r\n" END), ID F "hello\r\nDate: x\r\n\r\n", DATA_GOOD, 0 },
	{ "8-bit and controls", ROW(F "\r\n\xff\x01\x7f\xc3\r\n" END), TOP F "\r\n\xff\x01\x7f\xc3\r\n", DATA_GOOD, 0 },
	{ "trailing blanks and empty lines", ROW(F "\r\n \t\r\n\r\n\r\n" END), TOP F "\r\n \t\r\n\r\n\r\n", DATA_GOOD, 0 },

	{ "Bcc", ROW(F "Bcc: x@y\r\nTo: z\r\n\r\n" END), TOP F "To: z\r\n\r\n", DATA_GOOD, 0 },
	{ "Bcc first", ROW("Bcc: x@y\r\n" F "\r\n" END), TOP F "\r\n", DATA_GOOD, 0 },
	{ "Bcc last", ROW(F "Bcc: x@y\r\n\r\nb\r\n" END), TOP F "\r\nb\r\n", DATA_GOOD, 0 },
	{ "Bcc folded", ROW(F "bcc: x@y,\r\n\tz@y,\r\n  w@y\r\nTo: z\r\n\r\n" END), TOP F "To: z\r\n\r\n", DATA_GOOD, 0 },
	{ "Bcc folded with a blank line", ROW(F "Bcc: x,\r\n \r\n y\r\nTo: z\r\n\r\n" END), TOP F "To: z\r\n\r\n",
	  DATA_GOOD, 0 },
	{ "Bcc with a blank before the colon", ROW(F "BCC : x@y\r\n\r\n" END), TOP F "\r\n", DATA_GOOD, 0 },
	{ "Bcc thrice", ROW("Bcc:\r\n" F "Bcc: a\r\nBcc: b\r\n\r\n" END), TOP F "\r\n", DATA_GOOD, 0 },
	{ "Resent-Bcc", ROW(F "Resent-Bcc: x@y\r\n z\r\nResent-To: z\r\n\r\n" END), TOP F "Resent-To: z\r\n\r\n",
	  DATA_GOOD, 0 },
	{ "Bccx stays", ROW(F "Bccx: a\r\nX-Bcc: b\r\n\r\n" END), TOP F "Bccx: a\r\nX-Bcc: b\r\n\r\n", DATA_GOOD, 0 },
	{ "Bcc in the body", ROW(F "\r\nBcc: x\r\n" END), TOP F "\r\nBcc: x\r\n", DATA_GOOD, 0 },
	{ "Bcc without an empty line", ROW(F "Bcc: x\r\n y\r\n" END), TOP F, DATA_GOOD, 0 },

	{ "dot at the start", ROW(F "\r\n..\r\n...\r\n..a\r\n.b\r\n" END), TOP F "\r\n.\r\n..\r\n.a\r\nb\r\n", DATA_GOOD, 0 },
	{ "dot elsewhere", ROW(F "\r\na.\r\na.b\r\n .\r\n" END), TOP F "\r\na.\r\na.b\r\n .\r\n", DATA_GOOD, 0 },
	{ "stuffed header", ROW(".From: alice@home\r\n\r\n" END), TOP F "\r\n", DATA_GOOD, 0 },
	{ "dot and a blank", ROW(F "\r\n. \r\n" END), TOP F "\r\n \r\n", DATA_GOOD, 0 },

	{ "LF . LF", ROW(F "\r\na\n.\nMAIL\r\n" END), NULL, DATA_BARE, 0 },
	{ "LF . CRLF", ROW(F "\r\na\n.\r\nMAIL\r\n" END), NULL, DATA_BARE, 0 },
	{ "CR . CR", ROW(F "\r\na\r.\rMAIL\r\n" END), NULL, DATA_BARE, 0 },
	{ "CR . CRLF", ROW(F "\r\na\r.\r\nMAIL\r\n" END), NULL, DATA_BARE, 0 },
	{ "CRLF . LF", ROW(F "\r\na\r\n.\nMAIL\r\n" END), NULL, DATA_BARE, 0 },
	{ "CRLF . CR", ROW(F "\r\na\r\n.\rMAIL\r\n" END), NULL, DATA_BARE, 0 },
	{ "CRLF . CR CRLF", ROW(F "\r\na\r\n.\r\r\nMAIL\r\n" END), NULL, DATA_BARE, 0 },
	{ "CR CRLF . CRLF", ROW(F "\r\na\r\r\n" END "MAIL\r\n"), NULL, DATA_BARE, 6 },
	{ "LF CR . CRLF", ROW(F "\r\na\n\r.\r\nMAIL\r\n" END), NULL, DATA_BARE, 0 },
	{ "LF CRLF . CRLF", ROW(F "\r\na\n\r\n" END "MAIL\r\n"), NULL, DATA_BARE, 6 },
	{ "CRLF NUL . CRLF", ROW(F "\r\na\r\n\0.\r\nMAIL\r\n" END), NULL, DATA_NUL, 0 },
	{ "CRLF . NUL CRLF", ROW(F "\r\na\r\n.\0\r\nMAIL\r\n" END), NULL, DATA_NUL, 0 },
	{ "CR NUL LF . CRLF", ROW(F "\r\na\r\0\n.\r\nMAIL\r\n" END), NULL, DATA_BARE, 0 },
	{ "dot dot CRLF . CRLF", ROW(F "\r\n..\r\n" END "MAIL\r\n"), TOP F "\r\n.\r\n", DATA_GOOD, 6 },
	{ "CRLF . blank CRLF", ROW(F "\r\n. \r\nMAIL\r\n" END), TOP F "\r\n \r\nMAIL\r\n", DATA_GOOD, 0 },
	{ "bare LF in the header", ROW(F "To: x\nBcc: y\r\n\r\n" END), NULL, DATA_BARE, 0 },
	{ "bare CR in the header", ROW(F "To: x\rBcc: y\r\n\r\n" END), NULL, DATA_BARE, 0 },
	{ "LF LF for the empty line", ROW(F "\n\nhello\r\n" END), NULL, DATA_BARE, 0 },
	{ "LF first", ROW("\n" F "\r\n" END), NULL, DATA_BARE, 0 },
	{ "CR first", ROW("\r" F "\r\n" END), NULL, DATA_BARE, 0 },
	{ "LF . CRLF first", ROW("\n.\r\nMAIL\r\n" END), NULL, DATA_BARE, 0 },
	{ ". LF first", ROW(".\nMAIL\r\n" END), NULL, DATA_BARE, 0 },
	{ "NUL in the header", ROW(F "To: \0\r\n\r\n" END), NULL, DATA_NUL, 0 },
	{ "NUL first", ROW("\0" F "\r\n" END), NULL, DATA_NUL, 0 },
	{ "bare CR, then the end", ROW(F "\r\na\rb\r\n" END "QUIT\r\n"), NULL, DATA_BARE, 6 },
	{ "LF dot LF dot LF", ROW(F "\r\n\n.\n.\n\r\n" END), NULL, DATA_BARE, 0 },

	{ "no end", ROW(F "\r\nhello\r\n"), NULL, DATA_GOOD, -1 },
	{ "no end, dot", ROW(F "\r\nhello\r\n."), NULL, DATA_GOOD, -1 },
	{ "no end, dot CR", ROW(F "\r\nhello\r\n.\r"), NULL, DATA_GOOD, -1 },
	{ "no end, dot in a line", ROW(F "\r\nhello.\r\n"), NULL, DATA_GOOD, -1 },

	{ "P2pMTA first", ROW("P2pMTA: ns/1\r\n" F "\r\n" END), NULL, DATA_RECORD, 0 },
	{ "p2pmta in other case", ROW("p2PMta : ns/1\r\n" F "\r\n" END), NULL, DATA_RECORD, 0 },
	{ "P2pMTA behind Bcc", ROW("Bcc: x\r\nP2pMTA: ns/1\r\n" F "\r\n" END), NULL, DATA_RECORD, 0 },
	{ "P2pMTA alone", ROW("P2pMTA: ns/1\r\n\r\n" END), NULL, DATA_RECORD, 0 },
	{ "P2pMTA stuffed", ROW(".P2pMTA: ns/1\r\n\r\n" END), NULL, DATA_RECORD, 0 },
	{ "P2pMTA second", ROW(F "P2pMTA: ns/1\r\n\r\n" END), TOP F "P2pMTA: ns/1\r\n\r\n", DATA_GOOD, 0 },

	{ "From with a name", ROW("From: Alice <Alice@Home>\r\n\r\n" END), TOP "From: Alice <Alice@Home>\r\n\r\n", DATA_GOOD, 0 },
	{ "From with a tag", ROW("From: alice+x@home\r\n\r\n" END), TOP "From: alice+x@home\r\n\r\n", DATA_GOOD, 0 },
	{ "From folded", ROW("From: Alice\r\n <alice@home>\r\n\r\n" END), TOP "From: Alice\r\n <alice@home>\r\n\r\n", DATA_GOOD, 0 },
	{ "From with a comment", ROW("From: alice@home (x@y)\r\n\r\n" END), TOP "From: alice@home (x@y)\r\n\r\n", DATA_GOOD, 0 },
	{ "From another", ROW("From: bob@home\r\n\r\n" END), NULL, DATA_FROM, 0 },
	{ "From another, own in the name", ROW("From: \"alice@home\" <bob@home>\r\n\r\n" END), NULL, DATA_FROM, 0 },
	{ "From another group", ROW("From: alice@elsewhere\r\n\r\n" END), NULL, DATA_FROM, 0 },
	{ "From two mailboxes", ROW("From: alice@home, bob@home\r\n\r\n" END), NULL, DATA_FROM, 0 },
	{ "From oneself twice", ROW("From: alice@home, alice@home\r\n\r\n" END), NULL, DATA_FROM, 0 },
	{ "From two fields", ROW(F F "\r\n" END), NULL, DATA_FROM, 0 },
	{ "From two fields, one empty", ROW("From:\r\n" F "\r\n" END), NULL, DATA_FROM, 0 },
	{ "From empty", ROW("From:\r\n\r\n" END), NULL, DATA_FROM, 0 },
	{ "From broken", ROW("From: <<\r\n\r\n" END), NULL, DATA_FROM, 0 },
	{ "From missing", ROW("Subject: x\r\n\r\n" END), NULL, DATA_FROM, 0 },
	{ "From in the body", ROW("Subject: x\r\n\r\n" F END), NULL, DATA_FROM, 0 },
};

static void check(int i, size_t first, size_t rest)
{
	struct bytes in = bytes_of(cases[i].in, cases[i].len);
	struct result r = run(in, first, rest);
	const char *name = cases[i].name;

	ck_assert_msg(r.is_end == (cases[i].left >= 0), "case '%s' %zu %zu: end %d", name, first, rest, r.is_end);
	ck_assert_msg(!r.is_end || in.len - r.used == (size_t)cases[i].left, "case '%s' %zu %zu: %zu octets left", name,
	    first, rest, in.len - r.used);
	ck_assert_msg(data_verdict(r.d) == cases[i].verdict, "case '%s' %zu %zu: verdict %d", name, first, rest,
	    (int)data_verdict(r.d));
	if (cases[i].want) {
		ck_assert_msg(strcmp(r.m->data, cases[i].want) == 0, "case '%s' %zu %zu: '%s'", name, first, rest, r.m->data);
		ck_assert_uint_eq(r.m->len, strlen(cases[i].want));
		ck_assert_uint_eq(data_size(r.d), r.m->len);
	}
	talloc_free(r.m);
}

START_TEST(data_table)
{
	check(_i, cases[_i].len, 1);
}
END_TEST

START_TEST(data_octet_by_octet)
{
	for (size_t piece = 1; piece < 5; piece++)
		check(_i, piece, piece);
}
END_TEST

START_TEST(data_split_anywhere)
{
	for (size_t first = 0; first <= cases[_i].len; first++)
		check(_i, first, cases[_i].len);
}
END_TEST

static const struct { const char *name, *in, *message_id, *subject; } field_cases[] = {
	{ "missing", F "\r\n" END, "<I>", "" },
	{ "there", F "Message-ID: <x@y>\r\nSubject: a b\r\n\r\n" END, "<x@y>", "a b" },
	{ "folded", F "Message-ID:\r\n <x@y>\r\nSubject: a\r\n b\r\n\r\n" END, "<x@y>", "a b" },
	{ "empty", F "Message-ID:\r\nSubject:\r\n\r\n" END, "<I>", "" },
	{ "in the body", F "\r\nSubject: x\r\n" END, "<I>", "" },
	{ "nothing", END, "<I>", "" },
};

START_TEST(data_fields)
{
	struct result r = run(bytes_str(field_cases[_i].in), 1000, 1);

	ck_assert(r.is_end);
	ck_assert_msg(strcmp(data_message_id(r.d), field_cases[_i].message_id) == 0, "'%s': '%s'", field_cases[_i].name,
	    data_message_id(r.d));
	ck_assert_msg(strcmp(data_subject(r.d), field_cases[_i].subject) == 0, "'%s': '%s'", field_cases[_i].name,
	    data_subject(r.d));
	talloc_free(r.m);
}
END_TEST

/* A message whose nth part is n times 'x'. */
static struct bytes long_line(void *ctx, const char *before, size_t n)
{
	struct buf *b = buf_new(ctx, MIB(8));
	char x[4096];

	memset(x, 'x', sizeof(x));
	buf_adds(b, before);
	for (size_t piece; n > 0; n -= piece) {
		piece = n < sizeof(x) ? n : sizeof(x);
		buf_add(b, x, piece);
	}
	buf_adds(b, "\r\n" END);
	return buf_bytes(b);
}

static const struct { const char *name, *before; size_t n; enum data_verdict want; } long_cases[] = {
	{ "998 and more", F "\r\n", 999, DATA_GOOD },
	{ "longest line", F "\r\n", DATA_LINE_MAX - 2, DATA_GOOD },
	{ "line too long", F "\r\n", DATA_LINE_MAX - 1, DATA_LONG_LINE },
	{ "longest header", F "X: ", LIMIT_MIME_HEADER - 18 - 3 - 2, DATA_GOOD },
	{ "header too long", F "X: ", LIMIT_MIME_HEADER - 18 - 3 - 1, DATA_LONG_HEADER },
	{ "no header block, one line", "\r\n", 1000000, DATA_FROM },
};

START_TEST(data_long)
{
	void *ctx = mem_ctx(NULL);
	struct result r = run(long_line(ctx, long_cases[_i].before, long_cases[_i].n), 5000, 7777);

	ck_assert(r.is_end);
	ck_assert_msg(data_verdict(r.d) == long_cases[_i].want, "'%s': %d", long_cases[_i].name, (int)data_verdict(r.d));
	talloc_free(r.m);
	talloc_free(ctx);
}
END_TEST

static const struct { const char *name; int more; enum data_verdict want; } size_cases[] = {
	{ "room", 1, DATA_GOOD }, { "just", 0, DATA_GOOD }, { "one short", -1, DATA_TOO_BIG }, { "far too big", -20, DATA_TOO_BIG },
};

START_TEST(data_size_table)
{
	static const char m[] = TOP F "\r\nhello\r\n";
	struct buf *b = buf_new(NULL, 4096);
	struct data *d = make(b, sizeof(m) - 1 + (size_t)(ssize_t)size_cases[_i].more);
	bool is_end;

	data_feed(d, F "\r\nhello\r\n" END, strlen(F "\r\nhello\r\n" END), &is_end);
	ck_assert(is_end);
	ck_assert_msg(data_verdict(d) == size_cases[_i].want, "'%s'", size_cases[_i].name);
	ck_assert_uint_le(b->len, sizeof(m) - 1 + (size_t)(ssize_t)size_cases[_i].more);
	talloc_free(b);
}
END_TEST

START_TEST(data_replies)
{
	for (enum data_verdict v = DATA_BARE; v <= DATA_TOO_BIG; v++)
		ck_assert_msg(data_reply(v)[0] == '5' && data_reply(v)[4] == '5', "%d", (int)v);
}
END_TEST

UNIT_SUITE("smtp data")
{
	UNIT_LOOP(data_table, cases);
	UNIT_LOOP(data_octet_by_octet, cases);
	UNIT_LOOP(data_split_anywhere, cases);
	UNIT_LOOP(data_fields, field_cases);
	UNIT_LOOP(data_long, long_cases);
	UNIT_LOOP(data_size_table, size_cases);
	UNIT(data_replies);
}
UNIT_END
