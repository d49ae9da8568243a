/*
 * The message files. A file is unlinked only after the commit that removed the
 * last row that names it, and only if no row has come meanwhile: what to drop
 * waits in a list, and each name is looked up once more before it goes. What a
 * crash leaves behind has no row and goes at the next start; what a commit that
 * failed leaves, at once: on a full disk it would stand in its own way.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/store/priv.h"

enum { LARGE = 16 * 1024 * 1024 };

static const char *const place_names[] = {
	[PLACE_SPOOL] = "spool", [PLACE_INBOX] = "inbox", [PLACE_OUTBOX] = "outbox",
	[PLACE_REPLICA] = "replicas",
};

enum outcome place_make(struct store *s, struct err *e)
{
	for (enum place p = PLACE_SPOOL; p <= PLACE_REPLICA; p++) {
		s->places[p] = mem_printf(s, "%s/%s", s->dir, place_names[p]);
		enum outcome res = files_mkdir(s->places[p], e);
		if (res == OK && files_sync_folder(s->places[p]) < 0) {
			err_sys(e, "sync %s", s->places[p]);
			res = RETRY;
		}
		if (res != OK)
			return res;
	}
	return OK;
}

const char *store_dir(const struct store *s, enum place place)
{
	assert(place != PLACE_NONE);
	return s->places[place];
}

char *store_path(const struct store *s, const void *ctx, enum place place, const uint8_t digest[32])
{
	return files_fanout(ctx, store_dir(s, place), digest);
}

bool place_exists(const struct store *s, enum place place, const uint8_t digest[32])
{
	char *path = store_path(s, NULL, place, digest);
	bool there = access(path, F_OK) == 0;

	talloc_free(path);
	return there;
}

/* Call fn for each file of a fan-out until it says false. */
static bool walk_folder(int root, const char *sub, bool (*fn)(void *, int fd, const char *name, const uint8_t *), void *arg)
{
	int fd = openat(root, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool more = true;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return true;
	}
	for (struct dirent *de; more && (de = readdir(d)); ) {
		uint8_t digest[32];

		if (hex_parse(de->d_name, digest, sizeof(digest)) == 0 && strncmp(de->d_name, sub, 2) == 0)
			more = fn(arg, fd, de->d_name, digest);
	}
	closedir(d);
	return more;
}

static bool walk(const char *dir, bool (*fn)(void *, int fd, const char *name, const uint8_t *), void *arg)
{
	bool more = true;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return true;
	for (unsigned i = 0; more && i < 256; i++) {
		char sub[3];

		hex_print(bytes_of(&(uint8_t){ (uint8_t)i }, 1), sub);
		more = walk_folder(fd, sub, fn, arg);
	}
	close(fd);
	return more;
}

static bool stop_at_any(void *arg, int fd, const char *name, const uint8_t *digest)
{
	(void)arg, (void)fd, (void)name, (void)digest;
	return false;
}

bool place_has_files(const struct store *s)
{
	for (enum place p = PLACE_SPOOL; p <= PLACE_OUTBOX; p++) {
		if (!walk(s->places[p], stop_at_any, NULL))
			return true;
	}
	return false;
}

static bool has_outbox_row(struct store *s, const uint8_t digest[32])
{
	return db_has(s, "SELECT 1 FROM letter WHERE hash = ? AND sealed = 1 AND done = 0 AND dropped = 0", ARGS(B(digest, 32)))
	    || db_has(s, "SELECT 1 FROM letter WHERE head_hash = ? AND has_head = 1 AND done = 0 AND dropped = 0",
	              ARGS(B(digest, 32)))
	    || db_has(s, "SELECT 1 FROM own_notices WHERE digest = ?", ARGS(B(digest, 32)));
}

static bool has_replica_row(struct store *s, const uint8_t digest[32])
{
	return db_has(s, "SELECT 1 FROM replica WHERE hash = ? AND body = 1", ARGS(B(digest, 32)))
	    || db_has(s, "SELECT 1 FROM replica WHERE head_hash = ? AND has_head = 1 AND (body = 1 OR (listed = 1 AND done = 0))",
	              ARGS(B(digest, 32)))
	    || db_has(s, "SELECT 1 FROM replica WHERE noticed = ?", ARGS(B(digest, 32)));
}

