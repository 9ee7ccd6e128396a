#include "lib/json/scan.h"

#include "lib/json/bytes.h"
#include "tests/unit.h"

static const tti_slice names[] = {
    {"source", 6}, {"action", 6}, {"data", 4}, {"ts", 2}};
enum { SOURCE, ACTION, DATA, TS, COUNT };

static void assert_text(tti_slice got, const char *want) {
  assert_int_equal(got.len, strlen(want));
  assert_memory_equal(got.ptr, want, got.len);
}

static tti_json_error fields(const char *text, tti_json_value *values) {
  tti_json_names table;
  tti_json_error error = {0, NULL, -1};
  tti_json_names_init(&table, names, COUNT);
  tt_error result =
      tti_json_check_fields(tti_slice_of(text), &table, values, &error);
  assert_int_equal(result, error.reason ? TT_EPARSE : TT_OK);
  return error;
}

/* Wanted members are found with their bytes as they stand; others are not. */
static void finds_fields(void **state) {
  (void)state;
  tti_json_value v[COUNT];
  assert_null(fields("{ \"x\" : {\"source\":1},\n\"source\":\"a\\n\" ,\"ts\":"
                     "-1.0e5, \"data\" : {\"k\": [1,\n2],\"\":\"\"} }",
                     v)
                  .reason);
  assert_int_equal(v[SOURCE].type, TTI_JSON_STRING);
  assert_text(v[SOURCE].text, "\"a\\n\"");
  assert_true(v[SOURCE].escaped);
  assert_false(v[SOURCE].line_breaks);
  assert_int_equal(v[ACTION].type, TTI_JSON_NONE);
  assert_int_equal(v[TS].type, TTI_JSON_NUMBER);
  assert_text(v[TS].text, "-1.0e5");
  assert_int_equal(v[DATA].type, TTI_JSON_OBJECT);
  assert_text(v[DATA].text, "{\"k\": [1,\n2],\"\":\"\"}");
  assert_false(v[DATA].escaped);
  assert_true(v[DATA].line_breaks);
}

/* A key is what it decodes to, however it is written. */
static void knows_escaped_keys(void **state) {
  (void)state;
  tti_json_value v[COUNT];
  assert_null(fields("{\"\\u0073ource\":1,\"\\u0061\\u0063\\u0074\\u0069"
                     "\\u006f\\u006E\":2,\"d\\u0061t\\u00e1\":3,"
                     "\"\\ud800\":4,\"t\\u0000\":5}",
                     v)
                  .reason);
  assert_text(v[SOURCE].text, "1");
  assert_text(v[ACTION].text, "2");
  assert_int_equal(v[DATA].type, TTI_JSON_NONE);
  assert_int_equal(v[TS].type, TTI_JSON_NONE);
}

/* A wanted key twice is refused, at the second; any other may repeat. */
static void refuses_wanted_twice(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t offset;
    int name;
  } rows[] = {
      {"{\"ts\":1,\"x\":1,\"x\":2,\"ts\":1}", 20, TS},
      {"{\"ts\":1, \"\\u0074s\":1}", 9, TS},
      {"{\"action\":null,\"action\":null}", 15, ACTION},
  };
  tti_json_value v[COUNT];
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tti_json_error error = fields(rows[i].text, v);
    assert_string_equal(error.reason, "a key is given twice");
    assert_int_equal(error.offset, rows[i].offset);
    assert_int_equal(error.name, rows[i].name);
  }
  assert_null(
      fields("{\"x\":1,\"x\":2,\"data\":{\"ts\":1,\"ts\":2}}", v).reason);
}

static void wants_an_object(void **state) {
  (void)state;
  tti_json_value v[COUNT];
  assert_string_equal(fields("[]", v).reason, "an object is wanted");
  assert_string_equal(fields("{} {}", v).reason, "bytes follow the value");
  assert_int_equal(fields("{} {}", v).offset, 3);
  assert_string_equal(fields("{\"a\":1,}", v).reason,
                      "a key in double quotes is missing");
}

/* Containers can be walked; what fails stays failed. */
static void walks_containers(void **state) {
  (void)state;
  tti_json_scan s;
  tti_json_value key, value;
  tti_json_scan_init(&s, TTI_SLICE(" [ {\"a\" : [1], \"b\":\"x\"} , 7 ] "));
  assert_true(tti_json_scan_open_array(&s));
  assert_true(tti_json_scan_item(&s));
  assert_true(tti_json_scan_open_object(&s));
  assert_true(tti_json_scan_member(&s, &key));
  assert_text(key.text, "\"a\"");
  assert_true(tti_json_scan_value(&s, &value));
  assert_text(value.text, "[1]");
  assert_true(tti_json_scan_member(&s, &key));
  assert_true(tti_json_scan_value(&s, &value));
  assert_text(value.text, "\"x\"");
  assert_false(tti_json_scan_member(&s, &key));
  assert_true(tti_json_scan_item(&s));
  assert_true(tti_json_scan_value(&s, &value));
  assert_text(value.text, "7");
  assert_false(tti_json_scan_item(&s));
  assert_true(tti_json_scan_end(&s));

  tti_json_scan_init(&s, TTI_SLICE("[1 2]"));
  assert_true(tti_json_scan_open_array(&s));
  assert_true(tti_json_scan_item(&s));
  assert_true(tti_json_scan_value(&s, &value));
  assert_false(tti_json_scan_item(&s));
  assert_true(tti_json_scan_failed(&s));
  assert_int_equal(s.error.offset, 3);
  assert_false(tti_json_scan_item(&s));
  assert_false(tti_json_scan_value(&s, &value));
  assert_false(tti_json_scan_end(&s));
  assert_int_equal(s.error.offset, 3);

  tti_json_scan_init(&s, TTI_SLICE("{} "));
  assert_true(tti_json_scan_open_object(&s));
  assert_false(tti_json_scan_member(&s, &key));
  assert_false(tti_json_scan_failed(&s));
  assert_true(tti_json_scan_end(&s));

  tti_json_scan_init(&s, TTI_SLICE("[1,]"));
  assert_true(tti_json_scan_open_array(&s));
  assert_true(tti_json_scan_item(&s));
  assert_true(tti_json_scan_value(&s, &value));
  assert_true(tti_json_scan_item(&s));
  assert_false(tti_json_scan_value(&s, &value));
  assert_int_equal(s.error.offset, 3);
}

