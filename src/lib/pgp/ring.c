/*
 * Other people's keys come and go while other gpg processes run, and gpg
 * changes its key ring by moving the old file away before the new one is
 * there: who looks in between finds no key at all, not even ours. So gpg
 * changes a copy in a home of its own, and the copy takes the ring's place by
 * one rename. One change at a time.
 *
 * The ring is gpg's older kind, a row of packets, because that one remembers
 * that a key's own signatures are good. With a keybox gpg checks them in each
 * process, our own key's and the other's: half of its time for a small message.
 * But gpg looks for a key in the row, opens the file anew and goes to where the
 * key was: when the row is another one by then it finds nonsense. So changes
 * are counted, and what gpg refused during one is done again.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/pgp/work.h"

enum { LIMIT_RING = 255 * 1024 * 1024 };

/* gpg takes the keybox when both are there. */
static const char keybox[] = "pubring.kbx", row[] = "pubring.gpg";

char *ring_path(const void *ctx, const char *home)
{
	char *ring = mem_printf(ctx, "%s/%s", home, keybox);

	if (access(ring, F_OK) == 0)
		return ring;
	talloc_free(ring);
	return mem_printf(ctx, "%s/%s", home, row);
}

enum outcome ring_remember(const struct pgp *p, const char *home, struct err *e)
{
	char *ring = ring_path(NULL, home), *gpg = mem_printf(NULL, "%s/gpg-ring", p->home);
	enum outcome res = OK;

	/* Nothing is remembered in a keybox. */
	if (strcmp(strrchr(ring, '/') + 1, keybox) != 0 && home_run(home, gpg, "--rebuild-keydb-caches", NULL) != 0) {
		err_set(e, "gpg cannot write %s", ring);
		res = RETRY;
	}
	talloc_free(ring);
	talloc_free(gpg);
	return res;
}

bool ring_is_doubtful(const struct pgp *p, unsigned before, enum outcome res, const struct pgp_verdict *v)
{
	return before != atomic_load(&p->ring_changes) && (res == REJECT || (res == OK && v && v->signer == PGP_UNKNOWN));
}

enum outcome ring_doubt(struct err *e)
{
	err_set(e, "the key ring was changed meanwhile");
	return RETRY;
}

static enum outcome copy_ring(const char *ring, const char *home, const char *copy, struct err *e)
{
	char *tmp = mem_ctx(NULL);
	struct bytes all;
	enum outcome res = files_get(tmp, ring, LIMIT_RING, &all, e);

	files_drop(mem_printf(tmp, "%s/%s", home, keybox));
	files_drop(mem_printf(tmp, "%s/%s", home, row));
	if (res == OK)
		res = files_put(copy, all, e);
	talloc_free(tmp);
	/* Without a ring nothing can be said of anybody's key. */
	return res == OK ? OK : RETRY;
}

enum outcome ring_open(struct ring *r, struct pgp *p, struct err *e)
{
	*r = (struct ring){ .work.pgp = p, .path = ring_path(NULL, p->home) };
	pthread_mutex_lock(&p->ring_lock);
	r->copy = mem_printf(NULL, "%s/%s", home_of(p, ENGINE_RING), strrchr(r->path, '/') + 1);
	enum outcome res = copy_ring(r->path, home_of(p, ENGINE_RING), r->copy, e);

	return res == OK ? work_start(&r->work, p, ENGINE_RING, e) : res;
}

enum outcome ring_keep(struct ring *r, struct err *e)
{
	struct pgp *p = r->work.pgp;
	enum outcome res = ring_remember(p, home_of(p, ENGINE_RING), e);

	if (res != OK)
		return res;
	int fd = open(r->copy, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		err_sys(e, "open %s", r->copy);
		return RETRY;
	}
	atomic_fetch_add(&p->ring_changes, 1);
	res = files_keep(fd, r->copy, r->path, e);
	atomic_fetch_add(&p->ring_changes, 1);
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
