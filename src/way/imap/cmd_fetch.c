/*
 * FETCH, in slices: so many messages as a few milliseconds and the output
 * buffer allow, then others have their turn.
 *
 * Lazy bodies (p2pmta(8), READING): which items need the body is in
 * fetchatt.c. A FETCH that names exactly one message as written ("7", "7:7" or
 * "*"; "7,9" or "5:*" do not, whatever they come to) pulls a body that is not
 * here; the session waits, and nothing of the message is sent before the pull
 * has ended well. Other FETCHes send what is here: the item is left out, and
 * the whole response when nothing but the UID would be left. With imap.bulk =
 * "pull" they pull one after the other.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "way/imap/binary.h"
#include "way/imap/body.h"
#include "way/imap/date.h"
#include "way/imap/fetchatt.h"
#include "way/imap/flags.h"
#include "way/imap/session.h"
#include "way/imap/vanished.h"

enum { PROGRESS_MS = 15 * 1000, LOOK = 8 /* small messages between two looks at the clock */ };

struct fetch {
	struct imap_fetch what;
	struct imap_walk walk;
	uint64_t since;			/* only what changed after this mod-sequence; 0: all */
	bool vanished;			/* and what went after it */
	bool pulls;			/* bodies that are not here */
	bool single;
	size_t at;			/* index of the message whose body is being pulled */
	size_t near;			/* of the last message, in the mailbox */
	size_t cost;			/* in small messages, since the last look at the clock */
	bool again;			/* look at it once more */
	bool pulled;			/* its pull has ended */
	struct imap_binary *binary;	/* of the message at hand */
	bool has_gone;			/* a message was expunged meanwhile */
	enum outcome failed;		/* of a pull, or a file */
	const char *why;
};

static void go_on(struct imap_session *);

/* ---- waiting for a body ---- */

static int64_t progress_ms(const struct imap_session *s)
{
	return s->imap->settings.progress_ms > 0 ? s->imap->settings.progress_ms : PROGRESS_MS;
}

static void progress(struct imap_session *s)
{
	imap_send(s, "* OK [INPROGRESS (\"%s\" NIL NIL)] Still fetching the message", s->cmd->tag);
	imap_flush(s);
	imap_wait(s, progress_ms(s), progress);
}

static void pull(struct imap_session *s, uint64_t content)
{
	imap_wait(s, progress_ms(s), progress);
	imap_pull_ask(s, content);
}

void imap_fetch_pulled(struct imap_session *s, enum outcome res, const char *text)
{
	struct fetch *f = (struct fetch *)s->cmd->state;

	timer_clear(s->wait);
	f->again = f->pulled = true;
	if (res != OK) {
		f->failed = res;
		f->why = imap_plain(f, text[0] ? text : "The message cannot be had now");
		/* Nothing of it was sent, and nothing will be: the client asks again. */
		if (f->single) {
			imap_finish(s, res == RETRY ? "NO [UNAVAILABLE] %s" : "NO %s", f->why);
			return;
		}
	}
	go_on(s);
}

/* ---- one message ---- */

static bool has_body(const struct content *c)
{
	return c && c->place != PLACE_NONE;
}

/* Is this item sent for this message? */
static bool is_sent(const struct fetch *f, const struct imap_att *a, const struct imap_body *b)
{
	const struct content *c = b ? b->content : NULL;

	if (a->needs & NEED_DECODED && (!f->binary || imap_binary_error(f->binary, (size_t)(a - f->what.atts))))
		return false;

	if (a->needs & NEED_BODY)
		return b && imap_body_is_open(b);
	if (a->needs & NEED_BRIEF)
		return c && c->envelope && c->body && c->bodystructure;
	return !(a->needs & NEED_SKELETON) || c;
}

