#ifndef IMAP_BODY_H
#define IMAP_BODY_H
/*
 * The octets a FETCH item names: from the skeleton (headers), or from the file
 * of the message, in ranges; never a whole body in memory, but for a small one
 * that is a row. Loop thread.
 */
#include "lib/mime/mime.h"
#include "lib/store/content.h"
#include "way/imap/fetchatt.h"
#include "way/imap/session.h"

struct imap_body {
	struct content *content;
	struct mime *mime;		/* once needed */
	bool is_broken;			/* skeleton and parts do not fit */
	struct bytes octets;		/* of a small one; data NULL: it is a file */
	int fd;				/* -1: not open, or no file */
};

/* For one message; below ctx, closes its file with it. */
struct imap_body *imap_body_new(const void *ctx, struct content *);
/* Open it; false when it is not what the store says it is (then it is logged). */
bool imap_body_open(struct imap_session *, struct imap_body *);
bool imap_body_is_open(const struct imap_body *);
/* A descriptor of all its octets, closed with it; -1 with errno. */
int imap_body_fd(struct imap_body *);
/* The tree of its parts; NULL when it is broken. */
const struct mime *imap_body_mime(struct imap_body *);
/* Octets of the message after their literal was announced. */
void imap_body_send_octets(struct imap_session *, struct imap_body *, uint64_t offset, uint64_t len);
/* Octets of a file after their literal was announced; fd stays the caller's. */
void imap_body_send_file(struct imap_session *, int fd, uint64_t offset, uint64_t len);
/* "BODY[1] {12}" and the octets to the output. Needs the file only if the item does. */
void imap_body_send(struct imap_session *, struct imap_body *, const struct imap_att *);

#endif
