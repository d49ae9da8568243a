/*
 * A turn is ours to answer for as far as the loop's thread computed or waited
 * on purpose: for a disk, a lock, a sleep. It is not ours when the machine let
 * somebody else run instead of us (the kernel counts that per thread), nor
 * when it did so to another thread of this process that held what we waited
 * for.
 *
 * Nor is a wait for a fork(): for what no clerk does (lib/pgp: large messages,
 * changes of the key ring) GPGME makes one on a worker, and while it lasts it
 * holds the memory map and the locks of malloc. It copies what maps each shared
 * library, and for that it waits for every other process that is just changing
 * the same list, and not running.
 *
 * The loop's own count is read in each turn. Those of the other threads cost
 * more, so they are read once in SAMPLE_MS, and what they say excuses a wait,
 * never time that was spent computing. One of them held what we waited for: the
 * one that was kept longest says how much can be excused, not all together.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/loop/private.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SLOW
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(IS_SLOW)
enum { LOUD_MS = 2000 };
#else
enum { LOUD_MS = 50 };
#endif

enum { BLOCKED_MS = 50, SAMPLE_MS = 20, LIST_MS = 1000, SIBLINGS_MAX = 96 };

/* Since the thread began, in nanoseconds. */
struct spent {
	long long ran, kept;	/* on a processor; ready to run, while others did */
};

struct sibling {
	long tid;
	int fd;
	long long kept;
	bool is_listed;
};

/* Of the whole process: forks under way, since when there are some, how long there were some before. */
static struct {
	atomic_int n;
	_Atomic int64_t since_ms, ms;
	_Atomic pthread_t loop;	/* its own would be its own doing */
} forks;

struct watchdog {
	bool is_loud;
	int fd;			/* of the loop's thread */
	const char *what;	/* runs since what_ms */
	int64_t what_ms;
	const char *worst;	/* of this turn */
	int64_t worst_ms;
	int64_t begin_ms;	/* of this turn; 0: nothing has run yet */
	struct spent begin;
	int64_t begin_forks_ms;
	struct sibling *siblings;
	size_t n_siblings;
	int64_t sampled_ms, listed_ms;
};

static struct spent spent_get(int fd)
{
	struct spent spent = { 0, 0 };
	char text[96] = "";

	if (fd >= 0 && pread(fd, text, sizeof(text) - 1, 0) > 0)
		sscanf(text, "%lld %lld", &spent.ran, &spent.kept);
	return spent;
}

/* ---- forks ---- */

static void on_fork(void)
{
	if (pthread_equal(pthread_self(), atomic_load(&forks.loop)))
		return;
	/* Before it counts. Who ends just now may make it count twice: judge() bounds that. */
	if (atomic_load(&forks.n) == 0)
		atomic_store(&forks.since_ms, clock_mono_ms());
	atomic_fetch_add(&forks.n, 1);
}

static void on_forked(void)
{
	int64_t since = atomic_load(&forks.since_ms);

	if (!pthread_equal(pthread_self(), atomic_load(&forks.loop)) && atomic_fetch_sub(&forks.n, 1) == 1)
		atomic_fetch_add(&forks.ms, clock_mono_ms() - since);
}

static void watch_forks(void)
{
	pthread_atfork(on_fork, on_forked, NULL);
}

static int64_t forks_ms(void)
{
	int64_t ms = atomic_load(&forks.ms);

	return atomic_load(&forks.n) > 0 ? ms + clock_mono_ms() - atomic_load(&forks.since_ms) : ms;
}

/* ---- the other threads ---- */

