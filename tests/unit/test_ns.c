/* ns/1, head/1 and peer/1: there and back, and what is refused (p2pmta-protocol(7), section 3). */
#include "unit/unit.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/mail/ns.h"
#include "lib/mail/peer.h"

#define HEX64 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define B64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

/* A good ns, field by field; a case replaces, adds or drops one. */
static const char *const ns_fields[] = {
	"P2pMTA: ns/1", "From: alice@home", "To: bob@home", ("Hash: " HEX64), "Sealed-Size: 1234", "Size: 1000",
	("Digest: " HEX64), ("Key: " B64), ("Secret: " B64), "Issued: 2026-11-01T00:00:00Z",
	"Expires: 2026-12-01T00:00:00Z", "Url: http://127.0.0.1:4180", "Group: home", "Sender-Key: AAEC",
	("Contact-Secret: " B64), "Parts: 5/1 6/0",
};
static const char *const peer_fields[] = {
	"P2pMTA: peer/1", "Address: alice@home", "Key: AAEC", "Issued: 2026-11-01T00:00:00Z",
	"Expires: 2026-12-01T00:00:00Z", "Reachable-Until: 2026-11-02T00:00:00Z", "Serial: 1795255200000",
	"Url: http://127.0.0.1:4180", "Group: home", "Stamp: 18", "Tls-Pin: abc", "Accepts: ns/1 m/1",
};
static const char *const head_fields[] = {
	"P2pMTA: head/1", ("Hash: " HEX64), "Parts: 5/1 6/0", "Skeleton-Size: 4", "Piece-Size: 1048576",
};

/* "Name: ..." replaces the field of that name, "-Name:" drops it, "+..." adds a line. */
static bool is_same_field(const char *line, const char *edit)
{
	return strncmp(line, edit, (size_t)(strchr(edit, ':') - edit) + 1) == 0;
}

static struct bytes make(void *ctx, const char *const *fields, size_t n, const char *edit, const char *body)
{
	struct buf *b = buf_new(ctx, MIB(4));

	for (size_t i = 0; i < n; i++) {
		if (edit && edit[0] == '-' && is_same_field(fields[i], edit + 1))
			continue;
		bool replaced = edit && edit[0] != '-' && edit[0] != '+' && is_same_field(fields[i], edit);
		buf_addf(b, "%s\r\n", replaced ? edit : fields[i]);
	}
	if (edit && edit[0] == '+')
		buf_addf(b, "%s\r\n", edit + 1);
	record_print_body(b, bytes_str(body));
	return buf_bytes(b);
}

#define MAKE(ctx, fields, edit, body) make(ctx, fields, sizeof(fields) / sizeof((fields)[0]), edit, body)

