#ifndef MAIL_PACKETS_H
#define MAIL_PACKETS_H
/*
 * Framing of OpenPGP messages before gpg sees them (p2pmta-protocol(7), section 2): a
 * walk over packet headers, no crypto. Pure; any thread. Old and new format,
 * partial lengths only for data packets (RFC 4880 section 4.2).
 */
#include "lib/base/bytes.h"
#include "lib/base/err.h"

enum packets_shape {
	PACKETS_NS,	/* one PKESK v3, key ID zero, at most 600 octets; one SEIPD to the last octet */
	PACKETS_SHARED,	/* the same with a PKESK for each member of a group */
	PACKETS_SEALED,	/* one SKESK v4 (AES-256, S2K 0 or 1); one SEIPD to the last octet */
	PACKETS_SIGNED,	/* one-pass, literal, signature - or one compressed packet - and nothing after */
};

/* All of a message in memory: 0 or -1 with err. */
int packets_check(enum packets_shape, struct bytes, struct err *);

/* The same for a stream: feed it all, then ask. For m' in files. */
struct packets;
struct packets *packets_new(const void *ctx, enum packets_shape);
/* -1 as soon as it cannot be right. */
int packets_feed(struct packets *, struct bytes, struct err *);
int packets_end(struct packets *, struct err *);

#endif
