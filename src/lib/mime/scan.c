/*
 * The scanner: octets in, tree and skeleton out, in one pass. It keeps the
 * skeleton, the tree, and at most one candidate for a boundary line (a line
 * that begins with "--", up to LINE_HOLD octets); everything else is counted
 * and forgotten, so chunks can be cut anywhere.
 *
 * A skeleton goes through the same code. The only difference is
 * leaf_begin(): there the octets that were left out are added from the given
 * measures. So every decision may depend only on what stands in the skeleton,
 * on counts of parts, and on the skeleton's length so far: never on content
 * of a leaf, never on the size of a chunk. Limits are checked when a line
 * begins or an octet count is reached, for the same reason.
 *
 * Past a limit nothing is opened any more ("frozen"): the rest belongs to
 * what is open. When it belongs to the text between parts, it is kept until
 * the skeleton has SKELETON_SOFT octets and then only counted (the tail).
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/mime/field.h"
#include "lib/mime/header.h"
#include "lib/mime/tree.h"

enum {
	LINE_HOLD = 1024,			/* a longer line is no boundary */
	SKELETON_MAX = 16 * 1024 * 1024,
	SKELETON_SOFT = 14 * 1024 * 1024,	/* leaves room for one header and all closing boundaries */
};

enum scan_state {
	IN_HEADER,
	IN_LEAF,
	IN_TEXT,		/* before the first part, after the last */
	IN_TAIL,
};

/* A part that has not ended. */
struct scan_open {
	uint32_t part;
	uint32_t last_child;	/* 0: none */
	bool is_digest, is_closed;
	char *boundary;		/* of a multipart */
	size_t boundary_len;
	uint64_t lines;		/* of the message, where the body begins */
	struct mime_measure given;
};

struct mime_scan {
	struct mime *m;
	size_t parts_size;
	enum scan_state state;
	bool frozen, ended;
	bool bol;		/* the next octet begins a line */
	bool cr;		/* the last octet was a CR of this line */
	uint64_t off, lines;
	size_t n_hold;
	uint8_t hold[LINE_HOLD];
	size_t depth;
	struct scan_open open[LIMIT_MIME_DEPTH];

	const struct mime_measure *given;	/* NULL: a whole message */
	size_t n_given, next_given;
	uint64_t size;
	bool misfit;
};

static struct scan_open *innermost(struct mime_scan *s)
{
	return &s->open[s->depth - 1];
}

static struct mime_part *current(struct mime_scan *s)
{
	return &s->m->parts[innermost(s)->part];
}

static void keep(struct mime_scan *s, const void *data, size_t len)
{
	bool fits = buf_add(s->m->skeleton, data, len);

	assert(fits);
	(void)fits;
}

static bool can_open(const struct mime_scan *s, size_t depth)
{
	return s->m->n_parts < LIMIT_MIME_PARTS && depth < LIMIT_MIME_DEPTH && s->m->skeleton->len <= SKELETON_SOFT;
}

/* How many octets the state still takes. */
static size_t room(struct mime_scan *s)
{
	size_t len = s->m->skeleton->len;

	switch (s->state) {
	case IN_HEADER:
		return LIMIT_MIME_HEADER - (size_t)(s->off - current(s)->header_off);
	case IN_TEXT:
		return len < SKELETON_SOFT ? SKELETON_SOFT - len : 0;
	case IN_LEAF:
	case IN_TAIL:
		break;
	}
	return SIZE_MAX;
}

/* The next measure is for what begins here: skip what the skeleton left out. */
static struct mime_measure take_given(struct mime_scan *s, bool skip)
{
	struct mime_measure none = { 0, 0 };

	if (s->next_given == s->n_given) {
		s->misfit = true;
		return none;
	}
	struct mime_measure g = s->given[s->next_given++];
	if (g.octets > s->size - s->off) {
		s->misfit = true;
		return none;
	}
	if (skip && g.octets > 0) {
		s->off += g.octets;
		s->lines += g.lines;
		s->bol = s->cr = false;
	}
	return g;
}

static void leaf_begin(struct mime_scan *s)
{
	current(s)->kind = MIME_LEAF;
	s->state = IN_LEAF;
	if (s->given != NULL)
		innermost(s)->given = take_given(s, true);
}

