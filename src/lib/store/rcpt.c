/*
 * The courier's rows. T_got and T_declined are kept beside p and h, so that a
 * proof that comes in finds its row by an index.
 */
#include "lib/base/clock.h"
#include "lib/mail/value.h"
#include "lib/store/priv.h"

#define COLUMNS "letter, address, state, done, since_ms, due_ms, tries, reason, warned, secret, posting, issued_s," \
	" expires_s, served, tell, orcpt"

const char *rcpt_state_name(enum rcpt_state state)
{
	static const char *const names[] = {
		[RCPT_ACCEPTED] = "accepted", [RCPT_SEALED] = "sealed", [RCPT_RESOLVED] = "resolved",
		[RCPT_OFFERED] = "offered", [RCPT_NOTIFIED] = "notified", [RCPT_DELIVERED] = "delivered",
		[RCPT_DECLINED] = "declined", [RCPT_EXPIRED] = "expired", [RCPT_CANCELLED] = "cancelled",
		[RCPT_FAILED] = "failed",
	};

	return names[state];
}

void store_rcpt_add(struct store *s, uint64_t letter, const char *address, unsigned tell, const char *orcpt)
{
	int64_t now = clock_now_ms();

	db_write(s, "INSERT INTO rcpt(" COLUMNS ", id) VALUES(?, ?, ?, 0, ?, ?, 0, '', 0, NULL, 0, 0, 0, 0, ?, ?, ?)",
	    ARGS(I(letter), T(address), I(RCPT_ACCEPTED), I(now), I(now), I(tell), T(orcpt ? orcpt : ""), I(ids_next(s, COUNTER_RCPT))));
}

/* With COLUMNS, then id. */
static struct rcpt *from_row(const void *ctx, sqlite3_stmt *q)
{
	struct rcpt *r = mem_zero(ctx, struct rcpt);

	r->letter = (uint64_t)col_int(q, 0);
	r->address = col_text(r, q, 1);
	r->state = (enum rcpt_state)col_int(q, 2);
	r->done = col_int(q, 3);
	r->since_ms = col_int(q, 4);
	r->due_ms = col_int(q, 5);
	r->tries = (unsigned)col_int(q, 6);
	r->reason = col_text(r, q, 7);
	r->warned = col_int(q, 8);
	col_raw(q, 9, r->secret, 32);
	r->posting = (uint64_t)col_int(q, 10);
	r->issued_s = col_int(q, 11);
	r->expires_s = col_int(q, 12);
	r->served = col_int(q, 13);
	r->tell = (unsigned)col_int(q, 14);
	r->orcpt = col_text(r, q, 15);
	r->id = (uint64_t)col_int(q, 16);
	return r;
}

static struct rcpt *one(struct store *s, const void *ctx, const char *sql, const struct arg *args)
{
	sqlite3_stmt *q = db_read(s, sql, args);

	if (!db_next(s, q))
		return NULL;
	struct rcpt *r = from_row(ctx, q);
	db_done(q);
	return r;
}

static struct rcpt **many(struct store *s, const void *ctx, const char *sql, const struct arg *args, size_t *n_out)
{
	size_t n = 0, size = 8;
	struct rcpt **rows = mem_array(ctx, struct rcpt *, size);
	sqlite3_stmt *q = db_read(s, sql, args);

	while (db_next(s, q)) {
		if (n == size)
			rows = mem_resize(ctx, rows, struct rcpt *, size *= 2);
		rows[n++] = from_row(rows, q);
	}
	*n_out = n;
	return rows;
}

struct rcpt *store_rcpt_find(struct store *s, const void *ctx, uint64_t id)
{
	return one(s, ctx, "SELECT " COLUMNS ", id FROM rcpt WHERE id = ?", ARGS(I(id)));
}

/* h of a sealed letter. */
static bool find_hash(struct store *s, uint64_t letter, uint8_t out[32])
{
	sqlite3_stmt *q = db_read(s, "SELECT hash FROM letter WHERE id = ? AND sealed = 1", ARGS(I(letter)));

	if (!db_next(s, q))
		return false;
	col_raw(q, 0, out, 32);
	db_done(q);
	return true;
}

void store_rcpt_save(struct store *s, const struct rcpt *r)
{
	static const uint8_t none[32];
	uint8_t hash[32], got[32], declined[32];
	bool has_secret = memcmp(r->secret, none, 32) != 0;
	bool has_proof = has_secret && find_hash(s, r->letter, hash);

	if (has_proof) {
		proof_make(PROOF_GOT, r->secret, hash, got);
		proof_make(PROOF_DECLINED, r->secret, hash, declined);
	}
	db_write(s, "UPDATE rcpt SET (" COLUMNS ", t_got, t_declined) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	    " WHERE id = ?",
	    ARGS(I(r->letter), T(r->address), I(r->state), I(r->done), I(r->since_ms), I(r->due_ms), I(r->tries),
	        T(r->reason ? r->reason : ""), I(r->warned), B(has_secret ? r->secret : NULL, 32), I(r->posting),
	        I(r->issued_s), I(r->expires_s), I(r->served), I(r->tell), T(r->orcpt ? r->orcpt : ""),
	        B(has_proof ? got : NULL, 32), B(has_proof ? declined : NULL, 32),
	        I(r->id)));
	/* Only T_got makes a row `delivered`. */
	if (r->state == RCPT_DELIVERED)
		db_write(s, "INSERT OR IGNORE INTO knows_us(address) VALUES(?)", ARGS(T(r->address)));
}

