/*
 * Start and stop, the sessions, and what reaches them from elsewhere: changes
 * of the store (one watcher for all, each session keeps three flags), ends of
 * pulls by ticket, commits and jobs by reference.
 */
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "way/imap/session.h"

/* ---- references ---- */

struct imap_ref *imap_ref_new(struct imap_session *s, void (*fn)(struct imap_session *, bool ok))
{
	struct imap_ref *r = mem_zero(NULL, struct imap_ref);

	r->imap = s->imap;
	r->session = s->id;
	r->serial = s->cmd ? s->cmd->serial : 0;
	r->fn = fn;
	LIST_INSERT_HEAD(&s->imap->refs, r, entry);
	return r;
}

struct imap_session *imap_ref_session(const struct imap_ref *r)
{
	struct imap_session *s = r->imap ? imap_session_find(r->imap, r->session) : NULL;

	return s && !s->ending && s->cmd && s->cmd->serial == r->serial ? s : NULL;
}

void imap_ref_free(struct imap_ref **r)
{
	if (!*r)
		return;
	if ((*r)->imap)
		LIST_REMOVE(*r, entry);
	talloc_free(*r);
	*r = NULL;
}

struct imap_session *imap_session_find(struct imap *imap, uint64_t id)
{
	struct imap_session *s = NULL;

	HASH_FIND(hh, imap->by_id, &id, sizeof(id), s);
	return s;
}

/* ---- changes ---- */

static void tell_idle(struct imap_session *s, bool ok)
{
	s->told_soon = false;
	if (!ok)
		return;
	if (imap_tell(s, true, false))
		s->view->told_aside = true;	/* it may cross a DONE */
	imap_flush(s);
}

/* Who idles hears of it when it is on disk, once for all that came together. */
static void news(struct imap_session *s)
{
	if (!s->cmd || !s->cmd->tells || s->told_soon || s->ending)
		return;
	s->told_soon = true;
	imap_when_durable(s, tell_idle);
}

#define EACH_IN(s, imap, box) \
	TAILQ_FOREACH(s, &(imap)->sessions, entry) \
		if ((s)->view && (s)->view->mailbox == (box)->id)

static void on_added(void *arg, struct mailbox *box, const struct message *m)
{
	struct imap *imap = (struct imap *)arg;
	struct imap_session *s;

	(void)m;
	EACH_IN(s, imap, box) {
		s->view->has_added = true;
		news(s);
	}
}

static void on_changed(void *arg, struct mailbox *box)
{
	struct imap *imap = (struct imap *)arg;
	struct imap_session *s;

	EACH_IN(s, imap, box) {
		if (s->id == imap->quiet)
			continue;
		s->view->has_changed = true;
		news(s);
	}
}

static void on_expunged(void *arg, struct mailbox *box, const struct message *was, bool last)
{
	struct imap *imap = (struct imap *)arg;
	struct imap_session *s;

	(void)was;
	(void)last;
	EACH_IN(s, imap, box) {
		s->view->has_expunged = true;
		news(s);
	}
}

static void on_mailbox_gone(void *arg, uint64_t mailbox)
{
	struct imap *imap = (struct imap *)arg;
	struct imap_session *s;

	TAILQ_FOREACH(s, &imap->sessions, entry) {
		if (!s->view || s->view->mailbox != mailbox)
			continue;
		if (s->id == imap->quiet)
			imap_deselect(s);
		else
			imap_end(s, "Selected mailbox was deleted");
	}
}

static void on_committed(void *arg)
{
	struct imap *imap = (struct imap *)arg;
	struct imap_session *s;

	TAILQ_FOREACH(s, &imap->sessions, entry)
		imap_release(s, store_commit_durable(imap->store));
	imap->n_appends = 0;
}

/* What sessions know, or were about to tell, is untrue now: they have to start anew. */
static void on_undone(void *arg)
{
	struct imap *imap = (struct imap *)arg;
	struct imap_session *s;

	TAILQ_FOREACH(s, &imap->sessions, entry) {
		if (s->view || s->is_held)
			imap_undo(s);
	}
	imap->n_appends = 0;
}

/* ---- life ---- */

