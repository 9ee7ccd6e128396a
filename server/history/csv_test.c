#include "tests/unit.h"

#include "server/history/csv.h"

static void assert_row(const tti_record *record, const char *want) {
  tti_buf out, scratch;
  tti_buf_init(&out, 4096);
  tti_buf_init(&scratch, 4096);
  csv_row(&out, 7, record, &scratch);
  tti_buf_append_char(&out, '\0');
  assert_int_equal(out.error, TT_OK);
  assert_string_equal(out.data, want);
  tti_buf_fini(&out);
  tti_buf_fini(&scratch);
}

static void what_is_absent_is_an_empty_field(void **state) {
  (void)state;
  tti_record r = {.level = TT_LEVEL_INFO, .source = TTI_SLICE("s")};
  assert_row(&r, "7,1970-01-01T00:00:00.000000Z,s,,,info,,,,\r\n");
  r.has_duration = true;
  assert_row(&r, "7,1970-01-01T00:00:00.000000Z,s,,,info,,0,,\r\n");
}

static void what_would_break_a_row_is_quoted(void **state) {
  (void)state;
  tti_buf pairs;
  tti_buf_init(&pairs, 4096);
  tti_metadata_append(&pairs, TTI_SLICE("k"), TTI_SLICE("v"));
  tti_metadata_append(&pairs, TTI_SLICE("l"), TTI_SLICE("a\nb"));
  tti_record r = {.level = TT_LEVEL_ERROR,
                  .source = TTI_SLICE("a,b"),
                  .category = TTI_SLICE("say \"hi\""),
                  .type = TTI_SLICE("two\r\nlines"),
                  .agent_id = TTI_SLICE("plain text"),
                  .data = TTI_SLICE("{\"a\":\n1}"),
                  .metadata = tti_buf_slice(&pairs)};
  assert_row(&r, "7,1970-01-01T00:00:00.000000Z,\"a,b\",\"say \"\"hi\"\"\","
                 "\"two\r\nlines\",error,plain text,,\"{\"\"a\"\": 1}\","
                 "\"{\"\"k\"\":\"\"v\"\",\"\"l\"\":\"\"a\\nb\"\"}\"\r\n");
  tti_buf_fini(&pairs);
}

static void the_header_names_as_many_columns_as_a_row_has(void **state) {
  (void)state;
  tti_buf out;
  tti_buf_init(&out, 4096);
  csv_header(&out);
  size_t commas = 0;
  for (size_t i = 0; i < out.len; i++)
    commas += out.data[i] == ',';
  assert_int_equal(commas, 9);
  assert_memory_equal(out.data + out.len - 2, "\r\n", 2);
  tti_buf_fini(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_absent_is_an_empty_field),
      cmocka_unit_test(what_would_break_a_row_is_quoted),
      cmocka_unit_test(the_header_names_as_many_columns_as_a_row_has),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
