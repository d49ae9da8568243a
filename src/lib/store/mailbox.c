/*
 * Mailboxes. All of them are in RAM from the start, found by id and by name,
 * with their messages; those of one that could not be read again after an
 * undone transaction are loaded when somebody asks. UIDVALIDITY comes from a
 * counter of its own, so a name made again never has an old one. After an
 * undone transaction the rows tell what there is, and mailboxes that are still
 * there keep their address.
 */
#include <stdlib.h>

#include "lib/store/priv.h"

static const struct { const char *name, *special; } standard[N_STANDARD] = {
	[BOX_INBOX] = { "INBOX", NULL },
	[BOX_DRAFTS] = { "Drafts", "\\Drafts" },
	[BOX_SENT] = { "Sent", "\\Sent" },
	[BOX_TRASH] = { "Trash", "\\Trash" },
	[BOX_JUNK] = { "Junk", "\\Junk" },
	[BOX_OUTBOX] = { "Outbox", NULL },
	[BOX_REQUESTS] = { "Requests", NULL },
};

struct box *mailbox_by_id(struct store *s, uint64_t id)
{
	struct box *box;

	HASH_FIND(hh_id, s->by_id, &id, sizeof(id), box);
	return box;
}

static struct box *by_name(struct store *s, const char *name)
{
	struct box *box;

	HASH_FIND(hh_name, s->by_name, name, strlen(name), box);
	return box;
}

static void set_name(struct store *s, struct box *box, const char *name)
{
	if (box->pub.name)
		HASH_DELETE(hh_name, s->by_name, box);
	char *old = (char *)(uintptr_t)box->pub.name;
	box->pub.name = mem_strdup(box, name);
	HASH_ADD_KEYPTR(hh_name, s->by_name, box->pub.name, strlen(box->pub.name), box);
	talloc_free(old);
}

static struct box *add(struct store *s, uint64_t id, const char *name)
{
	struct box *box = mem_zero(s, struct box);

	box->pub.id = id;
	box->n_runs = -1;
	HASH_ADD(hh_id, s->by_id, pub.id, sizeof(box->pub.id), box);
	set_name(s, box, name);
	return box;
}

static void forget(struct store *s, struct box *box)
{
	HASH_DELETE(hh_id, s->by_id, box);
	HASH_DELETE(hh_name, s->by_name, box);	/* NOLINT(clang-analyzer-core.NullDereference): uthash's */
	if (box->dirty)
		LIST_REMOVE(box, dirty_link);
	fold_stop(box);
	talloc_free(box);
}

void mailbox_touch(struct store *s, struct box *box)
{
	if (box->dirty)
		return;
	box->dirty = true;
	LIST_INSERT_HEAD(&s->dirty, box, dirty_link);
}

void mailbox_write(struct store *s)
{
	struct box *box;

	LIST_FOREACH(box, &s->dirty, dirty_link) {
		expunged_write(s, box);
		db_write(s, "UPDATE mailbox SET uidnext = ?, modseq = ? WHERE id = ?",
		    ARGS(I(box->pub.uidnext), I(box->pub.modseq), I(box->pub.id)));
	}
}

void mailbox_committed(struct store *s)
{
	while (!LIST_EMPTY(&s->dirty)) {
		LIST_FIRST(&s->dirty)->dirty = false;
		LIST_REMOVE(LIST_FIRST(&s->dirty), dirty_link);
	}
}

static struct box *make(struct store *s, const char *name, enum standard which)
{
	struct box *box = add(s, ids_next(s, COUNTER_MAILBOX), name);
	bool is_standard = which < N_STANDARD;

	box->pub.uidvalidity = (uint32_t)ids_next(s, COUNTER_UIDVALIDITY);
	box->pub.uidnext = 1;
	box->pub.modseq = 1;
	box->pub.subscribed = store_subscription_drop(s, name);
	if (is_standard) {
		s->standard[which] = box;
		box->pub.special = standard[which].special;
		box->pub.subscribed = true;
	}
	mailbox_touch(s, box);
	db_write(s, "INSERT INTO mailbox(id, name, standard, special, uidvalidity, uidnext, modseq, subscribed)"
	    " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
	    ARGS(I(box->pub.id), T(name), I(is_standard ? (int64_t)which : -1), T(box->pub.special),
	        I(box->pub.uidvalidity), I(box->pub.uidnext), I(box->pub.modseq), I(box->pub.subscribed)));
	return box;
}

/* With id, name, standard, special, uidvalidity, uidnext, modseq, subscribed. */
static void take_row(struct store *s, sqlite3_stmt *q)
{
	struct box *box = mailbox_by_id(s, (uint64_t)col_int(q, 0));
	const char *name = (const char *)sqlite3_column_text(q, 1);
	int64_t which = col_int(q, 2);

	if (!box)
		box = add(s, (uint64_t)col_int(q, 0), name);
	else if (strcmp(box->pub.name, name) != 0)
		set_name(s, box, name);
	box->seen = true;
	if (which >= 0 && which < N_STANDARD)
		s->standard[which] = box;
	if (!box->pub.special)
		box->pub.special = col_text_or_null(box, q, 3);
	box->pub.uidvalidity = (uint32_t)col_int(q, 4);
	box->pub.uidnext = (uint32_t)col_int(q, 5);
	box->pub.modseq = (uint64_t)col_int(q, 6);
	box->pub.subscribed = col_int(q, 7);
}

