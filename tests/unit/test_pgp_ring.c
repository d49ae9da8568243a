/* A key ring that changes while gpg reads it; real gpg in throw-away homes. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/pgp/work.h"
#include "tests/unit/unit.h"

enum { MAX = 1 << 20 };

static char top[] = "/tmp/ring.XXXXXX", alice_fpr[FPR_LEN], bob_fpr[FPR_LEN];
static struct pgp *alice, *bob;
static void *ctx;
static struct err e;

static void shell(const char *command)
{
	ck_assert_msg(system(command) == 0, "%s", command);	/* NOLINT(cert-env33-c): this file's own text */
}

static struct pgp *peer(const char *name, char fpr[FPR_LEN])
{
	struct pgp *p = pgp_new(mem_printf(ctx, "%s/%s", top, name), NULL, &e);

	ck_assert_msg(p && pgp_make_key_work(p, mem_printf(ctx, "%s@home", name), fpr, &e) == OK, "%s", e.text);
	return p;
}

static void set_up(void)
{
	struct bytes key;
	char fpr[FPR_LEN];

	ctx = mem_ctx(NULL);
	ck_assert_ptr_nonnull(mkdtemp(top));
	alice = peer("alice", alice_fpr);
	bob = peer("bob", bob_fpr);
	ck_assert_int_eq(pgp_export_work(bob, ctx, bob_fpr, false, &key, &e), OK);
	ck_assert_int_eq(pgp_import_work(alice, key, fpr, &e), OK);
}

static void tear_down(void)
{
	pgp_free(&alice);
	pgp_free(&bob);
	shell(mem_printf(ctx, "rm -rf %s", top));
	talloc_free(ctx);
}

static atomic_bool swapping;

/* As an import does it, again and again: alice's own key, which is before bob's, is of another size each time. */
static void *swap_rings(void *arg)
{
	static const char *const rings[] = { "one", "two" };
	struct err ours;

	(void)arg;
	for (unsigned i = 0; atomic_load(&swapping); i++) {
		char *tmp = mem_ctx(NULL);
		struct bytes octets = { NULL, 0 };
		struct ring ring;

		if (ring_open(&ring, alice, &ours) != OK ||
		    files_get(tmp, mem_printf(tmp, "%s/ring.%s", top, rings[i % 2]), MAX, &octets, &ours) != OK ||
		    files_put(ring.copy, octets, &ours) != OK || ring_keep(&ring, &ours) != OK)
			abort();
		ring_close(&ring);
		talloc_free(tmp);
	}
	return NULL;
}

START_TEST(ring_that_changes)
{
	const char *to[] = { bob_fpr };
	pthread_t thread;

	shell(mem_printf(ctx, "cp %s/alice/pubring.gpg %s/ring.one", top, top));
	shell(mem_printf(ctx, GPG_PATH " --homedir %s/alice --batch -q --quick-add-uid %s 'alice with a longer name <alice@home>' &&"
	    " cp %s/alice/pubring.gpg %s/ring.two", top, alice_fpr, top, top));
	atomic_store(&swapping, true);
	ck_assert_int_eq(pthread_create(&thread, NULL, swap_rings, NULL), 0);
	for (int i = 0; i < 150; i++) {
		void *tmp = mem_ctx(NULL);
		struct bytes out;
		enum outcome res = pgp_sign_encrypt_work(alice, tmp, "x/1", to, 1, bytes_str("?"), &out, &e);

		ck_assert_msg(res != REJECT, "%s", e.text);
		talloc_free(tmp);
	}
	atomic_store(&swapping, false);
	pthread_join(thread, NULL);
}
END_TEST

/* gpg takes the keybox of a home that has both, so this is the ring. */
START_TEST(ring_of_both_kinds)
{
	char *home = mem_printf(ctx, "%s/alice", top);

	ck_assert_str_eq(strrchr(ring_path(ctx, home), '/'), "/pubring.gpg");
	shell(mem_printf(ctx, "touch %s/pubring.kbx", home));
	ck_assert_str_eq(strrchr(ring_path(ctx, home), '/'), "/pubring.kbx");
	shell(mem_printf(ctx, "rm %s/pubring.kbx", home));
}
END_TEST

/* An empty one in its place would only say that nobody is known. */
START_TEST(ring_that_is_gone)
{
	char *home = mem_printf(ctx, "%s/alice", top), *ring = ring_path(ctx, home), *away = mem_printf(ctx, "%s/away", top);

	ck_assert_int_eq(rename(ring, away), 0);
	ck_assert_ptr_null(pgp_new(home, alice_fpr, &e));
	ck_assert_msg(strstr(e.text, "is gone"), "%s", e.text);
	ck_assert_int_eq(rename(away, ring), 0);
}
END_TEST

UNIT_SUITE("pgp_ring")
{
	tcase_set_timeout(unit_case, 60);
	tcase_add_unchecked_fixture(unit_case, set_up, tear_down);
	UNIT(ring_of_both_kinds);
	UNIT(ring_that_is_gone);
	UNIT(ring_that_changes);
}
UNIT_END
