/*
 * Ranges from the store's memory (store_expunged_since), cut to what was asked
 * for. One response may name very many: it goes out in lines of a bearable
 * length, which the RFC allows.
 */
#include "lib/base/mem.h"
#include "way/imap/vanished.h"

enum { LINE_LEN = 4096 };

struct ranges {
	const void *ctx;
	struct imap_range *ranges;
	size_t n, size;
};

static void add(struct ranges *r, uint64_t lo, uint64_t hi)
{
	if (r->n == r->size) {
		r->size = r->size ? r->size * 2 : 16;
		r->ranges = mem_resize(r->ctx, r->ranges, struct imap_range, r->size);
	}
	r->ranges[r->n++] = (struct imap_range){ lo, hi };
}

/* lo to hi without what the view has: ranges of its UIDs split it. */
static void add_unseen(struct ranges *r, const struct imap_view *v, uint64_t lo, uint64_t hi)
{
	for (size_t i = imap_view_lower(v, (uint32_t)lo); i < v->n && v->uids[i] <= hi; i++) {
		if (v->uids[i] > lo)
			add(r, lo, v->uids[i] - 1);
		lo = (uint64_t)v->uids[i] + 1;
	}
	if (lo <= hi)
		add(r, lo, hi);
}

static void print(struct imap_session *s, const char *what, const struct imap_range *r, size_t n)
{
	for (size_t i = 0; i < n;) {
		const char *comma = "";

		buf_adds(s->out, what);
		for (size_t begin = s->out->len; i < n && s->out->len - begin < LINE_LEN; i++) {
			buf_adds(s->out, comma);
			imap_add_number(s->out, r[i].lo);
			if (r[i].hi > r[i].lo) {
				buf_adds(s->out, ":");
				imap_add_number(s->out, r[i].hi);
			}
			comma = ",";
		}
		buf_adds(s->out, "\r\n");
		if (s->out->len > KIB(32))
			imap_flush(s);
	}
}

void imap_vanished_now(struct imap_session *s, const uint32_t *uids, size_t n)
{
	struct ranges r = { .ctx = mem_ctx(NULL) };

	for (size_t i = 0; i < n; i++) {
		if (r.n > 0 && r.ranges[r.n - 1].hi + 1 == uids[i])
			r.ranges[r.n - 1].hi = uids[i];
		else
			add(&r, uids[i], uids[i]);
	}
	print(s, "* VANISHED ", r.ranges, r.n);
	talloc_free((void *)(uintptr_t)r.ctx);
}

void imap_vanished_earlier(struct imap_session *s, struct mailbox *box, uint64_t since, const struct imap_seqset *among,
    uint32_t above)
{
	static const struct imap_range all = { 1, UINT32_MAX };
	const struct imap_range *in = among ? among->ranges : &all;
	struct ranges r = { .ctx = mem_ctx(NULL) };
	size_t n, k = 0, n_in = among ? among->n : 1;
	const struct uid_range *gone = store_expunged_since(s->imap->store, r.ctx, box, since, &n);

	/* Both ascend: what they have in common. */
	for (size_t i = 0; i < n && k < n_in;) {
		uint64_t lo = gone[i].lo > in[k].lo ? gone[i].lo : in[k].lo;
		uint64_t hi = gone[i].hi < in[k].hi ? gone[i].hi : in[k].hi;

		if (lo <= above)
			lo = (uint64_t)above + 1;
		if (lo <= hi)
			add_unseen(&r, s->view, lo, hi);
		if (gone[i].hi < in[k].hi)
			i++;
		else
			k++;
	}
	print(s, "* VANISHED (EARLIER) ", r.ranges, r.n);
	talloc_free((void *)(uintptr_t)r.ctx);
}
