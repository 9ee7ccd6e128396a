#include "server/fleet/control.h"

#include "tests/unit.h"

#include <stdio.h>

#define ID    "7d8f9a52-6c1e-4d57-9d0e-3f1c7a2b4c5d"
#define OTHER "7d8f9a52-6c1e-4d57-9d0e-3f1c7a2b4c5e"

static const fleet_fields told = {
    .items = {{{"version", 7}, {"1.4.2", 5}}, {{"os", 2}, {"linux", 5}}},
    .count = 2};

static fleet_control *parse(const char *text) {
  fleet_control *control = NULL;
  fleet_refusal refusal = {.message = ""};
  if (fleet_control_parse(tti_slice_of(text), &control, &refusal))
    fail_msg("%s: %s", text, refusal.message);
  return control;
}

static fleet_control *decided;

static int forget(void **state) {
  (void)state;
  fleet_control_unref(decided);
  decided = NULL;
  return 0;
}

/* What the rules tell ID; rules that name keys need a store. */
static fleet_orders decide(const char *text) {
  fleet_orders orders;
  fleet_key_set keys = {.len = 0};
  fleet_subject subject = {.id = ID, .fields = &told, .keys = &keys};
  forget(NULL);
  decided = parse(text);
  assert_int_equal(fleet_control_decide(decided, &subject, NULL, &orders),
                   TT_OK);
  return orders;
}

static void the_first_rule_decides_each_effect(void **state) {
  (void)state;
  fleet_orders o =
      decide("[{\"match\":{\"instance\":\"" OTHER "\"},\"next_update\":\"1h\"},"
             "{\"next_update\":\"6h\"},"
             "{\"next_update\":\"7h\",\"stop\":true},"
             "{\"stop\":false,\"status\":451},{\"status\":410}]");
  assert_int_equal(o.next_update_us, UINT64_C(6) * 3600 * 1000000);
  assert_true(o.stop);
  assert_int_equal(o.status, 451);
  assert_int_equal(o.matched, 0x1e);
  assert_int_equal(o.applied, 0xe);
}

static void no_rule_says_nothing(void **state) {
  (void)state;
  fleet_orders o = decide("[]");
  assert_int_equal(o.next_update_us, 0);
  assert_false(o.stop);
  assert_int_equal(o.status, 0);
  assert_int_equal(o.key_count, 0);
}

