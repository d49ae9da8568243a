/*
 * doctor: what could keep a peer from working, each with what to do about it.
 * It looks from outside, so that it tells the same of a daemon that runs, hangs
 * or does not start; only the DHT and the group are asked of the daemon. Checks go on after
 * one that failed, unless they have nothing to look at.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "app/ctl/ctl.h"
#include "app/daemon/selftest.h"
#include "lib/base/mem.h"
#include "lib/pgp/pgp.h"
#include "lib/store/check.h"

const char doctor_help[] =
    "usage: p2pmta-ctl [-c FILE] [--json] doctor [--repair]\n\n"
    "Checks configuration, files, key, clock, disk, state.db and message files, ports, DHT and groups:\n"
    "whether a fellow member gets through to this peer, who is up, who holds what and how much.\n"
    "It says what to do about what is wrong. Works with and without a running daemon.\n\n"
    "  --repair   mend state.db where that can be done; the daemon must not run. No UID changes.\n";

enum state { GOOD, REPAIRED, WARN, BAD };
static const char *const state_names[] = { [GOOD] = "good", [REPAIRED] = "repaired", [WARN] = "warn", [BAD] = "bad" };

#define GIB ((uint64_t)1024 * 1024 * 1024)
enum { OLDEST_CLOCK_S = 1767225600 /* 2026 */, LOW_SHARE = 20, CONNECT_S = 3, ANSWER_MS = 10 * 1000 };

struct doctor {
	const struct ctl *ctl;
	const struct settings *settings;
	json_t *checks;
	const char *at;			/* name of the check that runs */
	bool repair, bad, any;
	json_t *status;			/* of the daemon; NULL: it does not run */
};

static void tell(struct doctor *d, enum state state, const char *text, const char *advice)
{
	d->bad |= state == BAD;
	d->any = true;
	json_array_append_new(d->checks, json_pack("{s:s, s:s, s:s, s:s}", "check", d->at, "state", state_names[state],
	    "text", text, "advice", advice));
	if (d->ctl->json)
		return;
	line_print(26, "%-9s %-14s  %s", state_names[state], d->at, text);
	if (*advice)
		line_print(28, "%26s> %s", "", advice);
}

/* ---- one by one ---- */

static void check_files(struct doctor *d)
{
	struct err e;

	if (selftest(d->settings, &e) == OK)
		tell(d, GOOD, "key folder, password and certificate are there and private", "");
	else
		tell(d, BAD, e.text, "p2pmta-ctl init makes what is missing");
}

static void check_key(struct doctor *d)
{
	char fpr[41];
	struct err e;
	void *ctx = mem_ctx(NULL);

	if (settings_get_fpr(d->settings, fpr, &e) == OK && pgp_look(d->settings->keys, fpr, &e) == OK)
		tell(d, GOOD, mem_printf(ctx, "our key is %s", fpr), "");
	else
		tell(d, BAD, e.text, "restore the folder keys/ from a backup; without the key nobody's mail can be opened");
	talloc_free(ctx);
}

static void check_clock(struct doctor *d)
{
	struct timex t = { .modes = 0 };

	if (time(NULL) < OLDEST_CLOCK_S)
		tell(d, BAD, "the clock is years behind", "set it: notices would be refused as issued in the future");
	else if (adjtimex(&t) == TIME_ERROR || t.status & STA_UNSYNC)
		tell(d, WARN, "nothing keeps the clock right", "install chrony or turn on systemd-timesyncd");
	else
		tell(d, GOOD, "the clock is kept right", "");
}

static void check_disk(struct doctor *d)
{
	const char *state = d->settings->state;
	struct statvfs v;

	if (statvfs(state, &v) < 0) {
		tell(d, BAD, mem_printf(d->settings, "%s: %s", state, strerror(errno)), "make the folder, or correct state in p2pmta.conf");
		return;
	}
	uint64_t left = (uint64_t)v.f_bavail * v.f_frsize, all = (uint64_t)v.f_blocks * v.f_frsize;
	char *text = mem_printf(d->settings, "%.1f GiB of %.1f are free", (double)left / (double)GIB, (double)all / (double)GIB);

	if (left < GIB && left < all / LOW_SHARE)
		tell(d, BAD, text, "make room: without it mail is refused for the time being");
	else if (v.f_files > 0 && v.f_favail < v.f_files / LOW_SHARE)
		tell(d, WARN, mem_printf(d->settings, "%llu inodes are free", (unsigned long long)v.f_favail), "remove files: each message is one");
	else
		tell(d, GOOD, text, "");
}

