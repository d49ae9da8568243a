/*
 * Contents. What keeps one alive is asked of the tables that refer to it, at
 * the moment somebody lets go: no counts that could be wrong. The file must be
 * in its place when the row says so; a file that was just unlinked for another
 * row with the same octets makes the transaction fail and be tried again, not
 * a message without a body.
 */
#include "lib/store/priv.h"

static void check_file(struct store *s, enum place place, const uint8_t digest[32])
{
	if (place == PLACE_NONE || place_exists(s, place, digest))
		return;
	char *path = store_path(s, NULL, place, digest);
	db_poison(s, "%s is not there", path);
	talloc_free(path);
}

static void write_skeleton(struct store *s, const struct content *c)
{
	if (c->parts || c->skeleton.data)
		db_write(s, "INSERT OR REPLACE INTO skeleton(id, parts, octets) VALUES(?, ?, ?)",
		    ARGS(I(c->id), T(c->parts), B(c->skeleton.data, c->skeleton.len)));
}

void store_content_add(struct store *s, struct content *c)
{
	c->id = ids_next(s, COUNTER_CONTENT);
	check_file(s, c->place, c->digest);
	db_write(s, "INSERT INTO content(id, digest, size, place, envelope, body, bodystructure) VALUES(?, ?, ?, ?, ?, ?, ?)",
	    ARGS(I(c->id), B(c->digest, 32), I(c->size), I(c->place), T(c->envelope), T(c->body), T(c->bodystructure)));
	write_skeleton(s, c);
}

struct content *store_content_find_brief(struct store *s, const void *ctx, uint64_t id)
{
	sqlite3_stmt *q = db_read(s, "SELECT digest, size, place, envelope, body, bodystructure FROM content WHERE id = ?",
	    ARGS(I(id)));

	if (!db_next(s, q))
		return NULL;
	struct content *c = mem_zero(ctx, struct content);
	c->id = id;
	col_raw(q, 0, c->digest, sizeof(c->digest));
	c->size = (uint64_t)col_int(q, 1);
	c->place = (enum place)col_int(q, 2);
	c->envelope = col_text_or_null(c, q, 3);
	c->body = col_text_or_null(c, q, 4);
	c->bodystructure = col_text_or_null(c, q, 5);
	db_done(q);
	return c;
}

struct content *store_content_find(struct store *s, const void *ctx, uint64_t id)
{
	struct content *c = store_content_find_brief(s, ctx, id);

	if (!c)
		return NULL;
	sqlite3_stmt *q = db_read(s, "SELECT parts, octets FROM skeleton WHERE id = ?", ARGS(I(id)));
	if (db_next(s, q)) {
		c->parts = col_text_or_null(c, q, 0);
		c->skeleton = col_bytes(c, q, 1);
		db_done(q);
	}
	return c;
}

void store_content_set_structure(struct store *s, const struct content *c)
{
	db_write(s, "UPDATE content SET envelope = ?, body = ?, bodystructure = ? WHERE id = ?",
	    ARGS(T(c->envelope), T(c->body), T(c->bodystructure), I(c->id)));
	write_skeleton(s, c);
}

/* Place and digest of a content that is there. */
static bool find_file(struct store *s, uint64_t id, enum place *place_out, uint8_t digest_out[32])
{
	sqlite3_stmt *q = db_read(s, "SELECT place, digest FROM content WHERE id = ?", ARGS(I(id)));

	if (!db_next(s, q))
		return false;
	*place_out = (enum place)col_int(q, 0);
	col_raw(q, 1, digest_out, 32);
	db_done(q);
	return true;
}

void store_content_set_place(struct store *s, uint64_t id, enum place place)
{
	enum place before;
	uint8_t digest[32];

	if (!find_file(s, id, &before, digest) || before == place)
		return;
	check_file(s, place, digest);
	db_write(s, "UPDATE content SET place = ? WHERE id = ?", ARGS(I(place), I(id)));
	if (before != PLACE_NONE)
		place_drop(s, before, digest);
}

char *store_content_path(struct store *s, const void *ctx, uint64_t id)
{
	enum place place;
	uint8_t digest[32];

	if (!find_file(s, id, &place, digest) || place == PLACE_NONE)
		return NULL;
	return store_path(s, ctx, place, digest);
}

static bool is_referred_to(struct store *s, uint64_t id)
{
	return db_has(s, "SELECT 1 FROM message WHERE content = ?", ARGS(I(id)))
	    || db_has(s, "SELECT 1 FROM letter WHERE content = ? AND done = 0", ARGS(I(id)))
	    || db_has(s, "SELECT 1 FROM notice WHERE content = ? AND content <> 0 AND done = 0 AND state IN (?, ?)",
	           ARGS(I(id), I(NOTICE_NOTICED), I(NOTICE_FILED)));
}

void store_content_sweep(struct store *s, uint64_t id)
{
	enum place place;
	uint8_t digest[32];

	if (id == 0 || is_referred_to(s, id) || !find_file(s, id, &place, digest))
		return;
	db_write(s, "DELETE FROM content WHERE id = ?", ARGS(I(id)));
	db_write(s, "DELETE FROM skeleton WHERE id = ?", ARGS(I(id)));
	if (place != PLACE_NONE)
		place_drop(s, place, digest);
}
