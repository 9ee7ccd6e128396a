#include "server/store/sqlite/database.h"

#include "server/testing/fault.h"
#ifdef TELLTALE_TESTING
#include "server/testing/vfs.h"
#endif
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#define CACHE_KIB_WRITER 4096
#define CACHE_KIB_READER 1024

int database_fault(int error_number) {
  if (error_number == 0)
    return SQLITE_OK;
  return error_number == ENOSPC   ? SQLITE_FULL
         : error_number == ENOMEM ? SQLITE_NOMEM
                                  : SQLITE_IOERR;
}

static const char *vfs_name(void) {
#ifdef TELLTALE_TESTING
  return testing_vfs_name();
#else
  return NULL;
#endif
}

/* Some builds of SQLite overwrite each page that is freed, which makes deleting
 * cost as much as writing; FAST overwrites only where a page is written anyway.
 */
static int configure(sqlite3 *db, bool read_only) {
  char sql[200];
  snprintf(sql, sizeof sql,
           "PRAGMA foreign_keys=ON; PRAGMA wal_autocheckpoint=0;"
           "PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY;"
           "PRAGMA secure_delete=FAST;"
           "PRAGMA cache_size=-%d;",
           read_only ? CACHE_KIB_READER : CACHE_KIB_WRITER);
  int rc = database_exec(db, sql);
  /* The last connection must not checkpoint by itself: the writer does it
   * where it can see a failure. */
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  return rc;
}

/* Counting every allocation takes a lock that all connections share. */
static void configure_once(void) {
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int database_open(const char *path, bool read_only, sqlite3 **out_db,
                  char *out_reason, size_t reason_size) {
  sqlite3 *db = NULL;
  int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, configure_once);
  int rc = database_fault(FAULT_POINT("store.open"));
  if (rc == SQLITE_OK)
    rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, vfs_name());
  if (rc == SQLITE_OK) {
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, 1000);
    rc = configure(db, read_only);
  }
  if (rc != SQLITE_OK) {
    snprintf(out_reason, reason_size, "%s",
             db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
    sqlite3_close(db);
    db = NULL;
  }
  *out_db = db;
  return rc;
}

void database_close(sqlite3 *db) {
  if (!db)
    return;
  sqlite3_stmt *stmt;
  while ((stmt = sqlite3_next_stmt(db, NULL)))
    sqlite3_finalize(stmt);
  sqlite3_close(db);
}

int database_exec(sqlite3 *db, const char *sql) {
  return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

int database_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out_stmt) {
  return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out_stmt,
                            NULL);
}

int database_u64(sqlite3 *db, const char *sql, uint64_t *out_value) {
  sqlite3_stmt *stmt;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc != SQLITE_OK)
    return rc;
  rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
    *out_value = rc == SQLITE_ROW ? column_u64(stmt, 0) : 0;
    rc = SQLITE_OK;
  }
  sqlite3_finalize(stmt);
  return rc;
}

int database_run(sqlite3_stmt *stmt) {
  int rc = sqlite3_step(stmt);
  int reset = sqlite3_reset(stmt);
  if (rc == SQLITE_DONE || rc == SQLITE_ROW)
    return SQLITE_OK;
  return reset != SQLITE_OK ? reset : rc;
}
