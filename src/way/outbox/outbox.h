#ifndef OUTBOX_OUTBOX_H
#define OUTBOX_OUTBOX_H
/*
 * m' on offer over HTTP until everybody has it (p2pmta-protocol(7), section 7): the
 * routes, and what comes in by them. Loop thread, but for what ends in _http.
 * The table of offers is shared with the HTTP threads; the courier fills it.
 */
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/loop/loop.h"
#include "way/outbox/offers.h"

struct outbox_settings {
	const char *const *listen;
	size_t n_listen;
};

struct outbox_hooks {
	/* POST /ns: an ns value, unchecked; borrowed. */
	void (*notice)(void *arg, struct bytes value);
	/* POST /nr: an nr value, unchecked; borrowed. */
	void (*receipt)(void *arg, struct bytes value);
	/* The whole of m' went out once under this recipient's token. */
	void (*served)(void *arg, uint64_t rcpt);
	void *arg;
};

struct outbox;

struct outbox *outbox_start(struct loop *, struct offers *, const struct outbox_settings *, const struct outbox_hooks *,
    struct err *);
void outbox_stop(struct outbox **);
unsigned outbox_port(const struct outbox *);

#endif
