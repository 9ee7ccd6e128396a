#include "server/store/sqlite/sqlite.h"

#include "server/store/scan.h"
#include "server/testing/fault.h"
#include <stdio.h>
#include <stdlib.h>

/* The reading threads. A read is one short transaction, so that it holds up no
 * checkpoint, and covers as many rows as 256 KiB or 5 ms allow; whoever asked
 * goes on from next_seq. */

/* ---- One table ---- */

/* Numbers without a row are all in the ranges. What is in neither was lost by
 * a damaged page, which SQLite does not always see: its keys only seem to end
 * early. */
static int check_hole(sqlite3 *db, uint64_t from, uint64_t to) {
  sqlite3_stmt *stmt;
  int rc = sqlite3_prepare_v2(db,
                              "SELECT to_seq FROM ranges WHERE from_seq <= ?1"
                              " ORDER BY from_seq DESC LIMIT 1",
                              -1, &stmt, NULL);
  while (rc == SQLITE_OK && from <= to) {
    bind_u64(stmt, 1, from);
    rc = sqlite3_step(stmt);
    uint64_t end = rc == SQLITE_ROW ? column_u64(stmt, 0) : 0;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
      rc = end >= from ? SQLITE_OK : SQLITE_CORRUPT;
    sqlite3_reset(stmt);
    from = end + 1;
  }
  sqlite3_finalize(stmt);
  return rc;
}

static int scan_rows(sqlite3 *db, store_scan *scan, sqlite3_stmt *stmt,
                     uint64_t from, uint64_t to) {
  bool down = scan->read->order == STORE_DESCENDING;
  int rc = SQLITE_OK;
  while (from <= to && !scan->full && !scan->read->error) {
    int step = sqlite3_step(stmt);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
      return step;
    if (step == SQLITE_DONE)
      return check_hole(db, from, to);
    uint64_t seq = column_u64(stmt, 0);
    if (seq < from || seq > to)
      return SQLITE_CORRUPT;
    if (seq != (down ? to : from))
      rc = check_hole(db, down ? seq + 1 : from, down ? to : seq - 1);
    if (rc != SQLITE_OK)
      return rc;
    scan_row(scan, seq, sqlite3_column_int64(stmt, 1), column_blob(stmt, 2));
    if (down)
      to = seq - 1;
    else
      from = seq + 1;
  }
  return SQLITE_OK;
}

static int scan_range(sqlite3 *db, store_scan *scan, sqlite3_stmt *stmt,
                      uint64_t from, uint64_t to) {
  bind_u64(stmt, 1, from);
  bind_u64(stmt, 2, to);
  int rc = scan_rows(db, scan, stmt, from, to);
  sqlite3_reset(stmt);
  return rc;
}

static void count_columns(store_scan *scan, const columns *c, uint64_t from,
                          uint64_t to) {
  bool down = scan->read->order == STORE_DESCENDING;
  tti_record record;
  for (size_t n = 0; n < c->rows && !scan->full; n++) {
    size_t i = down ? c->rows - 1 - n : n;
    if (c->seq[i] < from || c->seq[i] > to)
      continue;
    columns_record(c, i, &record);
    scan_brief(scan, c->seq[i], c->received_us[i], &record);
  }
}

/* One after the other costs as much as this many neighbours. */
#define ROW_ALONE 8

/* The rows that the filter lets through, one by one; all of the block where
 * they are many. */
static int find_columns(sqlite3 *db, store_scan *scan, const columns *c,
                        sqlite3_stmt *stmt, uint64_t from, uint64_t to) {
  bool down = scan->read->order == STORE_DESCENDING;
  uint64_t found[COLUMNS_ROWS / ROW_ALONE];
  size_t count = 0;
  tti_record record;
  for (size_t i = 0; i < c->rows; i++) {
    columns_record(c, i, &record);
    if (c->seq[i] < from || c->seq[i] > to || !scan_wants(scan, &record))
      continue;
    if (count == sizeof found / sizeof *found)
      return scan_range(db, scan, stmt, from, to);
    found[count++] = c->seq[i];
  }
  int rc = SQLITE_OK;
  for (size_t n = 0; n < count && rc == SQLITE_OK && !scan->full; n++) {
    uint64_t seq = found[down ? count - 1 - n : n];
    scan->examined = down ? seq + 1 : seq - 1;
    rc = scan_range(db, scan, stmt, seq, seq);
  }
  if (rc == SQLITE_OK && !scan->full && !scan->read->error)
    scan_skip(scan, down ? from : to);
  return rc;
}

static int scan_block(sqlite3 *db, store_scan *scan, blocks *b,
                      sqlite3_stmt *stmt, uint64_t block, uint64_t from,
                      uint64_t to) {
  const columns *c;
  bool may, down = scan->read->order == STORE_DESCENDING;
  int rc = blocks_may_match(b, block, scan->read, &may);
  if (rc == SQLITE_OK && may && scan->read->text.len >= GRAM_LEN)
    rc = blocks_may_have(b, block, scan->read->text, &may);
  if (rc != SQLITE_OK)
    return rc;
  if (!may) {
    scan_skip(scan, down ? from : to);
    return SQLITE_OK;
  }
  if (!scan->read->brief && !scan->filtered)
    return scan_range(db, scan, stmt, from, to);
  rc = blocks_columns(b, block, &c);
  if (rc != SQLITE_OK)
    return rc;
  if (!c)
    return scan_range(db, scan, stmt, from, to);
  if (!scan->read->brief)
    return find_columns(db, scan, c, stmt, from, to);
  count_columns(scan, c, from, to);
  return SQLITE_OK;
}

