/*
 * Each item becomes a range: of the message's file when nothing is encoded,
 * else of the file of what was decoded. BINARY.SIZE has to decode, too (the
 * RFC warns clients of it), but nothing is kept for it. The octets go out as
 * literal8, which may hold any.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mime/header.h"
#include "way/imap/binary.h"
#include "way/imap/transfer.h"

enum { BLOCK = 32 * 1024 };

struct section {
	bool nil;			/* there is no such part */
	bool encoded, keep;		/* keep: its octets, not only how many */
	const char *error;
	enum imap_encoding encoding;
	uint64_t offset, len;		/* in the message, then in what was decoded */
};

struct imap_binary {
	struct section *sections;	/* by item */
	size_t n;
	int fd;				/* what was decoded; -1 none */
};

/* Owns the sections while a worker is at them. */
struct job {
	struct imap_ref *ref;
	void (*done)(struct imap_session *);
	struct imap_binary *target;	/* below the command */
	struct section *sections;
	size_t n;
	int in, out;
	char *dir;
	bool ok;
	struct err err;
};

/* ---- what is asked for ---- */

static int close_file(struct imap_binary *b)
{
	if (b->fd >= 0)
		close(b->fd);
	return 0;
}

static struct section find_section(struct imap_body *b, const struct imap_att *a)
{
	const struct mime *m = a->part[0] ? imap_body_mime(b) : NULL;
	const struct mime_part *part = m ? mime_find(m, a->part) : NULL;

	if (a->part[0] == '\0')
		return (struct section){ .len = b->content->size };
	if (!part)
		return (struct section){ .nil = true };
	if (part->kind == MIME_MULTIPART)
		return (struct section){ .error = "[CANNOT] A multipart has no octets of its own" };
	char *value = header_get(b, mime_header(m, part), "Content-Transfer-Encoding");
	struct section s = { .offset = part->body_off, .len = part->body_len, .encoding = imap_encoding_of(value) };

	if (s.encoding == ENCODING_UNKNOWN)
		s.error = "[UNKNOWN-CTE] The transfer encoding is not known";
	s.encoded = s.encoding == ENCODING_BASE64 || s.encoding == ENCODING_QUOTED;
	s.keep = a->item == ITEM_BINARY;
	return s;
}

struct imap_binary *imap_binary_new(const void *ctx, struct imap_body *b, const struct imap_fetch *f)
{
	struct imap_binary *x = mem_zero(ctx, struct imap_binary);

	x->fd = -1;
	x->n = f->n;
	x->sections = mem_zero_array(x, struct section, f->n);
	talloc_set_destructor(x, close_file);
	for (size_t i = 0; i < f->n; i++)
		if (f->atts[i].needs & NEED_DECODED)
			x->sections[i] = find_section(b, &f->atts[i]);
	return x;
}

const char *imap_binary_error(const struct imap_binary *x, size_t item)
{
	return x->sections[item].error;
}

/* ---- decoding: on a worker ---- */

static bool decode(struct job *j, struct section *s, uint64_t *end)
{
	struct imap_transfer t = { .encoding = s->encoding };
	char in[BLOCK], out[BLOCK + TRANSFER_SPACES + 2];
	uint64_t at = s->offset, left = s->len, total = 0;

	while (left > 0) {
		ssize_t n = files_pread(j->in, in, left < sizeof(in) ? (size_t)left : sizeof(in), at);

		if (n <= 0) {
			err_sys(&j->err, "read a message");
			return false;
		}
		size_t len = imap_transfer_decode(&t, in, (size_t)n, out);

		if (s->keep && files_write(j->out, out, len) < 0) {
			err_sys(&j->err, "write below %s", j->dir);
			return false;
		}
		at += (uint64_t)n;
		left -= (uint64_t)n;
		total += len;
	}
	s->offset = *end;
	s->len = total;
	*end += s->keep ? total : 0;
	return true;
}

static void work(void *arg)
{
	struct job *j = (struct job *)arg;
	uint64_t end = 0;
	char *path;

	j->out = files_tmp(j, j->dir, &path, &j->err);
	if (j->out < 0)
		return;
	files_drop(path);
	j->ok = true;
	for (size_t i = 0; i < j->n && j->ok; i++)
		if (j->sections[i].encoded)
			j->ok = decode(j, &j->sections[i], &end);
}

static void drop(void *arg)
{
	struct job *j = (struct job *)arg;

	if (j->in >= 0)
		close(j->in);
	if (j->out >= 0)
		close(j->out);
	imap_ref_free(&j->ref);
	talloc_free(j);
}

static void done(void *arg)
{
	struct job *j = (struct job *)arg;
	struct imap_session *s = imap_ref_session(j->ref);

	if (!j->ok)
		log_err("fetch=undecoded: %s", j->err.text);
	if (s) {
		memcpy(j->target->sections, j->sections, j->n * sizeof(j->sections[0]));
		for (size_t i = 0; i < j->n && !j->ok; i++)
			if (j->sections[i].encoded)
				j->target->sections[i].error = "[UNAVAILABLE] The part could not be decoded";
		j->target->fd = j->out;
		j->out = -1;
		j->done(s);
	}
	drop(j);
}

bool imap_binary_decode(struct imap_session *s, struct imap_binary *x, struct imap_body *b,
    void (*then)(struct imap_session *))
{
	static const struct pool_job decode_job = { .work = work, .done = done, .drop = drop };
	bool any = false;

	for (size_t i = 0; i < x->n; i++)
		any |= x->sections[i].encoded;
	if (!any)
		return false;
	struct job *j = mem_zero(NULL, struct job);

	j->ref = imap_ref_new(s, NULL);
	j->done = then;
	j->target = x;
	j->n = x->n;
	j->sections = mem_dup(j, x->sections, x->n * sizeof(x->sections[0]));
	j->in = fcntl(imap_body_fd(b), F_DUPFD_CLOEXEC, 3);
	j->out = -1;
	j->dir = mem_strdup(j, store_dir(s->imap->store, PLACE_INBOX));
	pool_submit(s->imap->pool, POOL_SOON, &decode_job, j);
	return true;
}

/* ---- sending ---- */

void imap_binary_send(struct imap_session *s, struct imap_body *b, const struct imap_binary *x,
    const struct imap_att *a, size_t item)
{
	const struct section *k = &x->sections[item];
	uint64_t from = a->partial && a->offset < k->len ? a->offset : a->partial ? k->len : 0;
	uint64_t len = a->partial && a->count < k->len - from ? a->count : k->len - from;

	buf_adds(s->out, a->label);
	buf_adds(s->out, " ");
	if (a->item == ITEM_BINARY_SIZE) {
		imap_add_number(s->out, k->len);
		return;
	}
	if (k->nil) {
		buf_adds(s->out, "NIL");
		return;
	}
	buf_adds(s->out, "~{");
	imap_add_number(s->out, len);
	buf_adds(s->out, "}\r\n");
	if (k->encoded)
		imap_body_send_file(s, x->fd, k->offset + from, len);
	else
		imap_body_send_octets(s, b, k->offset + from, len);
}
