/*
 * SEARCH: what is in RAM and in skeletons is decided on the loop, in slices.
 * What hangs on a body goes in batches to a worker, which reads the files; a
 * body that is not here has no text, and nothing is pulled for it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/mime/mime.h"
#include "way/imap/flags.h"
#include "way/imap/search.h"
#include "way/imap/session.h"
#include "way/imap/text.h"

enum { BATCH = 64, BATCH_OCTETS = 1024 * 1024 };

struct item {
	struct imap_facts facts;
	char *path;
	struct bytes skeleton;
	const char *parts;
	bool hit;
	/* While a worker is at it. */
	struct mime *mime;
	int fd;
};

struct batch {
	struct imap_ref *ref;
	struct imap_key *key;
	struct item items[BATCH];
	size_t n, octets;
};

struct search {
	struct imap_walk walk;
	struct imap_span all;
	struct imap_key *key;
	uint32_t *found;		/* numbers or UIDs */
	size_t n, size;
	struct batch *batch;		/* being filled; its own top-level context */
};

static void go_on(struct imap_session *);

static int drop_batch(struct search *x)
{
	talloc_free(x->batch);
	return 0;
}

static void hit(struct imap_session *s, struct search *x, const struct imap_facts *f)
{
	if (x->n == x->size) {
		x->size = x->size ? x->size * 2 : 64;
		x->found = mem_resize(x, x->found, uint32_t, x->size);
	}
	x->found[x->n++] = s->cmd->verb->flags & BY_UID ? f->uid : f->seq;
}

/* ---- files: on a worker ---- */

static bool in_body(void *arg, const char *text)
{
	struct item *it = (struct item *)arg;

	return it->mime && it->fd >= 0 && imap_text_in_body(it->mime, it->fd, text);
}

static void work(void *arg)
{
	struct batch *b = (struct batch *)arg;
	struct err e;

	for (size_t i = 0; i < b->n; i++) {
		struct item *it = &b->items[i];

		it->fd = open(it->path, O_RDONLY | O_CLOEXEC);
		it->mime = mime_from_skeleton(b, it->skeleton, it->parts, it->facts.size, &e);
		it->facts.body = in_body;
		it->facts.body_arg = it;
		it->hit = imap_search_eval(b->key, &it->facts) == ANSWER_YES;
		if (it->fd >= 0)
			close(it->fd);
		TALLOC_FREE(it->mime);
	}
}

static void drop(void *arg)
{
	struct batch *b = (struct batch *)arg;

	imap_ref_free(&b->ref);
	talloc_free(b);
}

static void done(void *arg)
{
	struct batch *b = (struct batch *)arg;
	struct imap_session *s = imap_ref_session(b->ref);

	if (s) {
		for (size_t i = 0; i < b->n; i++)
			if (b->items[i].hit)
				hit(s, (struct search *)s->cmd->state, &b->items[i].facts);
		go_on(s);
	}
	drop(b);
}

static void submit(struct imap_session *s, struct search *x)
{
	static const struct pool_job search_job = { .work = work, .done = done, .drop = drop };
	struct batch *b = x->batch;

	x->batch = NULL;
	b->ref = imap_ref_new(s, NULL);
	pool_submit(s->imap->pool, POOL_SOON, &search_job, b);
}

/* true: the batch is full. */
static bool put_off(struct imap_session *s, struct search *x, const struct imap_facts *f, const struct content *c)
{
	if (!x->batch) {
		x->batch = mem_zero(NULL, struct batch);
		x->batch->key = imap_search_dup(x->batch, x->key);
	}
	struct batch *b = x->batch;
	struct item *it = &b->items[b->n++];

	it->facts = *f;
	it->skeleton = bytes_dup(b, c->skeleton);
	it->facts.header = bytes_of(it->skeleton.data, f->header.len);
	it->parts = mem_strdup(b, c->parts ? c->parts : "");
	it->path = store_content_path(s->imap->store, b, c->id);
	b->octets += c->skeleton.len;
	return b->n == BATCH || b->octets > BATCH_OCTETS;
}

/* ---- rows: on the loop ---- */

static bool no_body(void *arg, const char *text)
{
	(void)arg;
	(void)text;
	return false;
}

/* The header block at the front of a skeleton. */
static struct bytes header_of(struct bytes skeleton)
{
	if (skeleton.len == 0)
		return skeleton;
	const uint8_t *end = (const uint8_t *)memmem(skeleton.data, skeleton.len, "\r\n\r\n", 4);

