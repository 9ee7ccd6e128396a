#include "tests/unit.h"

#include "server/store/grams.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static bool may_have(const grams *set, const char *text) {
  return grams_may_have(set, tti_slice_of(text));
}

static void what_is_there_is_never_denied(void **state) {
  (void)state;
  static const char text[] =
      "{\"Path\":\"/Things/42\",\"note\":\"Grüße\",\"n\":1}";
  grams *set = calloc(1, sizeof *set);
  assert_non_null(set);
  grams_add(set, tti_slice_of(text));
  for (size_t from = 0; from < sizeof text; from++)
    for (size_t len = 0; from + len < sizeof text; len++)
      assert_true(grams_may_have(set, (tti_slice){text + from, len}));
  assert_true(may_have(set, "things/42"));
  assert_true(may_have(set, "PATH"));
  free(set);
}

static void what_is_not_there_is_nearly_always_denied(void **state) {
  (void)state;
  char text[32];
  size_t perhaps = 0;
  grams *set = calloc(1, sizeof *set);
  assert_non_null(set);
  grams_add(set, tti_slice_of("one text"));
  grams_add(set, tti_slice_of("another"));
  /* Less than four bytes are never known; nor is what lies across two texts
   * there. */
  assert_true(may_have(set, "xyz"));
  assert_true(may_have(set, ""));
  assert_false(may_have(set, "textanother"));
  for (int i = 0; i < 1000; i++) {
    snprintf(text, sizeof text, "thing %d", i * 7919);
    grams_add(set, tti_slice_of(text));
  }
  assert_false(grams_are_many(set));
  for (int i = 0; i < 1000; i++) {
    snprintf(text, sizeof text, "word%d", i);
    perhaps += may_have(set, text);
  }
  assert_in_range(perhaps, 0, 10);
  free(set);
}

static void a_set_that_knows_nothing_says_so(void **state) {
  (void)state;
  uint64_t x = 88172645463325252u;
  size_t added = 0;
  grams *set = calloc(1, sizeof *set);
  assert_non_null(set);
  for (; !grams_are_many(set); added += 8) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    grams_add(set, (tti_slice){(const char *)&x, sizeof x});
  }
  /* Half of all bits: ln 2 times as many. Each number has five. */
  assert_in_range(added * 5 / 8, 40000, 55000);
  free(set);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_there_is_never_denied),
      cmocka_unit_test(what_is_not_there_is_nearly_always_denied),
      cmocka_unit_test(a_set_that_knows_nothing_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
