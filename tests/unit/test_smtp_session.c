/*
 * The SMTP dialogue on the real loop, pool and disk, over a socket pair; the
 * hooks are ours. A scene is a list of lines: "C text" is sent with CRLF,
 * "R octets" as it stands, "S prefix" waits for an answer's last line, "E"
 * for the end of the connection. Longer ones, and those that say what is
 * hostile about them, are in tests/scenes/smtp-*.scene (see its README).
 */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "way/smtp/session.h"

/* "\0alice\0secret", "alice", "secret", "alice@home", "wrong" */
#define PLAIN "AGFsaWNlAHNlY3JldA=="
#define USER "YWxpY2U="
#define PASSWORD "c2VjcmV0"
#define ADDRESS "YWxpY2VAaG9tZQ=="
#define WRONG "d3Jvbmc="

#define LOGIN "S 220 home ESMTP", "C EHLO x", "S 250 ", "C AUTH PLAIN " PLAIN, "S 235 2.7.0"
#define ENVELOPE "C MAIL FROM:<alice@home>", "S 250 2.1.0", "C RCPT TO:<bob@home>", "S 250 2.1.5"

#include "unit/smtp_scenes.h"

enum answer { ANSWER_NOW, ANSWER_LATER, ANSWER_NEVER };

static struct peer {
	void *ctx;
	struct loop *loop;
	struct pool *pool;
	struct smtp *smtp;
	char dir[32];

	/* The hooks. */
	enum answer answer;
	enum outcome outcome;
	struct timer *later;
	uint64_t ticket;
	unsigned n_submitted;
	uint8_t digest[DIGEST_LEN];
	uint64_t size;
	char *sender, *message_id, *subject, *recipients, *envid;
	enum smtp_ret ret;

	/* The client. */
	int fd;
	struct watch *watch;
	const char *const *step;
	const char *scene;
	struct buf *out;
	size_t sent;
	char in[16384];
	size_t n_in;
	bool is_over;
} p;

/* For smtp_start(), 0: the usual. */
static struct { int64_t idle_ms, login_ms, line_ms, data_ms; } p_patience;

/* ---- hooks ---- */

static bool login(void *arg, const char *user, const char *password)
{
	(void)arg;
	return (strcmp(user, "alice") == 0 || strcmp(user, "alice@home") == 0) && strcmp(password, "secret") == 0;
}

static bool secret(void *arg, const char *user, struct scram_secret *k)
{
	(void)arg;
	k->rounds = 1000;
	k->salt_len = 4;
	memcpy(k->salt, "salt", 4);
	scram_secret_make(k, "secret");
	return strcmp(user, "alice") == 0;
}

static void answer(void *arg)
{
	(void)arg;
	smtp_submit_done(p.smtp, p.ticket, p.outcome, "because");
}

static void submit(void *arg, const struct smtp_submission *m, uint64_t ticket)
{
	(void)arg;
	p.n_submitted++;
	p.ticket = ticket;
	p.size = m->size;
	memcpy(p.digest, m->digest, DIGEST_LEN);
	p.sender = mem_strdup(p.ctx, m->sender);
	p.message_id = mem_strdup(p.ctx, m->message_id);
	p.subject = mem_strdup(p.ctx, m->subject);
	p.recipients = mem_strdup(p.ctx, "");
	for (size_t i = 0; i < m->n_recipients; i++)
		p.recipients = mem_printf(p.ctx, "%s %s/%u%s%s", p.recipients, m->recipients[i], m->notify[i],
		    m->orcpt[i] ? "/" : "", m->orcpt[i] ? m->orcpt[i] : "");
	p.ret = m->ret;
	p.envid = m->envid ? mem_strdup(p.ctx, m->envid) : NULL;
	if (p.answer == ANSWER_NOW)
		answer(NULL);
	else if (p.answer == ANSWER_LATER)
		timer_set(p.later, 5);
	else
		loop_stop(p.loop);
}

