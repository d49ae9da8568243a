/*
 * Our own outbox as the members see it: what must be in the list comes out of
 * letters and recipients; the objects made from it are kept, because each
 * costs a gpg process.
 */
#include "lib/store/letter.h"
#include "lib/store/priv.h"
#include "lib/store/replica.h"

#define NOTICES "hash, made_of, digest, size"

static struct own_notices *notices_from_row(const void *ctx, sqlite3_stmt *q)
{
	struct own_notices *n = mem_zero(ctx, struct own_notices);

	col_raw(q, 0, n->hash, 32);
	col_raw(q, 1, n->made_of, 32);
	col_raw(q, 2, n->digest, 32);
	n->size = (uint64_t)col_int(q, 3);
	return n;
}

struct own_notices *store_own_notices_find(struct store *s, const void *ctx, const uint8_t hash[32])
{
	sqlite3_stmt *q = db_read(s, "SELECT " NOTICES " FROM own_notices WHERE hash = ?", ARGS(B(hash, 32)));

	if (!db_next(s, q))
		return NULL;
	struct own_notices *n = notices_from_row(ctx, q);
	db_done(q);
	return n;
}

struct own_notices **store_own_notices_all(struct store *s, const void *ctx, size_t *n_out)
{
	size_t n = 0, size = 8;
	struct own_notices **all = mem_array(ctx, struct own_notices *, size);
	sqlite3_stmt *q = db_read(s, "SELECT " NOTICES " FROM own_notices ORDER BY hash", NO_ARGS);

	while (db_next(s, q)) {
		if (n == size)
			all = mem_resize(ctx, all, struct own_notices *, size *= 2);
		all[n++] = notices_from_row(all, q);
	}
	*n_out = n;
	return all;
}

static void drop_file(struct store *s, const uint8_t hash[32])
{
	struct own_notices *was = store_own_notices_find(s, NULL, hash);

	if (was)
		place_drop(s, PLACE_OUTBOX, was->digest);
	talloc_free(was);
}

void store_own_notices_save(struct store *s, const struct own_notices *n)
{
	drop_file(s, n->hash);
	db_write(s, "INSERT OR REPLACE INTO own_notices(" NOTICES ") VALUES(?, ?, ?, ?)",
	    ARGS(B(n->hash, 32), B(n->made_of, 32), B(n->digest, 32), I(n->size)));
}

void store_own_notices_drop(struct store *s, const uint8_t hash[32])
{
	drop_file(s, hash);
	db_write(s, "DELETE FROM own_notices WHERE hash = ?", ARGS(B(hash, 32)));
	db_write(s, "DELETE FROM holder WHERE hash = ?", ARGS(B(hash, 32)));
}

struct own_list *store_own_list_find(struct store *s, const void *ctx)
{
	sqlite3_stmt *q = db_read(s, "SELECT token, members_hash, made_of, serial, issued_s, octets, greeting FROM own_list",
	    NO_ARGS);

	if (!db_next(s, q))
		return NULL;
	struct own_list *l = mem_zero(ctx, struct own_list);
	col_raw(q, 0, l->token, 32);
	col_raw(q, 1, l->members_hash, 32);
	col_raw(q, 2, l->made_of, 32);
	l->serial = (uint64_t)col_int(q, 3);
	l->issued_s = col_int(q, 4);
	l->octets = col_bytes(l, q, 5);
	l->greeting = col_bytes(l, q, 6);
	db_done(q);
	return l;
}

void store_own_list_save(struct store *s, const struct own_list *l)
{
	db_write(s, "INSERT OR REPLACE INTO own_list(id, token, members_hash, made_of, serial, issued_s, octets, greeting)"
	    " VALUES(1, ?, ?, ?, ?, ?, ?, ?)", ARGS(B(l->token, 32), B(l->members_hash, 32), B(l->made_of, 32), I(l->serial),
	    I(l->issued_s), B(l->octets.data, l->octets.len), B(l->greeting.data, l->greeting.len)));
}

void store_own_list_forget(struct store *s)
{
	void *ctx = mem_ctx(NULL);
	size_t n;
	struct own_notices **all = store_own_notices_all(s, ctx, &n);

	for (size_t i = 0; i < n; i++)
		store_own_notices_drop(s, all[i]->hash);
	db_write(s, "DELETE FROM own_list", NO_ARGS);
	db_write(s, "DELETE FROM holder", NO_ARGS);
	talloc_free(ctx);
}

bool store_holder_has(struct store *s, const uint8_t hash[32], const char *member)
{
	return db_has(s, "SELECT 1 FROM holder WHERE hash = ? AND member = ?", ARGS(B(hash, 32), T(member)));
}

void store_holder_set(struct store *s, const uint8_t hash[32], const char *member, bool holds)
{
	if (holds)
		db_write(s, "INSERT OR IGNORE INTO holder(hash, member) VALUES(?, ?)", ARGS(B(hash, 32), T(member)));
	else
		db_write(s, "DELETE FROM holder WHERE hash = ? AND member = ?", ARGS(B(hash, 32), T(member)));
}

