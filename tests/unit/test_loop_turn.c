/* Timers, turns, signals and watched descriptors. */
#include "unit/turns.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"

static char order[16];
static int n_fired;

static void fire(void *arg)
{
	order[n_fired++] = *(const char *)arg;
}

START_TEST(timers_fire_in_order)
{
	char names[] = "abcd";
	static const int ms[] = { 60, 0, 30, 10 };
	struct timer *t[4];
	int64_t start = clock_mono_ms();

	for (int i = 0; i < 4; i++) {
		t[i] = timer_new(loop, fire, &names[i]);
		ck_assert(!timer_is_set(t[i]));
		timer_set(t[i], ms[i]);
		ck_assert(timer_is_set(t[i]));
	}
	turns_until(&n_fired, 4);
	ck_assert_str_eq(order, "bdca");
	ck_assert_int_ge(clock_mono_ms() - start, 59);
	for (int i = 0; i < 4; i++) {
		ck_assert(!timer_is_set(t[i]));
		timer_free(&t[i]);
		ck_assert_ptr_null(t[i]);
	}
	timer_free(&t[0]);
}
END_TEST

START_TEST(timers_move_and_clear)
{
	char names[] = "abc";
	struct timer *a = timer_new(loop, fire, names), *b = timer_new(loop, fire, names + 1);
	struct timer *c = timer_new(loop, fire, names + 2);

	timer_set(a, 0);
	timer_set(b, 10);
	timer_set(c, -5);
	timer_set(a, 20);		/* moved behind b */
	timer_clear(c);
	timer_clear(c);
	turns_until(&n_fired, 2);
	ck_assert_str_eq(order, "ba");
	timer_free(&a);
	timer_free(&b);
	timer_free(&c);
}
END_TEST

static struct timer *self;

static void free_itself(void *arg)
{
	timer_free(&self);
	++*(int *)arg;
}

static void set_itself(void *arg)
{
	if (++*(int *)arg < 5)
		timer_set(self, 0);
}

START_TEST(timers_inside_themselves)
{
	int n = 0;

	self = timer_new(loop, set_itself, &n);
	timer_set(self, 0);
	turns_until(&n, 5);
	timer_free(&self);
	n = 0;
	self = timer_new(loop, free_itself, &n);
	timer_set(self, 1);
	turns_until(&n, 1);
	ck_assert_ptr_null(self);
}
END_TEST

/* A timer counts from now, however long the turn has lasted. */
static void slow_then_set(void *arg)
{
	/* Blocked, not kept from a processor by others. */
	nanosleep(&(struct timespec){ .tv_nsec = 60000000 }, NULL);
	timer_set(self, 30);
	*(int64_t *)arg = clock_mono_ms();
}

START_TEST(turns_are_measured)
{
	int64_t set_ms = 0;
	int n = 0;
	struct timer *slow = timer_new(loop, slow_then_set, &set_ms);

	turns_some(2);
	loop_take_longest_ms(loop);
	self = timer_new(loop, turns_count_up, &n);
	timer_set(slow, 30);
	turns_until(&n, 1);
	ck_assert_int_ge(clock_mono_ms() - set_ms, 29);
	int64_t longest = loop_take_longest_ms(loop);

	ck_assert_msg(longest >= 55 && longest < 2000, "%lld ms", (long long)longest);
	ck_assert_int_eq(loop_take_longest_ms(loop), 0);
	ck_assert_int_ge(loop_longest_ms(loop), longest);
	/* It is a warning, but where everything is slow. */
	ck_assert_uint_le(log_take_warnings(), 1);
	timer_free(&slow);
	timer_free(&self);
}
END_TEST

/* What blocks: computing, sleeping, and waiting for somebody who is slow but was not kept from a processor. */
static int64_t thread_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void spin(int64_t ms)
{
	int64_t end = thread_ms() + ms;

	while (thread_ms() < end)
		;
}

