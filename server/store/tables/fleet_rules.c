#include "server/store/tables/fleet_rules.h"

tt_error fleet_rules_get(store_tx *tx, tti_buf *out_text) {
  sqlite3_stmt *stmt = tx_prepare(tx, "SELECT rules FROM fleet_rules");
  bool found = tx_step(tx, stmt);
  if (found)
    tti_buf_append_slice(out_text, column_blob(stmt, 0));
  tt_error error = tx_end(tx, stmt);
  return error ? error : found ? out_text->error : TT_ENOTFOUND;
}

tt_error fleet_rules_set(store_tx *tx, tti_slice text) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "INSERT OR REPLACE INTO fleet_rules VALUES(1, ?1)");
  tx_bind_slice(stmt, 1, text);
  return tx_run(tx, stmt);
}
