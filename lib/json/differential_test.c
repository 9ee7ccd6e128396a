/* The scanner held to another parser: Jansson. Random texts from fixed seeds,
 * well-formed ones and then damaged ones, must get the same verdict from both,
 * and the well-formed ones the same strings and numbers.
 *
 * Where Jansson differs, and is expected to:
 *   - it keeps the last of two members with one key; the scanner keeps both
 *     (so the generator makes keys that differ);
 *   - it refuses \u0000 in a key;
 *   - it refuses half a surrogate pair, which is grammar to the scanner;
 *   - it refuses whole numbers beyond 64 bits and reals beyond a double;
 *   - it does not see a raw NUL after a value (so the damage makes none). */
#include "lib/json/scan.h"
#include "tests/unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 65536

typedef struct maker {
  uint64_t random;
  unsigned keys;
  size_t len;
  char text[TEXT_MAX];
} maker;

static unsigned below(maker *m, unsigned bound) {
  m->random = m->random * 6364136223846793005u + 1442695040888963407u;
  return (unsigned)(m->random >> 33) % bound;
}

static void put(maker *m, const char *text) {
  size_t len = strlen(text);
  if (m->len + len > TEXT_MAX)
    return;
  memcpy(m->text + m->len, text, len);
  m->len += len;
}

#define PICK(m, list) ((list)[below(m, sizeof(list) / sizeof((list)[0]))])

static void put_space(maker *m) {
  static const char *const spaces[] = {
      "", "", "", "", " ", "\n", "\t", "\r\n", "                  "};
  put(m, PICK(m, spaces));
}

static void put_string_inside(maker *m) {
  static const char *const parts[] = {"a",
                                      "plain words here",
                                      "\\n",
                                      "\\\"",
                                      "\\\\",
                                      "\\/",
                                      "\\u0041",
                                      "\\t",
                                      "\xc3\xa9",
                                      "\xe2\x82\xac",
                                      "\\u00e9",
                                      "\xf0\x9f\x98\x80",
                                      " ",
                                      "\\ud83d\\ude00",
                                      "{[:,]}",
                                      "\x7f",
                                      "0123456789abcdef",
                                      "\xef\xbf\xbf",
                                      "\\uFFFF",
                                      "\\b\\f\\r",
                                      "\xf4\x8f\xbf\xbf"};
  for (unsigned n = below(m, 6); n > 0; n--)
    put(m, PICK(m, parts));
}

static void put_number(maker *m) {
  static const char *const wholes[] = {"0",
                                       "-0",
                                       "7",
                                       "-12",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "1234567890"};
  static const char *const rests[] = {"",   "",    "",      ".0",  ".25",
                                      "e3", "E+2", ".5e-7", "e00", "e-3"};
  put(m, PICK(m, wholes));
  put(m, PICK(m, rests));
}

static void put_value(maker *m, unsigned depth);

static void put_container(maker *m, unsigned depth, bool object) {
  put(m, object ? "{" : "[");
  put_space(m);
  for (unsigned n = below(m, 5), i = 0; i < n; i++) {
    if (i)
      put(m, ",");
    put_space(m);
    if (object) {
      char key[16];
      put(m, "\"");
      put_string_inside(m);
      snprintf(key, sizeof(key), "%u\"", m->keys++);
      put(m, key);
      put_space(m);
      put(m, ":");
      put_space(m);
    }
    put_value(m, depth + 1);
    put_space(m);
  }
  put(m, object ? "}" : "]");
}

static void put_value(maker *m, unsigned depth) {
  static const char *const words[] = {"null", "true", "false"};
  unsigned kind = below(m, depth > 5 ? 6 : 12);
  if (kind < 1) {
    put(m, PICK(m, words));
  } else if (kind < 3) {
    put_number(m);
  } else if (kind < 6) {
    put(m, "\"");
    put_string_inside(m);
    put(m, "\"");
  } else {
    put_container(m, depth, kind < 9);
  }
}

static void make(maker *m, unsigned seed) {
  m->random = seed;
  m->keys = 0;
  m->len = 0;
  put_space(m);
  put_value(m, 0);
  put_space(m);
}

/* Changes, drops or adds a few bytes. */
static void damage(maker *m) {
  static const char bytes[] = "\"\\{}[]:,0 1-+.eEutfn/\n\t\x1f\x80\xc0\xe2"
                              "\xed\xf4\xff";
  for (unsigned n = 1 + below(m, 3); n > 0 && m->len > 0; n--) {
    size_t at = below(m, (unsigned)m->len);
    char byte = bytes[below(m, sizeof(bytes) - 1)];
    switch (below(m, 3)) {
    case 0:
      m->text[at] = byte;
      break;
    case 1:
      memmove(m->text + at, m->text + at + 1, m->len - at - 1);
      m->len--;
      break;
    default:
      if (m->len == TEXT_MAX)
        break;
      memmove(m->text + at + 1, m->text + at, m->len - at);
      m->text[at] = byte;
      m->len++;
    }
  }
}

#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

/* Whether Jansson's refusal is one of the differences listed above. */
static bool is_known_difference(const json_error_t *error) {
  enum json_error_code code = json_error_code(error);
  return code == json_error_numeric_overflow ||
         code == json_error_null_byte_in_key ||
         strncmp(error->text, "invalid Unicode", 15) == 0;
}

