/*
 * A binary heap of entries and a hash that finds an entry by kind and id, so
 * that an event can bring a row forward. Entries taken in one turn are bounded:
 * sessions get their turn between two slices of a large queue.
 */
#include <talloc.h>
#include <uthash.h>

#include "app/courier/agenda.h"
#include "lib/base/clock.h"

enum { SLICE = 32, LOOK_MS = 60000 };

struct entry {
	struct { uint64_t kind, id; } key;
	int64_t due_ms;
	size_t at;			/* in the heap */
	UT_hash_handle hh;
};

struct agenda {
	struct entry **heap;
	size_t n;
	struct entry *entries;
	struct timer *timer;
	void (*due)(void *arg, enum agenda_kind, uint64_t id);
	void *arg;
};

static void put(struct agenda *a, size_t at, struct entry *e)
{
	a->heap[at] = e;
	e->at = at;
}

static void sift_up(struct agenda *a, size_t at)
{
	struct entry *e = a->heap[at];

	for (; at > 0 && a->heap[(at - 1) / 2]->due_ms > e->due_ms; at = (at - 1) / 2)
		put(a, at, a->heap[(at - 1) / 2]);
	put(a, at, e);
}

static void sift_down(struct agenda *a, size_t at)
{
	struct entry *e = a->heap[at];

	for (size_t child; (child = 2 * at + 1) < a->n; at = child) {
		if (child + 1 < a->n && a->heap[child + 1]->due_ms < a->heap[child]->due_ms)
			child++;
		if (a->heap[child]->due_ms >= e->due_ms)
			break;
		put(a, at, a->heap[child]);
	}
	put(a, at, e);
}

static void entry_drop(struct agenda *a, struct entry *e)
{
	size_t at = e->at;
	struct entry *last = a->heap[--a->n];

	if (last != e) {
		put(a, at, last);
		sift_up(a, at);
		sift_down(a, last->at);
	}
	HASH_DELETE(hh, a->entries, e);	/* NOLINT(clang-analyzer-core.NullDereference): uthash's */
	talloc_free(e);
}

static void set_timer(struct agenda *a)
{
	int64_t ms = a->n > 0 ? a->heap[0]->due_ms - clock_now_ms() : LOOK_MS;

	timer_set(a->timer, ms < 0 ? 0 : ms > LOOK_MS ? LOOK_MS : ms);
}

static void on_timer(void *arg)
{
	struct agenda *a = arg;
	int64_t now = clock_now_ms();

	for (int i = 0; i < SLICE && a->n > 0 && a->heap[0]->due_ms <= now; i++) {
		enum agenda_kind kind = (enum agenda_kind)a->heap[0]->key.kind;
		uint64_t id = a->heap[0]->key.id;

		entry_drop(a, a->heap[0]);
		a->due(a->arg, kind, id);
	}
	set_timer(a);
}

static struct entry *find(struct agenda *a, enum agenda_kind kind, uint64_t id)
{
	uint64_t key[2] = { (uint64_t)kind, id };
	struct entry *e;

	HASH_FIND(hh, a->entries, key, sizeof(key), e);
	return e;
}

void agenda_set(struct agenda *a, enum agenda_kind kind, uint64_t id, int64_t due_ms)
{
	struct entry *e = find(a, kind, id);

	if (e == NULL) {
		e = talloc_zero(a, struct entry);
		e->key.kind = (uint64_t)kind;
		e->key.id = id;
		HASH_ADD(hh, a->entries, key, sizeof(e->key), e);
		if (a->n == talloc_array_length(a->heap))
			a->heap = talloc_realloc(a, a->heap, struct entry *, a->n * 2);
		put(a, a->n++, e);
	}
	e->due_ms = due_ms;
	sift_up(a, e->at);
	sift_down(a, e->at);
	set_timer(a);
}

void agenda_drop(struct agenda *a, enum agenda_kind kind, uint64_t id)
{
	struct entry *e = find(a, kind, id);

	if (e != NULL)
		entry_drop(a, e);
}

struct agenda *agenda_new(struct loop *loop, void (*due)(void *arg, enum agenda_kind, uint64_t id), void *arg)
{
	struct agenda *a = talloc_zero(NULL, struct agenda);

	a->heap = talloc_array(a, struct entry *, 64);
	a->due = due;
	a->arg = arg;
	a->timer = timer_new(loop, on_timer, a);
	return a;
}

void agenda_free(struct agenda **ap)
{
	struct agenda *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	while (a->n > 0)
		entry_drop(a, a->heap[0]);
	timer_free(&a->timer);
	talloc_free(a);
}
