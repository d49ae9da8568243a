/*
 * LIST (RFC 3501, RFC 5258, RFC 5819, RFC 6154), LSUB, STATUS, NAMESPACE. A
 * name that exists only as parent of others ("a" of "a/b") is listed as
 * \Noselect. Names are gathered once into a table that knows children and
 * subscribed descendants; then every pattern is tried against every name, in
 * slices: there may be thousands of both.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "way/imap/name.h"
#include "way/imap/session.h"

enum { MAX_PATTERNS = 256 };

enum { SELECT_SUBSCRIBED = 1, SELECT_SPECIAL = 2, SELECT_RECURSIVE = 4, SELECT_REMOTE = 8 };
enum { RETURN_SUBSCRIBED = 1, RETURN_CHILDREN = 2, RETURN_SPECIAL = 4, RETURN_STATUS = 8 };

struct option {
	const char *name;
	unsigned bit;
};

static const struct option select_options[] = {
	{ "SUBSCRIBED", SELECT_SUBSCRIBED }, { "SPECIAL-USE", SELECT_SPECIAL },
	{ "RECURSIVEMATCH", SELECT_RECURSIVE }, { "REMOTE", SELECT_REMOTE }, { NULL, 0 },
};
static const struct option return_options[] = {
	{ "SUBSCRIBED", RETURN_SUBSCRIBED }, { "CHILDREN", RETURN_CHILDREN },
	{ "SPECIAL-USE", RETURN_SPECIAL }, { "STATUS", RETURN_STATUS }, { NULL, 0 },
};

struct entry {
	const char *name;
	bool exists;			/* else it is a parent, or subscribed, only */
	bool subscribed;
	const char *special;
	bool has_children;
	bool has_chosen;		/* below it: one that SUBSCRIBED and SPECIAL-USE select */
	UT_hash_handle hh;
};

struct listing {
	unsigned select, wants;		/* SELECT_..., RETURN_... */
	const struct imap_arg *status;	/* items of RETURN (STATUS ...) */
	const char **patterns;
	size_t n_patterns;
	bool lsub;
	const char *old;		/* the name it had, or was asked for by */
	struct entry *entries;		/* uthash, by name; while they are gathered */
	const struct entry **order;
	size_t n, at;
};

/* ---- the names ---- */

static struct entry *get_entry(struct listing *l, const char *name, size_t len)
{
	struct entry *e = NULL;

	HASH_FIND(hh, l->entries, name, len, e);
	if (!e) {
		e = mem_zero(l, struct entry);
		e->name = mem_strndup(e, name, len);
		HASH_ADD_KEYPTR(hh, l->entries, e->name, len, e);
	}
	return e;
}

static int by_name(const struct entry *a, const struct entry *b)
{
	bool inbox_a = strcmp(a->name, "INBOX") == 0, inbox_b = strcmp(b->name, "INBOX") == 0;

	return inbox_a != inbox_b ? (inbox_a ? -1 : 1) : strcmp(a->name, b->name);
}

static bool is_selected(const struct listing *l, const struct entry *e)
{
	if (!e->exists && l->select & SELECT_SUBSCRIBED)
		return e->subscribed && !(l->select & SELECT_SPECIAL);
	if (!e->exists)
		return !(l->select & SELECT_SPECIAL);
	return !(l->select & SELECT_SUBSCRIBED && !e->subscribed) && !(l->select & SELECT_SPECIAL && !e->special);
}

static void note_parents(struct listing *l, const struct entry *e)
{
	bool chosen = l->select & (SELECT_SUBSCRIBED | SELECT_SPECIAL) && is_selected(l, e);

	for (const char *p = strchr(e->name, '/'); p; p = strchr(p + 1, '/')) {
		struct entry *parent = get_entry(l, e->name, (size_t)(p - e->name));

		parent->has_children |= e->exists;
		parent->has_chosen |= chosen;
	}
}

/* Names without a mailbox. */
static void gather_subscribed(struct imap_session *s, struct listing *l)
{
	size_t n;
	const char **names = store_subscription_all(s->imap->store, l, &n);

	for (size_t i = 0; i < n && l->select & SELECT_SUBSCRIBED; i++) {
		struct entry *e = get_entry(l, names[i], strlen(names[i]));

		e->subscribed = true;
		note_parents(l, e);
	}
}

