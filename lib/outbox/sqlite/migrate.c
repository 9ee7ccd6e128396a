#include "lib/outbox/sqlite/sqlite.h"

#include "lib/base/log.h"

/* What a version adds to the one before it. Never edited once released. */
static const char *const versions[TTI_OUTBOX_SCHEMA_VERSION] = {
    /* AUTOINCREMENT: a number is not given out again after its row is deleted,
     * so a reader's position stays good. SQLite has one writer, so the order of
     * the numbers is that of the commits. */
    "CREATE TABLE main.tt_outbox_schema(version INTEGER NOT NULL);"
    "INSERT INTO main.tt_outbox_schema VALUES(0);"
    "CREATE TABLE main.tt_outbox_events("
    "n INTEGER PRIMARY KEY AUTOINCREMENT,"
    "id TEXT NOT NULL UNIQUE,"
    "type TEXT NOT NULL,"
    "subject TEXT,source TEXT,category TEXT,agent_id TEXT,level TEXT,"
    "labels TEXT,"
    "body TEXT NOT NULL,"
    "status TEXT NOT NULL DEFAULT 'pending',"
    "created_at INTEGER NOT NULL,"
    "next_poll_at INTEGER NOT NULL,"
    "expires_at INTEGER NOT NULL,"
    "taken_at INTEGER);"
    "CREATE INDEX main.tt_outbox_pending ON tt_outbox_events(n)"
    "WHERE status='pending';",
};

tt_error tti_outbox_sqlite_error(int rc) {
  switch (rc & 0xff) {
  case SQLITE_OK:
  case SQLITE_ROW:
  case SQLITE_DONE:
    return TT_OK;
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return TT_EBUSY;
  case SQLITE_FULL:
    return TT_ENOSPACE;
  case SQLITE_NOMEM:
    return TT_ENOMEM;
  case SQLITE_IOERR:
  case SQLITE_CANTOPEN:
  case SQLITE_PROTOCOL:
    return TT_EIO;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return TT_ECORRUPT;
  case SQLITE_INTERRUPT:
    return TT_ECANCELLED;
  case SQLITE_TOOBIG:
    return TT_ETOOBIG;
  default: /* no such table, read-only, forbidden by an authorizer */
    return TT_ESTATE;
  }
}

/* The first column of the first row, as a number and, when out_text is given,
 * as text. Nothing is set when there is no row. */
static int query(sqlite3 *db, const char *sql, int64_t *out_value,
                 char *out_text, int text_size) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc != SQLITE_OK)
    return rc;
  if (sqlite3_step(stmt) == SQLITE_ROW) {
    *out_value = sqlite3_column_int64(stmt, 0);
    if (out_text)
      sqlite3_snprintf(text_size, out_text, "%s",
                       (const char *)sqlite3_column_text(stmt, 0));
  }
  return sqlite3_finalize(stmt);
}

tt_error tti_outbox_sqlite_version(sqlite3 *db, int64_t *out_version) {
  int64_t tables = 0, version = 0;
  int rc = query(db,
                 "SELECT count(*) FROM main.sqlite_schema"
                 " WHERE type='table' AND name='tt_outbox_schema'",
                 &tables, NULL, 0);
  if (rc == SQLITE_OK && tables)
    rc = query(db, "SELECT version FROM main.tt_outbox_schema", &version, NULL,
               0);
  if (rc == SQLITE_OK)
    *out_version = version;
  return tti_outbox_sqlite_error(rc);
}

/* Settings of this connection or file with which an outbox works badly. They
 * are the program's to change. */
