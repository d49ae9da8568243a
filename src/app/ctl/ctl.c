/*
 * p2pmta-ctl: THE table of commands for people and scripts. Most are one
 * question to the daemon: arguments to JSON, the answer as it is (--json) or
 * through a printer of show.c. The few that need no daemon have a function of
 * their own.
 */
#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/control/control.h"
#include "app/ctl/ctl.h"
#include "lib/base/mem.h"

/* Arguments (without the command) to JSON; NULL with err: usage. */
typedef json_t *pack_fn(int n, char **argv, struct err *);

static json_t *pack_none(int n, char **argv, struct err *e)
{
	(void)n, (void)argv, (void)e;
	return json_object();
}

/* A number above 0, or 0. */
static json_int_t number(const char *text)
{
	char *end;
	long long n = isdigit((unsigned char)*text) ? strtoll(text, &end, 10) : 0;

	return n > 0 && !*end ? n : 0;
}

static json_t *pack_id(int n, char **argv, struct err *e)
{
	json_int_t id = number(argv[0]);

	(void)n;
	if (!id)
		err_set(e, "%.60s: not an ID as queue shows it", argv[0]);
	return id ? json_pack("{s:I}", "id", id) : NULL;
}

static json_t *pack_cancel(int n, char **argv, struct err *e)
{
	json_t *args = pack_id(n, argv, e), *addresses;

	if (!args || n == 1)
		return args;
	addresses = json_array();
	for (int i = 1; i < n; i++)
		json_array_append_new(addresses, control_text(argv[i]));
	json_object_set_new(args, "addresses", addresses);
	return args;
}

static json_t *pack_pull(int n, char **argv, struct err *e)
{
	json_int_t uid = number(argv[0]);

	(void)n;
	if (!strcmp(argv[0], "--all"))
		return json_object();
	if (!uid)
		err_set(e, "%.60s: not the UID of a message in INBOX, nor --all", argv[0]);
	return uid ? json_pack("{s:I}", "uid", uid) : NULL;
}

static json_t *pack_address(int n, char **argv, struct err *e)
{
	(void)n, (void)e;
	return json_pack("{s:o}", "address", control_text(argv[0]));
}

/* Fingerprints are read aloud and copied in many ways. */
json_t *ctl_fingerprint(int n, char **argv, struct err *e)
{
	char fpr[41];
	size_t len = 0;

	for (int i = 0; i < n; i++)
		for (const char *c = argv[i]; *c && len < sizeof(fpr); c++)
			if (isxdigit((unsigned char)*c))
				fpr[len++] = (char)toupper((unsigned char)*c);
	if (len == 40)
		return json_stringn(fpr, len);
	err_set(e, "a fingerprint has 40 hex digits");
	return NULL;
}

static json_t *pack_verify(int n, char **argv, struct err *e)
{
	json_t *args = pack_address(n, argv, e), *fpr;

	if (n == 1)
		return args;
	fpr = ctl_fingerprint(n - 1, argv + 1, e);
	if (!fpr) {
		json_decref(args);
		return NULL;
	}
	json_object_set_new(args, "fpr", fpr);
	return args;
}

static json_t *pack_trace(int n, char **argv, struct err *e)
{
	json_t *what = json_array();
	bool on = !strcmp(argv[1], "on");
	char *copy = mem_strdup(NULL, argv[0]), *rest = copy, *word;

	(void)n;
	while ((word = strsep(&rest, ",")))
		json_array_append_new(what, control_text(word));
	talloc_free(copy);
	if (on || !strcmp(argv[1], "off"))
		return json_pack("{s:o,s:b}", "what", what, "on", on);
	err_set(e, "%.60s: must be on or off", argv[1]);
	json_decref(what);
	return NULL;
}

static void show_nothing(const json_t *r)
{
	(void)r;
}

#define ANY 1000

