#include "lib/event/parse.h"

#include "lib/event/view.h"
#include "tests/unit.h"

#define NOW INT64_C(1700000000123456)

static const tti_parse_options options = {.now_us = NOW};

typedef tt_error parse_call(tti_slice, const tti_parse_options *, tti_batch *,
                            tti_parse_error *);

/* The `i`th record of a batch. */
static tti_record record_at(const tti_batch *batch, size_t i) {
  size_t offset = 0;
  for (size_t before = 0; before < i; before++)
    offset += batch->lengths[before];
  tti_record record;
  tti_slice bytes = {batch->bytes.data + offset, batch->lengths[i]};
  assert_int_equal(tti_record_decode(bytes, &record), TT_OK);
  return record;
}

static void assert_text(tti_slice got, const char *want) {
  assert_int_equal(got.len, strlen(want));
  assert_memory_equal(got.ptr, want, got.len + 1);
}

static tti_batch parse_ok(parse_call *call, tti_parse_form form,
                          const char *text) {
  tti_parse_options wanted = {.now_us = NOW, .form = form};
  tti_batch batch;
  tti_parse_error error = {0};
  tti_batch_init(&batch, 100, 1 << 20);
  tt_error result = call(tti_slice_of(text), &wanted, &batch, &error);
  if (result != TT_OK)
    print_error("%s: %s at %zu\n", text, error.reason, error.offset);
  assert_int_equal(result, TT_OK);
  return batch;
}

/* Every field of the relay form arrives in its place. */
static void takes_every_field(void **state) {
  (void)state;
  tti_batch batch = parse_ok(
      tti_parse_relay, TTI_PARSE_ONE,
      " {\"seq\": 9, \"source\": \"a\\u00e9\", \"source_event\": \"raw\",\n"
      "\"action\":\"deploy\",\"channel\":\"api\",\"level\":\"WARN\","
      "\"agent_id\":\"x\\\"1\",\"duration_ms\":12.0,"
      "\"session_id\":\"not yours\",\"metadata\":{\"k\":\"v\\n\",\"l\":\"\"},"
      "\"data\":{\"n\": 1.50,\r\n \"s\":\"\\u0000\\ud800\"},"
      "\"ts\":\"2024-01-02T03:04:05.123456789+01:00\",\"other\":[1,{}]}\n");
  assert_int_equal(batch.count, 1);
  tti_record r = record_at(&batch, 0);
  assert_int_equal(r.kind, TTI_KIND_RELAY);
  assert_text(r.source, "a\xc3\xa9");
  assert_text(r.source_event, "raw");
  assert_text(r.type, "deploy");
  assert_text(r.category, "api");
  assert_int_equal(r.level, TT_LEVEL_WARN);
  assert_text(r.level_name, "");
  assert_text(r.agent_id, "x\"1");
  assert_true(r.has_duration);
  assert_int_equal(r.duration_ms, 12);
  assert_text(r.session_id, "");
  assert_text(r.data, "{\"n\": 1.50,   \"s\":\"\\u0000\\ud800\"}");
  assert_int_equal(r.ts_us, INT64_C(1704161045123456));
  tti_slice rest = r.metadata, key, value;
  assert_true(tti_metadata_next(&rest, &key, &value));
  assert_text(key, "k");
  assert_text(value, "v\n");
  assert_true(tti_metadata_next(&rest, &key, &value));
  assert_text(key, "l");
  assert_text(value, "");
  assert_false(tti_metadata_next(&rest, &key, &value));
  tti_batch_fini(&batch);
}

/* What is not there, or null, has its default. */
static void defaults(void **state) {
  (void)state;
  static const char *const texts[] = {
      "{\"source\":\"s\"}",
      ("{\"source\":\"s\",\"level\":null,\"ts\":null,\"data\":null,"
       "\"metadata\":null,\"duration_ms\":null,\"action\":null,"
       "\"channel\":null,\"agent_id\":null,\"source_event\":null}"),
      ("{\"source\":\"s\",\"level\":\"\",\"ts\":\"0001-01-01T00:00:00Z\","
       "\"metadata\":{}}"),
      "{\"\\u0073ource\":\"s\"}",
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    tti_batch batch = parse_ok(tti_parse_relay, TTI_PARSE_ONE, texts[i]);
    tti_record r = record_at(&batch, 0);
    assert_text(r.source, "s");
    assert_int_equal(r.level, TT_LEVEL_INFO);
    assert_int_equal(r.ts_us, NOW);
    assert_int_equal(r.data.len, 0);
    assert_int_equal(r.metadata.len, 0);
    assert_false(r.has_duration);
    assert_false(r.truncated);
    tti_batch_fini(&batch);
  }
}

typedef struct refusal {
  parse_call *call;
  tti_parse_form form;
  const char *text;
  size_t index, offset;
  const char *reason;
} refusal;

