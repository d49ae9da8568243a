/*
 * gpg is started by fork(), and a fork of the daemon costs as much as gpg
 * itself: its page tables are copied, twice, and afterwards each of its
 * threads pays for every page that it writes. So there are small processes,
 * p2pmta-clerk (where it is not installed, forks of the young daemon); each
 * does one thing at a time: an order comes down a socket pair with all its
 * octets, the result goes back. What goes through a clerk starts gpg without the wrapper
 * and its shell: its limits are the clerk's own, and gpg inherits them.
 *
 * A clerk ends when the daemon has closed its socket, by intent or by dying.
 * The order of one that died itself is done in the daemon; one that does not
 * answer in time is killed, with its gpg (each clerk is a process group), and
 * its order is for later: in the daemon it might hang again, for ever. Who is
 * gone is replaced when somebody needs him, and at growing intervals when it
 * did not help.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/pgp/clerk.h"
#include "lib/pgp/work.h"

extern char **environ;

enum { SOCKET_FD = 3, CPU_S = 20, ROLE_MAX = 16, PATH_LEN = 4096, VERSION_LEN = 64 };
enum { CLERKS_MIN = 3, CLERKS_MAX = 8 };
enum { OUT_MAX = CLERK_MAX + 128 * 1024 };
#define MEMORY_MAX MIB(512)

/* gpg needs some 10 ms, may use CPU_S, and may have to share the processor. */
enum { PATIENCE_S = 60 };
/* A clerk without a daemon sees to it himself. */
enum { ALONE_S = PATIENCE_S + 10 };
/* A second death in a row is not mended at once, the next ones at twice the time each, up to 64 s. */
enum { PAUSE_MS = 1000, DOUBLINGS = 6 };

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

/* Sealing has its own: a notice never waits behind it, and who waits for an answer of ours does not, either. */
enum { BULK_NICE = 10 };

struct clerk {
	bool bulk;
	pid_t pid;			/* 0: waited for */
	int fd;				/* -1: it is gone; under the lock, as is the rest */
	bool busy;
	bool silent;			/* it is gone because it did not answer */
	unsigned failures;		/* since it answered last */
	int64_t again_ms;		/* not replaced before */
};

struct clerks {
	pthread_mutex_t lock;
	pthread_cond_t idle;		/* monotonic */
	char *program;
	char home[PATH_LEN];		/* "" before they are taken over */
	unsigned patience_ms;
	unsigned n;
	struct clerk all[2 * CLERKS_MAX];
};

/* Both ends are one program: structs go over the socket as they are. in_len octets follow. */
struct ask {
	enum clerk_task task;
	bool compress;
	char role[ROLE_MAX], fpr[FPR_LEN], own_fpr[FPR_LEN];
	char key[SEAL_KEY_TEXT];
	size_t max, in_len;
};

/* out_len octets follow. */
struct answer {
	enum outcome res;
	struct pgp_verdict verdict;
	struct err err;
	size_t out_len;
};

/* The program on disk may be a newer one than the daemon that starts it. */
static void version_print(char out[VERSION_LEN])
{
	snprintf(out, VERSION_LEN, "%s/%zu/%zu", PACKAGE_VERSION, sizeof(struct ask), sizeof(struct answer));
}

static int send_all(int fd, const void *data, size_t len)
{
	for (const char *p = data; len > 0;) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int take_all(int fd, void *data, size_t len)
{
	return files_read(fd, data, len) == (ssize_t)len ? 0 : -1;
}

/* --- the clerk's process --- */

/* What gpg may use is counted from now: a clerk lives on. Where a sanitizer maps terabytes the wrappers do it. */
static void set_limits(void)
{
#ifndef SANITIZED
	struct rlimit cpu, memory;
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	getrlimit(RLIMIT_CPU, &cpu);
	getrlimit(RLIMIT_AS, &memory);
	cpu.rlim_cur = (rlim_t)used.tv_sec + CPU_S;
	memory.rlim_cur = MEMORY_MAX;
	if (cpu.rlim_cur > cpu.rlim_max)
		cpu.rlim_cur = cpu.rlim_max;
	if (memory.rlim_cur > memory.rlim_max)
		memory.rlim_cur = memory.rlim_max;
	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_AS, &memory);
#endif
}

static int out_write(void *arg, const void *data, size_t len)
{
	return buf_add(arg, data, len) ? 0 : -1;
}

static enum outcome seal(struct pgp *p, const void *ctx, const struct ask *a, struct bytes in, struct bytes *out, struct err *e)
{
	struct octets octets = { .in = in };
	struct pgp_source source = octets_source(&octets);
	struct buf *buf = buf_new(ctx, OUT_MAX);
	enum outcome res = pgp_seal_work(p, a->role, a->key, a->compress, &source, &(struct pgp_sink){ out_write, buf }, e);

