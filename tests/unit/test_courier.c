/* When a row comes up again: the pauses between tries, and the agenda. */
#include "unit/turns.h"

#include "app/courier/state.h"
#include "lib/base/clock.h"

static const struct { const char *name; unsigned tries; int64_t first_s, max_s, want_ms; } pauses[] = {
	{ "the first", 1, 1, 1800, 1000 },
	{ "the second", 2, 1, 1800, 2000 },
	{ "the fifth", 5, 1, 1800, 16000 },
	{ "the longest", 12, 1, 1800, 1800000 },
	{ "after years", 4000000000u, 1, 1800, 1800000 },
	{ "starts long", 1, 60, 3600, 60000 },
	{ "doubles from there", 3, 60, 3600, 240000 },
	{ "no try yet", 0, 5, 600, 5000 },
};

/* Around what it should be, a tenth wide, and not always the same. */
START_TEST(pauses_table)
{
	int64_t want = pauses[_i].want_ms, least = INT64_MAX, most = 0;

	for (int i = 0; i < 200; i++) {
		int64_t ms = courier_pause_ms(pauses[_i].tries, pauses[_i].first_s, pauses[_i].max_s);

		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	ck_assert_msg(least >= want - want / 20 && most <= want + want / 20 + 1, "case '%s': %lld to %lld", pauses[_i].name,
	    (long long)least, (long long)most);
	ck_assert_msg(most - least > want / 50, "case '%s': always %lld", pauses[_i].name, (long long)most);
}
END_TEST

static const struct { const char *name; bool in_time, sealed; const char *want; } failures[] = {
	{ "the message cannot be sealed", true, false, "5.6.0" },
	{ "his address or key", true, true, "5.1.0" },
	{ "never sealed in time", false, false, "5.4.7" },
	{ "never reached in time", false, true, "5.4.7" },
};

START_TEST(failures_table)
{
	ck_assert_str_eq(courier_failure_status(failures[_i].in_time, failures[_i].sealed), failures[_i].want);
}
END_TEST

static struct agenda *agenda;
static uint64_t came[1000];
static int n_came;

static void on_due(void *arg, enum agenda_kind kind, uint64_t id)
{
	(void)arg;
	came[n_came++] = kind == AGENDA_RCPT ? id : id + 10000;
}

static void begin(void)
{
	turns_begin();
	n_came = 0;
	agenda = agenda_new(loop, on_due, NULL);
}

static void end(void)
{
	agenda_free(&agenda);
	turns_end();
}

START_TEST(agenda_in_order)
{
	int64_t now = clock_now_ms();

	for (uint64_t id = 1; id <= 200; id++)
		agenda_set(agenda, AGENDA_RCPT, id, now - (int64_t)(id * 7919 % 1000));
	turns_until(&n_came, 200);
	for (int i = 1; i < 200; i++)
		ck_assert_uint_ge(came[i - 1] * 7919 % 1000, came[i] * 7919 % 1000);
	turns_some(3);
	ck_assert_int_eq(n_came, 200);
}
END_TEST

/* An id is on it once, where it was put last; kinds do not mix. */
START_TEST(agenda_moves_and_drops)
{
	int64_t now = clock_now_ms();

	agenda_set(agenda, AGENDA_RCPT, 1, now + 100000);
	agenda_set(agenda, AGENDA_RCPT, 2, now);
	agenda_set(agenda, AGENDA_NOTICE, 1, now + 20);
	agenda_set(agenda, AGENDA_RCPT, 3, now);
	agenda_set(agenda, AGENDA_RCPT, 1, now - 10);
	agenda_set(agenda, AGENDA_RCPT, 3, now + 100000);
	agenda_set(agenda, AGENDA_RCPT, 4, now + 5);
	agenda_drop(agenda, AGENDA_RCPT, 4);
	agenda_drop(agenda, AGENDA_NOTICE, 4);
	turns_until(&n_came, 3);
	ck_assert_uint_eq(came[0], 1);
	ck_assert_uint_eq(came[1], 2);
	ck_assert_uint_eq(came[2], 10001);
	turns_some(3);
	ck_assert_int_eq(n_came, 3);
}
END_TEST

static void note_n_came(void *arg)
{
	*(int *)arg = n_came;
}

/* Hundreds that are due leave the others their turn. */
START_TEST(agenda_takes_turns)
{
	int64_t now = clock_now_ms();
	int before = -1;
	struct timer *t = timer_new(loop, note_n_came, &before);

	for (uint64_t id = 0; id < 500; id++)
		agenda_set(agenda, AGENDA_RCPT, id, now - 1);
	timer_set(t, 0);
	turns_until(&n_came, 500);
	ck_assert_int_ge(before, 0);
	ck_assert_int_lt(before, 100);
	timer_free(&t);
}
END_TEST

UNIT_SUITE("courier")
	tcase_add_checked_fixture(unit_case, begin, end);
	UNIT_LOOP(pauses_table, pauses);
	UNIT_LOOP(failures_table, failures);
	UNIT(agenda_in_order);
	UNIT(agenda_moves_and_drops);
	UNIT(agenda_takes_turns);
UNIT_END
