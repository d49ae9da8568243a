/*
 * Messages of a mailbox: an array in RAM ordered by uid, and rows, which say
 * what a message was filed with (journal.c has what became of its flags). Every
 * change goes to both at once and marks the mailbox; when the commit fails, marked
 * arrays are read again, and uidnext and modseq with them: who tells a client of
 * one waits until it is durable.
 */
#include "lib/store/priv.h"

static void count(struct box *box, const struct message *m, int sign)
{
	if (!(m->flags & FLAG_SEEN))
		box->pub.n_unseen += (size_t)sign;
	if (m->flags & FLAG_RECENT)
		box->pub.n_recent += (size_t)sign;
}

/* Of a mailbox just read. */
static void count_all(struct box *box)
{
	box->pub.n_unseen = box->pub.n_recent = 0;
	for (size_t i = 0; i < box->pub.n_messages; i++)
		count(box, &box->pub.messages[i], 1);
}

static void push(struct box *box, const struct message *m)
{
	struct mailbox *pub = &box->pub;

	if (box->gap + pub->n_messages == box->size) {
		struct message *all = pub->messages - box->gap;

		memmove(all, pub->messages, pub->n_messages * sizeof(*all));
		if (pub->n_messages > box->size / 2)
			all = mem_resize(box, all, struct message, box->size *= 2);
		pub->messages = all;
		box->gap = 0;
	}
	pub->messages[pub->n_messages++] = *m;
}

/* Moves the shorter side: emptying a mailbox from either end moves nothing. */
static void pull(struct box *box, size_t i)
{
	struct mailbox *pub = &box->pub;
	struct message *all = pub->messages;

	uids_drop(box);
	pub->n_messages--;
	if (i > pub->n_messages / 2) {
		memmove(&all[i], &all[i + 1], (pub->n_messages - i) * sizeof(*all));
		return;
	}
	memmove(all + 1, all, i * sizeof(*all));
	pub->messages++;
	box->gap++;
}

static void start_array(struct box *box)
{
	box->size = 4;
	box->gap = 0;
	box->pub.messages = mem_array(box, struct message, box->size);
}

void message_unload(struct box *box)
{
	fold_stop(box);
	uids_drop(box);
	if (box->pub.messages)
		talloc_free(box->pub.messages - box->gap);
	box->pub.messages = NULL;
	box->pub.n_messages = box->pub.n_unseen = box->pub.n_recent = box->size = box->gap = 0;
	box->loaded = false;
}

static void read_messages(struct store *s, struct box *box)
{
	sqlite3_stmt *q = db_read(s, "SELECT id, content, size, keywords, modseq, internal_ms, uid, flags FROM message"
	    " WHERE mailbox = ? ORDER BY uid", ARGS(I(box->pub.id)));

	while (db_next(s, q)) {
		struct message m = {
			.id = (uint64_t)col_int(q, 0), .content = (uint64_t)col_int(q, 1), .size = (uint64_t)col_int(q, 2),
			.keywords = (uint64_t)col_int(q, 3), .modseq = (uint64_t)col_int(q, 4), .internal_ms = message_ms(col_int(q, 5)),
			.uid = (uint32_t)col_int(q, 6), .flags = (uint32_t)col_int(q, 7),
		};
		push(box, &m);
	}
}

bool message_load(struct store *s, struct box *box)
{
	if (box->loaded)
		return true;
	message_unload(box);
	start_array(box);
	s->read_failed = false;
	read_messages(s, box);
	fold_read(s, box);
	journal_replay(s, box);
	count_all(box);
	if (s->read_failed) {
		message_unload(box);
		return false;
	}
	box->loaded = true;
	journal_look(s, box);
	return true;
}

/* From the rows again; \Recent, which has none, is kept. */
void message_reload(struct store *s, struct box *box)
{
	struct message *old = box->pub.messages;
	size_t n_old = box->pub.n_messages, gap = box->gap, i = 0;

	if (!box->loaded)
		return;
	talloc_steal(s, old - gap);
	box->pub.messages = NULL;
	message_unload(box);
	if (message_load(s, box)) {
		for (size_t j = 0; j < n_old; j++) {
			while (i < box->pub.n_messages && box->pub.messages[i].uid < old[j].uid)
				i++;
			if (i == box->pub.n_messages || box->pub.messages[i].uid != old[j].uid || !(old[j].flags & FLAG_RECENT))
				continue;
			box->pub.messages[i].flags |= FLAG_RECENT;
			box->pub.n_recent++;
		}
	}
	talloc_free(old - gap);
}