static void send_item(struct imap_session *s, const struct imap_att *a, const struct message *m, struct imap_body *b)
{
	struct buf *out = s->out;
	char date[IMAP_DATE_TEXT];

	switch (a->item) {
	case ITEM_UID:
		buf_adds(out, "UID ");
		imap_add_number(out, m->uid);
		break;
	case ITEM_FLAGS:
		buf_adds(out, "FLAGS ");
		imap_flags_print(out, s->imap->store, imap_view_flags(s->view, m), m->keywords);
		break;
	case ITEM_INTERNALDATE:
		imap_date_print(m->internal_ms, date);
		buf_addf(out, "INTERNALDATE \"%s\"", date);
		break;
	case ITEM_SIZE:
		buf_adds(out, "RFC822.SIZE ");
		imap_add_number(out, m->size);
		break;
	case ITEM_ENVELOPE:
		buf_adds(out, "ENVELOPE ");
		buf_adds(out, b->content->envelope);
		break;
	case ITEM_BODY:
		buf_adds(out, "BODY ");
		buf_adds(out, b->content->body);
		break;
	case ITEM_BODYSTRUCTURE:
		buf_adds(out, "BODYSTRUCTURE ");
		buf_adds(out, b->content->bodystructure);
		break;
	case ITEM_MODSEQ:
		buf_addf(out, "MODSEQ (%llu)", (unsigned long long)m->modseq);
		break;
	case ITEM_EMAILID:
		buf_addf(out, "EMAILID (M%llu)", (unsigned long long)m->content);
		break;
	case ITEM_THREADID:
		buf_adds(out, "THREADID NIL");
		break;
	case ITEM_SECTION:
		imap_body_send(s, b, a);
		break;
	case ITEM_BINARY:
	case ITEM_BINARY_SIZE:
		break;
	}
}

/* \Seen, if an item that is sent sets it. True: it is new. */
static bool see(struct imap_session *s, const struct fetch *f, const struct message *m, const struct imap_body *b)
{
	struct mailbox *box;
	bool seen = false;

	if (!(f->what.needs & SETS_SEEN) || m->flags & FLAG_SEEN || s->view->read_only)
		return false;
	for (size_t i = 0; i < f->what.n; i++)
		seen |= f->what.atts[i].needs & SETS_SEEN && is_sent(f, &f->what.atts[i], b);
	if (!seen)
		return false;
	box = imap_box(s);
	s->imap->quiet = s->id;
	store_message_set_flags(s->imap->store, box, m->uid, m->flags | FLAG_SEEN, m->keywords);
	s->imap->quiet = 0;
	if (!s->view->has_changed)
		s->view->modseq = box->modseq;
	return true;
}

static void send_items(struct imap_session *s, const struct fetch *f, size_t index, const struct message *m, struct imap_body *b)
{
	static const struct imap_att uid = { .item = ITEM_UID }, flags = { .item = ITEM_FLAGS },
	    modseq = { .item = ITEM_MODSEQ };
	bool newly = see(s, f, m, b);
	/* RFC 9051 section 7.5.2: what was not asked for comes with the UID. */
	bool by_uid = s->cmd->verb->flags & BY_UID || s->enabled & ENABLED_QRESYNC || (newly && s->enabled & ENABLED_REV2);

	if (m->keywords & ~s->view->told_keywords)
		imap_tell_keywords(s);
	buf_adds(s->out, "* ");
	imap_add_number(s->out, index + 1);
	buf_adds(s->out, " FETCH (");
	size_t n = 0;

	if (by_uid && !imap_fetch_has(&f->what, ITEM_UID)) {
		send_item(s, &uid, m, b);
		n++;
	}
	if (newly && !imap_fetch_has(&f->what, ITEM_FLAGS)) {
		buf_adds(s->out, n++ > 0 ? " " : "");
		send_item(s, &flags, m, b);
	}
	if ((newly || f->since) && s->enabled & ENABLED_CONDSTORE && !imap_fetch_has(&f->what, ITEM_MODSEQ)) {
		buf_adds(s->out, n++ > 0 ? " " : "");
		send_item(s, &modseq, m, b);
	}
	for (size_t i = 0; i < f->what.n && !s->ending; i++) {
		if (!is_sent(f, &f->what.atts[i], b))
			continue;
		buf_adds(s->out, n++ > 0 ? " " : "");
		if (f->what.atts[i].needs & NEED_DECODED)
			imap_binary_send(s, b, f->binary, &f->what.atts[i], i);
		else
			send_item(s, &f->what.atts[i], m, b);
	}
	buf_adds(s->out, ")\r\n");
}

/* The trace says that a message was sent, not what is in it. */
static void send_message(struct imap_session *s, const struct fetch *f, size_t index, const struct message *m,
    struct imap_body *b)
{
	bool left_out = false, worth = f->since > 0;

