/*
 * A table of faults: how many there are, in words, and the statements that
 * mend them. All repairs are one transaction; files come after it. What needs the octets of a file
 * that is gone cannot be mended; it is told which file.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/store/check.h"
#include "lib/store/priv.h"

enum { MAX_TOLD = 10, PATIENCE_MS = 5000 };

#define NO_CONTENT "NOT EXISTS (SELECT 1 FROM content WHERE id = message.content)"
#define UNUSED "NOT EXISTS (SELECT 1 FROM message WHERE content = content.id)" \
	" AND NOT EXISTS (SELECT 1 FROM letter WHERE content = content.id AND done = 0)" \
	" AND NOT EXISTS (SELECT 1 FROM notice WHERE content = content.id AND done = 0)"
#define UNSENT "hash NOT IN (SELECT hash FROM letter WHERE sealed = 1 AND done = 0 AND dropped = 0)" \
	" AND hash NOT IN (SELECT head_hash FROM letter WHERE has_head = 1 AND done = 0 AND dropped = 0)"
#define HIGHEST_MODSEQ "max(coalesce((SELECT max(modseq) FROM message WHERE mailbox = mailbox.id), 0)," \
	" coalesce((SELECT max(modseq) FROM journal WHERE mailbox = mailbox.id), 0)," \
	" coalesce((SELECT max(modseq) FROM expunged WHERE mailbox = mailbox.id), 0))"
/* For clients that know mod-sequences: a record that changes no flag, of all UIDs (1, and as many more as there can be). */
#define TELL_ALL(damaged) \
	"UPDATE mailbox SET modseq = modseq + 1 WHERE id IN (SELECT mailbox FROM " damaged ");" \
	"INSERT INTO journal(mailbox, modseq, clear_flags, set_flags, clear_keywords, set_keywords, uids)" \
	" SELECT id, modseq, 0, 0, 0, 0, x'01feffffff0f' FROM mailbox WHERE id IN (SELECT mailbox FROM " damaged ");"
#define BAD_RECORDS "journal WHERE NOT record_is_good(uids)"
#define BAD_PAGES "flags WHERE NOT page_is_good(page, octets)"
#define COUNTER(name, table) COUNTER_OF(name, table, "id", table " ids")
#define COUNTER_OF(name, table, column, text) \
	{ "SELECT coalesce((SELECT max(" column ") FROM " table "), 0) > coalesce((SELECT value FROM meta WHERE name = '" name "'), 0)", \
	  "the counter of " text " is behind", "set to the highest", \
	  "INSERT OR REPLACE INTO meta(name, value) SELECT '" name "', max(" column ") FROM " table }

static const struct fault {
	const char *count;		/* SQL: how many */
	const char *text;		/* after the number */
	const char *done;		/* what the repair did */
	const char *repair;		/* SQL; NULL: there is none, and done is the advice */
} faults[] = {
	/* First: what is mended below takes the next mod-sequence. */
	{ "SELECT count(*) FROM mailbox WHERE uidnext <= (SELECT max(uid) FROM message WHERE mailbox = mailbox.id)"
	  " OR modseq < " HIGHEST_MODSEQ,
	  "mailboxes whose next UID or mod-sequence is behind", "raised",
	  "UPDATE mailbox SET uidnext = max(uidnext, 1 + coalesce((SELECT max(uid) FROM message WHERE mailbox = mailbox.id), 0)),"
	  " modseq = max(modseq, " HIGHEST_MODSEQ ")" },
	{ "SELECT count(*) FROM message WHERE " NO_CONTENT, "messages without a content", "expunged",
	  "UPDATE mailbox SET modseq = modseq + 1 WHERE id IN (SELECT mailbox FROM message WHERE " NO_CONTENT ");"
	  "INSERT OR REPLACE INTO expunged(mailbox, modseq, lo, hi) SELECT mailbox, (SELECT modseq FROM mailbox WHERE id ="
	  " message.mailbox), uid, uid FROM message WHERE " NO_CONTENT ";"
	  "DELETE FROM message WHERE " NO_CONTENT },
	{ "SELECT count(*) FROM message WHERE NOT EXISTS (SELECT 1 FROM mailbox WHERE id = message.mailbox)",
	  "messages in mailboxes that are not there", "restore state.db from a backup", NULL },
	{ "SELECT count(*) FROM message JOIN content ON content.id = message.content WHERE content.size <> message.size",
	  "messages of another size than their content", "restore state.db from a backup", NULL },
	{ "SELECT count(*) FROM " BAD_RECORDS, "records of flags that cannot be read", "dropped",
	  TELL_ALL(BAD_RECORDS) "DELETE FROM " BAD_RECORDS },
	{ "SELECT count(*) FROM " BAD_PAGES, "pages of flags that cannot be read", "dropped",
	  TELL_ALL(BAD_PAGES) "DELETE FROM " BAD_PAGES },
	{ "SELECT count(*) FROM content WHERE " UNUSED, "contents that nothing refers to", "dropped",
	  "DELETE FROM content WHERE " UNUSED },
	{ "SELECT (SELECT count(*) FROM skeleton WHERE id NOT IN (SELECT id FROM content))"
	  " + (SELECT count(*) FROM small WHERE content NOT IN (SELECT id FROM content))", "parts of contents that went", "dropped",
	  "DELETE FROM skeleton WHERE id NOT IN (SELECT id FROM content);"
	  "DELETE FROM small WHERE content NOT IN (SELECT id FROM content)" },
	{ "SELECT count(*) FROM sealed WHERE " UNSENT, "sealed messages that no letter has", "dropped",
	  "DELETE FROM sealed WHERE " UNSENT },
	COUNTER("id.content", "content"), COUNTER("id.message", "message"), COUNTER("id.mailbox", "mailbox"),
	COUNTER("id.letter", "letter"), COUNTER("id.rcpt", "rcpt"), COUNTER("id.notice", "notice"),
	COUNTER("id.event", "event"), COUNTER("id.posting", "posting"),
	COUNTER_OF("uidvalidity", "mailbox", "uidvalidity", "UIDVALIDITY"),
	{ "SELECT auto_vacuum <> 2 FROM pragma_auto_vacuum", "file that gives no space back: it was made with another auto_vacuum",
	  "stop p2pmta and run sqlite3 state.db 'PRAGMA auto_vacuum = 2; VACUUM'", NULL },
};