static void found(void *arg, const struct store_fault *f)
{
	tell(arg, f->repaired ? REPAIRED : BAD, f->text, f->advice);
}

static void check_store(struct doctor *d)
{
	struct err e;

	d->any = false;
	if (store_check(d->settings->state, d->repair, found, d, &e) != OK)
		tell(d, BAD, e.text, d->repair ? "p2pmta-ctl stop, then doctor --repair again" : "see p2pmta(8), FILES");
	else if (!d->any)
		tell(d, GOOD, "state.db and message files agree", "");
}

static void check_daemon(struct doctor *d)
{
	struct err e;
	json_t *answer = ask(d->settings->control.socket, "status", json_object(), ANSWER_MS, &e);

	d->status = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	if (d->status)
		tell(d, GOOD, "it runs and answers", "");
	else
		tell(d, WARN, "it does not answer", "start it: p2pmta, or systemctl start p2pmta");
}

static void check_dht(struct doctor *d)
{
	const json_t *dht = json_object_get(d->status, "dht");
	json_int_t nodes = json_integer_value(json_object_get(dht, "nodes"));

	if (!d->status)
		return;
	if (nodes > 0)
		tell(d, GOOD, mem_printf(d->settings, "%lld nodes known", (long long)nodes), "");
	else
		tell(d, BAD, "no other node is known",
		    mem_printf(d->settings, "name a peer's node in dht.bootstrap, and let UDP port %u through the firewall", d->settings->dht.port));
}

/* ---- the group ---- */

static long long number_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void check_groups(struct doctor *d)
{
	const json_t *g;
	size_t i;

	json_array_foreach(json_object_get(d->status, "groups"), i, g) {
		const char *name = show_text(g, "name"), *state = show_text(g, "state"), *reason = show_text(g, "reason");

		if (*reason)
			tell(d, strcmp(state, "conflict") == 0 ? BAD : WARN, mem_printf(d->settings, "%s: %s", name, state), reason);
		else
			tell(d, GOOD, mem_printf(d->settings, "%s: %s, %lld members", name, state, number_of(g, "members")), "");
	}
}

/* Does a member get through to us? Nobody else can tell. */
static void check_reach(struct doctor *d)
{
	const json_t *reachable = json_object_get(d->status, "reachable");

	if (json_is_true(reachable))
		tell(d, GOOD, mem_printf(d->settings, "%s gets through to our outbox", show_text(d->status, "reached_by")), "");
	else if (json_is_false(reachable) && d->settings->outbox.url.n == 0)
		tell(d, GOOD, "nobody can: outbox.url is empty; what we send is brought to members", "");
	else if (json_is_false(reachable))
		tell(d, BAD, mem_printf(d->settings, "%s is up, and does not get through to our outbox", show_text(d->status, "unreached_by")),
		    mem_printf(d->settings, "let its port through the firewall and forward it to this machine, or correct outbox.url (%s); without"
		    " one, what we send is brought to members", d->settings->outbox.url.list[0]));
	else if (json_array_size(json_object_get(json_object_get(d->status, "replicas"), "members")) > 0)
		tell(d, GOOD, "not known: no member is up who could tell", "");
}

static const char *member_text(struct doctor *d, const json_t *m)
{
	char there[32], here[32];
	const char *seen = show_text(m, "seen");
	bool up = json_is_true(json_object_get(m, "up"));

	return mem_printf(d->settings, "%s: %s%s; holds %lld of ours, %s; we %lld of his, %s", show_text(m, "address"),
	    up ? "up" : *seen ? "away since " : "not seen yet", up ? "" : seen, number_of(m, "holds"),
	    show_octets(number_of(m, "holds_bytes"), there), number_of(m, "messages"), show_octets(number_of(m, "bytes"), here));
}

