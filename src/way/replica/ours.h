#ifndef REPLICA_OURS_H
#define REPLICA_OURS_H
/* What ours.c (making our list) and asked.c (what others want to know of it) share. Included nowhere else. */
#include "lib/mail/value.h"
#include "way/replica/state.h"

/* A letter that members know of. */
struct item {
	uint64_t letter;
	uint8_t hash[32];
	bool kept;			/* notices object and line are there */
	uint64_t size;
	int64_t expires_s, made_ms;
	uint8_t digest[32];
	uint8_t *recalls;
	size_t n_recalls;
	char *holders;			/* who held it when it was withdrawn; NULL: not known any more */
	uint64_t recall_serial;		/* the first list that says so; 0: not yet */
	unsigned long batch;		/* lists begun when it was withdrawn */
	UT_hash_handle hh, hh_hash;
};

struct dirty {
	uint64_t letter;
	UT_hash_handle hh;
};

struct ours {
	struct replicas *r;
	bool active;			/* there are members who hold our outbox */
	bool shown;			/* HTTP threads know of all */
	const char **fprs;		/* theirs first, then of all the others in our groups */
	size_t n_fprs, n_all;
	struct own_list row;		/* octets below own */
	struct item *items, *by_hash;
	struct dirty *dirty;
	bool looked;			/* every letter once */
	size_t n_running;		/* notices being made */
	unsigned long n_lists;		/* begun */
	bool list_running;
	unsigned long generation;	/* of fprs and token: what was made for older ones is dropped */
	struct timer *timer;
	struct timer *look;		/* what has expired leaves the list */
};

/* C_x of a recipient. */
void ours_commitment(const struct own_rcpt *, const uint8_t hash[32], enum proof, uint8_t out[32]);

#endif