struct check {
	void *ctx;
	const char *dir;
	sqlite3 *db;
	bool repair;
	void (*found)(void *arg, const struct store_fault *);
	void *arg;
	struct err *e;
};

static void tell(const struct check *c, bool repaired, const char *advice, const char *text)
{
	c->found(c->arg, &(struct store_fault){ .text = text, .advice = advice, .repaired = repaired });
}

static bool failed(const struct check *c, const char *what)
{
	err_set(c->e, "%s of %s/state.db: %s", what, c->dir, sqlite3_errmsg(c->db));
	return false;
}

static int64_t number(const struct check *c, const char *sql)
{
	sqlite3_stmt *q = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(c->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return n;
}

static void record_is_good(sqlite3_context *x, int n, sqlite3_value **v)
{
	(void)n;
	sqlite3_result_int(x, journal_check(bytes_of(sqlite3_value_blob(v[0]), (size_t)sqlite3_value_bytes(v[0]))));
}

static void page_is_good(sqlite3_context *x, int n, sqlite3_value **v)
{
	int64_t page = sqlite3_value_int64(v[0]);
	struct bytes octets = bytes_of(sqlite3_value_blob(v[1]), (size_t)sqlite3_value_bytes(v[1]));

	(void)n;
	sqlite3_result_int(x, page >= 0 && page <= UINT32_MAX && fold_check((uint32_t)page, octets));
}

/* What SQLite itself says; how many lines of it. */
static int integrity(const struct check *c, bool say)
{
	sqlite3_stmt *q = NULL;
	int n = 0;

	if (sqlite3_prepare_v2(c->db, "PRAGMA integrity_check(10)", -1, &q, NULL) != SQLITE_OK)
		n = -1;
	while (n >= 0 && sqlite3_step(q) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(q, 0);

		if (!text || strcmp(text, "ok") == 0)
			continue;
		n++;
		if (say)
			tell(c, false, "stop p2pmta and run p2pmta-ctl doctor --repair; if it stays, restore state.db from a backup"
			    " together with spool/, inbox/ and outbox/", mem_printf(c->ctx, "state.db: %s", text));
	}
	sqlite3_finalize(q);
	return n;
}

/* Indexes are made of the rows again. */
static bool check_integrity(const struct check *c)
{
	int n = integrity(c, !c->repair);

	if (n < 0)
		return failed(c, "check");
	if (n == 0 || !c->repair)
		return true;
	if (sqlite3_exec(c->db, "REINDEX", NULL, NULL, NULL) == SQLITE_OK && integrity(c, false) == 0) {
		tell(c, true, "all indexes were made anew", "state.db: indexes differ from their tables");
		return true;
	}
	return integrity(c, true) >= 0 || failed(c, "check");
}

static bool check_faults(const struct check *c)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		const struct fault *f = &faults[i];
		int64_t n = number(c, f->count);

		if (n < 0)
			return failed(c, "check");
		if (n == 0)
			continue;
		bool repair = c->repair && f->repair;
		if (repair && sqlite3_exec(c->db, f->repair, NULL, NULL, NULL) != SQLITE_OK)
			return failed(c, "repair");
		tell(c, repair, repair || !f->repair ? f->done : "stop p2pmta and run p2pmta-ctl doctor --repair",
		    mem_printf(c->ctx, "state.db: %lld %s", (long long)n, f->text));
	}
	return true;
}

#define HAS_FILE "FROM content WHERE place <> 0 AND id NOT IN (SELECT content FROM small)"

