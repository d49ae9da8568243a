/*
 * Other people's keys come and go while other gpg processes run, and gpg
 * changes its key ring by moving the old file away before the new one is
 * there: who looks in between finds no key at all, not even ours. So gpg
 * changes a copy in a home of its own, and the copy takes the ring's place by
 * one rename: a reader has the old ring or the new one. One change at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/pgp/work.h"

enum { LIMIT_RING = 255 * 1024 * 1024 };

static const char file[] = "pubring.kbx";

static enum outcome copy_ring(struct pgp *p, const char *copy, struct err *e)
{
	char *tmp = mem_ctx(NULL);
	char *ring = mem_printf(tmp, "%s/%s", p->home, file);
	struct bytes all = { NULL, 0 };
	enum outcome res = files_get(tmp, ring, LIMIT_RING, &all, e);

	if (res == REJECT && errno == ENOENT)
		res = OK;
	files_drop(copy);
	if (res == OK && all.len > 0)
		res = files_put(copy, all, e);
	talloc_free(tmp);
	return res;
}

enum outcome ring_open(struct ring *r, struct pgp *p, struct err *e)
{
	*r = (struct ring){ .work.pgp = p };
	pthread_mutex_lock(&p->ring_lock);
	r->copy = mem_printf(NULL, "%s/%s", home_of(p, ENGINE_RING), file);
	enum outcome res = copy_ring(p, r->copy, e);

	return res == OK ? work_start(&r->work, p, ENGINE_RING, e) : res;
}

enum outcome ring_keep(struct ring *r, struct err *e)
{
	char *ring = mem_printf(NULL, "%s/%s", r->work.pgp->home, file);
	int fd = open(r->copy, O_RDONLY | O_CLOEXEC);
	enum outcome res = RETRY;

	if (fd < 0)
		err_sys(e, "open %s", r->copy);
	else
		res = files_keep(fd, r->copy, ring, e);
	if (fd >= 0)
		close(fd);
	talloc_free(ring);
	return res;
}

void ring_close(struct ring *r)
{
	struct pgp *p = r->work.pgp;

	work_end(&r->work);
	files_drop(r->copy);
	talloc_free(r->copy);
	pthread_mutex_unlock(&p->ring_lock);
}
