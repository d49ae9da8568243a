/*
 * Threads append under the lock and ring an eventfd; the loop takes the list
 * and runs it unlocked, so a post may send posts, close the door or free it.
 * What was taken and not yet run stays in the door until its turn comes: that
 * is how a door that closes in between knows what to drop.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/loop/door.h"

enum { SLICE_MS = 10 };

struct post {
	STAILQ_ENTRY(post) next;
	void (*run)(void *arg);
	void (*drop)(void *arg);
	void *arg;
};

STAILQ_HEAD(post_list, post);

struct door {
	pthread_mutex_t lock;		/* for the next three */
	struct post_list waiting;
	size_t n_waiting;
	bool closed;

	size_t max;
	int fd;
	struct watch *watch;
	struct post_list taken;		/* loop thread only */
	bool running, freed;		/* freed from inside a post: really at the end of the run */
};

static void take_all(struct door *d)
{
	pthread_mutex_lock(&d->lock);
	STAILQ_CONCAT(&d->taken, &d->waiting);
	d->n_waiting = 0;
	pthread_mutex_unlock(&d->lock);
}

static struct post *take_first(struct door *d)
{
	struct post *p = STAILQ_FIRST(&d->taken);

	if (p != NULL)
		STAILQ_REMOVE_HEAD(&d->taken, next);
	return p;
}

static void destroy(struct door *d)
{
	watch_free(&d->watch);
	close(d->fd);
	pthread_mutex_destroy(&d->lock);
	talloc_free(d);
}

static void on_ring(void *arg, int fd, unsigned events)
{
	struct door *d = arg;
	struct post *p;
	eventfd_t n;

	(void)events;
	eventfd_read(fd, &n);
	take_all(d);
	d->running = true;
	int64_t until_ms = clock_mono_ms() + SLICE_MS;

	while ((p = take_first(d)) != NULL) {
		p->run(p->arg);
		talloc_free(p);
		if (clock_mono_ms() > until_ms && !d->freed && !STAILQ_EMPTY(&d->taken)) {
			/* The rest in the next turn: sessions wait. */
			eventfd_write(fd, 1);
			break;
		}
	}
	d->running = false;
	if (d->freed)
		destroy(d);
}

struct door *door_new(struct loop *l, size_t max, struct err *e)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0) {
		err_sys(e, "eventfd");
		return NULL;
	}
	struct door *d = mem_zero(NULL, struct door);

	pthread_mutex_init(&d->lock, NULL);
	STAILQ_INIT(&d->waiting);
	STAILQ_INIT(&d->taken);
	d->max = max;
	d->fd = fd;
	d->watch = watch_new(l, fd, on_ring, d);
	watch_set(d->watch, WATCH_READ);
	return d;
}

void door_close(struct door *d)
{
	struct post *p;

	pthread_mutex_lock(&d->lock);
	d->closed = true;
	pthread_mutex_unlock(&d->lock);
	watch_set(d->watch, 0);
	take_all(d);
	while ((p = take_first(d)) != NULL) {
		if (p->drop != NULL)
			p->drop(p->arg);
		talloc_free(p);
	}
}

void door_free(struct door **dp)
{
	struct door *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	door_close(d);
	d->freed = true;
	if (!d->running)
		destroy(d);
}

bool post_send(struct door *d, void (*run)(void *arg), void (*drop)(void *arg), void *arg)
{
	struct post *p = mem_zero(NULL, struct post);

	p->run = run;
	p->drop = drop;
	p->arg = arg;
	pthread_mutex_lock(&d->lock);
	bool taken = !d->closed && d->n_waiting < d->max;
	bool ring = taken && d->n_waiting == 0;

	if (taken) {
		STAILQ_INSERT_TAIL(&d->waiting, p, next);
		d->n_waiting++;
	}
	/* Inside the lock, or the door could be freed in between. Only a full counter could refuse. */
	if (ring)
		eventfd_write(d->fd, 1);
	pthread_mutex_unlock(&d->lock);
	if (!taken)
		talloc_free(p);
	return taken;
}
