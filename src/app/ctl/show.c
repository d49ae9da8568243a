/* Results for people: one line_print() per thing; what belongs below a word hangs below it. */
#include <stdio.h>

#include "app/ctl/ctl.h"
#include "lib/base/mem.h"

enum { HANG_STATUS = 13, HANG_RCPT = 15, HANG_EVENT = 30, HANG_CANCEL = 11, ADDRESS = 28, SUBJECT_MIN = 20 };

const char *show_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static long long number_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

const char *show_octets(long long n, char out[32])
{
	static const char *const units[] = { "octets", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)n;
	unsigned u = 0;

	for (; value >= 1024 && u < 4; u++)
		value /= 1024;
	snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", value, units[u]);
	return out;
}

static const char *print_span(long long s, char out[32])
{
	if (s >= 86400)
		snprintf(out, 32, "%lld d %lld h", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(out, 32, "%lld h %lld m", s / 3600, s / 60 % 60);
	else
		snprintf(out, 32, "%lld m %lld s", s / 60, s % 60);
	return out;
}

static const char *plural(long long n)
{
	return n == 1 ? "" : "s";
}

static void show_place(const char *label, const json_t *place)
{
	char octets[32];

	long long n = number_of(place, "messages");

	line_print(HANG_STATUS, "%-13s%lld message%s, %s", label, n, plural(n), show_octets(number_of(place, "bytes"), octets));
}

/* In a group: is it enough to go offline? */
static void show_safe(const json_t *outbox)
{
	long long n = number_of(outbox, "messages");

	if (n > 0 && json_object_get(outbox, "safe") != NULL)
		line_print(HANG_STATUS, "%*s%lld held by enough members to go offline", HANG_STATUS, "", number_of(outbox, "safe"));
}

static void show_quota(const json_t *replicas)
{
	char octets[32];

	if (json_array_size(json_object_get(replicas, "members")) > 0)
		line_print(HANG_STATUS, "%*sof %s that outbox.replica_quota allows", HANG_STATUS, "",
		    show_octets(number_of(replicas, "quota"), octets));
}

/* What we hold for each fellow member, and he for us. */
static void show_members(const json_t *replicas)
{
	const json_t *m;
	size_t i;

	json_array_foreach(json_object_get(replicas, "members"), i, m) {
		char octets[32];
		long long n = number_of(m, "messages"), wanted = number_of(m, "wanted"), holds = number_of(m, "holds");
		bool up = json_is_true(json_object_get(m, "up"));

		line_print(HANG_STATUS, "%*s%s: %lld message%s, %s%s%s%s%s", HANG_STATUS, "", show_text(m, "address"), n, plural(n),
		    show_octets(number_of(m, "bytes"), octets), up ? ", up" : ", away since ", up ? "" : show_text(m, "seen"),
		    *show_text(m, "reason") ? "; " : "", show_text(m, "reason"));
		if (wanted > 0)
			line_print(HANG_STATUS, "%*s%lld message%s not here yet", HANG_STATUS + 2, "", wanted, plural(wanted));
		if (holds > 0)
			line_print(HANG_STATUS, "%*sholds %lld of ours, %s", HANG_STATUS + 2, "", holds,
			    show_octets(number_of(m, "holds_bytes"), octets));
	}
}

/* "held by 2 of 3: safe to go offline" */
static void show_holders(const json_t *letter)
{
	const json_t *holders = json_object_get(letter, "holders"), *one;
	size_t i;

	if (json_array_size(holders) == 0)
		return;
	line_print(HANG_RCPT, "    held by %lld of %zu, %s", number_of(letter, "held_by"), json_array_size(holders),
	    json_is_true(json_object_get(letter, "safe")) ? "safe to go offline" : "not safe to go offline yet");
	json_array_foreach(holders, i, one)
		if (json_is_true(json_object_get(one, "holds")))
			line_print(HANG_RCPT, "        %s%s", show_text(one, "address"),
			    json_is_false(json_object_get(one, "reachable")) ? ", whom nobody can reach" : "");
}

static void show_group(const json_t *g)
{
	long long n = number_of(g, "members");
	const char *reason = show_text(g, "reason");

	line_print(HANG_STATUS, "%-13s%s, %s, %lld member%s%s%s", "group", show_text(g, "name"), show_text(g, "state"), n, plural(n),
	    *reason ? ": " : "", reason);
}

/* As far as a fellow member can tell. */
static void show_reach(const json_t *r)
{
	const json_t *reachable = json_object_get(r, "reachable");

	if (json_is_true(reachable))
		line_print(HANG_STATUS, "%-13syes, by %s", "reachable", show_text(r, "reached_by"));
	else if (json_is_false(reachable))
		line_print(HANG_STATUS, "%-13sno: %s is up, and does not get through to us", "reachable", show_text(r, "unreached_by"));
}

void show_status(const json_t *r)
{
	const json_t *dht = json_object_get(r, "dht"), *group;
	long long n_nodes = number_of(dht, "nodes"), spool = number_of(r, "spool"), unpulled = number_of(r, "unpulled");
	char span[32];
	size_t i;

	line_print(HANG_STATUS, "%-13s%s", "address", show_text(r, "address"));
	line_print(HANG_STATUS, "%-13s%s", "fingerprint", show_text(r, "fingerprint"));
	line_print(HANG_STATUS, "%-13sp2pMTA %s, up %s", "version", show_text(r, "version"), print_span(number_of(r, "uptime_s"), span));
	line_print(HANG_STATUS, "%-13s%s, %lld node%s known", "DHT", json_is_true(json_object_get(dht, "ready")) ? "connected" : "not connected",
	    n_nodes, plural(n_nodes));
	show_reach(r);
	line_print(HANG_STATUS, "%-13s%lld message%s", "spool", spool, plural(spool));
	show_place("outbox", json_object_get(r, "outbox"));
	show_safe(json_object_get(r, "outbox"));
	show_place("replicas", json_object_get(r, "replicas"));
	show_quota(json_object_get(r, "replicas"));
	show_members(json_object_get(r, "replicas"));
	line_print(HANG_STATUS, "%-13s%lld message%s whose body is not here", "unpulled", unpulled, plural(unpulled));
	line_print(HANG_STATUS, "%-13s%lld ms", "longest turn", number_of(r, "longest_turn_ms"));
	json_array_foreach(json_object_get(r, "groups"), i, group)
		show_group(group);
}

/* On a terminal the reason has lines of its own. */
static void show_reason(const json_t *rcpt)
{
	const char *reason = show_text(rcpt, "reason"), *again = show_text(rcpt, "next");
	long long tries = number_of(rcpt, "tries");

	if (*again && tries > 0)
		line_print(HANG_RCPT, "%*s%s (tried %lld time%s, again %s)", HANG_RCPT, "", reason, tries, plural(tries), again);
	else
		line_print(HANG_RCPT, "%*s%s", HANG_RCPT, "", reason);
}

static void show_recipients(const json_t *letter)
{
	void *ctx = mem_ctx(NULL);
	const json_t *rcpt, *event;
	size_t i, j;

	json_array_foreach(json_object_get(letter, "recipients"), i, rcpt) {
		const char *reason = show_text(rcpt, "reason"), *address = line_pad(ctx, show_text(rcpt, "address"), ADDRESS);
		bool is_whole = line_width() == 0;

		line_print(HANG_RCPT, "    %-10s %s %s%s%s", show_text(rcpt, "state"), address, show_text(rcpt, "since"),
		    *reason && is_whole ? "  " : "", is_whole ? reason : "");
		if (*reason && !is_whole)
			show_reason(rcpt);
		json_array_foreach(json_object_get(rcpt, "history"), j, event)
			line_print(HANG_EVENT, "        %s  %s", show_text(event, "at"), show_text(event, "text"));
	}
	talloc_free(ctx);
}

/* The subject of a listing is cut to what is left of the line. */
static void show_head(const json_t *letter, bool is_listing)
{
	void *ctx = mem_ctx(NULL);
	char octets[32];
	const char *subject = show_text(letter, "subject");
	char *head = mem_printf(ctx, "%lld  %s  %s  ", number_of(letter, "id"), show_text(letter, "submitted"),
	    show_octets(number_of(letter, "size"), octets));
	unsigned used = line_columns(head), width = line_width();

	if (!*subject)
		subject = "(no subject)";
	if (is_listing && width > 0)
		subject = line_cut(ctx, subject, width > used + SUBJECT_MIN ? width - used : SUBJECT_MIN);
	line_print(4, "%s%s", head, subject);
	talloc_free(ctx);
}

void show_queue(const json_t *r)
{
	const json_t *letter;
	size_t i;

	if (!json_array_size(r))
		line_print(0, "Nothing waits: everything is delivered.");
	json_array_foreach(r, i, letter) {
		show_head(letter, true);
		show_recipients(letter);
		show_holders(letter);
	}
}

void show_letter(const json_t *r)
{
	show_head(r, false);
	line_print(HANG_RCPT, "    %-10s %s", "Message-ID", show_text(r, "message_id"));
	if (*show_text(r, "hash"))
		line_print(HANG_RCPT, "    %-10s %s", "sealed as", show_text(r, "hash"));
	show_recipients(r);
	show_holders(r);
}

void show_cancel(const json_t *r)
{
	void *ctx = mem_ctx(NULL);
	const json_t *one;
	size_t i;

	json_array_foreach(r, i, one)
		line_print(HANG_CANCEL, "%-10s %s %s", show_text(one, "state"), line_pad(ctx, show_text(one, "address"), ADDRESS),
		    show_text(one, "reason"));
	talloc_free(ctx);
}

void show_contacts(const json_t *r)
{
	void *ctx = mem_ctx(NULL);
	const json_t *one;
	size_t i;

	if (!json_array_size(r))
		line_print(0, "Nobody is known yet.");
	json_array_foreach(r, i, one)
		line_print(4, "%s %-10s %s  %s", line_pad(ctx, show_text(one, "address"), ADDRESS), show_text(one, "trust"),
		    show_text(one, "fingerprint"), show_text(one, "last_seen"));
	talloc_free(ctx);
}

void show_contact(const json_t *r)
{
	line_print(HANG_STATUS, "%-13s%s", "address", show_text(r, "address"));
	line_print(HANG_STATUS, "%-13s%s", "fingerprint", show_text(r, "fingerprint"));
	line_print(HANG_STATUS, "%-13s%s", "trust", show_text(r, "trust"));
	if (*show_text(r, "rival"))
		line_print(HANG_STATUS, "%-13s%s", "but also", show_text(r, "rival"));
}

void show_pull(const json_t *r)
{
	long long n = number_of(r, "pulling");

	if (json_is_integer(json_object_get(r, "pulling")))
		line_print(0, n == 1 ? "%lld body is being pulled." : "%lld bodies are being pulled.", n);
	else
		line_print(0, "Pulled.");
}

void show_note(const json_t *r)
{
	if (*show_text(r, "note"))
		line_print(0, "%s", show_text(r, "note"));
}
