#include <string.h>

#include "lib/base/hostport.h"
#include "tests/unit/unit.h"

static const struct {
	const char *name, *in, *host, *port;	/* NULL: refused */
} hostport_cases[] = {
	{ "IPv4", "127.0.0.1:4222", "127.0.0.1", "4222" },
	{ "name", "bootstrap.jami.net:4222", "bootstrap.jami.net", "4222" },
	{ "IPv6", "[::1]:80", "::1", "80" },
	{ "scope", "[fe80::1%eth0]:80", "fe80::1%eth0", "80" },
	{ "port 0", "a:0", "a", "0" },
	{ "last port", "a:65535", "a", "65535" },
	{ "port too large", "a:65536", NULL, NULL },
	{ "port far too large", "a:4294967296", NULL, NULL },
	{ "no port", "a", NULL, NULL },
	{ "empty port", "a:", NULL, NULL },
	{ "leading zero", "a:080", NULL, NULL },
	{ "sign", "a:+80", NULL, NULL },
	{ "named port", "a:http", NULL, NULL },
	{ "no host", ":80", NULL, NULL },
	{ "empty brackets", "[]:80", NULL, NULL },
	{ "bare IPv6", "::1:80", NULL, NULL },
	{ "no colon after bracket", "[::1]80", NULL, NULL },
	{ "open bracket", "[::1:80", NULL, NULL },
	{ "bracket alone", "[:80", NULL, NULL },
	{ "closing only", "::1]:80", NULL, NULL },
	{ "two brackets", "[[::1]]:80", NULL, NULL },
	{ "blank", "a b:80", NULL, NULL },
	{ "line end", "a:80\n", NULL, NULL },
	{ "URL", "http://a:80", NULL, NULL },
	{ "empty", "", NULL, NULL },
};

START_TEST(hostport_table)
{
	const char *name = hostport_cases[_i].name;
	struct hostport hp;
	int got = hostport_parse(hostport_cases[_i].in, &hp);

	ck_assert_msg((got == 0) == (hostport_cases[_i].host != NULL), "case '%s'", name);
	if (got == 0)
		ck_assert_msg(strcmp(hp.host, hostport_cases[_i].host) == 0 &&
		    strcmp(hp.port, hostport_cases[_i].port) == 0, "case '%s'", name);
}
END_TEST

START_TEST(hostport_too_long)
{
	struct hostport hp;
	char text[300];

	memset(text, 'a', sizeof(text));
	strcpy(text + 255, ":80");
	ck_assert_int_eq(hostport_parse(text, &hp), 0);
	text[255] = 'a';
	strcpy(text + 256, ":80");
	ck_assert_int_eq(hostport_parse(text, &hp), -1);
}
END_TEST

UNIT_SUITE("hostport")
{
	UNIT_LOOP(hostport_table, hostport_cases);
	UNIT(hostport_too_long);
}
UNIT_END
