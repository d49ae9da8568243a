/*
 * What lib/http and hostport parse themselves: first octet says which, then the
 * text. A range lies inside what it is a range of; what is in a list of ETags
 * is written there; a digest that is read can be written and read again.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hostport.h"
#include "lib/base/mem.h"
#include "lib/http/address.h"
#include "lib/http/content_digest.h"
#include "lib/http/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_range(const char *text, uint64_t size)
{
	uint64_t first, len;

	if (http_range_parse(text, size, &first, &len) == HTTP_RANGE_PART &&
	    (len == 0 || first >= size || len > size - first))
		abort();
}

static void try_address(const uint8_t *data, size_t size, const char *text)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct http_network net;

	memcpy(&in6.sin6_addr, data, size < 16 ? size : 16);
	size_t n = http_network_of(text, &net);
	/* A stranger gets nowhere that a friend does not. */
	if (http_address_allowed((struct sockaddr *)&in6, &net, n, false) &&
	    !http_address_allowed((struct sockaddr *)&in6, &net, n, true))
		abort();
}

static void try_digest(const char *text)
{
	uint8_t digest[DIGEST_LEN], again[DIGEST_LEN];

	if (http_content_digest_parse(text, digest) <= 0)
		return;
	char *field = http_content_digest_print(NULL, digest);
	if (http_content_digest_parse(field, again) != 1 || memcmp(digest, again, DIGEST_LEN) != 0)
		abort();
	talloc_free(field);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hostport hp;

	if (size < 9)
		return 0;
	char *text = malloc(size);
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 8) {
	case 0: {
		uint64_t of;

		memcpy(&of, text, sizeof(of));
		try_range(text + sizeof(of), of);
		break;
	}
	case 1:
		if (http_etag_in(text, "\"tag\"") && strcmp(text, "*") != 0 && !strstr(text, "\"tag\""))
			abort();
		break;
	case 2:
		if (hostport_parse(text, &hp) == 0 && (!hp.host[0] || !hp.port[0] || strlen(hp.port) > 5))
			abort();
		break;
	case 4:
		try_digest(text);
		break;
	default:
		try_address((const uint8_t *)text, size - 1, text);
		break;
	}
	free(text);
	return 0;
}
