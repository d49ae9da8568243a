/*
 * A subscription is to a name, and outlives its mailbox (RFC 3501 section
 * 6.3.6): while there is a mailbox it is a column there, afterwards a row
 * here, and a mailbox that is made under this name has it again.
 */
#include "lib/store/priv.h"

void subscription_keep(struct store *s, const char *name)
{
	if (db_get_int(s, "SELECT count(*) FROM subscription", NO_ARGS, 0) < LIMIT_MAILBOXES)
		db_write(s, "INSERT OR IGNORE INTO subscription(name) VALUES(?)", ARGS(T(name)));
}

bool store_subscription_drop(struct store *s, const char *name)
{
	if (!db_has(s, "SELECT 1 FROM subscription WHERE name = ?", ARGS(T(name))))
		return false;
	db_write(s, "DELETE FROM subscription WHERE name = ?", ARGS(T(name)));
	return true;
}

const char **store_subscription_all(struct store *s, const void *ctx, size_t *n_out)
{
	size_t n = 0, size = 16;
	const char **names = mem_array(ctx, const char *, size);
	sqlite3_stmt *q = db_read(s, "SELECT name FROM subscription ORDER BY name", NO_ARGS);

	while (db_next(s, q)) {
		if (n == size)
			names = mem_resize(ctx, names, const char *, size *= 2);
		names[n++] = col_text(names, q, 0);
	}
	*n_out = n;
	return names;
}
