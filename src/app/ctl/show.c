/*
 * Results for people. On a terminal a line is cut at its width; in a pipe it
 * is whole. Texts may be somebody else's: control characters, which could
 * command the terminal, are shown as '?'.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "app/ctl/ctl.h"

enum { WIDTH_PIPE = 0, WIDTH_MIN = 40, MAX_LINE = 4096 };

static unsigned width(void)
{
	struct winsize ws;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 || !ws.ws_col)
		return WIDTH_PIPE;
	return ws.ws_col < WIDTH_MIN ? WIDTH_MIN : ws.ws_col;
}

/* One character is one column; wide ones only make a line shorter than it might be. */
void show_text(const char *s, unsigned columns)
{
	unsigned used = 0;

	while (*s) {
		unsigned char c = (unsigned char)*s;
		size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		bool control = c < ' ' || c == 127 || (c == 0xc2 && (unsigned char)s[1] < 0xa0);
		if (columns && ++used > columns)
			break;
		if (strlen(s) < n)
			n = strlen(s);
		if (control)
			putchar('?');
		else
			fwrite(s, 1, n, stdout);
		s += n;
	}
}

__attribute__((format(printf, 1, 2)))
static void line(const char *fmt, ...)
{
	char text[MAX_LINE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	size_t len = strlen(text);
	while (len && text[len - 1] == ' ')
		text[--len] = '\0';
	show_text(text, width());
	putchar('\n');
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static long long number_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static const char *print_octets(long long n, char out[32])
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

	line("%-13s%lld message%s, %s", label, n, plural(n), print_octets(number_of(place, "bytes"), octets));
}

static void show_group(const json_t *g)
{
	line("%-13s%s", "group", json_is_string(g) ? json_string_value(g) : text_of(g, "name"));
}

void show_status(const json_t *r)
{
	const json_t *dht = json_object_get(r, "dht"), *group;
	long long n_nodes = number_of(dht, "nodes"), spool = number_of(r, "spool"), unpulled = number_of(r, "unpulled");
	char span[32];
	size_t i;

	line("%-13s%s", "address", text_of(r, "address"));
	line("%-13s%s", "fingerprint", text_of(r, "fingerprint"));
	line("%-13sp2pMTA %s, up %s", "version", text_of(r, "version"), print_span(number_of(r, "uptime_s"), span));
	line("%-13s%s, %lld node%s known", "DHT", json_is_true(json_object_get(dht, "ready")) ? "connected" : "not connected",
	    n_nodes, plural(n_nodes));
	if (json_object_get(r, "reachable"))
		line("%-13s%s", "reachable", json_is_true(json_object_get(r, "reachable")) ? "yes" : "no");
	line("%-13s%lld message%s", "spool", spool, plural(spool));
	show_place("outbox", json_object_get(r, "outbox"));
	show_place("replicas", json_object_get(r, "replicas"));
	line("%-13s%lld message%s whose body is not here", "unpulled", unpulled, plural(unpulled));
	line("%-13s%lld ms", "longest turn", number_of(r, "longest_turn_ms"));
	json_array_foreach(json_object_get(r, "groups"), i, group)
		show_group(group);
}

static void show_recipients(const json_t *letter)
{
	const json_t *rcpt, *event;
	size_t i, j;

	json_array_foreach(json_object_get(letter, "recipients"), i, rcpt) {
		const char *reason = text_of(rcpt, "reason");
		line("    %-10s %-28s %s%s%s", text_of(rcpt, "state"), text_of(rcpt, "address"), text_of(rcpt, "since"), *reason ? "  " : "",
		    reason);
		json_array_foreach(json_object_get(rcpt, "history"), j, event)
			line("        %s  %s", text_of(event, "at"), text_of(event, "text"));
	}
}

static void show_head(const json_t *letter)
{
	char octets[32];
	const char *subject = text_of(letter, "subject");

	line("%lld  %s  %s  %s", number_of(letter, "id"), text_of(letter, "submitted"),
	    print_octets(number_of(letter, "size"), octets), *subject ? subject : "(no subject)");
}

void show_queue(const json_t *r)
{
	const json_t *letter;
	size_t i;

	if (!json_array_size(r))
		line("Nothing waits: everything is delivered.");
	json_array_foreach(r, i, letter) {
		show_head(letter);
		show_recipients(letter);
	}
}

void show_letter(const json_t *r)
{
	show_head(r);
	line("    %-10s %s", "Message-ID", text_of(r, "message_id"));
	if (*text_of(r, "hash"))
		line("    %-10s %s", "sealed as", text_of(r, "hash"));
	show_recipients(r);
}

void show_cancel(const json_t *r)
{
	const json_t *one;
	size_t i;

	json_array_foreach(r, i, one)
		line("%-10s %-28s %s", text_of(one, "state"), text_of(one, "address"), text_of(one, "reason"));
}

void show_contacts(const json_t *r)
{
	const json_t *one;
	size_t i;

	if (!json_array_size(r))
		line("Nobody is known yet.");
	json_array_foreach(r, i, one)
		line("%-28s %-10s %s  %s", text_of(one, "address"), text_of(one, "trust"), text_of(one, "fingerprint"),
		    text_of(one, "last_seen"));
}

void show_contact(const json_t *r)
{
	line("%-13s%s", "address", text_of(r, "address"));
	line("%-13s%s", "fingerprint", text_of(r, "fingerprint"));
	line("%-13s%s", "trust", text_of(r, "trust"));
	if (*text_of(r, "rival"))
		line("%-13s%s", "but also", text_of(r, "rival"));
}

void show_pull(const json_t *r)
{
	long long n = number_of(r, "pulling");

	if (json_is_integer(json_object_get(r, "pulling")))
		line(n == 1 ? "%lld body is being pulled." : "%lld bodies are being pulled.", n);
	else
		line("Pulled.");
}

void show_note(const json_t *r)
{
	if (*text_of(r, "note"))
		line("%s", text_of(r, "note"));
}