	*out = buf_bytes(buf);
	return res;
}

static enum outcome obey(struct pgp *p, const void *ctx, const struct ask *a, struct bytes in, struct bytes *out,
    struct pgp_verdict *v, struct err *e)
{
	const char *fpr = a->fpr;

	memcpy(p->own_fpr, a->own_fpr, FPR_LEN);
	switch (a->task) {
	case CLERK_SEAL:
		return seal(p, ctx, a, in, out, e);
	case CLERK_NOTICE:
		return pgp_sign_encrypt_work(p, ctx, a->role, &fpr, 1, in, out, e);
	case CLERK_SIGN:
		return pgp_sign_work(p, ctx, a->role, in, out, e);
	case CLERK_OPEN:
		return pgp_open_work(p, ctx, a->role, in, a->max, out, v, e);
	case CLERK_SHARED:
		return pgp_open_shared_work(p, ctx, a->role, in, a->max, out, v, e);
	case CLERK_VERIFY:
		return pgp_verify_work(p, ctx, a->role, in, a->max, out, v, e);
	}
	return RETRY;
}

static int serve_one(struct pgp *p, const void *ctx)
{
	struct answer answer = { .res = RETRY };
	struct bytes out = { NULL, 0 };
	struct ask ask;

	if (take_all(SOCKET_FD, &ask, sizeof(ask)) < 0 || ask.in_len > CLERK_MAX)
		return -1;
	uint8_t *in = mem_array(ctx, uint8_t, ask.in_len + 1);
	if (take_all(SOCKET_FD, in, ask.in_len) < 0)
		return -1;
	set_limits();
	alarm(ALONE_S);
	answer.res = obey(p, ctx, &ask, bytes_of(in, ask.in_len), &out, &answer.verdict, &answer.err);
	alarm(0);
	answer.out_len = answer.res == OK ? out.len : 0;
	explicit_bzero(&ask, sizeof(ask));
	return send_all(SOCKET_FD, &answer, sizeof(answer)) < 0 ? -1 : send_all(SOCKET_FD, out.data, answer.out_len);
}

static struct pgp *clerk_pgp(const char *home)
{
	gpgme_check_version(NULL);
	struct pgp *p = home_blank();

	p->home = mem_strdup(p, home);
	p->ring_home = mem_printf(p, "%s/ring", home);
#ifndef SANITIZED
	p->sets_limits = true;
#endif
	return p;
}

/* gpg and we are one group. */
static void on_alone(int signo)
{
	(void)signo;
	kill(0, SIGKILL);
}

/* gpg inherits: no signals of ours (a ^C is the daemon's business), no group or others, no languages or time zones to look for. */
static void settle(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGTERM };

	if (getpgrp() == getpid())
		signal(SIGALRM, on_alone);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	umask(077);
	setenv("LC_ALL", "C", 1);
	setenv("TZ", "UTC0", 1);
}