static void block_busy(void)
{
	spin(70);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 70000000 }, NULL);
}

static void *write_late(void *arg)
{
	nap();
	ck_assert_int_eq(write(*(int *)arg, "x", 1), 1);
	return NULL;
}

static void block_read(void)
{
	pthread_t thread;
	int fd[2];
	char c;

	ck_assert_int_eq(pipe(fd), 0);
	pthread_create(&thread, NULL, write_late, &fd[1]);
	ck_assert_int_eq(read(fd[0], &c, 1), 1);
	pthread_join(thread, NULL);
	close(fd[0]);
	close(fd[1]);
}

static const struct blocking { const char *name; void (*block)(void); } blockings[] = {
	{ "computes", block_busy },
	{ "sleeps", nap },
	{ "reads", block_read },
};

static void run_blocking(void *arg)
{
	const struct blocking *b = arg;

	b->block();
	loop_stop(loop);
}

static int64_t turn_of(void (*cb)(void *arg), const void *arg)
{
	struct timer *t = timer_new(loop, cb, (void *)(uintptr_t)arg);

	loop_watch_turns(loop);
	turns_some(2);
	loop_take_longest_ms(loop);
	log_take_warnings();
	timer_set(t, 30);	/* the other threads are looked at anew */
	loop_run(loop);
	timer_free(&t);
	return loop_take_longest_ms(loop);
}

START_TEST(blocking_is_reported)
{
	int64_t ms = turn_of(run_blocking, &blockings[_i]);
	unsigned warnings = log_take_warnings();

	ck_assert_msg(ms >= 60, "%s: %lld ms", blockings[_i].name, (long long)ms);
#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
	ck_assert_msg(warnings == 1, "%s: %u warnings", blockings[_i].name, warnings);
#endif
#endif
	(void)warnings;
}
END_TEST

/*
 * The holder of a lock and a hog share one processor, and the hog has it: the
 * loop waits for somebody who is kept from working.
 */
static struct {
	pthread_mutex_t lock;
	pthread_barrier_t holds, runs;
	cpu_set_t cpu;
} jam;

static void *hold(void *arg)
{
	struct sched_param none = { 0 };

	(void)arg;
	pthread_setaffinity_np(pthread_self(), sizeof(jam.cpu), &jam.cpu);
	pthread_mutex_lock(&jam.lock);
	pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
	pthread_barrier_wait(&jam.holds);
	spin(1);
	pthread_mutex_unlock(&jam.lock);
	pthread_barrier_wait(&jam.runs);	/* what it was kept is asked meanwhile */
	return NULL;
}

static void *hog(void *arg)
{
	(void)arg;
	pthread_setaffinity_np(pthread_self(), sizeof(jam.cpu), &jam.cpu);
	pthread_barrier_wait(&jam.runs);
	pthread_barrier_wait(&jam.holds);
	spin(150);
	return NULL;
}

static void wait_for_holder(void *arg)
{
	*(int64_t *)arg = clock_mono_ms();
	pthread_barrier_wait(&jam.runs);
	pthread_barrier_wait(&jam.holds);
	pthread_mutex_lock(&jam.lock);
	pthread_mutex_unlock(&jam.lock);
	*(int64_t *)arg = clock_mono_ms() - *(int64_t *)arg;
	loop_stop(loop);
}

START_TEST(kept_from_working_is_not_blocking)
{
	pthread_t threads[2];
	int64_t took;

	pthread_mutex_init(&jam.lock, NULL);
	pthread_barrier_init(&jam.holds, NULL, 3);
	pthread_barrier_init(&jam.runs, NULL, 2);
	CPU_ZERO(&jam.cpu);
	CPU_SET(sched_getcpu(), &jam.cpu);
	pthread_create(&threads[0], NULL, hold, NULL);
	pthread_create(&threads[1], NULL, hog, NULL);
	int64_t ms = turn_of(wait_for_holder, &took);

	pthread_barrier_wait(&jam.runs);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	/* Where the kernel does not count (no schedstat) there is nothing to see. */
	if (took >= 100 && access("/proc/thread-self/schedstat", R_OK) == 0)
		ck_assert_msg(ms < took / 2, "%lld of %lld ms", (long long)ms, (long long)took);
	log_take_warnings();
	pthread_mutex_destroy(&jam.lock);
	pthread_barrier_destroy(&jam.holds);
	pthread_barrier_destroy(&jam.runs);
}
END_TEST

