/*
 * Each command is a few lines of reading rows and printing them as JSON. What
 * changes something is answered when it is durable.
 */
#include <string.h>

#include <talloc.h>

#include "app/control/listing.h"
#include "app/control/private.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/addr.h"
#include "lib/store/contact.h"

/*
 * An answer that waits for the disk, and that of a cancel then for fellow members to know of it, but not for long.
 * Its own talloc context: the store calls back even after we have stopped.
 */
enum { CONFIRM_MS = 3000 };
struct later {
	LIST_ENTRY(later) link;
	struct commands *commands;	/* NULL: stopped, nobody is there to be answered */
	uint64_t request;
	json_t *result;
	uint64_t letter;		/* of a cancel, as are the addresses */
	json_t *addresses;
	bool confirming;		/* the replicas hold it, not the store */
};

static struct later *later_new(struct commands *c, uint64_t request, json_t *result)
{
	struct later *l = talloc_zero(NULL, struct later);

	l->commands = c;
	l->request = request;
	l->result = result;
	LIST_INSERT_HEAD(&c->laters, l, link);
	return l;
}

static void later_free(struct later *l)
{
	if (l->commands != NULL)
		LIST_REMOVE(l, link);
	json_decref(l->result);
	json_decref(l->addresses);
	talloc_free(l);
}

static void later_answer(struct later *l)
{
	control_answer(l->commands->control, l->request, json_incref(l->result));
	later_free(l);
}

/* The store calls back once more; the replicas drop who waits. */
static void laters_stop(struct commands *c)
{
	struct later *l;

	while ((l = LIST_FIRST(&c->laters)) != NULL) {
		if (l->confirming) {
			later_free(l);
		} else {
			LIST_REMOVE(l, link);
			l->commands = NULL;
		}
	}
}

/* Is there anything left to say? */
static bool later_goes_on(struct later *l, bool durable)
{
	if (l->commands != NULL && durable)
		return true;
	if (l->commands != NULL)
		control_refuse(l->commands->control, l->request, CONTROL_REFUSED, "it could not be written to disk");
	later_free(l);
	return false;
}

static void on_later_durable(void *arg, bool durable)
{
	if (later_goes_on(arg, durable))
		later_answer(arg);
}

void answer_when_durable(struct commands *c, uint64_t request, json_t *result)
{
	store_when_durable(c->parts.store, on_later_durable, later_new(c, request, result));
}

static void run_status(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	struct letter_counts n = store_letter_count(c->parts.store);

	(void)args;
	json_t *status = json_pack("{s:s, s:s, s:s, s:I, s:{s:i, s:b}, s:{s:I, s:I}, s:o, s:I, s:I, s:I, s:o}",
	    "address", c->parts.address,
	    "fingerprint", c->parts.fpr,
	    "version", PACKAGE_VERSION,
	    "uptime_s", (json_int_t)((clock_mono_ms() - c->started_ms) / 1000),
	    "dht", "nodes", (int)dht_nodes(c->parts.dht), "ready", dht_is_ready(c->parts.dht),
	    "outbox", "messages", (json_int_t)n.outbox_messages, "bytes", (json_int_t)n.outbox_bytes,
	    "replicas", listing_replicas(c->parts.store, c->parts.replicas),
	    "spool", (json_int_t)n.spool,
	    "unpulled", (json_int_t)store_notice_count_unpulled(c->parts.store),
	    "longest_turn_ms", (json_int_t)loop_longest_ms(c->parts.loop),
	    "groups", listing_groups(c->parts.groups, NULL, NULL));

	listing_add_safe(status, c->parts.replicas);
	listing_add_reach(status, c->parts.replicas);
	control_answer(c->control, request, status);
}

static void run_show(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	json_t *letter = listing_letter(c->parts.store, c->parts.replicas, (uint64_t)json_integer_value(json_object_get(args, "id")), true);

	if (letter != NULL)
		control_answer(c->control, request, letter);
	else
		control_refuse(c->control, request, CONTROL_NOT_FOUND, "there is no message with this id; `p2pmta-ctl queue` lists them");
}

static json_t *print_cancelled(const struct cancelled *all, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:s, s:b, s:s, s:s}", "address", all[i].address, "cancelled",
		    all[i].state == CANCEL_IN_TIME, "state", cancel_state_name(all[i].state), "reason", all[i].reason));
	return list;
}

static struct cancelled *cancel(struct commands *c, const void *ctx, uint64_t letter, const json_t *addresses, size_t *n_out)
{
	size_t n = json_array_size(addresses);
	const char **list = talloc_array(ctx, const char *, n + 1);

