/*
 * Who asks to join has nothing but the secret of an invite: the token says so
 * before gpg runs, the MAC ties it to the key that signed and the address it
 * is for, so that nobody on the way can join in his place.
 */
#include "lib/mail/join.h"

#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"

enum { VALID_MAX_S = 86400, TOKEN_LEN = 16, FPR_DIGITS = 40 };

static const char *const no_must[] = { NULL };

static int parse_fields(struct join *j, const struct record *r, struct err *e)
{
	const char *fpr;

	if (record_need(record_get_group(r, j, &j->group, e), "Group", e) < 0 ||
	    record_need(record_get_address(r, "Address", j->address, e), "Address", e) < 0 ||
	    record_need(record_get_text(r, "Fingerprint", &fpr, e), "Fingerprint", e) < 0 ||
	    record_need(record_get_base64(r, j, "Key", LIMIT_PUBKEY, &j->key, e), "Key", e) < 0 ||
	    record_need(record_get_time(r, "Issued", &j->issued_s, e), "Issued", e) < 0 ||
	    record_need(record_get_time(r, "Expires", &j->expires_s, e), "Expires", e) < 0 ||
	    record_need(record_get_octets(r, "Mac", j->mac, sizeof(j->mac), e), "Mac", e) < 0)
		return -1;
	if (strlen(fpr) != FPR_DIGITS || strspn(fpr, "0123456789ABCDEF") != FPR_DIGITS) {
		err_set(e, "record: Fingerprint is none");
		return -1;
	}
	memcpy(j->fpr, fpr, FPR_DIGITS + 1);
	if (j->key.len == 0 || j->expires_s <= j->issued_s || j->expires_s - j->issued_s > VALID_MAX_S) {
		err_set(e, "record: Key is empty, or Expires before Issued or more than 24 hours after");
		return -1;
	}
	return 0;
}

struct join *join_parse(const void *ctx, struct bytes in, struct err *e)
{
	struct join *j = mem_zero(ctx, struct join);
	size_t used;
	struct record *r = record_parse(j, in, 0, &used, e);

	if (!r)
		goto fail;
	if (strcmp(r->type, "join") != 0 || record_find_must(r, no_must) || used != in.len) {
		err_set(e, "record: no join that we can read");
		goto fail;
	}
	if (parse_fields(j, r, e) < 0)
		goto fail;
	talloc_free(r);
	return j;
fail:
	talloc_free(j);
	return NULL;
}

void join_print(struct buf *b, const struct join *j)
{
	record_print_start(b, "join");
	record_print_text(b, "Group", j->group);
	record_print_text(b, "Address", j->address);
	record_print_text(b, "Fingerprint", j->fpr);
	record_print_base64(b, "Key", j->key);
	record_print_time(b, "Issued", j->issued_s);
	record_print_time(b, "Expires", j->expires_s);
	record_print_base64(b, "Mac", bytes_of(j->mac, sizeof(j->mac)));
	record_print_body(b, bytes_of(NULL, 0));
}

void join_mac(const uint8_t secret[INVITE_SECRET_LEN], const char *fpr, const char *address, uint8_t out[32])
{
	uint8_t text[FPR_DIGITS + 1 + LIMIT_ADDRESS];
	size_t len = strnlen(address, LIMIT_ADDRESS);

	memcpy(text, fpr, FPR_DIGITS);
	text[FPR_DIGITS] = 0;
	memcpy(text + FPR_DIGITS + 1, address, len);
	digest_hmac(bytes_of(secret, INVITE_SECRET_LEN), bytes_of(text, FPR_DIGITS + 1 + len), out);
}

void join_token(const uint8_t secret[INVITE_SECRET_LEN], struct bytes message, uint8_t out[16])
{
	static const char purpose[] = "p2pMTA join 1";	/* its NUL is the 0x00 */
	uint8_t text[sizeof(purpose) + DIGEST_LEN], mac[DIGEST_LEN];

	memcpy(text, purpose, sizeof(purpose));
	digest_of(message, text + sizeof(purpose));
	digest_hmac(bytes_of(secret, INVITE_SECRET_LEN), bytes_of(text, sizeof(text)), mac);
	memcpy(out, mac, TOKEN_LEN);
}
