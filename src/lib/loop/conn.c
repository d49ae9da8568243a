/*
 * One step() does all: whatever happened (input, output sent, an end, a wish of
 * the session) only sets a flag and leads there, in the loop, never inside a
 * call of the session's. So a hook may call anything, conn_free() too.
 *
 * libevent's own high watermark is not used: a TLS record that was read and
 * decrypted, but did not fit below it, would wait until the socket has more.
 * We switch reading off ourselves when enough waits.
 *
 * Files are fed in blocks, in order with what else is written. libevent's way
 * maps them as a whole when TLS is on, and waits for ever, with sendfile, for
 * the rest of a file that is shorter than it was.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/loop/conn.h"
#include "lib/loop/private.h"

enum {
	READ_ONCE = 64 * 1024,
	WRITE_ONCE = 256 * 1024,
	BLOCK = 64 * 1024,		/* of a file */
	OUT_LOW = 64 * 1024,		/* feed below this, */
	OUT_HIGH = 256 * 1024,		/* up to that */
	DEFLATE_ONCE = 256 * 1024,	/* octets compressed, or taken, in one step */
};

/* What libevent has not got yet: octets, or a piece of a file when data is NULL. */
struct chunk {
	TAILQ_ENTRY(chunk) next;
	struct evbuffer *data;
	int fd;
	uint64_t offset, len;
	uint64_t stamp;		/* while it is kept */
	bool as_is;		/* written before compression began */
};
TAILQ_HEAD(chunk_list, chunk);

struct conn {
	struct loop *loop;
	struct bufferevent *bev;
	struct conn_settings settings;
	struct conn_hooks hooks;
	void *arg;
	struct timer *kick, *idle;
	int64_t active_ms, idle_ms;

	struct chunk_list queue;	/* behind bev's output */
	struct chunk_list kept;		/* behind that, once it is released */
	uint64_t stamp;			/* of what is written while it is held */
	bool held;
	SSL *next_ssl;		/* TLS begins when bev's output is empty */
	bool is_tls;
	struct deflate *deflate;	/* NULL: octets go and come as they are */
	struct evbuffer *plain;		/* input, inflated */

	bool paused, finishing, eof, sent_some;
	bool ended;		/* on_close was called */
	bool freed;		/* by the session; really when depth is 0 */
	unsigned depth;
	char why[192];		/* it must end; "" while all is well */
	char peer[80];
	bool is_loopback;
};

static void step(struct conn *c);

static bool is_live(const struct conn *c)
{
	return !c->freed && !c->ended && c->why[0] == '\0';
}

/* The first reason is the true one. */
static void fail(struct conn *c, const char *why)
{
	if (c->why[0] == '\0')
		snprintf(c->why, sizeof(c->why), "%s", why);
}

static void fail_errno(struct conn *c, int code)
{
	char text[128];

	fail(c, strerror_r(code, text, sizeof(text)));
}

static struct evbuffer *input(const struct conn *c)
{
	return bufferevent_get_input(c->bev);
}

/* What the session has not taken yet. */
static struct evbuffer *untaken(const struct conn *c)
{
	return c->plain != NULL ? c->plain : input(c);
}

static bool has_input(const struct conn *c)
{
	return evbuffer_get_length(input(c)) > 0 || evbuffer_get_length(untaken(c)) > 0;
}

static struct evbuffer *output(const struct conn *c)
{
	return bufferevent_get_output(c->bev);
}

/* ---- what libevent calls ---- */

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	step(arg);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	(void)bev;
	step(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;
	int code = EVUTIL_SOCKET_ERROR();
	unsigned long tls_code = c->is_tls ? bufferevent_get_openssl_error(bev) : 0;
	char text[160], reason[120];

	if (what & BEV_EVENT_EOF)
		c->eof = true;
	if (what & BEV_EVENT_ERROR) {
		if (tls_code != 0) {
			ERR_error_string_n(tls_code, reason, sizeof(reason));
			snprintf(text, sizeof(text), "TLS: %s", reason);
			fail(c, text);
		} else if (code != 0) {
			fail_errno(c, code);
		} else {
			fail(c, "connection lost");
		}
	}
	step(c);
}

