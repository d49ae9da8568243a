/*
 * Watchers. They may watch, unwatch and write from inside a call: one that has
 * left is only marked until nobody walks the list, and each is handed a copy
 * of the message, because the array may move below it.
 */
#include "lib/store/priv.h"

void store_watch(struct store *s, const struct store_watcher *w)
{
	struct watch_entry *we = mem_zero(s, struct watch_entry);

	we->w = *w;
	TAILQ_INSERT_TAIL(&s->watchers, we, link);
}

static void sweep(struct store *s)
{
	struct watch_entry *we, *next;

	if (s->watching > 0)
		return;
	for (we = TAILQ_FIRST(&s->watchers); we; we = next) {
		next = TAILQ_NEXT(we, link);
		if (we->dead) {
			TAILQ_REMOVE(&s->watchers, we, link);
			talloc_free(we);
		}
	}
}

void store_unwatch(struct store *s, void *arg)
{
	struct watch_entry *we;

	TAILQ_FOREACH(we, &s->watchers, link) {
		if (we->w.arg == arg)
			we->dead = true;
	}
	sweep(s);
}

#define EACH(s, member, ...) do { \
	struct watch_entry *we_; \
	(s)->watching++; \
	TAILQ_FOREACH(we_, &(s)->watchers, link) { \
		if (!we_->dead && we_->w.member) \
			we_->w.member(we_->w.arg, __VA_ARGS__); \
	} \
	(s)->watching--; \
	sweep(s); \
} while (0)

void watch_added(struct store *s, struct box *box, const struct message *m)
{
	struct message copy = *m;

	EACH(s, added, &box->pub, &copy);
}

void watch_changed(struct store *s, struct box *box)
{
	EACH(s, changed, &box->pub);
}

void watch_expunged(struct store *s, struct box *box, const struct message *was, bool last)
{
	EACH(s, expunged, &box->pub, was, last);
}

void watch_mailbox_gone(struct store *s, uint64_t id)
{
	EACH(s, mailbox_gone, id);
}

#define EACH_PLAIN(s, member) do { \
	struct watch_entry *we_; \
	(s)->watching++; \
	TAILQ_FOREACH(we_, &(s)->watchers, link) { \
		if (!we_->dead && we_->w.member) \
			we_->w.member(we_->w.arg); \
	} \
	(s)->watching--; \
	sweep(s); \
} while (0)

void watch_committed(struct store *s)
{
	EACH_PLAIN(s, committed);
}

void watch_undone(struct store *s)
{
	EACH_PLAIN(s, undone);
}
