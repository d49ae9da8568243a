/* Whose word lets a holder serve again after an absence. Everything around sync.c is played here: who answers what. */
#include <string.h>

#include "lib/base/clock.h"
#include "store.h"
#include "way/replica/state.h"

static struct replicas r;
static struct member ann, bob, carl;
static bool serves, served_old, dht_ready;
static const char *why;		/* he is off: what the call says */
static uint64_t applied;
static char dummy;

/* What each of them answers when he is asked for ann's list: a serial; 0: he is off; -1: 401; -2: his greeting cannot be read, too. */
static int64_t says[3];
enum { OFF = 0, STRANGER = -1, SHUT = -2 };

/* What is under way: one call, one job. */
static struct { struct member *to; void (*done)(void *, const struct http_reply *); void *arg; bool open; char etag[32]; } call;
static struct { const struct pool_job *job; void *arg; } work;
static void (*round_now)(void *);

struct http_transfer *member_call(struct member *m, const struct member_call *c)
{
	call.to = m;
	call.done = c->done;
	call.arg = c->arg;
	call.open = c->open;
	snprintf(call.etag, sizeof(call.etag), "%s", c->etag ? c->etag : "");
	return (struct http_transfer *)&dummy;
}

void http_transfer_free(struct http_transfer **t)
{
	*t = NULL;
	call.done = NULL;
}

void pool_submit(struct pool *p, enum pool_lane lane, const struct pool_job *job, void *arg)
{
	(void)p, (void)lane;
	work.job = job;
	work.arg = arg;
}

struct timer *timer_new(struct loop *l, void (*fn)(void *), void *arg)
{
	(void)l, (void)arg;
	round_now = fn;
	return (struct timer *)&dummy;
}

void timer_set(struct timer *t, int64_t ms)
{
	(void)t, (void)ms;
}

void timer_free(struct timer **t)
{
	*t = NULL;
}

struct member *member_find(struct replicas *all, const char *address)
{
	(void)all;
	return strcmp(address, ann.address) == 0 ? &ann : NULL;
}

void member_answered(struct member *m, const struct http_reply *reply)
{
	(void)m, (void)reply;
}

void member_save(struct member *m)
{
	(void)m;
}

bool member_can_be_asked(const struct member *m)
{
	return m->urls[0] != '\0';
}

bool members_is_alone(const struct replicas *all)
{
	(void)all;
	return false;
}

bool members_heard(const struct replicas *all, int64_t within_ms)
{
	(void)all, (void)within_ms;
	return false;
}

bool dht_is_ready(const struct dht *dht)
{
	(void)dht;
	return dht_ready;
}

void tell_to(struct member *m, bool all)
{
	(void)m, (void)all;
}

void tell_changed(const struct member *owner)
{
	(void)owner;
}

char *member_path(const void *c, const char *owner, const char *what)
{
	return talloc_asprintf(c, "/replica/%s/%s", owner, what);
}

void apply_list(struct member *m, const struct msglist *l)
{
	(void)m;
	applied = l->serial;
}

void stand_changed(struct stand *s)
{
	(void)s;
}

void pulls_round(struct pulls *p, struct member *m)
{
	(void)p, (void)m;
}

void push_to(struct member *m)
{
	(void)m;
}

enum outcome pgp_open_shared_work(struct pgp *p, const void *c, const char *role, struct bytes octets, size_t max, struct bytes *plain_out,
    struct pgp_verdict *v, struct err *e)
{
	(void)p, (void)c, (void)role, (void)max, (void)e;
	*v = (struct pgp_verdict){ .signer = PGP_GOOD };
	*plain_out = octets;
	return octets.data[0] == '?' ? REJECT : OK;
}

static void table_serve(struct members *m, const char *owner, bool may)
{
	(void)m, (void)owner;
	serves = may;
	served_old |= may && ann.row.serial < 20;
}

static void table_list(struct members *m, const char *owner, struct bytes octets, uint64_t serial)
{
	(void)m, (void)owner, (void)octets, (void)serial;
}

