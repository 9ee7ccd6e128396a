/* What every store promises, tried on each implementation. A new one adds a row
 * to `stores` and passes the rest unchanged. */
#include "tests/unit.h"

#include "server/io/clock.h"
#include "server/store/store.h"
#include "server/testing/clock.h"
#include "server/testing/fault.h"
#include "server/testing/vfs.h"
#include "tests/contract/records.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef tt_error (*open_function)(const store_options *options,
                                  tti_buf *out_error, store **out_store);

typedef struct implementation {
  const char *name;
  open_function open;
  bool persists; /* over a restart, and after a kill */
} implementation;

static const implementation stores[] = {
    {"sqlite", store_sqlite_open, true},
    {"memory", store_memory_open, false},
};

/* One test's store in a folder of its own. */
typedef struct fixture {
  const implementation *impl;
  store_options options;
  char directory[32];
  char path[64];
  store *store;
  tti_buf error;
} fixture;

/* ---- Waiting for an answer ---- */

typedef struct waited {
  store_job job;
  sem_t answered;
} waited;

static void on_done(store_job *job) {
  sem_post(&((waited *)job)->answered);
}

static void wait_for(sem_t *sem) {
  while (sem_wait(sem) != 0)
    ;
}

static tt_error run(fixture *f, waited *w) {
  w->job.done = on_done;
  sem_init(&w->answered, 0, 0);
  tt_error error = store_submit(f->store, &w->job);
  if (!error)
    wait_for(&w->answered);
  sem_destroy(&w->answered);
  return error;
}

static store_verdict append_batch(fixture *f, const tti_batch *batch,
                                  uint64_t *out_first) {
  waited w = {.job = {.kind = STORE_JOB_APPEND,
                      .batch = batch,
                      .received_us = server_wall_us()}};
  assert_int_equal(run(f, &w), TT_OK);
  if (out_first)
    *out_first = w.job.first_seq;
  return w.job.verdict;
}

/* `count` records of one source. */
static uint64_t append(fixture *f, const char *source, size_t count) {
  tti_batch batch;
  uint64_t first = 0;
  records_make(&batch, source, "test", count);
  assert_int_equal(append_batch(f, &batch, &first), STORE_OK);
  tti_batch_fini(&batch);
  return first;
}

static store_verdict append_keyed(fixture *f, const char *key, char body,
                                  size_t count, uint64_t *out_first,
                                  uint64_t *out_count) {
  tti_batch batch;
  records_make(&batch, "keyed", "test", count);
  waited w = {.job = {.kind = STORE_JOB_APPEND,
                      .batch = &batch,
                      .received_us = server_wall_us(),
                      .key = {.scope = TTI_SLICE("t /events"),
                              .key = tti_slice_of(key)}}};
  memset(w.job.key.body_sha256, body, sizeof w.job.key.body_sha256);
  assert_int_equal(run(f, &w), TT_OK);
  tti_batch_fini(&batch);
  *out_first = w.job.first_seq;
  *out_count = w.job.count;
  return w.job.verdict;
}

typedef struct waited_read {
  store_read read;
  sem_t answered;
} waited_read;

static void on_read(store_read *read) {
  sem_post(&((waited_read *)read)->answered);
}

/* The caller frees read.rows. */
static tt_error try_read(fixture *f, waited_read *r) {
  r->read.done = on_read;
  tti_buf_init(&r->read.rows, 8u << 20);
  sem_init(&r->answered, 0, 0);
  assert_int_equal(store_read_submit(f->store, &r->read), TT_OK);
  wait_for(&r->answered);
  sem_destroy(&r->answered);
  return r->read.error;
}

static void read_once(fixture *f, waited_read *r) {
  assert_int_equal(try_read(f, r), TT_OK);
}

/* Reads to the end by continuation; the seqs go into out_seqs. */
static size_t read_all(fixture *f, store_read wanted, uint64_t *out_seqs,
                       size_t max) {
  size_t count = 0;
  for (;;) {
    waited_read r = {.read = wanted};
    read_once(f, &r);
    store_row row;
    tti_slice bytes;
    for (size_t at = 0; store_row_next(&r.read, &at, &row, &bytes);) {
      tti_record record;
      assert_int_equal(tti_record_decode(bytes, &record), TT_OK);
      assert_true(count < max);
      out_seqs[count++] = row.seq;
    }
    tti_buf_fini(&r.read.rows);
    if (!r.read.more)
      return count;
    if (wanted.order == STORE_ASCENDING)
      wanted.after_seq = r.read.next_seq;
    else
      wanted.before_seq = r.read.next_seq;
  }
}

static store_status status(fixture *f) {
  store_status now;
  store_status_get(f->store, &now);
  return now;
}

/* ---- The fixture ---- */

static tt_error open_again(fixture *f) {
  tti_buf_clear(&f->error);
  return f->impl->open(&f->options, &f->error, &f->store);
}

static void close_store(fixture *f) {
  store_close(f->store, 5000);
  f->store = NULL;
}

static int set_up(void **state, const implementation *impl) {
  fixture *f = calloc(1, sizeof *f);
  f->impl = impl;
  strcpy(f->directory, "/tmp/tt-store-XXXXXX");
  if (!mkdtemp(f->directory))
    return -1;
  snprintf(f->path, sizeof f->path, "%s/log.db", f->directory);
  f->options = (store_options){
      .path = f->path, .durability = STORE_SYNC, .table_rows = 1000};
  tti_buf_init(&f->error, 4096);
  *state = f;
  return open_again(f) == TT_OK ? 0 : -1;
}

static int tear_down(void **state) {
  fixture *f = *state;
  char command[64];
  fault_clear();
  if (f->store)
    close_store(f);
  tti_buf_fini(&f->error);
  snprintf(command, sizeof command, "rm -r %s", f->directory);
  int removed = system(command);
  free(f);
  return removed;
}

/* ---- Sequence and order ---- */

static void numbers_rise_by_one(void **state) {
  fixture *f = *state;
  uint64_t first = append(f, "a", 3);
  if (f->impl->persists)
    assert_int_equal(first, 1);
  assert_int_equal(append(f, "b", 5), first + 3);
  assert_int_equal(append(f, "c", 1), first + 8);
  store_status now = status(f);
  assert_int_equal(now.head_seq, first + 8);
  assert_int_equal(now.next_seq, first + 9);
  assert_int_equal(now.oldest_seq, first);
  assert_int_equal(now.stored_total, 9);
  assert_true(now.healthy);
  assert_int_equal(strlen(now.log_uuid), 36);
}

static void an_empty_store_says_so(void **state) {
  fixture *f = *state;
  store_status now = status(f);
  assert_int_equal(now.oldest_seq, now.head_seq + 1);
  assert_int_equal(now.next_seq, now.head_seq + 1);
  uint64_t seqs[1];
  assert_int_equal(read_all(f, (store_read){0}, seqs, 1), 0);
}

