/*
 * A state machine, octet by octet, that never looks back: a session may get
 * its input in any pieces. Lists nest by a stack of growing arrays; a list
 * that closes becomes an argument of the one below.
 *
 * After an error the rest of the line is skipped, and so is a LITERAL+
 * (RFC 7888) it announces, since the client sends that anyway and it must
 * not be read as commands. A synchronising literal ends the skipping: the
 * client waits for our answer.
 */
#include <assert.h>
#include <string.h>

#include "lib/base/mem.h"
#include "way/imap/parser.h"

enum state {
	S_START,		/* before an argument */
	S_ATOM,
	S_QUOTED,
	S_ESCAPED,
	S_AFTER,		/* after a string or list */
	S_SIZE,			/* in {123+} */
	S_SIZE_PLUS,
	S_SIZE_CLOSED,
	S_SIZE_CR,
	S_ASK,			/* the literal waits for a decision */
	S_LITERAL,
	S_CR,
	S_SKIP,
	S_SKIP_LITERAL,
	S_REFUSED,		/* BAD with the next feed */
};

enum skip { SKIP_NO, SKIP_OPEN, SKIP_DIGITS, SKIP_PLUS, SKIP_CLOSED };

enum { SKIP_MAX = 16 * 1024 * 1024 };

struct level {
	struct imap_arg *args;
	size_t n, size;
};

struct imap_parser {
	void *pool;		/* memory of this command */
	enum state state;
	struct level stack[LIMIT_IMAP_DEPTH + 1];
	unsigned depth;
	bool spaced;		/* a space came before */
	char *token;
	size_t token_len, token_size;
	size_t stored, max_command, max_literal;
	uint64_t literal;	/* announced, or left to read */
	bool digits, plus;
	bool is_literal8;
	enum skip skip;
	uint64_t skip_size;
	bool skip_plus, fatal;
	const char *error;
};

struct imap_parser *imap_parser_new(const void *ctx)
{
	struct imap_parser *p = mem_zero(ctx, struct imap_parser);

	imap_parser_set_limits(p, LIMIT_IMAP_LINE, LIMIT_IMAP_LINE);
	imap_parser_reset(p);
	return p;
}

void imap_parser_set_limits(struct imap_parser *p, size_t max_command, size_t max_literal)
{
	p->max_command = max_command;
	p->max_literal = max_literal;
}

static void forget(struct imap_parser *p)
{
	p->pool = NULL;
	p->state = S_START;
	memset(p->stack, 0, sizeof(p->stack));
	p->depth = 0;
	p->spaced = true;
	p->token = NULL;
	p->token_len = p->token_size = p->stored = 0;
	p->error = NULL;
	p->fatal = false;
}

void imap_parser_reset(struct imap_parser *p)
{
	talloc_free(p->pool);
	forget(p);
}

void imap_parser_give(struct imap_parser *p, const void *ctx)
{
	if (p->pool)
		talloc_steal(ctx, p->pool);
	forget(p);
}

const char *imap_parser_tag(const struct imap_parser *p)
{
	return p->stack[0].n > 0 ? p->stack[0].args[0].text : NULL;
}

const char *imap_parser_name(const struct imap_parser *p)
{
	return p->stack[0].n > 1 ? p->stack[0].args[1].text : NULL;
}

const struct imap_arg *imap_parser_args(const struct imap_parser *p, size_t *n_out)
{
	*n_out = p->stack[0].n > 2 ? p->stack[0].n - 2 : 0;
	return *n_out > 0 ? p->stack[0].args + 2 : NULL;
}

bool imap_parser_is_fresh(const struct imap_parser *p)
{
	return p->state == S_START && p->depth == 0 && p->stack[0].n == 0 && p->token_len == 0;
}

unsigned imap_parser_depth(const struct imap_parser *p)
{
	return p->depth;
}

const char *imap_parser_error(const struct imap_parser *p)
{
	return p->error ? p->error : "Syntax error";
}

bool imap_parser_is_fatal(const struct imap_parser *p)
{
	return p->fatal;
}

/* ---- tokens ---- */

