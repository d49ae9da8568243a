#ifndef IMAP_FLAGS_H
#define IMAP_FLAGS_H
/* Flag lists between the wire and the store's bits. Loop thread (keywords get their bit in the store). */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/store/mailbox.h"
#include "way/imap/parser.h"

struct imap_flags {
	uint32_t flags;
	uint64_t keywords;
};

enum imap_flags_result {
	IMAP_FLAGS_OK,
	IMAP_FLAGS_BAD,		/* no flag at all, or a system flag nobody may set */
	IMAP_FLAGS_FULL,	/* no bit left for a new keyword */
};

/* A list of atoms; keywords of the daemon are left out. */
enum imap_flags_result imap_flags_parse(struct store *, const struct imap_arg *args, size_t n, struct imap_flags *out);
/* "(\Seen $Work)" */
void imap_flags_print(struct buf *, struct store *, uint32_t flags, uint64_t keywords);
/* Every keyword there is. */
uint64_t imap_flags_known(struct store *);
/* Keywords that tell the state of a message (p2pmta(8), READING): shown, but not changed, by clients. */
uint64_t imap_flags_ours(struct store *);
/* Bit of a keyword that is there already; 0 when it is not. */
uint64_t imap_flags_find(struct store *, const char *name);
/* FLAG_... of "\Seen" without the backslash; 0 when it is none. */
uint32_t imap_flags_system(const char *name);

#endif
