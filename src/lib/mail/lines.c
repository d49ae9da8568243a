/* A word is copied out of its line, so that it ends with the NUL that the parsers of fields expect. */
#include "lib/mail/lines.h"

#include <assert.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"

int lines_next(struct bytes *body, struct bytes *line_out)
{
	const uint8_t *end = body->len > 0 ? memchr(body->data, '\n', body->len) : NULL;

	if (end == NULL)
		return -1;
	*line_out = bytes_of(body->data, (size_t)(end - body->data));
	body->data = end + 1;
	body->len -= line_out->len + 1;
	return 0;
}

size_t lines_count(struct bytes body)
{
	size_t n = 0;
	struct bytes line;

	while (lines_next(&body, &line) == 0)
		n++;
	return n;
}

static int next_word(struct bytes *line, struct bytes *word)
{
	const uint8_t *space = line->len > 0 ? memchr(line->data, ' ', line->len) : NULL;
	size_t len = space != NULL ? (size_t)(space - line->data) : line->len;
	size_t used = space != NULL ? len + 1 : len;

	if (len == 0 || memchr(line->data, '\0', len) || (space != NULL && used == line->len))
		return -1;
	*word = bytes_of(line->data, len);
	line->data += used;
	line->len -= used;
	return 0;
}

static int short_word(struct bytes *line, char *out, size_t size)
{
	struct bytes word;

	if (next_word(line, &word) < 0 || word.len >= size)
		return -1;
	memcpy(out, word.data, word.len);
	out[word.len] = '\0';
	return 0;
}

int lines_hex(struct bytes *line, uint8_t *out, size_t len)
{
	char word[DIGEST_HEX];

	assert(len <= DIGEST_LEN);
	return short_word(line, word, sizeof(word)) == 0 ? hex_parse(word, out, len) : -1;
}

int lines_number(struct bytes *line, uint64_t max, uint64_t *out)
{
	char word[24];
	const char *p = word;

	if (short_word(line, word, sizeof(word)) < 0 || record_parse_number(&p, max, out) < 0)
		return -1;
	return *p == '\0' ? 0 : -1;
}

int lines_time(struct bytes *line, int64_t *s_out)
{
	char word[CLOCK_TEXT];

	return short_word(line, word, sizeof(word)) == 0 ? clock_parse(word, s_out) : -1;
}

int lines_base64(struct bytes *line, const void *ctx, size_t max, struct bytes *out)
{
	struct bytes word;

	if (next_word(line, &word) < 0 || word.len / 4 > max / 3 + 1)
		return -1;

	char *text = mem_strndup(NULL, (const char *)word.data, word.len);
	int res = base64_parse(ctx, text, max, out);
	talloc_free(text);
	return res;
}
