#ifndef CONTROL_LISTING_H
#define CONTROL_LISTING_H
/* Rows as JSON, with the field names of p2pmta-ctl(1). Results are the caller's. Loop thread. */
#include <jansson.h>

#include "lib/store/contact.h"
#include "lib/store/letter.h"
#include "way/group/group.h"

json_t *listing_queue(struct store *);
/* NULL: no such letter. history: with what happened to each recipient. */
json_t *listing_letter(struct store *, uint64_t id, bool history);
json_t *listing_contacts(struct store *);
/* Of this name, NULL: all; whole: with members and serial. */
json_t *listing_groups(struct groups *, const char *name, bool whole);
json_t *listing_contact(const struct contact *);

#endif
