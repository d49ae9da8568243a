#ifndef BASE_PENALTY_H
#define BASE_PENALTY_H
/*
 * How many logins failed lately, over all connections: a bucket that leaks one
 * every PENALTY_LEAK_MS. Pure; the caller brings the time (monotonic).
 */
#include <stdint.h>

enum { PENALTY_LEAK_MS = 10 * 1000, PENALTY_MAX = 200 };

struct penalty {
	unsigned level;
	int64_t since_ms;	/* the last leak */
};

unsigned penalty_get(struct penalty *, int64_t now_ms);
void penalty_add(struct penalty *, int64_t now_ms);

#endif
