#include "server/store/tables/due.h"

#include <stdio.h>
#include <stdlib.h>

/* What did not come of an event's fan-out. The index deliveries_due has the
 * same words. */
#define EXPRESS "(replay_id IS NOT NULL)"

static void column_id(sqlite3_stmt *stmt, int column,
                      char out[TABLES_ID_SIZE]) {
  const char *text = (const char *)sqlite3_column_text(stmt, column);
  snprintf(out, TABLES_ID_SIZE, "%s", text ? text : "");
}

/* The one after `id`, of a statement that asks for it. */
static tt_error next_webhook(store_tx *tx, sqlite3_stmt *stmt,
                             char id[TABLES_ID_SIZE]) {
  char next[TABLES_ID_SIZE] = "";
  tx_bind_text(stmt, 1, id);
  if (tx_step(tx, stmt))
    column_id(stmt, 0, next);
  tt_error error = tx_end(tx, stmt);
  if (error || !*next)
    return error ? error : TT_ENOTFOUND;
  memcpy(id, next, TABLES_ID_SIZE);
  return TT_OK;
}

/* ---- Lanes ---- */

tt_error due_made(store_tx *tx, int64_t after_n, size_t max,
                  void (*lane)(void *context, const due_lane *lane),
                  void *context, int64_t *out_n, bool *out_more) {
  due_lane last = {.webhook = ""};
  size_t count = 0;
  sqlite3_stmt *stmt = tx_prepare(tx, "SELECT n, webhook_id, " EXPRESS
                                      " FROM deliveries WHERE n > ?1"
                                      " ORDER BY n LIMIT ?2");
  tx_bind_int(stmt, 1, after_n);
  tx_bind_int(stmt, 2, (int64_t)max);
  *out_n = after_n;
  for (; tx_step(tx, stmt); count++) {
    due_lane next = {.express = sqlite3_column_int(stmt, 2) != 0};
    *out_n = sqlite3_column_int64(stmt, 0);
    column_id(stmt, 1, next.webhook);
    if (next.express != last.express || strcmp(next.webhook, last.webhook) != 0)
      lane(context, &next);
    last = next;
  }
  *out_more = count == max;
  return tx_end(tx, stmt);
}

tt_error due_last(store_tx *tx, int64_t *out_n) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT coalesce(max(n), 0) FROM deliveries");
  if (tx_step(tx, stmt))
    *out_n = sqlite3_column_int64(stmt, 0);
  return tx_end(tx, stmt);
}

tt_error due_next_webhook(store_tx *tx, char id[TABLES_ID_SIZE]) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT webhook_id FROM deliveries WHERE status = 0"
                     " AND webhook_id > ?1 ORDER BY webhook_id LIMIT 1");
  return next_webhook(tx, stmt, id);
}

tt_error due_pending(store_tx *tx, uint64_t max, uint64_t *out_count) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT count(*) FROM (SELECT 1 FROM deliveries"
                     " WHERE status = 0 LIMIT ?1)");
  tx_bind_int(stmt, 1, (int64_t)max);
  if (tx_step(tx, stmt))
    *out_count = column_u64(stmt, 0);
  return tx_end(tx, stmt);
}

/* ---- Copies in one piece ---- */

/* Two passes over the same calls: with `at` NULL they are counted, then copied.
 */
typedef struct packer {
  char *at;
  size_t bytes;
} packer;

static tti_slice pack(packer *p, sqlite3_stmt *stmt, int column) {
  tti_slice from = column_blob(stmt, column), to = {NULL, from.len};
  p->bytes += from.len + 1;
  if (!p->at)
    return to;
  if (from.len)
    memcpy(p->at, from.ptr, from.len);
  p->at[from.len] = '\0';
  to.ptr = p->at;
  p->at += from.len + 1;
  return to;
}

static void pack_webhook(packer *p, sqlite3_stmt *stmt, due_webhook *w) {
  w->url = pack(p, stmt, 0).ptr;
  w->format = pack(p, stmt, 1).ptr;
  w->headers = pack(p, stmt, 2).ptr;
  w->secret = pack(p, stmt, 3).ptr;
  w->previous_secret = pack(p, stmt, 4).ptr;
}

