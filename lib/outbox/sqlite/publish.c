#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/outbox/sqlite/sqlite.h"
#include <stdlib.h>

enum { INSERT, SAVEPOINT, RELEASE, STATEMENTS };

static const char *const texts_of[STATEMENTS] = {
    /* SELECT and not VALUES: for what could write several rows SQLite keeps a
     * journal of the statement, by which it takes back just this one when the
     * disk or memory is full. With VALUES it rolls back the transaction. */
    "INSERT INTO main.tt_outbox_events(id,type,subject,source,category,"
    "agent_id,level,labels,body,created_at,next_poll_at,expires_at)"
    "SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12 WHERE true"
    " ON CONFLICT(id) DO NOTHING",
    "SAVEPOINT tt_outbox_publish",
    "RELEASE tt_outbox_publish",
};

/* The statements of one connection. */
typedef struct kept {
  tti_outbox_attached attached;
  sqlite3_stmt *statements[STATEMENTS];
} kept;

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

static int step(sqlite3_stmt *stmt, const tti_outbox_row *row) {
  int rc = row ? bind(stmt, row) : SQLITE_OK;
  return rc == SQLITE_OK ? sqlite3_step(stmt) : rc;
}

/* The texts that are bound are the caller's. */
static int step_kept(sqlite3 *db, sqlite3_stmt *stmt,
                     const tti_outbox_row *row) {
  /* Threads may share the connection: one at a time has the statement. */
  sqlite3_mutex *turn = sqlite3_db_mutex(db);
  sqlite3_mutex_enter(turn);
  int rc = step(stmt, row);
  int ended = sqlite3_reset(stmt);
  sqlite3_clear_bindings(stmt);
  sqlite3_mutex_leave(turn);
  return rc == SQLITE_DONE ? ended : rc;
}

/* Runs one statement: what is kept of it, or one of its own. `row` may be
 * NULL. */
static int run(sqlite3 *db, const kept *k, int which,
               const tti_outbox_row *row) {
  if (k)
    return step_kept(db, k->statements[which], row);
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(db, texts_of[which], -1, &stmt, NULL);
  if (rc == SQLITE_OK)
    rc = step(stmt, row);
  /* Repeats the error of step, if any. */
  int ended = sqlite3_finalize(stmt);
  return rc == SQLITE_DONE ? ended : rc;
}

static tt_error write_row(tt_outbox *outbox, sqlite3 *db, const kept *k,
                          const tti_outbox_row *row) {
  /* The program may yet ask for the row that it inserted itself. */
  sqlite3_int64 last = sqlite3_last_insert_rowid(db);
  int rc = run(db, k, INSERT, row);
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
                                      const kept *k,
                                      const tti_outbox_row *row) {
  int rc = run(db, k, SAVEPOINT, NULL);
  if (rc != SQLITE_OK)
    return tti_outbox_failed(outbox, tti_outbox_sqlite_error(rc), "%s",
                             sqlite3_errmsg(db));
  tt_error error = write_row(outbox, db, k, row);
  if (error && sqlite3_get_autocommit(db)) {
    tti_log(&outbox->log, TT_LEVEL_ERROR,
            "outbox: SQLite has rolled back the whole transaction");
    return error;
  }
  if (error)
    sqlite3_exec(db, "ROLLBACK TO tt_outbox_publish", NULL, NULL, NULL);
  run(db, k, RELEASE, NULL);
  return error;
}

static tt_error publish(tt_outbox *outbox, sqlite3 *db,
                        const tt_outbox_event *event, bool best_effort) {
  if (!outbox || !db)
    return TT_EINVAL;
  tti_outbox_draft draft;
  const char *problem = NULL;
  const kept *k = (const kept *)tti_outbox_kept(outbox, db);
  tt_error error = tti_outbox_draft_init(
      &draft, event, tti_wall_us(&tti_clock_system), &problem);
  if (error)
    tti_outbox_failed(outbox, error, "%s", problem);
  else if (best_effort && !sqlite3_get_autocommit(db))
    error = write_under_savepoint(outbox, db, k, &draft.row);
  else
    error = write_row(outbox, db, k, &draft.row);
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

/* ---- Statements that are kept ---- */

static void kept_free(tti_outbox_attached *attached) {
  kept *k = (kept *)attached;
  for (int i = 0; k && i < STATEMENTS; i++)
    sqlite3_finalize(k->statements[i]);
  free(k);
}

tt_error tt_outbox_attach(tt_outbox *outbox, struct sqlite3 *db) {
  if (!outbox || !db)
    return TT_EINVAL;
  if (tti_outbox_kept(outbox, db))
    return TT_OK;
  kept *k = calloc(1, sizeof(*k));
  if (!k)
    return TT_ENOMEM;
  k->attached.db = db;
  k->attached.free = kept_free;
  int rc = SQLITE_OK;
  for (int i = 0; rc == SQLITE_OK && i < STATEMENTS; i++)
    rc = sqlite3_prepare_v3(db, texts_of[i], -1, SQLITE_PREPARE_PERSISTENT,
                            &k->statements[i], NULL);
  if (rc == SQLITE_OK) {
    tti_outbox_keep(outbox, &k->attached);
    return TT_OK;
  }
  tti_log(&outbox->log, TT_LEVEL_ERROR, "outbox: not attached: %s%s",
          sqlite3_errmsg(db),
          rc == SQLITE_ERROR ? " (was tt_outbox_migrate called?)" : "");
  kept_free(&k->attached);
  return tti_outbox_sqlite_error(rc);
}

void tt_outbox_detach(tt_outbox *outbox, struct sqlite3 *db) {
  if (outbox && db)
    kept_free(tti_outbox_take_out(outbox, db));
}
