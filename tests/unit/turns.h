#ifndef TESTS_TURNS_H
#define TESTS_TURNS_H
/*
 * A loop for a test: it turns until what is waited for has happened, and the
 * test fails when that takes ten seconds (times SLOW). One loop at a time.
 */
#include "unit/unit.h"

#include "lib/loop/loop.h"

static struct loop *loop;
static struct timer *turns_guard;
static const int *turns_count;
static int turns_want;

static void turns_check(void *arg)
{
	(void)arg;
	if (turns_count != NULL && *turns_count >= turns_want)
		loop_stop(loop);
}

static void turns_late(void *arg)
{
	(void)arg;
	ck_abort_msg("what the test waits for did not happen");
}

/* SLOW as for the tests of whole daemons: sanitizers take their time. */
static int64_t turns_patience_ms(void)
{
	const char *slow = getenv("SLOW");

	return 10000 * (slow != NULL && atoi(slow) > 1 ? atoi(slow) : 1);
}

static void turns_begin(void)
{
	struct err e;

	loop = loop_new(&e);
	ck_assert_msg(loop != NULL, "%s", e.text);
	loop_on_turn(loop, turns_check, NULL);
	turns_guard = timer_new(loop, turns_late, NULL);
}

static void turns_end(void)
{
	timer_free(&turns_guard);
	loop_free(&loop);
}

/* Turn until *count has reached want. */
static void turns_until(const int *count, int want)
{
	if (*count >= want)
		return;
	turns_count = count;
	turns_want = want;
	timer_set(turns_guard, turns_patience_ms());
	loop_run(loop);
	timer_clear(turns_guard);
	turns_count = NULL;
}

static inline void turns_count_up(void *arg)
{
	++*(int *)arg;
}

/* A few turns, so that what is ready is done. */
static inline void turns_some(int n)
{
	int count = 0;

	for (int i = 0; i < n; i++) {
		struct timer *t = timer_new(loop, turns_count_up, &count);

		timer_set(t, 0);
		turns_until(&count, i + 1);
		timer_free(&t);
	}
}

#endif
