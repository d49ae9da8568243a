#include <talloc.h>

#include "lib/mail/text.h"
#include "tests/unit/unit.h"

static const struct { const char *name, *text; size_t octets; int columns; } char_cases[] = {
	{ "nothing", "", 0, -1 },
	{ "ASCII", "ab", 1, 1 },
	{ "Latin", "\xc3\xbcx", 2, 1 },
	{ "Greek", "\xce\xb1", 2, 1 },
	{ "a combining mark", "\xcc\x88x", 2, 0 },
	{ "Han", "\xe6\xbc\xa2x", 3, 2 },
	{ "Hangul", "\xed\x95\x9c", 3, 2 },
	{ "full width", "\xef\xbc\xa1", 3, 2 },
	{ "emoji", "\xf0\x9f\x98\x80", 4, 2 },
	{ "zero width joiner", "\xe2\x80\x8d", 3, 0 },
	{ "escape", "\x1b[2J", 1, -1 },
	{ "tab", "\t", 1, -1 },
	{ "delete", "\x7f", 1, -1 },
	{ "C1", "\xc2\x9bx", 2, -1 },
	{ "override", "\xe2\x80\xaex", 3, -1 },
	{ "isolate", "\xe2\x81\xa6x", 3, -1 },
	{ "right-to-left mark", "\xe2\x80\x8fx", 3, -1 },
	{ "line separator", "\xe2\x80\xa8x", 3, -1 },
	{ "a continuation", "\xbcx", 1, -1 },
	{ "cut short", "\xe6\xbc", 1, -1 },
	{ "too long for what it is", "\xc0\xaf", 1, -1 },
	{ "surrogate", "\xed\xa0\x80", 1, -1 },
	{ "beyond", "\xf5\x80\x80\x80", 1, -1 },
};

START_TEST(text_char_table)
{
	int columns = 4711;
	size_t octets = text_char(char_cases[_i].text, &columns);

	ck_assert_msg(octets == char_cases[_i].octets && columns == char_cases[_i].columns, "case '%s': %zu octets, %d columns",
	    char_cases[_i].name, octets, columns);
}
END_TEST

static const struct { const char *name, *text, *want; } nfc_cases[] = {
	{ "empty", "", "" },
	{ "composed stays", "\xc3\xbc", "\xc3\xbc" },
	{ "a mark is composed", "u\xcc\x88", "\xc3\xbc" },
	{ "no UTF-8", "\xbc", NULL },
};

START_TEST(text_nfc_table)
{
	char *out = text_nfc(NULL, nfc_cases[_i].text);

	ck_assert_pstr_eq(out, nfc_cases[_i].want);
	talloc_free(out);
}
END_TEST

/* Title case, then what it is composed of. */
static const struct { const char *name, *text, *want; } casemap_cases[] = {
	{ "empty", "", "" },
	{ "ASCII", "aBc [1]", "ABC [1]" },
	{ "Latin", "\xc3\xbc\xc3\x9f", "U\xcc\x88\xc3\x9f" },
	{ "both cases are one", "\xc3\x9c", "U\xcc\x88" },
	{ "composed or not is one", "u\xcc\x88", "U\xcc\x88" },
	{ "a dot above", "\xc4\xb0", "I\xcc\x87" },
	{ "Greek", "\xce\xac", "\xce\x91\xcc\x81" },
	{ "full width is a letter like others", "\xef\xbd\x81", "A" },
	{ "Han", "\xe6\xbc\xa2", "\xe6\xbc\xa2" },
	{ "no UTF-8", "a\xbc", "A\xbc" },
};

START_TEST(text_casemap_table)
{
	char *out = text_casemap(NULL, casemap_cases[_i].text);

	ck_assert_msg(strcmp(out, casemap_cases[_i].want) == 0, "case '%s': '%s'", casemap_cases[_i].name, out);
	talloc_free(out);
}
END_TEST

UNIT_SUITE("text")
{
	UNIT_LOOP(text_char_table, char_cases);
	UNIT_LOOP(text_nfc_table, nfc_cases);
	UNIT_LOOP(text_casemap_table, casemap_cases);
}
UNIT_END