static void assert_refused(const refusal *row) {
  tti_batch batch;
  tti_parse_error error = {0};
  tti_batch_init(&batch, 3, 1 << 20);
  assert_int_equal(tti_parse_relay(TTI_SLICE("{\"source\":\"first\"}"),
                                   &options, &batch, &error),
                   TT_OK);
  tti_parse_options wanted = {.now_us = NOW, .form = row->form};
  tt_error result = row->call(tti_slice_of(row->text), &wanted, &batch, &error);
  if (result == TT_OK || strcmp(error.reason, row->reason) != 0)
    print_error("%s: %s\n", row->text, error.reason);
  assert_int_not_equal(result, TT_OK);
  assert_string_equal(error.reason, row->reason);
  assert_int_equal(error.index, row->index);
  assert_int_equal(error.offset, row->offset);
  /* All or nothing: what was there stays, and nothing else. */
  assert_int_equal(batch.count, 1);
  assert_int_equal(batch.bytes.len, batch.lengths[0]);
  assert_text(record_at(&batch, 0).source, "first");
  tti_batch_fini(&batch);
}

/* What is refused is refused with the place and the reason. */
static void refuses(void **state) {
  (void)state;
  static const refusal rows[] = {
      {tti_parse_relay, TTI_PARSE_ONE, "", 0, 0, "the text ends too early"},
      {tti_parse_relay, TTI_PARSE_ONE, "[]", 0, 0, "an object is wanted"},
      {tti_parse_relay, TTI_PARSE_ONE, "{}", 0, 0, "source is required"},
      {tti_parse_relay, TTI_PARSE_ONE, "{\"source\":\" \\t\"}", 0, 10,
       "source is required"},
      {tti_parse_relay, TTI_PARSE_ONE, "{\"source\":null}", 0, 0,
       "source is required"},
      {tti_parse_relay, TTI_PARSE_ONE, "{\"source\":7}", 0, 10,
       "source must be a string"},
      {tti_parse_relay, TTI_PARSE_ONE, "{\"source\":\"a\\u0000\"}", 0, 12,
       "source holds an escape that is no character (\\u0000 or half a "
       "surrogate pair)"},
      {tti_parse_relay, TTI_PARSE_ONE,
       "{\"source\":\"s\",\"action\":\"\\udc00\"}", 0, 24,
       "action holds an escape that is no character (\\u0000 or half a "
       "surrogate pair)"},
      {tti_parse_relay, TTI_PARSE_ONE, "{\"source\":\"s\",\"level\":3}", 0, 22,
       "level must be a string"},
      {tti_parse_relay, TTI_PARSE_ONE, "{\"source\":\"s\",\"data\":[]}", 0, 21,
       "data must be an object"},
      {tti_parse_relay, TTI_PARSE_ONE, "{\"source\":\"s\",\"metadata\":[]}", 0,
       25, "metadata must be an object of strings"},
      {tti_parse_relay, TTI_PARSE_ONE,
       "{\"source\":\"s\",\"metadata\":{\"a\":1}}", 0, 30,
       "metadata must hold strings only"},
      {tti_parse_relay, TTI_PARSE_ONE, "{\"source\":\"s\",\"duration_ms\":1.5}",
       0, 28, "duration_ms must be a whole number of milliseconds"},
      {tti_parse_relay, TTI_PARSE_ONE,
       "{\"source\":\"s\",\"duration_ms\":\"1\"}", 0, 28,
       "duration_ms must be a whole number of milliseconds"},
      {tti_parse_relay, TTI_PARSE_ONE,
       "{\"source\":\"s\",\"ts\":\"yesterday\"}", 0, 19,
       "ts must be an RFC 3339 time such as 2026-01-02T03:04:05Z"},
      {tti_parse_relay, TTI_PARSE_ONE, "{\"source\":\"s\",\"ts\":17}", 0, 19,
       "ts must be a string"},
      {tti_parse_relay, TTI_PARSE_ONE,
       "{\"source\":\"s\",\"\\u0073ource\":\"t\"}", 0, 14,
       "source is given twice"},
      {tti_parse_relay, TTI_PARSE_ONE, "{\"source\":\"s\"} x", 0, 15,
       "bytes follow the value"},
      {tti_parse_relay, TTI_PARSE_ONE, "{\"source\":\"\xff\"}", 0, 11,
       "not valid UTF-8"},
      {tti_parse_relay, TTI_PARSE_ARRAY, "{\"source\":\"s\"}", 0, 0,
       "an array is wanted"},
      {tti_parse_relay, TTI_PARSE_ARRAY, "[{\"source\":\"s\"}, {}]", 1, 17,
       "source is required"},
      {tti_parse_relay, TTI_PARSE_ARRAY, "[{\"source\":\"s\"}", 1, 15,
       "the text ends too early"},
      {tti_parse_relay, TTI_PARSE_ARRAY, "[{\"source\":\"s\"}]]", 1, 16,
       "bytes follow the value"},
      {tti_parse_relay, TTI_PARSE_ARRAY,
       "[{\"source\":\"1\"},{\"source\":\"2\"},{\"source\":\"3\"}]", 2, 31,
       "more than one batch may hold (3 events, 1048576 bytes)"},
      {tti_parse_relay, TTI_PARSE_LINES,
       "{\"source\":\"s\"}\n\n \r\n{\"source\":}\n", 1, 29, "not a JSON value"},
      {tti_parse_log, TTI_PARSE_ONE, "7", 0, 0, "an object is wanted"},
      {tti_parse_log, TTI_PARSE_ONE, "{\"message\":7}", 0, 11,
       "message must be a string"},
      {tti_parse_log, TTI_PARSE_ONE, "{\"caller\":{}}", 0, 10,
       "caller must be a string"},
      {tti_parse_log, TTI_PARSE_ONE, "{\"fields\":[]}", 0, 10,
       "fields must be an object"},
      {tti_parse_log, TTI_PARSE_ONE, "{\"logger\":1}", 0, 10,
       "logger must be a string"},
      {tti_parse_log, TTI_PARSE_ONE, "{\"message\":\"a\",\"message\":\"b\"}", 0,
       15, "message is given twice"},
      {tti_parse_log, TTI_PARSE_ARRAY, "[{}, {\"level\":1}]", 1, 14,
       "level must be a string"},
      {tti_parse_log, TTI_PARSE_LINES, "{}\n{}\n{}", 2, 6,
       "more than one batch may hold (3 events, 1048576 bytes)"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    assert_refused(&rows[i]);
}

/* Both batch forms give the events in their order. */
static void takes_batches(void **state) {
  (void)state;
  static const struct {
    parse_call *call;
    tti_parse_form form;
    const char *text;
    size_t count;
  } rows[] = {
      {tti_parse_relay, TTI_PARSE_ARRAY, " [ ] ", 0},
      {tti_parse_relay, TTI_PARSE_ARRAY,
       "[{\"source\":\"s0\"} ,\n{\"source\":\"s1\",\"data\":{\n}}]", 2},
      {tti_parse_relay, TTI_PARSE_LINES, "", 0},
      {tti_parse_relay, TTI_PARSE_LINES,
       "\n{\"source\":\"s0\"}\r\n\n{\"source\":\"s1\"}", 2},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tti_batch batch = parse_ok(rows[i].call, rows[i].form, rows[i].text);
    assert_int_equal(batch.count, rows[i].count);
    for (size_t n = 0; n < batch.count; n++) {
      char want[] = {'s', (char)('0' + n), '\0'};
      assert_text(record_at(&batch, n).source, want);
    }
    tti_batch_fini(&batch);
  }
}

/* A log line becomes a record of its kind, with the producer's bytes. */
static void takes_log_lines(void **state) {
  (void)state;
  static const char text[] =
      "{\"level\":\"WARN\",\"message\":\"disk \\u0000 \\\"full\\\"\","
      "\"logger\":\"d\\u0062\",\"fields\":{ \"n\":\n1.0},\"caller\":\"a.c:3\","
      "\"ts\":\"1970-01-01T00:00:01Z\",\"source\":\"shop\",\"agent_id\":\"a1\","
      "\"colour\":1}";
  tti_batch batch = parse_ok(tti_parse_log, TTI_PARSE_ONE, text);
  tti_record r = record_at(&batch, 0);
  assert_int_equal(r.kind, TTI_KIND_LOG);
  assert_text(r.category, "log");
  assert_text(r.type, "db");
  assert_text(r.source, "shop");
  assert_text(r.agent_id, "a1");
  assert_int_equal(r.level, TT_LEVEL_WARN);
  assert_int_equal(r.level_name.len, 0);
  assert_int_equal(r.ts_us, 1000000);
  assert_text(r.data, "{\"message\":\"disk \\u0000 \\\"full\\\"\","
                      "\"fields\":{ \"n\": 1.0},\"caller\":\"a.c:3\"}");
  tti_batch_fini(&batch);
}

/* Nothing of a log line is required. */
static void fills_in_log_lines(void **state) {
  (void)state;
  static const char *const texts[][3] = {
      {"{}", "log", ""},
      {"{\"source\":\" \",\"logger\":\"db\",\"fields\":null}", "db", "db"},
      {"{\"message\":null,\"caller\":null,\"ts\":\"0001-01-01T00:00:00Z\"}",
       "log", ""},
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    tti_batch batch = parse_ok(tti_parse_log, TTI_PARSE_ONE, texts[i][0]);
    tti_record r = record_at(&batch, 0);
    assert_text(r.source, texts[i][1]);
    assert_text(r.type, texts[i][2]);
    assert_text(r.data, "{\"message\":\"\"}");
    assert_int_equal(r.level, TT_LEVEL_INFO);
    assert_int_equal(r.ts_us, NOW);
    tti_batch_fini(&batch);
  }
}

/* Lines below the level asked for are counted and left out; a level that nobody
 * knows ranks as info. */
static void gates_log_lines(void **state) {
  (void)state;
  static const char text[] = "[{\"level\":\"debug\"},{\"level\":\"odd\"},{},"
                             "{\"level\":\"Error\"},{\"level\":\"fatal\"}]";
  static const struct {
    tt_level min;
    size_t count, gated;
  } rows[] = {{TT_LEVEL_UNSET, 5, 0},
              {TT_LEVEL_DEBUG, 5, 0},
              {TT_LEVEL_INFO, 4, 1},
              {TT_LEVEL_WARN, 2, 3},
              {TT_LEVEL_FATAL, 1, 4}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tti_parse_options gate = {.form = TTI_PARSE_ARRAY,
                              .log_min_level = rows[i].min};
    tti_parse_error error;
    tti_batch batch;
    tti_batch_init(&batch, 9, 1 << 20);
    assert_int_equal(tti_parse_log(tti_slice_of(text), &gate, &batch, &error),
                     TT_OK);
    assert_int_equal(batch.count, rows[i].count);
    assert_int_equal(batch.gated, rows[i].gated);
    tti_batch_fini(&batch);
  }
}

/* An event may be nested 128 deep, alone and in an array, and no deeper. */
static void limits_depth(void **state) {
  (void)state;
  for (size_t data_depth = 127; data_depth <= 128; data_depth++) {
    tti_buf text;
    tti_buf_init(&text, 4096);
    tti_buf_append_text(&text, "[{\"source\":\"s\",\"data\":{\"a\":");
    for (size_t i = 1; i < data_depth; i++)
      tti_buf_append_char(&text, '[');
    for (size_t i = 1; i < data_depth; i++)
      tti_buf_append_char(&text, ']');
    tti_buf_append_text(&text, "}}]");
    tti_slice array = tti_buf_slice(&text);
    tti_slice object = {array.ptr + 1, array.len - 2};
    tt_error want = data_depth == 127 ? TT_OK : TT_EPARSE;
    tti_batch batch;
    tti_parse_error error;
    tti_parse_options in_array = {.form = TTI_PARSE_ARRAY};
    tti_batch_init(&batch, 9, 1 << 20);
    assert_int_equal(tti_parse_relay(object, &options, &batch, &error), want);
    assert_int_equal(tti_parse_relay(array, &in_array, &batch, &error), want);
    tti_batch_fini(&batch);
    tti_buf_fini(&text);
  }
}

/* An event whose data pads its envelope; answers the size of that envelope,
 * seq of 20 digits, or 0 when the data was lost. */
static size_t envelope_with_padding(size_t pad) {
  tti_buf text, view;
  tti_buf_init(&text, 1 << 21);
  tti_buf_init(&view, 1 << 21);
  tti_buf_append_text(&text, "{\"source\":\"s\\u0001\",\"data\":{\"p\":\"");
  for (size_t i = 0; i < pad; i++)
    tti_buf_append_char(&text, 'x');
  tti_buf_append_text(&text, "\"}}");
  tti_batch batch;
  tti_parse_error error;
  tti_batch_init(&batch, 1, 1 << 21);
  assert_int_equal(
      tti_parse_relay(tti_buf_slice(&text), &options, &batch, &error), TT_OK);
  tti_record r = record_at(&batch, 0);
  assert_int_equal(batch.truncated, r.truncated);
  if (r.truncated)
    assert_text(r.data, "null");
  tti_view_render(&view, TTI_VIEW_ENVELOPE, UINT64_MAX, &r);
  size_t size = r.truncated ? 0 : view.len;
  tti_buf_fini(&view);
  tti_buf_fini(&text);
  tti_batch_fini(&batch);
  return size;
}

/* An envelope of up to 1,000,000 bytes is kept whole; one byte more costs it
 * its data. */
static void truncates_exactly(void **state) {
  (void)state;
  size_t overhead = envelope_with_padding(0);
  assert_int_equal(envelope_with_padding(1000000 - overhead), 1000000);
  assert_int_equal(envelope_with_padding(1000001 - overhead), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_every_field), cmocka_unit_test(defaults),
      cmocka_unit_test(refuses),           cmocka_unit_test(takes_batches),
      cmocka_unit_test(limits_depth),      cmocka_unit_test(truncates_exactly),
      cmocka_unit_test(takes_log_lines),   cmocka_unit_test(fills_in_log_lines),
      cmocka_unit_test(gates_log_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
