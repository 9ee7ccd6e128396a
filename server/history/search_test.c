#include "tests/unit.h"

#include "server/history/search.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Pages over a real store in memory, read by read. */
typedef struct fixture {
  store *store;
  uint64_t first;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool done;
} fixture;

static fixture *waiting;
static const needle *looked_for; /* by run */

static void signal_done(void) {
  pthread_mutex_lock(&waiting->lock);
  waiting->done = true;
  pthread_cond_signal(&waiting->changed);
  pthread_mutex_unlock(&waiting->lock);
}
static void read_done(store_read *read) {
  (void)read;
  signal_done();
}
static void job_done(store_job *job) {
  (void)job;
  signal_done();
}

static void wait_done(fixture *f) {
  pthread_mutex_lock(&f->lock);
  while (!f->done)
    pthread_cond_wait(&f->changed, &f->lock);
  f->done = false;
  pthread_mutex_unlock(&f->lock);
}

enum { ROWS = 1000 };

static int setup(void **state) {
  fixture *f = calloc(1, sizeof(*f));
  if (!f)
    return -1;
  waiting = f;
  pthread_mutex_init(&f->lock, NULL);
  pthread_cond_init(&f->changed, NULL);
  tti_buf error;
  tti_buf_init(&error, 1024);
  store_options options = {.durability = STORE_COMMIT};
  if (store_memory_open(&options, &error, &f->store) != TT_OK)
    return -1;
  tti_batch batch;
  tti_batch_init(&batch, ROWS, (size_t)16 << 20);
  for (size_t i = 0; i < ROWS; i++) {
    tti_record record = {.level = TT_LEVEL_INFO,
                         .ts_us = 1,
                         .source = i % 100 == 7 ? TTI_SLICE("rare")
                                                : TTI_SLICE("common"),
                         .type = TTI_SLICE("plain"),
                         .data = i % 50 == 3 ? TTI_SLICE("{\"a\":\"Needle\"}")
                                             : TTI_SLICE("{\"a\":\"hay\"}")};
    if (tti_batch_add(&batch, &record) != TT_OK)
      return -1;
  }
  store_job job = {.kind = STORE_JOB_APPEND,
                   .done = job_done,
                   .batch = &batch,
                   .received_us = 1000000};
  if (store_submit(f->store, &job) != TT_OK)
    return -1;
  wait_done(f);
  f->first = job.first_seq;
  tti_batch_fini(&batch);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  store_close(f->store, 1000);
  pthread_cond_destroy(&f->changed);
  pthread_mutex_destroy(&f->lock);
  free(f);
  return 0;
}

static tti_filter *filter_of(const char *source) {
  tti_filter *filter;
  assert_int_equal(tti_filter_new(&filter), TT_OK);
  if (source)
    assert_int_equal(
        tti_filter_add(filter, TTI_SLICE("source"), tti_slice_of(source)),
        TT_OK);
  return filter;
}

/* One page: its seqs, ascending, into out_seqs; the cursor ("" for null). */
static size_t run(fixture *f, const page *from, const page *bounds,
                  const char *source, bool in_time, uint64_t *out_seqs,
                  char out_cursor[64]) {
  search s;
  assert_int_equal(search_init(&s, filter_of(source), 1, looked_for,
                               TTI_VIEW_RELAY, from, bounds),
                   TT_OK);
  bool again = true;
  while (again) {
    s.read.done = read_done;
    assert_int_equal(store_read_submit(f->store, &s.read), TT_OK);
    wait_done(f);
    assert_int_equal(s.read.error, TT_OK);
    again = search_take(&s, in_time);
  }
  tti_buf body;
  tti_buf_init(&body, SIZE_MAX);
  search_page(&s, &body);
  tti_buf_append_char(&body, '\0');
  assert_int_equal(body.error, TT_OK);
  assert_memory_equal(body.data, "{\"items\":[", 10);
  size_t count = 0;
  for (char *at = body.data; (at = strstr(at, "{\"seq\":")); at++)
    out_seqs[count++] = strtoull(at + 7, NULL, 10);
  char *cursor = strstr(body.data, "],\"next_cursor\":");
  assert_non_null(cursor);
  if (sscanf(cursor, "],\"next_cursor\":\"%63[^\"]\"}", out_cursor) != 1) {
    assert_string_equal(cursor, "],\"next_cursor\":null}");
    out_cursor[0] = '\0';
  }
  tti_buf_fini(&body);
  search_fini(&s);
  return count;
}

/* Follows the cursors to the end: every expected row once, in pages that
 * ascend, and no cursor after the last. */
