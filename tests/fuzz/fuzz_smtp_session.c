/*
 * The real session over a socket pair, on the real loop, pool and disk. The
 * first octet: bit 0 logs in and begins DATA before the input, bit 3 the same
 * up to where BDAT may come; with bit 4 a message too large for memory is
 * on its way then; bits 1 and 2 say how a submission is answered. Nothing may
 * stay: no session, no file.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "way/smtp/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "\0a\0b" */
#define LOGIN "EHLO x\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<alice@home>\r\nRCPT TO:<bob@home>\r\n"

enum { INPUT_MAX = 65536, BEGIN_MAX = SMTP_SMALL + 4096, LINE = 80, SIZE_LIMIT = 100000 };

static struct {
	struct loop *loop;
	struct pool *pool;
	struct smtp *smtp;
	struct watch *watch;
	enum outcome outcome;
	int fd;
	const uint8_t *rest;
	size_t n_rest;
	char dir[64];
} f;

static bool login(void *arg, const char *user, const char *password)
{
	(void)arg;
	return strcmp(user, "a") == 0 && strcmp(password, "b") == 0;
}

static bool secret(void *arg, const char *user, struct scram_secret *k)
{
	(void)arg;
	k->rounds = 1;
	k->salt_len = 1;
	k->salt[0] = 's';
	scram_secret_make(k, "b");
	return strcmp(user, "a") == 0;
}

static void submit(void *arg, const struct smtp_submission *m, uint64_t ticket)
{
	uint8_t digest[DIGEST_LEN];

	void *tmp = mem_ctx(NULL);
	struct bytes octets = m->octets;
	struct err e;

	(void)arg;
	if (!octets.data) {
		const char *path = files_fanout(tmp, f.dir, m->digest);
		if (m->size <= SMTP_SMALL || files_get(tmp, path, SIZE_LIMIT, &octets, &e) != OK)
			abort();
		files_drop(path);
	}
	digest_of(octets, digest);
	if (octets.len != m->size || memcmp(digest, m->digest, sizeof(digest)) != 0 || m->n_recipients == 0)
		abort();
	talloc_free(tmp);
	smtp_submit_done(f.smtp, ticket, f.outcome, "because");
}

static void on_turn(void *arg)
{
	(void)arg;
	if (f.smtp->n_sessions == 0 && LIST_EMPTY(&f.smtp->anchor->jobs))
		loop_stop(f.loop);
}

static void send_rest(void)
{
	ssize_t n = send(f.fd, f.rest, f.n_rest, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n > 0) {
		f.rest += n;
		f.n_rest -= (size_t)n;
	}
	if (f.n_rest == 0)
		shutdown(f.fd, SHUT_WR);
}

static void on_client(void *arg, int fd, unsigned events)
{
	char in[65536];

	(void)arg;
	if (events & WATCH_WRITE)
		send_rest();
	if ((events & WATCH_READ) && recv(fd, in, sizeof(in), MSG_DONTWAIT) == 0)
		f.n_rest = 0;
	watch_set(f.watch, f.n_rest > 0 ? WATCH_READ | WATCH_WRITE : WATCH_READ);
}

static void stop(void)
{
	smtp_stop(&f.smtp);
	pool_free(&f.pool);
	loop_free(&f.loop);
	char command[128];
	snprintf(command, sizeof(command), "rm -r '%s'", f.dir);
	(void)!system(command);
}

static void start(void)
{
	static const struct smtp_hooks hooks = { .login = login, .secret = secret, .submit = submit };
	struct err e;

	strcpy(f.dir, "/dev/shm/p2pmta-fuzz.XXXXXX");
	if (!mkdtemp(f.dir)) {
		strcpy(f.dir, "/tmp/p2pmta-fuzz.XXXXXX");
		if (!mkdtemp(f.dir))
			abort();
	}
	log_open("/dev/null", LOG_LEVEL_ERR);
	const struct smtp_settings set = {
		.max_size = SIZE_LIMIT, .max_recipients = 5, .address = "alice@home", .spool = f.dir, .auth_delay_ms = 1,
	};
	f.loop = loop_new(&e);
	f.pool = pool_new(f.loop, 2, &e);
	f.smtp = smtp_start(f.loop, f.pool, &set, &hooks, &e);
	loop_on_turn(f.loop, on_turn, NULL);
	atexit(stop);
}

/* Folders of kept files may stay. */
static void check_no_file(const char *path)
{
	DIR *d = opendir(path);

	for (struct dirent *entry; (entry = readdir(d));) {
		char sub[sizeof(f.dir) + 256];
		if (entry->d_name[0] == '.')
			continue;
		if (entry->d_type != DT_DIR)
			abort();
		snprintf(sub, sizeof(sub), "%s/%s", path, entry->d_name);
		check_no_file(sub);
	}
	closedir(d);
}

/* The first octets of a dialogue; the input goes on. */
static size_t begin(uint8_t kind, char out[BEGIN_MAX])
{
	size_t n = 0;

	if (kind & 9)
		n = (size_t)sprintf(out, "%s%s", LOGIN, kind & 1 ? "DATA\r\n" : "");
	if (!(kind & 9) || !(kind & 16))
		return n;
	if (!(kind & 1))
		n += (size_t)sprintf(out + n, "BDAT %d\r\n", 20 + (SMTP_SMALL / LINE + 1) * LINE);
	n += (size_t)sprintf(out + n, "From: alice@home\r\n\r\n");
	for (size_t i = 0; i < SMTP_SMALL / LINE + 1; i++)
		n += (size_t)sprintf(out + n, "%0*d\r\n", LINE - 2, 0);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum outcome outcomes[] = { OK, RETRY, REJECT, OK };
	static char in[BEGIN_MAX + INPUT_MAX];
	int pair[2];

	if (size == 0 || size > INPUT_MAX)
		return 0;
	if (!f.loop)
		start();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	size_t n = begin(data[0], in);
	memcpy(in + n, data + 1, size - 1);
	f.outcome = outcomes[(data[0] >> 1) & 3];
	f.fd = pair[0];
	f.rest = (const uint8_t *)in;
	f.n_rest = n + size - 1;
	f.watch = watch_new(f.loop, f.fd, on_client, NULL);
	watch_set(f.watch, WATCH_READ | WATCH_WRITE);
	smtp_session_new(f.smtp, pair[1]);
	loop_run(f.loop);
	watch_free(&f.watch);
	close(f.fd);
	check_no_file(f.dir);
	return 0;
}
