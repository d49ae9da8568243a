/*
 * Notices heard, and the seen-cache. A notice keeps its content alive only
 * until the body is here or the message has ended otherwise: from then on only
 * messages do, so the last expunge gives the disk its space back while the row
 * goes on answering a notification that comes again.
 */
#include <stdio.h>

#include "lib/mail/value.h"
#include "lib/store/priv.h"

#define COLUMNS "state, done, sender, fpr, hash, digest, key, secret, sealed_size, size, issued_s, expires_s, heard_ms," \
	" urls, grp, has_head, head_hash, head_size, content, wanted, due_ms, tries, reason"

enum { FORGET_AFTER_S = 31 * 24 * 3600 };

const char *notice_state_name(enum notice_state state)
{
	static const char *const names[] = {
		[NOTICE_NOTICED] = "noticed", [NOTICE_FILED] = "filed", [NOTICE_HERE] = "here",
		[NOTICE_DECLINED] = "declined", [NOTICE_RECALLED] = "recalled", [NOTICE_LAPSED] = "lapsed",
		[NOTICE_SPOILT] = "spoilt",
	};

	return names[state];
}

/* In the order of COLUMNS, then t_recall, id. */
static void write_notice(struct store *s, const char *sql, const struct notice *n)
{
	uint8_t recall[32];

	proof_make(PROOF_RECALL, n->secret, n->hash, recall);
	db_write(s, sql, ARGS(I(n->state), I(n->done), T(n->from), T(n->fpr ? n->fpr : ""), B(n->hash, 32), B(n->digest, 32),
	    B(n->key, 32), B(n->secret, 32), I(n->sealed_size), I(n->size), I(n->issued_s), I(n->expires_s),
	    I(n->heard_ms), T(n->urls ? n->urls : ""), T(n->group ? n->group : ""), I(n->has_head), B(n->head_hash, 32),
	    I(n->head_size), I(n->content), I(n->wanted), I(n->due_ms), I(n->tries), T(n->reason ? n->reason : ""),
	    B(recall, 32), I(n->id)));
}

void store_notice_add(struct store *s, struct notice *n)
{
	n->id = ids_next(s, COUNTER_NOTICE);
	write_notice(s, "INSERT INTO notice(" COLUMNS ", t_recall, id) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
	    " ?, ?, ?, ?, ?, ?, ?, ?, ?)", n);
}

/* With COLUMNS, then id. */
static struct notice *from_row(const void *ctx, sqlite3_stmt *q)
{
	struct notice *n = mem_zero(ctx, struct notice);
	const char *from = (const char *)sqlite3_column_text(q, 2);

	n->state = (enum notice_state)col_int(q, 0);
	n->done = col_int(q, 1);
	snprintf(n->from, sizeof(n->from), "%s", from ? from : "");
	n->fpr = col_text(n, q, 3);
	col_raw(q, 4, n->hash, 32);
	col_raw(q, 5, n->digest, 32);
	col_raw(q, 6, n->key, 32);
	col_raw(q, 7, n->secret, 32);
	n->sealed_size = (uint64_t)col_int(q, 8);
	n->size = (uint64_t)col_int(q, 9);
	n->issued_s = col_int(q, 10);
	n->expires_s = col_int(q, 11);
	n->heard_ms = col_int(q, 12);
	n->urls = col_text(n, q, 13);
	n->group = col_text(n, q, 14);
	n->has_head = col_int(q, 15);
	col_raw(q, 16, n->head_hash, 32);
	n->head_size = (uint64_t)col_int(q, 17);
	n->content = (uint64_t)col_int(q, 18);
	n->wanted = col_int(q, 19);
	n->due_ms = col_int(q, 20);
	n->tries = (unsigned)col_int(q, 21);
	n->reason = col_text(n, q, 22);
	n->id = (uint64_t)col_int(q, 23);
	return n;
}

static struct notice *one(struct store *s, const void *ctx, const char *sql, const struct arg *args)
{
	sqlite3_stmt *q = db_read(s, sql, args);

	if (!db_next(s, q))
		return NULL;
	struct notice *n = from_row(ctx, q);
	db_done(q);
	return n;
}

struct notice *store_notice_find(struct store *s, const void *ctx, uint64_t id)
{
	return one(s, ctx, "SELECT " COLUMNS ", id FROM notice WHERE id = ?", ARGS(I(id)));
}

