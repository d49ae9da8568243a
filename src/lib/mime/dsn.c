/*
 * Messages we write ourselves. A DSN is a multipart/report (RFC 3464): first
 * a text for people that says what happened to whom and what comes next, then
 * the same for programs, then the header of the original. Message-ID and
 * boundary come from a digest of the content, so composing again after a crash
 * gives the same octets. What others wrote cannot add a line: control
 * characters become spaces, long texts are cut with an ellipsis.
 */
#include "lib/mime/dsn.h"

#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/mime/header.h"

enum {
	TEXT_WIDTH = 72,
	SUBJECT_MAX = 160,
	SENTENCE_MAX = 900,	/* with its field name it fits a line */
	ENVID_MAX = 100,	/* RFC 3461 section 4.4 */
	WORD_OCTETS = 42,	/* of UTF-8 in one encoded word: 56 of base64 */
	MESSAGE_MAX = 32 * 1024 * 1024,
};

/* Words of one action: for people, and for the subject, alone and among others. */
static const struct {
	const char *action, *people, *subject;
} actions[] = {
	[DSN_FAILED] = { "failed", "was not delivered", "Not delivered" },
	[DSN_DELAYED] = { "delayed", "is still waiting", "Not yet delivered" },
	[DSN_DELIVERED] = { "delivered", "was delivered", "Delivered" },
	[DSN_EXPIRED] = { "failed", "was not collected in time", "Not collected" },
};

/* Up to max octets on a character's border; control characters as spaces. */
static char *clean(const void *ctx, const char *text, size_t max)
{
	size_t len = strlen(text);
	bool cut = len > max;

	if (cut)
		for (len = max; len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80; len--)
			;
	char *out = mem_printf(ctx, "%.*s%s", (int)len, text, cut ? "\xE2\x80\xA6" : "");
	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return out;
}

static bool is_ascii(const char *s)
{
	while (*s != '\0' && (unsigned char)*s < 0x80)
		s++;
	return *s == '\0';
}

/* A field with free text behind its begin, as encoded words when it needs them. */
static void add_unstructured(struct buf *b, const char *begin, const char *text)
{
	buf_adds(b, begin);
	/* What looks like an encoded word has to be encoded, too. */
	if (is_ascii(text) && strstr(text, "=?") == NULL) {
		buf_addf(b, " %s\r\n", text);
		return;
	}
	while (*text != '\0') {
		size_t len = strlen(text);
		if (len > WORD_OCTETS)
			for (len = WORD_OCTETS; len > 1 && ((unsigned char)text[len] & 0xC0) == 0x80; len--)
				;
		char *word = base64_print(b, bytes_of(text, len));
		buf_addf(b, " =?utf-8?B?%s?=\r\n", word);
		talloc_free(word);
		text += len;
	}
}

/* Words in lines of at most TEXT_WIDTH, each behind indent. */
static void add_wrapped(struct buf *b, const char *indent, const char *text)
{
	size_t column = 0;

	while (*(text += strspn(text, " ")) != '\0') {
		size_t len = strcspn(text, " ");
		if (column > 0 && column + 1 + len > TEXT_WIDTH) {
			buf_adds(b, "\r\n");
			column = 0;
		}
		buf_adds(b, column == 0 ? indent : " ");
		buf_add(b, text, len);
		column += len + (column == 0 ? strlen(indent) : 1);
		text += len;
	}
	if (column > 0)
		buf_adds(b, "\r\n");
}

static const char *domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL && at[1] != '\0' ? at + 1 : "localhost";
}

/* Fields that our messages share; id comes from a digest of what the message says. */
static void add_header(struct buf *b, const char *to, const char *subject, const char *id, int64_t now_s)
{
	char date[48];

	clock_print_rfc5322(now_s, date, sizeof(date));
	buf_addf(b, "From: p2pMTA <MAILER-DAEMON@%s>\r\nTo: %s\r\n", domain_of(to), to);
	add_unstructured(b, "Subject:", subject);
	buf_addf(b, "Date: %s\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n",
	    date, id, domain_of(to));
}

