/*
 * What an ns says is believed only as a whole: every field has one place, one
 * spelling and one range. Whether it is for us and still good is the caller's
 * question.
 */
#include "lib/mail/ns.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/mail/parts.h"

enum {
	PAD_TO = 512,
	PAD_FIELD = sizeof("Pad: \r\n") - 1,
	VALID_MAX_S = 31 * 86400,
};

static const char *const no_must[] = { NULL };

static int parse_skeleton(struct ns *n, const struct record *r, struct err *e)
{
	int head = record_get_head(r, "Head", n->head_hash, &n->head_size, e);

	if (head < 0 || parts_parse(r, n, &n->skeleton.parts, e) < 0)
		return -1;
	n->has_head = head > 0;
	if (n->has_head && r->body.len > 0) {
		err_set(e, "record: both Head and a body");
		return -1;
	}
	if (r->body.len == 0 && n->skeleton.parts[0]) {
		err_set(e, "record: Parts without a body");
		return -1;
	}
	n->skeleton.text = bytes_dup(n, r->body);
	return 0;
}

static int parse_message(struct ns *n, const struct record *r, struct err *e)
{
	if (record_need(record_get_address(r, "From", n->from, e), "From", e) < 0 ||
	    record_need(record_get_address(r, "To", n->to, e), "To", e) < 0 ||
	    record_need(record_get_hash(r, "Hash", n->hash, e), "Hash", e) < 0 ||
	    record_need(record_get_number(r, "Sealed-Size", LIMIT_SEALED, &n->sealed_size, e), "Sealed-Size", e) < 0 ||
	    record_need(record_get_number(r, "Size", LIMIT_MESSAGE, &n->size, e), "Size", e) < 0 ||
	    record_need(record_get_hash(r, "Digest", n->digest, e), "Digest", e) < 0 ||
	    record_need(record_get_octets(r, "Key", n->key, sizeof(n->key), e), "Key", e) < 0 ||
	    record_need(record_get_octets(r, "Secret", n->secret, sizeof(n->secret), e), "Secret", e) < 0 ||
	    record_need(record_get_time(r, "Issued", &n->issued_s, e), "Issued", e) < 0 ||
	    record_need(record_get_time(r, "Expires", &n->expires_s, e), "Expires", e) < 0)
		return -1;
	if (n->expires_s <= n->issued_s || n->expires_s - n->issued_s > VALID_MAX_S) {
		err_set(e, "record: Expires is before Issued or more than 31 days after");
		return -1;
	}
	return 0;
}

static int parse_sender(struct ns *n, const struct record *r, struct err *e)
{
	int contact;

	if (record_get_urls(r, n, n->urls, &n->n_urls, e) < 0 ||
	    record_get_group(r, n, &n->group, e) < 0 ||
	    record_get_base64(r, n, "Sender-Key", LIMIT_PUBKEY, &n->sender_key, e) < 0 ||
	    (contact = record_get_octets(r, "Contact-Secret", n->contact_secret, sizeof(n->contact_secret), e)) < 0)
		return -1;
	n->has_contact_secret = contact > 0;
	return 0;
}

struct ns *ns_parse(const void *ctx, struct bytes in, size_t *used_out, struct err *e)
{
	struct ns *n = mem_zero(ctx, struct ns);
	size_t used;
	struct record *r = record_parse(n, in, LIMIT_NS_PLAIN, &used, e);

	if (!r)
		goto fail;
	if (strcmp(r->type, "ns") != 0 || record_find_must(r, no_must)) {
		err_set(e, "record: no ns that we can read");
		goto fail;
	}
	if (parse_message(n, r, e) < 0 || parse_sender(n, r, e) < 0 || parse_skeleton(n, r, e) < 0)
		goto fail;
	talloc_free(r);
	*used_out = used;
	return n;
fail:
	talloc_free(n);
	return NULL;
}

void ns_print(struct buf *b, const struct ns *n)
{
	record_print_start(b, "ns");
	record_print_text(b, "From", n->from);
	record_print_text(b, "To", n->to);
	record_print_hash(b, "Hash", n->hash);
	record_print_number(b, "Sealed-Size", n->sealed_size);
	record_print_number(b, "Size", n->size);
	record_print_hash(b, "Digest", n->digest);
	record_print_base64(b, "Key", bytes_of(n->key, sizeof(n->key)));
	record_print_base64(b, "Secret", bytes_of(n->secret, sizeof(n->secret)));
	record_print_time(b, "Issued", n->issued_s);
	record_print_time(b, "Expires", n->expires_s);
	for (size_t i = 0; i < n->n_urls; i++)
		record_print_text(b, "Url", n->urls[i]);
	if (n->group)
		record_print_text(b, "Group", n->group);
	if (n->sender_key.len > 0)
		record_print_base64(b, "Sender-Key", n->sender_key);
	if (n->has_contact_secret)
		record_print_base64(b, "Contact-Secret", bytes_of(n->contact_secret, sizeof(n->contact_secret)));
	if (n->has_head)
		record_print_head(b, "Head", n->head_hash, n->head_size);
	else if (n->skeleton.parts)
		parts_print(b, n->skeleton.parts);
	record_print_body(b, n->has_head ? bytes_of(NULL, 0) : n->skeleton.text);
}

static size_t pad_need(size_t len)
{
	size_t need = (PAD_TO - len % PAD_TO) % PAD_TO;

	return need > 0 && need <= PAD_FIELD ? need + PAD_TO : need;
}

size_t ns_padded_len(size_t len)
{
	return len + pad_need(len);
}

void ns_add_padded(struct buf *b, struct bytes record)
{
	size_t need = pad_need(b->len + record.len);
	const uint8_t *lf = memchr(record.data, '\n', record.len);
	size_t first = (size_t)(lf + 1 - record.data);
	char x[2 * PAD_TO];

	assert(lf);
	buf_add(b, record.data, first);
	if (need > 0) {
		memset(x, 'x', need - PAD_FIELD);
		x[need - PAD_FIELD] = '\0';
		record_print_text(b, "Pad", x);
	}
	buf_add(b, record.data + first, record.len - first);
}
