/*
 * What is held for others. A replica names up to three files: the notices
 * object, the head object and m' itself. Whatever row goes or changes, the
 * files it named are put on the list of those to unlink; whether another row
 * has one of them after all is asked when the commit is through (place.c).
 */
#include "lib/store/priv.h"
#include "lib/store/replica.h"

#define OWNER_COLUMNS "address, grp, serial, token_serial, token, etag, issued_s, confirmed_s, seen_s"
#define COLUMNS "owner, hash, listed, sealed_size, expires_s, notices_hash, noticed, has_head, head_hash, head_size," \
	" body, body_ms, done, reason"
#define RCPT_COLUMNS "owner, hash, key, expires_s, c_get, c_got, c_declined, c_recall, state, proof, served"

static const uint8_t none[32];

static bool is_none(const uint8_t hash[32])
{
	return memcmp(hash, none, sizeof(none)) == 0;
}

bool replica_is_whole(const struct replica *r)
{
	return r->body && memcmp(r->noticed, r->notices_hash, 32) == 0;
}

/* --- owners --- */

static struct replica_owner *owner_from_row(const void *ctx, sqlite3_stmt *q)
{
	struct replica_owner *o = mem_zero(ctx, struct replica_owner);

	o->address = col_text(o, q, 0);
	o->group = col_text(o, q, 1);
	o->serial = (uint64_t)col_int(q, 2);
	o->token_serial = (uint64_t)col_int(q, 3);
	col_raw(q, 4, o->token, 32);
	o->etag = col_text(o, q, 5);
	o->issued_s = col_int(q, 6);
	o->confirmed_s = col_int(q, 7);
	o->seen_s = col_int(q, 8);
	return o;
}

struct replica_owner *store_replica_owner_find(struct store *s, const void *ctx, const char *address)
{
	sqlite3_stmt *q = db_read(s, "SELECT " OWNER_COLUMNS " FROM replica_owner WHERE address = ?", ARGS(T(address)));

	if (!db_next(s, q))
		return NULL;
	struct replica_owner *o = owner_from_row(ctx, q);
	db_done(q);
	return o;
}

struct replica_owner **store_replica_owners(struct store *s, const void *ctx, size_t *n_out)
{
	size_t n = 0, size = 8;
	struct replica_owner **all = mem_array(ctx, struct replica_owner *, size);
	sqlite3_stmt *q = db_read(s, "SELECT " OWNER_COLUMNS " FROM replica_owner ORDER BY address", NO_ARGS);

	while (db_next(s, q)) {
		if (n == size)
			all = mem_resize(ctx, all, struct replica_owner *, size *= 2);
		all[n++] = owner_from_row(all, q);
	}
	*n_out = n;
	return all;
}

void store_replica_owner_save(struct store *s, const struct replica_owner *o)
{
	db_write(s, "INSERT OR REPLACE INTO replica_owner(" OWNER_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
	    ARGS(T(o->address), T(o->group ? o->group : ""), I(o->serial), I(o->token_serial), B(o->token, 32),
	        T(o->etag ? o->etag : ""), I(o->issued_s), I(o->confirmed_s), I(o->seen_s)));
}

void store_replica_owner_forget(struct store *s, const char *address)
{
	void *ctx = mem_ctx(NULL);
	size_t n;
	struct replica **all = store_replica_all(s, ctx, address, &n);

	for (size_t i = 0; i < n; i++)
		store_replica_drop(s, address, all[i]->hash);
	db_write(s, "DELETE FROM replica_list WHERE owner = ?", ARGS(T(address)));
	db_write(s, "DELETE FROM replica_owner WHERE address = ?", ARGS(T(address)));
	talloc_free(ctx);
}

struct bytes store_replica_list(struct store *s, const void *ctx, const char *owner)
{
	sqlite3_stmt *q = db_read(s, "SELECT octets FROM replica_list WHERE owner = ?", ARGS(T(owner)));

	if (!db_next(s, q))
		return bytes_of(NULL, 0);
	struct bytes octets = col_bytes(ctx, q, 0);
	db_done(q);
	return octets;
}

void store_replica_list_set(struct store *s, const char *owner, struct bytes octets)
{
	db_write(s, "INSERT OR REPLACE INTO replica_list(owner, octets) VALUES(?, ?)",
	    ARGS(T(owner), B(octets.data, octets.len)));
}

/* --- replicas --- */

static struct replica *from_row(const void *ctx, sqlite3_stmt *q)
{
	struct replica *r = mem_zero(ctx, struct replica);

	r->owner = col_text(r, q, 0);
	col_raw(q, 1, r->hash, 32);
	r->listed = col_int(q, 2);
	r->sealed_size = (uint64_t)col_int(q, 3);
	r->expires_s = col_int(q, 4);
	col_raw(q, 5, r->notices_hash, 32);
	col_raw(q, 6, r->noticed, 32);
	r->has_head = col_int(q, 7);
	col_raw(q, 8, r->head_hash, 32);
	r->head_size = (uint64_t)col_int(q, 9);
	r->body = col_int(q, 10);
	r->body_ms = col_int(q, 11);
	r->done = col_int(q, 12);
	r->reason = col_text(r, q, 13);
	return r;
}

