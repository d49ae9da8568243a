/*
 * Making and removing mailboxes, and messages. Levels above a new mailbox are made
 * along (RFC 3501 section 6.3.3). CLOSE and EXPUNGE in the Outbox take letters
 * back: each message goes only when its withdrawal succeeded.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "way/imap/expunge.h"
#include "way/imap/session.h"

/* ---- mailboxes ---- */

static bool finish_outcome(struct imap_session *s, enum outcome res, const struct err *e)
{
	if (res == OK)
		return true;
	imap_finish(s, "NO [%s] %s", res == RETRY ? "UNAVAILABLE" : "CANNOT", imap_plain(s->cmd, e->text));
	return false;
}

/* The name to make, without a '/' at its end; NULL when answered. */
static const char *new_name(struct imap_session *s, const struct imap_arg *a)
{
	const char *name = imap_arg_name(s, a);

	if (!name)
		return NULL;
	size_t len = strlen(name);

	if (len > 1 && name[len - 1] == '/')
		name = mem_strndup(s->cmd, name, len - 1);
	if (store_mailbox_find(s->imap->store, name)) {
		imap_finish(s, "NO [ALREADYEXISTS] Mailbox exists already");
		return NULL;
	}
	return name;
}

/* What a mailbox was made or renamed from, until it is durable. */
struct naming {
	const char *name, *old;
	bool tells;			/* the client is told the new name by LIST */
	const char *reply;
};

static void named(struct imap_session *s, bool ok)
{
	const struct naming *x = (const struct naming *)s->cmd->state;

	if (ok && x->tells)
		imap_list_one(s, x->name, x->old);
	imap_finish(s, "%s", ok ? x->reply : "NO [UNAVAILABLE] The change could not be stored, try again");
}

static void finish_naming(struct imap_session *s, const struct naming *x)
{
	struct naming *kept = mem_zero(s->cmd, struct naming);

	*kept = *x;
	kept->tells = x->tells && s->enabled & ENABLED_REV2;
	s->cmd->state = kept;
	imap_when_durable(s, named);
}

/* \All and \Flagged would be views of other mailboxes, which we have not. */
static const char *const uses[] = { "\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash" };

/* One use, or NULL. */
static const char *find_use(const struct imap_arg *a)
{
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcasecmp(uses[i], a->text) == 0)
			return uses[i];
	return NULL;
}

/* (USE (\Drafts \Sent)), RFC 6154 section 3: out names each once, "" none. False when answered. */
static bool get_uses(struct imap_session *s, const struct imap_arg *a, struct buf *out)
{
	bool is_use = a->kind == IMAP_LIST && a->n_args == 2 && a->args[0].kind == IMAP_ATOM &&
	    strcasecmp(a->args[0].text, "USE") == 0 && a->args[1].kind == IMAP_LIST;
	const struct imap_arg *list = is_use ? &a->args[1] : NULL;

	for (size_t i = 0; list && i < list->n_args; i++)
		is_use = is_use && list->args[i].kind == IMAP_ATOM && list->args[i].text[0] == '\\' && list->args[i].len > 1;
	if (!is_use) {
		imap_finish(s, "BAD Bad parameters of CREATE");
		return false;
	}
	for (size_t i = 0; i < list->n_args; i++) {
		const char *use = find_use(&list->args[i]);

		if (!use) {
			imap_finish(s, "NO [USEATTR] %s is not supported", imap_plain(s->cmd, list->args[i].text));
			return false;
		}
		if (!strstr(out->data, use))
			buf_addf(out, "%s%s", out->len > 0 ? " " : "", use);
	}
	return true;
}

void imap_cmd_create(struct imap_session *s, struct imap_cmd *c)
{
	struct err e;
	struct buf *special = buf_new(c, KIB(1));
	const char *name = new_name(s, &c->args[0]);

	if (!name || (c->n_args > 1 && !get_uses(s, &c->args[1], special)))
		return;
	if (!finish_outcome(s, store_mailbox_create(s->imap->store, name, &e), &e))
		return;
	struct mailbox *box = store_mailbox_find(s->imap->store, name);
	struct naming x = { .name = mem_strdup(c, box->name), .old = c->args[0].text };

	if (special->len > 0)
		store_mailbox_set_special(s->imap->store, box, special->data);
	/* RFC 9051 section 6.3.4: when it is another than was asked for; a '/' at the end only announces more. */
	x.tells = strncmp(x.old, x.name, strlen(x.name)) != 0;
	x.reply = mem_printf(c, "OK [MAILBOXID (F%llu)] Create completed", (unsigned long long)box->id);
	finish_naming(s, &x);
}

/* Its messages in slices, then what is left of it. */
static void delete_some(struct imap_session *s)
{
	const char *name = (const char *)s->cmd->state;
	struct store *st = s->imap->store;
	struct mailbox *box = store_mailbox_find(st, name);
	int64_t started = clock_mono_ms();
	struct err e;

	while (box && box->n_messages > 0) {
		store_message_expunge(st, box, box->messages[box->n_messages - 1].uid);
		if (imap_is_slice_over(s, started)) {
			imap_yield(s, delete_some);
			return;
		}
	}
	s->imap->quiet = s->id;
	enum outcome res = store_mailbox_delete(st, name, &e);

	s->imap->quiet = 0;
	if (finish_outcome(s, res, &e))
		imap_finish_durable(s, "OK Delete completed");
}

