#include "server/store/tables/fleet_instances.h"

#define COLUMNS                                                                \
  "n, id, first_us, last_us, timestamp_us, expect_next_us, ended, updates,"    \
  " skewed, fields, keys"

static size_t copy(void *to, size_t room, tti_slice from) {
  size_t len = from.len < room ? from.len : room;
  if (len)
    memcpy(to, from.ptr, len);
  return len;
}

static void read_row(sqlite3_stmt *stmt, fleet_instance *out) {
  out->n = sqlite3_column_int64(stmt, 0);
  out->id[copy(out->id, sizeof out->id - 1, column_blob(stmt, 1))] = '\0';
  out->first_us = sqlite3_column_int64(stmt, 2);
  out->last_us = sqlite3_column_int64(stmt, 3);
  out->timestamp_us = sqlite3_column_type(stmt, 4) == SQLITE_NULL
                          ? INT64_MIN
                          : sqlite3_column_int64(stmt, 4);
  out->expect_next_us = sqlite3_column_int64(stmt, 5);
  out->ended = sqlite3_column_int(stmt, 6);
  out->updates = column_u64(stmt, 7);
  out->skewed = column_u64(stmt, 8);
  out->fields_len = copy(out->fields, sizeof out->fields, column_blob(stmt, 9));
  out->keys.len =
      copy(out->keys.bits, sizeof out->keys.bits, column_blob(stmt, 10));
}

static tt_error read_one(store_tx *tx, sqlite3_stmt *stmt,
                         fleet_instance *out) {
  bool found = fleet_instances_step(tx, stmt, out);
  tt_error error = tx_end(tx, stmt);
  return error || found ? error : TT_ENOTFOUND;
}

tt_error fleet_instances_find(store_tx *tx, const char *id,
                              fleet_instance *out_instance) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT " COLUMNS " FROM fleet_instances WHERE id = ?1");
  tx_bind_text(stmt, 1, id);
  return read_one(tx, stmt, out_instance);
}

tt_error fleet_instances_next(store_tx *tx, int64_t n,
                              fleet_instance *out_instance) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT " COLUMNS " FROM fleet_instances WHERE n > ?1"
                     " ORDER BY n LIMIT 1");
  tx_bind_int(stmt, 1, n);
  return read_one(tx, stmt, out_instance);
}

sqlite3_stmt *fleet_instances_before(store_tx *tx, int64_t last_us, int64_t n,
                                     int64_t since_us) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT " COLUMNS " FROM fleet_instances"
                     " WHERE (last_us, n) < (?1, ?2) AND last_us >= ?3"
                     " ORDER BY last_us DESC, n DESC");
  tx_bind_int(stmt, 1, last_us);
  tx_bind_int(stmt, 2, n);
  tx_bind_int(stmt, 3, since_us);
  return stmt;
}

sqlite3_stmt *fleet_instances_due(store_tx *tx, int64_t expect_next_us,
                                  int64_t n, int64_t now_us) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT " COLUMNS " FROM fleet_instances"
                     " WHERE expect_next_us > 0 AND expect_next_us < ?3"
                     " AND (expect_next_us, n) < (?1, ?2)"
                     " ORDER BY expect_next_us DESC, n DESC");
  tx_bind_int(stmt, 1, expect_next_us);
  tx_bind_int(stmt, 2, n);
  tx_bind_int(stmt, 3, now_us);
  return stmt;
}

bool fleet_instances_step(store_tx *tx, sqlite3_stmt *stmt,
                          fleet_instance *out_instance) {
  bool found = tx_step(tx, stmt);
  if (found)
    read_row(stmt, out_instance);
  return found;
}

/* ?1 to ?8, in this order. */
static void bind_changing(sqlite3_stmt *stmt, const fleet_instance *i) {
  tx_bind_int(stmt, 1, i->last_us);
  if (i->timestamp_us != INT64_MIN)
    tx_bind_int(stmt, 2, i->timestamp_us);
  tx_bind_int(stmt, 3, i->expect_next_us);
  tx_bind_int(stmt, 4, i->ended);
  tx_bind_int(stmt, 5, (int64_t)i->updates);
  tx_bind_int(stmt, 6, (int64_t)i->skewed);
  tx_bind_slice(stmt, 7, (tti_slice){i->fields, i->fields_len});
  tx_bind_bytes(stmt, 8, i->keys.bits, i->keys.len);
}

tt_error fleet_instances_insert(store_tx *tx, fleet_instance *instance) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "INSERT INTO fleet_instances(last_us, timestamp_us, expect_next_us,"
          " ended, updates, skewed, fields, keys, id, first_us)"
          " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
  bind_changing(stmt, instance);
  tx_bind_text(stmt, 9, instance->id);
  tx_bind_int(stmt, 10, instance->first_us);
  tt_error error = tx_run(tx, stmt);
  if (error)
    return error;
  instance->n = tx_last_rowid(tx);
  return fleet_totals_add(tx, FLEET_TOTAL_INSTANCES, 1);
}

tt_error fleet_instances_update(store_tx *tx, const fleet_instance *instance) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "UPDATE fleet_instances SET last_us = ?1, timestamp_us = ?2,"
          " expect_next_us = ?3, ended = ?4, updates = ?5, skewed = ?6,"
          " fields = ?7, keys = ?8 WHERE n = ?9");
  bind_changing(stmt, instance);
  tx_bind_int(stmt, 9, instance->n);
  return tx_run(tx, stmt);
}

/* ---- Totals ---- */

static const char *const total_names[FLEET_TOTALS] = {
    [FLEET_TOTAL_INSTANCES] = "instances",
    [FLEET_TOTAL_KEYS_OTHER] = "keys_other",
    [FLEET_TOTAL_UPDATE_BYTES] = "update_bytes"};

tt_error fleet_totals_add(store_tx *tx, fleet_total total, int64_t amount) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "INSERT INTO fleet_totals VALUES(?1, ?2)"
          " ON CONFLICT(name) DO UPDATE SET value = value + excluded.value");
  tx_bind_text(stmt, 1, total_names[total]);
  tx_bind_int(stmt, 2, amount);
  return tx_run(tx, stmt);
}

tt_error fleet_totals_get(store_tx *tx, fleet_total total, int64_t *out_value) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT value FROM fleet_totals WHERE name = ?1");
  tx_bind_text(stmt, 1, total_names[total]);
  int64_t value = tx_step(tx, stmt) ? sqlite3_column_int64(stmt, 0) : 0;
  tt_error error = tx_end(tx, stmt);
  if (!error)
    *out_value = value;
  return error;
}
