#ifndef MAIL_RECORD_H
#define MAIL_RECORD_H
/*
 * Records (p2pmta-protocol(7), section 3): an RFC 5322 header block whose first field
 * is `P2pMTA: TYPE/1`, an empty line, then Length octets of body. Strict: what
 * does not fit is an error, unknown fields are ignored unless they begin
 * "Must-". The typed readers (ns.h, peer.h, head.h) are built on this; nobody
 * else calls record_get_*. Pure; any thread.
 *
 * Where the protocol leaves a choice: names are compared without ASCII case;
 * a field may be folded with CRLF and blanks (never tabs: those are control
 * characters) but is never printed folded; blanks before a value do not
 * count, blanks after it do; Length is left out when there is no body; an
 * address must stand in its normal form. A field is at most LIMIT_FIELD
 * octets with name and line ends, a header block LIMIT_RECORD.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/base/limits.h"

struct record_field {
	const char *name, *value;	/* below the record, NUL-terminated, value unfolded */
};

struct record {
	char type[16];			/* "ns", "peer", ... version is always 1 */
	struct record_field *fields;	/* in order, without P2pMTA and Length */
	size_t n_fields;
	struct bytes body;		/* points into the input */
};

/*
 * Parse one record at the front of in. used_out: octets used (several ns
 * records follow one another). max_body bounds Length. NULL with err.
 */
struct record *record_parse(const void *ctx, struct bytes in, size_t max_body, size_t *used_out, struct err *);
/* Has it a "Must-" field that is none of known (NULL-terminated)? The name, or NULL. */
const char *record_find_must(const struct record *, const char *const *known);

/*
 * Readers: 1 there and good, 0 absent, -1 bad or repeated (err names the
 * field). Values are borrowed.
 */
int record_get_text(const struct record *, const char *name, const char **out, struct err *);
int record_get_address(const struct record *, const char *name, char out[LIMIT_ADDRESS + 1], struct err *);
int record_get_number(const struct record *, const char *name, uint64_t max, uint64_t *out, struct err *);
int record_get_time(const struct record *, const char *name, int64_t *s_out, struct err *);
int record_get_hash(const struct record *, const char *name, uint8_t out[32], struct err *);	/* 64 hex */
int record_get_base64(const struct record *, const void *ctx, const char *name, size_t max, struct bytes *out, struct err *);
int record_get_octets(const struct record *, const char *name, uint8_t *out, size_t len, struct err *);	/* base64 of exactly len */
/* "HEX-SHA256 SIZE" of a head object, never of none. */
int record_get_head(const struct record *, const char *name, uint8_t hash[32], uint64_t *size, struct err *);
/* All values of a field that may repeat; the count, or -1 when over max. */
int record_get_all(const struct record *, const char *name, const char **out, size_t max, struct err *);
/* Url*: http or https, printable ASCII; copies below ctx. The count or -1. */
int record_get_urls(const struct record *, const void *ctx, const char *urls[LIMIT_URLS], size_t *n_out, struct err *);
/* Group: a group name in normal form, a copy below ctx. */
int record_get_group(const struct record *, const void *ctx, const char **out, struct err *);
/* What a reader said, but "absent" is an error too: -1. */
int record_need(int there, const char *name, struct err *);
/* Decimal, no sign, no leading zero, at most max, at *text, which moves behind it. 0 or -1. */
int record_parse_number(const char **text, uint64_t max, uint64_t *out);

/* Printers add to a buf; check buf->overflow at the end. */
void record_print_start(struct buf *, const char *type);
void record_print_text(struct buf *, const char *name, const char *value);
void record_print_number(struct buf *, const char *name, uint64_t);
void record_print_time(struct buf *, const char *name, int64_t s);
void record_print_hash(struct buf *, const char *name, const uint8_t[32]);
void record_print_base64(struct buf *, const char *name, struct bytes);
void record_print_head(struct buf *, const char *name, const uint8_t hash[32], uint64_t size);
/* Length (unless the body is empty), the empty line, the body. */
void record_print_body(struct buf *, struct bytes body);

#endif