	for (size_t i = 0; i < n; i++)
		list[i] = json_string_value(json_array_get(addresses, i));
	return courier_cancel(c->parts.courier, ctx, letter, list, n, n_out);
}

/* What was in time for us may not have been for a member. */
static void on_confirmed(void *arg)
{
	struct later *w = arg;
	void *ctx = talloc_new(NULL);
	size_t n;
	struct cancelled *now = cancel(w->commands, ctx, w->letter, w->addresses, &n);
	json_t *fresh = now != NULL ? print_cancelled(now, n) : json_array();

	for (size_t i = 0; now != NULL && i < n && i < json_array_size(w->result); i++)
		if (now[i].state != CANCEL_IN_TIME)
			json_array_set(w->result, i, json_array_get(fresh, i));
	json_decref(fresh);
	later_answer(w);
	talloc_free(ctx);
}

static void on_cancelled_durable(void *arg, bool durable)
{
	struct later *w = arg;

	if (!later_goes_on(w, durable))
		return;
	struct commands *c = w->commands;
	struct letter *l = store_letter_find(c->parts.store, w, w->letter);

	w->confirming = l != NULL && l->sealed;
	if (w->confirming)
		replicas_when_confirmed(c->parts.replicas, l->hash, CONFIRM_MS, on_confirmed, w);
	else
		later_answer(w);
}

static void answer_cancelled(struct commands *c, uint64_t request, const json_t *args, json_t *result)
{
	struct later *w = later_new(c, request, result);

	w->letter = (uint64_t)json_integer_value(json_object_get(args, "id"));
	w->addresses = json_deep_copy(json_object_get(args, "addresses"));
	store_when_durable(c->parts.store, on_cancelled_durable, w);
}

static void run_cancel(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	void *ctx = talloc_new(NULL);
	size_t n_all;
	struct cancelled *all = cancel(c, ctx, (uint64_t)json_integer_value(json_object_get(args, "id")),
	    json_object_get(args, "addresses"), &n_all);

	if (all == NULL)
		control_refuse(c->control, request, CONTROL_NOT_FOUND, "there is no message with this id; `p2pmta-ctl queue` lists them");
	else if (n_all == 0)
		control_refuse(c->control, request, CONTROL_NOT_FOUND, "none of these addresses is a recipient of this message");
	else
		answer_cancelled(c, request, args, print_cancelled(all, n_all));
	talloc_free(ctx);
}

static void run_contacts(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;

	(void)args;
	control_answer(c->control, request, listing_contacts(c->parts.store));
}

static struct contact *contact_or_refuse(struct commands *c, const void *ctx, uint64_t request, const json_t *args)
{
	const char *address = json_string_value(json_object_get(args, "address"));
	struct contact *found = store_contact_find(c->parts.store, ctx, address);

	if (found == NULL)
		control_refuse(c->control, request, CONTROL_NOT_FOUND, "nothing is known of this address; `p2pmta-ctl contacts` lists who is known");
	return found;
}

/* The user chose a key: it is pinned, and its descriptor is looked up anew. */
static void pin(struct commands *c, struct contact *to, const char *fpr)
{
	if (strcmp(to->fpr, fpr) != 0) {
		to->fpr = fpr;
		to->descriptor = (struct bytes){ NULL, 0 };
		to->serial = 0;
		to->urls = "";
	}
	to->rival = "";
	to->trust = TRUST_VERIFIED;
	store_contact_save(c->parts.store, to);
	log_info("address=%s key=%s trust=verified", to->address, fpr);
}

static void run_verify(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	void *ctx = talloc_new(NULL);
	struct contact *to = contact_or_refuse(c, ctx, request, args);
	const char *fpr = json_string_value(json_object_get(args, "fpr"));

	if (to != NULL && fpr == NULL && to->fpr[0] == '\0') {
		control_refuse(c->control, request, CONTROL_REFUSED, "two keys claim this address: give the fingerprint of the right one");
	} else if (to != NULL) {
		pin(c, to, fpr != NULL ? fpr : to->fpr);
		courier_release(c->parts.courier, to->address);
		groups_on_resolved(c->parts.groups, to->address, OK);
		answer_when_durable(c, request, listing_contact(to));
	}
	talloc_free(ctx);
}

static void run_forget(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	void *ctx = talloc_new(NULL);
	struct contact *to = contact_or_refuse(c, ctx, request, args);

	if (to != NULL) {
		store_contact_forget(c->parts.store, to->address);
		courier_release(c->parts.courier, to->address);
		groups_on_resolved(c->parts.groups, to->address, OK);
		answer_when_durable(c, request, json_pack("{s:s}", "address", to->address));
	}
	talloc_free(ctx);
}

