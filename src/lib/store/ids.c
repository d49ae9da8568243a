/*
 * Ids and small named values. A counter moves in RAM and its row is written
 * with the commit, once however many ids were taken. After an undone
 * transaction the counter stays where it is and is written again: what was
 * told to anybody is never given to something else.
 */
#include "lib/base/clock.h"
#include "lib/store/priv.h"

static const char *const names[N_COUNTERS] = {
	[COUNTER_CONTENT] = "id.content",
	[COUNTER_LETTER] = "id.letter",
	[COUNTER_RCPT] = "id.rcpt",
	[COUNTER_EVENT] = "id.event",
	[COUNTER_POSTING] = "id.posting",
	[COUNTER_NOTICE] = "id.notice",
	[COUNTER_MAILBOX] = "id.mailbox",
	[COUNTER_MESSAGE] = "id.message",
	[COUNTER_UIDVALIDITY] = "uidvalidity",
};

void ids_load(struct store *s)
{
	for (int i = 0; i < N_COUNTERS; i++)
		s->counters[i] = store_meta_get(s, names[i], 0);
}

void ids_write(struct store *s)
{
	for (int i = 0; i < N_COUNTERS; i++) {
		if (s->counter_dirty[i])
			store_meta_set(s, names[i], s->counters[i]);
		s->counter_dirty[i] = false;
	}
}

void ids_undone(struct store *s)
{
	for (int i = 0; i < N_COUNTERS; i++)
		s->counter_dirty[i] = true;
}

uint64_t ids_next(struct store *s, enum counter c)
{
	/* UIDVALIDITY follows the clock, so that a state folder begun anew has other values. */
	if (c == COUNTER_UIDVALIDITY && s->counters[c] < clock_now_s() && clock_now_s() < UINT32_MAX)
		s->counters[c] = clock_now_s();
	else
		s->counters[c]++;
	s->counter_dirty[c] = true;
	return (uint64_t)s->counters[c];
}

int64_t store_meta_get(struct store *s, const char *name, int64_t fallback)
{
	return db_get_int(s, "SELECT value FROM meta WHERE name = ?", ARGS(T(name)), fallback);
}

void store_meta_set(struct store *s, const char *name, int64_t value)
{
	db_write(s, "INSERT OR REPLACE INTO meta(name, value) VALUES(?, ?)", ARGS(T(name), I(value)));
}
