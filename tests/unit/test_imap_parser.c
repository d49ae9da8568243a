/* Octets to commands: every row is fed whole and octet by octet, and must come out the same. */
#include "lib/base/bytes.h"
#include "lib/base/mem.h"
#include "unit/unit.h"
#include "way/imap/parser.h"

/* ATOM x, STRING "x", list (..), stream {n}; '~' in front of what is glued. */
static void print(struct buf *out, const struct imap_arg *args, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_adds(out, " ");
		if (args[i].glued)
			buf_adds(out, "~");
		if (args[i].kind == IMAP_ATOM)
			buf_adds(out, args[i].text);
		else if (args[i].kind == IMAP_STRING)
			buf_addf(out, "\"%s\"", args[i].text);
		else if (args[i].kind == IMAP_STREAM)
			buf_addf(out, "{%u}", (unsigned)args[i].size);
		if (args[i].kind != IMAP_LIST)
			continue;
		buf_adds(out, "(");
		print(out, args[i].args, args[i].n_args);
		buf_adds(out, ")");
	}
}

struct result {
	struct buf *text;	/* "tag name args", "BAD tag error", with "+ " for each literal asked for */
	size_t used;
};

/* One command, in pieces of step octets. Literals over 20 octets are refused, those of APPEND streamed. */
static struct result run(void *ctx, struct bytes in, size_t step)
{
	struct imap_parser *p = imap_parser_new(ctx);
	struct result r = { buf_new(ctx, KIB(64)), 0 };
	enum imap_parse res = IMAP_PARSE_MORE;
	size_t used, n;

	imap_parser_set_limits(p, 200, 20);
	while (res == IMAP_PARSE_MORE && r.used < in.len) {
		size_t len = in.len - r.used < step ? in.len - r.used : step;

		res = imap_parser_feed(p, (const char *)in.data + r.used, len, &used);
		r.used += used;
		if (res != IMAP_PARSE_LITERAL)
			continue;
		if (imap_parser_literal_waits(p))
			buf_adds(r.text, "+ ");
		if (imap_parser_name(p) && strcmp(imap_parser_name(p), "APPEND") == 0) {
			r.used += (size_t)imap_parser_literal(p);
			imap_parser_literal_stream(p);
		} else if (imap_parser_literal_fits(p)) {
			imap_parser_literal_take(p);
		} else {
			imap_parser_literal_refuse(p, "too big");
		}
		res = imap_parser_feed(p, "", 0, &used);
	}
	const struct imap_arg *args = imap_parser_args(p, &n);

	if (res == IMAP_PARSE_MORE) {
		buf_adds(r.text, "more");
	} else if (res == IMAP_PARSE_BAD) {
		buf_addf(r.text, "BAD %s %s", imap_parser_tag(p) ? imap_parser_tag(p) : "*", imap_parser_error(p));
	} else {
		buf_addf(r.text, "%s %s%s", imap_parser_tag(p), imap_parser_name(p), n > 0 ? " " : "");
		print(r.text, args, n);
	}
	return r;
}

