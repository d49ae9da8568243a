/*
 * Contents. What keeps one alive is asked of the tables that refer to it, at
 * the moment somebody lets go: no counts that could be wrong. The file must be
 * in its place when the row says so; a file that was just unlinked for another
 * row with the same octets makes the transaction fail and be tried again, not
 * a message without a body.
 *
 * The file of a small content is a copy for readers while its octets are a
 * row: not synced, gone after a restart, made again when it is asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/log.h"
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

static void add(struct store *s, struct content *c)
{
	c->id = ids_next(s, COUNTER_CONTENT);
	db_write(s, "INSERT INTO content(id, digest, size, place, envelope, body, bodystructure) VALUES(?, ?, ?, ?, ?, ?, ?)",
	    ARGS(I(c->id), B(c->digest, 32), I(c->size), I(c->place), T(c->envelope), T(c->body), T(c->bodystructure)));
	write_skeleton(s, c);
}

void store_content_add(struct store *s, struct content *c)
{
	check_file(s, c->place, c->digest);
	add(s, c);
}

void store_content_add_small(struct store *s, struct content *c, struct bytes octets)
{
	assert(octets.len <= CONTENT_SMALL && c->place != PLACE_NONE);
	add(s, c);
	db_write(s, "INSERT INTO small(content, octets) VALUES(?, ?)", ARGS(I(c->id), B(octets.data, octets.len)));
}

struct bytes store_content_octets(struct store *s, const void *ctx, uint64_t id)
{
	sqlite3_stmt *q = db_read(s, "SELECT octets FROM small WHERE content = ?", ARGS(I(id)));
	struct bytes octets = { NULL, 0 };

	if (db_next(s, q)) {
		octets = bytes_dup(ctx, bytes_of(sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0)));
		db_done(q);
	}
	return octets;
}

static void forget_small(struct store *s, uint64_t id)
{
	db_write(s, "DELETE FROM small WHERE content = ?", ARGS(I(id)));
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

static bool peek_row(struct store *s, struct content *c)
{
	sqlite3_stmt *q = db_walk(s, WALK_CONTENT,
	    "SELECT id, digest, size, place, envelope, body, bodystructure FROM content WHERE id >= ? ORDER BY id", c->id);

	if (!q)
		return false;
	col_raw(q, 1, c->digest, sizeof(c->digest));
	c->size = (uint64_t)col_int(q, 2);
	c->place = (enum place)col_int(q, 3);
	c->envelope = (const char *)sqlite3_column_text(q, 4);
	c->body = (const char *)sqlite3_column_text(q, 5);
	c->bodystructure = (const char *)sqlite3_column_text(q, 6);
	return true;
}

static bool peek_skeleton(struct store *s, struct content *c)
{
	sqlite3_stmt *q = db_walk(s, WALK_SKELETON, "SELECT id, parts, octets FROM skeleton WHERE id >= ? ORDER BY id", c->id);

	if (!q)
		return false;
	c->parts = (const char *)sqlite3_column_text(q, 1);
	c->skeleton = bytes_of(sqlite3_column_blob(q, 2), (size_t)sqlite3_column_bytes(q, 2));
	return true;
}

bool store_content_peek(struct store *s, uint64_t id, unsigned what, struct content *out)
{
	*out = (struct content){ .id = id };
	if (what & PEEK_ROW && !peek_row(s, out))
		return false;
	/* One that was not scanned yet has none. */
	return !(what & PEEK_SKELETON) || peek_skeleton(s, out) || what & PEEK_ROW;
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
	forget_small(s, id);
	if (before != PLACE_NONE)
		place_drop(s, before, digest);
}

static void copy_small(struct store *s, uint64_t id, enum place place, const char *path)
{
	struct bytes octets = store_content_octets(s, path, id);
	struct err e;

	if (octets.data && files_put_lazily(store_dir(s, place), path, octets, &e) != OK)
		log_err("content=%llu %s", (unsigned long long)id, e.text);
}

char *store_content_path(struct store *s, const void *ctx, uint64_t id)
{
	enum place place;
	uint8_t digest[32];

	if (!find_file(s, id, &place, digest) || place == PLACE_NONE)
		return NULL;
	char *path = store_path(s, ctx, place, digest);
	if (access(path, F_OK) < 0)
		copy_small(s, id, place, path);
	return path;
}

int store_content_open(struct store *s, const struct content *c)
{
	if (c->place == PLACE_NONE) {
		errno = ENOENT;
		return -1;
	}
	char *path = store_path(s, NULL, c->place, c->digest);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		copy_small(s, c->id, c->place, path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	int why = errno;
	talloc_free(path);
	errno = why;
	return fd;
}

static bool is_referred_to(struct store *s, uint64_t id)
{
	return db_has(s, "SELECT 1 FROM message WHERE content = ?", ARGS(I(id)))
	    || db_has(s, "SELECT 1 FROM letter WHERE content = ? AND done = 0", ARGS(I(id)))
	    || db_has(s, "SELECT 1 FROM notice WHERE content = ? AND content <> 0 AND done = 0 AND state IN (?, ?)",
	           ARGS(I(id), I(NOTICE_NOTICED), I(NOTICE_FILED)));
}

/* Its letter is done, and somebody goes on with it: now it becomes a file like others. */
static void settle(struct store *s, uint64_t id, enum place place, const uint8_t digest[32])
{
	void *ctx = mem_ctx(NULL);
	struct bytes octets = store_content_octets(s, ctx, id);
	char *path = store_path(s, ctx, place, digest);
	struct err e;

	if (octets.data && !db_has(s, "SELECT 1 FROM letter WHERE content = ? AND done = 0", ARGS(I(id)))) {
		/* One that is there has these octets, and may be the only ones that another content has. */
		if (access(path, F_OK) == 0 || files_put_lazily(store_dir(s, place), path, octets, &e) == OK)
			sync_settle(s, id, path);
		else
			log_warn("content=%llu stays in state.db: %s", (unsigned long long)id, e.text);
	}
	talloc_free(ctx);
}

/* It may have been unlinked since, and made again by who reads it. */
void content_settled(struct store *s, uint64_t id, const char *path, const struct stat *what)
{
	struct stat st;

	if (stat(path, &st) == 0 && st.st_ino == what->st_ino && st.st_mtim.tv_sec == what->st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == what->st_mtim.tv_nsec)
		forget_small(s, id);
}

void store_content_sweep(struct store *s, uint64_t id)
{
	enum place place;
	uint8_t digest[32];

	if (id == 0 || !find_file(s, id, &place, digest))
		return;
	if (is_referred_to(s, id)) {
		if (place == PLACE_SPOOL)
			settle(s, id, place, digest);
		return;
	}
	forget_small(s, id);
	db_write(s, "DELETE FROM content WHERE id = ?", ARGS(I(id)));
	db_write(s, "DELETE FROM skeleton WHERE id = ?", ARGS(I(id)));
	space_freed(s, 1);
	if (place != PLACE_NONE)
		place_drop(s, place, digest);
}
