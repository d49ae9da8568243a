/*
 * Structured fields that carry MIME's own words. Written here and not taken
 * from libetpan, because what a boundary is decides the tree: libetpan gives
 * up the whole field for one bad parameter, has no limit on their number, and
 * its comments recurse. Types and names stay as written.
 *
 * RFC 2231: name*0, name*1 ... become one parameter, named "name*" when a
 * piece is extended (plain pieces are percent-encoded then); a gap ends it.
 * Charsets are not decoded: that is the client's.
 */
#include "lib/mime/field.h"

#include <stdlib.h>
#include <strings.h>

#include "lib/base/mem.h"

/* "(...)" at *p, nested; the text inside below ctx when wanted. Open ends are closed by the end. */
static void comment(struct cursor *c, const void *ctx, char **text_out)
{
	const char *begin = ++c->p;
	unsigned depth = 1;

	for (; *c->p != '\0'; c->p++) {
		if (*c->p == '\\' && c->p[1] != '\0')
			c->p++;
		else if (*c->p == '(')
			depth++;
		else if (*c->p == ')' && --depth == 0)
			break;
	}
	if (text_out != NULL) {
		talloc_free(*text_out);
		char *to = *text_out = mem_strndup(ctx, begin, (size_t)(c->p - begin));
		for (const char *from = to; *from != '\0'; *to++ = *from++)
			if (*from == '\\' && from[1] != '\0')
				from++;
		*to = '\0';
	}
	if (*c->p == ')')
		c->p++;
}

