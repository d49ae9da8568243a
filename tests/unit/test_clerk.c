/*
 * Clerks that die and clerks that hang, with real gpg: alice writes to
 * herself. An agent that was stopped takes connections and says nothing, so
 * gpg waits for it without an end.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/pgp/clerk.h"
#include "unit/unit.h"

enum { MAX = 1 << 20 };

static char top[] = "/tmp/clerk.XXXXXX";
static struct pgp *alice;
static char fpr[FPR_LEN];
static void *ctx;
static struct err e;
static const struct bytes text = { (const uint8_t *)"x", 1 };

/* Runs a shell line with $T (folder), $A (her home), wait_for CONDITION and her_gpg (its process IDs). */
static void shell(const char *line)
{
	static const char tools[] =
	    "wait_for() { for i in $(seq 200); do if eval \"$1\"; then return 0; fi; sleep 0.1; done; return 1; }; "
	    "her_gpg() { pgrep -x gpg | while read p; do grep -qs $A /proc/$p/cmdline && echo $p; done; }; ";

	ck_assert_msg(system(mem_printf(ctx, "%s%s", tools, line)) == 0, "failed: %s", line);
}

static void start(const char *program)
{
	ctx = mem_ctx(NULL);
	ck_assert(mkdtemp(top));
	setenv("T", top, 1);
	setenv("A", mem_printf(ctx, "%s/A", top), 1);
	if (strchr(program, '$'))
		program = mem_printf(ctx, "%s/%s", top, strchr(program, '/') + 1);
	ck_assert_int_eq(files_put_mode(mem_printf(ctx, "%s/dies", top), bytes_str("#!/bin/sh\necho >> $T/starts\n"), 0700, &e), OK);
	struct clerks *clerks = clerks_start(program, &e);

	ck_assert_msg(clerks, "%s", e.text);
	alice = pgp_new(getenv("A"), NULL, &e);
	ck_assert_msg(alice, "%s", e.text);
	pgp_take_clerks(alice, clerks);
	ck_assert_msg(pgp_make_key_work(alice, "alice@home", fpr, &e) == OK, "%s", e.text);
}

static void start_good(void)
{
	start("./p2pmta-clerk");
}

static void start_forks(void)
{
	start("/nonexistent");
}

static void start_dying(void)
{
	start("$T/dies");
}

static void stop(void)
{
	pgp_free(&alice);
	shell("rm -rf $T");
	memcpy(top, "/tmp/clerk.XXXXXX", sizeof(top));
	talloc_free(ctx);
}

static enum outcome encrypt(struct bytes *out)
{
	const char *to[] = { fpr };

	return pgp_sign_encrypt_work(alice, ctx, "x/1", to, 1, text, out, &e);
}

struct memory { size_t pos; struct buf *out; };

static ssize_t memory_read(void *arg, void *buf, size_t len)
{
	struct memory *m = arg;
	size_t n = text.len - m->pos < len ? text.len - m->pos : len;

	memcpy(buf, text.data + m->pos, n);
	m->pos += n;
	return (ssize_t)n;
}

static int memory_write(void *arg, const void *buf, size_t len)
{
	struct memory *m = arg;

	return buf_add(m->out, buf, len) ? 0 : -1;
}

static const char key[SEAL_KEY_TEXT] = "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
static struct bytes sealed;		/* the last one */

static enum outcome seal(void)
{
	struct memory m = { .out = buf_new(ctx, MAX) };
	enum outcome res = pgp_seal_work(alice, "m/1", key, false, &(struct pgp_source){ memory_read, &m },
	    &(struct pgp_sink){ memory_write, &m }, &e);

	ck_assert(res == OK || m.out->len == 0);
	if (res == OK)
		sealed = buf_bytes(m.out);
	return res;
}

/* What was sealed, from a file or from a pipe that stays open for late_ms after all went in. */
static enum outcome unseal(bool file, unsigned late_ms)
{
	struct memory m = { .out = buf_new(ctx, MAX) };
	struct pgp_sink sink = { memory_write, &m };
	struct pgp_verdict v;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(files_write(fds[1], sealed.data, sealed.len), 0);
	pid_t pid = fork();

	if (pid == 0) {
		usleep(late_ms * 1000);
		_exit(0);
	}
	close(fds[1]);
	if (file) {
		ck_assert_int_eq(files_put(mem_printf(ctx, "%s/sealed", top), sealed, &e), OK);
		close(fds[0]);
		fds[0] = open(mem_printf(ctx, "%s/sealed", top), O_RDONLY | O_CLOEXEC);
	}
	enum outcome res = pgp_unseal_fd_work(alice, "m/1", key, MAX, fds[0], &sink, &v, &e);

	close(fds[0]);
	waitpid(pid, NULL, 0);
	ck_assert(res != OK || bytes_equal(buf_bytes(m.out), text));
	return res;
}

static void all_is_well(void)
{
	struct pgp_verdict v;
	struct bytes made, out;

	ck_assert_msg(encrypt(&made) == OK, "%s", e.text);
	ck_assert_msg(pgp_open_work(alice, ctx, "x/1", made, MAX, &out, &v, &e) == OK, "%s", e.text);
	ck_assert(v.signer == PGP_GOOD && bytes_equal(out, text));
	ck_assert_msg(pgp_sign_work(alice, ctx, "x/1", text, &made, &e) == OK, "%s", e.text);
	ck_assert_msg(pgp_verify_work(alice, ctx, "x/1", made, MAX, &out, &v, &e) == OK, "%s", e.text);
	ck_assert_msg(seal() == OK, "%s", e.text);
}

