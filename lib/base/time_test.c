#include "lib/base/time.h"
#include "tests/unit.h"

/* A time in any offset is read as the same instant and written in UTC. */
static void parses_and_formats(void **state) {
  (void)state;
  static const struct {
    const char *in, *out;
  } rows[] = {
      {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"},
      {"2024-02-29T23:59:59.123456789+02:00", "2024-02-29T21:59:59.123456Z"},
      {"2023-12-31T23:30:00-01:30", "2024-01-01T01:00:00.000000Z"},
      {"1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000Z"},
      {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"},
      {"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
      {"2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000000Z"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    int64_t us;
    char text[TTI_RFC3339_MAX];
    assert_true(tti_rfc3339_parse(tti_slice_of(rows[i].in), &us));
    assert_int_equal(tti_rfc3339_format(us, text), strlen(rows[i].out));
    assert_string_equal(text, rows[i].out);
  }
}

static void refuses_what_is_not_rfc3339(void **state) {
  (void)state;
  static const char *const rows[] = {
      "",
      "2024-01-01",
      "2024-13-01T00:00:00Z",
      "2023-02-29T00:00:00Z",
      "2024-01-01T24:00:00Z",
      "2024-01-01T00:00:00",
      "2024-01-01T00:00:00.Z",
      "2024-01-01T00:00:00+24:00",
      "2024-01-01T00:00:00Zx",
      "2024-1-01T00:00:00Z",
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    int64_t us;
    assert_false(tti_rfc3339_parse(tti_slice_of(rows[i]), &us));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parses_and_formats),
      cmocka_unit_test(refuses_what_is_not_rfc3339),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