static void rows_come_back_as_they_went_in(void **state) {
  fixture *f = *state;
  tti_batch batch;
  records_make(&batch, "exact", "channel", 20);
  uint64_t first;
  assert_int_equal(append_batch(f, &batch, &first), STORE_OK);
  waited_read r = {.read = {.after_seq = first - 1}};
  read_once(f, &r);
  assert_int_equal(r.read.row_count, 20);
  const char *expected = batch.bytes.data;
  store_row row;
  tti_slice bytes;
  size_t at = 0;
  for (size_t i = 0; i < 20; i++) {
    assert_true(store_row_next(&r.read, &at, &row, &bytes));
    assert_int_equal(row.seq, first + i);
    assert_int_equal(bytes.len, batch.lengths[i]);
    assert_memory_equal(bytes.ptr, expected, bytes.len);
    expected += bytes.len;
  }
  assert_false(store_row_next(&r.read, &at, &row, &bytes));
  assert_false(r.read.more);
  tti_buf_fini(&r.read.rows);
  tti_batch_fini(&batch);
}

/* A wall clock that goes back does not take receipt times back with it. */
static void receipt_never_decreases(void **state) {
  fixture *f = *state;
  uint64_t first = append(f, "a", 1);
  testing_clock_advance_us(-3600 * INT64_C(1000000));
  append(f, "b", 1);
  testing_clock_advance_us(3600 * INT64_C(1000000));
  waited_read r = {.read = {.after_seq = first - 1}};
  read_once(f, &r);
  size_t at = 0;
  store_row one, two;
  tti_slice bytes;
  assert_true(store_row_next(&r.read, &at, &one, &bytes));
  assert_true(store_row_next(&r.read, &at, &two, &bytes));
  assert_true(two.received_us >= one.received_us);
  tti_buf_fini(&r.read.rows);
}

typedef struct appender {
  fixture *f;
  pthread_t thread;
} appender;

typedef struct ordered {
  store_job job;
  sem_t *left;
} ordered;

static uint64_t last_answered;
static bool out_of_order;

static void on_ordered(store_job *job) {
  ordered *o = job->owner;
  if (job->first_seq <= last_answered)
    out_of_order = true;
  last_answered = job->first_seq + job->count - 1;
  sem_post(o->left);
}

static void *append_many(void *argument) {
  appender *a = argument;
  enum { JOBS = 50 };
  static _Thread_local ordered jobs[JOBS];
  tti_batch batch;
  sem_t left;
  sem_init(&left, 0, 0);
  records_make(&batch, "ordered", "test", 7);
  for (size_t i = 0; i < JOBS; i++) {
    jobs[i] = (ordered){.job = {.kind = STORE_JOB_APPEND,
                                .done = on_ordered,
                                .owner = &jobs[i],
                                .batch = &batch},
                        .left = &left};
    while (store_submit(a->f->store, &jobs[i].job) != TT_OK)
      sched_yield();
  }
  for (size_t i = 0; i < JOBS; i++)
    wait_for(&left);
  sem_destroy(&left);
  tti_batch_fini(&batch);
  return NULL;
}

static void verdicts_come_in_order_of_seq(void **state) {
  fixture *f = *state;
  appender appenders[4];
  last_answered = 0;
  out_of_order = false;
  for (size_t i = 0; i < 4; i++) {
    appenders[i].f = f;
    pthread_create(&appenders[i].thread, NULL, append_many, &appenders[i]);
  }
  for (size_t i = 0; i < 4; i++)
    pthread_join(appenders[i].thread, NULL);
  assert_false(out_of_order);
  assert_int_equal(status(f).stored_total, 4 * 50 * 7);
}

/* ---- Reading ---- */

static void reads_go_on_where_they_stopped(void **state) {
  fixture *f = *state;
  uint64_t first = append(f, "a", 1500);
  append(f, "b", 1500);
  static uint64_t seqs[4000];
  assert_int_equal(read_all(f, (store_read){.max_rows = 100}, seqs, 4000),
                   3000);
  for (size_t i = 0; i < 3000; i++)
    assert_int_equal(seqs[i], first + i);
  store_read down = {.order = STORE_DESCENDING};
  assert_int_equal(read_all(f, down, seqs, 4000), 3000);
  for (size_t i = 0; i < 3000; i++)
    assert_int_equal(seqs[i], first + 2999 - i);
}

static void bounds_are_exclusive(void **state) {
  fixture *f = *state;
  uint64_t first = append(f, "a", 10), seqs[10];
  store_read read = {.after_seq = first + 2, .before_seq = first + 6};
  assert_int_equal(read_all(f, read, seqs, 10), 3);
  assert_int_equal(seqs[0], first + 3);
  assert_int_equal(seqs[2], first + 5);
  read.order = STORE_DESCENDING;
  assert_int_equal(read_all(f, read, seqs, 10), 3);
  assert_int_equal(seqs[0], first + 5);
}

static void an_answer_is_bounded(void **state) {
  fixture *f = *state;
  append(f, "a", 1000);
  waited_read r = {.read = {.max_rows = 7}};
  read_once(f, &r);
  assert_int_equal(r.read.row_count, 7);
  assert_true(r.read.more);
  tti_buf_fini(&r.read.rows);
  waited_read all = {.read = {0}};
  read_once(f, &all);
  assert_true(all.read.row_count <= 256);
  assert_true(all.read.more);
  tti_buf_fini(&all.read.rows);
}

static size_t read_filtered(fixture *f, const char *key, const char *value,
                            store_order order, uint64_t *out_first) {
  tti_filter *filter;
  static uint64_t seqs[10000];
  assert_int_equal(tti_filter_new(&filter), TT_OK);
  assert_int_equal(
      tti_filter_add(filter, tti_slice_of(key), tti_slice_of(value)), TT_OK);
  store_read read = {.filter = filter, .order = order};
  size_t count = read_all(f, read, seqs, 10000);
  tti_filter_free(filter);
  *out_first = seqs[0];
  return count;
}

static void filters_find_a_rare_source(void **state) {
  fixture *f = *state;
  append(f, "common", 1300);
  uint64_t rare = append(f, "rare", 2), found;
  append(f, "common", 1300);
  assert_int_equal(read_filtered(f, "source", "rare", STORE_ASCENDING, &found),
                   2);
  assert_int_equal(found, rare);
  assert_int_equal(read_filtered(f, "source", "rare", STORE_DESCENDING, &found),
                   2);
  assert_int_equal(found, rare + 1);
  assert_int_equal(
      read_filtered(f, "source", "nobody", STORE_ASCENDING, &found), 0);
  assert_int_equal(
      read_filtered(f, "source", "common,rare", STORE_ASCENDING, &found), 2602);
}

/* Twenty seconds with a sign of life in each tenth. */
static void pass_time(fixture *f) {
  for (int i = 0; i < 200; i++) {
    testing_clock_advance_us(100000);
    waited w = {.job = {.kind = STORE_JOB_BARRIER}};
    assert_int_equal(run(f, &w), TT_OK);
  }
}