/* What the rows say; false when they cannot be read: then what is in RAM stays. */
static bool read_rows(struct store *s)
{
	struct box *box, *next;

	HASH_ITER(hh_id, s->by_id, box, next)
		box->seen = false;
	s->read_failed = false;
	sqlite3_stmt *q = db_read(s, "SELECT id, name, standard, special, uidvalidity, uidnext, modseq, subscribed FROM mailbox",
	    NO_ARGS);
	while (db_next(s, q))
		take_row(s, q);
	if (s->read_failed)
		return false;
	HASH_ITER(hh_id, s->by_id, box, next) {
		if (!box->seen)
			forget(s, box);
	}
	return true;
}

enum outcome mailbox_start(struct store *s, struct err *e)
{
	struct box *box, *next;

	if (read_rows(s)) {
		for (enum standard i = 0; i < N_STANDARD; i++) {
			if (!s->standard[i])
				make(s, standard[i].name, i);
		}
		if (s->wrote) {
			mailbox_write(s);
			ids_write(s);
			if (db_commit(s))
				mailbox_committed(s);
		}
	}
	/* All of them now: nobody waits yet. */
	HASH_ITER(hh_id, s->by_id, box, next)
		message_load(s, box);
	if (!s->poisoned)
		return OK;
	err_set(e, "read mailboxes: %s", s->why.text);
	return RETRY;
}

/* uidnext and modseq go back, too: what was not durable was told to nobody. */
void mailbox_undone(struct store *s)
{
	struct box *box;
	bool good = read_rows(s);

	LIST_FOREACH(box, &s->dirty, dirty_link) {
		expunged_undone(box);
		message_reload(s, box);
	}
	if (good)
		mailbox_committed(s);
}

void mailbox_free(struct store *s)
{
	HASH_CLEAR(hh_id, s->by_id);
	HASH_CLEAR(hh_name, s->by_name);
}

static struct mailbox *loaded(struct store *s, struct box *box)
{
	return box && message_load(s, box) ? &box->pub : NULL;
}

static struct box *find(struct store *s, const char *name, struct err *e)
{
	char *normal = name_normal(NULL, name, e);
	struct box *box = normal ? by_name(s, normal) : NULL;

	if (normal && !box)
		err_set(e, "there is no such mailbox");
	talloc_free(normal);
	return box;
}

struct mailbox *store_mailbox_find(struct store *s, const char *name)
{
	struct err e;

	return loaded(s, find(s, name, &e));
}

struct mailbox *store_mailbox_get(struct store *s, uint64_t id)
{
	return loaded(s, mailbox_by_id(s, id));
}

struct mailbox *store_mailbox_standard(struct store *s, enum standard which)
{
	return loaded(s, s->standard[which]);
}

