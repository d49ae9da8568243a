/* Connections without TLS, over socket pairs; the peer is a descriptor of the same loop. */
#include "unit/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/loop/conn.h"

/* A session that takes lines, and what the peer got from it. */
struct side {
	struct conn *c;
	int peer;
	struct watch *w;
	struct buf *got;	/* by the peer */
	int n_got;		/* octets of it */
	int peer_eof;

	struct buf *lines;	/* taken by the session, "|" after each */
	int n_lines, n_drains, n_closed;
	char why[100];
	int pause_at, free_at;	/* on this line */
	bool free_on_drain, keep_on_close;
};

static struct side *s;

static void take_line(const char *line, size_t len)
{
	buf_add(s->lines, line, len);
	buf_adds(s->lines, "|");
	s->n_lines++;
	if (s->n_lines == s->pause_at)
		conn_pause(s->c);
	if (len == 4 && memcmp(line, "echo", 4) == 0)
		conn_printf(s->c, "%s %d\n", "line", s->n_lines);
	if (len == 4 && memcmp(line, "quit", 4) == 0) {
		conn_write(s->c, "bye\n", 4);
		conn_finish(s->c);
	}
	if (s->n_lines == s->free_at)
		conn_free(&s->c);
}

static size_t on_data(void *arg, const char *data, size_t len)
{
	const char *nl = memchr(data, '\n', len);

	ck_assert_ptr_eq(arg, s);
	ck_assert_uint_gt(len, 0);
	if (nl == NULL)
		return 0;
	size_t used = (size_t)(nl - data) + 1;

	take_line(data, used - 1);
	return used;
}

static void on_drain(void *arg)
{
	ck_assert_ptr_eq(arg, s);
	s->n_drains++;
	if (s->free_on_drain)
		conn_free(&s->c);
}

static void on_close(void *arg, const char *why)
{
	ck_assert_ptr_eq(arg, s);
	s->n_closed++;
	strncpy(s->why, why, sizeof(s->why) - 1);
	if (!s->keep_on_close)
		conn_free(&s->c);
}

static void on_peer(void *arg, int fd, unsigned events)
{
	char block[65536];
	ssize_t n = read(fd, block, sizeof(block));

	(void)arg;
	(void)events;
	if (n > 0) {
		ck_assert(buf_add(s->got, block, (size_t)n));
		s->n_got += (int)n;
	} else {
		s->peer_eof++;
		watch_set(s->w, 0);
	}
}

static const struct conn_hooks hooks = { on_data, on_drain, on_close };

static void set_up(void)
{
	turns_begin();
	s = mem_zero(NULL, struct side);
	s->got = buf_new(s, 64 << 20);
	s->lines = buf_new(s, 8 << 20);
}

static void start(size_t max_input, int64_t idle_ms)
{
	const struct conn_settings settings = { .max_input = max_input, .low = 1000, .idle_ms = idle_ms };
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	s->peer = fd[1];
	fcntl(s->peer, F_SETFL, O_NONBLOCK);
	s->w = watch_new(loop, s->peer, on_peer, s);
	watch_set(s->w, WATCH_READ);
	s->c = conn_new(loop, fd[0], &settings, &hooks, s);
	ck_assert_str_eq(conn_peer(s->c), "unix");
	ck_assert(conn_is_loopback(s->c));
	ck_assert(!conn_is_tls(s->c));
	ck_assert_int_eq(conn_fd(s->c), fd[0]);
}

static void tear_down(void)
{
	conn_free(&s->c);
	watch_free(&s->w);
	close(s->peer);
	turns_end();
	talloc_free(s);
}

static void say(const char *text)
{
	ck_assert_int_eq(write(s->peer, text, strlen(text)), (ssize_t)strlen(text));
}

START_TEST(lines_and_pieces)
{
	start(1000, 0);
	say("one\ntwo\nth");
	turns_until(&s->n_lines, 2);
	turns_some(3);
	ck_assert_str_eq(s->lines->data, "one|two|");
	say("ree\necho\n");
	turns_until(&s->n_lines, 4);
	turns_until(&s->n_got, 7);
	ck_assert_str_eq(s->lines->data, "one|two|three|echo|");
	ck_assert_str_eq(s->got->data, "line 4\n");
	ck_assert_int_eq(s->n_closed, 0);
}
END_TEST

START_TEST(pause_and_resume)
{
	start(1000, 0);
	s->pause_at = 2;
	say("one\ntwo\nthree\nfour\n");
	turns_until(&s->n_lines, 2);
	turns_some(3);
	ck_assert_str_eq(s->lines->data, "one|two|");
	s->pause_at = 3;
	conn_resume(s->c);
	ck_assert_int_eq(s->n_lines, 2);	/* never from inside a call */
	turns_until(&s->n_lines, 3);
	turns_some(3);
	ck_assert_int_eq(s->n_lines, 3);
	conn_resume(s->c);
	conn_pause(s->c);
	turns_some(3);
	ck_assert_int_eq(s->n_lines, 3);
	conn_resume(s->c);
	turns_until(&s->n_lines, 4);
}
END_TEST

