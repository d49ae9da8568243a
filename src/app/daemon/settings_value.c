/*
 * What a single value of p2pmta.conf may look like. Strict: a number has no
 * sign, no spaces and one unit; what is not understood is refused, never
 * guessed at.
 */
#include <ctype.h>
#include <string.h>

#include "app/daemon/settings_value.h"
#include "lib/base/limits.h"

enum { MAX_PORT = 65535, MAX_HOST = 253 };

/* Digits, then what is left. */
static int digits(const char *s, uint64_t *out, const char **rest_out)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)*s))
		return -1;
	for (; isdigit((unsigned char)*s); s++) {
		unsigned digit = (unsigned)(*s - '0');
		if (n > (UINT64_MAX - digit) / 10)
			return -1;
		n = n * 10 + digit;
	}
	*out = n;
	*rest_out = s;
	return 0;
}

static int scaled(const char *s, const char *units, const uint64_t *scales, uint64_t *out)
{
	const char *rest, *unit;
	uint64_t n, scale = 1;

	if (digits(s, &n, &rest) < 0)
		return -1;
	if (*rest) {
		unit = strchr(units, *rest);
		if (!unit || rest[1])
			return -1;
		scale = scales[unit - units];
	} else if (scales[0] == 1 && n != 0) {
		return -1;	/* a duration without a unit could be anything */
	}
	if (n > UINT64_MAX / scale)
		return -1;
	*out = n * scale;
	return 0;
}

int value_size(const char *s, uint64_t *out)
{
	static const uint64_t scales[] = { 1 << 10, 1 << 20, 1 << 30 };

	return scaled(s, "KMG", scales, out);
}

int value_duration(const char *s, uint64_t *s_out)
{
	static const uint64_t scales[] = { 1, 60, 3600, 86400 };

	return scaled(s, "smhd", scales, s_out);
}

int value_number(const char *s, uint64_t *out)
{
	const char *rest;

	return digits(s, out, &rest) < 0 || *rest ? -1 : 0;
}

int value_bool(const char *s, bool *out)
{
	int word = value_word(s, "false true no yes off on");

	if (word < 0)
		return -1;
	*out = word & 1;
	return 0;
}

int value_word(const char *s, const char *words)
{
	size_t len = strlen(s);

	for (int i = 0; *words; i++) {
		size_t n = strcspn(words, " ");
		if (n == len && !memcmp(words, s, n))
			return i;
		words += n;
		words += *words == ' ';
	}
	return -1;
}

static bool is_port(const char *s, bool any)
{
	uint64_t port;

	return strlen(s) <= 5 && value_number(s, &port) == 0 && port <= MAX_PORT && (any || port != 0);
}

/* Length of a host name or address at the front of s, 0 for none. */
static size_t host(const char *s)
{
	size_t n;

	if (*s == '[') {
		n = strspn(s + 1, "0123456789abcdefABCDEF:.%");
		return n && s[n + 1] == ']' ? n + 2 : 0;
	}
	for (n = 0; isalnum((unsigned char)s[n]) || s[n] == '-' || s[n] == '.'; n++)
		;
	return n <= MAX_HOST ? n : 0;
}

bool value_is_hostport(const char *s, bool any_port)
{
	size_t n = host(s);

	return n && s[n] == ':' && is_port(s + n + 1, any_port);
}

bool value_is_url(const char *s)
{
	size_t n;

	if (strlen(s) > LIMIT_URL)
		return false;
	for (const char *c = s; *c; c++)
		if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}?#", *c))
			return false;
	if (!strncmp(s, "http://", 7))
		s += 7;
	else if (!strncmp(s, "https://", 8))
		s += 8;
	else
		return false;
	n = host(s);
	if (!n)
		return false;
	if (s[n] == ':') {
		size_t port = strspn(s + n + 1, "0123456789");
		if (!port || port > 5)
			return false;
		n += 1 + port;
	}
	return !s[n] || s[n] == '/';
}

bool value_is_fpr(const char *s)
{
	return strlen(s) == 40 && strspn(s, "0123456789ABCDEF") == 40;
}

/* After a text in quotes that begins at s; the text's end when it does not end. */
static char *skip_quoted(char *s)
{
	char quote = *s++;

	for (; *s; s++) {
		if (*s == quote)
			return s + 1;
		if (*s == '\\' && s[1])
			s++;
	}
	return s;
}

/* After the comment that begins at s, which is blanked; NULL when it does not end. */
static char *blank(char *s)
{
	bool block = *s == '/' && s[1] == '*';
	char *end;

	if (block)
		end = strstr(s + 2, "*/");
	else
		end = s + strcspn(s, "\n");
	if (!end)
		return NULL;
	end += block ? 2 : 0;
	for (; s < end; s++)
		if (*s != '\n')
			*s = ' ';
	return end;
}

int value_blank_comments(char *text)
{
	bool word_begins = true;

	for (char *s = text; *s;) {
		if (*s == '"' || *s == '\'') {
			s = skip_quoted(s);
			word_begins = true;
		} else if (*s == '#' || (word_begins && *s == '/' && (s[1] == '/' || s[1] == '*'))) {
			char *end = blank(s);
			if (!end) {
				int line = 1;
				while (s-- > text)
					line += *s == '\n';
				return line;
			}
			s = end;
		} else {
			word_begins = strchr(" \t\r\n={}()+,", *s) != NULL;
			s++;
		}
	}
	return 0;
}
