/*
 * Five states, and runs of octets between the few that matter: a run is put
 * as a whole, so the cost per octet is that of three memchr. In the header
 * phase runs are gathered and rewritten at its end; what "field" and "fold"
 * mean there is lib/mime's word, the same that later reads the message.
 */
#include "way/smtp/data.h"

#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"
#include "lib/mime/header.h"

enum state {
	LINE_START,
	TEXT,
	CR,		/* after a CR in a line; it was not put yet */
	DOT,		/* after a dot at the start of a line; it will not be put */
	DOT_CR,
};

struct data {
	struct data_settings set;
	enum state state;
	enum data_verdict verdict;
	bool in_header;
	bool is_first_line;
	size_t line_len;	/* of the line we are in, as put */
	uint64_t size;
	struct buf *header;
	const char *message_id, *subject;
};

struct data *data_new(const void *ctx, const struct data_settings *set)
{
	struct data *d = mem_zero(ctx, struct data);

	d->set = *set;
	d->set.address = mem_strdup(d, set->address);
	d->set.date = mem_strdup(d, set->date);
	d->set.message_id = mem_strdup(d, set->message_id);
	d->in_header = d->is_first_line = true;
	d->header = buf_new(d, LIMIT_MIME_HEADER);
	d->message_id = d->subject = mem_strdup(d, "");
	return d;
}

/* The first fault is the one that is told. */
static void spoil(struct data *d, enum data_verdict verdict)
{
	if (d->verdict == DATA_GOOD)
		d->verdict = verdict;
}

static void put(struct data *d, const void *octets, size_t len)
{
	if (d->verdict != DATA_GOOD || len == 0)
		return;
	if (len > d->set.max_size - d->size) {
		spoil(d, DATA_TOO_BIG);
		return;
	}
	d->size += len;
	d->set.put(d->set.arg, octets, len);
}

static void put_field(struct data *d, const char *name, const char *value)
{
	put(d, name, strlen(name));
	put(d, ": ", 2);
	put(d, value, strlen(value));
	put(d, "\r\n", 2);
}

struct header {
	struct bytes block;
	bool has_field, has_date, has_message_id, is_record, is_resent;
	size_t n_from;		/* mailboxes in all From fields */
	bool is_own;		/* the last of them is ours */
	bool is_resent_by_us;	/* as the first Resent-From says, which is the last that was added */
	char *message_id;
};

static bool is_own_address(const struct data *d, const char *mailbox)
{
	char base[LIMIT_ADDRESS + 1];

	return mailbox && addr_parse_base(mailbox, base) == 0 && strcmp(base, d->set.address) == 0;
}

static void look_at_from(const struct data *d, struct header *h, struct bytes whole)
{
	void *tmp = mem_ctx(NULL);
	size_t n = 0;
	char *value = header_get(tmp, whole, "From");

	h->is_own = value && is_own_address(d, header_mailbox(tmp, value, &n));
	/* An empty From or one that cannot be read is a From that is not ours. */
	h->n_from += n ? n : 1;
	talloc_free(tmp);
}

static bool is_own_resent_from(const struct data *d, struct bytes whole)
{
	void *tmp = mem_ctx(NULL);
	size_t n = 0;
	char *value = header_get(tmp, whole, "Resent-From");
	bool is_own = value && is_own_address(d, header_mailbox(tmp, value, &n)) && n == 1;

	talloc_free(tmp);
	return is_own;
}

static bool is_empty(struct bytes value)
{
	size_t n = 0;

	while (n < value.len && strchr(" \t\r\n", value.data[n]))
		n++;
	return n == value.len;
}

/* What is not for receivers; and a Date or Message-ID that says nothing, which is as good as missing. */
static bool is_dropped(struct bytes name, struct bytes value)
{
	return header_is(name, "Bcc") || header_is(name, "Resent-Bcc") ||
	    ((header_is(name, "Date") || header_is(name, "Message-ID")) && is_empty(value));
}

