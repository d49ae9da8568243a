#ifndef TESTS_HTTP_DIAL_H
#define TESTS_HTTP_DIAL_H
/* Octets to an HTTP server on loopback as a client would send them, and all that comes back. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "tests/unit/unit.h"

#define CLOSE " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

enum { ANSWER_MAX = 8 * 1024 * 1024 };

static int dial_port(unsigned port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct timeval patience = { .tv_sec = 10 };

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* All that comes until the server hangs up; NUL-terminated, forget() it. */
static char *drain(int fd, size_t *len_out)
{
	struct buf *b = buf_new(NULL, ANSWER_MAX);
	char block[65536];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		ck_assert(buf_add(b, block, (size_t)n));
	ck_assert_msg(n == 0 || errno == ECONNRESET, "read: %s", strerror(errno));
	close(fd);
	*len_out = b->len;
	return b->data;
}

static char *ask_port(unsigned port, const char *request, size_t *len_out)
{
	int fd = dial_port(port);

	ck_assert_int_eq(files_write(fd, request, strlen(request)), 0);
	return drain(fd, len_out);
}

static void forget(char *answer)
{
	talloc_free(talloc_parent(answer));
}

#endif
