#include "tests/unit.h"

#include "server/history/needle.h"

static bool found(const char *text, const char *in) {
  needle n;
  assert_true(needle_init(&n, tti_slice_of(text)));
  return needle_in(&n, tti_slice_of(in));
}

static void ascii_letters_match_without_case(void **state) {
  (void)state;
  assert_true(found("Time", "connect TIMEOUT"));
  assert_true(found("x", "aaaX"));
  assert_true(found("az", "-AZ-"));
  assert_true(found("AZ", "-az-"));
  assert_true(found("abc", "ABABABC"));
  assert_true(found("aab", "aaaab"));
  assert_true(found("abc", "abc"));
  assert_false(found("abc", "ab"));
  assert_false(found("abc", "abdabe"));
  assert_false(found("abc", ""));
  assert_true(found("", ""));
}

/* '@' and '[' stand beside the letters, and would fold onto others. */
static void all_else_matches_as_it_is(void **state) {
  (void)state;
  assert_false(found("[", "{"));
  assert_false(found("@", "`"));
  assert_true(found("caf\xc3\xa9", "CAF\xc3\xa9"));
  assert_false(found("\xc3\xa9", "\xc3\x89"));
}

static void it_is_found_wherever_it_stands(void **state) {
  (void)state;
  char hay[64];
  for (size_t at = 0; at + 5 <= sizeof(hay); at++) {
    needle n;
    assert_true(needle_init(&n, TTI_SLICE("naNan")));
    memset(hay, 'n', sizeof(hay));
    assert_false(needle_in(&n, (tti_slice){hay, sizeof(hay)}));
    memcpy(hay + at, "NANAN", 5);
    assert_true(needle_in(&n, (tti_slice){hay, sizeof(hay)}));
    assert_false(needle_in(&n, (tti_slice){hay, at + 4}));
  }
}

static void the_length_has_a_ceiling_and_the_hash_no_case(void **state) {
  (void)state;
  char text[NEEDLE_MAX + 1];
  needle a, b;
  memset(text, 'a', sizeof(text));
  assert_true(needle_init(&a, (tti_slice){text, NEEDLE_MAX}));
  assert_true(needle_in(&a, (tti_slice){text, sizeof(text)}));
  assert_false(needle_init(&a, (tti_slice){text, NEEDLE_MAX + 1}));
  assert_true(needle_init(&a, TTI_SLICE("Abc")));
  assert_true(needle_init(&b, TTI_SLICE("aBC")));
  assert_true(needle_hash(&a) == needle_hash(&b));
  assert_true(needle_init(&b, TTI_SLICE("abd")));
  assert_true(needle_hash(&a) != needle_hash(&b));
  assert_true(needle_init(&b, TTI_SLICE("")));
  assert_true(needle_hash(&b) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ascii_letters_match_without_case),
      cmocka_unit_test(all_else_matches_as_it_is),
      cmocka_unit_test(it_is_found_wherever_it_stands),
      cmocka_unit_test(the_length_has_a_ceiling_and_the_hash_no_case),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
