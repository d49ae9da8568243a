/*
 * Encoded words (RFC 2047) and dates, the two places where libetpan does the
 * work: its base64 and Q decoders, its date parser. Around them: words are
 * found here, neighbours of one charset are joined before they are converted
 * (senders split characters between words), a charset that iconv does not know
 * leaves the word as it is, what is no text becomes U+FFFD, and control
 * characters become spaces, so that no decoded value can add a line.
 */
#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <libetpan/libetpan.h>

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/mime/field.h"
#include "lib/mime/header.h"

enum { CHARSET_MAX = 40, WORD_MAX = 4096, DATE_MAX = 256 };

struct word {
	char charset[CHARSET_MAX + 1];
	char coding;			/* 'B' or 'Q' */
	const char *text;
	size_t text_len;
	const char *end;		/* behind "?=" */
};

/* "=?charset*language?coding?text?=" at p. */
static bool word_parse(const char *p, struct word *w)
{
	size_t len = strcspn(p + 2, "?* \t");

	if (len == 0 || len > CHARSET_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[2 + i];
		if (!isalnum(c) && strchr("-_.:+()", c) == NULL)
			return false;
		w->charset[i] = (char)c;
	}
	w->charset[len] = '\0';
	p += 2 + len;
	p += strcspn(p, "? \t");	/* RFC 2231 language */
	if (p[0] != '?' || strchr("bBqQ", p[1]) == NULL || p[1] == '\0' || p[2] != '?')
		return false;
	w->coding = (char)toupper((unsigned char)p[1]);
	w->text = p + 3;
	/* White space inside is forbidden, but some senders forget to encode it: only "?=" ends it. */
	const char *end = memmem(w->text, strnlen(w->text, WORD_MAX), "?=", 2);
	if (end == NULL)
		return false;
	w->text_len = (size_t)(end - w->text);
	w->end = end + 2;
	return true;
}

static bool word_decode(const struct word *w, struct buf *out)
{
	size_t index = 0, len = 0;
	char *data = NULL;
	int r;

	if (w->coding == 'B')
		r = mailmime_base64_body_parse(w->text, w->text_len, &index, &data, &len);
	else
		r = mailmime_quoted_printable_body_parse(w->text, w->text_len, &index, &data, &len, 1);
	if (r != MAILIMF_NO_ERROR)
		return false;
	bool fits = buf_add(out, data, len);
	mmap_string_unref(data);
	return fits;
}

static void add_text(struct buf *out, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = data[i];
		if ((unsigned char)c < ' ' || c == 0x7f)
			c = ' ';
		buf_add(out, &c, 1);
	}
}

/* false when the charset is unknown: then nothing is added. */
static bool convert(struct buf *out, const char *charset, const char *data, size_t len)
{
	iconv_t cd = iconv_open("UTF-8", charset);
	char *in = mem_dup(out, data, len);
	char *from = in, chunk[256];

	if (cd == (iconv_t)-1) {
		talloc_free(in);
		return false;
	}
	for (bool flushed = false; !flushed;) {
		char *to = chunk;
		size_t room = sizeof(chunk);
		flushed = len == 0;
		size_t r = flushed ? iconv(cd, NULL, NULL, &to, &room) : iconv(cd, &from, &len, &to, &room);
		add_text(out, chunk, sizeof(chunk) - room);
		if (r == (size_t)-1 && errno != E2BIG) {
			buf_adds(out, "\xEF\xBF\xBD");
			if (len > 0) {
				from++;
				len--;
			}
		}
	}
	iconv_close(cd);
	talloc_free(in);
	return true;
}

static bool is_ascii(const char *s, size_t len)
{
	while (len > 0 && (unsigned char)s[len - 1] < 0x80)
		len--;
	return len == 0;
}

