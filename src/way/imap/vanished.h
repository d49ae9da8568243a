#ifndef IMAP_VANISHED_H
#define IMAP_VANISHED_H
/* VANISHED (RFC 7162 section 3.2.10): messages that went, by UID. Loop thread. */
#include "way/imap/session.h"

/* "* VANISHED 4,7:9"; uids ascend. */
void imap_vanished_now(struct imap_session *, const uint32_t *uids, size_t n);

/*
 * "* VANISHED (EARLIER) ...": what went after the mod-sequence since, of the
 * UIDs in among (NULL: of all) above the UID above. What the session still
 * counts, since it was not told, is left for VANISHED without EARLIER.
 */
void imap_vanished_earlier(struct imap_session *, struct mailbox *, uint64_t since, const struct imap_seqset *among,
    uint32_t above);

#endif
