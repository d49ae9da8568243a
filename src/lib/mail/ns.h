#ifndef MAIL_NS_H
#define MAIL_NS_H
/*
 * The send notification ns/1 and the head object head/1 (p2pmta-protocol(7), section
 * 3) as structs, and back. Pure; any thread. Fixed-size parts are inside the
 * struct, texts below its talloc context.
 *
 * Where the protocol leaves a choice: fields are printed in the order of the
 * struct. `Parts` may repeat; each value holds at most PARTS_VALUE octets and
 * whole entries, and the values joined by spaces are skeleton.parts. `Head` is
 * `HEX-SHA256 SIZE`. The skeleton of an ns is its body, or lies in the head;
 * a head without one says that it is over the limit. `Pad` is one field of 'x'
 * in the last record of a message, as long as it takes for all its records to be
 * a multiple of 512 octets; a reader ignores it. The body of a head is the skeleton text,
 * `Skeleton-Size` octets of it, and then the piece hashes; `Piece-Size` is
 * there when there are any. An ns is good for at most 31 days.
 */
#include "lib/mail/record.h"

enum { PARTS_VALUE = 900 };

/* How a skeleton travels: its text, and octets and lines of each leaf and message/rfc822. */
struct skeleton {
	struct bytes text;
	const char *parts;	/* "octets/lines octets/lines ..." in order; "" for none */
};

struct ns {
	char from[LIMIT_ADDRESS + 1], to[LIMIT_ADDRESS + 1];
	uint8_t hash[32];		/* h */
	uint64_t sealed_size, size;	/* of m', of m */
	uint8_t digest[32];		/* SHA-256 of m */
	uint8_t key[32];		/* K */
	uint8_t secret[32];		/* p */
	int64_t issued_s, expires_s;
	const char *urls[LIMIT_URLS];
	size_t n_urls;
	const char *group;		/* NULL when he has none */
	struct bytes sender_key;	/* minimal public key; empty when absent */
	uint8_t contact_secret[32];
	bool has_contact_secret;
	bool has_head;			/* then skeleton is empty */
	uint8_t head_hash[32];
	uint64_t head_size;
	struct skeleton skeleton;
};

/* Parse one ns at the front of in. NULL with err; validity against a clock is the caller's. */
struct ns *ns_parse(const void *ctx, struct bytes in, size_t *used_out, struct err *);
void ns_print(struct buf *, const struct ns *);
/* The last record of a message, as ns_print() made it: with Pad, so that all of the buffer is a multiple of 512 octets. */
void ns_add_padded(struct buf *, struct bytes record);
/* What len octets of records become so. */
size_t ns_padded_len(size_t len);

struct head {
	uint8_t hash[32];		/* h it belongs to */
	struct skeleton skeleton;
	uint64_t piece_size;		/* 0 when m' has at most 1 MiB */
	struct bytes pieces;		/* SHA-256 of each piece, 32 octets each */
};

struct head *head_parse(const void *ctx, struct bytes in, struct err *);
void head_print(struct buf *, const struct head *);
/* Piece size for m' of this size (p2pmta-protocol(7), section 3, Skeleton); 0 up to 1 MiB. */
uint64_t head_piece_size(uint64_t sealed_size);

#endif
