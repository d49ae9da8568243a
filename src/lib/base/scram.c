/*
 * SCRAM is three messages that repeat each other: both sides sign the same
 * text (AuthMessage) with keys made from the password. The text is kept as it
 * was received, so nothing is printed again and compared by luck. A message
 * that is not exactly what the grammar says is refused; unknown extensions at
 * the end are passed over (RFC 5802 section 5.1), a mandatory one ("m=") not.
 */
#include "lib/base/scram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/gnutls.h>

#include "lib/base/mem.h"

enum { NONCE_OCTETS = 18, USER_MAX = 512, NONCE_MAX = 512 };

struct scram {
	char *gs2;		/* "n,," or "y,a=user," */
	char *client_bare;	/* "n=user,r=nonce" */
	char *user, *nonce;	/* nonce: the client's, then both */
	char *own_nonce;
	char *challenge;
	struct scram_secret secret;
};

static void hmac_str(const uint8_t key[DIGEST_LEN], const char *text, uint8_t out[DIGEST_LEN])
{
	digest_hmac(bytes_of(key, DIGEST_LEN), bytes_str(text), out);
}

void scram_secret_from_salted(struct scram_secret *k, const uint8_t salted[DIGEST_LEN])
{
	uint8_t client_key[DIGEST_LEN];

	hmac_str(salted, "Client Key", client_key);
	digest_of(bytes_of(client_key, sizeof(client_key)), k->stored_key);
	hmac_str(salted, "Server Key", k->server_key);
	explicit_bzero(client_key, sizeof(client_key));
}

static void from_octets(struct scram_secret *k, struct bytes password)
{
	uint8_t salted[DIGEST_LEN];

	digest_pbkdf2(password, bytes_of(k->salt, k->salt_len), k->rounds, salted);
	scram_secret_from_salted(k, salted);
	explicit_bzero(salted, sizeof(salted));
}

char *scram_prepare(const char *password)
{
	gnutls_datum_t out;

	if (!*password || gnutls_utf8_password_normalize((const unsigned char *)password, (unsigned)strlen(password), &out, 0) < 0)
		return NULL;
	char *copy = mem_strndup(NULL, (const char *)out.data, out.size);
	explicit_bzero(out.data, out.size);
	gnutls_free(out.data);
	return copy;
}

void scram_forget(char *prepared)
{
	if (prepared)
		explicit_bzero(prepared, strlen(prepared));
	talloc_free(prepared);
}

void scram_secret_make(struct scram_secret *k, const char *password)
{
	char *prepared = scram_prepare(password);

	from_octets(k, bytes_str(prepared ? prepared : password));
	scram_forget(prepared);
}

static bool matches_octets(const struct scram_secret *k, const char *password)
{
	struct scram_secret other = *k;

	from_octets(&other, bytes_str(password));
	bool same = secret_equal(other.stored_key, k->stored_key, DIGEST_LEN);
	explicit_bzero(&other, sizeof(other));
	return same;
}

bool scram_secret_matches(const struct scram_secret *k, const char *password)
{
	char *prepared = scram_prepare(password);
	bool same = prepared && matches_octets(k, prepared);

	/* What was stored before passwords were prepared. */
	if (!same && (!prepared || strcmp(prepared, password) != 0))
		same = matches_octets(k, password);
	scram_forget(prepared);
	return same;
}

void scram_secret_fake(struct scram_secret *k, const char *user, unsigned rounds)
{
	static uint8_t seed[DIGEST_LEN];
	static bool is_seeded;
	uint8_t salt[DIGEST_LEN];

	if (!is_seeded)
		random_fill(seed, sizeof(seed));
	is_seeded = true;
	digest_hmac(bytes_of(seed, sizeof(seed)), bytes_str(user), salt);
	k->rounds = rounds;
	k->salt_len = 16;
	memcpy(k->salt, salt, k->salt_len);
	random_fill(k->stored_key, DIGEST_LEN);
	random_fill(k->server_key, DIGEST_LEN);
}

static int wipe(struct scram *s)
{
	explicit_bzero(&s->secret, sizeof(s->secret));
	return 0;
}

struct scram *scram_new(const void *ctx, const char *nonce)
{
	struct scram *s = mem_zero(ctx, struct scram);
	uint8_t octets[NONCE_OCTETS];

	talloc_set_destructor(s, wipe);
	random_fill(octets, sizeof(octets));
	s->own_nonce = nonce ? mem_strdup(s, nonce) : base64_print(s, bytes_of(octets, sizeof(octets)));
	return s;
}

/* The text of a message, without NUL; NULL when it is none. */
static char *dup_text(struct scram *s, struct bytes message)
{
	if (message.len == 0 || message.len > SCRAM_MESSAGE_MAX || memchr(message.data, '\0', message.len))
		return NULL;
	return mem_strndup(s, (const char *)message.data, message.len);
}

/* "K=value" up to the comma or the end: the value, and *p behind the comma, or NULL at the end. NULL when it is not K. */
static char *take_attribute(struct scram *s, const char **p, char k)
{
	const char *at = *p;

	if (!at || at[0] != k || at[1] != '=')
		return NULL;
	size_t n = strcspn(at + 2, ",");
	*p = at[2 + n] ? at + 3 + n : NULL;
	return mem_strndup(s, at + 2, n);
}

