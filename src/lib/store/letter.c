/*
 * Letters and postings: what was submitted, and the octets in the DHT that
 * announce it. Recipients are in rcpt.c.
 */
#include "lib/base/clock.h"
#include "lib/store/priv.h"

#define COLUMNS "content, message_id, subject, sender, submitted_ms, sealed, key, hash, sealed_size, has_head," \
	" head_hash, head_size, outbox_message, size, done, ret_full, envid, done_ms"

/* In the order of COLUMNS, then id. */
static void write_letter(struct store *s, const char *sql, const struct letter *l, int64_t done_ms)
{
	db_write(s, sql, ARGS(I(l->content), T(l->message_id ? l->message_id : ""), T(l->subject ? l->subject : ""),
	    T(l->sender ? l->sender : ""), I(l->submitted_ms), I(l->sealed), B(l->key, 32), B(l->hash, 32),
	    I(l->sealed_size), I(l->has_head), B(l->head_hash, 32), I(l->head_size), I(l->outbox_message), I(l->size), I(l->done),
	    I(l->ret_full), T(l->envid ? l->envid : ""), I(done_ms), I(l->id)));
}

void store_letter_add(struct store *s, struct letter *l, const char *const *addresses, size_t n)
{
	l->id = ids_next(s, COUNTER_LETTER);
	write_letter(s, "INSERT INTO letter(" COLUMNS ", id) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", l, 0);
	for (size_t i = 0; i < n; i++)
		store_rcpt_add(s, l->id, addresses[i], RCPT_TELL_FAILURE | RCPT_TELL_DELAY, NULL);
}

struct letter *store_letter_find(struct store *s, const void *ctx, uint64_t id)
{
	sqlite3_stmt *q = db_read(s, "SELECT " COLUMNS " FROM letter WHERE id = ?", ARGS(I(id)));

	if (!db_next(s, q))
		return NULL;
	struct letter *l = mem_zero(ctx, struct letter);
	l->id = id;
	l->content = (uint64_t)col_int(q, 0);
	l->message_id = col_text(l, q, 1);
	l->subject = col_text(l, q, 2);
	l->sender = col_text(l, q, 3);
	l->submitted_ms = col_int(q, 4);
	l->sealed = col_int(q, 5);
	col_raw(q, 6, l->key, 32);
	col_raw(q, 7, l->hash, 32);
	l->sealed_size = (uint64_t)col_int(q, 8);
	l->has_head = col_int(q, 9);
	col_raw(q, 10, l->head_hash, 32);
	l->head_size = (uint64_t)col_int(q, 11);
	l->outbox_message = (uint64_t)col_int(q, 12);
	l->size = (uint64_t)col_int(q, 13);
	l->done = col_int(q, 14);
	l->ret_full = col_int(q, 15);
	l->envid = col_text(l, q, 16);
	db_done(q);
	return l;
}

void store_letter_save(struct store *s, const struct letter *l)
{
	int64_t done_ms = db_get_int(s, "SELECT done_ms FROM letter WHERE id = ?", ARGS(I(l->id)), 0);
	bool ends = l->done && done_ms == 0;

	write_letter(s, "UPDATE letter SET (" COLUMNS ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?", l,
	    ends ? clock_now_ms() : l->done ? done_ms : 0);
	if (ends)
		store_content_sweep(s, l->content);
}

uint64_t *store_letter_open(struct store *s, const void *ctx, size_t *n_out)
{
	return db_get_ids(s, ctx, "SELECT id FROM letter WHERE done = 0 ORDER BY id", NO_ARGS, n_out);
}

uint64_t store_letter_of_message(struct store *s, uint64_t message)
{
	return (uint64_t)db_get_int(s, "SELECT id FROM letter WHERE outbox_message = ? AND outbox_message <> 0",
	    ARGS(I(message)), 0);
}

/* A row, or a file. */
static void drop_octets(struct store *s, const uint8_t hash[32])
{
	if (!sealed_forget(s, hash))
		place_drop(s, PLACE_OUTBOX, hash);
}

void store_letter_drop_files(struct store *s, const struct letter *l)
{
	db_write(s, "UPDATE letter SET dropped = 1 WHERE id = ?", ARGS(I(l->id)));
	if (l->sealed)
		drop_octets(s, l->hash);
	if (l->has_head)
		drop_octets(s, l->head_hash);
}

static void forget(struct store *s, uint64_t id)
{
	struct letter *l = store_letter_find(s, NULL, id);

	if (!l)
		return;
	store_letter_drop_files(s, l);
	rcpt_forget(s, id);
	db_write(s, "DELETE FROM letter WHERE id = ?", ARGS(I(id)));
	store_content_sweep(s, l->content);
	talloc_free(l);
}

void store_letter_forget(struct store *s, int64_t before_ms)
{
	size_t n;
	uint64_t *ids = db_get_ids(s, s, "SELECT id FROM letter WHERE done = 1 AND done_ms < ?", ARGS(I(before_ms)), &n);

	for (size_t i = 0; i < n; i++)
		forget(s, ids[i]);
	talloc_free(ids);
}

struct letter_counts store_letter_count(struct store *s)
{
	struct letter_counts counts = { 0 };
	sqlite3_stmt *q = db_read(s, "SELECT count(*), sum(sealed), sum(CASE sealed WHEN 1 THEN sealed_size + head_size END),"
	    " sum(CASE sealed WHEN 0 THEN size END)"
	    " FROM letter WHERE done = 0 AND dropped = 0", NO_ARGS);

	if (db_next(s, q)) {
		counts.outbox_messages = (uint64_t)col_int(q, 1);
		counts.outbox_bytes = (uint64_t)col_int(q, 2);
		counts.spool = (uint64_t)col_int(q, 0) - counts.outbox_messages;
		counts.spool_bytes = (uint64_t)col_int(q, 3);
		db_done(q);
	}
	return counts;
}

void store_posting_add(struct store *s, struct posting *p)
{
	p->id = ids_next(s, COUNTER_POSTING);
	db_write(s, "INSERT INTO posting(id, address, value, expires_s) VALUES(?, ?, ?, ?)",
	    ARGS(I(p->id), T(p->address), B(p->value.data, p->value.len), I(p->expires_s)));
}

struct posting *store_posting_find(struct store *s, const void *ctx, uint64_t id)
{
	sqlite3_stmt *q = db_read(s, "SELECT address, value, expires_s FROM posting WHERE id = ?", ARGS(I(id)));

	if (!db_next(s, q))
		return NULL;
	struct posting *p = mem_zero(ctx, struct posting);
	p->id = id;
	p->address = col_text(p, q, 0);
	p->value = col_bytes(p, q, 1);
	p->expires_s = col_int(q, 2);
	db_done(q);
	return p;
}

size_t store_posting_pending(struct store *s, uint64_t id)
{
	return (size_t)db_get_int(s, "SELECT count(*) FROM rcpt WHERE posting = ? AND posting <> 0 AND state IN (?, ?)",
	    ARGS(I(id), I(RCPT_OFFERED), I(RCPT_NOTIFIED)), 0);
}

/* Rows keep its number: it says that there was one. */
void store_posting_drop(struct store *s, uint64_t id)
{
	db_write(s, "DELETE FROM posting WHERE id = ?", ARGS(I(id)));
}
