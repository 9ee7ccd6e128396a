#include "lib/base/slice.h"

#include "tests/unit.h"

static void edit_distance_counts_single_edits(void **state) {
  (void)state;
  assert_int_equal(
      tti_slice_distance(TTI_SLICE("durability"), TTI_SLICE("durabilty")), 1);
  assert_int_equal(
      tti_slice_distance(TTI_SLICE("kitten"), TTI_SLICE("sitting")), 3);
  assert_int_equal(tti_slice_distance(TTI_SLICE(""), TTI_SLICE("abc")), 3);
}

static void a_slip_has_a_nearest_name(void **state) {
  (void)state;
  tti_nearest near = tti_nearest_to(TTI_SLICE("lisen"));
  tti_nearest_try(&near, TTI_SLICE("retain"));
  assert_null(near.name.ptr); /* another word */
  tti_nearest_try(&near, TTI_SLICE("listens"));
  tti_nearest_try(&near, TTI_SLICE("listen"));
  tti_nearest_try(&near, TTI_SLICE("listeners"));
  assert_true(tti_slice_eq(near.name, TTI_SLICE("listen")));
}

/* Bytes decide; of two that begin alike the shorter one comes first. */
static void texts_have_an_order(void **state) {
  (void)state;
  assert_true(tti_slice_compare(TTI_SLICE("a"), TTI_SLICE("b")) < 0);
  assert_true(tti_slice_compare(TTI_SLICE("b"), TTI_SLICE("ab")) > 0);
  assert_true(tti_slice_compare(TTI_SLICE("a"), TTI_SLICE("ab")) < 0);
  assert_true(tti_slice_compare(TTI_SLICE(""), TTI_SLICE("")) == 0);
  assert_true(tti_slice_compare(TTI_SLICE("\xc3"), TTI_SLICE("z")) > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(edit_distance_counts_single_edits),
      cmocka_unit_test(a_slip_has_a_nearest_name),
      cmocka_unit_test(texts_have_an_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
