/*
 * Other people's keys come and go while other gpg processes run, and gpg
 * changes its key ring by moving the old file away before the new one is
 * there: who looks in between finds no key at all, not even ours. So gpg
 * changes a copy in a home of its own, and the copy takes the ring's place by
 * one rename: a reader has the old ring or the new one. One change at a time.
 *
 * The ring is gpg's older kind, a row of packets, because that one remembers
 * that a key's own signatures are good. With a keybox gpg checks them in each
 * process, our own key's and the other's: half of its time for a small message.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/pgp/work.h"

enum { LIMIT_RING = 255 * 1024 * 1024 };

char *ring_path(const void *ctx, const char *home)
{
	char *keybox = mem_printf(ctx, "%s/pubring.kbx", home), *ring = mem_printf(ctx, "%s/pubring.gpg", home);

	return access(ring, F_OK) < 0 && access(keybox, F_OK) == 0 ? keybox : ring;
}

enum outcome ring_remember(const char *home, struct err *e)
{
	if (home_run(home, "gpg", "--rebuild-keydb-caches", NULL) == 0)
		return OK;
	err_set(e, "gpg cannot write %s", home);
	return RETRY;
}

static enum outcome copy_ring(const char *ring, const char *copy, struct err *e)
{
	char *tmp = mem_ctx(NULL);
	struct bytes all;
	enum outcome res = files_get(tmp, ring, LIMIT_RING, &all, e);

	files_drop(copy);
	if (res == OK)
		res = files_put(copy, all, e);
	talloc_free(tmp);
	return res;
}

enum outcome ring_open(struct ring *r, struct pgp *p, struct err *e)
{
	*r = (struct ring){ .work.pgp = p, .path = ring_path(NULL, p->home) };
	pthread_mutex_lock(&p->ring_lock);
	r->copy = mem_printf(NULL, "%s/%s", home_of(p, ENGINE_RING), strrchr(r->path, '/') + 1);
	enum outcome res = copy_ring(r->path, r->copy, e);

	return res == OK ? work_start(&r->work, p, ENGINE_RING, e) : res;
}

enum outcome ring_keep(struct ring *r, struct err *e)
{
	enum outcome res = ring_remember(home_of(r->work.pgp, ENGINE_RING), e);

	if (res != OK)
		return res;
	int fd = open(r->copy, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		err_sys(e, "open %s", r->copy);
		return RETRY;
	}
	res = files_keep(fd, r->copy, r->path, e);
	close(fd);
	return res;
}

void ring_close(struct ring *r)
{
	struct pgp *p = r->work.pgp;

	work_end(&r->work);
	files_drop(r->copy);
	talloc_free(r->copy);
	talloc_free(r->path);
	pthread_mutex_unlock(&p->ring_lock);
}
