#include "server/store/sqlite/sqlite.h"

int setting_put(sqlite_store *s, const store_job *job) {
  int rc;
  sqlite3_stmt *put = writer_statement(&s->writer, STMT_PUT_SETTING, &rc);
  if (!put)
    return rc;
  sqlite3_bind_text(put, 1, job->name, -1, SQLITE_STATIC);
  bind_blob(put, 2, job->value.ptr, job->value.len);
  return database_run(put);
}

/* On a connection of its own: settings are read at start, and no more often
 * than that is worth keeping one. */
tt_error sqlite_setting(store *base, const char *name, tti_buf *out_value) {
  sqlite_store *s = (sqlite_store *)base;
  char reason[200];
  sqlite3 *db = NULL;
  sqlite3_stmt *get = NULL;
  tt_error error = TT_EIO;
  if (database_open(s->path, true, &db, reason, sizeof reason) != SQLITE_OK ||
      database_prepare(db, "SELECT value FROM settings WHERE name = ?1",
                       &get) != SQLITE_OK)
    goto out;
  sqlite3_bind_text(get, 1, name, -1, SQLITE_STATIC);
  int rc = sqlite3_step(get);
  if (rc == SQLITE_ROW) {
    tti_buf_append_slice(out_value, column_blob(get, 0));
    error = out_value->error;
  } else if (rc == SQLITE_DONE) {
    error = TT_ENOTFOUND;
  }
out:
  sqlite3_finalize(get);
  database_close(db);
  return error;
}
