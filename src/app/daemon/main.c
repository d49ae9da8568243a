/* p2pmta: one peer in the foreground (p2pmta(8)). */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <talloc.h>

#include "app/daemon/selftest.h"
#include "app/daemon/settings.h"
#include "app/daemon/wiring.h"

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "usage: p2pmta [-c FILE] [-t] [-v]\n"
    "  -c FILE     configuration (default: ~/.local/share/p2pmta/p2pmta.conf, then " SYSCONFDIR "/p2pmta/p2pmta.conf)\n"
    "  -t          check the configuration and the state folder, then end\n"
    "  -v          log more: debug\n"
    "  --defaults  print every key with its default\n"
    "  --version, --help\n"
    "p2pmta-ctl init ADDRESS makes the configuration and all that belongs to it.\n";

struct options {
	const char *file;
	bool test, verbose;
};

/* -1: go on; otherwise the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ "defaults", no_argument, NULL, 'D' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:tv", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 't':
			o->test = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'V':
			puts("p2pmta " PACKAGE_VERSION);
			return EXIT_SUCCESS;
		case 'D':
			settings_print_defaults(stdout);
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "p2pmta: %s: no such argument\n%s", argv[optind], usage);
		return EXIT_USAGE;
	}
	return -1;
}

static int fail(const struct err *e)
{
	fprintf(stderr, "p2pmta: %s\n", e->text);
	return EXIT_FAILURE;
}

static int run(const struct settings *s)
{
	struct err e = { "" };
	struct daemon *d = daemon_new(s, &e);

	if (d == NULL)
		return fail(&e);
	daemon_run(d);
	daemon_free(&d);
	log_info("p2pmta=stopped");
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options o = { NULL, false, false };
	void *ctx = talloc_new(NULL);
	struct err e = { "" };
	int status = read_options(argc, argv, &o);

	if (status >= 0)
		goto out;
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	struct settings *s = settings_load(ctx, o.file != NULL ? o.file : settings_default_file(ctx), &e);

	if (s == NULL) {
		status = fail(&e);
	} else if (o.test) {
		status = selftest(s, &e) == OK ? EXIT_SUCCESS : fail(&e);
		if (status == EXIT_SUCCESS)
			printf("p2pmta: %s and %s are good\n", s->file, s->state);
	} else if (log_open(s->log.to, o.verbose ? LOG_LEVEL_DEBUG : s->log.level) < 0) {
		err_sys(&e, "%s: log.to = %s", s->file, s->log.to);
		status = fail(&e);
	} else {
		status = run(s);
		log_close();
	}
out:
	talloc_free(ctx);
	return status;
}
