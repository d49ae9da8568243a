#ifndef PGP_CLERK_H
#define PGP_CLERK_H
/*
 * Inside of lib/pgp: a small thing done in a clerk's process instead of ours
 * (pgp.h, struct clerks). What is too big for a clerk, or finds none, is the
 * caller's to do in this process: clerk_do() is false.
 */
#include "lib/pgp/pgp.h"

enum { CLERK_MAX = 96 * 1024 };		/* octets in; a message that the store keeps as a row, and what its limits leave */

enum clerk_task { CLERK_SEAL, CLERK_NOTICE, CLERK_SIGN, CLERK_OPEN, CLERK_SHARED, CLERK_VERIFY };

struct clerk_order {
	enum clerk_task task;
	const char *role;
	const char *key;		/* CLERK_SEAL */
	bool compress;			/* CLERK_SEAL */
	const char *fpr;		/* CLERK_NOTICE: of the receiver */
	struct bytes in;
	size_t max;			/* of the result */
};

/*
 * True: res_out, out (below ctx) and verdict, which may be NULL, are as after the call in this process. RETRY
 * also when gpg did not answer in time (a minute): the clerk and its gpg have been killed then.
 */
bool clerk_do(struct pgp *, const void *ctx, const struct clerk_order *, enum outcome *res_out, struct bytes *out,
    struct pgp_verdict *, struct err *);

/* For tests: how long an answer may take, also that of a gpg without a clerk (direct_decrypt()). */
void clerk_set_patience(struct pgp *, unsigned ms);

#endif