static int compare(const void *a, const void *b)
{
	const struct mailbox *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

struct mailbox **store_mailbox_all(struct store *s, const void *ctx, size_t *n_out)
{
	struct box *box, *next;
	size_t n = 0;
	struct mailbox **all = mem_array(ctx, struct mailbox *, HASH_CNT(hh_id, s->by_id) + 1);

	HASH_ITER(hh_id, s->by_id, box, next)
		all[n++] = &box->pub;
	qsort(all, n, sizeof(*all), compare);
	*n_out = n;
	return all;
}

/* Make name and what is missing above it. NULL with err when there would be too many. */
static struct box *make_with_parents(struct store *s, const char *name, struct err *e)
{
	unsigned missing = 1;

	for (const char *p = strchr(name, '/'); p; p = strchr(p + 1, '/')) {
		struct box *box;

		HASH_FIND(hh_name, s->by_name, name, (size_t)(p - name), box);
		missing += !box;
	}
	if (HASH_CNT(hh_id, s->by_id) + missing > LIMIT_MAILBOXES) {
		err_set(e, "there are too many mailboxes");
		return NULL;
	}
	char *parent = name_parent(NULL, name);
	if (parent && !by_name(s, parent))
		make_with_parents(s, parent, e);
	talloc_free(parent);
	return make(s, name, N_STANDARD);
}

/* A new name, which nothing has; below ctx. A separator at the end only says that names below it will come (RFC 3501, 6.3.3). */
static char *new_name(struct store *s, const void *ctx, const char *name, struct err *e)
{
	size_t len = strlen(name);
	char *cut = mem_strndup(NULL, name, len > 1 && name[len - 1] == '/' ? len - 1 : len);
	char *normal = name_normal(ctx, cut, e);

	talloc_free(cut);
	if (normal && by_name(s, normal)) {
		err_set(e, "the mailbox exists already");
		TALLOC_FREE(normal);
	}
	return normal;
}

enum outcome store_mailbox_create(struct store *s, const char *name, struct err *e)
{
	char *normal = new_name(s, NULL, name, e);
	struct box *box = normal ? make_with_parents(s, normal, e) : NULL;

	talloc_free(normal);
	return box ? OK : REJECT;
}

void store_mailbox_set_special(struct store *s, struct mailbox *box, const char *special)
{
	box->special = mem_strdup(box, special);
	db_write(s, "UPDATE mailbox SET special = ? WHERE id = ?", ARGS(T(special), I(box->id)));
}

static bool is_standard(const struct store *s, const struct box *box)
{
	for (int i = 0; i < N_STANDARD; i++) {
		if (s->standard[i] == box)
			return true;
	}
	return false;
}

enum outcome store_mailbox_may_delete(struct store *s, const char *name, struct err *e)
{
	struct box *box = find(s, name, e);

	if (box && is_standard(s, box))
		err_set(e, "a standard mailbox cannot be deleted");
	return box && !is_standard(s, box) ? OK : REJECT;
}

enum outcome store_mailbox_delete(struct store *s, const char *name, struct err *e)
{
	if (store_mailbox_may_delete(s, name, e) != OK)
		return REJECT;
	struct box *box = find(s, name, e);
	uint64_t id = box->pub.id;
	message_expunge_all(s, box);
	box->run.hi = 0;
	if (box->pub.subscribed)
		subscription_keep(s, box->pub.name);
	db_write(s, "DELETE FROM expunged WHERE mailbox = ?", ARGS(I(id)));
	journal_forget(s, box);
	db_write(s, "DELETE FROM mailbox WHERE id = ?", ARGS(I(id)));
	forget(s, box);
	watch_mailbox_gone(s, id);
	return OK;
}

static bool is_below(const char *name, const char *top)
{
	size_t len = strlen(top);

	return strncmp(name, top, len) == 0 && name[len] == '/';
}

/* What moves with `from`: itself, if it is there, and all below it. Checks that each new name is free and good. */
static struct box **movers(struct store *s, const char *from, const char *to, size_t *n_out, struct err *e)
{
	struct box *box, *next;
	struct box **list = mem_array(s, struct box *, HASH_CNT(hh_id, s->by_id) + 1);
	bool good = true;

	*n_out = 0;
	HASH_ITER(hh_id, s->by_id, box, next) {
		if (strcmp(box->pub.name, from) != 0 && !is_below(box->pub.name, from))
			continue;
		char *name = mem_printf(list, "%s%s", to, box->pub.name + strlen(from));
		good = good && name_normal(list, name, e);
		if (good && by_name(s, name)) {
			err_set(e, "a mailbox below the new name exists already");
			good = false;
		}
		list[(*n_out)++] = box;
	}
	if (good && *n_out == 0)
		err_set(e, "there is no such mailbox");
	if (!good || *n_out == 0)
		TALLOC_FREE(list);
	return list;
}

static enum outcome rename_tree(struct store *s, const char *from, const char *to, struct err *e)
{
	size_t n;
	struct box **list = movers(s, from, to, &n, e);
	char *parent = name_parent(list, to);
	enum outcome res = REJECT;

	if (!list || (parent && !by_name(s, parent) && !make_with_parents(s, parent, e)))
		goto out;
	for (size_t i = 0; i < n; i++) {
		char *name = mem_printf(list, "%s%s", to, list[i]->pub.name + strlen(from));

		set_name(s, list[i], name);
		db_write(s, "UPDATE mailbox SET name = ? WHERE id = ?", ARGS(T(name), I(list[i]->pub.id)));
		if (store_subscription_drop(s, name))
			store_mailbox_subscribe(s, &list[i]->pub, true);
	}
	res = OK;
out:
	talloc_free(list);
	if (!list)
		talloc_free(parent);
	return res;
}

/* INBOX stays, empty; names below it stay where they are. */
static enum outcome rename_inbox(struct store *s, const char *to, struct err *e)
{
	struct box *box = make_with_parents(s, to, e);

	if (!box)
		return REJECT;
	if (message_load(s, s->standard[BOX_INBOX]) && message_load(s, box))
		message_move_all(s, s->standard[BOX_INBOX], box);
	return OK;
}

enum outcome store_mailbox_rename(struct store *s, const char *from, const char *to, struct err *e)
{
	void *ctx = mem_ctx(NULL);
	char *old = name_normal(ctx, from, e);
	char *new = old ? new_name(s, ctx, to, e) : NULL;
	struct box *box = old ? by_name(s, old) : NULL;
	enum outcome res = REJECT;

	if (!new)
		goto out;
	if (box == s->standard[BOX_INBOX])
		res = rename_inbox(s, new, e);
	else if (box && is_standard(s, box))
		err_set(e, "a standard mailbox cannot be renamed");
	else if (is_below(new, old))
		err_set(e, "a mailbox cannot move below itself");
	else
		res = rename_tree(s, old, new, e);
out:
	talloc_free(ctx);
	return res;
}

void store_mailbox_subscribe(struct store *s, struct mailbox *box, bool subscribed)
{
	if (box->subscribed == subscribed)
		return;
	box->subscribed = subscribed;
	db_write(s, "UPDATE mailbox SET subscribed = ? WHERE id = ?", ARGS(I(subscribed), I(box->id)));
}