/* ---- the client ---- */

/* What the socket takes now; the rest when it is writable. */
static void send_more(void)
{
	if (p.out->len == 0)
		return;
	ssize_t n = send(p.fd, p.out->data + p.sent, p.out->len - p.sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	ck_assert_msg(n >= 0 || errno == EAGAIN, "%s: send: %s", p.scene, strerror(errno));
	p.sent += n > 0 ? (size_t)n : 0;
	if (p.sent == p.out->len) {
		buf_clear(p.out);
		p.sent = 0;
	}
	watch_set(p.watch, p.out->len > 0 ? WATCH_READ | WATCH_WRITE : WATCH_READ);
}

static void next_step(void)
{
	for (; *p.step && strchr("CRUX", **p.step); p.step++) {
		if (**p.step == 'U' || **p.step == 'X')
			scene_send(p.out, *p.step);
		else
			buf_adds(p.out, *p.step + 2);
		if (**p.step == 'C')
			buf_adds(p.out, "\r\n");
	}
	send_more();
	if (!*p.step && p.out->len == 0)
		loop_stop(p.loop);
}

static void take_reply(const char *line)
{
	ck_assert_msg(*p.step && **p.step == 'S', "%s: '%s' where '%s' was due", p.scene, line, *p.step);
	ck_assert_msg(strncmp(line, *p.step + 2, strlen(*p.step + 2)) == 0, "%s: '%s' is not '%s'", p.scene, line,
	    *p.step + 2);
	p.step++;
	next_step();
}

static void on_readable(void *arg, int fd, unsigned events)
{
	char *lf;

	if (events & WATCH_WRITE)
		next_step();
	if (!(events & WATCH_READ))
		return;
	ssize_t n = recv(fd, p.in + p.n_in, sizeof(p.in) - p.n_in - 1, 0);

	(void)arg;
	if (n <= 0) {
		ck_assert_msg(*p.step && **p.step == 'E', "%s: closed where '%s' was due", p.scene, *p.step);
		watch_set(p.watch, 0);
		p.is_over = true;
		loop_stop(p.loop);
		return;
	}
	p.n_in += (size_t)n;
	p.in[p.n_in] = '\0';
	while ((lf = strchr(p.in, '\n'))) {
		ck_assert_msg(lf - p.in >= 5 && lf[-1] == '\r', "%s: '%s'", p.scene, p.in);
		bool is_last = p.in[3] == ' ';
		lf[-1] = '\0';
		if (is_last)
			take_reply(p.in);
		p.n_in -= (size_t)(lf + 1 - p.in);
		memmove(p.in, lf + 1, p.n_in + 1);
	}
}

/* ---- set up ---- */

static void start(const char *const *listen, size_t n_listen)
{
	struct err e;
	const struct smtp_hooks hooks = { .login = login, .secret = secret, .submit = submit };

	memset(&p, 0, sizeof(p));
	p.ctx = mem_ctx(NULL);
	p.fd = -1;
	p.out = buf_new(p.ctx, MIB(16));
	strcpy(p.dir, "/tmp/p2pmta-smtp.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(p.dir));
	p.loop = loop_new(&e);
	p.pool = pool_new(p.loop, 2, &e);
	const struct smtp_settings set = {
		.listen = listen, .n_listen = n_listen, .max_size = 2000000, .max_recipients = 3, .address = "alice@home",
		.spool = p.dir, .auth_delay_ms = 1, .idle_ms = p_patience.idle_ms, .login_ms = p_patience.login_ms,
		.line_ms = p_patience.line_ms, .data_ms = p_patience.data_ms,
	};
	p.smtp = smtp_start(p.loop, p.pool, &set, &hooks, &e);
	ck_assert_msg(p.smtp != NULL, "%s", e.text);
	p.later = timer_new(p.loop, answer, NULL);
}

static void setup(void)
{
	start(NULL, 0);
}

static void hang_up(void)
{
	if (p.fd < 0)
		return;
	watch_free(&p.watch);
	close(p.fd);
	p.fd = -1;
	p.n_in = 0;
}

static unsigned count_files(const char *path, bool drop)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));) {
		char sub[512];
		if (e->d_name[0] == '.')
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		if (e->d_type == DT_DIR)
			n += count_files(sub, drop);
		else
			n++;
		if (drop)
			remove(sub);
	}
	closedir(d);
	return n;
}

