/* The station's life, and the making of ns values on a worker. */
#include <talloc.h>

#include "way/notify/make.h"
#include "way/notify/state.h"

/* Its own talloc context. */
struct making {
	struct notify *notify;
	uint64_t ticket;
	char *fpr;
	struct bytes *records;
	size_t n, n_made;
	struct bytes value;
	enum outcome res;
	struct err err;
};

static void making_work(void *arg)
{
	struct making *m = arg;

	m->res = make_value_work(m, m->notify->parts.pgp, m->fpr, m->records, m->n, &m->value, &m->n_made, &m->err);
}

static void making_done(void *arg)
{
	struct making *m = arg;
	struct notify *n = m->notify;

	n->hooks.made(n->hooks.arg, m->ticket, m->res, m->value, m->n_made, m->err.text);
	talloc_free(m);
}

static void making_drop(void *arg)
{
	talloc_free(arg);
}

void notify_make(struct notify *n, const char *fpr, const struct ns *const *ns, size_t n_ns, uint64_t ticket)
{
	static const struct pool_job job = { making_work, making_done, making_drop };
	struct making *m = talloc_zero(NULL, struct making);

	m->notify = n;
	m->ticket = ticket;
	m->fpr = talloc_strdup(m, fpr);
	m->records = talloc_array(m, struct bytes, n_ns);
	m->n = n_ns;
	for (size_t i = 0; i < n_ns; i++) {
		struct buf *record = buf_new(m, LIMIT_NS_PLAIN);

		ns_print(record, ns[i]);
		m->records[i] = buf_bytes(record);
	}
	pool_submit(n->parts.pool, POOL_SOON, &job, m);
}

struct notify *notify_start(const struct notify_parts *parts, const struct notify_settings *settings,
    const struct notify_hooks *hooks)
{
	struct notify *n = talloc_zero(NULL, struct notify);

	n->parts = *parts;
	n->settings = *settings;
	n->hooks = *hooks;
	hear_start(n);
	return n;
}

void notify_stop(struct notify **np)
{
	struct notify *n = *np;

	*np = NULL;
	if (n == NULL)
		return;
	hear_stop(n);
	send_stop(n);
	talloc_free(n);
}
