#ifndef MAIL_MEMBER_H
#define MAIL_MEMBER_H
/*
 * How a fellow member shows over HTTP that he is one (p2pmta-protocol(7),
 * section 7): `Authorization: P2pMTA-Member ADDRESS BASE64(MAC)`, the MAC under
 * the Member-Token of the peer that is asked, over method, path, minute and the
 * SHA-256 of the body; ten minutes either way. Pure; any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/limits.h"

struct member_request {
	const char *method, *path;	/* as on the request line */
	uint8_t body[32];		/* SHA-256 of the body, of no octets when there is none */
	int64_t now_s;
};

struct member_auth {
	char address[LIMIT_ADDRESS + 1];	/* who asks, as he says */
	uint8_t mac[32];
};

/*
 * A fellow member and the groups that he shares with us, a bit each; bit 0 is the one whose members hold our outbox. own:
 * of these, those whose members hold his, as far as we can know.
 */
struct member_fellow {
	const char *address;
	uint64_t groups, own;
};

/* The value of the field, below ctx. */
char *member_auth_print(const void *ctx, const uint8_t token[32], const char *address,
    const struct member_request *);
/* 0, or -1 for what is no such value. */
int member_auth_parse(const char *value, struct member_auth *out);
bool member_auth_check(const struct member_auth *, const uint8_t token[32], const struct member_request *);

#endif
