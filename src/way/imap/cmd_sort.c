/*
 * SORT and THREAD (RFC 5256). After the search each message found becomes a
 * row with what it is compared by; headers come from the skeletons, so nothing
 * is pulled. Rows are gathered in slices; a worker compares them, since that
 * cannot be done in slices.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/mime/header.h"
#include "lib/store/mailbox.h"
#include "way/imap/found.h"
#include "way/imap/subject.h"
#include "way/imap/thread.h"

enum { REFS_MAX = 1000 };

enum sort_by { BY_ARRIVAL, BY_CC, BY_DATE, BY_FROM, BY_SIZE, BY_SUBJECT, BY_TO, N_SORT };

static const char *const names[N_SORT] = { "ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO" };

struct row {
	uint32_t number;
	int64_t ints[N_SORT];		/* of those that are numbers */
	const char *texts[N_SORT];	/* of those that are not */
};

struct criterion {
	enum sort_by by;
	bool reverse;
};

struct sort {
	unsigned wants;			/* bit per enum sort_by */
	struct criterion *criteria;
	size_t n_criteria;
	void (*answer)(struct sort *, struct buf *);	/* worker thread */
	struct imap_found *found;
	size_t n, at;
	bool threads;
	uint64_t modseq;		/* highest of what was found, when it is asked for; else 0 */
	struct row *rows;
	size_t n_rows;
	struct imap_thread_message *messages;	/* one per row, for THREAD=REFERENCES; else NULL */
};

/* ---- rows ---- */

/* Local part of the first address, or name of the first group. */
static const char *mailbox_of(struct sort *x, struct bytes header, const char *field)
{
	char *value = header_get(NULL, header, field);
	char *address = value ? header_first(NULL, value) : NULL;
	const char *folded = imap_sort_fold(x, address ? address : "");

	talloc_free(value);
	talloc_free(address);
	return folded;
}

static const char *subject_of(struct sort *x, struct bytes header, bool *is_reply)
{
	char *subject = header_get_decoded(NULL, header, "Subject");
	const char *base = imap_subject_base(x, subject ? subject : "", is_reply);

	talloc_free(subject);
	return base;
}

/* Without a Date that can be read the INTERNALDATE counts (section 2.2). */
static int64_t date_of(struct bytes header, int64_t internal_ms)
{
	int64_t date;
	char *value = header_get(NULL, header, "Date");

	if (!value || header_date(value, &date) < 0)
		date = internal_ms / 1000;
	talloc_free(value);
	return date;
}

static const char **ids_of(struct sort *x, struct bytes header, const char *field, size_t max, size_t *n_out)
{
	char *value = header_get(NULL, header, field);
	const char **ids = imap_thread_ids(x, value ? value : "", max, n_out);

	talloc_free(value);
	return ids;
}

/* Without References the first id of In-Reply-To counts. */
static void read_references(struct sort *x, struct bytes header, struct imap_thread_message *t)
{
	size_t n;
	const char **ids = ids_of(x, header, "Message-ID", 1, &n);

	t->id = n > 0 ? ids[0] : NULL;
	t->refs = ids_of(x, header, "References", REFS_MAX, &t->n_refs);
	if (t->n_refs == 0) {
		t->refs = ids_of(x, header, "In-Reply-To", REFS_MAX, &t->n_refs);
		t->n_refs = t->n_refs > 0;
	}
}

static void read_header(struct imap_session *s, struct sort *x, struct row *r, const struct message *m)
{
	static const struct { enum sort_by by; const char *field; } addresses[] = {
		{ BY_CC, "Cc" }, { BY_FROM, "From" }, { BY_TO, "To" },
	};
	void *ctx = mem_ctx(NULL);
	const struct content *c = store_content_find(s->imap->store, ctx, m->content);
	struct bytes header = c ? imap_header_of(c->skeleton) : bytes_of("", 0);

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		if (x->wants & 1U << addresses[i].by)
			r->texts[addresses[i].by] = mailbox_of(x, header, addresses[i].field);
	bool is_reply = false;

	if (x->wants & 1U << BY_SUBJECT)
		r->texts[BY_SUBJECT] = subject_of(x, header, &is_reply);
	if (x->wants & 1U << BY_DATE)
		r->ints[BY_DATE] = date_of(header, m->internal_ms);
	if (x->messages) {
		struct imap_thread_message *t = &x->messages[r - x->rows];

		*t = (struct imap_thread_message){
			.number = r->number, .date = r->ints[BY_DATE], .subject = r->texts[BY_SUBJECT], .is_reply = is_reply,
		};
		read_references(x, header, t);
	}
	talloc_free(ctx);
}

