#include "tests/unit.h"

#include "lib/outbox/outbox.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1700000000000001

static tt_error draft_error(const tt_outbox_event *event,
                            const char **out_problem) {
  tti_outbox_draft draft;
  *out_problem = "";
  tt_error error = tti_outbox_draft_init(&draft, event, NOW, out_problem);
  tti_outbox_draft_fini(&draft);
  return error;
}

static void expect_body(const tt_outbox_event *event, const char *expected) {
  tti_outbox_draft draft;
  const char *problem = "";
  assert_int_equal(tti_outbox_draft_init(&draft, event, NOW, &problem), TT_OK);
  assert_int_equal(draft.row.body.len, strlen(expected));
  assert_memory_equal(draft.row.body.ptr, expected, strlen(expected));
  tti_outbox_draft_fini(&draft);
}

/* The members and their order, the time of the event, and its data as the
 * producer wrote it. */
static void the_body_is_written_once(void **state) {
  (void)state;
  expect_body(&(tt_outbox_event){.id = "evt_1", .type = "order.paid"},
              "{\"type\":\"order.paid\",\"id\":\"evt_1\",\"timestamp\":"
              "\"2023-11-14T22:13:20.000001Z\",\"schema_version\":\"1\","
              "\"data\":null}");
  expect_body(
      &(tt_outbox_event){.id = "evt_1",
                         .type = "order.paid",
                         .subject = "c \"7\"",
                         .source = "shop",
                         .ts_us = 1000000,
                         .data = " {\"b\" : 1.50,\r\n\"a\":\"\\u0041\"}"},
      "{\"type\":\"order.paid\",\"id\":\"evt_1\",\"timestamp\":"
      "\"1970-01-01T00:00:01.000000Z\",\"schema_version\":\"1\","
      "\"subject\":\"c \\\"7\\\"\",\"data\": {\"b\" : 1.50,  "
      "\"a\":\"\\u0041\"}}");
}

/* What webhooks choose by is in the row, and times are set. */
static void the_row_has_all(void **state) {
  (void)state;
  const char *const labels[] = {"vip", "eu:west"};
  tt_outbox_event event = {.type = "order.paid",
                           .source = "shop",
                           .category = "api",
                           .agent_id = "agent-7",
                           .level = TT_LEVEL_WARN,
                           .labels = labels,
                           .label_count = 2,
                           .data = "[1]tail",
                           .data_len = 3};
  tti_outbox_draft draft;
  const char *problem = "";
  assert_int_equal(tti_outbox_draft_init(&draft, &event, NOW, &problem), TT_OK);
  const tti_outbox_row *row = &draft.row;
  assert_int_equal(row->id.len, TELLTALE_OUTBOX_ID_SIZE - 1);
  assert_memory_equal(row->id.ptr, "evt_", 4);
  assert_null(row->subject.ptr);
  assert_true(tti_slice_eq(row->source, TTI_SLICE("shop")));
  assert_true(tti_slice_eq(row->category, TTI_SLICE("api")));
  assert_true(tti_slice_eq(row->agent_id, TTI_SLICE("agent-7")));
  assert_true(tti_slice_eq(row->level, TTI_SLICE("warn")));
  assert_true(tti_slice_eq(row->labels, TTI_SLICE("[\"vip\",\"eu:west\"]")));
  assert_int_equal(row->created_us, NOW);
  assert_int_equal(row->next_poll_us, NOW);
  assert_int_equal(row->expires_us, NOW + (int64_t)30 * 24 * 3600 * 1000000);
  tti_outbox_draft_fini(&draft);
}

#define S64 "0123456789012345678901234567890123456789012345678901234567890123"

