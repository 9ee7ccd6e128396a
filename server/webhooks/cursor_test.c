#include "server/webhooks/cursor.h"

#include "tests/unit.h"

#define S(text) TTI_SLICE(text)

static uint64_t hash_of(tti_slice a, tti_slice b) {
  return cursor_hash("events", (tti_slice[]){a, b}, 2);
}

static void it_comes_back_as_it_was(void **state) {
  (void)state;
  const cursor all[] = {
      {0, S("")},
      {1, S("wh_0f")},
      {INT64_MAX, S("0123456789012345678901234567890123456789")}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    char text[CURSOR_TEXT];
    cursor back;
    cursor_write(7, all[i], text);
    assert_true(cursor_read(tti_slice_of(text), 7, &back));
    assert_int_equal(back.at, all[i].at);
    assert_true(tti_slice_eq(back.last, all[i].last));
  }
}

static void it_is_good_for_its_list_and_filters_alone(void **state) {
  (void)state;
  const uint64_t mine = hash_of(S("ab"), S("c"));
  const uint64_t others[] = {
      hash_of(S("a"), S("bc")),
      hash_of(S("abc"), S("")),
      hash_of(S("ax"), S("c")),
      hash_of(S("ab"), S("d")),
      hash_of(S("c"), S("ab")),
      hash_of(S("ab"), (tti_slice){0}),
      cursor_hash("webhooks", (tti_slice[]){S("ab"), S("c")}, 2)};
  char text[CURSOR_TEXT];
  cursor back;
  cursor_write(mine, (cursor){5, S("x")}, text);
  assert_true(cursor_read(tti_slice_of(text), hash_of(S("ab"), S("c")), &back));
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    assert_false(cursor_read(tti_slice_of(text), others[i], &back));
}

static void what_is_no_cursor_is_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "",
      "1",
      "nonsense",
      "2000000000000000700000000000000050", /* another version */
      "10000000000000007000000000000000",   /* cut off */
      "10000000000000007000000000000000g",  /* not hex */
      "10000000000000007ffffffffffffffff",  /* a negative position */
      "100000000000000070000000000000005'", /* not of an id */
      "100000000000000070000000000000005 x",
      ("100000000000000070000000000000005"
       "01234567890123456789012345678901234567890")};
  cursor back;
  assert_true(cursor_read(S("100000000000000070000000000000005"), 7, &back));
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_false(cursor_read(tti_slice_of(wrong[i]), 7, &back));
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(it_comes_back_as_it_was),
      cmocka_unit_test(it_is_good_for_its_list_and_filters_alone),
      cmocka_unit_test(what_is_no_cursor_is_refused),
  };
  return cmocka_run_group_tests(cases, NULL, NULL);
}
