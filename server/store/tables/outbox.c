#include "server/store/tables/outbox.h"

#define COLUMNS                                                                \
  "n, id, seq, type, subject, source, category, agent_id, level, labels,"      \
  " body, request, status, attempts, last_error, next_poll_us, created_us,"    \
  " processed_us, expires_us, matched, matched_count"

enum { BODY_COLUMN = 10 };

/* Without its body, which may be long and need not be read. */
static outbox_row row_of(sqlite3_stmt *stmt) {
  return (outbox_row){.event = {.n = sqlite3_column_int64(stmt, 0),
                                .id = column_blob(stmt, 1),
                                .type = column_blob(stmt, 3),
                                .subject = column_blob(stmt, 4),
                                .source = column_blob(stmt, 5),
                                .category = column_blob(stmt, 6),
                                .agent_id = column_blob(stmt, 7),
                                .level = column_blob(stmt, 8),
                                .labels = column_blob(stmt, 9),
                                .created_us = sqlite3_column_int64(stmt, 16),
                                .next_poll_us = sqlite3_column_int64(stmt, 15),
                                .expires_us = sqlite3_column_int64(stmt, 18)},
                      .seq = column_u64(stmt, 2),
                      .request = column_blob(stmt, 11),
                      .status = (outbox_status)sqlite3_column_int(stmt, 12),
                      .attempts = column_u64(stmt, 13),
                      .last_error = column_blob(stmt, 14),
                      .processed_us = sqlite3_column_int64(stmt, 17),
                      .matched = column_blob(stmt, 19),
                      .matched_count = column_u64(stmt, 20)};
}

tt_error outbox_insert(store_tx *tx, const outbox_row *row,
                       bool *out_inserted) {
  const tti_outbox_row *event = &row->event;
  sqlite3_stmt *stmt = tx_prepare(
      tx, "INSERT INTO outbox(id, seq, type, subject, source, category,"
          " agent_id, level, labels, body, request, next_poll_us, created_us,"
          " expires_us) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
          " ?12, ?13, ?14) ON CONFLICT(id) DO NOTHING");
  tx_bind_slice(stmt, 1, event->id);
  if (row->seq)
    tx_bind_int(stmt, 2, (int64_t)row->seq);
  tx_bind_slice(stmt, 3, event->type);
  tx_bind_slice(stmt, 4, event->subject);
  tx_bind_slice(stmt, 5, event->source);
  tx_bind_slice(stmt, 6, event->category);
  tx_bind_slice(stmt, 7, event->agent_id);
  tx_bind_slice(stmt, 8, event->level);
  tx_bind_slice(stmt, 9, event->labels);
  tx_bind_bytes(stmt, 10, event->body.ptr, event->body.len);
  tx_bind_bytes(stmt, 11, row->request.ptr, row->request.len);
  tx_bind_int(stmt, 12, event->next_poll_us);
  tx_bind_int(stmt, 13, event->created_us);
  tx_bind_int(stmt, 14, event->expires_us);
  tt_error error = tx_run(tx, stmt);
  if (!error)
    *out_inserted = tx_changes(tx) > 0;
  return error;
}

tt_error outbox_get(store_tx *tx, tti_slice id, outbox_visit visit,
                    void *context) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT " COLUMNS " FROM outbox WHERE id = ?1");
  tx_bind_slice(stmt, 1, id);
  bool found = tx_step(tx, stmt);
  if (found) {
    outbox_row row = row_of(stmt);
    row.event.body = column_blob(stmt, BODY_COLUMN);
    visit(context, &row);
  }
  tt_error error = tx_end(tx, stmt);
  return !error && !found ? TT_ENOTFOUND : error;
}

static bool is(tti_slice wanted, tti_slice value) {
  return wanted.len == 0 || tti_slice_eq(wanted, value);
}

static bool passes(const outbox_filter *f, const outbox_row *row) {
  const tti_outbox_row *event = &row->event;
  return is(f->type, event->type) && is(f->subject, event->subject) &&
         is(f->source, event->source) && is(f->category, event->category) &&
         is(f->agent_id, event->agent_id) &&
         (!f->has_status || f->status == row->status) &&
         event->created_us >= f->since_us &&
         (!f->until_us || event->created_us < f->until_us) &&
         event->expires_us > f->now_us;
}

