/* What is JSON and what is not, by RFC 8259 and the limits that scan.h adds.
 * Each text stands in memory of exactly its own size, without a NUL after it,
 * so that ASan sees a read past its end. */
#include "lib/json/scan.h"
#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct row {
  const char *text;
  size_t len;
} row;

#define T(literal)                                                             \
  { "" literal, sizeof(literal) - 1 }

static const row accepted[] = {
    /* Values of each type may stand alone. */
    T("null"),
    T("true"),
    T("false"),
    T("0"),
    T("\"\""),
    T("[]"),
    T("{}"),
    T(" null"),
    T("null "),
    T("\t\r\n null\t\r\n "),
    T("\n[\n]\n"),
    T(" { } "),
    /* Numbers. */
    T("-0"),
    T("1"),
    T("-1"),
    T("10"),
    T("9223372036854775808"),
    T("0.0"),
    T("0.10"),
    T("-0.0"),
    T("1.5"),
    T("1e1"),
    T("1E1"),
    T("1e+1"),
    T("1e-1"),
    T("0e0"),
    T("0e+00"),
    T("-0e-00"),
    T("1.25E+007"),
    T("1e400"),
    T("-1e-400"),
    T("123456789012345678901234567890"),
    T("[0]"),
    T("[-0,0.5e1]"),
    T("0.00000000000000000000000000000000001"),
    /* Strings: every escape, every length of UTF-8, the edges of each. */
    T("\"a\""),
    T("\"\\\"\""),
    T("\"\\\\\""),
    T("\"\\/\""),
    T("\"/\""),
    T("\"\\b\\f\\n\\r\\t\""),
    T("\"\\u0041\""),
    T("\"\\u00e9\\u00E9\""),
    T("\"\\uABCD\\uabcd\""),
    T("\"\\u0000\""),
    T("\"\\u001f\""),
    T("\"\\ud83d\\ude00\""),
    T("\"\\ud83d\""),
    T("\"\\ude00\""),
    T("\"\\ude00\\ud83d\""),
    T("\"\\ud83dx\""),
    T("\"\\uffff\""),
    T("\"\\\\u0041\""),
    T("\"\\\\\\\"\""),
    T("\" \""),
    T("\"\x7f\""),
    T("\"\xc2\x80\""),
    T("\"\xdf\xbf\""),
    T("\"\xe0\xa0\x80\""),
    T("\"\xed\x9f\xbf\""),
    T("\"\xee\x80\x80\""),
    T("\"\xef\xbf\xbf\""),
    T("\"\xef\xbb\xbf\""),
    T("\"\xf0\x90\x80\x80\""),
    T("\"\xf4\x8f\xbf\xbf\""),
    T("\"\xe2\x80\xa8\xe2\x80\xa9\""),
    T("\"na\xc3\xafve caf\xc3\xa9\""),
    T("\"'\""),
    T("\"[]{}:,\""),
    T("\"0123456789abcde\""),
    T("\"0123456789abcdef\""),
    T("\"0123456789abcdefg\""),
    T("\"0123456789abcdef0123456789abcde\""),
    T("\"0123456789abcd\\n0123456789abcdef\""),
    T("\"0123456789abcde\xc3\xa9\x66ghijklmnopqrstuvw\""),
    /* Arrays. */
    T("[1]"),
    T("[1,2]"),
    T("[ 1 , 2 ]"),
    T("[[]]"),
    T("[[],[]]"),
    T("[[[[[[]]]]]]"),
    T("[{}]"),
    T("[null,true,false]"),
    T("[\"\"]"),
    T("[\"a\",\"b\"]"),
    T("[1,\n2\n]"),
    T("[1.5,-2e3,\"x\",{}]"),
    T("[ [ ] , { } ]"),
    /* Objects. */
    T("{\"a\":1}"),
    T("{\"\":0}"),
    T("{ \"a\" : 1 }"),
    T("{\"a\":1,\"b\":2}"),
    T("{\"a\":{}}"),
    T("{\"a\":[]}"),
    T("{\"a\":{\"b\":{\"c\":[]}}}"),
    T("{\"a\":1,\"a\":2}"),
    T("{\"\\u0061\":1,\"a\":2}"),
    T("{\"a\\u0000b\":1}"),
    T("{\"\\ud800\":1}"),
    T("{\"a\"\n:\r1\t}"),
    T("{\"a\":null,\"b\":true,\"c\":false,\"d\":-0.5e-1,\"e\":\"\"}"),
    T("{\"\xc3\xa9\":\"\xf0\x9f\x98\x80\"}"),
    T("[{\"a\":[{\"b\":[{}]}]}]"),
};

typedef struct refused_row {
  row text;
  size_t offset;
} refused_row;

#define N(offset, literal)                                                     \
  { T(literal), offset }