static void tail_begin(struct mime_scan *s)
{
	s->state = IN_TAIL;
	s->frozen = true;
	s->m->has_tail = true;
	s->m->tail_octets = s->off;
	s->m->tail_lines = s->lines;
	if (s->given != NULL) {
		take_given(s, true);
		s->misfit |= s->next_given != s->n_given;
	}
}

static void part_open(struct mime_scan *s)
{
	struct mime *m = s->m;

	if (m->n_parts == s->parts_size) {
		s->parts_size = s->parts_size == 0 ? 4 : s->parts_size * 2;
		m->parts = mem_resize(m, m->parts, struct mime_part, s->parts_size);
	}
	uint32_t index = (uint32_t)m->n_parts++;
	struct mime_part *p = &m->parts[index];
	*p = (struct mime_part){ .kind = MIME_LEAF, .parent = index, .number = 1,
		.header_off = s->off, .skeleton_off = m->skeleton->len };
	if (s->depth > 0) {
		struct scan_open *parent = innermost(s);
		p->parent = parent->part;
		if (parent->last_child == 0) {
			m->parts[parent->part].first_child = index;
		} else {
			m->parts[parent->last_child].next = index;
			p->number = m->parts[parent->last_child].number + 1;
		}
		parent->last_child = index;
	}
	s->open[s->depth++] = (struct scan_open){ .part = index };
	s->state = IN_HEADER;
}

static bool parent_is_digest(const struct mime_scan *s)
{
	return s->depth > 1 && s->open[s->depth - 2].is_digest;
}

/* What kind the finished header makes the part; a boundary is kept below the scan. */
static enum mime_kind classify(struct mime_scan *s)
{
	struct scan_open *o = innermost(s);
	void *tmp = mem_ctx(s);
	enum mime_kind kind = MIME_LEAF;
	const struct mime_part *p = current(s);
	struct bytes block = bytes_of(s->m->skeleton->data + p->skeleton_off, p->header_len);
	const char *text = header_get(tmp, block, "Content-Type");
	const struct mime_value *type = text != NULL ? mime_value_type(tmp, text) : NULL;

	if (!can_open(s, s->depth))
		goto out;
	if (type != NULL && strcasecmp(type->type, "multipart") == 0) {
		const char *boundary = mime_value_param(type, "boundary");
		size_t len = boundary != NULL ? strlen(boundary) : 0;
		while (len > 0 && (boundary[len - 1] == ' ' || boundary[len - 1] == '\t'))
			len--;
		if (len == 0 || len > LIMIT_BOUNDARY)
			goto out;
		o->boundary = mem_strndup(s, boundary, len);
		o->boundary_len = len;
		o->is_digest = strcasecmp(type->subtype, "digest") == 0;
		kind = MIME_MULTIPART;
	} else if (mime_value_is(type, "message", "rfc822") || mime_value_is(type, "message", "global") ||
	    (type == NULL && parent_is_digest(s))) {
		const char *coding = header_get(tmp, block, "Content-Transfer-Encoding");
		coding = coding != NULL ? mime_value_coding(tmp, coding) : NULL;
		if (coding == NULL || (strcasecmp(coding, "base64") != 0 && strcasecmp(coding, "quoted-printable") != 0))
			kind = MIME_MESSAGE;
	}
out:
	talloc_free(tmp);
	return kind;
}

/* The header ends here; a broken one (no empty line, too long) makes a leaf. */
static void header_end(struct mime_scan *s, bool broken)
{
	struct scan_open *o = innermost(s);
	struct mime_part *p = current(s);

	p->header_len = s->off - p->header_off;
	p->body_off = s->off;
	o->lines = s->lines;
	p->kind = broken ? MIME_LEAF : classify(s);
	switch (p->kind) {
	case MIME_LEAF:
		leaf_begin(s);
		break;
	case MIME_MULTIPART:
		s->state = IN_TEXT;
		break;
	case MIME_MESSAGE:
		if (s->given != NULL)
			o->given = take_given(s, false);
		part_open(s);
		break;
	}
}

/* Nothing more fits into what is open: see room(). */
static void settle(struct mime_scan *s)
{
	if (room(s) >= (s->bol && !s->frozen ? LINE_HOLD : 1))
		return;
	if (s->state == IN_HEADER) {
		s->cr = false;	/* a line end cut in two is none */
		header_end(s, true);
	} else {
		tail_begin(s);
	}
}

