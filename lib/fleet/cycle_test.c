#include "lib/fleet/testing.h"

#define JSON_500                                                               \
  { 500, "{\"error\":\"broken\"}", NULL, NULL }

static void it_sends_at_once_and_goes_on(void **state) {
  fixture *f = *state;
  tt_fleet_increment(f->fleet, "n");
  assert_int_equal(tt_fleet_start_emitting(f->fleet), TT_OK);
  assert_true(is_default(waiting_us(f)));
  tt_fleet_add(f->fleet, "n", 2);
  assert_true(is_default(pass(f)));
  assert_int_equal(body_count(f), 2);
  assert_int_equal(number(f, 0, "n"), 1);
  assert_int_equal(number(f, 1, "n"), 2);
  tt_fleet_stats stats;
  tt_fleet_stats_get(f->fleet, &stats);
  assert_int_equal(stats.updates, 2);
  assert_int_equal(stats.tries, 2);
}

static void a_request_is_what_the_protocol_says(void **state) {
  fixture *f = *state;
  tt_fleet_set_string(f->fleet, "version", "1.2");
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  const sink_request *r = &f->sink->requests[0];
  assert_string_equal(r->path, "/v1/update/" INSTANCE);
  assert_string_equal(r->authorization, "Bearer tt_secret");
  json_t *b = body(f, 0);
  assert_int_equal(json_object_size(b), 3);
  assert_string_equal(json_string_value(json_object_get(b, "instance_id")),
                      INSTANCE);
  assert_string_equal(json_string_value(json_object_get(b, "timestamp")),
                      "2026-01-01T00:00:00.000000Z");
  assert_string_equal(json_string_value(json_object_get(data(f, 0), "version")),
                      "1.2");
}

static void each_update_tells_about_the_process(void **state) {
  fixture *f = *state;
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  json_t *process = json_object_get(data(f, 0), "process");
  assert_int_equal(json_object_size(process), 4);
  assert_true(json_number_value(json_object_get(process, "resident_bytes")) >
              100000);
  assert_true(json_integer_value(json_object_get(process, "threads")) >= 2);
  assert_true(json_integer_value(json_object_get(process, "open_files")) >= 3);
  assert_true(json_number_value(json_object_get(process, "cpu_seconds")) > 0);
}

/* -- When. -- */

static void the_server_says_when(void **state) {
  fixture *f = *state;
  SCRIPT(f, {200, "{\"next_update\":90000000000}", NULL, NULL},
         {200, "{\"next_update\":999999999}", NULL, NULL},
         {200, "{\"next_update\":-5}", NULL, NULL},
         {200, "{\"next_update\":\"soon\"}", NULL, NULL},
         {200, "{\"next_update\":1000000000}", NULL, NULL},
         {200, "{\"next_update\":9223372036854775807}", NULL, NULL});
  tt_fleet_start_emitting(f->fleet);
  assert_int_equal(waiting_us(f), 90 * SECOND);
  assert_true(is_default(pass(f)));
  assert_true(is_default(pass(f)));
  assert_true(is_default(pass(f)));
  assert_int_equal(pass(f), SECOND);
  assert_int_equal(pass(f), 365 * 86400 * SECOND);
}

static void nothing_is_sent_before_its_time(void **state) {
  fixture *f = *state;
  SCRIPT(f, {200, "{\"next_update\":90000000000}", NULL, NULL});
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  pass_us(f, 89 * SECOND);
  assert_int_equal(waiting_us(f), SECOND);
  assert_int_equal(body_count(f), 1);
  tt_fleet_reset(f->fleet);
  assert_int_equal(waiting_us(f), SECOND);
  pass(f);
  assert_int_equal(body_count(f), 2);
}

static void a_failure_is_tried_again_three_times(void **state) {
  fixture *f = *state;
  SCRIPT(f, JSON_500, JSON_500, JSON_500, JSON_500);
  tt_fleet_add(f->fleet, "n", 5);
  tt_fleet_append(f->fleet, tt_str("l", "a"));
  tt_fleet_start_emitting(f->fleet);
  assert_int_equal(waiting_us(f), 8 * SECOND);
  tt_fleet_add(f->fleet, "n", 2);
  assert_int_equal(pass(f), 27 * SECOND);
  assert_int_equal(pass(f), 64 * SECOND);
  assert_true(is_default(pass(f)));
  assert_int_equal(body_count(f), 4);
  assert_true(json_equal(body(f, 0), body(f, 3)));
  assert_true(is_logged(f, "broken"));
  /* What was not delivered is in the next one. */
  pass(f);
  assert_int_equal(number(f, 4, "n"), 7);
  assert_int_equal(json_array_size(json_object_get(data(f, 4), "l")), 1);
  tt_fleet_stats stats;
  tt_fleet_stats_get(f->fleet, &stats);
  assert_int_equal(stats.updates, 1);
  assert_int_equal(stats.tries, 5);
}

