/* The control socket: requests against the table, framing, late answers, askers that go. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/control/control.h"
#include "lib/base/mem.h"
#include "unit/unit.h"

static struct err e;

/* says NULL: taken; else part of the reason. */
static const struct { const char *name, *line; int command; const char *says; } rows[] = {
	{ "status", "{\"command\":\"status\"}", CONTROL_STATUS, NULL },
	{ "empty args", "{\"command\":\"queue\",\"args\":{}}", CONTROL_QUEUE, NULL },
	{ "show", "{\"command\":\"show\",\"args\":{\"id\":7}}", CONTROL_SHOW, NULL },
	{ "cancel all", "{\"command\":\"cancel\",\"args\":{\"id\":7}}", CONTROL_CANCEL, NULL },
	{ "cancel some", "{\"command\":\"cancel\",\"args\":{\"id\":7,\"addresses\":[\"A@Home\",\"b@home\"]}}", CONTROL_CANCEL, NULL },
	{ "pull all", "{\"command\":\"pull\"}", CONTROL_PULL, NULL },
	{ "pull one", "{\"command\":\"pull\",\"args\":{\"uid\":4294967295}}", CONTROL_PULL, NULL },
	{ "verify", "{\"command\":\"verify\",\"args\":{\"address\":\"a@b\",\"fpr\":\"0123456789ABCDEF0123456789ABCDEF01234567\"}}", CONTROL_VERIFY, NULL },
	{ "trace", "{\"command\":\"trace\",\"args\":{\"what\":[\"smtp\",\"dht\"],\"on\":true}}", CONTROL_TRACE, NULL },
	{ "nothing", "", 0, "not JSON" },
	{ "no JSON", "status", 0, "not JSON" },
	{ "two values", "{\"command\":\"status\"} {}", 0, "not JSON" },
	{ "same key twice", "{\"command\":\"status\",\"command\":\"stop\"}", 0, "not JSON" },
	{ "array", "[]", 0, "no such command" },
	{ "unknown", "{\"command\":\"fly\"}", 0, "no such command" },
	{ "no text", "{\"command\":5}", 0, "no such command" },
	{ "args no object", "{\"command\":\"status\",\"args\":[]}", 0, "not an object" },
	{ "too much", "{\"command\":\"status\",\"args\":{\"id\":1}}", 0, "does not know" },
	{ "missing", "{\"command\":\"show\"}", 0, "show: id is missing" },
	{ "text id", "{\"command\":\"show\",\"args\":{\"id\":\"7\"}}", 0, "show: id is not" },
	{ "zero id", "{\"command\":\"show\",\"args\":{\"id\":0}}", 0, "show: id is not" },
	{ "huge id", "{\"command\":\"show\",\"args\":{\"id\":99999999999999999999}}", 0, "not JSON" },
	{ "huge uid", "{\"command\":\"pull\",\"args\":{\"uid\":4294967296}}", 0, "uid is not" },
	{ "no address", "{\"command\":\"cancel\",\"args\":{\"id\":7,\"addresses\":[\"x\"]}}", 0, "addresses is not" },
	{ "empty list", "{\"command\":\"cancel\",\"args\":{\"id\":7,\"addresses\":[]}}", 0, "addresses is not" },
	{ "lower-case fingerprint", "{\"command\":\"verify\",\"args\":{\"address\":\"a@b\",\"fpr\":\"0123456789abcdef0123456789abcdef01234567\"}}", 0, "fpr is not" },
	{ "unknown trace", "{\"command\":\"trace\",\"args\":{\"what\":[\"pop\"],\"on\":true}}", 0, "what is not" },
};

START_TEST(request_table)
{
	enum control_command command = N_CONTROL;
	json_t *args = control_request_parse(rows[_i].line, strlen(rows[_i].line), &command, &e);

	if (rows[_i].says) {
		ck_assert_msg(!args && strstr(e.text, rows[_i].says), "case '%s': %s", rows[_i].name, e.text);
	} else {
		ck_assert_msg(args && (int)command == rows[_i].command, "case '%s': %s", rows[_i].name, e.text);
		json_t *first = json_array_get(json_object_get(args, "addresses"), 0);
		if (first)
			ck_assert_str_eq(json_string_value(first), "a@home");
		json_decref(args);
	}
}
END_TEST

