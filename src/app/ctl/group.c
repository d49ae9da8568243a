/* p2pmta-ctl group: its commands are a table of their own, each one question to the daemon. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/ctl/ctl.h"
#include "app/control/control.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"

enum { HANG = 13, ADDRESS = 28, JOIN_WAIT_S = 60, MAX_WAIT_S = 86400, MAX_TOKEN = 4096, ANY = 1000 };

const char group_help[] =
    "usage: p2pmta-ctl [-c FILE] [--json] group COMMAND ...\n\n"
    "Members of a group keep messages for one another: who has sent one may switch off.\n\n"
    "  show [GNAME]             the groups of this peer: members, keys, how they stand\n"
    "  create GNAME             make a group; this peer is its master\n"
    "  invite                   print a token for one who is to join: good once, for 24 hours\n"
    "  join TOKEN               join by such a token; - reads it from standard input\n"
    "  add ADDRESS FPR          take in somebody whose fingerprint is known\n"
    "  remove ADDRESS           take a member out\n"
    "  leave GNAME              be in this group no more\n\n"
    "  --group GNAME            with invite, add, remove: when this peer is the master of several\n"
    "  --qr                     with invite: a QR code also where no terminal is\n"
    "  --wait SECONDS           with join: wait so long until it is done (60; 0: not at all)\n";

/* What a command is called with. */
struct call {
	int n;
	char **argv;			/* without the command's name and options */
	const char *group;		/* --group; NULL */
	bool qr;
	long wait_s;
};

static bool wants_qr;			/* of the one command that runs */

static json_t *pack_group(const struct call *c, json_t *args)
{
	if (c->group)
		json_object_set_new(args, "group", control_text(c->group));
	return args;
}

static json_t *pack_name(const struct call *c, struct err *e)
{
	(void)e;
	return c->n ? json_pack("{s:o}", "group", control_text(c->argv[0])) : json_object();
}

static json_t *pack_invite(const struct call *c, struct err *e)
{
	(void)e;
	return pack_group(c, json_object());
}

static json_t *pack_add(const struct call *c, struct err *e)
{
	json_t *fpr = ctl_fingerprint(c->n - 1, c->argv + 1, e);

	return fpr ? pack_group(c, json_pack("{s:o, s:o}", "address", control_text(c->argv[0]), "fpr", fpr)) : NULL;
}

static json_t *pack_remove(const struct call *c, struct err *e)
{
	(void)e;
	return pack_group(c, json_pack("{s:o}", "address", control_text(c->argv[0])));
}

/* A token that was folded comes as several words; whoever does not want it in a history gives it on standard input. */
static json_t *pack_join(const struct call *c, struct err *e)
{
	char token[MAX_TOKEN + 1] = "";
	size_t len = 0;

	if (c->n == 1 && !strcmp(c->argv[0], "-")) {
		ssize_t n = files_read(STDIN_FILENO, token, MAX_TOKEN);

		len = n > 0 ? (size_t)n : 0;
	}
	for (int i = 0; i < c->n && strcmp(c->argv[0], "-"); i++)
		len += (size_t)snprintf(token + len, sizeof(token) - len, "%s", len < MAX_TOKEN ? c->argv[i] : "");
	if (len == 0 || len >= MAX_TOKEN) {
		err_set(e, "this is no token as p2pmta-ctl group invite prints it");
		return NULL;
	}
	token[len] = '\0';
	return json_pack("{s:o, s:I}", "token", control_text(token), "wait", (json_int_t)c->wait_s);
}

static long long number_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void show_member(const void *ctx, const json_t *m)
{
	bool self = json_is_true(json_object_get(m, "self"));
	const char *fpr = show_text(m, "fingerprint"), *seen = show_text(m, "last_seen");

	line_print(HANG, "%-13s%s %s%s%s", "", line_pad(ctx, show_text(m, "address"), ADDRESS),
	    json_is_true(json_object_get(m, "master")) ? "master" : "member", self ? ", this peer" : "",
	    json_is_true(json_object_get(m, "conflict")) ? ", another key is known: p2pmta-ctl contacts" : "");
	line_print(HANG, "%-13s%s", "", *fpr ? fpr : "its key is looked for");
	if (self)
		return;
	bool up = json_is_true(json_object_get(m, "up"));

	line_print(HANG, "%-13s%s%s%s", "", json_is_true(json_object_get(m, "reachable")) ? "has a URL" : "no URL is known",
	    up ? ", up" : *seen ? ", last seen " : ", not seen yet", up ? "" : seen);
	if (json_object_get(m, "holds")) {
		char here[32], there[32];

		line_print(HANG, "%-13sholds %lld of ours, %s; we %lld of his, %s", "", number_of(m, "holds"),
		    show_octets(number_of(m, "holds_bytes"), there), number_of(m, "messages"), show_octets(number_of(m, "bytes"), here));
	}
}

