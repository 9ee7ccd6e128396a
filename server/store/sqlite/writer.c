#include "server/store/sqlite/sqlite.h"

#include "lib/base/cond.h"
#include "server/io/clock.h"
#include "server/testing/fault.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <telltale/metrics.h>

/* The writing thread.
 *
 *            group committed                    probe written
 *              ┌───────┐                      ┌──────────────┐
 *              ▼       │   no space left      │              ▼
 *            HEALTHY ──┴──────────────────► DISK_FULL ──► HEALTHY
 *              │                               │
 *              │ any other error               │ any other error
 *              ▼                               ▼
 *            BROKEN: no connection; one try a second to reopen. The group whose
 *            COMMIT failed waits here until the file says whether it is there.
 *
 * While it is not HEALTHY, jobs are answered STORE_RETRY with the reason, but
 * for rows whose seq was given out before: those have been answered already,
 * so they stay in the queue, under its ceiling. */

#define UPKEEP_EVERY_US 1000000
#define TRY_EVERY_US    1000000
#define JOB_BYTES       sizeof(store_job)
/* Rows that were answered before they are written hurry nobody: they are left
 * to gather for a while, or each would cost a wake and a transaction. */
#define LINGER_US   5000
#define LINGER_JOBS 1024

/* ---- The queue ---- */

static void push(job_list *list, store_job *job) {
  job->next = NULL;
  if (list->last)
    list->last->next = job;
  else
    list->first = job;
  list->last = job;
}

static store_job *pop(job_list *list) {
  store_job *job = list->first;
  if (job) {
    list->first = job->next;
    if (!list->first)
      list->last = NULL;
    job->next = NULL;
  }
  return job;
}

static size_t job_bytes(const store_job *job) {
  return JOB_BYTES + (job->kind == STORE_JOB_APPEND ? job->batch->bytes.len
                                                    : job->value.len);
}

static size_t job_rows(const store_job *job) {
  return job->kind == STORE_JOB_APPEND ? job->batch->count : 1;
}

/* Under the lock. Rows that may be answered before they are committed: after a
 * kill this says which numbers they can have had. */
static tt_error note_issued(sqlite_store *s, const store_job *job) {
  lock_memory *memory = &s->lock.memory;
  if (!job->reserved)
    return TT_OK;
  uint64_t last = job->first_seq + job->batch->count - 1;
  uint64_t before = memory->issued_seq;
  if (last <= before)
    return TT_OK;
  memory->issued_seq = last | (ISSUED_STEP - 1);
  if (lock_write(&s->lock))
    return TT_OK;
  memory->issued_seq = before;
  return TT_EIO;
}

tt_error sqlite_submit(store *base, store_job *job) {
  sqlite_store *s = (sqlite_store *)base;
  size_t bytes = job_bytes(job);
  tt_error error = TT_OK;
  job->reserved = job->kind == STORE_JOB_APPEND && job->first_seq != 0;
  pthread_mutex_lock(&s->queue_lock);
  if (s->closing) {
    error = TT_ECLOSED;
  } else if (s->queue_jobs >= s->options.queue_max_jobs ||
             (s->queue_jobs > 0 &&
              s->queue_bytes + bytes > s->options.queue_max_bytes)) {
    error = TT_EFULL;
  } else if (!(error = note_issued(s, job))) {
    push(&s->queue, job);
    s->queue_jobs++;
    s->queue_bytes += bytes;
    s->queue_unowed += !job->reserved;
    if (s->writer_sleeps || (s->writer_lingers &&
                             (s->queue_unowed || s->queue_jobs == LINGER_JOBS)))
      pthread_cond_signal(&s->queue_ready);
  }
  pthread_mutex_unlock(&s->queue_lock);
  return error;
}

/* Back to the front, in order: under the ceiling it was taken from. */
static void give_back(sqlite_store *s, job_list list) {
  if (!list.first)
    return;
  pthread_mutex_lock(&s->queue_lock);
  for (store_job *job = list.first; job; job = job->next) {
    s->queue_jobs++;
    s->queue_bytes += job_bytes(job);
    s->queue_unowed += !job->reserved;
  }
  list.last->next = s->queue.first;
  if (!s->queue.last)
    s->queue.last = list.last;
  s->queue.first = list.first;
  pthread_mutex_unlock(&s->queue_lock);
}

