/*
 * The handler runs on libmicrohttpd's threads. It decides from the locked
 * table alone, and what it learns goes to the loop through the door; when
 * that is full a stranger's notice is dropped (the DHT has it as well).
 *
 * POST /nr is answered 202 until the receipt is durable here: the proof that
 * it was heard ends the receiver's duty, so it must not be given early.
 */
#include <string.h>

#include <talloc.h>

#include "lib/base/digest.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/http/server.h"
#include "lib/loop/door.h"
#include "lib/mail/addr.h"
#include "lib/mail/value.h"
#include "way/outbox/outbox.h"

struct outbox {
	struct offers *offers;
	struct outbox_hooks hooks;
	struct door *strangers;		/* what they post: dropped when it is full */
	struct door *served;		/* never full: bounded by transfers */
	struct http_server *server;
};

/* What an HTTP thread tells the loop; its own talloc context. */
struct told {
	struct outbox *outbox;
	enum { TOLD_NOTICE, TOLD_RECEIPT, TOLD_SERVED } what;
	struct bytes value;
	uint64_t rcpt;
};

static void told_run(void *arg)
{
	struct told *t = arg;
	struct outbox *o = t->outbox;

	switch (t->what) {
	case TOLD_NOTICE:
		o->hooks.notice(o->hooks.arg, t->value);
		break;
	case TOLD_RECEIPT:
		o->hooks.receipt(o->hooks.arg, t->value);
		break;
	case TOLD_SERVED:
		o->hooks.served(o->hooks.arg, t->rcpt);
		break;
	}
	talloc_free(t);
}

static void told_drop(void *arg)
{
	talloc_free(arg);
}

static void tell_http(struct door *door, struct told *t)
{
	if (!post_send(door, told_run, told_drop, t))
		talloc_free(t);
}

static void answer_text(struct http_answer *a, unsigned status, const char *text)
{
	a->status = status;
	a->type = "text/plain";
	a->body = bytes_str(text);
}

static void post_value_http(struct outbox *o, const struct http_request *r, bool receipt, struct http_answer *a)
{
	struct value v;

	answer_text(a, 202, "");
	if (value_parse(r->body, &v) < 0 || v.kind != (receipt ? VALUE_NR : VALUE_NS) || r->body.len > LIMIT_NS_VALUE)
		return;
	if (receipt && offers_heard_has(o->offers, v.proof)) {
		uint8_t seen[DIGEST_LEN];

		proof_seen(v.proof, seen);
		a->status = 200;
		a->type = "application/octet-stream";
		a->body = bytes_dup(a->ctx, bytes_of(seen, sizeof(seen)));
		return;
	}
	struct told *t = talloc_zero(NULL, struct told);

	t->outbox = o;
	t->what = receipt ? TOLD_RECEIPT : TOLD_NOTICE;
	t->value = bytes_dup(t, r->body);
	tell_http(o->strangers, t);
}

static void post_ns_http(struct outbox *o, const struct http_request *r, const char *rest, struct http_answer *a)
{
	(void)rest;
	post_value_http(o, r, false, a);
}

static void post_nr_http(struct outbox *o, const struct http_request *r, const char *rest, struct http_answer *a)
{
	(void)rest;
	post_value_http(o, r, true, a);
}

static void page_http(struct outbox *o, enum offers_page page, const char *address, struct http_answer *a)
{
	a->body = offers_page_get(o->offers, a->ctx, page, address);
	if (a->body.len == 0) {
		answer_text(a, 404, "not found\n");
		return;
	}
	a->status = 200;
	a->type = page == PAGE_PUBKEY ? "application/pgp-keys" : "application/octet-stream";
}

static void get_descriptor_http(struct outbox *o, const struct http_request *r, const char *rest, struct http_answer *a)
{
	(void)r;
	(void)rest;
	page_http(o, PAGE_DESCRIPTOR, "", a);
}

static void get_pubkey_http(struct outbox *o, const struct http_request *r, const char *rest, struct http_answer *a)
{
	(void)r;
	(void)rest;
	page_http(o, PAGE_PUBKEY, "", a);
}

static void get_pubkey_of_http(struct outbox *o, const struct http_request *r, const char *rest, struct http_answer *a)
{
	char address[LIMIT_ADDRESS + 1];

	(void)r;
	if (addr_parse(rest, address) == 0)
		page_http(o, PAGE_PUBKEY, address, a);
	else
		answer_text(a, 404, "not found\n");
}

static void get_group_http(struct outbox *o, const struct http_request *r, const char *rest, struct http_answer *a)
{
	(void)r;
	if (addr_is_group(rest))
		page_http(o, PAGE_GROUP, rest, a);
	else
		answer_text(a, 404, "not found\n");
}

/* A running transfer of m'. */
struct transfer {
	struct outbox *outbox;
	uint64_t token;
};

