/* group/1, join/1, invites and what a member shows (p2pmta-protocol(7), sections 3, 7 and 8). */
#include "unit/unit.h"

#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/mail/join.h"
#include "lib/mail/member.h"

#define FPR_A "0123456789ABCDEF0123456789ABCDEF01234567"
#define FPR_B "89ABCDEF0123456789ABCDEF0123456789ABCDEF"
#define B64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static const char *const group_fields[] = {
	"P2pMTA: group/1", "Group: home", ("Master: alice@home " FPR_A), ("Successor: carol@home " FPR_B),
	"Issued: 2026-11-01T00:00:00Z", "Expires: 2027-01-30T00:00:00Z", "Serial: 1795255200000",
	("Member: alice@home " FPR_A), ("Member: bob@home " FPR_B), ("Member: carol@home " FPR_B),
};
static const char *const join_fields[] = {
	"P2pMTA: join/1", "Group: home", "Address: bob@home", ("Fingerprint: " FPR_A), "Key: AAEC",
	"Issued: 2026-11-01T00:00:00Z", "Expires: 2026-11-02T00:00:00Z", ("Mac: " B64),
};

/* "Name: ..." replaces the field of that name, "-Name:" drops it, "+..." adds a line at the end. */
static bool is_same_field(const char *line, const char *edit)
{
	return strncmp(line, edit, (size_t)(strchr(edit, ':') - edit) + 1) == 0;
}

static struct bytes make(void *ctx, const char *const *fields, size_t n, const char *edit)
{
	struct buf *b = buf_new(ctx, MIB(1));

	for (size_t i = 0; i < n; i++) {
		if (edit && edit[0] == '-' && is_same_field(fields[i], edit + 1))
			continue;
		bool replaced = edit && edit[0] != '-' && edit[0] != '+' && is_same_field(fields[i], edit);
		buf_addf(b, "%s\r\n", replaced ? edit : fields[i]);
	}
	if (edit && edit[0] == '+')
		buf_addf(b, "%s\r\n", edit + 1);
	buf_adds(b, "\r\n");
	return buf_bytes(b);
}

#define MAKE(ctx, fields, edit) make(ctx, fields, sizeof(fields) / sizeof((fields)[0]), edit)

/* --- group/1 --- */

static const struct { const char *name, *edit; int want; } group_cases[] = {
	{ "good", NULL, 0 },
	{ "no successor", "-Successor:", 0 },
	{ "successor who is no member", "Successor: dave@home " FPR_B, 0 },
	{ "member behind the others", "+Member: dave@work.example " FPR_A, 0 },
	{ "member in UTF-8", "+Member: \xc3\xbcte@home " FPR_A, 0 },
	{ "unknown field", "+X: y", 0 },
	{ "must", "+Must-Understand: x", -1 },
	{ "another type", "P2pMTA: peer/1", -1 },
	{ "no Group", "-Group:", -1 },
	{ "no Master", "-Master:", -1 },
	{ "no Issued", "-Issued:", -1 },
	{ "no Expires", "-Expires:", -1 },
	{ "no Serial", "-Serial:", -1 },
	{ "no Member", "-Member:", -1 },
	{ "Group twice", "+Group: home", -1 },
	{ "Master twice", "+Master: alice@home " FPR_A, -1 },
	{ "Serial twice", "+Serial: 1", -1 },
	{ "group not normal", "Group: Home", -1 },
	{ "master not normal", "Master: Alice@home " FPR_A, -1 },
	{ "master without fingerprint", "Master: alice@home", -1 },
	{ "master with a short fingerprint", "Master: alice@home 0123", -1 },
	{ "master with a long fingerprint", "Master: alice@home " FPR_A "0", -1 },
	{ "master with a fingerprint in small letters", "Master: alice@home 0123456789abcdef0123456789abcdef01234567", -1 },
	{ "master with two spaces", "Master: alice@home  " FPR_A, -1 },
	{ "master with a tail", "Master: alice@home " FPR_A " ", -1 },
	{ "master is no address", "Master: alice " FPR_A, -1 },
	{ "master is no member", "Master: mallory@home " FPR_A, -1 },
	{ "master with the fingerprint of another", "Master: alice@home " FPR_B, -1 },
	{ "successor twice", "+Successor: carol@home " FPR_B, -1 },
	{ "successor with another key than as a member", "Successor: carol@home " FPR_A, -1 },
	{ "member twice", "+Member: carol@home " FPR_B, -1 },
	{ "member twice with two keys", "+Member: carol@home " FPR_A, -1 },
	{ "member out of order", "+Member: bill@home " FPR_A, -1 },
	{ "member is no address", "+Member: dave " FPR_A, -1 },
	{ "serial too large", "Serial: 9223372036854775808", -1 },
	{ "expired when issued", "Expires: 2026-11-01T00:00:00Z", -1 },
};