static void check_members(struct doctor *d)
{
	const json_t *replicas = json_object_get(d->status, "replicas"), *m;
	char used[32], quota[32];
	size_t i;

	json_array_foreach(json_object_get(replicas, "members"), i, m) {
		long long wanted = number_of(m, "wanted");
		const char *reason = show_text(m, "reason");

		if (wanted > 0 && *reason)
			tell(d, WARN, mem_printf(d->settings, "%s; %lld more are not here: %s", member_text(d, m), wanted, reason),
			    strstr(reason, "quota") ? "raise outbox.replica_quota" : "");
		else
			tell(d, GOOD, member_text(d, m), "");
	}
	if (json_array_size(json_object_get(replicas, "members")) > 0)
		tell(d, GOOD, mem_printf(d->settings, "%s of %s are used for what members keep here",
		    show_octets(number_of(replicas, "bytes"), used), show_octets(number_of(replicas, "quota"), quota)), "");
}

/* ---- ports ---- */

/* A socket for an address of the configuration, connected or bound; errno of what failed, 0: it worked, -1: no such address. */
static int try_address(const char *address, bool connects)
{
	char *copy = mem_strdup(NULL, address), *host = copy, *port = strrchr(copy, ':');
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (connects ? 0 : AI_PASSIVE) };
	const struct timeval patience = { .tv_sec = CONNECT_S };
	struct addrinfo *ai = NULL;
	int res = -1;

	if (port)
		*port++ = '\0';
	if (*host == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		host++;
	}
	if (port && getaddrinfo(host, port, &hints, &ai) == 0) {
		int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		res = fd >= 0 && (connects ? connect : bind)(fd, ai->ai_addr, ai->ai_addrlen) == 0 ? 0 : errno;
		if (fd >= 0)
			close(fd);
		freeaddrinfo(ai);
	}
	talloc_free(copy);
	return res;
}

static void check_listeners(struct doctor *d, const char *what, const struct settings_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *address = l->list[i];
		int why = strncmp(address, "unix:", 5) == 0 ? 0 : try_address(address, d->status);
		const char *name = mem_printf(d->settings, "%s.listen %s", what, address);

		/* A machine without IPv6 is not worth a word. */
		if (why == EAFNOSUPPORT || (why == EADDRNOTAVAIL && strchr(address, '[')))
			continue;
		if (why == 0)
			tell(d, GOOD, mem_printf(d->settings, "%s %s", name, d->status ? "answers" : "is free"), "");
		else if (why < 0)
			tell(d, BAD, mem_printf(d->settings, "%s is no address of this machine", name), "correct it in p2pmta.conf");
		else
			tell(d, BAD, mem_printf(d->settings, "%s: %s", name, strerror(why)),
			    d->status ? "restart p2pmta and look at its log" : "end the program that has the port, or choose another one");
	}
}

static void check_ports(struct doctor *d)
{
	check_listeners(d, "smtp", &d->settings->smtp.listen);
	check_listeners(d, "imap", &d->settings->imap.listen);
	check_listeners(d, "outbox", &d->settings->outbox.listen);
}

/* ---- all ---- */

static const struct {
	const char *name;
	void (*run)(struct doctor *);
} checks[] = {
	{ "files", check_files }, { "key", check_key }, { "clock", check_clock }, { "disk", check_disk },
	{ "store", check_store }, { "daemon", check_daemon }, { "ports", check_ports }, { "dht", check_dht },
	{ "group", check_groups }, { "reachable", check_reach }, { "members", check_members },
};

int doctor_run(struct ctl *ctl, int argc, char **argv)
{
	struct doctor d = { .ctl = ctl, .checks = json_array(), .at = "configuration" };
	struct err e;

	d.repair = argc == 2 && !strcmp(argv[1], "--repair");
	if (argc > 2 || (argc == 2 && !d.repair))
		return ctl_fail(EXIT_USAGE, "doctor takes nothing but --repair");
	struct settings *s = settings_load(NULL, ctl->file, &e);

	d.settings = s;
	if (s)
		tell(&d, GOOD, mem_printf(s, "%s is good", s->file), "");
	else
		tell(&d, BAD, e.text, "p2pmta.conf(5) tells what is allowed; p2pmta-ctl init makes a new one");
	for (size_t i = 0; s && i < sizeof(checks) / sizeof(checks[0]); i++) {
		d.at = checks[i].name;
		checks[i].run(&d);
	}
	json_t *all = json_pack("{s:b, s:o}", "good", !d.bad, "checks", d.checks);

	if (ctl->json) {
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(all);
	json_decref(d.status);
	talloc_free(s);
	return d.bad ? EXIT_REFUSED : EXIT_DONE;
}