static void *pool(struct imap_parser *p)
{
	if (!p->pool)
		p->pool = mem_ctx(p);
	return p->pool;
}

static void fail(struct imap_parser *p, const char *error)
{
	if (!p->error)
		p->error = error;
	p->state = S_SKIP;
	p->skip = SKIP_NO;
}

static bool charge(struct imap_parser *p, size_t len)
{
	if (len > p->max_command - p->stored) {
		fail(p, "Command is too long");
		return false;
	}
	p->stored += len;
	return true;
}

static bool store(struct imap_parser *p, const char *data, size_t len)
{
	if (!charge(p, len))
		return false;
	if (p->token_len + len + 1 > p->token_size) {
		size_t size = p->token_size ? p->token_size : 32;

		while (size < p->token_len + len + 1)
			size *= 2;
		p->token = mem_resize(pool(p), p->token, char, size);
		p->token_size = size;
	}
	memcpy(p->token + p->token_len, data, len);
	p->token_len += len;
	return true;
}

static struct imap_arg *add_arg(struct imap_parser *p, enum imap_arg_kind kind)
{
	struct level *l = &p->stack[p->depth];

	if (l->n == l->size) {
		l->size = l->size ? l->size * 2 : 8;
		l->args = mem_resize(pool(p), l->args, struct imap_arg, l->size);
	}
	struct imap_arg *a = &l->args[l->n++];

	*a = (struct imap_arg){ .kind = kind, .glued = !p->spaced };
	p->spaced = false;
	return a;
}

static void end_token(struct imap_parser *p, enum imap_arg_kind kind)
{
	struct imap_arg *a = add_arg(p, kind);

	a->text = mem_strndup(pool(p), p->token_len ? p->token : "", p->token_len);
	a->len = p->token_len;
	p->token_len = 0;
	p->state = S_AFTER;
	size_t top = p->stack[0].n;

	if (p->depth > 0 || top > 2)
		return;
	if (kind != IMAP_ATOM || (top == 1 && strpbrk(a->text, "+*%]\\"))) {
		p->stack[0].n = top - 1;
		fail(p, top == 1 ? "Bad tag" : "Bad command name");
	}
}

static void open_list(struct imap_parser *p)
{
	if (p->stack[0].n < 2) {
		fail(p, "Tag or command name missing");
		return;
	}
	if (p->depth == LIMIT_IMAP_DEPTH) {
		fail(p, "Too many parentheses");
		return;
	}
	if (!charge(p, 2))
		return;
	p->stack[++p->depth] = (struct level){ 0 };
	p->spaced = true;
	p->state = S_START;
}

static void close_list(struct imap_parser *p)
{
	if (p->depth == 0) {
		fail(p, "Unexpected )");
		return;
	}
	struct level l = p->stack[p->depth--];

	p->spaced = true;	/* on_after() lets no list begin without */
	struct imap_arg *a = add_arg(p, IMAP_LIST);

	a->args = l.args;
	a->n_args = l.n;
	p->state = S_AFTER;
}

/* ---- states ---- */

/* To the end of the line, and over a LITERAL+ announced there. */
static enum imap_parse on_skip(struct imap_parser *p, char c)
{
	if (c == '\n') {
		if (p->skip != SKIP_CLOSED || !p->skip_plus)
			return IMAP_PARSE_BAD;
		p->skip = SKIP_NO;
		p->fatal = p->skip_size > SKIP_MAX;
		if (p->fatal)
			return IMAP_PARSE_BAD;
		p->literal = p->skip_size;
		p->state = p->literal > 0 ? S_SKIP_LITERAL : S_SKIP;
	} else if (c == '{') {
		p->skip = SKIP_OPEN;
		p->skip_size = 0;
		p->skip_plus = false;
	} else if (c >= '0' && c <= '9' && (p->skip == SKIP_OPEN || p->skip == SKIP_DIGITS)) {
		p->skip = SKIP_DIGITS;
		if (p->skip_size <= SKIP_MAX)
			p->skip_size = p->skip_size * 10 + (uint64_t)(c - '0');
	} else if (c == '+' && p->skip == SKIP_DIGITS) {
		p->skip = SKIP_PLUS;
		p->skip_plus = true;
	} else if (c == '}' && (p->skip == SKIP_DIGITS || p->skip == SKIP_PLUS)) {
		p->skip = SKIP_CLOSED;
	} else if (c != '\r' || p->skip != SKIP_CLOSED) {
		p->skip = SKIP_NO;
	}
	return IMAP_PARSE_MORE;
}

