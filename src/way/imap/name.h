#ifndef IMAP_NAME_H
#define IMAP_NAME_H
/* Mailbox names on the wire: modified UTF-7 (RFC 3501 section 5.1.3) or UTF-8, patterns, hierarchy '/'. Pure. */
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bytes.h"

/*
 * From the wire to UTF-8, below ctx; "inbox" (also before a '/') becomes
 * "INBOX". NULL: not canonical modified UTF-7, 8-bit, a control character, or
 * longer than LIMIT_MAILBOX_NAME.
 */
char *imap_name_decode(const void *ctx, const char *wire);
/* The same of UTF-8 (RFC 9755, RFC 9051 section 5.1). NULL: it is none, or what no modified UTF-7 could say. */
char *imap_name_decode_utf8(const void *ctx, const char *wire);
/* UTF-8 to the wire, below ctx. */
char *imap_name_encode(const void *ctx, const char *name);
/* Does a LIST pattern ('*' all, '%' all but '/') match? Both UTF-8; INBOX in any case. */
bool imap_name_match(const char *pattern, const char *name);
/* An encoded name as an argument: quoted, or a literal when it has to be. */
void imap_name_print(struct buf *, const char *name);
/* A name as it is, quoted. */
void imap_name_print_utf8(struct buf *, const char *name);
/* Any text as quoted string; a literal when it has 8-bit octets or line ends. */
void imap_string_print(struct buf *, const char *text, size_t len);

#endif
