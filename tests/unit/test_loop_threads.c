/* The door and the pool: whatever was accepted is run or dropped, exactly once, on the loop's thread. */
#include "unit/turns.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/loop/door.h"
#include "lib/loop/pool.h"

enum { N_THREADS = 4, N_POSTS = 2000, N_ALL = N_THREADS * N_POSTS };

static struct door *door;
static struct err e;
static pthread_t loop_thread;

struct note {
	int id;
	int n_run, n_drop;
	int seen;	/* order of run */
};

static struct note notes[N_ALL];
static int n_run, n_drop;

static void run_note(void *arg)
{
	struct note *n = arg;

	ck_assert(pthread_equal(pthread_self(), loop_thread));
	n->n_run++;
	n->seen = n_run++;
}

static void drop_note(void *arg)
{
	struct note *n = arg;

	ck_assert(pthread_equal(pthread_self(), loop_thread));
	n->n_drop++;
	n_drop++;
}

static void set_up(void)
{
	turns_begin();
	loop_thread = pthread_self();
	for (int i = 0; i < N_ALL; i++)
		notes[i] = (struct note){ .id = i };
}

static void open_door(size_t max)
{
	door = door_new(loop, max, &e);
	ck_assert_msg(door != NULL, "%s", e.text);
}

static void *send_all(void *arg)
{
	struct note *first = arg;

	for (int i = 0; i < N_POSTS; i++)
		ck_assert(post_send(door, run_note, drop_note, &first[i]));
	return NULL;
}

static void start_senders(pthread_t threads[N_THREADS], void *(*send)(void *))
{
	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, send, &notes[i * N_POSTS]), 0);
}

static void join_senders(pthread_t threads[N_THREADS])
{
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
}

START_TEST(door_runs_each_once_and_in_order)
{
	pthread_t threads[N_THREADS];

	open_door(N_ALL);
	start_senders(threads, send_all);
	turns_until(&n_run, N_ALL);
	join_senders(threads);
	turns_some(3);
	for (int i = 0; i < N_ALL; i++) {
		ck_assert_int_eq(notes[i].n_run, 1);
		if (i % N_POSTS != 0)
			ck_assert_int_gt(notes[i].seen, notes[i - 1].seen);
	}
	door_free(&door);
	ck_assert_int_eq(n_drop, 0);
}
END_TEST

static atomic_int n_accepted;

static void *send_until_closed(void *arg)
{
	struct note *first = arg;

	for (int i = 0; i < N_POSTS; i++) {
		if (!post_send(door, run_note, drop_note, &first[i]))
			break;
		atomic_fetch_add(&n_accepted, 1);
	}
	return NULL;
}

START_TEST(door_closed_under_fire)
{
	pthread_t threads[N_THREADS];

	open_door(N_ALL);
	start_senders(threads, send_until_closed);
	turns_until(&n_run, 100);
	door_close(door);
	int n_run_then = n_run;

	join_senders(threads);
	turns_some(3);
	ck_assert_int_eq(n_run, n_run_then);
	ck_assert_int_eq(n_run + n_drop, atomic_load(&n_accepted));
	for (int i = 0; i < N_ALL; i++)
		ck_assert_int_le(notes[i].n_run + notes[i].n_drop, 1);
	door_free(&door);
	ck_assert_int_eq(n_run + n_drop, atomic_load(&n_accepted));
}
END_TEST

START_TEST(door_refuses_when_full)
{
	open_door(3);
	for (int i = 0; i < 3; i++)
		ck_assert(post_send(door, run_note, drop_note, &notes[i]));
	ck_assert(!post_send(door, run_note, drop_note, &notes[3]));
	turns_until(&n_run, 3);
	ck_assert(post_send(door, run_note, NULL, &notes[3]));
	door_free(&door);
	ck_assert_ptr_null(door);
	ck_assert_int_eq(notes[3].n_run + notes[3].n_drop, 0);
}
END_TEST

static void close_door_inside(void *arg)
{
	run_note(arg);
	door_free(&door);
}

START_TEST(door_freed_inside_a_post)
{
	open_door(10);
	ck_assert(post_send(door, run_note, drop_note, &notes[0]));
	ck_assert(post_send(door, close_door_inside, drop_note, &notes[1]));
	ck_assert(post_send(door, run_note, drop_note, &notes[2]));
	ck_assert(post_send(door, run_note, drop_note, &notes[3]));
	turns_until(&n_run, 2);
	turns_some(2);
	ck_assert_int_eq(n_run, 2);
	ck_assert_int_eq(n_drop, 2);
	ck_assert_int_eq(notes[2].n_drop + notes[3].n_drop, 2);
}
END_TEST

static void post_again(void *arg)
{
	run_note(arg);
	if (n_run < 100)
		ck_assert(post_send(door, post_again, NULL, arg));
}

static void post_from_hook(void *arg)
{
	if (n_run < 100)
		ck_assert(post_send(door, run_note, NULL, arg));
}

