#include "server/store/tables/delivery_lists.h"

#define COLUMNS                                                                \
  "n, id, webhook_id, event_id, replay_id, event_type, status, attempts,"      \
  " next_retry_us, last_attempt_us, last_status, last_error, reason,"          \
  " created_us, expires_us"

/* Without the body. */
static delivery row_of(sqlite3_stmt *stmt) {
  return (delivery){.n = sqlite3_column_int64(stmt, 0),
                    .id = column_blob(stmt, 1),
                    .webhook_id = column_blob(stmt, 2),
                    .event_id = column_blob(stmt, 3),
                    .replay_id = column_blob(stmt, 4),
                    .event_type = column_blob(stmt, 5),
                    .status = (delivery_status)sqlite3_column_int(stmt, 6),
                    .attempts = column_u64(stmt, 7),
                    .next_retry_us = sqlite3_column_int64(stmt, 8),
                    .last_attempt_us = sqlite3_column_int64(stmt, 9),
                    .last_status = sqlite3_column_int64(stmt, 10),
                    .last_error = column_blob(stmt, 11),
                    .reason = column_blob(stmt, 12),
                    .created_us = sqlite3_column_int64(stmt, 13),
                    .expires_us = sqlite3_column_int64(stmt, 14)};
}

tt_error deliveries_list(store_tx *tx, tti_slice webhook_id, int status,
                         delivery_place before, size_t scan_max,
                         deliveries_visit visit, void *context,
                         delivery_place *out_last) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT " COLUMNS " FROM deliveries WHERE webhook_id = ?1"
                     " AND (created_us, n) < (?2, ?3)"
                     " ORDER BY created_us DESC, n DESC LIMIT ?4");
  delivery_place last = {0};
  size_t seen = 0;
  bool more = true;
  tx_bind_slice(stmt, 1, webhook_id);
  tx_bind_int(stmt, 2, before.n ? before.created_us : INT64_MAX);
  tx_bind_int(stmt, 3, before.n ? before.n : INT64_MAX);
  tx_bind_int(stmt, 4, (int64_t)scan_max);
  while (more && tx_step(tx, stmt)) {
    delivery row = row_of(stmt);
    seen++;
    last = (delivery_place){row.created_us, row.n};
    if (status < 0 || (int)row.status == status)
      more = visit(context, &row);
  }
  tt_error error = tx_end(tx, stmt);
  if (!error)
    *out_last = more && seen < scan_max ? (delivery_place){0} : last;
  return error;
}

static tt_error visit_one(store_tx *tx, sqlite3_stmt *stmt,
                          deliveries_visit visit, void *context) {
  bool found = tx_step(tx, stmt);
  if (found) {
    delivery row = row_of(stmt);
    visit(context, &row);
  }
  tt_error error = tx_end(tx, stmt);
  return !error && !found ? TT_ENOTFOUND : error;
}

tt_error deliveries_show(store_tx *tx, tti_slice webhook_id, tti_slice id,
                         deliveries_visit visit, void *context) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT " COLUMNS " FROM deliveries WHERE id = ?1"
                     " AND webhook_id = ?2");
  tx_bind_slice(stmt, 1, id);
  tx_bind_slice(stmt, 2, webhook_id);
  return visit_one(tx, stmt, visit, context);
}

/* Of each kind by the index that has it. */
#define OF_EVENT(columns, more)                                                \
  "SELECT " columns " FROM deliveries WHERE event_id = ?1 AND replay_id IS"    \
  " NULL" more " UNION ALL SELECT " columns " FROM deliveries"                 \
  " WHERE event_id = ?1 AND replay_id IS NOT NULL" more

tt_error deliveries_newest(store_tx *tx, tti_slice event_id,
                           tti_slice webhook_id, deliveries_visit visit,
                           void *context) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT " COLUMNS " FROM deliveries WHERE n = (SELECT"
          " max(n) FROM (" OF_EVENT("n", " AND webhook_id = ?2") "))");
  tx_bind_slice(stmt, 1, event_id);
  tx_bind_slice(stmt, 2, webhook_id);
  return visit_one(tx, stmt, visit, context);
}

tt_error deliveries_count(store_tx *tx, tti_slice event_id,
                          delivery_counts *out_counts) {
  delivery_counts counts = {0};
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT status, count(*) FROM (SELECT status, max(n) FROM"
                     " (" OF_EVENT("status, n, webhook_id",
                                   "") ")"
                                       " GROUP BY webhook_id) GROUP BY status");
  tx_bind_slice(stmt, 1, event_id);
  while (tx_step(tx, stmt)) {
    int status = sqlite3_column_int(stmt, 0);
    if (status >= DELIVERY_PENDING && status <= DELIVERY_FAILED)
      counts.of[status] = column_u64(stmt, 1);
  }
  tt_error error = tx_end(tx, stmt);
  if (!error)
    *out_counts = counts;
  return error;
}

tt_error deliveries_attempts(store_tx *tx, int64_t n,
                             void (*visit)(void *context,
                                           const delivery_attempt *attempt),
                             void *context) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT attempt, at_us, duration_us, status, response, error"
          " FROM attempts WHERE delivery_n = ?1 ORDER BY attempt");
  tx_bind_int(stmt, 1, n);
  while (tx_step(tx, stmt)) {
    delivery_attempt attempt = {.attempt = column_u64(stmt, 0),
                                .at_us = sqlite3_column_int64(stmt, 1),
                                .duration_us = sqlite3_column_int64(stmt, 2),
                                .status = sqlite3_column_int64(stmt, 3),
                                .response = column_blob(stmt, 4),
                                .error = column_blob(stmt, 5)};
    visit(context, &attempt);
  }
  return tx_end(tx, stmt);
}