static void unqueue(sqlite_store *s, store_job *job) {
  s->queue_jobs--;
  s->queue_bytes -= job_bytes(job);
  s->queue_unowed -= !job->reserved;
}

/* Under the lock. One group: jobs until it has enough rows or bytes, none
 * split, at least one. */
static job_list take_group(sqlite_store *s) {
  job_list group = {0};
  size_t rows = 0, bytes = 0;
  while (s->queue.first) {
    size_t more_rows = job_rows(s->queue.first);
    size_t more_bytes = job_bytes(s->queue.first);
    if (group.first && (rows + more_rows > GROUP_MAX_ROWS ||
                        bytes + more_bytes > GROUP_MAX_BYTES))
      break;
    store_job *job = pop(&s->queue);
    unqueue(s, job);
    push(&group, job);
    rows += more_rows;
    bytes += more_bytes;
  }
  return group;
}

/* Under the lock. What an unhealthy store answers at once. */
static job_list take_unowed(sqlite_store *s, bool all) {
  job_list taken = {0}, kept = {0};
  store_job *job;
  while ((job = pop(&s->queue))) {
    if (job->reserved && !all) {
      push(&kept, job);
    } else {
      unqueue(s, job);
      push(&taken, job);
    }
  }
  s->queue = kept;
  return taken;
}

/* ---- Answers ---- */

static void answer(job_list list) {
  store_job *job;
  while ((job = list.first)) {
    list.first = job->next;
    job->more = false;
    if (job->kind == STORE_JOB_APPEND)
      for (store_job *next = job->next; next && !job->more; next = next->next)
        job->more = next->kind == STORE_JOB_APPEND;
    job->done(job);
  }
}

static void answer_retry(sqlite_store *s, job_list list) {
  char reason[sizeof((store_job *)0)->reason];
  pthread_mutex_lock(&s->shown_lock);
  snprintf(reason, sizeof reason, "%.*s", (int)sizeof reason - 1,
           s->shown.healthy ? "the store is closing" : s->shown.reason);
  pthread_mutex_unlock(&s->shown_lock);
  for (store_job *job = list.first; job; job = job->next) {
    job->verdict = STORE_RETRY;
    if (!job->reserved)
      job->first_seq = 0;
    job->count = 0;
    memcpy(job->reason, reason, sizeof reason);
  }
  answer(list);
}

/* Rows that were answered before they were written are still owed; the rest
 * may be tried again by whoever sent them. */
static void answer_failed(sqlite_store *s, job_list group) {
  job_list owed = {0}, failed = {0};
  store_job *job;
  while ((job = pop(&group)))
    push(job->reserved ? &owed : &failed, job);
  give_back(s, owed);
  answer_retry(s, failed);
}

/* ---- What others see ---- */

void sqlite_show(sqlite_store *s) {
  writer *w = &s->writer;
  const log_position *p = &w->committed;
  pthread_mutex_lock(&s->shown_lock);
  s->shown.head_seq = p->next_seq - 1;
  s->shown.next_seq = p->next_seq;
  s->shown.oldest_seq = p->oldest_seq ? p->oldest_seq : p->next_seq;
  s->shown.stored_total += w->group_rows;
  pthread_mutex_unlock(&s->shown_lock);
  w->group_rows = 0;
}

static void show_sizes(sqlite_store *s) {
  writer *w = &s->writer;
  char wal[4096];
  struct stat st;
  snprintf(wal, sizeof wal, "%s-wal", s->path);
  uint64_t wal_bytes = stat(wal, &st) == 0 ? (uint64_t)st.st_size : 0;
  pthread_mutex_lock(&s->shown_lock);
  s->shown.wal_bytes = wal_bytes;
  s->shown.used_bytes = (w->used_pages - w->free_pages) * w->page_bytes;
  store_status shown = s->shown;
  pthread_mutex_unlock(&s->shown_lock);
  tt_metrics *m = s->options.metrics;
  tt_metrics_set(m, TT_METRIC_STORE_WAL_BYTES, (double)wal_bytes, NULL, NULL);
  tt_metrics_set(m, TT_METRIC_STORE_BYTES, (double)shown.used_bytes, NULL,
                 NULL);
  tt_metrics_set(m, TT_METRIC_STORE_HEAD, (double)shown.head_seq, NULL, NULL);
  tt_metrics_set(m, TT_METRIC_STORE_OLDEST, (double)shown.oldest_seq, NULL,
                 NULL);
}