struct replica *store_replica_find(struct store *s, const void *ctx, const char *owner, const uint8_t hash[32])
{
	sqlite3_stmt *q = db_read(s, "SELECT " COLUMNS " FROM replica WHERE owner = ? AND hash = ?",
	    ARGS(T(owner), B(hash, 32)));

	if (!db_next(s, q))
		return NULL;
	struct replica *r = from_row(ctx, q);
	db_done(q);
	return r;
}

static struct replica **replicas(struct store *s, const void *ctx, const char *sql, const struct arg *args, size_t *n_out)
{
	size_t n = 0, size = 8;
	struct replica **all = mem_array(ctx, struct replica *, size);
	sqlite3_stmt *q = db_read(s, sql, args);

	while (db_next(s, q)) {
		if (n == size)
			all = mem_resize(ctx, all, struct replica *, size *= 2);
		all[n++] = from_row(all, q);
	}
	*n_out = n;
	return all;
}

struct replica **store_replica_all(struct store *s, const void *ctx, const char *owner, size_t *n_out)
{
	return replicas(s, ctx, "SELECT " COLUMNS " FROM replica WHERE owner = ? ORDER BY hash", ARGS(T(owner)), n_out);
}

struct replica **store_replica_lacking(struct store *s, const void *ctx, const char *owner, int64_t now_s, size_t *n_out)
{
	return replicas(s, ctx, "SELECT " COLUMNS " FROM replica WHERE owner = ? AND listed = 1 AND done = 0 AND expires_s > ?"
	    " AND (body = 0 OR noticed <> notices_hash) ORDER BY hash", ARGS(T(owner), I(now_s)), n_out);
}

/* A head may be here before its m'. */
static bool has_head(const struct replica *r)
{
	return r->has_head && (r->body || (r->listed && !r->done));
}

/* What was names and is (NULL: nothing) does not: to unlink. */
static void drop_files(struct store *s, const struct replica *was, const struct replica *is)
{
	if (was->body && !(is && is->body))
		place_drop(s, PLACE_REPLICA, was->hash);
	if (was->has_head && !(is && has_head(is) && memcmp(was->head_hash, is->head_hash, 32) == 0))
		place_drop(s, PLACE_REPLICA, was->head_hash);
	if (!is_none(was->noticed) && (!is || memcmp(was->noticed, is->noticed, 32) != 0))
		place_drop(s, PLACE_REPLICA, was->noticed);
}

void store_replica_save(struct store *s, const struct replica *r)
{
	struct replica *was = store_replica_find(s, NULL, r->owner, r->hash);

	if (r->body && !(was && was->body) && !place_exists(s, PLACE_REPLICA, r->hash))
		db_poison(s, "a replica of %s without its file", r->owner);
	if (was)
		drop_files(s, was, r);
	talloc_free(was);
	db_write(s, "INSERT OR REPLACE INTO replica(" COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	    ARGS(T(r->owner), B(r->hash, 32), I(r->listed), I(r->sealed_size), I(r->expires_s), B(r->notices_hash, 32),
	        B(r->noticed, 32), I(r->has_head), B(r->head_hash, 32), I(r->head_size), I(r->body), I(r->body_ms), I(r->done),
	        T(r->reason ? r->reason : "")));
}

void store_replica_drop(struct store *s, const char *owner, const uint8_t hash[32])
{
	struct replica *was = store_replica_find(s, NULL, owner, hash);

	if (!was)
		return;
	drop_files(s, was, NULL);
	db_write(s, "DELETE FROM replica_rcpt WHERE owner = ? AND hash = ?", ARGS(T(was->owner), B(was->hash, 32)));
	db_write(s, "DELETE FROM replica WHERE owner = ? AND hash = ?", ARGS(T(was->owner), B(was->hash, 32)));
	talloc_free(was);
}

/* --- recipients --- */

/* With RCPT_COLUMNS, then value. */
static struct replica_rcpt *rcpt_from_row(const void *ctx, sqlite3_stmt *q)
{
	struct replica_rcpt *r = mem_zero(ctx, struct replica_rcpt);

	r->owner = col_text(r, q, 0);
	col_raw(q, 1, r->hash, 32);
	col_raw(q, 2, r->key, 20);
	r->expires_s = col_int(q, 3);
	col_raw(q, 4, r->c_get, 32);
	col_raw(q, 5, r->c_got, 32);
	col_raw(q, 6, r->c_declined, 32);
	col_raw(q, 7, r->c_recall, 32);
	r->state = (enum replica_rcpt_state)col_int(q, 8);
	col_raw(q, 9, r->proof, 32);
	r->served = col_int(q, 10);
	r->value = col_bytes(r, q, 11);
	return r;
}

static struct replica_rcpt **rcpts(struct store *s, const void *ctx, const char *sql, const struct arg *args, size_t *n_out)
{
	size_t n = 0, size = 4;
	struct replica_rcpt **all = mem_array(ctx, struct replica_rcpt *, size);
	sqlite3_stmt *q = db_read(s, sql, args);