/* ---- the worker's part ---- */

struct job {
	struct imap_ref *ref;
	struct sort *x;
	struct buf *text;
};

static void work(void *arg)
{
	struct job *j = (struct job *)arg;

	j->x->answer(j->x, j->text);
}

static void drop(void *arg)
{
	struct job *j = (struct job *)arg;

	imap_ref_free(&j->ref);
	talloc_free(j);
}

static void done(void *arg)
{
	struct job *j = (struct job *)arg;
	struct imap_session *s = imap_ref_session(j->ref);

	if (s) {
		imap_flush(s);
		buf_add(s->out, j->text->data, j->text->len);
		buf_adds(s->out, "\r\n");
		imap_finish(s, "OK %s completed", s->cmd->verb->run == imap_cmd_sort ? "Sort" : "Thread");
	}
	drop(j);
}

static void submit(struct imap_session *s, struct sort *x)
{
	static const struct pool_job sort_job = { .work = work, .done = done, .drop = drop };
	struct job *j = mem_zero(NULL, struct job);

	j->ref = imap_ref_new(s, NULL);
	j->x = talloc_steal(j, x);
	j->text = buf_new(j, MIB(128));
	s->cmd->state = NULL;
	pool_submit(s->imap->pool, POOL_SOON, &sort_job, j);
}

static void gather(struct imap_session *s)
{
	struct sort *x = (struct sort *)s->cmd->state;
	int64_t started = clock_mono_ms();
	struct mailbox *box = imap_box(s);

	while (x->at < x->n) {
		const struct imap_found *f = &x->found[x->at++];
		const struct message *m = box ? store_message_find(box, f->uid) : NULL;

		if (!m)
			continue;
		struct row *r = &x->rows[x->n_rows++];

		*r = (struct row){ .number = f->number };
		r->ints[BY_ARRIVAL] = m->internal_ms;
		r->ints[BY_SIZE] = (int64_t)m->size;
		if (x->wants & ~(1U << BY_ARRIVAL | 1U << BY_SIZE))
			read_header(s, x, r, m);
		if (imap_is_slice_over(s, started)) {
			imap_yield(s, gather);
			return;
		}
	}
	submit(s, x);
}

static void on_found(struct imap_session *s, void *arg, struct imap_found *found, size_t n, bool by_modseq)
{
	struct sort *x = (struct sort *)arg;

	s->cmd->state = x;
	x->found = found;
	x->n = n;
	for (size_t i = 0; i < n && by_modseq; i++)
		if (found[i].modseq > x->modseq)
			x->modseq = found[i].modseq;
	x->rows = mem_array(x, struct row, n + 1);
	if (x->threads)
		x->messages = mem_array(x, struct imap_thread_message, n + 1);
	gather(s);
}

/* ---- SORT ---- */

static int compare_by(const struct row *a, const struct row *b, enum sort_by by)
{
	if (a->texts[by])
		return strcmp(a->texts[by], b->texts[by]);
	return a->ints[by] < b->ints[by] ? -1 : a->ints[by] > b->ints[by];
}

static int compare(const void *p, const void *q, void *arg)
{
	const struct row *a = (const struct row *)p, *b = (const struct row *)q;
	const struct sort *x = (const struct sort *)arg;

	for (size_t i = 0; i < x->n_criteria; i++) {
		int res = compare_by(a, b, x->criteria[i].by);

		if (res != 0)
			return x->criteria[i].reverse ? -res : res;
	}
	return a->number < b->number ? -1 : a->number > b->number;
}

static void answer_sort(struct sort *x, struct buf *out)
{
	qsort_r(x->rows, x->n_rows, sizeof(x->rows[0]), compare, x);
	buf_adds(out, "* SORT");
	for (size_t i = 0; i < x->n_rows; i++) {
		buf_adds(out, " ");
		imap_add_number(out, x->rows[i].number);
	}
	if (x->modseq > 0)
		buf_addf(out, " (MODSEQ %llu)", (unsigned long long)x->modseq);
}