static void on_flow(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	if (buffer == output(c) ? info->n_deleted > 0 : info->n_added > 0)
		c->active_ms = clock_mono_ms();
	if (buffer == output(c) && info->n_deleted > 0)
		c->sent_some = true;
}

static void on_kick(void *arg)
{
	step(arg);
}

static void on_idle(void *arg)
{
	struct conn *c = arg;
	int64_t left = c->active_ms + c->idle_ms - clock_mono_ms();

	if (left > 0) {
		timer_set(c->idle, left);
		return;
	}
	fail(c, "idle");
	step(c);
}

/* ---- the step and its parts ---- */

static bool is_shaking_hands(const struct conn *c)
{
	return c->is_tls && c->next_ssl == NULL && !SSL_is_init_finished(bufferevent_openssl_get_ssl(c->bev));
}

static void set_reading(struct conn *c)
{
	bool want = is_live(c) && !c->eof && (!c->finishing || is_shaking_hands(c)) && c->next_ssl == NULL &&
	    evbuffer_get_length(input(c)) < c->settings.max_input;
	bool has = (bufferevent_get_enabled(c->bev) & EV_READ) != 0;

	if (want && !has)
		bufferevent_enable(c->bev, EV_READ);
	if (!want && has)
		bufferevent_disable(c->bev, EV_READ);
}

static void attach(struct conn *c)
{
	size_t low = c->settings.low > OUT_LOW ? c->settings.low : OUT_LOW;

	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	bufferevent_setwatermark(c->bev, EV_WRITE, low, 0);
	bufferevent_set_max_single_read(c->bev, READ_ONCE);
	bufferevent_set_max_single_write(c->bev, WRITE_ONCE);
	mem_check(evbuffer_add_cb(input(c), on_flow, c));
	mem_check(evbuffer_add_cb(output(c), on_flow, c));
	bufferevent_enable(c->bev, EV_WRITE);
	set_reading(c);
}

/* The answer to STARTTLS has gone: the next octet is TLS's. */
static void switch_to_tls(struct conn *c)
{
	if (!is_live(c) || c->next_ssl == NULL || evbuffer_get_length(output(c)) > 0)
		return;

	SSL *ssl = c->next_ssl;
	int fd = bufferevent_getfd(c->bev);

	c->next_ssl = NULL;
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	bufferevent_setfd(c->bev, -1);
	bufferevent_free(c->bev);
	ERR_clear_error();
	c->bev = mem_check(bufferevent_openssl_socket_new(loop_base(c->loop), fd, ssl,
	    BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS));
	bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
	attach(c);
}

/* More of the input as it was; what a little of it may become is bounded. */
static void inflate_input(struct conn *c)
{
	if (c->plain == NULL || !is_live(c) || c->paused || c->finishing)
		return;
	if (!deflate_read(c->deflate, input(c), c->plain, c->settings.max_input))
		fail(c, "no DEFLATE, or the end of it");
}

static void deliver(struct conn *c)
{
	struct evbuffer *in = untaken(c);
	size_t taken = 0;

	inflate_input(c);
	while (is_live(c) && !c->paused && !c->finishing && c->next_ssl == NULL && evbuffer_get_length(in) > 0) {
		size_t len = evbuffer_get_length(in);

		if (len > c->settings.max_input)
			len = c->settings.max_input;
		const char *data = mem_check(evbuffer_pullup(in, (ev_ssize_t)len));
		size_t used = c->hooks.on_data(c->arg, data, len);

		assert(used <= len);
		if (used > 0) {
			evbuffer_drain(in, used);
			taken += used;
			if (in != untaken(c))
				break;
			if (c->plain != NULL && taken > DEFLATE_ONCE) {
				timer_set(c->kick, 0);
				break;
			}
			inflate_input(c);
			continue;
		}
		if (len == c->settings.max_input && !c->paused && !c->finishing && c->next_ssl == NULL)
			fail(c, "input too long");
		break;
	}
	if (c->finishing || c->next_ssl != NULL) {
		evbuffer_drain(untaken(c), evbuffer_get_length(untaken(c)));
		evbuffer_drain(input(c), evbuffer_get_length(input(c)));
	}
}

static void free_chunk(struct chunk_list *list, struct chunk *k)
{
	TAILQ_REMOVE(list, k, next);
	if (k->data != NULL)
		evbuffer_free(k->data);
	else
		close(k->fd);
	talloc_free(k);
}

