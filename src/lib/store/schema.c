/*
 * The tables, as numbered migrations: PRAGMA user_version says how many have
 * run, each runs once, all that are missing in one transaction. A migration
 * that was released is never edited; a new one is added below it. Enums stand
 * in rows as their numbers, so their order in the headers is part of the
 * format. References are kept whole by the code (content.c), not by SQLite.
 *
 * message is WITHOUT ROWID by (mailbox, uid): loading a mailbox reads one
 * range of pages. What few queries need of a content (skeleton, parts) has a
 * table of its own, so that rows for a FETCH over many messages stay small.
 */
#include "lib/base/log.h"
#include "lib/store/priv.h"
#include "lib/store/replica.h"

enum { APPLICATION_ID = 0x7032706d };	/* "p2pm" */

_Static_assert(PLACE_OUTBOX == 3 && REPLICA_RECALLED == 3 && RCPT_FAILED == 9 && NOTICE_SPOILT == 6 && TRUST_CONFLICT == 4,
    "these numbers stand in state.db: add at the end only");

static const char *const migrations[] = {
	/* 1 */
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"

	"CREATE TABLE content(id INTEGER PRIMARY KEY, digest BLOB NOT NULL, size INTEGER NOT NULL,"
	" place INTEGER NOT NULL, envelope TEXT, body TEXT, bodystructure TEXT);"
	"CREATE INDEX content_digest ON content(digest, place);"
	"CREATE TABLE skeleton(id INTEGER PRIMARY KEY, parts TEXT, octets BLOB);"

	"CREATE TABLE letter(id INTEGER PRIMARY KEY, content INTEGER NOT NULL, message_id TEXT NOT NULL,"
	" subject TEXT NOT NULL, sender TEXT NOT NULL, submitted_ms INTEGER NOT NULL, sealed INTEGER NOT NULL,"
	" key BLOB, hash BLOB, sealed_size INTEGER NOT NULL, has_head INTEGER NOT NULL, head_hash BLOB,"
	" head_size INTEGER NOT NULL, outbox_message INTEGER NOT NULL, size INTEGER NOT NULL,"
	" done INTEGER NOT NULL,"
	" done_ms INTEGER NOT NULL, dropped INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX letter_open ON letter(id) WHERE done = 0;"
	"CREATE INDEX letter_done ON letter(done_ms) WHERE done = 1;"
	"CREATE INDEX letter_content ON letter(content);"
	"CREATE INDEX letter_message ON letter(outbox_message) WHERE outbox_message <> 0;"
	"CREATE INDEX letter_hash ON letter(hash);"
	"CREATE INDEX letter_head ON letter(head_hash);"

	"CREATE TABLE rcpt(id INTEGER PRIMARY KEY, letter INTEGER NOT NULL, address TEXT NOT NULL,"
	" state INTEGER NOT NULL, done INTEGER NOT NULL, since_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL,"
	" tries INTEGER NOT NULL, reason TEXT NOT NULL, warned INTEGER NOT NULL, secret BLOB,"
	" posting INTEGER NOT NULL, issued_s INTEGER NOT NULL, expires_s INTEGER NOT NULL,"
	" served INTEGER NOT NULL, t_got BLOB, t_declined BLOB);"
	"CREATE INDEX rcpt_letter ON rcpt(letter);"
	"CREATE INDEX rcpt_due ON rcpt(state, due_ms) WHERE done = 0;"
	"CREATE INDEX rcpt_next ON rcpt(due_ms) WHERE done = 0;"
	"CREATE INDEX rcpt_expires ON rcpt(state, expires_s);"
	"CREATE INDEX rcpt_posting ON rcpt(posting) WHERE posting <> 0;"
	"CREATE INDEX rcpt_got ON rcpt(t_got) WHERE t_got IS NOT NULL;"
	"CREATE INDEX rcpt_declined ON rcpt(t_declined) WHERE t_declined IS NOT NULL;"
	"CREATE TABLE event(id INTEGER PRIMARY KEY, rcpt INTEGER NOT NULL, at_ms INTEGER NOT NULL, text TEXT NOT NULL);"
	"CREATE INDEX event_rcpt ON event(rcpt);"
	"CREATE TABLE posting(id INTEGER PRIMARY KEY, address TEXT NOT NULL, value BLOB NOT NULL, expires_s INTEGER NOT NULL);"
	"CREATE TABLE knows_us(address TEXT PRIMARY KEY) WITHOUT ROWID;"

	"CREATE TABLE notice(id INTEGER PRIMARY KEY, state INTEGER NOT NULL, done INTEGER NOT NULL,"
	" sender TEXT NOT NULL, fpr TEXT NOT NULL, hash BLOB NOT NULL, digest BLOB NOT NULL, key BLOB NOT NULL,"
	" secret BLOB NOT NULL, sealed_size INTEGER NOT NULL, size INTEGER NOT NULL, issued_s INTEGER NOT NULL,"
	" expires_s INTEGER NOT NULL, heard_ms INTEGER NOT NULL, urls TEXT NOT NULL, grp TEXT NOT NULL,"
	" has_head INTEGER NOT NULL, head_hash BLOB, head_size INTEGER NOT NULL, content INTEGER NOT NULL,"
	" wanted INTEGER NOT NULL, due_ms INTEGER NOT NULL, tries INTEGER NOT NULL, reason TEXT NOT NULL,"
	" t_recall BLOB NOT NULL);"
	"CREATE INDEX notice_hash ON notice(hash, sender);"
	"CREATE INDEX notice_recall ON notice(t_recall);"
	"CREATE INDEX notice_content ON notice(content) WHERE content <> 0;"
	"CREATE INDEX notice_due ON notice(state, due_ms) WHERE done = 0;"
	"CREATE INDEX notice_next ON notice(due_ms) WHERE done = 0;"
	"CREATE INDEX notice_done ON notice(expires_s) WHERE done = 1;"
	"CREATE TABLE seen(hash BLOB PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX seen_day ON seen(day);"

	"CREATE TABLE contact(address TEXT PRIMARY KEY, fpr TEXT NOT NULL, trust INTEGER NOT NULL, rival TEXT NOT NULL,"
	" accepted INTEGER NOT NULL, last_seen_s INTEGER NOT NULL, serial INTEGER NOT NULL, descriptor BLOB,"
	" expires_s INTEGER NOT NULL, reachable_until_s INTEGER NOT NULL, urls TEXT NOT NULL, grp TEXT NOT NULL,"
	" stamp INTEGER NOT NULL);"

	"CREATE TABLE mailbox(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, standard INTEGER, special TEXT,"
	" uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL, modseq INTEGER NOT NULL, subscribed INTEGER NOT NULL);"
	"CREATE TABLE message(mailbox INTEGER, uid INTEGER, id INTEGER NOT NULL, content INTEGER NOT NULL,"
	" size INTEGER NOT NULL, flags INTEGER NOT NULL, keywords INTEGER NOT NULL, modseq INTEGER NOT NULL,"
	" internal_ms INTEGER NOT NULL, PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;"
	"CREATE UNIQUE INDEX message_id ON message(id);"
	"CREATE INDEX message_content ON message(content);"
	"CREATE TABLE keyword(bit INTEGER PRIMARY KEY, name TEXT NOT NULL);",

	/* 2: small messages are durable with their rows */
	"CREATE TABLE small(content INTEGER PRIMARY KEY, octets BLOB NOT NULL);",

	/* 3: what the sender wants to be told (RFC 3461); before it was failure and delay */
	"ALTER TABLE letter ADD COLUMN ret_full INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE letter ADD COLUMN envid TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE rcpt ADD COLUMN tell INTEGER NOT NULL DEFAULT 6;"
	"ALTER TABLE rcpt ADD COLUMN orcpt TEXT NOT NULL DEFAULT '';",

	/* 4: what was expunged (RFC 7162); of what went before nothing is known */
	"CREATE TABLE expunged(mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, lo INTEGER NOT NULL,"
	" hi INTEGER NOT NULL, PRIMARY KEY(mailbox, modseq, lo)) WITHOUT ROWID;"
	"INSERT INTO expunged(mailbox, modseq, lo, hi) SELECT id, modseq, 1, uidnext - 1 FROM mailbox WHERE uidnext > 1;",

	/* 5: subscriptions of mailboxes that went */
	"CREATE TABLE subscription(name TEXT PRIMARY KEY) WITHOUT ROWID;",

	/* 6: replicas; our own outbox for the members of our group */
	"CREATE TABLE replica_owner(address TEXT PRIMARY KEY, grp TEXT NOT NULL, serial INTEGER NOT NULL,"
	" token_serial INTEGER NOT NULL, token BLOB NOT NULL, etag TEXT NOT NULL, issued_s INTEGER NOT NULL,"
	" confirmed_s INTEGER NOT NULL, seen_s INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE replica_list(owner TEXT PRIMARY KEY, octets BLOB NOT NULL);"
	"CREATE TABLE replica(owner TEXT NOT NULL, hash BLOB NOT NULL, listed INTEGER NOT NULL, sealed_size INTEGER NOT NULL,"
	" expires_s INTEGER NOT NULL, notices_hash BLOB NOT NULL, noticed BLOB NOT NULL, has_head INTEGER NOT NULL,"
	" head_hash BLOB NOT NULL, head_size INTEGER NOT NULL, body INTEGER NOT NULL, body_ms INTEGER NOT NULL,"
	" done INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY(owner, hash)) WITHOUT ROWID;"
	"CREATE INDEX replica_hash ON replica(hash);"
	"CREATE INDEX replica_head ON replica(head_hash);"
	"CREATE INDEX replica_noticed ON replica(noticed);"
	"CREATE INDEX replica_done ON replica(expires_s) WHERE done = 1;"
	"CREATE TABLE replica_rcpt(owner TEXT NOT NULL, hash BLOB NOT NULL, c_get BLOB NOT NULL, key BLOB NOT NULL,"
	" expires_s INTEGER NOT NULL, c_got BLOB NOT NULL, c_declined BLOB NOT NULL, c_recall BLOB NOT NULL,"
	" state INTEGER NOT NULL, proof BLOB NOT NULL, served INTEGER NOT NULL, value BLOB, PRIMARY KEY(owner, hash, c_get));"
	"CREATE INDEX replica_rcpt_state ON replica_rcpt(owner, state);"
	"CREATE INDEX replica_rcpt_got ON replica_rcpt(c_got);"
	"CREATE INDEX replica_rcpt_declined ON replica_rcpt(c_declined);"
	"CREATE INDEX replica_rcpt_recall ON replica_rcpt(c_recall);"
	"CREATE TABLE own_notices(hash BLOB PRIMARY KEY, made_of BLOB NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE INDEX own_notices_digest ON own_notices(digest);"
	"CREATE TABLE own_list(id INTEGER PRIMARY KEY, token BLOB NOT NULL, members_hash BLOB NOT NULL, made_of BLOB NOT NULL,"
	" serial INTEGER NOT NULL, issued_s INTEGER NOT NULL, octets BLOB, greeting BLOB);"
	"CREATE TABLE holder(hash BLOB NOT NULL, member TEXT NOT NULL, PRIMARY KEY(hash, member)) WITHOUT ROWID;",

	/* 7: changes of flags as records, and the pages they are folded into; a message's row is what it was filed with */
	"CREATE TABLE journal(mailbox INTEGER, modseq INTEGER, clear_flags INTEGER NOT NULL, set_flags INTEGER NOT NULL,"
	" clear_keywords INTEGER NOT NULL, set_keywords INTEGER NOT NULL, uids BLOB NOT NULL,"
	" PRIMARY KEY(mailbox, modseq)) WITHOUT ROWID;"
	"CREATE TABLE flags(mailbox INTEGER, page INTEGER, octets BLOB NOT NULL, PRIMARY KEY(mailbox, page)) WITHOUT ROWID;",

	/* 8: groups */
	"CREATE TABLE grp(name TEXT PRIMARY KEY, role INTEGER NOT NULL, gone INTEGER NOT NULL, from_conf INTEGER NOT NULL,"
	" master TEXT NOT NULL, fpr TEXT NOT NULL, serial INTEGER NOT NULL, signed_serial INTEGER NOT NULL, descriptor BLOB,"
	" issued_s INTEGER NOT NULL, expires_s INTEGER NOT NULL, warned INTEGER NOT NULL, looked_s INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE member(grp TEXT NOT NULL, address TEXT NOT NULL, fpr TEXT NOT NULL, removed INTEGER NOT NULL,"
	" from_conf INTEGER NOT NULL, PRIMARY KEY(grp, address)) WITHOUT ROWID;"
	"CREATE TABLE invite(secret BLOB PRIMARY KEY, grp TEXT NOT NULL, expires_s INTEGER NOT NULL, used_by TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE joining(grp TEXT PRIMARY KEY, invite TEXT NOT NULL, value BLOB, expires_s INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE network(id INTEGER PRIMARY KEY, number INTEGER NOT NULL, instead_of INTEGER NOT NULL, bootstrap TEXT NOT NULL);",

	/* 9: whether any recipient of a letter is not done, and in which states they are, without looking at each */
	"DROP INDEX rcpt_letter; CREATE INDEX rcpt_letter ON rcpt(letter, done, state);",

	/* 10: small m' and heads are durable with their letters */
	"CREATE TABLE sealed(hash BLOB PRIMARY KEY, octets BLOB NOT NULL);",
};

