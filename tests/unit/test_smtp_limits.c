/* Sessions that are cut, slow, deaf, too many or too large, and disks that are full. */
#include "unit/smtp_host.h"
#include "unit/unit.h"

#include <glob.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* No session, no answer: nothing breaks. */
START_TEST(smtp_gone_before_answer)
{
	p.answer = ANSWER_NEVER;
	PLAY("gone", LOGIN, MAIL, "S 250");
	uint64_t ticket = p.ticket;
	host_hang_up();
	p.answer = ANSWER_NOW;
	PLAY("next", LOGIN, MAIL, "S 250", "C NOOP", "S 250 ");
	smtp_submit_done(p.smtp, ticket, OK, NULL);
	smtp_submit_done(p.smtp, 0, OK, NULL);
	ck_assert_uint_eq(p.smtp->n_sessions, 1);
}
END_TEST

START_TEST(smtp_stop_before_answer)
{
	p.answer = ANSWER_NEVER;
	PLAY("stop", LOGIN, MAIL, "S 250");
	smtp_stop(&p.smtp);
	char line[64];
	ssize_t n = recv(p.fd, line, sizeof(line) - 1, 0);
	ck_assert_int_gt(n, 0);
	ck_assert(strncmp(line, "421 4.3.2", 9) == 0);
}
END_TEST

static const char *const aborted[] = {
	"R From: alice@home\r\n\r\nhello\r\n", "R From: alice@home\r\n\r\nhello\r\n.", "R From: alice@home\r\n\r\nhello\r\n.\r", "R ",
	"R From: bob@home\r\n\r\nhello\r\n",
};

START_TEST(smtp_aborted)
{
	PLAY("aborted", LOGIN, ENVELOPE, "C DATA", "S 354 ", aborted[_i]);
	host_hang_up();
	wait_for_sessions(0);
	ck_assert_uint_eq(count_files(p.dir, false), 0);
	ck_assert_uint_eq(p.n_submitted, 0);
}
END_TEST

/* A whole dialogue is cut behind each of its octets: a file is there exactly when it was submitted. */
static const char whole[] = "EHLO x\r\nAUTH PLAIN " PLAIN "\r\nMAIL FROM:<alice@home>\r\nRCPT TO:<bob@home>\r\nDATA\r\n"
    "From: alice@home\r\n\r\n..x\r\n.\r\nMAIL FROM:<alice@home>\r\nRCPT TO:<bob@home>\r\nBDAT 10\r\nFrom: alicBDAT 11 LAST\r\ne@home\r\n\r\nyQUIT\r\n";

START_TEST(smtp_drop_anywhere)
{
	for (size_t n = 0; n < sizeof(whole); n++) {
		host_call();
		ck_assert_int_eq(send(p.fd, whole, n, MSG_NOSIGNAL), (ssize_t)n);
		p.n_submitted = 0;
		/* Reads nothing; a reset now and then, and else an end. */
		if (n % 3 == 0)
			shutdown(p.fd, SHUT_WR);
		else
			host_hang_up();
		if (p.fd >= 0)
			watch_set(p.watch, 0);
		wait_for_sessions(0);
		if (p.fd >= 0)
			host_hang_up();
		ck_assert_msg(count_files(p.dir, false) == 0, "cut at %zu: %u files", n, count_files(p.dir, false));
		count_files(p.dir, true);
	}
}
END_TEST

