/*
 * Nothing of a notification is believed before gpg said who signed it. An
 * unknown sender brings his key along (Sender-Key): it is imported, the
 * message opened again, and only if that very key signed it the result counts.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/log.h"
#include "way/notify/read.h"

enum { DAY_S = 86400, VALIDITY_MAX_S = 31 * DAY_S };

static enum outcome check_record(const struct reading *r, const struct ns *first, const struct ns *ns, struct err *e)
{
	if (strcmp(ns->to, r->address) != 0)
		err_set(e, "To is not this peer");
	else if (strcmp(ns->from, first->from) != 0)
		err_set(e, "two senders in one message");
	else if (ns->issued_s > r->now_s + DAY_S)
		err_set(e, "issued in the future");
	else if (ns->expires_s - ns->issued_s > VALIDITY_MAX_S || ns->expires_s < ns->issued_s)
		err_set(e, "validity is not within 31 days");
	else if (ns->expires_s + DAY_S < r->now_s)
		err_set(e, "expired");
	else
		return OK;
	return REJECT;
}

static enum outcome render(struct reading *r, struct notify_item *item, struct err *e)
{
	const struct ns *ns = item->ns;

	if (ns->has_head)
		return OK;
	item->mime = mime_from_skeleton(r, ns->skeleton.text, ns->skeleton.parts, ns->size, e);
	if (item->mime == NULL)
		return REJECT;
	item->envelope = mime_envelope(r, item->mime);
	item->body = mime_body(r, item->mime);
	item->bodystructure = mime_bodystructure(r, item->mime);
	return OK;
}

static enum outcome parse_all(struct reading *r, struct bytes plain)
{
	struct notify_heard *h = &r->heard;

	h->items = talloc_zero_array(r, struct notify_item, LIMIT_NS_RECORDS);
	while (plain.len > 0) {
		struct notify_item *item = &h->items[h->n];
		size_t used;

		if (h->n == LIMIT_NS_RECORDS) {
			err_set(&r->err, "more than %d records", LIMIT_NS_RECORDS);
			return REJECT;
		}
		item->ns = ns_parse(r, plain, &used, &r->err);
		if (item->ns == NULL || check_record(r, h->items[0].ns, item->ns, &r->err) != OK ||
		    render(r, item, &r->err) != OK)
			return REJECT;
		plain.data += used;
		plain.len -= used;
		h->n++;
	}
	if (h->n > 0)
		return OK;
	err_set(&r->err, "no record");
	return REJECT;
}

static enum outcome open_message(struct reading *r, struct bytes *plain, struct pgp_verdict *v)
{
	return pgp_open_work(r->pgp, r, "ns/1", r->message, LIMIT_NS_PLAIN, plain, v, &r->err);
}

/* The signer is unknown: take the key that the first record brings, and open again. */
static enum outcome open_with_its_key(struct reading *r, struct bytes *plain, struct pgp_verdict *v)
{
	size_t used;
	const struct ns *ns = ns_parse(r, *plain, &used, &r->err);
	char fpr[FPR_LEN];

	if (ns == NULL)
		return REJECT;
	if (ns->sender_key.len == 0) {
		err_set(&r->err, "signed by an unknown key that does not come with it");
		return REJECT;
	}
	enum outcome res = pgp_import_work(r->pgp, ns->sender_key, fpr, &r->err);

	if (res != OK)
		return res;
	res = open_message(r, plain, v);
	if (res == OK && (v->signer != PGP_GOOD || strcmp(v->fpr, fpr) != 0)) {
		err_set(&r->err, "not signed by the key that comes with it");
		res = REJECT;
	}
	return res;
}

void read_work(struct reading *r)
{
	struct pgp_verdict v = { 0 };
	struct bytes plain;

	r->res = open_message(r, &plain, &v);
	if (r->res == OK && v.signer == PGP_UNKNOWN)
		r->res = open_with_its_key(r, &plain, &v);
	if (r->res == OK) {
		memcpy(r->fpr, v.fpr, FPR_LEN);
		r->res = parse_all(r, plain);
	}
	r->heard.fpr = r->fpr;
}
