#include "server/sessions/choice.h"

#include "lib/event/category.h"
#include "server/sessions/table.h"
#include "tests/unit.h"

static session_vocabulary words;

static int setup(void **state) {
  (void)state;
  static char shop[] = "checkout";
  static char *more[] = {shop, NULL};
  tti_buf error;
  tti_buf_init(&error, 1000);
  return session_vocabulary_init(&words, more, NULL, &error) != TT_OK;
}

static int teardown(void **state) {
  (void)state;
  session_vocabulary_fini(&words);
  return 0;
}

/* Any part may be left out, and what is said is kept apart from what is not. */
static void takes(void **state) {
  (void)state;
  static const struct {
    const char *body;
    session_choice want;
  } rows[] = {
      {"", {0}},
      {" \n", {0}},
      {"{}", {0}},
      {"{\"browser\":{}}", {.has_browser = true}},
      {"{\"browser\":{\"console\":{}}}", {.has_browser = true}},
      {"{\"browser\":{\"console\":{\"enabled\":false},\"page\":{\"enabled\":"
       "true},\"checkout\":{\"enabled\":false}}}",
       {.has_browser = true, .on = 4, .off = 1 | 64}},
      {"{\"browser\":{\"system\":{\"enabled\":true}}}",
       {.has_browser = true, .on = UINT64_C(1) << TTI_CATEGORY_SYSTEM}},
      {"{\"export\":{}}", {.has_export = true}},
      {"{\"export\":{\"otlp\":{}}}", {.has_export = true}},
      {"{\"export\":{\"otlp\":{\"enabled\":true}}}",
       {.has_export = true, .has_otlp = true, .otlp = true}},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    session_choice got;
    session_refusal refusal;
    assert_true(session_choice_parse(tti_slice_of(rows[i].body), &words.v, &got,
                                     &refusal));
    const session_choice *want = &rows[i].want;
    assert_int_equal(got.has_browser, want->has_browser);
    assert_int_equal(got.has_export, want->has_export);
    assert_int_equal(got.on, want->on);
    assert_int_equal(got.off, want->off);
    assert_int_equal(got.has_otlp, want->has_otlp);
    assert_int_equal(got.has_otlp && got.otlp, want->otlp);
  }
}

/* A refusal names the field and what it should be, or the nearest name. */
static void refuses(void **state) {
  (void)state;
  static const struct {
    const char *body, *code, *message;
  } rows[] = {
      {"{", "invalid_json", "at byte 1"},
      {"{\"browser\":{},\"browser\":{}}", "invalid_json", "duplicate"},
      {"[]", "invalid_telemetry", "expected an object"},
      {"{\"browsr\":{}}", "unknown_field",
       "\"browsr\"; did you mean \"browser\"?"},
      {"{\"zzzzzzzz\":{}}", "unknown_field", "\"zzzzzzzz\""},
      {"{\"browser\":1}", "invalid_telemetry", "browser must be an object"},
      {"{\"browser\":{\"chekout\":{}}}", "unknown_field",
       "\"browser.chekout\"; did you mean \"checkout\"?"},
      {"{\"browser\":{\"page\":true}}", "invalid_telemetry",
       "browser.page must be an object"},
      {"{\"browser\":{\"page\":{\"enabled\":1}}}", "invalid_telemetry",
       "browser.page.enabled must be true or false"},
      {"{\"browser\":{\"page\":{\"enable\":true}}}", "unknown_field",
       "\"browser.page.enable\"; did you mean \"enabled\"?"},
      {"{\"browser\":{\"system\":{\"enabled\":false}}}", "invalid_telemetry",
       "browser.system cannot be switched off"},
      {"{\"export\":[]}", "invalid_telemetry", "export must be an object"},
      {"{\"export\":{\"otpl\":{}}}", "unknown_field", "\"export.otpl\""},
      {"{\"export\":{\"otlp\":{\"enabled\":null}}}", "invalid_telemetry",
       "export.otlp.enabled must be"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    session_choice got;
    session_refusal refusal;
    assert_false(session_choice_parse(tti_slice_of(rows[i].body), &words.v,
                                      &got, &refusal));
    assert_string_equal(refusal.code, rows[i].code);
    if (!strstr(refusal.message, rows[i].message))
      fail_msg("%s: %s", rows[i].body, refusal.message);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes),
      cmocka_unit_test(refuses),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
