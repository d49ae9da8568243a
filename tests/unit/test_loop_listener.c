/* Listeners: TCP on both families, unix sockets, systemd's, and no descriptors left. */
#include "unit/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/loop/conn.h"

enum { MAX = 64 };

static void *ctx;
static char *home;
static struct err e;
static struct listener *l;
static int accepted[MAX], n_accepted, free_at, pause_at;

static void on_accept(void *arg, int fd)
{
	ck_assert_ptr_eq(arg, &n_accepted);
	accepted[n_accepted++] = fd;
	if (n_accepted == free_at)
		listener_free(&l);
	if (n_accepted == pause_at)
		listener_pause(l, true);
}

static void set_up(void)
{
	char template[] = "/tmp/p2pmta-listen.XXXXXX";

	turns_begin();
	ctx = mem_ctx(NULL);
	home = mem_strdup(ctx, mkdtemp(template));
}

static void tear_down(void)
{
	char *command = mem_printf(ctx, "rm -rf '%s'", home);

	listener_free(&l);
	for (int i = 0; i < n_accepted; i++)
		close(accepted[i]);
	turns_end();
	ck_assert_int_eq(system(command), 0);
	talloc_free(ctx);
}

static void listen_on(const char *address)
{
	l = listener_new(loop, address, on_accept, &n_accepted, &e);
	ck_assert_msg(l != NULL, "%s", e.text);
}

static int call(int family, unsigned port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in6.sin6_addr = in6addr_loopback;
	int res = family == AF_INET ? connect(fd, (struct sockaddr *)&in, sizeof(in)) :
	    connect(fd, (struct sockaddr *)&in6, sizeof(in6));

	ck_assert_msg(res == 0, "connect: %s", strerror(errno));
	return fd;
}

