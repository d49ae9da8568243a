#ifndef PGP_WORK_H
#define PGP_WORK_H
/*
 * Inside of lib/pgp: one operation with gpg. A work borrows a GPGME context
 * from the home's stock (making one costs a gpg process), hears gpg's own
 * status lines, and gives the context back. One work belongs to one thread.
 */
#include <gpgme.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/pgp/pgp.h"

/*
 * Which wrapper: limits on the process and compression. ENGINE_DIRECT reads a line
 * "OUTPUT INPUT" where gpg's input should be, and gives gpg these files instead; first it writes its process ID and LF.
 */
enum engine { ENGINE_SIGN, ENGINE_RECORD, ENGINE_BULK, ENGINE_RING, ENGINE_DIRECT, N_ENGINES };

/* How often what a change of the key ring may have spoilt is done again at once. */
enum { RING_TRIES = 5 };

enum { STOCK = 16 };	/* contexts kept per engine; never more than worker threads in practice */

struct pgp {
	char *home, *ring_home;		/* ring_home: where a copy of the key ring is changed */
	pthread_mutex_t ring_lock;	/* one change at a time */
	atomic_uint ring_changes;	/* twice per change: before and after */
	char own_fpr[FPR_LEN];		/* "" before there is one */
	pthread_mutex_t lock;		/* for the stock alone */
	gpgme_ctx_t stock[N_ENGINES][STOCK];
	unsigned n_stock[N_ENGINES];
	struct clerks *clerks;		/* NULL: none */
	unsigned patience_ms;		/* so long a gpg of ENGINE_DIRECT may do nothing */
	bool sets_limits;		/* a clerk's: gpg inherits its limits and needs no wrapper */
};

/* What gpg said on its status descriptor, as far as GPGME does not pass it on. */
struct heard {
	unsigned newsig, validsig, plaintext, decryption, goodmdc;
	bool judged;			/* it said itself that something is wrong */
	char primary[FPR_LEN];		/* of VALIDSIG */
	bool binary;			/* VALIDSIG names class 00 */
};

struct work {
	struct pgp *pgp;
	enum engine engine;
	gpgme_ctx_t gpg;
	struct heard heard;
	const char *passphrase;		/* borrowed; NULL: none is given */
	bool asked;			/* gpg did ask for it */
};

enum outcome work_start(struct work *, struct pgp *, enum engine, struct err *);
void work_end(struct work *);

/* Every signature of this work carries role. */
enum outcome work_set_role(struct work *, const char *role, struct err *);
/* Is there exactly one role, and this one? */
bool work_is_role(const struct _gpgme_sig_notation *, const char *role);
/* gpg gets it through loopback; it stays the caller's. */
void work_set_passphrase(struct work *, const char *passphrase);

/* gpg's answer as text for people: "WHAT: ...". */
void work_explain(struct err *, const char *what, gpgme_error_t);
/* The class of an answer about somebody's octets: gpg or this machine failed, or they are bad. */
enum outcome work_judge(struct work *, gpgme_error_t);

/* Streams for GPGME with a count and a ceiling. */
struct flow {
	const struct pgp_source *source;
	const struct pgp_sink *sink;
	uint64_t left;			/* the sink takes so many octets more */
	bool over;			/* more came */
	bool broken;			/* source or sink said -1 */
	gpgme_data_t data;
};

enum outcome flow_open_source(struct flow *, const struct pgp_source *, struct err *);
enum outcome flow_open_sink(struct flow *, const struct pgp_sink *, uint64_t max, struct err *);
void flow_close(struct flow *);
/* To the sink, under the ceiling: -1 with errno, and over or broken set. */
int flow_put(struct flow *, const void *buf, size_t len);

/* A source over octets in memory; pos is where it stands. */
struct octets { struct bytes in; size_t pos; };
struct pgp_source octets_source(struct octets *);
/* A sink into a buf; its ceiling ends the operation. */
struct pgp_sink octets_sink(struct buf *);

/*
 * Decrypt and verify what fd gives into out's sink, with a work of ENGINE_DIRECT. OK: gpg was run,
 * failed_out is GPGME's answer, and out tells whether all was taken. RETRY also when gpg neither wrote nor read
 * for some time (a minute) although it could: it is killed.
 */
enum outcome direct_decrypt(struct work *, int fd, struct flow *out, gpgme_error_t *failed_out, struct err *);

/* gpg.conf and the wrappers anew (the own key is named there). */
enum outcome home_write(struct pgp *, struct err *);
/* Runs PROGRAM, a path or a name beside gpg's, --homedir HOME ARG [ARG]; its exit status, or -1. */
int home_run(const char *home, const char *program, const char *arg, const char *arg2);


/*
 * A change of the key ring (ring.c): open, let gpg work with r->work, keep if
 * it went well, close in any case.
 */
struct ring {
	struct work work;
	char *path, *copy;
};
/* Where the ring of a home is: what gpg will use. Below ctx. */
char *ring_path(const void *ctx, const char *home);
/* Let gpg note in the ring of this home which signatures on keys are good. Runs gpg. */
enum outcome ring_remember(const struct pgp *, const char *home, struct err *);
/* Was gpg's answer perhaps only what it saw of a ring that was changed since ring_changes was before? v may be NULL. */
bool ring_is_doubtful(const struct pgp *, unsigned before, enum outcome, const struct pgp_verdict *v);
/* RETRY, and why. */
enum outcome ring_doubt(struct err *);
enum outcome ring_open(struct ring *, struct pgp *, struct err *);
enum outcome ring_keep(struct ring *, struct err *);
void ring_close(struct ring *);

/* A home without a place yet; talloc_free() gives back its stock, too. */
struct pgp *home_blank(void);

/* The home an engine works in. */
const char *home_of(const struct pgp *, enum engine);
/* What an engine starts: its wrapper in the home, or gpg itself. Below ctx. */
char *home_engine(const void *ctx, const struct pgp *, enum engine);

#endif
