/*
 * A line for people. On a terminal it is folded between words, so that
 * nothing of it is lost; in a pipe it is whole, one line per thing. Texts may be
 * somebody else's: what could command the terminal is shown as '?'.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "app/ctl/ctl.h"
#include "lib/base/mem.h"
#include "lib/mail/text.h"

enum { WIDTH_MIN = 40, WIDTH_USUAL = 80, WIDTH_MAX = 10000 };

/* A shell tells its COLUMNS to nobody; who exports it means it, also for a pipe. */
unsigned line_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize ws = { 0 };
	unsigned long n = columns ? strtoul(columns, NULL, 10) : 0;

	if (n == 0 || n > WIDTH_MAX) {
		if (!isatty(STDOUT_FILENO))
			return 0;
		n = ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col ? ws.ws_col : WIDTH_USUAL;
	}
	return n < WIDTH_MIN ? WIDTH_MIN : (unsigned)n;
}

/* '?' takes one. */
static size_t next(const char *text, unsigned *columns)
{
	int c;
	size_t n = text_char(text, &c);

	*columns = c < 0 ? 1 : (unsigned)c;
	return n;
}

static void put(const char *text, size_t len)
{
	int c;

	for (size_t n; len > 0; text += n, len -= n) {
		n = text_char(text, &c);
		if (c < 0)
			putchar('?');
		else
			fwrite(text, 1, n, stdout);
	}
}

unsigned line_columns(const char *text)
{
	unsigned used = 0, c;

	for (size_t n; (n = next(text, &c)) > 0; text += n)
		used += c;
	return used;
}

/* How many octets of the text fit, at least one character. */
static size_t fit(const char *text, size_t len, unsigned columns)
{
	size_t at = 0;
	unsigned used = 0, c;

	while (at < len) {
		size_t n = next(text + at, &c);
		if (at > 0 && used + c > columns)
			break;
		used += c;
		at += n;
	}
	return at;
}

static void new_line(unsigned hang)
{
	printf("\n%*s", (int)hang, "");
}

/* A word that no line can hold is broken where the line ends. Returns the column behind it. */
static unsigned put_long(const char *word, unsigned at, unsigned width, unsigned hang)
{
	for (;;) {
		size_t n = fit(word, strlen(word), width > at ? width - at : 0);
		put(word, n);
		if (!word[n])
			return at + line_columns(word);
		word += n;
		new_line(hang);
		at = hang;
	}
}

static void fold(const char *text, unsigned width, unsigned hang)
{
	unsigned at = 0;
	bool is_begun = false;

	while (*text) {
		size_t blanks = strspn(text, " "), len = strcspn(text + blanks, " ");
		char *word = mem_strndup(NULL, text + blanks, len);
		unsigned columns = line_columns(word);
		bool is_long = hang + columns > width;

		if (is_begun && !is_long && at + blanks + columns > width) {
			new_line(hang);
			at = hang;
		} else {
			printf("%*s", (int)blanks, "");
			at += (unsigned)blanks;
		}
		if (is_long) {
			at = put_long(word, at, width, hang);
		} else {
			put(word, len);
			at += columns;
		}
		is_begun |= len > 0;
		text += blanks + len;
		talloc_free(word);
	}
}

void line_print(unsigned hang, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *text = mem_vprintf(NULL, fmt, ap);
	va_end(ap);
	size_t len = strlen(text);
	while (len > 0 && text[len - 1] == ' ')
		text[--len] = '\0';
	if (line_width() == 0)
		put(text, len);
	else
		fold(text, line_width(), hang);
	putchar('\n');
	talloc_free(text);
}

char *line_pad(const void *ctx, const char *text, unsigned columns)
{
	unsigned used = line_columns(text);

	return mem_printf(ctx, "%s%*s", text, used < columns ? (int)(columns - used) : 0, "");
}

char *line_cut(const void *ctx, const char *text, unsigned columns)
{
	if (line_columns(text) <= columns)
		return mem_strdup(ctx, text);
	return mem_printf(ctx, "%.*s...", (int)fit(text, strlen(text), columns > 3 ? columns - 3 : 0), text);
}
