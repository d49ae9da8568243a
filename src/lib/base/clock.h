#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
/*
 * What time it is, for everybody. Tests move the wall clock: a process starts
 * with the seconds in the environment variable P2PMTA_CLOCK_OFFSET, and
 * clock_advance() moves it while it runs. Any thread.
 */
#include <stdint.h>

int64_t clock_now_ms(void);	/* wall clock, Unix time in milliseconds, with the offset */
int64_t clock_now_s(void);
int64_t clock_mono_ms(void);	/* monotonic, never moved by tests: for measuring and timers */

/*
 * Was this process gone for a while since the mark: its machine asleep, or itself stopped? A loop that is kept by a slow
 * disk is not gone, for half a minute; then nobody can tell the difference. How long, or 0; 0 when the mark was never set.
 */
struct clock_mark { int64_t mono_ms, boot_ms; };
int64_t clock_gone_ms(const struct clock_mark *);
void clock_mark(struct clock_mark *);

void clock_advance(int64_t seconds);

enum { CLOCK_TEXT = 21 };	/* "YYYY-MM-DDThh:mm:ssZ" and NUL */

/* Unix seconds to text and back (p2pmta-protocol(7), section 3); parse gives -1 for anything else. */
void clock_print(int64_t s, char out[CLOCK_TEXT]);
int clock_parse(const char *, int64_t *s_out);

/* "Sat, 21 Nov 2026 10:00:00 +0000" (RFC 5322), always UTC; out holds at least 40. */
void clock_print_rfc5322(int64_t s, char *out, unsigned size);

#endif
