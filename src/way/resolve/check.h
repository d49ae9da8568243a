#ifndef RESOLVE_CHECK_H
#define RESOLVE_CHECK_H
/*
 * Descriptors somebody put under an address, verified on a worker. What is
 * not signed by the key it carries, for the address it stands under, counts
 * for nothing.
 */
#include "lib/mail/peer.h"
#include "lib/pgp/pgp.h"

enum { CHECK_MAX = 8 };		/* descriptors looked at for one address at a time */

struct check {
	/* In */
	void *owner;			/* the caller's */
	struct pgp *pgp;
	const char *address;
	const char *pinned;		/* "" none */
	uint64_t serial;		/* of the last one taken */
	int64_t now_s;
	struct bytes values[CHECK_MAX];
	size_t n_values;
	/* Out */
	const char *fpr;		/* whose descriptor it is; "" none */
	const char *rival;		/* another key in sight; "" none */
	struct peer *peer;		/* the newest by fpr; NULL none */
	struct bytes descriptor;	/* its octets */
};

/* check is its own talloc context; results are below it. Worker thread. */
void check_work(struct check *);

#endif