static const struct { const char *name, *edit, *body; int want; } ns_cases[] = {
	{ "good", NULL, "skel", 0 },
	{ "unknown field", "+X: y", "skel", 0 },
	{ "pad", "+Pad: xxx", "skel", 0 },
	{ "no url", "-Url:", "skel", 0 },
	{ "no group", "-Group:", "skel", 0 },
	{ "no sender key", "-Sender-Key:", "skel", 0 },
	{ "no contact secret", "-Contact-Secret:", "skel", 0 },
	{ "no parts", "-Parts:", "skel", 0 },
	{ "second url", "+Url: https://a", "skel", 0 },
	{ "second parts", "+Parts: 7/7", "skel", 0 },
	{ "31 days", "Expires: 2026-12-02T00:00:00Z", "skel", 0 },
	{ "neither body nor head", "-Parts:", "", 0 },
	{ "must", "+Must-Understand: x", "skel", -1 },
	{ "must in other case", "+mUsT-x: x", "skel", -1 },
	{ "another type", "P2pMTA: peer/1", "skel", -1 },
	{ "no From", "-From:", "skel", -1 },
	{ "no To", "-To:", "skel", -1 },
	{ "no Hash", "-Hash:", "skel", -1 },
	{ "no Sealed-Size", "-Sealed-Size:", "skel", -1 },
	{ "no Size", "-Size:", "skel", -1 },
	{ "no Digest", "-Digest:", "skel", -1 },
	{ "no Key", "-Key:", "skel", -1 },
	{ "no Secret", "-Secret:", "skel", -1 },
	{ "no Issued", "-Issued:", "skel", -1 },
	{ "no Expires", "-Expires:", "skel", -1 },
	{ "From twice", "+From: alice@home", "skel", -1 },
	{ "from in other case twice", "+from: alice@home", "skel", -1 },
	{ "Hash twice", "+Hash: " HEX64, "skel", -1 },
	{ "Group twice", "+Group: home", "skel", -1 },
	{ "Sender-Key twice", "+Sender-Key: AAEC", "skel", -1 },
	{ "Contact-Secret twice", "+Contact-Secret: " B64, "skel", -1 },
	{ "Expires twice", "+Expires: 2026-12-01T00:00:00Z", "skel", -1 },
	{ "address not normal", "To: Bob@home", "skel", -1 },
	{ "short key", "Key: AAEC", "skel", -1 },
	{ "size too large", "Size: 4294967297", "skel", -1 },
	{ "sealed size negative", "Sealed-Size: -1", "skel", -1 },
	{ "expired when issued", "Expires: 2026-11-01T00:00:00Z", "skel", -1 },
	{ "over 31 days", "Expires: 2026-12-02T00:00:01Z", "skel", -1 },
	{ "parts with a tail", "Parts: 5/1 ", "skel", -1 },
	{ "parts with two spaces", "Parts: 5/1  6/0", "skel", -1 },
	{ "parts with one number", "Parts: 5", "skel", -1 },
	{ "parts empty", "Parts: ", "skel", -1 },
	{ "parts with more lines than octets", "Parts: 5/6", "skel", -1 },
	{ "parts with a leading zero", "Parts: 05/1", "skel", -1 },
	{ "second parts bad", "+Parts: x", "skel", -1 },
	{ "head and body", "+Head: " HEX64 " 7", "skel", -1 },
	{ "parts without body", NULL, "", -1 },
};

START_TEST(ns_table)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	size_t used;
	struct ns *n = ns_parse(ctx, MAKE(ctx, ns_fields, ns_cases[_i].edit, ns_cases[_i].body), &used, &e);

	ck_assert_msg((n ? 0 : -1) == ns_cases[_i].want, "case '%s': %s", ns_cases[_i].name, e.text);
	ck_assert_int_eq(n == NULL, e.text[0] != '\0');
	talloc_free(ctx);
}
END_TEST

static const struct { const char *value; int want; } ns_head_cases[] = {
	{ HEX64 " 7", 0 }, { HEX64 " 2097152", 0 }, { HEX64 " 2097153", -1 }, { HEX64 " 0", -1 }, { HEX64, -1 },
	{ HEX64 " ", -1 }, { HEX64 " 7 ", -1 }, { HEX64 "  7", -1 }, { HEX64 " 07", -1 }, { "7 " HEX64, -1 },
	{ "A" HEX64, -1 }, { "", -1 },
};

START_TEST(ns_head_table)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	struct buf *b = buf_new(ctx, 4096);
	size_t used;

	for (int i = 0; i < N_ROWS(ns_fields) - 1; i++)	/* all but Parts */
		buf_addf(b, "%s\r\n", ns_fields[i]);
	buf_addf(b, "Head: %s\r\n\r\n", ns_head_cases[_i].value);
	struct ns *n = ns_parse(ctx, buf_bytes(b), &used, &e);
	ck_assert_msg((n ? 0 : -1) == ns_head_cases[_i].want, "'%s': %s", ns_head_cases[_i].value, e.text);
	if (n) {
		ck_assert(n->has_head);
		ck_assert_uint_eq(n->head_hash[31], 31);
		ck_assert_uint_eq(n->skeleton.text.len, 0);
	}
	talloc_free(ctx);
}
END_TEST

static struct ns sample(void)
{
	struct ns n = {
		.from = "alice@home", .to = "bob@home", .sealed_size = 1234, .size = 1000,
		.issued_s = 1795255200, .expires_s = 1795255200 + 86400, .urls = { "http://a:1", "https://b" },
		.n_urls = 2, .group = "home", .sender_key = bytes_str("key"), .has_contact_secret = true,
		.skeleton = { bytes_str("Subject: x\r\n\r\n"), "5/1" },
	};

	memset(n.hash, 1, 32);
	memset(n.digest, 2, 32);
	memset(n.key, 3, 32);
	memset(n.secret, 4, 32);
	memset(n.contact_secret, 5, 32);
	return n;
}