/* A session that waits does not swallow what the peer sends without end. */
START_TEST(input_backs_up)
{
	static char line[1000];
	size_t sent = 0;

	start(20000, 0);
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\n';
	conn_pause(s->c);
	for (int quiet = 0; quiet < 5;) {
		ssize_t n = write(s->peer, line + sent % sizeof(line), sizeof(line) - sent % sizeof(line));

		quiet = n < 0 ? quiet + 1 : 0;
		sent += n > 0 ? (size_t)n : 0;
		turns_some(1);
		ck_assert_uint_lt(sent, 4 << 20);
	}
	ck_assert_int_eq(s->n_lines, 0);
	conn_resume(s->c);
	turns_until(&s->n_lines, (int)(sent / sizeof(line)));
	ck_assert_uint_eq(s->lines->len, sent / sizeof(line) * sizeof(line));
	ck_assert_int_eq(s->n_closed, 0);
}
END_TEST

/* max_input octets, none of them used. One less is no error. */
START_TEST(input_too_long)
{
	start(16, 0);
	say("0123456789abcde");
	turns_some(3);
	ck_assert_int_eq(s->n_closed, 0);
	say("\n0123456789abcdef");
	turns_until(&s->n_closed, 1);
	ck_assert_str_eq(s->lines->data, "0123456789abcde|");
	ck_assert_str_eq(s->why, "input too long");
}
END_TEST

START_TEST(input_full_while_paused)
{
	start(16, 0);
	s->pause_at = 1;
	say("a\n0123456789abcdef0123456789");
	turns_until(&s->n_lines, 1);
	turns_some(3);
	ck_assert_int_eq(s->n_closed, 0);
	conn_resume(s->c);
	turns_until(&s->n_closed, 1);
	ck_assert_str_eq(s->why, "input too long");
}
END_TEST

static int n_said;
static struct timer *talker;

static void talk(void *arg)
{
	(void)arg;
	say("x\n");
	if (++n_said < 6)
		timer_set(talker, 50);
}

START_TEST(idle)
{
	int64_t begin = clock_mono_ms();

	start(100, 400);
	talker = timer_new(loop, talk, NULL);
	timer_set(talker, 50);
	turns_until(&s->n_closed, 1);
	ck_assert_str_eq(s->why, "idle");
	ck_assert_int_eq(s->n_lines, 6);
	ck_assert_int_ge(clock_mono_ms() - begin, 690);
	timer_free(&talker);
}
END_TEST

START_TEST(idle_set_later)
{
	start(100, 1);
	conn_set_idle(s->c, 0);
	say("x\n");
	turns_until(&s->n_lines, 1);
	turns_some(3);
	ck_assert_int_eq(s->n_closed, 0);
	conn_set_idle(s->c, 1);
	turns_until(&s->n_closed, 1);
	ck_assert_str_eq(s->why, "idle");
}
END_TEST

/* All that was written arrives before the end. */
START_TEST(finish_sends_what_waits)
{
	enum { LONG = 3000000 };
	char *text = mem_array(s, char, LONG);

	start(100, 0);
	memset(text, 'y', LONG);
	conn_write(s->c, text, LONG);
	conn_write(s->c, "end\n", 4);
	ck_assert_uint_eq(conn_unsent(s->c), LONG + 4);
	conn_finish(s->c);
	ck_assert_int_eq(s->n_closed, 0);
	say("nobody listens\n");
	turns_until(&s->n_closed, 1);
	turns_until(&s->peer_eof, 1);
	ck_assert_str_eq(s->why, "closed");
	ck_assert_int_eq(s->n_lines, 0);
	ck_assert_int_eq(s->n_got, LONG + 4);
	ck_assert_str_eq(s->got->data + LONG, "end\n");
}
END_TEST

START_TEST(finish_inside_a_line)
{
	start(100, 0);
	say("one\nquit\nmore\n");
	turns_until(&s->n_closed, 1);
	turns_until(&s->peer_eof, 1);
	ck_assert_str_eq(s->lines->data, "one|quit|");
	ck_assert_str_eq(s->got->data, "bye\n");
	ck_assert_str_eq(s->why, "closed");
}
END_TEST