START_TEST(names)
{
	for (int i = 0; i < N_CONTROL; i++)
		ck_assert_int_eq(control_command_parse(control_command_name((enum control_command)i)), i);
	ck_assert_int_eq(control_command_parse("group"), -1);
	json_t *text = control_text("na\xefve");
	ck_assert_str_eq(json_string_value(text), "na?ve");
	json_decref(text);
	text = control_text("na\xc3\xafve");
	ck_assert_str_eq(json_string_value(text), "na\xc3\xafve");
	json_decref(text);
}
END_TEST

/* A server in this process; the askers are plain sockets, turned by the loop. */
static struct server {
	struct loop *loop;
	struct control *control;
	struct timer *timer;
	char path[64];
	uint64_t pending;
	unsigned n_runs;
	bool sent;
} sv;

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop(sv.loop);
}

/* Turn the loop for a while. */
static void turn(int ms)
{
	timer_set(sv.timer, ms);
	loop_run(sv.loop);
}

static void run_status(void *arg, uint64_t request, const json_t *args)
{
	(void)arg, (void)args;
	sv.n_runs++;
	control_answer(sv.control, request, json_pack("{s:i}", "n", sv.n_runs));
}

static void run_queue(void *arg, uint64_t request, const json_t *args)
{
	(void)arg, (void)args;
	sv.pending = request;
}

static void run_show(void *arg, uint64_t request, const json_t *args)
{
	(void)arg;
	ck_assert_int_eq(json_integer_value(json_object_get(args, "id")), 12);
	control_refuse(sv.control, request, CONTROL_NOT_FOUND, "no message 12");
}

static void on_sent(void *arg)
{
	(void)arg;
	sv.sent = true;
	loop_stop(sv.loop);
}

static void run_stop(void *arg, uint64_t request, const json_t *args)
{
	(void)arg, (void)args;
	control_answer_last(sv.control, request, json_true(), on_sent, NULL);
}

static void start(void)
{
	struct control_hooks hooks = { .run = { [CONTROL_STATUS] = run_status, [CONTROL_QUEUE] = run_queue, [CONTROL_SHOW] = run_show,
	    [CONTROL_STOP] = run_stop } };

	memset(&sv, 0, sizeof(sv));
	snprintf(sv.path, sizeof(sv.path), "/tmp/control.%d", (int)getpid());
	sv.loop = loop_new(&e);
	ck_assert(sv.loop);
	sv.timer = timer_new(sv.loop, stop_loop, NULL);
	sv.control = control_start(sv.loop, sv.path, &hooks, &e);
	ck_assert_msg(sv.control, "%s", e.text);
}

static void end(void)
{
	control_stop(&sv.control);
	timer_free(&sv.timer);
	loop_free(&sv.loop);
	ck_assert(access(sv.path, F_OK) < 0);
}

