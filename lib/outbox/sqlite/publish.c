#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/outbox/sqlite/sqlite.h"

/* INSERT … SELECT and not VALUES: for what could write several rows SQLite
 * keeps a journal of the statement, by which it takes back just this one when
 * the disk or memory is full. With VALUES it rolls back the transaction. */
static const char insert_sql[] =
    "INSERT INTO main.tt_outbox_events(id,type,subject,source,category,"
    "agent_id,level,labels,body,created_at,next_poll_at,expires_at)"
    "SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12 WHERE true"
    " ON CONFLICT(id) DO NOTHING";

static int bind(sqlite3_stmt *stmt, const tti_outbox_row *row) {
  const tti_slice texts[] = {row->id,     row->type,     row->subject,
                             row->source, row->category, row->agent_id,
                             row->level,  row->labels,   row->body};
  const int64_t times[] = {row->created_us, row->next_poll_us, row->expires_us};
  int rc = SQLITE_OK, column = 1;
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    int one = sqlite3_bind_text(stmt, column++, texts[i].ptr, (int)texts[i].len,
                                SQLITE_STATIC);
    rc = rc == SQLITE_OK ? one : rc;
  }
  for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
    int one = sqlite3_bind_int64(stmt, column++, times[i]);
    rc = rc == SQLITE_OK ? one : rc;
  }
  return rc;
}

static int insert(sqlite3 *db, const tti_outbox_row *row) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(db, insert_sql, sizeof(insert_sql), &stmt, NULL);
  if (rc == SQLITE_OK)
    rc = bind(stmt, row);
  if (rc == SQLITE_OK)
    rc = sqlite3_step(stmt);
  /* Repeats the error of step, if any. */
  int ended = sqlite3_finalize(stmt);
  return rc == SQLITE_DONE ? ended : rc;
}

static tt_error write_row(tt_outbox *outbox, sqlite3 *db,
                          const tti_outbox_row *row) {
  /* The program may yet ask for the row that it inserted itself. */
  sqlite3_int64 last = sqlite3_last_insert_rowid(db);
  int rc = insert(db, row);
  if (rc != SQLITE_OK)
    return tti_outbox_failed(
        outbox, tti_outbox_sqlite_error(rc), "%.*s: %s%s", (int)row->id.len,
        row->id.ptr, sqlite3_errmsg(db),
        rc == SQLITE_ERROR ? " (was tt_outbox_migrate called?)" : "");
  if (sqlite3_changes(db) > 0) {
    sqlite3_set_last_insert_rowid(db, last);
    char type[TTI_OUTBOX_TYPE_MAX + 1];
    sqlite3_snprintf(sizeof(type), type, "%.*s", (int)row->type.len,
                     row->type.ptr);
    tt_metrics_add(outbox->metrics, TT_METRIC_OUTBOX_PUBLISHED, 1, type, NULL);
  }
  return TT_OK;
}

static tt_error write_under_savepoint(tt_outbox *outbox, sqlite3 *db,
                                      const tti_outbox_row *row) {
  if (sqlite3_exec(db, "SAVEPOINT tt_outbox_publish", NULL, NULL, NULL))
    return tti_outbox_failed(outbox,
                             tti_outbox_sqlite_error(sqlite3_errcode(db)), "%s",
                             sqlite3_errmsg(db));
  tt_error error = write_row(outbox, db, row);
  if (error && sqlite3_get_autocommit(db))
    tti_log(&outbox->log, TT_LEVEL_ERROR,
            "outbox: SQLite has rolled back the whole transaction");
  else
    sqlite3_exec(db,
                 error ? "ROLLBACK TO tt_outbox_publish;"
                         "RELEASE tt_outbox_publish"
                       : "RELEASE tt_outbox_publish",
                 NULL, NULL, NULL);
  return error;
}

static tt_error publish(tt_outbox *outbox, sqlite3 *db,
                        const tt_outbox_event *event, bool best_effort) {
  if (!outbox || !db)
    return TT_EINVAL;
  tti_outbox_draft draft;
  const char *problem = NULL;
  tt_error error = tti_outbox_draft_init(
      &draft, event, tti_wall_us(&tti_clock_system), &problem);
  if (error)
    tti_outbox_failed(outbox, error, "%s", problem);
  else if (best_effort && !sqlite3_get_autocommit(db))
    error = write_under_savepoint(outbox, db, &draft.row);
  else
    error = write_row(outbox, db, &draft.row);
  tti_outbox_draft_fini(&draft);
  return error;
}

tt_error tt_outbox_publish(tt_outbox *outbox, struct sqlite3 *db,
                           const tt_outbox_event *event) {
  return publish(outbox, db, event, false);
}

tt_error tt_outbox_publish_best_effort(tt_outbox *outbox, struct sqlite3 *db,
                                       const tt_outbox_event *event) {
  return publish(outbox, db, event, true);
}