/* Each kind of waiting has an end, with a word. */
static const struct { const char *name; int64_t idle_ms, login_ms, line_ms, data_ms; const char *steps[16]; } slow_cases[] = {
	{ "nothing said", 20, 0, 0, 0, { "S 220 ", "S 421 4.4.2", "E" } },
	{ "nothing more said", 20, 0, 0, 0, { LOGIN, "S 421 4.4.2", "E" } },
	{ "nothing said in a mail", 20, 0, 0, 0, { LOGIN, ENVELOPE, "S 421 4.4.2", "E" } },
	{ "nobody logs in", 0, 20, 0, 0, { "S 220 ", "C EHLO x", "S 250 ", "S 421 4.4.2", "E" } },
	{ "half a line", 0, 0, 20, 0, { LOGIN, "R MAIL FR", "S 421 4.4.2", "E" } },
	{ "half an answer", 0, 0, 20, 0, { "S 220 ", "C EHLO x", "S 250 ", "C AUTH PLAIN", "S 334", "R AA", "S 421 4.4.2", "E" } },
	{ "half a long line", 0, 0, 20, 0, { LOGIN, "X 100000 x", "S 421 4.4.2", "E" } },
	{ "no data", 0, 0, 0, 20, { LOGIN, ENVELOPE, "C DATA", "S 354", "S 421 4.4.2", "E" } },
	{ "little data", 0, 0, 0, 20, { LOGIN, ENVELOPE, "C DATA", "S 354", "R From: alice@home\r\n", "S 421 4.4.2", "E" } },
	{ "no chunk", 0, 0, 0, 20, { LOGIN, ENVELOPE, "C BDAT 100", "S 421 4.4.2", "E" } },
	{ "much data, then none", 0, 0, 0, 20, { LOGIN, ENVELOPE, "C DATA", "S 354", "X 10000 From: alice@home\r\n", "S 421 4.4.2", "E" } },
};

START_TEST(smtp_slow)
{
	host_teardown();
	p_patience.idle_ms = slow_cases[_i].idle_ms;
	p_patience.login_ms = slow_cases[_i].login_ms;
	p_patience.line_ms = slow_cases[_i].line_ms;
	p_patience.data_ms = slow_cases[_i].data_ms;
	host_setup();
	play(slow_cases[_i].name, slow_cases[_i].steps);
	ck_assert_msg(p.is_over, "%s: stopped at '%s'", p.scene, *p.step);
	host_hang_up();
	wait_for_sessions(0);
	ck_assert_uint_eq(count_files(p.dir, false), 0);
}
END_TEST

/* Somebody who sends commands and reads no answers costs no memory. */
START_TEST(smtp_deaf_client)
{
	static const char noops[] = "RCPT TO:<bob@home>\r\nRCPT TO:<bob@home>\r\nRCPT TO:<bob@home>\r\nRCPT TO:<bob@home>\r\n";
	size_t sent = 0;

	PLAY("deaf", LOGIN, "C MAIL FROM:<alice@home>", "S 250");
	watch_set(p.watch, 0);
	struct smtp_session *s = LIST_FIRST(&p.smtp->sessions);
	for (int idle = 0; idle < 50; idle++) {
		ssize_t n = send(p.fd, noops, sizeof(noops) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
		}
		ck_assert_uint_lt(sent, MIB(16));
		if (n <= 0)
			turn();
	}
	ck_assert(s->is_clogged);
	ck_assert_uint_lt(conn_unsent(s->conn), 256 * 1024);
}
END_TEST