/* saslname: "=2C" is a comma, "=3D" an equals sign, no other '='. In place. */
static bool decode_name(char *name)
{
	char *to = name;

	for (const char *from = name; *from; from++, to++) {
		*to = *from;
		if (*from != '=')
			continue;
		if (strncmp(from, "=2C", 3) == 0)
			*to = ',';
		else if (strncmp(from, "=3D", 3) != 0)
			return false;
		from += 2;
	}
	*to = '\0';
	return *name && strlen(name) <= USER_MAX;
}

static bool is_nonce(const char *nonce)
{
	size_t n = strlen(nonce);

	for (const char *p = nonce; *p; p++)
		if (*p < 0x21 || *p > 0x7e)
			return false;
	return n > 0 && n <= NONCE_MAX;
}

/* "n,," or "y,a=name,": NULL when it is neither. *authzid_out NULL: none. */
static const char *take_gs2(struct scram *s, const char *text, char **authzid_out)
{
	const char *p = text + 2;

	*authzid_out = NULL;
	if ((text[0] != 'n' && text[0] != 'y') || text[1] != ',')
		return NULL;
	if (*p == ',') {
		p++;
	} else {
		*authzid_out = take_attribute(s, &p, 'a');
		if (!*authzid_out || !decode_name(*authzid_out) || !p)
			return NULL;
	}
	s->gs2 = mem_strndup(s, text, (size_t)(p - text));
	return p;
}

/* Extensions come last, each "letter=value". */
static bool are_extensions(const char *p)
{
	while (p) {
		if (!((p[0] >= 'a' && p[0] <= 'z') || (p[0] >= 'A' && p[0] <= 'Z')) || p[1] != '=' || p[0] == 'm')
			return false;
		p = strchr(p, ',');
		p = p ? p + 1 : NULL;
	}
	return true;
}

const char *scram_take_first(struct scram *s, struct bytes message)
{
	char *authzid, *text = dup_text(s, message);
	const char *p = text ? take_gs2(s, text, &authzid) : NULL;

	if (!p)
		return NULL;
	s->client_bare = mem_strdup(s, p);
	s->user = take_attribute(s, &p, 'n');
	if (!s->user || !decode_name(s->user))
		return NULL;
	s->nonce = take_attribute(s, &p, 'r');
	if (!s->nonce || !is_nonce(s->nonce) || !are_extensions(p))
		return NULL;
	/* Acting for another than oneself is refused. */
	return !authzid || strcmp(authzid, s->user) == 0 ? s->user : NULL;
}

const char *scram_challenge(struct scram *s, const struct scram_secret *secret)
{
	char *salt = base64_print(s, bytes_of(secret->salt, secret->salt_len));

	s->secret = *secret;
	s->nonce = mem_printf(s, "%s%s", s->nonce, s->own_nonce);
	s->challenge = mem_printf(s, "r=%s,s=%s,i=%u", s->nonce, salt, secret->rounds);
	return s->challenge;
}

/* ClientKey = ClientProof XOR ClientSignature, and its hash is what is stored. */
static bool is_proven(const struct scram *s, const char *auth_message, const uint8_t proof[DIGEST_LEN])
{
	uint8_t key[DIGEST_LEN], hash[DIGEST_LEN];

	hmac_str(s->secret.stored_key, auth_message, key);
	for (size_t i = 0; i < DIGEST_LEN; i++)
		key[i] ^= proof[i];
	digest_of(bytes_of(key, sizeof(key)), hash);
	explicit_bzero(key, sizeof(key));
	return secret_equal(hash, s->secret.stored_key, DIGEST_LEN);
}

static bool is_binding(struct scram *s, const char *text)
{
	return strcmp(text, base64_print(s, bytes_str(s->gs2))) == 0;
}

enum scram_verdict scram_take_final(struct scram *s, struct bytes message, const char **final_out)
{
	char *text = s->challenge ? dup_text(s, message) : NULL;
	const char *p = text;
	char *binding = take_attribute(s, &p, 'c');
	char *nonce = binding ? take_attribute(s, &p, 'r') : NULL;
	char *proof_text = text ? strrchr(text, ',') : NULL;
	struct bytes proof;

	if (!nonce || !proof_text || !p || p > proof_text + 1 || strncmp(proof_text, ",p=", 3) != 0)
		return SCRAM_BAD_MESSAGE;
	*proof_text = '\0';
	if (!are_extensions(p <= proof_text ? p : NULL) || base64_parse(s, proof_text + 3, DIGEST_LEN, &proof) < 0 ||
	    proof.len != DIGEST_LEN)
		return SCRAM_BAD_MESSAGE;
	if (!is_binding(s, binding) || strcmp(nonce, s->nonce) != 0)
		return SCRAM_WRONG;

	char *auth_message = mem_printf(s, "%s,%s,%s", s->client_bare, s->challenge, text);
	if (!is_proven(s, auth_message, proof.data))
		return SCRAM_WRONG;
	uint8_t signature[DIGEST_LEN];
	hmac_str(s->secret.server_key, auth_message, signature);
	*final_out = mem_printf(s, "v=%s", base64_print(s, bytes_of(signature, sizeof(signature))));
	return SCRAM_RIGHT;
}
