#include "tests/unit.h"

#include "server/history/query.h"

static query_format of(const char *accept) {
  return query_accept(tti_slice_of(accept));
}

static void a_page_is_answered_unless_another_form_is_named(void **state) {
  (void)state;
  assert_int_equal(of(NULL), QUERY_JSON);
  assert_int_equal(of(""), QUERY_JSON);
  assert_int_equal(of("*/*"), QUERY_JSON);
  assert_int_equal(of("text/html,application/xml;q=0.9,*/*;q=0.8"), QUERY_JSON);
  assert_int_equal(of("application/json"), QUERY_JSON);
  assert_int_equal(of("application/x-ndjsonx"), QUERY_JSON);
  assert_int_equal(of(" ; , ;,;"), QUERY_JSON);
  assert_int_equal(of("application/x-ndjson"), QUERY_NDJSON);
  assert_int_equal(of("*/*;q=0.1, Application/X-NDJSON"), QUERY_NDJSON);
  assert_int_equal(of("text/csv; header=present"), QUERY_CSV);
}

static void the_weights_decide(void **state) {
  (void)state;
  assert_int_equal(of("text/csv;q=0"), QUERY_JSON);
  assert_int_equal(of("text/csv;q=0.5,application/json"), QUERY_JSON);
  assert_int_equal(of("text/csv;q=0.5,application/json;q=0.4"), QUERY_CSV);
  assert_int_equal(of("text/csv;q=0.051,application/json;q=0.05"), QUERY_CSV);
  assert_int_equal(of("text/csv;q=0.2, application/x-ndjson; q=0.3"),
                   QUERY_NDJSON);
  assert_int_equal(of("text/csv; a=b ; Q=0.9, application/x-ndjson;q=0.3"),
                   QUERY_CSV);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_page_is_answered_unless_another_form_is_named),
      cmocka_unit_test(the_weights_decide),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