/* Threads that want a processor, all the time, and have nothing that the loop wants. */
enum { SPINNERS = 8 };
static atomic_bool spins;

static void *spin_on(void *arg)
{
	while (atomic_load(&spins))
		;
	return arg;
}

static void sleep_long(void *arg)
{
	(void)arg;
	sleep(1);
	loop_stop(loop);
}

START_TEST(strangers_are_no_excuse)
{
	pthread_t threads[SPINNERS];

	atomic_store(&spins, true);
	for (int i = 0; i < SPINNERS; i++)
		pthread_create(&threads[i], NULL, spin_on, NULL);
	int64_t ms = turn_of(sleep_long, NULL);

	atomic_store(&spins, false);
	for (int i = 0; i < SPINNERS; i++)
		pthread_join(threads[i], NULL);
	/* Each of them had its share of the second. */
	ck_assert_msg(ms > 50, "%lld ms", (long long)ms);
	log_take_warnings();
}
END_TEST

/* Another thread's fork() takes long, and holds what the loop needs. */
static void slow_fork(void)
{
	nap();
	nap();
}

static void *fork_once(void *arg)
{
	pid_t pid = fork();

	(void)arg;
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return NULL;
}

static void wait_for_fork(void *arg)
{
	pthread_t thread;

	(void)arg;
	pthread_create(&thread, NULL, fork_once, NULL);
	pthread_join(thread, NULL);
	loop_stop(loop);
}

START_TEST(forks_are_not_blocking)
{
	/* Runs behind the watchdog's own. */
	pthread_atfork(slow_fork, NULL, NULL);
	int64_t ms = turn_of(wait_for_fork, NULL);

	ck_assert_msg(ms < 100, "%lld ms", (long long)ms);
	log_take_warnings();
}
END_TEST

/* Each turn's hook starts work for the next one; nothing else wakes the loop. */
static struct timer *from_hook;
static int n_hooks, n_work;

static void on_turn(void *arg)
{
	(void)arg;
	n_hooks++;
	if (n_work < 10 && !timer_is_set(from_hook))
		timer_set(from_hook, 0);
}

START_TEST(hooks_start_work)
{
	int64_t start = clock_mono_ms();

	from_hook = timer_new(loop, turns_count_up, &n_work);
	loop_on_turn(loop, on_turn, NULL);
	timer_set(from_hook, 0);
	turns_until(&n_work, 10);
	ck_assert_int_ge(n_hooks, 10);
	ck_assert_int_lt(clock_mono_ms() - start, 5000);
	timer_free(&from_hook);
}
END_TEST

START_TEST(stop_before_run)
{
	int n = 0;
	struct timer *t = timer_new(loop, turns_count_up, &n);

	loop_stop(loop);
	loop_run(loop);
	ck_assert_int_eq(n, 0);
	timer_set(t, 0);
	turns_until(&n, 1);
	timer_free(&t);
}
END_TEST

START_TEST(signals_come_on_the_loop)
{
	int n_usr1 = 0, n_usr2 = 0;

	loop_on_signal(loop, SIGUSR1, turns_count_up, &n_usr1);
	loop_on_signal(loop, SIGUSR2, turns_count_up, &n_usr2);
	raise(SIGUSR1);
	ck_assert_int_eq(n_usr1, 0);
	turns_until(&n_usr1, 1);
	raise(SIGUSR2);
	turns_until(&n_usr2, 1);
	raise(SIGUSR1);
	turns_until(&n_usr1, 2);
	ck_assert_int_eq(n_usr2, 1);
}
END_TEST

