/* Times as text and back, and the wall clock that can be moved. */
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "unit/unit.h"

static const struct { const char *name, *text; int res; int64_t s; } parse_cases[] = {
	{ "epoch", "1970-01-01T00:00:00Z", 0, 0 },
	{ "today", "2026-11-21T10:00:00Z", 0, 1795255200 },
	{ "leap day", "2024-02-29T23:59:59Z", 0, 1709251199 },
	{ "leap day of a century", "2000-02-29T00:00:00Z", 0, 951782400 },
	{ "after 2038", "2100-01-01T00:00:00Z", 0, 4102444800 },
	{ "last", "9999-12-31T23:59:59Z", 0, 253402300799 },
	{ "no leap day", "2023-02-29T00:00:00Z", -1, 0 },
	{ "no leap day in 2100", "2100-02-29T00:00:00Z", -1, 0 },
	{ "31 April", "2026-04-31T00:00:00Z", -1, 0 },
	{ "month 0", "2026-00-01T00:00:00Z", -1, 0 },
	{ "month 13", "2026-13-01T00:00:00Z", -1, 0 },
	{ "day 0", "2026-01-00T00:00:00Z", -1, 0 },
	{ "hour 24", "2026-01-01T24:00:00Z", -1, 0 },
	{ "leap second", "2016-12-31T23:59:60Z", -1, 0 },
	{ "before 1970", "1969-12-31T23:59:59Z", -1, 0 },
	{ "year 0", "0000-01-01T00:00:00Z", -1, 0 },
	{ "small z", "2026-11-21T10:00:00z", -1, 0 },
	{ "small t", "2026-11-21t10:00:00Z", -1, 0 },
	{ "offset", "2026-11-21T10:00:00+00:00", -1, 0 },
	{ "sign", "+026-11-21T10:00:00Z", -1, 0 },
	{ "blank", "2026-11-21T 1:00:00Z", -1, 0 },
	{ "too short", "2026-11-21T10:00:00", -1, 0 },
	{ "too long", "2026-11-21T10:00:00Zx", -1, 0 },
	{ "empty", "", -1, 0 },
};

START_TEST(clock_parse_table)
{
	int64_t s = 0;
	char again[CLOCK_TEXT];

	ck_assert_msg(clock_parse(parse_cases[_i].text, &s) == parse_cases[_i].res, "case '%s'", parse_cases[_i].name);
	ck_assert_msg(s == parse_cases[_i].s, "case '%s': %lld", parse_cases[_i].name, (long long)s);
	if (parse_cases[_i].res == 0) {
		clock_print(s, again);
		ck_assert_str_eq(again, parse_cases[_i].text);
	}
}
END_TEST

static const struct { const char *name; int64_t s; const char *text, *rfc5322; } print_cases[] = {
	{ "today", 1795255200, "2026-11-21T10:00:00Z", "Sat, 21 Nov 2026 10:00:00 +0000" },
	{ "one digit", 0, "1970-01-01T00:00:00Z", "Thu, 1 Jan 1970 00:00:00 +0000" },
	{ "before all", -5, "1970-01-01T00:00:00Z", "Thu, 1 Jan 1970 00:00:00 +0000" },
	{ "after all", INT64_MAX, "9999-12-31T23:59:59Z", "Fri, 31 Dec 9999 23:59:59 +0000" },
};

START_TEST(clock_print_table)
{
	char text[CLOCK_TEXT], rfc5322[40], cut[4];

	clock_print(print_cases[_i].s, text);
	ck_assert_str_eq(text, print_cases[_i].text);
	clock_print_rfc5322(print_cases[_i].s, rfc5322, sizeof(rfc5322));
	ck_assert_str_eq(rfc5322, print_cases[_i].rfc5322);
	clock_print_rfc5322(print_cases[_i].s, cut, sizeof(cut));
	ck_assert_uint_eq(strlen(cut), 3);
}
END_TEST

START_TEST(clock_moves)
{
	int64_t mono = clock_mono_ms(), now = clock_now_s();

	clock_advance(30 * 86400);
	ck_assert_int_ge(clock_now_s(), now + 30 * 86400);
	ck_assert_int_lt(clock_now_s(), now + 30 * 86400 + 60);
	ck_assert_int_ge(clock_mono_ms(), mono);
	ck_assert_int_lt(clock_mono_ms(), mono + 60000);
	clock_advance(-30 * 86400);
	ck_assert_int_lt(clock_now_s(), now + 60);
}
END_TEST

START_TEST(clock_starts_with_the_environment)
{
	int64_t real = time(NULL);

	setenv("P2PMTA_CLOCK_OFFSET", "-86400", 1);
	ck_assert_int_le(clock_now_s(), real - 86400 + 60);
	ck_assert_int_ge(clock_now_s(), real - 86400);
}
END_TEST

static const struct { const char *name; int64_t asleep_ms, awake_ms; bool gone; } gaps[] = {
	{ "now",              0,        0,     false },
	{ "a slow disk",      0,        20000, false },
	{ "stopped",          0,        31000, true },
	{ "a nap",            2000,     0,     false },
	{ "asleep",           6000,     0,     true },
	{ "asleep overnight", 30000000, 1000,  true },
};

START_TEST(clock_gone_table)
{
	struct clock_mark m = { 0, 0 };

	ck_assert_int_eq(clock_gone_ms(&m), 0);
	clock_mark(&m);
	m.mono_ms -= gaps[_i].awake_ms;
	m.boot_ms -= gaps[_i].awake_ms + gaps[_i].asleep_ms;
	ck_assert_msg((clock_gone_ms(&m) >= gaps[_i].asleep_ms && clock_gone_ms(&m) > 0) == gaps[_i].gone, "%s", gaps[_i].name);
}
END_TEST

UNIT_SUITE("base_clock")
	UNIT_LOOP(clock_gone_table, gaps);
	UNIT_LOOP(clock_parse_table, parse_cases);
	UNIT_LOOP(clock_print_table, print_cases);
	UNIT(clock_moves);
	UNIT(clock_starts_with_the_environment);
UNIT_END
