#include "tests/unit.h"

#include "lib/base/time.h"
#include "lib/emit/retry.h"
#include <stdio.h>
#include <string.h>

static void delays_double_up_to_a_ceiling(void **state) {
  (void)state;
  static const struct {
    unsigned failures;
    int64_t most_ms;
  } expected[] = {{1, 100},    {2, 200},    {3, 400},    {9, 25600},
                  {10, 30000}, {11, 30000}, {64, 30000}, {4000000000, 30000}};
  for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
    for (int round = 0; round < 100; round++) {
      int64_t ms = tti_retry_delay_ms(expected[i].failures);
      assert_true(ms >= expected[i].most_ms / 2);
      assert_true(ms <= expected[i].most_ms);
    }
  }
}

static void a_stopped_queue_ends_the_wait(void **state) {
  (void)state;
  tti_queue *queue = tti_queue_new(1, 4096);
  int64_t begin = tti_monotonic_us(&tti_clock_system);
  tti_queue_stop(queue);
  tti_retry_wait(queue, begin + (int64_t)3600 * 1000000, false);
  tti_queue_free(queue);
}

/* An event that never leaves: the flush gives up, but it came. */
static void a_flush_cuts_the_wait_short(void **state) {
  (void)state;
  tti_queue *queue = tti_queue_new(1, 4096);
  tt_event event = {.type = "t", .ts_us = 1};
  int64_t begin = tti_monotonic_us(&tti_clock_system);
  tti_queue_push(queue, &event, NULL);
  assert_int_equal(tti_queue_flush(queue, 0), TT_ETIMEOUT);
  tti_retry_wait(queue, begin + (int64_t)3600 * 1000000, false);
  tti_queue_free(queue);
}

typedef struct told {
  unsigned count;
  char message[256];
} told;

static void note(void *context, tt_level level, const char *message) {
  told *t = context;
  assert_int_equal(level, TT_LEVEL_WARN);
  t->count++;
  snprintf(t->message, sizeof(t->message), "%s", message);
}

static void a_complaint_is_told_once_in_a_while(void **state) {
  (void)state;
  told t = {0};
  tt_log_hook log = {note, &t};
  tti_log_ration complaint = {0};
  for (int i = 0; i < 4; i++)
    tti_complain(&complaint, &log, "here", "trouble", "no disk");
  assert_int_equal(t.count, 1);
  assert_string_equal(t.message, "emitter to here: trouble: no disk");
  complaint.at_us -= 10 * 1000000; /* as if ten seconds had passed */
  tti_complain(&complaint, &log, "here", "trouble", "no disk");
  assert_int_equal(t.count, 2);
  assert_string_equal(t.message,
                      "emitter to here: trouble: no disk (3 more like it)");
  assert_int_equal(complaint.held_back, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(delays_double_up_to_a_ceiling),
      cmocka_unit_test(a_stopped_queue_ends_the_wait),
      cmocka_unit_test(a_flush_cuts_the_wait_short),
      cmocka_unit_test(a_complaint_is_told_once_in_a_while),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