bool clerk_serve(const char *version)
{
	char ours[VERSION_LEN];
	char home[PATH_LEN];
	struct stat st;
	int more;

	version_print(ours);
	if (strcmp(version, ours) != 0)
		return false;
	if (fstat(SOCKET_FD, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC);
	settle();
	if (take_all(SOCKET_FD, home, sizeof(home)) < 0)
		return true;
	home[PATH_LEN - 1] = '\0';
	struct pgp *p = clerk_pgp(home);

	do {
		void *ctx = mem_ctx(NULL);

		more = serve_one(p, ctx);
		talloc_free(ctx);
	} while (more == 0);
	talloc_free(p);		/* with the contexts in its stock */
	return true;
}

/* --- ours --- */

/* Without a copy of our memory, and while threads run. An errno. */
static int spawn(const char *program, int fd, pid_t *pid_out)
{
	char name[] = "p2pmta-clerk", version[VERSION_LEN], *argv[] = { name, version, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;

	version_print(version);
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, fd, SOCKET_FD);
	posix_spawn_file_actions_addclosefrom_np(&files, SOCKET_FD + 1);
	int code = posix_spawn(pid_out, program, &files, &attr, argv, environ);

	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return code;
}

static _Noreturn void become_clerk(int fd)
{
	sigset_t none;

	if (dup2(fd, SOCKET_FD) < 0)
		_exit(EXIT_FAILURE);
	close_range(SOCKET_FD + 1, ~0u, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NAME, "p2pmta-clerk");
	char version[VERSION_LEN];
	version_print(version);
	clerk_serve(version);
	_exit(EXIT_SUCCESS);
}

/* Only before there are threads. An errno. */
static int fork_one(int fd, pid_t *pid_out)
{
	*pid_out = fork();
	if (*pid_out == 0) {
		setpgid(0, 0);
		become_clerk(fd);
	}
	if (*pid_out < 0)
		return errno;
	setpgid(*pid_out, *pid_out);	/* whoever comes first */
	return 0;
}

static void set_patience(const struct clerk *c, unsigned ms)
{
	struct timeval patience = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static int start_one(struct clerks *cs, struct clerk *c)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	int code = spawn(cs->program, fds[1], &c->pid);

	if (code != 0 && cs->home[0] == '\0')
		code = fork_one(fds[1], &c->pid);
	close(fds[1]);
	c->fd = fds[0];
	if (code == 0) {
		if (c->bulk)
			setpriority(PRIO_PROCESS, (id_t)c->pid, BULK_NICE);
		set_patience(c, cs->patience_ms);
		return 0;
	}
	close(c->fd);
	c->fd = -1;
	c->pid = 0;
	errno = code;
	return -1;
}

static struct clerks *clerks_new(const char *program)
{
	struct clerks *cs = mem_zero(NULL, struct clerks);
	pthread_condattr_t monotonic;

	cs->program = mem_strdup(cs, program);
	cs->patience_ms = PATIENCE_S * 1000;
	pthread_mutex_init(&cs->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&cs->idle, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return cs;
}

struct clerks *clerks_start(const char *program, struct err *e)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	/* One more than can run: gpg waits for its agent, too. */
	unsigned n = cores < CLERKS_MIN ? CLERKS_MIN : cores >= CLERKS_MAX ? CLERKS_MAX : (unsigned)cores + 1;
	struct clerks *cs = clerks_new(program);

	for (; cs->n < 2 * n; cs->n++) {
		cs->all[cs->n].bulk = cs->n % 2;
		if (start_one(cs, &cs->all[cs->n]) < 0) {
			err_sys(e, "start a clerk");
			clerks_free(&cs);
			return NULL;
		}
	}
	return cs;
}

void clerks_free(struct clerks **csp)
{
	struct clerks *cs = *csp;

	*csp = NULL;
	if (!cs)
		return;
	for (unsigned i = 0; i < cs->n; i++)
		if (cs->all[i].fd >= 0)
			close(cs->all[i].fd);
	for (unsigned i = 0; i < cs->n; i++)
		while (cs->all[i].pid > 0 && waitpid(cs->all[i].pid, NULL, 0) < 0 && errno == EINTR)
			;
	pthread_cond_destroy(&cs->idle);
	pthread_mutex_destroy(&cs->lock);
	talloc_free(cs);
}

static void set_pause(struct clerk *c)
{
	unsigned doublings = c->failures > DOUBLINGS ? DOUBLINGS : c->failures - 1;

	c->again_ms = c->failures == 0 ? 0 : clock_mono_ms() + (PAUSE_MS << doublings);
	c->failures++;
}

/* It has not been waited for, so both numbers are still its own. */
static void lay_off(struct clerk *c, bool silent)
{
	kill(c->pid, SIGKILL);
	kill(-c->pid, SIGKILL);
	close(c->fd);
	c->fd = -1;
	c->silent = silent;
	set_pause(c);
}

static int send_home(const struct clerks *cs, struct clerk *c)
{
	if (send_all(c->fd, cs->home, sizeof(cs->home)) == 0)
		return 0;
	lay_off(c, false);
	return -1;
}

void pgp_take_clerks(struct pgp *p, struct clerks *cs)
{
	assert(!p->clerks && strlen(p->home) < sizeof(cs->home));
	memcpy(cs->home, p->home, strlen(p->home));
	for (unsigned i = 0; i < cs->n; i++)
		send_home(cs, &cs->all[i]);
	p->clerks = cs;
}

void clerk_set_patience(struct pgp *p, unsigned ms)
{
	struct clerks *cs = p->clerks;

	p->patience_ms = ms;
	pthread_mutex_lock(&cs->lock);
	cs->patience_ms = ms;
	for (unsigned i = 0; i < cs->n; i++)
		if (cs->all[i].fd >= 0)
			set_patience(&cs->all[i], ms);
	pthread_mutex_unlock(&cs->lock);
}

/* Its time has come, and the one before has really gone: there are never more than there were. */
static bool replace(struct clerks *cs, struct clerk *c)
{
	if (clock_mono_ms() < c->again_ms || (c->pid > 0 && waitpid(c->pid, NULL, WNOHANG) == 0))
		return false;
	c->pid = 0;
	if (start_one(cs, c) == 0)
		return send_home(cs, c) == 0;
	c->silent = false;	/* the daemon has to do it */
	set_pause(c);
	return false;
}

/* Nobody has to say anything now but that there was an end. */
static bool is_alive(const struct clerk *c)
{
	char octet;

	return recv(c->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

enum lent { LENT, ALL_BUSY, ALL_SILENT, NONE_THERE };

static enum lent find(struct clerks *cs, bool bulk, struct clerk **c_out)
{
	enum lent res = NONE_THERE;

	for (unsigned i = 0; i < cs->n; i++) {
		struct clerk *c = &cs->all[i];

		if (c->bulk != bulk)
			continue;
		*c_out = c;
		if (c->fd >= 0 && !c->busy && is_alive(c))
			return LENT;
		if (c->fd >= 0 && c->busy)
			res = ALL_BUSY;
		else if (c->fd >= 0)
			lay_off(c, false);
	}
	for (unsigned i = 0; i < cs->n; i++) {
		struct clerk *c = &cs->all[i];

		if (c->bulk != bulk || c->fd >= 0)
			continue;
		*c_out = c;
		if (replace(cs, c))
			return LENT;
		if (c->silent && res == NONE_THERE)
			res = ALL_SILENT;
	}
	return res;
}

static struct timespec from_now(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	return t;
}

/* An idle one, or a new one; waits while all are busy, but not longer than each of them may be. */
static enum lent lend(struct clerks *cs, bool bulk, struct clerk **c_out)
{
	struct timespec until = { 0 };
	enum lent res;
	int waited = 0;

	pthread_mutex_lock(&cs->lock);
	while ((res = find(cs, bulk, c_out)) == ALL_BUSY && waited != ETIMEDOUT) {
		if (until.tv_sec == 0)
			until = from_now(cs->patience_ms);
		waited = pthread_cond_timedwait(&cs->idle, &cs->lock, &until);
	}
	if (res == LENT)
		(*c_out)->busy = true;
	pthread_mutex_unlock(&cs->lock);
	return res;
}

enum talked { ANSWERED, DIED, SILENT };

static void give_back(struct clerks *cs, struct clerk *c, enum talked talked)
{
	pthread_mutex_lock(&cs->lock);
	if (talked == ANSWERED)
		c->failures = 0;
	else
		lay_off(c, talked == SILENT);
	c->busy = false;
	pthread_cond_broadcast(&cs->idle);
	pthread_mutex_unlock(&cs->lock);
}

static enum talked broken(void)
{
	return errno == EAGAIN ? SILENT : DIED;
}

static enum talked talk(const struct clerk *c, const void *ctx, const struct ask *ask, struct bytes in,
    struct answer *answer, struct bytes *out)
{
	errno = 0;		/* an end is none */
	if (send_all(c->fd, ask, sizeof(*ask)) < 0 || send_all(c->fd, in.data, in.len) < 0 ||
	    take_all(c->fd, answer, sizeof(*answer)) < 0)
		return broken();
	uint8_t *octets = mem_array(ctx, uint8_t, answer->out_len + 1);

	if (take_all(c->fd, octets, answer->out_len) < 0)
		return broken();
	octets[answer->out_len] = '\0';
	*out = bytes_of(octets, answer->out_len);
	return ANSWERED;
}

static struct ask ask_of(const struct pgp *p, const struct clerk_order *o)
{
	struct ask ask = { .task = o->task, .compress = o->compress, .max = o->max, .in_len = o->in.len };

	assert(strlen(o->role) < sizeof(ask.role));
	memcpy(ask.role, o->role, strlen(o->role));
	memcpy(ask.own_fpr, p->own_fpr, FPR_LEN);
	if (o->fpr)
		memcpy(ask.fpr, o->fpr, FPR_LEN);
	if (o->key)
		memcpy(ask.key, o->key, SEAL_KEY_TEXT);
	return ask;
}

bool clerk_do(struct pgp *p, const void *ctx, const struct clerk_order *o, enum outcome *res_out, struct bytes *out,
    struct pgp_verdict *v, struct err *e)
{
	struct answer answer = { .res = RETRY };
	enum talked talked = SILENT;
	struct clerk *c = NULL;

	if (!p->clerks || o->in.len > CLERK_MAX)
		return false;
	enum lent lent = lend(p->clerks, o->task == CLERK_SEAL, &c);

	if (lent == LENT) {
		struct ask ask = ask_of(p, o);

		talked = talk(c, ctx, &ask, o->in, &answer, out);
		explicit_bzero(&ask, sizeof(ask));
		give_back(p->clerks, c, talked);
	}
	if (lent == NONE_THERE || talked == DIED)
		return false;
	if (talked == SILENT) {
		answer.res = RETRY;
		err_set(&answer.err, "gpg did not answer in time");
		*out = bytes_of(NULL, 0);
	}
	*res_out = answer.res;
	if (v)
		*v = answer.verdict;
	if (answer.res != OK)
		*e = answer.err;
	return true;
}
