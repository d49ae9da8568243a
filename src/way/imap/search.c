/*
 * One table of keys; AND and OR know that NO and YES decide over MAYBE. Depth
 * is bounded both by parentheses (parser) and by chains of NOT and OR here,
 * since evaluation recurses.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/mime/header.h"
#include "lib/store/mailbox.h"
#include "way/imap/date.h"
#include "way/imap/search.h"
#include "way/imap/text.h"

enum { MAX_DEPTH = 1000 };

enum key_arg { ARG_NONE, ARG_TEXT, ARG_FIELD_TEXT, ARG_DAY, ARG_NUMBER, ARG_AGE, ARG_MODSEQ, ARG_ID, ARG_KEYWORD, ARG_SET, ARG_KEY, ARG_TWO_KEYS };

static const struct row {
	const char *name;
	enum imap_key_kind kind;
	enum key_arg arg;
	uint32_t flag;
	bool not;
	const char *field;
} rows[] = {
	{ "ALL",        KEY_ALL,         ARG_NONE,       0,             false, NULL },
	{ "ANSWERED",   KEY_FLAG,        ARG_NONE,       FLAG_ANSWERED, false, NULL },
	{ "BCC",        KEY_HEADER,      ARG_TEXT,       0,             false, "Bcc" },
	{ "BEFORE",     KEY_BEFORE,      ARG_DAY,        0,             false, NULL },
	{ "BODY",       KEY_BODY,        ARG_TEXT,       0,             false, NULL },
	{ "CC",         KEY_HEADER,      ARG_TEXT,       0,             false, "Cc" },
	{ "DELETED",    KEY_FLAG,        ARG_NONE,       FLAG_DELETED,  false, NULL },
	{ "DRAFT",      KEY_FLAG,        ARG_NONE,       FLAG_DRAFT,    false, NULL },
	{ "EMAILID",    KEY_EMAIL,       ARG_ID,         0,             false, NULL },
	{ "FLAGGED",    KEY_FLAG,        ARG_NONE,       FLAG_FLAGGED,  false, NULL },
	{ "FROM",       KEY_HEADER,      ARG_TEXT,       0,             false, "From" },
	{ "HEADER",     KEY_HEADER,      ARG_FIELD_TEXT, 0,             false, NULL },
	{ "KEYWORD",    KEY_KEYWORD,     ARG_KEYWORD,    0,             false, NULL },
	{ "LARGER",     KEY_LARGER,      ARG_NUMBER,     0,             false, NULL },
	{ "MODSEQ",     KEY_MODSEQ,      ARG_MODSEQ,     0,             false, NULL },
	{ "NEW",        KEY_NEW,         ARG_NONE,       0,             false, NULL },
	{ "NOT",        KEY_NOT,         ARG_KEY,        0,             false, NULL },
	{ "OLD",        KEY_FLAG,        ARG_NONE,       FLAG_RECENT,   true,  NULL },
	{ "OLDER",      KEY_OLDER,       ARG_AGE,        0,             false, NULL },
	{ "ON",         KEY_ON,          ARG_DAY,        0,             false, NULL },
	{ "OR",         KEY_OR,          ARG_TWO_KEYS,   0,             false, NULL },
	{ "RECENT",     KEY_FLAG,        ARG_NONE,       FLAG_RECENT,   false, NULL },
	{ "SEEN",       KEY_FLAG,        ARG_NONE,       FLAG_SEEN,     false, NULL },
	{ "SENTBEFORE", KEY_SENT_BEFORE, ARG_DAY,        0,             false, NULL },
	{ "SENTON",     KEY_SENT_ON,     ARG_DAY,        0,             false, NULL },
	{ "SENTSINCE",  KEY_SENT_SINCE,  ARG_DAY,        0,             false, NULL },
	{ "SINCE",      KEY_SINCE,       ARG_DAY,        0,             false, NULL },
	{ "SMALLER",    KEY_SMALLER,     ARG_NUMBER,     0,             false, NULL },
	{ "SUBJECT",    KEY_HEADER,      ARG_TEXT,       0,             false, "Subject" },
	{ "TEXT",       KEY_TEXT,        ARG_TEXT,       0,             false, NULL },
	{ "THREADID",   KEY_THREAD,      ARG_ID,         0,             false, NULL },
	{ "TO",         KEY_HEADER,      ARG_TEXT,       0,             false, "To" },
	{ "UID",        KEY_UID,         ARG_SET,        0,             false, NULL },
	{ "UNANSWERED", KEY_FLAG,        ARG_NONE,       FLAG_ANSWERED, true,  NULL },
	{ "UNDELETED",  KEY_FLAG,        ARG_NONE,       FLAG_DELETED,  true,  NULL },
	{ "UNDRAFT",    KEY_FLAG,        ARG_NONE,       FLAG_DRAFT,    true,  NULL },
	{ "UNFLAGGED",  KEY_FLAG,        ARG_NONE,       FLAG_FLAGGED,  true,  NULL },
	{ "UNKEYWORD",  KEY_KEYWORD,     ARG_KEYWORD,    0,             true,  NULL },
	{ "UNSEEN",     KEY_FLAG,        ARG_NONE,       FLAG_SEEN,     true,  NULL },
	{ "YOUNGER",    KEY_YOUNGER,     ARG_AGE,        0,             false, NULL },
};

struct reader {
	const void *ctx;
	const struct imap_arg *args;
	size_t n, i;
	unsigned depth;
	const char **error;
};

static struct imap_key *fail(struct reader *r, const char *error)
{
	*r->error = error;
	return NULL;
}

static struct imap_key *key_new(const void *ctx, enum imap_key_kind kind)
{
	struct imap_key *k = mem_zero(ctx, struct imap_key);

	k->kind = kind;
	return k;
}

static void add_key(struct imap_key *k, struct imap_key *child)
{
	/* Grown by doubling: a search may have thousands of keys. */
	if ((k->n_keys & (k->n_keys - 1)) == 0)
		k->keys = mem_resize(k, k->keys, struct imap_key *, k->n_keys ? k->n_keys * 2 : 1);
	k->keys[k->n_keys++] = child;
}