static void where_looks_at_what_was_told(void **state) {
  (void)state;
  static const struct {
    const char *where;
    bool match;
  } cases[] = {
      {"{\"version\":\"1.*\"}", true},
      {"{\"version\":\"1.4.2\"}", true},
      {"{\"version\":\"1.4\"}", false},
      {"{\"version\":\"2.*\"}", false},
      {"{\"version\":\"*\"}", true},
      {"{\"arch\":\"*\"}", false},
      {"{\"version\":\"1.*\",\"os\":\"linux\"}", true},
      {"{\"version\":\"1.*\",\"os\":\"darwin\"}", false},
      {"{}", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[200];
    snprintf(text, sizeof text, "[{\"match\":{\"where\":%s},\"stop\":true}]",
             cases[i].where);
    assert_int_equal(decide(text).stop, cases[i].match);
  }
}

/* So a tenth of the fleet reports a key that the others leave out. */
static void a_key_is_sampled(void **state) {
  (void)state;
  fleet_control *control =
      parse("[{\"match\":{\"share\":0.1},\"enable\":[\"k\"]},"
            "{\"disable\":[\"k\"]}]");
  int enabled = 0;
  for (int i = 0; i < 10000; i++) {
    char id[FLEET_ID_TEXT];
    fleet_orders o;
    snprintf(id, sizeof id, "7d8f9a52-6c1e-4d57-9d0e-%012d", i);
    fleet_subject subject = {.id = id, .fields = &told};
    assert_int_equal(fleet_control_decide(control, &subject, NULL, &o), TT_OK);
    assert_int_equal(o.key_count, 1);
    enabled += o.keys[0].enabled;
  }
  assert_in_range(enabled, 900, 1100);
  fleet_control_unref(control);
  /* The places are part of what was promised: a rule that is set again after an
   * upgrade means the same instances. */
  assert_int_equal((int)(fleet_share_of(ID) * 1e6), 231842);
}

static void a_key_in_both_lists_is_disabled(void **state) {
  (void)state;
  fleet_orders o = decide("[{\"enable\":[\"a\",\"b\"],\"disable\":[\"b\"]},"
                          "{\"disable\":[\"a\",\"c\"]}]");
  assert_int_equal(o.key_count, 3);
  for (size_t i = 0; i < 3; i++)
    assert_int_equal(o.keys[i].enabled,
                     tti_slice_eq(o.keys[i].key, TTI_SLICE("a")));
}

static void what_is_no_rule_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *code, *said;
  } cases[] = {
      {"", "invalid_json", ""},
      {"{}", "invalid_control", "expected a list"},
      {"[1]", "invalid_control", "rule 0"},
      {"[{},{\"stopp\":true}]", "unknown_field",
       "rule 1: unknown field "
       "\"stopp\"; did you mean "
       "\"stop\"?"},
      {"[{\"match\":{\"versoin\":\"1\"}}]", "unknown_field", "versoin"},
      {"[{\"match\":{\"instance\":\"x\"}}]", "invalid_control", "UUID"},
      {"[{\"match\":{\"share\":1.5}}]", "invalid_control", "share"},
      {"[{\"match\":{\"share\":\"1\"}}]", "invalid_control", "share"},
      {"[{\"match\":{\"key\":\"a*b\"}}]", "invalid_control", "match.key"},
      {"[{\"match\":{\"where\":{\"version\":1}}}]", "invalid_control",
       "where.version"},
      {"[{\"next_update\":\"10ms\"}]", "invalid_control", "1s"},
      {"[{\"next_update\":60}]", "invalid_control", "next_update"},
      {"[{\"disable\":\"a\"}]", "invalid_control", "disable"},
      {"[{\"disable\":[\"a*\"]}]", "invalid_control", "disable[0]"},
      {"[{\"status\":404}]", "invalid_control", "410"},
      {"[{\"stop\":1}]", "invalid_control", "stop"},
      {"[{\"stop\":true,\"stop\":true}]", "invalid_json", "duplicate"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fleet_control *control = NULL;
    fleet_refusal refusal = {.code = NULL};
    assert_int_equal(
        fleet_control_parse(tti_slice_of(cases[i].text), &control, &refusal),
        TT_EINVAL);
    assert_null(control);
    assert_string_equal(refusal.code, cases[i].code);
    if (!strstr(refusal.message, cases[i].said))
      fail_msg("%s: %s", cases[i].text, refusal.message);
  }
}

static void there_may_be_so_many_rules_and_keys(void **state) {
  (void)state;
  for (int over = 0; over < 2; over++) {
    for (int keys = 0; keys < 2; keys++) {
      tti_buf text;
      fleet_control *control = NULL;
      fleet_refusal refusal;
      int count = (keys ? FLEET_CONTROL_KEYS : FLEET_RULES_MAX) + over;
      tti_buf_init(&text, FLEET_CONTROL_BYTES);
      tti_buf_append_text(&text, keys ? "[{\"enable\":[" : "[");
      for (int i = 0; i < count; i++)
        tti_buf_printf(&text, keys ? "%s\"k%d\"" : "%s{\"disable\":[\"k%d\"]}",
                       i ? "," : "", i);
      tti_buf_append_text(&text, keys ? "]}]" : "]");
      assert_int_equal(
          fleet_control_parse(tti_buf_slice(&text), &control, &refusal),
          over ? TT_EINVAL : TT_OK);
      fleet_control_unref(control);
      tti_buf_fini(&text);
    }
  }
}

static void the_etag_tells_texts_apart(void **state) {
  (void)state;
  fleet_control *a = parse("[]"), *b = parse("[ ]");
  assert_string_not_equal(fleet_control_etag(a), fleet_control_etag(b));
  assert_true(tti_slice_eq(fleet_control_text(b), TTI_SLICE("[ ]")));
  fleet_control_unref(a);
  fleet_control_unref(b);
  fleet_control_unref(NULL);
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(the_first_rule_decides_each_effect),
      cmocka_unit_test(no_rule_says_nothing),
      cmocka_unit_test(where_looks_at_what_was_told),
      cmocka_unit_test(a_key_is_sampled),
      cmocka_unit_test(a_key_in_both_lists_is_disabled),
      cmocka_unit_test(what_is_no_rule_is_refused),
      cmocka_unit_test(there_may_be_so_many_rules_and_keys),
      cmocka_unit_test(the_etag_tells_texts_apart),
  };
  return cmocka_run_group_tests(cases, NULL, forget);
}