static struct bytes list(uint64_t serial)
{
	struct msglist l = { .owner = "ann@home", .group = "home", .serial = serial, .issued_s = clock_now_s() };
	struct buf *b = buf_new(ctx, LIMIT_RECORD);

	msglist_print(b, &l);
	return buf_bytes(b);
}

static void answer(void)
{
	int64_t said = says[call.to == &ann ? 0 : call.to == &bob ? 1 : 2];
	struct http_reply reply = { .status = said > 0 ? 200 : said == OFF ? 0 : 401, .text = why };
	void (*done)(void *, const struct http_reply *) = call.done;

	if (said > 0)
		reply.body = list((uint64_t)said);
	if (call.open && said != OFF) {
		reply.status = 200;
		reply.body = said == SHUT ? bytes_str("?") : list(0);
	}
	if (strcmp(call.etag, talloc_asprintf(ctx, "\"%lld\"", (long long)said)) == 0)
		reply.status = 304;
	call.done = NULL;
	done(call.arg, &reply);
}

/* Until nobody is asked any more. */
static void round_of(struct member *m)
{
	round_now(m);
	for (int i = 0; i < 100 && (call.done != NULL || work.job != NULL); i++) {
		if (work.job != NULL) {
			const struct pool_job *job = work.job;

			work.job = NULL;
			job->work(work.arg);
			job->done(work.arg);
		} else {
			answer();
		}
	}
}

static void add(struct member *m, const char *address)
{
	*m = (struct member){ .r = &r, .urls = "http://x", .row = { .etag = "", .group = "", .token_serial = 1 } };
	snprintf(m->address, sizeof(m->address), "%s", address);
	m->groups = m->own = 1;
	HASH_ADD_STR(r.members, address, m);
}

/* We have ann's list 10, so old, and come back. */
static void begin(int64_t age_s)
{
	r = (struct replicas){ .settings = { .n_urls = 1 }, .table = { .serve = table_serve, .list_set = table_list }, .parts = { .store = st } };
	add(&ann, "ann@home");
	add(&bob, "bob@home");
	add(&carl, "carl@home");
	ann.row.serial = 10;
	ann.row.issued_s = clock_now_s() - age_s;
	ann.row.confirmed_s = clock_now_s();
	serves = served_old = false;
	dht_ready = true;
	why = "";
	applied = 0;
	store_replica_list_set(st, "ann@home", list(10));
	sync_judge(&ann);
	sync_now(&ann);
}

enum { HOUR = 3600, DAY = 24 * HOUR };

static const struct { const char *name; int64_t age_s, says[3]; bool serves; uint64_t applied; } cases[] = {
	{ "he says it is the newest",             2 * DAY, { 10, OFF, OFF },            true,  0 },
	{ "he has a newer one",                   2 * DAY, { 20, OFF, OFF },            true,  20 },
	{ "nobody answers, it is of today",       HOUR,    { OFF, OFF, OFF },           true,  0 },
	{ "nobody answers, it is old",            2 * DAY, { OFF, OFF, OFF },           false, 0 },
	{ "another member has the same",          2 * DAY, { OFF, 10, OFF },            true,  0 },
	{ "one has the same, the next a newer",   HOUR,    { OFF, 10, 20 },             true,  20 },
	{ "one has a newer, the next the same",   HOUR,    { OFF, 20, 10 },             true,  20 },
	{ "others have older ones",               2 * DAY, { OFF, 5, 6 },               false, 0 },
	{ "others have older ones, it is of today", HOUR,  { OFF, 5, OFF },             true,  0 },
	{ "he has shut us out",                   HOUR,    { SHUT, OFF, OFF },          false, 0 },
	{ "all have shut us out",                 HOUR,    { SHUT, STRANGER, STRANGER }, false, 0 },
	{ "he is off, others have shut us out",   HOUR,    { OFF, STRANGER, OFF },      false, 0 },
	{ "one does not know us, another does",   2 * DAY, { OFF, STRANGER, 10 },       true,  0 },
};

