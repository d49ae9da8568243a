#ifndef REPLICA_ELECT_H
#define REPLICA_ELECT_H
/*
 * Who stands in for an absent owner, and what a new list of his changes
 * (p2pmta-protocol(7), section 8). Pure; any thread.
 */
#include "lib/mail/msglist.h"
#include "lib/store/replica.h"

enum { ELECTED = 2 };

/*
 * Is self one of the ELECTED nearest to hash, by SHA-256(address) XOR hash, among those in up and self? Each member
 * comes to the same answer without asking when all believe the same members to be up; when not, one too many renews, or none until they do.
 */
bool elect_is_in(const uint8_t hash[32], const char *self, const char *const *up, size_t n_up);

enum diff_kind {
	DIFF_NEW,			/* listed, no row */
	DIFF_CHANGED,			/* listed, and its line or its being listed is new */
	DIFF_GONE,			/* its row is listed, the list has it no more */
	DIFF_RECALLED,			/* some recipients were withdrawn */
};
struct diff {
	enum diff_kind kind;
	const struct msglist_item *item;	/* not when GONE */
	const struct replica *row;		/* not when NEW; maybe NULL when RECALLED */
};
/* Calls fn for each thing to do, by h; rows are all of the owner, by h. */
void diff_each(const struct msglist *, struct replica *const *rows, size_t n_rows,
    void (*fn)(void *arg, const struct diff *), void *arg);

#endif
