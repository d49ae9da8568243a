/*
 * A list that may be longer than a field: split between entries when printed,
 * joined when read. An entry is "octets/lines".
 */
#include "lib/mail/parts.h"

#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"

static bool is_good(const char *p)
{
	size_t n = 0;
	uint64_t octets, lines;

	do {
		if (n++ == LIMIT_MIME_PARTS ||
		    record_parse_number(&p, LIMIT_MESSAGE, &octets) < 0 || *p++ != '/' ||
		    record_parse_number(&p, octets, &lines) < 0)
			return false;
	} while (*p++ == ' ');
	return p[-1] == '\0';
}

int parts_parse(const struct record *r, const void *ctx, const char **out, struct err *e)
{
	struct buf *b = buf_new(ctx, LIMIT_RECORD);
	bool first = true;

	for (size_t i = 0; i < r->n_fields; i++) {
		if (strcasecmp(r->fields[i].name, "Parts") != 0)
			continue;
		if (!first)
			buf_adds(b, " ");
		buf_adds(b, r->fields[i].value);
		first = false;
	}
	if (!first && (b->overflow || !is_good(b->data))) {
		err_set(e, "record: Parts is no list of octets and lines, or too long");
		talloc_free(b);
		return -1;
	}
	*out = first ? "" : mem_strdup(ctx, b->data);
	talloc_free(b);
	return 0;
}

/* The entries that fit into one value. */
static size_t value_len(const char *p)
{
	size_t len = strlen(p);

	if (len <= PARTS_VALUE)
		return len;
	for (len = PARTS_VALUE; len > 0 && p[len] != ' '; len--)
		;
	return len;
}

void parts_print(struct buf *b, const char *parts)
{
	for (const char *p = parts; *p;) {
		size_t len = value_len(p);
		buf_addf(b, "Parts: %.*s\r\n", (int)len, p);
		p += len;
		p += *p == ' ';
	}
}
