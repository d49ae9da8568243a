/*
 * The handler runs on libmicrohttpd's threads. It decides from the locked
 * table alone, and what it learns goes to the loop through the door; when
 * that is full a stranger's notice is dropped (the DHT has it as well).
 *
 * POST /nr is answered 202 until the receipt is durable here: the proof that
 * it was heard ends the receiver's duty, so it must not be given early.
 */
#include <string.h>
#include <unistd.h>

#include <talloc.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/http/server.h"
#include "lib/loop/door.h"
#include "lib/mail/addr.h"
#include "lib/mail/value.h"
#include "way/outbox/state.h"

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
	case TOLD_CONTACT:
		o->hooks.contact(o->hooks.arg, t->address);
		break;
	case TOLD_TAKEN:
		o->hooks.taken(o->hooks.arg, t->address, t->hash);
		break;
	case TOLD_REPLICA:
		o->hooks.replica_served(o->hooks.arg, t->address, t->hash, t->c_get);
		break;
	case TOLD_PUT:
		o->hooks.put(o->hooks.arg, &t->put);
		break;
	}
	talloc_free(t);
}

/* At the end: a body that came and that nobody keeps. */
static void told_drop(void *arg)
{
	struct told *t = arg;

	if (t->put.file != NULL) {
		files_drop(t->put.file);
		close(t->put.fd);
	}
	talloc_free(t);
}

void outbox_tell_http(struct door *door, struct told *t)
{
	if (!post_send(door, told_run, told_drop, t))
		told_drop(t);
}

void answer_text(struct http_answer *a, unsigned status, const char *text)
{
	a->status = status;
	a->type = "text/plain";
	a->body = bytes_str(text);
}

void answer_octets(struct http_answer *a, unsigned status, struct bytes body)
{
	a->status = status;
	a->type = "application/octet-stream";
	a->body = body;
}

void answer_recalls(struct http_answer *a, struct bytes recalls)
{
	answer_octets(a, 410, recalls);
}

void answer_file(struct http_answer *a, int fd, uint64_t size, const char *etag)
{
	answer_octets(a, 200, (struct bytes){ NULL, 0 });
	a->etag = etag;
	a->fd = fd;
	a->size = size;
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
	outbox_tell_http(o->strangers, t);
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

/* A running transfer of m' or its head. */
struct transfer {
	struct outbox *outbox;
	uint64_t token;
	bool head;
};

static size_t may_send_http(void *arg, uint64_t offset, size_t len)
{
	struct transfer *tr = arg;
	uint64_t served;
	size_t n = offers_may_send_http(tr->outbox->offers, tr->token, tr->head, len, &served);

	(void)offset;
	if (served != 0) {
		struct told *t = talloc_zero(NULL, struct told);

		t->outbox = tr->outbox;
		t->what = TOLD_SERVED;
		t->rcpt = served;
		outbox_tell_http(tr->outbox->served, t);
	}
	return n;
}

static void transfer_closed_http(void *arg)
{
	struct transfer *tr = arg;

	offers_closed_http(tr->outbox->offers, tr->token);
	talloc_free(tr);
}

static void give_file_http(struct outbox *o, const struct offers_pass *pass, const struct outbox_name *name,
    struct http_answer *a)
{
	struct transfer *tr = talloc_zero(NULL, struct transfer);

	tr->outbox = o;
	tr->token = pass->token;
	tr->head = name->file == MEMBERS_HEAD;
	answer_file(a, pass->fd, pass->size, name->etag);
	a->may_send = may_send_http;
	a->closed = transfer_closed_http;
	a->arg = tr;
}

/* A recipient with his T_get: our own offers, then the replicas. 404 for all that does not open with it. */
static void get_sealed_http(struct outbox *o, const struct http_request *r, const struct outbox_name *name,
    struct http_answer *a)
{
	struct offers_pass pass;
	uint8_t t_get[32];

	if (name->file == MEMBERS_NOTICES || auth_parse(r->authorization, t_get) < 0)
		return;
	switch (offers_open_http(o->offers, a->ctx, name->hash, t_get, name->file == MEMBERS_HEAD, &pass)) {
	case OFFERS_NONE:
		fellow_get_replica_http(o, name, t_get, a);
		break;
	case OFFERS_RECALLED:
		answer_recalls(a, pass.recalls);
		break;
	case OFFERS_OPEN:
		give_file_http(o, &pass, name, a);
		break;
	}
}

bool outbox_parse_name(const char *rest, uint8_t hash_out[32], enum members_file *out)
{
	static const char *const tails[] = { [MEMBERS_BODY] = "", [MEMBERS_HEAD] = ".head", [MEMBERS_NOTICES] = ".notices" };
	char hex[DIGEST_HEX] = "";

	if (strlen(rest) < 64)
		return false;
	memcpy(hex, rest, 64);
	if (hex_parse(hex, hash_out, 32) < 0)
		return false;
	for (*out = MEMBERS_BODY; *out <= MEMBERS_NOTICES; ++*out)
		if (strcmp(rest + 64, tails[*out]) == 0)
			return true;
	return false;
}

static void get_outbox_http(struct outbox *o, const struct http_request *r, const char *rest, struct http_answer *a)
{
	struct outbox_name name;

	answer_text(a, 404, "not found\n");
	if (r->authorization == NULL || !outbox_parse_name(rest, name.hash, &name.file))
		return;
	name.etag = talloc_asprintf(a->ctx, "\"%s\"", rest);
	if (fellow_is_asking(r))
		fellow_get_outbox_http(o, r, &name, a);
	else
		get_sealed_http(o, r, &name, a);
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
	{ "GET",  "/outbox/msglist", false, fellow_get_list_http },
	{ "GET",  "/outbox/",    true,  get_outbox_http },
	{ "GET",  "/replica/",   true,  fellow_get_of_owner_http },
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

struct outbox *outbox_start(struct loop *loop, struct offers *offers, struct members *members,
    const struct outbox_settings *settings, const struct outbox_hooks *hooks, struct err *e)
{
	struct outbox *o = talloc_zero(NULL, struct outbox);
	struct http_server_settings http = {
		.listen = settings->listen, .n_listen = settings->n_listen, .max_body = LIMIT_HTTP_BODY,
		.admit_http = put_admit_http,
	};

	o->offers = offers;
	o->members = members;
	o->replicas = talloc_strdup(o, settings->replicas);
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

void outbox_answer(struct outbox *o, uint64_t ticket, unsigned status)
{
	http_server_answer(o->server, ticket, status);
}

unsigned outbox_port(const struct outbox *o)
{
	return http_server_port(o->server);
}
