/*
 * Each shape is a short list of packets. The walk knows lengths, the list
 * knows what may stand where, and the first octets of each body (never more
 * than PREFIX_MAX) are looked at as soon as they are there. gpg itself takes
 * a trailing second message, several signatures or a message without MDC, and
 * hands out plaintext with it; here such input ends before gpg sees it.
 */
#include "lib/mail/packets.h"

#include "lib/base/limits.h"
#include "lib/base/mem.h"

enum {
	TAG_PKESK = 1,
	TAG_SIGNATURE = 2,
	TAG_SKESK = 3,
	TAG_ONE_PASS = 4,
	TAG_COMPRESSED = 8,
	TAG_LITERAL = 11,
	TAG_SEIPD = 18,

	PREFIX_MAX = 16,
	STEPS_MAX = 3,
	FIRST_PARTIAL_MIN = 512,	/* RFC 4880 section 4.2.2.4 */
	SIGNATURE_MAX = 16 * 1024,
	SEIPD_MIN = 1 + 18 + 22,	/* version, random prefix, MDC */
};

struct step {
	unsigned tag;
	bool is_data;		/* may come in partial lengths */
	uint64_t min, max;	/* octets of the body; max 0: no limit */
	size_t need;		/* octets of the body that is_good looks at */
	bool (*is_good)(const uint8_t *body);
};

/* RFC 4880 section 5.1: version 3, key ID zero. */
static bool is_good_pkesk(const uint8_t *body)
{
	unsigned id = 0;

	for (int i = 1; i <= 8; i++)
		id |= body[i];
	return body[0] == 3 && id == 0;
}

/* Section 5.3: version 4, AES-256, S2K simple or salted. */
static bool is_good_skesk(const uint8_t *body)
{
	return body[0] == 4 && body[1] == 9 && body[2] <= 1;
}

/* Section 5.13. */
static bool is_good_seipd(const uint8_t *body)
{
	return body[0] == 1;
}

static bool is_sha2(uint8_t hash)
{
	return hash == 8 || hash == 9 || hash == 10;
}

/* Section 5.4: version 3, binary, SHA-256 or longer, and the next packet is not another one-pass. */
static bool is_good_one_pass(const uint8_t *body)
{
	return body[0] == 3 && body[1] == 0 && is_sha2(body[2]) && body[12] == 1;
}

/* Section 5.2.3: version 4, binary, SHA-256 or longer. */
static bool is_good_signature(const uint8_t *body)
{
	return body[0] == 4 && body[1] == 0 && is_sha2(body[3]);
}

static const struct step steps[][STEPS_MAX + 1] = {
	[PACKETS_NS] = {
		{ TAG_PKESK, false, 10, LIMIT_PKESK, 9, is_good_pkesk },
		{ TAG_SEIPD, true, SEIPD_MIN, 0, 1, is_good_seipd },
	},
	[PACKETS_SHARED] = {
		{ TAG_PKESK, false, 10, LIMIT_PKESK, 9, is_good_pkesk },
		{ TAG_SEIPD, true, SEIPD_MIN, 0, 1, is_good_seipd },
	},
	[PACKETS_SEALED] = {
		{ TAG_SKESK, false, 4, 4 + 8 + 33, 3, is_good_skesk },
		{ TAG_SEIPD, true, SEIPD_MIN, 0, 1, is_good_seipd },
	},
	[PACKETS_SIGNED] = {
		{ TAG_ONE_PASS, false, 13, 13, 13, is_good_one_pass },
		{ TAG_LITERAL, true, 6, 0, 0, NULL },
		{ TAG_SIGNATURE, false, 10, SIGNATURE_MAX, 4, is_good_signature },
	},
};

/* In place of all of PACKETS_SIGNED; gpg lets it run to the end of the input. */
static const struct step compressed[] = {
	{ TAG_COMPRESSED, true, 2, 0, 0, NULL },
	{ 0, false, 0, 0, 0, NULL },
};

enum state { STATE_TAG, STATE_LENGTH, STATE_BODY, STATE_BAD };

struct packets {
	enum packets_shape shape;
	const struct step *step;	/* the packet we are in, or wait for; tag 0: the end */
	enum state state;
	bool old_format;
	bool partial;			/* more pieces follow this one */
	bool endless;			/* old format without a length */
	bool first_piece;
	unsigned tag_octet;
	uint8_t length[5];
	size_t n_length;
	size_t n_more;			/* PKESK after the first one */
	uint64_t left;			/* of this piece */
	uint64_t total;			/* octets of the body so far */
	uint8_t prefix[PREFIX_MAX];
};

static void start(struct packets *p, enum packets_shape shape)
{
	*p = (struct packets){ .shape = shape, .step = steps[shape] };
}

static int bad(struct packets *p, const char *why, struct err *e)
{
	p->state = STATE_BAD;
	err_set(e, "OpenPGP framing: %s", why);
	return -1;
}

