/*
 * The algorithm of RFC 5256 with nodes in one array and parents as indices.
 * Nothing recurses, since a thread may be as deep as the mailbox is long. A
 * node without message ("dummy") stands for one that is only referred to; the
 * last steps drop those that do not hold siblings together.
 */
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/base/mem.h"
#include "way/imap/thread.h"

#define NONE SIZE_MAX

/* Steps up, for all links together; only who means to waste them needs more than a few. */
enum { CLIMB_MAX = 100 * 1000 * 1000 };

struct node {
	const struct imap_thread_message *message;	/* NULL: dummy */
	size_t parent;			/* NONE: root */
	size_t n_children;
	/* Of what stands first: the message, or a dummy's first child. */
	const struct imap_thread_message *first;
	size_t from;			/* of its children in the order */
};

struct id {
	size_t node;
	UT_hash_handle hh;
};

struct subject {
	size_t root;
	UT_hash_handle hh;
};

struct forest {
	void *ctx;
	struct node *nodes;
	size_t n, size;
	size_t climbed;
	struct id *ids;
	struct subject *subjects;
};

const char **imap_thread_ids(const void *ctx, const char *value, size_t max, size_t *n_out)
{
	size_t n = 0, brackets = 0;

	for (const char *p = value; *p; p++)
		brackets += *p == '<';
	if (brackets < max)
		max = brackets;
	const char **ids = mem_array(ctx, const char *, max + 1);

	for (const char *p = strchr(value, '<'); p; p = strchr(p, '<')) {
		size_t len = strcspn(++p, "<> \t\r\n");

		if (p[len] != '>' || len == 0)
			continue;
		if (n == max)
			memmove(ids, ids + 1, --n * sizeof(*ids));
		ids[n++] = mem_strndup(ctx, p, len);
		p += len;
	}
	*n_out = n;
	return ids;
}

/* ---- step 1: links ---- */

static size_t new_node(struct forest *f, const struct imap_thread_message *m)
{
	if (f->n == f->size) {
		f->size = f->size ? f->size * 2 : 64;
		f->nodes = mem_resize(f->ctx, f->nodes, struct node, f->size);
	}
	f->nodes[f->n] = (struct node){ .message = m, .parent = NONE };
	return f->n++;
}

static size_t node_of(struct forest *f, const char *text)
{
	struct id *id;

	HASH_FIND_STR(f->ids, text, id);
	if (!id) {
		id = mem_zero(f->ctx, struct id);
		id->node = new_node(f, NULL);
		HASH_ADD_KEYPTR(hh, f->ids, text, strlen(text), id);
	}
	return id->node;
}

static void unlink_node(struct forest *f, size_t child)
{
	if (f->nodes[child].parent != NONE)
		f->nodes[f->nodes[child].parent].n_children--;
	f->nodes[child].parent = NONE;
}

/* Unless that makes a loop, or it takes too long to find out. */
static void link_nodes(struct forest *f, size_t parent, size_t child)
{
	if (parent == child)
		return;
	/* Only what has children can be above. */
	for (size_t i = parent; f->nodes[child].n_children > 0 && i != NONE; i = f->nodes[i].parent)
		if (i == child || ++f->climbed > CLIMB_MAX)
			return;
	unlink_node(f, child);
	f->nodes[child].parent = parent;
	f->nodes[parent].n_children++;
}

static void add_message(struct forest *f, const struct imap_thread_message *m)
{
	size_t self = m->id ? node_of(f, m->id) : new_node(f, NULL), above = NONE;

	/* A second message with the same id is one without. */
	if (f->nodes[self].message)
		self = new_node(f, NULL);
	f->nodes[self].message = m;
	for (size_t i = 0; i < m->n_refs; i++) {
		size_t ref = node_of(f, m->refs[i]);

		if (above != NONE && f->nodes[ref].parent == NONE)
			link_nodes(f, above, ref);
		above = ref;
	}
	if (above != NONE && above != self) {
		unlink_node(f, self);
		link_nodes(f, above, self);
	}
}

/* ---- steps 2 to 4: dummies go, but for roots of several ---- */

/* Nearest message above, or the topmost dummy. Dummies on the way are shortened. */
static size_t resolve(struct forest *f, size_t i)
{
	size_t top = f->nodes[i].parent;

	if (top == NONE)
		return NONE;
	while (!f->nodes[top].message && f->nodes[top].parent != NONE)
		top = f->nodes[top].parent;
	for (size_t at = f->nodes[i].parent; at != top; ) {
		size_t next = f->nodes[at].parent;

		f->nodes[at].parent = top;
		at = next;
	}
	return top;
}

static bool is_before(const struct imap_thread_message *a, const struct imap_thread_message *b)
{
	return a->date != b->date ? a->date < b->date : a->number < b->number;
}

