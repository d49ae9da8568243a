/* group/1, msglist/1, notices/1, join/1, invites and member authorization: what parses is printed, and parses again to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/mail/join.h"
#include "lib/mail/member.h"
#include "lib/mail/msglist.h"
#include "lib/mail/notices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

/* Parsed, printed, parsed, printed: two prints of the same octets. */
#define TRY(type, ctx, in) do { \
	struct err e; \
	struct type *x = type##_parse(ctx, in, &e), *again; \
	struct buf *first = buf_new(ctx, MIB(1)), *second = buf_new(ctx, MIB(1)); \
	if (!x) \
		break; \
	type##_print(first, x); \
	if (first->overflow) \
		break; \
	again = type##_parse(ctx, buf_bytes(first), &e); \
	check(again != NULL); \
	type##_print(second, again); \
	check(bytes_equal(buf_bytes(first), buf_bytes(second))); \
} while (0)

static void try_invite(void *ctx, const char *text)
{
	struct err e;
	struct invite *i = invite_parse(ctx, text, &e);

	if (!i)
		return;
	char *again = invite_print(ctx, i);
	check(again && (i = invite_parse(ctx, again, &e)) && strcmp(invite_print(ctx, i), again) == 0);
}

static void try_member(void *ctx, const char *text)
{
	struct member_request r = { .method = "GET", .path = text };
	struct member_auth a;
	uint8_t token[32] = { 0 };

	if (member_auth_parse(text, &a) == 0)
		member_auth_check(&a, token, &r);
	if (strlen(text) < LIMIT_HTTP_HEADER / 2)
		check(member_auth_parse(member_auth_print(ctx, token, "a@b", &r), &a) == 0 && member_auth_check(&a, token, &r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = mem_ctx(NULL);
	struct bytes in = bytes_of(data, size);
	char *text = mem_strndup(ctx, (const char *)bytes_dup(ctx, in).data, size);

	TRY(group, ctx, in);
	TRY(msglist, ctx, in);
	TRY(notices, ctx, in);
	TRY(join, ctx, in);
	try_invite(ctx, text);
	try_member(ctx, text);
	talloc_free(ctx);
	return 0;
}
