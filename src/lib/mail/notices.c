/*
 * What members put into the DHT for an absent owner comes from here, so each
 * value must be an ns: a member cannot have the others publish anything else.
 */
#include "lib/mail/notices.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/mail/lines.h"
#include "lib/mail/value.h"

/* With its LF: what bounds the items that a body can ask memory for. */
enum { LINE_MIN = 2 * INFOHASH_LEN + 1 + CLOCK_TEXT + 4 * (2 * DIGEST_LEN + 1) + 1 };

static const char *const no_must[] = { NULL };

/* No two recipients share a C_get: its secret is random. */
static int by_key(const void *a, const void *b)
{
	const struct notices_item *x = a, *y = b;
	int order = memcmp(x->key, y->key, INFOHASH_LEN);

	return order != 0 ? order : memcmp(x->c_get, y->c_get, DIGEST_LEN);
}

static bool is_notice(struct bytes octets)
{
	struct value v;

	return value_parse(octets, &v) == 0 && v.kind == VALUE_NS && v.ns_kind != NS_JOIN;
}

static int parse_line(struct notices *n, struct bytes line, struct notices_item *item)
{
	if (lines_hex(&line, item->key, INFOHASH_LEN) < 0 ||
	    lines_time(&line, &item->expires_s) < 0 ||
	    lines_hex(&line, item->c_get, DIGEST_LEN) < 0 ||
	    lines_hex(&line, item->c_got, DIGEST_LEN) < 0 ||
	    lines_hex(&line, item->c_declined, DIGEST_LEN) < 0 ||
	    lines_hex(&line, item->c_recall, DIGEST_LEN) < 0 ||
	    lines_base64(&line, n, LIMIT_NS_VALUE, &item->value) < 0)
		return -1;
	return line.len == 0 && is_notice(item->value) ? 0 : -1;
}

static int parse_body(struct notices *n, struct bytes body, struct err *e)
{
	size_t count = lines_count(body);

	if (count > body.len / LINE_MIN) {
		err_set(e, "record: lines of the notices that are none");
		return -1;
	}
	n->items = mem_zero_array(n, struct notices_item, count);
	for (size_t i = 0; body.len > 0; i++) {
		struct bytes line;

		if (lines_next(&body, &line) < 0 || parse_line(n, line, &n->items[i]) < 0) {
			err_set(e, "record: line %zu of the notices is none", i + 1);
			return -1;
		}
		if (i > 0 && by_key(&n->items[i - 1], &n->items[i]) >= 0) {
			err_set(e, "record: line %zu of the notices is out of order or repeated", i + 1);
			return -1;
		}
	}
	n->n_items = count;
	return 0;
}

static int parse_head(struct notices *n, const struct record *r, struct err *e)
{
	int there = record_get_head(r, "Head", n->head_hash, &n->head_size, e);

	n->has_head = there > 0;
	return there;
}

struct notices *notices_parse(const void *ctx, struct bytes in, struct err *e)
{
	struct notices *n = mem_zero(ctx, struct notices);
	size_t used;
	struct record *r = record_parse(n, in, LIMIT_LIST, &used, e);

	if (!r)
		goto fail;
	if (strcmp(r->type, "notices") != 0 || record_find_must(r, no_must) || used != in.len) {
		err_set(e, "record: no notices that we can read");
		goto fail;
	}
	if (record_need(record_get_address(r, "Owner", n->owner, e), "Owner", e) < 0 ||
	    record_need(record_get_hash(r, "Hash", n->hash, e), "Hash", e) < 0 ||
	    parse_head(n, r, e) < 0 || parse_body(n, r->body, e) < 0)
		goto fail;
	talloc_free(r);
	return n;
fail:
	talloc_free(n);
	return NULL;
}

static void print_item(struct buf *b, const struct notices_item *item)
{
	char key[2 * INFOHASH_LEN + 1], expires[CLOCK_TEXT];
	const uint8_t *proofs[] = { item->c_get, item->c_got, item->c_declined, item->c_recall };

	hex_print(bytes_of(item->key, INFOHASH_LEN), key);
	clock_print(item->expires_s, expires);
	buf_addf(b, "%s %s", key, expires);
	for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
		char hex[DIGEST_HEX];

		hex_print(bytes_of(proofs[i], DIGEST_LEN), hex);
		buf_addf(b, " %s", hex);
	}

	char *value = base64_print(b, item->value);
	buf_addf(b, " %s\n", value);
	talloc_free(value);
}

void notices_print(struct buf *b, const struct notices *n)
{
	struct notices_item *items = mem_dup(b, n->items, n->n_items * sizeof(*items));
	struct buf *body = buf_new(b, LIMIT_LIST);

	if (n->n_items > 0)
		qsort(items, n->n_items, sizeof(*items), by_key);
	for (size_t i = 0; i < n->n_items; i++)
		print_item(body, &items[i]);
	record_print_start(b, "notices");
	record_print_text(b, "Owner", n->owner);
	record_print_hash(b, "Hash", n->hash);
	if (n->has_head)
		record_print_head(b, "Head", n->head_hash, n->head_size);
	record_print_body(b, buf_bytes(body));
	if (body->overflow)
		b->overflow = true;
	talloc_free(body);
	talloc_free(items);
}
