#include "tests/unit.h"

#include "lib/emit/http/verdict.h"

static void says_what_follows_from_each_status(void **state) {
  (void)state;
  static const struct {
    int status;
    tti_verdict of_many;
    tti_verdict of_one;
  } rows[] = {
      {200, TTI_VERDICT_SENT, TTI_VERDICT_SENT},
      {201, TTI_VERDICT_SENT, TTI_VERDICT_SENT},
      {204, TTI_VERDICT_SENT, TTI_VERDICT_SENT},
      {301, TTI_VERDICT_REJECTED, TTI_VERDICT_REJECTED},
      {400, TTI_VERDICT_SPLIT, TTI_VERDICT_REJECTED},
      {401, TTI_VERDICT_REJECTED, TTI_VERDICT_REJECTED},
      {403, TTI_VERDICT_REJECTED, TTI_VERDICT_REJECTED},
      {404, TTI_VERDICT_SINGLE, TTI_VERDICT_REJECTED},
      {405, TTI_VERDICT_SINGLE, TTI_VERDICT_REJECTED},
      {408, TTI_VERDICT_RETRY, TTI_VERDICT_RETRY},
      {409, TTI_VERDICT_RETRY, TTI_VERDICT_RETRY},
      {410, TTI_VERDICT_REJECTED, TTI_VERDICT_REJECTED},
      {413, TTI_VERDICT_SMALLER, TTI_VERDICT_TOO_LARGE},
      {415, TTI_VERDICT_REJECTED, TTI_VERDICT_REJECTED},
      {422, TTI_VERDICT_SPLIT, TTI_VERDICT_REJECTED},
      {425, TTI_VERDICT_RETRY, TTI_VERDICT_RETRY},
      {429, TTI_VERDICT_RETRY, TTI_VERDICT_RETRY},
      {500, TTI_VERDICT_RETRY, TTI_VERDICT_RETRY},
      {503, TTI_VERDICT_RETRY, TTI_VERDICT_RETRY},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    assert_int_equal(tti_verdict_of(rows[i].status, 2, true, false),
                     rows[i].of_many);
    assert_int_equal(tti_verdict_of(rows[i].status, 1, false, false),
                     rows[i].of_one);
  }
  assert_int_equal(tti_verdict_of(415, 2, true, true), TTI_VERDICT_IDENTITY);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(says_what_follows_from_each_status),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
