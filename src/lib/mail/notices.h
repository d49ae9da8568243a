#ifndef MAIL_NOTICES_H
#define MAIL_NOTICES_H
/*
 * What a holder needs of one message to stand in for its owner: notices/1
 * (p2pmta-protocol(7), sections 3 and 8). Pure; any thread.
 */
#include "lib/mail/record.h"

enum { INFOHASH_LEN = 20 };

struct notices_item {			/* one pending recipient */
	uint8_t key[INFOHASH_LEN];	/* of his ns key in the DHT */
	int64_t expires_s;
	uint8_t c_get[32], c_got[32], c_declined[32], c_recall[32];
	struct bytes value;		/* his ns value, exactly these octets: of a stranger or correspondent */
};

struct notices {
	char owner[LIMIT_ADDRESS + 1];
	uint8_t hash[32];		/* h */
	bool has_head;
	uint8_t head_hash[32];
	uint64_t head_size;
	struct notices_item *items;	/* by key, then C_get; printing sorts them */
	size_t n_items;
};

struct notices *notices_parse(const void *ctx, struct bytes in, struct err *);
void notices_print(struct buf *, const struct notices *);

#endif
