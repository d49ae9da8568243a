#ifndef MAIL_GROUP_H
#define MAIL_GROUP_H
/*
 * The group descriptor group/1 (p2pmta-protocol(7), section 3). Pure; any
 * thread. A list of NAMED, "ADDRESS FINGERPRINT": members by address (printing
 * sorts them), none twice; the master is one of them; successors by rank. An
 * address has one fingerprint in all of it.
 */
#include "lib/mail/record.h"

struct group_named {
	char address[LIMIT_ADDRESS + 1];
	char fpr[41];			/* 40 upper-case hex */
};

struct group {
	const char *name;
	struct group_named master;
	struct group_named *successors, *members;
	size_t n_successors, n_members;
	int64_t issued_s, expires_s;
	uint64_t serial;		/* Unix milliseconds, grows */
};

/* "ADDRESS FINGERPRINT", one space between them: 0, or -1 for anything else. */
int group_named_parse(const char *, struct group_named *out);

struct group *group_parse(const void *ctx, struct bytes in, struct err *);
void group_print(struct buf *, const struct group *);
/* The member with this address, or NULL. */
const struct group_named *group_find(const struct group *, const char *address);

#endif
