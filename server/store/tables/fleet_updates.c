#include "server/store/tables/fleet_updates.h"

#include "server/store/tables/fleet_buckets.h"

#include "server/store/tables/fleet_instances.h"

/* What one call deletes at most: pages are given back one by one. */
enum { ROWS_MAX = 50, BYTES_MAX = 256 * 1024 };

tt_error fleet_updates_insert(store_tx *tx, const fleet_update_row *row) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "INSERT INTO fleet_updates(instance_n, received_us, timestamp_us,"
          " expect_next_us, data) VALUES(?1, ?2, ?3, ?4, ?5)");
  tx_bind_int(stmt, 1, row->instance_n);
  tx_bind_int(stmt, 2, row->received_us);
  if (row->timestamp_us != INT64_MIN)
    tx_bind_int(stmt, 3, row->timestamp_us);
  tx_bind_int(stmt, 4, row->expect_next_us);
  tx_bind_bytes(stmt, 5, row->data.ptr, row->data.len);
  tt_error error = tx_run(tx, stmt);
  if (!error && row->data.len)
    error =
        fleet_totals_add(tx, FLEET_TOTAL_UPDATE_BYTES, (int64_t)row->data.len);
  return error;
}

sqlite3_stmt *fleet_updates_before(store_tx *tx, int64_t instance_n,
                                   int64_t n) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT n, instance_n, received_us, timestamp_us,"
                     " expect_next_us, data FROM fleet_updates"
                     " WHERE instance_n = ?1 AND n < ?2 ORDER BY n DESC");
  tx_bind_int(stmt, 1, instance_n);
  tx_bind_int(stmt, 2, n);
  return stmt;
}

bool fleet_updates_step(store_tx *tx, sqlite3_stmt *stmt,
                        fleet_update_row *out_row) {
  if (!tx_step(tx, stmt))
    return false;
  *out_row = (fleet_update_row){.n = sqlite3_column_int64(stmt, 0),
                                .instance_n = sqlite3_column_int64(stmt, 1),
                                .received_us = sqlite3_column_int64(stmt, 2),
                                .timestamp_us =
                                    sqlite3_column_type(stmt, 3) == SQLITE_NULL
                                        ? INT64_MIN
                                        : sqlite3_column_int64(stmt, 3),
                                .expect_next_us = sqlite3_column_int64(stmt, 4),
                                .data = column_blob(stmt, 5)};
  return true;
}

tt_error fleet_updates_retain(store_tx *tx, int64_t before_us,
                              int64_t max_bytes, uint64_t *out_deleted) {
  int64_t total, added, bytes = 0, last = 0;
  uint64_t rows = 0;
  tt_error error = fleet_totals_get(tx, FLEET_TOTAL_UPDATE_BYTES, &total);
  if (!error)
    error = fleet_shards_least(tx, &added);
  if (error)
    return error;
  /* They are received in the order of n, give or take what was on its way at
   * the same time. */
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT n, received_us, coalesce(length(data), 0)"
                     " FROM fleet_updates WHERE n <= ?1 ORDER BY n");
  tx_bind_int(stmt, 1, added);
  while (rows < ROWS_MAX && bytes < BYTES_MAX && tx_step(tx, stmt) &&
         (sqlite3_column_int64(stmt, 1) < before_us ||
          total - bytes > max_bytes)) {
    last = sqlite3_column_int64(stmt, 0);
    bytes += sqlite3_column_int64(stmt, 2);
    rows++;
  }
  error = tx_end(tx, stmt);
  if (!error && rows) {
    stmt = tx_prepare(tx, "DELETE FROM fleet_updates WHERE n <= ?1");
    tx_bind_int(stmt, 1, last);
    error = tx_run(tx, stmt);
    if (!error)
      error = fleet_totals_add(tx, FLEET_TOTAL_UPDATE_BYTES, -bytes);
  }
  if (!error)
    *out_deleted = rows;
  return error;
}
