/*
 * From DATA to the answer. Octets of m gather in a block. When m ends in it,
 * the hook gets them as they are: it makes many small messages durable at
 * once. Else the block goes into a temporary file, again and again, with
 * SHA-256 running along; at the end a worker makes the file durable under the
 * name of its content, and back on the loop the hook gets the submission.
 * Between these steps the session reads nothing.
 *
 * The job owns the file while it runs. When the session is gone by the time
 * it is done, nobody has heard a 250: the file goes - unless it may be another
 * message's with the same octets, one that was there before, was submitted
 * meanwhile or is under way.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "way/smtp/session.h"

enum { BLOCK = SMTP_SMALL };

struct spool {
	struct data *data;
	struct digest *sum;
	const char *folder;
	char *tmp;
	int fd;			/* -1 while all of it is in the block */
	int error;		/* errno of the first write that failed */
	bool is_empty;		/* what was written is of no use and went already */
	size_t used;
	char block[BLOCK];
};

/* Its own top-level context. The first three are the loop's, the rest the worker's while it runs. */
struct smtp_job {
	LIST_ENTRY(smtp_job) link;
	struct smtp_anchor *anchor;
	bool is_shared;			/* a message with the same octets was submitted meanwhile */
	uint64_t ticket;
	uint8_t digest[DIGEST_LEN];
	char *tmp, *path;
	int fd;
	bool was_there;
	enum outcome outcome;
	struct err err;
};

bool smtp_spool_has_room(const struct smtp *smtp, uint64_t size)
{
	struct statvfs st;

	if (statvfs(smtp->set.spool, &st) < 0)
		return false;
	return st.f_bavail > 0 && size / st.f_frsize < st.f_bavail;
}

const char *smtp_outbox_fault(const struct smtp *smtp, uint64_t size)
{
	if (!smtp->hooks.has_room || smtp->hooks.has_room(smtp->hooks.arg, size))
		return NULL;
	return "452 4.3.1 The outbox is full until somebody collects his mail: outbox.quota is used up";
}

static void open_tmp(struct spool *p)
{
	struct err e;

	p->fd = files_tmp(p, p->folder, &p->tmp, &e);
	if (p->fd < 0) {
		p->error = errno;
		log_err("%s", e.text);
	}
}

static void flush_block(struct spool *p)
{
	if (p->fd < 0 && p->error == 0)
		open_tmp(p);
	if (p->error == 0 && p->used > 0) {
		digest_add(p->sum, p->block, p->used);
		if (files_write(p->fd, p->block, p->used) < 0)
			p->error = errno;
	}
	p->used = 0;
}

static void put(void *arg, const char *octets, size_t len)
{
	struct spool *p = arg;

	while (len > 0) {
		if (p->used == BLOCK)
			flush_block(p);
		size_t n = BLOCK - p->used < len ? BLOCK - p->used : len;
		memcpy(p->block + p->used, octets, n);
		p->used += n;
		octets += n;
		len -= n;
	}
}

void smtp_spool_free(struct spool **pp, struct pool *pool)
{
	struct spool *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	if (p->fd >= 0) {
		files_drop(p->tmp);
		pool_close(pool, p->fd);
	}
	talloc_free(p);
}

static struct data *new_data(struct spool *p, const struct smtp *smtp)
{
	char date[40], random[33];
	uint8_t octets[16];

	clock_print_rfc5322(clock_now_s(), date, sizeof(date));
	random_fill(octets, sizeof(octets));
	hex_print(bytes_of(octets, sizeof(octets)), random);

	char *id = mem_printf(p, "<%s@%s>", random, addr_group(smtp->set.address));
	const struct data_settings set = {
		.max_size = smtp->set.max_size, .address = smtp->set.address, .date = date, .message_id = id,
		.put = put, .arg = p,
	};
	return data_new(p, &set);
}

void smtp_spool_open(struct smtp_session *s)
{
	struct spool *p = mem_new(NULL, struct spool);

	memset(p, 0, offsetof(struct spool, block));
	p->fd = -1;
	p->folder = s->smtp->set.spool;
	p->sum = digest_new(p);
	p->data = new_data(p, s->smtp);
	s->spool = p;
}