static void teardown(void)
{
	hang_up();
	smtp_stop(&p.smtp);
	timer_free(&p.later);
	pool_free(&p.pool);
	loop_free(&p.loop);
	count_files(p.dir, true);
	rmdir(p.dir);
	talloc_free(p.ctx);
}

static void call(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p.fd = pair[0];
	p.watch = watch_new(p.loop, p.fd, on_readable, NULL);
	watch_set(p.watch, WATCH_READ);
	smtp_session_new(p.smtp, pair[1]);
}

static void play(const char *name, const char *const *steps)
{
	p.scene = name;
	p.step = steps;
	if (p.fd < 0)
		call();
	next_step();
	loop_run(p.loop);
}

#define PLAY(name, ...) play(name, (const char *const[]){ __VA_ARGS__, NULL })
#define MAIL ENVELOPE, "C DATA", "S 354 ", "R From: alice@home\r\nSubject: x\r\n\r\nhello\r\n.\r\n"

/* ---- scenes ---- */

#define STEPS 40
static const struct { const char *name, *steps[STEPS]; } scenes[] = {
	{ "hello and bye", { "S 220 home ESMTP", "C HELO x", "S 250 home", "C QUIT", "S 221 2.0.0", "E" } },
	{ "ESMTP", { "S 220 ", "C ehlo [127.0.0.1]", "S 250 HELP", "C quit", "S 221 2.0.0", "E" } },
	{ "nothing before EHLO", { "S 220 ", "C MAIL FROM:<alice@home>", "S 530 5.7.0", "C AUTH PLAIN " PLAIN, "S 503 5.5.1",
		"C STARTTLS", "S 503 5.5.1", "C RSET", "S 250 2.0.0", "C NOOP", "S 250 2.0.0", "C HELP", "S 214 2.0.0",
		"C VRFY x", "S 252 2.5.2" } },
	{ "a login is needed", { "S 220 ", "C EHLO x", "S 250 ", "C MAIL FROM:<alice@home>", "S 530 5.7.0",
		"C RCPT TO:<bob@home>", "S 530 5.7.0", "C DATA", "S 530 5.7.0" } },
	{ "no AUTH after HELO", { "S 220 ", "C HELO x", "S 250 ", "C AUTH PLAIN " PLAIN, "S 503 5.5.1" } },
	{ "arguments", { "S 220 ", "C EHLO", "S 501 5.5.4", "C HELO", "S 501 5.5.4", "C NOOP x", "S 250", "C RSET x", "S 501 5.5.4",
		"C QUIT x", "S 501 5.5.4", "C VRFY", "S 501 5.5.4", "C AUTH", "S 503" } },
	{ "no commands", { "S 220 ", "C FOO", "S 500 5.5.1", "C ", "S 500 5.5.1", "C EXPN x", "S 502 5.5.1", "C EHLOX y", "S 500 5.5.1", "C  EHLO y", "S 500" } },
	{ "no STARTTLS", { "S 220 ", "C EHLO x", "S 250 ", "C STARTTLS", "S 502 5.5.1" } },
	{ "AUTH PLAIN", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH PLAIN", "S 334 ", "C " PLAIN, "S 235 2.7.0",
		"C AUTH PLAIN " PLAIN, "S 503 5.5.1", "C EHLO x", "S 250 ", ENVELOPE } },
	{ "AUTH LOGIN", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C " USER,
		"S 334 UGFzc3dvcmQ6", "C " PASSWORD, "S 235 2.7.0" } },
	{ "AUTH LOGIN with the address at once", { "S 220 ", "C EHLO x", "S 250 ", "C auth login " ADDRESS,
		"S 334 UGFzc3dvcmQ6", "C " PASSWORD, "S 235 2.7.0" } },
	{ "AUTH given up", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH LOGIN", "S 334 ", "C *", "S 501 5.7.0", "C AUTH LOGIN " USER,
		"S 334 ", "C *", "S 501 5.7.0", "C AUTH PLAIN", "S 334 ", "C *", "S 501 5.7.0", "C NOOP", "S 250 " } },
	{ "AUTH nonsense", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH CRAM-MD5", "S 504 5.5.4", "C AUTH PLAIN !", "S 501 5.5.2",
		"C AUTH PLAIN =", "S 501 5.5.2", "C AUTH PLAIN AAAA", "S 501 5.5.2", "C AUTH PLAIN YQ==", "S 501 5.5.2",
		"C AUTH LOGIN AA==", "S 501 5.5.2", "C AUTH PLAIN AGEAYgBj", "S 501 5.5.2", "C AUTH PLAIN  " PLAIN, "S 501 5.5.2",
		"C AUTH PLAIN " PLAIN, "S 235 " } },
	{ "wrong once", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH LOGIN " USER, "S 334 ", "C " WRONG, "S 535 5.7.8",
		"C MAIL FROM:<alice@home>", "S 530 5.7.0", "C AUTH PLAIN " PLAIN, "S 235 " } },
	{ "wrong five times", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH LOGIN " USER, "S 334 ", "C " WRONG, "S 535 ",
		"C AUTH LOGIN " USER, "S 334 ", "C " WRONG, "S 535 ", "C AUTH LOGIN " USER, "S 334 ", "C " WRONG, "S 535 ",
		"C AUTH LOGIN " USER, "S 334 ", "C " WRONG, "S 535 ", "C AUTH LOGIN " USER, "S 334 ", "C " WRONG,
		"S 421 4.7.0", "E" } },
	/* "bob\0alice\0secret" and "alice\0alice\0secret" */
	{ "acting for another", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH PLAIN Ym9iAGFsaWNlAHNlY3JldA==", "S 535 ",
		"C AUTH PLAIN YWxpY2UAYWxpY2UAc2VjcmV0", "S 235 " } },
	{ "senders", { LOGIN, "C MAIL FROM:<bob@home>", "S 550 5.7.1", "C MAIL FROM:<>", "S 550 5.7.1", "C MAIL FROM:<alice>",
		"S 501 5.1.7", "C MAIL FROM:<alice@home", "S 501 5.5.4", "C MAIL FROM:alice@home", "S 501 5.5.4",
		"C MAIL TO:<alice@home>", "S 501 5.5.4", "C MAIL FROM:<alice@home>x", "S 501 5.5.4", "C MAIL", "S 501 5.5.4" } },
	{ "own senders", { LOGIN, "C MAIL FROM:<alice@home>", "S 250 ", "C RSET", "S 250 ", "C mail from: <Alice@HOME>", "S 250 ",
		"C RSET", "S 250 ", "C MAIL FROM:<alice+tag@home>", "S 250 ", "C RSET", "S 250 ",
		"C MAIL FROM:<@a,@b:alice@home>", "S 250 " } },
	{ "parameters", { LOGIN, "C MAIL FROM:<alice@home> SIZE=2000000 BODY=8BITMIME AUTH=<> SMTPUTF8", "S 250 ", "C RSET", "S 250 ",
		"C MAIL FROM:<alice@home> size=0 body=7bit", "S 250 ", "C RSET", "S 250 " } },
	{ "bad parameters", { LOGIN, "C MAIL FROM:<alice@home> SIZE=x", "S 501 5.5.4", "C MAIL FROM:<alice@home> SIZE=", "S 501 5.5.4",
		"C MAIL FROM:<alice@home> SIZE=-1", "S 501 5.5.4", "C MAIL FROM:<alice@home> SIZE", "S 501 5.5.4",
		"C MAIL FROM:<alice@home> BODY=BINARYMIME", "S 504 5.5.4", "C MAIL FROM:<alice@home> BY=1;R", "S 555 5.5.4",
		"C MAIL FROM:<alice@home> =", "S 555 5.5.4", "C MAIL FROM:<alice@home> SMTPUTF8=1", "S 501 5.5.4" } },
	{ "announced too big", { LOGIN, "C MAIL FROM:<alice@home> SIZE=2000001", "S 552 5.3.4",
		"C MAIL FROM:<alice@home> SIZE=99999999999999999999", "S 552 5.3.4", ENVELOPE } },
	{ "UTF-8 only when said", { LOGIN, "C MAIL FROM:<alice+\xc3\xbc@home>", "S 553 5.6.7",
		"C MAIL FROM:<alice+\xc3\xbc@home> SMTPUTF8", "S 250 ", "C RCPT TO:<j\xc3\xbcrgen@home>", "S 250 ", "C RSET", "S 250 ",
		"C MAIL FROM:<alice@home>", "S 250 ", "C RCPT TO:<j\xc3\xbcrgen@home>", "S 553 5.6.7" } },
	{ "recipients", { LOGIN, "C RCPT TO:<bob@home>", "S 503 5.5.1", "C MAIL FROM:<alice@home>", "S 250 ", "C RCPT TO:<bob>",
		"S 550 5.1.3", "C RCPT TO:<>", "S 550 5.1.3", "C RCPT TO:<\"b\"@home>", "S 550 5.1.3", "C RCPT TO:bob@home",
		"S 501 5.5.4", "C RCPT TO:<bob@home> RET=FULL", "S 555 5.5.4", "C DATA", "S 503 5.5.1",
		"C RCPT TO:<Postmaster>", "S 250 " } },
	{ "too many recipients", { LOGIN, ENVELOPE, "C RCPT TO:<a@home>", "S 250 ", "C RCPT TO:<b@home>", "S 250 ",
		"C RCPT TO:<c@home>", "S 452 4.5.3", "C RCPT TO:<A@home>", "S 250 ", "C DATA", "S 354 ",
		"R From: alice@home\r\n\r\n.\r\n", "S 250 " } },
	{ "MAIL twice", { LOGIN, "C MAIL FROM:<alice@home>", "S 250 ", "C MAIL FROM:<alice@home>", "S 503 5.5.1" } },
	{ "RSET forgets", { LOGIN, ENVELOPE, "C RSET", "S 250 ", "C DATA", "S 503 5.5.1", "C RCPT TO:<a@b>", "S 503 5.5.1" } },
	{ "EHLO forgets", { LOGIN, ENVELOPE, "C EHLO x", "S 250 ", "C DATA", "S 503 5.5.1", ENVELOPE } },
	{ "DATA with an argument", { LOGIN, ENVELOPE, "C DATA x", "S 501 5.5.4" } },
	{ "three mails", { LOGIN, MAIL, "S 250 2.0.0 Ok: queued as ", MAIL, "S 250 2.0.0", MAIL, "S 250 2.0.0", "C DATA", "S 503" } },
	{ "spoilt mail, then a good one", { LOGIN, ENVELOPE, "C DATA", "S 354 ", "R From: alice@home\n\r\n.\r\n", "S 550 5.6.0",
		"C DATA", "S 503", MAIL, "S 250 " } },
	{ "not from oneself", { LOGIN, ENVELOPE, "C DATA", "S 354 ", "R From: bob@home\r\n\r\n.\r\n", "S 550 5.7.1" } },
	{ "a record", { LOGIN, ENVELOPE, "C DATA", "S 354 ", "R P2pMTA: ns/1\r\n\r\n.\r\n", "S 550 5.6.0" } },
	{ "smuggled", { LOGIN, ENVELOPE, "C DATA", "S 354 ",
		"R From: alice@home\r\n\r\nx\n.\nMAIL FROM:<alice@home>\r\nRCPT TO:<eve@home>\r\nDATA\r\n.\r\n", "S 550 5.6.0",
		"C NOOP", "S 250 2.0.0" } },
	{ "bare LF in commands", { "S 220 ", "R NOOP\n", "S 500 5.5.2", "R NOOP\rNOOP\r\n", "S 500 5.5.2", "R \n", "S 500 5.5.2",
		"R NOOP\r\r\n", "S 500 5.5.2", "R NOOP\t\r\n", "S 500 5.5.2", "C NOOP", "S 250 " } },
	{ "bare LF in AUTH", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH PLAIN", "S 334 ", "R " PLAIN "\n", "S 500 5.5.2",
		"C MAIL FROM:<alice@home>", "S 530 " } },
	{ "pipelined", { "S 220 ", "R EHLO x\r\nAUTH PLAIN " PLAIN "\r\nMAIL FROM:<alice@home>\r\nRCPT TO:<bob>\r\nRCPT TO:<bob@home>\r\n"
		"DATA\r\nFrom: alice@home\r\n\r\nhello\r\n.\r\nMAIL FROM:<alice@home>\r\nRCPT TO:<bob@home>\r\nDATA\r\n"
		"From: alice@home\r\n\r\nagain\r\n.\r\nQUIT\r\n", "S 250 ", "S 235 ", "S 250 2.1.0", "S 550 5.1.3", "S 250 2.1.5",
		"S 354 ", "S 250 2.0.0 Ok: q", "S 250 2.1.0", "S 250 2.1.5", "S 354 ", "S 250 2.0.0 Ok: q", "S 221 ", "E" } },
};

