/* Header fields: walking, values, encoded words, dates, subsets. */
#include "unit.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/mime/header.h"

static const struct {
	const char *name, *block, *field, *value;	/* NULL: none */
} gets[] = {
	{ "plain", "Subject: a\r\n\r\n", "subject", "a" },
	{ "first of two", "X: 1\r\nX: 2\r\n", "X", "1" },
	{ "folded", "X: a\r\n  b\r\n\tc\r\nY: d\r\n", "X", "a  b\tc" },
	{ "empty", "X:\r\nY: d\r\n", "X", "" },
	{ "empty and folded", "X:\r\n d\r\n", "X", "d" },
	{ "blank before the colon", "X : a\r\n", "X", "a" },
	{ "no line end", "X: a", "X", "a" },
	{ "behind the empty line", "A: b\r\n\r\nX: a\r\n", "X", NULL },
	{ "name is a beginning", "Xy: a\r\n", "X", NULL },
	{ "junk before", "From me\r\n more\r\nX: a\r\n", "X", "a" },
	{ "bare LF is no line end", "Y: a\nX: b\r\n", "X", NULL },
	{ "NUL is dropped", "X: a\r\n", "X", "a" },
	{ "none", "", "X", NULL },
};

START_TEST(get_table)
{
	char *got = header_get(NULL, bytes_str(gets[_i].block), gets[_i].field);

	ck_assert_msg((got == NULL) == (gets[_i].value == NULL) && (got == NULL || strcmp(got, gets[_i].value) == 0),
	    "%s: '%s'", gets[_i].name, got != NULL ? got : "NULL");
	talloc_free(got);
}
END_TEST

static const struct {
	const char *name, *in, *out;
} words[] = {
	{ "plain", "a  b", "a  b" },
	{ "Q", "=?utf-8?Q?gr=C3=BC=C3=9Fe_an?= alle", "gr\xc3\xbc\xc3\x9f" "e an alle" },
	{ "B", "=?UTF-8?B?w7w=?=", "\xc3\xbc" },
	{ "latin 1", "=?iso-8859-1?q?=FC?=", "\xc3\xbc" },
	{ "language", "=?iso-8859-1*de?q?=FC?=", "\xc3\xbc" },
	{ "blanks between words", "=?utf-8?q?a?= \t =?us-ascii?q?b?= c", "ab c" },
	{ "a character in two words", "=?utf-8?B?4pg=?= =?utf-8?B?gw==?=", "\xe2\x98\x83" },
	{ "unknown charset", "=?x-none?q?a?= b", "=?x-none?q?a?= b" },
	{ "unknown coding", "=?utf-8?x?a?=", "=?utf-8?x?a?=" },
	{ "not closed", "=?utf-8?q?abc", "=?utf-8?q?abc" },
	{ "not UTF-8 inside", "=?utf-8?q?a=FFb?=", "a\xef\xbf\xbd" "b" },
	{ "not UTF-8 outside", "a\xff" "b", "a\xef\xbf\xbd" "b" },
	{ "UTF-8 outside", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
	{ "no new lines", "=?utf-8?q?a=0D=0AX:_b=00c?=", "a  X: b c" },
	{ "empty", "", "" },
	{ "empty word", "=?utf-8?q?" "?=", "" },
	{ "path as charset", "=?../../x?q?a?=", "=?../../x?q?a?=" },
};

START_TEST(word_table)
{
	char *got = header_decode(NULL, words[_i].in);

	ck_assert_msg(strcmp(got, words[_i].out) == 0, "%s: '%s'", words[_i].name, got);
	talloc_free(got);
}
END_TEST

static const struct {
	const char *in, *mailbox;
	size_t n;
	const char *first;
} mailboxes[] = {
	{ "ann@home", "ann@home", 1, "ann" },
	{ "Ann <ann@home>", "ann@home", 1, "ann" },
	{ "\"a, b\" <ann@home> (x)", "ann@home", 1, "ann" },
	{ "ann@home, bob@home", "ann@home", 2, "ann" },
	{ "Friends: ann@home, bob@home;", "ann@home", 2, "Friends" },
	{ "Friends:;", NULL, 0, "Friends" },
	{ "", NULL, 0, NULL },
	{ "ann", NULL, 1, "ann" },
	{ "<>", NULL, 1, "MISSING_MAILBOX" },
};

START_TEST(mailbox_table)
{
	size_t n;
	char *got = header_mailbox(NULL, mailboxes[_i].in, &n);

	ck_assert_uint_eq(n, mailboxes[_i].n);
	ck_assert_pstr_eq(got, mailboxes[_i].mailbox);
	talloc_free(got);
	got = header_first(NULL, mailboxes[_i].in);
	ck_assert_pstr_eq(got, mailboxes[_i].first);
	talloc_free(got);
}
END_TEST

static const struct {
	const char *in;
	int64_t s;	/* -1: none */
} dates[] = {
	{ "Sat, 21 Nov 2026 10:00:00 +0000", 1795255200 },
	{ "21 Nov 2026 10:00 +0000", 1795255200 },
	{ "Sat, 21 Nov 2026 11:30:00 +0130 (comment (nested))", 1795255200 },
	{ "Sat, 21 Nov 2026 05:00:00 EST", 1795255200 },
	{ "Sat, 21 Nov 2026 10:00:00 GMT", 1795255200 },
	{ "Sat, 21 Nov 2026 10:00:00 UT", 1795255200 },
	{ "Sat, 21 Nov 2026 10:00:00 Z", 1795255200 },
	{ "Sat, 21 Nov 26 10:00:00 -0000", 1795255200 },
	{ "Fri, 21 Nov 97 09(comment):  55  :  06 -0600", 880127706 },
	{ "Thu, 1 Jan 1970 00:00:01 +0001", -59 },
	{ "31 Feb 2026 10:00:00 +0000", -1 },
	{ "32 Jan 2026 10:00:00 +0000", -1 },
	{ "21 Nov 2026 24:00:00 +0000", -1 },
	{ "21 Nov 2026", -1 },
	{ "tomorrow", -1 },
	{ "", -1 },
	{ "99999999999 Nov 2026 10:00:00 +0000", -1 },
};

START_TEST(date_table)
{
	int64_t s = -1;

	header_date(dates[_i].in, &s);
	ck_assert_msg(s == dates[_i].s, "'%s': %lld", dates[_i].in, (long long)s);
}
END_TEST

START_TEST(subset)
{
	void *ctx = mem_ctx(NULL);
	struct bytes block = bytes_str("A: 1\r\nB: 2\r\n 3\r\na: 4\r\nC: 5\r\n\r\n");
	static const char *const names[] = { "A", "C" };
	struct bytes some = header_subset(ctx, block, names, 2, false), others = header_subset(ctx, block, names, 2, true);

	ck_assert(bytes_equal(some, bytes_str("A: 1\r\na: 4\r\nC: 5\r\n\r\n")));
	ck_assert(bytes_equal(others, bytes_str("B: 2\r\n 3\r\n\r\n")));
	talloc_free(ctx);
}
END_TEST

UNIT_SUITE("header") {
	UNIT_LOOP(get_table, gets);
	UNIT_LOOP(word_table, words);
	UNIT_LOOP(mailbox_table, mailboxes);
	UNIT_LOOP(date_table, dates);
	UNIT(subset);
} UNIT_END
