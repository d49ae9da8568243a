#ifndef NOTIFY_MAKE_H
#define NOTIFY_MAKE_H
/* The octets of an ns value (p2pmta-protocol(7), sections 2, 4, 5). Worker thread. */
#include "lib/mail/ns.h"
#include "lib/pgp/pgp.h"

/* records: each as ns_print() made it. Value below ctx of the first *n_out of them. REJECT: not even one fits. */
enum outcome make_value_work(const void *ctx, struct pgp *, const char *fpr, const struct bytes *records, size_t n,
    struct bytes *out, size_t *n_out, struct err *);

#endif