START_TEST(ns_there_and_back)
{
	struct ns n = sample();
	struct buf *b = buf_new(NULL, 4096);
	struct err e;
	size_t used;

	ns_print(b, &n);
	ck_assert(!b->overflow);
	struct ns *m = ns_parse(b, buf_bytes(b), &used, &e);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(used, b->len);
	ck_assert_str_eq(m->from, n.from);
	ck_assert_str_eq(m->to, n.to);
	ck_assert_mem_eq(m->hash, n.hash, 32);
	ck_assert_mem_eq(m->digest, n.digest, 32);
	ck_assert_mem_eq(m->key, n.key, 32);
	ck_assert_mem_eq(m->secret, n.secret, 32);
	ck_assert(m->has_contact_secret);
	ck_assert_mem_eq(m->contact_secret, n.contact_secret, 32);
	ck_assert(m->sealed_size == n.sealed_size && m->size == n.size);
	ck_assert(m->issued_s == n.issued_s && m->expires_s == n.expires_s);
	ck_assert_uint_eq(m->n_urls, 2);
	ck_assert_str_eq(m->urls[1], "https://b");
	ck_assert_str_eq(m->group, "home");
	ck_assert(bytes_equal(m->sender_key, n.sender_key));
	ck_assert(!m->has_head);
	ck_assert(bytes_equal(m->skeleton.text, n.skeleton.text));
	ck_assert_str_eq(m->skeleton.parts, "5/1");
	talloc_free(b);
}
END_TEST

START_TEST(ns_with_head)
{
	struct ns n = sample();
	struct buf *b = buf_new(NULL, 4096);
	struct err e;
	size_t used;

	n.has_head = true;
	n.head_size = 77;
	memset(n.head_hash, 9, 32);
	n.group = NULL;
	n.n_urls = 0;
	n.sender_key.len = 0;
	n.has_contact_secret = false;
	ns_print(b, &n);
	struct ns *m = ns_parse(b, buf_bytes(b), &used, &e);
	ck_assert_ptr_nonnull(m);
	ck_assert(m->has_head && m->head_size == 77);
	ck_assert_mem_eq(m->head_hash, n.head_hash, 32);
	ck_assert_str_eq(m->skeleton.parts, "");
	ck_assert(!m->has_contact_secret && !m->group && m->n_urls == 0 && m->sender_key.len == 0);
	talloc_free(b);
}
END_TEST

/* Whatever the length of the rest and of what is before, all is a multiple of 512 octets. */
START_TEST(ns_pad_reaches)
{
	struct ns n = sample();
	struct buf *b = buf_new(NULL, MIB(4));
	char text[1200];
	size_t used;
	struct err e;

	memset(text, 'a', sizeof(text));
	for (size_t len = 0; len <= sizeof(text); len++) {
		n.skeleton.text = bytes_of(text, len);
		n.skeleton.parts = len ? "1/0" : "";
		struct buf *record = buf_new(b, MIB(1));
		ns_print(record, &n);
		buf_clear(b);
		buf_adds(b, "before");
		ns_add_padded(b, buf_bytes(record));
		ck_assert_msg(b->len % 512 == 0 && b->len == ns_padded_len(6 + record->len), "%zu", len);
		ck_assert_uint_le(b->len, 6 + record->len + 512 + 7);
		talloc_free(record);
		struct ns *m = ns_parse(b, bytes_of(b->data + 6, b->len - 6), &used, &e);
		ck_assert_msg(m && used == b->len - 6, "%zu", len);
		ck_assert_uint_eq(m->skeleton.text.len, len);
		talloc_free(m);
	}
	talloc_free(b);
}
END_TEST

START_TEST(ns_several)
{
	struct ns n = sample();
	struct buf *b = buf_new(NULL, MIB(1));
	struct err e;
	size_t at = 0, count = 0;

	for (uint64_t i = 0; i < LIMIT_NS_RECORDS; i++) {
		n.size = i;
		ns_print(b, &n);
	}
	for (size_t used; at < b->len; at += used) {
		struct ns *m = ns_parse(b, bytes_of(b->data + at, b->len - at), &used, &e);
		ck_assert_ptr_nonnull(m);
		ck_assert_uint_eq(m->size, count++);
	}
	ck_assert_uint_eq(at, b->len);
	ck_assert_uint_eq(count, LIMIT_NS_RECORDS);
	talloc_free(b);
}
END_TEST