/* 32 hex digits of what makes this message this one. */
static char *digest_id(const void *ctx, const char *const *texts, size_t n, int64_t now_s)
{
	struct digest *d = digest_new(ctx);
	uint8_t sum[DIGEST_LEN];
	char hex[DIGEST_HEX];

	for (size_t i = 0; i < n; i++)
		digest_add(d, texts[i], strlen(texts[i]) + 1);
	digest_add(d, &now_s, sizeof(now_s));
	digest_take(d, sum);
	talloc_free(d);
	hex_print(bytes_of(sum, DIGEST_LEN), hex);
	return mem_strndup(ctx, hex, 32);
}

/* The action of all recipients, or DSN_FAILED's and DSN_DELAYED's "worst first" when they differ. */
static enum dsn_action overall(const struct dsn *d)
{
	enum dsn_action worst = DSN_DELIVERED;

	for (size_t i = 0; i < d->n_rcpts; i++) {
		enum dsn_action a = d->rcpts[i].action;
		if (a == DSN_FAILED || worst == DSN_FAILED)
			worst = DSN_FAILED;
		else if (a == DSN_EXPIRED || worst == DSN_EXPIRED)
			worst = DSN_EXPIRED;
		else if (a == DSN_DELAYED)
			worst = DSN_DELAYED;
	}
	return worst;
}

static void add_people(struct buf *b, const void *tmp, const struct dsn *d, const char *subject)
{
	char date[48];

	clock_print_rfc5322(d->submitted_s, date, sizeof(date));
	buf_adds(b, "This is about your message\r\n\r\n");
	add_wrapped(b, "    ", *subject != '\0' ? subject : "(without a subject)");
	buf_addf(b, "    of %s\r\n\r\n", date);
	for (size_t i = 0; i < d->n_rcpts; i++) {
		const struct dsn_rcpt *r = &d->rcpts[i];
		buf_addf(b, "To %s it %s.\r\n\r\n", clean(tmp, r->address, LIMIT_ADDRESS), actions[r->action].people);
		if (r->reason != NULL && *r->reason != '\0')
			add_wrapped(b, "    ", clean(tmp, r->reason, SENTENCE_MAX));
		if (r->next != NULL && *r->next != '\0')
			add_wrapped(b, "    ", clean(tmp, r->next, SENTENCE_MAX));
		buf_adds(b, "\r\n");
	}
	buf_addf(b, "%s and the details for programs are attached.\r\n",
	    d->whole.data != NULL ? "Your message" : "The header of your message");
}

/* RFC 6533 section 3: what is not ASCII as \x{...}. */
static void add_address(struct buf *b, const char *address)
{
	if (is_ascii(address)) {
		buf_addf(b, "rfc822;%s\r\n", address);
		return;
	}
	buf_adds(b, "utf-8;");
	for (const unsigned char *p = (const unsigned char *)address; *p != '\0';) {
		unsigned c = *p++, more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
		if (c < 0x80 && strchr("\\+=", (int)c) == NULL) {
			buf_addf(b, "%c", (int)c);
			continue;
		}
		c &= more == 0 ? 0x7F : 0x3Fu >> more;
		for (; more > 0 && (*p & 0xC0) == 0x80; more--)
			c = c << 6 | (*p++ & 0x3F);
		buf_addf(b, "\\x{%X}", c);
	}
	buf_adds(b, "\r\n");
}