START_TEST(smtp_scene)
{
	play(scenes[_i].name, scenes[_i].steps);
	ck_assert_msg(!*p.step || (p.is_over && p.step[1] == NULL), "%s: stopped at '%s'", scenes[_i].name, *p.step);
}
END_TEST

/* The same with an answer that comes later, and input that waits. */
START_TEST(smtp_scene_later)
{
	p.answer = ANSWER_LATER;
	play(scenes[_i].name, scenes[_i].steps);
	ck_assert_msg(!*p.step || (p.is_over && p.step[1] == NULL), "%s: stopped at '%s'", scenes[_i].name, *p.step);
}
END_TEST

/* Of tests/scenes. */
START_TEST(smtp_scene_file)
{
	play(scene_files[_i].name, scene_files[_i].steps);
	ck_assert_msg(!*p.step || (p.is_over && p.step[1] == NULL), "%s: stopped at '%s'", p.scene, *p.step);
}
END_TEST

static char *spooled(void)
{
	struct bytes b;
	struct err e;
	char *path = files_fanout(p.ctx, p.dir, p.digest);

	ck_assert_msg(files_get(p.ctx, path, 4000000, &b, &e) == OK, "%s", e.text);
	uint8_t digest[DIGEST_LEN];
	digest_of(b, digest);
	ck_assert_mem_eq(digest, p.digest, DIGEST_LEN);
	ck_assert_uint_eq(b.len, p.size);
	return mem_strndup(p.ctx, (const char *)b.data, b.len);
}

