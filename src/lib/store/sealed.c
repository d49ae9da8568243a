/*
 * Small sealed octets are rows. HTTP threads read them, and the loop's
 * connection is the loop's: so there is another one, which only reads, under
 * a lock of its own. It reads one row at a time, and so it is in nobody's way
 * for long: a checkpoint that meets it tries again (sync.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/store/priv.h"
#include "lib/store/sealed.h"

struct reader {
	pthread_mutex_t lock;
	sqlite3 *db;
	sqlite3_stmt *q;
};

void store_sealed_add(struct store *s, const uint8_t hash[32], struct bytes octets)
{
	assert(octets.len <= SEALED_SMALL);
	db_write(s, "INSERT OR REPLACE INTO sealed(hash, octets) VALUES(?, ?)", ARGS(B(hash, 32), B(octets.data, octets.len)));
}

void sealed_forget(struct store *s, const uint8_t hash[32])
{
	db_write(s, "DELETE FROM sealed WHERE hash = ?", ARGS(B(hash, 32)));
	space_freed(s, (unsigned)sqlite3_changes(s->db));
}

static int copy_of(struct bytes octets)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC);

	if (fd >= 0 && files_write(fd, octets.data, octets.len) == 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	int why = errno;

	if (fd >= 0)
		close(fd);
	errno = why;
	return -1;
}

static int read_row(struct reader *r, const uint8_t hash[32])
{
	int fd = -1;

	sqlite3_bind_blob(r->q, 1, hash, 32, SQLITE_STATIC);
	int code = sqlite3_step(r->q);

	if (code == SQLITE_ROW) {
		fd = copy_of(bytes_of(sqlite3_column_blob(r->q, 0), (size_t)sqlite3_column_bytes(r->q, 0)));
	} else {
		errno = code == SQLITE_DONE ? ENOENT : EIO;
		if (code != SQLITE_DONE)
			log_warn("store: a sealed message cannot be read: %s", sqlite3_errmsg(r->db));
	}
	int why = errno;

	sqlite3_reset(r->q);
	sqlite3_clear_bindings(r->q);
	errno = why;
	return fd;
}

int store_sealed_open(struct store *s, const uint8_t hash[32])
{
	char *path = store_path(s, NULL, PLACE_OUTBOX, hash);
	int fd = open(path, O_RDONLY | O_CLOEXEC), why = errno;

	talloc_free(path);
	errno = why;
	if (fd >= 0 || why != ENOENT)
		return fd;
	pthread_mutex_lock(&s->sealed->lock);
	fd = read_row(s->sealed, hash);
	why = errno;
	pthread_mutex_unlock(&s->sealed->lock);
	errno = why;
	return fd;
}

enum outcome sealed_start(struct store *s, struct err *e)
{
	struct reader *r = s->sealed = mem_zero(s, struct reader);
	char *path = mem_printf(NULL, "%s/state.db", s->dir);

	pthread_mutex_init(&r->lock, NULL);
	int code = sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_exec(r->db, "PRAGMA cache_size = -64", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v3(r->db, "SELECT octets FROM sealed WHERE hash = ?", -1, SQLITE_PREPARE_PERSISTENT, &r->q, NULL);
	if (code != SQLITE_OK)
		err_set(e, "open %s for reading: %s", path, sqlite3_errmsg(r->db));
	else
		sqlite3_busy_timeout(r->db, BUSY_MS);
	talloc_free(path);
	return code == SQLITE_OK ? OK : RETRY;
}

void sealed_end(struct store *s)
{
	struct reader *r = s->sealed;

	if (!r)
		return;
	sqlite3_finalize(r->q);
	sqlite3_close(r->db);
	pthread_mutex_destroy(&r->lock);
	TALLOC_FREE(s->sealed);
}
