#include "server/store/sqlite/sqlite.h"

#include "lib/base/cond.h"
#include "lib/base/random.h"
#include "lib/base/thread.h"
#include "server/io/clock.h"
#include "server/io/log.h"
#include "server/store/sqlite/lock.h"
#include "server/store/sqlite/schema.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* SQLite gives its other files the mode of the database. */
static tt_error make_file(const char *path, tti_buf *out_error) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    tti_buf_printf(out_error, "cannot write %s: %s", path, strerror(errno));
    return TT_EIO;
  }
  close(fd);
  return TT_OK;
}

/* ---- Loading ---- */

static int load_meta(writer *w) {
  sqlite3_stmt *stmt;
  int rc = database_prepare(
      w->db, "SELECT next_seq, reserved_to, group_number FROM meta", &stmt);
  if (rc != SQLITE_OK)
    return rc;
  rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) {
    w->position.next_seq = column_u64(stmt, 0);
    w->position.reserved_to = column_u64(stmt, 1);
    w->group_number = column_u64(stmt, 2);
  }
  sqlite3_finalize(stmt);
  return rc == SQLITE_ROW ? SQLITE_OK : SQLITE_CORRUPT;
}

static int load_edges(writer *w) {
  char sql[96];
  w->position.oldest_seq = 0;
  for (size_t i = 0; i < w->table_count; i++) {
    const log_table *table = &w->tables[i];
    if (table->state == TABLE_DOOMED)
      continue;
    uint64_t value;
    int rc;
    if (w->position.oldest_seq == 0) {
      snprintf(sql, sizeof sql, "SELECT min(seq) FROM log_%llu",
               (unsigned long long)table->id);
      rc = database_u64(w->db, sql, &w->position.oldest_seq);
      if (rc != SQLITE_OK)
        return rc;
    }
    snprintf(sql, sizeof sql,
             "SELECT received_us FROM log_%llu ORDER BY seq DESC LIMIT 1",
             (unsigned long long)table->id);
    rc = database_u64(w->db, sql, &value);
    if (rc != SQLITE_OK)
      return rc;
    if ((int64_t)value > w->position.received_us)
      w->position.received_us = (int64_t)value;
  }
  return SQLITE_OK;
}