START_TEST(broken_pipe_is_an_error_only)
{
	int fd[2];

	ck_assert_int_eq(pipe(fd), 0);
	close(fd[0]);
	ck_assert_int_eq(write(fd[1], "x", 1), -1);
	close(fd[1]);
}
END_TEST

struct seen {
	struct watch *w;
	unsigned events;
	int n;
	bool free_it;
};

static void see(void *arg, int fd, unsigned events)
{
	struct seen *s = arg;
	char c;

	s->events = events;
	s->n++;
	if (events & WATCH_READ)
		ck_assert_int_eq(read(fd, &c, 1), 1);
	if (events & WATCH_WRITE)
		watch_set(s->w, WATCH_READ);
	if (s->free_it)
		watch_free(&s->w);
}

START_TEST(watches_see_what_they_ask_for)
{
	struct seen s = { 0 };
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	s.w = watch_new(loop, fd[0], see, &s);
	ck_assert_int_eq(write(fd[1], "ab", 2), 2);
	turns_some(3);
	ck_assert_int_eq(s.n, 0);
	watch_set(s.w, WATCH_READ);
	turns_until(&s.n, 2);
	ck_assert_uint_eq(s.events, WATCH_READ);
	watch_set(s.w, WATCH_READ | WATCH_WRITE);
	turns_until(&s.n, 3);
	ck_assert_uint_eq(s.events, WATCH_WRITE);
	turns_some(3);
	ck_assert_int_eq(s.n, 3);
	watch_set(s.w, 0);
	ck_assert_int_eq(write(fd[1], "cd", 2), 2);
	turns_some(3);
	ck_assert_int_eq(s.n, 3);
	s.free_it = true;
	watch_set(s.w, WATCH_READ);
	turns_until(&s.n, 4);
	ck_assert_ptr_null(s.w);
	turns_some(3);
	ck_assert_int_eq(s.n, 4);
	ck_assert_int_eq(write(fd[0], "x", 1), 1);	/* the descriptor is still open */
	close(fd[0]);
	close(fd[1]);
}
END_TEST

static void take_five_ms(void *arg)
{
	int64_t begun = clock_mono_ms();

	while (clock_mono_ms() - begun < 5)
		;
	++*(int *)arg;
}

static void count_turn(void *arg)
{
	++*(int *)arg;
}

/* Each is fine, but not all of them in one turn. */
START_TEST(many_small_things_are_several_turns)
{
	enum { N = 30 };
	struct timer *t[N];
	int n = 0, n_turns = 0;

	loop_on_turn(loop, count_turn, &n_turns);
	for (int i = 0; i < N; i++) {
		t[i] = timer_new(loop, take_five_ms, &n);
		timer_set(t[i], 0);
	}
	turns_until(&n, N);
	ck_assert_int_ge(n_turns, 6);
	for (int i = 0; i < N; i++)
		timer_free(&t[i]);
}
END_TEST

UNIT_SUITE("loop_turn")
	tcase_add_checked_fixture(unit_case, turns_begin, turns_end);
	UNIT(timers_fire_in_order);
	UNIT(timers_move_and_clear);
	UNIT(timers_inside_themselves);
	UNIT(turns_are_measured);
	UNIT(many_small_things_are_several_turns);
	UNIT_LOOP(blocking_is_reported, blockings);
	UNIT(kept_from_working_is_not_blocking);
	UNIT(strangers_are_no_excuse);
	UNIT(forks_are_not_blocking);
	UNIT(hooks_start_work);
	UNIT(stop_before_run);
	UNIT(signals_come_on_the_loop);
	UNIT(broken_pipe_is_an_error_only);
	UNIT(watches_see_what_they_ask_for);
UNIT_END