tt_error due_webhook_read(store_tx *tx, const char *id,
                          due_webhook **out_webhook) {
  due_webhook scratch, *made = NULL;
  packer p = {0};
  sqlite3_stmt *stmt =
      tx_prepare(tx, "SELECT url, format, headers, secret, previous_secret,"
                     " previous_until_us, ordered, enabled FROM webhooks"
                     " WHERE id = ?1");
  tx_bind_text(stmt, 1, id);
  bool found = tx_step(tx, stmt);
  if (found) {
    pack_webhook(&p, stmt, &scratch);
    made = malloc(sizeof *made + p.bytes);
  }
  if (made) {
    p.at = (char *)(made + 1);
    pack_webhook(&p, stmt, made);
    made->previous_until_us = sqlite3_column_int64(stmt, 5);
    made->ordered = sqlite3_column_int(stmt, 6) != 0;
    made->enabled = sqlite3_column_int(stmt, 7) != 0;
  }
  tt_error error = tx_end(tx, stmt);
  if (!error && !made)
    error = found ? TT_ENOMEM : TT_ENOTFOUND;
  if (error)
    free(made);
  else
    *out_webhook = made;
  return error;
}

static void pack_delivery(packer *p, sqlite3_stmt *stmt, due_delivery *d) {
  d->id = pack(p, stmt, 4).ptr;
  d->event_id = pack(p, stmt, 5).ptr;
  d->type = pack(p, stmt, 6).ptr;
  d->source = pack(p, stmt, 7).ptr;
  d->category = pack(p, stmt, 8).ptr;
  d->agent_id = pack(p, stmt, 9).ptr;
  d->level = pack(p, stmt, 10).ptr;
  d->body = pack(p, stmt, 11);
  if (sqlite3_column_type(stmt, 11) == SQLITE_NULL)
    d->body = (tti_slice){NULL, 0};
}

static due_delivery *delivery_of(sqlite3_stmt *stmt) {
  due_delivery scratch;
  packer p = {0};
  pack_delivery(&p, stmt, &scratch);
  due_delivery *d = malloc(sizeof *d + p.bytes);
  if (!d)
    return NULL;
  p.at = (char *)(d + 1);
  pack_delivery(&p, stmt, d);
  d->n = sqlite3_column_int64(stmt, 0);
  d->due_us = sqlite3_column_int64(stmt, 1);
  d->attempts = (unsigned)sqlite3_column_int64(stmt, 2);
  d->created_us = sqlite3_column_int64(stmt, 3);
  return d;
}

/* ---- Deliveries ---- */

#define DELIVERIES                                                             \
  "SELECT d.n, d.next_retry_us, d.attempts, d.created_us, d.id, d.event_id,"   \
  " d.event_type, o.source, o.category, o.agent_id, o.level,"                  \
  " coalesce(d.body, o.body)"                                                  \
  " FROM deliveries d LEFT JOIN outbox o ON o.id = d.event_id WHERE "

static const char by_time[] =
    DELIVERIES "d.status = 0 AND d.webhook_id = ?1"
               " AND (d.replay_id IS NOT NULL) = ?2"
               " ORDER BY d.next_retry_us, d.n LIMIT ?3";
/* The numbers first, from the index alone: there may be many to be sorted. */
static const char by_number[] = DELIVERIES
    "d.n IN (SELECT n FROM deliveries WHERE status = 0 AND webhook_id = ?1"
    " AND " EXPRESS " = ?2 ORDER BY n LIMIT ?3) ORDER BY d.n";

static bool is_held(const due_query *query, int64_t n) {
  for (size_t i = 0; i < query->held_count; i++)
    if (query->held[i] == n)
      return true;
  return false;
}

tt_error due_read(store_tx *tx, const due_query *query,
                  void (*take)(void *context, due_delivery *due), void *context,
                  int64_t *out_next_us) {
  size_t count = 0, bytes = 0;
  bool short_of_memory = false;
  sqlite3_stmt *stmt = tx_prepare(tx, query->ordered ? by_number : by_time);
  tx_bind_text(stmt, 1, query->lane.webhook);
  tx_bind_int(stmt, 2, query->lane.express);
  tx_bind_int(stmt, 3, (int64_t)(query->held_count + query->max + 1));
  *out_next_us = INT64_MAX;
  while (tx_step(tx, stmt)) {
    int64_t due_us = sqlite3_column_int64(stmt, 1);
    if (is_held(query, sqlite3_column_int64(stmt, 0)))
      continue;
    if (due_us > query->now_us || count == query->max ||
        (count && bytes >= query->max_bytes)) {
      *out_next_us = due_us > query->now_us ? due_us : query->now_us;
      break;
    }
    due_delivery *due = delivery_of(stmt);
    if (!due) {
      short_of_memory = true;
      break;
    }
    count++;
    bytes += due->body.len;
    take(context, due);
  }
  tt_error error = tx_end(tx, stmt);
  return error || !short_of_memory ? error : TT_ENOMEM;
}

