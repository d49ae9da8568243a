#ifndef IMAP_FETCHATT_H
#define IMAP_FETCHATT_H
/*
 * What a FETCH asks for (RFC 3501 section 6.4.5), and what it takes to answer
 * it: THE table of lazy bodies. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "way/imap/parser.h"

/* What an item takes; or'ed over all items of a FETCH. */
enum {
	NEED_RAM = 0,		/* the arrays in memory do */
	NEED_BRIEF = 1,		/* envelope and structure, rendered when the message was filed */
	NEED_SKELETON = 2,	/* headers: here for every message, pulled or not */
	NEED_BODY = 4,		/* the octets of the message: one that is not here is pulled */
	SETS_SEEN = 8,		/* marks the message as \Seen */
	NEED_DECODED = 16,	/* parts without their transfer encoding */
};

enum imap_item {
	ITEM_UID, ITEM_FLAGS, ITEM_INTERNALDATE, ITEM_SIZE, ITEM_ENVELOPE, ITEM_BODY, ITEM_BODYSTRUCTURE,
	ITEM_MODSEQ,		/* RFC 7162 */
	ITEM_EMAILID, ITEM_THREADID,	/* RFC 8474 */
	ITEM_SECTION,		/* octets: BODY[...], RFC822... */
	ITEM_BINARY, ITEM_BINARY_SIZE,	/* BINARY[...], BINARY.SIZE[...] */
};

enum imap_section { SECTION_ALL, SECTION_HEADER, SECTION_FIELDS, SECTION_FIELDS_NOT, SECTION_TEXT, SECTION_MIME };

struct imap_att {
	enum imap_item item;
	unsigned needs;
	/* Of ITEM_SECTION and, without a section, ITEM_BINARY... */
	enum imap_section section;
	const char *part;		/* "1.2"; "" the message */
	const char **fields;
	size_t n_fields;
	bool partial;
	uint64_t offset, count;		/* of the partial */
	const char *label;		/* how the response names it: "BODY[1.2]<0>" */
};

struct imap_fetch {
	struct imap_att *atts;
	size_t n;
	unsigned needs;			/* of all */
};

/* The item argument(s) of FETCH: an atom, a macro, or a list. 1, or -1 when it is none. */
int imap_fetch_parse(const void *ctx, const struct imap_arg *args, size_t n, struct imap_fetch *out);
bool imap_fetch_has(const struct imap_fetch *, enum imap_item);

#endif
