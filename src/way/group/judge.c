/*
 * A list carries no key, so its master's has to be here before gpg can say
 * anything. Until then what the list itself says is good for one thing only:
 * to know whose key to look for.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "way/group/judge.h"

const char *judge_name(enum judge_verdict v)
{
	static const char *const names[] = {
		[JUDGE_GOOD] = "good", [JUDGE_OTHER_GROUP] = "it is of another group",
		[JUDGE_FORGED] = "it is not signed by the master that it names",
		[JUDGE_OTHER_MASTER] = "its master is not the pinned one",
		[JUDGE_WITHOUT_SENDER] = "the sender is not in it",
		[JUDGE_FUTURE] = "its serial lies in the future",
		[JUDGE_EXPIRED] = "it has expired",
		[JUDGE_ROLLBACK] = "it is not newer than the one that is known",
	};

	return names[v];
}

static bool has_sender(const struct judge_facts *f, const struct group *g)
{
	const struct group_named *m = f->sender[0] != '\0' ? group_find(g, f->sender) : NULL;

	return f->sender[0] == '\0' || (m != NULL && strcmp(m->fpr, f->sender_fpr) == 0);
}

enum judge_verdict judge(const struct judge_facts *f, const struct group *g, const char *signer)
{
	if (strcmp(g->name, f->name) != 0)
		return JUDGE_OTHER_GROUP;
	if (strcmp(g->master.fpr, signer) != 0)
		return JUDGE_FORGED;
	if (f->fpr[0] != '\0' && (strcmp(f->fpr, signer) != 0 || strcmp(f->master, g->master.address) != 0))
		return JUDGE_OTHER_MASTER;
	if (!has_sender(f, g))
		return JUDGE_WITHOUT_SENDER;
	if ((int64_t)(g->serial / 1000) > f->now_s + JUDGE_DAY_S || g->issued_s > f->now_s + JUDGE_DAY_S)
		return JUDGE_FUTURE;
	if (g->expires_s + JUDGE_GOES_ON_S < f->now_s)
		return JUDGE_EXPIRED;
	if (g->serial <= f->serial)
		return JUDGE_ROLLBACK;
	return JUDGE_GOOD;
}

static void note_unknown(struct judge_job *j, const struct group *g)
{
	const struct judge_facts *f = &j->facts;
	/* As if its master had signed it: what would not count then either is not worth a look. */
	enum judge_verdict v = judge(f, g, g->master.fpr);

	if (v != JUDGE_GOOD) {
		log_debug("group=%s list=ignored why=\"%s\"", f->name, judge_name(v));
		return;
	}
	for (size_t i = 0; i < j->n_unknown; i++)
		if (strcmp(j->unknown[i], g->master.address) == 0)
			return;
	j->unknown[j->n_unknown++] = g->master.address;
}

static void take(struct judge_job *j, struct group *g, struct bytes octets)
{
	if (j->best != NULL && strcmp(j->best->master.fpr, g->master.fpr) != 0)
		j->two_masters = true;
	if (j->best != NULL && j->best->serial >= g->serial)
		return;
	j->best = g;
	j->octets = octets;
}

static void judge_one(struct judge_job *j, struct bytes octets)
{
	struct pgp_verdict v = { 0 };
	struct err e = { "" };
	struct bytes plain;
	struct group *g = NULL;

	if (pgp_verify_work(j->pgp, j, "group/1", octets, LIMIT_DHT_VALUE, &plain, &v, &e) == OK)
		g = group_parse(j, plain, &e);
	if (g == NULL) {
		log_debug("group=%s list=ignored why=\"%s\"", j->facts.name, e.text);
		return;
	}
	if (v.signer == PGP_UNKNOWN) {
		note_unknown(j, g);
		return;
	}
	enum judge_verdict verdict = judge(&j->facts, g, v.fpr);

	if (verdict == JUDGE_GOOD)
		take(j, g, octets);
	else
		log_debug("group=%s list=ignored why=\"%s\"", j->facts.name, judge_name(verdict));
}

void judge_work(struct judge_job *j)
{
	for (size_t i = 0; i < j->n_values; i++)
		judge_one(j, j->values[i]);
	if (j->two_masters)
		j->best = NULL;
}