static const refused_row refused[] = {
    /* Nothing, too little, too much. */
    N(0, ""),
    N(1, " "),
    N(4, "\t\r\n "),
    N(1, "["),
    N(1, "{"),
    N(2, "[1"),
    N(3, "[1,"),
    N(4, "{\"a\""),
    N(5, "{\"a\":"),
    N(6, "{\"a\":1"),
    N(7, "{\"a\":1,"),
    N(2, "[["),
    N(3, "[[]"),
    N(2, "[]]"),
    N(2, "{}}"),
    N(2, "[][]"),
    N(2, "1 2"),
    N(5, "null null"),
    N(4, "nullx"),
    N(2, "{}x"),
    N(2, "[],"),
    N(2, "\"\"\"\""),
    N(2, "1\n\0"),
    N(4, "null\0"),
    /* Words. */
    N(0, "nul"),
    N(0, "n"),
    N(0, "NULL"),
    N(0, "Null"),
    N(0, "tru"),
    N(0, "True"),
    N(0, "TRUE"),
    N(0, "fals"),
    N(0, "False"),
    N(0, "nan"),
    N(0, "NaN"),
    N(0, "Infinity"),
    N(1, "-Infinity"),
    N(0, "undefined"),
    N(1, "[nulL]"),
    N(0, "a"),
    N(0, "'a'"),
    N(0, "\0"),
    N(0, "]"),
    N(0, "}"),
    N(0, ","),
    N(0, ":"),
    N(0, "#"),
    N(0, "/**/1"),
    N(0, "//\n1"),
    N(1, "[/**/]"),
    N(0, "\xef\xbb\xbf{}"),
    N(0, "\x0b"
         "1"),
    N(0, "\x0c"
         "1"),
    N(0, "\xc2\xa0"
         "1"),
    N(0, "\xff"),
    /* Numbers. */
    N(1, "-"),
    N(1, "-a"),
    N(1, "--1"),
    N(0, "+1"),
    N(0, ".5"),
    N(2, "0."),
    N(2, "1."),
    N(2, "1.e1"),
    N(3, "1.5."),
    N(3, "1.5.2"),
    N(2, "1e"),
    N(3, "1e+"),
    N(3, "1e-"),
    N(2, "1ea"),
    N(3, "1e1.5"),
    N(0, "01"),
    N(1, "-01"),
    N(0, "00"),
    N(1, "-00.5"),
    N(1, "0x10"),
    N(1, "1a"),
    N(1, "1_000"),
    N(2, "1 000"),
    N(2, "12a"),
    N(1, "-.5"),
    N(3, "[1e]"),
    N(4, "[-1.]"),
    N(2, "[-]"),
    N(1, "[+1]"),
    N(3, "1e1e1"),
    N(0, "\xef\xbc\x91"),
    /* Strings. */
    N(1, "\""),
    N(2, "\"a"),
    N(2, "\"\\"),
    N(3, "\"\\\""),
    N(3, "\"\\u"),
    N(6, "\"\\u004"),
    N(1, "\"\\u004\""),
    N(1, "\"\\u00G0\""),
    N(1, "\"\\u 041\""),
    N(1, "\"\\U0041\""),
    N(1, "\"\\x41\""),
    N(1, "\"\\a\""),
    N(1, "\"\\v\""),
    N(1, "\"\\0\""),
    N(1, "\"\\'\""),
    N(1, "\"\\ \""),
    N(1, "\"\\\n\""),
    N(2, "\"a\n\""),
    N(1, "\"\t\""),
    N(1, "\"\r\""),
    N(1, "\"\0\""),
    N(1, "\"\x1f\""),
    N(2, "\"a\0b\""),
    N(7, "\"\\ud83d\\u\""),
    N(17, "\"0123456789abcdef\n\""),
    N(16, "\"0123456789abcde\x01"
          "fghijklmnopqrstuv\""),
    N(1, "\"\\\xc3\xa9\""),
    /* UTF-8. */
    N(1, "\"\x80\""),
    N(1, "\"\xbf\""),
    N(1, "\"\xc0\x80\""),
    N(1, "\"\xc1\xbf\""),
    N(1, "\"\xc3\""),
    N(1, "\"\xc3(\""),
    N(1, "\"\xe0\x9f\xbf\""),
    N(1, "\"\xe0\x80\x80\""),
    N(1, "\"\xe2\x82\""),
    N(1, "\"\xe2(\xa1\""),
    N(1, "\"\xe2\x82(\""),
    N(1, "\"\xed\xa0\x80\""),
    N(1, "\"\xed\xbf\xbf\""),
    N(1, "\"\xf0\x8f\xbf\xbf\""),
    N(1, "\"\xf0\x9f\x98\""),
    N(1, "\"\xf0\x9f\x98(\""),
    N(1, "\"\xf4\x90\x80\x80\""),
    N(1, "\"\xf5\x80\x80\x80\""),
    N(1, "\"\xf8\x88\x80\x80\x80\""),
    N(1, "\"\xfe\""),
    N(1, "\"\xff\""),
    N(3, "\"\xc3\xa9\xa9\""),
    N(1, "\"\xc3"),
    N(1, "\"\xf0\x9f"),
    N(2, "{\"\xff\":1}"),
    N(4, "\"\xe2\x82\xac\xe2\x82\""),
    /* Arrays. */
    N(1, "[,]"),
    N(3, "[1,]"),
    N(1, "[,1]"),
    N(3, "[1,,2]"),
    N(3, "[1 2]"),
    N(2, "[1}"),
    N(2, "[1:2]"),
    N(1, "[}"),
    N(3, "[[]}"),
    N(3, "[\"\"\"\"]"),
    N(2, "[1;2]"),
    N(6, "[1,2,\n]"),
    N(4, "[1, ]"),
    N(3, "[1 {}]"),
    N(2, "[1[]]"),
    N(3, "[{}{}]"),
    N(3, "[[]1]"),
    N(3, "[[]{}]"),
    N(3, "[{}:1]"),
    N(3, "[{}}"),
    N(7, "[[1,[2]}]"),
    N(1, "[:]"),
    /* Objects. */
    N(1, "{,}"),
    N(1, "{1:2}"),
    N(1, "{a:1}"),
    N(1, "{'a':1}"),
    N(1, "{null:1}"),
    N(4, "{\"a\"}"),
    N(5, "{\"a\" 1}"),
    N(5, "{\"a\":}"),
    N(7, "{\"a\":1,}"),
    N(7, "{\"a\":1 \"b\":2}"),
    N(5, "{\"a\"::1}"),
    N(4, "{\"a\",1}"),
    N(6, "{\"a\":1]"),
    N(1, "{]"),
    N(7, "{\"a\":1,,\"b\":2}"),
    N(1, "{[]:1}"),
    N(4, "{\"a\";1}"),
    N(6, "{\"a:1}"),
    N(4, "{\"a\"\0:1}"),
    N(7, "{\"a\":1 {}}"),
    N(7, "{\"a\":{}\"b\":1}"),
    N(7, "{\"a\":[]]"),
    N(8, "{\"a\":[],}"),
    N(8, "{\"a\":[],1}"),
    N(7, "{\"a\":{}{}}"),
    N(1, "{:1}"),
    N(7, "{\"a\":1,2}"),
};

