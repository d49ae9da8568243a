/*
 * INTERNALDATE is printed and compared in UTC: the same text for every client,
 * whatever the daemon's zone is on that day.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/store/mailbox.h"
#include "way/imap/date.h"

static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};

enum { DAY_MS = 86400 * 1000 };

/* Days since 1970 of a Gregorian date, by whole 400-year eras. */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year = y - era * 400;
	int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

static void date_of(int64_t days, int *y, unsigned *m, unsigned *d)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t doe = days - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*d = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
	*m = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
	*y = (int)(yoe + era * 400 + (*m <= 2));
}

int64_t imap_date_day(int64_t ms)
{
	return ms >= 0 ? ms / DAY_MS : -((-ms + DAY_MS - 1) / DAY_MS);
}

void imap_date_print(int64_t ms, char out[IMAP_DATE_TEXT])
{
	int64_t day = imap_date_day(ms);
	unsigned s = (unsigned)((ms - day * DAY_MS) / 1000), m, d;
	int y;

	date_of(day, &y, &m, &d);
	snprintf(out, IMAP_DATE_TEXT, "%2u-%s-%04d %02u:%02u:%02u +0000", d, months[m - 1], y % 10000,
	    s / 3600, s / 60 % 60, s % 60);
}

/* One to max digits. */
static const char *number(const char *p, unsigned max, unsigned *out)
{
	unsigned n = 0;

	*out = 0;
	for (; n < max && *p >= '0' && *p <= '9'; n++)
		*out = *out * 10 + (unsigned)(*p++ - '0');
	return n > 0 ? p : NULL;
}

static unsigned month_of(const char *p)
{
	for (unsigned m = 0; m < 12; m++)
		if (strncasecmp(p, months[m], 3) == 0)
			return m + 1;
	return 0;
}

static bool day_exists(unsigned y, unsigned m, unsigned d)
{
	static const unsigned char last[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return d >= 1 && d <= last[m - 1] && (m != 2 || d < 29 || leap);
}

/* "1-Feb-1994" and what follows it. */
static const char *day_text(const char *p, int64_t *day_out)
{
	unsigned d, y;

	p = number(p, 2, &d);
	if (!p || *p != '-')
		return NULL;
	unsigned m = month_of(p + 1);

	if (m == 0 || p[4] != '-')
		return NULL;
	const char *end = number(p + 5, 4, &y);

	if (!end || end != p + 9 || !day_exists(y, m, d))
		return NULL;
	*day_out = days_of(y, m, d);
	return end;
}

int imap_date_parse_day(const char *p, int64_t *day_out)
{
	p = day_text(p, day_out);
	return p && *p == '\0' ? 1 : -1;
}

int imap_date_parse_time(const char *p, int64_t *ms_out)
{
	unsigned h, m, s, zone;
	int64_t day;

	if (*p == ' ')
		p++;
	p = day_text(p, &day);
	if (!p || *p++ != ' ' || !(p = number(p, 2, &h)) || *p++ != ':' ||
	    !(p = number(p, 2, &m)) || *p++ != ':' || !(p = number(p, 2, &s)) || *p++ != ' ')
		return -1;
	char sign = *p;

	if ((sign != '+' && sign != '-') || strlen(p) != 5 || !(p = number(p + 1, 4, &zone)) || *p != '\0')
		return -1;
	if (h > 23 || m > 59 || s > 60 || zone % 100 > 59 || zone / 100 > 23)
		return -1;
	int64_t shift = zone / 100 * 3600 + zone % 100 * 60;

	*ms_out = message_ms((day * 86400 + h * 3600 + m * 60 + s - (sign == '-' ? -shift : shift)) * 1000);
	return 1;
}

int imap_date_parse_field(const char *p, int64_t *day_out)
{
	unsigned d, y;
	const char *comma = strchr(p, ',');

	if (comma)
		p = comma + 1;
	while (*p && !isdigit((unsigned char)*p))
		p++;
	p = number(p, 2, &d);
	while (p && (*p == ' ' || *p == '\t' || *p == '-'))
		p++;
	unsigned m = p ? month_of(p) : 0;

	if (m == 0)
		return -1;
	while (*p && !isdigit((unsigned char)*p))
		p++;
	const char *end = number(p, 4, &y);

	if (!end)
		return -1;
	/* RFC 5322 section 4.3: years of two and three digits. */
	if (end - p <= 2)
		y += y < 50 ? 2000 : 1900;
	else if (end - p == 3)
		y += 1900;
	if (!day_exists(y, m, d))
		return -1;
	*day_out = days_of(y, m, d);
	return 1;
}
