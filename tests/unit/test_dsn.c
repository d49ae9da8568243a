/* DSNs and notices: valid messages (by our own scanner), the right words, nothing smuggled in. */
#include "unit.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/mime/dsn.h"
#include "lib/mime/header.h"
#include "lib/mime/mime.h"

static const struct dsn_rcpt failed = {
	"bob@home", DSN_FAILED, "5.1.1", "Nobody in the network knows a key of bob@home.",
	"The message was removed; check the address and send it again.", NULL, 0,
};
static const struct dsn_rcpt delayed = { "eve@home", DSN_DELAYED, "4.4.7", "Not reachable.", NULL, NULL, 1795345200 };

static struct dsn example(const struct dsn_rcpt *rcpts, size_t n)
{
	return (struct dsn){ .to = "ann@home", .message_id = "<1@home>", .subject = "Lunch",
		.header = bytes_str("Subject: Lunch\r\nTo: bob@home\r\n\r\n"),
		.submitted_s = 1795255200, .now_s = 1795341600, .rcpts = rcpts, .n_rcpts = n };
}

static struct mime *scan(const void *ctx, struct bytes in)
{
	struct mime_scan *s = mime_scan_new(ctx);

	mime_scan_feed(s, in);
	return mime_scan_take(&s, ctx);
}

/* Every line ends with CRLF, none is over 998 octets, no control characters. */
static void is_proper(struct bytes m)
{
	size_t line = 0;

	ck_assert(m.len > 2 && m.data[m.len - 1] == '\n');
	for (size_t i = 0; i < m.len; i++) {
		uint8_t c = m.data[i];
		ck_assert(c != '\0' && (c != '\n' || (i > 0 && m.data[i - 1] == '\r')));
		ck_assert(c != '\r' || (i + 1 < m.len && m.data[i + 1] == '\n'));
		line = c == '\n' ? 0 : line + 1;
		ck_assert_uint_le(line, 999);
	}
}

static bool has(struct bytes m, const char *text)
{
	return memmem(m.data, m.len, text, strlen(text)) != NULL;
}

START_TEST(a_failure)
{
	void *ctx = mem_ctx(NULL);
	struct dsn d = example((const struct dsn_rcpt[]){ failed, delayed }, 2);
	struct bytes m = dsn_compose(ctx, &d);
	struct mime *t = scan(ctx, m);
	size_t n;
	struct bytes header = mime_header(t, mime_parts(t, &n));

	is_proper(m);
	ck_assert_uint_eq(n, 4);
	ck_assert_str_eq(header_get(ctx, header, "Subject"), "Not delivered: Lunch");
	ck_assert_str_eq(header_get(ctx, header, "To"), "ann@home");
	ck_assert_str_eq(header_get(ctx, header, "In-Reply-To"), "<1@home>");
	ck_assert_str_eq(header_get(ctx, header, "References"), "<1@home>");
	ck_assert_str_eq(header_get(ctx, header, "Auto-Submitted"), "auto-replied");
	ck_assert_ptr_nonnull(header_get(ctx, header, "Message-ID"));
	char *structure = mime_bodystructure(ctx, t);
	ck_assert_ptr_nonnull(strstr(structure, "\"message\" \"delivery-status\""));
	ck_assert_ptr_nonnull(strstr(structure, "\"text\" \"rfc822-headers\""));
	ck_assert_ptr_nonnull(strstr(structure, "\"report\" (\"report-type\" \"delivery-status\""));
	ck_assert(has(m, "To bob@home it was not delivered.\r\n\r\n    Nobody in the network"));
	ck_assert(has(m, "\r\n\r\nFinal-Recipient: rfc822;bob@home\r\nAction: failed\r\nStatus: 5.1.1\r\n"));
	ck_assert(has(m, "Diagnostic-Code: x-p2pmta; Nobody"));
	ck_assert(has(m, "Final-Recipient: rfc822;eve@home\r\nAction: delayed\r\n"));
	ck_assert(has(m, "\r\nWill-Retry-Until: Sun, 22 Nov 2026 11:00:00 +0000\r\n"));
	ck_assert(has(m, "\r\n\r\nSubject: Lunch\r\nTo: bob@home\r\n\r\n--="));
	ck_assert_msg(bytes_equal(m, dsn_compose(ctx, &d)), "composing again gives other octets");
	talloc_free(ctx);
}
END_TEST

static const struct {
	enum dsn_action first, second;
	const char *subject;
} mixes[] = {
	{ DSN_FAILED, DSN_FAILED, "Not delivered: Lunch" },
	{ DSN_DELIVERED, DSN_FAILED, "Not delivered: Lunch" },
	{ DSN_DELAYED, DSN_EXPIRED, "Not collected: Lunch" },
	{ DSN_DELAYED, DSN_DELIVERED, "Not yet delivered: Lunch" },
	{ DSN_DELIVERED, DSN_DELIVERED, "Delivered: Lunch" },
};

