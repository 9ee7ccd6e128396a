#include "server/store/key.h"
#include "server/store/sqlite/sqlite.h"
#include <stdio.h>
#include <stdlib.h>

/* Rows of the log. They lie in tables of table_rows sequence numbers each, so
 * that retention drops a table instead of deleting rows one by one, and the
 * open table needs no index beside its seq. */

static int add_table(writer *w, const log_table *table) {
  if (w->table_count == w->table_capacity) {
    size_t capacity = w->table_capacity ? w->table_capacity * 2 : 16;
    log_table *tables = realloc(w->tables, capacity * sizeof *tables);
    if (!tables)
      return SQLITE_NOMEM;
    w->tables = tables;
    w->table_capacity = capacity;
  }
  w->tables[w->table_count++] = *table;
  return SQLITE_OK;
}

int tables_load(writer *w) {
  sqlite3_stmt *stmt;
  int rc = database_prepare(w->db,
                            "SELECT id, from_seq, to_seq, state, summarised_to"
                            " FROM log_tables ORDER BY id",
                            &stmt);
  if (rc != SQLITE_OK)
    return rc;
  w->table_count = 0;
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    log_table table = {.id = column_u64(stmt, 0),
                       .from_seq = column_u64(stmt, 1),
                       .to_seq = column_u64(stmt, 2),
                       .state = (table_state)sqlite3_column_int(stmt, 3),
                       .summarised_to = column_u64(stmt, 4)};
    rc = add_table(w, &table);
    if (rc != SQLITE_OK)
      break;
  }
  sqlite3_finalize(stmt);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int tables_weigh(writer *w) {
  w->open_bytes = 0;
  if (w->table_count == 0)
    return SQLITE_OK;
  const log_table *last = &w->tables[w->table_count - 1];
  char sql[160];
  uint64_t mean;
  snprintf(sql, sizeof sql,
           "SELECT avg(len) FROM (SELECT length(record) AS len FROM log_%llu"
           " ORDER BY seq DESC LIMIT 256)",
           (unsigned long long)last->id);
  int rc = database_u64(w->db, sql, &mean);
  if (rc == SQLITE_OK && w->position.next_seq > last->from_seq)
    w->open_bytes = mean * (w->position.next_seq - last->from_seq);
  return rc;
}

int table_update(writer *w, const log_table *table) {
  int rc;
  sqlite3_stmt *set = writer_statement(w, STMT_SET_TABLE, &rc);
  if (!set)
    return rc;
  bind_u64(set, 1, table->id);
  bind_u64(set, 2, table->to_seq);
  sqlite3_bind_int(set, 3, (int)table->state);
  bind_u64(set, 4, table->summarised_to);
  return database_run(set);
}

int range_put(writer *w, uint64_t from_seq, uint64_t to_seq,
              const char *reason) {
  int rc;
  sqlite3_stmt *put = writer_statement(w, STMT_PUT_RANGE, &rc);
  if (!put)
    return rc;
  bind_u64(put, 1, from_seq);
  bind_u64(put, 2, to_seq);
  sqlite3_bind_text(put, 3, reason, -1, SQLITE_STATIC);
  w->ranges_changed = true;
  return database_run(put);
}

static int make_table(sqlite_store *s, uint64_t seq) {
  writer *w = &s->writer;
  uint64_t rows = s->options.table_rows;
  log_table table = {.id = 1, .from_seq = seq};
  /* Every table but the first starts at a multiple, whatever was skipped. */
  table.to_seq = (seq / rows + 1) * rows - 1;
  table.summarised_to = seq - 1;
  if (w->tables && w->table_count)
    table.id = w->tables[w->table_count - 1].id + 1;
  char sql[160];
  snprintf(sql, sizeof sql,
           "CREATE TABLE log_%llu(seq INTEGER PRIMARY KEY,"
           " received_us INTEGER NOT NULL, record BLOB NOT NULL)",
           (unsigned long long)table.id);
  int rc = database_exec(w->db, sql);
  sqlite3_stmt *put = rc ? NULL : writer_statement(w, STMT_PUT_TABLE, &rc);
  if (!put)
    return rc;
  bind_u64(put, 1, table.id);
  bind_u64(put, 2, table.from_seq);
  bind_u64(put, 3, table.to_seq);
  rc = database_run(put);
  w->open_bytes = 0;
  return rc == SQLITE_OK ? add_table(w, &table) : rc;
}