static void compare_verdicts(const maker *m) {
  json_error_t theirs;
  tti_json_error ours = {0, "accepted", -1};
  /* Memory of the text's own size, for ASan. */
  char *copy = malloc(m->len ? m->len : 1);
  assert_non_null(copy);
  memcpy(copy, m->text, m->len);
  json_t *root = json_loadb(copy, m->len, FLAGS, &theirs);
  bool accepted =
      tti_json_check((tti_slice){copy, m->len}, NULL, &ours) == TT_OK;
  bool agreed =
      accepted == (root != NULL) || (accepted && is_known_difference(&theirs));
  if (!agreed)
    print_error("%.*s\nours: %s at %zu; Jansson: %s\n", (int)m->len, m->text,
                ours.reason, ours.offset, root ? "accepted" : theirs.text);
  assert_true(agreed);
  json_decref(root);
  free(copy);
}

static void compare_string(tti_slice quoted, const char *text, size_t len) {
  char *decoded = malloc(quoted.len);
  size_t decoded_len;
  assert_non_null(decoded);
  assert_int_equal(tti_json_decode(quoted, decoded, &decoded_len, NULL), TT_OK);
  assert_int_equal(decoded_len, len);
  assert_memory_equal(decoded, text, len);
  free(decoded);
}

static void compare_value(tti_json_scan *s, json_t *want);

static void compare_object(tti_json_scan *s, json_t *want) {
  tti_json_value key;
  const char *name;
  json_t *item;
  assert_true(tti_json_scan_open_object(s));
  json_object_foreach(want, name, item) {
    assert_true(tti_json_scan_member(s, &key));
    compare_string(key.text, name, strlen(name));
    compare_value(s, item);
  }
  assert_false(tti_json_scan_member(s, &key));
  assert_false(tti_json_scan_failed(s));
}

static void compare_array(tti_json_scan *s, json_t *want) {
  assert_true(tti_json_scan_open_array(s));
  for (size_t i = 0; i < json_array_size(want); i++) {
    assert_true(tti_json_scan_item(s));
    compare_value(s, json_array_get(want, i));
  }
  assert_false(tti_json_scan_item(s));
  assert_false(tti_json_scan_failed(s));
}

static void compare_value(tti_json_scan *s, json_t *want) {
  static const tti_json_type types[] = {
      [JSON_STRING] = TTI_JSON_STRING, [JSON_INTEGER] = TTI_JSON_NUMBER,
      [JSON_REAL] = TTI_JSON_NUMBER,   [JSON_TRUE] = TTI_JSON_TRUE,
      [JSON_FALSE] = TTI_JSON_FALSE,   [JSON_NULL] = TTI_JSON_NULL};
  if (json_is_object(want)) {
    compare_object(s, want);
    return;
  }
  if (json_is_array(want)) {
    compare_array(s, want);
    return;
  }
  tti_json_value value;
  assert_true(tti_json_scan_value(s, &value));
  assert_int_equal(value.type, types[json_typeof(want)]);
  if (json_is_string(want))
    compare_string(value.text, json_string_value(want),
                   json_string_length(want));
  if (json_is_integer(want)) {
    int64_t number;
    assert_true(tti_json_to_i64(value.text, &number));
    assert_true(number == json_integer_value(want));
  }
}

static void same_values(void **state) {
  (void)state;
  static maker m;
  for (unsigned seed = 1; seed <= 5000; seed++) {
    make(&m, seed);
    json_error_t error;
    json_t *root = json_loadb(m.text, m.len, FLAGS, &error);
    if (!root) {
      assert_true(is_known_difference(&error));
      continue;
    }
    tti_json_scan s;
    tti_json_scan_init(&s, (tti_slice){m.text, m.len});
    compare_value(&s, root);
    assert_true(tti_json_scan_end(&s));
    json_decref(root);
  }
}

static void same_verdicts(void **state) {
  (void)state;
  static maker m;
  for (unsigned seed = 1; seed <= 20000; seed++) {
    make(&m, seed);
    compare_verdicts(&m);
    damage(&m);
    compare_verdicts(&m);
  }
}

/* The differences that are listed are there: should Jansson change, the list
 * must. */
static void known_differences(void **state) {
  (void)state;
  static const char *const rows[] = {"{\"\\u0000\":1}", "\"\\ud800\"",
                                     "\"\\udc00x\"", "9223372036854775808",
                                     "1e999"};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    json_error_t error;
    tti_slice text = tti_slice_of(rows[i]);
    assert_int_equal(tti_json_check(text, NULL, NULL), TT_OK);
    assert_null(json_loadb(text.ptr, text.len, FLAGS, &error));
    assert_true(is_known_difference(&error));
  }
  tti_slice nul = {"null", 5};
  json_t *root = json_loadb(nul.ptr, nul.len, FLAGS, NULL);
  assert_non_null(root);
  json_decref(root);
  assert_int_equal(tti_json_check(nul, NULL, NULL), TT_EPARSE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(same_values),
      cmocka_unit_test(same_verdicts),
      cmocka_unit_test(known_differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
