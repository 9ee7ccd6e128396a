#include "tests/unit.h"

#include "server/outbox/rules.h"
#include <string.h>

/* A spec borrows from the caller here. */
static char *text(const char *literal) {
  return (char *)(uintptr_t)literal;
}

static outbox_rule_spec spec_of(const char *publish, const char *level,
                                const char *channel, const char *subject) {
  return (outbox_rule_spec){.source = text(""),
                            .channel = text(channel),
                            .action = text(""),
                            .level = text(level),
                            .agent_id = text(""),
                            .publish = text(publish),
                            .subject = text(subject),
                            .origin = text("t.yaml:3")};
}

static void assert_refused(outbox_rule_spec spec, const char *why) {
  tti_buf error;
  tti_buf_init(&error, 1024);
  assert_int_equal(outbox_rule_check(&spec, &error), TT_EINVAL);
  tti_buf_append_char(&error, '\0');
  if (!strstr(error.data, why))
    fail_msg("%s does not say %s", error.data, why);
  tti_buf_fini(&error);
}

static void wrong_rules_say_what_to_do(void **state) {
  (void)state;
  assert_refused(spec_of("", "error", "", ""),
                 "t.yaml:3: a route needs publish");
  assert_refused(spec_of("alert.{colour}", "", "", ""), "not \"colour}\"");
  assert_refused(spec_of("a", "", "", "{"), "subject: after");
  assert_refused(spec_of("Alert", "", "", ""), "\"Alert\" is none");
  assert_refused(spec_of("a", ">=loud", "", ""), "level takes");
}

static void add(tti_batch *batch, tti_kind kind, tt_level level) {
  tti_record record = {.kind = kind,
                       .level = level,
                       .ts_us = 1,
                       .source = TTI_SLICE("shop"),
                       .type = TTI_SLICE("Paid!"),
                       .category = TTI_SLICE("orders")};
  assert_int_equal(tti_batch_add(batch, &record), TT_OK);
}

static bool wants(outbox_rule_spec spec, tti_kind kind, tt_level level) {
  outbox_rules *rules;
  tti_batch batch;
  tti_batch_init(&batch, 10, 1 << 16);
  add(&batch, TTI_KIND_LOG, TT_LEVEL_FATAL);
  add(&batch, kind, level);
  assert_int_equal(outbox_rules_new(&spec, 1, "log", NULL, &rules), TT_OK);
  bool wanted = outbox_rules_want(rules, &batch);
  outbox_rules_free(rules);
  tti_batch_fini(&batch);
  return wanted;
}

static void events_are_chosen_by_the_filters(void **state) {
  (void)state;
  outbox_rule_spec spec = spec_of("a", ">=error", "orders,other", "");
  assert_true(wants(spec, TTI_KIND_RELAY, TT_LEVEL_ERROR));
  assert_true(wants(spec, TTI_KIND_SESSION, TT_LEVEL_FATAL));
  assert_false(wants(spec, TTI_KIND_RELAY, TT_LEVEL_INFO));
  /* Neither log lines nor what was published already. */
  assert_false(wants(spec, TTI_KIND_LOG, TT_LEVEL_ERROR));
  assert_false(wants(spec, TTI_KIND_PUBLISHED, TT_LEVEL_ERROR));
  spec.channel = text("else");
  assert_false(wants(spec, TTI_KIND_RELAY, TT_LEVEL_ERROR));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wrong_rules_say_what_to_do),
      cmocka_unit_test(events_are_chosen_by_the_filters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
