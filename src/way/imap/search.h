#ifndef IMAP_SEARCH_H
#define IMAP_SEARCH_H
/*
 * Search keys (RFC 3501 section 6.4.4): parsed to a tree, evaluated against
 * what is known of one message so far. Pure; any thread. A key that needs
 * what is not known yet answers "maybe", so that flags and sizes are tried
 * first, then headers, and files only where it still matters.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "way/imap/parser.h"
#include "way/imap/seqset.h"

enum imap_key_kind {
	KEY_ALL, KEY_AND, KEY_OR, KEY_NOT,
	KEY_SEQ, KEY_UID,
	KEY_FLAG, KEY_KEYWORD, KEY_NEW,
	KEY_LARGER, KEY_SMALLER,
	KEY_BEFORE, KEY_ON, KEY_SINCE,
	KEY_SENT_BEFORE, KEY_SENT_ON, KEY_SENT_SINCE,
	KEY_HEADER, KEY_BODY, KEY_TEXT,
	KEY_OLDER, KEY_YOUNGER,		/* RFC 5032 */
	KEY_MODSEQ,			/* RFC 7162 */
	KEY_EMAIL, KEY_THREAD,		/* RFC 8474 */
};

struct imap_key {
	enum imap_key_kind kind;
	struct imap_key **keys;		/* of AND, OR, NOT */
	size_t n_keys;
	struct imap_seqset set;
	bool saved;			/* "$": the caller makes it a set of UIDs */
	uint32_t flag;			/* FLAG_... */
	uint64_t number;		/* size, or the bit of the keyword once bound */
	int64_t day;
	const char *name;		/* of the field, or the keyword */
	const char *text;		/* to look for, folded (text.h) */
};

/* NULL: no search. *error_out says why. args are the keys alone. Below ctx. */
struct imap_key *imap_search_parse(const void *ctx, const struct imap_arg *args, size_t n, const char **error_out);
/* Each key once, parents first. */
void imap_search_each(struct imap_key *, void (*fn)(void *arg, struct imap_key *), void *arg);
/* A copy that shares nothing. */
struct imap_key *imap_search_dup(const void *ctx, const struct imap_key *);

enum imap_answer { ANSWER_NO, ANSWER_YES, ANSWER_MAYBE };

struct imap_facts {
	uint32_t seq, uid;
	uint32_t flags;			/* with FLAG_RECENT as this session has it */
	uint64_t keywords, size;
	int64_t internal_ms, now_ms;
	uint64_t modseq, content;
	bool has_header;
	struct bytes header;		/* header block of the message */
	/* Is this folded text in the body? NULL: not known yet. */
	bool (*body)(void *arg, const char *text);
	void *body_arg;
};

enum imap_answer imap_search_eval(const struct imap_key *, const struct imap_facts *);

#endif
