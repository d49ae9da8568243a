#ifndef STORE_SEALED_H
#define STORE_SEALED_H
/*
 * The octets of m' and head objects (p2pmta-protocol(7), section 2): files in
 * outbox/, small ones rows: a file costs an inode, now and then a folder, and
 * two syncs; a row shares the sync of a commit.
 */
#include "lib/store/store.h"

enum { SEALED_SMALL = 16 * 1024 };

/* hash: SHA-256 of the octets, at most SEALED_SMALL. They go with store_letter_drop_files(). Loop thread. */
void store_sealed_add(struct store *, const uint8_t hash[32], struct bytes);
/*
 * What was committed under this name, or what outbox/ has under it (also notices objects), to read from its beginning:
 * the file, or a copy in memory. Yours to close; -1 with errno, ENOENT when there is nothing. Any thread until the store is
 * closed; it waits for others who read, not for the loop.
 */
int store_sealed_open(struct store *, const uint8_t hash[32]);

#endif
