#ifndef IMAP_TEXT_H
#define IMAP_TEXT_H
/*
 * Looking for text in a message: case folded, encoded words, transfer
 * encodings and charsets undone. Any thread; whole files pass through in
 * blocks.
 */
#include <stdbool.h>

#include "lib/base/bytes.h"
#include "lib/mime/mime.h"

/* UTF-8 folded: Latin, Greek and Cyrillic letters in lower case. Below ctx. */
char *imap_text_fold(const void *ctx, const char *text);
/* Is folded text in a field of this name (NULL: in any field, names as well)? "" asks whether there is one. */
bool imap_text_in_header(struct bytes block, const char *name, const char *text);
/* In a text part, or in the header of a message inside? fd holds the message. Blocks. */
bool imap_text_in_body(const struct mime *, int fd, const char *text);

#endif