START_TEST(group_table)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	struct bytes in = MAKE(ctx, group_fields, group_cases[_i].edit);
	struct group *g = group_parse(ctx, in, &e);

	ck_assert_msg((g ? 0 : -1) == group_cases[_i].want, "case '%s': %s", group_cases[_i].name, e.text);
	ck_assert_int_eq(g == NULL, e.text[0] != '\0');
	if (g && strcmp(group_cases[_i].name, "unknown field") != 0) {
		struct buf *b = buf_new(ctx, MIB(1));
		group_print(b, g);
		ck_assert_msg(bytes_equal(buf_bytes(b), in), "case '%s':\n%s", group_cases[_i].name, b->data);
	}
	talloc_free(ctx);
}
END_TEST

START_TEST(group_fields_and_order)
{
	struct group_named members[] = { { "carol@home", FPR_B }, { "alice@home", FPR_A }, { "bob@home", FPR_B } };
	struct group g = {
		.name = "home", .master = { "alice@home", FPR_A }, .members = members, .n_members = 3,
		.successors = members, .n_successors = 1,
		.issued_s = 1795255200, .expires_s = 1795255200 + 90 * 86400, .serial = 1795255200000,
	};
	struct buf *b = buf_new(NULL, MIB(1));
	struct err e;

	group_print(b, &g);
	ck_assert_str_eq(members[0].address, "carol@home");
	struct group *h = group_parse(b, buf_bytes(b), &e);
	ck_assert_ptr_nonnull(h);
	ck_assert_str_eq(h->name, "home");
	ck_assert_str_eq(h->master.address, "alice@home");
	ck_assert_str_eq(h->master.fpr, FPR_A);
	ck_assert_uint_eq(h->n_members, 3);
	ck_assert_str_eq(h->members[2].address, "carol@home");
	ck_assert_uint_eq(h->n_successors, 1);
	ck_assert_str_eq(h->successors[0].address, "carol@home");
	ck_assert_uint_eq(h->serial, g.serial);
	ck_assert_int_eq(h->issued_s, g.issued_s);
	ck_assert_int_eq(h->expires_s, g.expires_s);
	ck_assert_str_eq(group_find(h, "bob@home")->fpr, FPR_B);
	ck_assert_ptr_null(group_find(h, "dave@home"));
	talloc_free(b);
}
END_TEST

static struct group *group_of(void *ctx, int n)
{
	struct buf *b = buf_new(ctx, MIB(1));
	struct err e;

	buf_adds(b, "P2pMTA: group/1\r\nGroup: home\r\nMaster: m000@home " FPR_A "\r\nIssued: 2026-11-01T00:00:00Z\r\n"
	    "Expires: 2027-01-30T00:00:00Z\r\nSerial: 1\r\n");
	for (int i = 0; i < n; i++)
		buf_addf(b, "Member: m%03d@home " FPR_A "\r\n", i);
	buf_adds(b, "\r\n");
	return group_parse(ctx, buf_bytes(b), &e);
}

START_TEST(group_size)
{
	void *ctx = mem_ctx(NULL);

	ck_assert_uint_eq(group_of(ctx, LIMIT_GROUP_MEMBERS)->n_members, LIMIT_GROUP_MEMBERS);
	ck_assert_ptr_null(group_of(ctx, LIMIT_GROUP_MEMBERS + 1));
	talloc_free(ctx);
}
END_TEST

