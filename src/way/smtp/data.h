#ifndef SMTP_DATA_H
#define SMTP_DATA_H
/*
 * The octets between DATA and the final dot, on their way to m (p2pmta-protocol(7)
 * section 1): dot-unstuffed, Bcc and Resent-Bcc taken out, Date and Message-ID
 * put on top when missing, all else as it came. A streaming parser: memory is
 * bounded by the header block (LIMIT_MIME_HEADER). Pure but for put().
 *
 * Only CRLF.CRLF ends the data (a dot line may come first: the CRLF is then
 * the command's). A bare CR or LF, NUL, or a line over DATA_LINE_MAX spoils
 * the message, not the dialogue: reading goes on to the true end. Lines over
 * the 998 octets of RFC 5322 are taken up to that limit, for clients that
 * write a page of HTML as one line.
 *
 * The header block ends with the first empty line. A first line that is no
 * field means there is none; then all is body, and an empty line is put
 * between it and what goes on top. Such a message needs no From.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DATA_LINE_MAX = 1024 * 1024 };	/* with its CRLF */

enum data_verdict {
	DATA_GOOD,
	DATA_BARE,		/* CR without LF or LF without CR */
	DATA_NUL,
	DATA_LONG_LINE,
	DATA_LONG_HEADER,
	DATA_RECORD,		/* its first field is P2pMTA (p2pmta-protocol(7), section 2) */
	DATA_FROM,		/* From is not exactly the own address, or one with a +tag */
	DATA_RESENT,		/* the same, but it was resent by us (RFC 5322 section 3.6.6) */
	DATA_RESENT_FROM,	/* somebody else resent it, by the topmost Resent-From */
	DATA_TOO_BIG,
};

struct data_settings {
	uint64_t max_size;	/* of m */
	const char *address;	/* the own one */
	const char *date;	/* values for the fields to put on top */
	const char *message_id;
	void (*put)(void *arg, const char *octets, size_t len);	/* the next octets of m */
	void *arg;
};

struct data;

/* Below ctx; strings are copied. */
struct data *data_new(const void *ctx, const struct data_settings *);
/* Returns how many octets belong to the data; less than len only at the end. */
size_t data_feed(struct data *, const char *in, size_t len, bool *end_out);

/*
 * The same without dots, for chunks (RFC 3030): the end is where the caller
 * says. A last line without CRLF gets it.
 */
void data_feed_chunk(struct data *, const char *in, size_t len);
void data_end_chunks(struct data *);

/* After the end, or at any time: is it spoilt? Once it is, nothing more is put. */
enum data_verdict data_verdict(const struct data *);
/* "550 5.6.0 ..." for what is not good. */
const char *data_reply(enum data_verdict);
uint64_t data_size(const struct data *);	/* of m */
/* As in m, unfolded, below the data; after the end. "" when missing. */
const char *data_message_id(const struct data *);
const char *data_subject(const struct data *);

#endif