static void gather(struct imap_session *s, struct listing *l)
{
	size_t n;
	struct mailbox **all = store_mailbox_all(s->imap->store, l, &n);

	for (size_t i = 0; i < n; i++) {
		const char *name = all[i]->name;

		struct entry *e = get_entry(l, name, strlen(name));

		e->exists = true;
		e->subscribed = all[i]->subscribed;
		e->special = all[i]->special ? mem_strdup(e, all[i]->special) : NULL;
		note_parents(l, e);
	}
	gather_subscribed(s, l);
	HASH_SORT(l->entries, by_name);
	l->order = mem_array(l, const struct entry *, HASH_COUNT(l->entries) + 1);
	for (const struct entry *e = l->entries; e; e = (const struct entry *)e->hh.next)
		l->order[l->n++] = e;
	HASH_CLEAR(hh, l->entries);
}

/* ---- answers ---- */

static bool is_matched(const struct listing *l, const char *name)
{
	for (size_t i = 0; i < l->n_patterns; i++)
		if (imap_name_match(l->patterns[i], name))
			return true;
	return false;
}

/* Extended data: ("CHILDINFO" ("SUBSCRIBED") "OLDNAME" ("old")). below: SELECT_... that something below was chosen by. */
static void print_extended(struct imap_session *s, unsigned below, const char *old)
{
	if (!below && !old)
		return;
	buf_adds(s->out, " (");
	if (below)
		buf_addf(s->out, "\"CHILDINFO\" (%s%s%s)", below & SELECT_SUBSCRIBED ? "\"SUBSCRIBED\"" : "",
		    below == (SELECT_SUBSCRIBED | SELECT_SPECIAL) ? " " : "", below & SELECT_SPECIAL ? "\"SPECIAL-USE\"" : "");
	if (old) {
		buf_adds(s->out, below ? " \"OLDNAME\" (" : "\"OLDNAME\" (");
		imap_print_name(s, s->out, old);
		buf_adds(s->out, ")");
	}
	buf_adds(s->out, ")");
}

static void print_entry(struct imap_session *s, const struct listing *l, const struct entry *e, bool below)
{
	struct buf *out = s->out;

	buf_adds(out, l->lsub ? "* LSUB (" : "* LIST (");
	if (l->lsub) {
		buf_adds(out, e->exists && is_selected(l, e) ? "" : "\\Noselect");
	} else {
		buf_adds(out, e->has_children ? "\\HasChildren" : "\\HasNoChildren");
		if (!e->exists)
			buf_adds(out, s->enabled & ENABLED_REV2 || l->select & SELECT_SUBSCRIBED ? " \\NonExistent" : " \\Noselect");
		if (e->subscribed && (l->select & SELECT_SUBSCRIBED || l->wants & RETURN_SUBSCRIBED))
			buf_adds(out, " \\Subscribed");
		if (e->special)
			buf_addf(out, " %s", e->special);
	}
	buf_adds(out, ") \"/\" ");
	imap_print_name(s, out, e->name);
	print_extended(s, below ? l->select & (SELECT_SUBSCRIBED | SELECT_SPECIAL) : 0, l->old);
	buf_adds(out, "\r\n");
}

void imap_list_one(struct imap_session *s, const char *name, const char *old)
{
	struct listing *l = mem_zero(s->cmd, struct listing);

	gather(s, l);
	l->old = old && strcmp(old, name) != 0 ? old : NULL;
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->order[i]->name, name) == 0)
			print_entry(s, l, l->order[i], false);
	talloc_free(l);
}

static void note_modseq(struct imap_session *, const struct imap_arg *items);

static void print_status(struct imap_session *s, const char *name, const struct imap_arg *items)
{
	struct mailbox *box = store_mailbox_find(s->imap->store, name);

	if (!box)
		return;
	note_modseq(s, items);
	buf_adds(s->out, "* STATUS ");
	imap_print_name(s, s->out, name);
	buf_adds(s->out, " ");
	imap_status_print(s->out, box, items->args, items->n_args);
	buf_adds(s->out, "\r\n");
}

static void answer_one(struct imap_session *s, const struct listing *l, const struct entry *e)
{
	bool below = l->select & SELECT_RECURSIVE && e->has_chosen;
	bool parent = l->lsub && e->has_chosen && !is_selected(l, e);

	if (!is_matched(l, e->name) || !(is_selected(l, e) || below || parent))
		return;
	/* LSUB "*" names the subscribed ones only; their parents appear with "%" alone. */
	if (parent && strchr(l->patterns[0], '*'))
		return;
	print_entry(s, l, e, below);
	if (l->wants & RETURN_STATUS && e->exists)
		print_status(s, e->name, l->status);
	if (s->out->len > KIB(32))
		imap_flush(s);
}

