#include "server/fleet/sketch.h"
#include "tests/unit.h"

#include <math.h>
#include <stdlib.h>

static void assert_near(double got, double want) {
  assert_true(fabs(got - want) <= fabs(want) * 0.0201);
}

/* 1000 numbers from 0.001 to 1e9, and as many below zero. */
static double number(int i) {
  double size = pow(10, -3 + 12.0 * (abs(i) - 1) / 999);
  return i < 0 ? -size : size;
}

static void fill(fleet_sketch *s, int from, int to) {
  for (int i = from; i <= to; i++)
    if (i)
      assert_true(fleet_sketch_add(s, number(i)));
}

static void a_quantile_is_off_by_two_percent_at_most(void **state) {
  fleet_sketch s = {0};
  (void)state;
  fill(&s, 1, 1000);
  for (int i = 1; i <= 1000; i++)
    assert_near(fleet_sketch_quantile(&s, i / 1000.0), number(i));
  fleet_sketch_fini(&s);
}

static void numbers_below_zero_come_first(void **state) {
  fleet_sketch s = {0};
  (void)state;
  fill(&s, -1000, 1000);
  fleet_sketch_add(&s, 0);
  assert_near(fleet_sketch_quantile(&s, 0.0001), number(-1000));
  assert_near(fleet_sketch_quantile(&s, 0.25), number(-500));
  assert_true(fleet_sketch_quantile(&s, 0.5) == 0);
  assert_near(fleet_sketch_quantile(&s, 1), number(1000));
  fleet_sketch_fini(&s);
}

static void any_number_has_its_class(void **state) {
  const double numbers[] = {0, -0.0, 1e-300, 1e300, -1e300};
  fleet_sketch s = {0};
  (void)state;
  for (size_t i = 0; i < 5; i++)
    assert_true(fleet_sketch_add(&s, numbers[i]));
  assert_int_equal(s.count, 3);
  assert_near(fleet_sketch_quantile(&s, 0), -1e15);
  assert_near(fleet_sketch_quantile(&s, 1), 1e15);
  fleet_sketch_fini(&s);
}

static void assert_same(const fleet_sketch *a, const fleet_sketch *b) {
  assert_int_equal(a->count, b->count);
  for (size_t i = 0; i < a->count; i++) {
    assert_int_equal(a->classes[i].id, b->classes[i].id);
    assert_int_equal(a->classes[i].count, b->classes[i].count);
  }
}

static void halves_merge_into_the_whole_and_bytes_keep_it(void **state) {
  fleet_sketch whole = {0}, half = {0}, other = {0}, read = {0};
  tti_buf bytes;
  (void)state;
  fill(&whole, -1000, 1000);
  fill(&half, -1000, 300);
  fill(&other, 301, 1000);
  assert_true(fleet_sketch_merge(&half, &other));
  assert_same(&half, &whole);
  tti_buf_init(&bytes, 1 << 16);
  fleet_sketch_write(&whole, &bytes);
  assert_int_equal(fleet_sketch_read(&read, tti_buf_slice(&bytes)), TT_OK);
  assert_same(&read, &whole);
  tti_buf_fini(&bytes);
  fleet_sketch_fini(&whole);
  fleet_sketch_fini(&half);
  fleet_sketch_fini(&other);
  fleet_sketch_fini(&read);
}

static void bytes_that_are_none_are_refused(void **state) {
  const tti_slice bad[] = {TTI_SLICE("\x02"), TTI_SLICE("\xff"),
                           TTI_SLICE("\xff\xff\xff\x7f\x01"),
                           TTI_SLICE("\xfe\xff\xff\xff\xff\xff\xff\x7f\x01")};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    fleet_sketch s = {0};
    assert_int_equal(fleet_sketch_read(&s, bad[i]), TT_ECORRUPT);
    fleet_sketch_fini(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_quantile_is_off_by_two_percent_at_most),
      cmocka_unit_test(numbers_below_zero_come_first),
      cmocka_unit_test(any_number_has_its_class),
      cmocka_unit_test(halves_merge_into_the_whole_and_bytes_keep_it),
      cmocka_unit_test(bytes_that_are_none_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
