/* See the header. */
#include "unit/smtp_host.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct peer p;
struct patience p_patience;

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

static bool has_room(void *arg, uint64_t size)
{
	(void)arg;
	return !p.has_quota || (p.room > 0 && size <= p.room);
}

static void submit(void *arg, const struct smtp_submission *m, uint64_t ticket)
{
	(void)arg;
	p.n_submitted++;
	p.ticket = ticket;
	p.size = m->size;
	p.octets = m->octets.data ? bytes_dup(p.ctx, m->octets) : m->octets;
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

/* The client's half of RFC 7677, for the first message "n,,n=alice,r=abc". */
static void send_proof(const char *password)
{
	struct bytes b, salt;
	uint8_t salted[DIGEST_LEN], key[DIGEST_LEN], stored[DIGEST_LEN], sign[DIGEST_LEN];

	ck_assert_int_eq(base64_parse(p.ctx, p.last + 4, 1000, &b), 0);
	const char *challenge = (const char *)b.data, *s = strstr(challenge, ",s="), *i = strstr(challenge, ",i=");
	ck_assert(strncmp(challenge, "r=abc", 5) == 0 && s && i);
	ck_assert_int_eq(base64_parse(p.ctx, mem_strndup(p.ctx, s + 3, (size_t)(i - s - 3)), 64, &salt), 0);
	digest_pbkdf2(bytes_str(password), salt, (unsigned)atoi(i + 3), salted);
	digest_hmac(bytes_of(salted, DIGEST_LEN), bytes_str("Client Key"), key);
	digest_of(bytes_of(key, DIGEST_LEN), stored);
	char *last = mem_printf(p.ctx, "c=biws,%.*s", (int)(s - challenge), challenge);
	digest_hmac(bytes_of(stored, DIGEST_LEN), bytes_str(mem_printf(p.ctx, "n=alice,r=abc,%s,%s", challenge, last)), sign);
	for (size_t n = 0; n < DIGEST_LEN; n++)
		key[n] ^= sign[n];
	last = mem_printf(p.ctx, "%s,p=%s", last, base64_print(p.ctx, bytes_of(key, DIGEST_LEN)));
	buf_addf(p.out, "%s\r\n", base64_print(p.ctx, bytes_str(last)));
}

static void next_step(void)
{
	for (; *p.step && strchr("CRUXP", **p.step); p.step++) {
		if (**p.step == 'P')
			send_proof(*p.step + 2);
		else if (**p.step == 'U' || **p.step == 'X')
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
	snprintf(p.last, sizeof(p.last), "%.1000s", line);
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

void host_start(const char *const *listen, size_t n_listen)
{
	struct err e;
	const struct smtp_hooks hooks = { .login = login, .secret = secret, .has_room = has_room, .submit = submit };

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

void host_setup(void)
{
	host_start(NULL, 0);
}

void host_hang_up(void)
{
	if (p.fd < 0)
		return;
	watch_free(&p.watch);
	close(p.fd);
	p.fd = -1;
	p.n_in = 0;
}

unsigned count_files(const char *path, bool drop)
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

void host_teardown(void)
{
	host_hang_up();
	smtp_stop(&p.smtp);
	timer_free(&p.later);
	pool_free(&p.pool);
	loop_free(&p.loop);
	count_files(p.dir, true);
	rmdir(p.dir);
	talloc_free(p.ctx);
}

void host_call(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p.fd = pair[0];
	p.watch = watch_new(p.loop, p.fd, on_readable, NULL);
	watch_set(p.watch, WATCH_READ);
	smtp_session_new(p.smtp, pair[1]);
}

void play(const char *name, const char *const *steps)
{
	p.scene = name;
	p.step = steps;
	if (p.fd < 0)
		host_call();
	next_step();
	loop_run(p.loop);
}

static struct {
	struct timer *timer;
	size_t n, n_ever;
} sessions;

static void look_again(void *arg)
{
	(void)arg;
	if (sessions.n_ever > 0 ? p.smtp->next_id > sessions.n_ever :
	    p.smtp->n_sessions == sessions.n && LIST_EMPTY(&p.smtp->anchor->jobs))
		loop_stop(p.loop);
	else
		timer_set(sessions.timer, 1);
}

void wait_until(size_t n, size_t n_ever)
{
	sessions.n = n;
	sessions.n_ever = n_ever;
	sessions.timer = timer_new(p.loop, look_again, NULL);
	timer_set(sessions.timer, 0);
	loop_run(p.loop);
	timer_free(&sessions.timer);
}

void wait_for_sessions(size_t n)
{
	wait_until(n, 0);
}

static void stop_turn(void *arg)
{
	(void)arg;
	loop_stop(p.loop);
}

/* One turn of the loop, or two. */
void turn(void)
{
	struct timer *t = timer_new(p.loop, stop_turn, NULL);

	timer_set(t, 1);
	loop_run(p.loop);
	timer_free(&t);
}

char *repeat(const char *before, size_t n, const char *after)
{
	char *x = mem_array(p.ctx, char, n + 1);

	memset(x, 'x', n);
	x[n] = '\0';
	return mem_printf(p.ctx, "R %s%s%s", before, x, after);
}

char *spooled(void)
{
	struct bytes b = p.octets;
	struct err e;
	char *path = files_fanout(p.ctx, p.dir, p.digest);

	ck_assert_msg(b.data || files_get(p.ctx, path, 4000000, &b, &e) == OK, "%s", e.text);
	uint8_t digest[DIGEST_LEN];
	digest_of(b, digest);
	ck_assert_mem_eq(digest, p.digest, DIGEST_LEN);
	ck_assert_uint_eq(b.len, p.size);
	return mem_strndup(p.ctx, (const char *)b.data, b.len);
}

int host_dial(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)smtp_port(p.smtp)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

void host_call_port(void)
{
	p.fd = host_dial();
	p.watch = watch_new(p.loop, p.fd, on_readable, NULL);
	watch_set(p.watch, WATCH_READ);
}