	while (db_next(s, q)) {
		if (n == size)
			all = mem_resize(ctx, all, struct replica_rcpt *, size *= 2);
		all[n++] = rcpt_from_row(all, q);
	}
	*n_out = n;
	return all;
}

struct replica_rcpt **store_replica_rcpts(struct store *s, const void *ctx, const char *owner, const uint8_t hash[32],
    size_t *n_out)
{
	return rcpts(s, ctx, "SELECT " RCPT_COLUMNS ", value FROM replica_rcpt WHERE owner = ? AND hash = ? ORDER BY c_get",
	    ARGS(T(owner), B(hash, 32)), n_out);
}

struct replica_rcpt **store_replica_rcpts_in(struct store *s, const void *ctx, const char *owner,
    enum replica_rcpt_state state, size_t *n_out)
{
	if (state == REPLICA_PENDING)
		return rcpts(s, ctx, "SELECT " RCPT_COLUMNS ", value FROM replica_rcpt WHERE owner = ? AND state = 0"
		    " ORDER BY hash, c_get", ARGS(T(owner)), n_out);
	return rcpts(s, ctx, "SELECT " RCPT_COLUMNS ", NULL FROM replica_rcpt WHERE owner = ? AND state = ?"
	    " ORDER BY hash, c_get", ARGS(T(owner), I(state)), n_out);
}

struct replica_rcpt **store_replica_of_proof(struct store *s, const void *ctx, const uint8_t commitment[32], size_t *n_out)
{
	return rcpts(s, ctx, "SELECT " RCPT_COLUMNS ", value FROM replica_rcpt WHERE c_got = ?1 OR c_declined = ?1 OR c_recall = ?1",
	    ARGS(B(commitment, 32)), n_out);
}

enum replica_rcpt_state replica_proof_kind(const struct replica_rcpt *r, const uint8_t commitment[32])
{
	if (memcmp(r->c_got, commitment, 32) == 0)
		return REPLICA_GOT;
	if (memcmp(r->c_declined, commitment, 32) == 0)
		return REPLICA_DECLINED;
	return memcmp(r->c_recall, commitment, 32) == 0 ? REPLICA_RECALLED : REPLICA_PENDING;
}

void store_replica_rcpt_save(struct store *s, const struct replica_rcpt *r)
{
	db_write(s, "INSERT OR REPLACE INTO replica_rcpt(" RCPT_COLUMNS ", value) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	    ARGS(T(r->owner), B(r->hash, 32), B(r->key, 20), I(r->expires_s), B(r->c_get, 32), B(r->c_got, 32),
	        B(r->c_declined, 32), B(r->c_recall, 32), I(r->state), B(r->proof, 32), I(r->served),
	        B(r->value.data, r->value.len)));
}

void store_replica_rcpt_drop(struct store *s, const struct replica_rcpt *r)
{
	db_write(s, "DELETE FROM replica_rcpt WHERE owner = ? AND hash = ? AND c_get = ?",
	    ARGS(T(r->owner), B(r->hash, 32), B(r->c_get, 32)));
}

size_t store_replica_pending(struct store *s, const char *owner, const uint8_t hash[32])
{
	return (size_t)db_get_int(s, "SELECT count(*) FROM replica_rcpt WHERE owner = ? AND hash = ? AND state = 0",
	    ARGS(T(owner), B(hash, 32)), 0);
}

struct replica **store_replica_over(struct store *s, const void *ctx, int64_t before_s, bool done, size_t *n_out)
{
	return replicas(s, ctx, "SELECT " COLUMNS " FROM replica WHERE done = ?2 AND expires_s < ?1 AND NOT EXISTS"
	    " (SELECT 1 FROM replica_rcpt WHERE replica_rcpt.owner = replica.owner AND replica_rcpt.hash = replica.hash"
	    " AND replica_rcpt.expires_s >= ?1)", ARGS(I(before_s), I(done)), n_out);
}

const char *store_replica_reason(struct store *s, const void *ctx, const char *owner)
{
	sqlite3_stmt *q = db_read(s, "SELECT reason FROM replica WHERE owner = ? AND listed = 1 AND done = 0 AND reason <> ''"
	    " AND (body = 0 OR noticed <> notices_hash) LIMIT 1", ARGS(T(owner)));

	if (!db_next(s, q))
		return "";
	const char *reason = col_text(ctx, q, 0);
	db_done(q);
	return reason;
}

struct replica_counts store_replica_count(struct store *s, const char *owner)
{
	struct replica_counts c = { 0 };
	sqlite3_stmt *q = db_read(s, "SELECT sum(body), sum(CASE body WHEN 1 THEN sealed_size + head_size END),"
	    " sum(listed AND NOT done AND (body = 0 OR noticed <> notices_hash)) FROM replica WHERE ?1 IS NULL OR owner = ?1",
	    ARGS(T(owner)));

	if (db_next(s, q)) {
		c.messages = (uint64_t)col_int(q, 0);
		c.bytes = (uint64_t)col_int(q, 1);
		c.wanted = (uint64_t)col_int(q, 2);
		db_done(q);
	}
	return c;
}