static void add_programs(struct buf *b, const void *tmp, const struct dsn *d)
{
	char arrived[48], now[48], until[48];

	clock_print_rfc5322(d->submitted_s, arrived, sizeof(arrived));
	clock_print_rfc5322(d->now_s, now, sizeof(now));
	if (d->envid != NULL && *d->envid != '\0')
		buf_addf(b, "Original-Envelope-Id: %s\r\n", clean(tmp, d->envid, ENVID_MAX));
	buf_addf(b, "Reporting-MTA: dns;%s\r\nArrival-Date: %s\r\n", domain_of(d->to), arrived);
	for (size_t i = 0; i < d->n_rcpts; i++) {
		const struct dsn_rcpt *r = &d->rcpts[i];
		buf_adds(b, "\r\n");
		if (r->original != NULL && *r->original != '\0')
			buf_addf(b, "Original-Recipient: %s\r\n", clean(tmp, r->original, LIMIT_ADDRESS + 16));
		buf_adds(b, "Final-Recipient: ");
		add_address(b, clean(tmp, r->address, LIMIT_ADDRESS));
		buf_addf(b, "Action: %s\r\nStatus: %s\r\nLast-Attempt-Date: %s\r\n", actions[r->action].action,
		    r->status != NULL ? clean(tmp, r->status, 16) : "4.0.0", now);
		if (r->retry_until_s > 0) {
			clock_print_rfc5322(r->retry_until_s, until, sizeof(until));
			buf_addf(b, "Will-Retry-Until: %s\r\n", until);
		}
		if (r->reason != NULL && *r->reason != '\0')
			add_unstructured(b, "Diagnostic-Code: x-p2pmta;", clean(tmp, r->reason, SENTENCE_MAX));
	}
}

/* The original's header without the empty line at its end. */
static void add_original(struct buf *b, struct bytes header)
{
	while (header.len >= 4 && memcmp(header.data + header.len - 4, "\r\n\r\n", 4) == 0)
		header.len -= 2;
	if (header.len > LIMIT_MIME_HEADER)
		header.len = 0;
	buf_add(b, header.data, header.len);
	if (header.len > 0 && header.data[header.len - 1] != '\n')
		buf_adds(b, "\r\n");
}

static struct bytes whole(const void *ctx, struct buf *b)
{
	struct bytes out = bytes_dup(ctx, buf_bytes(b));

	talloc_free(b);
	return out;
}

struct bytes dsn_compose(const void *ctx, const struct dsn *d)
{
	struct buf *b = buf_new(ctx, MESSAGE_MAX);
	void *tmp = mem_ctx(b);
	char *subject = clean(tmp, header_decode(tmp, d->subject != NULL ? d->subject : ""), SUBJECT_MAX);
	const char *message_id = d->message_id != NULL ? clean(tmp, d->message_id, 900) : "";
	enum dsn_action action = overall(d);
	struct buf *people = buf_new(tmp, MESSAGE_MAX), *programs = buf_new(tmp, MESSAGE_MAX);

	add_people(people, tmp, d, subject);
	add_programs(programs, tmp, d);
	const char *id = digest_id(tmp, (const char *[]){ people->data, programs->data, message_id }, 3, d->now_s);
	add_header(b, d->to, mem_printf(tmp, "%s: %s", actions[action].subject, subject), id, d->now_s);
	if (*message_id != '\0')
		buf_addf(b, "In-Reply-To: %s\r\nReferences: %s\r\n", message_id, message_id);
	buf_addf(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"=_%s\"\r\n\r\n", id);
	buf_addf(b, "--=_%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", id);
	buf_add(b, people->data, people->len);
	buf_addf(b, "\r\n--=_%s\r\nContent-Type: message/delivery-status\r\n\r\n", id);
	buf_add(b, programs->data, programs->len);
	buf_addf(b, "\r\n--=_%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", id,
	    d->whole.data != NULL ? "message/rfc822" : "text/rfc822-headers; charset=utf-8");
	if (d->whole.data != NULL)
		buf_add(b, d->whole.data, d->whole.len);
	else
		add_original(b, d->header);
	buf_addf(b, "\r\n--=_%s--\r\n", id);
	talloc_free(tmp);
	return whole(ctx, b);
}

struct bytes notice_compose(const void *ctx, const char *to, const char *subject, const char *text, int64_t now_s)
{
	struct buf *b = buf_new(ctx, MESSAGE_MAX);
	void *tmp = mem_ctx(b);
	const char *id = digest_id(tmp, (const char *[]){ to, subject, text }, 3, now_s);

	add_header(b, to, clean(tmp, subject, SUBJECT_MAX), id, now_s);
	buf_adds(b, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
	while (*text != '\0') {
		size_t len = strcspn(text, "\r\n");
		buf_add(b, text, len);
		buf_adds(b, "\r\n");
		text += len;
		text += *text == '\r' && text[1] == '\n' ? 2 : *text != '\0';
	}
	talloc_free(tmp);
	return whole(ctx, b);
}
