/* Addresses in normal form (p2pmta-protocol(7), section 1). */
#include "unit/unit.h"

#include <string.h>

#include "lib/mail/addr.h"

#define A10 "aaaaaaaaaa"
#define A50 A10 A10 A10 A10 A10

static const struct { const char *name, *in, *want, *base; } addr_cases[] = {
	{ "plain", "ann@example.org", "ann@example.org", "ann@example.org" },
	{ "one label", "alice@home", "alice@home", "alice@home" },
	{ "upper case", "ALICE@Home", "alice@home", "alice@home" },
	{ "tag", "alice+News@home", "alice+news@home", "alice@home" },
	{ "two tags", "alice+a+b@home", "alice+a+b@home", "alice@home" },
	{ "plus first", "+alice@home", "+alice@home", "+alice@home" },
	{ "dot before tag", "alice.+x@home", "alice.+x@home", NULL },
	{ "atext", "!#$%&'*/=?^_`{|}~-@home", "!#$%&'*/=?^_`{|}~-@home", "!#$%&'*/=?^_`{|}~-@home" },
	{ "digits and hyphen in label", "a@1-2.3", "a@1-2.3", "a@1-2.3" },
	{ "utf-8", "j\xc3\xbcrgen@home", "j\xc3\xbcrgen@home", "j\xc3\xbcrgen@home" },
	{ "decomposed", "ju\xcc\x88rgen@home", "j\xc3\xbcrgen@home", "j\xc3\xbcrgen@home" },
	{ "only ASCII is lower-cased", "\xc3\x9cmit@home", "\xc3\x9cmit@home", "\xc3\x9cmit@home" },
	{ "composes after lower-casing", "H\xcc\xb1@home", "\xe1\xba\x96@home", "\xe1\xba\x96@home" },
	{ "Kelvin sign", "\xe2\x84\xaa@home", "k@home", "k@home" },
	{ "Greek question mark is a semicolon", "a\xcd\xbe@home", NULL, NULL },
	{ "no-break space", "a\xc2\xa0z@home", NULL, NULL },
	{ "zero width space", "a\xe2\x80\x8bz@home", NULL, NULL },
	{ "right-to-left override", "a\xe2\x80\xaez@home", NULL, NULL },
	{ "C1 control", "a\xc2\x85@home", NULL, NULL },
	{ "private use", "a\xee\x80\x80@home", NULL, NULL },
	{ "surrogate", "a\xed\xa0\x80@home", NULL, NULL },
	{ "invalid utf-8", "a\xff@home", NULL, NULL },
	{ "overlong utf-8", "a\xc0\xaf@home", NULL, NULL },
	{ "cut utf-8", "a\xc3@home", NULL, NULL },
	{ "empty", "", NULL, NULL },
	{ "no at", "alice", NULL, NULL },
	{ "no local part", "@home", NULL, NULL },
	{ "no group", "alice@", NULL, NULL },
	{ "two ats", "a@b@home", NULL, NULL },
	{ "only at", "@", NULL, NULL },
	{ "leading dot", ".a@home", NULL, NULL },
	{ "trailing dot", "a.@home", NULL, NULL },
	{ "two dots", "a..b@home", NULL, NULL },
	{ "dots", "a.b.c@home", "a.b.c@home", "a.b.c@home" },
	{ "space", "a b@home", NULL, NULL },
	{ "trailing space", "a@home ", NULL, NULL },
	{ "angle brackets", "<a@home>", NULL, NULL },
	{ "quoted", "\"a\"@home", NULL, NULL },
	{ "comma", "a,b@home", NULL, NULL },
	{ "colon", "a:b@home", NULL, NULL },
	{ "slash is atext", "a/b@home", "a/b@home", "a/b@home" },
	{ "backslash", "a\\b@home", NULL, NULL },
	{ "parenthesis", "a(b)@home", NULL, NULL },
	{ "line end", "a@home\r\n", NULL, NULL },
	{ "control", "a\x01@home", NULL, NULL },
	{ "delete", "a\x7f@home", NULL, NULL },
	{ "label begins with hyphen", "a@-home", NULL, NULL },
	{ "label ends with hyphen", "a@home-", NULL, NULL },
	{ "empty label", "a@home..example", NULL, NULL },
	{ "group ends with dot", "a@home.", NULL, NULL },
	{ "underscore in group", "a@my_home", NULL, NULL },
	{ "utf-8 in group", "a@h\xc3\xb6me", NULL, NULL },
	{ "Kelvin sign in group", "a@wee\xe2\x84\xaa", "a@week", "a@week" },
	{ "address literal", "a@[127.0.0.1]", NULL, NULL },
	{ "label of 63", "a@" A50 "aaaaaaaaaaaaa", "a@" A50 "aaaaaaaaaaaaa", "a@" A50 "aaaaaaaaaaaaa" },
	{ "label of 64", "a@" A50 "aaaaaaaaaaaaaa", NULL, NULL },
	{ "254 octets", A50 A50 A50 A50 A10 A10 A10 A10 "aaaaaaaaaaa@zz", A50 A50 A50 A50 A10 A10 A10 A10 "aaaaaaaaaaa@zz",
	  A50 A50 A50 A50 A10 A10 A10 A10 "aaaaaaaaaaa@zz" },
	{ "255 octets", A50 A50 A50 A50 A10 A10 A10 A10 "aaaaaaaaaaaa@zz", NULL, NULL },
	{ "far too long", A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 A50 "@zz", NULL, NULL },
};

static void check(const char *name, int (*parse)(const char *, char *), const char *in, const char *want)
{
	char out[LIMIT_ADDRESS + 1], again[LIMIT_ADDRESS + 1];
	int res = parse(in, out);

	ck_assert_msg((res == 0) == (want != NULL), "case '%s': %d", name, res);
	if (!want)
		return;
	ck_assert_msg(strcmp(out, want) == 0, "case '%s': '%s'", name, out);
	ck_assert_msg(addr_parse(out, again) == 0 && strcmp(out, again) == 0, "case '%s': no fixed point", name);
}

START_TEST(addr_parse_table)
{
	check(addr_cases[_i].name, addr_parse, addr_cases[_i].in, addr_cases[_i].want);
	check(addr_cases[_i].name, addr_parse_base, addr_cases[_i].in, addr_cases[_i].base);
}
END_TEST

START_TEST(addr_group_of)
{
	ck_assert_str_eq(addr_group("alice@friends.example"), "friends.example");
}
END_TEST

static const struct { const char *in; bool want; } group_cases[] = {
	{ "home", true }, { "friends.example", true }, { "a-b.c1", true }, { "", false }, { "Home", false },
	{ "home.", false }, { ".home", false }, { "-a", false }, { "a@b", false }, { "a b", false },
};

START_TEST(addr_group_table)
{
	ck_assert_msg(addr_is_group(group_cases[_i].in) == group_cases[_i].want, "'%s'", group_cases[_i].in);
}
END_TEST

UNIT_SUITE("addr")
{
	UNIT_LOOP(addr_parse_table, addr_cases);
	UNIT_LOOP(addr_group_table, group_cases);
	UNIT(addr_group_of);
}
UNIT_END
