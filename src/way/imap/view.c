/*
 * The array of UIDs is the store's as long as the session was told all that
 * went; only who is told of new messages before he may be told of that has one
 * of his own. Lookups are binary searches. Everything else about a message is
 * asked of the store at the moment it is sent.
 */
#include <string.h>

#include "lib/base/mem.h"
#include "way/imap/view.h"

static void add_recent(struct imap_view *v, uint32_t uid)
{
	if (v->n_recent == v->recent_size) {
		v->recent_size = v->recent_size > 0 ? 2 * v->recent_size : 16;
		v->recent = mem_resize(v, v->recent, uint32_t, v->recent_size);
	}
	v->recent[v->n_recent++] = uid;
}

static void take_recent(struct imap_view *v, const struct message *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (from[i].flags & FLAG_RECENT)
			add_recent(v, from[i].uid);
}

static void set_uids(struct imap_view *v, const uint32_t *uids, uint32_t *own)
{
	if (v->uids)
		talloc_unlink(v, (void *)(uintptr_t)v->uids);
	v->uids = uids;
	v->own = own;
}

/* The first n of the mailbox are what the session knows of. */
static void share(struct imap_view *v, struct mailbox *box, size_t n)
{
	const uint32_t *uids = store_message_uids(box);

	if (uids != v->uids) {
		set_uids(v, uids, NULL);
		mem_check(talloc_reference(v, (void *)(uintptr_t)uids));
	}
	v->n = n;
}

static void append(struct imap_view *v, const struct message *from, size_t n)
{
	if (!v->own || v->own_size - v->n < n) {
		v->own_size = 2 * (v->n + n);
		uint32_t *own = mem_array(v, uint32_t, v->own_size);

		memcpy(own, v->uids, v->n * sizeof(*own));
		set_uids(v, own, own);
	}
	for (size_t i = 0; i < n; i++)
		v->own[v->n++] = from[i].uid;
}

/* Index in the mailbox of the first message that the session does not know of. */
static size_t first_new(const struct imap_view *v, const struct mailbox *box)
{
	uint32_t last = v->n > 0 ? v->uids[v->n - 1] : 0;

	return last < UINT32_MAX ? store_message_index(box, last + 1) : box->n_messages;
}

size_t imap_view_grow(struct imap_view *v, struct store *st, struct mailbox *box)
{
	size_t first = first_new(v, box), n = box->n_messages - first;

	/* It knows of all that are there, so as many are the same. */
	if (first == v->n)
		share(v, box, box->n_messages);
	else if (n > 0)
		append(v, &box->messages[first], n);
	if (box->n_recent > 0) {
		if (n > 0 && !v->no_recent)
			take_recent(v, &box->messages[first], n);
		if (!v->read_only)
			store_message_clear_recent(st, box);
	}
	v->has_added = false;
	/* What is new is told by EXISTS, not by its flags. */
	if (!v->has_changed)
		v->modseq = box->modseq;
	return n;
}

void imap_view_shrink(struct imap_view *v, struct mailbox *box)
{
	size_t kept = 0;

	share(v, box, first_new(v, box));
	for (size_t i = 0; i < v->n_recent; i++)
		if (imap_view_index(v, v->recent[i]) < v->n)
			v->recent[kept++] = v->recent[i];
	v->n_recent = kept;
	v->has_expunged = false;
}

void imap_view_forget_recent(struct imap_view *v)
{
	v->no_recent = true;
	v->n_recent = 0;
}

struct imap_view *imap_view_new(const void *ctx, struct store *st, struct mailbox *box, bool read_only, bool recent)
{
	struct imap_view *v = mem_zero(ctx, struct imap_view);

	v->mailbox = box->id;
	v->read_only = read_only;
	v->no_recent = !recent;
	v->modseq = box->modseq;
	imap_view_grow(v, st, box);
	return v;
}

static size_t lower(const uint32_t *a, size_t n, uint32_t uid)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (a[mid] < uid)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

size_t imap_view_lower(const struct imap_view *v, uint32_t uid)
{
	return lower(v->uids, v->n, uid);
}

size_t imap_view_index(const struct imap_view *v, uint32_t uid)
{
	size_t i = imap_view_lower(v, uid);

	return i < v->n && v->uids[i] == uid ? i : v->n;
}

bool imap_view_is_recent(const struct imap_view *v, uint32_t uid)
{
	size_t i = lower(v->recent, v->n_recent, uid);

	return i < v->n_recent && v->recent[i] == uid;
}

uint32_t imap_view_flags(const struct imap_view *v, const struct message *m)
{
	uint32_t flags = m->flags & ~(uint32_t)FLAG_RECENT;

	return v->n_recent > 0 && imap_view_is_recent(v, m->uid) ? flags | FLAG_RECENT : flags;
}

int imap_view_resolve(const void *ctx, const struct imap_view *v, struct imap_seqset *set, bool uids,
    struct imap_span **spans_out, size_t *n_out)
{
	imap_seqset_resolve(set, uids ? (v->n > 0 ? v->uids[v->n - 1] : 0) : (uint32_t)v->n);
	if (!uids && imap_seqset_max(set) > v->n)
		return -1;
	struct imap_span *spans = mem_array(ctx, struct imap_span, set->n + 1);
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++) {
		uint64_t lo = set->ranges[i].lo, hi = set->ranges[i].hi;
		struct imap_span s = { (size_t)lo - 1, (size_t)hi };

		if (uids) {
			s.from = imap_view_lower(v, (uint32_t)lo);
			s.to = hi < UINT32_MAX ? imap_view_lower(v, (uint32_t)hi + 1) : v->n;
		}
		if (s.from < s.to)
			spans[n++] = s;
	}
	*spans_out = spans;
	*n_out = n;
	return 1;
}

void imap_view_resolve_saved(const void *ctx, const struct imap_view *v, struct imap_span **spans_out, size_t *n_out)
{
	struct imap_span *spans = mem_array(ctx, struct imap_span, v->n_saved + 1);
	size_t n = 0;

	for (size_t i = 0; i < v->n_saved; i++) {
		size_t at = imap_view_index(v, v->saved[i]);

		if (at == v->n)
			continue;
		if (n > 0 && spans[n - 1].to == at)
			spans[n - 1].to++;
		else
			spans[n++] = (struct imap_span){ at, at + 1 };
	}
	*spans_out = spans;
	*n_out = n;
}

bool imap_walk_next(struct imap_walk *w, size_t *index_out)
{
	while (w->span < w->n) {
		const struct imap_span *s = &w->spans[w->span];

		if (w->at < s->from)
			w->at = s->from;
		if (w->at < s->to) {
			*index_out = w->at++;
			return true;
		}
		w->span++;
	}
	return false;
}
