#ifndef PGP_PGP_H
#define PGP_PGP_H
/*
 * OpenPGP with real gpg through GPGME (p2pmta-protocol(7), section 2). Everything
 * that ends in _work starts a gpg process (5 to 12 ms and more): worker
 * threads only, one GPGME context per call. The key cache is a GNUPGHOME of
 * its own with a gpg.conf we write; limits on the gpg process come from a
 * wrapper beside it. A signature counts only under every rule of section 2.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/base/limits.h"

enum { FPR_LEN = 41 };		/* 40 upper-case hex and NUL */
/* K, and its base64 with the NUL, which is what gpg takes for a passphrase. */
enum { SEAL_KEY_LEN = 32, SEAL_KEY_TEXT = 45 };

struct pgp;

/*
 * home is made (0700), gpg.conf and the wrapper are written anew. Call before
 * threads start (gpgme_check_version). fpr: our own key, NULL before init.
 */
struct pgp *pgp_new(const char *home, const char *fpr, struct err *);
void pgp_free(struct pgp **);	/* ends the agent of this home */
const char *pgp_own_fpr(const struct pgp *);
/*
 * Is our key in home, its secret parts too? Without a struct pgp, and home stays as it is: a daemon may
 * be using it. RETRY: home cannot be read. Runs gpg.
 */
enum outcome pgp_look(const char *home, const char *fpr, struct err *);

/*
 * Small processes that start gpg in place of this one, whose fork would cost
 * more than gpg: a few per core. Start them first of all, before threads and
 * before memory grows; they do nothing until a pgp takes them over (it is
 * theirs from then on, and pgp_free() ends them). Without any all is done in
 * this process, only slower. One that died is replaced when it is needed; one
 * that does not answer within a minute is killed, with its gpg, and what was
 * asked of it is RETRY.
 */
struct clerks;
/* program: p2pmta-clerk; when there is none they are forks of this process, which cost more, but not so much. */
struct clerks *clerks_start(const char *program, struct err *);
void clerks_free(struct clerks **);	/* before they are taken over */
void pgp_take_clerks(struct pgp *, struct clerks *);
/* p2pmta-clerk's main(): until the daemon has gone. False: no daemon has started us, or not one of our version, its argument. */
bool clerk_serve(const char *version);

/* Make our key pair (ed25519 + cv25519, no passphrase, no expiry) for address; or import an armored or binary secret key. */
enum outcome pgp_make_key_work(struct pgp *, const char *address, char fpr_out[FPR_LEN], struct err *);
enum outcome pgp_import_secret_work(struct pgp *, struct bytes key, char fpr_out[FPR_LEN], struct err *);

/* Minimal public key, binary; armored with armor. Below ctx. */
enum outcome pgp_export_work(struct pgp *, const void *ctx, const char *fpr, bool armor, struct bytes *out, struct err *);
/* Exactly one key in it, at most LIMIT_PUBKEY; minimal. Its primary fingerprint. Has no effect on trust. */
enum outcome pgp_import_work(struct pgp *, struct bytes key, char fpr_out[FPR_LEN], struct err *);
/* Remove every public key but these and our own: those that were not pinned after all. Only while no other work runs. */
enum outcome pgp_keep_only_work(struct pgp *, const char *const *fprs, size_t n, struct err *);

/* Signed message (PACKETS_SIGNED) with our key and role ("peer/1"); below ctx. */
enum outcome pgp_sign_work(struct pgp *, const void *ctx, const char *role, struct bytes in, struct bytes *out, struct err *);
/* Signed with role and encrypted to one or more keys, hidden key IDs, not compressed; below ctx. */
enum outcome pgp_sign_encrypt_work(struct pgp *, const void *ctx, const char *role, const char *const *fprs, size_t n_fprs,
    struct bytes in, struct bytes *out, struct err *);

/* Where streamed octets come from and go to. Return -1 to stop. */
struct pgp_source { ssize_t (*read)(void *arg, void *buf, size_t len); void *arg; };
struct pgp_sink { int (*write)(void *arg, const void *buf, size_t len); void *arg; };

/* Seal: sign with role, encrypt under K (symmetric, passphrase base64(K)), in one pass. compress: let gpg compress. */
enum outcome pgp_seal_work(struct pgp *, const char *role, const char key[SEAL_KEY_TEXT], bool compress,
    const struct pgp_source *, const struct pgp_sink *, struct err *);

/* Who signed what was opened. */
enum pgp_signer {
	PGP_GOOD,	/* every rule kept: fpr is the primary fingerprint */
	PGP_UNKNOWN,	/* the signer's key is not in the cache; plaintext proves nothing */
};

struct pgp_verdict {
	enum pgp_signer signer;
	char fpr[FPR_LEN];	/* primary; the issuer's fingerprint when PGP_UNKNOWN and known */
};

/*
 * Open what was encrypted to us, or only signed, check role. REJECT for
 * anything that breaks a rule: not one signature, bad, weak hash, no MDC, role
 * other than asked, more than max octets. RETRY when gpg itself failed.
 * Framing (packets.h) is checked inside.
 */
enum outcome pgp_open_work(struct pgp *, const void *ctx, const char *role, struct bytes in, size_t max,
    struct bytes *out, struct pgp_verdict *, struct err *);
/* The same for what was encrypted to several: the members of a group. */
enum outcome pgp_open_shared_work(struct pgp *, const void *ctx, const char *role, struct bytes in, size_t max,
    struct bytes *out, struct pgp_verdict *, struct err *);
enum outcome pgp_verify_work(struct pgp *, const void *ctx, const char *role, struct bytes in, size_t max,
    struct bytes *out, struct pgp_verdict *, struct err *);

/*
 * Unseal m' under K. max: the announced size; more stops it. The sink gets
 * octets before they are proven: it must write only where nobody looks, and
 * throw all away unless this returns OK. Framing is the caller's (struct packets
 * while the file arrives).
 */
enum outcome pgp_unseal_work(struct pgp *, const char *role, const char key[SEAL_KEY_TEXT], uint64_t max,
    const struct pgp_source *, const struct pgp_sink *, struct pgp_verdict *, struct err *);
/*
 * The same for much: gpg itself reads fd, a file (from its start) or the read
 * end of a pipe that is filled meanwhile. fd stays open, and the caller's. It
 * ends when the pipe's last write end is closed, or earlier when gpg gives up.
 */
enum outcome pgp_unseal_fd_work(struct pgp *, const char *role, const char key[SEAL_KEY_TEXT], uint64_t max,
    int fd, const struct pgp_sink *, struct pgp_verdict *, struct err *);

#endif
