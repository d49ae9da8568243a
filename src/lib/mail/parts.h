#ifndef MAIL_PARTS_H
#define MAIL_PARTS_H
/* The Parts fields of ns/1 and head/1 (ns.h), for their readers and printers only. Pure. */
#include "lib/mail/ns.h"

/* Joined and checked, below ctx; "" when there is none. -1 with err. */
int parts_parse(const struct record *, const void *ctx, const char **out, struct err *);
void parts_print(struct buf *, const char *parts);

#endif