static void set_health(sqlite_store *s, store_health health, const char *what) {
  s->writer.health = health;
  pthread_mutex_lock(&s->shown_lock);
  s->shown.healthy = health == HEALTHY;
  if (health == DISK_FULL)
    snprintf(s->shown.reason, sizeof s->shown.reason,
             "no space left on the device of %s: free some; the store goes on "
             "by itself",
             s->path);
  else if (health == BROKEN)
    snprintf(s->shown.reason, sizeof s->shown.reason,
             "%s failed on %s; reopening it every second", what, s->path);
  else
    s->shown.reason[0] = '\0';
  pthread_mutex_unlock(&s->shown_lock);
}

/* ---- Transactions ---- */

sqlite3_stmt *writer_statement(writer *w, statement_id id, int *rc) {
  static const char *const texts[] = {
#define X(name, sql) sql,
      STATEMENT_MAP(X)
#undef X
  };
  *rc = SQLITE_OK;
  if (!w->statements[id])
    *rc = database_prepare(w->db, texts[id], &w->statements[id]);
  return w->statements[id];
}

int writer_begin(sqlite_store *s, bool synced) {
  writer *w = &s->writer;
  int rc = SQLITE_OK;
  if (w->synced != synced) {
    rc = database_exec(w->db, synced ? "PRAGMA synchronous=FULL"
                                     : "PRAGMA synchronous=NORMAL");
    w->synced = synced;
  }
  sqlite3_stmt *begin = rc ? NULL : writer_statement(w, STMT_BEGIN, &rc);
  return begin ? database_run(begin) : rc;
}

int writer_commit(sqlite_store *s) {
  writer *w = &s->writer;
  int rc = database_fault(FAULT_POINT("store.commit.before"));
  if (rc != SQLITE_OK)
    return rc;
  sqlite3_stmt *commit = writer_statement(w, STMT_COMMIT, &rc);
  if (!commit || (rc = database_run(commit)) != SQLITE_OK)
    return rc;
  rc = database_fault(FAULT_POINT("store.commit.after"));
  if (rc != SQLITE_OK)
    return rc == SQLITE_FULL ? SQLITE_IOERR : rc;
  w->committed = w->position;
  if (w->synced)
    w->durable_seq = w->committed.next_seq;
  return SQLITE_OK;
}

/* Everything the transaction changed in memory goes back. */
static int roll_back(sqlite_store *s) {
  writer *w = &s->writer;
  if (!sqlite3_get_autocommit(w->db))
    database_exec(w->db, "ROLLBACK");
  w->position = w->committed;
  w->group_number = w->committed_group;
  w->group_rows = 0;
  w->deleted_rows = 0;
  w->tokens_changed = false;
  sqlite3_finalize(w->insert);
  w->insert = NULL;
  counters_rollback(&s->counts);
  int rc = w->ranges_changed ? sqlite_load_ranges(s) : SQLITE_OK;
  w->ranges_changed = false;
  return rc == SQLITE_OK ? tables_load(w) : rc;
}

/* ---- Failing ---- */

static bool is_full(int rc) {
  return (rc & 0xff) == SQLITE_FULL;
}

static void count_error(sqlite_store *s, const char *stage) {
  tt_metrics_add(s->options.metrics, TT_METRIC_STORE_ERRORS, 1, stage, NULL);
}

static void break_down(sqlite_store *s, const char *stage) {
  writer *w = &s->writer;
  /* Numbers that RESERVE gave out stay given out. */
  uint64_t handed_to = w->committed.handed_to;
  sqlite_disconnect(s);
  counters_rollback(&s->counts);
  w->group_rows = 0;
  w->position = w->committed;
  w->position.handed_to = handed_to;
  w->next_try_us = server_monotonic_us();
  set_health(s, BROKEN, stage);
}

