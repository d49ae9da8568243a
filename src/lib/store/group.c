/* Groups and what belongs to them: small tables, rows replaced as a whole. */
#include "lib/store/group.h"
#include "lib/store/priv.h"

#define COLUMNS "name, role, gone, from_conf, master, fpr, serial, signed_serial, descriptor, issued_s, expires_s, warned," \
	" looked_s"

_Static_assert(GROUP_FOREIGN == 3, "these numbers stand in state.db: add at the end only");

/* A growing array of pointers below ctx. */
struct rows {
	void **all;
	size_t n, size;
};

static void rows_add(const void *ctx, struct rows *r, void *row)
{
	if (r->n == r->size) {
		r->size = r->size ? 2 * r->size : 16;
		r->all = mem_resize(ctx, r->all, void *, r->size);
	}
	r->all[r->n++] = row;
}

static struct group_row *group_from(const void *ctx, sqlite3_stmt *q)
{
	struct group_row *g = mem_zero(ctx, struct group_row);

	g->name = col_text(g, q, 0);
	g->role = (enum group_role)col_int(q, 1);
	g->left = col_int(q, 2);
	g->from_conf = col_int(q, 3);
	g->master = col_text(g, q, 4);
	g->fpr = col_text(g, q, 5);
	g->serial = (uint64_t)col_int(q, 6);
	g->signed_serial = (uint64_t)col_int(q, 7);
	g->descriptor = col_bytes(g, q, 8);
	g->issued_s = col_int(q, 9);
	g->expires_s = col_int(q, 10);
	g->warned = col_int(q, 11);
	g->looked_s = col_int(q, 12);
	return g;
}

struct group_row *store_group_find(struct store *s, const void *ctx, const char *name)
{
	sqlite3_stmt *q = db_read(s, "SELECT " COLUMNS " FROM grp WHERE name = ?", ARGS(T(name)));

	if (!db_next(s, q))
		return NULL;
	struct group_row *g = group_from(ctx, q);
	db_done(q);
	return g;
}

void store_group_save(struct store *s, const struct group_row *g)
{
	db_write(s, "INSERT OR REPLACE INTO grp(" COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	    ARGS(T(g->name), I(g->role), I(g->left), I(g->from_conf), T(g->master), T(g->fpr), I(g->serial), I(g->signed_serial),
	        B(g->descriptor.data, g->descriptor.len), I(g->issued_s), I(g->expires_s), I(g->warned), I(g->looked_s)));
}

void store_group_drop(struct store *s, const char *name)
{
	db_write(s, "DELETE FROM grp WHERE name = ?", ARGS(T(name)));
	db_write(s, "DELETE FROM member WHERE grp = ?", ARGS(T(name)));
	db_write(s, "DELETE FROM invite WHERE grp = ?", ARGS(T(name)));
	db_write(s, "DELETE FROM joining WHERE grp = ?", ARGS(T(name)));
}

struct group_row **store_group_all(struct store *s, const void *ctx, size_t *n_out)
{
	struct rows r = { NULL, 0, 0 };
	sqlite3_stmt *q = db_read(s, "SELECT " COLUMNS " FROM grp ORDER BY name", NO_ARGS);

	while (db_next(s, q))
		rows_add(ctx, &r, group_from(ctx, q));
	*n_out = r.n;
	return (struct group_row **)r.all;
}

void store_group_forget_foreign(struct store *s, size_t max)
{
	void *ctx = mem_ctx(NULL);
	struct rows r = { NULL, 0, 0 };
	sqlite3_stmt *q = db_read(s, "SELECT name FROM grp WHERE role = 3 ORDER BY looked_s DESC LIMIT -1 OFFSET ?", ARGS(I(max)));

	while (db_next(s, q))
		rows_add(ctx, &r, mem_strdup(ctx, col_text(ctx, q, 0)));
	for (size_t i = 0; i < r.n; i++)
		store_group_drop(s, r.all[i]);
	talloc_free(ctx);
}

static struct member_row *member_from(const void *ctx, sqlite3_stmt *q)
{
	struct member_row *m = mem_zero(ctx, struct member_row);

	m->group = col_text(m, q, 0);
	m->address = col_text(m, q, 1);
	m->fpr = col_text(m, q, 2);
	m->removed = col_int(q, 3);
	m->from_conf = col_int(q, 4);
	return m;
}

struct member_row *store_member_find(struct store *s, const void *ctx, const char *group, const char *address)
{
	sqlite3_stmt *q = db_read(s, "SELECT grp, address, fpr, removed, from_conf FROM member WHERE grp = ? AND address = ?",
	    ARGS(T(group), T(address)));

	if (!db_next(s, q))
		return NULL;
	struct member_row *m = member_from(ctx, q);
	db_done(q);
	return m;
}

void store_member_save(struct store *s, const struct member_row *m)
{
	db_write(s, "INSERT OR REPLACE INTO member(grp, address, fpr, removed, from_conf) VALUES(?, ?, ?, ?, ?)",
	    ARGS(T(m->group), T(m->address), T(m->fpr), I(m->removed), I(m->from_conf)));
}

