/*
 * BDAT (RFC 3030): so many octets follow the line, whatever they are. They are
 * read even when the command is refused, or they would be taken for commands;
 * who cannot say how many they are, or announces more than a message may have,
 * ends the connection by that. After a refused chunk the message is over.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "way/smtp/session.h"

enum { DIGITS_MAX = 19 };	/* below 2^64 */

/* "N" or "N LAST". */
static bool parse(const char *arg, uint64_t *len, bool *is_last)
{
	size_t n = strspn(arg, "0123456789");

	if (n == 0 || n > DIGITS_MAX)
		return false;
	*len = strtoull(arg, NULL, 10);
	*is_last = strcasecmp(arg + n, " LAST") == 0;
	return *is_last || arg[n] == '\0';
}

/* Without the message this chunk belongs to there is nothing to end; otherwise its refusal is the end of it. */
static const char *find_refusal(struct smtp_session *s, uint64_t len)
{
	if (!(s->phase & (PHASE_RCPT | PHASE_CHUNK)))
		return "503 5.5.1 Not now";
	if (len > s->smtp->set.max_size)
		return "552 5.3.4 Message is too big";
	if (!s->spool)
		smtp_spool_open(s);
	return NULL;
}

static void end_chunk(struct smtp_session *s)
{
	const char *refusal = s->chunk.refusal;

	s->input = INPUT_COMMAND;
	if (!refusal && s->chunk.is_last) {
		smtp_spool_finish(s);
		return;
	}
	if (!refusal)
		refusal = smtp_spool_fault(s);
	if (!refusal) {
		smtp_reply(s, "250 2.0.0 %" PRIu64 " octets", s->chunk.len);
		return;
	}
	if (s->phase & (PHASE_RCPT | PHASE_CHUNK))
		smtp_session_reset(s);
	smtp_reply(s, "%s", refusal);
}

void smtp_bdat(struct smtp_session *s, char *arg)
{
	uint64_t len;
	bool is_last;

	if (!s->is_logged_in) {
		smtp_session_end(s, "530 5.7.0 Log in first");
		return;
	}
	if (!parse(arg, &len, &is_last)) {
		smtp_session_end(s, "501 5.5.4 Say BDAT OCTETS [LAST]; what follows cannot be told from commands");
		return;
	}
	const char *refusal = find_refusal(s, len);
	if (len > s->smtp->set.max_size) {
		smtp_session_end(s, "552 5.3.4 Message is too big");
		return;
	}
	s->chunk.len = s->chunk.left = len;
	s->chunk.is_last = is_last;
	s->chunk.refusal = refusal;
	if (!refusal)
		s->phase = PHASE_CHUNK;
	s->input = INPUT_CHUNK;
	if (len == 0)
		end_chunk(s);
}

size_t smtp_chunk_feed(struct smtp_session *s, const char *data, size_t len)
{
	size_t n = len < s->chunk.left ? len : (size_t)s->chunk.left;

	if (!s->chunk.refusal)
		smtp_spool_feed(s, data, n);
	s->chunk.left -= n;
	if (s->chunk.left == 0)
		end_chunk(s);
	return n;
}
