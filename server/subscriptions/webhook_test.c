#include "server/subscriptions/webhook.h"

#include "tests/unit.h"

static bool parse(const char *body, bool creates, webhook_change *out,
                  webhook_refusal *refusal) {
  return webhook_change_parse(tti_slice_of(body), creates, out, refusal);
}

static void refused(const char *body, bool creates, const char *code,
                    const char *message) {
  webhook_change change;
  webhook_refusal refusal;
  assert_false(parse(body, creates, &change, &refusal));
  assert_string_equal(refusal.code, code);
  if (!strstr(refusal.message, message))
    fail_msg("\"%s\" is not in \"%s\"", message, refusal.message);
}

#define HOOK "\"url\":\"https://e.com/h\",\"events\":[\"*\"]"

static void a_webhook_is_shown_as_it_was_given(void **state) {
  (void)state;
  webhook_change change;
  webhook_refusal refusal;
  assert_true(parse(
      "{\"url\":\"https://e.com/h?a=b\",\"events\":[\"order.*\",\"x\"],"
      "\"description\":\"the "
      "\\\"one\\\"\",\"filters\":{\"levels\":[\">=warn\"],"
      "\"labels\":[\"a:b\"]},\"headers\":{\"Authorization\":\"Bearer t\"},"
      "\"format\":\"slack\",\"ordered\":true,\"enabled\":false}",
      true, &change, &refusal));
  webhook row = webhook_default(1000000);
  row.id = TTI_SLICE("wh_1");
  row.secret = TTI_SLICE("whsec_s");
  webhook_change_apply(&change, &row);
  tti_buf text;
  tti_buf_init(&text, 4096);
  webhook_write_with_secret(&text, &row);
  tti_buf_append_char(&text, '\0');
  assert_string_equal(
      text.data,
      "{\"id\":\"wh_1\",\"url\":\"https://e.com/h?a=b\",\"description\":"
      "\"the \\\"one\\\"\",\"events\":[\"order.*\",\"x\"],\"filters\":{"
      "\"levels\":[\">=warn\"],\"labels\":[\"a:b\"]},\"headers\":{"
      "\"Authorization\":\"***\"},\"format\":\"slack\",\"ordered\":true,"
      "\"enabled\":false,\"signing_secret\":\"whsec_s\","
      "\"created_at\":\"1970-01-01T00:00:01.000000Z\","
      "\"updated_at\":\"1970-01-01T00:00:01.000000Z\"}");
  tti_buf_clear(&text);
  webhook_write(&text, &row);
  tti_buf_append_char(&text, '\0');
  assert_null(strstr(text.data, "whsec_"));
  tti_buf_fini(&text);
  webhook_change_fini(&change);
}

static void a_patch_changes_what_it_names(void **state) {
  (void)state;
  webhook_change change;
  webhook_refusal refusal;
  webhook row = webhook_default(1);
  row.url = TTI_SLICE("https://before");
  row.filters = TTI_SLICE("{\"sources\":[\"a\"]}");
  row.description = TTI_SLICE("before");
  assert_true(
      parse("{\"filters\":{},\"description\":null}", false, &change, &refusal));
  assert_int_equal(change.given, WEBHOOK_FILTERS | WEBHOOK_DESCRIPTION);
  webhook_change_apply(&change, &row);
  assert_int_equal(row.filters.len, 0);
  assert_int_equal(row.description.len, 0);
  assert_true(tti_slice_eq(row.url, TTI_SLICE("https://before")));
  assert_true(row.enabled);
  webhook_change_fini(&change);
}

