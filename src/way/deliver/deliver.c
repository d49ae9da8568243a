/* Rows are written here and nowhere else, so that every message has its structure from its first moment. */
#include <string.h>
#include <unistd.h>

#include <talloc.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/log.h"
#include "way/deliver/deliver.h"

struct deliver {
	struct pool *pool;
	struct store *store;
	char *inbox;
};

static uint64_t keyword_bits(struct store *store, const struct deliver_item *item)
{
	uint64_t bits = item->place == PLACE_NONE ? store_keyword(store, "$Remote") : 0;

	for (size_t i = 0; i < 4 && item->keywords[i] != NULL; i++)
		bits |= store_keyword(store, item->keywords[i]);
	return bits;
}

uint64_t deliver_file(struct deliver *d, struct mailbox *box, const struct deliver_item *item, uint64_t *content_out)
{
	struct content c = {
		.size = item->size, .place = item->place, .envelope = item->envelope, .body = item->body,
		.bodystructure = item->bodystructure, .skeleton = mime_skeleton(item->mime),
		.parts = mime_parts_text(item->mime),
	};

	memcpy(c.digest, item->digest, sizeof(c.digest));
	store_content_add(d->store, &c);
	*content_out = c.id;
	return store_message_add(d->store, box, c.id, item->flags, keyword_bits(d->store, item), item->internal_ms)->id;
}

/* Its own talloc context. */
struct own_message {
	struct deliver *deliver;
	struct bytes octets;
	const char *inbox;
	uint64_t id;
	void (*done)(void *arg, uint64_t id, bool ok);
	void *arg;
	uint8_t digest[DIGEST_LEN];
	struct mime *mime;
	const char *envelope, *body, *bodystructure;
	enum outcome res;
	struct err err;
};

static void own_work(void *arg)
{
	struct own_message *m = arg;
	struct mime_scan *scan = mime_scan_new(m);

	digest_of(m->octets, m->digest);
	mime_scan_feed(scan, m->octets);
	m->mime = mime_scan_take(&scan, m);
	m->envelope = mime_envelope(m, m->mime);
	m->body = mime_body(m, m->mime);
	m->bodystructure = mime_bodystructure(m, m->mime);
	m->res = files_put(files_fanout(m, m->inbox, m->digest), m->octets, &m->err);
}

static void own_done(void *arg)
{
	struct own_message *m = arg;
	struct deliver *d = m->deliver;
	uint64_t content;
	struct deliver_item item = {
		.digest = m->digest, .size = m->octets.len, .place = PLACE_INBOX, .mime = m->mime,
		.envelope = m->envelope, .body = m->body, .bodystructure = m->bodystructure,
		.internal_ms = clock_now_ms(),
	};

	if (m->res == OK) {
		store_place_new(d->store, PLACE_INBOX, m->digest);
		deliver_file(d, store_mailbox_standard(d->store, BOX_INBOX), &item, &content);
	} else {
		log_err("notice to the user not filed: %s", m->err.text);
	}
	m->done(m->arg, m->id, m->res == OK);
	talloc_free(m);
}

static void own_drop(void *arg)
{
	talloc_free(arg);
}

void deliver_own(struct deliver *d, struct bytes message, uint64_t id, void (*done)(void *arg, uint64_t id, bool ok), void *arg)
{
	static const struct pool_job job = { own_work, own_done, own_drop };
	struct own_message *m = talloc_zero(NULL, struct own_message);

	m->deliver = d;
	m->octets = bytes_dup(m, message);
	m->inbox = talloc_strdup(m, d->inbox);
	m->id = id;
	m->done = done;
	m->arg = arg;
	pool_submit(d->pool, POOL_BULK, &job, m);
}

struct deliver *deliver_start(struct pool *pool, struct store *store)
{
	struct deliver *d = talloc_zero(NULL, struct deliver);

	d->pool = pool;
	d->store = store;
	d->inbox = talloc_strdup(d, store_dir(store, PLACE_INBOX));
	return d;
}

void deliver_stop(struct deliver **dp)
{
	TALLOC_FREE(*dp);
}
