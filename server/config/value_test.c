#include "server/config/value.h"
#include "tests/unit.h"

static bool size(const char *text, uint64_t *out) {
  return config_parse_size(tti_slice_of(text), out);
}
static bool duration(const char *text, uint64_t *out) {
  return config_parse_duration(tti_slice_of(text), out);
}

static void sizes_take_decimal_and_binary_units(void **state) {
  (void)state;
  uint64_t v;
  assert_true(size("65536", &v));
  assert_int_equal(v, 65536);
  assert_true(size("64MiB", &v));
  assert_int_equal(v, 64u << 20);
  assert_true(size("5GB", &v));
  assert_int_equal(v, UINT64_C(5000000000));
  assert_true(size("1 kib", &v));
  assert_int_equal(v, 1024);
}

static void sizes_refuse_everything_else(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "MiB",
                                    "-1",
                                    "1.5GB",
                                    "64 parsecs",
                                    "64MiB2",
                                    "1MiBMiB",
                                    "99999999999999999999",
                                    "18446744073709551615KiB"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    uint64_t v = 7;
    assert_false(size(bad[i], &v));
    assert_int_equal(v, 7);
  }
}

static void durations_add_up(void **state) {
  (void)state;
  uint64_t v;
  assert_true(duration("500ms", &v));
  assert_int_equal(v, 500);
  assert_true(duration("1h30m", &v));
  assert_int_equal(v, 5400000);
  assert_true(duration("7d", &v));
  assert_int_equal(v, UINT64_C(604800000));
  assert_true(duration("0", &v));
  assert_int_equal(v, 0);
}

static void a_duration_without_its_unit_is_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"", "10", "s", "10 years", "1h30", "-1s"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    uint64_t v = 7;
    assert_false(duration(bad[i], &v));
    assert_int_equal(v, 7);
  }
}

static void a_formatted_value_reads_back(void **state) {
  (void)state;
  static const uint64_t values[] = {
      0,         1,        999,        1000,       1024,
      65536,     67108864, 5000000000, 86399,      3600000,
      604800000, 90000,    4096000,    UINT64_MAX, UINT64_C(1) << 63};
  for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
    char text[CONFIG_VALUE_MAX];
    uint64_t back;
    config_format_size(values[i], text);
    assert_true(config_parse_size(tti_slice_of(text), &back));
    assert_int_equal(back, values[i]);
    config_format_duration(values[i], text);
    assert_true(config_parse_duration(tti_slice_of(text), &back));
    assert_int_equal(back, values[i]);
  }
}

static void a_formatted_value_is_what_one_would_write(void **state) {
  (void)state;
  char text[CONFIG_VALUE_MAX];
  config_format_size(UINT64_C(64) << 20, text);
  assert_string_equal(text, "64MiB");
  config_format_size(UINT64_C(5000000000), text);
  assert_string_equal(text, "5GB");
  config_format_duration(UINT64_C(604800000), text);
  assert_string_equal(text, "7d");
  config_format_duration(0, text);
  assert_string_equal(text, "0");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_take_decimal_and_binary_units),
      cmocka_unit_test(sizes_refuse_everything_else),
      cmocka_unit_test(durations_add_up),
      cmocka_unit_test(a_formatted_value_reads_back),
      cmocka_unit_test(a_formatted_value_is_what_one_would_write),
      cmocka_unit_test(a_duration_without_its_unit_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