size_t store_message_index(const struct mailbox *box, uint32_t uid)
{
	size_t low = 0, high = box->n_messages;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (box->messages[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct message *store_message_find(const struct mailbox *box, uint32_t uid)
{
	size_t i = store_message_index(box, uid);

	return i < box->n_messages && box->messages[i].uid == uid ? &box->messages[i] : NULL;
}

const struct message *store_message_near(const struct mailbox *box, uint32_t uid, size_t *at)
{
	const struct message *all = box->messages;
	size_t i = *at;

	if (i + 1 < box->n_messages && all[i + 1].uid == uid)
		i++;
	else if (i >= box->n_messages || all[i].uid != uid)
		i = store_message_index(box, uid);
	if (i == box->n_messages || all[i].uid != uid)
		return NULL;
	*at = i;
	return &all[i];
}

const struct message *store_message_add(struct store *s, struct mailbox *pub, uint64_t content, uint32_t flags,
    uint64_t keywords, int64_t internal_ms)
{
	struct box *box = box_of(pub);

	internal_ms = message_ms(internal_ms);
	/* Without its rows the array would begin with this one; the caller hears that it was undone. */
	if (!message_load(s, box))
		db_poison(s, "mailbox %llu cannot be read", (unsigned long long)pub->id);
	struct message m = {
		.id = ids_next(s, COUNTER_MESSAGE), .content = content, .keywords = keywords, .modseq = ++pub->modseq,
		.internal_ms = internal_ms, .uid = pub->uidnext++, .flags = (flags & FLAGS_STORED) | FLAG_RECENT,
	};
	int64_t size = db_get_int(s, "SELECT size FROM content WHERE id = ?", ARGS(I(content)), -1);
	if (size < 0)
		db_poison(s, "message of content %llu, which is not there", (unsigned long long)content);
	else
		m.size = (uint64_t)size;
	mailbox_touch(s, box);
	if (box->size == 0)
		start_array(box);
	push(box, &m);
	count(box, &m, 1);
	db_write(s, "INSERT INTO message(mailbox, uid, id, content, size, flags, keywords, modseq, internal_ms)"
	    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", ARGS(I(pub->id), I(m.uid), I(m.id), I(content), I(m.size),
	    I(m.flags & FLAGS_STORED), I(keywords), I(m.modseq), I(internal_ms)));
	watch_added(s, box, &m);
	return store_message_find(pub, m.uid);
}

bool store_message_locate(struct store *s, uint64_t id, struct mailbox **box_out, uint32_t *uid_out)
{
	sqlite3_stmt *q = db_read(s, "SELECT mailbox, uid FROM message WHERE id = ?", ARGS(I(id)));

	if (!db_next(s, q))
		return false;
	uint64_t box = (uint64_t)col_int(q, 0);
	*uid_out = (uint32_t)col_int(q, 1);
	db_done(q);
	*box_out = store_mailbox_get(s, box);
	return *box_out != NULL;
}

uint64_t *store_message_of_content(struct store *s, const void *ctx, uint64_t content, size_t *n_out)
{
	return db_get_ids(s, ctx, "SELECT id FROM message WHERE content = ? ORDER BY id", ARGS(I(content)), n_out);
}

void store_content_set_keywords(struct store *s, uint64_t content, uint64_t set, uint64_t clear)
{
	size_t n;
	uint64_t *ids = store_message_of_content(s, s, content, &n);

	for (size_t i = 0; i < n; i++) {
		struct mailbox *box;
		uint32_t uid;
		const struct message *m;

		if (store_message_locate(s, ids[i], &box, &uid) && (m = store_message_find(box, uid)))
			store_message_set_flags(s, box, uid, m->flags, (m->keywords & ~clear) | set);
	}
	talloc_free(ids);
}

static void expunge(struct store *s, struct box *box, size_t i)
{
	struct mailbox *pub = &box->pub;
	struct message was = pub->messages[i];

	count(box, &was, -1);
	pull(box, i);
	pub->modseq++;
	expunged_note(s, box, was.uid);
	mailbox_touch(s, box);
	db_write(s, "DELETE FROM message WHERE mailbox = ? AND uid = ?", ARGS(I(pub->id), I(was.uid)));
	space_freed(s, 1);
	fold_expunged(s, box, was.uid);
	journal_look(s, box);
	watch_expunged(s, box, &was, !db_has(s, "SELECT 1 FROM message WHERE content = ?", ARGS(I(was.content))));
	store_content_sweep(s, was.content);
}

void store_message_expunge(struct store *s, struct mailbox *pub, uint32_t uid)
{
	size_t i = store_message_index(pub, uid);

	if (i < pub->n_messages && pub->messages[i].uid == uid)
		expunge(s, box_of(pub), i);
}

/* From the end: nothing moves. */
void message_expunge_all(struct store *s, struct box *box)
{
	if (!message_load(s, box))
		db_poison(s, "mailbox %llu cannot be read", (unsigned long long)box->pub.id);
	while (box->pub.n_messages > 0)
		expunge(s, box, box->pub.n_messages - 1);
}

/* Into an empty mailbox, with ids, uids and \Recent. */
void message_move_all(struct store *s, struct box *from, struct box *to)
{
	size_t n = from->pub.n_messages;
	struct message *all = mem_array(s, struct message, n + 1);

	assert(from->loaded && to->loaded && to->pub.n_messages == 0);
	memcpy(all, from->pub.messages, n * sizeof(*all));
	mailbox_touch(s, from);
	mailbox_touch(s, to);
	uids_drop(from);
	to->pub.uidnext = from->pub.uidnext;
	to->pub.modseq++;
	db_write(s, "UPDATE message SET mailbox = ?, modseq = ? WHERE mailbox = ?",
	    ARGS(I(to->pub.id), I(to->pub.modseq), I(from->pub.id)));
	for (size_t i = n; i-- > 0; ) {
		count(from, &all[i], -1);
		from->pub.n_messages = i;
		from->pub.modseq++;
		expunged_note(s, from, all[i].uid);
		watch_expunged(s, from, &all[i], false);
	}
	for (size_t i = 0; i < n; i++) {
		all[i].modseq = to->pub.modseq;
		push(to, &all[i]);
		count(to, &all[i], 1);
		watch_added(s, to, &all[i]);
	}
	journal_forget(s, from);
	fold_all(s, to);
	talloc_free(all);
}

void store_message_clear_recent(struct store *s, struct mailbox *pub)
{
	(void)s;
	for (size_t i = pub->n_messages; i-- > 0 && pub->n_recent > 0; ) {
		if (pub->messages[i].flags & FLAG_RECENT)
			pub->n_recent--;
		pub->messages[i].flags &= ~(uint32_t)FLAG_RECENT;
	}
}
