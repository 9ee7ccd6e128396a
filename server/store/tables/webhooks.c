#include "server/store/tables/webhooks.h"

#define COLUMNS                                                                \
  "id, url, description, events, filters, headers, format, ordered, secret,"   \
  " previous_secret, previous_until_us, enabled, auto_disabled_us,"            \
  " last_delivered_us, created_us, updated_us"

static void bind_time(sqlite3_stmt *stmt, int index, int64_t us) {
  if (us)
    tx_bind_int(stmt, index, us);
}

static void bind_row(sqlite3_stmt *stmt, const webhook *row) {
  tx_bind_slice(stmt, 1, row->id);
  tx_bind_slice(stmt, 2, row->url);
  tx_bind_slice(stmt, 3, row->description);
  tx_bind_slice(stmt, 4, row->events);
  tx_bind_slice(stmt, 5, row->filters);
  tx_bind_slice(stmt, 6, row->headers);
  tx_bind_slice(stmt, 7, row->format);
  tx_bind_int(stmt, 8, row->ordered);
  tx_bind_slice(stmt, 9, row->secret);
  tx_bind_slice(stmt, 10, row->previous_secret);
  bind_time(stmt, 11, row->previous_until_us);
  tx_bind_int(stmt, 12, row->enabled);
  bind_time(stmt, 13, row->auto_disabled_us);
  bind_time(stmt, 14, row->last_delivered_us);
  bind_time(stmt, 15, row->updated_us);
}

static webhook row_of(sqlite3_stmt *stmt) {
  return (webhook){.id = column_blob(stmt, 0),
                   .url = column_blob(stmt, 1),
                   .description = column_blob(stmt, 2),
                   .events = column_blob(stmt, 3),
                   .filters = column_blob(stmt, 4),
                   .headers = column_blob(stmt, 5),
                   .format = column_blob(stmt, 6),
                   .ordered = sqlite3_column_int(stmt, 7) != 0,
                   .secret = column_blob(stmt, 8),
                   .previous_secret = column_blob(stmt, 9),
                   .previous_until_us = sqlite3_column_int64(stmt, 10),
                   .enabled = sqlite3_column_int(stmt, 11) != 0,
                   .auto_disabled_us = sqlite3_column_int64(stmt, 12),
                   .last_delivered_us = sqlite3_column_int64(stmt, 13),
                   .created_us = sqlite3_column_int64(stmt, 14),
                   .updated_us = sqlite3_column_int64(stmt, 15)};
}

tt_error webhooks_insert(store_tx *tx, const webhook *row) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "INSERT INTO webhooks(" COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7,"
          " ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?16, ?15)");
  bind_row(stmt, row);
  tx_bind_int(stmt, 16, row->created_us);
  return tx_run(tx, stmt);
}

static tt_error found(store_tx *tx, tt_error error) {
  return !error && tx_changes(tx) == 0 ? TT_ENOTFOUND : error;
}

tt_error webhooks_update(store_tx *tx, const webhook *row) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "UPDATE webhooks SET url = ?2, description = ?3, events = ?4,"
          " filters = ?5, headers = ?6, format = ?7, ordered = ?8, secret = ?9,"
          " previous_secret = ?10, previous_until_us = ?11, enabled = ?12,"
          " auto_disabled_us = ?13, last_delivered_us = ?14, updated_us = ?15"
          " WHERE id = ?1");
  bind_row(stmt, row);
  return found(tx, tx_run(tx, stmt));
}

tt_error webhooks_delete(store_tx *tx, tti_slice id) {
  sqlite3_stmt *stmt = tx_prepare(tx, "DELETE FROM webhooks WHERE id = ?1");
  tx_bind_slice(stmt, 1, id);
  tt_error error = found(tx, tx_run(tx, stmt));
  if (error)
    return error;
  stmt = tx_prepare(tx, "INSERT INTO webhooks_gone(id) VALUES(?1)");
  tx_bind_slice(stmt, 1, id);
  return tx_run(tx, stmt);
}

static void keep(tti_buf *texts, tti_slice *text) {
  const char *at = texts->data + texts->len;
  tti_buf_append_slice(texts, *text);
  if (text->ptr)
    text->ptr = at;
}

tt_error webhooks_get(store_tx *tx, tti_slice id, tti_buf *texts,
                      webhook *out_row) {
  webhook row;
  tti_slice *const all[] = {&row.id,     &row.url,     &row.description,
                            &row.events, &row.filters, &row.headers,
                            &row.format, &row.secret,  &row.previous_secret};
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT " COLUMNS " FROM webhooks WHERE id = ?1");
  tx_bind_slice(stmt, 1, id);
  tt_error result = TT_ENOTFOUND;
  if (tx_step(tx, stmt)) {
    size_t size = 0;
    row = row_of(stmt);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      size += all[i]->len;
    /* At once, so that nothing moves after it was pointed at. */
    tti_buf_clear(texts);
    tti_buf_reserve(texts, size + 1);
    result = texts->error;
    for (size_t i = 0; !result && i < sizeof all / sizeof *all; i++)
      keep(texts, all[i]);
  }
  tt_error error = tx_end(tx, stmt);
  if (error || result)
    return error ? error : result;
  *out_row = row;
  return TT_OK;
}

static tt_error visit_all(store_tx *tx, sqlite3_stmt *stmt,
                          webhooks_visit visit, void *context) {
  bool more = true;
  while (more && tx_step(tx, stmt)) {
    webhook row = row_of(stmt);
    more = visit(context, &row);
  }
  return tx_end(tx, stmt);
}

tt_error webhooks_list(store_tx *tx, int64_t before_us, tti_slice before_id,
                       size_t max, webhooks_visit visit, void *context) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT " COLUMNS " FROM webhooks WHERE (created_us, id) < (?1, ?2)"
          " ORDER BY created_us DESC, id DESC LIMIT ?3");
  tx_bind_int(stmt, 1, before_us ? before_us : INT64_MAX);
  tx_bind_slice(stmt, 2, before_id.ptr ? before_id : TTI_SLICE(""));
  tx_bind_int(stmt, 3, (int64_t)max);
  return visit_all(tx, stmt, visit, context);
}

tt_error webhooks_by_id(store_tx *tx, bool enabled_only, tti_slice after_id,
                        size_t max, webhooks_visit visit, void *context) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT " COLUMNS " FROM webhooks WHERE id > ?1"
                     " AND (enabled OR NOT ?2) ORDER BY id LIMIT ?3");
  tx_bind_slice(stmt, 1, after_id.ptr ? after_id : TTI_SLICE(""));
  tx_bind_int(stmt, 2, enabled_only);
  tx_bind_int(stmt, 3, (int64_t)max);
  return visit_all(tx, stmt, visit, context);
}

tt_error webhooks_count(store_tx *tx, uint64_t *out_count) {
  sqlite3_stmt *stmt = tx_prepare(tx, "SELECT count(*) FROM webhooks");
  uint64_t count = tx_step(tx, stmt) ? column_u64(stmt, 0) : 0;
  tt_error error = tx_end(tx, stmt);
  if (!error)
    *out_count = count;
  return error;
}