static int begin_packet(struct packets *p, uint8_t octet, struct err *e)
{
	if (!(octet & 0x80))
		return bad(p, "no packet where one should be", e);
	p->old_format = !(octet & 0x40);
	p->tag_octet = octet;

	unsigned tag = p->old_format ? (octet >> 2) & 15 : octet & 63;
	if (p->shape == PACKETS_SIGNED && p->step == steps[p->shape] && tag == TAG_COMPRESSED)
		p->step = compressed;
	if (p->shape == PACKETS_SHARED && p->step == steps[p->shape] + 1 && tag == TAG_PKESK &&
	    ++p->n_more < LIMIT_GROUP_MEMBERS)
		p->step = steps[p->shape];
	if (p->step->tag == 0)
		return bad(p, "something follows the last packet", e);
	if (p->step->tag != tag)
		return bad(p, "not the packet that should be here", e);
	p->total = 0;
	p->n_length = 0;
	p->first_piece = true;
	p->partial = p->endless = false;
	p->state = STATE_LENGTH;
	if (p->old_format && (octet & 3) == 3) {
		if (!p->step->is_data)
			return bad(p, "a packet without a length", e);
		p->endless = true;
		p->state = STATE_BODY;
	}
	return 0;
}

static int end_packet(struct packets *p, struct err *e)
{
	if (p->total < p->step->min)
		return bad(p, "a packet that is too short", e);
	p->step++;
	p->state = STATE_TAG;
	return 0;
}

static uint64_t big_endian(const uint8_t *octets, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | octets[i];
	return value;
}

/* 1: known, in left and partial; 0: more octets needed. */
static int new_length(struct packets *p)
{
	unsigned first = p->length[0];

	if (first < 192) {
		p->left = first;
	} else if (first < 224) {
		if (p->n_length < 2)
			return 0;
		p->left = ((first - 192) << 8) + p->length[1] + 192;
	} else if (first < 255) {
		p->left = (uint64_t)1 << (first & 31);
	} else {
		if (p->n_length < 5)
			return 0;
		p->left = big_endian(p->length + 1, 4);
	}
	p->partial = first >= 224 && first < 255;
	return 1;
}

static int old_length(struct packets *p)
{
	size_t n = (size_t)1 << (p->tag_octet & 3);

	if (p->n_length < n)
		return 0;
	p->left = big_endian(p->length, n);
	return 1;
}

static int add_length(struct packets *p, uint8_t octet, struct err *e)
{
	p->length[p->n_length++] = octet;
	if (!(p->old_format ? old_length(p) : new_length(p)))
		return 0;
	if (p->partial && (!p->step->is_data || (p->first_piece && p->left < FIRST_PARTIAL_MIN)))
		return bad(p, "a partial length where none may be", e);
	if (p->step->max > 0 && p->left > p->step->max)
		return bad(p, "a packet that is too long", e);
	p->first_piece = false;
	p->n_length = 0;
	p->state = STATE_BODY;
	return p->left > 0 || p->partial ? 0 : end_packet(p, e);
}

/* Octets of in that belong to this piece. */
static int add_body(struct packets *p, struct bytes in, size_t *used_out, struct err *e)
{
	const struct step *step = p->step;
	size_t n = !p->endless && in.len > p->left ? (size_t)p->left : in.len;
	uint64_t before = p->total;

	for (size_t i = 0; i < n && before + i < step->need; i++)
		p->prefix[before + i] = in.data[i];
	p->total += n;
	*used_out = n;
	if (before < step->need && p->total >= step->need && !step->is_good(p->prefix))
		return bad(p, "a packet of a kind that we do not take", e);
	if (p->endless)
		return 0;
	p->left -= n;
	if (p->left > 0)
		return 0;
	if (p->partial) {
		p->state = STATE_LENGTH;
		return 0;
	}
	return end_packet(p, e);
}

/* An SKESK is exactly version, cipher, S2K - and perhaps one encrypted key. */
static bool is_skesk_length(const struct packets *p)
{
	uint64_t s2k = p->prefix[2] == 0 ? 4 : 12;

	return p->total == s2k || p->total == s2k + 33;
}

int packets_feed(struct packets *p, struct bytes in, struct err *e)
{
	size_t at = 0;

	while (at < in.len) {
		size_t used = 1;
		int res;
		const struct step *was = p->step;
		switch (p->state) {
		case STATE_TAG:
			res = begin_packet(p, in.data[at], e);
			break;
		case STATE_LENGTH:
			res = add_length(p, in.data[at], e);
			break;
		case STATE_BODY:
			res = add_body(p, bytes_of(in.data + at, in.len - at), &used, e);
			break;
		case STATE_BAD:
		default:
			return bad(p, "fed on after an error", e);
		}
		if (res < 0)
			return -1;
		if (was != p->step && was->tag == TAG_SKESK && !is_skesk_length(p))
			return bad(p, "a session key packet of a wrong length", e);
		at += used;
	}
	return 0;
}

int packets_end(struct packets *p, struct err *e)
{
	if (p->state == STATE_BODY && p->endless && end_packet(p, e) < 0)
		return -1;
	if (p->state != STATE_TAG || p->step->tag != 0)
		return bad(p, "it ends too early", e);
	return 0;
}

int packets_check(enum packets_shape shape, struct bytes in, struct err *e)
{
	struct packets p;

	start(&p, shape);
	return packets_feed(&p, in, e) < 0 ? -1 : packets_end(&p, e);
}

struct packets *packets_new(const void *ctx, enum packets_shape shape)
{
	struct packets *p = mem_zero(ctx, struct packets);

	start(p, shape);
	return p;
}