/* Block by block, passing over those whose summary rules a match out. */
static int scan_blocks(sqlite3 *db, store_scan *scan, const log_table *table,
                       sqlite3_stmt *stmt, uint64_t from, uint64_t to) {
  bool down = scan->read->order == STORE_DESCENDING;
  blocks b;
  int rc = blocks_init(&b, db);
  while (rc == SQLITE_OK && from <= to && !scan->full && !scan->read->error) {
    uint64_t block, low, high;
    bool summed = block_of(table, down ? to : from, &block, &high);
    low = block > from ? block : from;
    if (high > to)
      high = to;
    if (summed)
      rc = scan_block(db, scan, &b, stmt, block, low, high);
    else
      rc = scan_range(db, scan, stmt, low, high);
    if (down)
      to = low - 1;
    else
      from = high + 1;
  }
  blocks_fini(&b);
  return rc;
}

static int scan_table(sqlite3 *db, store_scan *scan, const log_table *table,
                      uint64_t from, uint64_t to) {
  char sql[160];
  bool down = scan->read->order == STORE_DESCENDING;
  snprintf(sql, sizeof sql,
           "SELECT seq, received_us, record FROM log_%llu"
           " WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq%s",
           (unsigned long long)table->id, down ? " DESC" : "");
  sqlite3_stmt *stmt;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc != SQLITE_OK)
    return rc;
  if (scan->filtered || scan->read->kinds || scan->read->brief ||
      scan->read->text.len > 0)
    rc = scan_blocks(db, scan, table, stmt, from, to);
  else
    rc = scan_range(db, scan, stmt, from, to);
  sqlite3_finalize(stmt);
  return rc;
}

/* ---- Bounds ---- */

static int received_at(sqlite3_stmt *stmt, uint64_t seq, uint64_t *out_seq,
                       int64_t *out_us) {
  bind_u64(stmt, 1, seq);
  int rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) {
    *out_seq = column_u64(stmt, 0);
    *out_us = sqlite3_column_int64(stmt, 1);
  }
  int reset = sqlite3_reset(stmt);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? rc : reset;
}

/* The first seq of a table that was received at `us` or later; to + 1 when
 * there is none. Receipt never decreases with seq, so halving finds it. */
static int first_since(sqlite3 *db, const log_table *table, uint64_t head,
                       int64_t us, uint64_t *out_seq) {
  char sql[128];
  snprintf(sql, sizeof sql,
           "SELECT seq, received_us FROM log_%llu WHERE seq >= ?1"
           " ORDER BY seq LIMIT 1",
           (unsigned long long)table->id);
  sqlite3_stmt *stmt;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc != SQLITE_OK)
    return rc;
  uint64_t low = table->from_seq;
  uint64_t high = table->to_seq < head ? table->to_seq + 1 : head + 1;
  bool found = false;
  rc = SQLITE_DONE;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2, seq = 0;
    int64_t received = 0;
    rc = received_at(stmt, middle, &seq, &received);
    found = found || (rc == SQLITE_ROW && received >= us);
    if (rc == SQLITE_DONE || (rc == SQLITE_ROW && received >= us))
      high = middle;
    else if (rc == SQLITE_ROW)
      low = seq + 1;
    else
      break;
  }
  sqlite3_finalize(stmt);
  /* The last numbers of a table may have no rows. */
  *out_seq = found ? low : table->to_seq + 1;
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int seq_since(sqlite3 *db, const writer *list, uint64_t head, int64_t us,
                     uint64_t *out_seq) {
  for (size_t i = 0; i < list->table_count; i++) {
    const log_table *table = &list->tables[i];
    if (table->state == TABLE_DOOMED)
      continue;
    uint64_t seq;
    int rc = first_since(db, table, head, us, &seq);
    if (rc != SQLITE_OK)
      return rc;
    if (seq <= table->to_seq && seq <= head) {
      *out_seq = seq;
      return SQLITE_OK;
    }
  }
  *out_seq = head + 1;
  return SQLITE_OK;
}

static int set_bounds(sqlite3 *db, store_scan *scan, const writer *list,
                      uint64_t head) {
  const store_read *read = scan->read;
  uint64_t seq;
  int rc = SQLITE_OK;
  scan_set_bounds(scan, head);
  if (read->since_us) {
    rc = seq_since(db, list, head, read->since_us, &seq);
    if (rc == SQLITE_OK && seq > scan->low)
      scan->low = seq;
  }
  if (rc == SQLITE_OK && read->until_us) {
    rc = seq_since(db, list, head, read->until_us, &seq);
    if (rc == SQLITE_OK && seq - 1 < scan->high)
      scan->high = seq - 1;
  }
  scan_start(scan);
  return rc;
}

