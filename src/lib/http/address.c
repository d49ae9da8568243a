/*
 * Everything is looked at as an IPv6 address, IPv4 mapped into it; one table
 * says what is special. The first row that fits counts.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "lib/http/address.h"

enum { MAPPED = 96 };	/* bits before the IPv4 address in ::ffff:a.b.c.d */

enum kind { KIND_NEVER, KIND_NEAR, KIND_PUBLIC };

#define V4(a, b, c, d) { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d }

static const struct {
	uint8_t addr[16];
	unsigned bits;
	enum kind kind;
} special[] = {
	{ V4(0, 0, 0, 0), MAPPED + 8, KIND_NEVER },		/* this network */
	{ V4(10, 0, 0, 0), MAPPED + 8, KIND_NEAR },		/* RFC 1918 */
	{ V4(100, 64, 0, 0), MAPPED + 10, KIND_NEAR },		/* RFC 6598, carrier's NAT */
	{ V4(127, 0, 0, 0), MAPPED + 8, KIND_NEAR },		/* loopback */
	{ V4(169, 254, 0, 0), MAPPED + 16, KIND_NEAR },		/* link-local */
	{ V4(172, 16, 0, 0), MAPPED + 12, KIND_NEAR },		/* RFC 1918 */
	{ V4(192, 0, 0, 0), MAPPED + 24, KIND_NEAR },		/* RFC 6890, DS-Lite and such */
	{ V4(192, 168, 0, 0), MAPPED + 16, KIND_NEAR },		/* RFC 1918 */
	{ V4(198, 18, 0, 0), MAPPED + 15, KIND_NEAR },		/* RFC 2544 */
	{ V4(224, 0, 0, 0), MAPPED + 4, KIND_NEVER },		/* multicast */
	{ V4(240, 0, 0, 0), MAPPED + 4, KIND_NEVER },		/* reserved, broadcast */
	{ V4(0, 0, 0, 0), MAPPED, KIND_PUBLIC },
	{ { [15] = 1 }, 128, KIND_NEAR },			/* ::1 */
	{ { 0 }, 96, KIND_NEVER },				/* ::, IPv4-compatible */
	{ { 0xfc }, 7, KIND_NEAR },				/* unique local */
	{ { 0xfe, 0x80 }, 10, KIND_NEAR },			/* link-local */
	{ { 0xfe, 0xc0 }, 10, KIND_NEAR },			/* site-local */
	{ { 0xff }, 8, KIND_NEVER },				/* multicast */
};

static bool in_network(const uint8_t addr[16], const uint8_t net[16], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);

	return memcmp(addr, net, whole) == 0 &&
	    (!rest || (addr[whole] & mask) == (net[whole] & mask));
}

static void map4(const uint8_t v4[4], uint8_t out[16])
{
	static const uint8_t mapped[16] = V4(0, 0, 0, 0);
	uint8_t copy[4];

	memcpy(copy, v4, 4);
	memcpy(out, mapped, 12);
	memcpy(out + 12, copy, 4);
}

/* Gateways that put an IPv4 address into an IPv6 one lead to that IPv4 address. */
static void unwrap(uint8_t addr[16])
{
	static const uint8_t nat64[16] = { 0x00, 0x64, 0xff, 0x9b }, sixto4[16] = { 0x20, 0x02 };

	if (in_network(addr, nat64, 96))
		map4(addr + 12, addr);
	else if (in_network(addr, sixto4, 16))
		map4(addr + 2, addr);
}

static bool address_of(const struct sockaddr *sa, uint8_t out[16])
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in, sa, sizeof(in));
		map4((const uint8_t *)&in.sin_addr, out);
		return true;
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		memcpy(out, &in6.sin6_addr, 16);
		unwrap(out);
		return true;
	default:
		return false;
	}
}

static enum kind kind_of(const uint8_t addr[16])
{
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if (in_network(addr, special[i].addr, special[i].bits))
			return special[i].kind;
	}
	return KIND_PUBLIC;
}

bool http_network_of(const char *host, struct http_network *out)
{
	static const uint8_t loopback[16] = V4(127, 0, 0, 0), zero[16];
	uint8_t v4[4];

	if (strcasecmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, v4) == 1)
		map4(v4, out->addr);
	else if (inet_pton(AF_INET6, host, out->addr) == 1)
		unwrap(out->addr);
	else
		return false;
	if (in_network(out->addr, loopback, MAPPED + 8))
		out->bits = MAPPED + 8;
	else if (in_network(out->addr, loopback, MAPPED))
		out->bits = MAPPED + 24;
	else
		out->bits = in_network(out->addr, zero, 64) ? 128 : 64;	/* ::/64 holds all of IPv4 */
	return true;
}

bool http_address_allowed(const struct sockaddr *sa, const struct http_network *nets, size_t n_nets,
    bool friend)
{
	uint8_t addr[16];

	if (!address_of(sa, addr))
		return false;
	switch (kind_of(addr)) {
	case KIND_NEVER:
		return false;
	case KIND_PUBLIC:
		return true;
	case KIND_NEAR:
		break;
	}
	for (size_t i = 0; i < n_nets; i++) {
		if (in_network(addr, nets[i].addr, nets[i].bits))
			return true;
	}
	return friend;
}
