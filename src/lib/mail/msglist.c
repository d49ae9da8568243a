/*
 * The list of an owner who trusts his group with ciphertext only. A line has
 * one spelling and one place, so two members that compare hashes of a list
 * compare what it says; and a list is read in one pass, however long it is.
 */
#include "lib/mail/msglist.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/mail/lines.h"

/* With its LF: what bounds the items that a body can ask memory for. */
enum { LINE_MIN = sizeof("- ") - 1 + 2 * (2 * DIGEST_LEN + 1) };

static const char *const no_must[] = { NULL };

/* By h, withdrawn behind kept. */
static int by_hash(const void *a, const void *b)
{
	const struct msglist_item *x = a, *y = b;
	int order = memcmp(x->hash, y->hash, DIGEST_LEN);

	return order != 0 ? order : x->withdrawn - y->withdrawn;
}

static int by_octets(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* "h T_recall...", what follows the dash. */
static int parse_withdrawn(struct msglist *m, struct bytes line, struct msglist_item *item)
{
	enum { WORD = 2 * DIGEST_LEN + 1 };	/* and the space before it */

	if (lines_hex(&line, item->hash, DIGEST_LEN) < 0 || (line.len + 1) % WORD != 0)
		return -1;
	item->withdrawn = true;
	item->n_recalls = (line.len + 1) / WORD;

	uint8_t *recalls = mem_array(m, uint8_t, item->n_recalls * DIGEST_LEN);
	for (size_t i = 0; i < item->n_recalls; i++) {
		uint8_t *at = recalls + i * DIGEST_LEN;

		if (lines_hex(&line, at, DIGEST_LEN) < 0 || (i > 0 && by_octets(at - DIGEST_LEN, at) >= 0))
			return -1;
	}
	item->recalls = recalls;
	return item->n_recalls > 0 && line.len == 0 ? 0 : -1;
}

static int parse_line(struct msglist *m, struct bytes line, struct msglist_item *item)
{
	if (line.len >= 2 && memcmp(line.data, "- ", 2) == 0)
		return parse_withdrawn(m, bytes_of(line.data + 2, line.len - 2), item);
	if (lines_hex(&line, item->hash, DIGEST_LEN) < 0 ||
	    lines_number(&line, LIMIT_SEALED, &item->sealed_size) < 0 ||
	    lines_time(&line, &item->expires_s) < 0 ||
	    lines_hex(&line, item->notices_hash, DIGEST_LEN) < 0)
		return -1;
	return line.len == 0 ? 0 : -1;
}

static int parse_body(struct msglist *m, struct bytes body, struct err *e)
{
	size_t n = lines_count(body);

	if (n > body.len / LINE_MIN) {
		err_set(e, "record: lines of the msglist that are none");
		return -1;
	}
	m->items = mem_zero_array(m, struct msglist_item, n);
	for (size_t i = 0; body.len > 0; i++) {
		struct bytes line;

		if (lines_next(&body, &line) < 0 || parse_line(m, line, &m->items[i]) < 0) {
			err_set(e, "record: line %zu of the msglist is none", i + 1);
			return -1;
		}
		if (i > 0 && by_hash(&m->items[i - 1], &m->items[i]) >= 0) {
			err_set(e, "record: line %zu of the msglist is out of order or repeated", i + 1);
			return -1;
		}
	}
	m->n_items = n;
	return 0;
}

static int parse_fields(struct msglist *m, const struct record *r, struct err *e)
{
	if (record_need(record_get_address(r, "Owner", m->owner, e), "Owner", e) < 0 ||
	    record_need(record_get_group(r, m, &m->group, e), "Group", e) < 0 ||
	    record_need(record_get_number(r, "Serial", INT64_MAX, &m->serial, e), "Serial", e) < 0 ||
	    record_need(record_get_time(r, "Issued", &m->issued_s, e), "Issued", e) < 0)
		return -1;
	return record_need(record_get_octets(r, "Member-Token", m->member_token, sizeof(m->member_token), e),
	    "Member-Token", e);
}

struct msglist *msglist_parse(const void *ctx, struct bytes in, struct err *e)
{
	struct msglist *m = mem_zero(ctx, struct msglist);
	size_t used;
	struct record *r = record_parse(m, in, LIMIT_LIST, &used, e);

	if (!r)
		goto fail;
	if (strcmp(r->type, "msglist") != 0 || record_find_must(r, no_must) || used != in.len) {
		err_set(e, "record: no msglist that we can read");
		goto fail;
	}
	if (parse_fields(m, r, e) < 0 || parse_body(m, r->body, e) < 0)
		goto fail;
	talloc_free(r);
	return m;
fail:
	talloc_free(m);
	return NULL;
}

static void print_withdrawn(struct buf *b, const struct msglist_item *item, const char *hash)
{
	uint8_t *recalls = mem_dup(b, item->recalls, item->n_recalls * DIGEST_LEN);

	qsort(recalls, item->n_recalls, DIGEST_LEN, by_octets);
	buf_addf(b, "- %s", hash);
	for (size_t i = 0; i < item->n_recalls; i++) {
		char hex[DIGEST_HEX];

		hex_print(bytes_of(recalls + i * DIGEST_LEN, DIGEST_LEN), hex);
		buf_addf(b, " %s", hex);
	}
	buf_adds(b, "\n");
	talloc_free(recalls);
}

static void print_item(struct buf *b, const struct msglist_item *item)
{
	char hash[DIGEST_HEX], notices[DIGEST_HEX], expires[CLOCK_TEXT];

	hex_print(bytes_of(item->hash, DIGEST_LEN), hash);
	if (item->withdrawn) {
		print_withdrawn(b, item, hash);
		return;
	}
	hex_print(bytes_of(item->notices_hash, DIGEST_LEN), notices);
	clock_print(item->expires_s, expires);
	buf_addf(b, "%s %" PRIu64 " %s %s\n", hash, item->sealed_size, expires, notices);
}

void msglist_print(struct buf *b, const struct msglist *m)
{
	struct msglist_item *items = mem_dup(b, m->items, m->n_items * sizeof(*items));
	struct buf *body = buf_new(b, LIMIT_LIST);

	if (m->n_items > 0)
		qsort(items, m->n_items, sizeof(*items), by_hash);
	for (size_t i = 0; i < m->n_items; i++)
		print_item(body, &items[i]);
	record_print_start(b, "msglist");
	record_print_text(b, "Owner", m->owner);
	record_print_text(b, "Group", m->group);
	record_print_number(b, "Serial", m->serial);
	record_print_time(b, "Issued", m->issued_s);
	record_print_base64(b, "Member-Token", bytes_of(m->member_token, sizeof(m->member_token)));
	record_print_body(b, buf_bytes(body));
	if (body->overflow)
		b->overflow = true;
	talloc_free(body);
	talloc_free(items);
}
