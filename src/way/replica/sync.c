/*
 * Following the lists of others. A round asks the owner himself, with his
 * token (or first for the greeting that tells it); when he does not answer,
 * all fellow members, one after the other, for the copy that each has. A list
 * counts when the owner signed it and its serial is greater than the last; a
 * copy of the one that we have says that there is nothing newer there. The
 * newest of all that were shown is what they confirm, at the end of the round.
 *
 * After an absence (a start, or a time in which this process did not run)
 * replicas are not served until the owner or another member has been heard;
 * when everybody was asked and nobody answered, a list made less than a day
 * ago will do (p2pmta-protocol(7), section 8). Who is not let in any more has
 * been answered: he may have been removed, and serves nothing. Whether nobody is
 * there or we are cut off from all looks the same, so the first sign of a member
 * after nobody was heard of counts as the end of an absence, and a round without
 * any network says nothing. What was brought to us may have waited in a socket
 * during the absence, so it is taken, but not as a word of now: we ask.
 */
#include <inttypes.h>
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "way/replica/state.h"

enum { LONE_MS = 10000 };	/* between two rounds while nobody is up */

static void ask_next(struct member *m);

/* --- a list on a worker --- */

struct opening {
	struct replicas *r;
	char address[LIMIT_ADDRESS + 1], fpr[FPR_LEN];
	char *etag;
	bool greeting, copy;		/* copy: from another member whom we asked */
	unsigned absences;		/* of the member's, when it came */
	struct bytes octets;
	struct msglist *list;
	enum outcome res;
	struct err err;
	void (*done)(void *arg, unsigned status);
	void *arg;
};

static void open_work(void *arg)
{
	struct opening *o = arg;
	struct pgp_verdict v;
	struct bytes plain;

	o->res = pgp_open_shared_work(o->r->parts.pgp, o, "msglist/1", o->octets, LIMIT_LIST + LIMIT_RECORD, &plain, &v, &o->err);
	if (o->res != OK)
		return;
	o->res = REJECT;
	if (v.signer != PGP_GOOD || strcmp(v.fpr, o->fpr) != 0) {
		err_set(&o->err, "signed by another key");
		return;
	}
	o->list = msglist_parse(o, plain, &o->err);
	if (o->list == NULL)
		return;
	if (strcmp(o->list->owner, o->address) != 0) {
		err_set(&o->err, "it is somebody else's");
		return;
	}
	o->res = OK;
}

static void take_token(struct member *m, const struct msglist *l)
{
	bool news = m->row.token_serial == 0 || memcmp(m->row.token, l->member_token, 32) != 0;

	/* A greeting is as old as its token; a list says which is the newest. */
	m->row.token_serial = l->serial > 0 ? l->serial : 1;
	memcpy(m->row.token, l->member_token, 32);
	if (!news)
		return;
	/* Until now he could not be asked. */
	push_to(m);
	tell_to(m, false);
	for (struct member *other = m->r->members; other != NULL; other = other->hh.next)
		if (other != m && !other->confirmed)
			sync_now(other);
}

static bool has_hidden(const struct member *m)
{
	bool hidden = m->urls[0] == '\0';

	for (const struct member *other = m->r->members; other != NULL; other = other->hh.next)
		hidden |= member_has_fellow(m, other) && other->urls[0] == '\0';
	return hidden;
}

/*
 * Whom nobody can ask comes by himself, with every sync of his: after an absence we wait for that, since he may know of a
 * newer list than those who can be asked. What is left of that time; 0: there is nobody to wait for, or he had his time.
 */
static int64_t patience(const struct member *m)
{
	int64_t sync_ms = m->r->settings.sync_ms, left = m->absent_ms + sync_ms + sync_ms / 4 - clock_mono_ms();

	return has_hidden(m) && left > 0 ? left : 0;
}