static void what_is_no_answer_is_tried_again(void **state) {
  static const step wrong[] = {
      {200, "{}", NULL, "text/html"}, {200, "{\"stop\":tru", NULL, NULL},
      {200, "[]", NULL, NULL},        {200, "", NULL, NULL},
      {204, "", NULL, "text/plain"},  {302, "{}", "Location: /elsewhere", NULL},
      {400, "{}", NULL, NULL},        {413, "too large", NULL, "text/plain"},
      {500, "{}", NULL, NULL},        {503, "{}", "Retry-After: 600", NULL},
  };
  fixture *f = *state;
  f->steps = wrong;
  f->step_count = sizeof(wrong) / sizeof(*wrong);
  tt_fleet_start_emitting(f->fleet);
  static const int64_t waits[] = {8, 27, 64, 0, 8, 27, 64, 0, 8, 27};
  for (size_t i = 0; i < f->step_count; i++) {
    int64_t left = i ? pass(f) : waiting_us(f);
    if (waits[i])
      assert_int_equal(left, waits[i] * SECOND);
    else
      assert_true(is_default(left));
  }
  assert_true(is_default(pass(f)));
  assert_int_equal(body_count(f), f->step_count + 1);
}

static void a_connection_that_breaks_is_tried_again(void **state) {
  fixture *f = *state;
  f->sink->steps[0].act = SINK_CUT_BEFORE;
  f->sink->step_count = 1;
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_start_emitting(f->fleet);
  assert_int_equal(waiting_us(f), 8 * SECOND);
  pass(f);
  assert_int_equal(number(f, 0, "n"), 1);
}

static void too_early_waits_as_long_as_asked(void **state) {
  fixture *f = *state;
  SCRIPT(f, {429, "{\"next_update\":5000000000}", "Retry-After: 7", NULL},
         {429, "{}", "Retry-After: 7", NULL},
         {429, "{\"next_update\":0}", "Retry-After: 0", NULL},
         {429, "{}", NULL, NULL});
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_start_emitting(f->fleet);
  assert_int_equal(waiting_us(f), 5 * SECOND);
  assert_int_equal(pass(f), 7 * SECOND);
  assert_int_equal(pass(f), 64 * SECOND);
  assert_true(is_default(pass(f)));
  assert_int_equal(body_count(f), 4);
  assert_true(json_equal(body(f, 0), body(f, 3)));
}

/* An earlier reply of the same update has no say. */
static void each_reply_stands_for_itself(void **state) {
  fixture *f = *state;
  SCRIPT(f, {500, "{\"next_update\":90000000000}", NULL, NULL},
         {200, "{}", NULL, NULL});
  tt_fleet_start_emitting(f->fleet);
  assert_int_equal(waiting_us(f), 8 * SECOND);
  assert_true(is_default(pass(f)));
}

/* -- The end, as the server wishes. -- */

static void assert_ended(fixture *f) {
  assert_int_equal(tt_fleet_stop_emitting(f->fleet, LONG_MS), TT_OK);
  assert_int_equal(body_count(f), 1);
  tt_fleet_stats stats;
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_set_string(f->fleet, "s", "x");
  tt_fleet_append(f->fleet, tt_int("l", 1));
  tt_fleet_stats_get(f->fleet, &stats);
  assert_int_equal(stats.items, 0);
  assert_int_equal(tt_fleet_start_emitting(f->fleet), TT_ESTATE);
}

/* Until the thread is done with the answer. */
static void await_log(fixture *f, const char *text) {
  while (!is_logged(f, text))
    sched_yield();
}

static void gone_is_for_good(void **state) {
  fixture *f = *state;
  SCRIPT(f, {410, "get version 9", NULL, "text/plain"});
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_start_emitting(f->fleet);
  await_log(f, "upgrade required: get version 9");
  assert_ended(f);
}