/* "(SUBJECT REVERSE DATE)" */
static bool parse_criteria(struct sort *x, const struct imap_arg *list)
{
	bool reverse = false;

	x->criteria = mem_array(x, struct criterion, list->n_args + 1);
	for (size_t i = 0; i < list->n_args; i++) {
		unsigned by = 0;

		if (list->args[i].kind != IMAP_ATOM)
			return false;
		if (!reverse && strcasecmp(list->args[i].text, "REVERSE") == 0) {
			reverse = true;
			continue;
		}
		while (by < N_SORT && strcasecmp(names[by], list->args[i].text) != 0)
			by++;
		if (by == N_SORT)
			return false;
		x->wants |= 1U << by;
		x->criteria[x->n_criteria++] = (struct criterion){ (enum sort_by)by, reverse };
		reverse = false;
	}
	return x->n_criteria > 0 && !reverse;
}

/* args: charset and keys. */
static void run(struct imap_session *s, struct sort *x)
{
	const struct imap_cmd *c = s->cmd;
	struct imap_search who = { .keys = c->args + 2, .n_keys = c->n_args - 2, .done = on_found, .arg = x };

	who.charset = imap_arg_text(s, &c->args[1]);
	if (who.charset)
		imap_search_run(s, &who);
}

void imap_cmd_sort(struct imap_session *s, struct imap_cmd *c)
{
	struct sort *x = mem_zero(c, struct sort);

	x->answer = answer_sort;
	if (!parse_criteria(x, &c->args[0])) {
		imap_finish(s, "BAD Bad sort criteria");
		return;
	}
	run(s, x);
}

/* ---- THREAD ---- */

/* A run of rows with one subject. */
struct group {
	size_t from, to;
	const struct row *first;
};

static int by_first(const void *p, const void *q)
{
	const struct group *a = (const struct group *)p, *b = (const struct group *)q;
	int res = compare_by(a->first, b->first, BY_DATE);

	return res != 0 ? res : a->first->number < b->first->number ? -1 : a->first->number > b->first->number;
}

/* "(1)", "(1 2)", "(1 (2)(3))": all others are children of the first. */
static void print_group(struct buf *out, const struct row *rows, const struct group *g)
{
	size_t n = g->to - g->from;

	buf_adds(out, "(");
	for (size_t i = 0; i < n; i++) {
		buf_adds(out, i == 1 ? " " : "");
		buf_adds(out, i > 0 && n > 2 ? "(" : "");
		imap_add_number(out, rows[g->from + i].number);
		buf_adds(out, i > 0 && n > 2 ? ")" : "");
	}
	buf_adds(out, ")");
}

static void answer_subjects(struct sort *x, struct buf *out)
{
	struct group *groups = mem_array(x, struct group, x->n_rows + 1);
	size_t n = 0;

	qsort_r(x->rows, x->n_rows, sizeof(x->rows[0]), compare, x);
	for (size_t i = 0; i < x->n_rows; i++) {
		if (i == 0 || compare_by(&x->rows[i - 1], &x->rows[i], BY_SUBJECT) != 0)
			groups[n++] = (struct group){ i, i, &x->rows[i] };
		groups[n - 1].to++;
	}
	qsort(groups, n, sizeof(groups[0]), by_first);
	buf_adds(out, n > 0 ? "* THREAD " : "* THREAD");
	for (size_t i = 0; i < n; i++)
		print_group(out, x->rows, &groups[i]);
}

static void answer_references(struct sort *x, struct buf *out)
{
	buf_adds(out, x->n_rows > 0 ? "* THREAD " : "* THREAD");
	imap_thread_print(out, x->messages, x->n_rows);
}

void imap_cmd_thread(struct imap_session *s, struct imap_cmd *c)
{
	static struct criterion criteria[] = { { BY_SUBJECT, false }, { BY_DATE, false } };
	struct sort *x = mem_zero(c, struct sort);

	if (c->args[0].kind == IMAP_ATOM && strcasecmp(c->args[0].text, "ORDEREDSUBJECT") == 0) {
		x->answer = answer_subjects;
	} else if (c->args[0].kind == IMAP_ATOM && strcasecmp(c->args[0].text, "REFERENCES") == 0) {
		x->answer = answer_references;
		x->threads = true;
	} else {
		imap_finish(s, "BAD Threading algorithm is not known");
		return;
	}
	x->criteria = criteria;
	x->n_criteria = 2;
	x->wants = 1U << BY_SUBJECT | 1U << BY_DATE;
	run(s, x);
}
