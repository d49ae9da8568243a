/*
 * What members bring. The request line and the MAC decide before the first
 * octet of the body is read; the digest that the MAC covers is the body's, so
 * nobody can put other octets into somebody's request. A body goes to a file,
 * the rest to memory; then the loop has it, and the answer waits until it is
 * durable.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "way/outbox/state.h"

enum { LIST_MAX = LIMIT_LIST + LIMIT_LIST / 8 + 64 * 1024 };

struct upload {
	struct outbox *outbox;
	struct outbox_put put;
	char *file;
	uint64_t reserved;		/* of the quota */
};

static void closed_http(void *arg)
{
	struct upload *u = arg;

	if (u->file != NULL)
		files_drop(u->file);
	members_release_http(u->outbox->members, u->reserved);
	talloc_free(u);
}

static struct told *told_of(struct upload *u, struct http_put *p)
{
	struct told *t = talloc_zero(NULL, struct told);

	t->outbox = u->outbox;
	t->what = TOLD_PUT;
	t->put = u->put;
	t->put.ticket = p->ticket;
	t->put.size = p->size;
	memcpy(t->put.digest, p->digest, 32);
	return t;
}

static void done_http(void *arg, struct http_put *p, struct http_answer *a)
{
	struct upload *u = arg;
	struct told *t = told_of(u, p);
	bool good = true;

	if (u->file != NULL) {
		t->put.file = talloc_steal(t, u->file);
		t->put.fd = p->fd;
	} else {
		uint8_t *octets = talloc_array(t, uint8_t, p->size + 1);

		good = files_pread(p->fd, octets, p->size, 0) == (ssize_t)p->size;
		t->put.octets = bytes_of(octets, p->size);
	}
	a->later = good;
	a->status = 500;
	if (!good) {
		talloc_free(t);
		return;
	}
	if (u->file != NULL)
		p->fd = -1;
	u->file = NULL;
	outbox_tell_http(u->outbox->served, t);
}

/* What is it, and how large may it be? 0 for nothing of ours. */
static uint64_t parse(const char *path, struct outbox_put *out)
{
	static const char prefix[] = "/replica/";
	const char *what;

	if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	what = fellow_parse_owner(path + sizeof(prefix) - 1, out->owner);
	if (what == NULL)
		return 0;
	out->list = strcmp(what, "msglist") == 0;
	if (out->list)
		return LIST_MAX;
	if (!outbox_parse_name(what, out->hash, &out->what))
		return 0;
	return out->what == MEMBERS_BODY ? LIMIT_SEALED : out->what == MEMBERS_HEAD ? LIMIT_HEAD + LIMIT_HEAD / 8 : LIST_MAX;
}

/* 0: a member, and one who may bring something of this owner's. */
static unsigned check(struct outbox *o, const struct http_put *p, const char *owner)
{
	struct member_request request = { .method = "PUT", .path = p->path, .now_s = clock_now_s() };
	char who[LIMIT_ADDRESS + 1];

	memcpy(request.body, p->digest, 32);
	if (!p->has_digest || !members_check_http(o->members, p->authorization, &request, who))
		return 401;
	return members_may_ask(o->members, who, owner) ? 0 : 404;
}

/* The answer that needs no body; 0: none, and for a body room is kept. */
static unsigned judge(struct outbox *o, const struct http_put *p, const struct outbox_put *put)
{
	static const unsigned statuses[] = {
		[MEMBERS_UNKNOWN] = 404, [MEMBERS_HAVE] = 204, [MEMBERS_WANT] = 0, [MEMBERS_WRONG] = 409, [MEMBERS_COMING] = 503,
		[MEMBERS_FULL] = 507,
	};

	if (put->list)
		return 0;
	if (put->what == MEMBERS_BODY && memcmp(p->digest, put->hash, 32) != 0)
		return 409;
	return statuses[members_want_http(o->members, put->owner, put->hash, put->what, p->size)];
}

void put_admit_http(void *arg, struct http_put *p)
{
	struct outbox *o = arg;
	struct upload *u = talloc_zero(NULL, struct upload);
	struct err e;

	p->max = parse(p->path, &u->put);
	p->status = p->max == 0 ? 404 : check(o, p, u->put.owner);
	if (p->status == 0)
		p->status = judge(o, p, &u->put);
	if (p->status != 0) {
		talloc_free(u);
		return;
	}
	bool body = !u->put.list && u->put.what == MEMBERS_BODY;

	u->outbox = o;
	u->reserved = body ? p->size : 0;
	p->fd = body ? files_tmp(u, o->replicas, &u->file, &e) : memfd_create("put", MFD_CLOEXEC);
	if (p->fd < 0) {
		p->status = 507;
		closed_http(u);
		return;
	}
	p->done_http = done_http;
	p->closed = closed_http;
	p->arg = u;
}
