/*
 * Address lists as ENVELOPE wants them: name, route, mailbox, host, and
 * markers around groups. Written here because ENVELOPE must be whole even when
 * one of the addresses is broken: libetpan drops the list from there on, takes
 * quoted local parts apart at commas, and forgets routes and comments (an old
 * "ann@x (Ann)" has its name there).
 *
 * Every address is read as a row of words up to ',' ';' or the end; what stood
 * in "<>" is the mailbox and the words are the name, else the words are the
 * mailbox. What is missing is "MISSING_MAILBOX" and "MISSING_DOMAIN", as other
 * servers say: NIL would mean a group.
 */
#include "lib/base/mem.h"
#include "lib/mime/field.h"

struct list {
	const void *ctx;
	struct mime_address *items;
	size_t n, size;
	bool in_group;
};

static void add(struct list *l, struct mime_address a)
{
	if (l->n == LIMIT_MIME_ADDRESSES)
		return;
	if (l->n == l->size) {
		l->size = l->size == 0 ? 4 : l->size * 2;
		l->items = mem_resize(l->ctx, l->items, struct mime_address, l->size);
	}
	l->items[l->n++] = a;
}

/* An atom: anything that is neither space nor special, 8-bit too. */
static size_t atom_len(const char *p)
{
	return strcspn(p, " \t\r\n()<>,;:\"@.[]");
}

/* The words of one address so far, as a name and as a mailbox. */
struct words {
	struct buf *phrase;	/* white space between words is one space */
	struct buf *spec;	/* none beside '.' and '@': "ann . b @ c" is "ann.b@c" */
	long at;		/* the first '@' in spec, or -1 */
	bool gap, glued;	/* white space, or '.' or '@', before the next word */
	char *comment;		/* the last one */
};

static void words_clear(struct words *w)
{
	buf_clear(w->phrase);
	buf_clear(w->spec);
	w->at = -1;
	w->gap = w->glued = false;
	TALLOC_FREE(w->comment);
}

static void word_add(struct words *w, const char *data, size_t len, bool special)
{
	if (w->gap && w->phrase->len > 0)
		buf_add(w->phrase, " ", 1);
	if (w->gap && w->spec->len > 0 && !special && !w->glued)
		buf_add(w->spec, " ", 1);
	if (special && *data == '@' && w->at < 0)
		w->at = (long)w->spec->len;
	buf_add(w->phrase, data, len);
	buf_add(w->spec, data, len);
	w->gap = false;
	w->glued = special;
}

/* Words up to one of ends; that is not taken. */
static void words_read(struct cursor *c, const void *ctx, struct words *w, const char *ends)
{
	for (;;) {
		const char *before = c->p;
		cursor_space(c, ctx, &w->comment);
		w->gap |= c->p > before;
		if (*c->p == '\0' || strchr(ends, *c->p) != NULL)
			return;
		size_t len = atom_len(c->p);
		if (*c->p == '"') {
			char *quoted = cursor_quoted(c, ctx);
			word_add(w, quoted, strlen(quoted), false);
			talloc_free(quoted);
			continue;
		}
		if (*c->p == '[') {
			len = strcspn(c->p, "]\r\n");
			len += c->p[len] == ']';
		}
		word_add(w, c->p, len > 0 ? len : 1, *c->p == '.' || *c->p == '@');
		c->p += len > 0 ? len : 1;
	}
}

static char *text_or_null(const void *ctx, const struct buf *b)
{
	return b->len > 0 ? mem_strndup(ctx, b->data, b->len) : NULL;
}

/* What stands in spec; name is taken from the comment when there is none. */
static void add_mailbox(struct list *l, struct words *w, const char *name, const char *route)
{
	const char *text = w->spec->data;
	size_t local = w->at >= 0 ? (size_t)w->at : w->spec->len;
	const char *host = w->at >= 0 ? text + w->at + 1 : "";
	struct mime_address a = { .kind = ADDRESS_MAILBOX, .name = name, .route = route };

	if (a.name == NULL && w->comment != NULL && *w->comment != '\0')
		a.name = mem_strdup(l->ctx, w->comment);
	a.is_broken = local == 0 || *host == '\0';
	a.mailbox = local > 0 ? mem_strndup(l->ctx, text, local) : "MISSING_MAILBOX";
	a.host = *host != '\0' ? mem_strdup(l->ctx, host) : "MISSING_DOMAIN";
	add(l, a);
}

/* At '<': the words before it are the name. Up to ',' ';' or the end. */
static void read_angle(struct list *l, struct cursor *c, struct words *w)
{
	char *name = text_or_null(l->ctx, w->phrase);
	char *route = NULL;

	c->p++;
	buf_clear(w->phrase);
	buf_clear(w->spec);
	w->at = -1;
	w->gap = false;
	cursor_space(c, NULL, NULL);
	if (*c->p == '@') {	/* obsolete source route */
		words_read(c, l->ctx, w, ":>");
		if (*c->p == ':') {
			c->p++;
			route = text_or_null(l->ctx, w->spec);
			buf_clear(w->spec);
			w->at = -1;
		}
	}
	words_read(c, l->ctx, w, ">,;");
	long at = w->at;
	size_t len = w->spec->len;
	if (*c->p == '>') {
		c->p++;
		words_read(c, l->ctx, w, ",;");
		w->spec->len = len;	/* what follows ">" is not looked at */
		w->spec->data[len] = '\0';
		w->at = at;
	}
	add_mailbox(l, w, name, route);
	words_clear(w);
}

static void flush(struct list *l, struct words *w)
{
	if (w->spec->len > 0)
		add_mailbox(l, w, NULL, NULL);
	words_clear(w);
}

static void group_end(struct list *l)
{
	if (l->in_group)
		add(l, (struct mime_address){ .kind = ADDRESS_END });
	l->in_group = false;
}

struct mime_address *mime_addresses(const void *ctx, const char *text, size_t *n_out)
{
	struct list l = { .ctx = ctx };
	struct cursor c = { text };
	struct words w = { .phrase = buf_new(ctx, LIMIT_MIME_FIELD), .spec = buf_new(ctx, LIMIT_MIME_FIELD), .at = -1 };

	for (;;) {
		words_read(&c, ctx, &w, "<,;:");
		if (*c.p == '\0')
			break;
		if (*c.p == '<') {
			read_angle(&l, &c, &w);
			continue;
		}
		char ch = *c.p++;
		if (ch == ':' && !l.in_group && w.at < 0) {
			add(&l, (struct mime_address){ .kind = ADDRESS_GROUP, .mailbox = mem_strdup(ctx, w.phrase->data) });
			l.in_group = true;
			words_clear(&w);
		} else if (ch == ':') {
			word_add(&w, ":", 1, false);
		} else {
			flush(&l, &w);
			if (ch == ';')
				group_end(&l);
		}
	}
	flush(&l, &w);
	group_end(&l);
	*n_out = l.n;
	return l.items;
}