static void free_chunks(struct chunk_list *list)
{
	struct chunk *k;

	while ((k = TAILQ_FIRST(list)) != NULL)
		free_chunk(list, k);
}

/* The next octets of the file; false when it has not what was promised. */
static bool read_block(struct conn *c, struct chunk *k, void *block, size_t len)
{
	ssize_t n = files_pread(k->fd, block, len, k->offset);

	if (n < 0)
		fail_errno(c, errno);
	else if ((size_t)n < len)
		fail(c, "a file is shorter than it was");
	if (n < (ssize_t)len)
		return false;
	k->offset += len;
	k->len -= len;
	return true;
}

/* A block of the file into the output. */
static bool feed_block(struct conn *c, struct chunk *k)
{
	struct evbuffer_iovec v;
	size_t len = k->len < BLOCK ? (size_t)k->len : BLOCK;

	if (evbuffer_reserve_space(output(c), (ev_ssize_t)len, &v, 1) != 1)
		mem_check(NULL);
	if (!read_block(c, k, v.iov_base, len))
		return false;
	v.iov_len = len;
	evbuffer_commit_space(output(c), &v, 1);
	return true;
}

/* So much of a chunk, compressed; how much, 0: it failed. */
static size_t squeeze_block(struct conn *c, struct chunk *k)
{
	char block[BLOCK];
	size_t len = k->len < BLOCK ? (size_t)k->len : BLOCK;

	if (k->as_is) {
		if (k->data == NULL)
			return feed_block(c, k) ? len : 0;
		len = evbuffer_get_length(k->data);
		evbuffer_add_buffer(output(c), k->data);
		return len;
	}
	if (k->data != NULL) {
		len = evbuffer_get_contiguous_space(k->data);
		len = len < BLOCK ? len : BLOCK;
		deflate_write(c->deflate, evbuffer_pullup(k->data, (ev_ssize_t)len), len, output(c));
		evbuffer_drain(k->data, len);
		return len;
	}
	if (!read_block(c, k, block, len))
		return 0;
	deflate_write(c->deflate, block, len, output(c));
	return len;
}

/* The same as feed(), a bounded part of it in one step: it takes time. */
static void squeeze(struct conn *c)
{
	struct chunk *k;
	size_t done = 0;

	while (is_live(c) && (k = TAILQ_FIRST(&c->queue)) != NULL && evbuffer_get_length(output(c)) < OUT_HIGH) {
		if (done > DEFLATE_ONCE) {
			timer_set(c->kick, 0);
			return;
		}
		size_t n = squeeze_block(c, k);

		if (n == 0)
			return;
		done += n;
		if (k->data != NULL ? evbuffer_get_length(k->data) == 0 : k->len == 0)
			free_chunk(&c->queue, k);
	}
	if (is_live(c) && TAILQ_EMPTY(&c->queue))
		deflate_flush(c->deflate, output(c));
}

static void feed(struct conn *c)
{
	struct chunk *k;

	if (c->deflate != NULL) {
		squeeze(c);
		return;
	}
	while (is_live(c) && c->next_ssl == NULL && (k = TAILQ_FIRST(&c->queue)) != NULL &&
	    evbuffer_get_length(output(c)) < OUT_HIGH) {
		if (k->data != NULL)
			evbuffer_add_buffer(output(c), k->data);
		else if (k->len > 0 && !feed_block(c, k))
			return;
		if (k->data != NULL || k->len == 0)
			free_chunk(&c->queue, k);
	}
}

static void tell_drain(struct conn *c)
{
	if (!is_live(c) || !c->sent_some || c->finishing || conn_unsent(c) > c->settings.low)
		return;
	c->sent_some = false;
	if (c->hooks.on_drain != NULL)
		c->hooks.on_drain(c->arg);
}

/* Say goodbye; what the peer still sent is taken, or the kernel would answer it with a reset that overtakes our last words. */
static void say_goodbye(struct conn *c)
{
	char rest[4096];
	int fd = bufferevent_getfd(c->bev);
	SSL *ssl = c->is_tls ? bufferevent_openssl_get_ssl(c->bev) : NULL;

	if (ssl != NULL && SSL_is_init_finished(ssl))
		SSL_shutdown(ssl);
	ERR_clear_error();
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 64 && recv(fd, rest, sizeof(rest), MSG_DONTWAIT) > 0; i++)
		;
}