	for (size_t i = 0; i < f->what.n; i++) {
		bool sent = is_sent(f, &f->what.atts[i], b);

		left_out |= !sent;
		worth |= sent && f->what.atts[i].item != ITEM_UID;
	}
	if (left_out && !worth)
		return;
	if (!imap_is_traced()) {
		send_items(s, f, index, m, b);
		return;
	}
	imap_flush(s);
	s->is_private = true;
	send_items(s, f, index, m, b);
	if (!s->ending)
		imap_flush(s);
	s->is_private = false;
	imap_trace(s, "* %zu FETCH (...)", index + 1);
}

/* What was rendered when the message was filed is for IMAP4rev1, see mime_body_global(). */
static void show_global(struct imap_session *s, void *ctx, struct content *brief)
{
	const struct content *c = strcasestr(brief->bodystructure, "\"message\" \"global\"") ?
	    store_content_find(s->imap->store, ctx, brief->id) : NULL;
	struct err e;
	struct mime *m = c ? mime_from_skeleton(ctx, c->skeleton, c->parts ? c->parts : "", c->size, &e) : NULL;

	if (!m)
		return;
	brief->body = mime_body_global(ctx, m);
	brief->bodystructure = mime_bodystructure_global(ctx, m);
}

static void decoded(struct imap_session *s)
{
	((struct fetch *)s->cmd->state)->again = true;
	go_on(s);
}

static bool wait_for_binary(struct imap_session *s, struct fetch *f, size_t index, struct imap_body *b)
{
	f->binary = imap_binary_new(f, b, &f->what);
	f->at = index;
	return imap_binary_decode(s, f->binary, b, decoded);
}

/* What could not be decoded is left out, and the answer is NO. */
static void note_errors(struct fetch *f)
{
	for (size_t i = 0; i < f->what.n; i++) {
		const char *error = imap_binary_error(f->binary, i);

		if (!error)
			continue;
		f->failed = REJECT;
		f->why = error;
	}
}

/* What was rendered goes from the row to the output; nothing is written, nothing is waited for. */
static void send_borrowed(struct imap_session *s, struct fetch *f, size_t index, const struct message *m)
{
	struct content c;
	bool brief = f->what.needs & NEED_BRIEF, skeleton = f->what.needs & NEED_SKELETON;
	bool there = store_content_peek(s->imap->store, m->content, (brief ? PEEK_ROW : 0) | (skeleton ? PEEK_SKELETON : 0), &c);
	struct imap_body only_row = { .content = &c, .fd = -1 }, *b = &only_row;
	void *ctx = NULL;

	c.size = m->size;
	f->cost += c.skeleton.len / 1024;
	if (brief && s->enabled & ENABLED_REV2 && there && c.bodystructure)
		show_global(s, ctx = mem_ctx(NULL), &c);
	if (skeleton)
		b = imap_body_new(ctx, &c);
	send_message(s, f, index, m, there ? b : NULL);
	if (skeleton)
		talloc_free(b);
	talloc_free(ctx);
}

/* false: it waits for a pull, or a worker. */
static bool do_message(struct imap_session *s, struct fetch *f, size_t index)
{
	struct mailbox *box = imap_box(s);
	const struct message *m = box ? store_message_near(box, s->view->uids[index], &f->near) : NULL;
	void *ctx;

	if (!m) {
		f->has_gone = true;
		TALLOC_FREE(f->binary);
		return true;
	}
	if (m->modseq <= f->since && !f->pulled && !f->binary)
		return true;
	if (!(f->what.needs & (NEED_BRIEF | NEED_SKELETON | NEED_BODY))) {
		send_message(s, f, index, m, NULL);
		return true;
	}
	if (!(f->what.needs & (NEED_BODY | SETS_SEEN | NEED_DECODED))) {
		send_borrowed(s, f, index, m);
		return true;
	}
	f->cost += LOOK;
	ctx = mem_ctx(NULL);
	struct content *c = f->what.needs & NEED_SKELETON ? store_content_find(s->imap->store, ctx, m->content) :
	    store_content_find_brief(s->imap->store, ctx, m->content);
	if (f->what.needs & NEED_BRIEF && s->enabled & ENABLED_REV2 && c && c->bodystructure)
		show_global(s, ctx, c);
	struct imap_body *b = c ? imap_body_new(ctx, c) : NULL;

	if (f->what.needs & NEED_BODY && c && !has_body(c) && f->pulls && !f->pulled) {
		f->at = index;
		pull(s, c->id);
		talloc_free(ctx);
		return false;
	}
	if (f->what.needs & NEED_BODY && has_body(c) && !imap_body_open(s, b)) {
		f->failed = RETRY;
		f->why = "The message file cannot be read";
	}
	if (f->what.needs & NEED_DECODED && b && imap_body_is_open(b) && !f->binary && wait_for_binary(s, f, index, b)) {
		talloc_free(ctx);
		return false;
	}
	send_message(s, f, index, m, b);
	if (f->binary)
		note_errors(f);
	TALLOC_FREE(f->binary);
	talloc_free(ctx);
	return true;
}