static void warn(const tt_outbox *outbox, sqlite3 *db) {
  const tt_log_hook *log = &outbox->log;
  int64_t value = 0;
  char text[32] = "";
  const char *file = sqlite3_db_filename(db, "main");
  if (!file || !*file) {
    tti_log(log, TT_LEVEL_WARN,
            "outbox: the database is in memory or temporary, so no server can "
            "read its outbox: open a file");
    return;
  }
  if (query(db, "PRAGMA main.journal_mode", &value, text, sizeof(text)) ==
          SQLITE_OK &&
      sqlite3_stricmp(text, "wal") != 0)
    tti_log(log, TT_LEVEL_WARN,
            "outbox: the journal mode of %s is %s, in which this program and "
            "the reader of its outbox wait for each other: set PRAGMA "
            "journal_mode=WAL",
            file, text);
  if (query(db, "PRAGMA main.locking_mode", &value, text, sizeof(text)) ==
          SQLITE_OK &&
      sqlite3_stricmp(text, "exclusive") == 0)
    tti_log(
        log, TT_LEVEL_WARN,
        "outbox: the locking mode of %s is exclusive, so no server can read "
        "its outbox: set PRAGMA locking_mode=NORMAL",
        file);
  value = 1;
  if (query(db, "PRAGMA main.synchronous", &value, NULL, 0) == SQLITE_OK &&
      value == 0)
    tti_log(log, TT_LEVEL_WARN,
            "outbox: synchronous is off for %s, so a power cut loses committed "
            "events and may damage the file: set PRAGMA synchronous=NORMAL or "
            "FULL",
            file);
  value = 1;
  if (query(db, "PRAGMA busy_timeout", &value, NULL, 0) == SQLITE_OK &&
      value == 0)
    tti_log(
        log, TT_LEVEL_WARN,
        "outbox: there is no busy timeout on this connection to %s, so what "
        "meets another writer fails at once: call sqlite3_busy_timeout "
        "(a busy handler of your own does as well)",
        file);
}

static int run_versions(sqlite3 *db, int64_t from) {
  int rc = SQLITE_OK;
  for (int64_t i = from; rc == SQLITE_OK && i < TTI_OUTBOX_SCHEMA_VERSION; i++)
    rc = sqlite3_exec(db, versions[i], NULL, NULL, NULL);
  char set[80];
  sqlite3_snprintf(sizeof(set), set,
                   "UPDATE main.tt_outbox_schema SET version=%d",
                   TTI_OUTBOX_SCHEMA_VERSION);
  return rc == SQLITE_OK ? sqlite3_exec(db, set, NULL, NULL, NULL) : rc;
}

/* In a transaction of its own, begun as a writer's, so that of two programs
 * that start at once the second waits and then finds the tables; or under a
 * savepoint in the caller's. */
static int migrate(sqlite3 *db) {
  bool alone = sqlite3_get_autocommit(db);
  int64_t version = 0;
  int rc = sqlite3_exec(
      db, alone ? "BEGIN IMMEDIATE" : "SAVEPOINT tt_outbox_migrate", NULL, NULL,
      NULL);
  if (rc != SQLITE_OK)
    return rc;
  if (tti_outbox_sqlite_version(db, &version) != TT_OK)
    rc = sqlite3_errcode(db);
  if (rc == SQLITE_OK)
    rc = run_versions(db, version);
  if (rc == SQLITE_OK)
    rc = sqlite3_exec(db, alone ? "COMMIT" : "RELEASE tt_outbox_migrate", NULL,
                      NULL, NULL);
  if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
    sqlite3_exec(db,
                 alone ? "ROLLBACK"
                       : "ROLLBACK TO tt_outbox_migrate;"
                         "RELEASE tt_outbox_migrate",
                 NULL, NULL, NULL);
  return rc;
}

tt_error tt_outbox_migrate(tt_outbox *outbox, struct sqlite3 *db) {
  if (!outbox || !db)
    return TT_EINVAL;
  int64_t version = 0;
  tt_error error = tti_outbox_sqlite_version(db, &version);
  if (!error && version < TTI_OUTBOX_SCHEMA_VERSION)
    error = tti_outbox_sqlite_error(migrate(db));
  if (error) {
    tti_log(&outbox->log, TT_LEVEL_ERROR,
            "outbox: the tables cannot be made: %s", sqlite3_errmsg(db));
    return error;
  }
  if (version > TTI_OUTBOX_SCHEMA_VERSION) {
    tti_log(&outbox->log, TT_LEVEL_ERROR,
            "outbox: the tables are of version %lld, this library knows %d: "
            "update it",
            (long long)version, TTI_OUTBOX_SCHEMA_VERSION);
    return TT_EVERSION;
  }
  warn(outbox, db);
  return TT_OK;
}
