/* msglist/1 and notices/1: there and back, and what is refused (p2pmta-protocol(7), sections 3 and 8). */
#include "unit/unit.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/mail/msglist.h"
#include "lib/mail/notices.h"

#define R8(x) x x x x x x x x
#define HA R8("aaaaaaaa")
#define HB R8("bbbbbbbb")
#define HC R8("cccccccc")
#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define TIME "2026-12-01T00:00:00Z"
#define B64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static const char list_head[] = "P2pMTA: msglist/1\r\nOwner: alice@home\r\nGroup: home\r\nSerial: 1795255200000\r\n"
    "Issued: 2026-11-01T00:00:00Z\r\nMember-Token: " B64 "\r\n";
static const char notices_head[] = "P2pMTA: notices/1\r\nOwner: alice@home\r\nHash: " HA "\r\nHead: " HB " 700\r\n";

static struct bytes record(void *ctx, const char *head, const char *body)
{
	struct buf *b = buf_new(ctx, 2 * LIMIT_LIST);

	buf_adds(b, head);
	record_print_body(b, bytes_str(body));
	return buf_bytes(b);
}

/* --- msglist/1 --- */

#define KEPT(h) h " 1234 " TIME " " HC "\n"

static const struct { const char *name, *body; int want; } list_cases[] = {
	{ "greeting", "", 0 },
	{ "one", KEPT(HA), 0 },
	{ "two", KEPT(HA) KEPT(HB), 0 },
	{ "withdrawn", "- " HA " " HB "\n", 0 },
	{ "two recalls", "- " HA " " HB " " HC "\n", 0 },
	{ "kept and withdrawn", KEPT(HA) "- " HA " " HB "\n" KEPT(HB), 0 },
	{ "largest", HA " 4362141696 " TIME " " HC "\n", 0 },
	{ "too large", HA " 4362141697 " TIME " " HC "\n", -1 },
	{ "out of order", KEPT(HB) KEPT(HA), -1 },
	{ "twice", KEPT(HA) KEPT(HA), -1 },
	{ "withdrawn twice", "- " HA " " HB "\n- " HA " " HC "\n", -1 },
	{ "withdrawn before kept", "- " HA " " HB "\n" KEPT(HA), -1 },
	{ "recalls out of order", "- " HA " " HC " " HB "\n", -1 },
	{ "recall twice", "- " HA " " HB " " HB "\n", -1 },
	{ "no recall", "- " HA "\n", -1 },
	{ "half a recall", "- " HA " bbbb\n", -1 },
	{ "recall with a tail", "- " HA " " HB " \n", -1 },
	{ "two spaces before a recall", "- " HA "  " HB "\n", -1 },
	{ "dash without space", "-" HA " " HB "\n", -1 },
	{ "no line end", HA " 1234 " TIME " " HC, -1 },
	{ "another line end", HA " 1234 " TIME " " HC "\r\n", -1 },
	{ "empty line", "\n", -1 },
	{ "empty line at the end", KEPT(HA) "\n", -1 },
	{ "many empty lines", KEPT(HA) "\n\n\n\n", -1 },
	{ "words missing", HA " 1234 " TIME "\n", -1 },
	{ "one word more", HA " 1234 " TIME " " HC " x\n", -1 },
	{ "tail", HA " 1234 " TIME " " HC " \n", -1 },
	{ "blank in front", " " KEPT(HA), -1 },
	{ "two spaces", HA "  1234 " TIME " " HC "\n", -1 },
	{ "tab", HA "\t1234 " TIME " " HC "\n", -1 },
	{ "hash in capitals", R8("AAAAAAAA") " 1234 " TIME " " HC "\n", -1 },
	{ "short hash", "aaaa 1234 " TIME " " HC "\n", -1 },
	{ "long hash", HA "a 1234 " TIME " " HC "\n", -1 },
	{ "size with a leading zero", HA " 01234 " TIME " " HC "\n", -1 },
	{ "size that is none", HA " 12x " TIME " " HC "\n", -1 },
	{ "size of many digits", HA " 11111111111111111111111111111111111 " TIME " " HC "\n", -1 },
	{ "no time", HA " 1234 2026-12-01 " HC "\n", -1 },
	{ "short notices hash", HA " 1234 " TIME " cc\n", -1 },
};

