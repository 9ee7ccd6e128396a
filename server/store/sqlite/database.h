#ifndef STORE_SQLITE_DATABASE_H
#define STORE_SQLITE_DATABASE_H

#include "lib/base/buf.h"
#include <sqlite3.h>

/* Thin help around SQLite's own interface. Results are its extended codes. */

/* Opens a connection with our settings for every one of them. On failure
 * *out_db is NULL and *out_reason has SQLite's words. */
int database_open(const char *path, bool read_only, sqlite3 **out_db,
                  char *out_reason, size_t reason_size);

/* One connection's statements and itself. NULL is fine. */
void database_close(sqlite3 *db);

int database_exec(sqlite3 *db, const char *sql);
int database_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out_stmt);

/* The first column of the first row; 0 when there is none. */
int database_u64(sqlite3 *db, const char *sql, uint64_t *out_value);

/* Steps a statement that returns no row, and resets it. SQLITE_OK. */
int database_run(sqlite3_stmt *stmt);

static inline uint64_t column_u64(sqlite3_stmt *stmt, int column) {
  return (uint64_t)sqlite3_column_int64(stmt, column);
}

static inline tti_slice column_blob(sqlite3_stmt *stmt, int column) {
  const char *ptr = sqlite3_column_blob(stmt, column);
  return (tti_slice){ptr, (size_t)sqlite3_column_bytes(stmt, column)};
}

static inline int bind_u64(sqlite3_stmt *stmt, int index, uint64_t value) {
  return sqlite3_bind_int64(stmt, index, (sqlite3_int64)value);
}

/* The bytes must stay until the statement is reset. */
static inline int bind_blob(sqlite3_stmt *stmt, int index, const void *bytes,
                            size_t len) {
  return sqlite3_bind_blob64(stmt, index, len ? bytes : "", len, SQLITE_STATIC);
}

/* The SQLite result that an injected errno stands for. */
int database_fault(int error_number);

#endif