	return end ? bytes_of(skeleton.data, (size_t)(end - skeleton.data) + 4) : skeleton;
}

/* true: submit the batch now. */
static bool do_message(struct imap_session *s, struct search *x, size_t index)
{
	struct mailbox *box = imap_box(s);
	const struct message *m = box ? store_message_find(box, s->view->uids[index]) : NULL;
	bool full = false;

	if (!m)
		return false;
	struct imap_facts f = {
		.seq = (uint32_t)index + 1, .uid = m->uid, .flags = imap_view_flags(s->view, m),
		.keywords = m->keywords, .size = m->size, .internal_ms = m->internal_ms,
	};
	enum imap_answer a = imap_search_eval(x->key, &f);

	if (a == ANSWER_MAYBE) {
		void *ctx = mem_ctx(NULL);
		struct content *c = store_content_find(s->imap->store, ctx, m->content);

		f.has_header = true;
		f.header = c ? header_of(c->skeleton) : bytes_of("", 0);
		if (!c || c->place == PLACE_NONE)
			f.body = no_body;
		a = imap_search_eval(x->key, &f);
		if (a == ANSWER_MAYBE && c)
			full = put_off(s, x, &f, c);
		talloc_free(ctx);
	}
	if (a == ANSWER_YES)
		hit(s, x, &f);
	return full;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = (const uint32_t *)a, *y = (const uint32_t *)b;

	return *x < *y ? -1 : *x > *y;
}

static void answer(struct imap_session *s, struct search *x)
{
	/* Hits of workers came later than those of the loop. */
	if (x->n > 0)
		qsort(x->found, x->n, sizeof(x->found[0]), by_number);
	buf_adds(s->out, "* SEARCH");
	for (size_t i = 0; i < x->n; i++) {
		buf_adds(s->out, " ");
		imap_add_number(s->out, x->found[i]);
	}
	buf_adds(s->out, "\r\n");
	imap_finish(s, "OK Search completed");
}

static void go_on(struct imap_session *s)
{
	struct search *x = (struct search *)s->cmd->state;
	int64_t started = clock_mono_ms();
	size_t i;

	while (imap_walk_next(&x->walk, &i)) {
		if (do_message(s, x, i)) {
			submit(s, x);
			return;
		}
		if (imap_is_slice_over(s, started)) {
			imap_yield(s, go_on);
			return;
		}
	}
	if (x->batch)
		submit(s, x);
	else
		answer(s, x);
}

/* Sets and keywords get their meaning in this mailbox. */
static void bind(void *arg, struct imap_key *k)
{
	struct imap_session *s = (struct imap_session *)arg;
	uint32_t last_uid = s->view->n > 0 ? s->view->uids[s->view->n - 1] : 0;

	if (k->kind == KEY_SEQ)
		imap_seqset_resolve(&k->set, (uint32_t)s->view->n);
	else if (k->kind == KEY_UID)
		imap_seqset_resolve(&k->set, last_uid);
	else if (k->kind == KEY_KEYWORD)
		k->number = imap_flags_find(s->imap->store, k->name);
}

void imap_cmd_search(struct imap_session *s, struct imap_cmd *c)
{
	struct search *x = mem_zero(c, struct search);
	const struct imap_arg *args = c->args;
	size_t n = c->n_args;
	const char *error = NULL;

	talloc_set_destructor(x, drop_batch);
	c->state = x;
	if (n >= 2 && args[0].kind == IMAP_ATOM && strcasecmp(args[0].text, "CHARSET") == 0) {
		const char *charset = imap_arg_text(s, &args[1]);

		if (!charset)
			return;
		if (strcasecmp(charset, "UTF-8") != 0 && strcasecmp(charset, "US-ASCII") != 0) {
			imap_finish(s, "NO [BADCHARSET (US-ASCII UTF-8)] Charset is not known");
			return;
		}
		args += 2;
		n -= 2;
	}
	x->key = imap_search_parse(x, args, n, &error);
	if (!x->key) {
		imap_finish(s, "BAD %s", error);
		return;
	}
	imap_search_each(x->key, bind, s);
	x->all = (struct imap_span){ 0, s->view->n };
	x->walk = (struct imap_walk){ .spans = &x->all, .n = 1 };
	go_on(s);
}