START_TEST(list_table)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	struct bytes in = record(ctx, list_head, list_cases[_i].body);
	struct msglist *m = msglist_parse(ctx, in, &e);

	ck_assert_msg((m ? 0 : -1) == list_cases[_i].want, "case '%s': %s", list_cases[_i].name, e.text);
	ck_assert_int_eq(m == NULL, e.text[0] != '\0');
	if (m) {
		struct buf *b = buf_new(ctx, MIB(1));
		msglist_print(b, m);
		ck_assert_msg(bytes_equal(buf_bytes(b), in), "case '%s':\n%s", list_cases[_i].name, b->data);
	}
	talloc_free(ctx);
}
END_TEST

static const struct { const char *name, *head; int want; } list_head_cases[] = {
	{ "good", list_head, 0 },
	{ "another type", notices_head, -1 },
	{ "no Owner", "P2pMTA: msglist/1\r\nGroup: home\r\nSerial: 1\r\nIssued: " TIME "\r\nMember-Token: " B64 "\r\n", -1 },
	{ "no Group", "P2pMTA: msglist/1\r\nOwner: a@home\r\nSerial: 1\r\nIssued: " TIME "\r\nMember-Token: " B64 "\r\n", -1 },
	{ "no Serial", "P2pMTA: msglist/1\r\nOwner: a@home\r\nGroup: home\r\nIssued: " TIME "\r\nMember-Token: " B64 "\r\n", -1 },
	{ "no Issued", "P2pMTA: msglist/1\r\nOwner: a@home\r\nGroup: home\r\nSerial: 1\r\nMember-Token: " B64 "\r\n", -1 },
	{ "no Member-Token", "P2pMTA: msglist/1\r\nOwner: a@home\r\nGroup: home\r\nSerial: 1\r\nIssued: " TIME "\r\n", -1 },
	{ "short token", "P2pMTA: msglist/1\r\nOwner: a@home\r\nGroup: home\r\nSerial: 1\r\nIssued: " TIME
	    "\r\nMember-Token: AAEC\r\n", -1 },
	{ "must", "P2pMTA: msglist/1\r\nOwner: a@home\r\nGroup: home\r\nSerial: 1\r\nIssued: " TIME
	    "\r\nMember-Token: " B64 "\r\nMust-X: y\r\n", -1 },
};

START_TEST(list_head_table)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	struct msglist *m = msglist_parse(ctx, record(ctx, list_head_cases[_i].head, KEPT(HA)), &e);

	ck_assert_msg((m ? 0 : -1) == list_head_cases[_i].want, "case '%s': %s", list_head_cases[_i].name, e.text);
	ck_assert_int_eq(m == NULL, e.text[0] != '\0');
	talloc_free(ctx);
}
END_TEST

START_TEST(list_fields_and_order)
{
	uint8_t recalls[64];
	struct msglist_item items[3] = {
		{ .withdrawn = true, .recalls = recalls, .n_recalls = 2 },
		{ .sealed_size = 5, .expires_s = 1795255200 },
		{ .sealed_size = 6, .expires_s = 1795255200 },
	};
	struct msglist m = { .owner = "alice@home", .group = "home", .serial = 7, .issued_s = 1795255200, .items = items, .n_items = 3 };
	struct buf *b = buf_new(NULL, MIB(1));
	struct err e;

	memset(recalls, 9, 32);
	memset(recalls + 32, 8, 32);
	memset(items[0].hash, 2, 32);
	memset(items[1].hash, 2, 32);
	memset(items[2].hash, 1, 32);
	memset(items[1].notices_hash, 3, 32);
	memset(m.member_token, 4, 32);
	msglist_print(b, &m);
	ck_assert_uint_eq(recalls[0], 9);
	ck_assert(items[0].withdrawn);
	struct msglist *n = msglist_parse(b, buf_bytes(b), &e);
	ck_assert_ptr_nonnull(n);
	ck_assert_str_eq(n->owner, "alice@home");
	ck_assert_str_eq(n->group, "home");
	ck_assert_uint_eq(n->serial, 7);
	ck_assert_int_eq(n->issued_s, 1795255200);
	ck_assert_uint_eq(n->member_token[31], 4);
	ck_assert_uint_eq(n->n_items, 3);
	ck_assert_uint_eq(n->items[0].sealed_size, 6);
	ck_assert_uint_eq(n->items[1].sealed_size, 5);
	ck_assert_int_eq(n->items[1].expires_s, 1795255200);
	ck_assert_uint_eq(n->items[1].notices_hash[0], 3);
	ck_assert(n->items[2].withdrawn);
	ck_assert_uint_eq(n->items[2].n_recalls, 2);
	ck_assert_uint_eq(n->items[2].recalls[0], 8);
	ck_assert_uint_eq(n->items[2].recalls[63], 9);
	talloc_free(b);
}
END_TEST

