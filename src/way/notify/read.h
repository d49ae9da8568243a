#ifndef NOTIFY_READ_H
#define NOTIFY_READ_H
/*
 * An ns value that passed the cheap checks, opened and verified under every
 * rule of p2pmta-protocol(7), sections 2 and 4 (step 4). Worker thread.
 */
#include "way/notify/notify.h"

struct reading {
	/* In */
	void *owner;			/* the caller's */
	struct pgp *pgp;
	const char *address;		/* ours: To must be it */
	int64_t now_s;
	uint8_t hash[32];		/* SHA-256 of the value */
	uint32_t day;
	struct bytes message;
	/* Out */
	enum outcome res;
	struct err err;
	char fpr[FPR_LEN];
	struct notify_heard heard;
};

/* reading is its own talloc context; results are below it. */
void read_work(struct reading *);

#endif
