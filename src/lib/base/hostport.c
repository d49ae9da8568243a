/*
 * Strict on purpose: what a user writes into a configuration is either one of
 * the two forms or an error with a line number, never a guess.
 */
#include <string.h>

#include "lib/base/hostport.h"

static int port_parse(const char *s, char out[6])
{
	unsigned port = 0;
	size_t len = strlen(s);

	if (len < 1 || len > 5 || (len > 1 && s[0] == '0'))
		return -1;
	for (const char *p = s; *p; p++) {
		if (*p < '0' || *p > '9')
			return -1;
		port = port * 10 + (unsigned)(*p - '0');
	}
	if (port > 65535)
		return -1;
	memcpy(out, s, len + 1);
	return 0;
}

int hostport_parse(const char *in, struct hostport *out)
{
	const char *host = in, *colon = strrchr(in, ':'), *end = colon;

	if (!colon || port_parse(colon + 1, out->port) < 0)
		return -1;
	if (in[0] == '[') {
		host = in + 1;
		end = colon - 1;
		if (end <= host || *end != ']')
			return -1;
	}
	size_t len = (size_t)(end - host);
	if (len < 1 || len >= sizeof(out->host) || memchr(host, ']', len) || memchr(host, '[', len))
		return -1;
	if (in[0] != '[' && memchr(host, ':', len))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)host[i] <= ' ' || host[i] == 0x7f || host[i] == '/')
			return -1;
	}
	memcpy(out->host, host, len);
	out->host[len] = '\0';
	return 0;
}
