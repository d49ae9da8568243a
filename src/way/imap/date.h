#ifndef IMAP_DATE_H
#define IMAP_DATE_H
/* Dates as IMAP writes them (RFC 3501 section 9: date, date-time). Pure. */
#include <stdint.h>

enum { IMAP_DATE_TEXT = 32 };

/* " 1-Feb-1994 10:00:00 +0000", always UTC. */
void imap_date_print(int64_t ms, char out[IMAP_DATE_TEXT]);
/* "[ ]1-Feb-1994 10:00:00 +0100" to Unix milliseconds, at most MESSAGE_MS_MAX; 1 or -1. */
int imap_date_parse_time(const char *, int64_t *ms_out);
/* "1-Feb-1994" (also in quotes) to days since 1970; 1 or -1. */
int imap_date_parse_day(const char *, int64_t *day_out);
/* The day as written in a Date field, zone disregarded (SENTON and the like); 1 or -1. */
int imap_date_parse_field(const char *, int64_t *day_out);
/* Day of a time, in UTC. */
int64_t imap_date_day(int64_t ms);

#endif
