#ifndef IMAP_BINARY_H
#define IMAP_BINARY_H
/*
 * BINARY and BINARY.SIZE (RFC 9051 section 6.4.5): parts of one message
 * without their transfer encoding. A worker decodes them into a file without
 * a name before anything of the message is sent. Loop thread.
 */
#include "way/imap/body.h"

struct imap_binary;

/* What the items of a FETCH stand for in this message, whose file is open; below ctx. */
struct imap_binary *imap_binary_new(const void *ctx, struct imap_body *, const struct imap_fetch *);
/* Has something to be decoded first? Then done(session) comes, not from inside, if it still runs the command. */
bool imap_binary_decode(struct imap_session *, struct imap_binary *, struct imap_body *,
    void (*done)(struct imap_session *));
/* Why an item (by its index) cannot be sent, as a response code and text; NULL: it can. */
const char *imap_binary_error(const struct imap_binary *, size_t item);
/* "BINARY[1] ~{12}" and the octets, or "BINARY.SIZE[1] 12". */
void imap_binary_send(struct imap_session *, struct imap_body *, const struct imap_binary *, const struct imap_att *,
    size_t item);

#endif