static void prune(struct forest *f)
{
	for (size_t i = 0; i < f->n; i++) {
		f->nodes[i].n_children = 0;
		f->nodes[i].first = f->nodes[i].message;
	}
	for (size_t i = 0; i < f->n; i++)
		if (f->nodes[i].message)
			f->nodes[i].parent = resolve(f, i);
	for (size_t i = 0; i < f->n; i++) {
		struct node *n = &f->nodes[i], *p = n->parent != NONE ? &f->nodes[n->parent] : NULL;

		if (!n->message || !p)
			continue;
		p->n_children++;
		if (!p->message && (!p->first || is_before(n->message, p->first)))
			p->first = n->message;
	}
	for (size_t i = 0; i < f->n; i++) {
		struct node *n = &f->nodes[i], *p = n->parent != NONE ? &f->nodes[n->parent] : NULL;

		if (n->message && p && !p->message && p->n_children == 1) {
			n->parent = NONE;
			p->n_children = 0;
			p->first = NULL;
		}
	}
}

static bool is_root(const struct node *n)
{
	return n->parent == NONE && (n->message || n->n_children > 0);
}

static int by_date(const void *a, const void *b, void *arg)
{
	const struct node *nodes = (const struct node *)arg;
	const struct node *x = &nodes[*(const size_t *)a], *y = &nodes[*(const size_t *)b];

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return is_before(x->first, y->first) ? -1 : is_before(y->first, x->first);
}

/* ---- step 5: roots with one subject ---- */

static void note_subject(struct forest *f, size_t root)
{
	const struct node *n = &f->nodes[root];
	struct subject *s;

	HASH_FIND_STR(f->subjects, n->first->subject, s);
	if (!s) {
		s = mem_zero(f->ctx, struct subject);
		s->root = root;
		HASH_ADD_KEYPTR(hh, f->subjects, n->first->subject, strlen(n->first->subject), s);
		return;
	}
	const struct node *old = &f->nodes[s->root];

	if ((old->message && !n->message) || (!!old->message == !!n->message && old->first->is_reply && !n->first->is_reply))
		s->root = root;
}

static void merge_subject(struct forest *f, size_t root)
{
	struct subject *s;
	const struct imap_thread_message *first = f->nodes[root].first;

	HASH_FIND_STR(f->subjects, first->subject, s);
	if (!s || s->root == root)
		return;
	const struct node *n = &f->nodes[root], *old = &f->nodes[s->root];

	/* A dummy below a dummy hands on its children when dummies go. */
	if (old->message && !(n->first->is_reply && !old->first->is_reply)) {
		size_t dummy = new_node(f, NULL);

		f->nodes[s->root].parent = dummy;
		f->nodes[dummy].n_children = 1;
		f->nodes[dummy].first = f->nodes[s->root].first;
		s->root = dummy;
	}
	f->nodes[root].parent = s->root;
}

static void merge(struct forest *f)
{
	size_t *roots = mem_array(f->ctx, size_t, f->n), n = 0;

	for (size_t i = 0; i < f->n; i++)
		if (is_root(&f->nodes[i]))
			roots[n++] = i;
	qsort_r(roots, n, sizeof(*roots), by_date, f->nodes);
	for (size_t i = 0; i < n; i++)
		if (f->nodes[roots[i]].first->subject[0])
			note_subject(f, roots[i]);
	for (size_t i = 0; i < n; i++)
		if (f->nodes[roots[i]].first->subject[0])
			merge_subject(f, roots[i]);
}

/* ---- step 6, and out ---- */

struct range {
	size_t at, to;
};

/* What is open: a list of siblings per level, a bracket between two of them. */
static void print(struct buf *out, const struct forest *f, const size_t *order, struct range roots)
{
	struct range *stack = mem_array(f->ctx, struct range, f->n + 2);
	size_t depth = 0;

	stack[depth++] = roots;
	while (depth > 0) {
		struct range *r = &stack[depth - 1];

		if (r->at == r->to) {
			buf_adds(out, --depth > 0 ? ")" : "");
			continue;
		}
		const struct node *n = &f->nodes[order[r->at++]];

		buf_adds(out, "(");
		for (;; n = &f->nodes[order[n->from]]) {
			if (n->message)
				buf_addf(out, "%u%s", (unsigned)n->message->number, n->n_children > 0 ? " " : "");
			if (n->n_children != 1)
				break;
		}
		if (n->n_children > 0)
			stack[depth++] = (struct range){ n->from, n->from + n->n_children };
		else
			buf_adds(out, ")");
	}
}

void imap_thread_print(struct buf *out, const struct imap_thread_message *messages, size_t n)
{
	struct forest f = { .ctx = mem_ctx(NULL) };

	for (size_t i = 0; i < n; i++)
		add_message(&f, &messages[i]);
	prune(&f);
	merge(&f);
	prune(&f);
	size_t *order = mem_array(f.ctx, size_t, f.n + 1), n_order = 0, n_below = 0;

	for (size_t i = 0; i < f.n; i++)
		if (f.nodes[i].message || is_root(&f.nodes[i]))
			order[n_order++] = i;
	if (n_order > 0)
		qsort_r(order, n_order, sizeof(*order), by_date, f.nodes);
	/* NONE is the largest parent: roots come last. */
	for (; n_below < n_order && f.nodes[order[n_below]].parent != NONE; n_below++)
		if (n_below == 0 || f.nodes[order[n_below]].parent != f.nodes[order[n_below - 1]].parent)
			f.nodes[f.nodes[order[n_below]].parent].from = n_below;
	print(out, &f, order, (struct range){ n_below, n_order });
	HASH_CLEAR(hh, f.ids);
	HASH_CLEAR(hh, f.subjects);
	talloc_free(f.ctx);
}