static void show_one(const json_t *g)
{
	void *ctx = mem_ctx(NULL);
	const json_t *m;
	size_t i;
	long long invites = (long long)json_integer_value(json_object_get(g, "invites"));

	line_print(HANG, "%-13s%s", "group", show_text(g, "name"));
	line_print(HANG, "%-13s%s%s%s", "state", show_text(g, "state"), *show_text(g, "reason") ? ": " : "", show_text(g, "reason"));
	line_print(HANG, "%-13s%s", "master", show_text(g, "master"));
	if (*show_text(g, "expires"))
		line_print(HANG, "%-13sof %s, until %s", "list", show_text(g, "issued"), show_text(g, "expires"));
	if (invites)
		line_print(HANG, "%-13s%lld open", "invites", invites);
	json_array_foreach(json_object_get(g, "members"), i, m)
		show_member(ctx, m);
	talloc_free(ctx);
}

static void show_all(const json_t *r)
{
	const json_t *g;
	size_t i;

	if (!json_array_size(r))
		line_print(0, "This peer is in no group. p2pmta-ctl group create GNAME makes one, group join TOKEN joins one.");
	json_array_foreach(r, i, g) {
		if (i)
			putchar('\n');
		show_one(g);
	}
}

static void show_change(const json_t *r)
{
	(void)r;
}

static void show_left(const json_t *r)
{
	line_print(0, "Left. The master still names this peer in its list until he takes it out (group remove).");
	(void)r;
}

static void show_created(const json_t *r)
{
	line_print(0, "This peer is the master of %s. p2pmta-ctl group invite takes others in.", show_text(r, "group"));
}

/* The token is one word whatever the width of the terminal: it is copied. */
static void show_invite(const json_t *r)
{
	printf("%s\n", show_text(r, "token"));
	if (wants_qr && !qr_print(show_text(r, "token")))
		line_print(0, "(The QR code is wider than this terminal.)");
	if (isatty(STDOUT_FILENO))
		line_print(0, "Good once, until %s, for one who is to join %s. He types: p2pmta-ctl group join TOKEN", show_text(r, "expires"),
		    show_text(r, "group"));
}

static void show_joined(const json_t *r)
{
	if (!strcmp(show_text(r, "state"), "member"))
		line_print(0, "In %s.", show_text(r, "name"));
	else
		line_print(0, "Asked %s to take this peer into %s: %s. It goes on by itself; p2pmta-ctl group show tells.", show_text(r, "master"),
		    show_text(r, "name"), show_text(r, "reason"));
}

static const struct subcommand {
	const char *name, *args;
	int min, max;
	bool group, qr, wait;		/* options that it takes */
	enum control_command control;
	json_t *(*pack)(const struct call *, struct err *);
	void (*show)(const json_t *);
} subcommands[] = {
	{ "show", "[GNAME]", 0, 1, false, false, false, CONTROL_GROUP_SHOW, pack_name, show_all },
	{ "create", "GNAME", 1, 1, false, false, false, CONTROL_GROUP_CREATE, pack_name, show_created },
	{ "invite", "[--group GNAME] [--qr]", 0, 0, true, true, false, CONTROL_GROUP_INVITE, pack_invite, show_invite },
	{ "join", "[--wait SECONDS] TOKEN", 1, ANY, false, false, true, CONTROL_GROUP_JOIN, pack_join, show_joined },
	{ "add", "[--group GNAME] ADDRESS FPR", 2, 11, true, false, false, CONTROL_GROUP_ADD, pack_add, show_change },
	{ "remove", "[--group GNAME] ADDRESS", 1, 1, true, false, false, CONTROL_GROUP_REMOVE, pack_remove, show_change },
	{ "leave", "GNAME", 1, 1, false, false, false, CONTROL_GROUP_LEAVE, pack_name, show_left },
};

static const struct subcommand *subcommand_find(const char *name)
{
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		if (!strcmp(subcommands[i].name, name))
			return &subcommands[i];
	return NULL;
}

/* 0 and more, or -1. */
static long seconds(const char *text)
{
	char *end;
	long n = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : -1;

	return n >= 0 && n <= MAX_WAIT_S && !*end ? n : -1;
}

int group_run(struct ctl *ctl, int argc, char **argv)
{
	const struct subcommand *s = subcommand_find(argv[1]);
	struct call call = { .wait_s = 0 };
	const char *wait = NULL;
	struct err e;

	if (!s)
		return ctl_fail(EXIT_USAGE, "there is no command group %s; group --help shows what there is", argv[1]);
	argc--, argv++;
	call.group = s->group ? ctl_take_value(&argc, argv, "--group") : NULL;
	call.qr = s->qr && ctl_take_word(&argc, argv, "--qr");
	wait = s->wait ? ctl_take_value(&argc, argv, "--wait") : NULL;
	call.wait_s = !s->wait ? 0 : wait ? seconds(wait) : JOIN_WAIT_S;
	call.n = argc - 1;
	call.argv = argv + 1;
	if (call.wait_s < 0)
		return ctl_fail(EXIT_USAGE, "--wait %.60s: not a number of seconds, 0 to %d", wait, MAX_WAIT_S);
	if (call.n < s->min || call.n > s->max)
		return ctl_fail(EXIT_USAGE, "usage: p2pmta-ctl group %s %s", s->name, s->args);
	json_t *args = s->pack(&call, &e);
	if (!args)
		return ctl_fail(EXIT_USAGE, "%s", e.text);
	wants_qr = call.qr || isatty(STDOUT_FILENO);
	return ctl_ask(ctl, control_command_name(s->control), args, CTL_WAIT_MS + call.wait_s * 1000, s->show);
}