void sync_judge(struct member *m)
{
	bool fresh = m->row.serial != 0 && clock_now_s() - m->row.issued_s < LIST_FRESH_S && !m->shut_out && !m->doubt;
	bool serve = m->confirmed || (m->round_done && fresh && patience(m) == 0);

	serve = serve && !m->cut;
	/* Owners count on it that who has no URL gives nothing away: ours_holdout(). */
	m->r->table.serve(m->r->table.members, m->address, serve && m->r->settings.n_urls > 0);
	if (serve != m->serving)
		stand_changed(m->r->stand);
	m->serving = serve;
}

static void confirm(struct member *m)
{
	bool news = !m->confirmed || clock_now_s() - m->row.confirmed_s > 60;

	m->confirmed = true;
	m->shut_out = m->cut = false;
	m->row.confirmed_s = clock_now_s();
	if (news)
		member_save(m);
	sync_judge(m);
}

/* A put waits for the disk. */
struct answering {
	void (*done)(void *arg, unsigned status);
	void *arg;
};

static void on_durable(void *arg, bool durable)
{
	struct answering *a = arg;

	a->done(a->arg, durable ? 204 : 507);
	talloc_free(a);
}

static void answer_when_durable(struct replicas *r, void (*done)(void *arg, unsigned status), void *arg)
{
	struct answering *a = talloc_zero(NULL, struct answering);

	a->done = done;
	a->arg = arg;
	store_when_durable(r->parts.store, on_durable, a);
}

static void set_etag(struct member *m, const char *etag)
{
	talloc_free((void *)(uintptr_t)(m->row.etag[0] != '\0' ? m->row.etag : NULL));
	m->row.etag = etag != NULL && etag[0] != '\0' ? talloc_strdup(m, etag) : "";
}

/*
 * Brought to us while we do not know what is newest. It may have been under way since before the absence, so it counts for
 * nothing at first; once those who bring lists have had their time it is as good as a copy that we asked for.
 */
static void ask_about_brought(struct member *m)
{
	m->brought = has_hidden(m) && patience(m) == 0;
	sync_now(m);
}

/* The owner's list came in; is it his word of now? */
static void heard_himself(struct member *m, const struct opening *o)
{
	if (o->absences == m->absences && (o->done == NULL || m->confirmed))
		confirm(m);
	else
		ask_about_brought(m);
}

static void take_list(struct member *m, const struct opening *o)
{
	const struct msglist *l = o->list;
	struct replicas *r = m->r;

	set_etag(m, o->etag);
	m->row.group = "";
	m->row.serial = l->serial;
	m->row.issued_s = l->issued_s;
	take_token(m, l);
	apply_list(m, l);
	store_replica_list_set(r->parts.store, m->address, o->octets);
	member_save(m);
	r->table.list_set(r->table.members, m->address, o->octets, l->serial);
	if (!o->copy)
		heard_himself(m, o);
	tell_changed(m);
	stand_changed(r->stand);
	pulls_round(r->pulls, m);
}

static int64_t pause_ms(const struct replicas *r)
{
	int64_t sync_ms = r->settings.sync_ms;

	return sync_ms > LONE_MS && members_is_alone(r) ? LONE_MS : sync_ms;
}

static void round_over(struct member *m)
{
	int64_t left = patience(m);
	bool was_cut = m->cut, net = m->life || (m->online && dht_is_ready(m->r->parts.dht)) || members_heard(m->r, m->r->settings.sync_ms);

	m->round_done = true;
	m->cut = !m->said && !net;
	if (m->cut) {
		/* We are absent as long as this goes on. */
		m->confirmed = false;
		m->absent_ms = clock_mono_ms();
	}
	if (m->cut && !was_cut)
		log_info("member=%s replicas=withheld why=\"no network\"", m->address);
	if (m->said && left == 0)
		confirm(m);
	m->said = false;
	if (!m->confirmed && left > 0 && left < pause_ms(m->r))
		timer_set(m->sync, left);
	sync_judge(m);
	pulls_round(m->r->pulls, m);
}

