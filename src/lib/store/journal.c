/*
 * Changes of flags. The row of a message says what it was filed with; since
 * then a change is one record of the journal, whatever the number of messages:
 * which bits to clear and to set, and the UIDs it changed, with one
 * mod-sequence for all of them (RFC 7162 section 3.1). Loading a mailbox reads
 * its rows, then the pages the journal was folded into (fold.c), then the
 * journal. Each message takes only what is newer than its own mod-sequence, so
 * that it is the same how often, and from how far back, a record is read.
 *
 * The UIDs are runs of messages that were neighbours: a run names UIDs in
 * between that are gone, never one that was there and did not change.
 */
#include "lib/base/log.h"
#include "lib/store/priv.h"

enum {
	RECORD_COST = 16,		/* reading a record, in messages that it changes */
	FOLD_COST = 16 * 1024,		/* that, and this many times the mailbox, are worth reading again */
	FOLD_TIMES = 4,
	RUN_MAX = 2 * VARINT_MAX,
};

struct changing {
	struct box *box;
	struct flag_change what;
	uint64_t modseq;		/* 0: nothing has changed yet */
	size_t first, next;		/* the run: indices; next 0: none */
	uint32_t last_uid;		/* of the run before */
	uint64_t n;
	uint8_t *uids;
	size_t len, size;
};

/* Bits of what is wanted that make a difference. */
static bool apply(struct message *m, const struct flag_change *c)
{
	uint32_t flags = (m->flags & ~(c->clear & FLAGS_STORED)) | (c->set & FLAGS_STORED);
	uint64_t keywords = (m->keywords & ~c->clear_keywords) | c->set_keywords;

	if (flags == m->flags && keywords == m->keywords)
		return false;
	m->flags = flags;
	m->keywords = keywords;
	return true;
}

/* ---- writing ---- */

struct changing *store_change_begin(struct store *s, struct mailbox *pub, const struct flag_change *what)
{
	struct changing *c = mem_zero(s, struct changing);

	c->box = box_of(pub);
	c->what = *what;
	return c;
}

static void end_run(struct changing *c)
{
	const struct message *all = c->box->pub.messages;

	if (c->next == 0)
		return;
	if (c->size - c->len < RUN_MAX)
		c->uids = mem_resize(c, c->uids, uint8_t, c->size = c->size * 2 + RUN_MAX * 4);
	uint32_t lo = all[c->first].uid, hi = all[c->next - 1].uid;

	c->len += varint_put(c->uids + c->len, lo - c->last_uid);
	c->len += varint_put(c->uids + c->len, hi - lo);
	c->last_uid = hi;
	c->next = 0;
}

bool store_change_one(struct store *s, struct changing *c, size_t index)
{
	struct mailbox *pub = &c->box->pub;
	struct message *m = &pub->messages[index];
	bool unseen = !(m->flags & FLAG_SEEN);

	(void)s;
	assert(index < pub->n_messages && (c->modseq == 0 || index >= c->next));
	if (!apply(m, &c->what))
		return false;
	if (c->modseq == 0)
		c->modseq = ++pub->modseq;
	m->modseq = c->modseq;
	pub->n_unseen += (size_t)!(m->flags & FLAG_SEEN) - (size_t)unseen;
	if (c->next != index)
		end_run(c);
	if (c->next == 0)
		c->first = index;
	c->next = index + 1;
	c->n++;
	return true;
}

void store_change_end(struct store *s, struct changing **cp)
{
	struct changing *c = *cp;
	struct box *box = c->box;
	const struct flag_change *w = &c->what;

	*cp = NULL;
	if (c->modseq != 0) {
		end_run(c);
		mailbox_touch(s, box);
		db_write(s, "INSERT INTO journal(mailbox, modseq, clear_flags, set_flags, clear_keywords, set_keywords, uids)"
		    " VALUES(?, ?, ?, ?, ?, ?, ?)",
		    ARGS(I(box->pub.id), I(c->modseq), I(w->clear & FLAGS_STORED), I(w->set & FLAGS_STORED),
		        I(w->clear_keywords), I(w->set_keywords), B(c->uids, c->len)));
		journal_cost(s, box, c->n);
		watch_changed(s, box);
	}
	talloc_free(c);
}

