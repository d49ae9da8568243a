#ifndef CONTROL_LISTING_H
#define CONTROL_LISTING_H
/* Rows as JSON, with the field names of p2pmta-ctl(1). Results are the caller's. Loop thread. */
#include <jansson.h>

#include "lib/store/contact.h"
#include "lib/store/letter.h"
#include "way/group/group.h"
#include "way/replica/replicas.h"

json_t *listing_queue(struct store *, struct replicas *);
/* NULL: no such letter. history: with what happened to each recipient. */
json_t *listing_letter(struct store *, struct replicas *, uint64_t id, bool history);
/* What we hold for fellow members, one each. */
json_t *listing_replicas(struct store *, struct replicas *);
json_t *listing_contacts(struct store *);
/* Of this name, NULL: all; whole: with members and serial. */
json_t *listing_groups(struct groups *, const char *name, bool whole);
json_t *listing_contact(const struct contact *);

#endif