const char *store_holders(struct store *s, const void *ctx, const uint8_t hash[32])
{
	struct buf *out = buf_new(ctx, 1 << 20);
	sqlite3_stmt *q = db_read(s, "SELECT member FROM holder WHERE hash = ? ORDER BY member", ARGS(B(hash, 32)));

	while (db_next(s, q))
		buf_addf(out, "%s%s", out->len ? "\n" : "", (const char *)sqlite3_column_text(q, 0));
	return out->len ? out->data : "";
}

uint8_t (*store_held_by(struct store *s, const void *ctx, const char *member, size_t *n_out))[32]
{
	size_t n = 0, size = 16;
	uint8_t (*all)[32] = mem_check(talloc_size(ctx, size * sizeof(*all)));
	sqlite3_stmt *q = db_read(s, "SELECT hash FROM holder WHERE member = ? ORDER BY hash", ARGS(T(member)));

	while (db_next(s, q)) {
		if (n == size)
			all = mem_check(talloc_realloc_size(ctx, all, (size *= 2) * sizeof(*all)));
		col_raw(q, 0, all[n++], 32);
	}
	*n_out = n;
	return all;
}

struct replica_counts store_holder_count(struct store *s, const char *member)
{
	struct replica_counts c = { 0 };
	sqlite3_stmt *q = db_read(s, "SELECT count(*), sum(letter.sealed_size + CASE has_head WHEN 1 THEN head_size ELSE 0 END)"
	    " FROM holder JOIN letter ON letter.hash = holder.hash WHERE holder.member = ? AND letter.sealed = 1 AND letter.done = 0",
	    ARGS(T(member)));

	if (db_next(s, q)) {
		c.messages = (uint64_t)col_int(q, 0);
		c.bytes = (uint64_t)col_int(q, 1);
		db_done(q);
	}
	return c;
}

uint64_t store_holder_count_enough(struct store *s, const char *members, size_t enough)
{
	sqlite3_stmt *q = db_read(s, "SELECT count(*) FROM letter WHERE done = 0 AND dropped = 0 AND sealed = 1 AND (SELECT count(*) FROM holder"
	    " WHERE holder.hash = letter.hash AND instr(?, char(10) || member || char(10)) > 0) >= ?", ARGS(T(members), I(enough)));
	uint64_t n = 0;

	if (db_next(s, q)) {
		n = (uint64_t)col_int(q, 0);
		db_done(q);
	}
	return n;
}

void store_holder_forget(struct store *s, const char *member)
{
	db_write(s, "DELETE FROM holder WHERE member = ?", ARGS(T(member)));
}

/* --- what the list is made from --- */

static void load_rcpts(struct store *s, struct own_message *m, int64_t now_s)
{
	size_t size = 4;
	sqlite3_stmt *q = db_read(s, "SELECT rcpt.id, rcpt.address, state, rcpt.expires_s, secret, value FROM rcpt"
	    " LEFT JOIN posting ON rcpt.posting = posting.id AND state <> ?3 WHERE letter = ?1 AND rcpt.expires_s > ?2"
	    " AND rcpt.posting <> 0 AND state IN (?3, ?4, ?5) ORDER BY rcpt.id",
	    ARGS(I(m->letter), I(now_s), I(RCPT_CANCELLED), I(RCPT_OFFERED), I(RCPT_NOTIFIED)));

	m->rcpts = mem_array(m, struct own_rcpt, size);
	while (db_next(s, q)) {
		if (m->n_rcpts == size)
			m->rcpts = mem_resize(m, m->rcpts, struct own_rcpt, size *= 2);
		struct own_rcpt *r = &m->rcpts[m->n_rcpts];
		*r = (struct own_rcpt){ .rcpt = (uint64_t)col_int(q, 0), .recalled = col_int(q, 2) == RCPT_CANCELLED,
			.expires_s = col_int(q, 3), .value = col_bytes(m, q, 5) };
		r->address = col_text(m, q, 1);
		col_raw(q, 4, r->secret, 32);
		m->n_rcpts += r->recalled || r->value.len > 0;
	}
}

struct own_message *store_own_message(struct store *s, const void *ctx, uint64_t letter, int64_t now_s)
{
	struct own_message *m = mem_zero(ctx, struct own_message);
	sqlite3_stmt *q = db_read(s, "SELECT hash, sealed_size, dropped OR done, has_head, head_hash, head_size FROM letter"
	    " WHERE id = ? AND sealed = 1", ARGS(I(letter)));

	if (!db_next(s, q)) {
		talloc_free(m);
		return NULL;
	}
	m->letter = letter;
	col_raw(q, 0, m->hash, 32);
	m->sealed_size = (uint64_t)col_int(q, 1);
	m->dropped = col_int(q, 2);
	m->has_head = col_int(q, 3);
	col_raw(q, 4, m->head_hash, 32);
	m->head_size = (uint64_t)col_int(q, 5);
	db_done(q);
	load_rcpts(s, m, now_s);
	if (m->n_rcpts == 0)
		TALLOC_FREE(m);
	return m;
}

uint64_t *store_own_messages(struct store *s, const void *ctx, int64_t now_s, size_t *n_out)
{
	return db_get_ids(s, ctx, "SELECT DISTINCT letter FROM rcpt WHERE state IN (?, ?, ?) AND posting <> 0 AND expires_s > ?"
	    " ORDER BY letter", ARGS(I(RCPT_CANCELLED), I(RCPT_OFFERED), I(RCPT_NOTIFIED), I(now_s)), n_out);
}
