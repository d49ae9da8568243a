/*
 * Opening much. GPGME 1.18 formats every octet that it pumps for a debug log
 * nobody reads, so here it only watches over gpg: gpg reads the caller's
 * descriptor and writes into a pipe of ours, both opened by the wrapper as
 * /proc/PID/fd/N. (A reader of an anonymous pipe opened so does not wait for a
 * writer, as it would with a FIFO.) While a thread of its own waits in GPGME,
 * the caller's takes what comes out. No descriptor is closed while the wrapper
 * may still open its number.
 *
 * A gpg that hangs (its agent was stopped, say) would keep both threads for
 * ever. Who does not write may wait for input; but not when that is a file, or
 * a pipe that has ended, or one that has octets and keeps them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/pgp/work.h"

enum { BLOCK = 64 * 1024, PIPE_SIZE = 1024 * 1024 };

struct direct {
	struct work *work;
	struct flow in;			/* GPGME's: two names */
	struct flow *out;
	int fd;				/* gpg's input */
	int read_fd, write_fd;		/* gpg's output; -1: closed */
	pid_t gpg;			/* 0: not known */
	int waiting;			/* octets of input, when gpg last did nothing for long; -1: it did something since */
	bool killed;
	gpgme_error_t failed;
};

static void *gpg_main(void *arg)
{
	struct direct *d = arg;

	d->failed = gpgme_op_decrypt_verify(d->work->gpg, d->in.data, d->out->data);
	close(d->write_fd);
	d->write_fd = -1;
	return NULL;
}

static ssize_t read_some(int fd, void *out, size_t len)
{
	ssize_t n;

	do {
		n = read(fd, out, len);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* The first line of the output. */
static void take_pid(struct direct *d)
{
	char line[16] = "";
	size_t n = 0;

	while (n < sizeof(line) - 1 && read_some(d->read_fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	d->gpg = line[n] == '\n' ? (pid_t)atol(line) : 0;
}

/* After a while without output: is it gpg's turn? */
static bool is_hanging(struct direct *d)
{
	struct pollfd in = { .fd = d->fd, .events = POLLIN };
	int before = d->waiting;

	if (lseek(d->fd, 0, SEEK_CUR) >= 0)
		return true;
	if (poll(&in, 1, 0) < 0 || ioctl(d->fd, FIONREAD, &d->waiting) < 0)
		return false;
	return (in.revents & POLLHUP) || (d->waiting > 0 && d->waiting == before);
}

/* Until there is output, or its end. It has not ended, so gpg has its number still. */
static void await_output(struct direct *d)
{
	struct pollfd out = { .fd = d->read_fd, .events = POLLIN };
	int ready;

	while ((ready = poll(&out, 1, (int)d->work->pgp->patience_ms)) == 0 || (ready < 0 && errno == EINTR)) {
		if (ready < 0 || !is_hanging(d))
			continue;
		d->killed = true;
		if (d->gpg > 1)
			kill(d->gpg, SIGKILL);
	}
	d->waiting = -1;
}

/* Until gpg and gpg_main() have closed it. Closing our end is how gpg learns that no more is wanted. */
static void take_output(struct direct *d)
{
	uint8_t *block = mem_array(NULL, uint8_t, BLOCK);
	ssize_t n;

	take_pid(d);
	do {
		await_output(d);
		n = read_some(d->read_fd, block, BLOCK);
	} while (n > 0 && flow_put(d->out, block, (size_t)n) == 0);
	close(d->read_fd);
	d->read_fd = -1;
	explicit_bzero(block, BLOCK);
	talloc_free(block);
}

static enum outcome run_threads(struct direct *d, struct err *e)
{
	pthread_t thread;
	int code = pthread_create(&thread, NULL, gpg_main, d);

	if (code != 0) {
		errno = code;
		err_sys(e, "start a thread");
		return RETRY;
	}
	pthread_setname_np(thread, "gpg");
	take_output(d);
	pthread_join(thread, NULL);
	return OK;
}

static enum outcome open_pipe(struct direct *d, struct err *e)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0) {
		err_sys(e, "make a pipe");
		return RETRY;
	}
	d->read_fd = fds[0];
	d->write_fd = fds[1];
	/* Fewer turns; where the user has no more pipe memory it stays as it is. */
	fcntl(d->read_fd, F_SETPIPE_SZ, PIPE_SIZE);
	return OK;
}

/* The names of both ends for the wrapper, and GPGME's two streams, which stay empty but for them. */
static enum outcome run(struct direct *d, int fd, struct err *e)
{
	char *names = mem_printf(NULL, "/proc/%d/fd/%d /proc/%d/fd/%d\n", getpid(), d->write_fd, getpid(), fd);
	struct octets octets = { .in = bytes_str(names) };
	struct pgp_source source = octets_source(&octets);
	enum outcome res = flow_open_source(&d->in, &source, e);

	if (res == OK)
		res = run_threads(d, e);
	flow_close(&d->in);
	talloc_free(names);
	return res;
}

enum outcome direct_decrypt(struct work *w, int fd, struct flow *out, gpgme_error_t *failed_out, struct err *e)
{
	struct direct d = { .work = w, .out = out, .fd = fd, .read_fd = -1, .write_fd = -1, .waiting = -1 };
	enum outcome res = open_pipe(&d, e);

	if (res != OK)
		return res;
	res = run(&d, fd, e);
	if (d.read_fd >= 0)
		close(d.read_fd);
	if (d.write_fd >= 0)
		close(d.write_fd);
	*failed_out = d.failed;
	if (d.killed) {
		err_set(e, "gpg did not answer in time");
		res = RETRY;
	}
	return res;
}