/* While many logins fail everybody waits a little; a right password still gets in, and time heals. */
START_TEST(smtp_failures_in_all)
{
	for (int i = 0; i < 40; i++)
		penalty_add(&p.smtp->penalty, clock_mono_ms());
	PLAY("held", "S 220 ", "C EHLO x", "S 250 ", "C AUTH PLAIN " PLAIN, "S 235 2.7.0", ENVELOPE);
	host_hang_up();
	PLAY("held and wrong", "S 220 ", "C EHLO x", "S 250 ", "C AUTH LOGIN", "S 334", "C " USER, "S 334", "C " WRONG, "S 535 ",
	    "C AUTH SCRAM-SHA-256 " SCRAM, "S 334 ", "P secret", "S 334 dj", "C ", "S 235 ");
	ck_assert_uint_eq(penalty_get(&p.smtp->penalty, clock_mono_ms()), 41);
	ck_assert_uint_eq(penalty_get(&p.smtp->penalty, clock_mono_ms() + 11 * PENALTY_LEAK_MS), 30);
	ck_assert_uint_eq(penalty_get(&p.smtp->penalty, clock_mono_ms() + 10000 * PENALTY_LEAK_MS), 0);
	host_hang_up();
	unsigned looks = 0;
	while (penalty_may_look(&p.smtp->penalty, clock_mono_ms() + 5000))
		looks++;
	ck_assert_uint_eq(looks, PENALTY_LOOKS);
	p.smtp->penalty.looks = 0;
	ck_assert(penalty_may_look(&p.smtp->penalty, clock_mono_ms() + 5000));
	penalty_looked(&p.smtp->penalty, PENALTY_LOOK_MS);
	ck_assert(!penalty_may_look(&p.smtp->penalty, clock_mono_ms() + 5000));
	ck_assert(penalty_may_look(&p.smtp->penalty, clock_mono_ms() + 6001));
	/* Gone while it waits: nothing is looked at. */
	for (int i = 0; i < 40; i++)
		penalty_add(&p.smtp->penalty, clock_mono_ms() + 10000 * PENALTY_LEAK_MS);
	p.smtp->set.auth_delay_ms = 100000;
	PLAY("held and gone", "S 220 ", "C EHLO x", "S 250 ", "C AUTH PLAIN " PLAIN);
	host_hang_up();
	smtp_stop(&p.smtp);
}
END_TEST

START_TEST(smtp_stop_in_data)
{
	PLAY("stop", LOGIN, ENVELOPE, "C DATA", "S 354 ", "R From: alice@home\r\n\r\nhello\r\n");
	smtp_stop(&p.smtp);
	ck_assert_uint_eq(count_files(p.dir, false), 0);
}
END_TEST

START_TEST(smtp_too_many_errors)
{
	static const char *steps[2 * LIMIT_SMTP_ERRORS + 4];
	size_t n = 0;

	steps[n++] = "S 220 ";
	for (int i = 0; i < LIMIT_SMTP_ERRORS; i++) {
		steps[n++] = "C FOO";
		steps[n++] = "S 500 ";
	}
	steps[n++] = "S 421 4.7.0";
	steps[n++] = "E";
	play("errors", steps);
	ck_assert(p.is_over);
}
END_TEST

static const struct { const char *name, *before; size_t n; const char *after, *want; } line_cases[] = {
	{ "longest", "NOOP ", LIMIT_SMTP_LINE - 7, "\r\n", "S 250 " },
	{ "too long", "NOOP ", LIMIT_SMTP_LINE - 6, "\r\n", "S 500 5.5.2" },
	{ "a megabyte", "NOOP ", 1000000, "\r\n", "S 500 5.5.2" },
	{ "longest AUTH", "AUTH ", LIMIT_SMTP_AUTH_LINE - 7, "\r\n", "S 504 " },
	{ "AUTH too long", "AUTH ", LIMIT_SMTP_AUTH_LINE - 6, "\r\n", "S 500 5.5.2" },
};

START_TEST(smtp_long_line)
{
	const char *line = repeat(line_cases[_i].before, line_cases[_i].n, line_cases[_i].after);

	PLAY(line_cases[_i].name, "S 220 ", "C EHLO x", "S 250 ", line, line_cases[_i].want);
	PLAY("next", "C NOOP", "S 250 2.0.0");
}
END_TEST

START_TEST(smtp_long_line_and_another)
{
	PLAY("too long and another", "S 220 ", repeat("NOOP ", 5000, "\r\nNOOP y\r\n"), "S 500 5.5.2", "S 250 2.0.0");
}
END_TEST

