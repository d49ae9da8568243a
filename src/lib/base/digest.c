/*
 * GnuTLS does the work. Its errors here can only mean that the library is
 * broken or forbidden to compute SHA-256, so they end the process; bad input
 * is an answer. base64 is strict by printing what was parsed and comparing:
 * one value has one text, or notices could be made "different" at will.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

struct digest {
	gnutls_hash_hd_t hash;
};

static void must(int code, const char *what)
{
	if (code < 0) {
		log_err("%s: %s", what, gnutls_strerror(code));
		abort();
	}
}

static int close_hash(struct digest *d)
{
	gnutls_hash_deinit(d->hash, NULL);
	return 0;
}

struct digest *digest_new(const void *ctx)
{
	struct digest *d = mem_zero(ctx, struct digest);

	must(gnutls_hash_init(&d->hash, GNUTLS_DIG_SHA256), "SHA-256");
	talloc_set_destructor(d, close_hash);
	return d;
}

void digest_add(struct digest *d, const void *data, size_t len)
{
	if (len > 0)
		must(gnutls_hash(d->hash, data, len), "SHA-256");
}

void digest_take(struct digest *d, uint8_t out[DIGEST_LEN])
{
	gnutls_hash_output(d->hash, out);
}

void digest_of(struct bytes b, uint8_t out[DIGEST_LEN])
{
	must(gnutls_hash_fast(GNUTLS_DIG_SHA256, b.len > 0 ? (const void *)b.data : "", b.len, out), "SHA-256");
}

int digest_of_fd(int fd, uint8_t out[DIGEST_LEN], uint64_t *size_out)
{
	enum { BLOCK = 64 * 1024 };
	struct digest *d = digest_new(NULL);
	uint8_t *block = mem_array(d, uint8_t, BLOCK);
	uint64_t size = 0;
	ssize_t n;

	while ((n = files_pread(fd, block, BLOCK, size)) > 0) {
		digest_add(d, block, (size_t)n);
		size += (uint64_t)n;
	}
	if (n == 0) {
		digest_take(d, out);
		if (size_out != NULL)
			*size_out = size;
	}
	int saved = errno;

	talloc_free(d);
	errno = saved;
	return n < 0 ? -1 : 0;
}

void digest_hmac(struct bytes key, struct bytes data, uint8_t out[DIGEST_LEN])
{
	must(gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.len > 0 ? (const void *)key.data : "", key.len,
	    data.len > 0 ? (const void *)data.data : "", data.len, out), "HMAC-SHA-256");
}

void digest_pbkdf2(struct bytes password, struct bytes salt, unsigned rounds, uint8_t out[DIGEST_LEN])
{
	gnutls_datum_t p = { NULL, (unsigned)password.len }, s = { NULL, (unsigned)salt.len };

	memcpy(&p.data, &password.data, sizeof(p.data));	/* GnuTLS forgot a const */
	memcpy(&s.data, &salt.data, sizeof(s.data));
	must(gnutls_pbkdf2(GNUTLS_MAC_SHA256, &p, &s, rounds, out, DIGEST_LEN), "PBKDF2");
}

void random_fill(void *out, size_t len)
{
	uint8_t *p = out;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_err("getrandom: %s", strerror(errno));
			abort();
		}
		p += n;
		len -= (size_t)n;
	}
}

uint64_t random_u64(void)
{
	uint64_t n;

	random_fill(&n, sizeof(n));
	return n;
}

bool secret_equal(const void *a, const void *b, size_t len)
{
	return gnutls_memcmp(a, b, len) == 0;
}

/* What GnuTLS allocated, below ctx; the original is wiped, for it may be a key. */
static struct bytes take_datum(const void *ctx, gnutls_datum_t *d)
{
	struct bytes copy = bytes_dup(ctx, bytes_of(d->data, d->size));

	explicit_bzero(d->data, d->size);
	gnutls_free(d->data);
	return copy;
}

char *base64_print(const void *ctx, struct bytes b)
{
	gnutls_datum_t text, raw = { NULL, (unsigned)b.len };
	char *out;

	if (b.len == 0)
		return mem_strdup(ctx, "");
	memcpy(&raw.data, &b.data, sizeof(raw.data));	/* GnuTLS forgot a const */
	must(gnutls_base64_encode2(&raw, &text), "base64");
	out = mem_strndup(ctx, (const char *)text.data, text.size);
	explicit_bzero(text.data, text.size);
	gnutls_free(text.data);
	return out;
}

int base64_parse(const void *ctx, const char *s, size_t max, struct bytes *out)
{
	size_t len = strlen(s);

	if (len % 4 != 0 || len / 4 > max / 3 + 1)
		return -1;
	if (len == 0) {
		*out = bytes_dup(ctx, bytes_of(NULL, 0));
		return 0;
	}
	gnutls_datum_t raw, text = { NULL, (unsigned)len };

	memcpy(&text.data, &s, sizeof(text.data));
	if (gnutls_base64_decode2(&text, &raw) < 0)
		return -1;
	*out = take_datum(ctx, &raw);

	char *again = base64_print(NULL, *out);
	bool same = out->len <= max && strcmp(again, s) == 0;

	explicit_bzero(again, strlen(again));
	talloc_free(again);
	if (!same) {
		/* bytes_dup made it; nobody else knows it */
		union { const uint8_t *ro; void *rw; } p = { out->data };

		talloc_free(p.rw);
		*out = bytes_of(NULL, 0);
		return -1;
	}
	return 0;
}