/*
 * Has it ended? A peer that only stopped sending still gets its answers, and a
 * session that is paused gets to see what was sent before. (With TLS libevent
 * can write no more after the end of input.)
 */
static void check_end(struct conn *c)
{
	if (!is_live(c))
		return;
	if (c->finishing && c->next_ssl == NULL && conn_unsent(c) == 0) {
		say_goodbye(c);
		fail(c, "closed");
	} else if (c->eof && (c->finishing || c->next_ssl != NULL)) {
		if (c->is_tls)
			fail(c, "closed by peer");
	} else if (c->eof && !(c->paused && has_input(c)) && !timer_is_set(c->kick)) {
		if (c->is_tls || conn_unsent(c) == 0)
			fail(c, "closed by peer");
	}
}

static void tell_end(struct conn *c)
{
	if (c->freed || c->ended || c->why[0] == '\0')
		return;
	c->ended = true;
	timer_clear(c->kick);
	timer_clear(c->idle);
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	c->hooks.on_close(c->arg, c->why);
}

static void destroy(struct conn *c)
{
	free_chunks(&c->queue);
	free_chunks(&c->kept);
	timer_free(&c->kick);
	timer_free(&c->idle);
	evbuffer_remove_cb(input(c), on_flow, c);
	evbuffer_remove_cb(output(c), on_flow, c);
	bufferevent_setcb(c->bev, NULL, NULL, NULL, NULL);
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	bufferevent_free(c->bev);
	SSL_free(c->next_ssl);
	if (c->plain != NULL)
		evbuffer_free(c->plain);
	talloc_free(c);
}

static void step(struct conn *c)
{
	loop_begin(c->loop, "a connection");
	if (c->ended || c->freed)
		return;
	c->depth++;
	switch_to_tls(c);
	deliver(c);
	feed(c);
	tell_drain(c);
	check_end(c);
	tell_end(c);
	if (!c->freed && !c->ended)
		set_reading(c);
	if (--c->depth == 0 && c->freed)
		destroy(c);
}

/* ---- what the session calls ---- */

struct conn *conn_new(struct loop *l, int fd, const struct conn_settings *settings,
    const struct conn_hooks *hooks, void *arg)
{
	struct conn *c = mem_zero(NULL, struct conn);

	assert(settings->max_input > 0);
	c->loop = l;
	c->settings = *settings;
	c->hooks = *hooks;
	c->arg = arg;
	TAILQ_INIT(&c->queue);
	TAILQ_INIT(&c->kept);
	c->is_loopback = sock_describe_peer(fd, c->peer, sizeof(c->peer));
	c->kick = timer_new(l, on_kick, c);
	c->idle = timer_new(l, on_idle, c);
	evutil_make_socket_nonblocking(fd);
	evutil_make_socket_closeonexec(fd);
	c->bev = mem_check(bufferevent_socket_new(loop_base(l), fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS));
	attach(c);
	conn_set_idle(c, settings->idle_ms);
	return c;
}

void conn_free(struct conn **cp)
{
	struct conn *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	c->freed = true;
	if (c->depth == 0)
		destroy(c);
}

static struct chunk *add_chunk(struct conn *c)
{
	struct chunk *k = mem_zero(c, struct chunk);

	k->stamp = c->stamp;
	TAILQ_INSERT_TAIL(c->held ? &c->kept : &c->queue, k, next);
	if (!c->held)
		timer_set(c->kick, 0);
	return k;
}

void conn_write(struct conn *c, const void *data, size_t len)
{
	struct evbuffer *out = output(c);

	if (!is_live(c) || len == 0)
		return;
	if (c->held || c->next_ssl != NULL || c->deflate != NULL || !TAILQ_EMPTY(&c->queue)) {
		struct chunk *k = TAILQ_LAST(c->held ? &c->kept : &c->queue, chunk_list);

		if (k == NULL || k->data == NULL || k->as_is || (c->held && k->stamp != c->stamp)) {
			k = add_chunk(c);
			k->data = mem_check(evbuffer_new());
		}
		out = k->data;
	}
	if (evbuffer_add(out, data, len) < 0)
		mem_check(NULL);
}