struct notice *store_notice_of(struct store *s, const void *ctx, const uint8_t hash[32], const char *from)
{
	return one(s, ctx, "SELECT " COLUMNS ", id FROM notice WHERE hash = ? AND sender = ?", ARGS(B(hash, 32), T(from)));
}

struct notice *store_notice_of_content(struct store *s, const void *ctx, uint64_t content)
{
	return one(s, ctx, "SELECT " COLUMNS ", id FROM notice WHERE content = ? AND content <> 0 ORDER BY id DESC",
	    ARGS(I(content)));
}

struct notice *store_notice_of_recall(struct store *s, const void *ctx, const uint8_t t_recall[32])
{
	return one(s, ctx, "SELECT " COLUMNS ", id FROM notice WHERE t_recall = ?", ARGS(B(t_recall, 32)));
}

void store_notice_save(struct store *s, const struct notice *n)
{
	uint64_t before = (uint64_t)db_get_int(s, "SELECT content FROM notice WHERE id = ?", ARGS(I(n->id)), 0);

	write_notice(s, "UPDATE notice SET (" COLUMNS ", t_recall) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
	    " ?, ?, ?, ?, ?, ?) WHERE id = ?", n);
	if (before != n->content || n->done || n->state > NOTICE_FILED)
		store_content_sweep(s, before);
}

struct notice **store_notice_due(struct store *s, const void *ctx, enum notice_state state, int64_t now_ms, size_t max,
    size_t *n_out)
{
	size_t n = 0, size = 8;
	struct notice **rows = mem_array(ctx, struct notice *, size);

	if (now_ms > s->notice_asked_ms)
		s->notice_asked_ms = now_ms;
	sqlite3_stmt *q = db_read(s, "SELECT " COLUMNS ", id FROM notice WHERE done = 0 AND state = ? AND due_ms <= ?"
	    " ORDER BY due_ms, id LIMIT ?", ARGS(I(state), I(now_ms), I(max > INT32_MAX ? INT32_MAX : max)));
	while (db_next(s, q)) {
		if (n == size)
			rows = mem_resize(ctx, rows, struct notice *, size *= 2);
		rows[n++] = from_row(rows, q);
	}
	*n_out = n;
	return rows;
}

int64_t store_notice_next_due(struct store *s)
{
	return db_get_int(s, "SELECT min(due_ms) FROM notice WHERE done = 0 AND due_ms > ?", ARGS(I(s->notice_asked_ms)),
	    INT64_MAX);
}

const char **store_notice_signers(struct store *s, const void *ctx, size_t *n_out)
{
	size_t n = 0, size = 8;
	const char **fprs = mem_array(ctx, const char *, size);
	sqlite3_stmt *q = db_read(s, "SELECT DISTINCT fpr FROM notice WHERE state IN (?, ?, ?)",
	    ARGS(I(NOTICE_NOTICED), I(NOTICE_FILED), I(NOTICE_LAPSED)));

	while (db_next(s, q)) {
		if (n == size)
			fprs = mem_resize(ctx, fprs, const char *, size *= 2);
		fprs[n++] = col_text(fprs, q, 0);
	}
	*n_out = n;
	return fprs;
}

uint64_t store_notice_count_unpulled(struct store *s)
{
	return (uint64_t)db_get_int(s, "SELECT count(*) FROM notice WHERE done = 0 AND state = ?", ARGS(I(NOTICE_FILED)), 0);
}

void store_notice_forget(struct store *s, int64_t now_s)
{
	db_write(s, "DELETE FROM notice WHERE done = 1 AND expires_s < ?", ARGS(I(now_s - FORGET_AFTER_S)));
}

bool store_seen_has(struct store *s, const uint8_t hash[32])
{
	return db_has(s, "SELECT 1 FROM seen WHERE hash = ?", ARGS(B(hash, 32)));
}

void store_seen_add(struct store *s, const uint8_t hash[32], uint32_t day)
{
	db_write(s, "INSERT OR REPLACE INTO seen(hash, day) VALUES(?, ?)", ARGS(B(hash, 32), I(day)));
}

void store_seen_forget(struct store *s, uint32_t before_day)
{
	db_write(s, "DELETE FROM seen WHERE day < ?", ARGS(I(before_day)));
}
