/*
 * libcurl's multi handle driven by the loop: it tells us which sockets and which
 * time to watch, we tell it what happened. While it runs it calls back, and
 * then no handle may be added or removed: calls begun or freed from inside
 * on_octets() are marked and dealt with when it has returned. done() is called
 * from outside, so it may do anything but free the client.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/internal.h"

enum {
	MAX_CONNECTIONS = 128,		/* more calls wait, and their quiet_ms runs */
	MAX_PER_HOST = 16,
	MAX_KEPT = 16,			/* idle ones, to be used again */
};

struct sock {
	LIST_ENTRY(sock) entry;
	struct http_client *client;
	struct watch *watch;
};

static void sweep(struct http_client *c)
{
	struct http_transfer *t, *next;

	for (t = TAILQ_FIRST(&c->transfers); t; t = next) {
		next = TAILQ_NEXT(t, entry);
		if (t->gone)
			transfer_drop(t);
		else if (!t->attached && t->easy)
			transfer_attach(t);
	}
}

static void collect(struct http_client *c)
{
	int left;
	CURLMsg *m;

	while ((m = curl_multi_info_read(c->multi, &left))) {
		struct http_transfer *t;
		CURLcode res = m->data.result;

		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		transfer_end(t, res);
	}
}

static void act(struct http_client *c, curl_socket_t fd, int what)
{
	int running;

	c->in_curl = true;
	curl_multi_socket_action(c->multi, fd, what, &running);
	c->in_curl = false;
	sweep(c);
	collect(c);
}

static void on_watch(void *arg, int fd, unsigned events)
{
	struct http_client *c = arg;
	int what = 0;

	if (events & WATCH_READ)
		what |= CURL_CSELECT_IN;
	if (events & WATCH_WRITE)
		what |= CURL_CSELECT_OUT;
	act(c, fd, what);
}

static void on_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long ms, void *arg)
{
	struct http_client *c = arg;

	(void)multi;
	if (ms < 0)
		timer_clear(c->timer);
	else
		timer_set(c->timer, ms);
	return 0;
}

static void sock_free(struct sock *s)
{
	LIST_REMOVE(s, entry);
	watch_free(&s->watch);
	talloc_free(s);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sock)
{
	struct http_client *c = arg;
	struct sock *s = sock;
	unsigned events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			sock_free(s);
		return 0;
	}
	if (!s) {
		s = mem_zero(NULL, struct sock);
		s->client = c;
		s->watch = watch_new(c->loop, fd, on_watch, c);
		LIST_INSERT_HEAD(&c->socks, s, entry);
		curl_multi_assign(c->multi, fd, s);
	}
	if (what & CURL_POLL_IN)
		events |= WATCH_READ;
	if (what & CURL_POLL_OUT)
		events |= WATCH_WRITE;
	watch_set(s->watch, events);
	return 0;
}

/* The host of one of our URLs, when it says in which network we are. */
static void take_own_url(struct http_client *c, const char *text)
{
	CURLU *url = mem_check(curl_url());
	char *host = NULL;

	if (curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		size_t len = strlen(host);

		if (len > 2 && host[0] == '[') {
			host[len - 1] = '\0';
			memmove(host, host + 1, len - 1);
		}
		if (http_network_of(host, &c->nets[c->n_nets]))
			c->n_nets++;
	}
	curl_free(host);
	curl_url_cleanup(url);
}

struct http_client *http_client_new(struct loop *loop, const struct http_client_settings *settings,
    struct err *err)
{
	struct http_client *c;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(err, "libcurl does not start");
		return NULL;
	}
	c = mem_zero(NULL, struct http_client);
	c->loop = loop;
	c->user_agent = mem_strdup(c, settings->user_agent ? settings->user_agent : "p2pMTA");
	TAILQ_INIT(&c->transfers);
	LIST_INIT(&c->socks);
	c->nets = mem_zero_array(c, struct http_network, settings->n_own_urls + 1);
	for (size_t i = 0; i < settings->n_own_urls; i++)
		take_own_url(c, settings->own_urls[i]);
	c->timer = timer_new(loop, on_timer, c);
	c->multi = mem_check(curl_multi_init());
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)MAX_CONNECTIONS);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)MAX_PER_HOST);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)MAX_KEPT);
	curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	return c;
}

void http_client_free(struct http_client **cp)
{
	struct http_client *c = *cp;
	struct http_transfer *t;
	struct sock *s;

	*cp = NULL;
	if (!c)
		return;
	assert(!c->in_curl);
	while ((t = TAILQ_FIRST(&c->transfers)))
		transfer_drop(t);
	curl_multi_cleanup(c->multi);
	while ((s = LIST_FIRST(&c->socks)))
		sock_free(s);
	timer_free(&c->timer);
	talloc_free(c);
	curl_global_cleanup();
}

struct http_transfer *http_call(struct http_client *c, const struct http_call *call)
{
	struct http_transfer *t = transfer_new(c, call);

	if (t->easy && !c->in_curl)
		transfer_attach(t);
	return t;
}

void http_transfer_free(struct http_transfer **tp)
{
	struct http_transfer *t = *tp;

	*tp = NULL;
	if (!t || t->ending)
		return;
	if (t->client->in_curl)
		t->gone = true;
	else
		transfer_drop(t);
}

void http_transfer_resume(struct http_transfer *t)
{
	struct http_client *c = t->client;

	assert(!c->in_curl);
	if (!t->held || t->ending)
		return;
	c->in_curl = true;
	transfer_resume(t);
	c->in_curl = false;
	sweep(c);
}
