/*
 * The password for SMTP and IMAP. Only its hash is kept, so it is shown once.
 * The daemon sees the changed file by itself.
 */
#include <stdio.h>
#include <string.h>

#include "app/ctl/ctl.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"

enum { GROUPS = 4, GROUP_LEN = 5, MAX_LINE = 1024 };

const char password_help[] =
    "usage: p2pmta-ctl [-c FILE] [--json] password [--stdin]\n\n"
    "Makes a new password for SMTP and IMAP and prints it; the old one is void at once.\n"
    "It is not kept in readable form.\n\n"
    "  --stdin   take the first line of standard input instead\n";

/* 100 bits in four groups that can be typed from paper. */
char *password_new(const void *ctx)
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint8_t random[GROUPS * GROUP_LEN];
	char text[GROUPS * (GROUP_LEN + 1)], *c = text;

	_Static_assert(sizeof(letters) - 1 == 32, "five bits a letter");
	random_fill(random, sizeof(random));
	for (unsigned i = 0; i < sizeof(random); i++) {
		*c++ = letters[random[i] & 31];
		if (i % GROUP_LEN == GROUP_LEN - 1)
			*c++ = '-';
	}
	c[-1] = '\0';
	return mem_strdup(ctx, text);
}

char *password_read(const void *ctx, struct err *e)
{
	char line[MAX_LINE + 2];

	if (!fgets(line, sizeof(line), stdin))
		line[0] = '\0';
	size_t len = strcspn(line, "\r\n");
	if (!len || len > MAX_LINE) {
		err_set(e, "standard input has no password of 1 to %d octets in its first line", MAX_LINE);
		return NULL;
	}
	return mem_strndup(ctx, line, len);
}

int password_run(struct ctl *c, int argc, char **argv)
{
	bool given = argc == 2 && !strcmp(argv[1], "--stdin");
	struct err e;

	if (argc > 2 || (argc == 2 && !given))
		return ctl_fail(EXIT_USAGE, "password takes nothing but --stdin");
	struct settings *s = settings_load(NULL, c->file, &e);
	if (!s)
		return ctl_fail(EXIT_REFUSED, "%s", e.text);
	char *password = given ? password_read(s, &e) : password_new(s);
	int status = EXIT_DONE;
	if (!password || settings_put_password(s->password, password, &e) != OK)
		status = ctl_fail(EXIT_REFUSED, "%s", e.text);
	else if (c->json)
		given ? puts("{\"password\": null}") : printf("{\"password\": \"%s\"}\n", password);
	else if (!given)
		printf("%s\n", password);
	talloc_free(s);
	return status;
}