START_TEST(smtp_submission)
{
	PLAY("submission", LOGIN, "C MAIL FROM:<Alice+Tag@home>", "S 250", "C RCPT TO:<Bob@home>", "S 250", "C RCPT TO:<carol@x.y>", "S 250",
	    "C RCPT TO:<bob@home>", "S 250", "C DATA", "S 354",
	    "R From: alice@home\r\nBcc: eve@home\r\nMessage-ID: <1@x>\r\nSubject: a\r\n b\r\n\r\n..\r\nhello\r\n.\r\n", "S 250 2.0.0");
	ck_assert_uint_eq(p.n_submitted, 1);
	ck_assert_str_eq(p.sender, "alice+tag@home");
	ck_assert_str_eq(p.recipients, " bob@home/6 carol@x.y/6");
	ck_assert_int_eq(p.ret, SMTP_RET_NONE);
	ck_assert_ptr_null(p.envid);
	ck_assert_str_eq(p.message_id, "<1@x>");
	ck_assert_str_eq(p.subject, "a b");
	char *m = spooled();
	ck_assert_msg(strncmp(m, "Date: ", 6) == 0, "%s", m);
	ck_assert_str_eq(strstr(m, "\r\n") + 2, "From: alice@home\r\nMessage-ID: <1@x>\r\nSubject: a\r\n b\r\n\r\n.\r\nhello\r\n");
	ck_assert_uint_eq(count_files(p.dir, false), 1);
}
END_TEST