/* As long as a list may be: it is read, and one line more is not printed in silence. */
START_TEST(list_full)
{
	enum { LINE = 64 + 1 + 1 + 1 + 20 + 1 + 64 + 1, FULL = LIMIT_LIST / LINE };
	void *ctx = mem_ctx(NULL);
	struct msglist m = { .owner = "alice@home", .group = "home", .n_items = FULL };
	struct buf *b = buf_new(ctx, 2 * LIMIT_LIST);
	struct err e;

	m.items = mem_zero_array(ctx, struct msglist_item, FULL + 1);
	for (size_t i = 0; i <= FULL; i++) {
		m.items[i].hash[0] = (uint8_t)(i >> 16);
		m.items[i].hash[1] = (uint8_t)(i >> 8);
		m.items[i].hash[2] = (uint8_t)i;
	}
	msglist_print(b, &m);
	ck_assert(!b->overflow);
	struct msglist *n = msglist_parse(ctx, buf_bytes(b), &e);
	ck_assert_msg(n != NULL, "%s", e.text);
	ck_assert_uint_eq(n->n_items, FULL);
	buf_clear(b);
	m.n_items++;
	msglist_print(b, &m);
	ck_assert(b->overflow);
	talloc_free(ctx);
}
END_TEST

/* Lines that are none must not ask for memory. */
START_TEST(list_of_empty_lines)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	char *body = mem_array(ctx, char, LIMIT_LIST + 1);

	memset(body, '\n', LIMIT_LIST);
	body[LIMIT_LIST] = '\0';
	ck_assert_ptr_null(msglist_parse(ctx, record(ctx, list_head, body), &e));
	ck_assert_ptr_null(notices_parse(ctx, record(ctx, notices_head, body), &e));
	talloc_free(ctx);
}
END_TEST

/* --- notices/1 --- */

/* "p2ns" 0x01, kind, day, token, "x" */
#define NS_0 "cDJucwEAAABQKnR0dHR0dHR0dHR0dHR0dHR4"
#define NS_1 "cDJucwEBAABQKnR0dHR0dHR0dHR0dHR0dHR4"
#define NS_2 "cDJucwECAABQKnR0dHR0dHR0dHR0dHR0dHR4"
#define NR "cDJucgFwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcA=="
#define TO(key, c_get) key " " TIME " " c_get " " HA " " HB " " HC " "

static const struct { const char *name, *body; int want; } notices_cases[] = {
	{ "nobody", "", 0 },
	{ "one", TO(KEY_A, HA) NS_1 "\n", 0 },
	{ "of a stranger", TO(KEY_A, HA) NS_0 "\n", 0 },
	{ "two", TO(KEY_A, HA) NS_1 "\n" TO(KEY_B, HA) NS_1 "\n", 0 },
	{ "two with one key", TO(KEY_A, HA) NS_1 "\n" TO(KEY_A, HB) NS_1 "\n", 0 },
	{ "a join", TO(KEY_A, HA) NS_2 "\n", -1 },
	{ "another value", TO(KEY_A, HA) NR "\n", -1 },
	{ "no value at all", TO(KEY_A, HA) "AAEC\n", -1 },
	{ "out of order", TO(KEY_B, HA) NS_1 "\n" TO(KEY_A, HA) NS_1 "\n", -1 },
	{ "out of order with one key", TO(KEY_A, HB) NS_1 "\n" TO(KEY_A, HA) NS_1 "\n", -1 },
	{ "twice", TO(KEY_A, HA) NS_1 "\n" TO(KEY_A, HA) NS_1 "\n", -1 },
	{ "short key", TO("aaaa", HA) NS_1 "\n", -1 },
	{ "long key", TO(HA, HA) NS_1 "\n", -1 },
	{ "short proof", TO(KEY_A, "aaaa") NS_1 "\n", -1 },
	{ "value missing", TO(KEY_A, HA) "\n", -1 },
	{ "base64 not padded", TO(KEY_A, HA) "cDJucwEBAABQKnR0dHR0dHR0dHR0dHR0dHR4eHg\n", -1 },
	{ "tail", TO(KEY_A, HA) NS_1 " \n", -1 },
	{ "one word more", TO(KEY_A, HA) NS_1 " x\n", -1 },
	{ "no line end", TO(KEY_A, HA) NS_1, -1 },
	{ "another line end", TO(KEY_A, HA) NS_1 "\r\n", -1 },
	{ "empty line", TO(KEY_A, HA) NS_1 "\n\n", -1 },
};