static void fail_group(sqlite_store *s, job_list group, int rc,
                       const char *stage, bool in_commit) {
  writer *w = &s->writer;
  count_error(s, stage);
  if (in_commit && !is_full(rc)) {
    /* A COMMIT is never tried again: only the file knows what became of it.
     * Without memory, too, it may lack no more than its entry in the index. */
    w->held = group;
    w->held_group = w->group_number;
    break_down(s, stage);
    return;
  }
  int back = roll_back(s);
  if (is_full(rc) && back == SQLITE_OK) {
    set_health(s, DISK_FULL, stage);
    w->next_try_us = server_monotonic_us() + TRY_EVERY_US;
  } else {
    break_down(s, stage);
  }
  answer_failed(s, group);
}

static void reopen(sqlite_store *s) {
  writer *w = &s->writer;
  char reason[160];
  uint64_t handed_to = w->position.handed_to;
  w->next_try_us = server_monotonic_us() + TRY_EVERY_US;
  if (sqlite_connect(s, reason, sizeof reason) != SQLITE_OK) {
    count_error(s, "open");
    return;
  }
  job_list held = w->held;
  w->held = (job_list){0};
  bool durable = held.first && w->group_number == w->held_group;
  for (store_job *job = held.first; durable && job; job = job->next) {
    if (job->verdict != STORE_OK)
      continue;
    if (job->kind == STORE_JOB_APPEND)
      w->group_rows += job->count;
    if (job->kind == STORE_JOB_RESERVE)
      handed_to = job->first_seq + job->count - 1;
  }
  w->position.handed_to = w->committed.handed_to = handed_to;
  if (durable) {
    sqlite_show(s);
    set_health(s, HEALTHY, "");
    answer(held);
  } else {
    /* Before the health changes: the reason is in it. */
    answer_failed(s, held);
    sqlite_show(s);
    set_health(s, HEALTHY, "");
  }
}

/* What lies in the write-ahead log and fits into the database gives the log's
 * space back. */
static int regain_log(sqlite_store *s) {
  writer *w = &s->writer;
  int rc = sqlite3_wal_checkpoint_v2(w->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                     NULL, NULL);
  if (rc == SQLITE_OK)
    w->wal_frames = 0;
  return is_full(rc) || (rc & 0xff) == SQLITE_BUSY ? SQLITE_OK : rc;
}

static void probe(sqlite_store *s) {
  writer *w = &s->writer;
  w->next_try_us = server_monotonic_us() + TRY_EVERY_US;
  int rc = regain_log(s);
  if (rc == SQLITE_OK)
    rc = writer_begin(s, true);
  bool begun = rc == SQLITE_OK;
  if (begun)
    rc = database_fault(FAULT_POINT("store.write"));
  if (rc == SQLITE_OK)
    rc = group_write_meta(s);
  if (rc == SQLITE_OK)
    rc = writer_commit(s);
  if (rc == SQLITE_OK) {
    w->committed_group = w->group_number;
    set_health(s, HEALTHY, "");
    return;
  }
  count_error(s, "probe");
  if (roll_back(s) != SQLITE_OK || !is_full(rc))
    break_down(s, "probe");
}

/* ---- A group ---- */

/* Whether this group's COMMIT must reach the disk before its verdicts: always
 * under sync; else only to make a reservation of numbers good. */
static bool needs_sync(const sqlite_store *s, const job_list *group) {
  const log_position *p = &s->writer.position;
  if (s->options.durability == STORE_SYNC)
    return group->first != NULL;
  for (const store_job *job = group->first; job; job = job->next)
    if (job->kind != STORE_JOB_APPEND && job->kind != STORE_JOB_LOOKUP &&
        job->kind != STORE_JOB_RUN)
      return true;
  return group->first && p->next_seq + RESERVE_BLOCK / 2 > p->reserved_to;
}