START_TEST(smtp_message_id)
{
	PLAY("message-id", LOGIN, MAIL, "S 250 2.0.0");
	size_t len = strlen(p.message_id);
	ck_assert_msg(p.message_id[0] == '<' && strcmp(p.message_id + len - 6, "@home>") == 0, "%s", p.message_id);
	ck_assert_ptr_nonnull(strstr(spooled(), mem_printf(p.ctx, "\r\nMessage-ID: %s\r\n", p.message_id)));
}
END_TEST

static const struct { enum outcome outcome; const char *want; } outcome_cases[] = {
	{ RETRY, "S 452 4.3.1 because" }, { REJECT, "S 554 5.6.0 because" }, { OK, "S 250 2.0.0 Ok: queued as" },
};

START_TEST(smtp_outcome)
{
	p.outcome = outcome_cases[_i].outcome;
	p.answer = ANSWER_LATER;
	PLAY("outcome", LOGIN, MAIL, outcome_cases[_i].want, MAIL, outcome_cases[_i].want, "C QUIT", "S 221", "E");
	ck_assert_uint_eq(p.n_submitted, 2);
}
END_TEST

/* No session, no answer: nothing breaks. */
START_TEST(smtp_gone_before_answer)
{
	p.answer = ANSWER_NEVER;
	PLAY("gone", LOGIN, MAIL, "S 250");
	uint64_t ticket = p.ticket;
	hang_up();
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

static struct {
	struct timer *timer;
	size_t n, n_ever;
} sessions;

static void look_again(void *arg)
{
	(void)arg;
	if (sessions.n_ever > 0 ? p.smtp->next_id > sessions.n_ever : p.smtp->n_sessions == sessions.n)
		loop_stop(p.loop);
	else
		timer_set(sessions.timer, 1);
}

static void wait_until(size_t n, size_t n_ever)
{
	sessions.n = n;
	sessions.n_ever = n_ever;
	sessions.timer = timer_new(p.loop, look_again, NULL);
	timer_set(sessions.timer, 0);
	loop_run(p.loop);
	timer_free(&sessions.timer);
}

static void wait_for_sessions(size_t n)
{
	wait_until(n, 0);
}

static const char *const aborted[] = {
	"R From: alice@home\r\n\r\nhello\r\n", "R From: alice@home\r\n\r\nhello\r\n.", "R From: alice@home\r\n\r\nhello\r\n.\r", "R ",
	"R From: bob@home\r\n\r\nhello\r\n",
};

START_TEST(smtp_aborted)
{
	PLAY("aborted", LOGIN, ENVELOPE, "C DATA", "S 354 ", aborted[_i]);
	hang_up();
	wait_for_sessions(0);
	ck_assert_uint_eq(count_files(p.dir, false), 0);
	ck_assert_uint_eq(p.n_submitted, 0);
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

static char *repeat(const char *before, size_t n, const char *after)
{
	char *x = mem_array(p.ctx, char, n + 1);

	memset(x, 'x', n);
	x[n] = '\0';
	return mem_printf(p.ctx, "R %s%s%s", before, x, after);
}

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

START_TEST(smtp_no_spool)
{
	count_files(p.dir, true);
	rmdir(p.dir);
	PLAY("no spool", LOGIN, "C MAIL FROM:<alice@home>", "S 452 4.3.1");
}
END_TEST

static int dial(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void call_port(void)
{
	p.fd = dial(smtp_port(p.smtp));
	p.watch = watch_new(p.loop, p.fd, on_readable, NULL);
	watch_set(p.watch, WATCH_READ);
}

/* Twice as many idle connections as there is room for: the user gets in, the oldest are gone with a word. */
START_TEST(smtp_idle_connections)
{
	static const char *const listen[] = { "127.0.0.1:0" };
	enum { N = 2 * LIMIT_SMTP_SESSIONS };
	int fds[N];
	char said[128];
	struct rlimit files = { 4 * N, 4 * N };

	setrlimit(RLIMIT_NOFILE, &files);
	teardown();
	start(listen, 1);
	p.scene = "sessions";
	for (int i = 0; i < N; i++) {
		fds[i] = dial(smtp_port(p.smtp));
		if (i % 64 == 63)	/* the kernel queues 128 */
			wait_until(0, (size_t)i + 1);
	}
	call_port();
	PLAY("the user", LOGIN);
	/* Another flood does not touch who is logged in. */
	for (int i = 0; i < N; i++) {
		close(fds[i]);
		fds[i] = dial(smtp_port(p.smtp));
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

/* The trace shows no credential, however it is sent. */
START_TEST(smtp_trace_masks)
{
	char path[64], text[8192];

	snprintf(path, sizeof(path), "%s.log", p.dir);
	ck_assert_int_eq(log_open(path, LOG_LEVEL_DEBUG), 0);
	trace_set(TRACE_SMTP);
	PLAY("masks", "S 220 ", "C EHLO x", "S 250 ", "C AUTH LOGIN", "S 334 ", "C " USER, "S 334 ", "C " WRONG, "S 535 ", "C AUTH PLAIN",
	    "S 334", "C AGFsaWNlAHNlY3JldA=", "S 501", "C " PASSWORD, "S 500", "C AUTH CRAM " PASSWORD, "S 504",
	    "C AUTH PLAIN " PLAIN, "S 235", "C NOOP traced", "S 250");
	trace_set(0);
	log_close();
	FILE *f = fopen(path, "r");
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	unlink(path);
	ck_assert_msg(strstr(text, "NOOP traced") != NULL, "%s", text);
	ck_assert_msg(!strstr(text, PASSWORD) && !strstr(text, WRONG) && !strstr(text, "AGFsaWNl") && !strstr(text, "secret"),
	    "%s", text);
}
END_TEST

UNIT_SUITE("smtp session")
{
	tcase_add_checked_fixture(unit_case, setup, teardown);
	UNIT_LOOP(smtp_scene, scenes);
	UNIT_LOOP(smtp_scene_later, scenes);
	scenes_load();
	tcase_add_loop_test(unit_case, smtp_scene_file, 0, n_scene_files);
	UNIT(smtp_submission);
	UNIT(smtp_message_id);
	UNIT_LOOP(smtp_outcome, outcome_cases);
	UNIT(smtp_gone_before_answer);
	UNIT(smtp_stop_before_answer);
	UNIT_LOOP(smtp_aborted, aborted);
	UNIT(smtp_stop_in_data);
	UNIT(smtp_too_many_errors);
	UNIT_LOOP(smtp_long_line, line_cases);
	UNIT(smtp_long_line_and_another);
	UNIT(smtp_too_big);
	UNIT(smtp_nul_in_command);
	UNIT(smtp_disk_full);
	UNIT(smtp_no_spool);
	UNIT(smtp_idle_connections);
	UNIT(smtp_trace_masks);
}
UNIT_END