static const struct command {
	const char *name, *args, *summary, *help;
	int min, max;			/* arguments */
	int control;			/* enum control_command; -1: run */
	pack_fn *pack;
	void (*show)(const json_t *);
	int (*run)(struct ctl *, int argc, char **argv);
} commands[] = {
	{ "init", "ADDRESS [OPTION]...", "make a peer", init_help, 0, ANY, -1, NULL, NULL, init_run },
	{ "status", "", "how the daemon is", "Address, DHT, and what lies in the storage areas.\n", 0, 0, CONTROL_STATUS, pack_none, show_status, NULL },
	{ "queue", "", "what is not yet delivered", "One message with its recipients, their states and reasons.\n", 0, 0,
	  CONTROL_QUEUE, pack_none, show_queue, NULL },
	{ "show", "ID", "one message with its history", "A message of the queue or the last 30 days.\n", 1, 1, CONTROL_SHOW, pack_id, show_letter, NULL },
	{ "cancel", "ID [ADDRESS]...", "take back what was not pulled",
	  "Says for each recipient whether it was in-time, too-late, or unknown.\n", 1, ANY, CONTROL_CANCEL, pack_cancel, show_cancel, NULL },
	{ "pull", "UID | --all", "pull bodies now", "UID is that of a message in INBOX.\n", 1, 1, CONTROL_PULL, pack_pull, show_pull, NULL },
	{ "contacts", "", "who is known, and how well", "Addresses with fingerprint and trust.\n", 0, 0, CONTROL_CONTACTS, pack_none, show_contacts, NULL },
	{ "verify", "ADDRESS [FPR]", "trust a key that was compared",
	  "The key was compared with its owner: pin it as verified. FPR may be left out when\ncontacts shows only one.\n", 1, 11, CONTROL_VERIFY, pack_verify,
	  show_contact, NULL },
	{ "forget", "ADDRESS", "forget a key", "The next key in sight is pinned on first use.\n", 1, 1, CONTROL_FORGET, pack_address, show_nothing, NULL },
	{ "group", "COMMAND ...", "groups: show, create, invite...", group_help, 1, ANY, -1, NULL, NULL, group_run },
	{ "trace", "WHAT[,WHAT]... on|off", "log protocol dialogues", "WHAT is smtp, imap, http or dht. Secrets are masked.\n", 2, 2, CONTROL_TRACE,
	  pack_trace, show_nothing, NULL },
	{ "password", "[--stdin]", "make a new password", password_help, 0, ANY, -1, NULL, NULL, password_run },
	{ "doctor", "[--repair]", "what is wrong, and what to do", doctor_help, 0, ANY, -1, NULL, NULL, doctor_run },
	{ "reload", "", "read p2pmta.conf again", "The same as SIGHUP.\n", 0, 0, CONTROL_RELOAD, pack_none, show_note, NULL },
	{ "stop", "", "stop the daemon", "The same as SIGTERM.\n", 0, 0, CONTROL_STOP, pack_none, show_nothing, NULL },
};
enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