/* Copies the text to memory of its own size. */
static char *exact_copy(row text) {
  char *copy = malloc(text.len ? text.len : 1);
  assert_non_null(copy);
  memcpy(copy, text.text, text.len);
  return copy;
}

static void accepts(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
    char *copy = exact_copy(accepted[i]);
    tti_slice text = {copy, accepted[i].len};
    tti_json_value value = {0};
    tti_json_error error;
    tt_error result = tti_json_check(text, &value, &error);
    if (result != TT_OK)
      print_error("%s: %s\n", accepted[i].text, error.reason);
    assert_int_equal(result, TT_OK);
    assert_true(tti_slice_eq(value.text, tti_slice_trim(text)));
    free(copy);
  }
}

static void refuses_at_the_byte(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
    char *copy = exact_copy(refused[i].text);
    tti_slice text = {copy, refused[i].text.len};
    tti_json_error error = {SIZE_MAX, NULL, 0};
    tt_error result = tti_json_check(text, NULL, &error);
    if (result == TT_OK || error.offset != refused[i].offset)
      print_error("%s: at %zu, not %zu\n", refused[i].text.text, error.offset,
                  refused[i].offset);
    assert_int_equal(result, TT_EPARSE);
    assert_int_equal(error.offset, refused[i].offset);
    assert_non_null(error.reason);
    free(copy);
  }
}

/* No beginning of a valid text that is not itself one is taken for one, and
 * nothing is read beyond it. */
static void refuses_every_beginning(void **state) {
  (void)state;
  static const row whole =
      T("{\"key\":[\"0123456789abcdef\\u00e9\xf0\x9f\x98\x80\",true,null,"
        "-12.5e+3,{\"a\":{}}],\"other key, a long one\":false}");
  for (size_t len = 0; len < whole.len; len++) {
    row part = {whole.text, len};
    char *copy = exact_copy(part);
    assert_int_equal(tti_json_check((tti_slice){copy, len}, NULL, NULL),
                     TT_EPARSE);
    free(copy);
  }
}

/* 128 levels of arrays or objects, closed or not, and never 129. */
static void limits_depth(void **state) {
  (void)state;
  for (int mixed = 0; mixed < 2; mixed++)
    for (size_t depth = 127; depth <= 130; depth++) {
      char text[2048];
      size_t len = 0;
      for (size_t i = 0; i < depth; i++)
        len += (size_t)sprintf(text + len, mixed && i % 2 ? "{\"k\":" : "[");
      size_t opened = len;
      len += (size_t)sprintf(text + len, "0");
      for (size_t i = depth; i-- > 0;)
        text[len++] = mixed && i % 2 ? '}' : ']';
      tti_json_error error;
      tt_error result = tti_json_check((tti_slice){text, len}, NULL, &error);
      assert_int_equal(result, depth <= 128 ? TT_OK : TT_EPARSE);
      if (result) {
        assert_string_equal(error.reason, "nested deeper than 128");
        assert_true(error.offset < opened);
      }
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accepts),
      cmocka_unit_test(refuses_at_the_byte),
      cmocka_unit_test(refuses_every_beginning),
      cmocka_unit_test(limits_depth),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
