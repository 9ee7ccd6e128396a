/* What every bus promises, tried on each implementation and store. A new one
 * adds a row to `buses` and passes the rest unchanged. */
#include "tests/unit.h"

#include "server/bus/bus.h"
#include "server/store/tables/outbox.h"
#include "server/testing/clock.h"
#include "server/testing/fault.h"
#include "tests/contract/records.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct implementation {
  const char *name;
  tt_error (*open_store)(const store_options *options, tti_buf *out_error,
                         store **out_store);
  tt_error (*new)(const bus_options *options, bus **out_bus);
  store_durability durability;
  bool persists;
} implementation;

static const implementation buses[] = {
    {"sqlite, sync", store_sqlite_open, bus_local_new, STORE_SYNC, true},
    {"sqlite, commit", store_sqlite_open, bus_local_new, STORE_COMMIT, true},
    {"sqlite, memory", store_sqlite_open, bus_local_new, STORE_MEMORY, true},
    {"memory", store_memory_open, bus_local_new, STORE_MEMORY, false},
};

typedef struct fixture {
  const implementation *impl;
  store_options options;
  char directory[32];
  char path[64];
  store *store;
  bus *bus;
  atomic_int wakes;
} fixture;

static void on_wake(void *context) {
  fixture *f = context;
  atomic_fetch_add_explicit(&f->wakes, 1, memory_order_relaxed);
}

static void start(fixture *f) {
  tti_buf error;
  tti_buf_init(&error, 4096);
  assert_int_equal(f->impl->open_store(&f->options, &error, &f->store), TT_OK);
  tti_buf_fini(&error);
  bus_options options = {.store = f->store,
                         .durability = f->impl->durability,
                         .wake = on_wake,
                         .wake_context = f};
  assert_int_equal(f->impl->new (&options, &f->bus), TT_OK);
}

static void stop(fixture *f) {
  bus_close(f->bus, 5000);
  store_close(f->store, 5000);
  f->bus = NULL;
  f->store = NULL;
}

static int set_up(void **state, const implementation *impl) {
  fixture *f = calloc(1, sizeof *f);
  f->impl = impl;
  strcpy(f->directory, "/tmp/tt-bus-XXXXXX");
  if (!mkdtemp(f->directory))
    return -1;
  snprintf(f->path, sizeof f->path, "%s/log.db", f->directory);
  f->options = (store_options){
      .path = f->path, .durability = impl->durability, .table_rows = 1000};
  start(f);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  char command[64];
  fault_clear();
  if (f->bus)
    stop(f);
  snprintf(command, sizeof command, "rm -r %s", f->directory);
  int removed = system(command);
  free(f);
  return removed;
}

typedef struct waited {
  bus_publish publish;
  sem_t answered;
} waited;

static void on_done(bus_publish *publish) {
  sem_post(&((waited *)publish)->answered);
}

static void wait_for(sem_t *sem) {
  while (sem_wait(sem) != 0)
    ;
}

/* Publishes and waits; the caller finishes the batch. */
static tt_error run(fixture *f, waited *w) {
  w->publish.done = on_done;
  sem_init(&w->answered, 0, 0);
  tt_error error = bus_submit(f->bus, &w->publish);
  if (!error)
    wait_for(&w->answered);
  sem_destroy(&w->answered);
  return error;
}

static uint64_t publish(fixture *f, const char *source, size_t count) {
  waited w = {0};
  records_make(&w.publish.batch, source, "test", count);
  assert_int_equal(run(f, &w), TT_OK);
  assert_int_equal(w.publish.verdict, BUS_ACCEPTED);
  assert_int_equal(w.publish.count, count);
  tti_batch_fini(&w.publish.batch);
  return w.publish.first_seq;
}

static bus_verdict publish_keyed(fixture *f, const char *key, char body,
                                 size_t count, bus_publish *out_publish) {
  waited w = {.publish = {.key = {.scope = TTI_SLICE("t /events"),
                                  .key = tti_slice_of(key)}}};
  memset(w.publish.key.body_sha256, body, sizeof w.publish.key.body_sha256);
  records_make(&w.publish.batch, "keyed", "test", count);
  assert_int_equal(run(f, &w), TT_OK);
  tti_batch_fini(&w.publish.batch);
  *out_publish = w.publish;
  return w.publish.verdict;
}

static void on_barrier(store_job *job) {
  sem_post(job->owner);
}

/* Until the store has written what was answered before. */
static void drain(fixture *f) {
  sem_t done;
  sem_init(&done, 0, 0);
  store_job job = {
      .kind = STORE_JOB_BARRIER, .done = on_barrier, .owner = &done};
  assert_int_equal(store_submit(f->store, &job), TT_OK);
  wait_for(&done);
  sem_destroy(&done);
}