START_TEST(after_an_absence)
{
	begin(cases[_i].age_s);
	ck_assert(!serves);
	memcpy(says, cases[_i].says, sizeof(says));
	round_of(&ann);
	ck_assert_msg(serves == cases[_i].serves, "%s: %s", cases[_i].name, serves ? "serves" : "serves not");
	ck_assert_msg(applied == cases[_i].applied, "%s: list %llu", cases[_i].name, (unsigned long long)applied);
	ck_assert_msg(applied != 20 || !served_old, "%s: served before it had the newer one", cases[_i].name);
}
END_TEST

/* What he said once does not count for ever: neither that we are shut out, nor that there is nothing newer. */
START_TEST(later)
{
	begin(HOUR);
	memcpy(says, (int64_t[]){ SHUT, OFF, OFF }, sizeof(says));
	round_of(&ann);
	ck_assert(!serves);
	says[0] = OFF;
	round_of(&ann);
	ck_assert(!serves);
	says[0] = 10;
	round_of(&ann);
	ck_assert(serves);
	sync_absent(&ann);
	ck_assert(!serves);
	memcpy(says, (int64_t[]){ OFF, OFF, 20 }, sizeof(says));
	round_of(&ann);
	ck_assert(serves && applied == 20);
}
END_TEST

/* That nobody answers says nothing without a network. */
START_TEST(cut_off)
{
	begin(HOUR);
	memcpy(says, (int64_t[]){ OFF, OFF, OFF }, sizeof(says));
	dht_ready = false;
	round_of(&ann);
	ck_assert(!serves);
	round_now(&ann);
	dht_ready = true;	/* it came while they were asked */
	round_of(&ann);
	ck_assert(!serves);
	round_of(&ann);
	ck_assert(serves);
	dht_ready = false;
	round_of(&ann);
	ck_assert(!serves);
	why = "connection refused by 198.51.100.7:4180";
	round_of(&ann);
	ck_assert(serves);
	sync_absent(&ann);
	ck_assert(!serves);
}
END_TEST

/* Who was cut off asks also those who are believed away. */
START_TEST(cut_off_after_his_word)
{
	begin(HOUR);
	memcpy(says, (int64_t[]){ 10, OFF, OFF }, sizeof(says));
	round_of(&ann);
	ck_assert(serves);
	bob.away = carl.away = true;
	memcpy(says, (int64_t[]){ OFF, OFF, OFF }, sizeof(says));
	dht_ready = false;
	round_of(&ann);
	ck_assert(!serves);
	dht_ready = true;
	served_old = false;
	says[1] = 20;
	round_of(&ann);
	ck_assert(serves && applied == 20 && !served_old);
}
END_TEST

/* Who cannot be asked has a sync and a quarter to come by himself. */
START_TEST(hidden_one)
{
	begin(HOUR);
	r.settings.sync_ms = 60000;
	bob.urls = (char *)(uintptr_t)"";
	ann.absent_ms = clock_mono_ms();
	memcpy(says, (int64_t[]){ OFF, 20, 10 }, sizeof(says));
	round_of(&ann);
	ck_assert(!serves && applied == 0);
	ann.absent_ms -= 74000;
	round_of(&ann);
	ck_assert(!serves);
	ann.absent_ms -= 1001;
	round_of(&ann);
	ck_assert(serves);
	says[0] = 10;		/* the owner need not wait for anybody */
	ann.absent_ms = clock_mono_ms();
	ann.confirmed = ann.round_done = false;
	round_of(&ann);
	ck_assert(serves);
}
END_TEST

UNIT_SUITE("replica_sync")
	tcase_add_checked_fixture(unit_case, unit_setup, unit_teardown);
	UNIT_LOOP(after_an_absence, cases);
	UNIT(later);
	UNIT(cut_off);
	UNIT(cut_off_after_his_word);
	UNIT(hidden_one);
UNIT_END
