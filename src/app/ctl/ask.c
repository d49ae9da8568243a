/*
 * Asking the daemon: one line there, one line back. An answer has no bound of
 * ours (a queue may be long) but has to come: pulls and recalls take their
 * time, a hung daemon must not take the caller with it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/ctl/ctl.h"
#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"

enum { MAX_ANSWER = 64 * 1024 * 1024, BLOCK = 64 * 1024 };

static int dial(const char *path, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(un.sun_path)) {
		err_set(e, "%s: too long a path for a socket", path);
		return -1;
	}
	memcpy(un.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&un, sizeof(un)) == 0)
		return fd;
	err_sys(e, "the daemon does not answer at %s", path);
	if (fd >= 0)
		close(fd);
	return -1;
}

static int send_request(int fd, const char *command, json_t *args, struct err *e)
{
	json_t *request = mem_check(json_pack("{s:s,s:O}", "command", command, "args", args));
	char *text = mem_check(json_dumps(request, JSON_COMPACT));
	size_t len = strlen(text);

	text[len] = '\n';	/* in place of the NUL: the whole line in one write */
	int res = files_write(fd, text, len + 1);
	if (res < 0)
		err_sys(e, "the daemon does not listen");
	free(text);
	json_decref(request);
	return res;
}

/* Until the line ends; the time left shrinks with each block. */
static int read_answer(int fd, int64_t wait_ms, struct buf *in, struct err *e)
{
	int64_t end = clock_mono_ms() + wait_ms;
	char *block = mem_array(in, char, BLOCK);

	while (!in->len || in->data[in->len - 1] != '\n') {
		struct pollfd p = { fd, POLLIN, 0 };
		int64_t left = end - clock_mono_ms();
		int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0) {
			err_set(e, "the daemon gave no answer within %lld s", (long long)wait_ms / 1000);
			return -1;
		}
		ssize_t n = read(fd, block, BLOCK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || !buf_add(in, block, (size_t)n)) {
			err_set(e, n == 0 ? "the daemon ended before it answered" : "the daemon's answer cannot be read");
			return -1;
		}
	}
	return 0;
}

json_t *ask(const char *socket, const char *command, json_t *args, int64_t wait_ms, struct err *e)
{
	struct buf *in = buf_new(NULL, MAX_ANSWER);
	json_t *answer = NULL;
	json_error_t why;
	int fd = dial(socket, e);

	if (fd >= 0 && send_request(fd, command, args, e) == 0 && read_answer(fd, wait_ms, in, e) == 0) {
		answer = json_loadb(in->data, in->len, 0, &why);
		if (!answer)
			err_set(e, "the daemon's answer is no JSON: %s", why.text);
	}
	if (fd >= 0)
		close(fd);
	json_decref(args);
	talloc_free(in);
	return answer;
}