static const char full[] = "* BYE Too many connections\r\n", stopping[] = "* BYE Server is stopping\r\n";

/* A last word to who is not waited for, if the socket takes it. */
static void say_bye(const struct imap_session *s, const char *text)
{
	if (!conn_is_tls(s->conn) && !conn_is_deflated(s->conn) && conn_unsent(s->conn) == 0 && !s->ending && write(conn_fd(s->conn), text, strlen(text)) < 0)
		log_debug("imap=%llu gone before BYE", (unsigned long long)s->id);
}

/* The oldest of those that failed to log in, else of those that have not. */
static struct imap_session *find_lingerer(struct imap *imap)
{
	struct imap_session *s, *oldest = NULL;

	TAILQ_FOREACH(s, &imap->sessions, entry) {
		if (s->is_proven)
			continue;
		if (s->failures > 0)
			return s;
		oldest = oldest ? oldest : s;
	}
	return oldest;
}

/* Connections that idle or guess lock nobody out: a password that waits is looked at before its session goes. */
static void evict(struct imap *imap)
{
	struct imap_session *s = find_lingerer(imap);

	while (s && imap_auth_look(s))
		s = find_lingerer(imap);
	if (!s)
		return;
	say_bye(s, full);
	log_info("imap=%llu state=closed why=makes room", (unsigned long long)s->id);
	imap_session_free(&s);
}

static void on_accept(void *arg, int fd)
{
	struct imap *imap = (struct imap *)arg;

	if (imap->n_sessions >= LIMIT_IMAP_SESSIONS)
		evict(imap);
	if (imap->n_sessions >= LIMIT_IMAP_SESSIONS) {
		if (write(fd, full, sizeof(full) - 1) < 0)
			log_debug("imap=0 full peer gone");
		close(fd);
		return;
	}
	imap_session_open(imap, fd);
}

static enum outcome open_listeners(struct imap *imap, struct err *e)
{
	imap->listeners = mem_zero_array(imap, struct listener *, imap->settings.n_listen + 1);
	for (size_t i = 0; i < imap->settings.n_listen; i++) {
		struct listener *l = listener_new(imap->loop, imap->settings.listen[i], on_accept, imap, e);

		if (!l)
			return RETRY;
		imap->listeners[imap->n_listeners++] = l;
	}
	return OK;
}

struct imap *imap_start(struct loop *loop, struct pool *pool, struct store *store, const struct imap_settings *settings,
    const struct imap_hooks *hooks, struct err *e)
{
	struct imap *imap = mem_zero(NULL, struct imap);
	const struct store_watcher watcher = {
		.added = on_added, .changed = on_changed, .expunged = on_expunged,
		.mailbox_gone = on_mailbox_gone, .committed = on_committed, .undone = on_undone, .arg = imap,
	};

	imap->loop = loop;
	imap->pool = pool;
	imap->store = store;
	imap->settings = *settings;
	imap->hooks = *hooks;
	TAILQ_INIT(&imap->sessions);
	LIST_INIT(&imap->refs);
	LIST_INIT(&imap->appending);
	store_watch(store, &watcher);
	if (open_listeners(imap, e) != OK)
		imap_stop(&imap);
	return imap;
}

void imap_stop(struct imap **imap)
{
	struct imap *i = *imap;
	struct imap_session *s, *next_s;
	struct imap_ref *r;

	if (!i)
		return;
	for (size_t n = 0; n < i->n_listeners; n++)
		listener_free(&i->listeners[n]);
	i->is_stopping = true;
	imap_append_stop(i);
	store_unwatch(i->store, i);
	for (s = TAILQ_FIRST(&i->sessions); s; s = next_s) {
		next_s = TAILQ_NEXT(s, entry);
		/* The loop will not turn again for us. */
		say_bye(s, stopping);
		imap_session_free(&s);
	}
	LIST_FOREACH(r, &i->refs, entry)
		r->imap = NULL;
	talloc_free(i);
	*imap = NULL;
}

unsigned imap_port(const struct imap *imap)
{
	return imap->n_listeners > 0 ? listener_port(imap->listeners[0]) : 0;
}
