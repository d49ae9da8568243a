/* The level sinks when somebody looks; time that counted is taken off, the rest of it stays. */
#include "lib/base/penalty.h"

unsigned penalty_get(struct penalty *p, int64_t now_ms)
{
	int64_t leaked = (now_ms - p->since_ms) / PENALTY_LEAK_MS;

	if (leaked >= (int64_t)p->level) {
		p->level = 0;
		p->since_ms = now_ms;
	} else if (leaked > 0) {
		p->level -= (unsigned)leaked;
		p->since_ms += leaked * PENALTY_LEAK_MS;
	}
	return p->level;
}

void penalty_add(struct penalty *p, int64_t now_ms)
{
	if (penalty_get(p, now_ms) < PENALTY_MAX)
		p->level++;
}

unsigned penalty_delay(struct penalty *p, int64_t now_ms, unsigned failures)
{
	unsigned units = failures + penalty_get(p, now_ms) / 4;

	return units < PENALTY_DELAY_MAX ? units : PENALTY_DELAY_MAX;
}

unsigned penalty_hold(struct penalty *p, int64_t now_ms)
{
	unsigned units = penalty_get(p, now_ms) / PENALTY_MANY;

	return units < PENALTY_HOLD_MAX ? units : PENALTY_HOLD_MAX;
}

bool penalty_may_look(struct penalty *p, int64_t now_ms)
{
	if (now_ms - p->looks_since_ms >= 1000) {
		p->looks_since_ms = now_ms;
		p->looks = 0;
		p->looked_ms = 0;
	}
	if (p->looks >= PENALTY_LOOKS || p->looked_ms >= PENALTY_LOOK_MS)
		return false;
	p->looks++;
	return true;
}

void penalty_looked(struct penalty *p, int64_t took_ms)
{
	p->looked_ms += took_ms;
}
