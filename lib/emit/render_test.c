#include "tests/unit.h"

#include "lib/emit/render.h"
#include <math.h>
#include <stdlib.h>

/* Packs and renders the event; the text is the caller's. */
static char *render(const tt_event *event, const tt_field *fields,
                    bool *out_whole) {
  size_t size = tti_pack_size(event, fields);
  char *packed = malloc(size); /* exactly: a sanitizer sees each byte beyond */
  assert_int_equal(tti_pack(packed, size, event, fields), size);
  tti_slice rest = {packed, size};
  tti_packed unpacked;
  assert_true(tti_unpack(&rest, &unpacked));
  assert_int_equal(rest.len, 0);
  tti_buf out;
  tti_buf_init(&out, 1 << 20);
  *out_whole = tti_render_event(&out, &unpacked);
  free(packed);
  char *text = tti_buf_take(&out, NULL);
  assert_non_null(text);
  return text;
}

static void expect(const tt_event *event, const tt_field *fields,
                   const char *expected) {
  bool whole;
  char *text = render(event, fields, &whole);
  assert_string_equal(text, expected);
  assert_true(whole);
  free(text);
}

static void an_event_has_only_what_it_was_given(void **state) {
  (void)state;
  expect(&(tt_event){.source = "s"}, NULL,
         "{\"source\":\"s\",\"level\":\"info\","
         "\"ts\":\"1970-01-01T00:00:00.000000Z\"}");
  expect(&(tt_event){.source = "s", .type = "t"}, (const tt_field[]){tt_end()},
         "{\"source\":\"s\",\"action\":\"t\",\"level\":\"info\","
         "\"ts\":\"1970-01-01T00:00:00.000000Z\"}");
}

static void an_event_keeps_everything(void **state) {
  (void)state;
  const tt_metadata metadata[] = {{"k", "v"}, {"", NULL}};
  expect(&(tt_event){.ts_us = 1000001,
                     .source = "s",
                     .source_event = "e",
                     .type = "t",
                     .category = "c",
                     .level = TT_LEVEL_ERROR,
                     .agent_id = "a",
                     .session_id = "i",
                     .has_duration = true,
                     .duration_ms = -3,
                     .metadata = metadata,
                     .metadata_count = 2,
                     .data = "{\"b\":\r\n[1]}"},
         NULL,
         "{\"source\":\"s\",\"source_event\":\"e\",\"action\":\"t\","
         "\"channel\":\"c\",\"level\":\"error\",\"agent_id\":\"a\","
         "\"session_id\":\"i\",\"duration_ms\":-3,"
         "\"metadata\":{\"k\":\"v\",\"\":\"\"},\"data\":{\"b\":  [1]},"
         "\"ts\":\"1970-01-01T00:00:01.000001Z\"}");
}

static void each_kind_of_field_has_its_form(void **state) {
  (void)state;
  const tt_field fields[] = {
      tt_str("s", "\"\xff"),
      tt_int("i", -1),
      tt_uint("u", UINT64_MAX),
      tt_double("d", 0.5),
      tt_double("n", NAN),
      tt_bool("b", false),
      tt_json("j", " [1] "),
      tt_json("x", "[1"),
      tt_str("z", NULL),
      tt_int(NULL, 3),
      tt_end(),
  };
  expect(&(tt_event){.source = "s"}, fields,
         "{\"source\":\"s\",\"level\":\"info\",\"data\":{\"s\":\"\\\"\xef\xbf"
         "\xbd\",\"i\":-1,\"u\":18446744073709551615,\"d\":0.5,\"n\":null,"
         "\"b\":false,\"j\":[1],\"x\":null,\"z\":null,\"\":3},"
         "\"ts\":\"1970-01-01T00:00:00.000000Z\"}");
}

static void data_becomes_an_object_or_is_left_out(void **state) {
  (void)state;
  expect(&(tt_event){.source = "s", .data = "[1]x", .data_len = 3}, NULL,
         "{\"source\":\"s\",\"level\":\"info\",\"data\":{\"value\":[1]},"
         "\"ts\":\"1970-01-01T00:00:00.000000Z\"}");
  bool whole;
  char *text =
      render(&(tt_event){.source = "s", .data = "{\"a\":}"}, NULL, &whole);
  assert_false(whole);
  assert_null(strstr(text, "data"));
  free(text);
}

static void packing_stops_at_its_room(void **state) {
  (void)state;
  const tt_field fields[] = {tt_str("key", "value"), tt_int("i", 1), tt_end()};
  tt_event event = {.source = "source", .type = "type", .agent_id = "agent"};
  size_t size = tti_pack_size(&event, fields);
  for (size_t room = 0; room < size; room++) {
    char *bytes = malloc(room + 1);
    assert_int_equal(tti_pack(bytes, room, &event, fields), 0);
    free(bytes);
  }
}

static void texts_of_every_length_are_copied_whole(void **state) {
  (void)state;
  char text[41], packed[256];
  for (size_t len = 1; len < sizeof(text); len++) {
    for (size_t i = 0; i < len; i++)
      text[i] = (char)('A' + i % 26);
    text[len] = '\0';
    tt_event event = {.source = "s", .type = text};
    tti_packed unpacked;
    tti_slice rest = {packed, tti_pack(packed, sizeof(packed), &event, NULL)};
    assert_true(tti_unpack(&rest, &unpacked));
    assert_true(
        tti_slice_eq(unpacked.texts[TTI_PACK_TYPE], (tti_slice){text, len}));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_event_has_only_what_it_was_given),
      cmocka_unit_test(an_event_keeps_everything),
      cmocka_unit_test(each_kind_of_field_has_its_form),
      cmocka_unit_test(data_becomes_an_object_or_is_left_out),
      cmocka_unit_test(packing_stops_at_its_room),
      cmocka_unit_test(texts_of_every_length_are_copied_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
