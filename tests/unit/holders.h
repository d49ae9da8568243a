#ifndef TESTS_HOLDERS_H
#define TESTS_HOLDERS_H
/*
 * Holders of one m' and its head object, good and bad: http://127.0.0.1:PORT/KIND/outbox/H,
 * where KIND may end in digits to tell several of one kind apart. Each
 * connection has a thread; they end when the other side closes, or in holders_stop().
 *
 *	good	silent (reads, says nothing)	stall (half, and then nothing)	cut (half, and closes)
 *	none (404)	busy (503)	gone (410)	recall (410 with 32 octets of 7)	dead (closes at once)
 *	lie (one octet is wrong)	more (an octet too much)	whole (knows no ranges)	slow
 *	cutonce, lieonce (the first time)	dies, tires (dead, stall, after a few requests)
 *	narrow (one request at a time, others are dead)
 *	drip (an octet now and then)	fade (quick, then drips its last 2000)
 *	wakes (drips until "last" is asked, then all)	last (nothing before holders_all.opened, then all)
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "tests/unit/unit.h"

enum { HOLDERS_CONNS = 512, HOLDERS_KINDS = 32, HOLDERS_SOME = 6 };
#define HOLDERS_HEAD "the head object"

static struct {
	struct bytes m;
	int fd;
	pthread_t accepting;
	pthread_t threads[HOLDERS_CONNS];
	int fds[HOLDERS_CONNS];
	int n;
	pthread_mutex_t lock, narrow;
	atomic_int opened, over;	/* set by the test: somebody opens what came; by "last": he who pulls has gone */
	struct { char name[24]; int asked; } kinds[HOLDERS_KINDS];
} holders_all = { .lock = PTHREAD_MUTEX_INITIALIZER, .narrow = PTHREAD_MUTEX_INITIALIZER };

static bool holders_write(int fd, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* How often it has been asked, with this time. */
static int holders_count(const char *name, int more)
{
	int i = 0, n;

	pthread_mutex_lock(&holders_all.lock);
	while (holders_all.kinds[i].name[0] && strcmp(holders_all.kinds[i].name, name) != 0)
		i++;
	snprintf(holders_all.kinds[i].name, sizeof(holders_all.kinds[i].name), "%s", name);
	n = holders_all.kinds[i].asked += more;
	pthread_mutex_unlock(&holders_all.lock);
	return n;
}

static inline int holders_asked(const char *name)
{
	return holders_count(name, 0);
}

/* Until he who pulls goes away. */
static bool holders_wait(int fd)
{
	char block[4096];

	while (recv(fd, block, sizeof(block), 0) > 0)
		;
	return false;
}

static bool holders_status(int fd, const char *status, size_t len)
{
	char head[200], body[32];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", status, len);

	memset(body, 7, sizeof(body));
	return holders_write(fd, head, (size_t)n) && holders_write(fd, body, len);
}

static bool holders_send_slowly(int fd, struct bytes b)
{
	for (size_t at = 0; at < b.len; at += 64 * 1024) {
		if (!holders_write(fd, b.data + at, b.len - at < 64 * 1024 ? b.len - at : 64 * 1024))
			return false;
		usleep(10000);		/* this is what slow means */
	}
	return true;
}

static bool holders_drip(int fd, struct bytes b)
{
	for (size_t at = 0; at < b.len; at++) {
		if (!holders_write(fd, b.data + at, 1))
			return false;
		usleep(50000);		/* this is what it means */
	}
	return true;
}

static bool holders_wake(int fd, struct bytes b)
{
	size_t at = 0;

	for (; holders_asked("last") == 0; at++)
		if (!holders_drip(fd, bytes_of(b.data + at, 1)))
			return false;
	return holders_write(fd, b.data + at, b.len - at);
}

static bool holders_come_last(int fd, struct bytes b)
{
	while (!holders_all.opened)
		usleep(1000);
	if (holders_write(fd, b.data, b.len))
		holders_wait(fd);
	holders_all.over = 1;
	return false;
}

/* b of the answer, as this kind does it; false: the connection ends. */
static bool holders_deliver(int fd, const char *kind, struct bytes b, bool part)
{
	char head[200];
	bool more = strcmp(kind, "more") == 0, good;
	uint8_t *copy;
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n",
	    part ? "206 Partial Content" : "200 OK", b.len + more);

	if (!holders_write(fd, head, (size_t)n))
		return false;
	if (strcmp(kind, "stall") == 0)
		return holders_write(fd, b.data, b.len / 2) && holders_wait(fd);
	if (strcmp(kind, "cut") == 0)
		return holders_write(fd, b.data, b.len / 2) && false;
	if (strcmp(kind, "slow") == 0)
		return holders_send_slowly(fd, b);
	if (strcmp(kind, "drip") == 0)
		return holders_drip(fd, b);
	if (strcmp(kind, "wakes") == 0)
		return holders_wake(fd, b);
	if (strcmp(kind, "last") == 0)
		return holders_come_last(fd, b);
	if (strcmp(kind, "fade") == 0)
		return holders_write(fd, b.data, b.len - 2000) && holders_drip(fd, bytes_of(b.data + b.len - 2000, 2000));
	copy = malloc(b.len + 1);
	memcpy(copy, b.data, b.len);
	copy[b.len] = 'x';
	copy[b.len / 2] ^= strcmp(kind, "lie") == 0;
	good = holders_write(fd, copy, b.len + more);
	free(copy);
	return good;
}