static char *many_parts(const void *ctx, size_t n)
{
	struct buf *b = buf_new(ctx, MIB(1));

	for (size_t i = 0; i < n; i++)
		buf_addf(b, "%s%zu/%zu", i ? " " : "", 1000 + i, i % 1000);
	return b->data;
}

static const struct { size_t n; int want; } parts_cases[] = {
	{ 1, 0 }, { 100, 0 }, { 129, 0 }, { 130, 0 }, { 5000, 0 }, { LIMIT_MIME_PARTS, 0 }, { LIMIT_MIME_PARTS + 1, -1 },
};

/* More parts than a field holds. */
START_TEST(head_parts_table)
{
	void *ctx = mem_ctx(NULL);
	struct head h = { .skeleton = { bytes_str("s"), many_parts(ctx, parts_cases[_i].n) } };
	struct buf *b = buf_new(ctx, MIB(1));
	struct err e;

	head_print(b, &h);
	ck_assert(!b->overflow);
	for (const char *line = b->data; *line; line = strstr(line, "\r\n") + 2)
		if (strncmp(line, "Parts: ", 7) == 0)
			ck_assert_uint_le((size_t)(strstr(line, "\r\n") - line), 7 + PARTS_VALUE);
		else if (*line == 's')
			break;
	struct head *back = head_parse(ctx, buf_bytes(b), &e);
	ck_assert_int_eq(back ? 0 : -1, parts_cases[_i].want);
	if (back)
		ck_assert_str_eq(back->skeleton.parts, h.skeleton.parts);
	talloc_free(ctx);
}
END_TEST

#define PIECE "pppppppppppppppppppppppppppppppp"

static const struct { const char *name, *edit, *body; int want; } head_cases[] = {
	{ "good", NULL, "skel" PIECE, 0 },
	{ "two pieces", NULL, "skel" PIECE PIECE, 0 },
	{ "only pieces", "Skeleton-Size: 0", PIECE, 0 },
	{ "larger pieces", "Piece-Size: 4194304", "skel" PIECE, 0 },
	{ "no pieces", "-Piece-Size:", "skel", 0 },
	{ "must", "+Must-X: x", "skel" PIECE, -1 },
	{ "another type", "P2pMTA: ns/1", "skel" PIECE, -1 },
	{ "no Hash", "-Hash:", "skel" PIECE, -1 },
	{ "no Skeleton-Size", "-Skeleton-Size:", "skel" PIECE, -1 },
	{ "Skeleton-Size over the body", "Skeleton-Size: 37", "skel" PIECE, -1 },
	{ "Skeleton-Size twice", "+Skeleton-Size: 4", "skel" PIECE, -1 },
	{ "pieces without Piece-Size", "-Piece-Size:", "skel" PIECE, -1 },
	{ "Piece-Size without pieces", NULL, "skel", -1 },
	{ "half a piece", NULL, "skelppp", -1 },
	{ "Piece-Size no power of two", "Piece-Size: 3145728", "skel" PIECE, -1 },
	{ "Piece-Size too small", "Piece-Size: 524288", "skel" PIECE, -1 },
	{ "Piece-Size zero", "Piece-Size: 0", "skel" PIECE, -1 },
	{ "bad parts", "Parts: 1", "skel" PIECE, -1 },
};

START_TEST(head_table)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	struct head *h = head_parse(ctx, MAKE(ctx, head_fields, head_cases[_i].edit, head_cases[_i].body), &e);

	ck_assert_msg((h ? 0 : -1) == head_cases[_i].want, "case '%s': %s", head_cases[_i].name, e.text);
	talloc_free(ctx);
}
END_TEST

START_TEST(head_there_and_back)
{
	struct head h = { .skeleton = { bytes_str("skeleton"), "1/1 2/2" }, .piece_size = MIB(2),
		.pieces = bytes_str(PIECE PIECE PIECE) };
	struct buf *b = buf_new(NULL, 4096);
	struct err e;

	memset(h.hash, 1, 32);
	head_print(b, &h);
	struct head *back = head_parse(b, buf_bytes(b), &e);
	ck_assert_ptr_nonnull(back);
	ck_assert_mem_eq(back->hash, h.hash, 32);
	ck_assert(bytes_equal(back->skeleton.text, h.skeleton.text));
	ck_assert_str_eq(back->skeleton.parts, "1/1 2/2");
	ck_assert_uint_eq(back->piece_size, MIB(2));
	ck_assert(bytes_equal(back->pieces, h.pieces));
	buf_adds(b, "x");
	ck_assert_ptr_null(head_parse(b, buf_bytes(b), &e));
	talloc_free(b);
}
END_TEST

