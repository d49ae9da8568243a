/*
 * Accepts a few at a time, so that a flood of clients does not starve those
 * that are served. Without descriptors left accept() would fail at once again
 * and again; then we look away for half a second. Sockets of systemd's are
 * never closed: a listener made anew after a reload finds them again.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/loop/conn.h"
#include "lib/loop/private.h"

enum { ACCEPT_ONCE = 8, STARVED_MS = 500, BACKLOG = 128 };

struct listener {
	int fd;
	bool inherited;		/* from systemd */
	bool paused, starved;
	char *address;
	char *unix_path;	/* ours to unlink */
	struct watch *watch;
	struct timer *retry;
	void (*on_accept)(void *arg, int fd);
	void *arg;
	bool running, freed;	/* freed inside on_accept: really at its end */
};

static void update(struct listener *s)
{
	watch_set(s->watch, s->paused || s->starved ? 0 : WATCH_READ);
}

static void on_retry(void *arg)
{
	struct listener *s = arg;

	s->starved = false;
	update(s);
}

static void starve(struct listener *s, int code)
{
	char text[128];

	log_warn("listen=%s accept: %s", s->address, strerror_r(code, text, sizeof(text)));
	s->starved = true;
	update(s);
	timer_set(s->retry, STARVED_MS);
}

/* The next client, -1 when there is none for now. */
static int accept_one(struct listener *s)
{
	int fd, one = 1;

	do {
		fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			starve(s, errno);
		return -1;
	}
	/* Fails for unix sockets, which need none. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void destroy(struct listener *s)
{
	watch_free(&s->watch);
	timer_free(&s->retry);
	if (s->unix_path != NULL)
		files_drop(s->unix_path);
	if (!s->inherited)
		close(s->fd);
	talloc_free(s);
}

static void on_ready(void *arg, int listen_fd, unsigned events)
{
	struct listener *s = arg;

	(void)listen_fd;
	(void)events;
	s->running = true;
	for (int i = 0; i < ACCEPT_ONCE && !s->freed && !s->paused; i++) {
		int fd = accept_one(s);

		if (fd < 0)
			break;
		s->on_accept(s->arg, fd);
	}
	s->running = false;
	if (s->freed)
		destroy(s);
}

/* A socket of systemd's with this address, or -1. */
static int find_inherited(const struct sock_address *a)
{
	int n = sd_listen_fds(0);
	struct sockaddr_un un;

	memcpy(&un, &a->storage, sizeof(un));
	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
		int same = un.sun_family == AF_UNIX ?
		    sd_is_socket_unix(fd, SOCK_STREAM, 1, un.sun_path, 0) :
		    sd_is_socket_sockaddr(fd, SOCK_STREAM, (const struct sockaddr *)&a->storage, a->len, 1);

		if (same > 0) {
			evutil_make_socket_nonblocking(fd);
			return fd;
		}
	}
	return -1;
}

/* A socket nobody listens on is left over from a crash. (connect() refuses other files with the same error.) */
static bool is_stale(const struct sock_address *a, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	int res = connect(fd, (const struct sockaddr *)&a->storage, a->len);
	bool stale = res < 0 && errno == ECONNREFUSED;

	close(fd);
	return stale;
}

static int bind_unix(int fd, const struct sock_address *a, const char *path)
{
	/* Linux gives the file the mode of the socket, so it is private from its first instant. */
	if (fchmod(fd, 0600) < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&a->storage, a->len) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -1;
	if (!is_stale(a, path)) {
		errno = EADDRINUSE;
		return -1;
	}
	files_drop(path);
	return bind(fd, (const struct sockaddr *)&a->storage, a->len);
}

static int bind_inet(int fd, const struct sock_address *a)
{
	int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -1;
	if (a->storage.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return -1;
	return bind(fd, (const struct sockaddr *)&a->storage, a->len);
}

/* Our own listening socket; unix_path: NULL for others. -1 with errno. */
static int open_socket(const struct sock_address *a, const char *unix_path)
{
	int fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if ((unix_path != NULL ? bind_unix(fd, a, unix_path) : bind_inet(fd, a)) < 0 || listen(fd, BACKLOG) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

struct listener *listener_new(struct loop *l, const char *address,
    void (*on_accept)(void *arg, int fd), void *arg, struct err *e)
{
	const char *path = strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
	struct sock_address a;

	if (sock_parse_address(address, &a, e) != OK) {
		err_wrap(e, "listen");
		return NULL;
	}
	int fd = find_inherited(&a);
	bool inherited = fd >= 0;

	if (!inherited)
		fd = open_socket(&a, path);
	if (fd < 0) {
		err_sys(e, "listen on %s", address);
		return NULL;
	}
	struct listener *s = mem_zero(NULL, struct listener);

	s->fd = fd;
	s->inherited = inherited;
	s->address = mem_strdup(s, address);
	s->unix_path = path != NULL && !inherited ? mem_strdup(s, path) : NULL;
	s->on_accept = on_accept;
	s->arg = arg;
	s->watch = watch_new(l, fd, on_ready, s);
	s->retry = timer_new(l, on_retry, s);
	update(s);
	return s;
}

void listener_free(struct listener **sp)
{
	struct listener *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	s->freed = true;
	if (!s->running)
		destroy(s);
}

unsigned listener_port(const struct listener *s)
{
	struct sockaddr_storage a = { 0 };
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	socklen_t len = sizeof(a);

	if (getsockname(s->fd, (struct sockaddr *)&a, &len) < 0)
		return 0;
	memcpy(&in, &a, sizeof(in));
	memcpy(&in6, &a, sizeof(in6));
	if (a.ss_family == AF_INET)
		return ntohs(in.sin_port);
	return a.ss_family == AF_INET6 ? ntohs(in6.sin6_port) : 0;
}

void listener_pause(struct listener *s, bool paused)
{
	s->paused = paused;
	update(s);
}
