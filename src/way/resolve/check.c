/*
 * A descriptor carries the key that signed it, so an unknown one is read
 * once for its Key, and counts only when gpg then says that this key signed
 * it. A key imported for that stays in the cache until the next start: there
 * it proves nothing, and another reading may just rely on it.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/log.h"
#include "lib/mail/value.h"
#include "way/resolve/check.h"

enum { DAY_S = 86400 };

static struct peer *read_peer(struct check *c, struct bytes message, struct pgp_verdict *v, struct err *e)
{
	struct bytes plain;

	if (pgp_verify_work(c->pgp, c, "peer/1", message, LIMIT_DESCRIPTOR, &plain, v, e) != OK)
		return NULL;
	return peer_parse(c, plain, e);
}

static bool is_acceptable(const struct check *c, const struct peer *p, struct err *e)
{
	if (strcmp(p->address, c->address) != 0)
		err_set(e, "it is for another address");
	else if (p->expires_s + DAY_S < c->now_s)
		err_set(e, "it has expired");
	else if ((int64_t)(p->serial / 1000) > c->now_s + DAY_S)
		err_set(e, "its serial lies in the future");
	else
		return true;
	return false;
}

/* One descriptor: the peer and who signed it, or NULL. */
static struct peer *verify(struct check *c, struct bytes message, char fpr[FPR_LEN], struct err *e)
{
	struct pgp_verdict v = { 0 };
	struct peer *p = read_peer(c, message, &v, e);
	char key_fpr[FPR_LEN] = "";

	if (p == NULL || !is_acceptable(c, p, e))
		return NULL;
	if (v.signer == PGP_UNKNOWN) {
		if (pgp_import_work(c->pgp, p->key, key_fpr, e) != OK)
			return NULL;
		p = read_peer(c, message, &v, e);
	}
	memcpy(fpr, v.signer == PGP_GOOD ? v.fpr : key_fpr, FPR_LEN);
	if (p != NULL && v.signer == PGP_GOOD && (key_fpr[0] == '\0' || strcmp(key_fpr, v.fpr) == 0))
		return p;
	err_set(e, "it is not signed by the key in it");
	return NULL;
}

static void take(struct check *c, struct peer *p, const char *fpr, struct bytes message)
{
	bool first = c->fpr[0] == '\0';

	if (c->pinned[0] != '\0' && strcmp(fpr, c->pinned) != 0) {
		c->rival = talloc_strdup(c, fpr);
		return;
	}
	if (!first && strcmp(fpr, c->fpr) != 0) {
		c->rival = talloc_strdup(c, fpr);
		return;
	}
	c->fpr = first ? talloc_strdup(c, fpr) : c->fpr;
	if (p->serial < c->serial)
		return;
	c->serial = p->serial;
	c->peer = p;
	c->descriptor = message;
}

void check_work(struct check *c)
{
	c->fpr = c->rival = "";
	for (size_t i = 0; i < c->n_values; i++) {
		struct err e = { "" };
		char fpr[FPR_LEN] = "";
		struct peer *p = verify(c, c->values[i], fpr, &e);

		if (p == NULL)
			log_debug("address=%s descriptor=ignored why=\"%s\"", c->address, e.text);
		else
			take(c, p, fpr, c->values[i]);
	}
}
