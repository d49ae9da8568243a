/*
 * SELECT and EXAMINE. A client that was away and says what it knows
 * (QRESYNC, RFC 7162 section 3.2.5) is told along with it what went and what
 * changed since; that may be all messages, so it goes in slices.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "way/imap/flags.h"
#include "way/imap/session.h"
#include "way/imap/vanished.h"

struct selecting {
	bool read_only, condstore;
	/* What the client knows; since 0: it does not say. */
	uint32_t uidvalidity;
	uint64_t since;
	bool has_known, has_match;
	struct imap_seqset known;	/* UIDs */
	struct imap_seqset numbers, uids;	/* of some messages, as it counts them */
	size_t at;			/* index of the next message to look at */
};

/* ---- parameters ---- */

/* A set without '*'. */
static bool parse_set(const void *ctx, const struct imap_arg *a, struct imap_seqset *out)
{
	return a->kind == IMAP_ATOM && imap_seqset_parse(ctx, a->text, out) > 0 && imap_seqset_max(out) < IMAP_STAR;
}

static uint64_t count(const struct imap_seqset *set)
{
	uint64_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		n += set->ranges[i].hi - set->ranges[i].lo + 1;
	return n;
}

/* "(67890007 20050715194045000 41,43:211 (1,3 41,90))" */
static bool parse_sync(struct selecting *x, const struct imap_arg *list)
{
	uint64_t uidvalidity;

	if (list->kind != IMAP_LIST || list->n_args < 2 || !imap_arg_modseq(&list->args[0], &uidvalidity) ||
	    uidvalidity == 0 || uidvalidity > UINT32_MAX || !imap_arg_modseq(&list->args[1], &x->since) || x->since == 0)
		return false;
	const struct imap_arg *a = list->args + 2, *end = list->args + list->n_args;

	x->uidvalidity = (uint32_t)uidvalidity;
	x->has_known = a < end && a->kind == IMAP_ATOM;
	if (x->has_known && !parse_set(x, a++, &x->known))
		return false;
	x->has_match = a < end && a->kind == IMAP_LIST;
	if (x->has_match) {
		if (a->n_args != 2 || !parse_set(x, &a->args[0], &x->numbers) || !parse_set(x, &a->args[1], &x->uids) ||
		    count(&x->numbers) != count(&x->uids))
			return false;
		a++;
	}
	return a == end;
}

static bool parse_params(const struct imap_session *s, struct selecting *x, const struct imap_arg *list)
{
	if (list->kind != IMAP_LIST || list->n_args == 0)
		return false;
	for (size_t i = 0; i < list->n_args; i++) {
		if (list->args[i].kind != IMAP_ATOM)
			return false;
		if (strcasecmp(list->args[i].text, "CONDSTORE") == 0)
			x->condstore = true;
		else if (strcasecmp(list->args[i].text, "QRESYNC") != 0 || !(s->enabled & ENABLED_QRESYNC) ||
		    x->since > 0 || ++i == list->n_args || !parse_sync(x, &list->args[i]))
			return false;
	}
	return true;
}

/* ---- what happened since ---- */

/*
 * Up to this UID the client has the messages we have: if one has the same
 * number and UID, as many are below it, and what we have the client had.
 */
static uint32_t matched(const struct imap_view *v, const struct selecting *x)
{
	uint32_t upto = 0;
	size_t i = 0, k = 0;
	uint64_t number = x->numbers.ranges[0].lo, uid = x->uids.ranges[0].lo;

	while (number <= v->n && v->uids[number - 1] == uid) {
		upto = (uint32_t)uid;
		if (number++ == x->numbers.ranges[i].hi) {
			if (++i == x->numbers.n)
				break;
			number = x->numbers.ranges[i].lo;
		}
		if (uid++ == x->uids.ranges[k].hi && ++k < x->uids.n)
			uid = x->uids.ranges[k].lo;
	}
	return upto;
}

static void finish_select(struct imap_session *s, const struct selecting *x)
{
	imap_finish(s, "OK [READ-%s] %s completed", x->read_only ? "ONLY" : "WRITE", s->cmd->verb->name);
}