/* Long after the tables were closed: by then the store may have summed them up
 * to pass over what cannot match. What is found must not change. */
static void filters_find_the_same_later(void **state) {
  fixture *f = *state;
  tti_batch batch;
  uint64_t found;
  records_make(&batch, "common", "test", 0);
  for (int i = 0; i < 9000; i++)
    records_add(&batch, TTI_KIND_RELAY, i % 4000 == 77 ? "rare" : "common",
                i % 2500 == 9 ? "side" : "test");
  records_add(&batch, TTI_KIND_LOG, "logger", "log");
  uint64_t first;
  assert_int_equal(append_batch(f, &batch, &first), STORE_OK);
  tti_batch_fini(&batch);
  pass_time(f);
  assert_int_equal(read_filtered(f, "source", "rare", STORE_ASCENDING, &found),
                   3);
  assert_int_equal(found, first + 77);
  assert_int_equal(read_filtered(f, "source", "rare", STORE_DESCENDING, &found),
                   3);
  assert_int_equal(found, first + 8077);
  assert_int_equal(
      read_filtered(f, "channel", "side", STORE_DESCENDING, &found), 4);
  assert_int_equal(read_filtered(f, "level", ">=warn", STORE_ASCENDING, &found),
                   0);
  assert_int_equal(
      read_filtered(f, "level", ">=info,debug", STORE_ASCENDING, &found), 9001);
  assert_int_equal(
      read_filtered(f, "action", "deploy", STORE_DESCENDING, &found), 9001);
  uint64_t seqs[2];
  store_read logs = {.kinds = STORE_KIND_BIT(TTI_KIND_LOG)};
  assert_int_equal(read_all(f, logs, seqs, 2), 1);
  assert_true(status(f).healthy);
}

static void summaries_go_on_after_a_restart(void **state) {
  fixture *f = *state;
  uint64_t found;
  if (!f->impl->persists)
    return;
  append(f, "first", 1500);
  close_store(f);
  assert_int_equal(open_again(f), TT_OK);
  append(f, "second", 2500);
  pass_time(f);
  assert_true(status(f).healthy);
  assert_int_equal(
      read_filtered(f, "source", "second", STORE_DESCENDING, &found), 2500);
  assert_int_equal(read_filtered(f, "source", "first", STORE_ASCENDING, &found),
                   1500);
}

static void kinds_are_apart(void **state) {
  fixture *f = *state;
  tti_batch batch;
  uint64_t first, seqs[8];
  records_make(&batch, "events", "test", 2);
  records_add(&batch, TTI_KIND_LOG, "logger", "log");
  records_add(&batch, TTI_KIND_SESSION, "page", "console");
  assert_int_equal(append_batch(f, &batch, &first), STORE_OK);
  tti_batch_fini(&batch);
  store_read logs = {.kinds = STORE_KIND_BIT(TTI_KIND_LOG)};
  assert_int_equal(read_all(f, logs, seqs, 8), 1);
  assert_int_equal(seqs[0], first + 2);
  store_read events = {.kinds = STORE_KIND_BIT(TTI_KIND_RELAY) |
                                STORE_KIND_BIT(TTI_KIND_LOG),
                       .show_log_channel = true};
  assert_int_equal(read_all(f, events, seqs, 8), 2);
  tti_filter *filter;
  assert_int_equal(tti_filter_new(&filter), TT_OK);
  assert_int_equal(
      tti_filter_add(filter, TTI_SLICE("channel"), TTI_SLICE("log")), TT_OK);
  events.filter = filter;
  assert_int_equal(read_all(f, events, seqs, 8), 1);
  tti_filter_free(filter);
}

static void time_bounds_are_by_receipt(void **state) {
  fixture *f = *state;
  static uint64_t seqs[4000];
  append(f, "before", 700);
  testing_clock_advance_us(60 * INT64_C(1000000));
  int64_t since = server_wall_us();
  uint64_t middle = append(f, "between", 900);
  testing_clock_advance_us(60 * INT64_C(1000000));
  int64_t until = server_wall_us();
  append(f, "after", 700);
  store_read read = {.since_us = since, .until_us = until};
  assert_int_equal(read_all(f, read, seqs, 4000), 900);
  assert_int_equal(seqs[0], middle);
  assert_int_equal(seqs[899], middle + 899);
  read.until_us = 0;
  assert_int_equal(read_all(f, read, seqs, 4000), 1600);
  read.since_us = server_wall_us() + 1000000;
  assert_int_equal(read_all(f, read, seqs, 4000), 0);
}

/* ---- Idempotency ---- */

#define PRODUCER "0b0e8fd4-6f0e-4d0e-9a55-3f8f4b1d2c3a"

static void a_key_is_answered_once(void **state) {
  fixture *f = *state;
  uint64_t first, again, count;
  assert_int_equal(append_keyed(f, "order-1", 'a', 3, &first, &count),
                   STORE_OK);
  assert_int_equal(append_keyed(f, "order-1", 'a', 3, &again, &count),
                   STORE_REPLAYED);
  assert_int_equal(again, first);
  assert_int_equal(count, 3);
  assert_int_equal(append_keyed(f, "order-1", 'b', 3, &again, &count),
                   STORE_MISMATCH);
  assert_int_equal(append_keyed(f, "order-2", 'b', 1, &again, &count),
                   STORE_OK);
  assert_int_equal(status(f).stored_total, 4);
}

static void a_foreign_key_lives_a_day(void **state) {
  fixture *f = *state;
  uint64_t first, count;
  assert_int_equal(append_keyed(f, "daily", 'a', 1, &first, &count), STORE_OK);
  testing_clock_advance_us(23 * 3600 * INT64_C(1000000));
  assert_int_equal(append_keyed(f, "daily", 'a', 1, &first, &count),
                   STORE_REPLAYED);
  testing_clock_advance_us(2 * 3600 * INT64_C(1000000));
  assert_int_equal(append_keyed(f, "daily", 'a', 1, &first, &count), STORE_OK);
}

static void a_producers_keys_have_no_time_limit(void **state) {
  fixture *f = *state;
  char key[64];
  uint64_t first[30], again, count;
  for (int n = 1; n < 30; n++) {
    snprintf(key, sizeof key, PRODUCER "/%d", n);
    /* The 20th is late: it was spooled. */
    if (n != 20)
      assert_int_equal(append_keyed(f, key, 'a', 2, &first[n], &count),
                       STORE_OK);
  }
  testing_clock_advance_us(90 * 24 * 3600 * INT64_C(1000000));
  assert_int_equal(append_keyed(f, PRODUCER "/29", 'a', 2, &again, &count),
                   STORE_REPLAYED);
  assert_int_equal(again, first[29]);
  assert_int_equal(append_keyed(f, PRODUCER "/25", 'b', 2, &again, &count),
                   STORE_MISMATCH);
  /* Far below what is remembered: known to be old, the answer is not. */
  assert_int_equal(append_keyed(f, PRODUCER "/3", 'a', 2, &again, &count),
                   STORE_REPLAYED);
  assert_int_equal(again, 0);
  /* Never seen, though others after it were. */
  assert_int_equal(append_keyed(f, PRODUCER "/20", 'a', 2, &again, &count),
                   STORE_OK);
  assert_int_equal(append_keyed(f, PRODUCER "/20", 'a', 2, &first[20], &count),
                   STORE_REPLAYED);
  assert_int_equal(again, first[20]);
}

