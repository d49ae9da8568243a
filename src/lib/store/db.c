/*
 * Words over SQLite. Statements are prepared once and found again by the
 * address of their text. What is read in one turn is one transaction, which
 * ends with it, or before the first write; that opens the one transaction that
 * store_turn() commits; any failure in it, of a write or a read, poisons it:
 * from then on writes are skipped (SQLite may have rolled back by itself, and
 * a write after that would commit alone), and the turn undoes everything.
 */
#include <stdarg.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/store/priv.h"

enum { WALK_STEPS = 4 };	/* instead of another search from the root */

void db_poison(struct store *s, const char *fmt, ...)
{
	if (s->poisoned)
		return;
	s->poisoned = true;

	va_list ap;
	va_start(ap, fmt);
	vsnprintf(s->why.text, sizeof(s->why.text), fmt, ap);
	va_end(ap);
}

static void poison_db(struct store *s, const char *what)
{
	int code = sqlite3_extended_errcode(s->db);

	db_poison(s, "%s: %s (%d)", what, sqlite3_errmsg(s->db), code);
}

static sqlite3_stmt *prepared(struct store *s, const char *sql)
{
	struct stmt *st;

	HASH_FIND_PTR(s->stmts, &sql, st);
	if (st)
		return st->q;
	sqlite3_stmt *q;
	if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &q, NULL) != SQLITE_OK) {
		poison_db(s, sql);
		return NULL;
	}
	st = mem_zero(s, struct stmt);
	st->sql = sql;
	st->q = q;
	HASH_ADD_PTR(s->stmts, sql, st);
	return q;
}

/* The caller's memory outlives the step, so nothing is copied. */
static void bind(sqlite3_stmt *q, const struct arg *args)
{
	int i = 0;

	for (; args[i].kind != ARG_END; i++) {
		const struct arg *a = &args[i];

		if (a->kind == ARG_INT)
			sqlite3_bind_int64(q, i + 1, a->i);
		else if (!a->p)
			sqlite3_bind_null(q, i + 1);
		else if (a->kind == ARG_TEXT)
			sqlite3_bind_text(q, i + 1, a->p, -1, SQLITE_STATIC);
		else
			sqlite3_bind_blob64(q, i + 1, a->p, a->len, SQLITE_STATIC);
	}
	assert(i == sqlite3_bind_parameter_count(q));
}

bool db_begin(struct store *s)
{
	if (s->begun)
		return true;
	db_end_reading(s);
	if (!sync_begin(s)) {
		poison_db(s, "begin");
		return false;
	}
	s->begun = true;
	return true;
}

/*
 * Reads of one turn share a transaction: else each statement takes and gives
 * back the locks of the file, which costs more than finding a row.
 */
static void begin_reading(struct store *s)
{
	if (!s->begun && !s->reading && !s->poisoned)
		s->reading = db_plain(s, "BEGIN") == SQLITE_OK;
}

/* What a walk lent is gone with this. */
static void end_walks(struct store *s)
{
	for (unsigned i = 0; i < N_WALKS; i++) {
		if (s->walks[i].q)
			db_done(s->walks[i].q);
		s->walks[i].q = NULL;
	}
}

void db_end_reading(struct store *s)
{
	end_walks(s);
	if (s->reading && !sqlite3_get_autocommit(s->db) && db_plain(s, "COMMIT") != SQLITE_OK)
		log_err("store: end of reading: %s", sqlite3_errmsg(s->db));
	s->reading = false;
}

bool db_begin_idly(struct store *s)
{
	db_end_reading(s);
	sqlite3_busy_timeout(s->db, 0);
	s->begun = db_plain(s, "BEGIN IMMEDIATE") == SQLITE_OK;
	sqlite3_busy_timeout(s->db, BUSY_MS);
	return s->begun;
}

void db_write(struct store *s, const char *sql, const struct arg *args)
{
	if (s->poisoned || !db_begin(s))
		return;
	s->wrote = true;
	end_walks(s);
	sqlite3_stmt *q = prepared(s, sql);
	if (!q)
		return;
	bind(q, args);
	if (sqlite3_step(q) != SQLITE_DONE)
		poison_db(s, "write");
	db_done(q);
}

sqlite3_stmt *db_read(struct store *s, const char *sql, const struct arg *args)
{
	sqlite3_stmt *q = prepared(s, sql);

	if (!q) {
		s->read_failed = true;
		return NULL;
	}
	assert(!sqlite3_stmt_busy(q));
	begin_reading(s);
	bind(q, args);
	return q;
}

bool db_next(struct store *s, sqlite3_stmt *q)
{
	if (!q)
		return false;
	int rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE) {
		s->read_failed = true;
		poison_db(s, "read");
	}
	db_done(q);
	return false;
}

void db_done(sqlite3_stmt *q)
{
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
}

