/*
 * Addresses of sockets, as text and back. "HOST:PORT" is split at the last
 * colon, so a V6 address needs its brackets.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "lib/loop/private.h"

static bool is_loopback(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_UNIX)
		return true;
	if (a->ss_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, a, sizeof(in));
		return ntohl(in.sin_addr.s_addr) >> 24 == 127;
	}
	if (a->ss_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, a, sizeof(in6));
		return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) ||
		    (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) && in6.sin6_addr.s6_addr[12] == 127);
	}
	return false;
}

bool sock_describe_peer(int fd, char *out, size_t size)
{
	struct sockaddr_storage a = { 0 };
	socklen_t len = sizeof(a);
	char host[64], port[16];

	if (getpeername(fd, (struct sockaddr *)&a, &len) < 0) {
		snprintf(out, size, "gone");
		return false;
	}
	if (a.ss_family == AF_UNIX) {
		snprintf(out, size, "unix");
		return true;
	}
	if (getnameinfo((struct sockaddr *)&a, len, host, sizeof(host), port, sizeof(port),
	    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		snprintf(out, size, "unknown");
		return false;
	}
	snprintf(out, size, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return is_loopback(&a);
}

static enum outcome parse_unix(const char *path, struct sock_address *out, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (*path == '\0' || strlen(path) >= sizeof(un.sun_path)) {
		err_set(e, "unix:%s: a path of 1 to %zu octets is needed", path, sizeof(un.sun_path) - 1);
		return REJECT;
	}
	memcpy(un.sun_path, path, strlen(path) + 1);
	memcpy(&out->storage, &un, sizeof(un));
	out->len = sizeof(un);
	return OK;
}

static enum outcome look_up(const char *text, const char *host, const char *port, struct sock_address *out, struct err *e)
{
	const struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM,
	};
	bool any = *host == '\0' || strcmp(host, "*") == 0;
	struct addrinfo *found;
	int code = getaddrinfo(any ? NULL : host, port, &hints, &found);

	if (code != 0) {
		err_set(e, "%s: %s", text, gai_strerror(code));
		return code == EAI_AGAIN || code == EAI_SYSTEM ? RETRY : REJECT;
	}
	memcpy(&out->storage, found->ai_addr, found->ai_addrlen);
	out->len = found->ai_addrlen;
	freeaddrinfo(found);
	return OK;
}

enum outcome sock_parse_address(const char *text, struct sock_address *out, struct err *e)
{
	char host[256];
	const char *colon = strrchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;

	memset(out, 0, sizeof(*out));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, out, e);
	if (colon == NULL || len >= sizeof(host) || colon[1] == '\0') {
		err_set(e, "%s: not HOST:PORT, [V6]:PORT or unix:PATH", text);
		return REJECT;
	}
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		memcpy(host, text + 1, len - 2);
		host[len - 2] = '\0';
	} else {
		memcpy(host, text, len);
		host[len] = '\0';
	}
	return look_up(text, host, colon + 1, out, e);
}
