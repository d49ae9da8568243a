#ifndef TESTS_HTTP_SCRIPT_H
#define TESTS_HTTP_SCRIPT_H
/* A server on loopback that says what the test wants, whatever it is asked. One client after the other. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "tests/unit/unit.h"

struct script {
	const char *say;		/* after each request */
	const char *drip;		/* then this, octet by octet, 30 ms apart */
	bool stay;			/* then wait for the client to hang up; else for n_requests, then hang up */
	bool may_break;			/* the client may have had enough before */
	unsigned n_requests;
	int listener;
	unsigned port;
	atomic_uint n_accepted, n_asked;
	pthread_t thread;
};

static bool read_request(int fd)
{
	char block[4096];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(block) - 1 && (n = read(fd, block + len, sizeof(block) - 1 - len)) > 0) {
		len += (size_t)n;
		block[len] = '\0';
		if (strstr(block, "\r\n\r\n"))
			return true;
	}
	return false;
}

static void *script_work(void *arg)
{
	struct script *s = arg;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		s->n_accepted++;
		for (unsigned i = 0; i < (s->n_requests ? s->n_requests : 1) && read_request(fd); i++) {
			s->n_asked++;
			if (s->say)
				ck_assert(files_write(fd, s->say, strlen(s->say)) == 0 || s->may_break);
			for (const char *c = s->drip; c && *c; c++) {
				nanosleep(&(struct timespec){ .tv_nsec = 30 * 1000000 }, NULL);
				if (send(fd, c, 1, MSG_NOSIGNAL) < 0)
					break;
			}
		}
		if (s->stay)
			read_request(fd);
		close(fd);
	}
	return NULL;
}

static void script_start(struct script *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(s->listener, 16), 0);
	getsockname(s->listener, (struct sockaddr *)&in, &len);
	s->port = ntohs(in.sin_port);
	ck_assert_int_eq(pthread_create(&s->thread, NULL, script_work, s), 0);
}

static void script_stop(struct script *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
}

#endif
