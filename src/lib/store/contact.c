/* Contacts: one row per address, replaced as a whole. */
#include "lib/store/priv.h"

#define COLUMNS "address, fpr, trust, rival, accepted, last_seen_s, serial, descriptor, expires_s, reachable_until_s," \
	" urls, grp, stamp"

const char *trust_name(enum trust trust)
{
	static const char *const names[] = {
		[TRUST_NONE] = "none", [TRUST_FIRST_USE] = "first-use", [TRUST_GROUP] = "group",
		[TRUST_VERIFIED] = "verified", [TRUST_CONFLICT] = "conflict",
	};

	return names[trust];
}

static struct contact *from_row(const void *ctx, sqlite3_stmt *q)
{
	struct contact *c = mem_zero(ctx, struct contact);

	c->address = col_text(c, q, 0);
	c->fpr = col_text(c, q, 1);
	c->trust = (enum trust)col_int(q, 2);
	c->rival = col_text(c, q, 3);
	c->accepted = col_int(q, 4);
	c->last_seen_s = col_int(q, 5);
	c->serial = (uint64_t)col_int(q, 6);
	c->descriptor = col_bytes(c, q, 7);
	c->expires_s = col_int(q, 8);
	c->reachable_until_s = col_int(q, 9);
	c->urls = col_text(c, q, 10);
	c->group = col_text(c, q, 11);
	c->stamp = (unsigned)col_int(q, 12);
	return c;
}

struct contact *store_contact_find(struct store *s, const void *ctx, const char *address)
{
	sqlite3_stmt *q = db_read(s, "SELECT " COLUMNS " FROM contact WHERE address = ?", ARGS(T(address)));

	if (!db_next(s, q))
		return NULL;
	struct contact *c = from_row(ctx, q);
	db_done(q);
	return c;
}

void store_contact_save(struct store *s, const struct contact *c)
{
	db_write(s, "INSERT OR REPLACE INTO contact(" COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	    ARGS(T(c->address), T(c->fpr ? c->fpr : ""), I(c->trust), T(c->rival ? c->rival : ""), I(c->accepted),
	        I(c->last_seen_s), I(c->serial), B(c->descriptor.data, c->descriptor.len), I(c->expires_s),
	        I(c->reachable_until_s), T(c->urls ? c->urls : ""), T(c->group ? c->group : ""), I(c->stamp)));
}

void store_contact_forget(struct store *s, const char *address)
{
	db_write(s, "DELETE FROM contact WHERE address = ?", ARGS(T(address)));
}

struct contact **store_contact_all(struct store *s, const void *ctx, size_t *n_out)
{
	size_t n = 0, size = 16;
	struct contact **all = mem_array(ctx, struct contact *, size);
	sqlite3_stmt *q = db_read(s, "SELECT " COLUMNS " FROM contact ORDER BY address", NO_ARGS);

	while (db_next(s, q)) {
		if (n == size)
			all = mem_resize(ctx, all, struct contact *, size *= 2);
		all[n++] = from_row(all, q);
	}
	*n_out = n;
	return all;
}
