#include "server/store/tables/tables.h"

#include "lib/base/hex.h"
#include "lib/base/random.h"
#include "server/testing/fault.h"
#include <stdio.h>

/* ---- Statements ---- */

static void note(store_tx *tx, int rc) {
  if (tx->rc == SQLITE_OK)
    tx->rc = rc;
}

static size_t slot_of(const char *sql) {
  return ((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15) >> 32) % TX_STATEMENTS;
}

sqlite3_stmt *tx_prepare(store_tx *tx, const char *sql) {
  size_t at = slot_of(sql), looked = 0;
  while (tx->statements[at].stmt && tx->statements[at].sql != sql &&
         ++looked < TX_STATEMENTS)
    at = (at + 1) % TX_STATEMENTS;
  if (looked == TX_STATEMENTS) {
    /* Another's might be in use: nobody's makes room. */
    note(tx, SQLITE_NOMEM);
    return NULL;
  }
  if (!tx->statements[at].stmt) {
    tx->statements[at].sql = sql;
    int rc = database_prepare(tx->db, sql, &tx->statements[at].stmt);
    if (rc != SQLITE_OK)
      note(tx, rc);
  }
  return tx->statements[at].stmt;
}

void tx_bind_bytes(sqlite3_stmt *stmt, int index, const void *bytes,
                   size_t len) {
  if (stmt && bytes)
    bind_blob(stmt, index, bytes, len);
}

void tx_bind_slice(sqlite3_stmt *stmt, int index, tti_slice text) {
  if (stmt && text.ptr)
    sqlite3_bind_text64(stmt, index, text.ptr, text.len, SQLITE_STATIC,
                        SQLITE_UTF8);
}

void tx_bind_text(sqlite3_stmt *stmt, int index, const char *text) {
  if (stmt && text)
    sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
}

void tx_bind_int(sqlite3_stmt *stmt, int index, int64_t value) {
  if (stmt)
    sqlite3_bind_int64(stmt, index, value);
}

void tx_bind_double(sqlite3_stmt *stmt, int index, double value) {
  if (stmt)
    sqlite3_bind_double(stmt, index, value);
}

bool tx_step(store_tx *tx, sqlite3_stmt *stmt) {
  if (!stmt)
    return false;
  int rc = sqlite3_step(stmt);
  /* A refusal is told by tx_end, and does not end the transaction. */
  if (rc != SQLITE_ROW && rc != SQLITE_DONE && (rc & 0xff) != SQLITE_CONSTRAINT)
    note(tx, rc);
  return rc == SQLITE_ROW;
}

static tt_error error_of(int rc) {
  switch (rc & 0xff) {
  case SQLITE_OK:
    return TT_OK;
  case SQLITE_CONSTRAINT:
    return TT_ECONFLICT;
  case SQLITE_FULL:
    return TT_ENOSPACE;
  case SQLITE_NOMEM:
    return TT_ENOMEM;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return TT_ECORRUPT;
  default:
    return TT_EIO;
  }
}

tt_error tx_end(store_tx *tx, sqlite3_stmt *stmt) {
  int rc = SQLITE_OK;
  if (stmt) {
    rc = sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
  }
  return error_of(tx->rc != SQLITE_OK ? tx->rc : rc);
}

tt_error tx_run(store_tx *tx, sqlite3_stmt *stmt) {
  tx_step(tx, stmt);
  return tx_end(tx, stmt);
}

uint64_t tx_changes(const store_tx *tx) {
  return (uint64_t)sqlite3_changes64(tx->db);
}

int64_t tx_last_rowid(const store_tx *tx) {
  return sqlite3_last_insert_rowid(tx->db);
}

void tables_new_id(const char *prefix, char out_id[TABLES_ID_SIZE]) {
  unsigned char bytes[16];
  char digits[2 * sizeof bytes + 1];
  tti_random_bytes(bytes, sizeof bytes);
  tti_hex(bytes, sizeof bytes, digits);
  snprintf(out_id, TABLES_ID_SIZE, "%s%s", prefix, digits);
}

/* ---- Jobs and reads ---- */

int tables_run_job(store_tx *tx, store_job *job) {
  tx->rc = SQLITE_OK;
  tx_run(tx, tx_prepare(tx, "SAVEPOINT job"));
  if (tx->rc != SQLITE_OK)
    return tx->rc;
  tt_error error = job->run(job, tx);
  if (tx->rc != SQLITE_OK)
    return tx->rc;
  if (error)
    tx_run(tx, tx_prepare(tx, "ROLLBACK TO job"));
  tx_run(tx, tx_prepare(tx, "RELEASE job"));
  if (error && job->verdict == STORE_OK) {
    job->verdict = STORE_RETRY;
    snprintf(job->reason, sizeof job->reason, "%s", tt_error_message(error));
  }
  return tx->rc;
}

void tables_run_read(store_tx *tx, store_read *read) {
  tx->rc = database_fault(FAULT_POINT("store.read"));
  if (tx->rc == SQLITE_OK)
    tx_run(tx, tx_prepare(tx, "BEGIN"));
  if (tx->rc == SQLITE_OK)
    read->error = read->run(read, tx);
  if (tx->rc != SQLITE_OK)
    read->error = error_of(tx->rc);
  if (!sqlite3_get_autocommit(tx->db))
    database_exec(tx->db, "ROLLBACK");
}
