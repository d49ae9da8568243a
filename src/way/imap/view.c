/*
 * One array of UIDs per session: four octets per message, and lookups are
 * binary searches. Everything else about a message is asked of the store at
 * the moment it is sent.
 */
#include <string.h>

#include "lib/base/mem.h"
#include "way/imap/view.h"

/* Room for n more. */
static void reserve(struct imap_view *v, uint32_t **array, size_t used, size_t *size, size_t n)
{
	if (n <= *size - used)
		return;
	if (*size < 16)
		*size = 16;
	while (*size - used < n)
		*size *= 2;
	*array = mem_resize(v, *array, uint32_t, *size);
}

/* A loop with nothing in it: at SELECT it runs over the whole mailbox. */
static void add_uids(struct imap_view *v, const struct message *from, size_t n)
{
	reserve(v, &v->uids, v->n, &v->size, n);
	uint32_t *to = v->uids + v->n;

	for (size_t i = 0; i < n; i++)
		to[i] = from[i].uid;
	v->n += n;
}

static void add_recent(struct imap_view *v, const struct message *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!(from[i].flags & FLAG_RECENT))
			continue;
		reserve(v, &v->recent, v->n_recent, &v->recent_size, 1);
		v->recent[v->n_recent++] = from[i].uid;
	}
}

size_t imap_view_grow(struct imap_view *v, struct store *st, struct mailbox *box)
{
	uint32_t last = v->n > 0 ? v->uids[v->n - 1] : 0;
	size_t first = last < UINT32_MAX ? store_message_index(box, last + 1) : box->n_messages;
	size_t n = box->n_messages - first;

	if (n > 0)
		add_uids(v, &box->messages[first], n);
	if (box->n_recent > 0) {
		if (n > 0 && !v->no_recent)
			add_recent(v, &box->messages[first], n);
		if (!v->read_only)
			store_message_clear_recent(st, box);
	}
	v->has_added = false;
	/* What is new is told by EXISTS, not by its flags. */
	if (!v->has_changed)
		v->modseq = box->modseq;
	return n;
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
	if (box->n_messages > 0) {
		v->size = box->n_messages;
		v->uids = mem_array(v, uint32_t, v->size);
	}
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