/* Every body in INBOX that is not here. */
static void pull_all(struct commands *c, uint64_t request)
{
	struct mailbox *inbox = store_mailbox_standard(c->parts.store, BOX_INBOX);
	uint64_t remote = store_keyword(c->parts.store, "$Remote");
	json_int_t n = 0;

	for (size_t i = 0; i < inbox->n_messages; i++)
		if (inbox->messages[i].keywords & remote)
			n += courier_want(c->parts.courier, inbox->messages[i].content);
	answer_when_durable(c, request, json_pack("{s:I}", "pulling", n));
}

static void run_pull(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	const json_t *uid = json_object_get(args, "uid");
	const struct message *m;

	if (uid == NULL) {
		pull_all(c, request);
		return;
	}
	m = store_message_find(store_mailbox_standard(c->parts.store, BOX_INBOX), (uint32_t)json_integer_value(uid));
	if (m != NULL)
		courier_pull(c->parts.courier, m->content, request | COMMANDS_TICKET);
	else
		control_refuse(c->control, request, CONTROL_NOT_FOUND, "INBOX has no message with this UID");
}

void commands_pull_done(struct commands *c, uint64_t ticket, enum outcome res, const char *text)
{
	uint64_t request = ticket & ~COMMANDS_TICKET;

	if (res == OK)
		control_answer(c->control, request, json_pack("{s:i}", "pulled", 1));
	else
		control_refuse(c->control, request, CONTROL_REFUSED, text);
}

static unsigned trace_mask(const json_t *words)
{
	static const struct { const char *name; enum trace bit; } traces[] = {
		{ "smtp", TRACE_SMTP }, { "imap", TRACE_IMAP }, { "http", TRACE_HTTP }, { "dht", TRACE_DHT },
	};
	unsigned mask = 0;

	for (size_t i = 0; i < json_array_size(words); i++)
		for (size_t j = 0; j < sizeof(traces) / sizeof(traces[0]); j++)
			if (strcmp(json_string_value(json_array_get(words, i)), traces[j].name) == 0)
				mask |= traces[j].bit;
	return mask;
}

static void run_trace(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	unsigned mask = trace_mask(json_object_get(args, "what"));

	trace_set(json_is_true(json_object_get(args, "on")) ? trace_get() | mask : trace_get() & ~mask);
	control_answer(c->control, request, json_pack("{s:i}", "mask", (int)trace_get()));
}

static void run_reload(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	struct err e = { "" };

	(void)args;
	if (c->parts.reload(c->parts.arg, &e) == OK)
		control_answer(c->control, request, json_pack("{s:s}", "note", e.text));
	else
		control_refuse(c->control, request, CONTROL_REFUSED, e.text);
}

static void run_stop(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;

	(void)args;
	control_answer_last(c->control, request, json_object(), c->parts.stop, c->parts.arg);
}

struct commands *commands_start(const struct commands_parts *parts, const char *socket, struct err *e)
{
	struct commands *c = talloc_zero(NULL, struct commands);
	struct control_hooks hooks = {
		.run = {
			[CONTROL_STATUS] = run_status, [CONTROL_QUEUE] = run_queue, [CONTROL_SHOW] = run_show,
			[CONTROL_CANCEL] = run_cancel, [CONTROL_CONTACTS] = run_contacts, [CONTROL_PULL] = run_pull,
			[CONTROL_VERIFY] = run_verify, [CONTROL_FORGET] = run_forget, [CONTROL_TRACE] = run_trace,
			[CONTROL_GROUP_SHOW] = run_group_show, [CONTROL_GROUP_CREATE] = run_group_create, [CONTROL_GROUP_ADD] = run_group_add,
			[CONTROL_GROUP_REMOVE] = run_group_remove, [CONTROL_GROUP_INVITE] = run_group_invite,
			[CONTROL_GROUP_JOIN] = run_group_join, [CONTROL_GROUP_LEAVE] = run_group_leave,
			[CONTROL_RELOAD] = run_reload, [CONTROL_STOP] = run_stop,
		},
		.arg = c,
	};

	c->parts = *parts;
	c->started_ms = clock_mono_ms();
	c->control = control_start(parts->loop, socket, &hooks, e);
	if (c->control == NULL)
		TALLOC_FREE(c);
	return c;
}

void commands_stop(struct commands **cp)
{
	struct commands *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	queues_stop(c);
	group_joins_stop(c);
	laters_stop(c);
	control_stop(&c->control);
	talloc_free(c);
}
