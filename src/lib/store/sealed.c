/*
 * Small sealed octets are rows. HTTP threads read them, and the loop's
 * connection is the loop's: so there is another one, which only reads, under
 * a lock of its own. It has a row for as long as copying it takes, and so is
 * hardly ever there when the WAL is to be truncated (sync.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/store/priv.h"
#include "lib/store/sealed.h"

enum { READER_BUSY_MS = 20 };	/* the loop may wait for the lock */

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

bool sealed_forget(struct store *s, const uint8_t hash[32])
{
	db_write(s, "DELETE FROM sealed WHERE hash = ?", ARGS(B(hash, 32)));
	bool gone = !s->poisoned && sqlite3_changes(s->db) > 0;

	space_freed(s, gone);
	return gone;
}

/* SQLITE_ROW, and then the octets, of which there are at most SEALED_SMALL; SQLITE_DONE: there is none. */
static int read_row(struct reader *r, const uint8_t hash[32], uint8_t *out, size_t *len_out)
{
	pthread_mutex_lock(&r->lock);
	sqlite3_bind_blob(r->q, 1, hash, 32, SQLITE_STATIC);
	int code = sqlite3_step(r->q);

	if (code == SQLITE_ROW) {
		*len_out = (size_t)sqlite3_column_bytes(r->q, 0);
		if (*len_out <= SEALED_SMALL)
			memcpy(out, sqlite3_column_blob(r->q, 0), *len_out);
		else
			code = SQLITE_TOOBIG;
	}
	sqlite3_reset(r->q);
	sqlite3_clear_bindings(r->q);
	pthread_mutex_unlock(&r->lock);
	return code;
}

static int open_row(struct reader *r, const uint8_t hash[32])
{
	uint8_t octets[SEALED_SMALL];
	size_t len;
	int code = read_row(r, hash, octets, &len), fd = -1;

	if (code == SQLITE_ROW)
		fd = files_in_memory(bytes_of(octets, len));
	int why = code == SQLITE_ROW ? errno : code == SQLITE_DONE ? ENOENT : EIO;

	if (fd < 0 && code != SQLITE_DONE)
		log_warn("store: a sealed message cannot be read: %s", code == SQLITE_ROW ? strerror(why) : sqlite3_errstr(code));
	errno = why;
	return fd;
}

int store_sealed_open(struct store *s, const uint8_t hash[32])
{
	char *path = store_path(s, NULL, PLACE_OUTBOX, hash);
	int fd = open(path, O_RDONLY | O_CLOEXEC), why = errno;

	talloc_free(path);
	errno = why;
	return fd < 0 && why == ENOENT ? open_row(s->sealed, hash) : fd;
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
		sqlite3_busy_timeout(r->db, READER_BUSY_MS);
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
