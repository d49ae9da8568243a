#ifndef GROUP_JUDGE_H
#define GROUP_JUDGE_H
/*
 * What a list that somebody shows is worth. Judging is pure; reading it takes
 * gpg and a worker. What is not signed by the master that it names, for the
 * group it stands under, counts for nothing; of the others the newest.
 */
#include "lib/mail/group.h"
#include "lib/pgp/pgp.h"

enum { JUDGE_MAX = 8 };		/* lists of one group looked at in one job */

/* What is known of the group already. */
struct judge_facts {
	const char *name;
	const char *master, *fpr;	/* pinned; "" not yet */
	uint64_t serial;		/* the highest one seen */
	int64_t now_s;
	/* A sender's group: a list without him is not his. "" any. */
	const char *sender, *sender_fpr;
};

enum judge_verdict {
	JUDGE_GOOD,
	JUDGE_OTHER_GROUP,
	JUDGE_FORGED,		/* its signer is not the master that it names */
	JUDGE_OTHER_MASTER,	/* not the pinned one */
	JUDGE_WITHOUT_SENDER,
	JUDGE_FUTURE,
	JUDGE_EXPIRED,
	JUDGE_ROLLBACK,		/* older than what was seen, or the same */
};
/* For the log. */
const char *judge_name(enum judge_verdict);

enum { JUDGE_DAY_S = 86400, JUDGE_GOES_ON_S = 30 * JUDGE_DAY_S };

/* signer: who has signed it, by gpg's word. */
enum judge_verdict judge(const struct judge_facts *, const struct group *, const char *signer);

struct judge_job {
	/* In */
	void *owner;			/* the caller's */
	struct pgp *pgp;
	struct judge_facts facts;
	struct bytes values[JUDGE_MAX];	/* signed messages */
	size_t n_values;
	/* Out */
	struct group *best;		/* the newest good one; NULL none */
	struct bytes octets;		/* its signed message */
	bool two_masters;		/* no pin, and two masters are in sight: none is believed */
	/* Masters whose keys are not here, by the lists' own word: look for them, then judge again. */
	const char *unknown[JUDGE_MAX];
	size_t n_unknown;
};

/* The job is its own talloc context; results are below it. Worker thread. */
void judge_work(struct judge_job *);

#endif