/* The innermost part ends at offset end. */
static void part_close(struct mime_scan *s, uint64_t end, uint64_t lines)
{
	struct scan_open *o = innermost(s);
	struct mime_part *p = current(s);

	p->body_len = end - p->body_off;
	p->lines = lines - o->lines;
	if (s->given != NULL && p->kind != MIME_MULTIPART)
		s->misfit |= p->body_len != o->given.octets || p->lines != o->given.lines;
	TALLOC_FREE(o->boundary);
	s->depth--;
}

/* Octets that are neither boundary nor end of a header. */
static void content(struct mime_scan *s, const uint8_t *data, size_t len)
{
	s->off += len;
	if (s->state == IN_HEADER || s->state == IN_TEXT)
		keep(s, data, len);
	else if (s->state == IN_TAIL && s->given != NULL)
		s->misfit = true;
}

/* Is it sure that no boundary begins at p? Other states look at every line. */
static bool is_plain(const struct mime_scan *s, const uint8_t *p, const uint8_t *end)
{
	if (s->frozen)
		return true;
	return s->state == IN_LEAF && end - p >= 2 && (p[0] != '-' || p[1] != '-');
}

/* Inside lines: take what is there up to a line that needs a look. */
static const uint8_t *run(struct mime_scan *s, const uint8_t *start, const uint8_t *end)
{
	const uint8_t *p = start;

	if ((size_t)(end - start) > room(s))
		end = start + room(s);
	s->bol = false;
	while (p < end) {
		const uint8_t *lf = memchr(p, '\n', (size_t)(end - p));
		if (lf == NULL) {
			p = end;
			break;
		}
		bool crlf = lf > start ? lf[-1] == '\r' : s->cr;
		s->lines++;
		p = lf + 1;
		if (crlf && !is_plain(s, p, end)) {
			s->bol = true;
			break;
		}
	}
	s->cr = p[-1] == '\r';
	content(s, start, (size_t)(p - start));
	return p;
}

/* What was held is content after all. */
static void hold_flush(struct mime_scan *s)
{
	const uint8_t *end = s->hold + s->n_hold;

	s->n_hold = 0;
	run(s, s->hold, end);
}

/* Whose boundary is it? An index into open, or -1. Innermost first, the whole token counts. */
static int boundary_find(const struct mime_scan *s, bool *closing_out)
{
	const char *token = (const char *)s->hold + 2;
	size_t len = s->n_hold - 2;

	if (len >= 2 && memcmp(token + len - 2, "\r\n", 2) == 0)
		len -= 2;
	while (len > 0 && (token[len - 1] == ' ' || token[len - 1] == '\t'))
		len--;
	for (size_t i = s->depth; i-- > 0;) {
		const struct scan_open *o = &s->open[i];
		if (o->boundary == NULL || o->is_closed || len < o->boundary_len ||
		    memcmp(token, o->boundary, o->boundary_len) != 0)
			continue;
		*closing_out = len == o->boundary_len + 2 && memcmp(token + len - 2, "--", 2) == 0;
		if (len == o->boundary_len || *closing_out)
			return (int)i;
	}
	return -1;
}

/* A boundary of open[level] is held: everything deeper ends before it. */
static void boundary_take(struct mime_scan *s, size_t level, bool closing)
{
	if (s->state == IN_HEADER) {
		header_end(s, true);
		s->misfit |= innermost(s)->given.octets > 0;
	}
	/* The line end before it is the boundary's, unless it ends a header. */
	uint64_t cut = s->off - current(s)->body_off >= 2 ? 2 : 0;
	if (cut > 0 && s->state == IN_LEAF)
		keep(s, "\r\n", 2);
	while (s->depth > level + 1)
		part_close(s, s->off - cut, s->lines - cut / 2);
	keep(s, s->hold, s->n_hold);
	s->off += s->n_hold;
	for (size_t i = 0; i < s->n_hold; i++)
		s->lines += s->hold[i] == '\n';
	s->bol = s->hold[s->n_hold - 1] == '\n';
	s->cr = false;
	s->n_hold = 0;
	if (closing) {
		innermost(s)->is_closed = true;
		s->state = IN_TEXT;
	} else {
		part_open(s);
	}
}

/* A line that begins with "--" is held, whole or as far as it can matter. */
static void hold_line(struct mime_scan *s)
{
	bool closing = false;
	int level = boundary_find(s, &closing);

	if (level >= 0 && (closing || can_open(s, (size_t)level + 1))) {
		boundary_take(s, (size_t)level, closing);
		return;
	}
	if (level >= 0) {
		s->frozen = true;
		if (s->state == IN_HEADER)
			header_end(s, true);
	}
	hold_flush(s);
}

