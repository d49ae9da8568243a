/*
 * Each step takes something off one end; they are repeated until nothing more
 * comes off. A step that fails has looked at what the next one looks at again,
 * so a subject of nothing but brackets costs its square: only so much of it
 * counts.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/mail/text.h"
#include "way/imap/subject.h"

enum { BASE_MAX = 1000 };

/* "[...] "; NULL: none. */
static const char *skip_blob(const char *p)
{
	if (*p++ != '[')
		return NULL;
	p += strcspn(p, "[]");
	if (*p++ != ']')
		return NULL;
	return p + strspn(p, " ");
}

/* "[list] Re [3]:"; NULL: none. */
static const char *skip_refwd(const char *p)
{
	static const char *const words[] = { "re", "fwd", "fw" };
	const char *q;

	while ((q = skip_blob(p)))
		p = q;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t len = strlen(words[i]);

		if (strncasecmp(p, words[i], len) != 0)
			continue;
		q = p + len + strspn(p + len, " ");
		const char *blob = skip_blob(q);

		q = blob ? blob : q;
		if (*q == ':')
			return q + 1;
	}
	return NULL;
}

/* Steps 3 to 5: off the front. */
static const char *strip_front(const char *p, bool *is_reply)
{
	for (;;) {
		p += strspn(p, " ");
		const char *q = skip_refwd(p);

		if (q) {
			*is_reply = true;
		} else {
			q = skip_blob(p);
			if (!q || *q == '\0')
				return p;
		}
		p = q;
	}
}

/* Step 2: "(fwd)" and blanks off the end. */
static void strip_end(char *p, bool *is_reply)
{
	for (size_t len = strlen(p); len > 0; p[len] = '\0') {
		if (p[len - 1] == ' ') {
			len--;
		} else if (len >= 5 && strcasecmp(p + len - 5, "(fwd)") == 0) {
			len -= 5;
			*is_reply = true;
		} else {
			return;
		}
	}
}

/* Step 1: all white space is one blank. */
static void squeeze(char *p)
{
	char *to = p;

	for (; *p; p++) {
		bool blank = strchr(" \t\r\n", *p) != NULL;

		if (!blank)
			*to++ = *p;
		else if (p[1] == '\0' || !strchr(" \t\r\n", p[1]))
			*to++ = ' ';
	}
	*to = '\0';
}

char *imap_subject_base(const void *ctx, const char *subject, bool *is_reply_out)
{
	char *text = mem_strndup(NULL, subject, BASE_MAX), *p = text;

	*is_reply_out = false;
	squeeze(p);
	for (;;) {
		strip_end(p, is_reply_out);
		p += strip_front(p, is_reply_out) - p;
		size_t len = strlen(p);

		if (len < 6 || strncasecmp(p, "[fwd:", 5) != 0 || p[len - 1] != ']')
			break;
		p[len - 1] = '\0';
		p += 5;
		*is_reply_out = true;
	}
	char *base = imap_sort_fold(ctx, p);

	talloc_free(text);
	return base;
}

char *imap_sort_fold(const void *ctx, const char *text)
{
	return text_casemap(ctx, text);
}
