/*
 * The GNUPGHOME of this peer. gpg is tuned by files we write at each start,
 * so an upgrade or a curious editor changes nothing for long:
 *
 * gpg.conf	 no random seed file (its lock would let only one worker run),
 *		 no trust database, no network, one S2K round (K is random
 *		 already), zlib unless the caller wants no compression;
 * gpg-*	 wrappers: limits on CPU and memory, then the real gpg. GPGME
 *		 leaves a gpg running whose output it no longer wants, and the
 *		 octets gpg works on are a stranger's (clerk.c sets them itself);
 * gpg-direct	 the same, and gpg reads and writes what it is told in place of
 *		 GPGME's pipes: GPGME's pump costs more than the decryption. Its
 *		 process ID comes first, so that it can be ended;
 * agent	 takes these limits off again: the first gpg starts the agent,
 *		 and it has to outlive all of them.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/pgp/work.h"

extern char **environ;

enum { PATIENCE_MS = 60 * 1000 };
enum { LIMIT_SOCKET_PATH = 107 };	/* sun_path without the NUL */

static const char gpg_conf[] =
    "# Written by p2pmta at each start.\n"
    "batch\n"
    "no-tty\n"
    "no-greeting\n"
    "no-permission-warning\n"
    "no-random-seed-file\n"
    "lock-never\n"		/* who reads needs none, and what changes the ring does so in a copy (ring.c) */
    "no-symkey-cache\n"
    "no-emit-version\n"
    "no-auto-key-locate\n"
    "no-auto-key-retrieve\n"
    "no-auto-key-import\n"
    "no-auto-check-trustdb\n"
    "disable-dirmngr\n"
    "trust-model always\n"
    "ignore-time-conflict\n"	/* two machines' clocks differ; we check times ourselves */
    "ignore-valid-from\n"
    "import-options import-minimal\n"
    "export-options export-minimal\n"
    "compress-algo zlib\n"
    "cipher-algo AES256\n"
    "s2k-mode 1\n"
    "s2k-cipher-algo AES256\n"
    "s2k-digest-algo SHA256\n"
    "personal-digest-preferences SHA256 SHA512\n"
    "cert-digest-algo SHA512\n";

static const char agent_conf[] =
    "# Written by p2pmta at each start.\n"
    "allow-loopback-pinentry\n"
    "disable-scdaemon\n"
    "no-grab\n";

static const struct {
	const char *name;
	unsigned cpu_s, memory_kib;
	const char *options;
	bool small;		/* what a clerk may do: with his limits, and with gpg.conf's options */
} engines[N_ENGINES] = {
	[ENGINE_SIGN] = { "gpg-sign", 20, 512 * 1024, " --compress-algo none", false },
	[ENGINE_RECORD] = { "gpg-record", 20, 512 * 1024, "", true },
	[ENGINE_BULK] = { "gpg-bulk", 900, 512 * 1024, "", true },
	[ENGINE_RING] = { "gpg-ring", 20, 512 * 1024, " --no-autostart", false },
	[ENGINE_DIRECT] = { "gpg-direct", 900, 512 * 1024, "", false },
};

/* The last argument is GPGME's input, "-&FD". Without one it only asks for gpg's version. */
static const char take_files[] =
    "for last; do :; done\n"
    "case $last in\n"
    "-\\&*)\n"
    "	read -r out in <\"/proc/self/fd/${last#-&}\" || exit 2\n"
    "	n=$#\n"
    "	for arg; do\n"
    "		shift\n"
    "		[ $((n -= 1)) -eq 0 ] || set -- \"$@\" \"$arg\"\n"
    "	done\n"
    "	set -- \"$@\" \"$in\"\n"
    "	exec >\"$out\"\n"
    "	echo $$\n"
    "esac\n";

/* gpg-agent and gpgconf live where gpg lives. */
static char *beside_gpg(const void *ctx, const char *program)
{
	return mem_printf(ctx, "%.*s%s", (int)(strrchr(GPG_PATH, '/') + 1 - GPG_PATH), GPG_PATH, program);
}

static enum outcome put(struct pgp *p, const char *name, const char *text, mode_t mode, struct err *e)
{
	char *path = mem_printf(NULL, "%s/%s", p->home, name);
	enum outcome res = files_put_mode(path, bytes_str(text), mode, e);

	talloc_free(path);
	return res;
}

static enum outcome put_wrappers(struct pgp *p, struct err *e)
{
	char *tmp = mem_ctx(NULL);
	enum outcome res = OK;

	for (int i = 0; i < N_ENGINES && res == OK; i++)
		res = put(p, engines[i].name, mem_printf(tmp,
		    "#!/bin/sh\numask 077\ntrap '' HUP INT TERM\n%sulimit -S -t %u\nulimit -S -v %u\nexec '%s'%s \"$@\"\n",
		    i == ENGINE_DIRECT ? take_files : "", engines[i].cpu_s, engines[i].memory_kib, GPG_PATH,
		    engines[i].options), 0700, e);
	if (res == OK)
		res = put(p, "agent", mem_printf(tmp,
		    "#!/bin/sh\numask 077\nulimit -S -t \"$(ulimit -H -t)\"\nulimit -S -v \"$(ulimit -H -v)\"\nexec '%s' \"$@\"\n",
		    beside_gpg(tmp, "gpg-agent")), 0700, e);
	talloc_free(tmp);
	return res;
}

