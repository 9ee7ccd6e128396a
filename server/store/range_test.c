#include "tests/unit.h"

#include "server/store/range.h"

static void neighbours_of_one_reason_join(void **state) {
  (void)state;
  range_list list = {0};
  assert_int_equal(range_list_add(&list, 1, 5, "crash"), TT_OK);
  assert_int_equal(range_list_add(&list, 6, 9, "crash"), TT_OK);
  assert_int_equal(range_list_add(&list, 10, 12, "lost"), TT_OK);
  assert_int_equal(list.count, 2);
  assert_int_equal(list.items[0].to_seq, 9);
  range_list_fini(&list);
}

static void retention_folds_what_it_covers(void **state) {
  (void)state;
  range_list list = {0};
  range_list_add(&list, 50, 59, "crash");
  range_list_add(&list, 150, 159, "crash");
  assert_int_equal(range_list_retain(&list, 1, 99), TT_OK);
  assert_int_equal(list.count, 2);
  assert_int_equal(list.items[0].from_seq, 1);
  assert_int_equal(list.items[0].to_seq, 99);
  assert_string_equal(list.items[0].reason, "retention");
  assert_int_equal(range_list_retain(&list, 100, 154), TT_OK);
  assert_int_equal(list.count, 2);
  assert_int_equal(list.items[0].to_seq, 154);
  assert_int_equal(list.items[1].from_seq, 155);
  assert_int_equal(range_list_retain(&list, 155, 199), TT_OK);
  assert_int_equal(list.count, 1);
  assert_int_equal(list.items[0].from_seq, 1);
  assert_int_equal(list.items[0].to_seq, 199);
  range_list_fini(&list);
}

static void a_copy_is_cut_to_what_was_asked(void **state) {
  (void)state;
  range_list list = {0};
  store_range out[4];
  range_list_add(&list, 10, 20, "crash");
  range_list_add(&list, 30, 40, "lost");
  assert_int_equal(range_list_copy(&list, 14, 33, out, 4), 2);
  assert_int_equal(out[0].from_seq, 15);
  assert_int_equal(out[0].to_seq, 20);
  assert_int_equal(out[1].from_seq, 30);
  assert_int_equal(out[1].to_seq, 33);
  assert_int_equal(range_list_copy(&list, 20, 29, out, 4), 0);
  assert_int_equal(range_list_copy(&list, 0, 100, out, 1), 1);
  range_list_fini(&list);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(neighbours_of_one_reason_join),
      cmocka_unit_test(retention_folds_what_it_covers),
      cmocka_unit_test(a_copy_is_cut_to_what_was_asked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