static void sibling_note(struct watchdog *dog, long tid)
{
	char path[64];

	for (size_t i = 0; i < dog->n_siblings; i++) {
		if (dog->siblings[i].tid == tid) {
			dog->siblings[i].is_listed = true;
			return;
		}
	}
	if (dog->n_siblings == SIBLINGS_MAX)
		return;
	snprintf(path, sizeof(path), "/proc/self/task/%ld/schedstat", tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	dog->siblings = mem_resize(dog, dog->siblings, struct sibling, dog->n_siblings + 1);
	dog->siblings[dog->n_siblings++] = (struct sibling){ .tid = tid, .fd = fd, .is_listed = true };
}

static void drop_ended(struct watchdog *dog)
{
	size_t n = 0;

	for (size_t i = 0; i < dog->n_siblings; i++) {
		if (dog->siblings[i].is_listed)
			dog->siblings[n++] = dog->siblings[i];
		else
			close(dog->siblings[i].fd);
	}
	dog->n_siblings = n;
}

static void list_siblings(struct watchdog *dog)
{
	DIR *tasks = opendir("/proc/self/task");
	long self = syscall(SYS_gettid);
	struct dirent *entry;

	if (tasks == NULL)
		return;
	for (size_t i = 0; i < dog->n_siblings; i++)
		dog->siblings[i].is_listed = false;
	while ((entry = readdir(tasks)) != NULL) {
		long tid = strtol(entry->d_name, NULL, 10);
		if (tid > 0 && tid != self)
			sibling_note(dog, tid);
	}
	closedir(tasks);
	drop_ended(dog);
}

static void sample(struct watchdog *dog, int64_t now)
{
	if (now - dog->sampled_ms < SAMPLE_MS)
		return;
	dog->sampled_ms = now;
	if (now - dog->listed_ms >= LIST_MS) {
		dog->listed_ms = now;
		list_siblings(dog);
	}
	for (size_t i = 0; i < dog->n_siblings; i++)
		dog->siblings[i].kept = spent_get(dog->siblings[i].fd).kept;
}

static int64_t siblings_kept_ms(const struct watchdog *dog)
{
	long long longest = 0;

	for (size_t i = 0; i < dog->n_siblings; i++) {
		long long now = spent_get(dog->siblings[i].fd).kept;
		if (now - dog->siblings[i].kept > longest)	/* now is 0 of a thread that has ended */
			longest = now - dog->siblings[i].kept;
	}
	return longest / 1000000;
}

/* ---- turns ---- */

struct watchdog *watchdog_new(const void *ctx)
{
	struct watchdog *dog = mem_zero(ctx, struct watchdog);

	dog->fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	dog->worst = "";
	return dog;
}

void watchdog_free(struct watchdog **dogp)
{
	struct watchdog *dog = *dogp;

	*dogp = NULL;
	if (dog == NULL)
		return;
	for (size_t i = 0; i < dog->n_siblings; i++)
		close(dog->siblings[i].fd);
	if (dog->fd >= 0)
		close(dog->fd);
	talloc_free(dog);
}

void watchdog_set_loud(struct watchdog *dog)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	atomic_store(&forks.loop, pthread_self());
	pthread_once(&once, watch_forks);
	dog->is_loud = true;
}

void watchdog_mark(struct watchdog *dog, const char *what)
{
	int64_t now = clock_mono_ms();

	if (dog->what != NULL && now - dog->what_ms > dog->worst_ms) {
		dog->worst_ms = now - dog->what_ms;
		dog->worst = dog->what;
	}
	dog->what = what;
	dog->what_ms = now;
}

void watchdog_begin(struct watchdog *dog, const char *what)
{
	watchdog_mark(dog, what);
	if (dog->begin_ms != 0)
		return;
	dog->begin_ms = dog->what_ms;
	dog->begin = spent_get(dog->fd);
	dog->begin_forks_ms = forks_ms();
	if (dog->is_loud)
		sample(dog, dog->begin_ms);
}

int64_t watchdog_since_ms(const struct watchdog *dog)
{
	return dog->begin_ms;
}

static int64_t bounded(int64_t ms, int64_t max)
{
	return ms < 0 ? 0 : ms > max ? max : ms;
}

/* What of a turn that took so long was our doing. */
static int64_t judge(struct watchdog *dog, int64_t took)
{
	struct spent spent = spent_get(dog->fd);
	int64_t ran = (spent.ran - dog->begin.ran) / 1000000;
	int64_t kept = (spent.kept - dog->begin.kept) / 1000000;
	int64_t ms = took - kept;

	if (ms <= BLOCKED_MS)
		return ms;
	int64_t waited = ms - ran > 0 ? ms - ran : 0;
	int64_t forking = bounded(forks_ms() - dog->begin_forks_ms, took);
	int64_t others = siblings_kept_ms(dog);

	ms -= forking + others < waited ? forking + others : waited;
	if (ms > LOUD_MS && dog->is_loud)
		log_warn("loop=blocked ms=%lld ran=%lld waited=%lld kept=%lld threads_kept=%lld forking=%lld took=%lld "
		    "worst=\"%s\" worst_took=%lld",
		    (long long)ms, (long long)ran, (long long)waited, (long long)kept, (long long)others, (long long)forking,
		    (long long)took, dog->worst, (long long)dog->worst_ms);
	return ms;
}

int64_t watchdog_end(struct watchdog *dog)
{
	watchdog_mark(dog, NULL);
	int64_t ms = dog->what_ms - dog->begin_ms;

	if (ms > BLOCKED_MS)
		ms = judge(dog, ms);
	dog->begin_ms = 0;
	dog->worst_ms = 0;
	dog->worst = "";
	return ms;
}