static void a_lookup_stores_nothing(void **state) {
  fixture *f = *state;
  uint64_t first, count;
  waited w = {.job = {.kind = STORE_JOB_LOOKUP,
                      .key = {.scope = TTI_SLICE("t /events"),
                              .key = TTI_SLICE("look")}}};
  memset(w.job.key.body_sha256, 'a', sizeof w.job.key.body_sha256);
  assert_int_equal(run(f, &w), TT_OK);
  assert_int_equal(w.job.verdict, STORE_OK);
  append_keyed(f, "look", 'a', 4, &first, &count);
  assert_int_equal(run(f, &w), TT_OK);
  assert_int_equal(w.job.verdict, STORE_REPLAYED);
  assert_int_equal(w.job.first_seq, first);
  assert_int_equal(w.job.count, 4);
}

static void an_empty_batch_takes_no_number(void **state) {
  fixture *f = *state;
  uint64_t head = status(f).head_seq, first, count;
  assert_int_equal(append_keyed(f, "none", 'a', 0, &first, &count), STORE_OK);
  assert_int_equal(count, 0);
  assert_int_equal(status(f).head_seq, head);
}

/* ---- Numbers reserved ahead ---- */

static void reserved_numbers_are_the_callers(void **state) {
  fixture *f = *state;
  waited r = {.job = {.kind = STORE_JOB_RESERVE, .reserve = 100}};
  assert_int_equal(run(f, &r), TT_OK);
  assert_int_equal(r.job.verdict, STORE_OK);
  uint64_t first = r.job.first_seq, seqs[20];
  waited next = {.job = {.kind = STORE_JOB_RESERVE, .reserve = 10}};
  assert_int_equal(run(f, &next), TT_OK);
  assert_int_equal(next.job.first_seq, first + 100);
  tti_batch batch;
  records_make(&batch, "reserved", "test", 5);
  waited w = {
      .job = {.kind = STORE_JOB_APPEND, .batch = &batch, .first_seq = first}};
  assert_int_equal(run(f, &w), TT_OK);
  assert_int_equal(w.job.verdict, STORE_OK);
  assert_int_equal(w.job.first_seq, first);
  /* Numbers that were given out and overtaken are a recorded loss. */
  waited gap = {.job = {.kind = STORE_JOB_APPEND,
                        .batch = &batch,
                        .first_seq = first + 8}};
  assert_int_equal(run(f, &gap), TT_OK);
  store_range range;
  assert_int_equal(store_ranges(f->store, first, first + 50, &range, 1), 1);
  assert_int_equal(range.from_seq, first + 5);
  assert_int_equal(range.to_seq, first + 7);
  assert_string_equal(range.reason, "lost");
  assert_int_equal(read_all(f, (store_read){0}, seqs, 20), 10);
  /* A number is used once. */
  waited used = {.job = {.kind = STORE_JOB_APPEND,
                         .batch = &batch,
                         .first_seq = first + 1}};
  assert_int_equal(run(f, &used), TT_OK);
  assert_int_equal(used.job.verdict, STORE_RETRY);
  tti_batch_fini(&batch);
}

/* ---- Ceilings ---- */

typedef struct gate {
  store_job job;
  store *store;
  sem_t entered;
  sem_t leave;
} gate;

/* Holds up the writing thread, which no real caller may do. */
static void on_gate(store_job *job) {
  gate *g = job->owner;
  sem_post(&g->entered);
  wait_for(&g->leave);
}

static void *submit_gate(void *argument) {
  gate *g = argument;
  store_submit(g->store, &g->job);
  return NULL;
}

static void a_full_queue_refuses(void **state) {
  fixture *f = *state;
  close_store(f);
  f->options.queue_max_jobs = 4;
  assert_int_equal(open_again(f), TT_OK);
  gate g = {.job = {.kind = STORE_JOB_BARRIER, .done = on_gate}};
  g.job.owner = &g;
  g.store = f->store;
  sem_init(&g.entered, 0, 0);
  sem_init(&g.leave, 0, 0);
  pthread_t thread;
  pthread_create(&thread, NULL, submit_gate, &g);
  wait_for(&g.entered);
  waited jobs[8] = {0};
  size_t taken = 0;
  for (size_t i = 0; i < 8; i++) {
    jobs[i].job = (store_job){.kind = STORE_JOB_BARRIER, .done = on_done};
    sem_init(&jobs[i].answered, 0, 0);
    tt_error error = store_submit(f->store, &jobs[i].job);
    assert_true(error == TT_OK || error == TT_EFULL);
    if (error)
      break;
    taken++;
  }
  assert_int_equal(taken, 4);
  assert_int_equal(status(f).queue_jobs, 4);
  sem_post(&g.leave);
  for (size_t i = 0; i < taken; i++)
    wait_for(&jobs[i].answered);
  pthread_join(thread, NULL);
  append(f, "again", 1);
}

/* ---- Tokens, counts ---- */

static store_verdict create_token(fixture *f, const char *id, char digest) {
  waited w = {.job = {.kind = STORE_JOB_TOKEN_CREATE}};
  snprintf(w.job.token.id, sizeof w.job.token.id, "%s", id);
  snprintf(w.job.token.name, sizeof w.job.token.name, "name of %s", id);
  w.job.token.scopes = 3;
  w.job.token.created_us = 42;
  memset(w.job.token.sha256, digest, sizeof w.job.token.sha256);
  assert_int_equal(run(f, &w), TT_OK);
  return w.job.verdict;
}

static void tokens_are_kept_and_revoked(void **state) {
  fixture *f = *state;
  store_token tokens[4];
  uint64_t before, after;
  assert_int_equal(store_tokens(f->store, tokens, 4, &before), 0);
  assert_int_equal(create_token(f, "one", '1'), STORE_OK);
  assert_int_equal(create_token(f, "one", '2'), STORE_EXISTS);
  assert_int_equal(create_token(f, "two", '2'), STORE_OK);
  assert_int_equal(store_tokens(f->store, tokens, 4, &after), 2);
  assert_true(after > before);
  waited w = {.job = {.kind = STORE_JOB_TOKEN_REVOKE,
                      .token = {.id = "one", .revoked_us = 99}}};
  assert_int_equal(run(f, &w), TT_OK);
  assert_int_equal(w.job.verdict, STORE_OK);
  assert_int_equal(run(f, &w), TT_OK);
  assert_int_equal(w.job.verdict, STORE_NOT_FOUND);
  if (f->impl->persists) {
    close_store(f);
    assert_int_equal(open_again(f), TT_OK);
  }
  assert_int_equal(store_tokens(f->store, tokens, 4, &after), 2);
  assert_string_equal(tokens[0].id, "one");
  assert_string_equal(tokens[0].name, "name of one");
  assert_int_equal(tokens[0].revoked_us, 99);
  assert_int_equal(tokens[0].scopes, 3);
  assert_int_equal(tokens[0].sha256[31], '1');
  assert_int_equal(tokens[1].revoked_us, 0);
}

