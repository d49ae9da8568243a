#ifndef MIME_HEADER_H
#define MIME_HEADER_H
/*
 * Fields of a header block. Pure; any thread. A block is CRLF lines with or
 * without the empty line at its end.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"

/* Walk the fields. *pos begins with 0. name and value (with its folding, without the last CRLF) are borrowed. */
bool header_next(struct bytes block, size_t *pos, struct bytes *name_out, struct bytes *value_out, struct bytes *whole_out);
/* The first value of a field, unfolded, below ctx; NULL when there is none. */
char *header_get(const void *ctx, struct bytes block, const char *name);
/* Same, encoded words (RFC 2047) as UTF-8. */
char *header_get_decoded(const void *ctx, struct bytes block, const char *name);
/* An unfolded value with encoded words as UTF-8. */
char *header_decode(const void *ctx, const char *value);
/*
 * The one mailbox of a From-like value as "local@domain"; below ctx. NULL
 * when there is none; *n_out says how many there are.
 */
char *header_mailbox(const void *ctx, const char *value, size_t *n_out);
/* What ENVELOPE has as mailbox of its first address, a local part or the name of a group; below ctx, NULL for none. */
char *header_first(const void *ctx, const char *value);
/* Is the field name (octets) this name? ASCII case is ignored. */
bool header_is(struct bytes name, const char *);
/* Date field to Unix seconds (RFC 5322 and its obsolete forms); -1 when it is none. */
int header_date(const char *value, int64_t *s_out);
/* The fields named (or not named) in names, as IMAP HEADER.FIELDS sends them, with the empty line; below ctx. */
struct bytes header_subset(const void *ctx, struct bytes block, const char *const *names, size_t n, bool not);

#endif
