/*
 * Texts are made in a buffer of their own first, so that a caller may put the
 * old text into the new one. A text is one line of whole UTF-8 characters.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"

/* A cut may have split a character: drop the rest of it. */
static void drop_half_char(char *s)
{
	size_t len = strlen(s), lead = len;

	while (lead > 0 && len - lead < 3 && ((unsigned char)s[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (lead == 0)
		return;
	unsigned char c = (unsigned char)s[lead - 1];
	size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

	if (len - lead + 1 < want)
		s[lead - 1] = '\0';
}

static void keep_text(struct err *e, const char *text)
{
	size_t n = strnlen(text, sizeof(e->text) - 1);

	memcpy(e->text, text, n);
	e->text[n] = '\0';
	if (n == sizeof(e->text) - 1)
		drop_half_char(e->text);
	for (char *p = e->text; *p != '\0'; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
}

static void join(struct err *e, const char *before, const char *after)
{
	char text[2 * sizeof(e->text) + 2];

	snprintf(text, sizeof(text), "%s: %s", before, after);
	keep_text(e, text);
}

void err_set(struct err *e, const char *fmt, ...)
{
	char text[sizeof(e->text)];
	va_list ap;

	if (e == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	keep_text(e, text);
}

void err_sys(struct err *e, const char *fmt, ...)
{
	char text[sizeof(e->text)], reason[128];
	int saved = errno;
	va_list ap;

	if (e == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	join(e, text, strerror_r(saved, reason, sizeof(reason)));
	errno = saved;
}

void err_wrap(struct err *e, const char *fmt, ...)
{
	char text[sizeof(e->text)];
	va_list ap;

	if (e == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	join(e, text, e->text);
}