sqlite3_stmt *db_walk(struct store *s, enum walk which, const char *sql, uint64_t id)
{
	struct walk_state *w = &s->walks[which];

	for (unsigned steps = 0; w->q && w->id < id && steps < WALK_STEPS; steps++) {
		if (db_next(s, w->q))
			w->id = (uint64_t)col_int(w->q, 0);
		else
			w->q = NULL;
	}
	/* Not beyond it, nor far before it? Then it is there, or not at all. */
	if (w->q && w->id >= id && w->from <= id) {
		w->from = id;
		return w->id == id ? w->q : NULL;
	}
	if (w->q)
		db_done(w->q);
	w->q = db_read(s, sql, ARGS(I(id)));
	if (!db_next(s, w->q))
		w->q = NULL;
	else
		w->id = (uint64_t)col_int(w->q, 0);
	w->from = id;
	return w->q && w->id == id ? w->q : NULL;
}

bool db_has(struct store *s, const char *sql, const struct arg *args)
{
	sqlite3_stmt *q = db_read(s, sql, args);

	if (!db_next(s, q))
		return false;
	db_done(q);
	return true;
}

int64_t db_get_int(struct store *s, const char *sql, const struct arg *args, int64_t fallback)
{
	sqlite3_stmt *q = db_read(s, sql, args);

	if (!db_next(s, q))
		return fallback;
	if (sqlite3_column_type(q, 0) != SQLITE_NULL)
		fallback = sqlite3_column_int64(q, 0);
	db_done(q);
	return fallback;
}

uint64_t *db_get_ids(struct store *s, const void *ctx, const char *sql, const struct arg *args, size_t *n_out)
{
	size_t n = 0, size = 16;
	uint64_t *ids = mem_array(ctx, uint64_t, size);
	sqlite3_stmt *q = db_read(s, sql, args);

	while (db_next(s, q)) {
		if (n == size)
			ids = mem_resize(ctx, ids, uint64_t, size *= 2);
		ids[n++] = (uint64_t)col_int(q, 0);
	}
	*n_out = n;
	return ids;
}

const char *col_text_or_null(const void *ctx, sqlite3_stmt *q, int column)
{
	const char *text = (const char *)sqlite3_column_text(q, column);

	return text ? mem_strdup(ctx, text) : NULL;
}

const char *col_text(const void *ctx, sqlite3_stmt *q, int column)
{
	const char *text = (const char *)sqlite3_column_text(q, column);

	return mem_strdup(ctx, text ? text : "");
}

void col_raw(sqlite3_stmt *q, int column, void *out, size_t len)
{
	const void *blob = sqlite3_column_blob(q, column);

	if (blob && (size_t)sqlite3_column_bytes(q, column) == len)
		memcpy(out, blob, len);
	else
		memset(out, 0, len);
}

struct bytes col_bytes(const void *ctx, sqlite3_stmt *q, int column)
{
	const void *blob = sqlite3_column_blob(q, column);

	return blob ? bytes_dup(ctx, bytes_of(blob, (size_t)sqlite3_column_bytes(q, column)))
	            : bytes_of(NULL, 0);
}

int64_t col_int(sqlite3_stmt *q, int column)
{
	return sqlite3_column_int64(q, column);
}

int db_plain(struct store *s, const char *sql)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL);
}

int64_t db_plain_int(struct store *s, const char *sql, int64_t fallback)
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		fallback = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return fallback;
}

bool db_commit(struct store *s)
{
	end_walks(s);
	if (!s->poisoned && db_plain(s, "COMMIT") != SQLITE_OK)
		poison_db(s, "commit");
	if (s->poisoned)
		return false;
	sync_end(s, s->wrote);
	s->begun = s->wrote = false;
	return true;
}

bool db_end_unused(struct store *s)
{
	assert(!s->wrote);
	db_end_reading(s);
	if (s->begun && db_plain(s, "ROLLBACK") != SQLITE_OK)
		return false;
	sync_end(s, false);
	s->begun = false;
	return true;
}

void db_rollback(struct store *s)
{
	end_walks(s);
	if (!sqlite3_get_autocommit(s->db) && db_plain(s, "ROLLBACK") != SQLITE_OK)
		log_err("store: rollback: %s", sqlite3_errmsg(s->db));
	sync_end(s, false);
	s->begun = s->wrote = s->reading = s->poisoned = false;
}

void db_finish(struct store *s)
{
	struct stmt *st, *next;

	HASH_ITER(hh, s->stmts, st, next) {
		HASH_DEL(s->stmts, st);
		sqlite3_finalize(st->q);
		talloc_free(st);
	}
	if (s->db && sqlite3_close(s->db) != SQLITE_OK)
		log_err("store: close state.db: %s", sqlite3_errmsg(s->db));
	s->db = NULL;
}