static void answer(struct imap_session *s)
{
	struct listing *l = (struct listing *)s->cmd->state;
	int64_t started = clock_mono_ms();

	while (l->at < l->n) {
		answer_one(s, l, l->order[l->at++]);
		if (imap_is_slice_over(s, started)) {
			imap_yield(s, answer);
			return;
		}
	}
	imap_finish(s, l->lsub ? "OK Lsub completed" : "OK List completed");
}

/* ---- arguments ---- */

/* Reference and pattern joined, as UTF-8; NULL: matches nothing. */
static const char *pattern_of(struct imap_session *s, const char *reference, const struct imap_arg *a)
{
	if (a->kind != IMAP_ATOM && a->kind != IMAP_STRING)
		return NULL;
	return imap_name_of(s, s->cmd, mem_printf(s->cmd, "%s%s", reference, a->text));
}

/* And answers. */
static void run(struct imap_session *s, struct listing *l, const char *reference, const struct imap_arg *a)
{
	const struct imap_arg *args = a->kind == IMAP_LIST ? a->args : a;
	size_t n = a->kind == IMAP_LIST ? a->n_args : 1;

	if (n > MAX_PATTERNS) {
		imap_finish(s, "BAD Too many patterns");
		return;
	}
	l->patterns = mem_array(l, const char *, n + 1);
	for (size_t i = 0; i < n; i++) {
		const char *pattern = pattern_of(s, reference, &args[i]);

		if (pattern)
			l->patterns[l->n_patterns++] = pattern;
	}
	s->cmd->state = l;
	if (l->n_patterns > 0)
		gather(s, l);
	answer(s);
}

static unsigned find_option(const struct option *options, const struct imap_arg *a)
{
	for (; a->kind == IMAP_ATOM && options->name; options++)
		if (strcasecmp(options->name, a->text) == 0)
			return options->bit;
	return 0;
}

static bool parse_select(struct listing *l, const struct imap_arg *list)
{
	for (size_t i = 0; i < list->n_args; i++) {
		unsigned bit = find_option(select_options, &list->args[i]);

		if (!bit)
			return false;
		l->select |= bit;
	}
	/* RFC 5258 section 3: RECURSIVEMATCH refines another option. */
	return !(l->select & SELECT_RECURSIVE) || l->select & (SELECT_SUBSCRIBED | SELECT_SPECIAL);
}

static bool parse_return(struct listing *l, const struct imap_arg *list)
{
	for (size_t i = 0; i < list->n_args; i++) {
		unsigned bit = find_option(return_options, &list->args[i]);

		if (!bit)
			return false;
		l->wants |= bit;
		if (bit != RETURN_STATUS)
			continue;
		struct buf *probe = buf_new(NULL, KIB(4));
		struct mailbox none = { 0 };

		l->status = ++i < list->n_args ? &list->args[i] : NULL;
		bool ok = l->status && l->status->kind == IMAP_LIST &&
		    imap_status_print(probe, &none, l->status->args, l->status->n_args);

		talloc_free(probe);
		if (!ok)
			return false;
	}
	return true;
}

void imap_cmd_list(struct imap_session *s, struct imap_cmd *c)
{
	struct listing *l = mem_zero(c, struct listing);
	const struct imap_arg *a = c->args, *end = c->args + c->n_args;

	if (a->kind == IMAP_LIST && !parse_select(l, a++))
		goto bad;
	if (end - a != 2 && end - a != 4)
		goto bad;
	if (end - a == 4 && (a[2].kind != IMAP_ATOM || strcasecmp(a[2].text, "RETURN") != 0 ||
	    a[3].kind != IMAP_LIST || !parse_return(l, &a[3])))
		goto bad;
	const char *reference = imap_arg_text(s, a);

	if (!reference)
		return;
	if (a[1].kind == IMAP_STRING && a[1].len == 0 && c->n_args == 2) {
		imap_send(s, "* LIST (\\Noselect) \"/\" \"\"");
		imap_finish(s, "OK List completed");
		return;
	}
	run(s, l, reference, &a[1]);
	return;
bad:
	imap_finish(s, "BAD Bad arguments of LIST");
}

void imap_cmd_lsub(struct imap_session *s, struct imap_cmd *c)
{
	struct listing *l = mem_zero(c, struct listing);
	const char *reference = imap_arg_text(s, &c->args[0]);

	l->lsub = true;
	l->select = SELECT_SUBSCRIBED;
	if (reference)
		run(s, l, reference, &c->args[1]);
}

