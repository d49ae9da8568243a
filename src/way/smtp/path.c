/*
 * The arguments of MAIL and RCPT (RFC 5321 section 4.1.2), and xtext. Quoted local parts
 * are no addresses of ours, so a '>' within quotes needs no care; a source
 * route is passed over, as section 4.1.1.3 asks.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/bytes.h"
#include "lib/base/mem.h"
#include "way/smtp/session.h"

int smtp_path_parse(char *arg, const char *word, char **address_out, char **params_out)
{
	size_t n = strlen(word);

	if (strncasecmp(arg, word, n) != 0)
		return -1;
	arg += n;
	arg += strspn(arg, " ");	/* seen from many clients */
	char *end = strchr(arg, '>');
	if (*arg != '<' || !end || (end[1] != '\0' && end[1] != ' '))
		return -1;
	*end = '\0';
	*params_out = end + 1;
	*address_out = arg + 1;
	if (arg[1] == '@') {
		char *colon = strchr(arg, ':');
		if (!colon)
			return -1;
		*address_out = colon + 1;
	}
	return 0;
}

bool smtp_param_next(char **params, char **name_out, char **value_out)
{
	char *p = *params + strspn(*params, " ");

	if (*p == '\0')
		return false;
	*name_out = p;
	p += strcspn(p, " ");
	*params = *p ? p + 1 : p;
	*p = '\0';
	*value_out = strchr(*name_out, '=');
	if (*value_out)
		*(*value_out)++ = '\0';
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *smtp_xtext_parse(const void *ctx, const char *text)
{
	char *out = mem_strdup(ctx, text), *to = out;

	for (const char *from = text; *from; from++, to++) {
		bool is_hex = *from == '+';
		int high = is_hex ? hex_digit(from[1]) : 0, low = is_hex && high >= 0 ? hex_digit(from[2]) : 0;
		*to = is_hex ? (char)(high * 16 + low) : *from;
		/* Printable once decoded, or a report could be made to hold other fields. */
		if (high < 0 || low < 0 || *from == '=' || *to < ' ' || *to > '~' || (!is_hex && *to == ' ')) {
			talloc_free(out);
			return NULL;
		}
		from += is_hex ? 2 : 0;
	}
	*to = '\0';
	return out;
}

/* One character of two octets or more; the number of them, or 0. */
static size_t take_utf8(const char *text, uint32_t *out)
{
	static const struct { uint8_t mask, lead; uint32_t min; } kinds[] = {
		{ 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
	};
	const uint8_t *in = (const uint8_t *)text;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		if ((*in & kinds[k].mask) != kinds[k].lead)
			continue;
		*out = *in & (uint8_t)~kinds[k].mask;
		for (size_t i = 1; i <= k + 1; i++) {
			if ((in[i] & 0xc0) != 0x80)
				return 0;
			*out = *out << 6 | (in[i] & 0x3f);
		}
		bool is_good = *out >= kinds[k].min && *out <= 0x10ffff && (*out < 0xd800 || *out > 0xdfff);
		return is_good ? k + 2 : 0;
	}
	return 0;
}

char *smtp_utf8_address_parse(const void *ctx, const char *text)
{
	struct buf *out = buf_new(NULL, LIMIT_SMTP_ORCPT * 6);
	uint32_t c;

	for (size_t n; *text; text += n) {
		n = *text > ' ' && *text <= '~' && *text != '+' && *text != '=';
		if (n == 1)
			buf_add(out, text, 1);
		else if ((n = take_utf8(text, &c)) > 0)
			buf_addf(out, "\\x{%X}", (unsigned)c);
		else
			break;
	}
	char *copy = *text == '\0' ? mem_strdup(ctx, out->data) : NULL;
	talloc_free(out);
	return copy;
}
