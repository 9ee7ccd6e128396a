/* What every store promises: retention. */
#include "tests/contract/support/store.h"

#include "server/io/clock.h"
#include "server/testing/clock.h"
#include "server/testing/fault.h"
#include "tests/contract/records.h"
#include <semaphore.h>

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

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(retention_takes_whole_tables_and_says_so),
      cmocka_unit_test(ranges_do_not_overlap_after_retention),
      cmocka_unit_test(what_retention_takes_is_told_at_once),
  };
  return store_contract(cases, sizeof cases / sizeof *cases);
}