int sqlite_load_ranges(sqlite_store *s) {
  sqlite3_stmt *stmt;
  range_list list = {0};
  int rc = database_prepare(
      s->writer.db, "SELECT from_seq, to_seq, reason FROM ranges ORDER BY 1",
      &stmt);
  if (rc != SQLITE_OK)
    return rc;
  tt_error error = TT_OK;
  while (!error && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
    error = range_list_add(&list, column_u64(stmt, 0), column_u64(stmt, 1),
                           (const char *)sqlite3_column_text(stmt, 2));
  sqlite3_finalize(stmt);
  if (error || rc != SQLITE_DONE) {
    range_list_fini(&list);
    return error ? SQLITE_NOMEM : rc;
  }
  pthread_mutex_lock(&s->shown_lock);
  range_list old = s->ranges;
  s->ranges = list;
  pthread_mutex_unlock(&s->shown_lock);
  range_list_fini(&old);
  return SQLITE_OK;
}

static int load_counts(sqlite_store *s) {
  sqlite3_stmt *stmt;
  int rc = database_prepare(s->writer.db,
                            "SELECT dimension, name, count FROM counts", &stmt);
  if (rc != SQLITE_OK)
    return rc;
  counters_clear(&s->counts);
  tt_error error = TT_OK;
  while (!error && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    uint64_t dimension = column_u64(stmt, 0);
    if (dimension < STORE_DIMENSIONS)
      error = counters_load(&s->counts, (store_dimension)dimension,
                            column_blob(stmt, 1), column_u64(stmt, 2));
  }
  sqlite3_finalize(stmt);
  return error ? SQLITE_NOMEM : rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int on_wal(void *context, sqlite3 *db, const char *name, int frames) {
  (void)db;
  (void)name;
  ((writer *)context)->wal_frames = (uint64_t)frames;
  return SQLITE_OK;
}

int sqlite_connect(sqlite_store *s, char *out_reason, size_t reason_size) {
  writer *w = &s->writer;
  int rc = database_open(s->path, false, &w->db, out_reason, reason_size);
  if (rc != SQLITE_OK)
    return rc;
  w->tx = (store_tx){.db = w->db};
  sqlite3_wal_hook(w->db, on_wal, w);
  rc = database_exec(w->db, "PRAGMA synchronous=FULL");
  w->synced = true;
  if (rc == SQLITE_OK)
    rc = database_u64(w->db, "PRAGMA page_size", &w->page_bytes);
  if (rc == SQLITE_OK)
    rc = load_meta(w);
  if (rc == SQLITE_OK)
    rc = tables_load(w);
  if (rc == SQLITE_OK)
    rc = load_edges(w);
  if (rc == SQLITE_OK)
    rc = tables_weigh(w);
  if (rc == SQLITE_OK)
    rc = sqlite_load_ranges(s);
  if (rc == SQLITE_OK)
    rc = load_counts(s);
  if (rc == SQLITE_OK)
    rc = tokens_load(s);
  if (rc == SQLITE_OK) {
    w->ranges_changed = false;
    w->committed = w->position;
    w->committed_group = w->group_number;
    return SQLITE_OK;
  }
  snprintf(out_reason, reason_size, "%s", sqlite3_errmsg(w->db));
  sqlite_disconnect(s);
  return rc;
}

static bool is_retired(sqlite_store *s, const reader *r) {
  pthread_mutex_lock(&s->read_lock);
  bool retired = r->retired;
  pthread_mutex_unlock(&s->read_lock);
  return retired;
}

void sqlite_disconnect(sqlite_store *s) {
  writer *w = &s->writer;
  copy_abandon(s);
  for (size_t i = 0; i < SQLITE_READER_SLOTS; i++) {
    reader *r = &s->readers[i];
    if (is_retired(s, r))
      continue; /* hangs, and closes its connection itself */
    pthread_mutex_lock(&r->lock);
    database_close(r->db);
    r->db = NULL;
    pthread_mutex_unlock(&r->lock);
  }
  /* Closing the connection finalises its statements. */
  memset(w->statements, 0, sizeof w->statements);
  w->insert = NULL;
  database_close(w->db);
  w->db = NULL;
}

/* ---- Opening ---- */

static int insert_meta(sqlite3 *db) {
  uint64_t rows;
  int rc = database_u64(db, "SELECT count(*) FROM meta", &rows);
  if (rc != SQLITE_OK || rows > 0)
    return rc;
  char uuid[TTI_UUID_TEXT], sql[200];
  tti_uuid4(uuid);
  snprintf(sql, sizeof sql,
           "INSERT INTO meta(id, log_uuid, next_seq, reserved_to, group_number)"
           " VALUES(1, '%s', 1, 0, 0)",
           uuid);
  return database_exec(db, sql);
}

/* The tables that everything else is found by. Checking all of them would cost
 * time in proportion to the history. */
static int check_small_tables(sqlite3 *db) {
  static const char *const checks[] = {"PRAGMA quick_check(meta)",
                                       "PRAGMA quick_check(log_tables)",
                                       "PRAGMA quick_check(ranges)"};
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
    sqlite3_stmt *stmt;
    int rc = database_prepare(db, checks[i], &stmt);
    if (rc != SQLITE_OK)
      return rc;
    rc = sqlite3_step(stmt);
    bool ok =
        rc == SQLITE_ROW && tti_slice_eq(column_blob(stmt, 0), TTI_SLICE("ok"));
    sqlite3_finalize(stmt);
    if (!ok)
      return rc == SQLITE_ROW ? SQLITE_CORRUPT : rc;
  }
  return SQLITE_OK;
}

static tt_error open_error(const char *path, int rc, const char *reason,
                           tti_buf *out_error) {
  int primary = rc & 0xff;
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
    tti_buf_printf(out_error, "%s is damaged (%s): restore it from a backup",
                   path, reason);
    return TT_ECORRUPT;
  }
  tti_buf_printf(out_error, "cannot open %s: %s", path, reason);
  if (primary == SQLITE_FULL)
    return TT_ENOSPACE;
  return primary == SQLITE_BUSY ? TT_EBUSY : TT_EIO;
}