static bool holders_answer(int fd, const char *request)
{
	char name[24] = "", kind[24], path[200] = "";
	const char *range = strstr(request, "Range: bytes=");
	struct bytes b = holders_all.m;
	unsigned long long first, last;
	bool part = false;
	int asked;

	sscanf(request, "GET /%23[a-z0-9]%199s", name, path);
	asked = holders_count(name, 1);
	snprintf(kind, sizeof(kind), "%.*s", (int)strcspn(name, "0123456789"), name);
	if (strcmp(kind, "cutonce") == 0 || strcmp(kind, "lieonce") == 0)
		snprintf(kind, sizeof(kind), "%s", asked > 1 ? "good" : kind[0] == 'c' ? "cut" : "lie");
	if (strcmp(kind, "dies") == 0 || strcmp(kind, "tires") == 0)
		snprintf(kind, sizeof(kind), "%s", asked <= HOLDERS_SOME ? "good" : kind[0] == 'd' ? "dead" : "stall");
	if (strcmp(kind, "narrow") == 0) {
		if (pthread_mutex_trylock(&holders_all.narrow) != 0)
			return false;
		snprintf(kind, sizeof(kind), "slow");
	}
	if (strcmp(kind, "silent") == 0)
		return holders_wait(fd);
	if (strcmp(kind, "dead") == 0)
		return false;
	if (strcmp(kind, "none") == 0 || strcmp(kind, "busy") == 0)
		return holders_status(fd, kind[0] == 'n' ? "404 Not Found" : "503 Busy", 0);
	if (strcmp(kind, "gone") == 0 || strcmp(kind, "recall") == 0)
		return holders_status(fd, "410 Gone", kind[0] == 'g' ? 0 : 32);
	if (strstr(path, ".head") != NULL)
		b = bytes_str(HOLDERS_HEAD);
	if (strstr(path, ".head") != NULL && strcmp(kind, "stall") != 0)
		snprintf(kind, sizeof(kind), "good");
	if (range != NULL && strcmp(kind, "whole") != 0 && sscanf(range, "Range: bytes=%llu-%llu", &first, &last) == 2) {
		b = bytes_of(b.data + first, (size_t)(last - first + 1));
		part = true;
	}
	part = holders_deliver(fd, kind, b, part);
	if (strncmp(name, "narrow", 6) == 0)
		pthread_mutex_unlock(&holders_all.narrow);
	return part;
}

static void *holders_talk(void *arg)
{
	int fd = *(int *)arg;
	char request[4096] = "";
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, request + len, sizeof(request) - 1 - len, 0)) > 0) {
		len += (size_t)n;
		request[len] = '\0';
		if (strstr(request, "\r\n\r\n") == NULL)
			continue;
		if (!holders_answer(fd, request))
			break;
		len = 0;
	}
	shutdown(fd, SHUT_RDWR);
	return NULL;
}

static void *holders_accept(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(holders_all.fd, NULL, NULL)) >= 0) {
		ck_assert_int_lt(holders_all.n, HOLDERS_CONNS);
		holders_all.fds[holders_all.n] = fd;
		pthread_create(&holders_all.threads[holders_all.n], NULL, holders_talk, &holders_all.fds[holders_all.n]);
		holders_all.n++;
	}
	return NULL;
}

/* The port. */
static unsigned holders_start(struct bytes m)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);

	holders_all.m = m;
	holders_all.fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(holders_all.fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(listen(holders_all.fd, 128), 0);
	getsockname(holders_all.fd, (struct sockaddr *)&in, &len);
	pthread_create(&holders_all.accepting, NULL, holders_accept, NULL);
	return ntohs(in.sin_port);
}

static void holders_stop(void)
{
	shutdown(holders_all.fd, SHUT_RDWR);
	pthread_join(holders_all.accepting, NULL);
	close(holders_all.fd);
	for (int i = 0; i < holders_all.n; i++) {
		shutdown(holders_all.fds[i], SHUT_RDWR);
		pthread_join(holders_all.threads[i], NULL);
		close(holders_all.fds[i]);
	}
	holders_all.n = 0;
}

#endif
