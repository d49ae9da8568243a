/*
 * A list may come from anybody: it is what its signature makes it. So all
 * places are asked side by side, what they show is judged in one job of a
 * worker, and each list once: whoever floods a key costs one gpg at a time.
 * Whose key is not here is looked for, then his lists are judged once more.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/mail/join.h"
#include "lib/mail/urls.h"
#include "lib/mail/value.h"
#include "way/group/state.h"

enum { LOOK_MS = 10000, LOOK_EVERY_MS = 600 * 1000, MISSED_MS = 2000, WAIT_FIRST_MS = 1000, WAIT_MAX_MS = 60000 };

static void judge_next(struct entry *e);

static bool is_asking(const struct entry *e)
{
	for (int i = 0; i < FIND_URLS; i++)
		if (e->askings[i].transfer != NULL)
			return true;
	return e->get != NULL;
}

bool find_is_busy(const struct entry *e)
{
	return is_asking(e) || e->judging || e->n_values > 0 || e->n_waits > 0;
}

/* The look is over when nobody is asked any more and all is judged. */
static void settle(struct entry *e)
{
	if (!is_asking(e))
		judge_next(e);
	if (find_is_busy(e))
		return;
	/* Somebody floods the key: what found no place is looked for behind what was judged. */
	if (e->missed && e->ours && e->look_at_ms > clock_mono_ms() + MISSED_MS) {
		e->look_at_ms = clock_mono_ms() + MISSED_MS;
		groups_soon(e->groups);
	}
	if (!e->looking)
		return;
	e->looking = false;
	e->looked_ms = clock_mono_ms();
	if (!e->ours)
		holders_found(e);
}

static void queue_value(struct entry *e, struct bytes message)
{
	if (e->n_values < JUDGE_MAX)
		e->values[e->n_values++] = bytes_dup(e, message);
}

static bool is_new(struct entry *e, struct bytes message)
{
	void *ctx = talloc_new(NULL);
	struct group_row *row = store_group_find(e->groups->parts.store, ctx, e->name);
	bool known = row != NULL && bytes_equal(row->descriptor, message);
	unsigned n = e->n_judged < JUDGED ? e->n_judged : JUDGED;
	uint8_t hash[32];

	talloc_free(ctx);
	digest_of(message, hash);
	for (unsigned i = 0; i < n && !known; i++)
		known = memcmp(e->judged[i], hash, sizeof(hash)) == 0;
	e->missed |= !known && e->n_values == JUDGE_MAX;
	if (known || e->n_values == JUDGE_MAX)
		return false;
	memcpy(e->judged[e->n_judged++ % JUDGED], hash, sizeof(hash));
	return true;
}

void find_hear(struct entry *e, struct bytes message)
{
	if (message.len == 0 || message.len > LIMIT_DHT_VALUE || !is_new(e, message))
		return;
	queue_value(e, message);
	if (!is_asking(e))
		judge_next(e);
}

static void on_dht_value(void *arg, struct bytes octets)
{
	struct value v;

	if (value_parse(octets, &v) == 0 && v.kind == VALUE_GROUP)
		find_hear(arg, v.message);
}

/* Judging. */

static void wait_for_keys(struct entry *e, const struct judge_job *j)
{
	struct groups *g = e->groups;

	for (size_t i = 0; i < j->n_values; i++)
		e->held[i] = bytes_dup(e, j->values[i]);
	e->n_held = j->n_values;
	for (size_t i = 0; i < j->n_unknown; i++)
		memcpy(e->waits[i], j->unknown[i], strlen(j->unknown[i]) + 1);
	e->n_waits = j->n_unknown;
	e->waited = true;
	for (size_t i = 0; i < j->n_unknown; i++)
		g->hooks.resolve(g->hooks.arg, j->unknown[i], true);
}

static void facts_get(struct entry *e, const void *ctx, struct judge_facts *f)
{
	struct group_row *row = store_group_find(e->groups->parts.store, ctx, e->name);
	bool sender = !e->ours && e->sender[0] != '\0';
	/* The one that we knew when we left is as good as a newer one. */
	bool again = row != NULL && row->role != GROUP_MASTER && row->descriptor.len == 0 && row->serial > 0;

	*f = (struct judge_facts){
		.name = e->name, .master = row != NULL ? row->master : "", .fpr = row != NULL ? row->fpr : "",
		.serial = row == NULL ? 0 : again ? row->serial - 1 : row->serial, .now_s = clock_now_s(),
		.sender = sender ? talloc_strdup(ctx, e->sender) : "", .sender_fpr = sender ? talloc_strdup(ctx, e->sender_fpr) : "",
	};
}

static void judged(struct entry *e, const struct judge_job *j)
{
	struct judge_facts now;

	/* What was known when the job began may have changed since. */
	facts_get(e, j, &now);
	if (j->best != NULL && judge(&now, j->best, j->best->master.fpr) == JUDGE_GOOD)
		list_take(e, j->best, j->octets);
	else if (j->two_masters)
		log_info("group=%s list=ignored why=\"two masters claim this group\"", e->name);
	else if (j->best == NULL && j->n_unknown > 0 && !e->waited)
		wait_for_keys(e, j);
}

static void on_judge_done(void *arg)
{
	struct judge_job *j = arg;
	struct entry *e = entry_find(j->owner, j->facts.name);

	if (e != NULL && e->judging) {
		e->judging = false;
		judged(e, j);
		settle(e);
	}
	talloc_free(j);
}

static void on_judge_work(void *arg)
{
	judge_work(arg);
}

static void on_judge_drop(void *arg)
{
	talloc_free(arg);
}

