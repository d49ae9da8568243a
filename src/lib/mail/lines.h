#ifndef MAIL_LINES_H
#define MAIL_LINES_H
/*
 * The body of a list record (msglist.c, notices.c): lines ended by LF, words
 * with one space between them. Each takes a word off the front and says 0, or
 * -1 for one that is not there or has another spelling. Pure; any thread.
 */
#include "lib/mail/record.h"

/* A line without its LF; -1 when there is none. */
int lines_next(struct bytes *body, struct bytes *line_out);
size_t lines_count(struct bytes body);

/* The last word of a line leaves nothing behind; a space after it is an error. */
int lines_hex(struct bytes *line, uint8_t *out, size_t len);	/* len up to 32 */
int lines_number(struct bytes *line, uint64_t max, uint64_t *out);
int lines_time(struct bytes *line, int64_t *s_out);
int lines_base64(struct bytes *line, const void *ctx, size_t max, struct bytes *out);

#endif
