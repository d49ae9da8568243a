/*
 * The structure of messages: tables of what IMAP shows, offsets, and the
 * property everything else rests on: a skeleton with its Parts gives the same
 * structure as the whole message, however the octets arrive.
 *
 * The strings were compared with Dovecot 2.3.19, the leaves with Python's email
 * package, over these rows, the fuzz corpus and generated messages. They are
 * the same but for what is broken, where ours differ on purpose:
 * - Dovecot stops reading a list of addresses or parameters at the first bad
 *   one, we go on; quoted commas, "a . b@c" and ';' between addresses work.
 * - White space inside a Subject is kept (Dovecot collapses it); of two
 *   Subjects the first counts (Dovecot: the last).
 * - RFC 2231 pieces stand behind the other parameters and are percent-encoded
 *   throughout (Dovecot: sorted, spaces left in).
 * - A leaf that claims multipart, or a message in base64, is shown as
 *   application/octet-stream (Dovecot invents an empty part or envelope).
 * - A Content-Type that is none is text/plain (Dovecot: type "" or subtype "").
 * - Boundaries count only as a whole line (Dovecot compares the beginning),
 *   like Python; but message/partial, message/external-body and
 *   message/delivery-status are leaves for us, and a header goes on after a
 *   line that is no field.
 */
#include "unit.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/mime/mime.h"

#define LEN(s) bytes_of(s, sizeof(s) - 1)

static struct mime *scan(const void *ctx, struct bytes in, size_t chunk)
{
	struct mime_scan *s = mime_scan_new(ctx);

	for (size_t i = 0; i < in.len; i += chunk)
		mime_scan_feed(s, bytes_of(in.data + i, in.len - i < chunk ? in.len - i : chunk));
	return mime_scan_take(&s, ctx);
}

static struct mime *scan_text(const void *ctx, const char *text)
{
	return scan(ctx, bytes_str(text), SIZE_MAX);
}

static void same(const void *ctx, const struct mime *a, const struct mime *b, const char *what)
{
	size_t n_a, n_b;
	const struct mime_part *pa = mime_parts(a, &n_a), *pb = mime_parts(b, &n_b);

	ck_assert_msg(mime_equal(a, b), "%s: not equal: '%s' '%s'", what, mime_parts_text(a), mime_parts_text(b));
	ck_assert_uint_eq(n_a, n_b);
	for (size_t i = 0; i < n_a; i++)
		ck_assert_msg(pa[i].kind == pb[i].kind && pa[i].parent == pb[i].parent &&
		    pa[i].first_child == pb[i].first_child && pa[i].next == pb[i].next &&
		    pa[i].number == pb[i].number && pa[i].header_off == pb[i].header_off &&
		    pa[i].header_len == pb[i].header_len && pa[i].body_off == pb[i].body_off &&
		    pa[i].body_len == pb[i].body_len && pa[i].lines == pb[i].lines &&
		    pa[i].skeleton_off == pb[i].skeleton_off, "%s: part %zu", what, i);
	ck_assert_str_eq(mime_envelope(ctx, a), mime_envelope(ctx, b));
	ck_assert_str_eq(mime_body(ctx, a), mime_body(ctx, b));
	ck_assert_str_eq(mime_bodystructure(ctx, a), mime_bodystructure(ctx, b));
}

/* Header octets, order and nesting of the parts against the message itself. */
static void sound(const struct mime *m, struct bytes in, const char *what)
{
	size_t n;
	const struct mime_part *p = mime_parts(m, &n);

	ck_assert_uint_eq(mime_size(m), in.len);
	for (size_t i = 0; i < n; i++) {
		struct bytes h = mime_header(m, &p[i]);
		const struct mime_part *up = &p[p[i].parent];
		uint64_t end = p[i].body_off + p[i].body_len, lines = 0;
		ck_assert_msg(end <= in.len && p[i].header_off + p[i].header_len == p[i].body_off, "%s: bounds", what);
		ck_assert_msg(bytes_equal(h, bytes_of(in.data + p[i].header_off, p[i].header_len)), "%s: header", what);
		if (i > 0)
			ck_assert_msg(p[i].header_off >= up->body_off && end <= up->body_off + up->body_len,
			    "%s: part %zu is not inside its parent", what, i);
		for (uint64_t k = p[i].body_off; k < end; k++)
			lines += in.data[k] == '\n';
		ck_assert_uint_eq(lines, p[i].lines);
	}
}

