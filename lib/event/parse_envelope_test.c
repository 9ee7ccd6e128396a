#include "lib/event/category.h"
#include "lib/event/parse.h"
#include "tests/unit.h"
#include <telltale/session.h>

#define NOW INT64_C(1700000000123456)

enum { SHOP = TTI_CATEGORIES };

static tti_slice categories[TTI_CATEGORIES + 1];
static const struct tti_known_type types[] = {
    {{"console_error", 13}, 0}, {{"page_crashed", 12}, 2}, {{"paid", 4}, SHOP}};
static const tti_vocabulary vocabulary = {categories, TTI_CATEGORIES + 1, types,
                                          3};

static int setup(void **state) {
  (void)state;
  for (int i = 0; i < TTI_CATEGORIES; i++)
    categories[i] = tti_slice_of(tt_all_categories[i]);
  categories[SHOP] = TTI_SLICE("shop");
  return 0;
}

typedef struct parsed {
  tti_batch batch;
  tti_record record;
  tti_capture capture;
  tti_parse_error error;
  tt_error result;
} parsed;

static void parse(parsed *p, const char *text, uint64_t captured) {
  *p = (parsed){.capture = {&vocabulary, {"s1", 2}, captured, 99}};
  tti_parse_options options = {.now_us = NOW, .capture = &p->capture};
  tti_batch_init(&p->batch, 4, 1 << 20);
  p->result =
      tti_parse_envelope(tti_slice_of(text), &options, &p->batch, &p->error);
  if (p->batch.count)
    tti_record_decode(tti_buf_slice(&p->batch.bytes), &p->record);
}

static void assert_text(tti_slice got, const char *want) {
  assert_int_equal(got.len, strlen(want));
  assert_memory_equal(got.ptr, want, got.len + 1);
}

/* Every field of the envelope form arrives in its place. */
static void takes_every_field(void **state) {
  (void)state;
  parsed p;
  parse(&p,
        "{\"seq\":7,\"ts\":1600000000000001,\"type\":\"a\\u00e9\","
        "\"category\":\"page\",\"truncated\":true,\"source\":{\"kind\":\"cdp\","
        "\"event\":\"Page.load\",\"metadata\":{\"level\":\"WARN\","
        "\"agent_id\":\"x\\\"1\",\"duration_ms\":\"12\","
        "\"telemetry_session_id\":\"not yours\",\"k\":\"v\","
        "\"metadata.level\":\"pair\",\"metadata.k\":\"w\"}},"
        "\"data\":[1.50,\r\n\"\\u0000\"]}",
        UINT64_MAX);
  assert_int_equal(p.result, TT_OK);
  assert_int_equal(p.record.kind, TTI_KIND_SESSION);
  assert_int_equal(p.record.ts_us, INT64_C(1600000000000001));
  assert_text(p.record.type, "a\xc3\xa9");
  assert_text(p.record.category, "page");
  assert_text(p.record.source, "cdp");
  assert_text(p.record.source_event, "Page.load");
  assert_int_equal(p.record.level, TT_LEVEL_WARN);
  assert_text(p.record.agent_id, "x\"1");
  assert_true(p.record.has_duration);
  assert_int_equal(p.record.duration_ms, 12);
  assert_text(p.record.session_id, "s1");
  assert_text(p.record.data, "[1.50,  \"\\u0000\"]");
  assert_false(p.record.truncated);
  tt_metadata pairs[4];
  assert_int_equal(tti_metadata_unpack(p.record.metadata, pairs, 4), 3);
  assert_string_equal(pairs[0].key, "k");
  assert_string_equal(pairs[1].key, "level");
  assert_string_equal(pairs[1].value, "pair");
  assert_string_equal(pairs[2].key, "metadata.k");
  tti_batch_fini(&p.batch);
}

