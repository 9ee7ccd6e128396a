#include "server/fleet/payload.h"

#include "tests/unit.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#define ID "7d8f9a52-6c1e-4d57-9d0e-3f1c7a2b4c5d"

static fleet_payload payload;
static fleet_refusal refusal;

static tt_error parse(const char *body) {
  fleet_payload_free(&payload);
  return fleet_payload_parse(&payload, TTI_SLICE(ID), tti_slice_of(body),
                             &refusal);
}

/* An update with this `data`, which stays until the next one. */
static tt_error parse_data(const char *data) {
  static char *body;
  free(body);
  assert_true(asprintf(&body,
                       "{\"instance_id\":\"" ID "\",\"timestamp\":"
                       "\"2026-01-02T03:04:05Z\",\"data\":%s}",
                       data) > 0);
  return parse(body);
}

static const fleet_item *item(const char *key) {
  for (size_t i = 0; i < payload.item_count; i++)
    if (tti_slice_eq(payload.items[i].key, tti_slice_of(key)))
      return &payload.items[i];
  fail_msg("no item %s", key);
  return NULL;
}

static void assert_text(tti_slice is, const char *text) {
  assert_int_equal(is.len, strlen(text));
  assert_memory_equal(is.ptr, text, is.len);
}

static void an_update_of_the_original_client(void **state) {
  (void)state;
  assert_int_equal(
      parse("{\"instance_id\":\"7D8F9A52-6C1E-4D57-9D0E-3F1C7A2B4C5D\","
            "\"timestamp\":\"2018-05-08T10:20:30.123456789Z\","
            "\"expect_next\":\"0001-01-01T00:00:00Z\",\"data\":{"
            "\"caddy_version\":\"v0.11.0\",\"goroutines\":17,"
            "\"memory\":{\"heap_alloc\":4444,\"sys\":8888},"
            "\"http_ua\":[{\"value\":\"curl\\/7\",\"count\":3},"
            "{\"value\":{\"a\":1},\"count\":2}],"
            "\"disabled_metrics\":[\"a\",\"b\"],\"tls\":true,\"none\":null}}"),
      TT_OK);
  assert_string_equal(payload.instance, ID);
  assert_int_equal(payload.timestamp_us, INT64_C(1525774830123456));
  assert_text(item("caddy_version")->text, "v0.11.0");
  assert_int_equal(item("goroutines")->shape, FLEET_NUMBER);
  assert_true(item("goroutines")->number == 17);
  assert_true(item("memory.sys")->number == 8888);
  const fleet_item *ua = item("http_ua");
  assert_int_equal(ua->shape, FLEET_SET);
  assert_text(ua[0].text, "curl/7");
  assert_int_equal(ua[0].count, 3);
  assert_text(ua[1].text, "{\"a\":1}");
  assert_int_equal(item("disabled_metrics")->shape, FLEET_LIST);
  assert_int_equal(item("disabled_metrics")->count, 2);
  assert_int_equal(item("tls")->shape, FLEET_BOOL);
  assert_int_equal(item("none")->shape, FLEET_OTHER);
  /* A set counts once, as there. */
  assert_int_equal(payload.counted, 9);
}

static void an_update_without_data(void **state) {
  (void)state;
  assert_int_equal(parse("{\"instance_id\":\"" ID "\",\"timestamp\":"
                         "\"0001-01-01T00:00:00Z\"}"),
                   TT_OK);
  assert_int_equal(payload.item_count, 0);
  assert_null(payload.data.ptr);
  assert_true(payload.timestamp_us == INT64_MIN);
}

