/*
 * A whole session on a real store: what a client sends after login, whatever
 * it is, ends with a server that still answers. Another session idles on the
 * same mailbox meanwhile and hears of it. One store for all runs; it has
 * messages that are here and one whose body is not.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mime/mime.h"
#include "way/imap/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char message[] = "From: a@b\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\n\r\ntext\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n--b--\r\n";

static struct {
	char dir[32];
	struct loop *loop;
	struct pool *pool;
	struct store *store;
	struct imap *imap;
	int client, server, idler;
	struct timer *timer;
	bool closed;
} f;

static bool login(void *arg, const char *user, const char *password)
{
	(void)arg;
	(void)user;
	(void)password;
	return true;
}

static void pull(void *arg, uint64_t content, uint64_t ticket)
{
	(void)arg;
	(void)content;
	(void)ticket;
}

static void pull_forget(void *arg, uint64_t ticket)
{
	(void)arg;
	(void)ticket;
}

static enum outcome withdraw(void *arg, uint64_t id, struct err *e)
{
	(void)arg;
	(void)id;
	err_set(e, "no");
	return REJECT;
}

static void add(bool here)
{
	void *ctx = mem_ctx(NULL);
	struct content c = { .place = here ? PLACE_INBOX : PLACE_NONE, .size = sizeof(message) - 1 };
	struct mime_scan *scan = mime_scan_new(ctx);
	struct bytes all = bytes_of(message, sizeof(message) - 1);
	struct err e;

	mime_scan_feed(scan, all);
	struct mime *m = mime_scan_take(&scan, ctx);

	digest_of(all, c.digest);
	c.envelope = mime_envelope(ctx, m);
	c.body = mime_body(ctx, m);
	c.bodystructure = mime_bodystructure(ctx, m);
	c.skeleton = mime_skeleton(m);
	c.parts = mime_parts_text(m);
	if (here)
		files_put(store_path(f.store, ctx, PLACE_INBOX, c.digest), all, &e);
	store_content_add(f.store, &c);
	store_message_add(f.store, store_mailbox_find(f.store, "INBOX"), c.id, 0, 0, 0);
	talloc_free(ctx);
}

static void finish(void)
{
	char command[64];

	imap_stop(&f.imap);
	pool_free(&f.pool);
	timer_free(&f.timer);
	store_close(&f.store);
	loop_free(&f.loop);
	snprintf(command, sizeof(command), "rm -rf %s", f.dir);
	if (system(command) != 0)
		perror(command);
}

/* The loop sleeps no more when nothing has happened for a moment. */
static void on_quiet(void *arg)
{
	(void)arg;
	loop_stop(f.loop);
}

/* All that was sent is read, and nothing of it still runs. */
static bool is_done(void)
{
	const struct imap_session *s = TAILQ_LAST(&f.imap->sessions, imap_sessions);
	int waits = 0;

	return s && s->id == f.imap->last_id && s->authed && !s->cmd && !s->held_back && conn_unsent(s->conn) == 0 &&
	    ioctl(f.server, FIONREAD, &waits) == 0 && waits == 0;
}

static void on_turn(void *arg)
{
	char block[4096];
	ssize_t n;

	(void)arg;
	store_turn(f.store);
	while (f.idler >= 0 && read(f.idler, block, sizeof(block)) > 0)
		;
	if (f.closed)
		return;
	while ((n = read(f.client, block, sizeof(block))) > 0)
		timer_set(f.timer, 2);
	if (n == 0) {
		f.closed = true;
		loop_stop(f.loop);
	} else if (is_done()) {
		loop_stop(f.loop);
	}
}

static void begin(void)
{
	struct err e;
	const struct imap_settings settings = { .address = "user@home" };
	const struct imap_hooks hooks = {
		.login = login, .pull = pull, .pull_forget = pull_forget, .withdraw = withdraw,
	};

	snprintf(f.dir, sizeof(f.dir), "/tmp/fuzzXXXXXX");
	log_open("/dev/null", LOG_LEVEL_ERR);
	if (!mkdtemp(f.dir) || !(f.loop = loop_new(&e)) || !(f.pool = pool_new(f.loop, 1, &e)) ||
	    !(f.store = store_open(f.dir, &e)) || !(f.imap = imap_start(f.loop, f.pool, f.store, &settings, &hooks, &e)))
		abort();
	f.timer = timer_new(f.loop, on_quiet, NULL);
	loop_on_turn(f.loop, on_turn, NULL);
	atexit(finish);
}

/* A session with these octets on its socket; the client's end. */
static int open_session(const char *start, const uint8_t *data, size_t size)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		abort();
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	if (write(pair[1], start, strlen(start)) < 0 || (size > 0 && write(pair[1], data, size) < 0))
		abort();
	f.server = pair[0];
	imap_session_open(f.imap, pair[0]);
	return pair[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char start[] = "l LOGIN a b\r\ns SELECT INBOX\r\n";

	if (!f.loop)
		begin();
	if (size > 16 * 1024)
		return 0;
	struct mailbox *inbox = store_mailbox_find(f.store, "INBOX");

	if (inbox->n_messages < 2) {
		add(true);
		add(false);
	}
	f.closed = false;
	f.idler = open_session("l LOGIN a b\r\ns SELECT INBOX (CONDSTORE)\r\ni IDLE\r\n", NULL, 0);
	f.client = open_session(start, data, size);
	timer_set(f.timer, 5);
	loop_run(f.loop);
	close(f.client);
	close(f.idler);
	f.idler = -1;
	f.closed = true;
	/* The server sees the end. */
	timer_set(f.timer, 0);
	loop_run(f.loop);
	while (!TAILQ_EMPTY(&f.imap->sessions)) {
		struct imap_session *s = TAILQ_FIRST(&f.imap->sessions);

		imap_session_free(&s);
	}
	return 0;
}
