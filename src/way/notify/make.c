/*
 * Several records share one OpenPGP message, because an encryption costs a
 * gpg process whatever its size. How many fit depends on the keys involved
 * (an RSA key takes a kilobyte more than an elliptic one), so the first
 * guess is checked against the result.
 */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/mail/value.h"
#include "way/notify/make.h"

enum { PLAIN_GUESS = 3584, DAY_S = 86400 };

static size_t how_many_fit(const struct bytes *records, size_t n, size_t max)
{
	size_t fit = 0, sum = 0;

	while (fit < n && fit < LIMIT_NS_RECORDS && ns_padded_len(sum + records[fit].len) <= max)
		sum += records[fit++].len;
	return fit > 0 ? fit : 1;
}

static struct bytes wrap(const void *ctx, struct bytes message)
{
	struct value v = { .kind = VALUE_NS, .ns_kind = NS_STRANGER, .message = message };

	/* kind 0: 8 zero octets and a nonce; with no bits asked for any nonce will do (section 5). */
	v.day = (uint32_t)(clock_now_s() / DAY_S);
	random_fill(v.token + 8, 8);
	return value_print(ctx, &v);
}

enum outcome make_value_work(const void *ctx, struct pgp *pgp, const char *fpr, const struct bytes *records, size_t n,
    struct bytes *out, size_t *n_out, struct err *e)
{
	size_t fit = how_many_fit(records, n, PLAIN_GUESS);

	for (;;) {
		struct buf *plain = buf_new(ctx, LIMIT_NS_PLAIN);
		struct bytes message;

		for (size_t i = 0; i + 1 < fit; i++)
			buf_add(plain, records[i].data, records[i].len);
		ns_add_padded(plain, records[fit - 1]);
		enum outcome res = pgp_sign_encrypt_work(pgp, ctx, "ns/1", &fpr, 1, buf_bytes(plain), &message, e);

		if (res != OK)
			return res;
		*out = wrap(ctx, message);
		*n_out = fit;
		if (out->len <= LIMIT_NS_VALUE)
			return OK;
		if (fit == 1)
			break;
		fit--;
	}
	err_set(e, "the notification would be %zu octets, the DHT takes %d", out->len, LIMIT_NS_VALUE);
	return REJECT;
}
