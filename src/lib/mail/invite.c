/*
 * An invite is read by people who copy it, so it is one word without
 * characters that a mail client or a shell would change. It is believed as a
 * whole: who has it can join, so it comes by a way its reader trusts.
 */
#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/hostport.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "lib/mail/join.h"
#include "lib/mail/urls.h"

static const char magic[] = "p2pmta1.";

/* --- printing --- */

/* RFC 4648 section 5, in place. */
static void to_url_alphabet(char *s)
{
	for (; *s && *s != '='; s++)
		*s = *s == '+' ? '-' : *s == '/' ? '_' : *s;
	*s = '\0';
}

char *invite_print(const void *ctx, const struct invite *i)
{
	struct buf *b = buf_new(ctx, INVITE_TEXT_MAX);
	char expires[CLOCK_TEXT];
	char *secret = base64_print(b, bytes_of(i->secret, sizeof(i->secret)));

	clock_print(i->expires_s, expires);
	buf_addf(b, "group %s\nmaster %s %s\nnetwork %" PRIu32 "\n", i->group, i->master.address, i->master.fpr, i->network);
	for (size_t k = 0; k < i->n_bootstrap; k++)
		buf_addf(b, "bootstrap %s\n", i->bootstrap[k]);
	for (size_t k = 0; k < i->n_urls; k++)
		buf_addf(b, "url %s\n", i->urls[k]);
	buf_addf(b, "expires %s\nsecret %s\n", expires, secret);

	char *code = base64_print(b, buf_bytes(b)), *text = NULL;
	to_url_alphabet(code);
	if (!b->overflow && strlen(magic) + strlen(code) <= INVITE_TEXT_MAX)
		text = mem_printf(ctx, "%s%s", magic, code);
	explicit_bzero(secret, strlen(secret));
	explicit_bzero(code, strlen(code));
	explicit_bzero(b->data, b->len);
	talloc_free(b);
	return text;
}

/* --- parsing --- */

static int bad(struct err *e, const char *why)
{
	err_set(e, "invite: %s", why);
	return -1;
}

/* Without white space; NULL when there is more than an invite has. */
static char *squeeze(const void *ctx, const char *text)
{
	char *out = mem_array(ctx, char, INVITE_TEXT_MAX + 1);
	size_t n = 0;

	for (; *text; text++) {
		if (strchr(" \t\r\n", *text))
			continue;
		if (n == INVITE_TEXT_MAX)
			return NULL;
		out[n++] = *text;
	}
	out[n] = '\0';
	return out;
}

/* The lines, NUL-terminated; NULL when it is no canonical base64url. */
static char *decode(const void *ctx, const char *code)
{
	char *padded = mem_printf(ctx, "%s%s", code, &"==="[(strlen(code) + 3) % 4]);
	struct bytes out;

	if (strpbrk(code, "+/="))
		return NULL;
	for (char *s = padded; *s; s++)
		*s = *s == '-' ? '+' : *s == '_' ? '/' : *s;
	if (base64_parse(ctx, padded, INVITE_TEXT_MAX, &out) < 0 || out.len == 0 || memchr(out.data, '\0', out.len))
		return NULL;
	return mem_strndup(ctx, (const char *)out.data, out.len);
}

/* "WORD value LF" at *at: the value, below ctx, and *at behind it; NULL when another line is there. */
static char *take_line(const void *ctx, char **at, const char *word)
{
	size_t n = strlen(word);
	char *end = strchr(*at, '\n');

	if (end == NULL || strncmp(*at, word, n) != 0 || (*at)[n] != ' ')
		return NULL;

	char *value = mem_strndup(ctx, *at + n + 1, (size_t)(end - (*at + n + 1)));
	*at = end + 1;
	return value;
}

static int parse_group(struct invite *i, char **at, struct err *e)
{
	const char *master, *network;
	uint64_t number;

	i->group = take_line(i, at, "group");
	master = take_line(i, at, "master");
	network = take_line(i, at, "network");
	if (i->group == NULL || !addr_is_group(i->group))
		return bad(e, "no group");
	if (master == NULL || group_named_parse(master, &i->master) < 0)
		return bad(e, "no master");
	if (network == NULL || record_parse_number(&network, UINT32_MAX, &number) < 0 || *network)
		return bad(e, "no network");
	i->network = (uint32_t)number;
	return 0;
}

static bool is_node(const char *text)
{
	struct hostport hp;

	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return false;
	return hostport_parse(text, &hp) == 0;
}

static int parse_ways(struct invite *i, char **at, struct err *e)
{
	char *value;

	while ((value = take_line(i, at, "bootstrap"))) {
		if (i->n_bootstrap == LIMIT_URLS || !is_node(value))
			return bad(e, "a bootstrap node that is none, or too many");
		i->bootstrap[i->n_bootstrap++] = value;
	}
	while ((value = take_line(i, at, "url"))) {
		if (i->n_urls == LIMIT_URLS || urls_fault(value))
			return bad(e, "a URL that is none, or too many");
		i->urls[i->n_urls++] = value;
	}
	return 0;
}

static int parse_secret(struct invite *i, char **at, struct err *e)
{
	char *expires = take_line(i, at, "expires"), *secret = take_line(i, at, "secret");
	struct bytes octets;

	if (expires == NULL || clock_parse(expires, &i->expires_s) < 0)
		return bad(e, "no expiry");
	if (secret == NULL || base64_parse(i, secret, INVITE_SECRET_LEN, &octets) < 0 || octets.len != INVITE_SECRET_LEN)
		return bad(e, "no secret");
	memcpy(i->secret, octets.data, INVITE_SECRET_LEN);
	return **at ? bad(e, "more than there should be") : 0;
}

struct invite *invite_parse(const void *ctx, const char *text, struct err *e)
{
	struct invite *i = mem_zero(ctx, struct invite);
	void *tmp = mem_ctx(i);
	char *word = squeeze(tmp, text), *at;

	if (word == NULL || strncmp(word, magic, strlen(magic)) != 0) {
		err_set(e, "invite: does not begin with %s or is too long", magic);
		goto fail;
	}
	at = decode(tmp, word + strlen(magic));
	if (at == NULL) {
		err_set(e, "invite: incomplete, or changed on its way");
		goto fail;
	}
	if (parse_group(i, &at, e) < 0 || parse_ways(i, &at, e) < 0 || parse_secret(i, &at, e) < 0)
		goto fail;
	talloc_free(tmp);
	return i;
fail:
	talloc_free(i);
	return NULL;
}