static void a_setting_is_what_was_set_last(void **state) {
  fixture *f = *state;
  tti_buf value;
  tti_buf_init(&value, 1024);
  assert_int_equal(store_setting(f->store, "logins", &value), TT_ENOTFOUND);
  static const char *const texts[] = {"first", "a\0b"};
  for (size_t i = 0; i < 2; i++) {
    waited w = {.job = {.kind = STORE_JOB_SET, .name = "logins"}};
    w.job.value = (tti_slice){texts[i], i ? 3 : 5};
    assert_int_equal(run(f, &w), TT_OK);
    assert_int_equal(w.job.verdict, STORE_OK);
  }
  if (f->impl->persists) {
    assert_int_equal(store_setting(f->store, "logins", &value), TT_OK);
    assert_int_equal(value.len, 3);
    assert_memory_equal(value.data, texts[1], 3);
    close_store(f);
    assert_int_equal(open_again(f), TT_OK);
    tti_buf_clear(&value);
    assert_int_equal(store_setting(f->store, "logins", &value), TT_OK);
    assert_memory_equal(value.data, texts[1], 3);
  }
  assert_int_equal(store_setting(f->store, "other", &value), TT_ENOTFOUND);
  tti_buf_fini(&value);
}

static void events_are_counted_on_arrival(void **state) {
  fixture *f = *state;
  append(f, "often", 5);
  append(f, "seldom", 2);
  tti_batch batch;
  records_make(&batch, "x", "test", 0);
  records_add(&batch, TTI_KIND_LOG, "logger", "log");
  assert_int_equal(append_batch(f, &batch, NULL), STORE_OK);
  tti_batch_fini(&batch);
  if (f->impl->persists) {
    close_store(f);
    assert_int_equal(open_again(f), TT_OK);
  }
  store_count counts[8];
  assert_int_equal(store_counts(f->store, STORE_BY_SOURCE, counts, 8), 2);
  assert_string_equal(counts[0].name, "often");
  assert_int_equal(counts[0].count, 5);
  assert_string_equal(counts[1].name, "seldom");
  assert_int_equal(counts[1].count, 2);
  assert_int_equal(store_counts(f->store, STORE_BY_CHANNEL, counts, 8), 1);
  assert_int_equal(counts[0].count, 7);
  assert_int_equal(store_counts(f->store, STORE_BY_LEVEL, counts, 8), 1);
  assert_string_equal(counts[0].name, "info");
  assert_int_equal(store_counts(f->store, STORE_BY_LOGGER, counts, 8), 1);
  assert_string_equal(counts[0].name, "deploy");
  assert_int_equal(counts[0].count, 1);
  assert_int_equal(store_counts(f->store, STORE_BY_LOG_LEVEL, counts, 8), 1);
  assert_string_equal(counts[0].name, "info");
}

static void names_beyond_the_limit_are_other(void **state) {
  fixture *f = *state;
  tti_batch batch;
  char name[16];
  records_make(&batch, "x", "test", 0);
  for (int i = 0; i < 1200; i++) {
    snprintf(name, sizeof name, "s%d", i);
    records_add(&batch, TTI_KIND_RELAY, name, "test");
  }
  assert_int_equal(append_batch(f, &batch, NULL), STORE_OK);
  tti_batch_fini(&batch);
  static store_count counts[1300];
  assert_int_equal(store_counts(f->store, STORE_BY_SOURCE, counts, 1300), 1001);
  assert_string_equal(counts[0].name, "other");
  assert_int_equal(counts[0].count, 200);
}

/* ---- Restart, kill ---- */

static void a_restart_keeps_everything(void **state) {
  fixture *f = *state;
  static uint64_t seqs[3000];
  uint64_t first, count;
  if (!f->impl->persists)
    return;
  append(f, "a", 2500);
  append_keyed(f, "kept", 'a', 1, &first, &count);
  store_status before = status(f);
  close_store(f);
  assert_int_equal(open_again(f), TT_OK);
  store_status after = status(f);
  assert_string_equal(after.log_uuid, before.log_uuid);
  assert_int_equal(after.head_seq, before.head_seq);
  assert_int_equal(after.next_seq, before.next_seq);
  assert_int_equal(after.oldest_seq, before.oldest_seq);
  store_range range;
  assert_int_equal(store_ranges(f->store, 0, after.head_seq, &range, 1), 0);
  assert_int_equal(read_all(f, (store_read){0}, seqs, 3000), 2501);
  assert_int_equal(append_keyed(f, "kept", 'a', 1, &first, &count),
                   STORE_REPLAYED);
  assert_int_equal(append(f, "b", 1), 2502);
}

static void another_life_starts_higher(void **state) {
  fixture *f = *state;
  if (f->impl->persists)
    return;
  append(f, "a", 1);
  uint64_t head = status(f).head_seq;
  close_store(f);
  testing_clock_advance_us(2000);
  assert_int_equal(open_again(f), TT_OK);
  assert_true(status(f).next_seq > head);
  store_range range;
  assert_int_equal(store_ranges(f->store, head, status(f).head_seq, &range, 1),
                   1);
  assert_int_equal(range.from_seq, head + 1);
  assert_int_equal(range.to_seq, status(f).head_seq);
}

/* A child appends and tells of each answer, until it is killed. */
static void append_until_killed(fixture *f, int answers) {
  fixture child = *f;
  if (child.impl->open(&child.options, &child.error, &child.store) != TT_OK)
    _exit(1);
  for (;;) {
    tti_batch batch;
    uint64_t first;
    records_make(&batch, "killed", "test", 10);
    if (append_batch(&child, &batch, &first) != STORE_OK)
      _exit(1);
    tti_batch_fini(&batch);
    if (write(answers, &first, sizeof first) != sizeof first)
      _exit(1);
  }
}

static uint64_t kill_under_load(fixture *f) {
  int answers[2];
  assert_int_equal(pipe(answers), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0)
    append_until_killed(f, answers[1]);
  close(answers[1]);
  uint64_t first = 0, last = 0;
  for (int i = 0; i < 20; i++) {
    assert_int_equal(read(answers[0], &first, sizeof first), sizeof first);
    last = first;
  }
  kill(child, SIGKILL);
  while (read(answers[0], &first, sizeof first) == sizeof first)
    last = first;
  waitpid(child, NULL, 0);
  close(answers[0]);
  return last + 9;
}

