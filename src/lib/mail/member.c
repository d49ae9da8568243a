/*
 * The MAC does not say which minute it is from: the checker tries those that
 * count, the most likely first. It covers what is asked and the body, so a
 * request that was seen by others is worth only itself, and only for a while.
 */
#include "lib/mail/member.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"

enum { WINDOW_MIN = 10 };

static const char scheme[] = "P2pMTA-Member";

/* HMAC-SHA-256(token, method LF path LF minute LF SHA-256(body)): the minute in decimal, the hash as 32 octets. */
static bool make_mac(const uint8_t token[32], const struct member_request *r, int64_t minute, uint8_t out[32])
{
	struct buf *b = buf_new(NULL, LIMIT_HTTP_HEADER);

	buf_addf(b, "%s\n%s\n%" PRId64 "\n", r->method, r->path, minute);
	buf_add(b, r->body, sizeof(r->body));
	bool fits = !b->overflow;

	digest_hmac(bytes_of(token, 32), buf_bytes(b), out);
	talloc_free(b);
	return fits;
}

char *member_auth_print(const void *ctx, const uint8_t token[32], const char *address, const struct member_request *r)
{
	uint8_t mac[DIGEST_LEN];

	make_mac(token, r, r->now_s / 60, mac);

	char *text = base64_print(ctx, bytes_of(mac, sizeof(mac)));
	char *value = mem_printf(ctx, "%s %s %s", scheme, address, text);
	talloc_free(text);
	return value;
}

int member_auth_parse(const char *value, struct member_auth *out)
{
	char address[LIMIT_ADDRESS + 1];
	size_t n = sizeof(scheme) - 1;
	struct bytes mac;

	if (strncasecmp(value, scheme, n) != 0 || value[n] != ' ')
		return -1;
	value += n + strspn(value + n, " ");
	n = strcspn(value, " ");
	if (n > LIMIT_ADDRESS || value[n] != ' ')
		return -1;
	memcpy(address, value, n);
	address[n] = '\0';
	if (addr_parse(address, out->address) < 0 || strcmp(address, out->address) != 0)
		return -1;

	void *ctx = mem_ctx(NULL);
	int res = -1;
	if (base64_parse(ctx, value + n + 1, sizeof(out->mac), &mac) == 0 && mac.len == sizeof(out->mac)) {
		memcpy(out->mac, mac.data, sizeof(out->mac));
		res = 0;
	}
	talloc_free(ctx);
	return res;
}

bool member_auth_check(const struct member_auth *a, const uint8_t token[32], const struct member_request *r)
{
	for (int64_t i = 0; i <= 2 * WINDOW_MIN; i++) {
		int64_t minute = r->now_s / 60 + (i % 2 ? -(i + 1) / 2 : i / 2);
		uint8_t mac[DIGEST_LEN];

		if (!make_mac(token, r, minute, mac))
			return false;
		if (secret_equal(mac, a->mac, sizeof(mac)))
			return true;
	}
	return false;
}
