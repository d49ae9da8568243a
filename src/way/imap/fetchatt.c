/*
 * Three tables decide everything: the items by name, the sections that may
 * stand in BODY[...], and BINARY. Whether an item needs the body is written there and
 * nowhere else.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/bytes.h"
#include "lib/base/mem.h"
#include "way/imap/fetchatt.h"
#include "way/imap/name.h"

enum { MAX_ATTS = 256, MAX_PART = 512 };

/* The first rows are in the order of enum imap_item: macros name them by it. */
static const struct {
	const char *name;
	enum imap_item item;
	unsigned needs;
	enum imap_section section;
} items[] = {
	{ "UID",           ITEM_UID,           NEED_RAM,              0 },
	{ "FLAGS",         ITEM_FLAGS,         NEED_RAM,              0 },
	{ "INTERNALDATE",  ITEM_INTERNALDATE,  NEED_RAM,              0 },
	{ "RFC822.SIZE",   ITEM_SIZE,          NEED_RAM,              0 },
	{ "ENVELOPE",      ITEM_ENVELOPE,      NEED_BRIEF,            0 },
	{ "BODY",          ITEM_BODY,          NEED_BRIEF,            0 },
	{ "BODYSTRUCTURE", ITEM_BODYSTRUCTURE, NEED_BRIEF,            0 },
	{ "MODSEQ",        ITEM_MODSEQ,        NEED_RAM,              0 },
	{ "EMAILID",       ITEM_EMAILID,       NEED_RAM,              0 },
	{ "THREADID",      ITEM_THREADID,      NEED_RAM,              0 },
	{ "RFC822",        ITEM_SECTION,       NEED_BODY | SETS_SEEN, SECTION_ALL },
	{ "RFC822.HEADER", ITEM_SECTION,       NEED_SKELETON,         SECTION_HEADER },
	{ "RFC822.TEXT",   ITEM_SECTION,       NEED_BODY | NEED_SKELETON | SETS_SEEN, SECTION_TEXT },
};

static const struct {
	const char *name;		/* in BODY[...], after the part number */
	enum imap_section section;
	unsigned needs;
	bool fields;			/* a list of field names follows */
	bool part;			/* only with a part number */
} sections[] = {
	{ "",                  SECTION_ALL,        NEED_BODY,     false, false },
	{ "TEXT",              SECTION_TEXT,       NEED_BODY | NEED_SKELETON, false, false },
	{ "HEADER",            SECTION_HEADER,     NEED_SKELETON, false, false },
	{ "HEADER.FIELDS",     SECTION_FIELDS,     NEED_SKELETON, true,  false },
	{ "HEADER.FIELDS.NOT", SECTION_FIELDS_NOT, NEED_SKELETON, true,  false },
	{ "MIME",              SECTION_MIME,       NEED_SKELETON, false, true },
};

/* RFC 9051 section 6.4.5: without the transfer encoding. */
static const struct {
	const char *name;		/* before the part number */
	const char *label;
	enum imap_item item;
	unsigned needs;
} binaries[] = {
	{ "BINARY[",      "BINARY",      ITEM_BINARY,      NEED_BODY | NEED_SKELETON | NEED_DECODED | SETS_SEEN },
	{ "BINARY.PEEK[", "BINARY",      ITEM_BINARY,      NEED_BODY | NEED_SKELETON | NEED_DECODED },
	{ "BINARY.SIZE[", "BINARY.SIZE", ITEM_BINARY_SIZE, NEED_BODY | NEED_SKELETON | NEED_DECODED },
};

static const struct {
	const char *name;
	enum imap_item items[5];
	size_t n;
} macros[] = {
	{ "FAST", { ITEM_FLAGS, ITEM_INTERNALDATE, ITEM_SIZE }, 3 },
	{ "ALL",  { ITEM_FLAGS, ITEM_INTERNALDATE, ITEM_SIZE, ITEM_ENVELOPE }, 4 },
	{ "FULL", { ITEM_FLAGS, ITEM_INTERNALDATE, ITEM_SIZE, ITEM_ENVELOPE, ITEM_BODY }, 5 },
};

#define N_ROWS(a) (sizeof(a) / sizeof((a)[0]))