void conn_printf(struct conn *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *text = mem_vprintf(NULL, fmt, ap);
	va_end(ap);
	conn_write(c, text, strlen(text));
	talloc_free(text);
}

void conn_write_file(struct conn *c, int fd, uint64_t offset, uint64_t len)
{
	if (!is_live(c) || len == 0) {
		close(fd);
		return;
	}
	struct chunk *k = add_chunk(c);

	k->fd = fd;
	k->offset = offset;
	k->len = len;
}

static size_t length_of(const struct chunk_list *list)
{
	size_t n = 0;
	const struct chunk *k;

	TAILQ_FOREACH(k, list, next)
		n += k->data != NULL ? evbuffer_get_length(k->data) : (size_t)k->len;
	return n;
}

size_t conn_unsent(const struct conn *c)
{
	return evbuffer_get_length(output(c)) + length_of(&c->queue) + length_of(&c->kept);
}

void conn_hold(struct conn *c, uint64_t stamp)
{
	assert(c->next_ssl == NULL && (!c->held || stamp >= c->stamp));
	c->held = true;
	c->stamp = stamp;
}

void conn_release(struct conn *c, uint64_t stamp)
{
	struct chunk *k;

	c->held = c->held && c->stamp > stamp;
	if (!c->ended && !TAILQ_EMPTY(&c->kept))
		timer_set(c->kick, 0);
	while ((k = TAILQ_FIRST(&c->kept)) != NULL && k->stamp <= stamp) {
		TAILQ_REMOVE(&c->kept, k, next);
		TAILQ_INSERT_TAIL(&c->queue, k, next);
	}
}

void conn_drop(struct conn *c)
{
	free_chunks(&c->kept);
	c->held = false;
}

void conn_finish(struct conn *c)
{
	c->finishing = true;
	set_reading(c);
	timer_set(c->kick, 0);
}

void conn_pause(struct conn *c)
{
	c->paused = true;
}

void conn_resume(struct conn *c)
{
	c->paused = false;
	if (!c->ended)
		timer_set(c->kick, 0);
}

void conn_set_idle(struct conn *c, int64_t ms)
{
	c->idle_ms = ms;
	c->active_ms = clock_mono_ms();
	if (c->ended || ms <= 0)
		timer_clear(c->idle);
	else
		timer_set(c->idle, ms);
}

/*
 * What the peer sent before it can have seen our answer is not protected and
 * not for TLS either; it may still be in the kernel. Without an answer on its way
 * (TLS from the first octet) what is there is the handshake.
 */
static void discard_kernel_input(struct conn *c)
{
	char rest[4096];

	if (evbuffer_get_length(output(c)) == 0)
		return;
	while (recv(bufferevent_getfd(c->bev), rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
}

void conn_start_tls(struct conn *c, struct tls *t)
{
	assert(!c->is_tls && !c->held && TAILQ_EMPTY(&c->queue));
	if (!is_live(c))
		return;
	c->is_tls = true;
	c->next_ssl = mem_check(tls_accept(t));
	discard_kernel_input(c);
	set_reading(c);
	timer_set(c->kick, 0);
}

/* What waits to go out goes as it is; what has come in was sent after the peer asked for this. */
void conn_start_deflate(struct conn *c)
{
	struct chunk *k;

	assert(c->deflate == NULL && c->next_ssl == NULL);
	TAILQ_FOREACH(k, &c->queue, next)
		k->as_is = true;
	TAILQ_FOREACH(k, &c->kept, next)
		k->as_is = true;
	c->deflate = deflate_new(c);
	c->plain = mem_check(evbuffer_new());
	timer_set(c->kick, 0);
}

bool conn_is_deflated(const struct conn *c)
{
	return c->deflate != NULL;
}

bool conn_is_tls(const struct conn *c)
{
	return c->is_tls;
}

bool conn_is_loopback(const struct conn *c)
{
	return c->is_loopback;
}

const char *conn_peer(const struct conn *c)
{
	return c->peer;
}

int conn_fd(const struct conn *c)
{
	return bufferevent_getfd(c->bev);
}
