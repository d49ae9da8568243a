/*
 * Listeners and the list of sessions. When it is full, one that has not logged in
 * makes room for the next: first who has failed to, then the oldest. A password
 * that waits to be looked at (auth.c) is looked at before its session goes. So
 * however many connections there are, idle or guessing, they do not lock the one
 * user out.
 */
#include "way/smtp/smtp.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "way/smtp/session.h"

/* The last words to somebody who is not waited for. */
static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool is_before(const struct smtp_session *a, const struct smtp_session *b)
{
	bool a_failed = a->auth_failures > 0, b_failed = b->auth_failures > 0;

	return a_failed != b_failed ? a_failed : a->id < b->id;
}

static struct smtp_session *find_lingerer(struct smtp *smtp)
{
	struct smtp_session *s, *first = NULL;

	LIST_FOREACH(s, &smtp->sessions, link)
		if (!s->is_proven && (!first || is_before(s, first)))
			first = s;
	return first;
}

static void make_room(struct smtp *smtp)
{
	struct smtp_session *s = find_lingerer(smtp);

	while (s && smtp_auth_look(s))
		s = find_lingerer(smtp);
	if (s)
		smtp_session_evict(s, "421 4.7.0 Too many connections\r\n");
}

static void on_accept(void *arg, int fd)
{
	struct smtp *smtp = arg;

	if (smtp->n_sessions >= LIMIT_SMTP_SESSIONS)
		make_room(smtp);
	if (smtp->n_sessions >= LIMIT_SMTP_SESSIONS) {
		if (smtp->set.tls_mode != TLS_ALWAYS)
			say(fd, "421 4.7.0 Too many connections\r\n");
		close(fd);
		return;
	}
	smtp_session_new(smtp, fd);
}

static void free_listeners(struct smtp *smtp)
{
	for (size_t i = 0; i < smtp->n_listeners; i++)
		listener_free(&smtp->listeners[i]);
	smtp->n_listeners = 0;
}

struct smtp *smtp_start(struct loop *loop, struct pool *pool, const struct smtp_settings *set,
    const struct smtp_hooks *hooks, struct err *e)
{
	struct smtp *smtp = mem_zero(NULL, struct smtp);

	smtp->loop = loop;
	smtp->pool = pool;
	smtp->set = *set;
	smtp->set.address = mem_strdup(smtp, set->address);
	smtp->set.spool = mem_strdup(smtp, set->spool);
	smtp->set.listen = NULL;
	smtp->hooks = *hooks;
	smtp->next_id = 1;
	/* Not used again after a restart: they are in answers and logs. */
	smtp->next_ticket = (uint64_t)clock_now_ms() * 1000;
	LIST_INIT(&smtp->sessions);
	smtp->listeners = mem_zero_array(smtp, struct listener *, set->n_listen + 1);
	for (size_t i = 0; i < set->n_listen; i++) {
		struct listener *l = listener_new(loop, set->listen[i], on_accept, smtp, e);
		if (!l) {
			free_listeners(smtp);
			talloc_free(smtp);
			return NULL;
		}
		smtp->listeners[smtp->n_listeners++] = l;
	}
	smtp->anchor = mem_zero(NULL, struct smtp_anchor);
	smtp->anchor->smtp = smtp;
	LIST_INIT(&smtp->anchor->jobs);
	return smtp;
}

void smtp_stop(struct smtp **smtpp)
{
	struct smtp *smtp = *smtpp;
	struct smtp_session *s;

	*smtpp = NULL;
	if (!smtp)
		return;
	free_listeners(smtp);
	while ((s = LIST_FIRST(&smtp->sessions))) {
		smtp_session_evict(s, "421 4.3.2 Shutting down\r\n");
	}
	smtp->anchor->smtp = NULL;
	if (LIST_EMPTY(&smtp->anchor->jobs))
		talloc_free(smtp->anchor);
	talloc_free(smtp);
}

unsigned smtp_port(const struct smtp *smtp)
{
	return smtp->n_listeners > 0 ? listener_port(smtp->listeners[0]) : 0;
}