static void stop_agent(void)
{
	all_is_well();		/* it runs */
	shell("P=$(gpg-connect-agent --homedir $A 'getinfo pid' /bye | sed -n 's/^D //p') && kill -STOP $P && echo $P > $T/agent");
}

static void continue_agent(void)
{
	shell("kill -CONT $(cat $T/agent)");
}

/* All die, by somebody else's hand: others take their places, as many as are needed. */
START_TEST(dead_clerks)
{
	shell(mem_printf(ctx, "kill -9 $(pgrep -P %d -x p2pmta-clerk)", (int)getppid()));
	for (int i = 0; i < 10; i++)
		all_is_well();
	/* One of each kind is enough for one thread. */
	shell(mem_printf(ctx, "test $(pgrep -P %d -x p2pmta-clerk | wc -l) = 2", (int)getpid()));
}
END_TEST

/* Those that were forked have no program to start; this process does it all. */
START_TEST(dead_forks)
{
	shell(mem_printf(ctx, "kill -9 $(pgrep -P %d -x p2pmta-clerk)", (int)getppid()));
	for (int i = 0; i < 10; i++)
		all_is_well();
	shell(mem_printf(ctx, "! pgrep -P %d -x p2pmta-clerk", (int)getpid()));
}
END_TEST

/* The order is for later; nothing of its gpg stays. */
START_TEST(silent_gpg)
{
	struct bytes out;

	stop_agent();
	clerk_set_patience(alice, 300);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(encrypt(&out), RETRY);
		ck_assert_str_eq(e.text, "gpg did not answer in time");
		ck_assert_int_eq(pgp_sign_work(alice, ctx, "x/1", text, &out, &e), RETRY);
		ck_assert_int_eq(seal(), RETRY);
	}
	shell("wait_for '[ -z \"$(her_gpg)\" ]'");
	continue_agent();
	clerk_set_patience(alice, 60000);
	for (int i = 0; i < 5; i++)
		all_is_well();
}
END_TEST

/* As long as it lasts nobody waits for it again and again, and when it is over all is as before. */
START_TEST(silent_gpg_for_long)
{
	int64_t start_ms;
	struct bytes out;
	int tries = 0;

	stop_agent();
	clerk_set_patience(alice, 100);
	do {
		start_ms = clock_mono_ms();
		ck_assert_int_eq(encrypt(&out), RETRY);
		ck_assert_int_lt(++tries, 100);
	} while (clock_mono_ms() - start_ms >= 100);
	continue_agent();
	clerk_set_patience(alice, 60000);
	while (encrypt(&out) != OK)
		usleep(50000);
}
END_TEST

/* The gpg of a large one is no clerk's. It waits for what arrives slowly as long as need be, but not for ever for itself. */
START_TEST(silent_gpg_at_a_pipe)
{
	stop_agent();
	clerk_set_patience(alice, 300);
	ck_assert_int_eq(unseal(true, 0), RETRY);
	ck_assert_str_eq(e.text, "gpg did not answer in time");
	ck_assert_int_eq(unseal(false, 0), RETRY);
	ck_assert_str_eq(e.text, "gpg did not answer in time");
	ck_assert_int_eq(unseal(false, 2000), RETRY);
	ck_assert_str_eq(e.text, "gpg did not answer in time");
	shell("wait_for '[ -z \"$(her_gpg)\" ]'");
	continue_agent();
	ck_assert_msg(unseal(false, 2000) == OK, "%s", e.text);
	clerk_set_patience(alice, 60000);
	ck_assert_msg(unseal(true, 0) == OK, "%s", e.text);
}
END_TEST

/* The daemon is gone, too: a clerk has a clock of its own, which this test puts forward. */
START_TEST(silent_gpg_without_daemon)
{
	struct bytes out;

	stop_agent();
	pid_t pid = fork();

	if (pid == 0) {
		encrypt(&out);
		_exit(1);
	}
	shell("wait_for '[ -n \"$(her_gpg)\" ]'");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	shell("kill -ALRM $(ps -o pgid= $(her_gpg)) && wait_for '[ -z \"$(her_gpg)\" ]'");
	continue_agent();
	for (int i = 0; i < 5; i++)
		all_is_well();
}
END_TEST

/* A program that does not live is not started for every order. */
START_TEST(clerks_that_die_at_once)
{
	for (int i = 0; i < 30; i++)
		all_is_well();
	shell("test $(wc -l < $T/starts) -lt 60");
}
END_TEST

static TCase *add_case(Suite *suite, const char *name, void (*before)(void))
{
	TCase *c = tcase_create(name);

	tcase_add_checked_fixture(c, unit_quiet, unit_no_warnings);
	tcase_set_timeout(c, 60);
	suite_add_tcase(suite, c);
	tcase_add_unchecked_fixture(c, before, stop);
	return c;
}

UNIT_SUITE("clerk")
{
	unit_case = add_case(unit_suite, "clerks", start_good);
	UNIT(dead_clerks);
	UNIT(silent_gpg);
	UNIT(silent_gpg_for_long);
	UNIT(silent_gpg_at_a_pipe);
	UNIT(silent_gpg_without_daemon);
	unit_case = add_case(unit_suite, "forks", start_forks);
	UNIT(dead_forks);
	unit_case = add_case(unit_suite, "dying", start_dying);
	UNIT(clerks_that_die_at_once);
}
UNIT_END