/* Each limit, on both of its sides. */
static void limits(void **state) {
  (void)state;
  static const char *const label_ok[] = {"a:_-9", S64};
  static const char *const label_long[] = {S64 "a"};
  static const char *const label_upper[] = {"a", "A"};
  static const char *const label_empty[] = {""};
  static const char *const label_null[] = {NULL};
  const char *many[TELLTALE_OUTBOX_LABELS_MAX + 1];
  for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
    many[i] = S64;
  char text[TELLTALE_OUTBOX_TEXT_MAX + 2];
  memset(text, 'x', sizeof(text));
  text[TELLTALE_OUTBOX_TEXT_MAX + 1] = '\0';
  const struct {
    tt_outbox_event event;
    tt_error error;
    const char *word;
  } rows[] = {
      {{.type = "a"}, TT_OK, ""},
      {{.type = S64 S64}, TT_OK, ""},
      {{.type = S64 S64 "a"}, TT_EINVAL, "type"},
      {{.type = ""}, TT_EINVAL, "type"},
      {{.type = NULL}, TT_EINVAL, "type"},
      {{.type = "Order"}, TT_EINVAL, "type"},
      {{.type = "order paid"}, TT_EINVAL, "type"},
      {{.type = "a", .id = "evt_aZ09_-"}, TT_OK, ""},
      {{.type = "a", .id = "evt_" S64}, TT_OK, ""},
      {{.type = "a", .id = "evt_" S64 "a"}, TT_EINVAL, "id"},
      {{.type = "a", .id = "evt_"}, TT_EINVAL, "id"},
      {{.type = "a", .id = ""}, TT_EINVAL, "id"},
      {{.type = "a", .id = "order-1"}, TT_EINVAL, "id"},
      {{.type = "a", .id = "evt_a.b"}, TT_EINVAL, "id"},
      {{.type = "a", .subject = text + 1}, TT_OK, ""},
      {{.type = "a", .subject = text}, TT_EINVAL, "subject"},
      {{.type = "a", .source = text}, TT_EINVAL, "source"},
      {{.type = "a", .category = text}, TT_EINVAL, "category"},
      {{.type = "a", .agent_id = text}, TT_EINVAL, "agent_id"},
      {{.type = "a", .agent_id = "\xc3\xa9"}, TT_OK, ""},
      {{.type = "a", .agent_id = "\xc3"}, TT_EINVAL, "UTF-8"},
      {{.type = "a", .labels = label_ok, .label_count = 2}, TT_OK, ""},
      {{.type = "a", .labels = many, .label_count = 50}, TT_OK, ""},
      {{.type = "a", .labels = many, .label_count = 51}, TT_EINVAL, "labels"},
      {{.type = "a", .labels = NULL, .label_count = 1}, TT_EINVAL, "labels"},
      {{.type = "a", .labels = label_long, .label_count = 1}, TT_EINVAL, "la"},
      {{.type = "a", .labels = label_upper, .label_count = 2}, TT_EINVAL, "la"},
      {{.type = "a", .labels = label_empty, .label_count = 1}, TT_EINVAL, "la"},
      {{.type = "a", .labels = label_null, .label_count = 1}, TT_EINVAL, "la"},
      {{.type = "a", .data = "1 2"}, TT_EPARSE, "JSON"},
      {{.type = "a", .data = ""}, TT_EPARSE, "JSON"},
      {{.type = "a", .data = "{\"a\":}"}, TT_EPARSE, "JSON"},
      {{.type = "a", .data = "\"\\ud800\""}, TT_OK, ""},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const char *problem;
    tt_error error = draft_error(&rows[i].event, &problem);
    if (error != rows[i].error || !strstr(problem, rows[i].word))
      fail_msg("row %zu: %s %s", i, tt_error_name(error), problem);
  }
  const char *problem;
  assert_int_equal(draft_error(NULL, &problem), TT_EINVAL);
}

static void a_body_has_a_limit(void **state) {
  (void)state;
  static const char around[] =
      "{\"type\":\"a\",\"id\":\"evt_1\",\"timestamp\":"
      "\"2023-11-14T22:13:20.000001Z\",\"schema_version\":\"1\",\"data\":}";
  size_t fits = TELLTALE_OUTBOX_BODY_MAX - strlen(around);
  char *data = malloc(TELLTALE_OUTBOX_BODY_MAX + 2);
  assert_non_null(data);
  memset(data, ' ', TELLTALE_OUTBOX_BODY_MAX + 2);
  data[0] = '1';
  tt_outbox_event event = {
      .type = "a", .id = "evt_1", .data = data, .data_len = fits};
  const char *problem;
  assert_int_equal(draft_error(&event, &problem), TT_OK);
  event.data_len = fits + 1;
  assert_int_equal(draft_error(&event, &problem), TT_ETOOBIG);
  event.data_len = TELLTALE_OUTBOX_BODY_MAX + 1;
  assert_int_equal(draft_error(&event, &problem), TT_ETOOBIG);
  free(data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_body_is_written_once),
      cmocka_unit_test(the_row_has_all),
      cmocka_unit_test(limits),
      cmocka_unit_test(a_body_has_a_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
