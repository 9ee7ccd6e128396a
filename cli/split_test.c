#include "cli/split.h"
#include "tests/unit.h"

#include <stdlib.h>

/* Feeds `text` in pieces of `piece` bytes; joins the items with '|'. */
static split_result split(const char *text, size_t piece, tti_buf *out) {
  splitter s;
  splitter_init(&s, 1 << 20);
  split_result result = SPLIT_MORE;
  size_t len = strlen(text);
  for (size_t at = 0; at < len && result != SPLIT_BAD; at += piece) {
    tti_slice rest = {text + at, len - at < piece ? len - at : piece};
    while ((result = splitter_take(&s, &rest)) == SPLIT_ITEM) {
      tti_buf_append_slice(out, tti_buf_slice(&s.item));
      tti_buf_append_char(out, '|');
      splitter_next(&s);
    }
  }
  if (result == SPLIT_MORE && !splitter_at_end(&s))
    result = SPLIT_BAD;
  splitter_fini(&s);
  return result;
}

static void expect(const char *text, const char *items) {
  for (size_t piece = 1; piece < 8; piece++) {
    tti_buf out;
    tti_buf_init(&out, 1 << 20);
    assert_int_equal(split(text, piece, &out), SPLIT_MORE);
    tti_buf_append(&out, "", 1);
    assert_string_equal(out.data, items);
    tti_buf_fini(&out);
  }
}

/* Whatever way events come, each is one item, in order, byte for byte. */
static void takes_every_form(void **state) {
  (void)state;
  expect("", "");
  expect("{}", "{}|");
  expect("{\"a\":1}\n{\"b\":[2]}\n", "{\"a\":1}|{\"b\":[2]}|");
  expect(" [ {\"a\":{\"}\":\"\\\"]}\"}} , {} ] ",
         "{\"a\":{\"}\":\"\\\"]}\"}}|{}|");
  expect("[]", "");
  expect("{\n \"a\": 1\n}", "{\n \"a\": 1\n}|");
}

static void refuses_what_is_no_event(void **state) {
  (void)state;
  static const char *const rows[] = {
      "1", "{}]", "[{}", "{\"a\":", "[{}]{}", "[[]]", "{},{}"};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tti_buf out;
    tti_buf_init(&out, 1 << 20);
    assert_int_equal(split(rows[i], 1, &out), SPLIT_BAD);
    tti_buf_fini(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_every_form),
      cmocka_unit_test(refuses_what_is_no_event),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