static void open_done(void *arg)
{
	struct opening *o = arg;
	struct member *m = member_find(o->r, o->address);
	bool newer = o->res == OK && m != NULL && o->list->serial > m->row.serial;
	bool put = o->done != NULL;

	if (m == NULL) {
		if (put)
			o->done(o->arg, 404);
		goto out;
	}
	m->opening = false;
	if (o->res != OK)
		log_info("member=%s list=refused why=\"%s\"", o->address, o->err.text);
	if (o->res == OK && o->greeting) {
		take_token(m, o->list);
		member_save(m);
		m->asking = ASK_AGAIN;
		ask_next(m);
		goto out;
	}
	m->shut_out |= o->greeting && o->res == REJECT;
	m->said |= o->copy && o->absences == m->absences && o->res == OK && o->list->serial >= m->row.serial;
	if (newer)
		take_list(m, o);
	else if (o->res == OK && !o->copy && o->list->serial == m->row.serial)
		heard_himself(m, o);
	if (put && o->res == OK)
		answer_when_durable(o->r, o->done, o->arg);
	else if (put)
		o->done(o->arg, o->res == RETRY ? 507 : 409);
	else if (o->absences != m->absences)
		sync_now(m);
	else if (o->res == OK && !o->copy)
		round_over(m);
	else
		ask_next(m);
out:
	talloc_free(o);
}

static void open_drop(void *arg)
{
	talloc_free(arg);
}

static struct opening *opening_new(struct member *m, struct bytes octets, const char *etag)
{
	struct opening *o = talloc_zero(NULL, struct opening);

	o->r = m->r;
	o->absences = m->absences;
	memcpy(o->address, m->address, sizeof(o->address));
	memcpy(o->fpr, m->fpr, sizeof(o->fpr));
	o->etag = talloc_strdup(o, etag != NULL ? etag : "");
	o->octets = bytes_dup(o, octets);
	return o;
}

static void open_it(struct member *m, struct opening *o)
{
	static const struct pool_job job = { open_work, open_done, open_drop };

	m->opening = true;
	pool_submit(m->r->parts.pool, POOL_SOON, &job, o);
}

static bool is_ours_already(struct member *m, struct bytes octets)
{
	void *ctx = talloc_new(NULL);
	bool same = m->row.serial != 0 && bytes_equal(octets, store_replica_list(m->r->parts.store, ctx, m->address));

	talloc_free(ctx);
	return same;
}

void sync_take(struct member *m, struct bytes octets, void (*done)(void *arg, unsigned status), void *arg)
{
	if (is_ours_already(m, octets)) {
		if (m->confirmed)
			confirm(m);
		else
			ask_about_brought(m);
		answer_when_durable(m->r, done, arg);
		return;
	}
	struct opening *o = opening_new(m, octets, "");

	o->done = done;
	o->arg = arg;
	open_it(m, o);
}

/* --- a round --- */

static void note_life(struct member *m, const struct http_reply *reply)
{
	m->life |= reply->status != 0 || strstr(reply->text, "refused") != NULL;
}

static void on_greeting(void *arg, const struct http_reply *reply)
{
	struct member *m = arg;

	m->list_call = NULL;
	m->asking = ASK_OTHERS;
	member_answered(m, reply);
	note_life(m, reply);
	if (reply->status == 200) {
		struct opening *o = opening_new(m, reply->body, "");

		o->greeting = true;
		open_it(m, o);
	} else {
		ask_next(m);
	}
}

static void on_list(void *arg, const struct http_reply *reply)
{
	struct member *m = arg;
	bool again = m->asking == ASK_AGAIN;

	m->list_call = NULL;
	m->asking = ASK_OTHERS;
	member_answered(m, reply);
	note_life(m, reply);
	if (reply->status == 304) {
		confirm(m);
		round_over(m);
	} else if (reply->status == 200 && is_ours_already(m, reply->body)) {
		set_etag(m, reply->etag);
		confirm(m);
		round_over(m);
	} else if (reply->status == 200) {
		open_it(m, opening_new(m, reply->body, reply->etag));
	} else if (reply->status == 401 && !again) {
		m->asking = ASK_GREETING;
		ask_next(m);
	} else if (reply->status == 0) {
		ask_next(m);
	} else {
		/* He is there, and has nothing for us (yet). */
		m->shut_out |= reply->status == 401;
		round_over(m);
	}
}