static const struct {
	const char *name, *in, *want;
	size_t rest;			/* octets left for the next command */
} cases[] = {
	{ "no argument", "a1 NOOP\r\n", "a1 NOOP", 0 },
	{ "bare LF", "a1 NOOP\n", "a1 NOOP", 0 },
	{ "not yet", "a1 NOOP\r", "more", 0 },
	{ "pipelined", "a1 NOOP\r\na2 NOOP\r\n", "a1 NOOP", 9 },
	{ "space at the end", "a1 NOOP \r\n", "a1 NOOP", 0 },
	{ "two spaces", "a1  LOGIN  x y\r\n", "a1 LOGIN x y", 0 },
	{ "atoms", "a1 LOGIN user pa%s*w]\r\n", "a1 LOGIN user pa%s*w]", 0 },
	{ "quoted", "a1 LOGIN \"us er\" \"a\\\"b\\\\\"\r\n", "a1 LOGIN \"us er\" \"a\"b\\\"", 0 },
	{ "empty quoted", "a LIST \"\" *\r\n", "a LIST \"\" *", 0 },
	{ "8-bit quoted", "a LIST \"\" \"\xc3\xa4\"\r\n", "a LIST \"\" \"\xc3\xa4\"", 0 },
	{ "8-bit atom", "a LIST \"\" \xc3\xa4\r\n", "BAD a Bad character", 0 },
	{ "flags", "a STORE 1:* +FLAGS (\\Seen $X)\r\n", "a STORE 1:* +FLAGS (\\Seen $X)", 0 },
	{ "nested", "a S (a (b (c)) () d)\r\n", "a S (a (b (c)) () d)", 0 },
	{ "section", "a FETCH 1 BODY[HEADER.FIELDS (DATE \"X Y\")]<0.9>\r\n",
	    "a FETCH 1 BODY[HEADER.FIELDS (DATE \"X Y\") ~]<0.9>", 0 },
	{ "section in a list", "a FETCH 1 (UID BODY[HEADER.FIELDS (A)])\r\n", "a FETCH 1 (UID BODY[HEADER.FIELDS (A) ~])", 0 },
	{ "literal", "a LOGIN {4}\r\nus r {3}\r\na\r\n\r\n", "+ + a LOGIN \"us r\" \"a\r\n\"", 0 },
	{ "literal plus", "a LOGIN {4+}\r\nuser {2+}\r\npw\r\n", "a LOGIN \"user\" \"pw\"", 0 },
	{ "empty literal", "a LOGIN {0}\r\n x\r\n", "+ a LOGIN \"\" x", 0 },
	{ "literal in a list", "a X ({3}\r\nabc d)\r\n", "+ a X (\"abc\" d)", 0 },
	{ "streamed", "a APPEND x (\\Seen) {5}\r\n12345\r\n", "+ a APPEND x (\\Seen) {5}", 0 },
	{ "refused", "a X {21}\r\nb NOOP\r\n", "+ BAD a too big", 8 },
	{ "refused plus is skipped", "a X {21+}\r\n12345678901\r\n34567890 y {3+}\r\nabc z\r\nb NOOP\r\n", "BAD a too big", 8 },
	{ "skipped literal, then a waiting one", "a X {21+}\r\n123456789012345678901 {3}\r\nb NOOP\r\n", "BAD a too big", 8 },
	{ "error skips a literal plus", "a X ) {3+}\r\n\r\n\r b\r\nc NOOP\r\n", "BAD a Unexpected )", 8 },
	{ "far too big plus", "a X {99999999999+}\r\nxx", "BAD a too big", 2 },
	{ "no number", "a X {99999999999999999999}\r\n", "BAD a Literal is too large", 0 },
	{ "no digits", "a X {}\r\n", "BAD a Bad literal", 0 },
	{ "plus alone", "a X {+}\r\n", "BAD a Bad literal", 0 },
	{ "octets after a size", "a X {3}x\r\n", "BAD a Bad literal", 0 },
	{ "NUL in a literal", "a X {3}\r\na\0b y\r\n", "+ BAD a NUL in a literal", 0 },
	{ "NUL in quoted", "a X \"a\0b\"\r\n", "BAD a Unclosed quoted string", 0 },
	{ "NUL", "a X a\0b\r\n", "BAD a Space missing between arguments", 0 },
	{ "empty line", "\r\n", "BAD * Empty line", 0 },
	{ "tag alone", "a\r\n", "BAD a Command name missing", 0 },
	{ "bad tag", "a+ NOOP\r\n", "BAD * Bad tag", 0 },
	{ "quoted tag", "\"a\" NOOP\r\n", "BAD * Bad tag", 0 },
	{ "literal tag", "{1+}\r\na NOOP\r\n", "BAD * Bad tag", 0 },
	{ "list as name", "a (NOOP)\r\n", "BAD a Tag or command name missing", 0 },
	{ "quoted name", "a \"NOOP\"\r\n", "BAD a Bad command name", 0 },
	{ "open parenthesis", "a X (b\r\n", "BAD a Unclosed parenthesis", 0 },
	{ "open quote", "a X \"b\r\nc NOOP\r\n", "BAD a Unclosed quoted string", 8 },
	{ "bad escape", "a X \"\\n\"\r\n", "BAD a Bad escape in a quoted string", 0 },
	{ "bare CR", "a X b\rc\r\n", "BAD a Bare CR", 0 },
	{ "no space", "a X \"b\"c\r\n", "BAD a Space missing between arguments", 0 },
	{ "list glued to a list", "a X (b)(c)\r\n", "BAD a Space missing between arguments", 0 },
	{ "quote in an atom", "a X b\"c\r\n", "BAD a Space missing between arguments", 0 },
	{ "too deep", "a X ((((((((((((((((((((((((((((((((()\r\n", "BAD a Too many parentheses", 0 },
};

static size_t row_len(int i)
{
	/* Rows with a NUL go on behind it, up to their line end. */
	size_t len = strlen(cases[i].in);

	return strncmp(cases[i].name, "NUL", 3) == 0 ? len + 1 + strlen(cases[i].in + len + 1) : len;
}

START_TEST(parser_table)
{
	static const size_t steps[] = { 1, 2, 3, 7, 4096 };

	for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
		void *ctx = mem_ctx(NULL);
		struct bytes in = bytes_of(cases[_i].in, row_len(_i));
		struct result r = run(ctx, in, steps[k]);

		ck_assert_msg(strcmp(r.text->data, cases[_i].want) == 0, "case '%s' step %zu: '%s'", cases[_i].name,
		    steps[k], r.text->data);
		ck_assert_msg(in.len - r.used == cases[_i].rest, "case '%s' step %zu: %zu left", cases[_i].name,
		    steps[k], in.len - r.used);
		talloc_free(ctx);
	}
}
END_TEST

START_TEST(parser_command_is_bounded)
{
	void *ctx = mem_ctx(NULL);
	struct buf *in = buf_new(ctx, KIB(4));

	buf_adds(in, "a X ");
	for (unsigned i = 0; i < 100; i++)
		buf_adds(in, "abc ");
	buf_adds(in, "\r\n");
	ck_assert_str_eq(run(ctx, buf_bytes(in), 9).text->data, "BAD a Command is too long");
	talloc_free(ctx);
}
END_TEST

START_TEST(parser_is_fatal_when_too_much_is_to_skip)
{
	void *ctx = mem_ctx(NULL);
	struct imap_parser *p = imap_parser_new(ctx);
	static const char in[] = "a X {99999999999+}\r\n";
	size_t used;

	ck_assert(imap_parser_feed(p, in, sizeof(in) - 1, &used) == IMAP_PARSE_LITERAL);
	imap_parser_literal_refuse(p, "no");
	ck_assert(imap_parser_feed(p, "", 0, &used) == IMAP_PARSE_BAD);
	ck_assert(imap_parser_is_fatal(p));
	talloc_free(ctx);
}
END_TEST

UNIT_SUITE("imap_parser")
{
	UNIT_LOOP(parser_table, cases);
	UNIT(parser_command_is_bounded);
	UNIT(parser_is_fatal_when_too_much_is_to_skip);
}
UNIT_END
