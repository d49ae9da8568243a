/*
 * Opening much. GPGME 1.18 formats every octet that it pumps for a debug log
 * nobody reads, so here it only watches over gpg: gpg reads the caller's
 * descriptor and writes into a pipe of ours, both opened by the wrapper as
 * /proc/PID/fd/N. (A reader of an anonymous pipe opened so does not wait for a
 * writer, as it would with a FIFO.) While a thread of its own waits in GPGME,
 * the caller's takes what comes out. No descriptor is closed while the wrapper
 * may still open its number.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/pgp/work.h"

enum { BLOCK = 64 * 1024, PIPE_SIZE = 1024 * 1024 };

struct direct {
	struct work *work;
	struct flow in;			/* GPGME's: two names */
	struct flow *out;
	int read_fd, write_fd;		/* gpg's output; -1: closed */
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

/* Until gpg and gpg_main() have closed it. Closing our end is how gpg learns that no more is wanted. */
static void take_output(struct direct *d)
{
	uint8_t *block = mem_array(NULL, uint8_t, BLOCK);
	ssize_t n;

	do {
		n = read(d->read_fd, block, BLOCK);
	} while (n > 0 ? flow_put(d->out, block, (size_t)n) == 0 : n < 0 && errno == EINTR);
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
	struct direct d = { .work = w, .out = out, .read_fd = -1, .write_fd = -1 };
	enum outcome res = open_pipe(&d, e);

	if (res != OK)
		return res;
	res = run(&d, fd, e);
	if (d.read_fd >= 0)
		close(d.read_fd);
	if (d.write_fd >= 0)
		close(d.write_fd);
	*failed_out = d.failed;
	return res;
}
