#ifndef BASE_HOSTPORT_H
#define BASE_HOSTPORT_H
/*
 * "HOST:PORT" and "[V6]:PORT" taken apart. Pure, any thread. Whether the host
 * exists is for the resolver to say.
 */
#include <stddef.h>

struct hostport {
	char host[256];		/* without brackets */
	char port[6];		/* decimal, 0 to 65535 */
};

/* 0, or -1 when it is something else (no port, empty host, a bare IPv6 address...). */
int hostport_parse(const char *, struct hostport *out);

#endif
