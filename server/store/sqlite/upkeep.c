#include "server/store/sqlite/sqlite.h"

#include "server/io/clock.h"
#include "server/io/log.h"
#include "server/store/key.h"
#include <stdio.h>
#include <telltale/metrics.h>

/* What the store does beside its jobs, in bites of at most 2 ms a group, or
 * longer ones while it holds more than it may. */

#define EXPIRE_KEYS 64
/* Load that outruns retention is slowed down, or it would fill the disk. */
#define PRESSED_US       20000
#define AFTER_FAILURE_US INT64_C(60000000)
#define DROP_BLOCKS      32
#define VACUUM_PAGES     64
#define VACUUM_MIN_PAGES 4096
#define FIRST_DELETE     50
#define MAX_DELETE       4096
/* The open table is summed up while no more rows than that come in a second:
 * it costs nearly as much as storing them does. */
#define QUIET_ROWS (16 * BLOCK_SEQS)

/* ---- Sizes ---- */

static int read_pragma(writer *w, statement_id id, uint64_t *out_value) {
  int rc;
  sqlite3_stmt *stmt = writer_statement(w, id, &rc);
  if (!stmt)
    return rc;
  rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW)
    *out_value = column_u64(stmt, 0);
  int reset = sqlite3_reset(stmt);
  return rc == SQLITE_ROW ? SQLITE_OK : reset;
}

static int read_sizes(writer *w) {
  int rc = read_pragma(w, STMT_PAGE_COUNT, &w->used_pages);
  return rc == SQLITE_OK ? read_pragma(w, STMT_FREE_PAGES, &w->free_pages) : rc;
}

static uint64_t used_bytes(const writer *w) {
  return (w->used_pages - w->free_pages) * w->page_bytes;
}

/* ---- Retention ---- */

static int newest_receipt(writer *w, const log_table *table, int64_t *out_us) {
  char sql[96];
  snprintf(sql, sizeof sql,
           "SELECT received_us FROM log_%llu ORDER BY seq DESC LIMIT 1",
           (unsigned long long)table->id);
  uint64_t value;
  int rc = database_u64(w->db, sql, &value);
  if (rc == SQLITE_OK)
    *out_us = (int64_t)value;
  return rc;
}

/* The table that retention takes next; NULL: none. By size the open table is
 * never taken; by age it is, once everything in it is too old. */
static int find_expired(sqlite_store *s, log_table **out_table) {
  writer *w = &s->writer;
  *out_table = NULL;
  size_t i = 0;
  while (i < w->table_count && w->tables[i].state == TABLE_DOOMED)
    i++;
  if (i == w->table_count)
    return SQLITE_OK;
  log_table *oldest = &w->tables[i];
  /* What is doomed already will be free soon. */
  bool waits = i > 0;
  if (!waits && used_bytes(w) > store_retain_bytes(&s->base) &&
      oldest->state != TABLE_OPEN) {
    *out_table = oldest;
    return SQLITE_OK;
  }
  int64_t newest_us;
  int rc = newest_receipt(w, oldest, &newest_us);
  if (rc == SQLITE_OK && newest_us != 0 &&
      newest_us < server_wall_us() - store_retain_us(&s->base))
    *out_table = oldest;
  return rc;
}

static int find_oldest(writer *w) {
  w->position.oldest_seq = 0;
  for (size_t i = 0; i < w->table_count; i++) {
    if (w->tables[i].state == TABLE_DOOMED)
      continue;
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT min(seq) FROM log_%llu",
             (unsigned long long)w->tables[i].id);
    int rc = database_u64(w->db, sql, &w->position.oldest_seq);
    if (rc != SQLITE_OK || w->position.oldest_seq)
      return rc;
  }
  return SQLITE_OK;
}

/* Replaces what the new range covers by one row, joined with the retention
 * that lies right below it. */
static int record_retention(writer *w, uint64_t from_seq, uint64_t to_seq) {
  uint64_t first;
  char sql[160];
  int rc = database_u64(w->db,
                        "SELECT coalesce(min(from_seq), 0) FROM ranges"
                        " WHERE reason = 'retention'",
                        &first);
  if (rc != SQLITE_OK)
    return rc;
  if (first && first < from_seq)
    from_seq = first;
  snprintf(sql, sizeof sql,
           "DELETE FROM ranges WHERE from_seq >= %llu AND to_seq <= %llu",
           (unsigned long long)from_seq, (unsigned long long)to_seq);
  rc = database_exec(w->db, sql);
  if (rc != SQLITE_OK)
    return rc;
  /* A crash may have skipped numbers across the table's end. */
  snprintf(sql, sizeof sql,
           "UPDATE ranges SET from_seq = %llu"
           " WHERE from_seq <= %llu AND to_seq > %llu",
           (unsigned long long)to_seq + 1, (unsigned long long)to_seq,
           (unsigned long long)to_seq);
  rc = database_exec(w->db, sql);
  return rc == SQLITE_OK ? range_put(w, from_seq, to_seq, "retention") : rc;
}