static bool has_row(struct store *s, enum place place, const uint8_t digest[32])
{
	if (place == PLACE_REPLICA)
		return has_replica_row(s, digest);
	return db_has(s, "SELECT 1 FROM content WHERE digest = ? AND place = ?"
	              " AND NOT EXISTS (SELECT 1 FROM small WHERE content = content.id)", ARGS(B(digest, 32), I(place)))
	    || (place == PLACE_OUTBOX && has_outbox_row(s, digest));
}

struct sweep {
	struct store *s;
	enum place place;
	size_t seen, gone;
};

static bool sweep_file(void *arg, int fd, const char *name, const uint8_t *digest)
{
	struct sweep *w = arg;

	w->seen++;
	if (!has_row(w->s, w->place, digest) && !w->s->poisoned && unlinkat(fd, name, 0) == 0)
		w->gone++;
	/* A read that failed is no reason to delete anything. */
	return !w->s->poisoned;
}

/* Half-written files stand beside the one they were to become (files_put), or at the top (files_tmp). */
static void sweep_tmp(const char *dir)
{
	files_sweep_tmp(dir);
	for (unsigned i = 0; i < 256; i++) {
		char *sub = mem_printf(NULL, "%s/%02x", dir, i);

		files_sweep_tmp(sub);
		talloc_free(sub);
	}
}

void place_sweep(struct store *s)
{
	files_sweep_tmp(s->dir);
	for (enum place p = PLACE_SPOOL; p <= PLACE_REPLICA; p++) {
		struct sweep w = { .s = s, .place = p };

		sweep_tmp(s->places[p]);
		walk(s->places[p], sweep_file, &w);
		if (w.gone)
			log_info("store: place=%s files=%zu swept=%zu", place_names[p], w.seen, w.gone);
	}
}

static void gone_add(struct store *s, struct gone *g, const struct gone_file *file)
{
	if (g->n == g->size) {
		g->size = g->size ? g->size * 2 : 16;
		g->files = mem_resize(s, g->files, struct gone_file, g->size);
	}
	g->files[g->n++] = *file;
}

static void gone_note(struct store *s, struct gone *g, enum place place, const uint8_t digest[32])
{
	struct gone_file file = { .place = place };

	memcpy(file.digest, digest, sizeof(file.digest));
	gone_add(s, g, &file);
}

static void gone_move(struct store *s, struct gone *to, struct gone *from)
{
	for (size_t i = 0; i < from->n; i++)
		gone_add(s, to, &from->files[i]);
	from->n = 0;
}

void place_drop(struct store *s, enum place place, const uint8_t digest[32])
{
	gone_note(s, &s->deferred, place, digest);
}

void store_place_new(struct store *s, enum place place, const uint8_t digest[32])
{
	gone_note(s, &s->made, place, digest);
}

void store_place_sweep(struct store *s, enum place place, const uint8_t digest[32])
{
	place_drop(s, place, digest);
}

void place_committed(struct store *s)
{
	gone_move(s, &s->leaving, &s->deferred);
	s->made.n = 0;
}

void place_durable(struct store *s)
{
	gone_move(s, &s->going, &s->leaving);
}

void place_undone(struct store *s)
{
	s->deferred.n = 0;
	gone_move(s, &s->going, &s->made);
}

/* The octets of a large one go with its last descriptor, and that takes a while. */
static void drop_file(struct store *s, enum place place, const uint8_t digest[32])
{
	char *path = store_path(s, NULL, place, digest);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	files_drop(path);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > LARGE)
		sync_close_file(s, fd);
	else if (fd >= 0)
		close(fd);
	talloc_free(path);
}

/* A row that is gone, but not on disk yet, may come back: its file comes again when it does not. */
static bool is_noted(const struct gone *g, const struct gone_file *file)
{
	for (size_t i = 0; i < g->n; i++) {
		if (g->files[i].place == file->place && memcmp(g->files[i].digest, file->digest, sizeof(file->digest)) == 0)
			return true;
	}
	return false;
}

void place_unlink(struct store *s, size_t max)
{
	assert(!s->wrote);
	while (s->going.n > 0 && max-- > 0 && !s->poisoned && sync_can_close(s)) {
		const struct gone_file *file = &s->going.files[s->going.n - 1];

		if (!is_noted(&s->leaving, file) && !is_noted(&s->deferred, file) && !has_row(s, file->place, file->digest)) {
			if (s->poisoned)
				return;
			drop_file(s, file->place, file->digest);
		}
		s->going.n--;
	}
	if (s->going.n == 0 && s->going.size > 1024) {
		TALLOC_FREE(s->going.files);
		s->going.size = 0;
	}
}