static int call_unix(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(un.sun_path, path, sizeof(un.sun_path) - 1);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

static const struct { const char *name, *address; int family; const char *peer; } tcp_cases[] = {
	{ "V4", "127.0.0.1:0", AF_INET, "127.0.0.1:" },
	{ "V6", "[::1]:0", AF_INET6, "[::1]:" },
	{ "all of V4", "0.0.0.0:0", AF_INET, "127.0.0.1:" },
	{ "all of V6", "[::]:0", AF_INET6, "[::1]:" },
};

static size_t no_data(void *arg, const char *data, size_t len)
{
	(void)arg;
	(void)data;
	return len;
}

static void no_close(void *arg, const char *why)
{
	(void)arg;
	(void)why;
}

START_TEST(tcp_table)
{
	const struct conn_settings settings = { .max_input = 100 };
	const struct conn_hooks hooks = { no_data, NULL, no_close };
	int one = 0;
	socklen_t len = sizeof(one);

	listen_on(tcp_cases[_i].address);
	ck_assert_uint_gt(listener_port(l), 0);
	int fd = call(tcp_cases[_i].family, listener_port(l));

	turns_until(&n_accepted, 1);
	ck_assert_int_eq(getsockopt(accepted[0], IPPROTO_TCP, TCP_NODELAY, &one, &len), 0);
	ck_assert_int_ne(one, 0);
	ck_assert_int_ne(fcntl(accepted[0], F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(accepted[0], F_GETFL) & O_NONBLOCK, 0);

	struct conn *c = conn_new(loop, dup(accepted[0]), &settings, &hooks, NULL);

	ck_assert_msg(strncmp(conn_peer(c), tcp_cases[_i].peer, strlen(tcp_cases[_i].peer)) == 0, "%s", conn_peer(c));
	ck_assert(conn_is_loopback(c));
	conn_free(&c);
	close(fd);
}
END_TEST

static const struct { const char *name, *address; } wrong_cases[] = {
	{ "empty", "" },
	{ "no port", "127.0.0.1" },
	{ "empty port", "127.0.0.1:" },
	{ "port of letters", "127.0.0.1:smtp" },
	{ "V6 without brackets", "1:2:3:4" },
	{ "not ours", "192.0.2.1:0" },
	{ "unix without a path", "unix:" },
	{ "long path", "unix:/tmp/a234567890a234567890a234567890a234567890a234567890a234567890a234567890a234567890"
	  "a234567890a234567890a234567890" },
	{ "no such folder", "unix:/nowhere/at/all" },
};

START_TEST(wrong_addresses)
{
	l = listener_new(loop, wrong_cases[_i].address, on_accept, NULL, &e);
	ck_assert_msg(l == NULL, "case '%s'", wrong_cases[_i].name);
	ck_assert_msg(strncmp(e.text, "listen", 6) == 0, "%s", e.text);
}
END_TEST

START_TEST(port_in_use)
{
	listen_on("127.0.0.1:0");
	char *same = mem_printf(ctx, "127.0.0.1:%u", listener_port(l));

	ck_assert_ptr_null(listener_new(loop, same, on_accept, NULL, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "in use"));
	listener_free(&l);
	listen_on(same);
}
END_TEST

START_TEST(unix_sockets)
{
	char *path = mem_printf(ctx, "%s/socket", home), *address = mem_printf(ctx, "unix:%s", path);
	struct stat st;

	listen_on(address);
	ck_assert_uint_eq(listener_port(l), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	int fd = call_unix(path);

	turns_until(&n_accepted, 1);
	ck_assert_ptr_null(listener_new(loop, address, on_accept, NULL, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "in use"));
	close(fd);
	listener_free(&l);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

/* What a crash left is taken over; a file that is no socket is not. */
START_TEST(unix_socket_left_over)
{
	char *path = mem_printf(ctx, "%s/socket", home), *address = mem_printf(ctx, "unix:%s", path);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(un.sun_path, path, sizeof(un.sun_path) - 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	listen_on(address);
	fd = call_unix(path);
	turns_until(&n_accepted, 1);
	close(fd);
	listener_free(&l);

	ck_assert_int_eq(files_put(path, bytes_str("precious"), &e), OK);
	ck_assert_ptr_null(listener_new(loop, address, on_accept, NULL, &e));
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(many_at_once)
{
	int fd[40];

	listen_on("127.0.0.1:0");
	for (int i = 0; i < 40; i++)
		fd[i] = call(AF_INET, listener_port(l));
	turns_until(&n_accepted, 40);
	for (int i = 0; i < 40; i++)
		close(fd[i]);
}
END_TEST

START_TEST(paused)
{
	int fd[3];

	listen_on("127.0.0.1:0");
	pause_at = 1;
	for (int i = 0; i < 3; i++)
		fd[i] = call(AF_INET, listener_port(l));
	turns_until(&n_accepted, 1);
	turns_some(3);
	ck_assert_int_eq(n_accepted, 1);
	listener_pause(l, false);
	turns_until(&n_accepted, 3);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}
END_TEST

START_TEST(freed_inside_on_accept)
{
	int fd[3];

	listen_on("127.0.0.1:0");
	free_at = 2;
	for (int i = 0; i < 3; i++)
		fd[i] = call(AF_INET, listener_port(l));
	turns_until(&n_accepted, 2);
	turns_some(3);
	ck_assert_int_eq(n_accepted, 2);
	ck_assert_ptr_null(l);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}
END_TEST

/* No descriptors: a warning, no busy loop, and the client is served later. */
START_TEST(no_descriptors_left)
{
	struct rlimit old, little;
	int waited = 0;
	struct timer *t = timer_new(loop, turns_count_up, &waited);

	listen_on("127.0.0.1:0");
	int fd = call(AF_INET, listener_port(l)), probe = dup(fd);

	close(probe);
	getrlimit(RLIMIT_NOFILE, &old);
	little = old;
	little.rlim_cur = (rlim_t)probe;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &little), 0);
	timer_set(t, 100);
	turns_until(&waited, 1);
	ck_assert_int_eq(n_accepted, 0);
	ck_assert_uint_eq(log_take_warnings(), 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	turns_until(&n_accepted, 1);
	timer_free(&t);
	close(fd);
}
END_TEST

/* As systemd hands them over: from descriptor 3 on. Ours is the last of them. */
START_TEST(sockets_of_systemd)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int given = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(given, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(given, 5), 0);
	ck_assert_int_eq(getsockname(given, (struct sockaddr *)&in, &len), 0);
	setenv("LISTEN_PID", mem_printf(ctx, "%d", (int)getpid()), 1);
	setenv("LISTEN_FDS", mem_printf(ctx, "%d", given - 2), 1);
	for (int again = 0; again < 2; again++) {
		listen_on(mem_printf(ctx, "127.0.0.1:%u", ntohs(in.sin_port)));
		int fd = call(AF_INET, ntohs(in.sin_port));

		turns_until(&n_accepted, again + 1);
		close(fd);
		listener_free(&l);
		ck_assert_int_ge(fcntl(given, F_GETFD), 0);
	}
	close(given);
}
END_TEST

UNIT_SUITE("loop_listener")
	tcase_add_checked_fixture(unit_case, set_up, tear_down);
	UNIT_LOOP(tcp_table, tcp_cases);
	UNIT_LOOP(wrong_addresses, wrong_cases);
	UNIT(port_in_use);
	UNIT(unix_sockets);
	UNIT(unix_socket_left_over);
	UNIT(many_at_once);
	UNIT(paused);
	UNIT(freed_inside_on_accept);
	UNIT(no_descriptors_left);
	UNIT(sockets_of_systemd);
UNIT_END