void journal_cost(struct store *s, struct box *box, uint64_t n_messages)
{
	box->journal_cost += n_messages + RECORD_COST;
	journal_look(s, box);
}

void journal_look(struct store *s, struct box *box)
{
	uint64_t n = box->pub.n_messages;

	if (box->journal_cost > (n > 0 ? FOLD_COST + FOLD_TIMES * n : 0))
		fold_begin(s, box);
}

void journal_forget(struct store *s, struct box *box)
{
	fold_stop(box);
	box->journal_cost = 0;
	db_write(s, "DELETE FROM journal WHERE mailbox = ?", ARGS(I(box->pub.id)));
	db_write(s, "DELETE FROM flags WHERE mailbox = ?", ARGS(I(box->pub.id)));
}

void store_message_set_flags(struct store *s, struct mailbox *pub, uint32_t uid, uint32_t flags, uint64_t keywords)
{
	size_t i = store_message_index(pub, uid);

	if (i == pub->n_messages || pub->messages[i].uid != uid)
		return;
	struct changing *c = store_change_begin(s, pub, &(struct flag_change){
		.clear = ~flags, .set = flags, .clear_keywords = ~keywords, .set_keywords = keywords,
	});
	store_change_one(s, c, i);
	store_change_end(s, &c);
}

/* ---- reading ---- */

/* The next run; false at the end, and when it is broken (broken_out). */
static bool next_run(struct bytes *uids, uint64_t *last, uint32_t *lo_out, uint32_t *hi_out, bool *broken_out)
{
	uint64_t skip, more;

	*broken_out = false;
	if (uids->len == 0)
		return false;
	if (varint_get(uids, &skip) && varint_get(uids, &more) && skip <= UINT32_MAX - *last &&
	    more <= UINT32_MAX - *last - skip) {
		*lo_out = (uint32_t)(*last + skip);
		*hi_out = (uint32_t)(*lo_out + more);
		*last = *hi_out;
		return true;
	}
	*broken_out = true;
	return false;
}

bool journal_take(struct mailbox *pub, uint64_t modseq, const struct flag_change *what, struct bytes uids, uint64_t *n_out)
{
	uint64_t last = 0;
	uint32_t lo, hi;
	bool broken = modseq == 0 || modseq > MODSEQ_MAX;

	*n_out = 0;
	while (!broken && next_run(&uids, &last, &lo, &hi, &broken)) {
		for (size_t i = store_message_index(pub, lo); i < pub->n_messages && pub->messages[i].uid <= hi; i++, ++*n_out) {
			if (pub->messages[i].modseq >= modseq)
				continue;
			apply(&pub->messages[i], what);
			pub->messages[i].modseq = modseq;
		}
	}
	return !broken;
}

void journal_replay(struct store *s, struct box *box)
{
	struct mailbox *pub = &box->pub;
	uint64_t n;

	box->journal_cost = 0;
	box->folded = pub->modseq;
	sqlite3_stmt *q = db_read(s, "SELECT modseq, clear_flags, set_flags, clear_keywords, set_keywords, uids FROM journal"
	    " WHERE mailbox = ? ORDER BY modseq", ARGS(I(pub->id)));
	while (db_next(s, q)) {
		const struct flag_change what = {
			.clear = (uint32_t)col_int(q, 1), .set = (uint32_t)col_int(q, 2),
			.clear_keywords = (uint64_t)col_int(q, 3), .set_keywords = (uint64_t)col_int(q, 4),
		};
		uint64_t modseq = (uint64_t)col_int(q, 0);
		struct bytes uids = bytes_of(sqlite3_column_blob(q, 5), (size_t)sqlite3_column_bytes(q, 5));

		if (!journal_take(pub, modseq, &what, uids, &n))
			log_err("mailbox=%llu modseq=%llu journal=broken: flags of some messages may be old",
			    (unsigned long long)pub->id, (unsigned long long)modseq);
		if (box->folded >= modseq && modseq > 0)
			box->folded = modseq - 1;
		box->journal_cost += n + RECORD_COST;
	}
}

bool journal_check(struct bytes uids)
{
	uint64_t last = 0;
	uint32_t lo, hi;
	bool broken;

	while (next_run(&uids, &last, &lo, &hi, &broken))
		;
	return !broken;
}