START_TEST(notices_table)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	struct bytes in = record(ctx, notices_head, notices_cases[_i].body);
	struct notices *n = notices_parse(ctx, in, &e);

	ck_assert_msg((n ? 0 : -1) == notices_cases[_i].want, "case '%s': %s", notices_cases[_i].name, e.text);
	ck_assert_int_eq(n == NULL, e.text[0] != '\0');
	if (n) {
		struct buf *b = buf_new(ctx, MIB(1));
		notices_print(b, n);
		ck_assert_msg(bytes_equal(buf_bytes(b), in), "case '%s':\n%s", notices_cases[_i].name, b->data);
	}
	talloc_free(ctx);
}
END_TEST

static const struct { const char *name, *head; int want; } notices_head_cases[] = {
	{ "good", notices_head, 0 },
	{ "no Head", "P2pMTA: notices/1\r\nOwner: alice@home\r\nHash: " HA "\r\n", 0 },
	{ "another type", list_head, -1 },
	{ "no Owner", "P2pMTA: notices/1\r\nHash: " HA "\r\n", -1 },
	{ "no Hash", "P2pMTA: notices/1\r\nOwner: alice@home\r\n", -1 },
	{ "head of nothing", "P2pMTA: notices/1\r\nOwner: alice@home\r\nHash: " HA "\r\nHead: " HB " 0\r\n", -1 },
	{ "head too large", "P2pMTA: notices/1\r\nOwner: alice@home\r\nHash: " HA "\r\nHead: " HB " 2097153\r\n", -1 },
	{ "head twice", "P2pMTA: notices/1\r\nOwner: a@home\r\nHash: " HA "\r\nHead: " HB " 7\r\nHead: " HB " 7\r\n", -1 },
	{ "must", "P2pMTA: notices/1\r\nOwner: alice@home\r\nHash: " HA "\r\nMust-X: y\r\n", -1 },
};

START_TEST(notices_head_table)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	struct notices *n = notices_parse(ctx, record(ctx, notices_head_cases[_i].head, TO(KEY_A, HA) NS_1 "\n"), &e);

	ck_assert_msg((n ? 0 : -1) == notices_head_cases[_i].want, "case '%s': %s", notices_head_cases[_i].name, e.text);
	ck_assert_int_eq(n == NULL, e.text[0] != '\0');
	talloc_free(ctx);
}
END_TEST

START_TEST(notices_fields)
{
	void *ctx = mem_ctx(NULL);
	struct err e;
	struct notices *n = notices_parse(ctx, record(ctx, notices_head, TO(KEY_A, HC) NS_1 "\n"), &e);

	ck_assert_str_eq(n->owner, "alice@home");
	ck_assert_uint_eq(n->hash[0], 0xaa);
	ck_assert(n->has_head);
	ck_assert_uint_eq(n->head_hash[0], 0xbb);
	ck_assert_uint_eq(n->head_size, 700);
	ck_assert_uint_eq(n->n_items, 1);
	ck_assert_uint_eq(n->items[0].key[19], 0xaa);
	ck_assert_uint_eq(n->items[0].c_get[0], 0xcc);
	ck_assert_uint_eq(n->items[0].c_got[0], 0xaa);
	ck_assert_uint_eq(n->items[0].c_declined[0], 0xbb);
	ck_assert_uint_eq(n->items[0].c_recall[0], 0xcc);
	ck_assert(bytes_equal(n->items[0].value, bytes_of("p2ns\x01\x01\0\0\x50\x2a" "tttttttttttttttt" "x", 27)));

	/* The printer sorts. */
	struct notices_item items[2] = { n->items[0], n->items[0] };
	struct buf *b = buf_new(ctx, MIB(1));
	items[1].key[0] = 1;
	n->items = items;
	n->n_items = 2;
	notices_print(b, n);
	struct notices *m = notices_parse(ctx, buf_bytes(b), &e);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->items[0].key[0], 1);
	talloc_free(ctx);
}
END_TEST

UNIT_SUITE("lists")
{
	UNIT_LOOP(list_table, list_cases);
	UNIT_LOOP(list_head_table, list_head_cases);
	UNIT(list_fields_and_order);
	UNIT(list_full);
	UNIT(list_of_empty_lines);
	UNIT_LOOP(notices_table, notices_cases);
	UNIT_LOOP(notices_head_table, notices_head_cases);
	UNIT(notices_fields);
}
UNIT_END
