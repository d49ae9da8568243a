/*
 * STORE: flags of many messages, in slices; what changes in a slice is one change of the store, told to others at once, to
 * this client as it asked.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "way/imap/flags.h"
#include "way/imap/session.h"

enum { LOOKS = 64 };		/* messages between two looks at the clock */

enum how { HOW_SET, HOW_ADD, HOW_REMOVE };

struct change {
	struct imap_walk walk;
	enum how how;
	bool silent, has_gone;
	size_t at;			/* of the last message, in the mailbox */
	bool conditional;		/* UNCHANGEDSINCE (RFC 7162 section 3.1.3) */
	uint64_t since;
	uint32_t *modified;		/* numbers or UIDs that it kept from changing */
	size_t n_modified, modified_size;
	struct imap_flags flags;
	uint64_t ours;			/* keywords that stay as they are */
};

static void refuse_one(struct imap_session *s, struct change *x, size_t index)
{
	if (x->n_modified == x->modified_size) {
		x->modified_size = x->modified_size ? x->modified_size * 2 : 64;
		x->modified = mem_resize(x, x->modified, uint32_t, x->modified_size);
	}
	x->modified[x->n_modified++] = s->cmd->verb->flags & BY_UID ? s->view->uids[index] : (uint32_t)index + 1;
}

/* .SILENT keeps back the flags, not the mod-sequence. */
static void tell_modseq(struct imap_session *s, size_t index, const struct message *m)
{
	buf_addf(s->out, "* %zu FETCH (", index + 1);
	if (s->cmd->verb->flags & BY_UID || s->enabled & (ENABLED_QRESYNC | ENABLED_REV2))
		buf_addf(s->out, "UID %u ", (unsigned)m->uid);
	imap_send(s, "MODSEQ (%llu))", (unsigned long long)m->modseq);
}

/* SET leaves the daemon's keywords as they are. */
static struct flag_change change_of(const struct change *x)
{
	const struct imap_flags *f = &x->flags;

	switch (x->how) {
	case HOW_SET:
		return (struct flag_change){ .clear = ~UINT32_C(0), .set = f->flags, .clear_keywords = ~x->ours,
			.set_keywords = f->keywords };
	case HOW_ADD:
		return (struct flag_change){ .set = f->flags, .set_keywords = f->keywords };
	case HOW_REMOVE:
		break;
	}
	return (struct flag_change){ .clear = f->flags, .clear_keywords = f->keywords };
}

static void do_message(struct imap_session *s, struct change *x, struct mailbox *box, struct changing *changing, size_t index)
{
	const struct message *m = store_message_near(box, s->view->uids[index], &x->at);

	if (!m) {
		x->has_gone = true;
		if (x->conditional && !(s->cmd->verb->flags & BY_UID))
			refuse_one(s, x, index);
	} else if (x->conditional && m->modseq > x->since) {
		refuse_one(s, x, index);
	} else {
		store_change_one(s->imap->store, changing, x->at);
		if (!x->silent)
			imap_tell_flags(s, index, m, s->cmd->verb->flags & BY_UID);
		else if (s->enabled & ENABLED_CONDSTORE)
			tell_modseq(s, index, m);
	}
}

static void stored(struct imap_session *s, const struct change *x)
{
	if (x->n_modified == 0) {
		imap_finish_durable(s, x->has_gone ? "OK [EXPUNGEISSUED] Some messages are gone" : "OK Store completed");
		return;
	}
	struct buf *set = buf_new(x, MIB(64));

	imap_seqset_print(set, x->modified, x->n_modified);
	imap_finish_durable(s, x->has_gone && !(s->cmd->verb->flags & BY_UID) ?
	    "NO [MODIFIED %s] Some messages are gone" : "OK [MODIFIED %s] Conditional STORE failed", set->data);
}

static void go_on(struct imap_session *s)
{
	struct change *x = (struct change *)s->cmd->state;
	int64_t started = clock_mono_ms();
	struct mailbox *box = imap_box(s);
	bool over = false;
	size_t i, n = 0;

	/* What others changed is told first: afterwards all up to now counts as told. */
	if (s->view->has_changed)
		imap_tell(s, false, s->cmd->verb->flags & BY_UID);
	const struct flag_change what = change_of(x);
	struct changing *changing = store_change_begin(s->imap->store, box, &what);

	while (!over && imap_walk_next(&x->walk, &i)) {
		do_message(s, x, box, changing, i);
		if (++n % LOOKS == 0)
			over = imap_is_slice_over(s, started);
	}
	s->imap->quiet = s->id;
	store_change_end(s->imap->store, &changing);
	s->imap->quiet = 0;
	s->view->modseq = box->modseq;
	if (over)
		imap_yield(s, go_on);
	else
		stored(s, x);
}

/* "(UNCHANGEDSINCE 12345)" */
static bool parse_modifiers(const struct imap_arg *list, struct change *x)
{
	x->conditional = true;
	return list->n_args == 2 && list->args[0].kind == IMAP_ATOM &&
	    strcasecmp(list->args[0].text, "UNCHANGEDSINCE") == 0 && imap_arg_modseq(&list->args[1], &x->since);
}

static bool parse_how(const char *text, struct change *x)
{
	static const struct { const char *name; enum how how; bool silent; } names[] = {
		{ "FLAGS", HOW_SET, false }, { "FLAGS.SILENT", HOW_SET, true },
		{ "+FLAGS", HOW_ADD, false }, { "+FLAGS.SILENT", HOW_ADD, true },
		{ "-FLAGS", HOW_REMOVE, false }, { "-FLAGS.SILENT", HOW_REMOVE, true },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(names[i].name, text) != 0)
			continue;
		x->how = names[i].how;
		x->silent = names[i].silent;
		return true;
	}
	return false;
}

void imap_cmd_store(struct imap_session *s, struct imap_cmd *c)
{
	struct change *x = mem_zero(c, struct change);
	const struct imap_arg *how = &c->args[1], *flags;
	size_t n = c->n_args - 2;

	c->state = x;
	if (!imap_arg_set(s, &c->args[0], &x->walk, NULL))
		return;
	if (how->kind == IMAP_LIST) {
		if (!parse_modifiers(how++, x) || --n == 0) {
			imap_finish(s, "BAD Bad STORE modifiers");
			return;
		}
		imap_enable_condstore(s);
	}
	flags = how + 1;
	if (how->kind != IMAP_ATOM || !parse_how(how->text, x)) {
		imap_finish(s, "BAD FLAGS, +FLAGS or -FLAGS was expected");
		return;
	}
	if (n == 1 && flags->kind == IMAP_LIST) {
		n = flags->n_args;
		flags = flags->args;
	}
	switch (imap_flags_parse(s->imap->store, flags, n, &x->flags)) {
	case IMAP_FLAGS_BAD:
		imap_finish(s, "BAD Bad flags");
		return;
	case IMAP_FLAGS_FULL:
		imap_finish(s, "NO [LIMIT] No room for another keyword");
		return;
	case IMAP_FLAGS_OK:
		break;
	}
	x->ours = imap_flags_ours(s->imap->store);
	go_on(s);
}