static void check_after_kill(fixture *f, store_durability durability) {
  static uint64_t seqs[200000];
  close_store(f);
  f->options.durability = durability;
  uint64_t acknowledged = kill_under_load(f);
  assert_int_equal(open_again(f), TT_OK);
  size_t count = read_all(f, (store_read){0}, seqs, 200000);
  assert_true(count >= acknowledged);
  assert_int_equal(count % 10, 0);
  for (size_t i = 0; i < count; i++)
    assert_int_equal(seqs[i], i + 1);
  /* The kernel lived on: what was committed is there, and no more than that
   * was given out. */
  store_range range;
  assert_int_equal(append(f, "after", 1), count + 1);
  assert_int_equal(store_ranges(f->store, 0, count + 1, &range, 1), 0);
  store_count counts[2];
  store_counts(f->store, STORE_BY_SOURCE, counts, 2);
  assert_string_equal(counts[0].name, "killed");
  assert_int_equal(counts[0].count, count);
}

static void a_kill_loses_nothing_acknowledged(void **state) {
  fixture *f = *state;
  if (f->impl->persists)
    check_after_kill(f, STORE_SYNC);
}

static void a_kill_under_commit_loses_nothing_either(void **state) {
  fixture *f = *state;
  if (f->impl->persists)
    check_after_kill(f, STORE_COMMIT);
}

/* ---- Power loss: what was not synced is gone, in part ---- */

static void append_until_power_goes(fixture *f, int answers, unsigned seed) {
  char text[16];
  snprintf(text, sizeof text, "%u", seed);
  setenv("TELLTALE_TEST_VFS", text, 1);
  testing_vfs_register(seed);
  fixture child = *f;
  if (child.impl->open(&child.options, &child.error, &child.store) != TT_OK)
    _exit(1);
  for (unsigned i = 0; i < 10 + seed * 7; i++) {
    tti_batch batch;
    uint64_t first;
    records_make(&batch, "cut", "test", 10);
    if (append_batch(&child, &batch, &first) != STORE_OK)
      _exit(1);
    tti_batch_fini(&batch);
    if (write(answers, &first, sizeof first) != sizeof first)
      _exit(1);
  }
  testing_power_cut();
}

/* The last seq that was acknowledged. */
static uint64_t cut_power(fixture *f, unsigned seed) {
  int answers[2];
  assert_int_equal(pipe(answers), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0)
    append_until_power_goes(f, answers[1], seed);
  close(answers[1]);
  uint64_t first = 0, last = 0;
  while (read(answers[0], &first, sizeof first) == sizeof first)
    last = first + 9;
  int ended;
  waitpid(child, &ended, 0);
  close(answers[0]);
  assert_true(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL);
  return last;
}

/* Every number up to the head is a row or in a recorded range. */
static void check_complete(fixture *f) {
  static uint64_t seqs[20000];
  store_range ranges[64];
  uint64_t head = status(f).head_seq, accounted = 0;
  accounted += read_all(f, (store_read){0}, seqs, 20000);
  for (size_t i = 1; i < accounted; i++)
    assert_true(seqs[i] > seqs[i - 1]);
  size_t count = store_ranges(f->store, 0, head, ranges, 64);
  for (size_t i = 0; i < count; i++)
    accounted += ranges[i].to_seq - ranges[i].from_seq + 1;
  assert_int_equal(accounted, head);
}

static void survive_power_cuts(fixture *f, store_durability durability) {
  static uint64_t seqs[20000];
  close_store(f);
  f->options.durability = durability;
  uint64_t acknowledged = 0;
  for (unsigned seed = 1; seed <= 6; seed++) {
    uint64_t last = cut_power(f, seed);
    assert_true(last > acknowledged);
    acknowledged = last;
    assert_int_equal(open_again(f), TT_OK);
    assert_true(status(f).next_seq > acknowledged);
    if (durability == STORE_SYNC)
      assert_int_equal(read_all(f, (store_read){0}, seqs, 20000), acknowledged);
    check_complete(f);
    close_store(f);
  }
  assert_int_equal(open_again(f), TT_OK);
}

static void power_loss_takes_nothing_acknowledged(void **state) {
  fixture *f = *state;
  if (f->impl->persists)
    survive_power_cuts(f, STORE_SYNC);
}

static void power_loss_under_commit_is_told(void **state) {
  fixture *f = *state;
  if (f->impl->persists)
    survive_power_cuts(f, STORE_COMMIT);
}

static void a_clean_end_leaves_no_hole(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  close_store(f);
  f->options.durability = STORE_COMMIT;
  assert_int_equal(open_again(f), TT_OK);
  append(f, "a", 10);
  close_store(f);
  assert_int_equal(open_again(f), TT_OK);
  assert_int_equal(append(f, "a", 1), 11);
}

/* ---- Failing disks ---- */

static store_verdict append_one(fixture *f, char *out_reason) {
  tti_batch batch;
  records_make(&batch, "x", "test", 1);
  waited w = {.job = {.kind = STORE_JOB_APPEND,
                      .batch = &batch,
                      .received_us = server_wall_us()}};
  assert_int_equal(run(f, &w), TT_OK);
  tti_batch_fini(&batch);
  strcpy(out_reason, w.job.reason);
  return w.job.verdict;
}

static void wait_until_healthy(fixture *f) {
  /* Retries are a second apart by the server's clock. */
  while (!status(f).healthy) {
    testing_clock_advance_us(1000000);
    char reason[160];
    append_one(f, reason);
  }
}

static void a_full_disk_is_refused_and_recovers(void **state) {
  fixture *f = *state;
  char reason[160];
  if (!f->impl->persists)
    return;
  append(f, "a", 3);
  fault_set("store.write", ENOSPC, 0, 1000000);
  assert_int_equal(append_one(f, reason), STORE_RETRY);
  assert_non_null(strstr(reason, "no space left on the device"));
  assert_false(status(f).healthy);
  assert_non_null(strstr(status(f).reason, f->path));
  assert_int_equal(append_one(f, reason), STORE_RETRY);
  fault_clear();
  wait_until_healthy(f);
  uint64_t stored = status(f).head_seq;
  assert_int_equal(append(f, "b", 1), stored + 1);
}

static void a_failed_commit_is_not_stored(void **state) {
  fixture *f = *state;
  char reason[160];
  if (!f->impl->persists)
    return;
  append(f, "a", 3);
  fault_set("store.commit.before", EIO, 0, 1);
  assert_int_equal(append_one(f, reason), STORE_RETRY);
  wait_until_healthy(f);
  static uint64_t seqs[100];
  size_t count = read_all(f, (store_read){0}, seqs, 100);
  assert_int_equal(count, status(f).head_seq);
  assert_int_equal(append(f, "b", 1), count + 1);
}

