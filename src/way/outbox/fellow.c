/*
 * The routes of fellow members: the MAC under our token is checked before
 * anything is looked up, so that a stranger costs a hash. What we hold for an
 * owner who may have taken it back while we were off is not served to a
 * recipient until that is known (503); between members it moves freely, since
 * each of them keeps to the newest list he knows of. One token is for all our
 * groups, and the MAC does not say who asks: whoever gives another one's name
 * learns what only that one can read.
 */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/mail/addr.h"
#include "lib/mail/value.h"
#include "way/outbox/state.h"

enum { RETRY_S = 60 };

bool fellow_is_asking(const struct http_request *r)
{
	return r->authorization != NULL && strncasecmp(r->authorization, "P2pMTA-Member ", 14) == 0;
}

/* A member: who; and the loop hears that he is there. */
static bool check(struct outbox *o, const struct http_request *r, char who[LIMIT_ADDRESS + 1])
{
	struct member_request request = { .method = r->method, .path = r->path, .now_s = clock_now_s() };

	digest_of(r->body, request.body);
	if (!members_check_http(o->members, r->authorization, &request, who))
		return false;
	struct told *t = talloc_zero(NULL, struct told);

	t->outbox = o;
	t->what = TOLD_CONTACT;
	memcpy(t->address, who, sizeof(t->address));
	outbox_tell_http(o->served, t);
	return true;
}

/* A running transfer, to a member (who) or of a replica to a recipient (c_get). */
struct giving {
	struct outbox *outbox;
	char address[LIMIT_ADDRESS + 1];	/* of the member, or of the owner */
	uint8_t hash[32], c_get[32];
	bool replica;
	uint64_t size, sent;
};

static void tell_whole(struct giving *g)
{
	struct told *t = talloc_zero(NULL, struct told);

	t->outbox = g->outbox;
	t->what = g->replica ? TOLD_REPLICA : TOLD_TAKEN;
	memcpy(t->address, g->address, sizeof(t->address));
	memcpy(t->hash, g->hash, 32);
	memcpy(t->c_get, g->c_get, 32);
	outbox_tell_http(g->outbox->served, t);
}

/* Octets are counted over one transfer: who resumes often enough has all of it, too, and is not told of. */
static size_t may_give_http(void *arg, uint64_t offset, size_t len)
{
	struct giving *g = arg;
	bool was_whole = g->sent >= g->size;

	(void)offset;
	if (g->replica && !members_may_send_http(g->outbox->members, g->address, g->hash, g->c_get))
		return 0;
	g->sent += len;
	if (!was_whole && g->sent >= g->size)
		tell_whole(g);
	return len;
}

static void given_http(void *arg)
{
	talloc_free(arg);
}

static struct giving *watch(struct outbox *o, const struct outbox_name *name, const char *address, struct http_answer *a)
{
	struct giving *g = talloc_zero(NULL, struct giving);

	g->outbox = o;
	g->size = a->size;
	snprintf(g->address, sizeof(g->address), "%s", address);
	memcpy(g->hash, name->hash, 32);
	a->may_send = may_give_http;
	a->closed = given_http;
	a->arg = g;
	return g;
}

void fellow_get_replica_http(struct outbox *o, const struct outbox_name *name, const uint8_t t_get[32],
    struct http_answer *a)
{
	struct members_pass pass;

	switch (members_open_http(o->members, a->ctx, name->hash, t_get, name->file, &pass)) {
	case MEMBERS_NONE:
		return;
	case MEMBERS_GONE:
		answer_recalls(a, pass.recalls);
		return;
	case MEMBERS_LATER:
		answer_text(a, 503, "not now: it is not known yet whether its sender took it back\n");
		a->retry_s = RETRY_S;
		return;
	case MEMBERS_OPEN:
		break;
	}
	answer_file(a, pass.fd, pass.size, name->etag);
	if (name->file == MEMBERS_BODY) {
		struct giving *g = watch(o, name, pass.owner, a);

		g->replica = true;
		proof_commitment(t_get, g->c_get);
	}
}

