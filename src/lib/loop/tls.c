/*
 * The server side of TLS for clients on this machine or in this house. The
 * certificate we make ourselves names localhost, so that a mail client asks
 * its user once and is content from then on. No sessions are kept: nobody is
 * in such a hurry here, and tickets would need a key to look after.
 */
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/loop/conn.h"
#include "lib/loop/private.h"

enum { CERT_DAYS = 3650, CN_MAX = 64 };

struct tls {
	SSL_CTX *ctx;
};

/* The oldest error of OpenSSL's is the cause; the others are forgotten. */
static void err_openssl(struct err *e, const char *what)
{
	unsigned long code = ERR_get_error();
	char text[160] = "unknown error";

	if (code != 0)
		ERR_error_string_n(code, text, sizeof(text));
	err_set(e, "%s: %s", what, text);
	ERR_clear_error();
}

static int free_ctx(struct tls *t)
{
	SSL_CTX_free(t->ctx);
	return 0;
}

static SSL_CTX *new_ctx(void)
{
	SSL_CTX *c = mem_check(SSL_CTX_new(TLS_server_method()));

	SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(c, 0);
	/* No partial writes: libevent would lose count. */
	SSL_CTX_set_mode(c, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	return c;
}

/* A connection that is there keeps the context it began with: OpenSSL counts references. */
enum outcome tls_reload(struct tls *t, const char *cert, const char *key, struct err *e)
{
	SSL_CTX *c = new_ctx();

	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(c, cert) != 1) {
		err_openssl(e, cert);
	} else if (SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1) {
		err_openssl(e, key);
	} else if (SSL_CTX_check_private_key(c) != 1) {
		err_openssl(e, "certificate and key do not belong together");
	} else {
		SSL_CTX_free(t->ctx);
		t->ctx = c;
		return OK;
	}
	SSL_CTX_free(c);
	return REJECT;
}

struct tls *tls_new(const char *cert, const char *key, struct err *e)
{
	struct tls *t = mem_zero(NULL, struct tls);

	talloc_set_destructor(t, free_ctx);
	if (tls_reload(t, cert, key, e) != OK)
		tls_free(&t);
	return t;
}

void tls_free(struct tls **tp)
{
	talloc_free(*tp);
	*tp = NULL;
}

SSL *tls_accept(struct tls *t)
{
	return SSL_new(t->ctx);
}

static bool add_name(GENERAL_NAMES *names, int type, const void *data, size_t len)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *value = ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

	if (name == NULL || value == NULL || !ASN1_STRING_set(value, data, (int)len)) {
		GENERAL_NAME_free(name);
		ASN1_STRING_free(value);
		return false;
	}
	GENERAL_NAME_set0_value(name, type, value);
	if (sk_GENERAL_NAME_push(names, name) > 0)
		return true;
	GENERAL_NAME_free(name);
	return false;
}

static bool is_ascii_name(const char *s)
{
	size_t n = strlen(s);

	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s >= 0x7f)
			return false;
	return n > 0 && n < 255;
}

/* localhost by name and by number, and name: as a host or, with an @, as an address. */
static bool add_alt_names(X509 *x, const char *name)
{
	static const unsigned char v4[4] = { 127, 0, 0, 1 };
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	bool ok = names != NULL && add_name(names, GEN_DNS, "localhost", 9) &&
	    add_name(names, GEN_IPADD, v4, sizeof(v4)) && add_name(names, GEN_IPADD, &in6addr_loopback, 16);

	if (ok && is_ascii_name(name) && strcmp(name, "localhost") != 0)
		ok = add_name(names, strchr(name, '@') != NULL ? GEN_EMAIL : GEN_DNS, name, strlen(name));
	ok = ok && X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
	GENERAL_NAMES_free(names);
	return ok;
}

static bool add_extensions(X509 *x)
{
	static const struct { int nid; const char *value; } extensions[] = {
		{ NID_basic_constraints, "critical,CA:FALSE" },
		{ NID_key_usage, "critical,digitalSignature" },
		{ NID_ext_key_usage, "serverAuth" },
		{ NID_subject_key_identifier, "hash" },
	};
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, extensions[i].nid, extensions[i].value);

		if (ext == NULL)
			return false;
		int added = X509_add_ext(x, ext, -1);

		X509_EXTENSION_free(ext);
		if (!added)
			return false;
	}
	return true;
}

static bool set_names(X509 *x, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(x);
	size_t len = strlen(name);
	const char *cn = len > 0 && len <= CN_MAX ? name : "localhost";

	return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) &&
	    X509_set_issuer_name(x, subject);
}

static bool fill_certificate(X509 *x, EVP_PKEY *key, const char *name)
{
	uint64_t serial = random_u64() >> 1 | 1;

	return X509_set_version(x, X509_VERSION_3) && ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial) &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -24 * 3600L) != NULL &&
	    X509_time_adj_ex(X509_getm_notAfter(x), CERT_DAYS, 0, NULL) != NULL &&
	    X509_set_pubkey(x, key) && set_names(x, name) && add_extensions(x) && add_alt_names(x, name) &&
	    X509_sign(x, key, EVP_sha256()) > 0;
}

static enum outcome keep_pem(BIO *bio, const char *path, struct err *e)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);
	enum outcome res = files_put(path, bytes_of(data, (size_t)len), e);

	OPENSSL_cleanse(data, (size_t)len);
	return res;
}

enum outcome tls_make_self_signed(const char *name, const char *cert, const char *key, struct err *e)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *cert_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_secmem());
	enum outcome res = RETRY;

	if (pkey == NULL || x == NULL || cert_pem == NULL || key_pem == NULL || !fill_certificate(x, pkey, name) ||
	    !PEM_write_bio_X509(cert_pem, x) || !PEM_write_bio_PKCS8PrivateKey(key_pem, pkey, NULL, NULL, 0, NULL, NULL)) {
		err_openssl(e, "make a certificate");
		goto out;
	}
	res = keep_pem(key_pem, key, e);
	if (res == OK)
		res = keep_pem(cert_pem, cert, e);
out:
	BIO_free(cert_pem);
	BIO_free(key_pem);
	X509_free(x);
	EVP_PKEY_free(pkey);
	return res;
}
