#ifndef MAIL_MSGLIST_H
#define MAIL_MSGLIST_H
/*
 * What an owner has in his outbox, for the members of his group: msglist/1
 * (p2pmta-protocol(7), sections 3 and 8). Pure; any thread.
 */
#include "lib/mail/record.h"

struct msglist_item {
	uint8_t hash[32];		/* h */
	bool withdrawn;			/* recalls only; the same h may also stand there as kept */
	uint64_t sealed_size;		/* the next three: not when withdrawn */
	int64_t expires_s;
	uint8_t notices_hash[32];	/* SHA-256 of notices/1 as it is served */
	const uint8_t *recalls;		/* T_recall, 32 octets each, at least one, sorted; withdrawn only */
	size_t n_recalls;
};

struct msglist {
	char owner[LIMIT_ADDRESS + 1];
	const char *group;
	uint64_t serial;
	int64_t issued_s;
	uint8_t member_token[32];
	struct msglist_item *items;	/* by h; withdrawn behind kept; printing sorts them */
	size_t n_items;
};

struct msglist *msglist_parse(const void *ctx, struct bytes in, struct err *);
void msglist_print(struct buf *, const struct msglist *);

#endif