static const char *skip_blank(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Encoded words from p on, as many as follow one another; the end, or NULL when the first is none. */
static const char *words_take(struct buf *out, const char *p)
{
	struct word w, next;

	if (!word_parse(p, &w))
		return NULL;
	struct buf *octets = buf_new(out, LIMIT_MIME_FIELD);
	const char *end = w.end;
	bool good = word_decode(&w, octets);
	for (;;) {
		const char *q = skip_blank(end);
		if (!good || strncmp(q, "=?", 2) != 0 || !word_parse(q, &next) || strcasecmp(next.charset, w.charset) != 0)
			break;
		good = word_decode(&next, octets);
		end = next.end;
	}
	good = good && convert(out, w.charset, octets->data, octets->len);
	talloc_free(octets);
	return good ? end : NULL;
}

char *header_decode(const void *ctx, const char *value)
{
	struct buf *raw = buf_new(ctx, (size_t)LIMIT_MIME_FIELD * 8);
	const char *p = value;
	bool after_word = false;

	while (*p != '\0') {
		/* White space between two encoded words is not shown. */
		const char *q = after_word ? skip_blank(p) : p;
		const char *end = strncmp(q, "=?", 2) == 0 ? words_take(raw, q) : NULL;
		after_word = end != NULL;
		if (end != NULL) {
			p = end;
			continue;
		}
		const char *next = strstr(p + 1, "=?");
		size_t len = next != NULL ? (size_t)(next - p) : strlen(p);
		if (is_ascii(p, len) || !convert(raw, "UTF-8", p, len))
			add_text(raw, p, len);
		p += len;
	}
	char *out = mem_strndup(ctx, raw->data, raw->len);
	talloc_free(raw);
	return out;
}

/* Comments out, white space to single spaces and none beside ':'; false when it is too long. */
static bool date_clean(const char *value, char out[DATE_MAX])
{
	struct cursor c = { value };
	size_t n = 0;

	cursor_space(&c, NULL, NULL);
	while (*c.p != '\0') {
		if (n + 3 > DATE_MAX)
			return false;
		const char *before = c.p;
		cursor_space(&c, NULL, NULL);
		if (c.p == before)
			out[n++] = *c.p++;
		else if (*c.p != ':' && (n == 0 || out[n - 1] != ':'))
			out[n++] = ' ';
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
	return true;
}

/* Minutes east of Greenwich. libetpan gives +hhmm as a number, reads "UT" as 1 and does not know "Z". */
static bool zone_minutes(const char *text, int zone, int *out)
{
	const char *last = strrchr(text, ' ');

	if (last != NULL && isalpha((unsigned char)last[1]) && strcasecmp(last + 1, "UT") == 0)
		zone = 0;
	int hours = zone / 100, minutes = zone % 100;
	*out = hours * 60 + minutes;
	return hours >= -23 && hours <= 23 && minutes > -60 && minutes < 60;
}

static bool date_seconds(const struct mailimf_date_time *d, int zone, int64_t *s_out)
{
	int year = d->dt_year;

	if (year >= 0 && year < 50)	/* RFC 5322 section 4.3 */
		year += 2000;
	else if (year >= 50 && year < 1000)
		year += 1900;
	if (year < 1900 || year > 9999 || d->dt_month < 1 || d->dt_month > 12 || d->dt_day < 1 || d->dt_day > 31 ||
	    d->dt_hour < 0 || d->dt_hour > 23 || d->dt_min < 0 || d->dt_min > 59 || d->dt_sec < 0 || d->dt_sec > 60)
		return false;
	struct tm tm = { .tm_year = year - 1900, .tm_mon = d->dt_month - 1, .tm_mday = d->dt_day,
		.tm_hour = d->dt_hour, .tm_min = d->dt_min, .tm_sec = d->dt_sec };
	int64_t s = (int64_t)timegm(&tm);
	if (tm.tm_mon != d->dt_month - 1)	/* 31 February */
		return false;
	*s_out = s - zone * 60;
	return true;
}

int header_date(const char *value, int64_t *s_out)
{
	char text[DATE_MAX];
	size_t index = 0;
	struct mailimf_date_time *d = NULL;
	int zone;

	if (!date_clean(value, text))
		return -1;
	if (mailimf_date_time_parse(text, strlen(text), &index, &d) != MAILIMF_NO_ERROR)
		return -1;
	bool good = zone_minutes(text, d->dt_zone, &zone) && date_seconds(d, zone, s_out);
	mailimf_date_time_free(d);
	return good ? 0 : -1;
}
