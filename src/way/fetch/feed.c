/*
 * Both ends are ours. gpg opens the read end anew by its number and may do so
 * late, when all was written: as long as our own copy is open, nothing that
 * is in the pipe gets lost. So a reader that died is not seen here either; the
 * job that ran it tells.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "way/fetch/feed.h"

/* What gpg takes in a few milliseconds: fewer turns for both. More is for root only. */
#define PIPE_SIZE ((int)MIB(1))

struct feed {
	int read_fd, write_fd;		/* write_fd -1: ended */
	struct watch *watch;
	uint8_t *kept;
	size_t pos, n_kept;
	bool ending;
	void (*on_room)(void *arg);
	void *arg;
};

/* How many the pipe took. */
static size_t write_some(struct feed *f, const uint8_t *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(f->write_fd, data + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EINTR)
			break;
	}
	return done;
}

static void on_writable(void *arg, int fd, unsigned events)
{
	struct feed *f = arg;

	(void)fd, (void)events;
	f->pos += write_some(f, f->kept + f->pos, f->n_kept - f->pos);
	if (feed_is_full(f))
		return;
	watch_set(f->watch, 0);
	if (f->ending)
		feed_cut(f);
	else
		f->on_room(f->arg);
}

struct feed *feed_new(struct loop *l, void (*on_room)(void *arg), void *arg, struct err *e)
{
	struct feed *f;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0) {
		err_sys(e, "make a pipe");
		return NULL;
	}
	f = mem_zero(NULL, struct feed);
	f->read_fd = fds[0];
	f->write_fd = fds[1];
	f->on_room = on_room;
	f->arg = arg;
	fcntl(f->write_fd, F_SETFL, O_NONBLOCK);
	/* Where the user has no more pipe memory it stays as it is. */
	fcntl(f->write_fd, F_SETPIPE_SZ, PIPE_SIZE);
	f->watch = watch_new(l, f->write_fd, on_writable, f);
	return f;
}

void feed_free(struct feed **fp)
{
	struct feed *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	feed_cut(f);
	close(f->read_fd);
	talloc_free(f);
}

int feed_fd(const struct feed *f)
{
	return f->read_fd;
}

bool feed_is_full(const struct feed *f)
{
	return f->pos < f->n_kept;
}

void feed_add(struct feed *f, struct bytes b)
{
	size_t done = write_some(f, b.data, b.len);

	if (done == b.len)
		return;
	talloc_free(f->kept);
	f->n_kept = b.len - done;
	f->kept = mem_array(f, uint8_t, f->n_kept);
	memcpy(f->kept, b.data + done, f->n_kept);
	f->pos = 0;
	watch_set(f->watch, WATCH_WRITE);
}

void feed_end(struct feed *f)
{
	f->ending = true;
	if (!feed_is_full(f))
		feed_cut(f);
}

void feed_cut(struct feed *f)
{
	watch_free(&f->watch);
	if (f->write_fd >= 0)
		close(f->write_fd);
	f->write_fd = -1;
	f->pos = f->n_kept;
}