static void look_at_header(const struct data *d, struct header *h)
{
	struct bytes name, value, whole;

	for (size_t pos = 0; header_next(h->block, &pos, &name, &value, &whole);) {
		if (is_dropped(name, value))
			continue;
		if (!h->has_field)
			h->is_record = header_is(name, "P2pMTA");
		h->has_field = true;
		h->has_date |= header_is(name, "Date");
		if (header_is(name, "Message-ID") && !h->has_message_id) {
			h->has_message_id = true;
			h->message_id = header_get(d, whole, "Message-ID");
		}
		if (header_is(name, "Resent-From") && !h->is_resent) {
			h->is_resent = true;
			h->is_resent_by_us = is_own_resent_from(d, whole);
		}
		if (header_is(name, "From"))
			look_at_from(d, h, whole);
	}
}

/* All but the dropped fields; lines that are no fields stay where they are. */
static void put_header(struct data *d, struct bytes block)
{
	struct bytes name, value, whole;
	size_t kept = 0;

	for (size_t pos = 0; header_next(block, &pos, &name, &value, &whole);) {
		if (!is_dropped(name, value))
			continue;
		size_t begin = (size_t)(whole.data - block.data);
		put(d, block.data + kept, begin - kept);
		kept = begin + whole.len;
	}
	put(d, block.data + kept, block.len - kept);
}

/* The header block is all here (with its empty line, if it has one), or there is none. */
static void end_header(struct data *d, bool is_block)
{
	struct bytes all = buf_bytes(d->header);
	struct header h = { .block = is_block ? all : bytes_of(all.data, 0) };

	d->in_header = false;
	look_at_header(d, &h);
	if (h.is_record)
		spoil(d, DATA_RECORD);
	/* Receivers demand it of every message (p2pmta-protocol(7), Trust), so one without is refused here. */
	if (h.n_from != 1 || !h.is_own)
		spoil(d, h.is_resent ? DATA_RESENT : DATA_FROM);
	if (h.is_resent && !h.is_resent_by_us)
		spoil(d, DATA_RESENT_FROM);
	if (!h.has_date)
		put_field(d, "Date", d->set.date);
	if (!h.has_message_id)
		put_field(d, "Message-ID", d->set.message_id);
	if (!h.has_message_id)
		d->message_id = d->set.message_id;
	else if (h.message_id)
		d->message_id = h.message_id;
	char *subject = header_get(d, h.block, "Subject");
	if (subject)
		d->subject = subject;
	if (!is_block && all.len > 0)
		put(d, "\r\n", 2);
	if (is_block)
		put_header(d, all);
	else
		put(d, all.data, all.len);
	TALLOC_FREE(d->header);
}

static void add(struct data *d, const char *octets, size_t len)
{
	if (!d->in_header) {
		put(d, octets, len);
	} else if (d->verdict == DATA_GOOD && len > 0) {
		if (!buf_add(d->header, octets, len))
			spoil(d, DATA_LONG_HEADER);
	}
}

/* Is the first line a field, as lib/mime sees it? */
static bool begins_with_field(struct bytes block)
{
	struct bytes name, value, whole;
	size_t pos = 0;

	return header_next(block, &pos, &name, &value, &whole) && whole.data == block.data;
}

/* A line was added with its CRLF. */
static void end_line(struct data *d)
{
	bool is_empty = d->line_len == 0;
	bool was_first = d->is_first_line;

	d->state = LINE_START;
	d->line_len = 0;
	d->is_first_line = false;
	if (!d->in_header || d->verdict != DATA_GOOD)
		return;
	if (is_empty)
		end_header(d, true);
	else if (was_first && !begins_with_field(buf_bytes(d->header)))
		end_header(d, false);
}

static void end_data(struct data *d)
{
	if (d->in_header && d->verdict == DATA_GOOD)
		end_header(d, true);
}

