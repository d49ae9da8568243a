/*
 * What IMAP shows of a structure (RFC 3501 section 7.4.2), printed from the
 * skeleton's headers, so that it is the same before and after the body is here.
 *
 * A string is quoted when it is short and 7-bit, else a literal; NUL cannot be
 * sent and is dropped. A leaf that says multipart or message/rfc822 (broken,
 * encoded, too deep) is shown as application/octet-stream, because IMAP's
 * grammar wants parts there. Case and order of what the sender wrote are kept.
 */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/mime/field.h"
#include "lib/mime/header.h"
#include "lib/mime/tree.h"

enum {
	OUT_MAX = 16 * 1024 * 1024,
	QUOTED_MAX = 1000,
	LANGUAGES_MAX = 100,
};

struct printer {
	const struct mime *m;
	struct buf *out;
	bool extended;		/* BODYSTRUCTURE, not BODY */
	bool global;		/* message/global is shown as a message */
};

static bool is_quotable(const char *s, size_t len)
{
	if (len > QUOTED_MAX)
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x7f || ((unsigned char)*s < ' ' && *s != '\t'))
			return false;
	return true;
}

static void print_string(struct buf *b, const char *s)
{
	size_t len = strlen(s);

	if (!is_quotable(s, len)) {
		buf_addf(b, "{%zu}\r\n", len);
		buf_adds(b, s);
		return;
	}
	buf_adds(b, "\"");
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			buf_adds(b, "\\");
		buf_add(b, s, 1);
	}
	buf_adds(b, "\"");
}

static void print_nstring(struct buf *b, const char *s)
{
	if (s == NULL)
		buf_adds(b, "NIL");
	else
		print_string(b, s);
}

/* " " and the field's value as it stands, or NIL. */
static void print_field(struct buf *b, const void *tmp, struct bytes block, const char *name)
{
	buf_adds(b, " ");
	print_nstring(b, header_get(tmp, block, name));
}

/* Likewise, but nothing in it is NIL, too. */
static void print_content_field(struct buf *b, const void *tmp, struct bytes block, const char *name)
{
	const char *value = header_get(tmp, block, name);

	buf_adds(b, " ");
	print_nstring(b, value != NULL && *value != '\0' ? value : NULL);
}

static void print_address(struct buf *b, const struct mime_address *a)
{
	switch (a->kind) {
	case ADDRESS_GROUP:
		buf_adds(b, "(NIL NIL ");
		print_string(b, a->mailbox);
		buf_adds(b, " NIL)");
		break;
	case ADDRESS_END:
		buf_adds(b, "(NIL NIL NIL NIL)");
		break;
	case ADDRESS_MAILBOX:
		buf_adds(b, "(");
		print_nstring(b, a->name);
		buf_adds(b, " ");
		print_nstring(b, a->route);
		buf_adds(b, " ");
		print_string(b, a->mailbox);
		buf_adds(b, " ");
		print_string(b, a->host);
		buf_adds(b, ")");
		break;
	}
}

/* The values of a field that came more than once count as one (RFC 5322 section 4.5.3). */
static const char *all_values(const void *tmp, struct bytes block, const char *name)
{
	struct buf *b = buf_new(tmp, LIMIT_MIME_FIELD);
	struct bytes n, value, whole;
	size_t pos = 0;

	while (header_next(block, &pos, &n, &value, &whole)) {
		if (!header_is(n, name) || value.len > LIMIT_MIME_FIELD)
			continue;
		if (b->len > 0)
			buf_adds(b, ",");
		buf_add(b, value.data, value.len);
	}
	/* A NUL would hide the rest. */
	for (size_t i = 0; i < b->len; i++)
		if (b->data[i] == '\0')
			b->data[i] = ' ';
	return b->data;
}

/* The addresses of a field below tmp as IMAP sends them; NULL when there are none. */
static const char *address_list(const void *tmp, struct bytes block, const char *name)
{
	size_t n;
	const struct mime_address *list = mime_addresses(tmp, all_values(tmp, block, name), &n);

	if (list == NULL)
		return NULL;
	struct buf *b = buf_new(tmp, OUT_MAX);
	buf_adds(b, "(");
	for (size_t i = 0; i < n; i++)
		print_address(b, &list[i]);
	buf_adds(b, ")");
	return b->overflow ? NULL : b->data;
}