static void extend_reservation(sqlite_store *s, bool synced) {
  log_position *p = &s->writer.position;
  uint64_t wanted = p->next_seq + RESERVE_BLOCK - 1;
  if (synced && s->options.durability != STORE_SYNC && p->reserved_to < wanted)
    p->reserved_to = wanted;
}

static void settle_group(sqlite_store *s) {
  writer *w = &s->writer;
  int rc = SQLITE_OK;
  w->committed_group = w->group_number;
  counters_commit(&s->counts);
  w->ranges_changed = false;
  if (w->tokens_changed)
    rc = tokens_load(s);
  tt_metrics *m = s->options.metrics;
  tt_metrics_add(m, TT_METRIC_STORE_GROUPS, 1, NULL, NULL);
  if (w->deleted_rows)
    tt_metrics_add(m, TT_METRIC_RETENTION_DELETED, w->deleted_rows, NULL, NULL);
  w->deleted_rows = 0;
  sqlite_show(s);
  if (rc != SQLITE_OK) {
    count_error(s, "load");
    break_down(s, "reading");
  }
}

static void run_group(sqlite_store *s, job_list group) {
  writer *w = &s->writer;
  const char *stage = "begin";
  bool synced = needs_sync(s, &group);
  int rc = writer_begin(s, synced);
  if (rc == SQLITE_OK) {
    stage = "write";
    extend_reservation(s, synced);
    rc = group.first ? database_fault(FAULT_POINT("store.write")) : SQLITE_OK;
  }
  for (store_job *job = group.first; rc == SQLITE_OK && job; job = job->next)
    rc = group_run_job(s, job);
  if (rc == SQLITE_OK)
    rc = upkeep_run(s, !group.first);
  if (rc == SQLITE_OK)
    rc = group_write_meta(s);
  /* Before the rows are gone for readers: a row and its range may both be seen
   * for a moment, never neither. */
  if (rc == SQLITE_OK && w->ranges_changed)
    rc = sqlite_load_ranges(s);
  bool in_commit = rc == SQLITE_OK;
  if (in_commit) {
    stage = "commit";
    rc = writer_commit(s);
  }
  if (rc != SQLITE_OK) {
    fail_group(s, group, rc, stage, in_commit);
    return;
  }
  settle_group(s);
  answer(group);
}

static void checkpoint(sqlite_store *s) {
  writer *w = &s->writer;
  if (w->health != HEALTHY || w->wal_frames < CHECKPOINT_FRAMES)
    return;
  bool large = w->wal_frames * w->page_bytes > WAL_RESTART_BYTES;
  int frames = 0, done = 0;
  int rc = database_fault(FAULT_POINT("store.checkpoint"));
  if (rc == SQLITE_OK)
    rc = sqlite3_wal_checkpoint_v2(w->db, NULL,
                                   large ? SQLITE_CHECKPOINT_RESTART
                                         : SQLITE_CHECKPOINT_PASSIVE,
                                   &frames, &done);
  if (rc == SQLITE_OK && frames == done)
    w->wal_frames = 0;
  if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
    return;
  count_error(s, "checkpoint");
  if (is_full(rc))
    set_health(s, DISK_FULL, "checkpoint");
  else
    break_down(s, "checkpoint");
}

/* Doing without only means that an older copy may pass for this one. */
static void note_durable(sqlite_store *s) {
  pthread_mutex_lock(&s->queue_lock);
  lock_memory *memory = &s->lock.memory;
  if (memory->stored_seq < s->writer.durable_seq) {
    memory->stored_seq = s->writer.durable_seq;
    lock_write(&s->lock);
  }
  pthread_mutex_unlock(&s->queue_lock);
}

static void upkeep(sqlite_store *s) {
  writer *w = &s->writer;
  int64_t now = server_monotonic_us();
  if (now < w->next_upkeep_us || w->health != HEALTHY)
    return;
  w->next_upkeep_us = now + UPKEEP_EVERY_US;
  note_durable(s);
  int rc = upkeep_check(s);
  if (rc != SQLITE_OK) {
    count_error(s, "upkeep");
    break_down(s, "reading");
  }
  show_sizes(s);
}

/* ---- The thread ---- */

