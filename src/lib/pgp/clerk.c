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
 * One that died itself is not replaced: its order is done in the daemon.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/pgp/clerk.h"
#include "lib/pgp/work.h"

enum { SOCKET_FD = 3, CPU_S = 20, ROLE_MAX = 16, PATH_LEN = 4096 };
enum { CLERKS_MIN = 3, CLERKS_MAX = 8 };
enum { OUT_MAX = CLERK_MAX + 128 * 1024 };
#define MEMORY_MAX MIB(512)

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

/* Sealing has its own: a notice never waits behind it. */
struct clerk {
	bool bulk;
	pid_t pid;
	int fd;				/* -1: it is gone; under the lock, as is busy */
	bool busy;
};

struct clerks {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned n;
	struct clerk all[2 * CLERKS_MAX];
};

/* Both ends are one program: structs go over the socket as they are. in_len octets follow. */
struct ask {
	enum clerk_task task;
	bool compress;
	char role[ROLE_MAX], fpr[FPR_LEN], own_fpr[FPR_LEN];
	uint8_t key[SEAL_KEY_LEN];
	size_t max, in_len;
};

/* out_len octets follow. */
struct answer {
	enum outcome res;
	struct pgp_verdict verdict;
	struct err err;
	size_t out_len;
};

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
	answer.res = obey(p, ctx, &ask, bytes_of(in, ask.in_len), &out, &answer.verdict, &answer.err);
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

/* gpg inherits: no signals of ours (a ^C is the daemon's business), no group or others, no languages to look for. */
static void settle(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGTERM };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	umask(077);
	setenv("LC_ALL", "C", 1);
}

bool clerk_serve(void)
{
	char home[PATH_LEN];
	struct stat st;
	int more;

	if (fstat(SOCKET_FD, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC);
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

static _Noreturn void become_clerk(int fd, const char *program)
{
	if (dup2(fd, SOCKET_FD) < 0)
		_exit(EXIT_FAILURE);
	fcntl(SOCKET_FD, F_SETFD, 0);
	close_range(SOCKET_FD + 1, ~0u, 0);
	settle();
	execl(program, "p2pmta-clerk", (char *)NULL);
	prctl(PR_SET_NAME, "p2pmta-clerk");
	clerk_serve();
	_exit(EXIT_SUCCESS);
}

/* --- ours --- */

static int start_one(struct clerk *c, const char *program)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	c->pid = fork();
	if (c->pid == 0)
		become_clerk(fds[1], program);
	close(fds[1]);
	c->fd = fds[0];
	if (c->pid > 0)
		return 0;
	close(c->fd);
	return -1;
}

struct clerks *clerks_start(const char *program, struct err *e)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	/* One more than can run: gpg waits for its agent, too. */
	unsigned n = cores < CLERKS_MIN ? CLERKS_MIN : cores >= CLERKS_MAX ? CLERKS_MAX : (unsigned)cores + 1;
	struct clerks *cs = mem_zero(NULL, struct clerks);

	pthread_mutex_init(&cs->lock, NULL);
	pthread_cond_init(&cs->idle, NULL);
	for (; cs->n < 2 * n; cs->n++) {
		cs->all[cs->n].bulk = cs->n % 2;
		if (start_one(&cs->all[cs->n], program) < 0) {
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
		while (waitpid(cs->all[i].pid, NULL, 0) < 0 && errno == EINTR)
			;
	pthread_cond_destroy(&cs->idle);
	pthread_mutex_destroy(&cs->lock);
	talloc_free(cs);
}

static void lay_off(struct clerk *c)
{
	close(c->fd);
	c->fd = -1;
}

void pgp_take_clerks(struct pgp *p, struct clerks *cs)
{
	char home[PATH_LEN] = "";

	assert(!p->clerks && strlen(p->home) < sizeof(home));
	memcpy(home, p->home, strlen(p->home));
	for (unsigned i = 0; i < cs->n; i++)
		if (send_all(cs->all[i].fd, home, sizeof(home)) < 0)
			lay_off(&cs->all[i]);
	p->clerks = cs;
}

/* An idle one; waits while all are busy. NULL: there are none. */
static struct clerk *lend(struct clerks *cs, bool bulk)
{
	struct clerk *c = NULL;
	bool any = true;

	pthread_mutex_lock(&cs->lock);
	while (!c && any) {
		any = false;
		for (unsigned i = 0; i < cs->n && !c; i++) {
			if (cs->all[i].bulk != bulk || cs->all[i].fd < 0)
				continue;
			any = true;
			c = cs->all[i].busy ? NULL : &cs->all[i];
		}
		if (!c && any)
			pthread_cond_wait(&cs->idle, &cs->lock);
	}
	if (c)
		c->busy = true;
	pthread_mutex_unlock(&cs->lock);
	return c;
}

static void give_back(struct clerks *cs, struct clerk *c, bool good)
{
	pthread_mutex_lock(&cs->lock);
	if (!good)
		lay_off(c);
	c->busy = false;
	pthread_cond_broadcast(&cs->idle);
	pthread_mutex_unlock(&cs->lock);
}

static bool talk(const struct clerk *c, const void *ctx, const struct ask *ask, struct bytes in, struct answer *answer,
    struct bytes *out)
{
	if (send_all(c->fd, ask, sizeof(*ask)) < 0 || send_all(c->fd, in.data, in.len) < 0 ||
	    take_all(c->fd, answer, sizeof(*answer)) < 0)
		return false;
	uint8_t *octets = mem_array(ctx, uint8_t, answer->out_len + 1);

	if (take_all(c->fd, octets, answer->out_len) < 0)
		return false;
	octets[answer->out_len] = '\0';
	*out = bytes_of(octets, answer->out_len);
	return true;
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
		memcpy(ask.key, o->key, SEAL_KEY_LEN);
	return ask;
}

bool clerk_do(struct pgp *p, const void *ctx, const struct clerk_order *o, enum outcome *res_out, struct bytes *out,
    struct pgp_verdict *v, struct err *e)
{
	struct clerk *c = NULL;

	if (p->clerks && o->in.len <= CLERK_MAX)
		c = lend(p->clerks, o->task == CLERK_SEAL);
	if (!c)
		return false;
	struct ask ask = ask_of(p, o);
	struct answer answer;
	bool good = talk(c, ctx, &ask, o->in, &answer, out);

	give_back(p->clerks, c, good);
	explicit_bzero(&ask, sizeof(ask));
	if (!good)
		return false;
	*res_out = answer.res;
	if (v)
		*v = answer.verdict;
	if (answer.res != OK)
		*e = answer.err;
	return true;
}
