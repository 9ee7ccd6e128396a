#include "lib/event/view.h"

#include "lib/event/parse.h"
#include "lib/json/scan.h"
#include "tests/unit.h"
#include <stdlib.h>

static char *render(tti_view view, uint64_t seq, const tti_record *record) {
  tti_buf out;
  tti_buf_init(&out, 1 << 20);
  tti_view_render(&out, view, seq, record);
  char *text = tti_buf_take(&out, NULL);
  assert_non_null(text);
  assert_int_equal(tti_json_check(tti_slice_of(text), NULL, NULL), TT_OK);
  assert_null(strpbrk(text, "\r\n"));
  return text;
}

static void assert_views(const tti_record *record, uint64_t seq,
                         const char *relay, const char *envelope) {
  char *text = render(TTI_VIEW_RELAY, seq, record);
  assert_string_equal(text, relay);
  free(text);
  text = render(TTI_VIEW_ENVELOPE, seq, record);
  assert_string_equal(text, envelope);
  free(text);
}

/* A record with nothing optional shows nothing optional. */
static void renders_the_least(void **state) {
  (void)state;
  tti_record r = {.level = TT_LEVEL_INFO, .source = TTI_SLICE("s")};
  assert_views(&r, 1,
               "{\"seq\":1,\"source\":\"s\",\"level\":\"info\","
               "\"ts\":\"1970-01-01T00:00:00.000000Z\"}",
               "{\"seq\":1,\"event\":{\"ts\":0,\"type\":\"\","
               "\"category\":\"\",\"source\":{\"kind\":\"s\"}}}");
}

static const tt_metadata pairs[] = {{"k", "v"}, {"level", "mine\n"}, {"", ""}};

static const tt_event full = {
    .ts_us = 1704161045123456,
    .source = "so\"urce",
    .source_event = "raw",
    .type = "deploy",
    .category = "api",
    .level_name = "Notice",
    .agent_id = "agent",
    .session_id = "sess",
    .has_duration = true,
    .duration_ms = -5,
    .metadata = pairs,
    .metadata_count = 3,
    .data = "{\"a\":\r\n1}",
    .truncated = true,
};

/* Every field of a record is in both views, under its own name. */
static void renders_everything(void **state) {
  (void)state;
  tti_buf metadata;
  tti_record r;
  tti_buf_init(&metadata, 4096);
  assert_int_equal(
      tti_record_from_event(&full, TTI_KIND_SESSION, &metadata, &r), TT_OK);
  assert_views(
      &r, UINT64_MAX,
      "{\"seq\":18446744073709551615,\"source\":\"so\\\"urce\","
      "\"source_event\":\"raw\",\"channel\":\"api\",\"action\":\"deploy\","
      "\"level\":\"Notice\",\"agent_id\":\"agent\",\"duration_ms\":-5,"
      "\"session_id\":\"sess\","
      "\"metadata\":{\"k\":\"v\",\"level\":\"mine\\n\",\"\":\"\"},"
      "\"data\":{\"a\":  1},\"truncated\":true,"
      "\"ts\":\"2024-01-02T02:04:05.123456Z\"}",
      "{\"seq\":18446744073709551615,\"event\":{\"ts\":1704161045123456,"
      "\"type\":\"deploy\",\"category\":\"api\","
      "\"source\":{\"kind\":\"so\\\"urce\",\"event\":\"raw\","
      "\"metadata\":{\"level\":\"Notice\",\"agent_id\":\"agent\","
      "\"duration_ms\":\"-5\",\"telemetry_session_id\":\"sess\","
      "\"k\":\"v\",\"metadata.level\":\"mine\\n\",\"\":\"\"}},"
      "\"data\":{\"a\":  1},\"truncated\":true}}");
  tti_buf_fini(&metadata);
}

/* The size is known without rendering, for each field there and not there. */
static void knows_its_size(void **state) {
  (void)state;
  for (unsigned mask = 0; mask < 1u << 10; mask++) {
    tt_event event = {
        .ts_us = mask & 1 ? full.ts_us : -1,
        .source = mask & 2 ? full.source : "",
        .source_event = mask & 4 ? full.source_event : "",
        .type = mask & 8 ? "\x01\xff\xc3\xa9" : "",
        .level = mask & 16 ? TT_LEVEL_ERROR : TT_LEVEL_INFO,
        .agent_id = mask & 32 ? full.agent_id : "",
        .session_id = mask & 64 ? full.session_id : "",
        .has_duration = mask & 128,
        .duration_ms = mask & 256 ? INT64_MIN : 7,
        .metadata = pairs,
        .metadata_count = mask & 256 ? 3 : 0,
        .data = mask & 512 ? full.data : NULL,
        .truncated = mask & 512,
    };
    tti_buf metadata, out;
    tti_record r;
    tti_buf_init(&metadata, 4096);
    tti_buf_init(&out, 4096);
    assert_int_equal(
        tti_record_from_event(&event, TTI_KIND_RELAY, &metadata, &r), TT_OK);
    tti_view_render(&out, TTI_VIEW_ENVELOPE, UINT64_MAX, &r);
    assert_int_equal(tti_record_envelope_size(&r), out.len);
    tti_buf_fini(&out);
    tti_buf_fini(&metadata);
  }
}

/* What comes out of the relay view goes back in and comes out the same. */
static void goes_round(void **state) {
  (void)state;
  static const char *const texts[] = {
      ("{\"seq\":7,\"source\":\"s\",\"level\":\"info\","
       "\"ts\":\"1970-01-01T00:00:00.000000Z\"}"),
      ("{\"seq\":7,\"source\":\"\\u0001\xc3\xa9\",\"source_event\":\"e\","
       "\"channel\":\"c\",\"action\":\"a\",\"level\":\"fatal\","
       "\"agent_id\":\"g\",\"duration_ms\":0,"
       "\"metadata\":{\"a\":\"1\",\"a\":\"2\",\"level\":\"x\"},"
       "\"data\":{\"a\":1.0e+2, \"a\":\"\\u0000\\/\"},"
       "\"ts\":\"9999-12-31T23:59:59.999999Z\"}"),
      ("{\"seq\":7,\"source\":\"s\",\"level\":\"verbose\",\"data\":{},"
       "\"ts\":\"0001-01-01T00:00:00.000001Z\"}"),
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    tti_batch batch;
    tti_parse_error error;
    tti_record r;
    tti_batch_init(&batch, 1, 1 << 20);
    assert_int_equal(tti_parse_relay(tti_slice_of(texts[i]),
                                     &(tti_parse_options){.now_us = 1}, &batch,
                                     &error),
                     TT_OK);
    assert_int_equal(tti_record_decode(tti_buf_slice(&batch.bytes), &r), TT_OK);
    char *text = render(TTI_VIEW_RELAY, 7, &r);
    assert_string_equal(text, texts[i]);
    free(text);
    tti_batch_fini(&batch);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(renders_the_least),
      cmocka_unit_test(renders_everything),
      cmocka_unit_test(knows_its_size),
      cmocka_unit_test(goes_round),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
