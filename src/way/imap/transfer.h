#ifndef IMAP_TRANSFER_H
#define IMAP_TRANSFER_H
/* Content-Transfer-Encoding undone (RFC 2045 section 6), block by block. Pure; any thread. */
#include <stddef.h>
#include <stdint.h>

enum imap_encoding { ENCODING_NONE, ENCODING_BASE64, ENCODING_QUOTED, ENCODING_UNKNOWN };

/* Of a field's value; NULL: none. */
enum imap_encoding imap_encoding_of(const char *value);

enum { TRANSFER_SPACES = 256 };

struct imap_transfer {
	enum imap_encoding encoding;	/* the rest begins as zero */
	uint32_t bits;			/* of base64 */
	unsigned n_bits;
	enum { QUOTED_TEXT, QUOTED_SIGN, QUOTED_DIGIT, QUOTED_SOFT } state;
	char digit;			/* the first after '=' */
	char spaces[TRANSFER_SPACES];	/* that fall away if the line ends here */
	size_t n_spaces;
};

/* Room for out: len + TRANSFER_SPACES + 2. Returns how many octets came out. What is broken is passed over, or stays as it is. */
size_t imap_transfer_decode(struct imap_transfer *, const char *in, size_t len, char *out);

#endif
