#include "tests/contract/support/store.h"

#include "server/io/clock.h"
#include "server/testing/fault.h"
#include "tests/contract/records.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const implementation stores[] = {
    {"store/sqlite", store_sqlite_open, true},
    {"store/memory", store_memory_open, false},
};
enum { STORES = sizeof stores / sizeof *stores };

/* ---- Waiting for an answer ---- */

void on_done(store_job *job) {
  sem_post(&((waited *)job)->answered);
}

void wait_for(sem_t *sem) {
  while (sem_wait(sem) != 0)
    ;
}

tt_error run(fixture *f, waited *w) {
  w->job.done = on_done;
  sem_init(&w->answered, 0, 0);
  tt_error error = store_submit(f->store, &w->job);
  if (!error)
    wait_for(&w->answered);
  sem_destroy(&w->answered);
  return error;
}

store_verdict append_batch(fixture *f, const tti_batch *batch,
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
uint64_t append(fixture *f, const char *source, size_t count) {
  tti_batch batch;
  uint64_t first = 0;
  records_make(&batch, source, "test", count);
  assert_int_equal(append_batch(f, &batch, &first), STORE_OK);
  tti_batch_fini(&batch);
  return first;
}

store_verdict append_keyed(fixture *f, const char *key, char body, size_t count,
                           uint64_t *out_first, uint64_t *out_count) {
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

void on_read(store_read *read) {
  sem_post(&((waited_read *)read)->answered);
}

/* The caller frees read.rows. */
tt_error try_read(fixture *f, waited_read *r) {
  r->read.done = on_read;
  tti_buf_init(&r->read.rows, 8u << 20);
  sem_init(&r->answered, 0, 0);
  assert_int_equal(store_read_submit(f->store, &r->read), TT_OK);
  wait_for(&r->answered);
  sem_destroy(&r->answered);
  return r->read.error;
}

void read_once(fixture *f, waited_read *r) {
  assert_int_equal(try_read(f, r), TT_OK);
}

/* Reads to the end by continuation; the seqs go into out_seqs. */
size_t read_all(fixture *f, store_read wanted, uint64_t *out_seqs, size_t max) {
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

store_status status(fixture *f) {
  store_status now;
  store_status_get(f->store, &now);
  return now;
}

/* ---- The fixture ---- */

tt_error open_again(fixture *f) {
  tti_buf_clear(&f->error);
  return f->impl->open(&f->options, &f->error, &f->store);
}

void close_store(fixture *f) {
  store_close(f->store, 5000);
  f->store = NULL;
}

/* The state is the implementation at first. */
static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  f->impl = *state;
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

/* ---- All of it on each ---- */

int store_contract(const struct CMUnitTest *cases, size_t count) {
  int failed = 0;
  struct CMUnitTest *tests = calloc(count, sizeof *tests);
  assert_non_null(tests);
  for (size_t i = 0; i < STORES; i++) {
    for (size_t k = 0; k < count; k++) {
      tests[k] = cases[k];
      tests[k].setup_func = set_up;
      tests[k].teardown_func = tear_down;
      tests[k].initial_state = (void *)&stores[i];
    }
    failed += _cmocka_run_group_tests(stores[i].name, tests, count, NULL, NULL);
  }
  free(tests);
  return failed;
}
