#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H
/*
 * What every unit program shares: Check, a main() that runs one suite without
 * forking surprises, and the rule that an error or warning nobody expected
 * fails the test (log_take_warnings()).
 *
 *	UNIT_SUITE("addr") { UNIT_LOOP(addr_parse_table, addr_cases); UNIT(addr_group_of); } UNIT_END
 */
#include <check.h>
#include <stdlib.h>

#include "lib/base/log.h"

#define N_ROWS(a) ((int)(sizeof(a) / sizeof((a)[0])))

static void unit_quiet(void)
{
	log_take_warnings();
}

static void unit_no_warnings(void)
{
	ck_assert_msg(log_take_warnings() == 0, "an error or warning was logged that no test expected");
}

#define UNIT(test) tcase_add_test(unit_case, test)
#define UNIT_LOOP(test, rows) tcase_add_loop_test(unit_case, test, 0, N_ROWS(rows))
#define UNIT_SUITE(name) \
	int main(void) \
	{ \
		Suite *unit_suite = suite_create(name); \
		TCase *unit_case = tcase_create(name); \
		tcase_add_checked_fixture(unit_case, unit_quiet, unit_no_warnings); \
		tcase_set_timeout(unit_case, 60); \
		suite_add_tcase(unit_suite, unit_case);
#define UNIT_END \
		SRunner *unit_runner = srunner_create(unit_suite); \
		srunner_run_all(unit_runner, CK_NORMAL); \
		int unit_failed = srunner_ntests_failed(unit_runner); \
		srunner_free(unit_runner); \
		return unit_failed ? EXIT_FAILURE : EXIT_SUCCESS; \
	}

#endif
