/*
 * Bringing a member what he lacks of our outbox: per message the notices
 * object, the head, m'; one file at a time. What he has by now he refuses at
 * the request line (204), so nothing goes twice. Where it ends for good or for now, the
 * next message is tried: his answer to `held` says what is still lacking. Who took
 * nothing is left alone for a while.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <talloc.h>

#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "way/replica/state.h"

struct bring {
	struct member *m;
	uint8_t hashes[BRING_MAX][32];
	size_t n, at;
	enum replicas_what what;
	struct ours_file file;
	struct http_transfer *transfer;
	bool taken;			/* a whole message, at least */
	bool refused;			/* in a way that a moment does not mend */
};

static void next_file(struct bring *b);

bool bring_is_running(const struct member *m)
{
	return m->bring != NULL;
}

void bring_stop(struct member *m)
{
	struct bring *b = m->bring;

	m->bring = NULL;
	if (b == NULL)
		return;
	http_transfer_free(&b->transfer);
	talloc_free(b);
}

/* The next thing: of this message, or notices of the next one. */
static void step(struct bring *b, bool give_up)
{
	if (give_up || b->what == REPLICAS_BODY) {
		b->at++;
		b->what = REPLICAS_NOTICES;
	} else {
		b->what++;
	}
	next_file(b);
}

static void on_brought(void *arg, const struct http_reply *reply)
{
	struct bring *b = arg;
	struct member *m = b->m;

	b->transfer = NULL;
	member_answered(m, reply);
	if (reply->status == 507)
		log_info("member=%s why=\"he has no room for more\"", m->address);
	if (reply->status == 0 || reply->status == 401 || reply->status == 507) {
		bring_stop(m);
		push_later(m);
		return;
	}
	b->taken |= reply->status == 204 && b->what == REPLICAS_BODY;
	b->refused |= reply->status != 204 && reply->status != 503;
	step(b, reply->status != 204);
}

static bool send_file(struct bring *b, int fd)
{
	static const char *const tails[] = { [REPLICAS_NOTICES] = ".notices", [REPLICAS_HEAD] = ".head", [REPLICAS_BODY] = "" };
	char name[DIGEST_HEX + 16];
	struct member_call call = {
		.method = "PUT", .from_file = true, .fd = fd, .size = b->file.size, .digest = b->file.digest, .max = 4096,
		.quiet_ms = QUIET_MS, .bulk = true, .done = on_brought, .arg = b,
	};

	hex_print(bytes_of(b->hashes[b->at], 32), name);
	snprintf(name + 64, sizeof(name) - 64, "%s", tails[b->what]);
	call.path = member_path(b, b->m->r->settings.address, name);
	b->transfer = member_call(b->m, &call);
	return b->transfer != NULL;
}

static void next_file(struct bring *b)
{
	struct member *m = b->m;

	while (b->at < b->n) {
		bool there = ours_file(m->r->ours, b->hashes[b->at], b->what, &b->file);
		char *path = store_path(m->r->parts.store, b, PLACE_OUTBOX, b->file.digest);
		int fd = there ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		bool sent = fd >= 0 && send_file(b, fd);

		if (fd >= 0)
			close(fd);
		if (sent)
			return;
		if (!there && b->what == REPLICAS_HEAD) {
			b->what = REPLICAS_BODY;
		} else {
			b->at++;
			b->what = REPLICAS_NOTICES;
		}
	}
	bool taken = b->taken, refused = b->refused;

	bring_stop(m);
	if (taken)
		push_to(m);
	else if (refused)
		push_later(m);
	else
		push_again(m);
}

void bring_start(struct member *m, uint8_t (*hashes)[32], size_t n)
{
	struct bring *b = talloc_zero(m, struct bring);

	b->m = m;
	b->n = n < BRING_MAX ? n : BRING_MAX;
	memcpy(b->hashes, hashes, b->n * 32);
	b->what = REPLICAS_NOTICES;
	m->bring = b;
	next_file(b);
}
