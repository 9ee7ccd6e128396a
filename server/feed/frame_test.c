#include "tests/unit.h"

#include "server/feed/frame.h"

static void check(tti_buf *buf, const char *want) {
  assert_int_equal(buf->error, TT_OK);
  assert_int_equal(buf->len, strlen(want));
  assert_memory_equal(buf->data, want, buf->len);
  tti_buf_fini(buf);
}

static tti_buf empty(void) {
  tti_buf buf;
  tti_buf_init(&buf, 1 << 20);
  return buf;
}

static void an_event_is_its_id_and_one_line(void **state) {
  (void)state;
  tti_record record = {.level = TT_LEVEL_INFO,
                       .ts_us = 1000001,
                       .source = TTI_SLICE("s"),
                       .type = TTI_SLICE("a\nb")};
  tti_buf buf = empty();
  frame_event(&buf, TTI_VIEW_RELAY, 7, &record);
  assert_true(buf.len > 14);
  assert_memory_equal(buf.data, "id: 7\ndata: {", 13);
  assert_memory_equal(buf.data + buf.len - 3, "}\n\n", 3);
  /* Between the two there is no line end, whatever the texts hold. */
  assert_null(memchr(buf.data + 6, '\n', buf.len - 8));
  assert_null(memchr(buf.data, '\r', buf.len));
  tti_buf_fini(&buf);
}

static void dropped_moves_the_position_over_the_loss(void **state) {
  (void)state;
  tti_buf buf = empty();
  frame_dropped(&buf, 3, 9, "retention");
  check(&buf, "event: dropped\nid: 9\ndata: {\"dropped\":7,\"from_seq\":3,"
              "\"to_seq\":9,\"reason\":\"retention\"}\n\n");
}

static void reset_names_both_ends(void **state) {
  (void)state;
  tti_buf buf = empty();
  frame_reset(&buf, 900, 12);
  check(&buf,
        "event: reset\nid: 12\ndata: {\"requested\":900,\"head\":12}\n\n");
}

static void a_position_has_data_and_is_no_message(void **state) {
  (void)state;
  tti_buf buf = empty();
  frame_retry(&buf, 2000);
  frame_position(&buf, 5);
  check(&buf, "retry: 2000\n\nevent: position\nid: 5\ndata: {\"seq\":5}\n\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_event_is_its_id_and_one_line),
      cmocka_unit_test(dropped_moves_the_position_over_the_loss),
      cmocka_unit_test(reset_names_both_ends),
      cmocka_unit_test(a_position_has_data_and_is_no_message),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