static size_t stored_rows(fixture *f) {
  store_status status;
  drain(f);
  store_status_get(f->store, &status);
  return (size_t)status.stored_total;
}

static bus_counts counts_at_rest(fixture *f) {
  bus_counts counts;
  drain(f);
  bus_counts_get(f->bus, &counts);
  return counts;
}

/* ---- Promises ---- */

static void the_ring_has_it_before_the_answer(void **state) {
  fixture *f = *state;
  tt_reader *reader;
  uint64_t before = bus_head(f->bus);
  assert_int_equal(tt_reader_new(bus_stream(f->bus), before, &reader), TT_OK);
  uint64_t first = publish(f, "a", 3);
  assert_int_equal(first, before + 1);
  assert_int_equal(bus_head(f->bus), first + 2);
  tti_stream_entry entry;
  tt_read_result drop;
  for (uint64_t seq = first; seq < first + 3; seq++) {
    assert_int_equal(tti_reader_next(reader, &entry, &drop), TTI_READ_ENTRY);
    assert_int_equal(entry.seq, seq);
    tti_record record;
    assert_int_equal(tti_record_decode(entry.record, &record), TT_OK);
    assert_true(tti_slice_eq(record.source, TTI_SLICE("a")));
  }
  assert_int_equal(tti_reader_next(reader, &entry, &drop), TTI_READ_NONE);
  tt_reader_free(reader);
  assert_true(atomic_load(&f->wakes) > 0);
}

static void the_store_has_what_was_accepted(void **state) {
  fixture *f = *state;
  publish(f, "a", 3);
  publish(f, "b", 300);
  assert_int_equal(stored_rows(f), 303);
}

static void a_restart_goes_on(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  publish(f, "a", 7);
  uint64_t head = bus_head(f->bus);
  stop(f);
  start(f);
  assert_int_equal(bus_head(f->bus), head);
  assert_int_equal(tt_stream_seq(bus_stream(f->bus)), head);
  assert_int_equal(publish(f, "b", 1), head + 1);
  store_range range;
  assert_int_equal(store_ranges(f->store, 0, head + 1, &range, 1), 0);
}

static void a_key_is_answered_once(void **state) {
  fixture *f = *state;
  bus_publish first, again;
  uint64_t before = bus_head(f->bus);
  assert_int_equal(publish_keyed(f, "k", 'a', 4, &first), BUS_ACCEPTED);
  assert_int_equal(publish_keyed(f, "k", 'a', 4, &again), BUS_REPLAYED);
  assert_int_equal(again.first_seq, first.first_seq);
  assert_int_equal(again.count, 4);
  drain(f);
  assert_int_equal(publish_keyed(f, "k", 'a', 4, &again), BUS_REPLAYED);
  assert_int_equal(again.first_seq, first.first_seq);
  assert_int_equal(publish_keyed(f, "k", 'b', 4, &again), BUS_MISMATCH);
  assert_int_equal(bus_head(f->bus), before + 4);
  assert_int_equal(stored_rows(f), 4);
  bus_counts counts = counts_at_rest(f);
  assert_int_equal(counts.received, 16);
  assert_int_equal(counts.replayed, 12);
}

static void an_empty_batch_is_accepted(void **state) {
  fixture *f = *state;
  uint64_t before = bus_head(f->bus);
  publish(f, "a", 0);
  assert_int_equal(bus_head(f->bus), before);
}

/* ---- Many at once ---- */

#define THREADS 4
#define BATCHES 200

typedef struct publisher {
  fixture *f;
  pthread_t thread;
  uint64_t refused; /* events */
} publisher;

static void *publish_many(void *argument) {
  publisher *p = argument;
  for (int i = 0; i < BATCHES; i++) {
    waited w = {0};
    records_make(&w.publish.batch, "many", "test", 1 + (size_t)i % 3);
    size_t events = w.publish.batch.count;
    tt_error error = run(p->f, &w);
    if (error)
      p->refused += events;
    else
      assert_int_equal(w.publish.verdict, BUS_ACCEPTED);
    tti_batch_fini(&w.publish.batch);
  }
  return NULL;
}

static void check_ledger_under_way(fixture *f, const atomic_bool *ended) {
  while (!atomic_load(ended)) {
    bus_counts c;
    bus_counts_get(f->bus, &c);
    assert_true(c.received >= c.stored + c.rejected_full + c.rejected_failed +
                                  c.replayed + c.lost);
    sched_yield();
  }
}

typedef struct watcher {
  fixture *f;
  pthread_t thread;
  atomic_bool ended;
} watcher;