int ctl_fail(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("p2pmta-ctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

static void print_usage(FILE *out)
{
	fputs("usage: p2pmta-ctl [-c FILE] [--json] COMMAND ...\n\n", out);
	for (int i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-10s %-24s %s\n", commands[i].name, commands[i].args, commands[i].summary);
	fputs("\np2pmta-ctl COMMAND --help says more. Exit status: 0 done, 1 refused or not found,\n"
	    "2 usage, 3 the daemon does not answer.\n", out);
}

static void print_help(const struct command *c)
{
	if (!strncmp(c->help, "usage:", 6))
		fputs(c->help, stdout);
	else
		printf("usage: p2pmta-ctl [-c FILE] [--json] %s%s%s\n\n%s", c->name, *c->args ? " " : "", c->args, c->help);
}

/* What the daemon said: result to standard output, or reason and status. */
static int deliver(const struct ctl *ctl, void (*show)(const json_t *), const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error"), *result = json_object_get(answer, "result");
	const char *code = json_string_value(json_object_get(error, "code")), *text = json_string_value(json_object_get(error, "text"));

	if (error) {
		fputs("p2pmta-ctl: ", stderr);
		for (const char *t = text ? text : "refused"; *t; t++)
			fputc((unsigned char)*t < ' ' || *t == 127 ? '?' : *t, stderr);
		fputc('\n', stderr);
		return code && !strcmp(code, control_code_name(CONTROL_USAGE)) ? EXIT_USAGE : EXIT_REFUSED;
	}
	if (!result)
		return ctl_fail(EXIT_SILENT, "the daemon's answer is none");
	if (ctl->json) {
		json_dumpf(result, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
		putchar('\n');
	} else {
		show(result);
	}
	return EXIT_DONE;
}

int ctl_ask(const struct ctl *ctl, const char *command, json_t *args, int64_t wait_ms, void (*show)(const json_t *))
{
	struct err e;
	json_t *answer;
	struct settings *s = settings_load(NULL, ctl->file, &e);

	if (!s) {
		json_decref(args);
		return ctl_fail(EXIT_REFUSED, "%s", e.text);
	}
	answer = ask(s->control.socket, command, args, wait_ms, &e);
	int status = answer ? deliver(ctl, show, answer) : ctl_fail(EXIT_SILENT, "%s", e.text);
	json_decref(answer);
	talloc_free(s);
	return status;
}

static int ask_daemon(const struct ctl *ctl, const struct command *c, int n, char **argv)
{
	struct err e;
	json_t *args = c->pack(n, argv, &e);

	return args ? ctl_ask(ctl, c->name, args, CTL_WAIT_MS, c->show) : ctl_fail(EXIT_USAGE, "%s", e.text);
}

static const struct command *command_find(const char *name)
{
	for (int i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* --help and --json may stand behind the command, too; the others are the command's. */
bool ctl_take_word(int *n, char **argv, const char *word)
{
	for (int i = 1; i < *n; i++) {
		if (!strcmp(argv[i], "--"))
			break;
		if (strcmp(argv[i], word))
			continue;
		memmove(argv + i, argv + i + 1, (size_t)(*n - i) * sizeof(*argv));
		(*n)--;
		return true;
	}
	return false;
}

const char *ctl_take_value(int *n, char **argv, const char *word)
{
	for (int i = 1; i + 1 < *n && strcmp(argv[i], "--"); i++) {
		const char *value = argv[i + 1];

		if (strcmp(argv[i], word))
			continue;
		memmove(argv + i, argv + i + 2, (size_t)(*n - i - 1) * sizeof(*argv));
		*n -= 2;
		return value;
	}
	return NULL;
}

static int run(struct ctl *ctl, int n, char **argv)
{
	const struct command *c = command_find(argv[0]);

	if (!c) {
		ctl_fail(EXIT_USAGE, "there is no command %s", argv[0]);
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (ctl_take_word(&n, argv, "--help")) {
		print_help(c);
		return EXIT_DONE;
	}
	ctl->json = ctl_take_word(&n, argv, "--json") || ctl->json;
	if (n - 1 < c->min || n - 1 > c->max)
		return ctl_fail(EXIT_USAGE, "usage: p2pmta-ctl %s %s", c->name, c->args);
	return c->run ? c->run(ctl, n, argv) : ask_daemon(ctl, c, n - 1, argv + 1);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { 0 },
	};
	struct ctl ctl = { 0 };
	int option;

	/* '+': what follows the command is the command's. */
	while ((option = getopt_long(argc, argv, "+c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			ctl.file = optarg;
			break;
		case 'j':
			ctl.json = true;
			break;
		case 'h':
			print_usage(stdout);
			return EXIT_DONE;
		case 'V':
			puts("p2pmta-ctl " PACKAGE_VERSION);
			return EXIT_DONE;
		default:
			print_usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	char *fallback = ctl.file ? NULL : settings_default_file(NULL);
	if (!ctl.file)
		ctl.file = fallback;
	int status = run(&ctl, argc - optind, argv + optind);
	talloc_free(fallback);
	if (fflush(stdout) != 0 && status == EXIT_DONE)
		status = ctl_fail(EXIT_REFUSED, "standard output cannot be written");
	return status;
}
