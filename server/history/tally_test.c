#include "tests/unit.h"

#include "server/history/tally.h"
#include <stdio.h>
#include <stdlib.h>

static void a_quantile_is_within_its_error(void **state) {
  (void)state;
  sketch *s = malloc(sizeof(*s));
  assert_non_null(s);
  for (int64_t ms = 0; ms < (int64_t)1 << 40; ms = ms * 21 / 20 + 1) {
    memset(s, 0, sizeof(*s));
    sketch_add(s, ms);
    double got = (double)sketch_quantile(s, 500), off = got - (double)ms;
    assert_true((off < 0 ? -off : off) <=
                strtod(SKETCH_ERROR, NULL) * (double)ms);
  }
  memset(s, 0, sizeof(*s));
  sketch_add(s, -5);
  assert_int_equal(sketch_quantile(s, 1000), 0);
  sketch_add(s, INT64_MAX);
  assert_true(sketch_quantile(s, 1000) > (uint64_t)1 << 39);
  free(s);
}

static void quantiles_are_the_nearest_rank(void **state) {
  (void)state;
  sketch *s = calloc(1, sizeof(*s));
  assert_non_null(s);
  for (int64_t ms = 1; ms <= 60; ms++)
    sketch_add(s, ms);
  assert_int_equal(sketch_quantile(s, 500), 30);
  assert_int_equal(sketch_quantile(s, 950), 57);
  assert_int_equal(sketch_quantile(s, 990), 60);
  assert_int_equal(sketch_quantile(s, 10), 1);
  free(s);
}

static void keys_beyond_the_ceiling_share_one(void **state) {
  (void)state;
  tally *t = malloc(sizeof(*t));
  assert_non_null(t);
  tally_init(t, TALLY_SOURCE);
  char name[300];
  memset(name, 'x', sizeof(name));
  tti_record first = {.level = TT_LEVEL_INFO, .source = {name, sizeof(name)}};
  assert_int_equal(tally_add(t, &first), TT_OK);
  assert_int_equal(t->count, 0); /* it is too long to be kept */
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < TALLY_KEYS + 5; i++) {
      snprintf(name, sizeof(name), "s%d", i);
      tti_record r = {.level = TT_LEVEL_INFO, .source = tti_slice_of(name)};
      assert_int_equal(tally_add(t, &r), TT_OK);
    }
  memset(name, 'x', sizeof(name));
  tti_record r = {.level = TT_LEVEL_ERROR, .source = {name, sizeof(name)}};
  assert_int_equal(tally_add(t, &r), TT_OK);
  assert_int_equal(t->count, TALLY_KEYS);
  for (size_t i = 0; i < t->count; i++)
    assert_int_equal(t->items[i]->count, 2);
  assert_int_equal(t->other->count, 12);
  assert_int_equal(t->other->errors, 1);
  tally_fini(t);
  free(t);
}

static void every_instant_has_its_bucket(void **state) {
  (void)state;
  timeline *t = malloc(sizeof(*t));
  assert_non_null(t);
  tti_record r = {.level = TT_LEVEL_WARN};
  for (size_t count = 1; count < 30; count++)
    for (int64_t span = 1; span < 100; span++) {
      timeline_init(t, 1000, 1000 + span, count);
      assert_true(t->count >= 1 && t->count <= count);
      uint64_t total = 0;
      for (int64_t us = 990; us < 1110; us++)
        timeline_add(t, us, &r);
      for (size_t i = 0; i < t->count; i++)
        total += t->buckets[i][TT_LEVEL_WARN - TT_LEVEL_DEBUG];
      assert_int_equal(total, span);
    }
  free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_quantile_is_within_its_error),
      cmocka_unit_test(quantiles_are_the_nearest_rank),
      cmocka_unit_test(keys_beyond_the_ceiling_share_one),
      cmocka_unit_test(every_instant_has_its_bucket),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
