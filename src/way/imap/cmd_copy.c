/*
 * COPY and MOVE (RFC 6851): the same content in another mailbox, pulled or
 * not; nothing is read or written but rows. MOVE adds first and expunges then,
 * so the last reference never goes in between; out of the Outbox a message
 * moves only when its letter could be withdrawn.
 *
 * COPY makes all copies or none (RFC 3501 section 6.4.7). Up to some thousand
 * are one transaction though they take several turns, in which nothing is
 * committed; when the client goes meanwhile they are taken back. More than that
 * would keep others waiting for too long, and are committed with each turn.
 */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "way/imap/expunge.h"
#include "way/imap/seqset.h"
#include "way/imap/session.h"

enum { WHOLE_MAX = 4096, SLICE_MS = 3, LOOKS = 16 /* messages between two looks at the clock */ };

struct copy {
	struct store *store;
	bool whole, holds;		/* the store */
	struct imap_walk walk;
	uint64_t to;			/* mailbox id */
	uint32_t uidvalidity;
	bool move, has_gone;
	uint32_t *from_uids, *to_uids;
	size_t n, size;
	struct err refused;
};

static size_t count(const struct imap_walk *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		n += w->spans[i].to - w->spans[i].from;
	return n;
}

static void release(struct copy *x)
{
	if (x->holds)
		store_release(x->store);
	x->holds = x->whole = false;
}

/* The session ends in between. */
static int take_back(struct copy *x)
{
	struct mailbox *to = x->whole ? store_mailbox_get(x->store, x->to) : NULL;

	for (size_t i = 0; to && i < x->n; i++)
		store_message_expunge(x->store, to, x->to_uids[i]);
	release(x);
	return 0;
}

static void stop(struct imap_cmd *c)
{
	take_back((struct copy *)c->state);
}

static void remember(struct copy *x, uint32_t from, uint32_t to)
{
	if (x->n == x->size) {
		x->size = x->size ? x->size * 2 : 16;
		x->from_uids = mem_resize(x, x->from_uids, uint32_t, x->size);
		x->to_uids = mem_resize(x, x->to_uids, uint32_t, x->size);
	}
	x->from_uids[x->n] = from;
	x->to_uids[x->n++] = to;
}

static const char *copyuid(const struct copy *x)
{
	struct buf *b = buf_new(x, MIB(32));

	buf_addf(b, "[COPYUID %u ", (unsigned)x->uidvalidity);
	imap_seqset_print(b, x->from_uids, x->n);
	buf_adds(b, " ");
	imap_seqset_print(b, x->to_uids, x->n);
	buf_adds(b, "] ");
	return b->data;
}

static void copied(struct imap_session *s, bool ok)
{
	struct copy *x = (struct copy *)s->cmd->state;
	const char *uids = x->n > 0 ? copyuid(x) : "";

	if (!ok) {
		imap_finish(s, "NO [UNAVAILABLE] The change could not be stored, try again");
		return;
	}
	if (x->move && x->n > 0) {
		imap_send(s, "* OK %sMoved", uids);
		uids = "";
	}
	if (x->refused.text[0])
		imap_finish(s, "NO [CANNOT] %s", imap_plain(x, x->refused.text));
	else if (x->has_gone && uids[0] == '\0')
		imap_finish(s, "OK [EXPUNGEISSUED] Some messages are gone");
	else
		imap_finish(s, "OK %s%s%s completed", uids, x->move && x->n > 0 ? imap_highest(s) : "", x->move ? "Move" : "Copy");
}

/* false: the mailbox to copy to is gone. */
static bool do_message(struct imap_session *s, struct copy *x, uint32_t uid)
{
	struct store *st = s->imap->store;
	struct mailbox *box = imap_box(s);
	const struct message *found = box ? store_message_find(box, uid) : NULL;

	if (!found) {
		x->has_gone = true;
		return true;
	}
	if (x->move && imap_is_outbox(s, box)) {
		struct err e = { .text = "Could not be withdrawn" };

		if (s->imap->hooks.withdraw(s->imap->hooks.arg, found->id, &e) != OK) {
			x->refused = e;
			return true;
		}
		box = imap_box(s);
		found = box ? store_message_find(box, uid) : NULL;
		if (!found)
			return true;
	}
	struct message m = *found;
	struct mailbox *to = store_mailbox_get(st, x->to);

	if (!to)
		return false;
	remember(x, uid, store_message_add(st, to, m.content, m.flags, m.keywords, m.internal_ms)->uid);
	if (x->move)
		store_message_expunge(st, imap_box(s), uid);
	return true;
}

static void go_on(struct imap_session *s)
{
	struct copy *x = (struct copy *)s->cmd->state;
	int64_t started = clock_mono_ms();
	size_t i, n = 0;

	while (imap_walk_next(&x->walk, &i)) {
		if (!do_message(s, x, s->view->uids[i])) {
			imap_finish(s, "NO [TRYCREATE] Mailbox was deleted");
			return;
		}
		if (++n % LOOKS != 0 || clock_mono_ms() - started < SLICE_MS)
			continue;
		if (x->whole && !x->holds)
			store_hold(x->store);
		x->holds = x->whole;
		/* It sends nothing: whether the client reads is no matter. */
		s->cmd->more = go_on;
		timer_set(s->turn, 0);
		return;
	}
	release(x);
	imap_when_durable(s, copied);
}

static void start(struct imap_session *s, struct imap_cmd *c, bool move)
{
	struct copy *x = mem_zero(c, struct copy);

	c->state = x;
	x->move = move;
	if (!imap_arg_set(s, &c->args[0], &x->walk, NULL))
		return;
	const char *name = imap_arg_name(s, &c->args[1]);

	if (!name)
		return;
	struct mailbox *to = store_mailbox_find(s->imap->store, name);

	if (!to) {
		imap_finish(s, "NO [TRYCREATE] No such mailbox");
		return;
	}
	if (imap_is_outbox(s, to)) {
		imap_finish(s, "NO [CANNOT] Only what is submitted goes to the Outbox");
		return;
	}
	if (move && to->id == s->view->mailbox) {
		imap_finish(s, "NO [CANNOT] The messages are in that mailbox");
		return;
	}
	x->store = s->imap->store;
	x->whole = !move && count(&x->walk) <= WHOLE_MAX;
	talloc_set_destructor(x, take_back);
	c->stop = stop;
	x->to = to->id;
	x->uidvalidity = to->uidvalidity;
	go_on(s);
}

void imap_cmd_copy(struct imap_session *s, struct imap_cmd *c)
{
	start(s, c, false);
}

void imap_cmd_move(struct imap_session *s, struct imap_cmd *c)
{
	start(s, c, true);
}