void store_member_drop(struct store *s, const char *group, const char *address)
{
	db_write(s, "DELETE FROM member WHERE grp = ? AND address = ?", ARGS(T(group), T(address)));
}

void store_member_drop_all(struct store *s, const char *group)
{
	db_write(s, "DELETE FROM member WHERE grp = ?", ARGS(T(group)));
}

struct member_row **store_member_all(struct store *s, const void *ctx, const char *group, size_t *n_out)
{
	struct rows r = { NULL, 0, 0 };
	sqlite3_stmt *q = db_read(s, "SELECT grp, address, fpr, removed, from_conf FROM member WHERE grp = ? ORDER BY address",
	    ARGS(T(group)));

	while (db_next(s, q))
		rows_add(ctx, &r, member_from(ctx, q));
	*n_out = r.n;
	return (struct member_row **)r.all;
}

void store_invite_add(struct store *s, const struct invite_row *i)
{
	db_write(s, "INSERT INTO invite(secret, grp, expires_s, used_by) VALUES(?, ?, ?, ?)",
	    ARGS(B(i->secret, sizeof(i->secret)), T(i->group), I(i->expires_s), T(i->used_by)));
}

struct invite_row **store_invite_open(struct store *s, const void *ctx, int64_t now_s, size_t *n_out)
{
	struct rows r = { NULL, 0, 0 };
	sqlite3_stmt *q = db_read(s, "SELECT secret, grp, expires_s FROM invite WHERE used_by = '' AND expires_s > ? ORDER BY expires_s",
	    ARGS(I(now_s)));

	while (db_next(s, q)) {
		struct invite_row *i = mem_zero(ctx, struct invite_row);

		col_raw(q, 0, i->secret, sizeof(i->secret));
		i->group = col_text(i, q, 1);
		i->expires_s = col_int(q, 2);
		i->used_by = "";
		rows_add(ctx, &r, i);
	}
	*n_out = r.n;
	return (struct invite_row **)r.all;
}

bool store_invite_use(struct store *s, const uint8_t secret[32], const char *by, int64_t now_s)
{
	if (!db_has(s, "SELECT 1 FROM invite WHERE secret = ? AND used_by = '' AND expires_s > ?", ARGS(B(secret, 32), I(now_s))))
		return false;
	db_write(s, "UPDATE invite SET used_by = ? WHERE secret = ?", ARGS(T(by), B(secret, 32)));
	return true;
}

void store_invite_forget(struct store *s, int64_t before_s)
{
	if (db_has(s, "SELECT 1 FROM invite WHERE expires_s < ?", ARGS(I(before_s))))
		db_write(s, "DELETE FROM invite WHERE expires_s < ?", ARGS(I(before_s)));
}

void store_joining_save(struct store *s, const struct joining_row *j)
{
	db_write(s, "INSERT OR REPLACE INTO joining(grp, invite, value, expires_s) VALUES(?, ?, ?, ?)",
	    ARGS(T(j->group), T(j->invite), B(j->value.data, j->value.len), I(j->expires_s)));
}

void store_joining_drop(struct store *s, const char *group)
{
	db_write(s, "DELETE FROM joining WHERE grp = ?", ARGS(T(group)));
}

struct joining_row **store_joining_all(struct store *s, const void *ctx, size_t *n_out)
{
	struct rows r = { NULL, 0, 0 };
	sqlite3_stmt *q = db_read(s, "SELECT grp, invite, value, expires_s FROM joining ORDER BY grp", NO_ARGS);

	while (db_next(s, q)) {
		struct joining_row *j = mem_zero(ctx, struct joining_row);

		j->group = col_text(j, q, 0);
		j->invite = col_text(j, q, 1);
		j->value = col_bytes(j, q, 2);
		j->expires_s = col_int(q, 3);
		rows_add(ctx, &r, j);
	}
	*n_out = r.n;
	return (struct joining_row **)r.all;
}

struct network_row *store_network_find(struct store *s, const void *ctx)
{
	sqlite3_stmt *q = db_read(s, "SELECT number, instead_of, bootstrap FROM network WHERE id = 1", NO_ARGS);

	if (!db_next(s, q))
		return NULL;
	struct network_row *n = mem_zero(ctx, struct network_row);

	n->number = (uint32_t)col_int(q, 0);
	n->instead_of = (uint32_t)col_int(q, 1);
	n->bootstrap = col_text(n, q, 2);
	db_done(q);
	return n;
}

void store_network_save(struct store *s, const struct network_row *n)
{
	if (n)
		db_write(s, "INSERT OR REPLACE INTO network(id, number, instead_of, bootstrap) VALUES(1, ?, ?, ?)",
		    ARGS(I(n->number), I(n->instead_of), T(n->bootstrap)));
	else
		db_write(s, "DELETE FROM network", NO_ARGS);
}
