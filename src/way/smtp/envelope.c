/*
 * MAIL and RCPT with their parameters: SIZE (RFC 1870), BODY (RFC 6152), AUTH
 * (RFC 4954), SMTPUTF8 (RFC 6531) and those of RFC 3461. What a parameter
 * means is a row of a table; nothing is changed before all of them are good.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "way/smtp/session.h"

/* What one command says. Strings are below ctx. */
struct params {
	void *ctx;
	uint64_t size;
	bool is_utf8;		/* of RCPT: said with MAIL */
	enum smtp_ret ret;
	char *envid;
	uint8_t notify;
	char *orcpt;
};

/* NULL, or the answer. value NULL: there is none. */
static const char *const bad_value = "501 5.5.4 Bad value of a parameter";

static bool is_ascii(const char *address)
{
	for (; *address; address++)
		if ((unsigned char)*address >= 0x80)
			return false;
	return true;
}

/* Decimal; UINT64_MAX when it is more than that. */
static const char *take_size(struct params *p, const char *value)
{
	size_t len = value ? strlen(value) : 0;

	if (len == 0 || strspn(value, "0123456789") != len || len > 20)
		return bad_value;
	p->size = strtoull(value, NULL, 10);
	return NULL;
}

static const char *take_body(struct params *p, const char *value)
{
	(void)p;
	if (!value)
		return bad_value;
	if (strcasecmp(value, "BINARYMIME") == 0)
		return "504 5.5.4 BINARYMIME is not offered";
	return strcasecmp(value, "7BIT") == 0 || strcasecmp(value, "8BITMIME") == 0 ? NULL : bad_value;
}

/* Who wrote it, says a server that believes it knows; we know. */
static const char *take_auth(struct params *p, const char *value)
{
	return value && (strcmp(value, "<>") == 0 || smtp_xtext_parse(p->ctx, value)) ? NULL : bad_value;
}

static const char *take_utf8(struct params *p, const char *value)
{
	p->is_utf8 = true;
	return value ? bad_value : NULL;
}

static const char *take_ret(struct params *p, const char *value)
{
	p->ret = !value ? SMTP_RET_NONE : strcasecmp(value, "FULL") == 0 ? SMTP_RET_FULL :
	    strcasecmp(value, "HDRS") == 0 ? SMTP_RET_HDRS : SMTP_RET_NONE;
	return p->ret == SMTP_RET_NONE ? bad_value : NULL;
}

static const char *take_envid(struct params *p, const char *value)
{
	p->envid = value && *value && strlen(value) <= LIMIT_SMTP_ENVID ? smtp_xtext_parse(p->ctx, value) : NULL;
	return p->envid ? NULL : bad_value;
}

/* NEVER alone, or some of the others. */
static const char *take_notify(struct params *p, const char *value)
{
	static const struct { const char *word; uint8_t bit; } words[] = {
		{ "SUCCESS", SMTP_NOTIFY_SUCCESS }, { "FAILURE", SMTP_NOTIFY_FAILURE }, { "DELAY", SMTP_NOTIFY_DELAY },
	};

	p->notify = 0;
	if (value && strcasecmp(value, "NEVER") == 0)
		return NULL;
	for (const char *at = value; at; at = strchr(at, ',')) {
		at += at != value;
		uint8_t bit = 0;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strcspn(at, ",") == strlen(words[i].word) && strncasecmp(at, words[i].word, strlen(words[i].word)) == 0)
				bit = words[i].bit;
		if (bit == 0)
			return bad_value;
		p->notify |= bit;
	}
	if (p->notify & SMTP_NOTIFY_FAILURE)
		p->notify |= SMTP_NOTIFY_ASKED;
	return value ? NULL : bad_value;
}