tt_error due_settle(store_tx *tx, const due_attempt *a, bool *out_there) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "UPDATE deliveries SET status = ?2, attempts = ?3,"
          " next_retry_us = ?4, last_attempt_us = coalesce(?5,"
          " last_attempt_us), last_status = iif(?5 IS NULL, last_status, ?6),"
          " last_error = iif(?5 IS NULL, last_error, ?7), reason = ?8"
          " WHERE n = ?1 AND status = 0");
  tx_bind_int(stmt, 1, a->n);
  tx_bind_int(stmt, 2, a->status);
  tx_bind_int(stmt, 3, a->attempts);
  if (a->status == DELIVERY_PENDING)
    tx_bind_int(stmt, 4, a->retry_us);
  if (a->tried)
    tx_bind_int(stmt, 5, a->at_us);
  if (a->answer)
    tx_bind_int(stmt, 6, a->answer);
  tx_bind_text(stmt, 7, a->error);
  tx_bind_text(stmt, 8, a->reason);
  tt_error error = tx_run(tx, stmt);
  if (error)
    return error;
  *out_there = tx_changes(tx) > 0;
  if (!*out_there || !a->counted)
    return TT_OK;
  stmt = tx_prepare(tx, "INSERT OR REPLACE INTO attempts(delivery_n, attempt,"
                        " at_us, duration_us, status, response, error)"
                        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)");
  tx_bind_int(stmt, 1, a->n);
  tx_bind_int(stmt, 2, a->attempts);
  tx_bind_int(stmt, 3, a->at_us);
  tx_bind_int(stmt, 4, a->duration_us);
  if (a->answer)
    tx_bind_int(stmt, 5, a->answer);
  tx_bind_bytes(stmt, 6, a->response.ptr, a->response.len);
  tx_bind_text(stmt, 7, a->error);
  return tx_run(tx, stmt);
}

tt_error due_defer(store_tx *tx, const due_lane *lane, int64_t now_us,
                   int64_t until_us, size_t max) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "UPDATE deliveries SET next_retry_us = ?4 WHERE n IN"
          " (SELECT n FROM deliveries WHERE status = 0 AND webhook_id = ?1"
          " AND " EXPRESS " = ?2 AND next_retry_us <= ?3"
          " ORDER BY next_retry_us, n LIMIT ?5)");
  tx_bind_text(stmt, 1, lane->webhook);
  tx_bind_int(stmt, 2, lane->express);
  tx_bind_int(stmt, 3, now_us);
  tx_bind_int(stmt, 4, until_us);
  tx_bind_int(stmt, 5, (int64_t)max);
  return tx_run(tx, stmt);
}

/* ---- Webhooks ---- */

tt_error due_delivered(store_tx *tx, const char *webhook, int64_t at_us) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "UPDATE webhooks SET last_delivered_us = ?2 WHERE id = ?1");
  tx_bind_text(stmt, 1, webhook);
  tx_bind_int(stmt, 2, at_us);
  return tx_run(tx, stmt);
}

tt_error due_disable(store_tx *tx, const char *webhook, int64_t at_us,
                     bool *out_changed) {
  sqlite3_stmt *stmt =
      tx_prepare(tx, "UPDATE webhooks SET enabled = 0, auto_disabled_us = ?2,"
                     " updated_us = ?2 WHERE id = ?1 AND enabled = 1");
  tx_bind_text(stmt, 1, webhook);
  tx_bind_int(stmt, 2, at_us);
  tt_error error = tx_run(tx, stmt);
  *out_changed = !error && tx_changes(tx) > 0;
  return error;
}

static bool is_failing(store_tx *tx, const char *id, int64_t since_us,
                       unsigned failed) {
  sqlite3_stmt *stmt = tx_prepare(
      tx, "SELECT 1 FROM webhooks w WHERE id = ?1 AND enabled = 1"
          " AND coalesce(last_delivered_us, 0) < ?2 AND (SELECT count(*) FROM"
          " (SELECT 1 FROM deliveries WHERE status = 2 AND webhook_id = ?1"
          " AND last_attempt_us >= max(?2, w.updated_us) LIMIT ?3)) = ?3");
  tx_bind_text(stmt, 1, id);
  tx_bind_int(stmt, 2, since_us);
  tx_bind_int(stmt, 3, failed);
  bool found = tx_step(tx, stmt);
  tx_end(tx, stmt);
  return found;
}

tt_error due_failing(store_tx *tx, char id[TABLES_ID_SIZE], int64_t since_us,
                     unsigned failed, size_t max, bool *out_found) {
  *out_found = false;
  for (size_t i = 0; i < max && !*out_found; i++) {
    sqlite3_stmt *stmt =
        tx_prepare(tx, "SELECT webhook_id FROM deliveries WHERE status = 2"
                       " AND webhook_id > ?1 ORDER BY webhook_id LIMIT 1");
    tt_error error = next_webhook(tx, stmt, id);
    if (error)
      return error;
    *out_found = is_failing(tx, id, since_us, failed);
  }
  return TT_OK;
}