/* Migrations and checks on a connection of their own. */
static tt_error prepare_file(sqlite_store *s, tti_buf *out_error) {
  sqlite3 *db;
  char reason[200];
  int rc = database_open(s->path, false, &db, reason, sizeof reason);
  if (rc != SQLITE_OK)
    return open_error(s->path, rc, reason, out_error);
  tt_error error = schema_migrate(db, s->path, schema_migrations,
                                  schema_migration_count, out_error);
  if (!error) {
    rc = check_small_tables(db);
    if (rc == SQLITE_OK)
      rc = insert_meta(db);
    if (rc != SQLITE_OK)
      error = open_error(s->path, rc,
                         rc == SQLITE_CORRUPT ? sqlite3_errstr(rc)
                                              : sqlite3_errmsg(db),
                         out_error);
  }
  database_close(db);
  return error;
}

/* Goes on above `to_seq`; the numbers up to it are not there, for `reason`. */
static int skip_to(sqlite_store *s, uint64_t to_seq, const char *reason) {
  writer *w = &s->writer;
  log_position *p = &w->position;
  int rc = writer_begin(s, true);
  if (rc == SQLITE_OK)
    rc = range_put(w, p->next_seq, to_seq, reason);
  if (rc == SQLITE_OK)
    rc = schema_unmark_backup(w->db);
  if (rc == SQLITE_OK) {
    p->next_seq = to_seq + 1;
    p->reserved_to = to_seq;
    rc = group_write_meta(s);
  }
  if (rc == SQLITE_OK)
    rc = writer_commit(s);
  if (rc == SQLITE_OK)
    rc = sqlite_load_ranges(s);
  w->ranges_changed = false;
  return rc;
}

/* A backup does not know what its original gave out since. Microseconds of the
 * clock are above that, and above what an earlier restoration began with, as
 * long as the clock is right and a second has less than a million events. */