static const struct { uint64_t sealed, want; } piece_cases[] = {
	{ 0, 0 }, { MIB(1), 0 }, { MIB(1) + 1, MIB(1) }, { MIB(1024), MIB(1) }, { MIB(1024) + 1, MIB(2) },
	{ MIB(4096), MIB(4) },
};

START_TEST(head_piece_table)
{
	ck_assert_uint_eq(head_piece_size(piece_cases[_i].sealed), piece_cases[_i].want);
}
END_TEST

static const struct { const char *name, *edit; int want; } peer_cases[] = {
	{ "good", NULL, 0 },
	{ "no url", "-Url:", 0 },
	{ "no group", "-Group:", 0 },
	{ "no pin", "-Tls-Pin:", 0 },
	{ "accepts more", "Accepts: ns/2 ns/1 m/2 m/1", 0 },
	{ "must", "+Must-X: x", -1 },
	{ "another type", "P2pMTA: ns/1", -1 },
	{ "no Address", "-Address:", -1 },
	{ "no Key", "-Key:", -1 },
	{ "empty Key", "Key:", -1 },
	{ "Key twice", "+Key: AAEC", -1 },
	{ "no Issued", "-Issued:", -1 },
	{ "no Expires", "-Expires:", -1 },
	{ "no Reachable-Until", "-Reachable-Until:", -1 },
	{ "no Serial", "-Serial:", -1 },
	{ "no Stamp", "-Stamp:", -1 },
	{ "Stamp too high", "Stamp: 65", -1 },
	{ "no Accepts", "-Accepts:", -1 },
	{ "accepts another ns", "Accepts: ns/11 m/1", -1 },
	{ "accepts no m", "Accepts: ns/1 xm/1", -1 },
	{ "a body", "+Length: 1", -1 },
	{ "expires before it is issued", "Expires: 2026-10-01T00:00:00Z", -1 },
};

START_TEST(peer_table)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	struct peer *p = peer_parse(ctx, MAKE(ctx, peer_fields, peer_cases[_i].edit, ""), &e);

	ck_assert_msg((p ? 0 : -1) == peer_cases[_i].want, "case '%s': %s", peer_cases[_i].name, e.text);
	talloc_free(ctx);
}
END_TEST

START_TEST(peer_there_and_back)
{
	void *ctx = mem_ctx(NULL);
	struct err e;
	struct bytes in = MAKE(ctx, peer_fields, NULL, "");
	struct peer *p = peer_parse(ctx, in, &e);

	ck_assert_ptr_nonnull(p);
	ck_assert_str_eq(p->address, "alice@home");
	ck_assert(bytes_equal(p->key, bytes_of("\0\1\2", 3)));
	ck_assert_uint_eq(p->stamp, 18);
	ck_assert_uint_eq(p->serial, 1795255200000);
	ck_assert_int_eq(p->expires_s - p->issued_s, 30 * 86400);
	ck_assert_int_eq(p->reachable_until_s - p->issued_s, 86400);
	ck_assert_str_eq(p->tls_pin, "abc");
	struct buf *b = buf_new(ctx, 4096);
	peer_print(b, p);
	ck_assert(bytes_equal(buf_bytes(b), in));
	talloc_free(ctx);
}
END_TEST

UNIT_SUITE("ns")
{
	UNIT_LOOP(ns_table, ns_cases);
	UNIT_LOOP(ns_head_table, ns_head_cases);
	UNIT(ns_there_and_back);
	UNIT(ns_with_head);
	UNIT(ns_pad_reaches);
	UNIT(ns_several);
	UNIT_LOOP(head_parts_table, parts_cases);
	UNIT_LOOP(head_table, head_cases);
	UNIT(head_there_and_back);
	UNIT_LOOP(head_piece_table, piece_cases);
	UNIT_LOOP(peer_table, peer_cases);
	UNIT(peer_there_and_back);
}
UNIT_END
