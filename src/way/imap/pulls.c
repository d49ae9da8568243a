/*
 * Sessions that wait for a body. So many pulls run at once (LIMIT_IMAP_PULLS),
 * the others wait for theirs in the order they asked, hearing of progress all
 * the same. Who asks for what is under way joins it at once and takes no place.
 */
#include <stddef.h>

#include "lib/base/limits.h"
#include "way/imap/session.h"

/* A session whose pull of this content runs; NULL: nobody's does. */
static struct imap_session *find_running(struct imap *imap, uint64_t content)
{
	struct imap_session *s;

	TAILQ_FOREACH(s, &imap->sessions, entry)
		if (s->ticket && s->pull_runs && s->pulling == content)
			return s;
	return NULL;
}

static void join(struct imap_session *s)
{
	s->pull_runs = true;
	s->imap->hooks.pull(s->imap->hooks.arg, s->pulling, s->ticket);
}

/* Takes a place; all who wait for the same come along. */
static void run(struct imap_session *first)
{
	struct imap *imap = first->imap;
	struct imap_session *s;

	first->pull_counts = true;
	imap->n_pulls++;
	join(first);
	TAILQ_FOREACH(s, &imap->sessions, entry)
		if (s->ticket && !s->pull_runs && s->pulling == first->pulling)
			join(s);
}

/* Who has waited longest, while there is room. */
static void run_next(struct imap *imap)
{
	struct imap_session *s, *first;

	while (imap->n_pulls < LIMIT_IMAP_PULLS && !imap->is_stopping) {
		first = NULL;
		TAILQ_FOREACH(s, &imap->sessions, entry)
			if (s->ticket && !s->pull_runs && (!first || s->ticket < first->ticket))
				first = s;
		if (!first)
			return;
		run(first);
	}
}

/* This session waits no more. */
static void leave(struct imap_session *s)
{
	struct imap *imap = s->imap;
	bool counts = s->pull_counts;

	s->ticket = 0;
	s->pull_runs = s->pull_counts = false;
	if (!counts)
		return;
	struct imap_session *other = find_running(imap, s->pulling);

	if (other)
		other->pull_counts = true;
	else
		imap->n_pulls--;
	run_next(imap);
}

void imap_pull_ask(struct imap_session *s, uint64_t content)
{
	s->ticket = ++s->imap->last_ticket;
	s->pulling = content;
	if (find_running(s->imap, content))
		join(s);
	else if (s->imap->n_pulls < LIMIT_IMAP_PULLS)
		run(s);
}

void imap_pull_drop(struct imap_session *s)
{
	if (s->ticket && s->pull_runs)
		s->imap->hooks.pull_forget(s->imap->hooks.arg, s->ticket);
	leave(s);
}

void imap_pull_done(struct imap *imap, uint64_t ticket, enum outcome res, const char *text)
{
	struct imap_session *s;

	TAILQ_FOREACH(s, &imap->sessions, entry) {
		if (s->ticket != ticket || ticket == 0)
			continue;
		leave(s);
		if (!s->ending)
			imap_fetch_pulled(s, res, text ? text : "");
		return;
	}
}