START_TEST(subject_table)
{
	void *ctx = mem_ctx(NULL);
	struct dsn_rcpt rcpts[] = { failed, delayed };
	rcpts[0].action = mixes[_i].first;
	rcpts[1].action = mixes[_i].second;
	struct dsn d = example(rcpts, 2);

	ck_assert_str_eq(header_get(ctx, dsn_compose(ctx, &d), "Subject"), mixes[_i].subject);
	talloc_free(ctx);
}
END_TEST

START_TEST(hostile_texts)
{
	void *ctx = mem_ctx(NULL);
	struct dsn_rcpt r = { "j\xc3\xb6rg+x@home\r\nX: 1", DSN_EXPIRED, "5.4.7\r\nX: 1", "a\r\n\r\nb\xc3\xa4", "n\r\n.\r\n",
		"rfc822;a\r\nX: 1", 0 };
	char *subject = mem_array(ctx, char, 5001);
	memset(subject, 0xbc, 5000);
	subject[5000] = '\0';
	struct dsn d = example(&r, 1);
	d.message_id = "<1>\r\nX: 1";
	d.header = bytes_str("Subject: x");
	struct bytes plain = dsn_compose(ctx, &d);
	d.subject = subject;
	struct bytes m = dsn_compose(ctx, &d);

	char *reason = mem_array(ctx, char, 991);
	memset(reason, 'x', 990);
	reason[990] = '\0';
	r.reason = reason;
	is_proper(dsn_compose(ctx, &d));
	is_proper(plain);
	is_proper(m);
	ck_assert_ptr_null(header_get(ctx, m, "X"));
	ck_assert(has(m, "Final-Recipient: utf-8;j\\x{F6}rg\\x{2B}x@home"));
	ck_assert(has(m, "Diagnostic-Code: x-p2pmta; =?utf-8?B?"));
	ck_assert(has(m, "\r\n\r\nSubject: x\r\n\r\n--="));
	d.subject = "=?utf-8?q?gr=C3=BC=C3=9Fe?=";
	m = dsn_compose(ctx, &d);
	ck_assert_str_eq(header_get_decoded(ctx, m, "Subject"), "Not collected: gr\xc3\xbc\xc3\x9f" "e");
	ck_assert(has(m, "    gr\xc3\xbc\xc3\x9f" "e\r\n"));
	talloc_free(ctx);
}
END_TEST

/* What RFC 3461 lets the sender ask for. */
START_TEST(asked_for)
{
	void *ctx = mem_ctx(NULL);
	struct dsn_rcpt r = failed;
	struct dsn d = example(&r, 1);

	r.original = "rfc822;Bob+x@home";
	d.envid = "QQ314159";
	d.whole = bytes_str("Subject: Lunch\r\n\r\nAt noon?\r\n");
	struct bytes m = dsn_compose(ctx, &d);
	is_proper(m);
	ck_assert(has(m, "\r\nOriginal-Envelope-Id: QQ314159\r\nReporting-MTA: "));
	ck_assert(has(m, "\r\n\r\nOriginal-Recipient: rfc822;Bob+x@home\r\nFinal-Recipient: "));
	ck_assert(has(m, "Content-Type: message/rfc822\r\n"));
	ck_assert(has(m, "\r\n\r\nAt noon?\r\n"));
	d.envid = "";
	r.original = "";
	d.whole.data = NULL;
	m = dsn_compose(ctx, &d);
	ck_assert(!has(m, "Original-"));
	ck_assert(!has(m, "At noon?"));
	talloc_free(ctx);
}
END_TEST

START_TEST(a_notice)
{
	void *ctx = mem_ctx(NULL);
	struct bytes m = notice_compose(ctx, "ann@home", "Key of bob@home changed", "One\nTwo\r\nThree", 1795255200);
	size_t n;

	is_proper(m);
	mime_parts(scan(ctx, m), &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(header_get(ctx, m, "Subject"), "Key of bob@home changed");
	ck_assert_str_eq(header_get(ctx, m, "Date"), "Sat, 21 Nov 2026 10:00:00 +0000");
	ck_assert(has(m, "\r\n\r\nOne\r\nTwo\r\nThree\r\n"));
	talloc_free(ctx);
}
END_TEST

UNIT_SUITE("dsn") {
	UNIT(a_failure);
	UNIT_LOOP(subject_table, mixes);
	UNIT(hostile_texts);
	UNIT(asked_for);
	UNIT(a_notice);
} UNIT_END