static void on_copy(void *arg, const struct http_reply *reply)
{
	struct member *m = arg;

	m->list_call = NULL;
	note_life(m, reply);
	m->doubt |= reply->status == 401;
	m->said |= reply->status == 304 || (reply->status == 200 && is_ours_already(m, reply->body));
	if (reply->status == 200 && !is_ours_already(m, reply->body)) {
		struct opening *o = opening_new(m, reply->body, "");

		o->copy = true;
		open_it(m, o);
	} else {
		ask_next(m);
	}
}

static bool ask_himself(struct member *m)
{
	bool greeting = m->asking == ASK_GREETING;
	struct member_call call = {
		.method = "GET", .path = "/outbox/msglist", .open = greeting,
		.etag = m->row.etag[0] != '\0' && !greeting ? m->row.etag : NULL,
		.max = greeting ? LIMIT_RECORD : LISTS_MAX, .quiet_ms = CALL_MS,
		.done = greeting ? on_greeting : on_list, .arg = m,
	};

	m->list_call = member_call(m, &call);
	return m->list_call != NULL;
}

/* The next fellow member for his copy of m's list. */
static bool ask_another(struct member *m)
{
	struct member *other = m->r->members;
	void *ctx = talloc_new(NULL);
	/* A list has the same ETag at everybody. */
	const char *etag = m->row.serial != 0 ? talloc_asprintf(ctx, "\"%" PRIu64 "\"", m->row.serial) : NULL;
	struct member_call call = {
		.method = "GET", .path = member_path(ctx, m->address, "msglist"), .etag = etag, .max = LISTS_MAX, .quiet_ms = CALL_MS,
		.done = on_copy, .arg = m,
	};

	for (size_t i = 0; other != NULL && i < m->n_asked; i++)
		other = other->hh.next;
	for (; other != NULL && m->list_call == NULL; other = other->hh.next) {
		m->n_asked++;
		if (member_has_fellow(m, other) && (!other->away || !m->confirmed) && member_can_be_asked(other))
			m->list_call = member_call(other, &call);
	}
	talloc_free(ctx);
	return m->list_call != NULL;
}

static void ask_next(struct member *m)
{
	if (m->r->stopped || m->list_call != NULL || m->opening)
		return;
	if (m->asking != ASK_OTHERS && ask_himself(m))
		return;
	m->asking = ASK_OTHERS;
	if (!ask_another(m))
		round_over(m);
}

static void on_round(void *arg)
{
	struct member *m = arg;

	timer_set(m->sync, pause_ms(m->r));
	if (m->list_call != NULL || m->opening)
		return;
	m->n_asked = 0;
	m->said = m->brought;
	m->brought = m->doubt = m->life = false;
	m->online = dht_is_ready(m->r->parts.dht);
	m->asking = m->urls[0] == '\0' ? ASK_OTHERS : m->row.token_serial == 0 ? ASK_GREETING : ASK_HIMSELF;
	ask_next(m);
}

void sync_now(struct member *m)
{
	if (m->sync == NULL)
		m->sync = timer_new(m->r->parts.loop, on_round, m);
	timer_set(m->sync, 0);
}

void sync_absent(struct member *m)
{
	http_transfer_free(&m->list_call);
	m->absences++;
	m->absent_ms = clock_mono_ms();
	m->confirmed = m->round_done = m->said = m->brought = false;
	sync_judge(m);
	sync_now(m);
}

void sync_returned(struct member *m)
{
	sync_now(m);
	for (struct member *owner = m->r->members; owner != NULL; owner = owner->hh.next)
		if (owner->away && member_has_fellow(owner, m))
			sync_now(owner);
}

void sync_stop(struct member *m)
{
	timer_free(&m->sync);
	http_transfer_free(&m->list_call);
}