static struct imap_key *negate(const void *ctx, struct imap_key *child)
{
	struct imap_key *k = key_new(ctx, KEY_NOT);

	add_key(k, child);
	return k;
}

static const char *next_string(struct reader *r)
{
	if (r->i >= r->n || (r->args[r->i].kind != IMAP_ATOM && r->args[r->i].kind != IMAP_STRING))
		return NULL;
	return r->args[r->i++].text;
}

static bool parse_number(const char *text, uint64_t *out)
{
	*out = 0;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9' || *out > (INT64_MAX - 9) / 10)
			return false;
		*out = *out * 10 + (uint64_t)(*p - '0');
	}
	return *text != '\0';
}

/* An object id as it is printed: a letter and a number. Others are ids, too, but of nothing here. */
static bool parse_id(const char *text, uint64_t *out)
{
	size_t len = strlen(text);

	for (const char *p = text; *p; p++)
		if (!((*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z') || *p == '_' || *p == '-'))
			return false;
	if (text[0] != 'M' || !parse_number(text + 1, out) || text[1] == '0')
		*out = 0;
	return len > 0 && len <= 255;
}

/* "MODSEQ 620", or with an entry: "MODSEQ "/flags/\\draft" all 620". All entries have one mod-sequence. */
static bool parse_modseq(struct reader *r, struct imap_key *k, const char *text)
{
	if (r->args[r->i - 1].kind == IMAP_STRING) {
		const char *type = strncasecmp(text, "/flags/", 7) == 0 ? next_string(r) : NULL;

		if (!type || (strcasecmp(type, "all") != 0 && strcasecmp(type, "priv") != 0 && strcasecmp(type, "shared") != 0))
			return false;
		text = next_string(r);
	}
	return text && parse_number(text, &k->number);
}

static struct imap_key *parse_key(struct reader *r);

static struct imap_key *parse_children(struct reader *r, struct imap_key *k, unsigned n)
{
	while (n-- > 0) {
		struct imap_key *child = parse_key(r);

		if (!child)
			return NULL;
		add_key(k, child);
	}
	return k;
}

/* What follows the name of a key. */
static struct imap_key *parse_arg(struct reader *r, struct imap_key *k, enum key_arg arg)
{
	const char *text = NULL;

	if (arg == ARG_KEY || arg == ARG_TWO_KEYS)
		return parse_children(r, k, arg == ARG_KEY ? 1 : 2);
	if (arg == ARG_FIELD_TEXT && !(k->name = next_string(r)))
		return fail(r, "Field name missing");
	if (arg != ARG_NONE && !(text = next_string(r)))
		return fail(r, "Argument of a search key missing");
	switch (arg) {
	case ARG_TEXT:
	case ARG_FIELD_TEXT:
		k->text = imap_text_fold(k, text);
		break;
	case ARG_DAY:
		if (imap_date_parse_day(text, &k->day) < 0)
			return fail(r, "Bad date");
		break;
	case ARG_NUMBER:
		if (!parse_number(text, &k->number))
			return fail(r, "Bad number");
		break;
	case ARG_AGE:
		if (!parse_number(text, &k->number) || k->number == 0 || k->number > UINT32_MAX)
			return fail(r, "Bad number of seconds");
		break;
	case ARG_MODSEQ:
		if (!parse_modseq(r, k, text))
			return fail(r, "Bad mod-sequence");
		break;
	case ARG_ID:
		if (!parse_id(text, &k->number))
			return fail(r, "Bad object id");
		break;
	case ARG_SET:
		k->saved = strcmp(text, "$") == 0;
		if (!k->saved && imap_seqset_parse(k, text, &k->set) < 0)
			return fail(r, "Bad UID set");
		break;
	case ARG_KEYWORD:
		k->name = text;
		break;
	case ARG_NONE:
	case ARG_KEY:
	case ARG_TWO_KEYS:
		break;
	}
	return k;
}

static struct imap_key *parse_all(struct reader *r)
{
	struct imap_key *k = key_new(r->ctx, KEY_AND);

	while (r->i < r->n) {
		struct imap_key *child = parse_key(r);

		if (!child)
			return NULL;
		add_key(k, child);
	}
	return k->n_keys > 0 ? k : fail(r, "Search keys missing");
}

static struct imap_key *parse_list(struct reader *r, const struct imap_arg *list)
{
	struct reader inner = *r;

	inner.args = list->args;
	inner.n = list->n_args;
	inner.i = 0;
	return parse_all(&inner);
}

static struct imap_key *parse_named(struct reader *r, const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcasecmp(rows[i].name, name) != 0)
			continue;
		struct imap_key *k = key_new(r->ctx, rows[i].kind);

		k->flag = rows[i].flag;
		k->name = rows[i].field;
		k = parse_arg(r, k, rows[i].arg);
		return k && rows[i].not ? negate(r->ctx, k) : k;
	}
	return fail(r, "Unknown search key");
}

static struct imap_key *parse_key(struct reader *r)
{
	struct imap_key *k = NULL;

	if (r->i >= r->n)
		return fail(r, "Search key missing");
	if (r->depth == MAX_DEPTH)
		return fail(r, "Search is too deep");
	r->depth++;
	const struct imap_arg *a = &r->args[r->i++];

	if (a->kind == IMAP_LIST) {
		k = parse_list(r, a);
	} else if (a->kind != IMAP_ATOM) {
		k = fail(r, "Search key is no atom");
	} else if (a->text[0] == '*' || (a->text[0] >= '0' && a->text[0] <= '9')) {
		k = key_new(r->ctx, KEY_SEQ);
		if (imap_seqset_parse(k, a->text, &k->set) < 0)
			k = fail(r, "Bad message set");
	} else if (strcmp(a->text, "$") == 0) {
		k = key_new(r->ctx, KEY_UID);
		k->saved = true;
	} else {
		k = parse_named(r, a->text);
	}
	r->depth--;
	return k;
}

struct imap_key *imap_search_parse(const void *ctx, const struct imap_arg *args, size_t n, const char **error_out)
{
	struct reader r = { .ctx = ctx, .args = args, .n = n, .error = error_out };

	return parse_all(&r);
}

void imap_search_each(struct imap_key *k, void (*fn)(void *arg, struct imap_key *), void *arg)
{
	fn(arg, k);
	for (size_t i = 0; i < k->n_keys; i++)
		imap_search_each(k->keys[i], fn, arg);
}

struct imap_key *imap_search_dup(const void *ctx, const struct imap_key *k)
{
	struct imap_key *copy = (struct imap_key *)mem_dup(ctx, k, sizeof(*k));

	copy->set.ranges = NULL;
	if (k->set.n > 0)
		copy->set.ranges = (struct imap_range *)mem_dup(copy, k->set.ranges, k->set.n * sizeof(k->set.ranges[0]));
	copy->name = k->name ? mem_strdup(copy, k->name) : NULL;
	copy->text = k->text ? mem_strdup(copy, k->text) : NULL;
	copy->keys = NULL;
	if (k->n_keys > 0)
		copy->keys = mem_array(copy, struct imap_key *, k->n_keys);
	for (size_t i = 0; i < k->n_keys; i++)
		copy->keys[i] = imap_search_dup(copy, k->keys[i]);
	return copy;
}

/* ---- evaluation ---- */

static enum imap_answer answer(bool yes)
{
	return yes ? ANSWER_YES : ANSWER_NO;
}

/* NO wins in AND (over YES and MAYBE), YES in OR. */
static enum imap_answer eval_many(const struct imap_key *k, const struct imap_facts *f, enum imap_answer wins)
{
	enum imap_answer res = wins == ANSWER_NO ? ANSWER_YES : ANSWER_NO;

	for (size_t i = 0; i < k->n_keys; i++) {
		enum imap_answer a = imap_search_eval(k->keys[i], f);

		if (a == wins)
			return wins;
		if (a == ANSWER_MAYBE)
			res = a;
	}
	return res;
}

static enum imap_answer eval_sent(const struct imap_key *k, const struct imap_facts *f)
{
	int64_t day;

	if (!f->has_header)
		return ANSWER_MAYBE;
	char *date = header_get(NULL, f->header, "Date");
	bool found = date && imap_date_parse_field(date, &day) == 1;

	talloc_free(date);
	if (!found)
		return ANSWER_NO;
	return answer(k->kind == KEY_SENT_BEFORE ? day < k->day : k->kind == KEY_SENT_ON ? day == k->day : day >= k->day);
}

static enum imap_answer eval_text(const struct imap_key *k, const struct imap_facts *f)
{
	if (k->kind != KEY_BODY) {
		if (!f->has_header)
			return ANSWER_MAYBE;
		if (imap_text_in_header(f->header, k->kind == KEY_HEADER ? k->name : NULL, k->text))
			return ANSWER_YES;
		if (k->kind == KEY_HEADER)
			return ANSWER_NO;
	}
	return f->body ? answer(f->body(f->body_arg, k->text)) : ANSWER_MAYBE;
}

enum imap_answer imap_search_eval(const struct imap_key *k, const struct imap_facts *f)
{
	int64_t day = imap_date_day(f->internal_ms);
	enum imap_answer a;

	switch (k->kind) {
	case KEY_ALL:
		return ANSWER_YES;
	case KEY_AND:
		return eval_many(k, f, ANSWER_NO);
	case KEY_OR:
		return eval_many(k, f, ANSWER_YES);
	case KEY_NOT:
		a = imap_search_eval(k->keys[0], f);
		return a == ANSWER_MAYBE ? a : answer(a == ANSWER_NO);
	case KEY_SEQ:
		return answer(imap_seqset_has(&k->set, f->seq));
	case KEY_UID:
		return answer(imap_seqset_has(&k->set, f->uid));
	case KEY_FLAG:
		return answer(f->flags & k->flag);
	case KEY_KEYWORD:
		return answer(f->keywords & k->number);
	case KEY_NEW:
		return answer((f->flags & (FLAG_RECENT | FLAG_SEEN)) == FLAG_RECENT);
	case KEY_LARGER:
		return answer(f->size > k->number);
	case KEY_SMALLER:
		return answer(f->size < k->number);
	case KEY_OLDER:
		return answer(f->internal_ms <= f->now_ms - (int64_t)k->number * 1000);
	case KEY_YOUNGER:
		return answer(f->internal_ms > f->now_ms - (int64_t)k->number * 1000);
	case KEY_MODSEQ:
		return answer(f->modseq >= k->number);
	case KEY_EMAIL:
		return answer(k->number > 0 && f->content == k->number);
	case KEY_THREAD:
		return ANSWER_NO;
	case KEY_BEFORE:
		return answer(day < k->day);
	case KEY_ON:
		return answer(day == k->day);
	case KEY_SINCE:
		return answer(day >= k->day);
	case KEY_SENT_BEFORE:
	case KEY_SENT_ON:
	case KEY_SENT_SINCE:
		return eval_sent(k, f);
	case KEY_HEADER:
	case KEY_BODY:
	case KEY_TEXT:
		return eval_text(k, f);
	}
	return ANSWER_NO;
}
