/*
 * What handlers share: reading arguments, and bringing the session's view up
 * to the store with untagged responses - EXPUNGE first when it is allowed,
 * then changed flags, then EXISTS - so that every number the client hears is
 * right at that moment.
 */
#include <assert.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/mail/text.h"
#include "way/imap/flags.h"
#include "way/imap/name.h"
#include "way/imap/session.h"
#include "way/imap/vanished.h"

struct mailbox *imap_box(const struct imap_session *s)
{
	return s->view ? store_mailbox_get(s->imap->store, s->view->mailbox) : NULL;
}

void imap_deselect(struct imap_session *s)
{
	TALLOC_FREE(s->view);
}

bool imap_is_outbox(const struct imap_session *s, const struct mailbox *box)
{
	return box && box == store_mailbox_standard(s->imap->store, BOX_OUTBOX);
}

void imap_enable_condstore(struct imap_session *s)
{
	if (s->view && !(s->enabled & ENABLED_CONDSTORE))
		imap_send(s, "* OK [HIGHESTMODSEQ %llu] Mod-sequences are told from here on", (unsigned long long)s->view->modseq);
	s->enabled |= ENABLED_CONDSTORE;
}

const char *imap_highest(const struct imap_session *s)
{
	const struct mailbox *box = imap_box(s);

	if (!(s->enabled & ENABLED_CONDSTORE) || !box)
		return "";
	return mem_printf(s->cmd, "[HIGHESTMODSEQ %llu] ", (unsigned long long)box->modseq);
}

void imap_add_number(struct buf *out, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	buf_add(out, digits + at, sizeof(digits) - at);
}

const char *imap_plain(const void *ctx, const char *text)
{
	char *plain = mem_strndup(ctx, text, 400);

	for (char *p = plain; *p; p++)
		if ((unsigned char)*p < 0x20)
			*p = ' ';
		else if ((unsigned char)*p >= 0x7f)
			*p = '?';
	return plain;
}

/* ---- news ---- */

void imap_tell_keywords(struct imap_session *s)
{
	uint64_t known = imap_flags_known(s->imap->store);

	if (!s->view || known == s->view->told_keywords)
		return;
	uint32_t all = FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_SEEN | FLAG_DRAFT;

	s->view->told_keywords = known;
	buf_adds(s->out, "* FLAGS ");
	imap_flags_print(s->out, s->imap->store, all, known);
	buf_adds(s->out, "\r\n* OK [PERMANENTFLAGS ");
	if (s->view->read_only) {
		buf_adds(s->out, "()");
	} else {
		imap_flags_print(s->out, s->imap->store, all, known & ~imap_flags_ours(s->imap->store));
		s->out->data[--s->out->len] = '\0';
		buf_adds(s->out, " \\*)");
	}
	buf_adds(s->out, "] Flags that can be kept\r\n");
}

void imap_tell_flags(struct imap_session *s, size_t index, const struct message *m, bool with_uid)
{
	if (m->keywords & ~s->view->told_keywords)
		imap_tell_keywords(s);
	buf_addf(s->out, "* %zu FETCH (", index + 1);
	if (with_uid || s->enabled & (ENABLED_QRESYNC | ENABLED_REV2))
		buf_addf(s->out, "UID %u ", (unsigned)m->uid);
	buf_adds(s->out, "FLAGS ");
	imap_flags_print(s->out, s->imap->store, imap_view_flags(s->view, m), m->keywords);
	if (s->enabled & ENABLED_CONDSTORE)
		buf_addf(s->out, " MODSEQ (%llu)", (unsigned long long)m->modseq);
	buf_adds(s->out, ")\r\n");
}

/* Both arrays ascend: one pass finds what the mailbox has no more. */
static void tell_expunged(struct imap_session *s, struct mailbox *box)
{
	struct imap_view *v = s->view;
	uint32_t *gone = s->enabled & ENABLED_QRESYNC ? mem_array(NULL, uint32_t, v->n + 1) : NULL;
	size_t k = 0, kept = 0, n_gone = 0;

	for (size_t i = 0; i < v->n; i++) {
		while (k < box->n_messages && box->messages[k].uid < v->uids[i])
			k++;
		if (k < box->n_messages && box->messages[k].uid == v->uids[i])
			kept++;
		else if (gone)
			gone[n_gone++] = v->uids[i];
		else
			imap_send(s, "* %zu EXPUNGE", kept + 1);
	}
	imap_view_shrink(v, box);
	assert(v->n == kept);
	imap_vanished_now(s, gone, n_gone);
	talloc_free(gone);
}