static void *watch(void *argument) {
  watcher *w = argument;
  check_ledger_under_way(w->f, &w->ended);
  return NULL;
}

static void the_ring_is_in_order_and_the_ledger_holds(void **state) {
  fixture *f = *state;
  publisher publishers[THREADS];
  watcher w = {.f = f};
  tt_reader *reader;
  assert_int_equal(tt_reader_new(bus_stream(f->bus), bus_head(f->bus), &reader),
                   TT_OK);
  pthread_create(&w.thread, NULL, watch, &w);
  for (size_t i = 0; i < THREADS; i++) {
    publishers[i] = (publisher){.f = f};
    pthread_create(&publishers[i].thread, NULL, publish_many, &publishers[i]);
  }
  uint64_t refused = 0;
  for (size_t i = 0; i < THREADS; i++) {
    pthread_join(publishers[i].thread, NULL);
    refused += publishers[i].refused;
  }
  atomic_store(&w.ended, true);
  pthread_join(w.thread, NULL);
  bus_counts c = counts_at_rest(f);
  assert_int_equal(c.rejected_full, refused);
  assert_int_equal(c.received, c.stored + c.rejected_full);
  tti_stream_entry entry;
  tt_read_result drop;
  uint64_t last = 0, entries = 0;
  while (tti_reader_next(reader, &entry, &drop) == TTI_READ_ENTRY) {
    assert_true(entry.seq > last);
    last = entry.seq;
    entries++;
  }
  assert_int_equal(entries, c.stored);
  assert_int_equal(last, bus_head(f->bus));
  tt_reader_free(reader);
}

/* ---- Failing ---- */

static void a_full_disk_is_not_an_acceptance(void **state) {
  fixture *f = *state;
  if (!f->impl->persists || f->impl->durability == STORE_MEMORY)
    return;
  uint64_t head = bus_head(f->bus);
  fault_set("store.write", ENOSPC, 0, 1000000);
  waited w = {0};
  records_make(&w.publish.batch, "a", "test", 2);
  assert_int_equal(run(f, &w), TT_OK);
  assert_int_equal(w.publish.verdict, BUS_RETRY);
  assert_non_null(strstr(w.publish.reason, "no space left"));
  assert_int_equal(w.publish.batch.count, 2);
  assert_int_equal(bus_head(f->bus), head);
  tti_batch_fini(&w.publish.batch);
  bus_counts c;
  bus_counts_get(f->bus, &c);
  assert_int_equal(c.rejected_failed, 2);
  fault_clear();
}

/* Answered before it was written: a disk that fills holds it up, and what the
 * store cannot take any more is refused, not lost. */
static void under_memory_a_full_disk_loses_nothing(void **state) {
  fixture *f = *state;
  if (!f->impl->persists || f->impl->durability != STORE_MEMORY)
    return;
  fault_set("store.write", ENOSPC, 0, 1000000);
  for (int i = 0; i < 20; i++)
    publish(f, "a", 5);
  fault_clear();
  bus_counts c;
  do {
    testing_clock_advance_us(1000000);
    bus_counts_get(f->bus, &c);
    sched_yield();
  } while (c.stored < 100);
  assert_int_equal(c.stored, 100);
  assert_int_equal(c.lost, 0);
  store_range range;
  assert_int_equal(store_ranges(f->store, 0, bus_head(f->bus), &range, 1), 0);
}

/* ---- Killed ---- */

static void publish_until_killed(fixture *f, int answers) {
  start(f);
  for (;;) {
    uint64_t first = publish(f, "killed", 3);
    if (write(answers, &first, sizeof first) != sizeof first)
      _exit(1);
  }
}

/* Answers that were given stay true, or the loss is in the ranges; and no
 * number is given out again. */
static void a_kill_reuses_no_number(void **state) {
  fixture *f = *state;
  if (!f->impl->persists)
    return;
  stop(f);
  int answers[2];
  assert_int_equal(pipe(answers), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0)
    publish_until_killed(f, answers[1]);
  close(answers[1]);
  uint64_t first = 0, last = 0;
  for (int i = 0; i < 30; i++) {
    assert_int_equal(read(answers[0], &first, sizeof first), sizeof first);
    last = first + 2;
  }
  kill(child, SIGKILL);
  while (read(answers[0], &first, sizeof first) == sizeof first)
    last = first + 2;
  waitpid(child, NULL, 0);
  close(answers[0]);
  start(f);
  assert_true(bus_head(f->bus) >= last);
  store_status status;
  store_range range = {0};
  store_status_get(f->store, &status);
  size_t ranges = store_ranges(f->store, 0, status.head_seq, &range, 1);
  if (f->impl->durability == STORE_MEMORY && ranges)
    assert_string_equal(range.reason, "crash");
  else
    assert_int_equal(ranges, 0);
  /* Hardly more than what was given out is in doubt. */
  assert_true(status.head_seq < last + 1024);
  assert_true(publish(f, "after", 1) > last);
}