static void judge_next(struct entry *e)
{
	static const struct pool_job job = { on_judge_work, on_judge_done, on_judge_drop };

	if (e->judging || e->n_values == 0)
		return;
	struct judge_job *j = talloc_zero(NULL, struct judge_job);

	j->owner = e->groups;
	j->pgp = e->groups->parts.pgp;
	facts_get(e, j, &j->facts);
	j->facts.name = talloc_strdup(j, e->name);
	for (size_t i = 0; i < e->n_values; i++) {
		j->values[i] = bytes_dup(j, e->values[i]);
		talloc_free((void *)(uintptr_t)e->values[i].data);
	}
	j->n_values = e->n_values;
	e->n_values = 0;
	e->judging = true;
	pool_submit(e->groups->parts.pool, POOL_SOON, &job, j);
}

/* A master's key is here, or nobody has it: either way his lists are judged for good. */
static void resolved(struct entry *e, const char *address)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_waits; i++)
		if (strcmp(e->waits[i], address) != 0)
			memmove(e->waits[n++], e->waits[i], sizeof(e->waits[i]));
	if (e->n_waits == 0 || n == e->n_waits)
		return;
	e->n_waits = n;
	if (n > 0)
		return;
	for (size_t i = 0; i < e->n_held; i++) {
		queue_value(e, e->held[i]);
		talloc_free((void *)(uintptr_t)e->held[i].data);
	}
	e->n_held = 0;
	settle(e);
}

void find_resolved(struct groups *g, const char *address)
{
	struct entry *e, *next;

	HASH_ITER(hh, g->entries, e, next)
		resolved(e, address);
}

/* Looking. */

static void ask_next(struct asking *a);

/* What a member himself says does not stand behind what anybody may put into the DHT. */
static void make_room(struct entry *e)
{
	if (e->n_values < JUDGE_MAX)
		return;
	talloc_free((void *)(uintptr_t)e->values[--e->n_values].data);
	e->n_judged -= e->n_judged > 0;		/* that one: it was not judged after all */
	e->missed = true;
}

static void on_http_done(void *arg, const struct http_reply *reply)
{
	struct asking *a = arg;
	struct entry *e = a->entry;

	a->transfer = NULL;
	if (reply->status == 200) {
		make_room(e);
		find_hear(e, reply->body);
	}
	ask_next(a);
	settle(e);
}

static void ask_next(struct asking *a)
{
	struct entry *e = a->entry;
	char *path = talloc_asprintf(NULL, "/group/%s", e->name);
	struct http_call call = {
		.method = "GET", .max = LIMIT_DHT_VALUE, .quiet_ms = LOOK_MS, .total_ms = LOOK_MS, .friend_address = e->ours,
		.done = on_http_done, .arg = a,
	};

	call.url = e->n_urls < FIND_URLS_MAX ? urls_first(path, e->next_url, path) : NULL;
	if (call.url != NULL) {
		e->n_urls++;
		e->next_url = urls_rest(e->next_url);
		a->transfer = http_call(e->groups->parts.http, &call);
	}
	talloc_free(path);
}

static void on_dht_done(void *arg)
{
	struct entry *e = arg;

	e->get = NULL;
	settle(e);
}

void find_look(struct entry *e, const char *urls)
{
	char key[LIMIT_ADDRESS + 16];

	if (find_is_busy(e))
		return;
	e->looking = true;
	e->waited = false;
	if (!e->missed)
		e->n_judged = 0;
	e->missed = false;
	talloc_free(e->urls);
	e->urls = talloc_strdup(e, urls);
	e->next_url = e->urls;
	e->n_urls = 0;
	value_key(KEY_GROUP, e->name, key);
	e->get = dht_get_new(e->groups->parts.dht, key, LOOK_MS, on_dht_value, on_dht_done, e);
	for (int i = 0; i < FIND_URLS; i++)
		ask_next(&e->askings[i]);
}

/* Whom a group of ours can be asked: who invited us, its master, its members. */
static char *urls_of(struct entry *e, const void *ctx)
{
	char *all = e->invite != NULL ? urls_print(ctx, e->invite->urls, e->invite->n_urls) : talloc_strdup(ctx, "");

	for (size_t i = 0; i < e->n_members; i++)
		if (e->members[i].urls[0] != '\0' && strcmp(e->members[i].address, e->groups->settings.address) != 0)
			all = talloc_asprintf_append(all, "%s%s", all[0] != '\0' ? "\n" : "", e->members[i].urls);
	return all;
}

/* While we wait to be let in, often; else the DHT tells us. */
int64_t find_tick(struct entry *e, int64_t now_ms)
{
	if (!e->ours)
		return INT64_MAX;
	if (now_ms >= e->look_at_ms && !find_is_busy(e)) {
		void *ctx = talloc_new(NULL);
		int64_t pause = WAIT_FIRST_MS << (e->n_looks < 6 ? e->n_looks : 6);

		e->n_looks++;
		find_look(e, urls_of(e, ctx));
		e->look_at_ms = now_ms + (e->counts ? LOOK_EVERY_MS : pause < WAIT_MAX_MS ? pause : WAIT_MAX_MS);
		talloc_free(ctx);
	}
	return e->look_at_ms > now_ms ? e->look_at_ms - now_ms : WAIT_FIRST_MS;
}

void find_start(struct entry *e)
{
	char key[LIMIT_ADDRESS + 16];

	value_key(KEY_GROUP, e->name, key);
	if (e->listen == NULL)
		e->listen = dht_listen_new(e->groups->parts.dht, key, on_dht_value, e);
}

void find_stop(struct entry *e)
{
	dht_listen_free(&e->listen);
	dht_get_free(&e->get);
	for (int i = 0; i < FIND_URLS; i++)
		http_transfer_free(&e->askings[i].transfer);
	e->judging = e->looking = false;
	e->n_values = e->n_waits = e->n_held = 0;
}