static void tell_changes(struct imap_session *s)
{
	struct selecting *x = (struct selecting *)s->cmd->state;
	int64_t started = clock_mono_ms();

	while (x->at < s->view->n) {
		uint32_t uid = s->view->uids[x->at++];
		const struct mailbox *box = imap_box(s);
		const struct message *m = box ? store_message_find(box, uid) : NULL;

		if (m && m->modseq > x->since && (!x->has_known || imap_seqset_has(&x->known, uid)))
			imap_tell_flags(s, x->at - 1, m, true);
		if (s->out->len > KIB(32))
			imap_flush(s);
		if (imap_is_slice_over(s, started)) {
			imap_yield(s, tell_changes);
			return;
		}
	}
	finish_select(s, x);
}

/* ---- selecting ---- */

static size_t first_unseen(const struct mailbox *box)
{
	if (box->n_unseen == 0)
		return 0;
	for (size_t i = 0; i < box->n_messages; i++)
		if (!(box->messages[i].flags & FLAG_SEEN))
			return i + 1;
	return 0;
}

/* name: as the client wrote it. */
static void describe(struct imap_session *s, const struct mailbox *box, const char *name)
{
	bool rev2 = s->enabled & ENABLED_REV2;

	/* Something no store has: so that the flags are told even when there are no keywords. */
	s->view->told_keywords = ~imap_flags_known(s->imap->store);
	imap_tell_keywords(s);
	imap_send(s, "* %zu EXISTS", s->view->n);
	if (!rev2)
		imap_send(s, "* %zu RECENT", s->view->n_recent);
	size_t unseen = rev2 ? 0 : first_unseen(box);

	if (unseen > 0)
		imap_send(s, "* OK [UNSEEN %zu] First unseen", unseen);
	imap_send(s, "* OK [UIDVALIDITY %u] UIDs are valid", (unsigned)box->uidvalidity);
	imap_send(s, "* OK [UIDNEXT %u] Next UID", (unsigned)box->uidnext);
	imap_send(s, "* OK [HIGHESTMODSEQ %llu] Highest mod-sequence", (unsigned long long)box->modseq);
	imap_send(s, "* OK [MAILBOXID (F%llu)] Id of the mailbox", (unsigned long long)box->id);
	if (rev2)
		imap_list_one(s, box->name, name);
}

/* RFC 7162 section 3.2.11: what comes after it is of another mailbox. */
static void leave(struct imap_session *s)
{
	if (!s->view)
		return;
	imap_deselect(s);
	imap_send(s, "* OK [CLOSED] Previous mailbox is closed");
}

static void open_box(struct imap_session *s, struct imap_cmd *c, bool read_only)
{
	struct selecting *x = mem_zero(c, struct selecting);

	c->state = x;
	x->read_only = read_only;
	if (c->n_args == 2 && !parse_params(s, x, &c->args[1])) {
		imap_finish(s, "BAD Bad parameters of %s", c->verb->name);
		return;
	}
	if (x->condstore)
		imap_enable_condstore(s);
	leave(s);
	const char *name = imap_arg_name(s, &c->args[0]);

	if (!name)
		return;
	struct mailbox *box = store_mailbox_find(s->imap->store, name);

	if (!box) {
		imap_finish(s, "NO [NONEXISTENT] No such mailbox");
		return;
	}
	s->view = imap_view_new(s, s->imap->store, box, read_only, !(s->enabled & ENABLED_REV2));
	describe(s, box, c->args[0].text);
	if (x->since == 0 || x->uidvalidity != box->uidvalidity) {
		finish_select(s, x);
		return;
	}
	imap_vanished_earlier(s, box, x->since, x->has_known ? &x->known : NULL, x->has_match ? matched(s->view, x) : 0);
	tell_changes(s);
}

void imap_cmd_select(struct imap_session *s, struct imap_cmd *c)
{
	open_box(s, c, false);
}

void imap_cmd_examine(struct imap_session *s, struct imap_cmd *c)
{
	open_box(s, c, true);
}

void imap_cmd_unselect(struct imap_session *s, struct imap_cmd *c)
{
	(void)c;
	imap_deselect(s);
	imap_finish(s, "OK Unselect completed");
}