/* ---- One read ---- */

static int scan_tables(sqlite3 *db, store_scan *scan, const writer *list) {
  bool down = scan->read->order == STORE_DESCENDING;
  for (size_t i = 0; i < list->table_count && !scan->full; i++) {
    const log_table *table =
        &list->tables[down ? list->table_count - 1 - i : i];
    uint64_t from = table->from_seq > scan->low ? table->from_seq : scan->low;
    uint64_t to = table->to_seq < scan->high ? table->to_seq : scan->high;
    if (table->state == TABLE_DOOMED || from > to)
      continue;
    int rc = scan_table(db, scan, table, from, to);
    if (rc != SQLITE_OK || scan->read->error)
      return rc;
  }
  return SQLITE_OK;
}

static bool is_damage(int rc) {
  return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
}

/* What was read before damage was met is answered, so that the next read meets
 * it at once, and it is known where it is. */
static int keep_before_damage(store_scan *scan, int rc) {
  bool any = scan->read->order == STORE_DESCENDING
                 ? scan->examined <= scan->high
                 : scan->examined >= scan->low;
  if (!is_damage(rc) || !any)
    return rc;
  scan->full = true;
  return SQLITE_OK;
}

static int run_read(sqlite3 *db, store_read *read) {
  /* Only its table list is used. */
  writer list = {.db = db};
  uint64_t next_seq = 1;
  store_scan scan;
  scan_begin(&scan, read);
  int rc = database_fault(FAULT_POINT("store.read"));
  if (rc == SQLITE_OK)
    rc = database_exec(db, "BEGIN");
  if (rc != SQLITE_OK)
    return rc;
  rc = database_u64(db, "SELECT next_seq FROM meta", &next_seq);
  if (rc == SQLITE_OK)
    rc = tables_load(&list);
  if (rc == SQLITE_OK)
    rc = set_bounds(db, &scan, &list, next_seq - 1);
  if (rc == SQLITE_OK && scan.low <= scan.high)
    rc = keep_before_damage(&scan, scan_tables(db, &scan, &list));
  if (rc == SQLITE_OK && !read->error)
    scan_finish(&scan);
  database_exec(db, "ROLLBACK");
  free(list.tables);
  return rc;
}

static int open_reader(reader *r) {
  char reason[160];
  int rc = database_open(r->store->path, true, &r->db, reason, sizeof reason);
  r->tx = (store_tx){.db = r->db};
  return rc;
}

static void serve_read(reader *r, store_read *read) {
  int rc = SQLITE_OK;
  pthread_mutex_lock(&r->lock);
  if (!r->db)
    rc = open_reader(r);
  if (rc == SQLITE_OK && read->run)
    tables_run_read(&r->tx, read);
  else if (rc == SQLITE_OK)
    rc = run_read(r->db, read);
  pthread_mutex_unlock(&r->lock);
  if (rc != SQLITE_OK)
    read->error = rc == SQLITE_NOMEM ? TT_ENOMEM
                  : is_damage(rc)    ? TT_ECORRUPT
                                     : TT_EIO;
  read->done(read);
}

/* Another one has its place. */
static void end_reader(reader *r) {
  database_close(r->db);
  r->db = NULL;
  pthread_mutex_lock(&r->store->read_lock);
  r->ended = true;
  pthread_mutex_unlock(&r->store->read_lock);
}

void *sqlite_reader_main(void *argument) {
  reader *r = argument;
  sqlite_store *s = r->store;
  for (;;) {
    pthread_mutex_lock(&s->read_lock);
    r->beats += r->busy;
    r->busy = false;
    while (!s->read_first && !s->reads_closing && !r->retired)
      pthread_cond_wait(&s->read_ready, &s->read_lock);
    if (r->retired) {
      pthread_mutex_unlock(&s->read_lock);
      end_reader(r);
      return NULL;
    }
    store_read *read = s->read_first;
    bool closing = s->reads_closing;
    if (read) {
      r->beats++;
      r->busy = true;
      s->read_first = read->next;
      if (!s->read_first)
        s->read_last = NULL;
      s->reads_waiting--;
    }
    pthread_mutex_unlock(&s->read_lock);
    if (!read)
      return NULL;
    if (closing) {
      read->error = TT_ECLOSED;
      read->done(read);
    } else {
      serve_read(r, read);
    }
  }
}

tt_error sqlite_read(store *base, store_read *read) {
  sqlite_store *s = (sqlite_store *)base;
  tt_error error = TT_OK;
  read->next = NULL;
  pthread_mutex_lock(&s->read_lock);
  if (s->reads_closing) {
    error = TT_ECLOSED;
  } else if (s->reads_waiting >= SQLITE_READS_MAX) {
    error = TT_EFULL;
  } else {
    if (s->read_last)
      s->read_last->next = read;
    else
      s->read_first = read;
    s->read_last = read;
    s->reads_waiting++;
    pthread_cond_signal(&s->read_ready);
  }
  pthread_mutex_unlock(&s->read_lock);
  return error;
}
