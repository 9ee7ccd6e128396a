#include "server/deliver/schedule.h"
#include "tests/unit.h"

#define SECOND_US ((int64_t)1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US   (60 * MINUTE_US)

static const int64_t t0 = (int64_t)1700000000 * 1000000;

static schedule_answer answered(int status) {
  return (schedule_answer){.status = status, .sent = true};
}

static void nine_attempts_at_eight_delays(void **state) {
  (void)state;
  static const int64_t minutes[] = {1, 5, 15, 60, 240, 480, 960, 1440};
  schedule_answer answer = answered(500);
  int64_t now_us = t0;
  unsigned attempts = 0;
  for (size_t i = 0; i < 8; i++) {
    schedule_verdict v = schedule_judge(&answer, attempts, t0, now_us);
    assert_int_equal(v.fate, SCHEDULE_RETRY);
    assert_int_equal(v.attempts, i + 1);
    assert_int_equal(v.retry_us - now_us, minutes[i] * MINUTE_US);
    now_us = v.retry_us;
    attempts = v.attempts;
  }
  schedule_verdict last = schedule_judge(&answer, attempts, t0, now_us);
  assert_int_equal(last.fate, SCHEDULE_FAILED);
  assert_int_equal(last.attempts, 9);
  assert_string_equal(last.reason, "exhausted");
  assert_false(last.gone);
}

static void only_2xx_is_delivered(void **state) {
  (void)state;
  for (int status = 100; status < 600; status++) {
    schedule_answer answer = answered(status);
    schedule_verdict v = schedule_judge(&answer, 0, t0, t0);
    schedule_fate wanted = status / 100 == 2 ? SCHEDULE_DELIVERED
                           : status == 410   ? SCHEDULE_FAILED
                                             : SCHEDULE_RETRY;
    assert_int_equal(v.fate, wanted);
    assert_int_equal(v.attempts, 1);
  }
}

static void gone_ends_it_and_the_webhook(void **state) {
  (void)state;
  schedule_answer answer = answered(410);
  schedule_verdict v = schedule_judge(&answer, 0, t0, t0);
  assert_int_equal(v.fate, SCHEDULE_FAILED);
  assert_string_equal(v.reason, "gone");
  assert_true(v.gone);
}

static int64_t delay_us(int status, unsigned attempts, int64_t retry_after_s) {
  schedule_answer answer = answered(status);
  answer.retry_after_s = retry_after_s;
  return schedule_judge(&answer, attempts, t0, t0).retry_us - t0;
}

static void retry_after_only_lengthens_and_to_a_day_at_most(void **state) {
  (void)state;
  assert_int_equal(delay_us(429, 0, 600), 600 * SECOND_US);
  assert_int_equal(delay_us(503, 0, 600), 600 * SECOND_US);
  assert_int_equal(delay_us(503, 0, 5), MINUTE_US);
  assert_int_equal(delay_us(503, 4, 600), 4 * HOUR_US);
  assert_int_equal(delay_us(429, 0, 1000000), 24 * HOUR_US);
  assert_int_equal(delay_us(429, 0, INT64_MAX), 24 * HOUR_US);
  assert_int_equal(delay_us(500, 0, 600), MINUTE_US);
  assert_int_equal(delay_us(404, 0, 600), MINUTE_US);
}

static void what_sent_nothing_does_not_count(void **state) {
  (void)state;
  const schedule_answer unsent = {0};
  int64_t now_us = t0;
  for (int i = 0; i < 100; i++) {
    schedule_verdict v = schedule_judge(&unsent, 0, t0, now_us);
    assert_int_equal(v.fate, SCHEDULE_RETRY);
    assert_int_equal(v.attempts, 0);
    assert_int_equal(v.retry_us - now_us, MINUTE_US);
    now_us = v.retry_us;
  }
  schedule_verdict v = schedule_judge(&unsent, 3, t0, t0);
  assert_int_equal(v.attempts, 3);
  assert_int_equal(v.retry_us - t0, 15 * MINUTE_US);
  v = schedule_judge(&unsent, 0, t0, t0 + SCHEDULE_EXPIRY_US);
  assert_int_equal(v.fate, SCHEDULE_FAILED);
  assert_string_equal(v.reason, "expired");
}

