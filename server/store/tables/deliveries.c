#include "server/store/tables/deliveries.h"

tt_error deliveries_insert(store_tx *tx, const delivery *row, bool enabled_only,
                           char out_id[TABLES_ID_SIZE], bool *out_inserted) {
  char id[TABLES_ID_SIZE];
  tables_new_id("whd_", id);
  /* The webhook may have gone or been disabled since it matched. */
  sqlite3_stmt *stmt = tx_prepare(
      tx, "INSERT INTO deliveries(id, webhook_id, event_id, replay_id,"
          " event_type, body, next_retry_us, created_us, expires_us)"
          " SELECT ?1, id, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM webhooks"
          " WHERE id = ?2 AND (enabled OR NOT ?10)"
          " ON CONFLICT(event_id, webhook_id) WHERE replay_id IS NULL"
          " DO NOTHING");
  tx_bind_text(stmt, 1, id);
  tx_bind_slice(stmt, 2, row->webhook_id);
  tx_bind_slice(stmt, 3, row->event_id);
  tx_bind_slice(stmt, 4, row->replay_id);
  tx_bind_slice(stmt, 5, row->event_type);
  tx_bind_bytes(stmt, 6, row->body.ptr, row->body.len);
  tx_bind_int(stmt, 7,
              row->next_retry_us ? row->next_retry_us : row->created_us);
  tx_bind_int(stmt, 8, row->created_us);
  tx_bind_int(stmt, 9, row->created_us + DELIVERIES_KEEP_US);
  tx_bind_int(stmt, 10, enabled_only);
  tt_error error = tx_run(tx, stmt);
  if (error)
    return error;
  *out_inserted = tx_changes(tx) > 0;
  memcpy(out_id, id, sizeof id);
  return TT_OK;
}
