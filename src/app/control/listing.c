/* Times are texts of p2pmta-protocol(7), section 3; "" stands for never. */
#include <string.h>

#include <talloc.h>

#include "app/control/control.h"
#include "app/control/listing.h"
#include "lib/base/clock.h"
#include "lib/mime/header.h"

static json_t *print_time(int64_t s)
{
	char text[CLOCK_TEXT] = "";

	if (s > 0)
		clock_print(s, text);
	return json_string(text);
}

static json_t *print_history(struct store *store, const void *ctx, uint64_t rcpt)
{
	json_t *list = json_array();
	size_t n;
	struct rcpt_event *events = store_rcpt_events(store, ctx, rcpt, &n);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:o, s:o}", "at", print_time(events[i].at_ms / 1000), "text",
		    control_text(events[i].text)));
	return list;
}

static json_t *print_rcpt(struct store *store, const struct rcpt *r, bool history)
{
	/* A row that was never tried is due now, or waits for an answer; there is no time to tell. */
	int64_t next_s = r->done || r->tries == 0 ? 0 : (r->due_ms + 999) / 1000;
	json_t *j = json_pack("{s:s, s:s, s:o, s:o, s:i, s:o}", "address", r->address, "state", rcpt_state_name(r->state), "since",
	    print_time(r->since_ms / 1000), "reason", control_text(r->reason), "tries", r->done ? 0 : (int)r->tries,
	    "next", print_time(next_s));

	if (history)
		json_object_set_new(j, "history", print_history(store, r, r->id));
	return j;
}

/* Which fellow members hold it; nothing of it when there are none. */
static void add_holders(json_t *letter, struct replicas *replicas, const void *ctx, const struct letter *l)
{
	size_t n, n_holding = 0;
	struct replicas_holder *all = replicas_holders(replicas, ctx, l->hash, &n);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_array_append_new(list, json_pack("{s:s, s:b, s:b}", "address", all[i].address, "holds", all[i].holds, "reachable",
		    all[i].reachable));
		n_holding += all[i].holds;
	}
	if (n > 0 && l->sealed && !l->done) {
		json_object_set_new(letter, "held_by", json_integer((json_int_t)n_holding));
		json_object_set_new(letter, "safe", json_boolean(replicas_is_safe(all, n)));
		json_object_set_new(letter, "holders", json_incref(list));
	}
	json_decref(list);
}

static json_t *print_letter(struct store *store, struct replicas *replicas, const void *ctx, const struct letter *l, bool history)
{
	char hash[DIGEST_HEX] = "";
	size_t n;

	if (l->sealed)
		hex_print(bytes_of(l->hash, sizeof(l->hash)), hash);
	struct rcpt **rcpts = store_rcpt_of_letter(store, ctx, l->id, &n);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, print_rcpt(store, rcpts[i], history));
	json_t *j = json_pack("{s:I, s:o, s:o, s:I, s:s, s:o, s:o}", "id", (json_int_t)l->id, "message_id", control_text(l->message_id),
	    "subject", control_text(header_decode(ctx, l->subject)), "size", (json_int_t)l->size, "hash", hash, "submitted",
	    print_time(l->submitted_ms / 1000), "recipients", list);
	add_holders(j, replicas, ctx, l);
	return j;
}

json_t *listing_letter(struct store *store, struct replicas *replicas, uint64_t id, bool history)
{
	void *ctx = talloc_new(NULL);
	struct letter *l = store_letter_find(store, ctx, id);
	json_t *j = l != NULL ? print_letter(store, replicas, ctx, l, history) : NULL;

	talloc_free(ctx);
	return j;
}

json_t *listing_queued(struct store *store, struct replicas *replicas, uint64_t id)
{
	void *ctx = talloc_new(NULL);
	struct letter *l = store_letter_find(store, ctx, id);
	json_t *j = l != NULL && !l->done ? print_letter(store, replicas, ctx, l, false) : NULL;

	talloc_free(ctx);
	return j;
}

static json_t *print_member(const struct replicas_shown *m)
{
	return json_pack("{s:s, s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:s}", "address", m->address, "up", m->up, "seen",
	    print_time(m->seen_s), "messages", (json_int_t)m->messages, "bytes", (json_int_t)m->bytes, "wanted", (json_int_t)m->wanted,
	    "holds", (json_int_t)m->there, "holds_bytes", (json_int_t)m->there_bytes, "reason", m->reason);
}