static int doom(sqlite_store *s, log_table *table) {
  writer *w = &s->writer;
  uint64_t last = w->position.next_seq - 1;
  if (table->to_seq > last)
    table->to_seq = last;
  table->state = TABLE_DOOMED;
  int rc = table_update(w, table);
  if (rc == SQLITE_OK)
    rc = record_retention(w, table->from_seq, table->to_seq);
  return rc == SQLITE_OK ? find_oldest(w) : rc;
}

/* Deletes rows until the deadline; how many at once is learnt from how long
 * they take. */
static int empty_table(sqlite_store *s, const log_table *table,
                       int64_t deadline_us, bool *out_empty) {
  writer *w = &s->writer;
  char sql[128];
  snprintf(sql, sizeof sql,
           "DELETE FROM log_%llu WHERE seq IN"
           " (SELECT seq FROM log_%llu ORDER BY seq LIMIT ?1)",
           (unsigned long long)table->id, (unsigned long long)table->id);
  sqlite3_stmt *stmt;
  int rc = sqlite3_prepare_v2(w->db, sql, -1, &stmt, NULL);
  if (rc != SQLITE_OK)
    return rc;
  int limit = FIRST_DELETE;
  *out_empty = false;
  while (rc == SQLITE_OK && !*out_empty) {
    int64_t began = server_monotonic_us();
    if (began >= deadline_us)
      break;
    sqlite3_bind_int(stmt, 1, limit);
    rc = database_run(stmt);
    int deleted = sqlite3_changes(w->db);
    w->deleted_rows += rc == SQLITE_OK ? (uint64_t)deleted : 0;
    *out_empty = rc == SQLITE_OK && deleted < limit;
    if (server_monotonic_us() - began < BACKGROUND_US / 8 && limit < MAX_DELETE)
      limit *= 2;
  }
  sqlite3_finalize(stmt);
  return rc;
}

static int drop_blocks(writer *w, const log_table *table, bool *out_gone) {
  int rc;
  sqlite3_stmt *drop = writer_statement(w, STMT_DROP_BLOCKS, &rc);
  if (!drop)
    return rc;
  bind_u64(drop, 1, table->from_seq);
  bind_u64(drop, 2, table->to_seq);
  sqlite3_bind_int(drop, 3, DROP_BLOCKS);
  rc = database_run(drop);
  *out_gone = rc == SQLITE_OK && sqlite3_changes(w->db) < DROP_BLOCKS;
  return rc;
}

static int drop_table(writer *w, const log_table *table) {
  char sql[64];
  snprintf(sql, sizeof sql, "DROP TABLE log_%llu",
           (unsigned long long)table->id);
  int rc = database_exec(w->db, sql);
  sqlite3_stmt *drop = rc ? NULL : writer_statement(w, STMT_DROP_TABLE, &rc);
  if (!drop)
    return rc;
  bind_u64(drop, 1, table->id);
  rc = database_run(drop);
  /* The next one may be due as well. */
  w->expiry_checked = false;
  return rc == SQLITE_OK ? tables_load(w) : rc;
}

/* ---- What is due ---- */

static log_table *first_doomed(writer *w) {
  for (size_t i = 0; i < w->table_count; i++)
    if (w->tables[i].state == TABLE_DOOMED)
      return &w->tables[i];
  return NULL;
}

static int retire(sqlite_store *s, int64_t deadline_us) {
  writer *w = &s->writer;
  log_table *table = first_doomed(w);
  if (!table)
    return SQLITE_OK;
  if (table == &w->tables[w->table_count - 1] && w->insert &&
      w->insert_table == table->id) {
    sqlite3_finalize(w->insert);
    w->insert = NULL;
  }
  bool empty = false, gone = false;
  int rc = empty_table(s, table, deadline_us, &empty);
  if (rc == SQLITE_OK && empty)
    rc = drop_blocks(w, table, &gone);
  if (rc == SQLITE_OK && gone)
    rc = drop_table(w, table);
  return rc;
}

/* Jobs wait for closed tables only. */
static log_table *first_unsummarised(writer *w, bool idle) {
  for (size_t i = 0; i < w->table_count; i++) {
    log_table *table = &w->tables[i];
    if (block_due(w, table) &&
        (table->state == TABLE_CLOSED || (idle && w->quiet)))
      return table;
  }
  return NULL;
}

