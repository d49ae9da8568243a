/*
 * Half of what gpg computes for a small m' is not its signature: it checks
 * those on our own key, each time. So sealing has a home of its own, seal/,
 * with a copy of our key that is only the primary key and a user ID, which
 * gpg is told to take without signatures. The secret part stays where it is;
 * seal/ has an agent of its own that reads it there. Without this home, when
 * gpg would sign with another key than the primary one, or when something
 * fails, sealing is done in the home itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/pgp/work.h"

static char *ring_path(const void *ctx, const struct pgp *p)
{
	return mem_printf(ctx, "%s/pubring.kbx", p->seal_home);
}

/* Is it our key's? A keybox has the fingerprint as it is. */
static bool has_ring(const struct pgp *p)
{
	char *ctx = mem_ctx(NULL);
	struct bytes ring;
	struct err e;
	uint8_t fpr[(FPR_LEN - 1) / 2];
	bool has = files_get(ctx, ring_path(ctx, p), LIMIT_PUBKEY, &ring, &e) == OK;

	for (size_t i = 0; i < sizeof(fpr); i++) {
		const char digits[] = { p->own_fpr[2 * i], p->own_fpr[2 * i + 1], '\0' };

		fpr[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	has = has && memmem(ring.data, ring.len, fpr, sizeof(fpr)) != NULL;
	talloc_free(ctx);
	return has;
}

/* Would gpg sign with the primary key? It prefers a subkey that can. */
static bool signs_with_primary(struct pgp *p)
{
	gpgme_key_t key = NULL;
	struct work w;
	struct err e;
	bool does = work_start(&w, p, ENGINE_RECORD, &e) == OK && gpgme_get_key(w.gpg, p->own_fpr, &key, 0) == 0 &&
	    key->subkeys && key->subkeys->can_sign;

	for (gpgme_subkey_t s = does ? key->subkeys->next : NULL; s; s = s->next)
		does &= !s->can_sign;
	if (key)
		gpgme_key_unref(key);
	work_end(&w);
	return does;
}

static bool can_seal(struct pgp *p)
{
	static const char k[SEAL_KEY_TEXT] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	struct octets in = { .in = bytes_str("?") };
	struct pgp_source source = octets_source(&in);
	struct buf *out = buf_new(NULL, LIMIT_PUBKEY);
	struct pgp_sink sink = octets_sink(out);
	struct err e;
	bool can = work_seal(p, ENGINE_SEAL, "self/1", k, false, &source, &sink, &e) == OK;

	talloc_free(out);
	return can;
}

static bool make_ring(struct pgp *p)
{
	char *ctx = mem_ctx(NULL);
	struct bytes key;
	struct err e;
	bool made = signs_with_primary(p) && pgp_export_work(p, ctx, p->own_fpr, false, &key, &e) == OK;

	files_drop(ring_path(ctx, p));
	made = made && key_import_bare(p, key, &e) == OK && can_seal(p);
	if (!made)
		files_drop(ring_path(ctx, p));
	talloc_free(ctx);
	return made;
}

void sealer_find(struct pgp *p)
{
	p->seal_home = mem_printf(p, "%s/seal", p->home);
	if (!has_ring(p))
		TALLOC_FREE(p->seal_home);
}

void sealer_make(struct pgp *p)
{
	char *keys = mem_printf(NULL, "%s/seal/private-keys-v1.d", p->home);

	p->seal_home = mem_printf(p, "%s/seal", p->home);
	bool linked = symlink("../private-keys-v1.d", keys) == 0 || errno == EEXIST;

	if (!linked || (!has_ring(p) && !make_ring(p)))
		TALLOC_FREE(p->seal_home);
	talloc_free(keys);
}
