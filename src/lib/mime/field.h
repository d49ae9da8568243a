#ifndef MIME_FIELD_H
#define MIME_FIELD_H
/*
 * Values of structured fields (RFC 2045, 2183, 2231, 3282, 5322): tokens,
 * parameters, addresses. Pure, iterative, bounded by limits.h; what is broken
 * ends the list. For this folder only.
 */
#include <stdbool.h>

#include "lib/base/bytes.h"
#include "lib/base/limits.h"

struct mime_param {
	const char *name, *value;
};

/* "type/subtype; name=value ..." or, without subtype, "attachment; ...". */
struct mime_value {
	const char *type, *subtype;	/* as written; subtype NULL for a disposition */
	struct mime_param *params;
	size_t n_params;
};

/* Content-Type, below ctx; NULL when it is none. */
struct mime_value *mime_value_type(const void *ctx, const char *text);
/* Content-Disposition: one token and parameters. */
struct mime_value *mime_value_token(const void *ctx, const char *text);
/* Content-Transfer-Encoding: the token; NULL for anything else ("8 bit"). */
const char *mime_value_coding(const void *ctx, const char *text);
/* The value of a parameter or NULL. */
const char *mime_value_param(const struct mime_value *, const char *name);
bool mime_value_is(const struct mime_value *, const char *type, const char *subtype);
/* Content-Language: the tokens between commas; at most max. */
size_t mime_value_list(const void *ctx, const char *text, const char **out, size_t max);

/* A mailbox, or the begin (mailbox: the group's name) or end of a group. */
enum mime_address_kind { ADDRESS_MAILBOX, ADDRESS_GROUP, ADDRESS_END };
struct mime_address {
	enum mime_address_kind kind;
	bool is_broken;		/* mailbox or host is missing */
	const char *name, *route, *mailbox, *host;	/* NULL when absent */
};

/* The addresses of a From-like value below ctx, at most LIMIT_MIME_ADDRESSES. */
struct mime_address *mime_addresses(const void *ctx, const char *text, size_t *n_out);

/* Tokens, for the parsers of this folder. */
struct cursor {
	const char *p;
};

/* White space and comments; the last comment's text, below ctx, when comment_out is given. */
void cursor_space(struct cursor *, const void *ctx, char **comment_out);
/* A quoted string at '"' without quotes and backslashes; an open end is the end. */
char *cursor_quoted(struct cursor *, const void *ctx);

#endif
