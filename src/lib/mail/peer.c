/*
 * A descriptor is signed by the key it carries, so nothing in it is believed
 * for its own sake: who pins the key checks Address and Serial.
 */
#include "lib/mail/peer.h"

#include <string.h>

#include "lib/base/mem.h"

enum {
	STAMP_MAX = 64,
	TLS_PIN_MAX = 128,
};

static const char *const no_must[] = { NULL };

/* A list of words: is this one in it? */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += len)
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return true;
	return false;
}

static int parse_accepts(const struct record *r, struct err *e)
{
	const char *text;

	if (record_need(record_get_text(r, "Accepts", &text, e), "Accepts", e) < 0)
		return -1;
	if (has_word(text, "ns/1") && has_word(text, "m/1"))
		return 0;
	err_set(e, "record: Accepts names nothing that we can send");
	return -1;
}

static int parse_binding(struct peer *p, const struct record *r, struct err *e)
{
	if (record_need(record_get_address(r, "Address", p->address, e), "Address", e) < 0 ||
	    record_need(record_get_base64(r, p, "Key", LIMIT_PUBKEY, &p->key, e), "Key", e) < 0 ||
	    record_need(record_get_time(r, "Issued", &p->issued_s, e), "Issued", e) < 0 ||
	    record_need(record_get_time(r, "Expires", &p->expires_s, e), "Expires", e) < 0 ||
	    record_need(record_get_number(r, "Serial", INT64_MAX, &p->serial, e), "Serial", e) < 0)
		return -1;
	if (p->key.len == 0 || p->expires_s <= p->issued_s) {
		err_set(e, "record: Key is empty or Expires before Issued");
		return -1;
	}
	return 0;
}

static int parse_reach(struct peer *p, const struct record *r, struct err *e)
{
	uint64_t stamp;
	const char *pin;

	if (record_need(record_get_time(r, "Reachable-Until", &p->reachable_until_s, e), "Reachable-Until", e) < 0 ||
	    record_get_urls(r, p, p->urls, &p->n_urls, e) < 0 ||
	    record_get_group(r, p, &p->group, e) < 0 ||
	    record_need(record_get_number(r, "Stamp", STAMP_MAX, &stamp, e), "Stamp", e) < 0)
		return -1;
	p->stamp = (unsigned)stamp;

	int there = record_get_text(r, "Tls-Pin", &pin, e);
	if (there > 0 && (*pin == '\0' || strlen(pin) > TLS_PIN_MAX)) {
		err_set(e, "record: Tls-Pin is empty or too long");
		return -1;
	}
	if (there > 0)
		p->tls_pin = mem_strdup(p, pin);
	return there < 0 ? -1 : parse_accepts(r, e);
}

struct peer *peer_parse(const void *ctx, struct bytes in, struct err *e)
{
	struct peer *p = mem_zero(ctx, struct peer);
	size_t used;
	struct record *r = record_parse(p, in, 0, &used, e);

	if (!r)
		goto fail;
	if (strcmp(r->type, "peer") != 0 || record_find_must(r, no_must) || used != in.len) {
		err_set(e, "record: no peer descriptor that we can read");
		goto fail;
	}
	if (parse_binding(p, r, e) < 0 || parse_reach(p, r, e) < 0)
		goto fail;
	talloc_free(r);
	return p;
fail:
	talloc_free(p);
	return NULL;
}

void peer_print(struct buf *b, const struct peer *p)
{
	record_print_start(b, "peer");
	record_print_text(b, "Address", p->address);
	record_print_base64(b, "Key", p->key);
	record_print_time(b, "Issued", p->issued_s);
	record_print_time(b, "Expires", p->expires_s);
	record_print_time(b, "Reachable-Until", p->reachable_until_s);
	record_print_number(b, "Serial", p->serial);
	for (size_t i = 0; i < p->n_urls; i++)
		record_print_text(b, "Url", p->urls[i]);
	if (p->group)
		record_print_text(b, "Group", p->group);
	record_print_number(b, "Stamp", p->stamp);
	if (p->tls_pin)
		record_print_text(b, "Tls-Pin", p->tls_pin);
	record_print_text(b, "Accepts", "ns/1 m/1");
	record_print_body(b, bytes_of(NULL, 0));
}