/* "type;address", where only the address is xtext; the types are those of RFC 3464 and RFC 6533. */
static const char *take_orcpt(struct params *p, const char *value)
{
	const char *semicolon = value ? strchr(value, ';') : NULL;

	if (!semicolon || semicolon == value || strlen(value) > LIMIT_SMTP_ORCPT || !semicolon[1])
		return bad_value;
	for (const char *c = value; c < semicolon; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", *c))
			return bad_value;
	bool is_utf8 = semicolon - value == 5 && strncasecmp(value, "utf-8", 5) == 0;
	const char *address = is_utf8 ? smtp_utf8_address_parse(p->ctx, semicolon + 1) : smtp_xtext_parse(p->ctx, semicolon + 1);
	if (!address || (!p->is_utf8 && !is_ascii(semicolon)))
		return bad_value;
	p->orcpt = mem_printf(p->ctx, "%.*s;%s", (int)(semicolon - value), value, address);
	return NULL;
}

struct param {
	const char *name;
	const char *(*take)(struct params *, const char *value);
};

static const struct param mail_params[] = {
	{ "SIZE", take_size }, { "BODY", take_body }, { "AUTH", take_auth }, { "SMTPUTF8", take_utf8 }, { "RET", take_ret },
	{ "ENVID", take_envid }, { NULL, NULL },
};

static const struct param rcpt_params[] = { { "NOTIFY", take_notify }, { "ORCPT", take_orcpt }, { NULL, NULL } };

/* All of them, each at most once. NULL, or the answer. */
static const char *take_params(struct params *p, const struct param *table, char *text)
{
	unsigned seen = 0;
	char *name, *value;

	while (smtp_param_next(&text, &name, &value)) {
		size_t i = 0;
		while (table[i].name && strcasecmp(table[i].name, name) != 0)
			i++;
		if (!table[i].name)
			return "555 5.5.4 Unknown parameter";
		if (seen & 1u << i)
			return "501 5.5.4 A parameter twice";
		seen |= 1u << i;
		const char *fault = table[i].take(p, value);
		if (fault)
			return fault;
	}
	return NULL;
}

static const char *check_sender(const struct smtp_session *s, const struct params *p, const char *address,
    char out[LIMIT_ADDRESS + 1])
{
	char base[LIMIT_ADDRESS + 1];

	/* RFC 6531 section 3.5: beyond ASCII only when the client said so. */
	if (!p->is_utf8 && !is_ascii(address))
		return "553 5.6.7 That address needs SMTPUTF8";
	if (*address && addr_parse(address, out) < 0)
		return "501 5.1.7 The sender is no address";
	if (!*address || addr_parse_base(address, base) < 0 || strcmp(base, s->smtp->set.address) != 0)
		return "550 5.7.1 The sender must be your own address";
	if (p->size > s->smtp->set.max_size)
		return "552 5.3.4 Message is too big";
	return smtp_spool_has_room(s->smtp, p->size) ? smtp_outbox_fault(s->smtp, p->size) : "452 4.3.1 The disk is full";
}

void smtp_mail(struct smtp_session *s, char *arg)
{
	char *address, *params, normal[LIMIT_ADDRESS + 1];
	struct params p = { .ctx = mem_ctx(s) };

	const char *fault = smtp_path_parse(arg, "FROM:", &address, &params) < 0 ? "501 5.5.4 Say MAIL FROM:<ADDRESS>" :
	    take_params(&p, mail_params, params);
	if (!fault)
		fault = check_sender(s, &p, address, normal);
	if (fault) {
		talloc_free(p.ctx);
		smtp_reply(s, "%s", fault);
		return;
	}
	s->txn = p.ctx;
	s->sender = mem_strdup(s->txn, normal);
	s->is_utf8 = p.is_utf8;
	s->ret = p.ret;
	s->envid = p.envid;
	s->phase = PHASE_MAIL;
	smtp_reply(s, "250 2.1.0 Ok");
}

/* Its place, or n_recipients. */
static size_t find_recipient(const struct smtp_session *s, const char *address)
{
	size_t i = 0;

	while (i < s->n_recipients && strcmp(s->recipients[i], address) != 0)
		i++;
	return i;
}

static void add_recipient(struct smtp_session *s, const char *address)
{
	size_t n = s->n_recipients;

	if ((n & (n - 1)) == 0) {
		size_t room = n ? 2 * n : 1;
		s->recipients = mem_resize(s->txn, s->recipients, const char *, room);
		s->notify = mem_resize(s->txn, s->notify, uint8_t, room);
		s->orcpt = mem_resize(s->txn, s->orcpt, const char *, room);
	}
	s->recipients[n] = mem_strdup(s->txn, address);
	s->notify[n] = 0;
	s->orcpt[n] = NULL;
	s->n_recipients++;
}

/* Somebody named twice is told of by both. */
static const char *take_recipient(struct smtp_session *s, const struct params *p, const char *address)
{
	size_t i = find_recipient(s, address);

	if (i == s->n_recipients) {
		if (i >= s->smtp->set.max_recipients)
			return "452 4.5.3 Too many recipients";
		add_recipient(s, address);
	}
	s->notify[i] |= p->notify;
	if (p->orcpt && !s->orcpt[i])
		s->orcpt[i] = mem_strdup(s->txn, p->orcpt);
	return NULL;
}

/* An address whose peer has one, too: behind "bob.+x" there is none. */
static bool is_peer(const char *address, char normal[LIMIT_ADDRESS + 1])
{
	char base[LIMIT_ADDRESS + 1];

	return addr_parse(address, normal) == 0 && addr_parse_base(address, base) == 0;
}

static const char *read_recipient(struct smtp_session *s, struct params *p, char *arg)
{
	char *address, *params, normal[LIMIT_ADDRESS + 1];

	if (smtp_path_parse(arg, "TO:", &address, &params) < 0)
		return "501 5.5.4 Say RCPT TO:<ADDRESS>";
	const char *fault = take_params(p, rcpt_params, params);
	if (fault)
		return fault;
	if (!s->is_utf8 && !is_ascii(address))
		return "553 5.6.7 That address needs SMTPUTF8";
	/* RFC 5321 section 4.5.1: the postmaster of one user's server is that user. */
	if (strcasecmp(address, "postmaster") == 0)
		return take_recipient(s, p, s->smtp->set.address);
	return is_peer(address, normal) ? take_recipient(s, p, normal) : "550 5.1.3 The recipient is no address";
}

void smtp_rcpt(struct smtp_session *s, char *arg)
{
	struct params p = { .ctx = mem_ctx(NULL), .is_utf8 = s->is_utf8, .notify = SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY };
	const char *fault = read_recipient(s, &p, arg);

	talloc_free(p.ctx);
	if (!fault)
		s->phase = PHASE_RCPT;
	smtp_reply(s, "%s", fault ? fault : "250 2.1.5 Ok");
}