/* --- join/1 --- */

static const struct { const char *name, *edit; int want; } join_cases[] = {
	{ "good", NULL, 0 },
	{ "unknown field", "+X: y", 0 },
	{ "must", "+Must-Understand: x", -1 },
	{ "another type", "P2pMTA: ns/1", -1 },
	{ "no Group", "-Group:", -1 },
	{ "no Address", "-Address:", -1 },
	{ "no Fingerprint", "-Fingerprint:", -1 },
	{ "no Key", "-Key:", -1 },
	{ "no Issued", "-Issued:", -1 },
	{ "no Expires", "-Expires:", -1 },
	{ "no Mac", "-Mac:", -1 },
	{ "Mac twice", "+Mac: " B64, -1 },
	{ "Address twice", "+Address: bob@home", -1 },
	{ "address not normal", "Address: Bob@home", -1 },
	{ "fingerprint too short", "Fingerprint: 0123", -1 },
	{ "fingerprint in small letters", "Fingerprint: 0123456789abcdef0123456789abcdef01234567", -1 },
	{ "key empty", "Key: ", -1 },
	{ "mac too short", "Mac: AAEC", -1 },
	{ "expired when issued", "Expires: 2026-11-01T00:00:00Z", -1 },
	{ "over 24 hours", "Expires: 2026-11-02T00:00:01Z", -1 },
};

START_TEST(join_table)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	struct bytes in = MAKE(ctx, join_fields, join_cases[_i].edit);
	struct join *j = join_parse(ctx, in, &e);

	ck_assert_msg((j ? 0 : -1) == join_cases[_i].want, "case '%s': %s", join_cases[_i].name, e.text);
	ck_assert_int_eq(j == NULL, e.text[0] != '\0');
	if (j && join_cases[_i].edit == NULL) {
		struct buf *b = buf_new(ctx, MIB(1));
		join_print(b, j);
		ck_assert_msg(bytes_equal(buf_bytes(b), in), "%s", b->data);
		ck_assert_str_eq(j->address, "bob@home");
		ck_assert_str_eq(j->fpr, FPR_A);
		ck_assert_str_eq(j->group, "home");
		ck_assert_uint_eq(j->mac[31], 31);
		ck_assert_int_eq(j->expires_s - j->issued_s, 86400);
	}
	talloc_free(ctx);
}
END_TEST

/* Values by Python's hmac. */
START_TEST(join_proofs)
{
	uint8_t secret[INVITE_SECRET_LEN], mac[32], token[16];
	char hex[DIGEST_HEX];

	memset(secret, 7, sizeof(secret));
	join_mac(secret, FPR_A, "bob@home", mac);
	hex_print(bytes_of(mac, 32), hex);
	ck_assert_str_eq(hex, "94793c64e7e17dbef26a139780e35277ae490f5786c47f8e897d063043dc1045");
	join_token(secret, bytes_str("message"), token);
	hex_print(bytes_of(token, 16), hex);
	ck_assert_str_eq(hex, "75ddb959051c93205f33b0ea853c41d5");
}
END_TEST

/* --- invites --- */

static struct invite sample(void)
{
	struct invite i = {
		.group = "home", .master = { "alice@home", FPR_A }, .network = 4180,
		.bootstrap = { "192.0.2.1:4222", "[2001:db8::1]:4222" }, .n_bootstrap = 2,
		.urls = { "http://192.0.2.1:4180" }, .n_urls = 1, .expires_s = 1795255200,
	};

	memset(i.secret, 0xfb, sizeof(i.secret));
	return i;
}

