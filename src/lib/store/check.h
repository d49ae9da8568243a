#ifndef STORE_CHECK_H
#define STORE_CHECK_H
/*
 * Does state.db agree with itself and with the message files? Looking takes a
 * connection of its own that only reads, so that a daemon may run; repairing
 * takes the state folder's lock. No repair changes a UID or UIDVALIDITY; where
 * flags were lost, all messages of the mailbox count as changed. Any thread,
 * blocks for as long as it takes to read everything.
 */
#include <stdbool.h>

#include "lib/base/err.h"

struct store_fault {
	const char *text;		/* what is wrong */
	const char *advice;		/* what to do about it; when it was repaired: what was done */
	bool repaired;
};

/* found() for each. OK: all was looked at. REJECT or RETRY with err: it could not be (for repair: a daemon runs). */
enum outcome store_check(const char *dir, bool repair, void (*found)(void *arg, const struct store_fault *), void *arg,
    struct err *);

#endif