static int record_restoration(sqlite_store *s, const char *what) {
  const log_position *p = &s->writer.position;
  const lock_memory *memory = &s->lock.memory;
  uint64_t to_seq = (uint64_t)(server_wall_us() / 1000) * 1000 - 1;
  uint64_t known = p->reserved_to > p->next_seq ? p->reserved_to : p->next_seq;
  if (known < memory->stored_seq)
    known = memory->stored_seq;
  if (known < memory->issued_seq)
    known = memory->issued_seq;
  if (to_seq <= known) {
    server_log(TT_LEVEL_WARN, "store",
               "%s: the clock is behind the last event; set it right before "
               "the server is used",
               s->path);
    to_seq = known + RESERVE_BLOCK;
  }
  server_log(TT_LEVEL_WARN, "store",
             "%s is %s: its events end with %llu, and new ones begin at %llu",
             s->path, what, (unsigned long long)p->next_seq - 1,
             (unsigned long long)to_seq + 1);
  int rc = skip_to(s, to_seq, "restored");
  /* From now on the file itself must say that it is no backup any more, not
   * only the log beside it (schema_check_header). */
  if (rc == SQLITE_OK)
    rc = sqlite3_wal_checkpoint_v2(s->writer.db, NULL,
                                   SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  return rc;
}

/* What was given out before an unclean end and is not there. If the kernel
 * lived on, everything committed is there, and nothing above what the lock file
 * says was given out; else it may have been the whole reservation. */
static int record_crash(sqlite_store *s, bool kernel_lived) {
  const log_position *p = &s->writer.position;
  uint64_t to_seq = p->reserved_to;
  if (kernel_lived && to_seq > s->lock.memory.issued_seq)
    to_seq = s->lock.memory.issued_seq;
  return to_seq < p->next_seq ? SQLITE_OK : skip_to(s, to_seq, "crash");
}

/* Numbers that were given out before and are not there. */
static int record_gap(sqlite_store *s) {
  lock_memory *memory = &s->lock.memory;
  char boot[40];
  bool is_backup;
  int rc = schema_is_backup(s->writer.db, &is_backup);
  if (rc != SQLITE_OK)
    return rc;
  if (strcmp(memory->log, s->shown.log_uuid) != 0)
    *memory = (lock_memory){0};
  lock_boot(boot);
  if (is_backup)
    rc = record_restoration(s, "a backup");
  else if (s->writer.position.next_seq < memory->stored_seq)
    rc = record_restoration(s, "older than what was here last");
  else
    rc = record_crash(s, *boot && strcmp(memory->boot, boot) == 0);
  memcpy(memory->boot, boot, sizeof boot);
  memcpy(memory->log, s->shown.log_uuid, sizeof memory->log);
  memory->issued_seq = 0;
  /* Without it the old memory must not stay: numbers would be used twice. */
  if (rc == SQLITE_OK && !lock_write(&s->lock))
    rc = SQLITE_IOERR_WRITE;
  return rc;
}

static int load_uuid(sqlite_store *s) {
  sqlite3_stmt *stmt;
  int rc = database_prepare(s->writer.db, "SELECT log_uuid FROM meta", &stmt);
  if (rc != SQLITE_OK)
    return rc;
  if (sqlite3_step(stmt) == SQLITE_ROW)
    snprintf(s->shown.log_uuid, sizeof s->shown.log_uuid, "%s",
             (const char *)sqlite3_column_text(stmt, 0));
  sqlite3_finalize(stmt);
  return SQLITE_OK;
}

static tt_error start_threads(sqlite_store *s) {
  s->writer_started =
      tti_thread_start(&s->writer_thread, sqlite_writer_main, s);
  bool started = s->writer_started;
  for (size_t i = 0; started && i < SQLITE_READERS; i++)
    started = sqlite_start_reader(s, &s->roles[i]);
  return started ? TT_OK : TT_ENOMEM;
}

/* ---- The interface ---- */

static void sqlite_status(store *base, store_status *out_status) {
  sqlite_store *s = (sqlite_store *)base;
  pthread_mutex_lock(&s->shown_lock);
  *out_status = s->shown;
  pthread_mutex_unlock(&s->shown_lock);
  pthread_mutex_lock(&s->queue_lock);
  out_status->queue_jobs = s->queue_jobs;
  out_status->queue_bytes = s->queue_bytes;
  pthread_mutex_unlock(&s->queue_lock);
}

static size_t sqlite_ranges(store *base, uint64_t after_seq, uint64_t to_seq,
                            store_range *out_ranges, size_t max) {
  sqlite_store *s = (sqlite_store *)base;
  pthread_mutex_lock(&s->shown_lock);
  size_t count =
      range_list_copy(&s->ranges, after_seq, to_seq, out_ranges, max);
  pthread_mutex_unlock(&s->shown_lock);
  return count;
}

static size_t sqlite_counts(store *base, store_dimension dimension,
                            store_count *out_counts, size_t max) {
  sqlite_store *s = (sqlite_store *)base;
  return counters_copy(&s->counts, dimension, out_counts, max);
}

static void destroy(sqlite_store *s) {
  sqlite_disconnect(s);
  lock_release(&s->lock);
  for (size_t i = 0; i < SQLITE_READER_SLOTS; i++)
    pthread_mutex_destroy(&s->readers[i].lock);
  pthread_mutex_destroy(&s->queue_lock);
  pthread_cond_destroy(&s->queue_ready);
  pthread_cond_destroy(&s->copied);
  pthread_mutex_destroy(&s->read_lock);
  pthread_cond_destroy(&s->read_ready);
  pthread_mutex_destroy(&s->shown_lock);
  range_list_fini(&s->ranges);
  counters_fini(&s->counts);
  free(s->writer.tables);
  free(s->tokens);
  free(s->path);
  free(s);
}

static void sqlite_close(store *base, int timeout_ms) {
  sqlite_store *s = (sqlite_store *)base;
  pthread_mutex_lock(&s->read_lock);
  s->reads_closing = true;
  pthread_cond_broadcast(&s->read_ready);
  pthread_mutex_unlock(&s->read_lock);
  for (size_t i = 0; i < SQLITE_READER_SLOTS; i++)
    if (s->readers[i].started)
      pthread_join(s->readers[i].thread, NULL);
  pthread_mutex_lock(&s->queue_lock);
  s->closing = true;
  s->close_by_us = server_monotonic_us() + (int64_t)timeout_ms * 1000;
  pthread_cond_signal(&s->queue_ready);
  pthread_mutex_unlock(&s->queue_lock);
  if (s->writer_started)
    pthread_join(s->writer_thread, NULL);
  destroy(s);
}

static const store_ops sqlite_ops = {
    .name = "sqlite",
    .close = sqlite_close,
    .submit = sqlite_submit,
    .read = sqlite_read,
    .status = sqlite_status,
    .ranges = sqlite_ranges,
    .counts = sqlite_counts,
    .tokens = sqlite_tokens,
    .back_up = sqlite_back_up,
    .setting = sqlite_setting,
    .watches = sqlite_watches,
};

static void init_locks(sqlite_store *s) {
  pthread_mutex_init(&s->queue_lock, NULL);
  tti_cond_init(&s->queue_ready);
  pthread_cond_init(&s->copied, NULL);
  pthread_mutex_init(&s->read_lock, NULL);
  pthread_cond_init(&s->read_ready, NULL);
  pthread_mutex_init(&s->shown_lock, NULL);
  counters_init(&s->counts);
  atomic_init(&s->writer_beats, 0);
  for (size_t i = 0; i < SQLITE_READER_SLOTS; i++) {
    s->readers[i].store = s;
    pthread_mutex_init(&s->readers[i].lock, NULL);
  }
}

static void set_defaults(store_options *o) {
  if (!o->queue_max_jobs)
    o->queue_max_jobs = DEFAULT_QUEUE_JOBS;
  if (!o->queue_max_bytes)
    o->queue_max_bytes = DEFAULT_QUEUE_BYTES;
  if (!o->retain_us)
    o->retain_us = DEFAULT_RETAIN_US;
  if (!o->retain_bytes)
    o->retain_bytes = DEFAULT_RETAIN_BYTES;
  if (!o->table_rows)
    o->table_rows = DEFAULT_TABLE_ROWS;
}

static tt_error open_store(sqlite_store *s, tti_buf *out_error) {
  tt_error error =
      schema_check_header(s->path, schema_migration_count, out_error);
  if (!error)
    error = lock_take(&s->lock, s->path, out_error);
  if (!error)
    error = make_file(s->path, out_error);
  if (!error)
    error = prepare_file(s, out_error);
  if (error)
    return error;
  char reason[200] = "";
  int rc = sqlite_connect(s, reason, sizeof reason);
  if (rc == SQLITE_OK) {
    rc = load_uuid(s);
    if (rc == SQLITE_OK)
      rc = record_gap(s);
    if (rc != SQLITE_OK)
      snprintf(reason, sizeof reason, "%s", sqlite3_errmsg(s->writer.db));
  }
  if (rc != SQLITE_OK)
    return open_error(s->path, rc, reason, out_error);
  return TT_OK;
}

tt_error store_sqlite_open(const store_options *options, tti_buf *out_error,
                           store **out_store) {
  sqlite_store *s = calloc(1, sizeof *s);
  if (!s)
    return TT_ENOMEM;
  s->base.ops = &sqlite_ops;
  s->lock.fd = -1;
  s->options = *options;
  set_defaults(&s->options);
  store_retain(&s->base, s->options.retain_us, s->options.retain_bytes);
  init_locks(s);
  s->path = strdup(options->path);
  tt_error error = s->path ? open_store(s, out_error) : TT_ENOMEM;
  if (error) {
    destroy(s);
    return error;
  }
  s->options.path = s->path;
  s->shown.healthy = true;
  s->shown.schema_version = schema_migration_count;
  sqlite_show(s);
  error = start_threads(s);
  if (error) {
    sqlite_close(&s->base, 0);
    tti_buf_append_text(out_error, "cannot start the store's threads");
    return error;
  }
  *out_store = &s->base;
  return TT_OK;
}
