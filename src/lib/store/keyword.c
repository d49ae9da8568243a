/* Keywords: one bit each, the same in every mailbox, never taken back. */
#include <strings.h>

#include "lib/store/priv.h"

enum { MAX_KEYWORD = 255 };

void keyword_load(struct store *s)
{
	for (unsigned i = 0; i < LIMIT_KEYWORDS; i++)
		TALLOC_FREE(s->keywords[i]);
	sqlite3_stmt *q = db_read(s, "SELECT bit, name FROM keyword", NO_ARGS);
	while (db_next(s, q)) {
		int64_t bit = col_int(q, 0);

		if (bit >= 0 && bit < LIMIT_KEYWORDS && !s->keywords[bit])
			s->keywords[bit] = mem_strdup(s, (const char *)sqlite3_column_text(q, 1));
	}
}

/* atom of RFC 3501 section 9; a backslash would make it a system flag. */
static bool is_atom(const char *name)
{
	size_t len = 0;

	for (; name[len]; len++) {
		unsigned char c = (unsigned char)name[len];

		if (c <= ' ' || c >= 0x7f || strchr("(){%*\"\\]", c))
			return false;
	}
	return len > 0 && len <= MAX_KEYWORD;
}

uint64_t store_keyword(struct store *s, const char *name)
{
	unsigned i;

	if (!is_atom(name))
		return 0;
	for (i = 0; i < LIMIT_KEYWORDS && s->keywords[i]; i++) {
		if (strcasecmp(s->keywords[i], name) == 0)
			return UINT64_C(1) << i;
	}
	if (i == LIMIT_KEYWORDS)
		return 0;
	s->keywords[i] = mem_strdup(s, name);
	db_write(s, "INSERT INTO keyword(bit, name) VALUES(?, ?)", ARGS(I(i), T(name)));
	return UINT64_C(1) << i;
}

const char *store_keyword_name(struct store *s, unsigned bit_index)
{
	return bit_index < LIMIT_KEYWORDS ? s->keywords[bit_index] : NULL;
}