/* What is being read: args[i] and on. */
struct reader {
	const void *ctx;
	const struct imap_arg *args;
	size_t n, i;
	struct imap_fetch *out;
};

static struct imap_att *add(struct reader *r)
{
	struct imap_fetch *f = r->out;

	if (f->n == MAX_ATTS)
		return NULL;
	f->atts = mem_resize(r->ctx, f->atts, struct imap_att, f->n + 1);
	struct imap_att *a = &f->atts[f->n++];

	*a = (struct imap_att){ .part = "" };
	return a;
}

/* "<12.345>", or nothing. */
static bool parse_partial(const char *p, struct imap_att *a)
{
	uint64_t *out[] = { &a->offset, &a->count };

	if (*p == '\0')
		return true;
	if (*p++ != '<')
		return false;
	for (unsigned i = 0; i < 2; i++) {
		const char *start = p;

		for (; *p >= '0' && *p <= '9'; p++) {
			if (*out[i] > (INT64_MAX - 9) / 10)
				return false;
			*out[i] = *out[i] * 10 + (uint64_t)(*p - '0');
		}
		if (p == start || *p++ != (i == 0 ? '.' : '>'))
			return false;
	}
	a->partial = true;
	return a->count > 0 && *p == '\0';
}

/* "1.2." in front of a section name; what follows. NULL: a zero or a stray dot. */
static const char *parse_part(const void *ctx, const char *p, struct imap_att *a)
{
	const char *start = p, *end = p;

	while (*p >= '1' && *p <= '9') {
		while (*p >= '0' && *p <= '9')
			p++;
		end = p;
		if (*p != '.')
			break;
		p++;
	}
	if (end == start)
		return p;
	if (end - start > MAX_PART)
		return NULL;
	a->part = mem_strndup(ctx, start, (size_t)(end - start));
	return p;
}

/* The list after HEADER.FIELDS, then the glued "]...". */
static const char *parse_fields(struct reader *r, struct imap_att *a)
{
	if (r->i + 1 >= r->n || r->args[r->i].kind != IMAP_LIST || r->args[r->i].n_args == 0)
		return NULL;
	const struct imap_arg *list = &r->args[r->i++];
	const struct imap_arg *tail = &r->args[r->i++];

	if (tail->kind != IMAP_ATOM || !tail->glued)
		return NULL;
	a->fields = mem_array(r->ctx, const char *, list->n_args);
	a->n_fields = list->n_args;
	for (size_t i = 0; i < list->n_args; i++) {
		const struct imap_arg *f = &list->args[i];

		if (f->kind != IMAP_ATOM && f->kind != IMAP_STRING)
			return NULL;
		for (size_t k = 0; k < f->len; k++)
			if (f->text[k] <= ' ' || f->text[k] == ':' || f->text[k] == 0x7f)
				return NULL;
		a->fields[i] = f->text;
	}
	return tail->text;
}

/* BODY[HEADER.FIELDS (DATE "X-Y")]<0> as the response says it. */
static const char *label_of(const void *ctx, const struct imap_att *a, const char *name)
{
	struct buf *b = buf_new(ctx, LIMIT_IMAP_LINE * 2);

	buf_addf(b, "BODY[%s%s%s", a->part, a->part[0] && name[0] ? "." : "", name);
	for (size_t i = 0; i < a->n_fields; i++) {
		const char *f = a->fields[i];

		buf_adds(b, i == 0 ? " (" : " ");
		if (f[0] == '\0' || strpbrk(f, "(){%*\"\\]"))
			imap_string_print(b, f, strlen(f));
		else
			buf_adds(b, f);
	}
	buf_adds(b, a->n_fields > 0 ? ")]" : "]");
	if (a->partial)
		buf_addf(b, "<%llu>", (unsigned long long)a->offset);
	return b->data;
}