static void what_is_no_update_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *body, *code;
  } cases[] = {
      {"", "invalid_json"},
      {"[]", "invalid_json"},
      {"{\"instance_id\":", "invalid_json"},
      {"{} x", "invalid_json"},
      {"{}", "invalid_instance"},
      {"{\"instance_id\":\"00000000-0000-0000-0000-000000000000\"}",
       "invalid_instance"},
      {"{\"instance_id\":\"7d8f9a52-6c1e-4d57-9d0e-3f1c7a2b4c5e\"}",
       "instance_mismatch"},
      {"{\"instance_id\":\"" ID "\"}", "invalid_update"},
      {"{\"instance_id\":\"" ID "\",\"timestamp\":17}", "invalid_update"},
      {"{\"instance_id\":\"" ID "\",\"timestamp\":\"2026-01-02T03:04:05Z\","
       "\"data\":[]}",
       "invalid_update"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    refusal = (fleet_refusal){0};
    assert_int_not_equal(parse(cases[i].body), TT_OK);
    assert_string_equal(refusal.code, cases[i].code);
    assert_true(strlen(refusal.message) > 20);
  }
}

static void data_is_looked_at(void **state) {
  (void)state;
  static const struct {
    const char *data, *code;
  } cases[] = {
      {"{\"a\":NaN}", "invalid_json"},
      {"{\"a\":1e999}", "invalid_update"},
      {"{\"m\":{\"a\":-1e999}}", "invalid_update"},
      {"{\"s\":[{\"value\":\"x\",\"count\":{\"n\":1}}]}", "invalid_update"},
      {"{\"s\":[{\"value\":\"x\",\"count\":1.5}]}", "invalid_update"},
      {"{\"s\":[{\"value\":\"x\",\"count\":-1}]}", "invalid_update"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_not_equal(parse_data(cases[i].data), TT_OK);
    assert_string_equal(refusal.code, cases[i].code);
  }
}

static void ids_in_the_path(void **state) {
  (void)state;
  static const char *const bad[] = {"", "x", "7d8f9a526c1e4d579d0e3f1c7a2b4c5d",
                                    "7d8f9a52-6c1e-4d57-9d0e-3f1c7a2b4c5g",
                                    "00000000-0000-0000-0000-000000000000"};
  char id[FLEET_ID_TEXT];
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_false(fleet_id_parse(tti_slice_of(bad[i]), id));
  assert_true(fleet_id_parse(TTI_SLICE(ID), id));
}

/* "[" one, one, … "]" */
static char *repeated(const char *begin, const char *one, size_t count,
                      const char *end) {
  tti_buf text;
  tti_buf_init(&text, 64 << 20);
  tti_buf_append_text(&text, begin);
  for (size_t i = 0; i < count; i++) {
    if (i)
      tti_buf_append_char(&text, ',');
    tti_buf_append_text(&text, one);
  }
  tti_buf_append_text(&text, end);
  size_t len;
  char *taken = tti_buf_take(&text, &len);
  assert_non_null(taken);
  return taken;
}

static void so_many_items_and_no_more(void **state) {
  (void)state;
  char *data = repeated("{\"l\":[", "1", FLEET_COUNTED_MAX, "]}");
  assert_int_equal(parse_data(data), TT_OK);
  assert_int_equal(item("l")->count, FLEET_COUNTED_MAX);
  free(data);
  data = repeated("{\"l\":[", "1", FLEET_COUNTED_MAX + 1, "]}");
  assert_int_equal(parse_data(data), TT_EINVAL);
  assert_string_equal(refusal.code, "too_many_items");
  free(data);
}

static void what_there_is_no_room_for_is_counted(void **state) {
  (void)state;
  char *data = repeated("{\"s\":[", "{\"value\":\"x\",\"count\":2}", 200000,
                        "],\"after\":1}");
  assert_int_equal(parse_data(data), TT_OK);
  free(data);
  uint64_t sum = 0;
  size_t others = 0;
  for (size_t i = 0; i < payload.item_count; i++) {
    sum += payload.items[i].shape == FLEET_SET ? payload.items[i].count : 0;
    others += payload.items[i].shape == FLEET_SET && !payload.items[i].text.ptr;
  }
  assert_int_equal(sum, 400000);
  assert_int_equal(others, 1);
  assert_int_equal(payload.dropped[FLEET_DROPPED_SET_VALUE],
                   200000 - payload.item_count + 2);
  item("after");

  data = repeated("{", "\"a\":1", 5000, "}");
  assert_int_equal(parse_data(data), TT_OK);
  free(data);
  assert_int_equal(payload.item_count, FLEET_ITEMS_MAX);
  assert_int_equal(payload.dropped[FLEET_DROPPED_ITEM], 5000 - FLEET_ITEMS_MAX);
}

static void a_long_key_is_left_out(void **state) {
  (void)state;
  char *data, *key = malloc(10241);
  assert_non_null(key);
  memset(key, 'k', 10240);
  key[10240] = '\0';
  assert_true(asprintf(&data, "{\"%s\":1,\"m\":{\"%s\":1,\"b\":2}}", key, key) >
              0);
  assert_int_equal(parse_data(data), TT_OK);
  assert_int_equal(payload.item_count, 1);
  assert_true(item("m.b")->number == 2);
  assert_int_equal(payload.dropped[FLEET_DROPPED_LONG_KEY], 2);
  free(data);
  free(key);
}

static void texts_are_decoded_and_cut(void **state) {
  (void)state;
  assert_int_equal(parse_data("{\"\\u00e4\":\"a\\tb\",\"b\":\"\\ud800\"}"),
                   TT_OK);
  assert_text(item("\xc3\xa4")->text, "a\tb");
  assert_text(item("b")->text, "\\ud800");
  char text[400];
  memset(text, 'x', sizeof text);
  memcpy(text, "{\"k\":\"", 6);
  memcpy(text + 6 + FLEET_TEXT_MAX - 1, "\xc3\xa4", 2);
  memcpy(text + 397, "\"}", 3);
  assert_int_equal(parse_data(text), TT_OK);
  assert_int_equal(item("k")->text.len, FLEET_TEXT_MAX - 1);
}

static void what_looks_like_a_set_and_is_none_is_a_list(void **state) {
  (void)state;
  assert_int_equal(parse_data("{\"a\":[{\"value\":1,\"count\":1},2],"
                              "\"b\":[{\"value\":1,\"count\":1,\"c\":1}],"
                              "\"c\":[]}"),
                   TT_OK);
  assert_int_equal(payload.item_count, 3);
  assert_int_equal(item("a")->shape, FLEET_LIST);
  assert_int_equal(item("b")->shape, FLEET_LIST);
  assert_int_equal(item("c")->shape, FLEET_LIST);
}

/* A long name before each of very many members costs little. */
static void a_map_of_too_many_members_takes_little_memory(void **state) {
  (void)state;
  tti_buf data;
  tti_buf_init(&data, 8 << 20);
  tti_buf_append_text(&data, "{\"");
  for (int i = 0; i < 1000; i++)
    tti_buf_append_char(&data, 'k');
  tti_buf_append_text(&data, "\":{\"a\":1");
  for (int i = 0; i < 1000000; i++)
    tti_buf_append_text(&data, ",\"a\":1");
  tti_buf_append_text(&data, "}}");
  tti_buf_append_char(&data, '\0');
  assert_int_equal(data.error, TT_OK);
  struct mallinfo2 before = mallinfo2();
  assert_int_equal(parse_data(data.data), TT_EINVAL);
  struct mallinfo2 after = mallinfo2();
  assert_string_equal(refusal.code, "too_many_items");
  /* The body is a copy of the data. */
  size_t grown =
      after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
  assert_in_range(grown, 0, 16 << 20);
  tti_buf_fini(&data);
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(an_update_of_the_original_client),
      cmocka_unit_test(an_update_without_data),
      cmocka_unit_test(what_is_no_update_is_refused),
      cmocka_unit_test(data_is_looked_at),
      cmocka_unit_test(ids_in_the_path),
      cmocka_unit_test(so_many_items_and_no_more),
      cmocka_unit_test(what_there_is_no_room_for_is_counted),
      cmocka_unit_test(a_map_of_too_many_members_takes_little_memory),
      cmocka_unit_test(a_long_key_is_left_out),
      cmocka_unit_test(texts_are_decoded_and_cut),
      cmocka_unit_test(what_looks_like_a_set_and_is_none_is_a_list),
  };
  return cmocka_run_group_tests(cases, NULL, NULL);
}
