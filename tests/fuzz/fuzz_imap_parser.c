/* Octets of a client: any cut into pieces gives the same commands; what they ask for is parsed without harm. */
#include <stdlib.h>

#include "lib/base/bytes.h"
#include "lib/base/mem.h"
#include "way/imap/date.h"
#include "way/imap/fetchatt.h"
#include "way/imap/name.h"
#include "way/imap/parser.h"
#include "way/imap/search.h"
#include "way/imap/seqset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_text(void *ctx, const char *text)
{
	struct imap_seqset set;
	int64_t out;
	char *name = imap_name_decode(ctx, text);

	/* What is a name is written in one way only. */
	if (name && strncmp(name, "INBOX", 5) != 0 && strcmp(imap_name_encode(ctx, name), text) != 0)
		abort();
	imap_name_match(text, "INBOX/a/b");
	imap_date_parse_time(text, &out);
	imap_date_parse_day(text, &out);
	imap_date_parse_field(text, &out);
	if (imap_seqset_parse(ctx, text, &set) == 1) {
		imap_seqset_resolve(&set, 1000);
		for (size_t i = 0; i < set.n; i++)
			if (set.ranges[i].lo > set.ranges[i].hi || (i > 0 && set.ranges[i].lo <= set.ranges[i - 1].hi))
				abort();
	}
}

static void use(struct imap_parser *p)
{
	void *ctx = mem_ctx(NULL);
	struct imap_fetch fetch;
	struct imap_facts facts = { .seq = 1, .uid = 2, .has_header = true, .header = bytes_str("A: b\r\n\r\n") };
	const char *error;
	size_t n;
	const struct imap_arg *args = imap_parser_args(p, &n);

	for (size_t i = 0; i < n; i++)
		if (args[i].text)
			use_text(ctx, args[i].text);
	if (n > 0) {
		imap_fetch_parse(ctx, args, n, &fetch);
		struct imap_key *k = imap_search_parse(ctx, args, n, &error);

		if (k)
			imap_search_eval(imap_search_dup(ctx, k), &facts);
	}
	talloc_free(ctx);
}

/* Number and end of the commands in there, in pieces of step octets. */
static size_t run(struct bytes in, size_t step)
{
	struct imap_parser *p = imap_parser_new(NULL);
	size_t at = 0, used, sum = 0;

	imap_parser_set_limits(p, 4096, 1000);
	while (at < in.len && !imap_parser_is_fatal(p)) {
		size_t len = in.len - at < step ? in.len - at : step;
		enum imap_parse res = imap_parser_feed(p, (const char *)in.data + at, len, &used);

		at += used;
		if (res == IMAP_PARSE_LITERAL) {
			if (imap_parser_literal(p) == 77)
				imap_parser_literal_stream(p);
			else if (imap_parser_literal_fits(p))
				imap_parser_literal_take(p);
			else
				imap_parser_literal_refuse(p, "no");
			res = imap_parser_feed(p, "", 0, &used);
		}
		if (res == IMAP_PARSE_DONE)
			use(p);
		if (res == IMAP_PARSE_DONE || res == IMAP_PARSE_BAD) {
			sum = sum * 31 + at * 3 + (res == IMAP_PARSE_DONE);
			if (imap_parser_is_fatal(p))
				break;
			imap_parser_reset(p);
		}
	}
	talloc_free(p);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = bytes_of(data, size);

	if (size > 64 * 1024)
		return 0;
	if (run(in, 1) != run(in, 4096))
		abort();
	return 0;
}
