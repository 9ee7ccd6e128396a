#include "tests/unit.h"

#include "server/history/page.h"

static page parse(page_input input) {
  page p;
  const char *bad, *hint;
  assert_true(page_parse(&input, &p, &bad, &hint));
  return p;
}

static tti_filter *filter_of(const char *key, const char *value) {
  tti_filter *filter;
  assert_int_equal(tti_filter_new(&filter), TT_OK);
  if (key)
    assert_int_equal(
        tti_filter_add(filter, tti_slice_of(key), tti_slice_of(value)), TT_OK);
  return filter;
}

static void pages_go_backwards_unless_a_start_is_given(void **state) {
  (void)state;
  assert_false(parse((page_input){.limit = TTI_SLICE("5")}).forwards);
  assert_false(parse((page_input){.before = TTI_SLICE("5")}).forwards);
  assert_true(parse((page_input){.after = TTI_SLICE("0")}).forwards);
  page p = parse((page_input){.since = TTI_SLICE("1970-01-01T00:00:01Z")});
  assert_true(p.forwards);
  assert_int_equal(p.since_us, 1000000);
  assert_int_equal(p.limit, 100);
}

static void bad_input_is_named(void **state) {
  (void)state;
  struct {
    page_input input;
    const char *bad;
  } cases[] = {
      {{.after = TTI_SLICE("x")}, "after"},
      {{.before = TTI_SLICE("-3")}, "before"},
      {{.since = TTI_SLICE("10m")}, "since"},
      {{.until = TTI_SLICE("2026-13-01T00:00:00Z")}, "until"},
      {{.limit = TTI_SLICE("0")}, "limit"},
      {{.limit = TTI_SLICE("1001")}, "limit"},
      {{.limit = TTI_SLICE("ten")}, "limit"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    page p;
    const char *bad = NULL, *hint = NULL;
    assert_false(page_parse(&cases[i].input, &p, &bad, &hint));
    assert_string_equal(bad, cases[i].bad);
    assert_non_null(hint);
  }
}

static void a_cursor_leads_on_and_only_in_its_own_query(void **state) {
  (void)state;
  tti_filter *errors = filter_of("level", "error");
  tti_filter *all = filter_of(NULL, NULL);
  page p = parse((page_input){.after = TTI_SLICE("10")});
  char cursor[PAGE_CURSOR_TEXT];
  page_cursor(&p, errors, 1, 42, cursor);
  page next = p;
  assert_true(page_go_on(&next, errors, 1, tti_slice_of(cursor)));
  assert_int_equal(next.after_seq, 42);
  /* Another filter, other kinds, other bounds, a changed byte. */
  next = p;
  assert_false(page_go_on(&next, all, 1, tti_slice_of(cursor)));
  assert_false(page_go_on(&next, errors, 3, tti_slice_of(cursor)));
  next.after_seq = 11;
  assert_false(page_go_on(&next, errors, 1, tti_slice_of(cursor)));
  next = p;
  next.text_hash = 1;
  assert_false(page_go_on(&next, errors, 1, tti_slice_of(cursor)));
  next = p;
  next.limit = 7; /* the page's size may change on the way */
  assert_true(page_go_on(&next, errors, 1, tti_slice_of(cursor)));
  next = p;
  cursor[3] = cursor[3] == 'a' ? 'b' : 'a';
  assert_false(page_go_on(&next, errors, 1, tti_slice_of(cursor)));
  assert_false(page_go_on(&next, errors, 1, TTI_SLICE("")));
  assert_false(page_go_on(&next, errors, 1, TTI_SLICE("1")));
  tti_filter_free(errors);
  tti_filter_free(all);
}

static void a_backwards_cursor_bounds_from_above(void **state) {
  (void)state;
  tti_filter *all = filter_of(NULL, NULL);
  page p = parse((page_input){.limit = TTI_SLICE("3")});
  char cursor[PAGE_CURSOR_TEXT];
  page_cursor(&p, all, 1, UINT64_MAX, cursor);
  assert_true(page_go_on(&p, all, 1, tti_slice_of(cursor)));
  assert_true(p.before_seq == UINT64_MAX);
  assert_int_equal(p.after_seq, 0);
  tti_filter_free(all);
}

static void recent_takes_what_makes_sense(void **state) {
  (void)state;
  assert_int_equal(page_recent((tti_slice){NULL, 0}), 100);
  assert_int_equal(page_recent(TTI_SLICE("0")), 100);
  assert_int_equal(page_recent(TTI_SLICE("-5")), 100);
  assert_int_equal(page_recent(TTI_SLICE("x")), 100);
  assert_int_equal(page_recent(TTI_SLICE("7")), 7);
  assert_int_equal(page_recent(TTI_SLICE("99999999")), 10000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pages_go_backwards_unless_a_start_is_given),
      cmocka_unit_test(bad_input_is_named),
      cmocka_unit_test(a_cursor_leads_on_and_only_in_its_own_query),
      cmocka_unit_test(a_backwards_cursor_bounds_from_above),
      cmocka_unit_test(recent_takes_what_makes_sense),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
