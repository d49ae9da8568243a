/*
 * An item is resolved to a piece: octets in memory, a range of the file, or
 * nothing (NIL: there is no such part). Only then its length is announced. The
 * file was checked to be as long as the store says, so a literal is never cut.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mime/header.h"
#include "way/imap/body.h"

enum { COPY_MAX = 32 * 1024 };	/* more goes from file to socket */

struct piece {
	bool nil, in_memory;
	struct bytes memory;
	uint64_t offset, len;		/* in the file */
};

static int close_file(struct imap_body *b)
{
	if (b->fd >= 0)
		close(b->fd);
	return 0;
}

struct imap_body *imap_body_new(const void *ctx, struct content *content)
{
	struct imap_body *b = mem_zero(ctx, struct imap_body);

	b->content = content;
	b->fd = -1;
	talloc_set_destructor(b, close_file);
	return b;
}

bool imap_body_open(struct imap_session *s, struct imap_body *b)
{
	const struct content *c = b->content;
	struct stat st;

	if (c->size <= CONTENT_SMALL)
		b->octets = store_content_octets(s->imap->store, b, c->id);
	if (b->octets.data && b->octets.len == c->size)
		return true;
	b->octets = bytes_of(NULL, 0);
	b->fd = store_content_open(s->imap->store, c);
	if (b->fd >= 0 && fstat(b->fd, &st) == 0 && (uint64_t)st.st_size == c->size)
		return true;
	log_err("content=%llu file=missing-or-cut path=%s: %s", (unsigned long long)c->id,
	    store_path(s->imap->store, b, c->place, c->digest), b->fd < 0 ? strerror(errno) : "length differs");
	return false;
}

bool imap_body_is_open(const struct imap_body *b)
{
	return b->fd >= 0 || b->octets.data;
}

int imap_body_fd(struct imap_body *b)
{
	if (b->fd < 0 && b->octets.data)
		b->fd = files_in_memory(b->octets);
	return b->fd;
}

const struct mime *imap_body_mime(struct imap_body *b)
{
	const struct content *c = b->content;
	struct err e;

	if (b->mime || b->is_broken)
		return b->mime;
	b->mime = mime_from_skeleton(b, c->skeleton, c->parts ? c->parts : "", c->size, &e);
	if (!b->mime) {
		b->is_broken = true;
		log_err("content=%llu structure=broken: %s", (unsigned long long)c->id, e.text);
	}
	return b->mime;
}

/* Header block of the message that a part is, or of the message inside it. */
static const struct mime_part *message_of(const struct mime *m, const char *section)
{
	size_t n;
	const struct mime_part *parts = mime_parts(m, &n), *part = mime_find(m, section);

	if (!part || section[0] == '\0')
		return part;
	/* HEADER and TEXT of a part are for message/rfc822 only (RFC 3501 section 6.4.5). */
	return part->kind == MIME_MESSAGE && part->first_child != 0 ? &parts[part->first_child] : NULL;
}

static struct piece memory(struct bytes b)
{
	return (struct piece){ .in_memory = true, .memory = b };
}

/* The header of the message stands in front of the skeleton: no need to look at its parts. */
static bool find_header(struct bytes skeleton, struct bytes *out)
{
	const uint8_t *end = skeleton.len > 2 && memcmp(skeleton.data, "\r\n", 2) != 0 ?
	    (const uint8_t *)memmem(skeleton.data, skeleton.len, "\r\n\r\n", 4) : NULL;

	*out = bytes_of(skeleton.data, end ? (size_t)(end - skeleton.data) + 4 : 0);
	return end;
}

static struct bytes fields_of(struct imap_body *b, struct bytes header, const struct imap_att *a)
{
	return header_subset(b, header, a->fields, a->n_fields, a->section == SECTION_FIELDS_NOT);
}

static struct piece find_piece(struct imap_body *b, const struct imap_att *a)
{
	static const struct piece nil = { .nil = true };
	struct bytes header;

	if (a->section == SECTION_ALL && a->part[0] == '\0')
		return (struct piece){ .len = b->content->size };
	if ((a->section == SECTION_FIELDS || a->section == SECTION_FIELDS_NOT) && a->part[0] == '\0' &&
	    find_header(b->content->skeleton, &header))
		return memory(fields_of(b, header, a));
	const struct mime *m = imap_body_mime(b);

	if (!m)
		return nil;
	bool own = a->section == SECTION_ALL || a->section == SECTION_MIME;
	const struct mime_part *part = own ? mime_find(m, a->part) : message_of(m, a->part);

	if (!part)
		return nil;
	switch (a->section) {
	case SECTION_ALL:
	case SECTION_TEXT:
		return (struct piece){ .offset = part->body_off, .len = part->body_len };
	case SECTION_HEADER:
	case SECTION_MIME:
		return memory(mime_header(m, part));
	case SECTION_FIELDS:
	case SECTION_FIELDS_NOT:
		return memory(fields_of(b, mime_header(m, part), a));
	}
	return nil;
}

/* "<o.n>": beyond the end it is empty (RFC 3501 section 6.4.5). */
static void cut(struct piece *p, const struct imap_att *a)
{
	uint64_t len = p->in_memory ? p->memory.len : p->len;
	uint64_t from = a->offset < len ? a->offset : len;
	uint64_t n = a->count < len - from ? a->count : len - from;

	if (p->in_memory) {
		p->memory = bytes_of(p->memory.data + from, (size_t)n);
	} else {
		p->offset += from;
		p->len = n;
	}
}

void imap_body_send_file(struct imap_session *s, int from, uint64_t offset, uint64_t len)
{
	char block[COPY_MAX];

	if (len <= sizeof(block) && files_pread(from, block, (size_t)len, offset) == (ssize_t)len) {
		buf_add(s->out, block, (size_t)len);
		return;
	}
	int fd = fcntl(from, F_DUPFD_CLOEXEC, 3);

	imap_flush(s);
	if (fd >= 0)
		conn_write_file(s->conn, fd, offset, len);
	else	/* The literal is announced: only an end keeps the client from taking other octets for it. */
		imap_end(s, "Out of descriptors");
}

void imap_body_send_octets(struct imap_session *s, struct imap_body *b, uint64_t offset, uint64_t len)
{
	if (b->octets.data)
		buf_add(s->out, b->octets.data + offset, (size_t)len);
	else
		imap_body_send_file(s, b->fd, offset, len);
}

void imap_body_send(struct imap_session *s, struct imap_body *b, const struct imap_att *a)
{
	struct piece p = find_piece(b, a);

	buf_adds(s->out, a->label);
	if (p.nil) {
		buf_adds(s->out, " NIL");
		return;
	}
	if (a->partial)
		cut(&p, a);
	uint64_t len = p.in_memory ? p.memory.len : p.len;

	buf_adds(s->out, " {");
	imap_add_number(s->out, len);
	buf_adds(s->out, "}\r\n");
	if (p.in_memory)
		buf_add(s->out, p.memory.data, p.memory.len);
	else
		imap_body_send_octets(s, b, p.offset, p.len);
}
