#ifndef BASE_PENALTY_H
#define BASE_PENALTY_H
/*
 * How many logins failed lately, over all connections: a bucket that leaks one
 * every PENALTY_LEAK_MS. Pure; the caller brings the time (monotonic). Waits
 * are counted in the caller's unit, a second.
 */
#include <stdbool.h>
#include <stdint.h>

enum {
	PENALTY_LEAK_MS = 10 * 1000,
	PENALTY_MAX = 200,
	PENALTY_MANY = 30,
	PENALTY_DELAY_MAX = 20,
	PENALTY_HOLD_MAX = 5,
	PENALTY_LOOKS = 200,	/* a second */
	PENALTY_LOOK_MS = 500,	/* of it */
};

struct penalty {
	unsigned level;
	int64_t since_ms;	/* the last leak */
	unsigned looks;
	int64_t looked_ms;	/* what they took */
	int64_t looks_since_ms;
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
/*
 * May a password that is held be looked at now, because its connection has to make room? So many a second, and no
 * more once they took so long: as long as none was right since the start, a look at PLAIN or LOGIN costs a PBKDF2.
 */
bool penalty_may_look(struct penalty *, int64_t now_ms);
void penalty_looked(struct penalty *, int64_t took_ms);

#endif