static void print_addresses(struct buf *b, const char *list)
{
	buf_adds(b, " ");
	buf_adds(b, list != NULL ? list : "NIL");
}

static void print_envelope(struct buf *b, struct bytes block)
{
	void *tmp = mem_ctx(b);
	const char *from = address_list(tmp, block, "From");
	const char *sender = address_list(tmp, block, "Sender");
	const char *reply_to = address_list(tmp, block, "Reply-To");

	buf_adds(b, "(");
	print_nstring(b, header_get(tmp, block, "Date"));
	print_field(b, tmp, block, "Subject");
	print_addresses(b, from);
	print_addresses(b, sender != NULL ? sender : from);
	print_addresses(b, reply_to != NULL ? reply_to : from);
	print_addresses(b, address_list(tmp, block, "To"));
	print_addresses(b, address_list(tmp, block, "Cc"));
	print_addresses(b, address_list(tmp, block, "Bcc"));
	print_field(b, tmp, block, "In-Reply-To");
	print_field(b, tmp, block, "Message-ID");
	buf_adds(b, ")");
	talloc_free(tmp);
}

/* " (name value ...)" or " NIL". Text has a charset in any case. */
static void print_params(struct buf *b, const struct mime_value *v, bool is_text)
{
	bool add_charset = is_text && (v == NULL || mime_value_param(v, "charset") == NULL);
	const char *space = "";

	if ((v == NULL || v->n_params == 0) && !add_charset) {
		buf_adds(b, " NIL");
		return;
	}
	buf_adds(b, " (");
	for (size_t i = 0; v != NULL && i < v->n_params; i++) {
		buf_adds(b, space);
		print_string(b, v->params[i].name);
		buf_adds(b, " ");
		print_string(b, v->params[i].value);
		space = " ";
	}
	if (add_charset)
		buf_addf(b, "%s\"charset\" \"us-ascii\"", space);
	buf_adds(b, ")");
}

/* disposition, language, location: the end of every extended part. */
static void print_extension(struct buf *b, const void *tmp, struct bytes block)
{
	const char *text = header_get(tmp, block, "Content-Disposition");
	const struct mime_value *v = text != NULL ? mime_value_token(tmp, text) : NULL;

	if (v == NULL) {
		buf_adds(b, " NIL");
	} else {
		buf_adds(b, " (");
		print_string(b, v->type);
		print_params(b, v, false);
		buf_adds(b, ")");
	}
	const char *languages[LANGUAGES_MAX];
	text = header_get(tmp, block, "Content-Language");
	size_t n = text != NULL ? mime_value_list(tmp, text, languages, LANGUAGES_MAX) : 0;
	buf_adds(b, n > 0 ? " (" : " NIL");
	for (size_t i = 0; i < n; i++) {
		buf_adds(b, i > 0 ? " " : "");
		print_string(b, languages[i]);
	}
	buf_adds(b, n > 0 ? ")" : "");
	print_content_field(b, tmp, block, "Content-Location");
}

static const struct mime_value *content_type(const void *tmp, struct bytes block)
{
	const char *text = header_get(tmp, block, "Content-Type");

	return text != NULL ? mime_value_type(tmp, text) : NULL;
}

static void print_coding(struct buf *b, const void *tmp, struct bytes block)
{
	const char *text = header_get(tmp, block, "Content-Transfer-Encoding");

	text = text != NULL ? mime_value_coding(tmp, text) : NULL;
	buf_adds(b, " ");
	print_string(b, text != NULL ? text : "7bit");
}

static void print_part(struct printer *, const struct mime_part *, bool in_digest);

static void print_multipart(struct printer *pr, const struct mime_part *p, const void *tmp)
{
	struct bytes block = mime_header(pr->m, p);
	const struct mime_value *v = content_type(tmp, block);

	if (p->first_child == 0)	/* the grammar wants one */
		buf_adds(pr->out, pr->extended ?
		    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)" :
		    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)");
	for (uint32_t i = p->first_child; i != 0; i = pr->m->parts[i].next)
		print_part(pr, &pr->m->parts[i], strcasecmp(v->subtype, "digest") == 0);
	buf_adds(pr->out, " ");
	print_string(pr->out, v->subtype);
	if (pr->extended) {
		print_params(pr->out, v, false);
		print_extension(pr->out, tmp, block);
	}
}