static void walk(fixture *f, page bounds, const char *source, size_t want) {
  page from = bounds;
  bool *seen = calloc(ROWS, sizeof(*seen));
  uint64_t *seqs = calloc(ROWS + 1, sizeof(*seqs));
  assert_non_null(seen);
  assert_non_null(seqs);
  char cursor[64];
  size_t total = 0;
  for (size_t pages = 0;; pages++) {
    assert_true(pages < 200);
    size_t count = run(f, &from, &bounds, source, true, seqs, cursor);
    assert_true(count <= bounds.limit);
    for (size_t i = 0; i < count; i++) {
      assert_true(i == 0 || seqs[i] > seqs[i - 1]);
      assert_false(seen[seqs[i] - f->first]);
      seen[seqs[i] - f->first] = true;
    }
    total += count;
    if (!cursor[0])
      break;
    assert_int_equal(count, bounds.limit);
    tti_filter *filter = filter_of(source);
    from = bounds;
    assert_true(page_go_on(&from, filter, 1, tti_slice_of(cursor)));
    tti_filter_free(filter);
  }
  assert_int_equal(total, want);
  free(seen);
  free(seqs);
}

static void cursors_lead_over_every_row_once(void **state) {
  fixture *f = *state;
  size_t limits[] = {1000, 999, 500, 300, 256, 100, 37};
  for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
    walk(f, (page){.limit = limits[i]}, NULL, ROWS);
    walk(
        f,
        (page){.limit = limits[i], .forwards = true, .after_seq = f->first + 9},
        NULL, ROWS - 10);
    walk(f, (page){.limit = limits[i]}, "rare", 10);
  }
  walk(f, (page){.limit = 5}, "rare", 10);
  walk(f, (page){.limit = 10}, "rare", 10); /* the last page exactly full */
  walk(f, (page){.limit = 10, .before_seq = f->first + 20}, NULL, 20);
  walk(f, (page){.limit = 10}, "nobody", 0);
}

static void the_first_page_has_the_newest(void **state) {
  fixture *f = *state;
  page bounds = {.limit = 3};
  uint64_t seqs[ROWS + 1];
  char cursor[64];
  assert_int_equal(run(f, &bounds, &bounds, NULL, true, seqs, cursor), 3);
  assert_int_equal(seqs[0], f->first + ROWS - 3);
  assert_int_equal(seqs[2], f->first + ROWS - 1);
  assert_true(cursor[0] != '\0');
}

static void bounds_of_time_hold(void **state) {
  fixture *f = *state;
  uint64_t seqs[ROWS + 1];
  char cursor[64];
  page none = {.limit = 10, .forwards = true, .since_us = INT64_MAX / 2};
  assert_int_equal(run(f, &none, &none, NULL, true, seqs, cursor), 0);
  assert_string_equal(cursor, "");
  page before = {.limit = 10, .until_us = 1};
  assert_int_equal(run(f, &before, &before, NULL, true, seqs, cursor), 0);
}

/* Out of time after the first read: what was found, and a way to go on. */
static void a_search_that_is_cut_off_can_go_on(void **state) {
  fixture *f = *state;
  page bounds = {.limit = 900};
  page from = bounds;
  uint64_t seqs[ROWS + 1];
  char cursor[64];
  size_t total = 0, pages = 0;
  do {
    total += run(f, &from, &bounds, NULL, false, seqs, cursor);
    pages++;
    tti_filter *filter = filter_of(NULL);
    from = bounds;
    if (cursor[0])
      assert_true(page_go_on(&from, filter, 1, tti_slice_of(cursor)));
    tti_filter_free(filter);
  } while (cursor[0] && pages < 50);
  assert_int_equal(total, ROWS);
  assert_true(pages > 2);
}

/* In data or action, with the filters, and on from where time ran out. */
static void a_text_is_found(void **state) {
  fixture *f = *state;
  needle n;
  looked_for = &n;
  assert_true(needle_init(&n, TTI_SLICE("nEEdle")));
  walk(f, (page){.limit = 7}, NULL, ROWS / 50);
  walk(f, (page){.limit = 20, .forwards = true}, NULL, ROWS / 50);
  walk(f, (page){.limit = 7}, "rare", 0);
  assert_true(needle_init(&n, TTI_SLICE("PLAIN")));
  walk(f, (page){.limit = 300}, NULL, ROWS);
  assert_true(needle_init(&n, TTI_SLICE("nowhere")));
  walk(f, (page){.limit = 300}, NULL, 0);
  looked_for = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(cursors_lead_over_every_row_once),
      TEST(the_first_page_has_the_newest),
      TEST(bounds_of_time_hold),
      TEST(a_search_that_is_cut_off_can_go_on),
      TEST(a_text_is_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
