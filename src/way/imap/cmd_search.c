/*
 * SEARCH: what is in RAM and in skeletons is decided on the loop, in slices.
 * What hangs on a body goes in batches to a worker, which reads the files, and
 * so does a header that takes long; a body that is not here has no text, and
 * nothing is pulled for it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/mime/mime.h"
#include "way/imap/flags.h"
#include "way/imap/found.h"
#include "way/imap/name.h"
#include "way/imap/search.h"
#include "way/imap/session.h"
#include "way/imap/text.h"

enum { BATCH = 64, BATCH_OCTETS = 1024 * 1024, LOOP_OCTETS = 256 * 1024, LOOKS = 8 /* messages between two looks at the clock */ };

struct item {
	struct imap_facts facts;
	struct bytes octets;		/* of a small one */
	char *path;			/* NULL: it is small, or not here */
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

enum { RETURN_MIN = 1, RETURN_MAX = 2, RETURN_ALL = 4, RETURN_COUNT = 8, RETURN_SAVE = 16 };

/* What SEARCH itself is asked for. */
struct wish {
	bool extended;			/* RETURN (...): RFC 4731 */
	unsigned wants;			/* RETURN_... */
	/* What is being answered. */
	const struct imap_found *found;
	size_t n, said;
	bool by_modseq;
};

struct search {
	struct imap_search who;
	bool by_modseq;			/* MODSEQ is among the keys */
	bool by_body;			/* BODY or TEXT is */
	size_t at;			/* of the last message, in the mailbox */
	size_t n_texts;			/* keys that look through a header */
	int64_t now_ms;
	struct imap_walk walk;
	struct imap_span all;
	struct imap_key *key;
	struct imap_found *found;
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
		x->found = mem_resize(x, x->found, struct imap_found, x->size);
	}
	x->found[x->n++] = (struct imap_found){
		.number = s->cmd->verb->flags & BY_UID ? f->uid : f->seq, .uid = f->uid, .modseq = f->modseq,
	};
}

/* ---- files: on a worker ---- */

static bool in_body(void *arg, const char *text)
{
	struct item *it = (struct item *)arg;

	return it->mime && it->fd >= 0 && imap_text_in_body(it->mime, it->fd, text);
}

static int open_item(const struct item *it)
{
	if (it->octets.data)
		return files_in_memory(it->octets);
	return it->path ? open(it->path, O_RDONLY | O_CLOEXEC) : -1;
}

static void work(void *arg)
{
	struct batch *b = (struct batch *)arg;
	struct err e;

	for (size_t i = 0; i < b->n; i++) {
		struct item *it = &b->items[i];

		it->fd = open_item(it);
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
	if (c->place != PLACE_NONE && c->size <= CONTENT_SMALL)
		it->octets = store_content_octets(s->imap->store, b, c->id);
	if (c->place != PLACE_NONE && !it->octets.data)
		it->path = store_content_path(s->imap->store, b, c->id);
	b->octets += it->skeleton.len + it->octets.len;
	return b->n == BATCH || b->octets > BATCH_OCTETS;
}

/* ---- rows: on the loop ---- */

static bool no_body(void *arg, const char *text)
{
	(void)arg;
	(void)text;
	return false;
}

struct bytes imap_header_of(struct bytes skeleton)
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
	const struct message *m = box ? store_message_near(box, s->view->uids[index], &x->at) : NULL;
	bool full = false;

	if (!m)
		return false;
	struct imap_facts f = {
		.seq = (uint32_t)index + 1, .uid = m->uid, .flags = imap_view_flags(s->view, m),
		.keywords = m->keywords, .size = m->size, .internal_ms = m->internal_ms,
		.now_ms = x->now_ms, .modseq = m->modseq, .content = m->content,
	};
	enum imap_answer a = imap_search_eval(x->key, &f);

	if (a == ANSWER_MAYBE) {
		struct content c;
		bool there = store_content_peek(s->imap->store, m->content, x->by_body ? PEEK_ROW | PEEK_SKELETON : PEEK_SKELETON, &c);

		f.has_header = true;
		f.header = there ? imap_header_of(c.skeleton) : bytes_of("", 0);
		if (!there || c.place == PLACE_NONE)
			f.body = no_body;
		if (f.header.len * x->n_texts < LOOP_OCTETS)
			a = imap_search_eval(x->key, &f);
		if (a == ANSWER_MAYBE && there)
			full = put_off(s, x, &f, &c);
	}
	if (a == ANSWER_YES)
		hit(s, x, &f);
	return full;
}

