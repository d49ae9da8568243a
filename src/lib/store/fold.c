/*
 * The journal folded: pages with flags, keywords and mod-sequence of all
 * messages whose UIDs have the same upper bits. When reading the journal again
 * would cost more than reading the mailbox some times, the pages with a change
 * in them are written, a few with each turn of the store, and then the records
 * up to where that began go. Between the two, pages and records may both say
 * the same, which harms nothing (journal.c). A page may name messages that
 * were expunged since.
 *
 * Octets of a page: for each message how far its UID is from the one before
 * (the first: from the beginning of the page), flags, keywords, mod-sequence,
 * as varints.
 */
#include "lib/base/log.h"
#include "lib/store/priv.h"

enum {
	PAGE_BITS = 12,			/* part of the format */
	PAGE_UIDS = 1 << PAGE_BITS,
	TURN_COST = 160,		/* of pages written and looked at in one turn */
	WRITE_COST = 20,
	ENTRY_MAX = 4 * VARINT_MAX,
};

static uint32_t page_of(uint32_t uid)
{
	return uid >> PAGE_BITS;
}

/* ---- writing ---- */

void fold_begin(struct store *s, struct box *box)
{
	if (box->folding)
		return;
	box->folding = true;
	box->fold_upto = box->pub.modseq;
	box->fold_uid = 0;
	box->fold_cost = box->journal_cost;
	box->journal_cost = 0;		/* of what comes from now on */
	LIST_INSERT_HEAD(&s->folding, box, fold_link);
}

void fold_stop(struct box *box)
{
	if (box->folding)
		LIST_REMOVE(box, fold_link);
	box->folding = false;
}

/* All is to be read again as before: the next record begins anew. */
void fold_failed(struct box *box)
{
	box->journal_cost += box->fold_cost;
	fold_stop(box);
}

static void write_page(struct store *s, const struct box *box, uint32_t page, size_t from, size_t to)
{
	uint8_t *octets = mem_array(NULL, uint8_t, (to - from) * ENTRY_MAX);
	uint32_t last = page << PAGE_BITS;
	size_t len = 0;

	for (size_t i = from; i < to; i++) {
		const struct message *m = &box->pub.messages[i];

		len += varint_put(octets + len, m->uid - last);
		len += varint_put(octets + len, m->flags & FLAGS_STORED);
		len += varint_put(octets + len, m->keywords);
		len += varint_put(octets + len, m->modseq);
		last = m->uid;
	}
	db_write(s, "INSERT OR REPLACE INTO flags(mailbox, page, octets) VALUES(?, ?, ?)",
	    ARGS(I(box->pub.id), I(page), B(octets, len)));
	talloc_free(octets);
}

/* From this index on: end of its page, and whether the journal has changed it since it was folded last. */
static size_t page_end(const struct box *box, size_t from, bool *changed_out)
{
	const struct mailbox *pub = &box->pub;
	uint32_t page = page_of(pub->messages[from].uid);
	size_t i = from;

	*changed_out = false;
	for (; i < pub->n_messages && page_of(pub->messages[i].uid) == page; i++)
		*changed_out |= pub->messages[i].modseq > box->folded;
	return i;
}

static void fold_end(struct store *s, struct box *box)
{
	db_write(s, "DELETE FROM journal WHERE mailbox = ? AND modseq <= ?", ARGS(I(box->pub.id), I(box->fold_upto)));
	space_freed(s, (unsigned)sqlite3_changes(s->db));
	box->folded = box->fold_upto;
	fold_stop(box);
}

/* Some pages of one mailbox. */
static void fold_some(struct store *s, struct box *box, int64_t cost)
{
	struct mailbox *pub = &box->pub;
	size_t i = store_message_index(pub, box->fold_uid);

	while (i < pub->n_messages && cost > 0) {
		bool changed;
		size_t end = page_end(box, i, &changed);

		if (changed)
			write_page(s, box, page_of(pub->messages[i].uid), i, end);
		cost -= changed ? WRITE_COST : 1;
		box->fold_uid = pub->messages[end - 1].uid + 1;
		i = end;
	}
	if (i == pub->n_messages)
		fold_end(s, box);
}

void fold_step(struct store *s, struct box *box)
{
	fold_some(s, box, TURN_COST);
}

void fold_all(struct store *s, struct box *box)
{
	fold_stop(box);
	box->folded = 0;
	fold_begin(s, box);
	fold_some(s, box, INT64_MAX);
}

void fold_expunged(struct store *s, struct box *box, uint32_t uid)
{
	const struct mailbox *pub = &box->pub;
	size_t i = store_message_index(pub, uid);
	uint32_t page = page_of(uid);

	/* The last one of its page. */
	if ((i < pub->n_messages && page_of(pub->messages[i].uid) == page) ||
	    (i > 0 && page_of(pub->messages[i - 1].uid) == page))
		return;
	db_write(s, "DELETE FROM flags WHERE mailbox = ? AND page = ?", ARGS(I(pub->id), I(page)));
}

/* ---- reading ---- */

struct entry {
	uint64_t uid, flags, keywords, modseq;
};

static bool next_entry(struct bytes *octets, uint32_t page, struct entry *x)
{
	uint64_t skip;

	if (!varint_get(octets, &skip) || !varint_get(octets, &x->flags) || !varint_get(octets, &x->keywords) ||
	    !varint_get(octets, &x->modseq) || skip >= PAGE_UIDS || x->modseq > MODSEQ_MAX)
		return false;
	x->uid += skip;
	return page_of((uint32_t)x->uid) == page && x->uid <= UINT32_MAX;
}

bool fold_take(struct mailbox *pub, uint32_t page, struct bytes octets)
{
	struct entry x = { .uid = (uint64_t)page << PAGE_BITS };
	size_t i = store_message_index(pub, (uint32_t)x.uid);

	while (octets.len > 0) {
		if (!next_entry(&octets, page, &x))
			return false;
		while (i < pub->n_messages && pub->messages[i].uid < x.uid)
			i++;
		if (i == pub->n_messages || pub->messages[i].uid != x.uid || pub->messages[i].modseq > x.modseq)
			continue;
		pub->messages[i].flags = (uint32_t)x.flags & FLAGS_STORED;
		pub->messages[i].keywords = x.keywords;
		pub->messages[i].modseq = x.modseq;
	}
	return true;
}

void fold_read(struct store *s, struct box *box)
{
	struct mailbox *pub = &box->pub;

	fold_stop(box);
	sqlite3_stmt *q = db_read(s, "SELECT page, octets FROM flags WHERE mailbox = ?", ARGS(I(pub->id)));
	while (db_next(s, q)) {
		uint32_t page = (uint32_t)col_int(q, 0);

		if (page > page_of(UINT32_MAX) ||
		    !fold_take(pub, page, bytes_of(sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1))))
			log_err("mailbox=%llu page=%u flags=broken: flags of some messages may be old",
			    (unsigned long long)pub->id, page);
	}
}

bool fold_check(uint32_t page, struct bytes octets)
{
	struct entry x = { .uid = (uint64_t)page << PAGE_BITS };

	while (octets.len > 0)
		if (!next_entry(&octets, page, &x))
			return false;
	return true;
}
