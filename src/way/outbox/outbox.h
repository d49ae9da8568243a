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
#include "way/outbox/members.h"
#include "way/outbox/offers.h"

struct outbox_settings {
	const char *const *listen;
	size_t n_listen;
	const char *replicas;		/* folder for bodies that members bring */
};

/* PUT /replica/OWNER/... */
struct outbox_put {
	uint64_t ticket;
	char owner[LIMIT_ADDRESS + 1];
	bool list;			/* the msglist; else of a message, with the next two */
	enum members_file what;
	uint8_t hash[32];
	struct bytes octets;		/* not of a body */
	const char *file;		/* a body: a temporary file in replicas/ */
	int fd;
	uint64_t size;
	uint8_t digest[32];
};

struct outbox_hooks {
	/* POST /ns: an ns value, unchecked; borrowed. */
	void (*notice)(void *arg, struct bytes value);
	/* POST /nr: an nr value, unchecked; borrowed. */
	void (*receipt)(void *arg, struct bytes value);
	/* The whole of m' went out once under this recipient's token. */
	void (*served)(void *arg, uint64_t rcpt);
	/* A fellow member asked for something, and showed that he is one. */
	void (*contact)(void *arg, const char *address);
	/* The whole of our m' went out to this member. */
	void (*taken)(void *arg, const char *address, const uint8_t hash[32]);
	/* The whole of a replica of this owner's went out to the recipient with this commitment. */
	void (*replica_served)(void *arg, const char *owner, const uint8_t hash[32], const uint8_t c_get[32]);
	/* A member brings something of an owner's: ends with outbox_answer(ticket). Borrowed, but file and fd are taken. */
	void (*put)(void *arg, const struct outbox_put *);
	void *arg;
};

struct outbox;

struct outbox *outbox_start(struct loop *, struct offers *, struct members *, const struct outbox_settings *, const struct outbox_hooks *,
    struct err *);
void outbox_stop(struct outbox **);
void outbox_answer(struct outbox *, uint64_t ticket, unsigned status);
unsigned outbox_port(const struct outbox *);

#endif
