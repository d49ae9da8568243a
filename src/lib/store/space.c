/*
 * Pages of state.db that nobody uses any more go back to the file system, some
 * with each turn of the store. A few are kept: what comes next wants them. How
 * many there are is asked only after so many rows went.
 */
#include "lib/base/log.h"
#include "lib/store/priv.h"

enum {
	ASK_AFTER = 64,			/* rows that went */
	KEEP_PAGES = 256,
	KEEP_SHARE = 8,			/* a part of the file */
};

#define PAGES_A_TURN "128"

static int64_t n_unused(struct store *s)
{
	return db_plain_int(s, "PRAGMA freelist_count", 0);
}

static bool is_too_many(struct store *s, int64_t unused)
{
	int64_t all = db_plain_int(s, "PRAGMA page_count", 0);

	return unused > KEEP_PAGES && unused > all / KEEP_SHARE;
}

void space_freed(struct store *s, unsigned n_rows)
{
	s->n_freed += n_rows;
}

bool space_waits(const struct store *s)
{
	return s->giving_back || s->n_freed >= ASK_AFTER;
}

static bool give_back(struct store *s)
{
	if (!db_begin(s))
		return false;
	s->wrote = true;
	if (db_plain(s, "PRAGMA incremental_vacuum(" PAGES_A_TURN ")") != SQLITE_OK)
		db_poison(s, "%s", sqlite3_errmsg(s->db));
	return db_commit(s);
}

void space_step(struct store *s)
{
	int64_t unused = n_unused(s);

	s->n_freed = 0;
	s->giving_back = is_too_many(s, unused);
	/* Not worth more than a word: the next expunge tries again. */
	if (s->giving_back && !give_back(s)) {
		log_debug("store: no page is given back: %s", s->why.text);
		db_rollback(s);
		s->giving_back = false;
	}
	/* A file of another auto_vacuum keeps its pages; doctor tells. */
	if (s->giving_back && n_unused(s) >= unused)
		s->giving_back = false;
}