static enum imap_parse fail_at(struct imap_parser *p, const char *error, char c)
{
	fail(p, error);
	return on_skip(p, c);
}

static enum imap_parse end_line(struct imap_parser *p)
{
	if (p->depth > 0)
		p->error = "Unclosed parenthesis";
	else if (p->stack[0].n < 2)
		p->error = p->stack[0].n == 0 ? "Empty line" : "Command name missing";
	return p->error ? IMAP_PARSE_BAD : IMAP_PARSE_DONE;
}

static void open_literal(struct imap_parser *p, bool is_literal8)
{
	p->literal = 0;
	p->digits = p->plus = false;
	p->is_literal8 = is_literal8;
	p->state = S_SIZE;
}

static bool is_atom(unsigned char c)
{
	return c > 0x20 && c < 0x7f && c != '(' && c != ')' && c != '{' && c != '"';
}

static enum imap_parse on_start(struct imap_parser *p, char c)
{
	switch (c) {
	case ' ':
		p->spaced = true;
		p->state = S_START;
		break;
	case '\r':
		p->state = S_CR;
		break;
	case '\n':
		return end_line(p);
	case '"':
		p->state = S_QUOTED;
		break;
	case '{':
		open_literal(p, false);
		break;
	case '(':
		open_list(p);
		break;
	case ')':
		close_list(p);
		break;
	default:
		if (!is_atom((unsigned char)c))
			return fail_at(p, "Bad character", c);
		if (store(p, &c, 1))
			p->state = S_ATOM;
	}
	return IMAP_PARSE_MORE;
}

/* After a string or list: space, ), end of line, or the rest of BODY[... (...)]<0.1>. */
static enum imap_parse on_after(struct imap_parser *p, char c)
{
	if (c != ' ' && c != ')' && c != '\r' && c != '\n' && c != ']')
		return fail_at(p, "Space missing between arguments", c);
	p->spaced = false;
	return on_start(p, c);
}

static enum imap_parse on_atom(struct imap_parser *p, char c)
{
	if (is_atom((unsigned char)c)) {
		store(p, &c, 1);
		return IMAP_PARSE_MORE;
	}
	if (c == '{' && p->token_len == 1 && p->token[0] == '~' && p->spaced) {
		p->token_len = 0;
		open_literal(p, true);
		return IMAP_PARSE_MORE;
	}
	end_token(p, IMAP_ATOM);
	return p->state == S_AFTER ? on_after(p, c) : on_skip(p, c);
}

static enum imap_parse on_quoted(struct imap_parser *p, char c)
{
	if (c == '\0' || c == '\r' || c == '\n')
		return fail_at(p, "Unclosed quoted string", c);
	if (p->state == S_ESCAPED) {
		p->state = S_QUOTED;
		if (c != '"' && c != '\\')
			fail(p, "Bad escape in a quoted string");
		else
			store(p, &c, 1);
	} else if (c == '\\') {
		p->state = S_ESCAPED;
	} else if (c == '"') {
		end_token(p, IMAP_STRING);
	} else {
		store(p, &c, 1);
	}
	return IMAP_PARSE_MORE;
}

static enum imap_parse on_size(struct imap_parser *p, char c)
{
	if (p->state == S_SIZE && c >= '0' && c <= '9') {
		/* number64 (RFC 9051): more than 2^63 - 1 is no number. */
		if (p->literal > (INT64_MAX - 9) / 10)
			fail(p, "Literal is too large");
		else
			p->literal = p->literal * 10 + (uint64_t)(c - '0');
		p->digits = true;
	} else if (p->state == S_SIZE && c == '+' && p->digits) {
		p->plus = true;
		p->state = S_SIZE_PLUS;
	} else if (c == '}' && p->digits && (p->state == S_SIZE || p->state == S_SIZE_PLUS)) {
		p->state = S_SIZE_CLOSED;
	} else if (p->state == S_SIZE_CLOSED && c == '\r') {
		p->state = S_SIZE_CR;
	} else if (c == '\n' && (p->state == S_SIZE_CLOSED || p->state == S_SIZE_CR)) {
		p->state = S_ASK;
		return IMAP_PARSE_LITERAL;
	} else {
		return fail_at(p, "Bad literal", c);
	}
	return IMAP_PARSE_MORE;
}