/* The error came after the disk had it: it is there, so it is acknowledged. */
static void what_turns_out_durable_is_acknowledged(void **state) {
  fixture *f = *state;
  char reason[160];
  if (!f->impl->persists)
    return;
  append(f, "a", 3);
  fault_set("store.commit.after", EIO, 0, 1);
  assert_int_equal(append_one(f, reason), STORE_OK);
  wait_until_healthy(f);
  uint64_t seqs[8];
  assert_int_equal(read_all(f, (store_read){0}, seqs, 8), 4);
  assert_int_equal(status(f).stored_total, 4);
}

/* Numbers that were given out are not given out again by the reopened store. */
static void a_block_that_turns_out_durable_is_given_once(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  append(f, "a", 3);
  fault_set("store.commit.after", EIO, 0, 1);
  waited first = {.job = {.kind = STORE_JOB_RESERVE, .reserve = 100}};
  assert_int_equal(run(f, &first), TT_OK);
  assert_int_equal(first.job.verdict, STORE_OK);
  wait_until_healthy(f);
  waited next = {.job = {.kind = STORE_JOB_RESERVE, .reserve = 100}};
  assert_int_equal(run(f, &next), TT_OK);
  assert_int_equal(next.job.first_seq, first.job.first_seq + 100);
}

static void a_failed_checkpoint_reopens(void **state) {
  fixture *f = *state;
  char reason[160];
  if (!f->impl->persists)
    return;
  fault_set("store.checkpoint", EIO, 0, 1);
  for (int i = 0; i < 8; i++)
    append(f, "filling the write-ahead log", 2000);
  append_one(f, reason);
  wait_until_healthy(f);
  static uint64_t seqs[20000];
  assert_int_equal(read_all(f, (store_read){0}, seqs, 20000),
                   status(f).head_seq);
}

/* ---- Refusing to open ---- */

static void a_second_server_is_refused(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  store *second;
  tti_buf_clear(&f->error);
  assert_int_equal(f->impl->open(&f->options, &f->error, &second), TT_EBUSY);
  tti_buf_append_char(&f->error, '\0');
  assert_non_null(strstr(f->error.data, f->path));
  append(f, "still", 1);
}

static void write_file(const char *path, const void *bytes, size_t len) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, bytes, len), len);
  close(fd);
}

static void a_damaged_file_is_refused_untouched(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  close_store(f);
  char junk[5000], after[5000];
  memset(junk, 'j', sizeof junk);
  write_file(f->path, junk, sizeof junk);
  assert_int_equal(open_again(f), TT_ECORRUPT);
  assert_true(f->error.len > 0);
  int fd = open(f->path, O_RDONLY);
  assert_int_equal(read(fd, after, sizeof after), sizeof after);
  close(fd);
  assert_memory_equal(junk, after, sizeof junk);
}

/* Reads on until the end or an error; after which seq, or before which, it was.
 */
static tt_error read_error(fixture *f, store_order order, uint64_t *out_at) {
  uint64_t at = 0;
  for (;;) {
    waited_read r = {.read = {.order = order, .max_rows = 100}};
    if (order == STORE_ASCENDING)
      r.read.after_seq = at;
    else
      r.read.before_seq = at;
    tt_error error = try_read(f, &r);
    bool more = r.read.more;
    *out_at = at;
    at = r.read.next_seq;
    tti_buf_fini(&r.read.rows);
    if (error || !more)
      return error;
  }
}

/* A damaged page can make rows look as if they had never been. */
static void rows_that_vanished_are_an_error(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  append(f, "a", 60);
  uint64_t at;
  assert_int_equal(read_error(f, STORE_ASCENDING, &at), TT_OK);
  close_store(f);
  sqlite3 *db;
  assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
  assert_int_equal(
      sqlite3_exec(db, "DELETE FROM log_1 WHERE seq = 30", NULL, NULL, NULL),
      SQLITE_OK);
  sqlite3_close(db);
  assert_int_equal(open_again(f), TT_OK);
  assert_int_equal(read_error(f, STORE_ASCENDING, &at), TT_ECORRUPT);
  assert_int_equal(at, 29);
  assert_int_equal(read_error(f, STORE_DESCENDING, &at), TT_ECORRUPT);
  assert_int_equal(at, 31);
}

static void a_cut_file_is_refused(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  append(f, "a", 3000);
  close_store(f);
  struct stat st;
  assert_int_equal(stat(f->path, &st), 0);
  assert_int_equal(truncate(f->path, st.st_size / 2), 0);
  assert_int_equal(open_again(f), TT_ECORRUPT);
}

static void a_folder_is_refused(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  close_store(f);
  f->options.path = f->directory;
  assert_int_equal(open_again(f), TT_EIO);
  f->options.path = "/nowhere/at/all.db";
  assert_int_equal(open_again(f), TT_EIO);
}

