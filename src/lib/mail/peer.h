#ifndef MAIL_PEER_H
#define MAIL_PEER_H
/* The peer descriptor peer/1 (p2pmta-protocol(7), section 3). Pure; any thread. */
#include "lib/mail/record.h"

struct peer {
	char address[LIMIT_ADDRESS + 1];
	struct bytes key;		/* minimal public key, binary */
	int64_t issued_s, expires_s;	/* the binding of address and key */
	int64_t reachable_until_s;	/* the URLs */
	uint64_t serial;		/* Unix milliseconds, grows */
	const char *urls[LIMIT_URLS];
	size_t n_urls;
	const char *group;		/* NULL: none */
	unsigned stamp;			/* zero bits asked of strangers */
	const char *tls_pin;		/* NULL: none */
};

struct peer *peer_parse(const void *ctx, struct bytes in, struct err *);
void peer_print(struct buf *, const struct peer *);

#endif
