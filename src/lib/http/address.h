#ifndef HTTP_ADDRESS_H
#define HTTP_ADDRESS_H
/*
 * Which addresses our client may talk to (p2pmta-protocol(7), section 7, last
 * paragraph): a stranger's URL must not make us knock at doors inside our own
 * network. Pure, any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* A network that one of our own URLs lies in. */
struct http_network {
	uint8_t addr[16];	/* IPv6; IPv4 as ::ffff:a.b.c.d */
	unsigned bits;
};

/*
 * The network of an URL's host, when that is an address (or "localhost", which is
 * 127.0.0.0/8): /8 for 127.x.x.x, else /24 for IPv4; ::1 alone, else /64 for IPv6.
 * false: a name.
 */
bool http_network_of(const char *host, struct http_network *out);

/*
 * Public addresses always; loopback, link-local, private and shared (100.64/10)
 * ones when friend, or when they lie in one of nets; unspecified, multicast, broadcast
 * and reserved ones never. IPv4 inside IPv6 (mapped, NAT64, 6to4) counts as what it is.
 */
bool http_address_allowed(const struct sockaddr *, const struct http_network *nets, size_t n_nets,
    bool friend);

#endif