/* Writes an event beside the rows; refuses one that is there. */
static tt_error publish_event(bus_publish *publish, store_job *job,
                              store_tx *tx) {
  bool inserted;
  outbox_row row = {.event = {.id = publish->key.scope,
                              .type = TTI_SLICE("a"),
                              .body = TTI_SLICE("{}")},
                    .seq = job->first_seq};
  tt_error error = outbox_insert(tx, &row, &inserted);
  if (!error && !inserted) {
    job->verdict = STORE_EXISTS;
    error = TT_ECONFLICT;
  }
  return error;
}

static bool see_seq(void *context, const outbox_row *row) {
  *(uint64_t *)context = row->seq;
  return true;
}

static tt_error get_event(store_read *read, store_tx *tx) {
  return outbox_get(tx, TTI_SLICE("evt_1"), see_seq, &read->next_seq);
}

static void on_read(store_read *read) {
  sem_post(read->owner);
}

static uint64_t event_seq(fixture *f) {
  sem_t done;
  sem_init(&done, 0, 0);
  store_read read = {.run = get_event, .done = on_read, .owner = &done};
  assert_int_equal(store_read_submit(f->store, &read), TT_OK);
  wait_for(&done);
  sem_destroy(&done);
  assert_int_equal(read.error, TT_OK);
  return read.next_seq;
}

static bus_verdict publish_beside(fixture *f, const char *id,
                                  uint64_t *out_seq) {
  /* The key's scope alone is no key: it carries the id here. */
  waited w = {.publish = {.run = publish_event}};
  w.publish.key.scope = tti_slice_of(id);
  records_make(&w.publish.batch, "a", "test", 2);
  assert_int_equal(run(f, &w), TT_OK);
  tti_batch_fini(&w.publish.batch);
  *out_seq = w.publish.first_seq;
  return w.publish.verdict;
}

/* Also where others are answered before they are written. */
static void what_is_beside_the_rows_is_there_at_the_answer(void **state) {
  fixture *f = *state;
  uint64_t seq, other;
  publish(f, "before", 3);
  assert_int_equal(publish_beside(f, "evt_1", &seq), BUS_ACCEPTED);
  assert_int_equal(event_seq(f), seq);
  assert_int_equal(bus_head(f->bus), seq + 1);
  bool answers_first = f->impl->durability == STORE_MEMORY && f->impl->persists;
  assert_int_equal(publish_beside(f, "evt_1", &other),
                   answers_first ? BUS_ACCEPTED : BUS_EXISTS);
  assert_int_equal(event_seq(f), seq);
  bus_counts counts = counts_at_rest(f);
  assert_int_equal(counts.received,
                   counts.stored + counts.replayed + counts.lost);
}

#define CASES(X)                                                               \
  X(the_ring_has_it_before_the_answer)                                         \
  X(the_store_has_what_was_accepted)                                           \
  X(a_restart_goes_on)                                                         \
  X(a_key_is_answered_once)                                                    \
  X(a_kill_reuses_no_number)                                                   \
  X(what_is_beside_the_rows_is_there_at_the_answer)                            \
  X(an_empty_batch_is_accepted)                                                \
  X(the_ring_is_in_order_and_the_ledger_holds)                                 \
  X(a_full_disk_is_not_an_acceptance)                                          \
  X(under_memory_a_full_disk_loses_nothing)

#define SUITE(n)                                                               \
  static int set_up_##n(void **state) {                                        \
    return set_up(state, &buses[n]);                                           \
  }                                                                            \
  static int run_##n(void) {                                                   \
    const struct CMUnitTest tests[] = {CASES(X)};                              \
    return cmocka_run_group_tests_name(buses[n].name, tests, NULL, NULL);      \
  }

#define X(test) cmocka_unit_test_setup_teardown(test, set_up_0, tear_down),
SUITE(0)
#undef X
#define X(test) cmocka_unit_test_setup_teardown(test, set_up_1, tear_down),
SUITE(1)
#undef X
#define X(test) cmocka_unit_test_setup_teardown(test, set_up_2, tear_down),
SUITE(2)
#undef X
#define X(test) cmocka_unit_test_setup_teardown(test, set_up_3, tear_down),
SUITE(3)
#undef X

int main(void) {
  return run_0() + run_1() + run_2() + run_3();
}