/* gpg would make a keybox. */
static enum outcome make_ring(struct pgp *p, struct err *e)
{
	char *ring = ring_path(NULL, p->home);
	enum outcome res = OK;

	if (access(ring, F_OK) < 0 && *p->own_fpr) {
		err_set(e, "the key ring %s is gone: restore %s from a backup", ring, p->home);
		res = REJECT;
	} else if (access(ring, F_OK) < 0) {
		res = files_put(ring, bytes_of(NULL, 0), e);
	}
	talloc_free(ring);
	return res;
}

enum outcome home_write(struct pgp *p, struct err *e)
{
	char *tmp = mem_ctx(NULL);
	char *conf = mem_printf(tmp, "%sagent-program %s/agent\n%s%s\n", gpg_conf, p->home,
	    *p->own_fpr ? "default-key " : "", p->own_fpr);
	enum outcome res = put(p, "gpg.conf", conf, 0600, e);
	if (res == OK)
		res = put(p, "gpg-agent.conf", agent_conf, 0600, e);
	if (res == OK)
		res = put_wrappers(p, e);
	if (res == OK)
		res = make_ring(p, e);
	if (res == OK)
		res = files_mkdir(p->ring_home, e);
	if (res == OK)
		res = put(p, "ring/gpg.conf", gpg_conf, 0600, e);
	talloc_free(tmp);
	return res;
}

int home_run(const char *home, const char *program, const char *arg, const char *arg2)
{
	char *tmp = mem_ctx(NULL);
	char *path = strchr(program, '/') ? mem_strdup(tmp, program) : beside_gpg(tmp, program);
	char *argv[] = { path, mem_strdup(tmp, "--homedir"), mem_strdup(tmp, home),
	    mem_strdup(tmp, arg), arg2 ? mem_strdup(tmp, arg2) : NULL, NULL };
	posix_spawn_file_actions_t quiet;
	pid_t pid;
	int status = -1;

	posix_spawn_file_actions_init(&quiet);
	for (int fd = 0; fd <= 2; fd++)
		posix_spawn_file_actions_addopen(&quiet, fd, "/dev/null", O_RDWR, 0);
	if (posix_spawn(&pid, path, &quiet, NULL, argv, environ) == 0) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	posix_spawn_file_actions_destroy(&quiet);
	talloc_free(tmp);
	return status;
}

/* Where there is no /run/user the agent's sockets lie in the home, and their names have a limit. */
static bool is_too_long(const char *home)
{
	char run[64];

	snprintf(run, sizeof(run), "/run/user/%u", (unsigned)getuid());
	return access(run, W_OK) < 0 && strlen(home) + strlen("/S.gpg-agent.browser") > LIMIT_SOCKET_PATH;
}

static int on_free(struct pgp *p)
{
	for (int i = 0; i < N_ENGINES; i++)
		while (p->n_stock[i])
			gpgme_release(p->stock[i][--p->n_stock[i]]);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->ring_lock);
	return 0;
}

struct pgp *home_blank(void)
{
	struct pgp *p = mem_zero(NULL, struct pgp);

	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->ring_lock, NULL);
	p->patience_ms = PATIENCE_MS;
	talloc_set_destructor(p, on_free);
	return p;
}

struct pgp *pgp_new(const char *home, const char *fpr, struct err *e)
{
	if (!gpgme_check_version("1.18.0")) {
		err_set(e, "GPGME is older than 1.18");
		return NULL;
	}
	if (is_too_long(home)) {
		err_set(e, "%s: too long a path for gpg-agent's sockets, at most %d octets", home,
		    LIMIT_SOCKET_PATH - (int)strlen("/S.gpg-agent.browser"));
		return NULL;
	}
	if (files_mkdir(home, e) != OK)
		return NULL;

	struct pgp *p = home_blank();
	p->home = realpath(home, NULL);
	if (!p->home) {
		err_sys(e, "%s", home);
		talloc_free(p);
		return NULL;
	}
	char *real = p->home;
	p->home = mem_strdup(p, real);
	p->ring_home = mem_printf(p, "%s/ring", real);
	free(real);
	if (fpr) {
		assert(strlen(fpr) == FPR_LEN - 1);
		memcpy(p->own_fpr, fpr, FPR_LEN);
	}
	if (home_write(p, e) != OK)
		talloc_free(p), p = NULL;
	return p;
}

void pgp_free(struct pgp **pp)
{
	if (!*pp)
		return;
	clerks_free(&(*pp)->clerks);
	home_run((*pp)->home, "gpgconf", "--kill", "gpg-agent");
	talloc_free(*pp);
	*pp = NULL;
}

const char *pgp_own_fpr(const struct pgp *p)
{
	return *p->own_fpr ? p->own_fpr : NULL;
}

const char *home_of(const struct pgp *p, enum engine engine)
{
	return engine == ENGINE_RING ? p->ring_home : p->home;
}

char *home_engine(const void *ctx, const struct pgp *p, enum engine engine)
{
	if (p->sets_limits && engines[engine].small)
		return mem_strdup(ctx, GPG_PATH);
	return mem_printf(ctx, "%s/%s", p->home, engines[engine].name);
}
