/* What every store promises: numbers and their order, reservations, ceilings,
 * the end. */
#include "tests/contract/support/store.h"

#include "server/testing/clock.h"
#include "tests/contract/records.h"
#include <pthread.h>
#include <semaphore.h>

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

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(numbers_rise_by_one),
      cmocka_unit_test(an_empty_store_says_so),
      cmocka_unit_test(rows_come_back_as_they_went_in),
      cmocka_unit_test(receipt_never_decreases),
      cmocka_unit_test(verdicts_come_in_order_of_seq),
      cmocka_unit_test(reserved_numbers_are_the_callers),
      cmocka_unit_test(a_full_queue_refuses),
      cmocka_unit_test(close_finishes_what_was_submitted),
  };
  return store_contract(cases, sizeof cases / sizeof *cases);
}
