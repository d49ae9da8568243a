/*
 * `queue` may have thousands of letters to tell of: so many as a slice of a
 * turn has time for are printed and written, the rest in the next ones. What
 * is said of each is true when it is printed; one that was done meanwhile is
 * left out.
 */
#include <talloc.h>

#include "app/control/listing.h"
#include "app/control/private.h"
#include "lib/base/clock.h"

enum { SLICE_MS = 4 };

struct queue {
	LIST_ENTRY(queue) link;
	struct commands *commands;
	uint64_t request;
	uint64_t *letters;
	size_t n, at;
	struct timer *timer;
};

static void queue_free(struct queue *q)
{
	LIST_REMOVE(q, link);
	timer_free(&q->timer);
	talloc_free(q);
}

static void list_some(void *arg)
{
	struct queue *q = arg;
	struct commands *c = q->commands;
	int64_t begun_ms = clock_mono_ms();
	bool there = true;

	while (there && q->at < q->n && clock_mono_ms() - begun_ms < SLICE_MS) {
		json_t *letter = listing_queued(c->parts.store, c->parts.replicas, q->letters[q->at++]);

		if (letter != NULL)
			there = control_answer_item(c->control, q->request, letter);
	}
	if (there && q->at < q->n) {
		timer_set(q->timer, 0);
		return;
	}
	if (there)
		control_answer_item(c->control, q->request, NULL);
	queue_free(q);
}

void run_queue(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	struct queue *q = talloc_zero(NULL, struct queue);

	(void)args;
	q->commands = c;
	q->request = request;
	q->letters = store_letter_open(c->parts.store, q, &q->n);
	q->timer = timer_new(c->parts.loop, list_some, q);
	LIST_INSERT_HEAD(&c->queues, q, link);
	list_some(q);
}

void queues_stop(struct commands *c)
{
	while (!LIST_EMPTY(&c->queues))
		queue_free(LIST_FIRST(&c->queues));
}
