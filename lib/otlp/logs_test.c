#include "tests/unit.h"

#include "lib/otlp/logs.h"
#include <stdio.h>
#include <stdlib.h>

static bool decimal_comma; /* of the program's locale */

/* In place of the C library's, which goes by the locale; few machines have one
 * with a decimal comma. */
double strtod(const char *text, char **out_end) {
  char whole[64] = "";
  if (!decimal_comma)
    return (double)strtold(text, out_end);
  strncat(whole, text, strcspn(text, "."));
  return (double)strtold(whole, out_end);
}

static ProtobufCBinaryData bytes(const char *text) {
  return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

/* Bytes that another implementation made: our description of the messages has
 * the right numbers and kinds. */
static void speaks_the_protocol(void **state) {
  (void)state;
  static const char golden[] =
      "0a5f0a180a160a0c736572766963652e6e616d6512060a0464656d6f12430a070a0573"
      "636f706512380900002a36fe9c971710091a04696e666f2a040a026869320a0a037365"
      "7112030a01315900002a36fe9c9717620a757365722e6c6f67696e";
  tti_arena arena = {0};
  tti_otlp_pairs resource = {0}, attributes = {0};
  Tti__Otlp__Resource r = TTI__OTLP__RESOURCE__INIT;
  Tti__Otlp__Scope scope = TTI__OTLP__SCOPE__INIT;
  Tti__Otlp__LogRecord record = TTI__OTLP__LOG_RECORD__INIT;
  Tti__Otlp__ScopeLogs scope_logs = TTI__OTLP__SCOPE_LOGS__INIT;
  Tti__Otlp__ResourceLogs resource_logs = TTI__OTLP__RESOURCE_LOGS__INIT;
  Tti__Otlp__LogsRequest request = TTI__OTLP__LOGS_REQUEST__INIT;
  Tti__Otlp__LogRecord *records = &record;
  Tti__Otlp__ScopeLogs *scopes = &scope_logs;
  Tti__Otlp__ResourceLogs *resources = &resource_logs;
  tti_otlp_pair(&arena, &resource, TTI_SLICE("service.name"),
                tti_otlp_string(&arena, TTI_SLICE("demo")));
  tti_otlp_pair(&arena, &attributes, TTI_SLICE("seq"),
                tti_otlp_string(&arena, TTI_SLICE("1")));
  r.attributes = resource.items;
  r.n_attributes = resource.count;
  scope.name = bytes("scope");
  record.time_unix_nano = record.observed_time_unix_nano = 1700000000000000000;
  record.severity_number = 9;
  record.severity_text = bytes("info");
  record.body = tti_otlp_string(&arena, TTI_SLICE("hi"));
  record.attributes = attributes.items;
  record.n_attributes = attributes.count;
  record.event_name = bytes("user.login");
  scope_logs.scope = &scope;
  scope_logs.log_records = &records;
  scope_logs.n_log_records = 1;
  resource_logs.resource = &r;
  resource_logs.scope_logs = &scopes;
  resource_logs.n_scope_logs = 1;
  request.resource_logs = &resources;
  request.n_resource_logs = 1;
  uint8_t packed[256];
  char hex[2 * sizeof(packed) + 1] = "";
  size_t len = tti__otlp__logs_request__get_packed_size(&request);
  assert_int_equal(len, 97);
  tti__otlp__logs_request__pack(&request, packed);
  for (size_t i = 0; i < len; i++)
    snprintf(hex + 2 * i, 3, "%02x", packed[i]);
  assert_string_equal(hex, golden);
  tti_arena_fini(&arena);
}

/* Writes a value the way it is meant to be read back. */
static void print_value(tti_buf *out, const Tti__Otlp__AnyValue *value) {
  switch (value ? value->value_case : TTI__OTLP__ANY_VALUE__VALUE__NOT_SET) {
  case TTI__OTLP__ANY_VALUE__VALUE_STRING:
    tti_buf_printf(out, "s:%.*s", (int)value->string.len,
                   (const char *)value->string.data);
    break;
  case TTI__OTLP__ANY_VALUE__VALUE_BOOL:
    tti_buf_append_text(out, value->bool_ ? "true" : "false");
    break;
  case TTI__OTLP__ANY_VALUE__VALUE_INT:
    tti_buf_printf(out, "i:%lld", (long long)value->int_);
    break;
  case TTI__OTLP__ANY_VALUE__VALUE_DOUBLE:
    tti_buf_printf(out, "d:%g", value->double_);
    break;
  case TTI__OTLP__ANY_VALUE__VALUE_ARRAY:
    tti_buf_append_char(out, '[');
    for (size_t i = 0; i < value->array->n_values; i++) {
      tti_buf_append_text(out, i ? "," : "");
      print_value(out, value->array->values[i]);
    }
    tti_buf_append_char(out, ']');
    break;
  case TTI__OTLP__ANY_VALUE__VALUE_LIST:
    tti_buf_append_char(out, '{');
    for (size_t i = 0; i < value->list->n_values; i++) {
      const Tti__Otlp__KeyValue *pair = value->list->values[i];
      tti_buf_printf(out, "%s%.*s=", i ? "," : "", (int)pair->key.len,
                     (const char *)pair->key.data);
      print_value(out, pair->value);
    }
    tti_buf_append_char(out, '}');
    break;
  default:
    tti_buf_append_text(out, "none");
  }
}

static void expect_json(const char *json, const char *expected) {
  tti_arena arena = {0};
  tti_buf text;
  tti_buf_init(&text, 1 << 20);
  print_value(&text, tti_otlp_json(&arena, tti_slice_of(json)));
  tti_buf_append_char(&text, '\0');
  assert_string_equal(text.data, expected);
  tti_buf_fini(&text);
  tti_arena_fini(&arena);
}

static void json_keeps_its_structure(void **state) {
  (void)state;
  expect_json("{\"a\":[1,2.5,1e3,12.0,-0],\"b\":{\"c\":null,\"d\":true},"
              "\"e\":\"x\\ny\\u00e9\"}",
              "{a=[i:1,d:2.5,i:1000,i:12,i:0],b={c=none,d=true},e=s:x\ny\xc3"
              "\xa9}");
  expect_json("{}", "{}");
  expect_json("[]", "[]");
  expect_json("[[],{}]", "[[],{}]");
  expect_json("18446744073709551616", "d:1.84467e+19");
  expect_json("{\"a\":1,\"a\":2}", "{a=i:1,a=i:2}");
  expect_json("false", "false");
}

static void what_is_no_json_is_a_string(void **state) {
  (void)state;
  expect_json("{\"a\":", "s:{\"a\":");
  expect_json("plain", "s:plain");
  expect_json("\xff!", "s:\xef\xbf\xbd!");
  /* A string that stands for no text stays as it is written. */
  expect_json("\"\\ud800\"", "s:\\ud800");
}

static void outlives_deep_json(void **state) {
  (void)state;
  char deep[257] = "", expected[300] = "";
  memset(deep, '[', 128);
  memset(deep + 128, ']', 128);
  memcpy(expected, deep, 256);
  expect_json(deep, expected);
}

/* ---- Envelopes ---- */

static Tti__Otlp__LogsRequest *encode(const tt_envelope *envelope) {
  tti_arena arena = {0};
  tti_otlp_resource resource = {0};
  tti_buf out;
  tti_buf_init(&out, 1 << 20);
  tti_otlp_pair(&resource.arena, &resource.attributes,
                TTI_SLICE("service.name"),
                tti_otlp_string(&resource.arena, TTI_SLICE("shop")));
  assert_int_equal(tti_otlp_logs(&arena, &resource, &envelope, 1, &out), TT_OK);
  Tti__Otlp__LogsRequest *request =
      tti__otlp__logs_request__unpack(NULL, out.len, (const uint8_t *)out.data);
  assert_non_null(request);
  tti_buf_fini(&out);
  tti_arena_fini(&arena);
  tti_arena_fini(&resource.arena);
  return request;
}

static const Tti__Otlp__LogRecord *
record_of(const Tti__Otlp__LogsRequest *request) {
  return request->resource_logs[0]->scope_logs[0]->log_records[0];
}

static void expect_attributes(const Tti__Otlp__LogRecord *record,
                              const char *expected) {
  tti_buf text;
  tti_buf_init(&text, 1 << 20);
  for (size_t i = 0; i < record->n_attributes; i++) {
    const Tti__Otlp__KeyValue *pair = record->attributes[i];
    tti_buf_printf(&text, "%.*s=", (int)pair->key.len,
                   (const char *)pair->key.data);
    print_value(&text, pair->value);
    tti_buf_append_char(&text, '\n');
  }
  tti_buf_append_char(&text, '\0');
  assert_string_equal(text.data, expected);
  tti_buf_fini(&text);
}

static void maps_every_field(void **state) {
  (void)state;
  tt_metadata pair = {"region", "eu"};
  tt_envelope envelope = {.seq = 7,
                          .received_us = 2000,
                          .event = {.ts_us = 1000,
                                    .source = "shop",
                                    .source_event = "onPaid",
                                    .type = "order.paid",
                                    .category = "api",
                                    .level = TT_LEVEL_WARN,
                                    .agent_id = "a1",
                                    .session_id = "s1",
                                    .has_duration = true,
                                    .duration_ms = 12,
                                    .metadata = &pair,
                                    .metadata_count = 1,
                                    .truncated = true,
                                    .data = "null"}};
  Tti__Otlp__LogsRequest *request = encode(&envelope);
  const Tti__Otlp__LogRecord *record = record_of(request);
  assert_int_equal(record->time_unix_nano, 1000000);
  assert_int_equal(record->observed_time_unix_nano, 2000000);
  assert_int_equal(record->severity_number, 13);
  assert_memory_equal(record->severity_text.data, "warn", 4);
  assert_memory_equal(record->event_name.data, "order.paid", 10);
  expect_attributes(record, "telltale.event.type=s:order.paid\n"
                            "telltale.event.category=s:api\n"
                            "telltale.event.seq=i:7\n"
                            "telltale.source.kind=s:shop\n"
                            "telltale.source.event=s:onPaid\n"
                            "telltale.truncated=true\n"
                            "telltale.agent_id=s:a1\n"
                            "telltale.telemetry_session_id=s:s1\n"
                            "telltale.duration_ms=i:12\n"
                            "telltale.region=s:eu\n");
  tti__otlp__logs_request__free_unpacked(request, NULL);
}

static void promotes_what_conventions_name(void **state) {
  (void)state;
  tt_envelope envelope = {
      .seq = 1,
      .event = {.type = "proxy_error",
                .category = "network",
                .data = "{\"method\":\"GET\",\"url\":\"http://h/\",\"status\":"
                        "502,\"error_code\":\"E1\",\"level\":\"x\"}"}};
  Tti__Otlp__LogsRequest *request = encode(&envelope);
  expect_attributes(record_of(request), "telltale.event.type=s:proxy_error\n"
                                        "telltale.event.category=s:network\n"
                                        "telltale.event.seq=i:1\n"
                                        "http.request.method=s:GET\n"
                                        "http.response.status_code=i:502\n"
                                        "url.full=s:http://h/\n"
                                        "telltale.proxy_error_code=s:E1\n");
  tti__otlp__logs_request__free_unpacked(request, NULL);
}

static void tells_the_severity(void **state) {
  (void)state;
  static const struct {
    tt_event event;
    int number;
    const char *text;
  } rows[] = {
      {{.type = "x"}, 9, "info"},
      {{.type = "x", .level = TT_LEVEL_DEBUG}, 5, "debug"},
      {{.type = "x", .level = TT_LEVEL_ERROR}, 17, "error"},
      {{.type = "x", .level = TT_LEVEL_FATAL}, 21, "fatal"},
      {{.type = "x", .level = TT_LEVEL_INFO, .level_name = "notice"},
       9,
       "notice"},
      {{.type = "console_error"}, 17, "error"},
      {{.type = "service_crashed"}, 17, "error"},
      {{.type = "system_oom_kill"}, 17, "error"},
      {{.type = "page_crashed"}, 17, "error"},
      {{.type = "request_failed"}, 13, "warn"},
      {{.type = "proxy_error"}, 13, "warn"},
      {{.type = "proxy_error", .data = "{\"resource_type\":\"Document\"}"},
       17,
       "error"},
      {{.type = "page_crashed", .level = TT_LEVEL_DEBUG}, 5, "debug"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tt_envelope envelope = {.seq = 1, .event = rows[i].event};
    Tti__Otlp__LogsRequest *request = encode(&envelope);
    const Tti__Otlp__LogRecord *record = record_of(request);
    assert_int_equal(record->severity_number, rows[i].number);
    assert_int_equal(record->severity_text.len, strlen(rows[i].text));
    assert_memory_equal(record->severity_text.data, rows[i].text,
                        strlen(rows[i].text));
    tti__otlp__logs_request__free_unpacked(request, NULL);
  }
}

static void reads_answers(void **state) {
  (void)state;
  tti_otlp_answer answer;
  /* partial_success {rejected 3, message "no\n"} */
  assert_true(tti_otlp_parse_response(TTI_SLICE("\x0a\x07\x08\x03\x12\x03no\n"),
                                      &answer));
  assert_int_equal(answer.rejected, 3);
  assert_string_equal(answer.message, "no ");
  assert_true(tti_otlp_parse_response(TTI_SLICE(""), &answer));
  assert_int_equal(answer.rejected, 0);
  assert_false(tti_otlp_parse_response(TTI_SLICE("\x0a\x7f"), &answer));
  assert_true(tti_otlp_parse_status(TTI_SLICE("\x08\x03\x12\x03why"), &answer));
  assert_string_equal(answer.message, "why");
}

static void numbers_are_the_same_in_any_locale(void **state) {
  (void)state;
  tti_arena arena = {0};
  decimal_comma = true;
  const Tti__Otlp__AnyValue *value = tti_otlp_json(&arena, TTI_SLICE("1.5"));
  decimal_comma = false;
  assert_non_null(value);
  assert_true(value->double_ == 1.5);
  tti_arena_fini(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(speaks_the_protocol),
      cmocka_unit_test(json_keeps_its_structure),
      cmocka_unit_test(what_is_no_json_is_a_string),
      cmocka_unit_test(outlives_deep_json),
      cmocka_unit_test(maps_every_field),
      cmocka_unit_test(promotes_what_conventions_name),
      cmocka_unit_test(tells_the_severity),
      cmocka_unit_test(reads_answers),
      cmocka_unit_test(numbers_are_the_same_in_any_locale),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