/* Type, subtype and parameters as shown, see the top. */
static bool print_type(struct printer *pr, const struct mime_part *p, const void *tmp, bool in_digest)
{
	const struct mime_value *v = content_type(tmp, mime_header(pr->m, p));
	bool composite = v != NULL && (strcasecmp(v->type, "multipart") == 0 ||
	    mime_value_is(v, "message", "rfc822") || mime_value_is(v, "message", "global"));
	bool is_text = v == NULL || strcasecmp(v->type, "text") == 0;

	if (v == NULL && in_digest) {	/* RFC 2046 section 5.1.5 */
		is_text = false;
		composite = true;
	}
	if (composite && p->kind == MIME_LEAF) {
		buf_adds(pr->out, "\"application\" \"octet-stream\"");
	} else if (v == NULL) {
		buf_adds(pr->out, composite ? "\"message\" \"rfc822\"" : "\"text\" \"plain\"");
	} else {
		print_string(pr->out, v->type);
		buf_adds(pr->out, " ");
		print_string(pr->out, v->subtype);
	}
	print_params(pr->out, v, is_text);
	return is_text;
}

/* message/global is no message/rfc822 for IMAP4rev1: its envelope would break the client's grammar. */
static bool shows_message(const struct printer *pr, const struct mime_part *p, const void *tmp)
{
	return p->kind == MIME_MESSAGE &&
	    (pr->global || !mime_value_is(content_type(tmp, mime_header(pr->m, p)), "message", "global"));
}

static void print_single(struct printer *pr, const struct mime_part *p, const void *tmp, bool in_digest)
{
	struct bytes block = mime_header(pr->m, p);
	bool is_text = print_type(pr, p, tmp, in_digest);
	bool is_message = shows_message(pr, p, tmp);

	print_content_field(pr->out, tmp, block, "Content-ID");
	print_content_field(pr->out, tmp, block, "Content-Description");
	print_coding(pr->out, tmp, block);
	buf_addf(pr->out, " %" PRIu64, p->body_len);
	if (is_message) {
		const struct mime_part *inner = &pr->m->parts[p->first_child];
		buf_adds(pr->out, " ");
		print_envelope(pr->out, mime_header(pr->m, inner));
		buf_adds(pr->out, " ");
		print_part(pr, inner, false);
	}
	if (is_text || is_message)
		buf_addf(pr->out, " %" PRIu64, p->lines);
	if (pr->extended) {
		print_content_field(pr->out, tmp, block, "Content-MD5");
		print_extension(pr->out, tmp, block);
	}
}

/* Recursion ends at LIMIT_MIME_DEPTH, as the tree does. */
static void print_part(struct printer *pr, const struct mime_part *p, bool in_digest)
{
	void *tmp = mem_ctx(pr->out);

	buf_adds(pr->out, "(");
	if (p->kind == MIME_MULTIPART)
		print_multipart(pr, p, tmp);
	else
		print_single(pr, p, tmp, in_digest);
	buf_adds(pr->out, ")");
	talloc_free(tmp);
}

static char *result(const void *ctx, struct buf *b, const char *instead)
{
	char *out = b->overflow ? mem_strdup(ctx, instead) : mem_strndup(ctx, b->data, b->len);

	talloc_free(b);
	return out;
}

char *mime_envelope(const void *ctx, const struct mime *m)
{
	struct buf *b = buf_new(ctx, OUT_MAX);

	print_envelope(b, mime_header(m, &m->parts[0]));
	return result(ctx, b, "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
}

/* What is too large to be told is one blob. */
static char *structure(const void *ctx, const struct mime *m, bool extended, bool global)
{
	struct printer pr = { m, buf_new(ctx, OUT_MAX), extended, global };
	char *blob = mem_printf(ctx, "(\"application\" \"octet-stream\" NIL NIL NIL \"binary\" %" PRIu64 "%s)",
	    m->parts[0].body_len, extended ? " NIL NIL NIL NIL" : "");

	print_part(&pr, &m->parts[0], false);
	char *out = result(ctx, pr.out, blob);
	talloc_free(blob);
	return out;
}

char *mime_body(const void *ctx, const struct mime *m)
{
	return structure(ctx, m, false, false);
}

char *mime_bodystructure(const void *ctx, const struct mime *m)
{
	return structure(ctx, m, true, false);
}

char *mime_body_global(const void *ctx, const struct mime *m)
{
	return structure(ctx, m, false, true);
}

char *mime_bodystructure_global(const void *ctx, const struct mime *m)
{
	return structure(ctx, m, true, true);
}
