#include "lib/outbox/sqlite/source.h"

#include "lib/base/time.h"
#include "lib/outbox/sqlite/sqlite.h"
#include <stdlib.h>
#include <unistd.h>

#define BUSY_TIMEOUT_MS 500

enum { SQL_VERSION, SQL_READ, SQL_MARK, SQL_COUNT };

/* INDEXED BY: never a walk over the rows that were taken. */
static const char *const sql[SQL_COUNT] = {
    [SQL_VERSION] = "PRAGMA data_version",
    [SQL_READ] = "SELECT n,id,type,subject,source,category,agent_id,level,"
                 "labels,body,created_at,next_poll_at,expires_at"
                 " FROM main.tt_outbox_events INDEXED BY tt_outbox_pending"
                 " WHERE status='pending' AND n>?1 ORDER BY n LIMIT ?2",
    [SQL_MARK] = "UPDATE main.tt_outbox_events INDEXED BY tt_outbox_pending"
                 " SET status='taken',taken_at=?3"
                 " WHERE status='pending' AND n BETWEEN ?1 AND ?2",
};

struct tti_outbox_source {
  sqlite3 *db;
  sqlite3_stmt *stmts[SQL_COUNT];
  int64_t version; /* of the data when it was last looked at */
  bool looked;
};

/* The application's connections go on to checkpoint as they did: ours neither
 * does it after a commit, which would keep the next one of the program waiting,
 * nor at its end, under an exclusive lock. In WAL mode a commit of ours need
 * not reach the disk; in others it must, or a power cut could damage the file.
 */
static int configure(sqlite3 *db) {
  sqlite3_stmt *stmt = NULL;
  sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  int rc = sqlite3_prepare_v2(db, "PRAGMA main.journal_mode", -1, &stmt, NULL);
  if (rc != SQLITE_OK)
    return rc;
  bool wal =
      sqlite3_step(stmt) == SQLITE_ROW &&
      sqlite3_stricmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
  rc = sqlite3_finalize(stmt);
  if (rc == SQLITE_OK && wal)
    rc = sqlite3_exec(db,
                      "PRAGMA main.synchronous=NORMAL;"
                      "PRAGMA wal_autocheckpoint=0",
                      NULL, NULL, NULL);
  return rc;
}

static tt_error check_version(sqlite3 *db) {
  int64_t version = 0;
  tt_error error = tti_outbox_sqlite_version(db, &version);
  if (!error && version != TTI_OUTBOX_SCHEMA_VERSION)
    error = version == 0 ? TT_ENOTFOUND : TT_EVERSION;
  return error;
}

tt_error tti_outbox_source_open(const char *path,
                                tti_outbox_source **out_source) {
  tti_outbox_source *source = calloc(1, sizeof(*source));
  tt_error error = source ? TT_OK : TT_ENOMEM;
  if (!error && access(path, F_OK) != 0)
    error = TT_ENOTFOUND;
  if (!error)
    error = tti_outbox_sqlite_error(sqlite3_open_v2(
        path, &source->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
  if (!error)
    error = tti_outbox_sqlite_error(configure(source->db));
  if (!error)
    error = check_version(source->db);
  for (int i = 0; !error && i < SQL_COUNT; i++)
    error = tti_outbox_sqlite_error(
        sqlite3_prepare_v3(source->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                           &source->stmts[i], NULL));
  if (error) {
    tti_outbox_source_free(source);
    return error;
  }
  *out_source = source;
  return TT_OK;
}

void tti_outbox_source_free(tti_outbox_source *source) {
  if (!source)
    return;
  for (int i = 0; i < SQL_COUNT; i++)
    sqlite3_finalize(source->stmts[i]);
  sqlite3_close(source->db);
  free(source);
}

tt_error tti_outbox_source_changed(tti_outbox_source *source,
                                   bool *out_changed) {
  sqlite3_stmt *stmt = source->stmts[SQL_VERSION];
  int rc = sqlite3_step(stmt);
  int64_t version = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
  sqlite3_reset(stmt);
  if (rc != SQLITE_ROW)
    return tti_outbox_sqlite_error(rc);
  *out_changed = !source->looked || version != source->version;
  source->version = version;
  source->looked = true;
  return TT_OK;
}

static tti_slice column(sqlite3_stmt *stmt, int i) {
  const char *ptr = (const char *)sqlite3_column_text(stmt, i);
  return (tti_slice){ptr, (size_t)sqlite3_column_bytes(stmt, i)};
}

tt_error tti_outbox_source_read(tti_outbox_source *source, int64_t after,
                                size_t max, tti_outbox_visit visit,
                                void *context) {
  sqlite3_stmt *stmt = source->stmts[SQL_READ];
  sqlite3_bind_int64(stmt, 1, after);
  sqlite3_bind_int64(stmt, 2, (sqlite3_int64)max);
  int rc = SQLITE_DONE;
  for (bool more = true; more && (rc = sqlite3_step(stmt)) == SQLITE_ROW;) {
    tti_outbox_row row = {.n = sqlite3_column_int64(stmt, 0),
                          .id = column(stmt, 1),
                          .type = column(stmt, 2),
                          .subject = column(stmt, 3),
                          .source = column(stmt, 4),
                          .category = column(stmt, 5),
                          .agent_id = column(stmt, 6),
                          .level = column(stmt, 7),
                          .labels = column(stmt, 8),
                          .body = column(stmt, 9),
                          .created_us = sqlite3_column_int64(stmt, 10),
                          .next_poll_us = sqlite3_column_int64(stmt, 11),
                          .expires_us = sqlite3_column_int64(stmt, 12)};
    more = visit(context, &row);
  }
  /* Ends the read transaction, which would keep the log from being reset. */
  sqlite3_reset(stmt);
  return tti_outbox_sqlite_error(rc);
}

tt_error tti_outbox_source_mark(tti_outbox_source *source, int64_t first,
                                int64_t last, uint64_t *out_marked) {
  sqlite3_stmt *stmt = source->stmts[SQL_MARK];
  sqlite3_bind_int64(stmt, 1, first);
  sqlite3_bind_int64(stmt, 2, last);
  sqlite3_bind_int64(stmt, 3, tti_wall_us(&tti_clock_system));
  int rc = sqlite3_step(stmt);
  sqlite3_reset(stmt);
  if (rc != SQLITE_DONE)
    return tti_outbox_sqlite_error(rc);
  if (out_marked)
    *out_marked = (uint64_t)sqlite3_changes(source->db);
  return TT_OK;
}