json_t *listing_replicas(struct store *store, struct replicas *replicas)
{
	void *ctx = talloc_new(NULL);
	struct replica_counts all = store_replica_count(store, NULL);
	json_t *list = json_array();
	size_t n;
	struct replicas_shown *shown = replicas_show(replicas, ctx, &n);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, print_member(&shown[i]));
	talloc_free(ctx);
	return json_pack("{s:I, s:I, s:I, s:o}", "messages", (json_int_t)all.messages, "bytes", (json_int_t)all.bytes, "quota",
	    (json_int_t)replicas_quota(replicas), "members", list);
}

void listing_add_safe(json_t *status, struct replicas *replicas)
{
	int64_t safe = replicas_count_safe(replicas);

	if (safe >= 0)
		json_object_set_new(json_object_get(status, "outbox"), "safe", json_integer((json_int_t)safe));
}

void listing_add_reach(json_t *status, struct replicas *replicas)
{
	const char *by;
	enum replicas_reach reach = replicas_reach(replicas, &by);

	json_object_set_new(status, "reachable", reach == REACH_UNKNOWN ? json_null() : json_boolean(reach == REACH_YES));
	json_object_set_new(status, "reached_by", json_string(reach == REACH_YES ? by : ""));
	json_object_set_new(status, "unreached_by", json_string(reach == REACH_NO ? by : ""));
}

json_t *listing_contact(const struct contact *c)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:o}", "address", c->address, "fingerprint", c->fpr, "trust",
	    trust_name(c->trust), "accepted", c->accepted, "last_seen", print_time(c->last_seen_s));
}

/* What members keep for one another is known of those whose keys are here. */
static void add_replicas(json_t *member, const char *address, const struct replicas_shown *shown, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_t *one = strcmp(shown[i].address, address) == 0 ? print_member(&shown[i]) : NULL;

		if (one != NULL) {
			json_object_update_missing(member, one);
			json_object_set(member, "last_seen", json_object_get(one, "seen"));
			json_object_del(member, "seen");
			json_decref(one);
		}
	}
}

static json_t *print_members(const struct groups_shown *g, struct replicas *replicas)
{
	void *ctx = talloc_new(NULL);
	json_t *list = json_array();
	size_t n;
	struct replicas_shown *shown = replicas_show(replicas, ctx, &n);

	for (size_t i = 0; i < g->n_members; i++) {
		const struct groups_shown_member *m = &g->members[i];
		json_t *one = json_pack("{s:s, s:s, s:b, s:b, s:b, s:b, s:o}", "address", m->address, "fingerprint", m->fpr,
		    "self", m->is_self, "master", m->is_master, "conflict", m->conflict, "reachable", m->reachable, "last_seen",
		    print_time(m->last_seen_s));

		add_replicas(one, m->address, shown, n);
		json_array_append_new(list, one);
	}
	talloc_free(ctx);
	return list;
}

static json_t *print_group(const struct groups_shown *g, struct replicas *replicas)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:o, s:s}", "name", g->name, "state", groups_state_name(g->state), "master", g->master,
	    "expires", print_time(g->expires_s), "reason", g->reason);

	if (replicas == NULL) {
		json_object_set_new(j, "members", json_integer((json_int_t)g->n_members));
		return j;
	}
	json_object_set_new(j, "fingerprint", json_string(g->fpr));
	json_object_set_new(j, "serial", json_integer((json_int_t)g->serial));
	json_object_set_new(j, "issued", print_time(g->issued_s));
	json_object_set_new(j, "invites", json_integer((json_int_t)g->n_invites));
	json_object_set_new(j, "members", print_members(g, replicas));
	return j;
}

json_t *listing_groups(struct groups *groups, const char *name, struct replicas *replicas)
{
	void *ctx = talloc_new(NULL);
	json_t *list = json_array();
	size_t n;
	struct groups_shown *all = groups_show(groups, ctx, &n);

	for (size_t i = 0; i < n; i++)
		if (name == NULL || strcmp(all[i].name, name) == 0)
			json_array_append_new(list, print_group(&all[i], replicas));
	talloc_free(ctx);
	return list;
}

json_t *listing_contacts(struct store *store)
{
	void *ctx = talloc_new(NULL);
	json_t *list = json_array();
	size_t n;
	struct contact **all = store_contact_all(store, ctx, &n);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, listing_contact(all[i]));
	talloc_free(ctx);
	return list;
}