/* The property. */
static void replays(struct bytes in, const char *what)
{
	void *ctx = mem_ctx(NULL);
	struct err e;
	struct mime *whole = scan(ctx, in, SIZE_MAX);

	sound(whole, in, what);
	for (size_t chunk = 1; chunk < 6; chunk++)
		same(ctx, whole, scan(ctx, in, chunk), what);
	struct mime *back = mime_from_skeleton(ctx, mime_skeleton(whole), mime_parts_text(whole), mime_size(whole), &e);
	ck_assert_msg(back != NULL, "%s: %s: parts '%s'", what, e.text, mime_parts_text(whole));
	same(ctx, whole, back, what);
	talloc_free(ctx);
}

#define MP "Content-Type: multipart/mixed; boundary=x\r\n\r\n"
#define TEXT_STRUCT "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\""
#define EXT " NIL NIL NIL NIL)"

static const struct {
	const char *name, *in, *parts, *structure;
} trees[] = {
	{ "empty", "", "0/0", TEXT_STRUCT " 0 0" EXT },
	{ "only a header", "Subject: x\r\n", "0/0", TEXT_STRUCT " 0 0" EXT },
	{ "header without line end", "Subject: x", "0/0", TEXT_STRUCT " 0 0" EXT },
	{ "no body", "Subject: x\r\n\r\n", "0/0", TEXT_STRUCT " 0 0" EXT },
	{ "no header", "\r\nHello\r\n", "7/1", TEXT_STRUCT " 7 1" EXT },
	{ "plain", "Subject: x\r\n\r\nHello\r\n", "7/1", TEXT_STRUCT " 7 1" EXT },
	{ "no line end at the end", "Subject: x\r\n\r\nHello", "5/0", TEXT_STRUCT " 5 0" EXT },
	{ "bare LF is content", "A: b\r\n\r\na\nb\r\n", "5/2", TEXT_STRUCT " 5 2" EXT },
	{ "two parts", MP "pre\r\n--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--\r\npost\r\n", "3/0 3/0",
	  "(" TEXT_STRUCT " 3 0" EXT TEXT_STRUCT " 3 0" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "empty part", MP "--x\r\n\r\n--x--\r\n", "0/0",
	  "(" TEXT_STRUCT " 0 0" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "part of one empty line", MP "--x\r\n\r\n\r\n--x--\r\n", "0/0",
	  "(" TEXT_STRUCT " 0 0" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "part of two empty lines", MP "--x\r\n\r\n\r\n\r\n--x--\r\n", "2/1",
	  "(" TEXT_STRUCT " 2 1" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "part header without empty line", MP "--x\r\nA: b\r\n--x--\r\n", "0/0",
	  "(" TEXT_STRUCT " 0 0" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "missing closing boundary", MP "--x\r\n\r\none\r\n", "5/1",
	  "(" TEXT_STRUCT " 5 1" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "boundary at the very end", MP "--x\r\n\r\none\r\n--x", "3/0 0/0",
	  "(" TEXT_STRUCT " 3 0" EXT TEXT_STRUCT " 0 0" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "closing at the very end", MP "--x\r\n\r\none\r\n--x--", "3/0",
	  "(" TEXT_STRUCT " 3 0" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "blanks behind a boundary", MP "--x \t\r\n\r\none\r\n--x-- \r\n", "3/0",
	  "(" TEXT_STRUCT " 3 0" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "longer than the boundary", MP "--x\r\n\r\n--xy\r\n--x--y\r\n--x--\r\n", "12/1",
	  "(" TEXT_STRUCT " 12 1" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "not at the begin of a line", MP "--x\r\n\r\n --x\r\na--x\r\n\n--x\r\n--x--\r\n", "16/3",
	  "(" TEXT_STRUCT " 16 3" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "no part at all", MP "nothing\r\n", "",
	  "(" TEXT_STRUCT " 0 0" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "no boundary", "Content-Type: multipart/mixed\r\n\r\n--\r\n\r\na\r\n", "9/3",
	  "(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 9" EXT },
	{ "empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\na\r\n", "9/3",
	  "(\"application\" \"octet-stream\" (\"boundary\" \"\") NIL NIL \"7bit\" 9" EXT },
	{ "nested, inner one not closed",
	  MP "--x\r\nContent-Type: multipart/alternative; boundary=xx\r\n\r\n--xx\r\n\r\na\r\n--x\r\n\r\nb\r\n--x--\r\n", "1/0 1/0",
	  "((" TEXT_STRUCT " 1 0" EXT " \"alternative\" (\"boundary\" \"xx\") NIL NIL NIL)" TEXT_STRUCT " 1 0" EXT
	  " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "nested with the same boundary: the inner one's first",
	  MP "--x\r\n" MP "--x\r\n\r\na\r\n--x--\r\n--x\r\n\r\nb\r\n--x--\r\n", "1/0 1/0",
	  "((" TEXT_STRUCT " 1 0" EXT " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" TEXT_STRUCT " 1 0" EXT
	  " \"mixed\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "message", "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nhi\r\n", "19/3 4/1",
	  "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 19 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	  TEXT_STRUCT " 4 1" EXT " 3" EXT },
	{ "encoded message is not opened",
	  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA==\r\n", "18/1",
	  "(\"application\" \"octet-stream\" NIL NIL NIL \"base64\" 18" EXT },
	{ "digest", "Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nSubject: d\r\n\r\nhi\r\n--x--\r\n", "16/2 2/0",
	  "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 16 (NIL \"d\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	  TEXT_STRUCT " 2 0" EXT " 2" EXT " \"digest\" (\"boundary\" \"x\") NIL NIL NIL)" },
	{ "extension data",
	  "Content-Type: image/png; name=a.png\r\nContent-ID: <i>\r\nContent-Description: d\r\nContent-Transfer-Encoding: BASE64\r\n"
	  "Content-MD5: m==\r\nContent-Disposition: attachment; filename=a.png\r\nContent-Language: de, en\r\nContent-Location: l\r\n\r\n",
	  "0/0", "(\"image\" \"png\" (\"name\" \"a.png\") \"<i>\" \"d\" \"BASE64\" 0 \"m==\""
	  " (\"attachment\" (\"filename\" \"a.png\")) (\"de\" \"en\") \"l\")" },
	{ "empty content fields are NIL", "Content-ID:\r\nContent-Description: \r\nContent-MD5:\r\nContent-Disposition:\r\n"
	  "Content-Language:\r\nContent-Location:\r\nContent-Transfer-Encoding:\r\n\r\n", "0/0", TEXT_STRUCT " 0 0" EXT },
	{ "charset as written, comments skipped", "Content-Type: TEXT/Html ; (c) CharSet=(d) Utf-8 (e) ;\r\n\r\n", "0/0",
	  "(\"TEXT\" \"Html\" (\"CharSet\" \"Utf-8\") NIL NIL \"7bit\" 0 0" EXT },
	{ "bad parameters are passed over", "Content-Type: a/b; x; y=1; =2; z=; \"q\"; w=a/b=c; v=\"open\r\n\r\n", "0/0",
	  "(\"a\" \"b\" (\"y\" \"1\" \"z\" \"\" \"w\" \"a/b=c\" \"v\" \"open\") NIL NIL \"7bit\" 0" EXT },
	{ "RFC 2231", "Content-Type: a/b; n*1=\"b c\"; n*0*=utf-8''%C3%BC; x=1; m*0=\"p q\"; m*1=r; m*3=s; t*=us-ascii''u\r\n\r\n", "0/0",
	  "(\"a\" \"b\" (\"x\" \"1\" \"m*3\" \"s\" \"t*\" \"us-ascii''u\" \"n*\" \"utf-8''%C3%BCb%20c\" \"m\" \"p qr\") NIL NIL \"7bit\" 0" EXT },
	{ "type without subtype", "Content-Type: text\r\n\r\n", "0/0", TEXT_STRUCT " 0 0" EXT },
	{ "coding that is no token", "Content-Transfer-Encoding: 8 bit\r\n\r\n", "0/0", TEXT_STRUCT " 0 0" EXT },
	{ "message/global is opened, but has no envelope in IMAP4rev1",
	  "Content-Type: message/global\r\n\r\nSubject: in\r\n\r\nhi\r\n", "19/3 4/1",
	  "(\"message\" \"global\" NIL NIL NIL \"7bit\" 19" EXT },
	{ "digest with another type", "Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--\r\n", "2/0",
	  "(" TEXT_STRUCT " 2 0" EXT " \"digest\" (\"boundary\" \"x\") NIL NIL NIL)" },
};

START_TEST(tree_table)
{
	void *ctx = mem_ctx(NULL);
	struct mime *m = scan_text(ctx, trees[_i].in);

	ck_assert_msg(strcmp(mime_parts_text(m), trees[_i].parts) == 0, "%s: parts '%s', skeleton:\n%.*s", trees[_i].name,
	    mime_parts_text(m), (int)mime_skeleton(m).len, (const char *)mime_skeleton(m).data);
	char *structure = mime_bodystructure(ctx, m);
	ck_assert_msg(strcmp(structure, trees[_i].structure) == 0, "%s:\n%s\n%s", trees[_i].name, structure, trees[_i].structure);
	replays(bytes_str(trees[_i].in), trees[_i].name);
	talloc_free(ctx);
}
END_TEST

static const struct {
	const char *name, *in, *envelope;
} envelopes[] = {
	{ "nothing", "\r\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "sender and reply-to are from", "From: Ann Lee <ann@home>\r\nTo: bob@home\r\nSubject: hi\r\nDate: today\r\nMessage-ID: <1@home>\r\n\r\n",
	  "(\"today\" \"hi\" ((\"Ann Lee\" NIL \"ann\" \"home\")) ((\"Ann Lee\" NIL \"ann\" \"home\")) ((\"Ann Lee\" NIL \"ann\" \"home\"))"
	  " ((NIL NIL \"bob\" \"home\")) NIL NIL NIL \"<1@home>\")" },
	{ "group", "To: Friends: a@b, C <c@d>;, e@f\r\n\r\n",
	  "(NIL NIL NIL NIL NIL ((NIL NIL \"Friends\" NIL)(NIL NIL \"a\" \"b\")(\"C\" NIL \"c\" \"d\")(NIL NIL NIL NIL)(NIL NIL \"e\" \"f\")) NIL NIL NIL NIL)" },
	{ "empty group", "To: undisclosed-recipients:;\r\n\r\n",
	  "(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)" },
	{ "comment is the name", "To: ann@home (Ann (old) Lee)\r\n\r\n",
	  "(NIL NIL NIL NIL NIL ((\"Ann (old) Lee\" NIL \"ann\" \"home\")) NIL NIL NIL NIL)" },
	{ "quoted local part and name", "To: \"Lee, \\\"Ann\\\"\" <\"a,b c\"@home>\r\n\r\n",
	  "(NIL NIL NIL NIL NIL ((\"Lee, \\\"Ann\\\"\" NIL \"a,b c\" \"home\")) NIL NIL NIL NIL)" },
	{ "route", "To: <@a,@b:c@d>\r\n\r\n", "(NIL NIL NIL NIL NIL ((NIL \"@a,@b\" \"c\" \"d\")) NIL NIL NIL NIL)" },
	{ "obsolete blanks", "To: ann . lee @ home . net\r\n\r\n",
	  "(NIL NIL NIL NIL NIL ((NIL NIL \"ann.lee\" \"home.net\")) NIL NIL NIL NIL)" },
	{ "domain literal", "To: ann@[127.0.0.1]\r\n\r\n", "(NIL NIL NIL NIL NIL ((NIL NIL \"ann\" \"[127.0.0.1]\")) NIL NIL NIL NIL)" },
	{ "one broken among good ones", "To: a@b, <c@d, e@f, \"open\r\n\r\n",
	  "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")(NIL NIL \"e\" \"f\")(NIL NIL \"open\" \"MISSING_DOMAIN\")) NIL NIL NIL NIL)" },
	{ "8-bit is a literal", "Subject: gr\xc3\xbc\xc3\x9f\r\n\r\n", "(NIL {6}\r\ngr\xc3\xbc\xc3\x9f NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "folded", "Subject: a\r\n b\r\n\tc\r\n\r\n", "(NIL \"a b\tc\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "two To fields count as one", "To: a@b\r\nSubject: 1\r\nTo: c@d\r\nSubject: 2\r\n\r\n",
	  "(NIL \"1\" NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL NIL)" },
	{ "semicolons between addresses", "To: a@b; c@d\r\n\r\n",
	  "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL NIL)" },
	{ "encoded words stay", "To: =?utf-8?Q?J=C3=B6rg?= X. Y <j@h>\r\n\r\n",
	  "(NIL NIL NIL NIL NIL ((\"=?utf-8?Q?J=C3=B6rg?= X. Y\" NIL \"j\" \"h\")) NIL NIL NIL NIL)" },
	{ "no domain", "To: ann, <>\r\n\r\n",
	  "(NIL NIL NIL NIL NIL ((NIL NIL \"ann\" \"MISSING_DOMAIN\")(NIL NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\")) NIL NIL NIL NIL)" },
	{ "quotes and backslashes", "Subject: \"\\\r\n\r\n", "(NIL \"\\\"\\\\\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	{ "empty field", "Subject:\r\nTo:\r\n\r\n", "(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
};

START_TEST(envelope_table)
{
	void *ctx = mem_ctx(NULL);
	struct mime *m = scan_text(ctx, envelopes[_i].in);
	char *got = mime_envelope(ctx, m);

	ck_assert_msg(strcmp(got, envelopes[_i].envelope) == 0, "%s:\n%s\n%s", envelopes[_i].name, got, envelopes[_i].envelope);
	talloc_free(ctx);
}
END_TEST

static const char *const sections_in =
    MP "--x\r\n\r\none\r\n"
    "--x\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n\r\ntwo\r\n--y--\r\n"
    "--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\nthree\r\n--x--\r\n";

static const struct {
	const char *section;
	long part;	/* index, -1: none */
} sections[] = {
	{ "", 0 }, { "1", 1 }, { "2", 2 }, { "2.1", 4 }, { "3", 5 }, { "3.1", 6 },
	{ "4", -1 }, { "0", -1 }, { "1.1", -1 }, { "2.2", -1 }, { "3.2", -1 }, { "1.", -1 }, { ".1", -1 }, { "01", -1 },
	{ "a", -1 }, { "1a", -1 }, { "99999999999999999999", -1 },
};

START_TEST(section_table)
{
	void *ctx = mem_ctx(NULL);
	size_t n;
	struct mime *m = scan_text(ctx, sections_in);
	const struct mime_part *parts = mime_parts(m, &n), *p = mime_find(m, sections[_i].section);

	ck_assert_uint_eq(n, 7);
	ck_assert_msg((p == NULL ? -1 : (long)(p - parts)) == sections[_i].part, "section '%s'", sections[_i].section);
	talloc_free(ctx);
}
END_TEST

static const struct {
	const char *name, *skeleton, *parts;
	uint64_t size;
	bool good;
} claims[] = {
	{ "good", "A: b\r\n\r\n", "10/1", 18, true },
	{ "size too large", "A: b\r\n\r\n", "10/1", 19, false },
	{ "size too small", "A: b\r\n\r\n", "10/1", 17, false },
	{ "no measure", "A: b\r\n\r\n", "", 8, false },
	{ "one too many", "A: b\r\n\r\n", "10/1 0/0", 18, false },
	{ "content is there", "A: b\r\n\r\nx", "10/1", 18, false },
	{ "content is there and counted", "A: b\r\n\r\nx", "9/1", 18, false },
	{ "content instead of a measure", "A: b\r\n\r\nx", "1/0", 9, false },
	{ "more lines than octets", "A: b\r\n\r\n", "1/2", 9, false },
	{ "not a number", "A: b\r\n\r\n", "x/1", 9, false },
	{ "leading zero", "A: b\r\n\r\n", "01/0", 9, false },
	{ "negative", "A: b\r\n\r\n", "-1/0", 9, false },
	{ "overflow", "A: b\r\n\r\n", "18446744073709551616/0", 9, false },
	{ "two blanks", MP "--x\r\n\r\n\r\n--x\r\n\r\n\r\n--x--\r\n", "0/0  0/0", 77, false },
	{ "blank at the end", "A: b\r\n\r\n", "1/0 ", 9, false },
	{ "message of another size", "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n", "20/3 4/1", 52, false },
	{ "message", "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n", "19/3 4/1", 51, true },
	{ "content of a header without end", "A: b\r\n", "4/1", 10, false },
};

START_TEST(claim_table)
{
	struct err e;
	struct mime *m = mime_from_skeleton(NULL, bytes_str(claims[_i].skeleton), claims[_i].parts, claims[_i].size, &e);

	ck_assert_msg((m != NULL) == claims[_i].good, "%s", claims[_i].name);
	talloc_free(m);
}
END_TEST

/* Deterministic noise (xorshift). */
static uint64_t noise_state;

static unsigned noise(unsigned below)
{
	noise_state ^= noise_state << 13;
	noise_state ^= noise_state >> 7;
	noise_state ^= noise_state << 17;
	return (unsigned)(noise_state % below);
}

static const char *const pieces[] = {
	"Content-Type: multipart/mixed; boundary=x\r\n\r\n", "Content-Type: multipart/digest; boundary=\"xy\"\r\n\r\n",
	"Content-Type: message/rfc822\r\n\r\n", "Content-Type: text/plain\r\n\r\n", "Subject: s\r\n", "\r\n", "\r", "\n", "-", "--", " ",
	"--x\r\n", "--x--\r\n", "--xy\r\n", "--xy--\r\n", "--x", "--x--", "\r\n--x\r\n", "\r\n--xy\r\n", "\r\n--x--\r\n", "text", "text\r\n",
	"--x \t\r\n", "--x\r", "\r\r\n", "Content-Transfer-Encoding: base64\r\n", "\t", "Content-Type: multipart/mixed; boundary=x\r\n",
};

START_TEST(random_messages)
{
	void *ctx = mem_ctx(NULL);

	noise_state = 88172645463325252ull;
	for (unsigned round = 0; round < 3000; round++) {
		struct buf *b = buf_new(ctx, MIB(1));
		unsigned n = 1 + noise(40);
		for (unsigned i = 0; i < n; i++)
			buf_adds(b, pieces[noise(N_ROWS(pieces))]);
		if (noise(4) == 0 && b->len > 0)	/* one octet spoilt, NUL too */
			b->data[noise((unsigned)b->len)] = (char)noise(256);
		replays(buf_bytes(b), b->data);
		talloc_free(b);
	}
	talloc_free(ctx);
}
END_TEST

START_TEST(thousand_levels)
{
	void *ctx = mem_ctx(NULL);
	struct buf *b = buf_new(ctx, MIB(8));
	size_t n;

	for (unsigned i = 0; i < 1000; i++)
		buf_addf(b, "Content-Type: multipart/mixed; boundary=b%u\r\n\r\n--b%u\r\n", i, i);
	buf_adds(b, "\r\ntext\r\n");
	for (unsigned i = 1000; i-- > 0;)
		buf_addf(b, "--b%u--\r\n", i);
	mime_parts(scan(ctx, buf_bytes(b), SIZE_MAX), &n);
	ck_assert_uint_eq(n, LIMIT_MIME_DEPTH);
	replays(buf_bytes(b), "1000 multiparts");
	buf_clear(b);
	for (unsigned i = 0; i < 1000; i++)
		buf_adds(b, "Content-Type: message/rfc822\r\n\r\n");
	replays(buf_bytes(b), "1000 messages");
	talloc_free(ctx);
}
END_TEST

START_TEST(many_parts)
{
	void *ctx = mem_ctx(NULL);
	struct buf *b = buf_new(ctx, MIB(8));
	size_t n;

	buf_adds(b, MP);
	for (unsigned i = 0; i < 20000; i++)
		buf_adds(b, "--x\r\n\r\nabc\r\n");
	buf_adds(b, "--x--\r\n");
	mime_parts(scan(ctx, buf_bytes(b), SIZE_MAX), &n);
	ck_assert_uint_eq(n, LIMIT_MIME_PARTS);
	replays(buf_bytes(b), "20,000 parts");
	talloc_free(ctx);
}
END_TEST

/* The limits on one header, in a line and between lines, and on the skeleton. */
START_TEST(large_headers_and_text)
{
	void *ctx = mem_ctx(NULL);
	struct buf *b = buf_new(ctx, MIB(40));
	static const char block[4096] = "";

	buf_adds(b, MP "--x\r\nX: ");
	while (b->len < LIMIT_MIME_HEADER + 10000)
		buf_add(b, block, sizeof(block));
	buf_adds(b, "\r\n--x\r\n\r\na\r\n--x--\r\n");
	replays(buf_bytes(b), "long line");

	for (unsigned pad = 0; pad < 3; pad++) {
		buf_clear(b);
		buf_addf(b, "%.*s" MP "--x\r\n", 0, "");
		for (unsigned i = 0; b->len < LIMIT_MIME_HEADER + 10000; i++)
			buf_addf(b, "--x%.*s%08u: v\r\n", (int)pad, "abc", i);
		buf_adds(b, "\r\n--x\r\n\r\na\r\n--x--\r\n");
		replays(buf_bytes(b), "many lines");
	}

	buf_clear(b);
	buf_adds(b, MP);
	while (b->len < MIB(17))
		buf_adds(b, "--preamble--------------------------------------------------------------------\r\n");
	buf_adds(b, "--x\r\n\r\na\r\n--x--\r\n");
	struct mime *m = scan(ctx, buf_bytes(b), SIZE_MAX);
	ck_assert(mime_is_too_big(m));
	ck_assert_uint_le(mime_skeleton(m).len, MIB(16));
	replays(buf_bytes(b), "long text before the first part");
	talloc_free(ctx);
}
END_TEST

START_TEST(from_a_file)
{
	void *ctx = mem_ctx(NULL);
	struct err e;
	FILE *f = tmpfile();

	ck_assert_ptr_nonnull(f);
	fputs(sections_in, f);
	fflush(f);
	same(ctx, scan_text(ctx, sections_in), mime_from_fd(ctx, fileno(f), &e), "file");
	fclose(f);
	ck_assert_ptr_null(mime_from_fd(ctx, -1, &e));
	ck_assert(!mime_equal(scan_text(ctx, sections_in), scan_text(ctx, "A: b\r\n\r\n")));
	talloc_free(ctx);
}
END_TEST

UNIT_SUITE("mime") {
	UNIT_LOOP(tree_table, trees);
	UNIT_LOOP(envelope_table, envelopes);
	UNIT_LOOP(section_table, sections);
	UNIT_LOOP(claim_table, claims);
	UNIT(random_messages);
	UNIT(thousand_levels);
	UNIT(many_parts);
	UNIT(large_headers_and_text);
	UNIT(from_a_file);
} UNIT_END
