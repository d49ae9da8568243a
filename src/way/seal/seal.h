#ifndef SEAL_SEAL_H
#define SEAL_SEAL_H
/*
 * From m to m' and back (p2pmta-protocol(7), section 2; section 4, steps 2 and 5),
 * from file to file in one pass. Worker threads only: each call starts gpg
 * and reads and writes whole files. Results are below ctx; what a crash
 * leaves behind is a temporary file or a file without a row, swept at start.
 */
#include <stdatomic.h>

#include "lib/base/err.h"
#include "lib/mail/ns.h"
#include "lib/mime/mime.h"
#include "lib/pgp/pgp.h"

struct seal_order {
	struct pgp *pgp;
	struct bytes m;			/* data NULL: it is in spool_path */
	const char *spool_path;
	const uint8_t *digest;		/* what m must have */
	const char *outbox;		/* folder for m' and head */
	size_t small_max;		/* octets up to this are returned, and no file is made */
	size_t inline_max;		/* a skeleton (with Parts) up to this goes into the ns */
};

struct sealed {
	uint8_t key[SEAL_KEY_LEN];	/* K, made here */
	uint8_t hash[32];		/* h */
	uint64_t size;			/* of m' */
	bool has_head;
	uint8_t head_hash[32];
	uint64_t head_size;
	struct mime *mime;		/* of m */
	/* The octets of small ones, of which there are no files. */
	struct bytes octets, head_octets;
};

/*
 * m' and, when the skeleton is too large for the ns or m' over 1 MiB, the head
 * object stand durably in the outbox when this returns OK, small ones in out.
 * REJECT: the spool file is not what it was.
 */
enum outcome seal_work(const void *ctx, const struct seal_order *, struct sealed *out, struct err *);

struct unseal_order {
	struct pgp *pgp;
	int sealed_fd;			/* m': a file, or a pipe that is filled meanwhile; framing checked by the caller */
	const atomic_bool *whole;	/* set by the caller before m' ends: all came and its hash is h */
	const char *dir;		/* where the file with m is made */
	const uint8_t *key;		/* K */
	const char *fpr;		/* who must have signed it */
	const uint8_t *digest;		/* of m */
	uint64_t size;			/* of m */
};

/*
 * m as a durable file DIR/ab/DIGEST, and its structure. REJECT when it is not
 * what was announced: signer, role, Digest or Size. RETRY when it was not whole.
 */
enum outcome unseal_work(const void *ctx, const struct unseal_order *, struct mime **out, struct err *);

/* A head object: opened, checked, parsed. Below ctx. */
enum outcome unseal_head_work(const void *ctx, struct pgp *, struct bytes sealed, const uint8_t key[SEAL_KEY_LEN],
    const char *fpr, struct head **out, struct err *);

#endif