struct rcpt **store_rcpt_of_letter(struct store *s, const void *ctx, uint64_t letter, size_t *n_out)
{
	return many(s, ctx, "SELECT " COLUMNS ", id FROM rcpt WHERE letter = ? ORDER BY id", ARGS(I(letter)), n_out);
}

unsigned store_rcpt_states(struct store *s, uint64_t letter)
{
	unsigned states = 0;

	/* A look for each is cheaper than one at all of a thousand rows. */
	for (unsigned state = RCPT_ACCEPTED; state <= RCPT_FAILED; state++)
		if (db_has(s, "SELECT 1 FROM rcpt WHERE letter = ? AND done IN (0, 1) AND state = ? LIMIT 1", ARGS(I(letter), I(state))))
			states |= 1u << state;
	return states;
}

bool store_rcpt_any_open(struct store *s, uint64_t letter)
{
	return db_has(s, "SELECT 1 FROM rcpt WHERE letter = ? AND done = 0 LIMIT 1", ARGS(I(letter)));
}

bool store_rcpt_any_open_else(struct store *s, uint64_t letter, enum rcpt_state state)
{
	return db_has(s, "SELECT 1 FROM rcpt WHERE letter = ? AND done = 0 AND state <> ? LIMIT 1", ARGS(I(letter), I(state)));
}

struct rcpt **store_rcpt_of_posting(struct store *s, const void *ctx, uint64_t posting, size_t *n_out)
{
	return many(s, ctx, "SELECT " COLUMNS ", id FROM rcpt WHERE posting = ? AND posting <> 0 ORDER BY id",
	    ARGS(I(posting)), n_out);
}

struct rcpt **store_rcpt_due(struct store *s, const void *ctx, enum rcpt_state state, int64_t now_ms, size_t max,
    size_t *n_out)
{
	if (now_ms > s->rcpt_asked_ms)
		s->rcpt_asked_ms = now_ms;
	return many(s, ctx, "SELECT " COLUMNS ", id FROM rcpt WHERE done = 0 AND state = ? AND due_ms <= ?"
	    " ORDER BY due_ms, id LIMIT ?", ARGS(I(state), I(now_ms), I(max > INT32_MAX ? INT32_MAX : max)), n_out);
}

int64_t store_rcpt_next_due(struct store *s)
{
	return db_get_int(s, "SELECT min(due_ms) FROM rcpt WHERE done = 0 AND due_ms > ?", ARGS(I(s->rcpt_asked_ms)),
	    INT64_MAX);
}

struct rcpt **store_rcpt_posted(struct store *s, const void *ctx, int64_t now_s, size_t *n_out)
{
	return many(s, ctx, "SELECT " COLUMNS ", id FROM rcpt WHERE state IN (?1, ?2) AND expires_s > ?3"
	    " AND (state = ?1 OR posting <> 0)", ARGS(I(RCPT_NOTIFIED), I(RCPT_CANCELLED), I(now_s)), n_out);
}

struct rcpt *store_rcpt_of_proof(struct store *s, const void *ctx, const uint8_t proof[32], bool *declined_out)
{
	struct rcpt *r = one(s, ctx, "SELECT " COLUMNS ", id FROM rcpt WHERE t_got = ?", ARGS(B(proof, 32)));

	*declined_out = !r;
	if (!r)
		r = one(s, ctx, "SELECT " COLUMNS ", id FROM rcpt WHERE t_declined = ?", ARGS(B(proof, 32)));
	return r;
}

bool store_rcpt_knows_us(struct store *s, const char *address)
{
	return db_has(s, "SELECT 1 FROM knows_us WHERE address = ?", ARGS(T(address)));
}

void store_rcpt_log(struct store *s, uint64_t rcpt, const char *text)
{
	db_write(s, "INSERT INTO event(id, rcpt, at_ms, text) VALUES(?, ?, ?, ?)",
	    ARGS(I(ids_next(s, COUNTER_EVENT)), I(rcpt), I(clock_now_ms()), T(text)));
}

struct rcpt_event *store_rcpt_events(struct store *s, const void *ctx, uint64_t rcpt, size_t *n_out)
{
	size_t n = 0, size = 8;
	struct rcpt_event *events = mem_array(ctx, struct rcpt_event, size);
	sqlite3_stmt *q = db_read(s, "SELECT at_ms, text FROM event WHERE rcpt = ? ORDER BY id", ARGS(I(rcpt)));

	while (db_next(s, q)) {
		if (n == size)
			events = mem_resize(ctx, events, struct rcpt_event, size *= 2);
		events[n++] = (struct rcpt_event){ .at_ms = col_int(q, 0), .text = col_text(events, q, 1) };
	}
	*n_out = n;
	return events;
}

/* Rows and events of a letter, and postings that no other row has. */
void rcpt_forget(struct store *s, uint64_t letter)
{
	size_t n;
	struct rcpt **rows = store_rcpt_of_letter(s, s, letter, &n);

	for (size_t i = 0; i < n; i++) {
		db_write(s, "DELETE FROM event WHERE rcpt = ?", ARGS(I(rows[i]->id)));
		db_write(s, "DELETE FROM rcpt WHERE id = ?", ARGS(I(rows[i]->id)));
		if (rows[i]->posting != 0
		    && !db_has(s, "SELECT 1 FROM rcpt WHERE posting = ? AND posting <> 0", ARGS(I(rows[i]->posting))))
			store_posting_drop(s, rows[i]->posting);
	}
	talloc_free(rows);
}
