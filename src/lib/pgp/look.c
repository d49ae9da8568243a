/*
 * A look at the home from outside, while a daemon may be using it: gpg lists
 * the key and nothing is written, locked, started or ended. A secret key is
 * the agent's business; here it is there when its files are.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/pgp/work.h"

extern char **environ;

enum { LISTING_MAX = 64 * 1024, GRIP_FIELD = 9 };

/* gpg's listing with colons, NUL after; its exit status, or -1. */
static int list(const char *home, const char *fpr, char listing[LISTING_MAX + 1])
{
	char *tmp = mem_ctx(NULL);
	const char *argv[] = { GPG_PATH, "--homedir", home, "--no-options", "--batch", "--no-tty", "--no-autostart", "--lock-never",
	    "--trust-model", "always", "--no-auto-check-trustdb", "--no-random-seed-file", "--with-colons", "--with-keygrip",
	    "--list-keys", fpr, NULL };
	char **args = mem_array(tmp, char *, sizeof(argv) / sizeof(argv[0]));
	posix_spawn_file_actions_t actions;
	int fds[2], status = -1;
	pid_t pid;

	listing[0] = '\0';
	for (size_t i = 0; argv[i]; i++)
		args[i] = mem_strdup(tmp, argv[i]);
	args[sizeof(argv) / sizeof(argv[0]) - 1] = NULL;
	if (pipe2(fds, O_CLOEXEC) == 0) {
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
		posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
		bool runs = posix_spawn(&pid, GPG_PATH, &actions, NULL, args, environ) == 0;

		posix_spawn_file_actions_destroy(&actions);
		close(fds[1]);
		ssize_t n = files_read(fds[0], listing, LISTING_MAX);

		listing[n > 0 ? n : 0] = '\0';
		close(fds[0]);
		while (runs && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		status = runs && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	talloc_free(tmp);
	return status;
}

/* The keygrip that a line names, or NULL; cuts the line. */
static char *grip_of(char *line)
{
	char *field = line;

	if (strncmp(line, "grp:", 4) != 0)
		return NULL;
	for (int i = 0; i < GRIP_FIELD && field; i++)
		field = strchr(field, ':') ? strchr(field, ':') + 1 : NULL;
	if (field)
		field[strcspn(field, ":")] = '\0';
	return field && *field && !strchr(field, '/') ? field : NULL;
}

static enum outcome look_for_secrets(const void *ctx, const char *home, char *listing, struct err *e)
{
	size_t n = 0;

	for (char *line, *rest = listing; (line = strtok_r(rest, "\n", &rest)) != NULL;) {
		const char *grip = grip_of(line);
		char *path = grip ? mem_printf(ctx, "%s/private-keys-v1.d/%s.key", home, grip) : NULL;

		if (path && access(path, R_OK) < 0) {
			err_sys(e, "secret key %s", path);
			return errno == ENOENT ? REJECT : RETRY;
		}
		n += path != NULL;
	}
	if (n > 0)
		return OK;
	err_set(e, "gpg names no secret key");
	return REJECT;
}

enum outcome pgp_look(const char *home, const char *fpr, struct err *e)
{
	void *ctx = mem_ctx(NULL);
	char *ring = ring_path(ctx, home), *listing = mem_array(ctx, char, LISTING_MAX + 1);
	enum outcome res = REJECT;

	assert(strlen(fpr) == FPR_LEN - 1);
	/* gpg would make one. */
	if (access(ring, R_OK) < 0) {
		err_sys(e, "key ring %s", ring);
		res = errno == ENOENT ? REJECT : RETRY;
	} else if (list(home, fpr, listing) != 0) {
		err_set(e, "the key %s is not in %s", fpr, home);
	} else {
		res = look_for_secrets(ctx, home, listing, e);
	}
	talloc_free(ctx);
	return res;
}