/* Makes w->insert the statement for the table that seq belongs to. */
static int insert_for(sqlite_store *s, uint64_t seq) {
  writer *w = &s->writer;
  log_table *last = w->table_count ? &w->tables[w->table_count - 1] : NULL;
  int rc = SQLITE_OK;
  bool large = w->open_bytes > store_retain_bytes(&s->base) / TABLES_RETAINED;
  if (last && last->state == TABLE_OPEN && (large || seq > last->to_seq)) {
    if (seq <= last->to_seq)
      last->to_seq = seq - 1;
    last->state = TABLE_CLOSED;
    w->expiry_checked = false;
    w->background_due = true;
    rc = table_update(w, last);
  }
  if (rc == SQLITE_OK && (!last || last->state != TABLE_OPEN))
    rc = make_table(s, seq);
  if (rc != SQLITE_OK)
    return rc;
  last = &w->tables[w->table_count - 1];
  if (w->insert && w->insert_table == last->id)
    return SQLITE_OK;
  sqlite3_finalize(w->insert);
  w->insert = NULL;
  w->insert_table = last->id;
  char sql[96];
  snprintf(sql, sizeof sql,
           "INSERT INTO log_%llu(seq, received_us, record) VALUES(?1, ?2, ?3)",
           (unsigned long long)last->id);
  return database_prepare(w->db, sql, &w->insert);
}

static int insert_rows(sqlite_store *s, const store_job *job) {
  writer *w = &s->writer;
  const tti_batch *batch = job->batch;
  const char *at = batch->bytes.data;
  uint64_t table_to = 0;
  for (size_t i = 0; i < batch->count; i++) {
    uint64_t seq = job->first_seq + i;
    if (seq > table_to) {
      int rc = insert_for(s, seq);
      if (rc != SQLITE_OK)
        return rc;
      table_to = w->tables[w->table_count - 1].to_seq;
    }
    tti_slice bytes = {at, batch->lengths[i]};
    bind_u64(w->insert, 1, seq);
    sqlite3_bind_int64(w->insert, 2, job->received_us);
    bind_blob(w->insert, 3, bytes.ptr, bytes.len);
    int rc = database_run(w->insert);
    if (rc != SQLITE_OK)
      return rc;
    tti_record record;
    if (tti_record_decode(bytes, &record) == TT_OK)
      counters_note(&s->counts, &record);
    at += bytes.len;
  }
  w->open_bytes += batch->bytes.len;
  return SQLITE_OK;
}

/* What was answered before it is written cannot be refused any more. */
static int run_beside(writer *w, store_job *job) {
  int rc = tables_run_job(&w->tx, job);
  job->half = job->reserved && job->verdict != STORE_OK;
  if (job->half)
    job->verdict = STORE_OK;
  return rc;
}

/* Gives the job its numbers and its time. */
static int place(sqlite_store *s, store_job *job) {
  writer *w = &s->writer;
  log_position *p = &w->position;
  uint64_t seq = job->first_seq;
  if (!job->reserved)
    seq = p->handed_to >= p->next_seq ? p->handed_to + 1 : p->next_seq;
  if (seq < p->next_seq) {
    job->verdict = STORE_RETRY;
    snprintf(job->reason, sizeof job->reason,
             "sequence number %llu is below the head", (unsigned long long)seq);
    return SQLITE_OK;
  }
  job->first_seq = seq;
  job->count = job->batch->count;
  if (job->received_us < p->received_us)
    job->received_us = p->received_us;
  /* Given out, and overtaken: nobody will write these any more. */
  int rc = SQLITE_OK;
  if (job->run && (rc = run_beside(w, job)) != SQLITE_OK)
    return rc;
  if (job->verdict == STORE_OK && seq > p->next_seq)
    rc = range_put(w, p->next_seq, seq - 1, "lost");
  return rc;
}

int append_run(sqlite_store *s, store_job *job) {
  writer *w = &s->writer;
  log_position *p = &w->position;
  bool keyed = store_key_is_set(&job->key);
  int rc = keyed ? keys_find(s, job) : SQLITE_OK;
  if (rc != SQLITE_OK || job->verdict != STORE_OK)
    return rc;
  if (job->batch->count == 0) {
    job->first_seq = job->count = 0;
    return keyed ? keys_put(s, job) : SQLITE_OK;
  }
  rc = place(s, job);
  if (rc != SQLITE_OK || job->verdict != STORE_OK)
    return rc;
  rc = insert_rows(s, job);
  if (rc != SQLITE_OK)
    return rc;
  if (p->oldest_seq == 0)
    p->oldest_seq = job->first_seq;
  p->next_seq = job->first_seq + job->count;
  p->received_us = job->received_us;
  w->group_rows += job->count;
  return keyed && !job->half ? keys_put(s, job) : SQLITE_OK;
}