static void legal_reasons_are_for_good(void **state) {
  fixture *f = *state;
  SCRIPT(f, {451, "", NULL, "text/plain"});
  tt_fleet_start_emitting(f->fleet);
  await_log(f, "consult the project website");
  assert_ended(f);
}

static void stop_is_for_good(void **state) {
  fixture *f = *state;
  SCRIPT(f, {200, "{\"stop\":true,\"next_update\":5000000000}", NULL, NULL});
  tt_fleet_increment(f->fleet, "n");
  tt_fleet_start_emitting(f->fleet);
  await_log(f, "asks to stop");
  assert_ended(f);
}

/* -- What may be told. -- */

static void the_server_disables_and_enables(void **state) {
  fixture *f = *state;
  SCRIPT(f,
         {200, "{\"disable_keys\":[\"a\",\" b\",7,\"c\\u0064\"]}", NULL, NULL},
         {200, "{\"enable_keys\":[\"a\",\"b\"],\"disable_keys\":[\"b\"]}", NULL,
          NULL});
  for (const char *key = "abcd"; *key; key++)
    tt_fleet_increment(f->fleet, (char[]){*key, '\0'});
  tt_fleet_increment(f->fleet, "cd");
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  for (int round = 1; round < 3; round++) {
    for (const char *key = "abcd"; *key; key++)
      tt_fleet_increment(f->fleet, (char[]){*key, '\0'});
    tt_fleet_increment(f->fleet, "cd");
    pass(f);
    assert_int_equal(number(f, (size_t)round, "a"), round == 1 ? -1 : 1);
    assert_int_equal(number(f, (size_t)round, "b"), -1);
    assert_int_equal(number(f, (size_t)round, "c"), 1);
    assert_int_equal(number(f, (size_t)round, "cd"), -1);
  }
  assert_int_equal(number(f, 0, "a"), 1);
  assert_int_equal(number(f, 0, "cd"), 1);
}

/* Disabled in the answer to the first try: the second one leaves it out. */
static void a_try_obeys_the_reply_before_it(void **state) {
  fixture *f = *state;
  SCRIPT(f, {500, "{\"disable_keys\":[\"a\",\"l\"]}", NULL, NULL});
  tt_fleet_increment(f->fleet, "a");
  tt_fleet_append(f->fleet, tt_int("l:1", 1));
  tt_fleet_increment(f->fleet, "b");
  tt_fleet_start_emitting(f->fleet);
  assert_int_equal(waiting_us(f), 8 * SECOND);
  pass(f);
  assert_int_equal(number(f, 0, "a"), 1);
  assert_int_equal(number(f, 1, "a"), -1);
  assert_null(json_object_get(data(f, 1), "l:1"));
  assert_int_equal(number(f, 1, "b"), 1);
}

static void no_server_lifts_what_the_user_chose(void **state) {
  static const char *const secret[] = {"secret"};
  fixture *f = *state;
  f->disabled = secret;
  f->disabled_count = 1;
  reopen(f);
  SCRIPT(f, {200, "{\"disable_keys\":[\"secret\"]}", NULL, NULL},
         {200, "{\"enable_keys\":[\"secret\"]}", NULL, NULL});
  tt_fleet_start_emitting(f->fleet);
  waiting_us(f);
  for (int i = 0; i < 3; i++) {
    tt_fleet_increment(f->fleet, "secret");
    pass(f);
  }
  for (size_t i = 0; i < 4; i++)
    assert_int_equal(number(f, i, "secret"), -1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(it_sends_at_once_and_goes_on),
      TEST(a_request_is_what_the_protocol_says),
      TEST(each_update_tells_about_the_process),
      TEST(the_server_says_when),
      TEST(nothing_is_sent_before_its_time),
      TEST(a_failure_is_tried_again_three_times),
      TEST(what_is_no_answer_is_tried_again),
      TEST(a_connection_that_breaks_is_tried_again),
      TEST(too_early_waits_as_long_as_asked),
      TEST(each_reply_stands_for_itself),
      TEST(gone_is_for_good),
      TEST(legal_reasons_are_for_good),
      TEST(stop_is_for_good),
      TEST(the_server_disables_and_enables),
      TEST(a_try_obeys_the_reply_before_it),
      TEST(no_server_lifts_what_the_user_chose),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
