#ifndef MAIL_TEXT_H
#define MAIL_TEXT_H
/* Names that people type. Pure; any thread. */

/* Unicode's Normalization Form C (Net-Unicode, RFC 5198) of UTF-8, below ctx; NULL when it is no UTF-8. */
char *text_nfc(const void *ctx, const char *text);

#endif
