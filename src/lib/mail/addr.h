#ifndef MAIL_ADDR_H
#define MAIL_ADDR_H
/*
 * Peer addresses `name@group` (p2pmta-protocol(7), section 1): local part UTF-8 NFC
 * and ASCII lower-cased; group one or more LDH labels; at most 254 octets.
 * Pure; any thread.
 */
#include <stdbool.h>

#include "lib/base/limits.h"

/* Normal form to out; -1 when in is no address. Accepts no angle brackets, no spaces. */
int addr_parse(const char *in, char out[LIMIT_ADDRESS + 1]);
/* Same, and without a "+tag" in the local part. */
int addr_parse_base(const char *in, char out[LIMIT_ADDRESS + 1]);
/* GNAME: the part after '@' of a normal address (borrowed). */
const char *addr_group(const char *address);
/* Is it a group name in normal form? */
bool addr_is_group(const char *);

#endif
