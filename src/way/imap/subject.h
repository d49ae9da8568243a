#ifndef IMAP_SUBJECT_H
#define IMAP_SUBJECT_H
/* The base subject (RFC 5256 section 2.1): what is left without "Re:", "[list]", "(fwd)". Pure. */
#include <stdbool.h>

/* Of a decoded subject; below ctx, with upper and lower case folded to one. is_reply_out: it was a reply or forward. */
char *imap_subject_base(const void *ctx, const char *subject, bool *is_reply_out);
/* Text as SORT compares it (text_casemap()). Below ctx. */
char *imap_sort_fold(const void *ctx, const char *text);

#endif