static void what_is_wrong_is_named(void **state) {
  (void)state;
  static const struct {
    const char *body, *message;
  } cases[] = {
      {"[]", "invalid request body"},
      {"{\"url\":\"https://e.com\"}", "events must be a non-empty array"},
      {"{\"url\":\"https://e.com\",\"events\":[]}",
       "events must be a non-empty array"},
      {"{\"events\":[\"*\"]}", "invalid url"},
      {"{\"url\":\"ftp://e.com\",\"events\":[\"*\"]}", "invalid url"},
      {"{\"url\":\"e.com\",\"events\":[\"*\"]}", "invalid url"},
      {"{\"url\":\"https://a:b@e.com\",\"events\":[\"*\"]}", "Authorization"},
      {"{\"url\":7,\"events\":[\"*\"]}", "invalid url"},
      {"{\"url\":\"https://e.com\",\"events\":[\"Order\"]}",
       "unknown event type \"Order\" (allowed: "},
      {"{\"url\":\"https://e.com\",\"events\":[\"order*\"]}",
       "unknown event type \"order*\""},
      {"{\"url\":\"https://e.com\",\"events\":[1]}", "events[0]"},
      {"{" HOOK ",\"description\":\"a\\nb\"}", "one line"},
      {"{" HOOK ",\"filters\":[]}", "filters must be an object"},
      {"{" HOOK ",\"filters\":{\"sources\":\"a\"}}", "filters.sources must be"},
      {"{" HOOK ",\"filters\":{\"sources\":[\"\"]}}", "filters.sources[0]"},
      {"{" HOOK ",\"filters\":{\"labels\":[\"A\"]}}", "filters.labels[0]"},
      {"{" HOOK ",\"filters\":{\"levels\":[\">=loud\"]}}", "filters.levels[0]"},
      {"{" HOOK ",\"headers\":{\"Webhook-Id\":\"x\"}}", "Webhook-Id"},
      {"{" HOOK ",\"headers\":{\"HOST\":\"x\"}}", "HOST"},
      {"{" HOOK ",\"headers\":{\"a b\":\"x\"}}", "not the name of a header"},
      {"{" HOOK ",\"headers\":{\"a\":\"x\\ny\"}}", "headers.a"},
      {"{" HOOK ",\"format\":\"xml\"}", "format must be"},
      {"{" HOOK ",\"ordered\":1}", "ordered must be"},
      {"{" HOOK ",\"enabled\":\"no\"}", "enabled must be"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    refused(cases[i].body, true, "invalid_webhook", cases[i].message);
  refused("{", true, "invalid_json", "invalid request body");
  refused("{" HOOK "," HOOK "}", true, "invalid_json", "duplicate");
  refused("{" HOOK ",\"evnets\":[]}", true, "unknown_field", "\"events\"?");
  refused("{\"filters\":{\"source\":[]}}", false, "unknown_field",
          "\"sources\"?");
}

/* `count` times `unit` between the two others. */
static char *repeat(const char *head, const char *unit, size_t count,
                    const char *tail) {
  tti_buf text;
  tti_buf_init(&text, 1 << 20);
  tti_buf_append_text(&text, head);
  for (size_t i = 0; i < count; i++)
    tti_buf_append_text(&text, unit);
  tti_buf_append_text(&text, tail);
  return tti_buf_take(&text, NULL);
}

static void ceilings_are_where_they_are_said_to_be(void **state) {
  (void)state;
  static const struct {
    const char *head, *unit, *tail;
    size_t most;
    const char *message;
  } cases[] = {
      {"{\"url\":\"https://e/", "x", "\"}", 2038,
       "url too long (max 2048 chars)"},
      {"{\"description\":\"", "\xc3\xa4", "\"}", 200,
       "description too long (max 200 chars)"},
      {"{\"events\":[", "\"a\",", "\"b\"]}", 49, "events exceeds cap of 50"},
      {"{\"events\":[\"", "a", ".*\"]}", 128, "unknown event type"},
      {"{\"filters\":{\"subjects\":[", "\"a\",", "\"b\"]}}", 49,
       "filters.subjects exceeds cap of 50"},
      {"{\"filters\":{\"subjects\":[\"", "a", "\"]}}", 200,
       "filters.subjects[0] too long (max 200 chars)"},
      {"{\"filters\":{\"labels\":[\"", "a", "\"]}}", 64, "filters.labels[0]"},
      {"{\"headers\":{\"a\":\"", "a", "\"}}", 1024, "headers.a"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    webhook_change change;
    webhook_refusal refusal;
    char *most =
        repeat(cases[i].head, cases[i].unit, cases[i].most, cases[i].tail);
    char *over =
        repeat(cases[i].head, cases[i].unit, cases[i].most + 1, cases[i].tail);
    if (!parse(most, false, &change, &refusal))
      fail_msg("%s", refusal.message);
    webhook_change_fini(&change);
    refused(over, false, "invalid_webhook", cases[i].message);
    free(most);
    free(over);
  }
}

int main(void) {
  static const struct CMUnitTest cases[] = {
      cmocka_unit_test(a_webhook_is_shown_as_it_was_given),
      cmocka_unit_test(a_patch_changes_what_it_names),
      cmocka_unit_test(what_is_wrong_is_named),
      cmocka_unit_test(ceilings_are_where_they_are_said_to_be),
  };
  return cmocka_run_group_tests(cases, NULL, NULL);
}
