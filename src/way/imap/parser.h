#ifndef IMAP_PARSER_H
#define IMAP_PARSER_H
/*
 * Octets of a client to one command: a tag, a name and a tree of arguments
 * (RFC 3501 section 9). Incremental and pure: no I/O, nothing but memory
 * bounded by the limits given. Text never holds a NUL.
 *
 * BODY[HEADER.FIELDS (DATE)]<0.9> comes as three arguments: an atom, a list
 * and an atom that is glued to it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/limits.h"

enum imap_arg_kind {
	IMAP_ATOM,
	IMAP_STRING,		/* quoted, or a literal */
	IMAP_LIST,
	IMAP_STREAM,		/* a literal that somebody else reads: size octets */
};

struct imap_arg {
	enum imap_arg_kind kind;
	bool glued;		/* no space before it */
	const char *text;	/* NUL-terminated; NULL for lists and streams */
	size_t len;
	struct imap_arg *args;	/* of a list */
	size_t n_args;
	uint64_t size;		/* of a stream */
};

enum imap_parse {
	IMAP_PARSE_BAD = -1,	/* the line is over; imap_parser_error() says what was wrong */
	IMAP_PARSE_MORE = 0,
	IMAP_PARSE_DONE = 1,	/* the line is over: tag, name, args are there */
	IMAP_PARSE_LITERAL = 2,	/* a literal is announced: take, stream or refuse it */
};

struct imap_parser;

struct imap_parser *imap_parser_new(const void *ctx);
/* Octets of one command in all, and of one literal in it. */
void imap_parser_set_limits(struct imap_parser *, size_t max_command, size_t max_literal);

/* Uses up *used_out octets, and stops early at anything but MORE. After BAD or DONE: reset. */
enum imap_parse imap_parser_feed(struct imap_parser *, const char *data, size_t len, size_t *used_out);
void imap_parser_reset(struct imap_parser *);

/* What has been read so far; tag and name are NULL until complete. Borrowed until reset. */
const char *imap_parser_tag(const struct imap_parser *);
const char *imap_parser_name(const struct imap_parser *);
const struct imap_arg *imap_parser_args(const struct imap_parser *, size_t *n_out);
/* Depth of open lists. */
/* Has nothing of a command come yet? */
bool imap_parser_is_fresh(const struct imap_parser *);
unsigned imap_parser_depth(const struct imap_parser *);
const char *imap_parser_error(const struct imap_parser *);
/* Too much to skip: the connection has to end. */
bool imap_parser_is_fatal(const struct imap_parser *);
/* The memory of the command goes to ctx; then reset. */
void imap_parser_give(struct imap_parser *, const void *ctx);

/* After IMAP_PARSE_LITERAL. */
uint64_t imap_parser_literal(const struct imap_parser *);
bool imap_parser_literal_waits(const struct imap_parser *);	/* for "+ ": a synchronising one */
bool imap_parser_literal_is_8(const struct imap_parser *);	/* "~{...": a literal8 (RFC 4466) */
bool imap_parser_literal_fits(const struct imap_parser *);
void imap_parser_literal_take(struct imap_parser *);
/* The caller reads its octets itself, then feeds on. */
void imap_parser_literal_stream(struct imap_parser *);
/* The rest of the command is skipped; BAD comes when it is over: with the next feed for a synchronising one. */
void imap_parser_literal_refuse(struct imap_parser *, const char *error);

#endif
