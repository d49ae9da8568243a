/*
 * Which UIDs went, and when: what a client that was away asks for (RFC 7162).
 * A row is a run of UIDs that were expunged one after the other, with the
 * mod-sequence of the last; the run that still grows is in RAM and is written
 * with the commit. UIDs are never used again, so a row may name more than went
 * as long as what is still there is taken out when it is read. That bounds the
 * memory: of too many rows the older half becomes one, from its lowest to its
 * highest UID, and a client from before then hears of more than it needs.
 */
#include "lib/store/priv.h"

enum { MAX_RUNS = 2048 };	/* of one mailbox */

static void merge(struct store *s, uint64_t mailbox)
{
	int64_t to = db_get_int(s, "SELECT modseq FROM expunged WHERE mailbox = ? ORDER BY modseq LIMIT 1 OFFSET ?",
	    ARGS(I(mailbox), I(MAX_RUNS / 2)), 0);
	sqlite3_stmt *q = db_read(s, "SELECT min(lo), max(hi) FROM expunged WHERE mailbox = ? AND modseq <= ?",
	    ARGS(I(mailbox), I(to)));

	if (!db_next(s, q))
		return;
	int64_t lo = col_int(q, 0), hi = col_int(q, 1);
	db_done(q);
	db_write(s, "DELETE FROM expunged WHERE mailbox = ? AND modseq <= ?", ARGS(I(mailbox), I(to)));
	db_write(s, "INSERT INTO expunged(mailbox, modseq, lo, hi) VALUES(?, ?, ?, ?)",
	    ARGS(I(mailbox), I(to), I(lo), I(hi)));
}

void expunged_write(struct store *s, struct box *box)
{
	struct expunged_run *r = &box->run;

	if (r->hi == 0)
		return;
	db_write(s, "INSERT INTO expunged(mailbox, modseq, lo, hi) VALUES(?, ?, ?, ?)",
	    ARGS(I(box->pub.id), I(r->modseq), I(r->lo), I(r->hi)));
	r->hi = 0;
	if (box->n_runs >= 0)
		box->n_runs++;
	else
		box->n_runs = db_get_int(s, "SELECT count(*) FROM expunged WHERE mailbox = ?", ARGS(I(box->pub.id)), 0);
	if (box->n_runs > MAX_RUNS) {
		merge(s, box->pub.id);
		box->n_runs = -1;
	}
}

void expunged_note(struct store *s, struct box *box, uint32_t uid)
{
	struct expunged_run *r = &box->run;

	if (r->hi != 0 && uid != r->hi + 1 && uid + 1 != r->lo)
		expunged_write(s, box);
	if (r->hi == 0)
		r->lo = r->hi = uid;
	else if (uid < r->lo)
		r->lo = uid;
	else
		r->hi = uid;
	r->modseq = box->pub.modseq;
}

void expunged_undone(struct box *box)
{
	box->run = (struct expunged_run){ 0 };
	box->n_runs = -1;
}

/* ---- reading ---- */

struct gone_uids {
	const void *ctx;
	struct uid_range *ranges;
	size_t n, size;
};

static void add(struct gone_uids *g, uint32_t lo, uint32_t hi)
{
	if (g->n > 0 && g->ranges[g->n - 1].hi + 1 == lo) {
		g->ranges[g->n - 1].hi = hi;
		return;
	}
	if (g->n == g->size) {
		g->size = g->size ? g->size * 2 : 16;
		g->ranges = mem_resize(g->ctx, g->ranges, struct uid_range, g->size);
	}
	g->ranges[g->n++] = (struct uid_range){ lo, hi };
}

/* All of lo to hi that are not there. */
static void add_absent(struct gone_uids *g, const struct mailbox *pub, uint32_t lo, uint32_t hi)
{
	for (size_t i = store_message_index(pub, lo); i < pub->n_messages && pub->messages[i].uid <= hi; i++) {
		uint32_t uid = pub->messages[i].uid;

		if (uid > lo)
			add(g, lo, uid - 1);
		if (uid == hi)
			return;
		lo = uid + 1;
	}
	add(g, lo, hi);
}

struct uid_range *store_expunged_since(struct store *s, const void *ctx, struct mailbox *pub, uint64_t modseq, size_t *n_out)
{
	struct gone_uids rows = { .ctx = NULL }, g = { .ctx = ctx };
	uint64_t next = 1;

	expunged_write(s, box_of(pub));
	rows.ctx = mem_ctx(NULL);
	s->read_failed = false;
	sqlite3_stmt *q = db_read(s, "SELECT lo, hi FROM expunged WHERE mailbox = ? AND modseq > ? ORDER BY lo",
	    ARGS(I(pub->id), I(modseq < INT64_MAX ? modseq : INT64_MAX)));
	while (db_next(s, q))
		add(&rows, (uint32_t)col_int(q, 0), (uint32_t)col_int(q, 1));
	/* More than went is right, less is not. */
	if (s->read_failed && pub->uidnext > 1)
		add_absent(&g, pub, 1, pub->uidnext - 1);
	for (size_t i = 0; i < rows.n && !s->read_failed; i++) {
		uint32_t lo = rows.ranges[i].lo > next ? rows.ranges[i].lo : (uint32_t)next;

		if (next > rows.ranges[i].hi)
			continue;
		add_absent(&g, pub, lo, rows.ranges[i].hi);
		next = (uint64_t)rows.ranges[i].hi + 1;
	}
	talloc_free((void *)(uintptr_t)rows.ctx);
	*n_out = g.n;
	return g.ranges;
}
