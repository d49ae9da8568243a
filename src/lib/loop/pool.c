/*
 * Two queues under one lock; finished jobs come back through a door that is
 * never full. At the end the workers are joined first, then the door and the
 * queues are emptied: each job ends in done() or in drop(), and in one only.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/loop/door.h"
#include "lib/loop/pool.h"

enum { N_LANES = POOL_BULK + 1, LARGE = 16 * 1024 * 1024 };

struct job {
	STAILQ_ENTRY(job) next;
	struct pool_job what;
	void *arg;
	enum pool_lane lane;
};

STAILQ_HEAD(job_list, job);

struct pool {
	pthread_mutex_t lock;		/* for the next four */
	struct job_list lanes[N_LANES];
	size_t n_waiting;
	unsigned n_bulk;		/* bulk jobs that run */
	bool stop;

	pthread_cond_t more;
	struct door *door;
	pthread_t *threads;
	unsigned n_threads;
	unsigned n_workers;		/* one less: so many run bulk jobs at most, and a person never waits for them */
};

static void done_job(void *arg)
{
	struct job *j = arg;

	j->what.done(j->arg);		/* may free the pool */
	talloc_free(j);
}

static void drop_job(void *arg)
{
	struct job *j = arg;

	j->what.drop(j->arg);
	talloc_free(j);
}

/* What may run now; under the lock. */
static struct job *take_job(struct pool *p)
{
	struct job *j = STAILQ_FIRST(&p->lanes[POOL_SOON]);

	if (j == NULL && p->n_bulk < p->n_workers)
		j = STAILQ_FIRST(&p->lanes[POOL_BULK]);
	if (j == NULL)
		return NULL;
	STAILQ_REMOVE_HEAD(&p->lanes[j->lane], next);
	p->n_bulk += j->lane == POOL_BULK;
	p->n_waiting--;
	return j;
}

/* The next job, or NULL at the end. */
static struct job *wait_for_job(struct pool *p)
{
	struct job *j;

	pthread_mutex_lock(&p->lock);
	while ((j = p->stop ? NULL : take_job(p)) == NULL && !p->stop)
		pthread_cond_wait(&p->more, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return j;
}

static void job_ended(struct pool *p, const struct job *j)
{
	if (j->lane != POOL_BULK)
		return;
	pthread_mutex_lock(&p->lock);
	p->n_bulk--;
	pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg)
{
	struct pool *p = arg;
	struct job *j;

	while ((j = wait_for_job(p)) != NULL) {
		j->what.work(j->arg);
		job_ended(p, j);

		bool sent = post_send(p->door, done_job, drop_job, j);

		assert(sent);
		(void)sent;
	}
	return NULL;
}

/* Half of its time a job waits for gpg's agent or for the disk. */
static unsigned count_workers(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return cores < 1 ? 2 : 2 * (unsigned)cores;
}

/* Signals are the loop's: workers are born with all of them blocked. */
static int start_worker(struct pool *p)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int code = pthread_create(&p->threads[p->n_threads], NULL, worker_main, p);

	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (code != 0) {
		errno = code;
		return -1;
	}
	pthread_setname_np(p->threads[p->n_threads], "worker");
	p->n_threads++;
	return 0;
}

struct pool *pool_new(struct loop *l, unsigned n_workers, struct err *e)
{
	struct door *door = door_new(l, SIZE_MAX, e);

	if (door == NULL)
		return NULL;
	if (n_workers == 0)
		n_workers = count_workers();

	struct pool *p = mem_zero(NULL, struct pool);

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	for (int i = 0; i < N_LANES; i++)
		STAILQ_INIT(&p->lanes[i]);
	p->door = door;
	p->n_workers = n_workers;
	p->threads = mem_array(p, pthread_t, n_workers + 1);
	while (p->n_threads < n_workers + 1) {
		if (start_worker(p) < 0) {
			err_sys(e, "start a worker");
			pool_free(&p);
			return NULL;
		}
	}
	return p;
}

void pool_free(struct pool **pp)
{
	struct pool *p = *pp;
	struct job *j;

	*pp = NULL;
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	door_free(&p->door);
	for (int i = 0; i < N_LANES; i++) {
		while ((j = STAILQ_FIRST(&p->lanes[i])) != NULL) {
			STAILQ_REMOVE_HEAD(&p->lanes[i], next);
			drop_job(j);
		}
	}
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	talloc_free(p);
}

void pool_submit(struct pool *p, enum pool_lane lane, const struct pool_job *what, void *arg)
{
	struct job *j = mem_zero(NULL, struct job);

	j->what = *what;
	j->arg = arg;
	j->lane = lane;
	pthread_mutex_lock(&p->lock);
	STAILQ_INSERT_TAIL(&p->lanes[lane], j, next);
	p->n_waiting++;
	pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->lock);
}

static void close_fd(void *arg)
{
	int *fd = arg;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void closed_fd(void *arg)
{
	talloc_free(arg);
}

/* It may have been closed already, and only not come back. */
static void drop_fd(void *arg)
{
	close_fd(arg);
	talloc_free(arg);
}

void pool_close(struct pool *p, int fd)
{
	static const struct pool_job job = { close_fd, closed_fd, drop_fd };
	struct stat st;

	if (p == NULL || fstat(fd, &st) < 0 || st.st_nlink > 0 || st.st_size <= LARGE) {
		close(fd);
		return;
	}
	int *arg = mem_new(NULL, int);

	*arg = fd;
	pool_submit(p, POOL_BULK, &job, arg);
}

unsigned pool_workers(const struct pool *p)
{
	return p->n_workers;
}

size_t pool_waiting(const struct pool *cp)
{
	union { const struct pool *ro; struct pool *rw; } p = { cp };

	pthread_mutex_lock(&p.rw->lock);
	size_t n = p.rw->n_waiting;

	pthread_mutex_unlock(&p.rw->lock);
	return n;
}