static void tell_changed(struct imap_session *s, const struct mailbox *box, bool with_uid)
{
	struct imap_view *v = s->view;
	size_t k = 0;

	for (size_t i = 0; i < v->n; i++) {
		while (k < box->n_messages && box->messages[k].uid < v->uids[i])
			k++;
		if (k == box->n_messages)
			break;
		if (box->messages[k].uid == v->uids[i] && box->messages[k].modseq > v->modseq)
			imap_tell_flags(s, i, &box->messages[k], with_uid);
	}
	v->modseq = box->modseq;
	v->has_changed = false;
}

bool imap_tell(struct imap_session *s, bool may_expunge, bool with_uid)
{
	struct imap_view *v = s->view;
	struct mailbox *box = imap_box(s);
	bool news = (v->has_expunged && may_expunge) || v->has_changed || v->has_added;

	if (!box)
		return false;
	if (v->has_expunged && may_expunge)
		tell_expunged(s, box);
	if (v->has_changed)
		tell_changed(s, box, with_uid);
	if (v->has_added) {
		size_t before = v->n_recent;

		/* Expunged again before we looked: then there is nothing to tell. */
		if (imap_view_grow(v, s->imap->store, box) > 0) {
			imap_send(s, "* %zu EXISTS", v->n);
			if (v->n_recent != before)
				imap_send(s, "* %zu RECENT", v->n_recent);
		}
	}
	return news;
}

/* ---- arguments ---- */

const char *imap_arg_text(struct imap_session *s, const struct imap_arg *a)
{
	if (a->kind == IMAP_ATOM || a->kind == IMAP_STRING)
		return a->text;
	imap_finish(s, "BAD A string was expected");
	return NULL;
}

bool imap_is_utf8(const struct imap_session *s)
{
	return s->enabled & (ENABLED_UTF8 | ENABLED_REV2);
}

const char *imap_name_of(const struct imap_session *s, const void *ctx, const char *wire)
{
	if (!imap_is_utf8(s))
		return imap_name_decode(ctx, wire);
	const char *name = imap_name_decode_utf8(ctx, wire);

	return !name || store_mailbox_find(s->imap->store, name) ? name : text_nfc(ctx, name);
}

void imap_print_name(const struct imap_session *s, struct buf *out, const char *name)
{
	if (imap_is_utf8(s))
		imap_name_print_utf8(out, name);
	else
		imap_name_print(out, name);
}

const char *imap_arg_name(struct imap_session *s, const struct imap_arg *a)
{
	struct imap_cmd *c = s->cmd;
	const char *text = imap_arg_text(s, a);

	if (!text)
		return NULL;
	const char *name = imap_name_of(s, c, text);

	if (!name)
		imap_finish(s, "NO [CANNOT] Mailbox name is no valid %s", imap_is_utf8(s) ? "UTF-8" : "modified UTF-7");
	return name;
}

bool imap_arg_modseq(const struct imap_arg *a, uint64_t *out)
{
	*out = 0;
	if (a->kind != IMAP_ATOM || a->len == 0)
		return false;
	for (const char *p = a->text; *p; p++) {
		if (*p < '0' || *p > '9' || *out > (INT64_MAX - 9) / 10)
			return false;
		*out = *out * 10 + (uint64_t)(*p - '0');
	}
	return true;
}

bool imap_arg_set(struct imap_session *s, const struct imap_arg *a, struct imap_walk *walk, bool *single_out)
{
	struct imap_cmd *c = s->cmd;
	struct imap_seqset set;
	struct imap_span *spans;

	*walk = (struct imap_walk){ 0 };
	if (a->kind == IMAP_ATOM && strcmp(a->text, "$") == 0) {
		if (single_out)
			*single_out = false;
		imap_view_resolve_saved(c, s->view, &spans, &walk->n);
		walk->spans = spans;
		return true;
	}
	if (a->kind != IMAP_ATOM || imap_seqset_parse(c, a->text, &set) < 0) {
		imap_finish(s, "BAD Bad message set");
		return false;
	}
	if (single_out)
		*single_out = set.single;
	if (imap_view_resolve(c, s->view, &set, c->verb->flags & BY_UID, &spans, &walk->n) < 0) {
		imap_finish(s, "BAD There are only %zu messages", s->view->n);
		return false;
	}
	walk->spans = spans;
	return true;
}