static void the_file_is_private(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  append(f, "a", 1);
  char wal[80];
  struct stat st;
  assert_int_equal(stat(f->path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  snprintf(wal, sizeof wal, "%s-wal", f->path);
  assert_int_equal(stat(wal, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
}

/* ---- Retention ---- */

static void retention_takes_whole_tables_and_says_so(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  static uint64_t seqs[4000];
  append(f, "old", 2500);
  testing_clock_advance_us(8 * 24 * 3600 * INT64_C(1000000));
  append(f, "new", 10);
  for (int i = 0; i < 200 && status(f).oldest_seq < 2000; i++) {
    testing_clock_advance_us(1000000);
    waited w = {.job = {.kind = STORE_JOB_BARRIER}};
    assert_int_equal(run(f, &w), TT_OK);
  }
  /* The table with the new rows stays whole. */
  assert_int_equal(status(f).oldest_seq, 2000);
  assert_int_equal(status(f).head_seq, 2510);
  store_range range;
  assert_int_equal(store_ranges(f->store, 0, 2510, &range, 1), 1);
  assert_int_equal(range.from_seq, 1);
  assert_int_equal(range.to_seq, 1999);
  assert_string_equal(range.reason, "retention");
  assert_int_equal(read_all(f, (store_read){0}, seqs, 4000), 511);
  assert_int_equal(seqs[0], 2000);
  close_store(f);
  assert_int_equal(open_again(f), TT_OK);
  assert_int_equal(status(f).oldest_seq, 2000);
  assert_int_equal(store_ranges(f->store, 0, 2510, &range, 1), 1);
}

static void turn_until_oldest(fixture *f, uint64_t seq) {
  for (int i = 0; i < 200 && status(f).oldest_seq < seq; i++) {
    testing_clock_advance_us(1000000);
    waited w = {.job = {.kind = STORE_JOB_BARRIER}};
    assert_int_equal(run(f, &w), TT_OK);
  }
  assert_int_equal(status(f).oldest_seq, seq);
}

/* Numbers that a crash skipped reach over the end of a table. */
static void ranges_do_not_overlap_after_retention(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  tti_batch batch;
  append(f, "old", 990);
  waited block = {.job = {.kind = STORE_JOB_RESERVE, .reserve = 2000}};
  assert_int_equal(run(f, &block), TT_OK);
  testing_clock_advance_us(8 * 24 * 3600 * INT64_C(1000000));
  records_make(&batch, "new", "test", 5);
  waited w = {.job = {.kind = STORE_JOB_APPEND,
                      .batch = &batch,
                      .first_seq = 1501,
                      .received_us = server_wall_us()}};
  assert_int_equal(run(f, &w), TT_OK);
  tti_batch_fini(&batch);
  turn_until_oldest(f, 1501);
  store_range ranges[4];
  assert_int_equal(store_ranges(f->store, 0, 1505, ranges, 4), 2);
  assert_int_equal(ranges[0].from_seq, 1);
  assert_int_equal(ranges[0].to_seq, 999);
  assert_string_equal(ranges[0].reason, "retention");
  assert_int_equal(ranges[1].from_seq, 1000);
  assert_int_equal(ranges[1].to_seq, 1500);
  assert_string_equal(ranges[1].reason, "lost");
}

/* From the moment that readers do not find the rows any more. */
static void what_retention_takes_is_told_at_once(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  static uint64_t seqs[4000];
  append(f, "old", 1500);
  testing_clock_advance_us(8 * 24 * 3600 * INT64_C(1000000));
  append(f, "new", 10);
  /* Due at the next turns; the commit that takes the table stays at the gate
   * where the disk has it and nobody was told. */
  fault_arm("store.commit.after", FAULT_WAIT, 0, 0, 1000000);
  testing_clock_advance_us(1000000);
  static waited turns[3];
  for (int i = 0; i < 3; i++) {
    sem_init(&turns[i].answered, 0, 0);
    turns[i].job = (store_job){.kind = STORE_JOB_BARRIER, .done = on_done};
  }
  store_range range;
  size_t rows = 1510;
  for (int i = 0; i < 3 && rows == 1510; i++) {
    unsigned long long hits = fault_hits("store.commit.after");
    assert_int_equal(store_submit(f->store, &turns[i].job), TT_OK);
    while (fault_hits("store.commit.after") == hits)
      sched_yield();
    rows = read_all(f, (store_read){0}, seqs, 4000);
    if (rows == 1510) {
      fault_release("store.commit.after");
      wait_for(&turns[i].answered);
      fault_arm("store.commit.after", FAULT_WAIT, 0, 0, 1000000);
    }
  }
  assert_int_equal(rows, 511);
  assert_int_equal(store_ranges(f->store, 0, 1510, &range, 1), 1);
  assert_int_equal(range.to_seq, 999);
}

/* ---- Ending ---- */

static void close_finishes_what_was_submitted(void **state) {
  fixture *f = *state;
  tti_batch batch;
  records_make(&batch, "last", "test", 100);
  static waited jobs[50];
  for (size_t i = 0; i < 50; i++) {
    jobs[i].job =
        (store_job){.kind = STORE_JOB_APPEND, .done = on_done, .batch = &batch};
    sem_init(&jobs[i].answered, 0, 0);
    assert_int_equal(store_submit(f->store, &jobs[i].job), TT_OK);
  }
  close_store(f);
  for (size_t i = 0; i < 50; i++) {
    assert_int_equal(sem_trywait(&jobs[i].answered), 0);
    assert_int_equal(jobs[i].job.verdict, STORE_OK);
  }
  tti_batch_fini(&batch);
}

/* ---- All of it on each ---- */

#define CASES(X)                                                               \
  X(numbers_rise_by_one)                                                       \
  X(an_empty_store_says_so)                                                    \
  X(rows_come_back_as_they_went_in)                                            \
  X(receipt_never_decreases)                                                   \
  X(verdicts_come_in_order_of_seq)                                             \
  X(reads_go_on_where_they_stopped)                                            \
  X(bounds_are_exclusive)                                                      \
  X(an_answer_is_bounded)                                                      \
  X(filters_find_a_rare_source)                                                \
  X(filters_find_the_same_later)                                               \
  X(summaries_go_on_after_a_restart)                                           \
  X(kinds_are_apart)                                                           \
  X(time_bounds_are_by_receipt)                                                \
  X(a_key_is_answered_once)                                                    \
  X(a_foreign_key_lives_a_day)                                                 \
  X(a_producers_keys_have_no_time_limit)                                       \
  X(a_lookup_stores_nothing)                                                   \
  X(an_empty_batch_takes_no_number)                                            \
  X(reserved_numbers_are_the_callers)                                          \
  X(a_full_queue_refuses)                                                      \
  X(a_setting_is_what_was_set_last)                                            \
  X(tokens_are_kept_and_revoked)                                               \
  X(events_are_counted_on_arrival)                                             \
  X(names_beyond_the_limit_are_other)                                          \
  X(a_restart_keeps_everything)                                                \
  X(another_life_starts_higher)                                                \
  X(a_kill_loses_nothing_acknowledged)                                         \
  X(a_kill_under_commit_loses_nothing_either)                                  \
  X(power_loss_takes_nothing_acknowledged)                                     \
  X(power_loss_under_commit_is_told)                                           \
  X(a_clean_end_leaves_no_hole)                                                \
  X(a_full_disk_is_refused_and_recovers)                                       \
  X(a_failed_commit_is_not_stored)                                             \
  X(what_turns_out_durable_is_acknowledged)                                    \
  X(a_block_that_turns_out_durable_is_given_once)                              \
  X(a_failed_checkpoint_reopens)                                               \
  X(a_second_server_is_refused)                                                \
  X(a_damaged_file_is_refused_untouched)                                       \
  X(rows_that_vanished_are_an_error)                                           \
  X(a_cut_file_is_refused)                                                     \
  X(a_folder_is_refused)                                                       \
  X(the_file_is_private)                                                       \
  X(retention_takes_whole_tables_and_says_so)                                  \
  X(ranges_do_not_overlap_after_retention)                                     \
  X(what_retention_takes_is_told_at_once)                                      \
  X(close_finishes_what_was_submitted)

static int set_up_sqlite(void **state) {
  return set_up(state, &stores[0]);
}

static int set_up_memory(void **state) {
  return set_up(state, &stores[1]);
}

int main(void) {
#define X(test) cmocka_unit_test_setup_teardown(test, set_up_sqlite, tear_down),
  const struct CMUnitTest sqlite[] = {CASES(X)};
#undef X
#define X(test) cmocka_unit_test_setup_teardown(test, set_up_memory, tear_down),
  const struct CMUnitTest memory[] = {CASES(X)};
#undef X
  int failed = cmocka_run_group_tests_name("store/sqlite", sqlite, NULL, NULL);
  failed += cmocka_run_group_tests_name("store/memory", memory, NULL, NULL);
  return failed;
}
