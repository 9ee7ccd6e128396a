#include "tests/unit.h"

#include "lib/emit/timer.h"
#include <string.h>
#include <telltale/stream.h>

static void milliseconds_are_the_nearest(void **state) {
  (void)state;
  tt_timer timer = {.started_us = 1000000};
  static const int64_t expected[][2] = {{0, 0},
                                        {499, 0},
                                        {500, 1},
                                        {1499, 1},
                                        {1500, 2},
                                        {2000, 2},
                                        {3600000000, 3600000}};
  for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++)
    assert_int_equal(tti_timer_ms(&timer, 1000000 + expected[i][0]),
                     expected[i][1]);
}

static void the_event_has_type_fields_and_duration(void **state) {
  (void)state;
  tt_stream *stream;
  tt_reader *reader;
  tt_emitter *emitter;
  tt_read_result result;
  assert_int_equal(tt_stream_new(NULL, &stream), TT_OK);
  assert_int_equal(tt_reader_new(stream, 0, &reader), TT_OK);
  assert_int_equal(tt_emitter_stream_new(stream, "test", &emitter), TT_OK);

  tt_timer timer = tt_timer_start(emitter, "query");
  timer.started_us -= 90000000; /* as if a minute and a half had passed */
  tt_timer_emit(&timer);
  tt_timer_emit(&timer, tt_int("rows", 3));
  const tt_field failed[] = {tt_bool("ok", false), TT_END};
  tt_timer_emit_fields(&timer, TT_LEVEL_ERROR, failed);

  static const char *const data[] = {"", "{\"rows\":3}", "{\"ok\":false}"};
  static const tt_level levels[] = {TT_LEVEL_INFO, TT_LEVEL_INFO,
                                    TT_LEVEL_ERROR};
  for (size_t i = 0; i < 3; i++) {
    assert_true(tt_reader_try_read(reader, &result));
    const tt_event *event = &result.envelope->event;
    assert_string_equal(event->type, "query");
    assert_int_equal(event->level, levels[i]);
    assert_true(event->has_duration);
    assert_true(event->duration_ms >= 90000);
    assert_int_equal(event->data_len, strlen(data[i]));
    assert_memory_equal(event->data, data[i], event->data_len);
  }
  tt_emitter_free(emitter);
  tt_reader_free(reader);
  tt_stream_free(stream);
}

static void no_emitter_is_no_trouble(void **state) {
  (void)state;
  tt_timer timer = tt_timer_start(NULL, "query");
  tt_timer_emit(&timer, tt_int("rows", 3));
  tt_timer_emit_fields(NULL, TT_LEVEL_INFO, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(milliseconds_are_the_nearest),
      cmocka_unit_test(the_event_has_type_fields_and_duration),
      cmocka_unit_test(no_emitter_is_no_trouble),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