static void after_72_hours_it_expires(void **state) {
  (void)state;
  schedule_answer answer = answered(500);
  answer.retry_after_s = 24 * 3600;
  assert_false(schedule_expired(t0, t0 + SCHEDULE_EXPIRY_US - 1));
  assert_true(schedule_expired(t0, t0 + SCHEDULE_EXPIRY_US));
  schedule_verdict v = schedule_judge(&answer, 7, t0, t0 + 71 * HOUR_US);
  assert_int_equal(v.fate, SCHEDULE_RETRY);
  assert_int_equal(v.retry_us, t0 + 72 * HOUR_US);
}

static void a_refusal_is_no_illness(void **state) {
  (void)state;
  static const struct {
    int status;
    bool ill;
  } rows[] = {{0, true},    {200, false}, {302, false},
              {400, false}, {404, false}, {410, false},
              {429, true},  {500, true},  {503, true}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    schedule_answer answer = answered(rows[i].status);
    assert_int_equal(schedule_is_ill(&answer), rows[i].ill);
  }
}

/* ---- The breaker ---- */

static void trip(breaker *b, int64_t now_us) {
  for (int i = 1; i < BREAKER_FAILURES; i++)
    assert_false(breaker_report(b, true, now_us));
  assert_true(breaker_report(b, true, now_us));
}

static void it_opens_after_failures_in_a_row(void **state) {
  (void)state;
  breaker b = {0};
  for (int i = 0; i < 20; i++) {
    assert_false(breaker_report(&b, true, t0));
    assert_false(breaker_report(&b, false, t0));
  }
  assert_true(breaker_lets(&b, 100, t0));
  trip(&b, t0);
  assert_int_equal(b.open_until_us, t0 + 30 * SECOND_US);
  assert_false(breaker_lets(&b, 0, t0));
  assert_false(breaker_lets(&b, 0, b.open_until_us - 1));
}

static void half_open_lets_one_through(void **state) {
  (void)state;
  breaker b = {0};
  trip(&b, t0);
  int64_t now_us = b.open_until_us;
  assert_true(breaker_lets(&b, 0, now_us));
  assert_false(breaker_lets(&b, 1, now_us));
  assert_false(breaker_report(&b, false, now_us));
  assert_true(breaker_lets(&b, 100, now_us));
}

static void a_failed_probe_opens_it_for_twice_as_long(void **state) {
  (void)state;
  static const int64_t seconds[] = {60, 120, 240, 480, 600, 600};
  breaker b = {0};
  trip(&b, t0);
  for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
    int64_t now_us = b.open_until_us;
    assert_true(breaker_report(&b, true, now_us));
    assert_int_equal(b.open_until_us - now_us, seconds[i] * SECOND_US);
  }
}

static void stragglers_do_not_lengthen_it(void **state) {
  (void)state;
  breaker b = {0};
  trip(&b, t0);
  for (int i = 0; i < 20; i++)
    assert_false(breaker_report(&b, true, t0 + SECOND_US));
  assert_int_equal(b.open_until_us, t0 + 30 * SECOND_US);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nine_attempts_at_eight_delays),
      cmocka_unit_test(only_2xx_is_delivered),
      cmocka_unit_test(gone_ends_it_and_the_webhook),
      cmocka_unit_test(retry_after_only_lengthens_and_to_a_day_at_most),
      cmocka_unit_test(what_sent_nothing_does_not_count),
      cmocka_unit_test(after_72_hours_it_expires),
      cmocka_unit_test(a_refusal_is_no_illness),
      cmocka_unit_test(it_opens_after_failures_in_a_row),
      cmocka_unit_test(half_open_lets_one_through),
      cmocka_unit_test(a_failed_probe_opens_it_for_twice_as_long),
      cmocka_unit_test(stragglers_do_not_lengthen_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