/* A type is enough when its category is known; data may be null, or absent. */
static void fills_in(void **state) {
  (void)state;
  parsed p;
  parse(&p,
        "{\"type\":\"paid\",\"category\":\"page\",\"ts\":null,\"data\":null}",
        UINT64_MAX);
  assert_int_equal(p.result, TT_OK);
  assert_text(p.record.category, "shop");
  assert_text(p.record.source, "local_process");
  assert_int_equal(p.record.ts_us, NOW);
  assert_int_equal(p.record.level, TT_LEVEL_INFO);
  assert_text(p.record.data, "null");
  tti_batch_fini(&p.batch);
  parse(&p,
        "{\"type\":\"x\",\"category\":\"api\",\"source\":{\"kind\":\" \"},"
        "\"ts\":\"2024-01-02T03:04:05+01:00\"}",
        UINT64_MAX);
  assert_int_equal(p.result, TT_OK);
  assert_int_equal(p.record.data.len, 0);
  assert_text(p.record.source, "local_process");
  assert_int_equal(p.record.ts_us, INT64_C(1704161045000000));
  tti_batch_fini(&p.batch);
}

/* What is not captured is counted with its category, and nothing is kept. */
static void gates(void **state) {
  (void)state;
  const uint64_t all_but_page = UINT64_MAX & ~UINT64_C(4);
  static const struct {
    const char *text;
    size_t count;
    unsigned category;
  } rows[] = {
      {"{\"type\":\"x\",\"category\":\"page\"}", 0, 2},
      {"{\"type\":\"page_crashed\",\"category\":\"api\"}", 0, 2},
      {"{\"type\":\"x\",\"category\":\"shop\"}", 1, SHOP},
      {"{\"type\":\"x\",\"category\":\"system\"}", 1, TTI_CATEGORY_SYSTEM},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    parsed p;
    parse(&p, rows[i].text, all_but_page);
    assert_int_equal(p.result, TT_OK);
    assert_int_equal(p.batch.count, rows[i].count);
    assert_int_equal(p.batch.gated, 1 - rows[i].count);
    assert_int_equal(p.capture.category, rows[i].category);
    tti_batch_fini(&p.batch);
  }
}

static void refuses(void **state) {
  (void)state;
  static const struct {
    const char *text, *reason;
    size_t offset;
  } rows[] = {
      {"{\"category\":\"api\"}", "type is required", 0},
      {"{\"type\":\" \",\"category\":\"api\"}", "type is required", 8},
      {"{\"type\":\"x\"}", "category is required", 0},
      {"{\"type\":\"x\",\"category\":\"\"}", "category is required", 0},
      {"{\"type\":\"x\",\"category\":\"apo\"}", "there is no category \"apo\"",
       23},
      {"{\"type\":5}", "type must be a string", 8},
      {"{\"type\":\"paid\",\"source\":1}", "source must be an object", 24},
      {"{\"type\":\"paid\",\"source\":{\"kind\":\"kernel_api\"}}",
       "source.kind kernel_api is reserved", 32},
      {"{\"type\":\"paid\",\"source\":{\"kind\":1}}",
       "source.kind must be a string", 32},
      {"{\"type\":\"paid\",\"source\":{\"event\":\"a\",\"event\":\"b\"}}",
       "source.event is given twice", 37},
      {"{\"type\":\"paid\",\"source\":{\"metadata\":{\"a\":1}}}",
       "metadata must hold strings only", 41},
      {"{\"type\":\"paid\",\"source\":{\"metadata\":{\"duration_ms\":\"1x\"}}}",
       "duration_ms must be a whole number", 51},
      {"{\"type\":\"paid\",\"ts\":1.5}", "ts must be a whole number", 20},
      {"{\"type\":\"paid\",\"ts\":9e18}", "ts must be a whole number", 20},
      {"{\"type\":\"paid\",\"ts\":\"now\"}", "ts must be an RFC 3339", 20},
      {"{\"type\":\"a\",\"type\":\"b\"}", "type is given twice", 12},
      {"{\"type\":\"paid\"} x", "", 16},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    parsed p;
    parse(&p, rows[i].text, UINT64_MAX);
    assert_int_equal(p.result, TT_EPARSE);
    if (strncmp(p.error.reason, rows[i].reason, strlen(rows[i].reason)) ||
        p.error.offset != rows[i].offset)
      fail_msg("%s: %s at %zu", rows[i].text, p.error.reason, p.error.offset);
    assert_int_equal(p.batch.count, 0);
    tti_batch_fini(&p.batch);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_every_field),
      cmocka_unit_test(fills_in),
      cmocka_unit_test(gates),
      cmocka_unit_test(refuses),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