static int summarise(sqlite_store *s, int64_t deadline_us, bool idle) {
  int rc = SQLITE_OK;
  log_table *table;
  while (rc == SQLITE_OK && server_monotonic_us() < deadline_us &&
         (table = first_unsummarised(&s->writer, idle)))
    rc = block_summarise(s, table);
  return rc;
}

static bool wants_vacuum(const writer *w) {
  return w->free_pages > VACUUM_MIN_PAGES && w->free_pages > w->used_pages / 4;
}

static int give_back_pages(writer *w) {
  char sql[64];
  snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
  int rc = database_exec(w->db, sql);
  w->free_pages -= VACUUM_PAGES;
  w->used_pages -= VACUUM_PAGES;
  return rc;
}

static int run_due(sqlite_store *s, int64_t deadline_us, bool idle,
                   bool *out_more) {
  writer *w = &s->writer;
  int rc = SQLITE_OK;
  log_table *expired = NULL;
  if (!w->expiry_checked) {
    w->expiry_checked = true;
    rc = read_sizes(w);
    if (rc == SQLITE_OK)
      rc = find_expired(s, &expired);
    if (rc == SQLITE_OK && expired)
      rc = doom(s, expired);
  }
  bool more_keys = false;
  if (rc == SQLITE_OK)
    rc = keys_expire(s, EXPIRE_KEYS, &more_keys);
  if (rc == SQLITE_OK)
    rc = retire(s, deadline_us);
  if (rc == SQLITE_OK)
    rc = summarise(s, deadline_us, idle);
  if (rc == SQLITE_OK && !first_doomed(w) && wants_vacuum(w))
    rc = give_back_pages(w);
  *out_more = more_keys || !w->expiry_checked || first_doomed(w) ||
              first_unsummarised(w, true) || wants_vacuum(w);
  return rc;
}

/* Undoes a failed bite, so that the jobs of the group do not fail with it. */
static int undo(sqlite_store *s, const log_position *before) {
  writer *w = &s->writer;
  int rc = database_exec(w->db, "ROLLBACK TO upkeep");
  w->position = *before;
  w->deleted_rows = 0;
  w->ranges_changed = false;
  return rc == SQLITE_OK ? tables_load(w) : rc;
}

int upkeep_run(sqlite_store *s, bool idle) {
  writer *w = &s->writer;
  if (!w->background_due)
    return SQLITE_OK;
  uint64_t limit = store_retain_bytes(&s->base);
  bool pressed = used_bytes(w) > limit + limit / 8;
  int64_t deadline_us =
      server_monotonic_us() + (pressed ? PRESSED_US : BACKGROUND_US);
  log_position before = w->position;
  bool ranges_changed = w->ranges_changed;
  int rc = database_exec(w->db, "SAVEPOINT upkeep");
  if (rc != SQLITE_OK)
    return rc;
  int done = run_due(s, deadline_us, idle, &w->background_due);
  if (done != SQLITE_OK) {
    server_log(TT_LEVEL_ERROR, "store", "%s: upkeep failed: %s", s->path,
               sqlite3_errmsg(w->db));
    tt_metrics_add(s->options.metrics, TT_METRIC_STORE_ERRORS, 1, "upkeep",
                   NULL);
    w->background_due = false;
    w->next_upkeep_us = server_monotonic_us() + AFTER_FAILURE_US;
    rc = undo(s, &before);
    w->ranges_changed = ranges_changed;
  }
  if (rc == SQLITE_OK)
    rc = database_exec(w->db, "RELEASE upkeep");
  return rc;
}

static int keys_are_due(writer *w, bool *out_due) {
  uint64_t oldest_us;
  int rc = database_u64(
      w->db, "SELECT created_us FROM keys ORDER BY id LIMIT 1", &oldest_us);
  if (rc == SQLITE_OK)
    *out_due =
        oldest_us && (int64_t)oldest_us <= server_wall_us() - STORE_KEY_LIFE_US;
  return rc;
}

int upkeep_check(sqlite_store *s) {
  writer *w = &s->writer;
  int rc = read_sizes(w);
  w->expiry_checked = false;
  log_table *expired = NULL;
  if (rc == SQLITE_OK)
    rc = find_expired(s, &expired);
  bool keys = false;
  if (rc == SQLITE_OK)
    rc = keys_are_due(w, &keys);
  w->quiet = w->position.next_seq - w->checked_seq <= QUIET_ROWS;
  w->checked_seq = w->position.next_seq;
  /* Nothing is written when nothing is due. */
  w->background_due = w->background_due || expired || keys || first_doomed(w) ||
                      first_unsummarised(w, true) || wants_vacuum(w);
  return rc;
}