static const char *path_of(const struct check *c, sqlite3_stmt *q)
{
	static const char *const places[] = { [PLACE_SPOOL] = "spool", [PLACE_INBOX] = "inbox", [PLACE_OUTBOX] = "outbox" };
	int64_t place = col_int(q, 2);
	uint8_t digest[32];

	if (place < PLACE_SPOOL || place > PLACE_OUTBOX)
		return "a message file of no place";
	col_raw(q, 0, digest, sizeof(digest));
	return files_fanout(c->ctx, mem_printf(c->ctx, "%s/%s", c->dir, places[place]), digest);
}

/* The file as its row says: digest, size, place. */
static bool is_there(const char *path, sqlite3_stmt *q)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_size == col_int(q, 1);
}

/*
 * A daemon that runs may have taken row and file away, or have moved them,
 * since the row was read: a file is missing when a row that is read after that
 * was seen still names it. NULL: it is not, or is no longer wanted.
 */
static const char *missing_file(const struct check *c, sqlite3_stmt *q, int64_t id)
{
	const char *path = NULL, *before = NULL;
	bool missing = false;

	sqlite3_bind_int64(q, 1, id);
	do {
		before = path;
		path = sqlite3_step(q) == SQLITE_ROW ? path_of(c, q) : NULL;
		missing = path && !is_there(path, q);
		sqlite3_reset(q);
	} while (missing && (!before || strcmp(before, path) != 0));
	return missing ? path : NULL;
}

/* Ids of contents whose files were not there. */
static int64_t *suspects(const struct check *c, size_t *n_out)
{
	sqlite3_stmt *q = NULL;
	size_t n = 0, size = 16;
	int64_t *ids = mem_array(c->ctx, int64_t, size);

	*n_out = 0;
	if (sqlite3_prepare_v2(c->db, "SELECT digest, size, place, id " HAS_FILE, -1, &q, NULL) != SQLITE_OK)
		return NULL;
	int rc;
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		const char *path = path_of(c, q);

		if (is_there(path, q))
			continue;
		if (n == size)
			ids = mem_resize(c->ctx, ids, int64_t, size *= 2);
		ids[n++] = col_int(q, 3);
	}
	sqlite3_finalize(q);
	*n_out = n;
	return rc == SQLITE_DONE ? ids : NULL;
}

/* Outside of a transaction: each file is asked for as the rows are then. */
static bool check_files(const struct check *c)
{
	sqlite3_stmt *q = NULL;
	size_t n_ids, n = 0;
	int64_t *ids = suspects(c, &n_ids);

	if (!ids || sqlite3_prepare_v2(c->db, "SELECT digest, size, place " HAS_FILE " AND id = ?", -1, &q, NULL) != SQLITE_OK)
		return failed(c, "check");
	for (size_t i = 0; i < n_ids; i++) {
		const char *path = missing_file(c, q, ids[i]);

		if (path && ++n <= MAX_TOLD)
			tell(c, false, "restore it from a backup; until then its body cannot be read",
			    mem_printf(c->ctx, "%s is missing, or not as long as it was", path));
	}
	sqlite3_finalize(q);
	if (n > MAX_TOLD)
		tell(c, false, "restore them from a backup", mem_printf(c->ctx, "%zu more message files are missing", n - MAX_TOLD));
	return true;
}

static bool open_db(struct check *c)
{
	const int flags = (c->repair ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

	if (sqlite3_open_v2(mem_printf(c->ctx, "%s/state.db", c->dir), &c->db, flags, NULL) != SQLITE_OK)
		return failed(c, "open");
	sqlite3_busy_timeout(c->db, PATIENCE_MS);
	sqlite3_create_function(c->db, "record_is_good", 1, SQLITE_UTF8, NULL, record_is_good, NULL, NULL);
	sqlite3_create_function(c->db, "page_is_good", 2, SQLITE_UTF8, NULL, page_is_good, NULL, NULL);
	int64_t version = number(c, "PRAGMA user_version");

	if (version == schema_newest())
		return sqlite3_exec(c->db, c->repair ? "BEGIN IMMEDIATE" : "BEGIN", NULL, NULL, NULL) == SQLITE_OK || failed(c, "read");
	if (version < 0)
		return failed(c, "read");
	err_set(c->e, "%s/state.db is of another version of p2pmta (schema %lld, not %d): start this one once", c->dir,
	    (long long)version, schema_newest());
	return false;
}

static bool end(const struct check *c)
{
	return sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK || failed(c, c->repair ? "repair" : "read");
}

enum outcome store_check(const char *dir, bool repair, void (*found)(void *arg, const struct store_fault *), void *arg,
    struct err *e)
{
	struct check c = { .ctx = mem_ctx(NULL), .dir = dir, .repair = repair, .found = found, .arg = arg, .e = e };
	int lock_fd = -1;
	enum outcome res = repair ? store_lock(dir, &lock_fd, e) : OK;

	if (res != OK)
		goto out;
	res = open_db(&c) && check_integrity(&c) && check_faults(&c) && end(&c) && check_files(&c) ? OK : RETRY;
out:
	sqlite3_close(c.db);
	if (lock_fd >= 0)
		close(lock_fd);
	talloc_free(c.ctx);
	return res;
}
