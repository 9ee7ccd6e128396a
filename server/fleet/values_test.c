#include "server/fleet/values.h"
#include "tests/unit.h"

#include <stdio.h>

static void add(fleet_values *v, int value, uint64_t count) {
  char text[16];
  snprintf(text, sizeof text, "v%03d", value);
  assert_true(fleet_values_add(v, tti_slice_of(text), count));
}

static uint64_t count_of(const fleet_values *v, const char *text) {
  for (size_t i = 0; i < v->count; i++)
    if (tti_slice_eq(v->items[i].text, tti_slice_of(text)))
      return v->items[i].count;
  return 0;
}

static void texts_are_counted_and_ranked(void **state) {
  fleet_values v = {0};
  (void)state;
  add(&v, 2, 1);
  add(&v, 1, 5);
  add(&v, 2, 1);
  add(&v, 3, 2);
  fleet_values_rank(&v);
  assert_int_equal(v.count, 3);
  assert_memory_equal(v.items[0].text.ptr, "v001", 4);
  assert_memory_equal(v.items[1].text.ptr, "v002", 4);
  assert_int_equal(v.items[1].count, 2);
  fleet_values_fini(&v);
}

static void the_first_200_are_kept_apart_and_nothing_is_lost(void **state) {
  fleet_values v = {0};
  (void)state;
  for (int i = 0; i < 300; i++)
    add(&v, i, 2);
  add(&v, 7, 1);
  fleet_values_add(&v, (tti_slice){0}, 3);
  assert_int_equal(v.count, FLEET_VALUES_MAX);
  assert_int_equal(count_of(&v, "v007"), 3);
  assert_int_equal(count_of(&v, "v250"), 0);
  assert_int_equal(v.other, 100 * 2 + 3);
  fleet_values_fini(&v);
}

static void halves_merge_and_bytes_keep_them(void **state) {
  fleet_values a = {0}, b = {0}, read = {0};
  tti_buf bytes;
  (void)state;
  for (int i = 0; i < 150; i++) {
    add(&a, i, 1);
    add(&b, i + 100, 1);
  }
  assert_true(fleet_values_add(&a, TTI_SLICE(""), 4));
  assert_true(fleet_values_merge(&a, &b));
  assert_int_equal(a.count, FLEET_VALUES_MAX);
  assert_int_equal(count_of(&a, "v120"), 2);
  assert_int_equal(a.other, 51);
  tti_buf_init(&bytes, 1 << 16);
  fleet_values_write(&a, &bytes);
  assert_int_equal(fleet_values_read(&read, tti_buf_slice(&bytes)), TT_OK);
  assert_int_equal(read.count, a.count);
  assert_int_equal(read.other, a.other);
  assert_int_equal(count_of(&read, ""), 4);
  assert_int_equal(count_of(&read, "v120"), 2);
  tti_buf_fini(&bytes);
  fleet_values_fini(&a);
  fleet_values_fini(&b);
  fleet_values_fini(&read);
}

static void bytes_that_are_none_are_refused(void **state) {
  const tti_slice bad[] = {TTI_SLICE("\x80"),
                           TTI_SLICE("\x00\x05"
                                     "a"),
                           TTI_SLICE("\x00\x01"
                                     "a")};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    fleet_values v = {0};
    assert_int_equal(fleet_values_read(&v, bad[i]), TT_ECORRUPT);
    fleet_values_fini(&v);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(texts_are_counted_and_ranked),
      cmocka_unit_test(the_first_200_are_kept_apart_and_nothing_is_lost),
      cmocka_unit_test(halves_merge_and_bytes_keep_them),
      cmocka_unit_test(bytes_that_are_none_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
