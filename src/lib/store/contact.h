#ifndef STORE_CONTACT_H
#define STORE_CONTACT_H
/* Who is known: pins, descriptors, when last seen. Loop thread; structs below ctx. */
#include "lib/store/store.h"

enum trust { TRUST_NONE, TRUST_FIRST_USE, TRUST_GROUP, TRUST_VERIFIED, TRUST_CONFLICT };
const char *trust_name(enum trust);	/* "first-use", ... */

struct contact {
	const char *address;
	const char *fpr;		/* pinned; "" before */
	enum trust trust;
	const char *rival;		/* the other fingerprint of a conflict; "" none */
	bool accepted;
	int64_t last_seen_s;
	uint64_t serial;		/* of the last descriptor taken */
	struct bytes descriptor;	/* signed peer/1 as it came; empty: none */
	int64_t expires_s, reachable_until_s;
	const char *urls;		/* one per line */
	const char *group;		/* "" */
	unsigned stamp;
};

struct contact *store_contact_find(struct store *, const void *ctx, const char *address);
void store_contact_save(struct store *, const struct contact *);	/* adds or replaces */
void store_contact_forget(struct store *, const char *address);
struct contact **store_contact_all(struct store *, const void *ctx, size_t *n_out);

#endif
