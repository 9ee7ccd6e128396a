#include "tests/unit.h"

#include "server/feed/cursor.h"

#define NONE ((tti_slice){NULL, 0})

static void header_wins_over_after_wins_over_replay(void **state) {
  (void)state;
  cursor_request r =
      cursor_parse(TTI_SLICE("7"), TTI_SLICE("8"), TTI_SLICE("all"));
  assert_int_equal(r.from, CURSOR_AFTER);
  assert_int_equal(r.after, 7);
  r = cursor_parse(NONE, TTI_SLICE("8"), TTI_SLICE("all"));
  assert_int_equal(r.after, 8);
  r = cursor_parse(NONE, NONE, TTI_SLICE("all"));
  assert_int_equal(r.from, CURSOR_AFTER);
  assert_int_equal(r.after, 0);
  r = cursor_parse(NONE, NONE, NONE);
  assert_int_equal(r.from, CURSOR_TAIL);
}

static void an_empty_header_is_none(void **state) {
  (void)state;
  cursor_request r = cursor_parse(TTI_SLICE(""), TTI_SLICE("5"), NONE);
  assert_int_equal(r.from, CURSOR_AFTER);
  assert_int_equal(r.after, 5);
}

static void what_is_not_a_number_is_refused(void **state) {
  (void)state;
  const char *bad[] = {
      "x", "-1", "1 ", " 1", "1.0", "0x1", "1e3", "18446744073709551616", "+1"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    cursor_request r = cursor_parse(tti_slice_of(bad[i]), NONE, NONE);
    assert_int_equal(r.from, CURSOR_BAD);
    assert_string_equal(r.bad, "Last-Event-ID");
    r = cursor_parse(NONE, tti_slice_of(bad[i]), NONE);
    assert_int_equal(r.from, CURSOR_BAD);
    assert_string_equal(r.bad, "after");
  }
  assert_int_equal(cursor_parse(NONE, TTI_SLICE(""), NONE).from, CURSOR_BAD);
  assert_int_equal(cursor_parse(NONE, NONE, TTI_SLICE("some")).from,
                   CURSOR_BAD);
}

static void an_id_beyond_the_head_resets_to_the_tail(void **state) {
  (void)state;
  cursor_request r = {.from = CURSOR_AFTER, .after = 101};
  cursor_start s = cursor_begin(&r, 100, 90);
  assert_true(s.reset);
  assert_int_equal(s.asked, 101);
  assert_int_equal(s.at, 100);
}

static void an_id_between_ring_and_head_waits(void **state) {
  (void)state;
  cursor_request r = {.from = CURSOR_AFTER, .after = 95};
  cursor_start s = cursor_begin(&r, 100, 90);
  assert_false(s.reset);
  assert_int_equal(s.at, 95);
  assert_int_equal(cursor_next(s.at, 90, 1), CURSOR_WAIT);
  /* … and the ring may be ahead of the disk. */
  s = cursor_begin(&r, 80, 95);
  assert_false(s.reset);
  assert_int_equal(s.at, 95);
}

static void nothing_asked_is_the_tail_and_tells_the_position(void **state) {
  (void)state;
  cursor_request r = {.from = CURSOR_TAIL};
  cursor_start s = cursor_begin(&r, 100, 90);
  assert_int_equal(s.at, 100);
  assert_false(s.told);
  assert_false(s.reset);
}

static void the_next_place_follows_from_the_three_numbers(void **state) {
  (void)state;
  assert_int_equal(cursor_next(50, 50, 10), CURSOR_LIVE);
  assert_int_equal(cursor_next(51, 50, 10), CURSOR_WAIT);
  assert_int_equal(cursor_next(49, 50, 10), CURSOR_RING);
  assert_int_equal(cursor_next(9, 50, 10), CURSOR_RING);
  assert_int_equal(cursor_next(8, 50, 10), CURSOR_STORE);
  assert_int_equal(cursor_next(0, 50, 1), CURSOR_RING);
  assert_int_equal(cursor_next(0, 50, 0), CURSOR_STORE);
  assert_int_equal(cursor_next(0, 0, 0), CURSOR_LIVE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(header_wins_over_after_wins_over_replay),
      cmocka_unit_test(an_empty_header_is_none),
      cmocka_unit_test(what_is_not_a_number_is_refused),
      cmocka_unit_test(an_id_beyond_the_head_resets_to_the_tail),
      cmocka_unit_test(an_id_between_ring_and_head_waits),
      cmocka_unit_test(nothing_asked_is_the_tail_and_tells_the_position),
      cmocka_unit_test(the_next_place_follows_from_the_three_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