static bool is_space(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

void cursor_space(struct cursor *c, const void *ctx, char **comment_out)
{
	for (;;) {
		if (is_space(*c->p))
			c->p++;
		else if (*c->p == '(')
			comment(c, ctx, comment_out);
		else
			return;
	}
}

char *cursor_quoted(struct cursor *c, const void *ctx)
{
	const char *begin = ++c->p;

	for (; *c->p != '\0' && *c->p != '"'; c->p++)
		if (*c->p == '\\' && c->p[1] != '\0')
			c->p++;
	char *out = mem_array(ctx, char, (size_t)(c->p - begin) + 1);
	char *to = out;
	for (const char *from = begin; from < c->p; from++) {
		if (*from == '\\' && from + 1 < c->p)
			from++;
		if (*from != '\r' && *from != '\n')
			*to++ = *from;
	}
	*to = '\0';
	if (*c->p == '"')
		c->p++;
	return out;
}

/* RFC 2045 token, 8-bit octets too; NULL when there is none. */
static const char *token(struct cursor *c, const void *ctx, const char *specials)
{
	const char *begin = c->p;

	while ((unsigned char)*c->p > ' ' && *c->p != 0x7f && strchr(specials, *c->p) == NULL)
		c->p++;
	return c->p > begin ? mem_strndup(ctx, begin, (size_t)(c->p - begin)) : NULL;
}

#define TSPECIALS "()<>@,;:\\\"/[]?="

/* Real mail has unquoted values with specials in them (file names): only what must end one does. */
#define VALUE_ENDS "();,\""

static bool param_parse(struct cursor *c, const void *ctx, struct mime_param *p)
{
	cursor_space(c, NULL, NULL);
	p->name = token(c, ctx, TSPECIALS);
	cursor_space(c, NULL, NULL);
	if (p->name == NULL || *c->p != '=')
		return false;
	c->p++;
	cursor_space(c, NULL, NULL);
	p->value = *c->p == '"' ? cursor_quoted(c, ctx) : token(c, ctx, VALUE_ENDS);
	if (p->value == NULL)
		p->value = "";
	return true;
}

/* What stands behind the '*' of a name. */
struct piece {
	long number;		/* -1: it is none */
	size_t stem;
	bool extended;
};

static struct piece piece_of(const char *name)
{
	struct piece none = { -1, 0, false };
	const char *star = strchr(name, '*');
	char *end;

	if (star == NULL || star[1] < '0' || star[1] > '9')
		return none;
	long n = strtol(star + 1, &end, 10);
	if (n > LIMIT_MIME_PARAMS || (end[0] != '\0' && strcmp(end, "*") != 0))
		return none;
	return (struct piece){ n, (size_t)(star - name), end[0] == '*' };
}

static bool is_attribute_char(unsigned char ch)
{
	return ch > ' ' && ch < 0x7f && strchr("*'%" TSPECIALS, ch) == NULL;
}

static void piece_add(struct buf *b, const char *value, bool encode)
{
	if (!encode) {
		buf_adds(b, value);
		return;
	}
	for (; *value != '\0'; value++)
		if (is_attribute_char((unsigned char)*value))
			buf_add(b, value, 1);
		else
			buf_addf(b, "%%%02X", (unsigned char)*value);
}

/* The parameter that is piece n of the name that params[first] begins; -1 when it is missing. */
static long piece_find(const struct mime_value *v, const struct piece *pieces, size_t n_pieces, size_t first, long n)
{
	for (size_t i = 0; i < n_pieces; i++)
		if (pieces[i].number == n && pieces[i].stem == pieces[first].stem && v->params[i].name != NULL &&
		    strncasecmp(v->params[i].name, v->params[first].name, pieces[i].stem) == 0)
			return (long)i;
	return -1;
}

/* All pieces of the name that params[first] begins as one parameter; they are struck out. */
static struct mime_param pieces_join(const void *ctx, struct mime_value *v, const struct piece *pieces, size_t n_pieces,
    size_t first)
{
	long order[LIMIT_MIME_PARAMS + 1], n = 0, i;
	bool any = false;

	while (n < LIMIT_MIME_PARAMS && (i = piece_find(v, pieces, n_pieces, first, n)) >= 0) {
		any |= pieces[i].extended;
		order[n++] = i;
	}
	struct buf *b = buf_new(ctx, (size_t)LIMIT_MIME_FIELD * 3);
	for (long k = 0; k < n; k++)
		piece_add(b, v->params[order[k]].value, any && !pieces[order[k]].extended);
	const char *name = mem_printf(ctx, "%.*s%s", (int)pieces[first].stem, v->params[first].name, any ? "*" : "");
	for (long k = 0; k < n; k++)
		v->params[order[k]].name = NULL;
	return (struct mime_param){ name, b->data };
}

static void join_continued(const void *ctx, struct mime_value *v)
{
	struct piece pieces[LIMIT_MIME_PARAMS];
	size_t n_pieces = v->n_params, n = 0;

	for (size_t i = 0; i < n_pieces; i++)
		pieces[i] = piece_of(v->params[i].name);
	/* A joined one stands behind the others. */
	for (size_t i = 0; i < n_pieces; i++)
		if (pieces[i].number == 0 && v->params[i].name != NULL)
			v->params[v->n_params++] = pieces_join(ctx, v, pieces, n_pieces, i);
	for (size_t i = 0; i < v->n_params; i++)
		if (v->params[i].name != NULL)
			v->params[n++] = v->params[i];
	v->n_params = n;
}

/* "; name=value" until the end; a broken one is passed over. */
static void params_parse(struct cursor *c, const void *ctx, struct mime_value *v)
{
	/* Twice the room: joined ones are appended before their pieces go. */
	v->params = mem_array(ctx, struct mime_param, (size_t)LIMIT_MIME_PARAMS * 2);
	while (v->n_params < LIMIT_MIME_PARAMS) {
		cursor_space(c, NULL, NULL);
		while (*c->p != '\0' && *c->p != ';') {
			if (*c->p == '"')
				talloc_free(cursor_quoted(c, ctx));
			else
				c->p++;
		}
		if (*c->p == '\0')
			break;
		c->p++;
		if (param_parse(c, ctx, &v->params[v->n_params]))
			v->n_params++;
	}
	join_continued(ctx, v);
}

struct mime_value *mime_value_type(const void *ctx, const char *text)
{
	struct mime_value *v = mem_zero(ctx, struct mime_value);
	struct cursor c = { text };

	cursor_space(&c, NULL, NULL);
	v->type = token(&c, v, TSPECIALS);
	cursor_space(&c, NULL, NULL);
	if (v->type != NULL && *c.p == '/') {
		c.p++;
		cursor_space(&c, NULL, NULL);
		v->subtype = token(&c, v, TSPECIALS);
	}
	if (v->subtype == NULL) {
		talloc_free(v);
		return NULL;
	}
	params_parse(&c, v, v);
	return v;
}

struct mime_value *mime_value_token(const void *ctx, const char *text)
{
	struct mime_value *v = mem_zero(ctx, struct mime_value);
	struct cursor c = { text };

	cursor_space(&c, NULL, NULL);
	v->type = token(&c, v, TSPECIALS);
	if (v->type == NULL) {
		talloc_free(v);
		return NULL;
	}
	params_parse(&c, v, v);
	return v;
}

const char *mime_value_coding(const void *ctx, const char *text)
{
	struct cursor c = { text };

	cursor_space(&c, NULL, NULL);
	const char *coding = token(&c, ctx, TSPECIALS);
	cursor_space(&c, NULL, NULL);
	return *c.p == '\0' || *c.p == ';' ? coding : NULL;
}

const char *mime_value_param(const struct mime_value *v, const char *name)
{
	for (size_t i = 0; i < v->n_params; i++)
		if (strcasecmp(v->params[i].name, name) == 0)
			return v->params[i].value;
	return NULL;
}

bool mime_value_is(const struct mime_value *v, const char *type, const char *subtype)
{
	if (v == NULL || strcasecmp(v->type, type) != 0)
		return false;
	return subtype == NULL || (v->subtype != NULL && strcasecmp(v->subtype, subtype) == 0);
}

size_t mime_value_list(const void *ctx, const char *text, const char **out, size_t max)
{
	struct cursor c = { text };
	size_t n = 0;

	while (n < max) {
		cursor_space(&c, NULL, NULL);
		out[n] = token(&c, ctx, TSPECIALS);
		n += out[n] != NULL;
		while (*c.p != '\0' && *c.p != ',')
			c.p++;
		if (*c.p++ == '\0')
			break;
	}
	return n;
}