/* ---- all of them ---- */

static void fetched(struct imap_session *s, const struct fetch *f)
{
	if (f->failed != OK)
		imap_finish(s, f->failed == RETRY ? "NO [UNAVAILABLE] %s" : "NO %s", f->why);
	else if (f->single && f->pulled && f->has_gone)
		imap_finish(s, "NO [EXPUNGEISSUED] The message is gone");
	else if (f->has_gone)
		imap_finish(s, "OK [EXPUNGEISSUED] Some messages are gone");
	else
		imap_finish(s, "OK Fetch completed");
}

static void go_on(struct imap_session *s)
{
	struct fetch *f = (struct fetch *)s->cmd->state;
	int64_t started = clock_mono_ms();
	size_t index = f->at;

	while (f->again || imap_walk_next(&f->walk, &index)) {
		f->again = false;
		if (!do_message(s, f, index))
			return;
		f->pulled = f->pulled && f->single;
		if (s->ending)
			return;
		if (s->out->len > KIB(32))
			imap_flush(s);
		if (++f->cost < LOOK)
			continue;
		f->cost = 0;
		if (imap_is_slice_over(s, started)) {
			imap_yield(s, go_on);
			return;
		}
	}
	fetched(s, f);
}

/* FETCH 1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED) */
static bool parse_modifiers(const struct imap_session *s, const struct imap_arg *list, struct fetch *f)
{
	for (size_t i = 0; i < list->n_args; i++) {
		const struct imap_arg *a = &list->args[i];

		if (a->kind != IMAP_ATOM)
			return false;
		if (strcasecmp(a->text, "VANISHED") == 0 && s->cmd->verb->flags & BY_UID && s->enabled & ENABLED_QRESYNC)
			f->vanished = true;
		else if (strcasecmp(a->text, "CHANGEDSINCE") != 0 || ++i == list->n_args ||
		    !imap_arg_modseq(&list->args[i], &f->since))
			return false;
	}
	return f->since > 0;
}

/* '*' is the highest UID there ever was: it may be what went. */
static void tell_vanished(struct imap_session *s, const struct imap_arg *a, uint64_t since)
{
	struct mailbox *box = imap_box(s);
	struct imap_seqset set = { .n = s->view->n_saved };

	if (!box)
		return;
	if (strcmp(a->text, "$") == 0) {
		set.ranges = mem_array(s->cmd, struct imap_range, set.n + 1);
		for (size_t i = 0; i < set.n; i++)
			set.ranges[i] = (struct imap_range){ s->view->saved[i], s->view->saved[i] };
	} else {
		imap_seqset_parse(s->cmd, a->text, &set);
		imap_seqset_resolve(&set, box->uidnext - 1);
	}
	imap_vanished_earlier(s, box, since, &set, 0);
}

void imap_cmd_fetch(struct imap_session *s, struct imap_cmd *c)
{
	struct fetch *f = mem_zero(c, struct fetch);

	c->state = f;
	if (!imap_arg_set(s, &c->args[0], &f->walk, &f->single))
		return;
	size_t n = c->n_args - 1;

	if (n > 1 && c->args[n].kind == IMAP_LIST) {
		if (!parse_modifiers(s, &c->args[n--], f)) {
			imap_finish(s, "BAD Bad FETCH modifiers");
			return;
		}
	}
	if (imap_fetch_parse(f, c->args + 1, n, &f->what) < 0) {
		imap_finish(s, "BAD Bad FETCH items");
		return;
	}
	if (f->since || imap_fetch_has(&f->what, ITEM_MODSEQ))
		imap_enable_condstore(s);
	f->failed = OK;
	f->pulls = f->single || s->imap->settings.bulk_pull;
	if (f->vanished)
		tell_vanished(s, &c->args[0], f->since);
	go_on(s);
}