START_TEST(smtp_too_big)
{
	char *steps[] = { repeat("From: alice@home\r\n\r\n", 900000, "\r\n"), repeat("", 900000, "\r\n"), repeat("", 250000, "\r\n.\r\n") };

	PLAY("big", LOGIN, ENVELOPE, "C DATA", "S 354 ", steps[0], steps[1], steps[2], "S 552 5.3.4", "C NOOP", "S 250 2.0.0");
	ck_assert_uint_eq(count_files(p.dir, false), 0);
	PLAY("just not", ENVELOPE, "C DATA", "S 354 ", steps[0], steps[1], "R .\r\n", "S 250 2.0.0");
	ck_assert_uint_gt(strlen(spooled()), 1800000);
}
END_TEST

START_TEST(smtp_nul_in_command)
{
	PLAY("nul", "S 220 ");
	buf_add(p.out, "NOOP\0\r\n", 7);
	PLAY("nul", "S 500 5.5.2", "C NOOP", "S 250 ");
}
END_TEST

/* A limit on file size stands for a full disk: write() fails in the same place. */
START_TEST(smtp_disk_full)
{
	struct rlimit was, small;
	char *body = repeat("From: alice@home\r\n\r\n", 900000, "\r\n.\r\n");

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = 200000;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	PLAY("full", LOGIN, ENVELOPE, "C DATA", "S 354 ", body, "S 452 4.3.1");
	ck_assert_uint_eq(count_files(p.dir, false), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
	PLAY("room again", ENVELOPE, "C DATA", "S 354 ", body, "S 250 2.0.0");
	ck_assert_uint_eq(p.n_submitted, 1);
}
END_TEST

START_TEST(smtp_outbox_full)
{
	char *body = repeat("From: alice@home\r\n\r\n", 900000, "\r\n.\r\n");

	p.has_quota = true;
	p.room = 1000;
	PLAY("announced", LOGIN, "C MAIL FROM:<alice@home> SIZE=1001", "S 452 4.3.1", "C MAIL FROM:<alice@home> SIZE=1000", "S 250 ", "C RSET", "S 250 ");
	PLAY("not announced", ENVELOPE, "C DATA", "S 354 ", body, "S 452 4.3.1 The outbox is full", MAIL, "S 250 2.0.0");
	ck_assert_uint_eq(p.n_submitted, 1);
	ck_assert_uint_eq(count_files(p.dir, false), 0);
	p.room = 0;
	PLAY("used up", "C MAIL FROM:<alice@home>", "S 452 4.3.1");
	p.has_quota = false;
	PLAY("room again", MAIL, "S 250 2.0.0");
}
END_TEST

static sem_t gate;

static void wait_at_gate(void *arg)
{
	(void)arg;
	sem_wait(&gate);
}

static void passed(void *arg)
{
	(void)arg;
}

/* The one file that is not temporary; waits until there is one. */
static void drop_kept(void)
{
	char *pattern = mem_printf(p.ctx, "%s/[0-9a-f][0-9a-f]/*", p.dir);
	glob_t found;

	while (glob(pattern, 0, NULL, &found) != 0)
		sched_yield();
	ck_assert_uint_eq(found.gl_pathc, 1);
	ck_assert_int_eq(unlink(found.gl_pathv[0]), 0);
	globfree(&found);
}

/* A large message, behind its dot, while the workers are kept at the gate; its text. */
static char *submit_to_kept_workers(void)
{
	static const struct pool_job blocker = { wait_at_gate, passed, passed };
	char *body = repeat("From: alice@home\r\n\r\n", 900000, "\r\n.\r\n");

	sem_init(&gate, 0, 0);
	for (int i = 0; i < 2; i++)
		pool_submit(p.pool, POOL_SOON, &blocker, NULL);
	PLAY("large", LOGIN, ENVELOPE, "C DATA", "S 354 ", body);
	while (LIST_EMPTY(&p.smtp->anchor->jobs))
		turn();
	return body;
}

/* The file is safe, and gone before its rows are made: as when another message with the same octets leaves. */
START_TEST(smtp_file_taken_along)
{
	char *body = submit_to_kept_workers();

	for (int i = 0; i < 2; i++)
		sem_post(&gate);
	drop_kept();		/* the loop stands still meanwhile */
	PLAY("its end", "S 452 4.3.1", ENVELOPE, "C DATA", "S 354 ", body, "S 250 2.0.0");
	ck_assert_uint_eq(log_take_warnings(), 1);
	ck_assert_uint_eq(p.n_submitted, 1);
	sem_destroy(&gate);
}
END_TEST

/* Gone while a worker makes the file durable: nobody has heard a 250, and nothing stays. */
START_TEST(smtp_gone_behind_the_dot)
{
	submit_to_kept_workers();
	ck_assert_uint_eq(count_files(p.dir, false), 1);
	host_hang_up();
	while (p.smtp->n_sessions > 0)
		turn();
	for (int i = 0; i < 2; i++)
		sem_post(&gate);
	wait_for_sessions(0);
	ck_assert_uint_eq(count_files(p.dir, false), 0);
	ck_assert_uint_eq(p.n_submitted, 0);
	sem_destroy(&gate);
}
END_TEST

START_TEST(smtp_no_spool)
{
	count_files(p.dir, true);
	rmdir(p.dir);
	PLAY("no spool", LOGIN, "C MAIL FROM:<alice@home>", "S 452 4.3.1");
}
END_TEST

/* Twice as many idle connections as there is room for: the user gets in, the oldest are gone with a word. */
START_TEST(smtp_idle_connections)
{
	static const char *const listen[] = { "127.0.0.1:0" };
	enum { N = 2 * LIMIT_SMTP_SESSIONS };
	int fds[N];
	char said[128];
	struct rlimit files = { 4 * N, 4 * N };

	setrlimit(RLIMIT_NOFILE, &files);
	host_teardown();
	host_start(listen, 1);
	p.scene = "sessions";
	for (int i = 0; i < N; i++) {
		fds[i] = host_dial();
		if (i % 64 == 63)	/* the kernel queues 128 */
			wait_until(0, (size_t)i + 1);
	}
	host_call_port();
	PLAY("the user", LOGIN);
	/* Another flood does not touch who is logged in. */
	for (int i = 0; i < N; i++) {
		close(fds[i]);
		fds[i] = host_dial();
		if (i % 64 == 63) {
			wait_until(0, N + 1 + (size_t)i + 1);
			PLAY("still there", "C NOOP", "S 250 ");
		}
	}
	PLAY("mail", MAIL, "S 250 2.0.0");
	ck_assert_uint_le(p.smtp->n_sessions, LIMIT_SMTP_SESSIONS);
	size_t n = 0;
	for (ssize_t got; n < sizeof(said) - 1 && (got = recv(fds[0], said + n, sizeof(said) - 1 - n, 0)) > 0;)
		n += (size_t)got;
	said[n] = '\0';
	ck_assert_msg(strstr(said, "220 ") == said && strstr(said, "\r\n421 4.7.0 "), "%s", said);
	for (int i = 0; i < N; i++)
		close(fds[i]);
}
END_TEST

UNIT_SUITE("smtp limits")
{
	tcase_add_checked_fixture(unit_case, host_setup, host_teardown);
	UNIT(smtp_gone_before_answer);
	UNIT(smtp_stop_before_answer);
	UNIT_LOOP(smtp_aborted, aborted);
	UNIT(smtp_drop_anywhere);
	UNIT_LOOP(smtp_slow, slow_cases);
	UNIT(smtp_deaf_client);
	UNIT(smtp_failures_in_all);
	UNIT(smtp_stop_in_data);
	UNIT(smtp_too_many_errors);
	UNIT_LOOP(smtp_long_line, line_cases);
	UNIT(smtp_long_line_and_another);
	UNIT(smtp_too_big);
	UNIT(smtp_nul_in_command);
	UNIT(smtp_disk_full);
	UNIT(smtp_outbox_full);
	UNIT(smtp_file_taken_along);
	UNIT(smtp_gone_behind_the_dot);
	UNIT(smtp_no_spool);
	UNIT(smtp_idle_connections);
}
UNIT_END
