/* What every store promises: idempotency keys. */
#include "tests/contract/support/store.h"

#include "server/testing/clock.h"
#include <stdio.h>

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

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(a_key_is_answered_once),
      cmocka_unit_test(a_foreign_key_lives_a_day),
      cmocka_unit_test(a_producers_keys_have_no_time_limit),
      cmocka_unit_test(a_lookup_stores_nothing),
      cmocka_unit_test(an_empty_batch_takes_no_number),
  };
  return store_contract(cases, sizeof cases / sizeof *cases);
}
