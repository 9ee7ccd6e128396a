#include "lib/json/write.h"

#include "lib/json/scan.h"
#include "tests/unit.h"

#include <math.h>
#include <stdlib.h>

static char *taken(tti_buf *out) {
  char *text = tti_buf_take(out, NULL);
  assert_non_null(text);
  return text;
}

static void assert_written(tti_slice in, const char *want) {
  tti_buf out;
  tti_buf_init(&out, 4096);
  tti_json_write_string(&out, in);
  char *text = taken(&out);
  assert_string_equal(text, want);
  assert_int_equal(tti_json_string_size(in), strlen(want));
  assert_int_equal(tti_json_check(tti_slice_of(text), NULL, NULL), TT_OK);
  free(text);
}

#define FFFD "\xef\xbf\xbd"

static void escapes_strings(void **state) {
  (void)state;
  static const struct {
    tti_slice in;
    const char *out;
  } rows[] = {
      {{"", 0}, "\"\""},
      {{NULL, 0}, "\"\""},
      {{"plain text / 'x' \x7f", 18}, "\"plain text / 'x' \x7f\""},
      {{"\"\\", 2}, "\"\\\"\\\\\""},
      {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
      {{"\0\x01\x1f", 3}, "\"\\u0000\\u0001\\u001f\""},
      {{"caf\xc3\xa9 \xf0\x9f\x98\x80 \xe2\x82\xac", 14},
       "\"caf\xc3\xa9 \xf0\x9f\x98\x80 \xe2\x82\xac\""},
      /* The examples of Unicode 3.9, tables 3-8 to 3-11. */
      {{"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", 9},
       "\"" FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A\""},
      {{"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", 9},
       "\"" FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A\""},
      {{"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", 9},
       "\"" FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B\""},
      {{"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", 9},
       "\"" FFFD FFFD FFFD FFFD "A\""},
      {{"a\xf0\x9f\x98", 4}, "\"a" FFFD "\""},
      {{"0123456789abcdef\n0123456789abcdef", 33},
       "\"0123456789abcdef\\n0123456789abcdef\""},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    assert_written(rows[i].in, rows[i].out);
}

/* Whatever bytes come in, a valid JSON string comes out. */
static void never_breaks(void **state) {
  (void)state;
  char in[4];
  for (unsigned seed = 0; seed < 200000; seed++) {
    static const unsigned char edges[] = {
        0x00, 0x1f, '"',  '\\', 'a',  0x7f, 0x80, 0x8f, 0x90, 0x9f,
        0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xff};
    unsigned n = seed;
    for (size_t i = 0; i < sizeof(in); i++, n /= sizeof(edges))
      in[i] = (char)edges[n % sizeof(edges)];
    tti_buf out;
    tti_buf_init(&out, 64);
    tti_json_write_string(&out, (tti_slice){in, sizeof(in)});
    assert_int_equal(out.error, TT_OK);
    assert_int_equal(tti_json_check(tti_buf_slice(&out), NULL, NULL), TT_OK);
    assert_int_equal(tti_json_string_size((tti_slice){in, sizeof(in)}),
                     out.len);
    tti_buf_fini(&out);
  }
}

static char *written_double(double value) {
  tti_buf out;
  tti_buf_init(&out, 64);
  tti_json_write_double(&out, value);
  return taken(&out);
}

static void writes_short_doubles(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *text;
  } rows[] = {
      {0, "0"},
      {-0.0, "-0"},
      {1, "1"},
      {-1.5, "-1.5"},
      {0.1, "0.1"},
      {0.25, "0.25"},
      {1733.125, "1733.125"},
      {-0.05, "-0.05"},
      {1e14, "100000000000000"},
      {1e15, "1e+15"},
      {1e300, "1e+300"},
      {5e-324, "4.94065645841247e-324"},
      {0.1 + 0.2, "0.30000000000000004"},
      {1.0 / 3, "0.3333333333333333"},
      {123456.7890625, "123456.7890625"},
      {0.0000001, "0.0000001"},
      {0.00000001, "1e-08"},
      {NAN, "null"},
      {INFINITY, "null"},
      {-INFINITY, "null"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {9007199254740992.0, "9007199254740992"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    char *text = written_double(rows[i].value);
    assert_string_equal(text, rows[i].text);
    free(text);
  }
}

/* A double is read back as itself: random bits, and random decimals. */
static void doubles_go_round(void **state) {
  (void)state;
  uint64_t random = 42;
  for (int i = 0; i < 20000; i++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    double value;
    if (i % 2) {
      memcpy(&value, &random, sizeof(value));
      if (!isfinite(value))
        continue;
    } else {
      value = (double)(random >> 20);
      for (int places = i % 12; places > 0; places--)
        value /= 10;
    }
    char *text = written_double(value);
    assert_int_equal(tti_json_check(tti_slice_of(text), NULL, NULL), TT_OK);
    double back = strtod(text, NULL);
    assert_memory_equal(&back, &value, sizeof(value));
    free(text);
  }
}

static void writes_the_rest(void **state) {
  (void)state;
  tti_buf out;
  tti_buf_init(&out, 4096);
  tti_json_write_key(&out, TTI_SLICE("k\n"));
  tti_json_write_bool(&out, true);
  tti_json_write_bool(&out, false);
  tti_json_write_text(&out, NULL);
  tti_json_write_text(&out, "x");
  tti_json_write_one_line(&out, TTI_SLICE("[\r\n1,\n\"\\n\"\r]"));
  char *text = taken(&out);
  assert_string_equal(text, "\"k\\n\":truefalse\"\"\"x\"[  1, \"\\n\" ]");
  free(text);
}

/* A buffer that is full keeps its error and is not written past. */
static void full_buffers_stay_errors(void **state) {
  (void)state;
  for (size_t max = 0; max < 20; max++) {
    tti_buf out;
    tti_buf_init(&out, max);
    tti_json_write_string(&out, TTI_SLICE("ab\ncdef\x01ghijklmn"));
    tti_json_write_one_line(&out, TTI_SLICE("\n"));
    assert_int_equal(out.error, TT_ETOOBIG);
    assert_true(out.len <= max);
    tti_buf_fini(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(escapes_strings),
      cmocka_unit_test(never_breaks),
      cmocka_unit_test(writes_short_doubles),
      cmocka_unit_test(doubles_go_round),
      cmocka_unit_test(writes_the_rest),
      cmocka_unit_test(full_buffers_stay_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