static void decodes(void **state) {
  (void)state;
  static const struct {
    const char *in, *out;
  } rows[] = {
      {"\"\"", ""},
      {"\"abc\"", "abc"},
      {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
      {"\"a\\u0041\\u007f\\u0080\\u07ff\\u0800\\uFFff z\"",
       "aA\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf z"},
      {"\"\\ud800\\udc00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
      {"\"\xc3\xa9\\u00e9\xc3\xa9\"", "\xc3\xa9\xc3\xa9\xc3\xa9"},
  };
  char out[128];
  size_t len;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    assert_int_equal(tti_json_decode(tti_slice_of(rows[i].in), out, &len, NULL),
                     TT_OK);
    assert_text((tti_slice){out, len}, rows[i].out);
  }
}

static void decodes_only_text(void **state) {
  (void)state;
  static const struct {
    const char *in;
    size_t offset;
  } rows[] = {
      {"\"a\\u0000\"", 2},
      {"\"\\ud800\"", 1},
      {"\"\\ud800x\\udc00\"", 1},
      {"\"\\udc00\\ud800\"", 1},
      {"\"\\ud800\\ud800\"", 1},
      {"\"\\n\\ud800\\n\"", 3},
      {"\"\\ud83d\\ue000\"", 1},
      {"\"\\ud83d\\u0041\"", 1},
      {"\"\\ud83d\\ude00\\u0000\"", 13},
  };
  char out[128];
  size_t len = 77;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tti_json_error error;
    assert_int_equal(
        tti_json_decode(tti_slice_of(rows[i].in), out, &len, &error),
        TT_EPARSE);
    assert_int_equal(error.offset, rows[i].offset);
    assert_int_equal(len, 77);
  }
}

static void reads_whole_numbers(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t value;
  } rows[] = {
      {"0", 0},
      {"-0", 0},
      {"0.000", 0},
      {"0e999999999999999999999", 0},
      {"-0.0e-5", 0},
      {"7", 7},
      {"-7", -7},
      {"12.0", 12},
      {"1e3", 1000},
      {"1E+3", 1000},
      {"1.5e1", 15},
      {"1500e-2", 15},
      {"-2.50e1", -25},
      {"100000000000000000000000e-20", 1000},
      {"0.0001e4", 1},
      {"9223372036854775807", INT64_MAX},
      {"-9223372036854775808", INT64_MIN},
      {"9223372036854775807.000", INT64_MAX},
      {"0.9223372036854775807e19", INT64_MAX},
      {"1e18", 1000000000000000000},
  };
  static const char *const refused[] = {
      "1.5",
      "-0.1",
      "1e-1",
      "15e-2",
      "9223372036854775808",
      "-9223372036854775809",
      "1e19",
      "1e400",
      "1e-400",
      "1e99999999999999999",
      "99999999999999999999999999",
      "18446744073709551616",
      "100000000000000000001",
      "0.1e0",
      "-1e-99999999999999999999",
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    int64_t value = 99;
    if (!tti_json_to_i64(tti_slice_of(rows[i].text), &value))
      print_error("%s\n", rows[i].text);
    assert_int_equal(value, rows[i].value);
  }
  for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
    int64_t value = 99;
    if (tti_json_to_i64(tti_slice_of(refused[i]), &value))
      print_error("%s\n", refused[i]);
    assert_int_equal(value, 99);
  }
}

/* Every way to find the next special byte finds the same one: each byte value
 * at each place of a run, in memory that ends with the run. */
static void finds_special_bytes(void **state) {
  (void)state;
  char text[48];
  for (int c = 0; c < 256; c++)
    for (size_t len = 1; len <= sizeof(text); len += 5)
      for (size_t at = 0; at < len; at++) {
        memset(text, 'a', sizeof(text));
        text[at] = (char)c;
        bool special = c == '"' || c == '\\' || c < 0x20 || c >= 0x80;
        const char *want = text + (special ? at : len);
        assert_ptr_equal(tti_json_plain_portable(text, text + len), want);
        assert_ptr_equal(tti_json_plain(text, text + len), want);
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_fields),
      cmocka_unit_test(knows_escaped_keys),
      cmocka_unit_test(refuses_wanted_twice),
      cmocka_unit_test(wants_an_object),
      cmocka_unit_test(walks_containers),
      cmocka_unit_test(decodes),
      cmocka_unit_test(decodes_only_text),
      cmocka_unit_test(reads_whole_numbers),
      cmocka_unit_test(finds_special_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
