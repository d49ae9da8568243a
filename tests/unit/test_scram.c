/* SCRAM-SHA-256: the exchange of RFC 7677 section 3, and what must not pass. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/scram.h"
#include "unit/unit.h"

#define FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define NONCE "rOprNGfwEbeRWgbNEkqO" SERVER_NONCE
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static void make_secret(struct scram_secret *k, const char *password)
{
	static const uint8_t salt[] = { 0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81 };

	k->rounds = 4096;
	k->salt_len = sizeof(salt);
	memcpy(k->salt, salt, sizeof(salt));
	scram_secret_make(k, password);
}

START_TEST(scram_rfc7677)
{
	struct scram *s = scram_new(NULL, SERVER_NONCE);
	struct scram_secret k;
	const char *final;

	make_secret(&k, "pencil");
	ck_assert_str_eq(scram_take_first(s, bytes_str(FIRST)), "user");
	ck_assert_str_eq(scram_challenge(s, &k), "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
	ck_assert_int_eq(scram_take_final(s, bytes_str("c=biws,r=" NONCE ",p=" PROOF), &final), SCRAM_RIGHT);
	ck_assert_str_eq(final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
	talloc_free(s);
}
END_TEST

static const struct { const char *name, *in, *user; } first_cases[] = {
	{ "plain", "n,,n=user,r=abc", "user" },
	{ "client could bind", "y,,n=user,r=abc", "user" },
	{ "escaped", "n,,n=a=2Cb=3Dc,r=abc", "a,b=c" },
	{ "for oneself", "n,a=user,n=user,r=abc", "user" },
	{ "extension", "n,,n=user,r=abc,x=y", "user" },
	{ "for another", "n,a=bob,n=user,r=abc", NULL },
	{ "binding asked", "p=tls-unique,,n=user,r=abc", NULL },
	{ "mandatory extension first", "n,,m=x,n=user,r=abc", NULL },
	{ "mandatory extension last", "n,,n=user,r=abc,m=x", NULL },
	{ "bad escape", "n,,n=a=41,r=abc", NULL },
	{ "escape cut", "n,,n=a=2,r=abc", NULL },
	{ "no user", "n,,n=,r=abc", NULL },
	{ "no nonce", "n,,n=user", NULL },
	{ "empty nonce", "n,,n=user,r=", NULL },
	{ "blank in nonce", "n,,n=user,r=a b", NULL },
	{ "no gs2", "n=user,r=abc", NULL },
	{ "only n", "n", NULL },
	{ "only n,", "n,", NULL },
	{ "authzid without end", "n,a=user", NULL },
	{ "empty", "", NULL },
	{ "junk at the end", "n,,n=user,r=abc,", NULL },
};

START_TEST(scram_first_table)
{
	struct scram *s = scram_new(NULL, NULL);
	const char *user = scram_take_first(s, bytes_str(first_cases[_i].in)), *want = first_cases[_i].user;

	ck_assert_msg(want ? user && strcmp(user, want) == 0 : !user, "case '%s': %s", first_cases[_i].name, user ? user : "-");
	talloc_free(s);
}
END_TEST

static const struct { const char *name, *in; enum scram_verdict want; } final_cases[] = {
	{ "right", "c=biws,r=" NONCE ",p=" PROOF, SCRAM_RIGHT },
	{ "other proof", "c=biws,r=" NONCE ",p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SCRAM_WRONG },
	{ "extension is signed too", "c=biws,r=" NONCE ",x=y,p=" PROOF, SCRAM_WRONG },
	{ "mandatory extension", "c=biws,r=" NONCE ",m=y,p=" PROOF, SCRAM_BAD_MESSAGE },
	{ "other nonce", "c=biws,r=" NONCE "0,p=" PROOF, SCRAM_WRONG },
	{ "client's nonce alone", "c=biws,r=rOprNGfwEbeRWgbNEkqO,p=" PROOF, SCRAM_WRONG },
	{ "other header", "c=eSws,r=" NONCE ",p=" PROOF, SCRAM_WRONG },
	{ "no proof", "c=biws,r=" NONCE, SCRAM_BAD_MESSAGE },
	{ "empty proof", "c=biws,r=" NONCE ",p=", SCRAM_BAD_MESSAGE },
	{ "short proof", "c=biws,r=" NONCE ",p=YWJj", SCRAM_BAD_MESSAGE },
	{ "proof twice", "c=biws,r=" NONCE ",p=" PROOF ",p=" PROOF, SCRAM_WRONG },
	{ "proof, then more", "c=biws,r=" NONCE ",p=" PROOF ",x=y", SCRAM_BAD_MESSAGE },
	{ "proof alone", "p=" PROOF, SCRAM_BAD_MESSAGE },
	{ "empty", "", SCRAM_BAD_MESSAGE },
	{ "commas", ",,,", SCRAM_BAD_MESSAGE },
};

START_TEST(scram_final_table)
{
	struct scram *s = scram_new(NULL, SERVER_NONCE);
	struct scram_secret k;
	const char *final = NULL;

	make_secret(&k, "pencil");
	ck_assert_ptr_nonnull(scram_take_first(s, bytes_str(FIRST)));
	scram_challenge(s, &k);
	enum scram_verdict got = scram_take_final(s, bytes_str(final_cases[_i].in), &final);
	ck_assert_msg(got == final_cases[_i].want, "case '%s': %d", final_cases[_i].name, got);
	ck_assert((final != NULL) == (got == SCRAM_RIGHT));
	talloc_free(s);
}
END_TEST

START_TEST(scram_out_of_order)
{
	struct scram *s = scram_new(NULL, NULL);
	const char *final;

	ck_assert_int_eq(scram_take_final(s, bytes_str("c=biws,r=x,p=" PROOF), &final), SCRAM_BAD_MESSAGE);
	talloc_free(s);
}
END_TEST

START_TEST(scram_passwords)
{
	struct scram_secret k, other;

	make_secret(&k, "pencil");
	ck_assert(scram_secret_matches(&k, "pencil"));
	ck_assert(!scram_secret_matches(&k, "pencil "));
	ck_assert(!scram_secret_matches(&k, ""));
	/* Composed or not, it is the same password; what is no UTF-8 is taken as it is. */
	make_secret(&k, "caf\xc3\xa9");
	ck_assert(scram_secret_matches(&k, "cafe\xcc\x81"));
	make_secret(&k, "caf\xe9");
	ck_assert(scram_secret_matches(&k, "caf\xe9"));
	ck_assert(!scram_secret_matches(&k, "caf\xc3\xa9"));
	scram_secret_fake(&k, "eve", 10000);
	scram_secret_fake(&other, "eve", 10000);
	ck_assert_mem_eq(k.salt, other.salt, k.salt_len);
	ck_assert_mem_ne(k.stored_key, other.stored_key, DIGEST_LEN);
}
END_TEST

UNIT_SUITE("scram")
{
	UNIT(scram_rfc7677);
	UNIT_LOOP(scram_first_table, first_cases);
	UNIT_LOOP(scram_final_table, final_cases);
	UNIT(scram_out_of_order);
	UNIT(scram_passwords);
}
UNIT_END