static int by_number(const void *a, const void *b)
{
	const struct imap_found *x = (const struct imap_found *)a, *y = (const struct imap_found *)b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static bool is_sorted(const struct imap_found *found, size_t n)
{
	size_t i = 1;

	while (i < n && found[i - 1].number < found[i].number)
		i++;
	return i >= n;
}

static void finish_search(struct imap_session *s, struct search *x)
{
	/* Hits of workers came later than those of the loop. */
	if (!is_sorted(x->found, x->n))
		qsort(x->found, x->n, sizeof(x->found[0]), by_number);
	x->who.done(s, x->who.arg, x->found, x->n, x->by_modseq);
}

static void go_on(struct imap_session *s)
{
	struct search *x = (struct search *)s->cmd->state;
	int64_t started = clock_mono_ms();
	size_t i, n = 0;

	while (imap_walk_next(&x->walk, &i)) {
		if (do_message(s, x, i)) {
			submit(s, x);
			return;
		}
		if (++n % LOOKS == 0 && imap_is_slice_over(s, started)) {
			imap_yield(s, go_on);
			return;
		}
	}
	if (x->batch)
		submit(s, x);
	else
		finish_search(s, x);
}

/* Sets and keywords get their meaning in this mailbox. */
/* "$" as the UIDs it stands for. */
static void bind_saved(struct imap_session *s, struct imap_key *k)
{
	const struct imap_view *v = s->view;

	k->set.n = 0;
	k->set.ranges = mem_array(k, struct imap_range, v->n_saved + 1);
	for (size_t i = 0; i < v->n_saved; i++)
		k->set.ranges[k->set.n++] = (struct imap_range){ v->saved[i], v->saved[i] };
}

static void bind(void *arg, struct imap_key *k)
{
	struct imap_session *s = (struct imap_session *)arg;
	uint32_t last_uid = s->view->n > 0 ? s->view->uids[s->view->n - 1] : 0;

	if (k->saved)
		bind_saved(s, k);
	else if (k->kind == KEY_SEQ)
		imap_seqset_resolve(&k->set, (uint32_t)s->view->n);
	else if (k->kind == KEY_UID)
		imap_seqset_resolve(&k->set, last_uid);
	else if (k->kind == KEY_KEYWORD)
		k->number = imap_flags_find(s->imap->store, k->name);
	else if (k->kind == KEY_MODSEQ)
		((struct search *)s->cmd->state)->by_modseq = true;
	else if (k->kind == KEY_BODY)
		((struct search *)s->cmd->state)->by_body = true;
	else if (k->kind == KEY_HEADER || k->kind == KEY_TEXT || k->kind == KEY_SENT_ON || k->kind == KEY_SENT_BEFORE ||
	    k->kind == KEY_SENT_SINCE) {
		((struct search *)s->cmd->state)->n_texts++;
		((struct search *)s->cmd->state)->by_body |= k->kind == KEY_TEXT;
	}
}

static bool knows(const char *charset)
{
	return strcasecmp(charset, "UTF-8") == 0 || strcasecmp(charset, "US-ASCII") == 0;
}

void imap_search_run(struct imap_session *s, const struct imap_search *who)
{
	struct search *x = mem_zero(s->cmd, struct search);
	const char *error = NULL;

	talloc_set_destructor(x, drop_batch);
	s->cmd->state = x;
	x->who = *who;
	if (who->charset && !knows(who->charset)) {
		imap_finish(s, "NO [BADCHARSET (US-ASCII UTF-8)] Charset is not known");
		return;
	}
	x->key = imap_search_parse(x, who->keys, who->n_keys, &error);
	if (!x->key) {
		imap_finish(s, "BAD %s", error);
		return;
	}
	x->now_ms = clock_now_ms();
	imap_search_each(x->key, bind, s);
	if (x->by_modseq)
		imap_enable_condstore(s);
	x->all = (struct imap_span){ 0, s->view->n };
	x->walk = (struct imap_walk){ .spans = &x->all, .n = 1 };
	go_on(s);
}

/* ---- SEARCH ---- */

/* Highest mod-sequence of what is told: of all, or of the first and the last (RFC 4731 section 3.2). */
static uint64_t highest(const struct wish *w, const struct imap_found *found, size_t n)
{
	uint64_t max = 0;
	bool ends = w->extended && !(w->wants & (RETURN_ALL | RETURN_COUNT));

	for (size_t i = 0; i < n; i++) {
		if (ends && !(w->wants & RETURN_MIN && i == 0) && !(w->wants & RETURN_MAX && i == n - 1))
			continue;
		if (found[i].modseq > max)
			max = found[i].modseq;
	}
	return max;
}

/* With MIN or MAX alone "$" is that message, else all that was found (RFC 5182 section 2.4). */
static void save(struct imap_session *s, const struct wish *w, const struct imap_found *found, size_t n)
{
	struct imap_view *v = s->view;
	bool ends = w->wants & (RETURN_MIN | RETURN_MAX) && !(w->wants & (RETURN_ALL | RETURN_COUNT));

	TALLOC_FREE(v->saved);
	v->n_saved = 0;
	if (n == 0)
		return;
	v->saved = mem_array(v, uint32_t, n);
	for (size_t i = 0; i < n; i++)
		if (!ends || (w->wants & RETURN_MIN && i == 0) || (w->wants & RETURN_MAX && i == n - 1))
			v->saved[v->n_saved++] = found[i].uid;
}

static void add_all(struct imap_session *s, const struct imap_found *found, size_t n)
{
	uint32_t *numbers = mem_array(s->cmd, uint32_t, n);

	for (size_t i = 0; i < n; i++)
		numbers[i] = found[i].number;
	buf_adds(s->out, " ALL ");
	imap_seqset_print(s->out, numbers, n);
}

static void answer_extended(struct imap_session *s, const struct wish *w, const struct imap_found *found, size_t n,
    bool by_modseq)
{
	struct buf *out = s->out;

	if (w->wants & RETURN_SAVE)
		save(s, w, found, n);
	if (w->wants == RETURN_SAVE) {
		imap_finish(s, "OK Search completed, result saved");
		return;
	}
	buf_adds(out, "* ESEARCH (TAG ");
	imap_string_print(out, s->cmd->tag, strlen(s->cmd->tag));
	buf_adds(out, s->cmd->verb->flags & BY_UID ? ") UID" : ")");
	if (w->wants & RETURN_MIN && n > 0)
		buf_addf(out, " MIN %u", (unsigned)found[0].number);
	if (w->wants & RETURN_MAX && n > 0)
		buf_addf(out, " MAX %u", (unsigned)found[n - 1].number);
	if (w->wants & RETURN_COUNT)
		buf_addf(out, " COUNT %zu", n);
	if (w->wants & RETURN_ALL && n > 0)
		add_all(s, found, n);
	if (by_modseq && n > 0)
		buf_addf(out, " MODSEQ %llu", (unsigned long long)highest(w, found, n));
	buf_adds(out, "\r\n");
	imap_finish(s, "OK Search completed");
}

/* One line, however long, in slices. */
static void say(struct imap_session *s)
{
	struct wish *w = (struct wish *)((struct search *)s->cmd->state)->who.arg;
	int64_t started = clock_mono_ms();

	while (w->said < w->n) {
		buf_adds(s->out, " ");
		imap_add_number(s->out, w->found[w->said++].number);
		if (s->out->len < KIB(32))
			continue;
		imap_flush(s);
		if (imap_is_slice_over(s, started)) {
			imap_yield(s, say);
			return;
		}
	}
	if (w->by_modseq && w->n > 0)
		buf_addf(s->out, " (MODSEQ %llu)", (unsigned long long)highest(w, w->found, w->n));
	buf_adds(s->out, "\r\n");
	imap_finish(s, "OK Search completed");
}

static void answer(struct imap_session *s, void *arg, struct imap_found *found, size_t n, bool by_modseq)
{
	struct wish *w = (struct wish *)arg;

	if (w->extended) {
		answer_extended(s, w, found, n, by_modseq);
		return;
	}
	w->found = found;
	w->n = n;
	w->by_modseq = by_modseq;
	buf_adds(s->out, "* SEARCH");
	say(s);
}

/* "(MIN MAX)" after RETURN; nothing means ALL. */
static bool parse_return(struct wish *w, const struct imap_arg *list)
{
	static const struct { const char *name; unsigned bit; } options[] = {
		{ "MIN", RETURN_MIN }, { "MAX", RETURN_MAX }, { "ALL", RETURN_ALL }, { "COUNT", RETURN_COUNT },
		{ "SAVE", RETURN_SAVE },
	};

	for (size_t i = 0; i < list->n_args; i++) {
		size_t k = 0, n = sizeof(options) / sizeof(options[0]);

		while (k < n && (list->args[i].kind != IMAP_ATOM || strcasecmp(options[k].name, list->args[i].text) != 0))
			k++;
		if (k == n)
			return false;
		w->wants |= options[k].bit;
	}
	if (w->wants == 0)
		w->wants = RETURN_ALL;
	w->extended = true;
	return list->kind == IMAP_LIST;
}

static bool is_word(const struct imap_arg *args, size_t n, const char *word)
{
	return n >= 2 && args[0].kind == IMAP_ATOM && strcasecmp(args[0].text, word) == 0;
}

void imap_cmd_search(struct imap_session *s, struct imap_cmd *c)
{
	struct wish *w = mem_zero(c, struct wish);
	struct imap_search who = { .keys = c->args, .n_keys = c->n_args, .done = answer, .arg = w };

	if (is_word(who.keys, who.n_keys, "RETURN")) {
		if (!parse_return(w, &who.keys[1])) {
			imap_finish(s, "BAD Bad RETURN options");
			return;
		}
		who.keys += 2;
		who.n_keys -= 2;
	}
	/* RFC 9051 section 6.4.4: as with RETURN (ALL). */
	if (s->enabled & ENABLED_REV2 && !w->extended) {
		w->extended = true;
		w->wants = RETURN_ALL;
	}
	if (is_word(who.keys, who.n_keys, "CHARSET")) {
		/* RFC 9755 section 3: all text is UTF-8, and nothing is to say so. */
		if (s->enabled & ENABLED_UTF8) {
			imap_finish(s, "BAD No CHARSET with UTF8=ACCEPT");
			return;
		}
		who.charset = imap_arg_text(s, &who.keys[1]);
		if (!who.charset)
			return;
		who.keys += 2;
		who.n_keys -= 2;
	}
	/* A search that fails with NO leaves nothing saved (RFC 5182 section 2.1). */
	if (w->wants & RETURN_SAVE && who.charset && !knows(who.charset))
		s->view->n_saved = 0;
	imap_search_run(s, &who);
}
