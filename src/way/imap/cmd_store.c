/* STORE: flags of many messages, in slices; each change is told to others at once, to this client as it asked. */
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "way/imap/flags.h"
#include "way/imap/session.h"

enum how { HOW_SET, HOW_ADD, HOW_REMOVE };

struct change {
	struct imap_walk walk;
	enum how how;
	bool silent, has_gone;
	struct imap_flags flags;
	uint64_t ours;			/* keywords that stay as they are */
};

static void change_one(struct imap_session *s, const struct change *x, struct mailbox *box, size_t index)
{
	const struct message *m = store_message_find(box, s->view->uids[index]);
	uint32_t flags = m->flags & ~(uint32_t)FLAG_RECENT;
	uint64_t keywords = m->keywords;

	switch (x->how) {
	case HOW_SET:
		flags = x->flags.flags;
		keywords = (m->keywords & x->ours) | x->flags.keywords;
		break;
	case HOW_ADD:
		flags |= x->flags.flags;
		keywords |= x->flags.keywords;
		break;
	case HOW_REMOVE:
		flags &= ~x->flags.flags;
		keywords &= ~x->flags.keywords;
		break;
	}
	flags |= m->flags & FLAG_RECENT;
	if (flags != m->flags || keywords != m->keywords)
		store_message_set_flags(s->imap->store, box, m->uid, flags, keywords);
	if (!x->silent)
		imap_tell_flags(s, index, store_message_find(box, s->view->uids[index]), s->cmd->verb->flags & BY_UID);
}

static void go_on(struct imap_session *s)
{
	struct change *x = (struct change *)s->cmd->state;
	int64_t started = clock_mono_ms();
	struct mailbox *box = imap_box(s);
	bool over = false;
	size_t i;

	/* What others changed is told first: afterwards all up to now counts as told. */
	if (s->view->has_changed)
		imap_tell(s, false, s->cmd->verb->flags & BY_UID);
	s->imap->quiet = s->id;
	while (!over && imap_walk_next(&x->walk, &i)) {
		if (store_message_find(box, s->view->uids[i]))
			change_one(s, x, box, i);
		else
			x->has_gone = true;
		over = imap_is_slice_over(s, started);
	}
	s->imap->quiet = 0;
	s->view->modseq = box->modseq;
	if (over)
		imap_yield(s, go_on);
	else
		imap_finish_durable(s, x->has_gone ? "OK [EXPUNGEISSUED] Some messages are gone" : "OK Store completed");
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
	const struct imap_arg *flags = &c->args[2];
	size_t n = c->n_args - 2;

	c->state = x;
	if (!imap_arg_set(s, &c->args[0], &x->walk, NULL))
		return;
	if (c->args[1].kind != IMAP_ATOM || !parse_how(c->args[1].text, x)) {
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