START_TEST(finish_with_nothing_to_send)
{
	start(100, 0);
	s->keep_on_close = true;
	conn_finish(s->c);
	ck_assert_int_eq(s->n_closed, 0);
	turns_until(&s->n_closed, 1);
	ck_assert_str_eq(s->why, "closed");
	conn_write(s->c, "too late", 8);
	conn_pause(s->c);
	conn_resume(s->c);
	conn_finish(s->c);
	conn_set_idle(s->c, 1);
	turns_some(5);
	ck_assert_int_eq(s->n_closed, 1);
	ck_assert_int_eq(s->n_got, 0);
}
END_TEST

START_TEST(peer_goes)
{
	start(100, 0);
	say("one\nhalf a li");
	close(s->peer);
	watch_free(&s->w);
	turns_until(&s->n_closed, 1);
	ck_assert_str_eq(s->lines->data, "one|");
	ck_assert_str_eq(s->why, "closed by peer");
	s->peer = -1;
}
END_TEST

/* A peer that only stopped sending still gets its answers. */
START_TEST(peer_stops_sending)
{
	start(100, 0);
	say("echo\necho\n");
	shutdown(s->peer, SHUT_WR);
	turns_until(&s->n_closed, 1);
	turns_until(&s->peer_eof, 1);
	ck_assert_str_eq(s->got->data, "line 1\nline 2\n");
	ck_assert_str_eq(s->why, "closed by peer");
}
END_TEST

/* What it sent before waits for a session that is paused; when nothing waits, the session hears at once. */
START_TEST(peer_stops_sending_to_a_paused_session)
{
	start(100, 0);
	s->pause_at = 1;
	say("one\nquit\n");
	shutdown(s->peer, SHUT_WR);
	turns_until(&s->n_lines, 1);
	turns_some(5);
	ck_assert_int_eq(s->n_closed, 0);
	conn_resume(s->c);
	turns_until(&s->n_closed, 1);
	turns_until(&s->peer_eof, 1);
	ck_assert_str_eq(s->lines->data, "one|quit|");
	ck_assert_str_eq(s->got->data, "bye\n");
	ck_assert_str_eq(s->why, "closed");
}
END_TEST

START_TEST(peer_leaves_a_paused_session)
{
	start(100, 0);
	s->pause_at = 1;
	say("one\n");
	turns_until(&s->n_lines, 1);
	shutdown(s->peer, SHUT_WR);
	turns_until(&s->n_closed, 1);
	ck_assert_str_eq(s->why, "closed by peer");
}
END_TEST

START_TEST(free_inside_on_data)
{
	start(100, 0);
	s->free_at = 2;
	say("one\ntwo\nthree\n");
	turns_until(&s->n_lines, 2);
	turns_until(&s->peer_eof, 1);
	ck_assert_ptr_null(s->c);
	ck_assert_str_eq(s->lines->data, "one|two|");
	ck_assert_int_eq(s->n_closed, 0);
}
END_TEST

START_TEST(free_inside_on_drain)
{
	start(100, 0);
	s->free_on_drain = true;
	conn_write(s->c, "x", 1);
	turns_until(&s->n_drains, 1);
	turns_until(&s->peer_eof, 1);
	ck_assert_int_eq(s->n_drains, 1);
	ck_assert_int_eq(s->n_closed, 0);
	ck_assert_str_eq(s->got->data, "x");
}
END_TEST

START_TEST(free_outside)
{
	start(100, 0);
	say("echo\n");
	turns_until(&s->n_lines, 1);
	conn_write(s->c, "never sent", 10);
	conn_free(&s->c);
	conn_free(&s->c);
	turns_until(&s->peer_eof, 1);
	ck_assert_int_eq(s->n_closed, 0);
}
END_TEST

/* on_drain when less than 1000 octets wait, not while the peer does not read. */
START_TEST(drain)
{
	enum { LONG = 1000000 };
	char *text = mem_zero_array(s, char, LONG);

	start(100, 0);
	watch_set(s->w, 0);
	conn_write(s->c, text, LONG);
	turns_some(5);
	ck_assert_uint_gt(conn_unsent(s->c), 1000);
	ck_assert_int_eq(s->n_drains, 0);
	watch_set(s->w, WATCH_READ);
	turns_until(&s->n_drains, 1);
	ck_assert_uint_le(conn_unsent(s->c), 1000);
	turns_until(&s->n_got, LONG);
	ck_assert_uint_eq(conn_unsent(s->c), 0);
}
END_TEST

static int open_file(size_t len)
{
	char *path, *text = mem_array(s, char, len);
	int fd = files_tmp(s, "/tmp", &path, NULL);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + i % 23);
	ck_assert_int_eq(files_write(fd, text, len), 0);
	return fd;
}

