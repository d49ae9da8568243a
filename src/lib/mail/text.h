#ifndef MAIL_TEXT_H
#define MAIL_TEXT_H
/* Text that people type and read. Pure; any thread. */
#include <stddef.h>

/* Unicode's Normalization Form C (Net-Unicode, RFC 5198) of UTF-8, below ctx; NULL when it is no UTF-8. */
char *text_nfc(const void *ctx, const char *text);

/* As i;unicode-casemap (RFC 5051) compares it: title case, then decomposed; below ctx. What is no UTF-8 in ASCII only. */
char *text_casemap(const void *ctx, const char *text);

/*
 * The character that UTF-8 text begins with: how many octets it has (0: the text is empty), and how many
 * columns of a terminal it takes: 0 when it combines with the one before, 2 when it is wide. -1: it must not be
 * shown, because it is no UTF-8, would command the terminal, or turns the direction of writing.
 */
size_t text_char(const char *text, int *columns_out);

#endif