void fellow_get_outbox_http(struct outbox *o, const struct http_request *r, const struct outbox_name *name,
    struct http_answer *a)
{
	char who[LIMIT_ADDRESS + 1];
	struct offers_pass own;
	struct members_pass held;

	if (!check(o, r, who)) {
		answer_text(a, 401, "not a member\n");
		return;
	}
	if (name->file != MEMBERS_NOTICES && members_may_ask(o->members, who, "") &&
	    offers_open_member_http(o->offers, name->hash, name->file == MEMBERS_HEAD, &own) == OFFERS_OPEN) {
		answer_file(a, own.fd, own.size, name->etag);
		if (name->file == MEMBERS_BODY)
			watch(o, name, who, a);
	} else if (members_open_member_http(o->members, a->ctx, who, name->hash, name->file, &held) == MEMBERS_OPEN) {
		answer_file(a, held.fd, held.size, name->file == MEMBERS_NOTICES ? NULL : name->etag);
	}
}

static void give_list_http(struct outbox *o, const char *owner, struct http_answer *a)
{
	uint64_t serial;
	struct bytes list = members_list_http(o->members, a->ctx, owner, &serial);

	if (list.len == 0) {
		answer_text(a, 404, "not found\n");
		return;
	}
	answer_octets(a, 200, list);
	if (owner != NULL)
		a->etag = talloc_asprintf(a->ctx, "\"%" PRIu64 "\"", serial);
}

void fellow_get_list_http(struct outbox *o, const struct http_request *r, const char *rest, struct http_answer *a)
{
	char who[LIMIT_ADDRESS + 1];

	(void)rest;
	if (r->authorization == NULL)
		give_list_http(o, NULL, a);
	else if (!check(o, r, who))
		answer_text(a, 401, "not a member\n");
	else if (members_may_ask(o->members, who, ""))
		give_list_http(o, "", a);
	else
		answer_text(a, 204, "");	/* of another group: he sees that we are here */
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at == NULL ? -1 : (int)(at - digits) - (at - digits >= 16 ? 6 : 0);
}

/* %XX taken apart: an address may be UTF-8. */
const char *fellow_parse_owner(const char *rest, char owner[LIMIT_ADDRESS + 1])
{
	const char *slash = strchr(rest, '/');
	char text[LIMIT_ADDRESS + 1];
	size_t n = 0;

	if (slash == NULL)
		return NULL;
	for (const char *c = rest; c < slash; c++) {
		int high = *c == '%' ? hex_digit(c[1]) : -1, low = high >= 0 ? hex_digit(c[2]) : -1;

		if (n == LIMIT_ADDRESS || (*c == '%' && low < 0))
			return NULL;
		text[n++] = *c == '%' ? (char)(16 * high + low) : *c;
		c += *c == '%' ? 2 : 0;
	}
	text[n] = '\0';
	return strlen(text) == n && addr_parse(text, owner) == 0 ? slash + 1 : NULL;
}

void fellow_get_of_owner_http(struct outbox *o, const struct http_request *r, const char *rest, struct http_answer *a)
{
	char who[LIMIT_ADDRESS + 1], owner[LIMIT_ADDRESS + 1];
	const char *what = fellow_parse_owner(rest, owner);

	answer_text(a, 404, "not found\n");
	if (what == NULL)
		return;
	if (!check(o, r, who)) {
		answer_text(a, 401, "not a member\n");
	} else if (!members_may_ask(o->members, who, owner)) {
		return;
	} else if (strcmp(what, "msglist") == 0) {
		give_list_http(o, owner, a);
	} else if (strcmp(what, "held") == 0 && members_held_http(o->members, a->ctx, owner, &a->body)) {
		a->status = 200;
		a->type = "text/plain";
	}
}
