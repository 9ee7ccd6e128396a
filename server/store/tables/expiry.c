#include "server/store/tables/expiry.h"

/* What one call deletes of bodies: their pages are given back one by one. */
#define BYTES_MAX (256 * 1024)

tt_error expiry_events(store_tx *tx, int64_t now_us, size_t max, int64_t *place,
                       expiry *out_expiry) {
  int64_t last = *place;
  size_t found = 0;
  int64_t bytes = 0;
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT expires_us, length(body) FROM outbox"
                     " WHERE status != 0"
                     " AND expires_us BETWEEN ?1 AND ?2"
                     " ORDER BY expires_us LIMIT ?3");
  tx_bind_int(stmt, 1, *place);
  tx_bind_int(stmt, 2, now_us);
  tx_bind_int(stmt, 3, (int64_t)max);
  for (; bytes < BYTES_MAX && tx_step(tx, stmt); found++) {
    last = sqlite3_column_int64(stmt, 0);
    bytes += sqlite3_column_int64(stmt, 1);
  }
  tt_error error = tx_end(tx, stmt);
  if (error)
    return error;
  stmt = tx_prepare(tx, "DELETE FROM outbox WHERE n IN (SELECT n FROM outbox"
                        " WHERE status != 0 AND expires_us BETWEEN ?1 AND ?2"
                        " ORDER BY expires_us LIMIT ?3)");
  tx_bind_int(stmt, 1, *place);
  tx_bind_int(stmt, 2, now_us);
  tx_bind_int(stmt, 3, (int64_t)found);
  error = tx_run(tx, stmt);
  if (error)
    return error;
  *out_expiry = (expiry){.rows = tx_changes(tx),
                         .more = found == max || bytes >= BYTES_MAX};
  *place = last;
  return TT_OK;
}

/* Attempts go by the foreign key, which SQLite counts in the total alone. */
static tt_error delete_deliveries(store_tx *tx, sqlite3_stmt *stmt, size_t max,
                                  expiry *out_expiry) {
  int64_t before = sqlite3_total_changes64(tx->db);
  tt_error error = tx_run(tx, stmt);
  if (error)
    return error;
  uint64_t all = (uint64_t)(sqlite3_total_changes64(tx->db) - before);
  uint64_t rows = tx_changes(tx);
  *out_expiry =
      (expiry){.rows = rows, .attempts = all - rows, .more = rows == max};
  return TT_OK;
}

tt_error expiry_deliveries(store_tx *tx, int64_t now_us, size_t max,
                           expiry *out_expiry) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "DELETE FROM deliveries WHERE n IN (SELECT n FROM deliveries"
          " WHERE expires_us <= ?1 AND status != 0"
          " ORDER BY expires_us LIMIT ?2)");
  tx_bind_int(stmt, 1, now_us);
  tx_bind_int(stmt, 2, (int64_t)max);
  return delete_deliveries(tx, stmt, max, out_expiry);
}

tt_error expiry_orphans(store_tx *tx, size_t max, expiry *out_expiry) {
  char id[TABLES_ID_SIZE];
  sqlite3_stmt *stmt = tx_prepare(tx, "SELECT id FROM webhooks_gone LIMIT 1");
  bool found = tx_step(tx, stmt);
  tti_slice gone = found ? column_blob(stmt, 0) : TTI_SLICE("");
  size_t len = gone.len < sizeof id ? gone.len : sizeof id;
  memcpy(id, gone.len ? gone.ptr : "", len);
  tt_error error = tx_end(tx, stmt);
  *out_expiry = (expiry){.more = false};
  if (error || !found)
    return error;
  stmt = tx_prepare(tx, "DELETE FROM deliveries WHERE n IN (SELECT n FROM"
                        " deliveries WHERE webhook_id = ?1 LIMIT ?2)");
  tx_bind_slice(stmt, 1, (tti_slice){id, len});
  tx_bind_int(stmt, 2, (int64_t)max);
  error = delete_deliveries(tx, stmt, max, out_expiry);
  if (error || out_expiry->more)
    return error;
  stmt = tx_prepare(tx, "DELETE FROM webhooks_gone WHERE id = ?1");
  tx_bind_slice(stmt, 1, (tti_slice){id, len});
  out_expiry->more = true; /* another may wait */
  return tx_run(tx, stmt);
}
