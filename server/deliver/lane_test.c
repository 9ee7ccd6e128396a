#include "server/deliver/lane.h"
#include "tests/unit.h"

#include <stdlib.h>

static size_t bytes; /* that lanes hold */

static lane *lane_of(bool ordered, bool express) {
  due_lane id = {.webhook = "wh_1", .express = express};
  lane *l = lane_new(&id, &bytes);
  due_webhook *w = calloc(1, sizeof *w);
  assert_non_null(l);
  assert_non_null(w);
  *w = (due_webhook){.enabled = true, .ordered = ordered, .headers = ""};
  lane_set_webhook(l, w);
  return l;
}

static void add(lane *l, int64_t n, int64_t due_us) {
  due_delivery *due = calloc(1, sizeof *due);
  assert_non_null(due);
  *due = (due_delivery){.n = n, .due_us = due_us};
  assert_int_equal(lane_add(l, due), TT_OK);
}

static item *begin(lane *l) {
  item *i = lane_next(l, 0);
  assert_non_null(i);
  item_begin(i);
  return i;
}

static void what_is_due_longest_is_next(void **state) {
  (void)state;
  lane *l = lane_of(false, false);
  add(l, 2, 20);
  add(l, 3, 10);
  add(l, 1, 20);
  add(l, 1, 20); /* once more: there already */
  assert_int_equal(l->queued, 3);
  l->window = 3;
  assert_int_equal(begin(l)->delivery->n, 3);
  assert_int_equal(begin(l)->delivery->n, 1);
  assert_int_equal(begin(l)->delivery->n, 2);
  assert_null(lane_next(l, 0));
  lane_free(l);
}

static void ordered_is_by_number_and_one_at_a_time(void **state) {
  (void)state;
  lane *l = lane_of(true, false);
  l->window = 8;
  add(l, 2, 10);
  add(l, 1, 20);
  item *first = begin(l);
  assert_int_equal(first->delivery->n, 1);
  assert_null(lane_next(l, 0));
  item_end(first, false, 0);
  assert_int_equal(begin(l)->delivery->n, 2);
  lane_free(l);
  l = lane_of(true, true); /* tests and redeliveries */
  l->window = 8;
  add(l, 1, 10);
  add(l, 2, 10);
  begin(l);
  begin(l);
  lane_free(l);
}

static void the_window_grows_and_falls(void **state) {
  (void)state;
  lane *l = lane_of(false, false);
  for (int64_t n = 1; n <= 40; n++)
    add(l, n, n);
  item *first = begin(l);
  assert_null(lane_next(l, 0));
  item_end(first, false, 0);
  for (unsigned i = 2; i <= LANE_WINDOW_MAX; i++) {
    item *next = begin(l);
    assert_int_equal(l->window, i);
    item_end(next, false, 0);
  }
  item_end(begin(l), false, 0);
  assert_int_equal(l->window, LANE_WINDOW_MAX);
  item_end(begin(l), true, 0);
  assert_int_equal(l->window, 1);
  lane_free(l);
}

static void nothing_begins_before_its_hold_or_in_doubt(void **state) {
  (void)state;
  lane *l = lane_of(false, false);
  add(l, 1, 1);
  l->hold_until_us = 100;
  assert_null(lane_next(l, 99));
  assert_int_equal(lane_wakes_us(l), 100);
  assert_non_null(lane_next(l, 100));
  lane_doubt(l);
  assert_null(lane_next(l, 100));
  lane_free(l);
}

static void room_is_for_what_the_window_takes(void **state) {
  (void)state;
  lane *l = lane_of(false, false);
  assert_int_equal(lane_room(l, 0), 0); /* there is nothing to look for */
  l->next_us = 5;
  assert_int_equal(lane_room(l, 4), 0);
  assert_int_equal(lane_room(l, 5), LANE_AHEAD_PER_PLACE);
  add(l, 1, 1);
  assert_int_equal(lane_room(l, 5), LANE_AHEAD_PER_PLACE - 1);
  add(l, 2, 1);
  add(l, 3, 1);
  assert_int_equal(lane_room(l, 5), 0); /* enough for now */
  l->breaker.trips = 1;
  lane_drop_queued(l);
  assert_int_equal(lane_room(l, 5), 1);
  lane_free(l);
}

/* A look that began before a result was written may still show it as due. */
static void what_was_settled_during_a_look_is_not_taken_again(void **state) {
  (void)state;
  lane *l = lane_of(false, false);
  add(l, 1, 1);
  item *i = begin(l);
  item_end(i, false, 0);
  l->looking = true;
  item_settled(i);
  add(l, 1, 1);
  assert_int_equal(l->queued, 0);
  lane_looked(l);
  assert_int_equal(l->held, 0);
  assert_true(lane_is_idle(l));
  lane_free(l);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_due_longest_is_next),
      cmocka_unit_test(ordered_is_by_number_and_one_at_a_time),
      cmocka_unit_test(the_window_grows_and_falls),
      cmocka_unit_test(nothing_begins_before_its_hold_or_in_doubt),
      cmocka_unit_test(room_is_for_what_the_window_takes),
      cmocka_unit_test(what_was_settled_during_a_look_is_not_taken_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