START_TEST(posts_of_posts_and_hooks)
{
	open_door(1);
	ck_assert(post_send(door, post_again, NULL, &notes[0]));
	turns_until(&n_run, 100);
	n_run = 0;
	loop_on_turn(loop, post_from_hook, &notes[0]);
	turns_some(1);
	turns_until(&n_run, 100);
	door_free(&door);
}
END_TEST

/* ---- the pool ---- */

struct work {
	struct note *note;
	pthread_t thread;
	int result;
};

static void square_work(void *arg)
{
	struct work *w = arg;

	w->thread = pthread_self();
	w->result = w->note->id * w->note->id;
}

static void square_done(void *arg)
{
	struct work *w = arg;

	ck_assert(!pthread_equal(w->thread, loop_thread));
	ck_assert_int_eq(w->result, w->note->id * w->note->id);
	run_note(w->note);
	talloc_free(w);
}

static void square_drop(void *arg)
{
	struct work *w = arg;

	drop_note(w->note);
	talloc_free(w);
}

static const struct pool_job square = { square_work, square_done, square_drop };

static void submit_square(struct pool *p, enum pool_lane lane, int i)
{
	struct work *w = mem_zero(NULL, struct work);

	w->note = &notes[i];
	pool_submit(p, lane, &square, w);
}

START_TEST(pool_does_all)
{
	struct pool *p = pool_new(loop, 3, &e);

	ck_assert_uint_eq(pool_workers(p), 3);
	for (int i = 0; i < 1000; i++)
		submit_square(p, i % 2 ? POOL_SOON : POOL_BULK, i);
	turns_until(&n_run, 1000);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(notes[i].n_run, 1);
	ck_assert_uint_eq(pool_waiting(p), 0);
	pool_free(&p);
	ck_assert_int_eq(n_drop, 0);
}
END_TEST

START_TEST(pool_by_default)
{
	struct pool *p = pool_new(loop, 0, &e);

	ck_assert_uint_ge(pool_workers(p), 2);
	pool_free(&p);
	pool_free(&p);
}
END_TEST

/* Freed at any moment: what was done is done, all else is dropped, nothing twice. */
START_TEST(pool_freed_under_work)
{
	struct pool *p = pool_new(loop, 2, &e);

	for (int i = 0; i < 1000; i++)
		submit_square(p, POOL_BULK, i);
	turns_until(&n_run, 1 + 100 * _i);
	pool_free(&p);
	ck_assert_int_eq(n_run + n_drop, 1000);
	turns_some(3);
	ck_assert_int_eq(n_run + n_drop, 1000);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(notes[i].n_run + notes[i].n_drop, 1);
}
END_TEST

static struct pool *inside;

static void free_pool_done(void *arg)
{
	square_done(arg);
	pool_free(&inside);
}

START_TEST(pool_freed_inside_done)
{
	static const struct pool_job last = { square_work, free_pool_done, square_drop };
	struct work *w = mem_zero(NULL, struct work);

	inside = pool_new(loop, 2, &e);
	w->note = &notes[0];
	pool_submit(inside, POOL_SOON, &last, w);
	for (int i = 1; i < 100; i++)
		submit_square(inside, POOL_BULK, i);
	turns_until(&n_run, 1);
	turns_some(2);
	ck_assert_ptr_null(inside);
	ck_assert_int_eq(n_run + n_drop, 100);
}
END_TEST

/* The only worker for bulk jobs is held at a gate: other bulk jobs wait, what a person waits for is done. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int at_gate;

static void gate_work(void *arg)
{
	square_work(arg);
	atomic_store(&at_gate, 1);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

START_TEST(pool_soon_passes_bulk)
{
	static const struct pool_job held = { gate_work, square_done, square_drop };
	struct work *w = mem_zero(NULL, struct work);
	struct pool *p = pool_new(loop, 1, &e);

	w->note = &notes[0];
	pthread_mutex_lock(&gate);
	pool_submit(p, POOL_BULK, &held, w);
	while (!atomic_load(&at_gate))
		sched_yield();
	for (int i = 1; i <= 10; i++)
		submit_square(p, POOL_BULK, i);
	for (int i = 11; i <= 20; i++)
		submit_square(p, POOL_SOON, i);
	turns_until(&n_run, 10);
	ck_assert_uint_eq(pool_waiting(p), 10);
	for (int i = 11; i <= 20; i++)
		ck_assert_int_eq(notes[i].seen, i - 11);
	pthread_mutex_unlock(&gate);
	turns_until(&n_run, 21);
	pool_free(&p);
}
END_TEST

UNIT_SUITE("loop_threads")
	tcase_add_checked_fixture(unit_case, set_up, turns_end);
	UNIT(door_runs_each_once_and_in_order);
	UNIT(door_closed_under_fire);
	UNIT(door_refuses_when_full);
	UNIT(door_freed_inside_a_post);
	UNIT(posts_of_posts_and_hooks);
	UNIT(pool_does_all);
	UNIT(pool_by_default);
	tcase_add_loop_test(unit_case, pool_freed_under_work, 0, 8);
	UNIT(pool_freed_inside_done);
	UNIT(pool_soon_passes_bulk);
UNIT_END