enum { SCHEMA = sizeof(migrations) / sizeof(migrations[0]) };

int schema_newest(void)
{
	return SCHEMA;
}

/* Is it ours, and not newer than we are? Reading the first page also shows whether it is a database at all. */
static enum outcome check(struct store *s, int64_t *version_out, struct err *e)
{
	int64_t version = db_plain_int(s, "PRAGMA user_version", INT64_MIN);
	int64_t application = db_plain_int(s, "PRAGMA application_id", INT64_MIN);
	int64_t tables = db_plain_int(s, "SELECT count(*) FROM sqlite_master", -1);

	if (version == INT64_MIN || application == INT64_MIN || tables < 0) {
		err_set(e, "%s/state.db cannot be read (%s): restore it from a backup together with spool/, inbox/ and outbox/,"
		    " or move all four away to begin anew", s->dir, sqlite3_errmsg(s->db));
		return REJECT;
	}
	s->fresh = version == 0 && tables == 0;
	if (!s->fresh && (application != APPLICATION_ID || version < 1)) {
		err_set(e, "%s/state.db belongs to another program: move it away, or give p2pmta a state folder of its own", s->dir);
		return REJECT;
	}
	if (version > SCHEMA) {
		err_set(e, "%s/state.db was written by a newer p2pmta (its schema is %lld, this one knows %d): install that version",
		    s->dir, (long long)version, SCHEMA);
		return REJECT;
	}
	if (s->fresh && place_has_files(s)) {
		err_set(e, "%s/state.db is new but spool/, inbox/ or outbox/ hold messages: restore state.db from a backup,"
		    " or move the three folders away to begin anew", s->dir);
		return REJECT;
	}
	*version_out = version;
	return OK;
}