/* Octets up to the next CR, LF or NUL. */
static size_t text_len(const char *in, size_t len)
{
	const char *cr = memchr(in, '\r', len);
	size_t n = cr ? (size_t)(cr - in) : len;
	const char *lf = memchr(in, '\n', n);

	if (lf)
		n = (size_t)(lf - in);
	const char *nul = memchr(in, '\0', n);
	return nul ? (size_t)(nul - in) : n;
}

/* Text of a line, at least one octet; returns how many were used. */
static size_t feed_text(struct data *d, const char *in, size_t len)
{
	size_t n = text_len(in, len);

	add(d, in, n);
	d->line_len += n;
	if (d->line_len + 2 > DATA_LINE_MAX)
		spoil(d, DATA_LONG_LINE);
	d->state = TEXT;
	if (n == len)
		return n;
	if (in[n] == '\r')
		d->state = CR;
	else
		spoil(d, in[n] == '\0' ? DATA_NUL : DATA_BARE);
	return n + 1;
}

/* After a CR; a second CR stands for a first that was bare. */
static size_t feed_after_cr(struct data *d, char c)
{
	if (c == '\n') {
		add(d, "\r\n", 2);
		end_line(d);
		return 1;
	}
	spoil(d, DATA_BARE);
	d->state = TEXT;
	return 0;
}

size_t data_feed(struct data *d, const char *in, size_t len, bool *end_out)
{
	size_t at = 0;

	*end_out = false;
	while (at < len) {
		char c = in[at];
		switch (d->state) {
		case LINE_START:
			if (c == '.') {
				d->state = DOT;
				at++;
				break;
			}
			/* fall through */
		case TEXT:
			at += feed_text(d, in + at, len - at);
			break;
		case CR:
			at += feed_after_cr(d, c);
			break;
		case DOT:
			d->state = c == '\r' ? DOT_CR : TEXT;
			at += c == '\r';
			break;
		case DOT_CR:
			if (c == '\n') {
				end_data(d);
				*end_out = true;
				return at + 1;
			}
			at += feed_after_cr(d, c);
			break;
		}
	}
	return at;
}

void data_feed_chunk(struct data *d, const char *in, size_t len)
{
	for (size_t at = 0; at < len;)
		at += d->state == CR ? feed_after_cr(d, in[at]) : feed_text(d, in + at, len - at);
}

void data_end_chunks(struct data *d)
{
	if (d->state == CR)
		spoil(d, DATA_BARE);
	else if (d->state == TEXT)
		data_feed_chunk(d, "\r\n", 2);
	end_data(d);
}

enum data_verdict data_verdict(const struct data *d)
{
	return d->verdict;
}

const char *data_reply(enum data_verdict verdict)
{
	switch (verdict) {
	case DATA_GOOD:
		break;
	case DATA_BARE:
		return "550 5.6.0 A line end that is not CR LF";
	case DATA_NUL:
		return "550 5.6.0 A NUL octet in the message";
	case DATA_LONG_LINE:
		return "550 5.6.0 A line that is too long";
	case DATA_LONG_HEADER:
		return "550 5.6.0 The header is too long";
	case DATA_RECORD:
		return "550 5.6.0 The first field must not be P2pMTA";
	case DATA_FROM:
		return "550 5.7.1 From must be your own address, once";
	case DATA_RESENT:
		return "550 5.7.1 A message of somebody else cannot be resent, only forwarded: From must be your own address, Resent-From does not count";
	case DATA_RESENT_FROM:
		return "550 5.7.1 Resent-From must be your own address";
	case DATA_TOO_BIG:
		return "552 5.3.4 Message is too big";
	}
	return "250 2.0.0 Ok";
}

uint64_t data_size(const struct data *d)
{
	return d->size;
}

const char *data_message_id(const struct data *d)
{
	return d->message_id;
}

const char *data_subject(const struct data *d)
{
	return d->subject;
}