START_TEST(files_go_in_order)
{
	enum { LONG = 2000000, FROM = 23 * 1000, LEN = 1500000 };

	start(100, 0);
	conn_write(s->c, "<", 1);
	conn_write_file(s->c, open_file(LONG), FROM, LEN);
	conn_write(s->c, ">", 1);
	conn_write_file(s->c, open_file(3), 0, 0);
	conn_write_file(s->c, open_file(3), 1, 2);
	conn_printf(s->c, "%s", ".");
	ck_assert_uint_eq(conn_unsent(s->c), LEN + 5);
	conn_finish(s->c);
	turns_until(&s->peer_eof, 1);
	ck_assert_int_eq(s->n_got, LEN + 5);
	ck_assert_int_eq(s->got->data[0], '<');
	for (int i = 0; i < LEN; i++)
		ck_assert_int_eq(s->got->data[1 + i], 'a' + i % 23);
	ck_assert_str_eq(s->got->data + 1 + LEN, ">bc.");
	turns_until(&s->n_closed, 1);
	ck_assert_str_eq(s->why, "closed");
}
END_TEST

/* What was announced cannot be sent: the connection ends, it does not hang or lie. */
START_TEST(file_shorter_than_announced)
{
	start(100, 0);
	conn_write_file(s->c, open_file(1000), 0, 2000);
	conn_write(s->c, "after", 5);
	turns_until(&s->n_closed, 1);
	turns_until(&s->peer_eof, 1);
	ck_assert_int_le(s->n_got, 1000);
}
END_TEST

/* What is kept back goes after what was written before it, in order, or not at all; it counts as unsent. */
START_TEST(held)
{
	start(1000, 0);
	conn_write(s->c, "one ", 4);
	conn_hold(s->c, 1);
	conn_write(s->c, "two ", 4);
	conn_write_file(s->c, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 1, 3);
	conn_write(s->c, " three ", 7);
	turns_until(&s->n_got, 4);
	turns_some(5);
	ck_assert_str_eq(s->got->data, "one ");
	ck_assert_uint_eq(conn_unsent(s->c), 14);
	conn_release(s->c, 1);
	conn_write(s->c, "four", 4);
	turns_until(&s->n_got, 22);
	ck_assert_str_eq(s->got->data, "one two ELF three four");
	conn_hold(s->c, 1);
	conn_write(s->c, "five", 4);
	conn_drop(s->c);
	conn_write(s->c, "six", 3);
	turns_until(&s->n_got, 25);
	ck_assert_str_eq(s->got->data, "one two ELF three foursix");
	/* An end waits for it, too. */
	conn_hold(s->c, 1);
	conn_write(s->c, "bye", 3);
	conn_finish(s->c);
	turns_some(5);
	ck_assert_int_eq(s->n_closed, 0);
	conn_release(s->c, 1);
	turns_until(&s->n_closed, 1);
	turns_until(&s->peer_eof, 1);
	ck_assert_str_eq(s->got->data, "one two ELF three foursixbye");
}
END_TEST

/* Each goes with its stamp. */
START_TEST(held_by_stamp)
{
	start(1000, 0);
	conn_hold(s->c, 1);
	conn_write(s->c, "one ", 4);
	conn_hold(s->c, 2);
	conn_write(s->c, "two ", 4);
	conn_release(s->c, 1);
	conn_write(s->c, "two again", 9);
	turns_until(&s->n_got, 4);
	turns_some(5);
	ck_assert_str_eq(s->got->data, "one ");
	conn_release(s->c, 2);
	conn_write(s->c, "!", 1);
	turns_until(&s->n_got, 18);
	ck_assert_str_eq(s->got->data, "one two two again!");
	conn_hold(s->c, 3);
	conn_write(s->c, "three ", 6);
	conn_hold(s->c, 4);
	conn_write(s->c, "four", 4);
	conn_release(s->c, 3);
	conn_drop(s->c);
	conn_write(s->c, "five", 4);
	turns_until(&s->n_got, 28);
	ck_assert_str_eq(s->got->data, "one two two again!three five");
}
END_TEST

UNIT_SUITE("loop_conn")
	tcase_add_checked_fixture(unit_case, set_up, tear_down);
	UNIT(lines_and_pieces);
	UNIT(pause_and_resume);
	UNIT(input_backs_up);
	UNIT(input_too_long);
	UNIT(input_full_while_paused);
	UNIT(idle);
	UNIT(idle_set_later);
	UNIT(finish_sends_what_waits);
	UNIT(finish_inside_a_line);
	UNIT(finish_with_nothing_to_send);
	UNIT(peer_goes);
	UNIT(peer_stops_sending);
	UNIT(peer_stops_sending_to_a_paused_session);
	UNIT(peer_leaves_a_paused_session);
	UNIT(free_inside_on_data);
	UNIT(free_inside_on_drain);
	UNIT(free_outside);
	UNIT(drain);
	UNIT(files_go_in_order);
	UNIT(file_shorter_than_announced);
	UNIT(held);
	UNIT(held_by_stamp);
UNIT_END