void smtp_data_start(struct smtp_session *s)
{
	smtp_spool_open(s);
	s->input = INPUT_DATA;
	smtp_reply(s, "354 End with a dot on a line of its own");
}

/* ---- the job ---- */

static void work(void *arg)
{
	struct smtp_job *j = arg;

	j->was_there = access(j->path, F_OK) == 0;
	j->outcome = files_keep(j->fd, j->tmp, j->path, &j->err);
}

static void free_job(struct smtp_job *j)
{
	LIST_REMOVE(j, link);
	if (j->anchor->smtp)
		pool_close(j->anchor->smtp->pool, j->fd);
	else
		close(j->fd);
	if (LIST_EMPTY(&j->anchor->jobs) && !j->anchor->smtp)
		talloc_free(j->anchor);
	talloc_free(j);
}

static struct smtp_session *find_ticket(struct smtp *smtp, uint64_t ticket)
{
	struct smtp_session *s;

	LIST_FOREACH(s, &smtp->sessions, link)
		if (s->ticket == ticket)
			return s;
	return NULL;
}

static bool is_same(const struct smtp_job *a, const struct smtp_job *b)
{
	return a != b && memcmp(a->digest, b->digest, DIGEST_LEN) == 0;
}

static bool has_twin(const struct smtp_job *j)
{
	const struct smtp_job *other;

	LIST_FOREACH(other, &j->anchor->jobs, link)
		if (is_same(other, j))
			return true;
	return false;
}

static void drop_file(const struct smtp_job *j)
{
	files_drop(j->tmp);
	if (!j->was_there && !j->is_shared && !has_twin(j))
		files_drop(j->path);
}

static void submit(struct smtp_session *s, const uint8_t digest[DIGEST_LEN], struct bytes octets)
{
	const struct spool *p = s->spool;
	struct smtp_submission m = {
		.size = data_size(p->data), .octets = octets, .sender = s->sender,
		.message_id = data_message_id(p->data), .subject = data_subject(p->data),
		.recipients = s->recipients, .n_recipients = s->n_recipients,
		.notify = s->notify, .orcpt = s->orcpt, .ret = s->ret, .envid = s->envid,
	};

	memcpy(m.digest, digest, DIGEST_LEN);
	s->smtp->hooks.submit(s->smtp->hooks.arg, &m, s->ticket);
}

static void submit_file(struct smtp_session *s, const struct smtp_job *j)
{
	struct smtp_job *other;

	LIST_FOREACH(other, &j->anchor->jobs, link)
		if (is_same(other, j))
			other->is_shared = true;
	submit(s, j->digest, bytes_of(NULL, 0));
}

static void refuse_full(struct smtp_session *s)
{
	smtp_session_reset(s);
	smtp_reply(s, "452 4.3.1 The disk is full or cannot be written");
	smtp_session_go_on(s, INPUT_COMMAND);
}

/* Another message with the same octets was done with meanwhile, and took the file along: to be sent again. */
static void look_again(struct smtp_job *j)
{
	if (j->outcome == OK && access(j->path, F_OK) < 0) {
		err_sys(&j->err, "%s", j->path);
		j->outcome = RETRY;
	}
}

static void done(void *arg)
{
	struct smtp_job *j = arg;
	struct smtp_session *s = j->anchor->smtp ? find_ticket(j->anchor->smtp, j->ticket) : NULL;

	look_again(j);
	if (j->outcome != OK)
		log_err("ticket=%" PRIu64 " %s", j->ticket, j->err.text);
	if (!s || j->outcome != OK)
		drop_file(j);
	if (s && j->outcome == OK)
		submit_file(s, j);
	else if (s)
		refuse_full(s);
	free_job(j);
}

static void drop(void *arg)
{
	struct smtp_job *j = arg;

	drop_file(j);
	free_job(j);
}

static void keep_small(struct smtp_session *s)
{
	struct spool *p = s->spool;
	uint8_t digest[DIGEST_LEN];

	digest_add(p->sum, p->block, p->used);
	digest_take(p->sum, digest);
	s->ticket = s->smtp->next_ticket++;
	smtp_session_wait(s);
	/* The answer may come from inside, and the spool is gone then. */
	submit(s, digest, bytes_of(p->block, p->used));
}

