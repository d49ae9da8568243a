#ifndef CONTROL_LISTING_H
#define CONTROL_LISTING_H
/* Rows as JSON, with the field names of p2pmta-ctl(1). Results are the caller's. Loop thread. */
#include <jansson.h>

#include "lib/store/contact.h"
#include "lib/store/letter.h"
#include "way/group/group.h"
#include "way/replica/replicas.h"

/* NULL: no such letter. history: with what happened to each recipient. */
json_t *listing_letter(struct store *, struct replicas *, uint64_t id, bool history);
/* The same for `queue`; NULL when it is done. */
json_t *listing_queued(struct store *, struct replicas *, uint64_t id);
/* What we hold for fellow members, and they for us, one each. */
json_t *listing_replicas(struct store *, struct replicas *);
/* outbox.safe: how many messages enough members hold; nothing where there are none. */
void listing_add_safe(json_t *status, struct replicas *);
/* "reachable" true, false or null, and "reached_by": does a member get through to us? */
void listing_add_reach(json_t *status, struct replicas *);
json_t *listing_contacts(struct store *);
/* Of this name, NULL: all; replicas not NULL: with members, who is up, who holds what, and serial. */
json_t *listing_groups(struct groups *, const char *name, struct replicas *);
json_t *listing_contact(const struct contact *);

#endif
