#ifndef MAIL_JOIN_H
#define MAIL_JOIN_H
/*
 * Into a group (p2pmta-protocol(7), section 8): the invite a master prints as
 * one word of text, and join/1, by which the invited asks. Pure; any thread.
 */
#include "lib/mail/group.h"

enum { INVITE_SECRET_LEN = 32, INVITE_TEXT_MAX = 2048 };

struct invite {
	const char *group;
	struct group_named master;
	uint32_t network;
	const char *bootstrap[LIMIT_URLS];	/* HOST:PORT */
	size_t n_bootstrap;
	const char *urls[LIMIT_URLS];	/* of the master's outbox */
	size_t n_urls;
	int64_t expires_s;
	uint8_t secret[INVITE_SECRET_LEN];	/* good for one join */
};

/* "p2pmta1.BASE64URL"; below ctx. NULL when it would be longer than INVITE_TEXT_MAX. */
char *invite_print(const void *ctx, const struct invite *);
/* White space within is skipped: terminals and mail clients fold such a word. */
struct invite *invite_parse(const void *ctx, const char *text, struct err *);

struct join {
	const char *group;
	char address[LIMIT_ADDRESS + 1];
	char fpr[41];
	struct bytes key;		/* minimal public key */
	int64_t issued_s, expires_s;
	uint8_t mac[32];		/* join_mac() */
};

struct join *join_parse(const void *ctx, struct bytes in, struct err *);
void join_print(struct buf *, const struct join *);
/* HMAC-SHA-256(secret, FPR, 0x00, ADDRESS). */
void join_mac(const uint8_t secret[INVITE_SECRET_LEN], const char *fpr, const char *address,
    uint8_t out[32]);
/* The token of the ns value of kind 2 that carries it: checked before gpg runs. */
void join_token(const uint8_t secret[INVITE_SECRET_LEN], struct bytes message, uint8_t out[16]);

#endif