void imap_cmd_namespace(struct imap_session *s, struct imap_cmd *c)
{
	(void)c;
	imap_send(s, "* NAMESPACE ((\"\" \"/\")) NIL NIL");
	imap_finish(s, "OK Namespace completed");
}

/* ---- STATUS ---- */

enum status_item {
	STATUS_MESSAGES, STATUS_RECENT, STATUS_UIDNEXT, STATUS_UIDVALIDITY, STATUS_UNSEEN,
	STATUS_SIZE, STATUS_APPENDLIMIT, STATUS_HIGHESTMODSEQ, STATUS_MAILBOXID, STATUS_DELETED, STATUS_DELETED_STORAGE,
};

/* In the order of enum status_item. */
static const char *const status_names[] = {
	"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "SIZE", "APPENDLIMIT", "HIGHESTMODSEQ", "MAILBOXID",
	"DELETED", "DELETED-STORAGE",
};

static uint64_t status_value(const struct mailbox *box, enum status_item item)
{
	uint64_t size = 0, deleted = 0;

	switch (item) {
	case STATUS_MESSAGES:
		return box->n_messages;
	case STATUS_RECENT:
		return box->n_recent;
	case STATUS_UIDNEXT:
		return box->uidnext;
	case STATUS_UIDVALIDITY:
		return box->uidvalidity;
	case STATUS_UNSEEN:
		return box->n_unseen;
	case STATUS_SIZE:
		for (size_t i = 0; i < box->n_messages; i++)
			size += box->messages[i].size;
		return size;
	case STATUS_APPENDLIMIT:
		return IMAP_APPEND_MAX;
	case STATUS_HIGHESTMODSEQ:
		return box->modseq;
	case STATUS_MAILBOXID:
		return box->id;
	case STATUS_DELETED:
		for (size_t i = 0; i < box->n_messages; i++)
			deleted += box->messages[i].flags & FLAG_DELETED ? 1 : 0;
		return deleted;
	case STATUS_DELETED_STORAGE:
		for (size_t i = 0; i < box->n_messages; i++)
			size += box->messages[i].flags & FLAG_DELETED ? box->messages[i].size : 0;
		return (size + 1023) / 1024;
	}
	return 0;
}

bool imap_status_print(struct buf *out, struct mailbox *box, const struct imap_arg *items, size_t n)
{
	const size_t n_names = sizeof(status_names) / sizeof(status_names[0]);

	unsigned told = 0;

	buf_add(out, "(", 1);
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < n_names && (items[i].kind != IMAP_ATOM || strcasecmp(status_names[k], items[i].text) != 0))
			k++;
		if (k == n_names)
			return false;
		/* Asked for a thousand times, told once. */
		if (told & 1U << k)
			continue;
		told |= 1U << k;
		buf_addf(out, "%s%s %s%llu%s", i > 0 ? " " : "", status_names[k], k == STATUS_MAILBOXID ? "(F" : "",
		    (unsigned long long)status_value(box, (enum status_item)k), k == STATUS_MAILBOXID ? ")" : "");
	}
	buf_add(out, ")", 1);
	return n > 0;
}

/* Asking for HIGHESTMODSEQ turns CONDSTORE on (RFC 7162 section 3.1). */
static void note_modseq(struct imap_session *s, const struct imap_arg *items)
{
	for (size_t i = 0; i < items->n_args; i++)
		if (strcasecmp(items->args[i].text, status_names[STATUS_HIGHESTMODSEQ]) == 0)
			imap_enable_condstore(s);
}

void imap_cmd_status(struct imap_session *s, struct imap_cmd *c)
{
	const char *name = imap_arg_name(s, &c->args[0]);

	if (!name)
		return;
	struct mailbox *box = store_mailbox_find(s->imap->store, name);
	struct buf *items = buf_new(c, KIB(64));

	if (!box) {
		imap_finish(s, "NO [NONEXISTENT] No such mailbox");
		return;
	}
	if (c->args[1].kind != IMAP_LIST || !imap_status_print(items, box, c->args[1].args, c->args[1].n_args)) {
		imap_finish(s, "BAD Bad STATUS items");
		return;
	}
	note_modseq(s, &c->args[1]);
	buf_adds(s->out, "* STATUS ");
	imap_print_name(s, s->out, name);
	buf_addf(s->out, " %s\r\n", items->data);
	imap_finish(s, "OK Status completed");
}
