/*
 * Tests live through thirty days in a minute: the wall clock everybody asks has
 * an offset. The monotonic clock has none, or timers would fire in heaps.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"

enum { ASLEEP_MS = 5000, STOPPED_MS = 30000 };

static _Atomic int64_t offset_s;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_offset(void)
{
	const char *text = getenv("P2PMTA_CLOCK_OFFSET");

	if (text != NULL)
		atomic_fetch_add(&offset_s, strtoll(text, NULL, 10));
}

static int64_t read_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
	pthread_once(&once, read_offset);
	return read_ms(CLOCK_REALTIME) + atomic_load(&offset_s) * 1000;
}

int64_t clock_now_s(void)
{
	return clock_now_ms() / 1000;
}

int64_t clock_mono_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

/* As clock_mono_ms(), but the time in which the machine slept counts. */
static int64_t boot_ms(void)
{
#ifdef CLOCK_BOOTTIME
	return read_ms(CLOCK_BOOTTIME);
#else
	return read_ms(CLOCK_MONOTONIC);
#endif
}

int64_t clock_gone_ms(const struct clock_mark *m)
{
	int64_t all_ms = boot_ms() - m->boot_ms, awake_ms = clock_mono_ms() - m->mono_ms;

	if (m->mono_ms == 0 || (all_ms - awake_ms < ASLEEP_MS && awake_ms < STOPPED_MS))
		return 0;
	return all_ms;
}

void clock_mark(struct clock_mark *m)
{
	m->mono_ms = clock_mono_ms();
	m->boot_ms = boot_ms();
}

void clock_advance(int64_t seconds)
{
	atomic_fetch_add(&offset_s, seconds);
}

/* Years 1970 to 9999: what four digits and our own clocks can say. */
static void split(int64_t s, struct tm *tm)
{
	const int64_t last = INT64_C(253402300799);
	time_t t = (time_t)(s < 0 ? 0 : s > last ? last : s);

	gmtime_r(&t, tm);
}

void clock_print(int64_t s, char out[CLOCK_TEXT])
{
	struct tm tm;

	split(s, &tm);
	strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int number(const char *s, int n)
{
	int value = 0;

	while (n-- > 0)
		value = value * 10 + (*s++ - '0');
	return value;
}

int clock_parse(const char *s, int64_t *s_out)
{
	static const char shape[] = "0000-00-00T00:00:00Z";
	char again[CLOCK_TEXT];

	if (strlen(s) != sizeof(shape) - 1)
		return -1;
	for (size_t i = 0; shape[i] != '\0'; i++)
		if (shape[i] == '0' ? s[i] < '0' || s[i] > '9' : s[i] != shape[i])
			return -1;

	struct tm tm = {
		.tm_year = number(s, 4) - 1900, .tm_mon = number(s + 5, 2) - 1, .tm_mday = number(s + 8, 2),
		.tm_hour = number(s + 11, 2), .tm_min = number(s + 14, 2), .tm_sec = number(s + 17, 2),
	};
	int64_t t = timegm(&tm);

	/* timegm takes 31 February for 3 March; what does not come back as it was is none. */
	clock_print(t, again);
	if (strcmp(again, s) != 0)
		return -1;
	*s_out = t;
	return 0;
}

void clock_print_rfc5322(int64_t s, char *out, unsigned size)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm;

	split(s, &tm);
	snprintf(out, size, "%.3s, %d %.3s %d %02d:%02d:%02d +0000", days + 3 * tm.tm_wday, tm.tm_mday,
	    months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