void imap_cmd_delete(struct imap_session *s, struct imap_cmd *c)
{
	struct err e;
	const char *name = imap_arg_name(s, &c->args[0]);

	if (!name)
		return;
	if (!store_mailbox_find(s->imap->store, name)) {
		imap_finish(s, "NO [NONEXISTENT] No such mailbox");
		return;
	}
	c->state = (void *)mem_strdup(c, name);
	if (finish_outcome(s, store_mailbox_may_delete(s->imap->store, name, &e), &e))
		delete_some(s);
}

void imap_cmd_rename(struct imap_session *s, struct imap_cmd *c)
{
	struct err e;
	const char *from = imap_arg_name(s, &c->args[0]);

	if (!from)
		return;
	const char *to = new_name(s, &c->args[1]);

	if (!to)
		return;
	enum outcome res = store_mailbox_rename(s->imap->store, from, to, &e);

	if (res == REJECT && !store_mailbox_find(s->imap->store, from))
		imap_finish(s, "NO [NONEXISTENT] %s", imap_plain(c, e.text));
	else if (finish_outcome(s, res, &e))
		finish_naming(s, &(struct naming){ .name = to, .old = from, .tells = strcmp(from, "INBOX") != 0,
		    .reply = "OK Rename completed" });
}

static void subscribe(struct imap_session *s, struct imap_cmd *c, bool on)
{
	const char *name = imap_arg_name(s, &c->args[0]);

	if (!name)
		return;
	struct mailbox *box = store_mailbox_find(s->imap->store, name);

	if (box)
		store_mailbox_subscribe(s->imap->store, box, on);
	else if (on || !store_subscription_drop(s->imap->store, name)) {
		imap_finish(s, "NO [NONEXISTENT] No such mailbox");
		return;
	}
	imap_finish_durable(s, "OK %s completed", c->verb->name);
}

void imap_cmd_subscribe(struct imap_session *s, struct imap_cmd *c)
{
	subscribe(s, c, true);
}

void imap_cmd_unsubscribe(struct imap_session *s, struct imap_cmd *c)
{
	subscribe(s, c, false);
}

/* ---- expunging ---- */

struct expunge {
	struct imap_walk walk;
	struct imap_span all;
	bool close;			/* nothing is told, the mailbox is left */
	bool any;
	struct err refused;		/* text of the last message that had to stay */
};

enum outcome imap_expunge_one(struct imap_session *s, struct mailbox *box, uint32_t uid, struct err *e)
{
	const struct message *m = store_message_find(box, uid);

	if (!m)
		return OK;
	if (imap_is_outbox(s, box)) {
		enum outcome res = s->imap->hooks.withdraw(s->imap->hooks.arg, m->id, e);

		if (res != OK)
			return res;
		/* The hook may have changed the mailbox. */
		box = imap_box(s);
		if (!box || !store_message_find(box, uid))
			return OK;
	}
	store_message_expunge(s->imap->store, box, uid);
	return OK;
}

static void expunged(struct imap_session *s, const struct expunge *x)
{
	if (x->close)
		imap_deselect(s);
	if (x->refused.text[0])
		imap_finish(s, "NO [CANNOT] %s", imap_plain(x, x->refused.text));
	else
		imap_finish_durable(s, "OK %s%s completed", x->close || !x->any ? "" : imap_highest(s), x->close ? "Close" : "Expunge");
}

static void go_on(struct imap_session *s)
{
	struct expunge *x = (struct expunge *)s->cmd->state;
	int64_t started = clock_mono_ms();
	size_t i;

	while (imap_walk_next(&x->walk, &i)) {
		struct mailbox *box = imap_box(s);
		const struct message *m = box ? store_message_find(box, s->view->uids[i]) : NULL;

		if (!m || !(m->flags & FLAG_DELETED))
			continue;
		struct err e = { .text = "Could not be withdrawn" };

		if (imap_expunge_one(s, box, m->uid, &e) != OK)
			x->refused = e;
		else
			x->any = true;
		if (imap_is_slice_over(s, started)) {
			imap_yield(s, go_on);
			return;
		}
	}
	expunged(s, x);
}

static void start(struct imap_session *s, struct imap_cmd *c, bool close)
{
	struct expunge *x = mem_zero(c, struct expunge);

	x->close = close;
	x->all = (struct imap_span){ 0, s->view->n };
	x->walk = (struct imap_walk){ .spans = &x->all, .n = 1 };
	if (c->n_args > 0 && !imap_arg_set(s, &c->args[0], &x->walk, NULL))
		return;
	c->state = x;
	go_on(s);
}

void imap_cmd_expunge(struct imap_session *s, struct imap_cmd *c)
{
	start(s, c, false);
}

void imap_cmd_close(struct imap_session *s, struct imap_cmd *c)
{
	if (s->view->read_only) {
		imap_deselect(s);
		imap_finish(s, "OK Close completed");
		return;
	}
	start(s, c, true);
}

/* ---- IDLE ---- */

static void on_done(struct imap_session *s, const char *line, size_t len)
{
	if (len == 4 && strcasecmp(line, "DONE") == 0)
		imap_finish(s, "OK Idle completed");
	else
		imap_finish(s, "BAD DONE was expected");
}

/*
 * Thunderbird 153 takes note of news only in NOOP and while it idles: what was told along with the answer to
 * a FETCH, or crossed its DONE, shows to its user with the next news. So there is one when it begins to wait.
 */
void imap_cmd_idle(struct imap_session *s, struct imap_cmd *c)
{
	c->line = on_done;
	c->tells = true;
	s->told_soon = false;
	imap_continue(s, "idling");
	if (s->view) {
		imap_tell(s, true, false);
		if (s->view->told_aside)
			imap_send(s, "* %zu EXISTS", s->view->n);
		s->view->told_aside = false;
	}
	imap_flush(s);
}
