/*
 * libevent turns, one EVLOOP_ONCE at a time, so that the hooks of a turn run
 * when everything that was ready has been served and before we sleep: there
 * many small things become one (a database commit, an untagged response).
 * What a hook starts (a timer of 0 ms, a post, output) is ready at once for
 * libevent, so the next turn does not sleep.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/loop/private.h"

enum { GATHER_MS = 4, TURN_MS = 20 };

struct hook {
	STAILQ_ENTRY(hook) next;
	struct loop *loop;
	struct event *event;	/* signals only */
	void (*cb)(void *arg);
	void *arg;
};

STAILQ_HEAD(hook_list, hook);

struct loop {
	struct event_base *base;
	struct hook_list turn_hooks, signal_hooks;
	bool stop;
	bool ran;		/* something, since it was cleared */
	int64_t longest_ms, ever_ms;
	struct watchdog *dog;
};

struct timer {
	struct loop *loop;
	struct event *event;
	void (*cb)(void *arg);
	void *arg;
};

struct watch {
	struct loop *loop;
	struct event *event;
	void (*cb)(void *arg, int fd, unsigned events);
	void *arg;
	int fd;
};

static void on_event_log(int severity, const char *text)
{
	if (severity >= EVENT_LOG_ERR)
		log_err("libevent: %s", text);
	else if (severity == EVENT_LOG_WARN)
		log_warn("libevent: %s", text);
	else
		log_debug("libevent: %s", text);
}

struct loop *loop_new(struct err *e)
{
	struct event_config *config = mem_check(event_config_new());

	event_set_log_callback(on_event_log);
	/* Timers count from now, not from the beginning of the turn. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME | EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NOLOCK);
	struct event_base *base = event_base_new_with_config(config);

	event_config_free(config);
	if (base == NULL) {
		err_sys(e, "start the event loop");
		return NULL;
	}
	/* A peer that went away is an error of write(), not our end. */
	signal(SIGPIPE, SIG_IGN);

	struct loop *l = mem_zero(NULL, struct loop);

	l->base = base;
	l->dog = watchdog_new(l);
	STAILQ_INIT(&l->turn_hooks);
	STAILQ_INIT(&l->signal_hooks);
	return l;
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp;
	struct hook *h;

	*lp = NULL;
	if (l == NULL)
		return;
	STAILQ_FOREACH(h, &l->signal_hooks, next)
		event_free(h->event);
	event_base_free(l->base);
	watchdog_free(&l->dog);
	talloc_free(l);
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

/* Many small things that are ready at once are several turns, too. */
void loop_begin(struct loop *l, const char *what)
{
	l->ran = true;
	watchdog_begin(l->dog, what);
	if (clock_mono_ms() - watchdog_since_ms(l->dog) >= TURN_MS)
		event_base_loopbreak(l->base);
}

static void end_turn(struct loop *l)
{
	if (watchdog_since_ms(l->dog) == 0)
		return;
	int64_t ms = watchdog_end(l->dog);

	if (ms > l->longest_ms)
		l->longest_ms = ms;
	if (ms > l->ever_ms)
		l->ever_ms = ms;
}

/* What became ready meanwhile belongs to the same turn: under load many share what the hooks do once. */
static void gather(struct loop *l)
{
	while (l->ran && !l->stop && clock_mono_ms() - watchdog_since_ms(l->dog) < GATHER_MS) {
		l->ran = false;
		event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
	}
	l->ran = false;
}

static void turn(struct loop *l)
{
	struct hook *h;

	event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
	gather(l);
	STAILQ_FOREACH(h, &l->turn_hooks, next) {
		if (watchdog_since_ms(l->dog) != 0)
			watchdog_mark(l->dog, "the end of the turn");
		h->cb(h->arg);
	}
	end_turn(l);
}

void loop_run(struct loop *l)
{
	while (!l->stop)
		turn(l);
	l->stop = false;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}

void loop_watch_turns(struct loop *l)
{
	watchdog_set_loud(l->dog);
}

int64_t loop_take_longest_ms(struct loop *l)
{
	int64_t ms = l->longest_ms;

	l->longest_ms = 0;
	return ms;
}

int64_t loop_longest_ms(const struct loop *l)
{
	return l->ever_ms;
}

static struct hook *add_hook(struct loop *l, struct hook_list *list, void (*cb)(void *arg), void *arg)
{
	struct hook *h = mem_zero(l, struct hook);

	h->loop = l;
	h->cb = cb;
	h->arg = arg;
	STAILQ_INSERT_TAIL(list, h, next);
	return h;
}

void loop_on_turn(struct loop *l, void (*cb)(void *arg), void *arg)
{
	add_hook(l, &l->turn_hooks, cb, arg);
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct hook *h = arg;

	(void)signo;
	(void)what;
	loop_begin(h->loop, "a signal");
	h->cb(h->arg);
}

void loop_on_signal(struct loop *l, int signo, void (*cb)(void *arg), void *arg)
{
	struct hook *h = add_hook(l, &l->signal_hooks, cb, arg);

	h->event = mem_check(evsignal_new(l->base, signo, on_signal, h));
	event_add(h->event, NULL);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;

	(void)fd;
	(void)what;
	loop_begin(t->loop, "a timer");
	t->cb(t->arg);		/* may free t */
}

struct timer *timer_new(struct loop *l, void (*cb)(void *arg), void *arg)
{
	struct timer *t = mem_zero(NULL, struct timer);

	t->loop = l;
	t->cb = cb;
	t->arg = arg;
	t->event = mem_check(evtimer_new(l->base, on_timer, t));
	return t;
}

void timer_free(struct timer **tp)
{
	struct timer *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	event_free(t->event);
	talloc_free(t);
}

void timer_set(struct timer *t, int64_t ms)
{
	if (ms < 0)
		ms = 0;

	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	evtimer_add(t->event, &tv);
}

void timer_clear(struct timer *t)
{
	evtimer_del(t->event);
}

bool timer_is_set(const struct timer *t)
{
	return evtimer_pending(t->event, NULL) != 0;
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	unsigned events = (what & EV_READ ? WATCH_READ : 0u) | (what & EV_WRITE ? WATCH_WRITE : 0u);

	loop_begin(w->loop, "a post or descriptor");
	w->cb(w->arg, (int)fd, events);		/* may free w */
}

struct watch *watch_new(struct loop *l, int fd, void (*cb)(void *arg, int fd, unsigned events), void *arg)
{
	struct watch *w = mem_zero(NULL, struct watch);

	w->loop = l;
	w->cb = cb;
	w->arg = arg;
	w->fd = fd;
	w->event = mem_check(event_new(l->base, fd, EV_PERSIST, on_watch, w));
	return w;
}

void watch_set(struct watch *w, unsigned events)
{
	short what = EV_PERSIST;

	event_del(w->event);
	if (events == 0)
		return;
	if (events & WATCH_READ)
		what |= EV_READ;
	if (events & WATCH_WRITE)
		what |= EV_WRITE;
	event_assign(w->event, w->loop->base, w->fd, what, on_watch, w);
	event_add(w->event, NULL);
}

void watch_free(struct watch **wp)
{
	struct watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	event_free(w->event);
	talloc_free(w);
}