static int ask(const char *text)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", sv.path);
	ck_assert(connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static char heard_text[8192];

/* What has come for fd within so many turns: heard_text. */
static const char *heard(int fd)
{
	char *const text = heard_text;
	size_t len = 0;

	for (int i = 0; i < 200 && !memchr(text, '\n', len); i++) {
		turn(1);
		ssize_t n = read(fd, text + len, sizeof(heard_text) - 1 - len);
		if (n == 0)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	text[len] = '\0';
	return text;
}

START_TEST(answers)
{
	start();
	struct stat st;
	ck_assert(stat(sv.path, &st) == 0 && (st.st_mode & 0777) == 0600);

	int fd = ask("{\"command\":\"status\"}\n");
	ck_assert_str_eq(heard(fd), "{\"result\":{\"n\":1}}\n");
	ck_assert(write(fd, "{\"command\":\"show\",\"args\":{\"id\":12}}\n", 36) == 36);
	ck_assert_str_eq(heard(fd), "{\"error\":{\"code\":\"not-found\",\"text\":\"no message 12\"}}\n");
	ck_assert(write(fd, "{\"command\":\"contacts\"}\n", 23) == 23);
	ck_assert(strstr(heard(fd), "\"refused\""));
	ck_assert(write(fd, "nonsense\n", 9) == 9);
	ck_assert(strstr(heard(fd), "\"usage\""));
	close(fd);
	end();
}
END_TEST

/* Two requests at once: the second waits for the first one's answer. In pieces, too. */
START_TEST(one_after_the_other)
{
	start();
	int fd = ask("{\"command\":\"queue\"}\n{\"command\":\"sta");
	turn(20);
	ck_assert(sv.pending != 0);
	ck_assert(write(fd, "tus\"}\n", 6) == 6);
	turn(20);
	ck_assert_uint_eq(sv.n_runs, 0);
	control_answer(sv.control, sv.pending, json_array());
	ck_assert(strstr(heard(fd), "{\"result\":[]}\n"));
	turn(20);
	ck_assert_uint_eq(sv.n_runs, 1);
	close(fd);
	end();
}
END_TEST

/* An answer in items: nothing else is said in between, and the next request waits for its end. */
START_TEST(items)
{
	start();
	int fd = ask("{\"command\":\"queue\"}\n{\"command\":\"status\"}\n");
	turn(20);
	ck_assert(control_answer_item(sv.control, sv.pending, json_integer(1)));
	turn(20);
	ck_assert_uint_eq(sv.n_runs, 0);
	ck_assert(control_answer_item(sv.control, sv.pending, json_pack("{s:i}", "two", 2)));
	ck_assert(control_answer_item(sv.control, sv.pending, NULL));
	ck_assert(!control_answer_item(sv.control, sv.pending, NULL));
	ck_assert_ptr_eq(strstr(heard(fd), "{\"result\":[1,{\"two\":2}]}\n"), heard_text);
	for (int i = 0; i < 200 && sv.n_runs == 0; i++)
		turn(1);
	ck_assert_uint_eq(sv.n_runs, 1);
	close(fd);

	/* None; and one who goes in the middle. */
	fd = ask("{\"command\":\"queue\"}\n");
	turn(20);
	ck_assert(control_answer_item(sv.control, sv.pending, NULL));
	ck_assert_str_eq(heard(fd), "{\"result\":[]}\n");
	close(fd);
	fd = ask("{\"command\":\"queue\"}\n");
	turn(20);
	ck_assert(control_answer_item(sv.control, sv.pending, json_integer(1)));
	close(fd);
	turn(20);
	ck_assert(!control_answer_item(sv.control, sv.pending, json_integer(2)));
	end();
}
END_TEST

START_TEST(asker_goes)
{
	start();
	int fd = ask("{\"command\":\"queue\"}\n");
	turn(20);
	uint64_t old = sv.pending;
	close(fd);
	turn(20);
	control_answer(sv.control, old, json_array());
	control_refuse(sv.control, old, CONTROL_REFUSED, "x");
	fd = ask("{\"command\":\"queue\"}\n");
	turn(20);
	ck_assert_uint_gt(sv.pending, old);
	close(fd);
	end();
}
END_TEST

START_TEST(line_too_long)
{
	static char line[LIMIT_CONTROL_LINE + 10];

	start();
	memset(line, ' ', sizeof(line) - 1);
	int fd = ask(line);
	char c;
	for (int i = 0; i < 200 && read(fd, &c, 1) != 0; i++)
		turn(1);
	ck_assert_int_eq(read(fd, &c, 1), 0);
	close(fd);
	end();
}
END_TEST

START_TEST(last_answer)
{
	start();
	int fd = ask("{\"command\":\"stop\"}\n");
	turn(2000);
	ck_assert(sv.sent);
	char text[64];
	ssize_t n = read(fd, text, sizeof(text));
	ck_assert(n == 16 && !memcmp(text, "{\"result\":true}\n", 16));
	close(fd);
	end();
}
END_TEST

START_TEST(last_answer_to_nobody)
{
	start();
	int fd = ask("{\"command\":\"queue\"}\n");
	turn(20);
	close(fd);
	turn(20);
	control_answer_last(sv.control, sv.pending, json_true(), on_sent, NULL);
	ck_assert(!sv.sent);
	turn(2000);
	ck_assert(sv.sent);
	end();
}
END_TEST

UNIT_SUITE("control")
{
	UNIT_LOOP(request_table, rows);
	UNIT(names);
	UNIT(answers);
	UNIT(one_after_the_other);
	UNIT(items);
	UNIT(asker_goes);
	UNIT(line_too_long);
	UNIT(last_answer);
	UNIT(last_answer_to_nobody);
}
UNIT_END
