#ifndef BASE_PENALTY_H
#define BASE_PENALTY_H
/*
 * How many logins failed lately, over all connections: a bucket that leaks one
 * every PENALTY_LEAK_MS. Pure; the caller brings the time (monotonic). Waits
 * are counted in the caller's unit, a second.
 */
#include <stdint.h>

enum {
	PENALTY_LEAK_MS = 10 * 1000,
	PENALTY_MAX = 200,
	PENALTY_MANY = 30,
	PENALTY_DELAY_MAX = 20,
	PENALTY_HOLD_MAX = 5,
};

struct penalty {
	unsigned level;
	int64_t since_ms;	/* the last leak */
};

unsigned penalty_get(struct penalty *, int64_t now_ms);
void penalty_add(struct penalty *, int64_t now_ms);
/* Units that a failure is answered late; failures: of this connection, with this one. */
unsigned penalty_delay(struct penalty *, int64_t now_ms, unsigned failures);
/*
 * Units that pass before a password is even looked at: none unless many failed
 * lately, or hanging up would be a way around the delay; and few, or the right
 * one would be kept out for long.
 */
unsigned penalty_hold(struct penalty *, int64_t now_ms);

#endif