static void keep_file(struct smtp_session *s)
{
	static const struct pool_job what = { .work = work, .done = done, .drop = drop };
	struct spool *p = s->spool;
	struct smtp_job *j = mem_zero(NULL, struct smtp_job);

	digest_take(p->sum, j->digest);
	j->path = files_fanout(j, s->smtp->set.spool, j->digest);
	j->tmp = mem_strdup(j, p->tmp);
	j->fd = p->fd;
	p->fd = -1;
	j->ticket = s->ticket = s->smtp->next_ticket++;
	j->anchor = s->smtp->anchor;
	LIST_INSERT_HEAD(&j->anchor->jobs, j, link);
	smtp_session_wait(s);
	pool_submit(s->smtp->pool, POOL_SOON, &what, j);
}

static bool is_full(const struct spool *p)
{
	return p->error == ENOSPC || p->error == EDQUOT || p->error == EFBIG;
}

const char *smtp_spool_fault(const struct smtp_session *s)
{
	const struct spool *p = s->spool;

	if (data_verdict(p->data) != DATA_GOOD)
		return data_reply(data_verdict(p->data));
	if (is_full(p))
		return "452 4.3.1 The disk is full";
	return p->error != 0 ? "451 4.3.0 The disk cannot be written" : NULL;
}

static void end_spool(struct smtp_session *s)
{
	struct spool *p = s->spool;

	bool is_small = p->fd < 0 && p->error == 0;

	smtp_trace(s, '<', "(message)");
	if (!is_small)
		flush_block(p);
	s->input = INPUT_COMMAND;
	const char *fault = smtp_spool_fault(s);
	if (!fault)
		fault = smtp_outbox_fault(s->smtp, data_size(p->data));
	if (!fault && is_small) {
		keep_small(s);
		return;
	}
	if (!fault) {
		keep_file(s);
		return;
	}
	if (p->error != 0 && !is_full(p))
		log_err("smtp=%" PRIu64 " write %s: %s", s->id, p->folder, strerror(p->error));
	smtp_reply(s, "%s", fault);
	smtp_session_reset(s);
}

/* The client may go on for long with what is refused already; its octets need not lie here. */
static void drop_spoilt(struct smtp_session *s)
{
	struct spool *p = s->spool;

	if (!p->is_empty && smtp_spool_fault(s)) {
		p->used = 0;
		p->is_empty = p->fd < 0 || ftruncate(p->fd, 0) == 0;
	}
}

size_t smtp_data_feed(struct smtp_session *s, const char *in, size_t len)
{
	bool is_end;
	size_t used = data_feed(s->spool->data, in, len, &is_end);

	drop_spoilt(s);
	if (is_end)
		end_spool(s);
	return used;
}

void smtp_spool_feed(struct smtp_session *s, const char *in, size_t len)
{
	data_feed_chunk(s->spool->data, in, len);
	drop_spoilt(s);
}

void smtp_spool_finish(struct smtp_session *s)
{
	data_end_chunks(s->spool->data);
	end_spool(s);
}

void smtp_submit_done(struct smtp *smtp, uint64_t ticket, enum outcome outcome, const char *text)
{
	struct smtp_session *s = ticket ? find_ticket(smtp, ticket) : NULL;

	if (!s)
		return;
	log_info("smtp=%" PRIu64 " ticket=%" PRIu64 " size=%" PRIu64 " recipients=%zu outcome=%s", s->id, ticket,
	    data_size(s->spool->data), s->n_recipients, outcome == OK ? "ok" : outcome == RETRY ? "later" : "refused");
	smtp_session_reset(s);
	switch (outcome) {
	case OK:
		s->n_messages++;
		s->errors = s->n_idle = 0;
		smtp_reply(s, "250 2.0.0 Ok: queued as %s", text);
		break;
	case RETRY:
		smtp_reply(s, "452 4.3.1 %s", text ? text : "Try again later");
		break;
	case REJECT:
		smtp_reply(s, "554 5.6.0 %s", text ? text : "Refused");
		break;
	}
	smtp_session_go_on(s, INPUT_COMMAND);
}