enum verdict {
	MORE,
	PLAIN,
	DASHES,		/* a line that begins with "--" */
	EMPTY,		/* the line that ends a header */
};

static enum verdict hold_judge(const struct mime_scan *s)
{
	size_t n = s->n_hold;
	bool crlf = n >= 2 && s->hold[n - 2] == '\r' && s->hold[n - 1] == '\n';

	if (s->hold[0] == '\r' && s->state == IN_HEADER)
		return n == 1 ? MORE : crlf ? EMPTY : PLAIN;
	if (s->hold[0] != '-' || (n >= 2 && s->hold[1] != '-'))
		return PLAIN;
	if (crlf)
		return DASHES;
	return n == LINE_HOLD ? PLAIN : MORE;
}

/* A line begins: hold octets until it is clear what it is. */
static const uint8_t *hold(struct mime_scan *s, const uint8_t *p, const uint8_t *end)
{
	while (p < end) {
		s->hold[s->n_hold++] = *p++;
		switch (hold_judge(s)) {
		case MORE:
			continue;
		case PLAIN:
			hold_flush(s);
			return p;
		case DASHES:
			hold_line(s);
			return p;
		case EMPTY:
			s->n_hold = 0;
			keep(s, "\r\n", 2);
			s->off += 2;
			s->lines++;
			header_end(s, false);
			return p;
		}
	}
	return p;
}

void mime_scan_feed(struct mime_scan *s, struct bytes in)
{
	const uint8_t *p = in.data, *end = p + in.len;

	assert(!s->ended);
	while (p < end && !s->misfit) {
		p = s->bol && !s->frozen ? hold(s, p, end) : run(s, p, end);
		if (s->n_hold == 0)
			settle(s);
	}
}

static void parts_print(struct mime *m)
{
	struct buf *b = buf_new(m, (size_t)(LIMIT_MIME_PARTS + 1) * 48);
	const char *space = "";

	for (size_t i = 0; i < m->n_parts; i++) {
		const struct mime_part *p = &m->parts[i];
		if (p->kind == MIME_MULTIPART)
			continue;
		buf_addf(b, "%s%" PRIu64 "/%" PRIu64, space, p->body_len, p->lines);
		space = " ";
	}
	if (m->has_tail)
		buf_addf(b, "%s%" PRIu64 "/%" PRIu64, space, m->tail_octets, m->tail_lines);
	m->parts_text = mem_strndup(m, b->data, b->len);
	talloc_free(b);
}

void mime_scan_end(struct mime_scan *s)
{
	if (s->ended)
		return;
	s->ended = true;
	if (s->n_hold >= 2 && s->hold[0] == '-')
		hold_line(s);
	else if (s->n_hold > 0)
		hold_flush(s);
	if (s->state == IN_HEADER) {
		/* Only a boundary that could not be taken makes content here: see hold_line(). */
		bool empty = can_open(s, 0);
		header_end(s, true);
		s->misfit |= empty && innermost(s)->given.octets > 0;
	}
	while (s->depth > 0)
		part_close(s, s->off, s->lines);
	struct mime *m = s->m;
	m->size = s->off;
	m->tail_octets = m->has_tail ? s->off - m->tail_octets : 0;
	m->tail_lines = m->has_tail ? s->lines - m->tail_lines : 0;
	parts_print(m);
}

bool mime_scan_fits(const struct mime_scan *s)
{
	return !s->misfit && s->off == s->size && s->next_given == s->n_given;
}

struct mime_scan *mime_scan_new(const void *ctx)
{
	struct mime_scan *s = mem_zero(ctx, struct mime_scan);

	s->m = mem_zero(s, struct mime);
	s->m->skeleton = buf_new(s->m, SKELETON_MAX);
	s->bol = true;
	part_open(s);
	return s;
}

struct mime_scan *mime_scan_replay(const void *ctx, const struct mime_measure *given, size_t n, uint64_t size)
{
	struct mime_scan *s = mime_scan_new(ctx);

	s->given = given;
	s->n_given = n;
	s->size = size;
	return s;
}

struct mime *mime_scan_take(struct mime_scan **scan, const void *ctx)
{
	struct mime_scan *s = *scan;

	mime_scan_end(s);
	struct mime *m = talloc_steal(ctx, s->m);
	talloc_free(s);
	*scan = NULL;
	return m;
}
