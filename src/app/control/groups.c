/*
 * p2pmta-ctl group. A change is answered when it is durable, a join when we
 * are in, or when the asker's patience is over: the request itself goes on.
 */
#include <string.h>

#include <talloc.h>

#include "app/control/listing.h"
#include "app/control/private.h"
#include "lib/base/clock.h"

/* A join that somebody waits for. */
struct join_wait {
	struct commands *commands;
	uint64_t request;
	char *group;
	struct timer *timer;
	LIST_ENTRY(join_wait) link;
};

static const char *text_of(const json_t *args, const char *key)
{
	return json_string_value(json_object_get(args, key));
}

void run_group_show(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	const char *name = text_of(args, "group");
	json_t *list = listing_groups(c->parts.groups, name, c->parts.replicas);

	if (name == NULL || json_array_size(list) > 0) {
		control_answer(c->control, request, list);
		return;
	}
	json_decref(list);
	control_refuse(c->control, request, CONTROL_NOT_FOUND, "this peer is not in a group of this name; `p2pmta-ctl group show` lists them");
}

static void answer_change(struct commands *c, uint64_t request, enum outcome res, const struct err *e, json_t *result)
{
	if (res == OK) {
		answer_when_durable(c, request, result);
		return;
	}
	json_decref(result);
	control_refuse(c->control, request, CONTROL_REFUSED, e->text);
}

void run_group_create(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	const char *name = text_of(args, "group");
	struct err e = { "" };
	enum outcome res = groups_create(c->parts.groups, name, &e);

	answer_change(c, request, res, &e, json_pack("{s:s}", "group", name));
}

void run_group_add(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	const char *address = text_of(args, "address"), *fpr = text_of(args, "fpr");
	struct err e = { "" };
	enum outcome res = groups_add(c->parts.groups, text_of(args, "group"), address, fpr, &e);

	answer_change(c, request, res, &e, json_pack("{s:s, s:s}", "address", address, "fingerprint", fpr));
}

void run_group_remove(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	const char *address = text_of(args, "address");
	struct err e = { "" };
	enum outcome res = groups_remove(c->parts.groups, text_of(args, "group"), address, &e);

	answer_change(c, request, res, &e, json_pack("{s:s}", "address", address));
}

void run_group_leave(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	const char *name = text_of(args, "group");
	struct err e = { "" };
	enum outcome res = groups_leave(c->parts.groups, name, &e);

	answer_change(c, request, res, &e, json_pack("{s:s}", "group", name));
}

void run_group_invite(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	void *ctx = talloc_new(NULL);
	const char *group = "";
	char until[CLOCK_TEXT] = "";
	int64_t expires_s = 0;
	struct err e = { "" };
	char *token = groups_invite(c->parts.groups, ctx, text_of(args, "group"), &group, &expires_s, &e);

	if (token != NULL)
		clock_print(expires_s, until);
	answer_change(c, request, token != NULL ? OK : REJECT, &e,
	    json_pack("{s:s, s:s, s:s}", "token", token != NULL ? token : "", "group", group, "expires", until));
	talloc_free(ctx);
}

static void wait_free(struct join_wait *w)
{
	LIST_REMOVE(w, link);
	timer_free(&w->timer);
	talloc_free(w);
}

static json_t *print_join(struct commands *c, const char *group)
{
	json_t *list = listing_groups(c->parts.groups, group, c->parts.replicas), *one = json_incref(json_array_get(list, 0));

	json_decref(list);
	return one;
}

static void answer_joined(struct join_wait *w)
{
	answer_when_durable(w->commands, w->request, print_join(w->commands, w->group));
	wait_free(w);
}

static void on_patience(void *arg)
{
	struct join_wait *w = arg;
	json_t *group = print_join(w->commands, w->group);
	const char *reason = text_of(group, "reason");
	char *text = talloc_asprintf(w, "not in %s yet: %s. It goes on by itself; p2pmta-ctl group show tells", w->group,
	    reason != NULL && reason[0] != '\0' ? reason : "the request is out");

	control_refuse(w->commands->control, w->request, CONTROL_REFUSED, text);
	json_decref(group);
	wait_free(w);
}

void run_group_join(void *arg, uint64_t request, const json_t *args)
{
	struct commands *c = arg;
	void *ctx = talloc_new(NULL);
	json_int_t wait_s = json_integer_value(json_object_get(args, "wait"));
	const char *group = "";
	struct err e = { "" };

	if (groups_join(c->parts.groups, ctx, text_of(args, "token"), &group, &e) != OK) {
		control_refuse(c->control, request, CONTROL_REFUSED, e.text);
	} else if (wait_s == 0 || groups_is_in(c->parts.groups, group)) {
		answer_when_durable(c, request, print_join(c, group));
	} else {
		struct join_wait *w = talloc_zero(c, struct join_wait);

		w->commands = c;
		w->request = request;
		w->group = talloc_strdup(w, group);
		w->timer = timer_new(c->parts.loop, on_patience, w);
		timer_set(w->timer, wait_s * 1000);
		LIST_INSERT_HEAD(&c->joins, w, link);
	}
	talloc_free(ctx);
}

void commands_group_changed(struct commands *c, const char *group)
{
	struct join_wait *w, *next;

	for (w = LIST_FIRST(&c->joins); w != NULL; w = next) {
		next = LIST_NEXT(w, link);
		if (strcmp(w->group, group) == 0 && groups_is_in(c->parts.groups, group))
			answer_joined(w);
	}
}

void group_joins_stop(struct commands *c)
{
	while (LIST_FIRST(&c->joins) != NULL)
		wait_free(LIST_FIRST(&c->joins));
}