static enum imap_parse on_octet(struct imap_parser *p, char c)
{
	switch (p->state) {
	case S_START:
		return on_start(p, c);
	case S_AFTER:
		return on_after(p, c);
	case S_ATOM:
		return on_atom(p, c);
	case S_QUOTED:
	case S_ESCAPED:
		return on_quoted(p, c);
	case S_SIZE:
	case S_SIZE_PLUS:
	case S_SIZE_CLOSED:
	case S_SIZE_CR:
		return on_size(p, c);
	case S_CR:
		if (c == '\n')
			return end_line(p);
		return fail_at(p, "Bare CR", c);
	case S_SKIP:
		return on_skip(p, c);
	case S_ASK:
	case S_LITERAL:
	case S_SKIP_LITERAL:
	case S_REFUSED:
		break;
	}
	assert(!"a state of its own");
	return IMAP_PARSE_BAD;
}

/* As much of a literal as there is. */
static size_t read_literal(struct imap_parser *p, const char *data, size_t len)
{
	size_t n = p->literal < len ? (size_t)p->literal : len;

	p->literal -= n;
	if (p->state == S_LITERAL) {
		if (memchr(data, '\0', n)) {
			fail(p, "NUL in a literal");
			p->state = p->literal > 0 ? S_SKIP_LITERAL : S_SKIP;
			return n;
		}
		/* It was seen to fit before it was taken. */
		store(p, data, n);
		if (p->literal == 0)
			end_token(p, IMAP_STRING);
	} else if (p->literal == 0) {
		p->state = S_SKIP;
	}
	return n;
}

enum imap_parse imap_parser_feed(struct imap_parser *p, const char *data, size_t len, size_t *used_out)
{
	enum imap_parse res = IMAP_PARSE_MORE;
	size_t i = 0;

	assert(p->state != S_ASK);
	*used_out = 0;
	if (p->state == S_REFUSED)
		return IMAP_PARSE_BAD;
	while (i < len && res == IMAP_PARSE_MORE) {
		if (p->state == S_LITERAL || p->state == S_SKIP_LITERAL)
			i += read_literal(p, data + i, len - i);
		else
			res = on_octet(p, data[i++]);
	}
	*used_out = i;
	return res;
}

/* ---- literals ---- */

uint64_t imap_parser_literal(const struct imap_parser *p)
{
	return p->literal;
}

bool imap_parser_literal_waits(const struct imap_parser *p)
{
	return !p->plus;
}

bool imap_parser_literal_is_8(const struct imap_parser *p)
{
	return p->is_literal8;
}

bool imap_parser_literal_fits(const struct imap_parser *p)
{
	return p->literal <= p->max_literal && p->literal <= p->max_command - p->stored;
}

void imap_parser_literal_take(struct imap_parser *p)
{
	assert(p->state == S_ASK && imap_parser_literal_fits(p));
	p->state = S_LITERAL;
	if (p->literal == 0)
		end_token(p, IMAP_STRING);
}

void imap_parser_literal_stream(struct imap_parser *p)
{
	assert(p->state == S_ASK);
	struct imap_arg *a = add_arg(p, IMAP_STREAM);

	a->size = p->literal;
	p->state = S_AFTER;
}

void imap_parser_literal_refuse(struct imap_parser *p, const char *error)
{
	assert(p->state == S_ASK);
	fail(p, error);
	if (!p->plus) {
		p->state = S_REFUSED;
		return;
	}
	p->fatal = p->literal > SKIP_MAX;
	if (p->fatal)
		p->state = S_REFUSED;
	else
		p->state = p->literal > 0 ? S_SKIP_LITERAL : S_SKIP;
}
