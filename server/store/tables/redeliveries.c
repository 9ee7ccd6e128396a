#include "server/store/tables/redeliveries.h"

static bool exists(store_tx *tx, sqlite3_stmt *stmt, tti_slice event_id,
                   tti_slice webhook_id, tt_error *error) {
  tx_bind_slice(stmt, 1, event_id);
  tx_bind_slice(stmt, 2, webhook_id);
  bool found = tx_step(tx, stmt);
  tt_error result = tx_end(tx, stmt);
  if (!*error)
    *error = result;
  return found;
}

/* By the index of the first deliveries, then by that of the others. */
static bool is_pending(store_tx *tx, tti_slice event_id, tti_slice webhook_id,
                       tt_error *error) {
  return exists(tx,
                tx_prepare(tx, "SELECT 1 FROM deliveries WHERE event_id = ?1"
                               " AND webhook_id = ?2 AND replay_id IS NULL"
                               " AND status = 0"),
                event_id, webhook_id, error) ||
         exists(tx,
                tx_prepare(tx, "SELECT 1 FROM deliveries WHERE event_id = ?1"
                               " AND webhook_id = ?2 AND replay_id IS NOT NULL"
                               " AND status = 0"),
                event_id, webhook_id, error);
}

static redelivery_outcome judge(store_tx *tx, tti_slice event_id,
                                tti_slice webhook_id, tt_error *error) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT enabled FROM webhooks WHERE id = ?1");
  tx_bind_slice(stmt, 1, webhook_id);
  bool there = tx_step(tx, stmt);
  bool enabled = there && sqlite3_column_int(stmt, 0) != 0;
  *error = tx_end(tx, stmt);
  if (!there)
    return REDELIVERY_NO_WEBHOOK;
  if (!exists(tx,
              tx_prepare(tx, "SELECT 1 FROM deliveries WHERE event_id = ?1"
                             " AND webhook_id = ?2 AND replay_id IS NULL"),
              event_id, webhook_id, error))
    return REDELIVERY_NOT_MATCHED;
  if (is_pending(tx, event_id, webhook_id, error))
    return REDELIVERY_PENDING;
  return enabled ? REDELIVERY_MADE : REDELIVERY_DISABLED;
}

tt_error redeliveries_insert(store_tx *tx, tti_slice event_id,
                             tti_slice event_type, tti_slice webhook_id,
                             tti_slice replay_id, int64_t now_us,
                             char out_id[TABLES_ID_SIZE],
                             redelivery_outcome *out_outcome) {
  tt_error error;
  bool inserted;
  redelivery_outcome outcome = judge(tx, event_id, webhook_id, &error);
  if (!error && outcome == REDELIVERY_MADE)
    error = deliveries_insert(tx,
                              &(delivery){.webhook_id = webhook_id,
                                          .event_id = event_id,
                                          .event_type = event_type,
                                          .replay_id = replay_id,
                                          .created_us = now_us},
                              false, out_id, &inserted);
  if (!error)
    *out_outcome = outcome;
  return error;
}

tt_error redeliveries_find(store_tx *tx, tti_slice event_id,
                           tti_slice webhook_id, tti_slice replay_id,
                           char out_id[TABLES_ID_SIZE]) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT id FROM deliveries WHERE event_id = ?1"
                     " AND webhook_id = ?2 AND replay_id = ?3");
  tx_bind_slice(stmt, 1, event_id);
  tx_bind_slice(stmt, 2, webhook_id);
  tx_bind_slice(stmt, 3, replay_id);
  bool found = tx_step(tx, stmt);
  if (found) {
    tti_slice id = column_blob(stmt, 0);
    size_t len = id.len < TABLES_ID_SIZE ? id.len : TABLES_ID_SIZE - 1;
    memcpy(out_id, id.ptr, len);
    out_id[len] = '\0';
  }
  tt_error error = tx_end(tx, stmt);
  return !error && !found ? TT_ENOTFOUND : error;
}

tt_error redeliveries_matched(
    store_tx *tx, tti_slice event_id, tti_slice after, size_t max,
    void (*visit)(void *context, tti_slice webhook_id), void *context) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT webhook_id FROM deliveries WHERE event_id = ?1"
                     " AND webhook_id > ?2 AND replay_id IS NULL"
                     " ORDER BY webhook_id LIMIT ?3");
  tx_bind_slice(stmt, 1, event_id);
  tx_bind_slice(stmt, 2, after.ptr ? after : TTI_SLICE(""));
  tx_bind_int(stmt, 3, (int64_t)max);
  while (tx_step(tx, stmt))
    visit(context, column_blob(stmt, 0));
  return tx_end(tx, stmt);
}

tt_error redeliveries_step(store_tx *tx, tti_slice webhook_id, int64_t since_us,
                           int64_t until_us, tti_slice replay_id,
                           int64_t now_us, size_t max, redeliver_step *step) {
  redeliver_step next = {.created_us = step->created_us, .n = step->n};
  size_t seen = 0;
  tt_error inner = TT_OK;
  /* A test has a body of its own, and was no event. */
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT d.created_us, d.n, d.event_id, d.event_type, d.replay_id IS"
          " NULL AND e.created_us >= ?4 AND e.expires_us > ?5 FROM deliveries d"
          " LEFT JOIN outbox e ON e.id = d.event_id WHERE d.webhook_id = ?1"
          " AND (d.created_us, d.n) > (?2, ?3) AND d.created_us < ?6"
          " ORDER BY d.created_us, d.n LIMIT ?7");
  tx_bind_slice(stmt, 1, webhook_id);
  tx_bind_int(stmt, 2, step->created_us);
  tx_bind_int(stmt, 3, step->n);
  tx_bind_int(stmt, 4, since_us);
  tx_bind_int(stmt, 5, now_us);
  tx_bind_int(stmt, 6, until_us);
  tx_bind_int(stmt, 7, (int64_t)max);
  while (!inner && tx_step(tx, stmt)) {
    char id[TABLES_ID_SIZE];
    redelivery_outcome outcome;
    seen++;
    next.created_us = sqlite3_column_int64(stmt, 0);
    next.n = sqlite3_column_int64(stmt, 1);
    if (!sqlite3_column_int(stmt, 4))
      continue;
    inner = redeliveries_insert(tx, column_blob(stmt, 2), column_blob(stmt, 3),
                                webhook_id, replay_id, now_us, id, &outcome);
    if (inner)
      break;
    next.scheduled += outcome == REDELIVERY_MADE;
    next.skipped_pending += outcome == REDELIVERY_PENDING;
    next.ended |= outcome == REDELIVERY_NO_WEBHOOK;
  }
  next.ended |= seen < max;
  tt_error error = tx_end(tx, stmt);
  if (!error && !inner)
    *step = next;
  return error ? error : inner;
}