static size_t may_send_http(void *arg, uint64_t offset, size_t len)
{
	struct transfer *tr = arg;
	uint64_t served;
	size_t n = offers_may_send_http(tr->outbox->offers, tr->token, len, &served);

	(void)offset;
	if (served != 0) {
		struct told *t = talloc_zero(NULL, struct told);

		t->outbox = tr->outbox;
		t->what = TOLD_SERVED;
		t->rcpt = served;
		tell_http(tr->outbox->served, t);
	}
	return n;
}

static void transfer_closed_http(void *arg)
{
	struct transfer *tr = arg;

	offers_closed_http(tr->outbox->offers, tr->token);
	talloc_free(tr);
}

static void watch_transfer_http(struct outbox *o, const struct offers_pass *pass, struct http_answer *a)
{
	struct transfer *tr = talloc_zero(NULL, struct transfer);

	tr->outbox = o;
	tr->token = pass->token;
	a->may_send = may_send_http;
	a->closed = transfer_closed_http;
	a->arg = tr;
}

/* "/outbox/" h or h ".head": 404 for all that does not open with the token. */
static void get_outbox_http(struct outbox *o, const struct http_request *r, const char *rest, struct http_answer *a)
{
	uint8_t hash[32], t_get[32];
	char hex[DIGEST_HEX] = "";
	struct offers_pass pass;
	size_t len = strlen(rest);
	bool head = len == 69 && strcmp(rest + 64, ".head") == 0;

	answer_text(a, 404, "not found\n");
	if (len != 64 && !head)
		return;
	memcpy(hex, rest, 64);
	if (hex_parse(hex, hash, 32) < 0 || r->authorization == NULL || auth_parse(r->authorization, t_get) < 0)
		return;
	switch (offers_open_http(o->offers, a->ctx, hash, t_get, head, &pass)) {
	case OFFERS_NONE:
		return;
	case OFFERS_RECALLED:
		a->status = 410;
		a->type = "application/octet-stream";
		a->body = pass.recalls;
		return;
	case OFFERS_OPEN:
		break;
	}
	a->status = 200;
	a->type = "application/octet-stream";
	a->body = (struct bytes){ NULL, 0 };
	a->etag = talloc_asprintf(a->ctx, "\"%s%s\"", hex, head ? ".head" : "");
	a->fd = pass.fd;
	a->size = pass.size;
	if (!head)
		watch_transfer_http(o, &pass, a);
}

static const struct route {
	const char *method, *path;
	bool prefix;			/* what follows path goes to run */
	void (*run)(struct outbox *, const struct http_request *, const char *rest, struct http_answer *);
} routes[] = {
	{ "GET",  "/descriptor", false, get_descriptor_http },
	{ "GET",  "/pubkey",     false, get_pubkey_http },
	{ "GET",  "/pubkey/",    true,  get_pubkey_of_http },
	{ "GET",  "/group/",     true,  get_group_http },
	{ "GET",  "/outbox/",    true,  get_outbox_http },
	{ "POST", "/ns",         false, post_ns_http },
	{ "POST", "/nr",         false, post_nr_http },
};

static bool route_fits(const struct route *route, const struct http_request *r)
{
	bool head = strcmp(r->method, "HEAD") == 0;	/* the server leaves the body out */

	if (strcmp(route->method, head ? "GET" : r->method) != 0)
		return false;
	return route->prefix ? strncmp(r->path, route->path, strlen(route->path)) == 0 : strcmp(r->path, route->path) == 0;
}

static void handle_http(void *arg, const struct http_request *r, struct http_answer *a)
{
	struct outbox *o = arg;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *route = &routes[i];

		if (route_fits(route, r)) {
			route->run(o, r, r->path + strlen(route->path), a);
			return;
		}
	}
	answer_text(a, 404, "not found\n");
}

struct outbox *outbox_start(struct loop *loop, struct offers *offers, const struct outbox_settings *settings,
    const struct outbox_hooks *hooks, struct err *e)
{
	struct outbox *o = talloc_zero(NULL, struct outbox);
	struct http_server_settings http = {
		.listen = settings->listen, .n_listen = settings->n_listen, .max_body = LIMIT_HTTP_BODY,
	};

	o->offers = offers;
	o->hooks = *hooks;
	o->strangers = door_new(loop, LIMIT_DOOR_STRANGERS, e);
	if (o->strangers != NULL)
		o->served = door_new(loop, SIZE_MAX, e);
	if (o->served != NULL)
		o->server = http_server_new(&http, handle_http, o, e);
	if (o->server == NULL)
		outbox_stop(&o);
	return o;
}

void outbox_stop(struct outbox **op)
{
	struct outbox *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	http_server_free(&o->server);
	door_free(&o->strangers);
	door_free(&o->served);
	talloc_free(o);
}

unsigned outbox_port(const struct outbox *o)
{
	return http_server_port(o->server);
}
