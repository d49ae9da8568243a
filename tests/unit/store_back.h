#ifndef TESTS_UNIT_STORE_BACK_H
#define TESTS_UNIT_STORE_BACK_H
/* A closed state.db as an older version left it: without the tables that came later. */
#include <sqlite3.h>

#include "store.h"

static inline void unit_run_sql(const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	ck_assert_int_eq(sqlite3_open(mem_printf(ctx, "%s/state.db", unit_dir), &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &why) == SQLITE_OK, "%s: %s", sql, why);
	sqlite3_close(db);
}

static inline void unit_back_to(int version)
{
	static const struct { int since; const char *table; } tables[] = {
		{ 4, "expunged" }, { 5, "subscription" }, { 6, "replica_owner" }, { 6, "replica_list" }, { 6, "replica" },
		{ 6, "replica_rcpt" }, { 6, "own_notices" }, { 6, "own_list" }, { 6, "holder" }, { 7, "journal" }, { 7, "flags" },
		{ 8, "grp" }, { 8, "member" }, { 8, "invite" }, { 8, "joining" }, { 8, "network" }, { 10, "sealed" },
	};

	for (int i = 0; i < N_ROWS(tables); i++)
		if (tables[i].since > version)
			unit_run_sql(mem_printf(ctx, "DROP TABLE %s", tables[i].table));
	unit_run_sql(mem_printf(ctx, "PRAGMA user_version = %d", version));
}

#endif