tt_error outbox_list(store_tx *tx, const outbox_filter *filter, size_t max,
                     size_t scan_max, outbox_visit visit, void *context,
                     int64_t *out_next_n) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT " COLUMNS " FROM outbox WHERE n < ?1 ORDER BY n DESC"
          " LIMIT ?2");
  tx_bind_int(stmt, 1, filter->before_n ? filter->before_n : INT64_MAX);
  tx_bind_int(stmt, 2, (int64_t)scan_max);
  size_t shown = 0, seen = 0;
  int64_t last_n = 0;
  bool more = false;
  while (!more && tx_step(tx, stmt)) {
    outbox_row row = row_of(stmt);
    bool wanted = passes(filter, &row);
    seen++;
    if (wanted && shown == max) {
      more = true;
      break;
    }
    last_n = row.event.n;
    if (!wanted)
      continue;
    shown++;
    row.event.body = column_blob(stmt, BODY_COLUMN);
    more = !visit(context, &row);
  }
  tt_error error = tx_end(tx, stmt);
  if (!error)
    *out_next_n = more || seen == scan_max ? last_n : 0;
  return error;
}

/* ---- Fan-out ---- */

tt_error outbox_due(store_tx *tx, int64_t now_us, size_t max,
                    outbox_visit visit, void *context) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT " COLUMNS " FROM outbox WHERE status = 0"
          " AND next_poll_us <= ?1 ORDER BY next_poll_us, n LIMIT ?2");
  tx_bind_int(stmt, 1, now_us);
  tx_bind_int(stmt, 2, (int64_t)max);
  bool more = true;
  while (more && tx_step(tx, stmt)) {
    outbox_row row = row_of(stmt);
    more = visit(context, &row);
  }
  return tx_end(tx, stmt);
}

#define TEXT(number)    #number
#define TEXT_OF(number) TEXT(number)

tt_error outbox_close(store_tx *tx, int64_t n, tti_slice id, int64_t now_us,
                      uint64_t *out_matched, bool *out_closed) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "UPDATE outbox SET status = CASE found.total WHEN 0 THEN 2 ELSE 1"
          " END, processed_us = ?3, matched_count = found.total,"
          " matched = found.ids, last_error = NULL FROM (SELECT"
          " (SELECT count(*) FROM deliveries WHERE event_id = ?2"
          "  AND replay_id IS NULL) AS total,"
          " (SELECT json_group_array(webhook_id) FROM (SELECT webhook_id FROM"
          "  deliveries WHERE event_id = ?2 AND replay_id IS NULL"
          "  ORDER BY webhook_id LIMIT " TEXT_OF(
              OUTBOX_MATCHED_MAX) ")) AS ids)"
                                  " AS found WHERE n = ?1 AND status = 0 "
                                  "RETURNING matched_count");
  tx_bind_int(stmt, 1, n);
  tx_bind_slice(stmt, 2, id);
  tx_bind_int(stmt, 3, now_us);
  bool closed = tx_step(tx, stmt);
  uint64_t matched = closed ? column_u64(stmt, 0) : 0;
  tt_error error = tx_end(tx, stmt);
  if (error)
    return error;
  *out_matched = matched;
  *out_closed = closed;
  return TT_OK;
}

tt_error outbox_postpone(store_tx *tx, int64_t n, const char *why,
                         int64_t next_poll_us) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "UPDATE outbox SET attempts = attempts + 1, last_error = ?2,"
          " next_poll_us = ?3 WHERE n = ?1 AND status = 0");
  tx_bind_int(stmt, 1, n);
  tx_bind_text(stmt, 2, why);
  tx_bind_int(stmt, 3, next_poll_us);
  return tx_run(tx, stmt);
}

static tt_error ask(store_tx *tx, sqlite3_stmt *stmt, int64_t *out_value) {
  int64_t value = tx_step(tx, stmt) ? sqlite3_column_int64(stmt, 0) : 0;
  tt_error error = tx_end(tx, stmt);
  if (!error)
    *out_value = value;
  return error;
}

tt_error outbox_oldest(store_tx *tx, int64_t *out_created_us) {
  return ask(tx,
             tx_prepare(tx, "SELECT min(created_us) FROM outbox"
                            " WHERE status = 0"),
             out_created_us);
}

tt_error outbox_last(store_tx *tx, int64_t *out_n) {
  return ask(tx,
             tx_prepare(tx, "SELECT seq FROM sqlite_sequence"
                            " WHERE name = 'outbox'"),
             out_n);
}