/* p: after BODY[ or BODY.PEEK[. */
static bool parse_section(struct reader *r, const char *p, bool peek)
{
	struct imap_att *a = add(r);

	p = a ? parse_part(r->ctx, p, a) : NULL;
	if (!p)
		return false;
	size_t len = strcspn(p, "]");

	for (size_t i = 0; i < N_ROWS(sections); i++) {
		if (strlen(sections[i].name) != len || strncasecmp(sections[i].name, p, len) != 0)
			continue;
		if (sections[i].part && a->part[0] == '\0')
			return false;
		if (a->part[0] && (len > 0) != (p[-1] == '.'))
			return false;
		a->item = ITEM_SECTION;
		a->section = sections[i].section;
		a->needs = sections[i].needs | (peek ? 0 : SETS_SEEN);
		/* Where a part lies is known from the skeleton. */
		if (a->part[0])
			a->needs |= NEED_SKELETON;
		const char *tail = p + len;

		if (sections[i].fields)
			tail = *tail == '\0' ? parse_fields(r, a) : NULL;
		if (!tail || *tail != ']' || !parse_partial(tail + 1, a))
			return false;
		a->label = label_of(r->ctx, a, sections[i].name);
		return true;
	}
	return false;
}

/* p: after BINARY[ or the like, in a row of binaries. */
static bool parse_binary(struct reader *r, const char *p, size_t row)
{
	struct imap_att *a = add(r);

	p = a ? parse_part(r->ctx, p, a) : NULL;
	if (!p || *p != ']' || (a->part[0] && p[-1] == '.') || !parse_partial(p + 1, a))
		return false;
	a->item = binaries[row].item;
	a->needs = binaries[row].needs;
	a->label = a->partial ?
	    mem_printf(r->ctx, "%s[%s]<%llu>", binaries[row].label, a->part, (unsigned long long)a->offset) :
	    mem_printf(r->ctx, "%s[%s]", binaries[row].label, a->part);
	return a->item == ITEM_BINARY || !a->partial;
}

static bool add_item(struct reader *r, size_t row)
{
	struct imap_att *a = add(r);

	if (!a)
		return false;
	a->item = items[row].item;
	a->needs = items[row].needs;
	a->section = items[row].section;
	a->label = items[row].name;
	return true;
}

static bool parse_item(struct reader *r)
{
	const struct imap_arg *a = &r->args[r->i++];

	if (a->kind != IMAP_ATOM)
		return false;
	for (size_t i = 0; i < N_ROWS(items); i++)
		if (strcasecmp(a->text, items[i].name) == 0)
			return add_item(r, i);
	if (strncasecmp(a->text, "BODY[", 5) == 0)
		return parse_section(r, a->text + 5, false);
	if (strncasecmp(a->text, "BODY.PEEK[", 10) == 0)
		return parse_section(r, a->text + 10, true);
	for (size_t i = 0; i < N_ROWS(binaries); i++)
		if (strncasecmp(a->text, binaries[i].name, strlen(binaries[i].name)) == 0)
			return parse_binary(r, a->text + strlen(binaries[i].name), i);
	return false;
}

static bool parse_macro(struct reader *r)
{
	for (size_t i = 0; i < N_ROWS(macros); i++) {
		if (r->n != 1 || r->args[0].kind != IMAP_ATOM || strcasecmp(r->args[0].text, macros[i].name) != 0)
			continue;
		for (size_t k = 0; k < macros[i].n; k++)
			add_item(r, macros[i].items[k]);
		return true;
	}
	return false;
}

int imap_fetch_parse(const void *ctx, const struct imap_arg *args, size_t n, struct imap_fetch *out)
{
	struct reader r = { .ctx = ctx, .args = args, .n = n, .out = out };

	*out = (struct imap_fetch){ 0 };
	if (n == 1 && args[0].kind == IMAP_LIST) {
		r.args = args[0].args;
		r.n = args[0].n_args;
	}
	if (r.n == 0)
		return -1;
	if (!parse_macro(&r)) {
		while (r.i < r.n)
			if (!parse_item(&r))
				return -1;
	}
	/* Several items need parentheses; one with a field list comes as three arguments. */
	if (r.args == args && out->n != 1 && n != 1)
		return -1;
	for (size_t i = 0; i < out->n; i++)
		out->needs |= out->atts[i].needs;
	return 1;
}

bool imap_fetch_has(const struct imap_fetch *f, enum imap_item item)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->atts[i].item == item)
			return true;
	return false;
}