static void wait_until(sqlite_store *s, int64_t until_us, bool *asleep) {
  int64_t wait_us = until_us - server_monotonic_us();
  if (wait_us <= 0)
    return;
  *asleep = true;
  tti_cond_wait(&s->queue_ready, &s->queue_lock,
                tti_monotonic_us(&tti_clock_system) + wait_us);
  *asleep = false;
}

/* One turn: waits for something to do and says what. False: the end. */
static bool next_turn(sqlite_store *s, job_list *out_group,
                      job_list *out_refused, copy **out_copy) {
  writer *w = &s->writer;
  bool healthy = w->health == HEALTHY;
  int64_t due_us = healthy ? w->next_upkeep_us : w->next_try_us;
  bool go_on = true;
  pthread_mutex_lock(&s->queue_lock);
  bool idle =
      healthy ? !s->queue.first && !w->background_due : s->queue_unowed == 0;
  idle = idle && !s->copy;
  if (idle && !s->closing)
    wait_until(s, due_us, &s->writer_sleeps);
  if (healthy && s->queue.first && s->queue_unowed == 0 && !s->copy &&
      !s->closing)
    wait_until(s, server_monotonic_us() + LINGER_US, &s->writer_lingers);
  bool late = s->closing && server_monotonic_us() >= s->close_by_us;
  if (s->closing && (late || (!s->queue.first && !w->held.first))) {
    *out_refused = take_unowed(s, true);
    go_on = false;
  } else if (healthy) {
    *out_group = take_group(s);
  } else {
    *out_refused = take_unowed(s, false);
    if (s->closing)
      wait_until(s, due_us < s->close_by_us ? due_us : s->close_by_us,
                 &s->writer_sleeps);
  }
  *out_copy = s->copy;
  pthread_mutex_unlock(&s->queue_lock);
  return go_on;
}

/* What was given out and is not stored must not be given out again; what was
 * reserved and not given out leaves no hole. */
static void end_cleanly(sqlite_store *s) {
  writer *w = &s->writer;
  log_position *p = &w->position;
  if (w->health != HEALTHY)
    return;
  if (p->reserved_to >= p->next_seq) {
    uint64_t owed_to = w->owed_to > p->next_seq ? w->owed_to : 0;
    int rc = writer_begin(s, true);
    if (rc == SQLITE_OK && owed_to)
      rc = range_put(w, p->next_seq, owed_to, "lost");
    if (rc == SQLITE_OK) {
      if (owed_to)
        p->next_seq = owed_to + 1;
      p->reserved_to = p->next_seq - 1;
      rc = group_write_meta(s);
    }
    if (rc == SQLITE_OK)
      rc = writer_commit(s);
    if (rc != SQLITE_OK)
      roll_back(s);
  }
  if (sqlite3_wal_checkpoint_v2(w->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                NULL) == SQLITE_OK)
    w->durable_seq = w->committed.next_seq;
  note_durable(s);
}

/* Relaxed: a counter that says nothing about other memory. */
static void beat(sqlite_store *s) {
  atomic_fetch_add_explicit(&s->writer_beats, 1, memory_order_relaxed);
}

void *sqlite_writer_main(void *argument) {
  sqlite_store *s = argument;
  writer *w = &s->writer;
  job_list group = {0}, refused = {0};
  copy *copying = NULL;
  while (next_turn(s, &group, &refused, &copying)) {
    beat(s);
    if (refused.first)
      answer_retry(s, refused);
    if (group.first || (w->health == HEALTHY && w->background_due))
      run_group(s, group);
    if (copying)
      copy_bite(s, copying);
    if (w->health != HEALTHY && server_monotonic_us() >= w->next_try_us) {
      if (w->health == BROKEN)
        reopen(s);
      else
        probe(s);
    }
    checkpoint(s);
    upkeep(s);
    group = refused = (job_list){0};
    beat(s);
  }
  for (store_job *job = refused.first; job; job = job->next)
    if (job->reserved && job->first_seq + job->batch->count - 1 > w->owed_to)
      w->owed_to = job->first_seq + job->batch->count - 1;
  end_cleanly(s);
  answer_retry(s, w->held);
  answer_retry(s, refused);
  return NULL;
}