START_TEST(invite_there_and_back)
{
	struct invite i = sample();
	void *ctx = mem_ctx(NULL);
	struct err e;
	char *text = invite_print(ctx, &i);

	ck_assert_int_eq(strncmp(text, "p2pmta1.", 8), 0);
	ck_assert_uint_eq(strspn(text + 8, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(text + 8));
	struct invite *j = invite_parse(ctx, text, &e);
	ck_assert_ptr_nonnull(j);
	ck_assert_str_eq(j->group, "home");
	ck_assert_str_eq(j->master.address, "alice@home");
	ck_assert_str_eq(j->master.fpr, FPR_A);
	ck_assert_uint_eq(j->network, 4180);
	ck_assert_uint_eq(j->n_bootstrap, 2);
	ck_assert_str_eq(j->bootstrap[1], "[2001:db8::1]:4222");
	ck_assert_uint_eq(j->n_urls, 1);
	ck_assert_str_eq(j->urls[0], "http://192.0.2.1:4180");
	ck_assert_int_eq(j->expires_s, i.expires_s);
	ck_assert_mem_eq(j->secret, i.secret, sizeof(i.secret));

	/* As a terminal or a mail client folds it. */
	char *folded = mem_printf(ctx, " %.30s\r\n  %.20s\n\t%s\n", text, text + 30, text + 50);
	ck_assert_ptr_nonnull(invite_parse(ctx, folded, &e));

	/* Every cut and every changed character but for luck: what is left is another secret at most. */
	for (size_t len = 0; len < strlen(text); len++)
		ck_assert_ptr_null(invite_parse(ctx, mem_strndup(ctx, text, len), &e));
	talloc_free(ctx);
}
END_TEST

START_TEST(invite_too_long)
{
	struct invite i = sample();
	void *ctx = mem_ctx(NULL);
	struct err e;

	i.urls[1] = mem_printf(ctx, "http://%0900d", 0);
	i.n_urls = 2;
	ck_assert_uint_le(strlen(invite_print(ctx, &i)), INVITE_TEXT_MAX);
	i.urls[2] = i.urls[1];
	i.n_urls = 3;
	ck_assert_ptr_null(invite_print(ctx, &i));
	ck_assert_ptr_null(invite_parse(ctx, mem_printf(ctx, "p2pmta1.%02048d", 0), &e));
	talloc_free(ctx);
}
END_TEST

#define GROUP "group home\n"
#define MASTER "master alice@home " FPR_A "\n"
#define NET "network 1\n"
#define END_ "expires 2026-11-21T10:00:00Z\nsecret " B64 "\n"
#define NODES4 "bootstrap a:1\nbootstrap a:1\nbootstrap a:1\nbootstrap a:1\n"
#define URLS4 "url http://a\nurl http://a\nurl http://a\nurl http://a\n"

static const struct { const char *name, *lines; int want; } invite_cases[] = {
	{ "smallest", GROUP MASTER NET END_, 0 },
	{ "node and url", GROUP MASTER NET "bootstrap a:1\nurl https://a/b\n" END_, 0 },
	{ "as many as may be", GROUP MASTER NET NODES4 NODES4 URLS4 URLS4 END_, 0 },
	{ "too many nodes", GROUP MASTER NET NODES4 NODES4 "bootstrap a:1\n" END_, -1 },
	{ "too many urls", GROUP MASTER NET URLS4 URLS4 "url http://a\n" END_, -1 },
	{ "no group", MASTER NET END_, -1 },
	{ "no master", GROUP NET END_, -1 },
	{ "no network", GROUP MASTER END_, -1 },
	{ "no secret", GROUP MASTER NET "expires 2026-11-21T10:00:00Z\n", -1 },
	{ "no expiry", GROUP MASTER NET "secret " B64 "\n", -1 },
	{ "another order", MASTER GROUP NET END_, -1 },
	{ "url before the node", GROUP MASTER NET "url http://a\nbootstrap a:1\n" END_, -1 },
	{ "more at the end", GROUP MASTER NET END_ "x y\n", -1 },
	{ "unknown word", GROUP MASTER NET "color red\n" END_, -1 },
	{ "group not normal", "group Home\n" MASTER NET END_, -1 },
	{ "two spaces", "group  home\n" MASTER NET END_, -1 },
	{ "line ends of another kind", "group home\r\n" MASTER NET END_, -1 },
	{ "master without fingerprint", GROUP "master alice@home\n" NET END_, -1 },
	{ "network too large", GROUP MASTER "network 4294967296\n" END_, -1 },
	{ "network empty", GROUP MASTER "network \n" END_, -1 },
	{ "network with a tail", GROUP MASTER "network 1 \n" END_, -1 },
	{ "node without port", GROUP MASTER NET "bootstrap a\n" END_, -1 },
	{ "node with an escape", GROUP MASTER NET "bootstrap \x1b[0m:1\n" END_, -1 },
	{ "node in UTF-8", GROUP MASTER NET "bootstrap \xc3\xbc:1\n" END_, -1 },
	{ "url of another kind", GROUP MASTER NET "url file:///etc/passwd\n" END_, -1 },
	{ "no time", GROUP MASTER NET "expires tomorrow\nsecret " B64 "\n", -1 },
	{ "short secret", GROUP MASTER NET "expires 2026-11-21T10:00:00Z\nsecret AAEC\n", -1 },
	{ "no line end", GROUP MASTER NET "expires 2026-11-21T10:00:00Z\nsecret " B64, -1 },
	{ "empty", "", -1 },
};

START_TEST(invite_table)
{
	void *ctx = mem_ctx(NULL);
	struct err e = { "" };
	char *code = base64_print(ctx, bytes_str(invite_cases[_i].lines));

	code[strcspn(code, "=")] = '\0';
	for (char *s = code; *s; s++)
		*s = *s == '+' ? '-' : *s == '/' ? '_' : *s;
	struct invite *i = invite_parse(ctx, mem_printf(ctx, "p2pmta1.%s", code), &e);
	ck_assert_msg((i ? 0 : -1) == invite_cases[_i].want, "case '%s': %s", invite_cases[_i].name, e.text);
	ck_assert_int_eq(i == NULL, e.text[0] != '\0');
	if (i)
		ck_assert_str_eq(invite_print(ctx, i) + 8, code);
	talloc_free(ctx);
}
END_TEST

static const char *const no_invites[] = {
	"", "p2pmta1", "p2pmta1.", "p2pmta2.AAAA", "P2PMTA1.AAAA", "p2pmta1.A", "p2pmta1.AAAAA", "p2pmta1.AA==", "p2pmta1.A+/A",
	"p2pmta1.AAB", "p2pmta1.AA\xc3\xbc", "http://example.org",
};

START_TEST(invite_none)
{
	struct err e = { "" };

	ck_assert_ptr_null(invite_parse(NULL, no_invites[_i], &e));
	ck_assert_str_ne(e.text, "");
}
END_TEST

/* --- what a member shows --- */

#define MAC "PqmPZ5Y1OYUEuZw4Fw4CZz4muz6+F61zOJbeQHkSLqw="

static struct member_request request(const char *method, const char *path, const char *body, int64_t now_s)
{
	struct member_request r = { .method = method, .path = path, .now_s = now_s };

	digest_of(bytes_str(body), r.body);
	return r;
}

enum { NOW = 1795255200 };

START_TEST(member_there_and_back)
{
	struct member_request r = request("PUT", "/replica/alice@home/msglist", "body", NOW + 59);
	uint8_t token[32];
	struct member_auth a;

	memset(token, 9, sizeof(token));
	char *value = member_auth_print(NULL, token, "bob@home", &r);
	ck_assert_str_eq(value, "P2pMTA-Member bob@home " MAC);
	ck_assert_int_eq(member_auth_parse(value, &a), 0);
	ck_assert_str_eq(a.address, "bob@home");
	ck_assert(member_auth_check(&a, token, &r));
	token[31]++;
	ck_assert(!member_auth_check(&a, token, &r));
	talloc_free(value);
}
END_TEST

static const struct { const char *name, *method, *path, *body; int64_t late_s; bool want; } member_cases[] = {
	{ "same", "PUT", "/replica/alice@home/msglist", "body", 0, true },
	{ "a minute later", "PUT", "/replica/alice@home/msglist", "body", 60, true },
	{ "ten minutes later", "PUT", "/replica/alice@home/msglist", "body", 659, true },
	{ "eleven minutes later", "PUT", "/replica/alice@home/msglist", "body", 660, false },
	{ "ten minutes before", "PUT", "/replica/alice@home/msglist", "body", -600, true },
	{ "eleven minutes before", "PUT", "/replica/alice@home/msglist", "body", -601, false },
	{ "another method", "GET", "/replica/alice@home/msglist", "body", 0, false },
	{ "another path", "PUT", "/replica/alice@home/msglist?", "body", 0, false },
	{ "another body", "PUT", "/replica/alice@home/msglist", "", 0, false },
	{ "moved line ends", "PUT\n/replica", "alice@home/msglist", "body", 0, false },
};

START_TEST(member_table)
{
	struct member_request r = request(member_cases[_i].method, member_cases[_i].path, member_cases[_i].body,
	    NOW + member_cases[_i].late_s);
	uint8_t token[32];
	struct member_auth a;

	memset(token, 9, sizeof(token));
	ck_assert_int_eq(member_auth_parse("P2pMTA-Member bob@home " MAC, &a), 0);
	ck_assert_msg(member_auth_check(&a, token, &r) == member_cases[_i].want, "case '%s'", member_cases[_i].name);
}
END_TEST

static const struct { const char *name, *in; int want; } auth_cases[] = {
	{ "good", "P2pMTA-Member bob@home " B64, 0 },
	{ "scheme in other case", "p2pmta-member bob@home " B64, 0 },
	{ "two spaces behind the scheme", "P2pMTA-Member  bob@home " B64, 0 },
	{ "UTF-8", "P2pMTA-Member \xc3\xbc@home " B64, 0 },
	{ "a recipient's", "P2pMTA " B64, -1 },
	{ "another scheme", "Basic bob@home " B64, -1 },
	{ "no space", "P2pMTA-Memberbob@home " B64, -1 },
	{ "no address", "P2pMTA-Member " B64, -1 },
	{ "address not normal", "P2pMTA-Member Bob@home " B64, -1 },
	{ "no group", "P2pMTA-Member bob " B64, -1 },
	{ "two spaces behind the address", "P2pMTA-Member bob@home  " B64, -1 },
	{ "no mac", "P2pMTA-Member bob@home ", -1 },
	{ "nothing behind the address", "P2pMTA-Member bob@home", -1 },
	{ "short mac", "P2pMTA-Member bob@home AAEC", -1 },
	{ "long mac", "P2pMTA-Member bob@home AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", -1 },
	{ "tail", "P2pMTA-Member bob@home " B64 " ", -1 },
	{ "nothing", "P2pMTA-Member", -1 },
	{ "empty", "", -1 },
};

START_TEST(member_auth_table)
{
	struct member_auth a;

	ck_assert_msg(member_auth_parse(auth_cases[_i].in, &a) == auth_cases[_i].want, "case '%s'", auth_cases[_i].name);
	if (auth_cases[_i].want == 0)
		ck_assert_uint_eq(a.mac[31], 31);
}
END_TEST

START_TEST(member_auth_long)
{
	struct member_auth a;
	char *value = mem_printf(NULL, "P2pMTA-Member b%0300d@home " B64, 0);
	char *path = mem_printf(value, "/%020000d", 0);
	struct member_request r = request("GET", path, "", NOW);
	uint8_t token[32] = { 0 };

	ck_assert_int_eq(member_auth_parse(value, &a), -1);
	ck_assert_int_eq(member_auth_parse(member_auth_print(value, token, "bob@home", &r), &a), 0);
	ck_assert(!member_auth_check(&a, token, &r));
	talloc_free(value);
}
END_TEST

UNIT_SUITE("group")
{
	UNIT_LOOP(group_table, group_cases);
	UNIT(group_fields_and_order);
	UNIT(group_size);
	UNIT_LOOP(join_table, join_cases);
	UNIT(join_proofs);
	UNIT(invite_there_and_back);
	UNIT(invite_too_long);
	UNIT_LOOP(invite_table, invite_cases);
	UNIT_LOOP(invite_none, no_invites);
	UNIT(member_there_and_back);
	UNIT_LOOP(member_table, member_cases);
	UNIT_LOOP(member_auth_table, auth_cases);
	UNIT(member_auth_long);
}
UNIT_END
