/* What every store promises: reading. */
#include "tests/contract/support/store.h"

#include "server/io/clock.h"
#include "server/testing/clock.h"
#include "tests/contract/records.h"
#include <stdlib.h>

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

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(reads_go_on_where_they_stopped),
      cmocka_unit_test(bounds_are_exclusive),
      cmocka_unit_test(an_answer_is_bounded),
      cmocka_unit_test(filters_find_a_rare_source),
      cmocka_unit_test(filters_find_the_same_later),
      cmocka_unit_test(summaries_go_on_after_a_restart),
      cmocka_unit_test(kinds_are_apart),
      cmocka_unit_test(time_bounds_are_by_receipt),
  };
  return store_contract(cases, sizeof cases / sizeof *cases);
}