static int migrate_from(struct store *s, int64_t version)
{
	char sql[64];

	if (db_plain(s, "BEGIN IMMEDIATE") != SQLITE_OK)
		return -1;
	for (int64_t i = version; i < SCHEMA; i++) {
		if (db_plain(s, migrations[i]) != SQLITE_OK)
			return -1;
	}
	sqlite3_snprintf(sizeof(sql), sql, "PRAGMA application_id = %d", APPLICATION_ID);
	if (db_plain(s, sql) != SQLITE_OK)
		return -1;
	sqlite3_snprintf(sizeof(sql), sql, "PRAGMA user_version = %d", SCHEMA);
	if (db_plain(s, sql) != SQLITE_OK)
		return -1;
	return db_plain(s, "COMMIT") == SQLITE_OK ? 0 : -1;
}

enum outcome schema_migrate(struct store *s, struct err *e)
{
	int64_t version;
	enum outcome res = check(s, &version, e);

	if (res != OK)
		return res;
	/* Settled before the first table is made; lets space be given back later without a full rewrite. */
	if (s->fresh && db_plain(s, "PRAGMA auto_vacuum = INCREMENTAL") != SQLITE_OK)
		goto failed;
	if (db_plain(s, "PRAGMA journal_mode = WAL") != SQLITE_OK || db_plain(s, "PRAGMA synchronous = FULL") != SQLITE_OK)
		goto failed;
	if (version == SCHEMA)
		return OK;
	if (migrate_from(s, version) < 0)
		goto failed;
	if (!s->fresh)
		log_info("store: state.db migrated from schema %lld to %d", (long long)version, SCHEMA);
	return OK;
failed:
	err_set(e, "prepare %s/state.db: %s", s->dir, sqlite3_errmsg(s->db));
	return RETRY;
}
