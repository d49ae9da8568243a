/*
 * The job reads and writes the opening alone, the loop leaves it alone
 * meanwhile but for the feed, sealed.whole and arg. What ended unwanted is undone
 * by a hook: its file is durable by then.
 */
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "way/fetch/opening.h"
#include "way/fetch/pull.h"

static void open_head_work(struct opening *o)
{
	struct fetch_parts *parts = &o->fetch->parts;
	struct fetch_result *r = &o->result;
	struct head *head = NULL;

	r->res = parts->unseal_head_work(o, parts->pgp, o->head, &o->order, &head, &o->err);
	if (r->res == OK && memcmp(head->hash, o->order.hash, 32) != 0) {
		err_set(&o->err, "the head object belongs to another message");
		r->res = REJECT;
	}
	if (r->res != OK)
		return;
	o->opened = head;
	if (head->skeleton.text.len > 0) {
		r->mime = mime_from_skeleton(o, head->skeleton.text, head->skeleton.parts, o->order.size, &o->err);
		r->res = r->mime != NULL ? OK : REJECT;
	}
}

static void open_work(void *arg)
{
	struct opening *o = arg;
	struct fetch_parts *parts = &o->fetch->parts;
	struct fetch_result *r = &o->result;

	if (o->is_head)
		open_head_work(o);
	else
		r->res = parts->unseal_work(o, parts->pgp, &o->sealed, parts->inbox, &o->order, &r->mime, &o->err);
	if (r->res == OK && r->mime != NULL) {
		r->envelope = mime_envelope(o, r->mime);
		r->body = mime_body(o, r->mime);
		r->bodystructure = mime_bodystructure(o, r->mime);
	}
}

static void opening_free(struct opening *o)
{
	feed_free(&o->feed);
	if (!o->is_stream && o->sealed.fd >= 0)
		close(o->sealed.fd);
	explicit_bzero(o->order.key, sizeof(o->order.key));
	talloc_free(o);
}

static void open_ended(struct opening *o)
{
	o->ended = true;
	o->fetch->n_streams -= o->is_stream;
	feed_free(&o->feed);
}

static void open_done(void *arg)
{
	struct opening *o = arg;
	struct fetch *f = o->fetch;

	open_ended(o);
	if (o->arg != NULL) {
		o->done(o->arg, o);
	} else {
		if (o->result.res == OK && !o->is_head)
			f->hooks.unwanted(f->hooks.arg, o->order.digest);
		opening_free(o);
	}
	fetch_place_is_free(f);
}

/* At the end of the pool. He who wants it frees it. */
static void open_drop(void *arg)
{
	struct opening *o = arg;

	open_ended(o);
	if (o->arg == NULL)
		opening_free(o);
}

static const struct pool_job job = { open_work, open_done, open_drop };

static struct opening *opening_new(struct fetch *f, const struct fetch_order *order,
    void (*done)(void *arg, struct opening *), void *arg)
{
	struct opening *o = mem_zero(NULL, struct opening);

	o->fetch = f;
	o->order = *order;
	o->order.fpr = mem_strdup(o, order->fpr);
	o->order.sender = mem_strdup(o, order->sender);
	o->order.sources = NULL;
	o->order.n_sources = 0;
	o->sealed.fd = -1;
	o->done = done;
	o->arg = arg;
	return o;
}

struct opening *opening_head(struct fetch *f, const struct fetch_order *order, struct bytes octets,
    void (*done)(void *arg, struct opening *), void *arg)
{
	struct opening *o = opening_new(f, order, done, arg);

	o->is_head = true;
	o->head = bytes_dup(o, octets);
	pool_submit(f->parts.pool, POOL_SOON, &job, o);
	return o;
}

struct opening *opening_file(struct fetch *f, const struct fetch_order *order, int fd,
    void (*done)(void *arg, struct opening *), void *arg)
{
	struct opening *o = opening_new(f, order, done, arg);

	o->sealed.fd = fd;
	atomic_store(&o->sealed.whole, true);
	pool_submit(f->parts.pool, POOL_SOON, &job, o);
	return o;
}

static void on_room(void *arg)
{
	struct opening *o = arg;

	if (o->arg != NULL)
		o->room(o->arg);
}

struct opening *opening_stream(struct fetch *f, const struct fetch_order *order, void (*done)(void *arg, struct opening *),
    void (*room)(void *arg), void *arg, struct err *e)
{
	struct opening *o = opening_new(f, order, done, arg);

	o->feed = feed_new(f->parts.loop, on_room, o, e);
	if (o->feed == NULL) {
		opening_free(o);
		return NULL;
	}
	o->is_stream = true;
	o->room = room;
	o->sealed.fd = feed_fd(o->feed);
	f->n_streams++;
	pool_submit(f->streams, POOL_SOON, &job, o);
	return o;
}

void opening_finish(struct opening *o, bool whole)
{
	if (o->feed == NULL)
		return;
	atomic_store(&o->sealed.whole, whole);
	if (whole)
		feed_end(o->feed);
	else
		feed_cut(o->feed);
}

void opening_drop(struct opening **op)
{
	struct opening *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	o->arg = NULL;
	if (o->ended)
		opening_free(o);
	else if (o->feed != NULL && !atomic_load(&o->sealed.whole))
		feed_cut(o->feed);
}

bool opening_has_place(const struct fetch *f)
{
	return f->n_streams < MAX_STREAMS;
}
