#include "lib/event/record.h"

#include "tests/unit.h"

#include <stdlib.h>

static void assert_text(tti_slice got, const char *want) {
  assert_int_equal(got.len, strlen(want));
  assert_memory_equal(got.ptr, want, got.len + 1);
}

static const tt_metadata pairs[] = {{"k", "v"}, {"empty", NULL}};

static const tt_event full = {
    .ts_us = -5,
    .source = "source",
    .source_event = "raw",
    .type = "type",
    .category = "category",
    .level_name = "Notice",
    .agent_id = "agent",
    .session_id = "session",
    .has_duration = true,
    .duration_ms = INT64_MIN,
    .metadata = pairs,
    .metadata_count = 2,
    .data = "{\"a\":1}garbage",
    .data_len = 7,
    .truncated = true,
};

/* The record's bytes, in memory of exactly their size; the caller frees. */
static char *encoded(const tt_event *event, size_t *out_len) {
  tti_buf metadata;
  tti_record record;
  tti_buf_init(&metadata, 4096);
  assert_int_equal(
      tti_record_from_event(event, TTI_KIND_PUBLISHED, &metadata, &record),
      TT_OK);
  *out_len = tti_record_size(&record);
  char *bytes = malloc(*out_len);
  assert_non_null(bytes);
  tti_record_encode(&record, bytes);
  tti_buf_fini(&metadata);
  return bytes;
}

/* All of an event comes back out of its bytes, NUL-terminated. */
static void keeps_everything(void **state) {
  (void)state;
  size_t len;
  char *bytes = encoded(&full, &len);
  tti_record r;
  assert_int_equal(tti_record_decode((tti_slice){bytes, len}, &r), TT_OK);
  assert_int_equal(r.kind, TTI_KIND_PUBLISHED);
  assert_int_equal(r.level, TT_LEVEL_INFO);
  assert_text(r.level_name, "Notice");
  tti_slice rest = r.metadata, key, value;
  assert_true(tti_metadata_next(&rest, &key, &value));
  assert_text(key, "k");
  assert_text(value, "v");
  assert_true(tti_metadata_next(&rest, &key, &value));
  assert_text(key, "empty");
  assert_text(value, "");
  assert_false(tti_metadata_next(&rest, &key, &value));

  tt_event event;
  tti_record_to_event(&r, &event);
  assert_int_equal(event.ts_us, -5);
  assert_string_equal(event.source, "source");
  assert_string_equal(event.source_event, "raw");
  assert_string_equal(event.type, "type");
  assert_string_equal(event.category, "category");
  assert_string_equal(event.level_name, "Notice");
  assert_string_equal(event.agent_id, "agent");
  assert_string_equal(event.session_id, "session");
  assert_true(event.has_duration);
  assert_true(event.duration_ms == INT64_MIN);
  assert_string_equal(event.data, "{\"a\":1}");
  assert_int_equal(event.data_len, 7);
  assert_true(event.truncated);
  free(bytes);
}

static void keeps_nothing(void **state) {
  (void)state;
  size_t len;
  tt_event empty = {0}, event;
  char *bytes = encoded(&empty, &len);
  tti_record r;
  assert_int_equal(tti_record_decode((tti_slice){bytes, len}, &r), TT_OK);
  assert_int_equal(r.level, TT_LEVEL_INFO);
  assert_int_equal(r.metadata.len, 0);
  tti_record_to_event(&r, &event);
  assert_string_equal(event.source, "");
  assert_string_equal(event.level_name, "");
  assert_null(event.data);
  assert_false(event.has_duration);
  free(bytes);
}

/* The layout is a promise to what is stored on disk. */
static void layout_is_fixed(void **state) {
  (void)state;
  static const char want[] =
      "\x01\x03\x02\x04"
      "\x08\x07\x06\x05\x04\x03\x02\x01"
      "\xff\xff\xff\xff\xff\xff\xff\xff"
      "\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
      "\x0c\0\0\0\x04\0\0\0"
      "s\0\0ty\0\0\0\0\0"
      "\x01\0\0\0\x01\0\0\0k\0v\0\0"
      "null";
  const tt_metadata one = {"k", "v"};
  const tt_event event = {
      .ts_us = 0x0102030405060708,
      .source = "s",
      .type = "ty",
      .level_name = "ERROR",
      .has_duration = true,
      .duration_ms = -1,
      .metadata = &one,
      .metadata_count = 1,
      .data = "null",
  };
  size_t len;
  char *bytes = encoded(&event, &len);
  assert_int_equal(len, sizeof(want));
  assert_memory_equal(bytes, want, len);
  free(bytes);
}

/* Bytes that are cut, longer, or damaged anywhere in their head are refused or
 * decoded to something within them, never read past. */
static void damage_is_found(void **state) {
  (void)state;
  size_t len;
  char *bytes = encoded(&full, &len);
  tti_record r;
  for (size_t cut = 0; cut < len; cut++) {
    char *copy = malloc(cut ? cut : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, cut);
    assert_int_equal(tti_record_decode((tti_slice){copy, cut}, &r),
                     TT_ECORRUPT);
    free(copy);
  }
  for (size_t at = 0; at < 56; at++)
    for (int bit = 0; bit < 8; bit++) {
      bytes[at] = (char)(bytes[at] ^ 1 << bit);
      tt_error result = tti_record_decode((tti_slice){bytes, len}, &r);
      /* A length that is wrong cannot fit; a number or a flag can. */
      if (at >= 20)
        assert_int_equal(result, TT_ECORRUPT);
      bytes[at] = (char)(bytes[at] ^ 1 << bit);
    }
  static const struct {
    size_t at;
    char value;
  } rows[] = {{0, 0}, {0, 2}, {1, 4}, {2, 4}, {2, (char)0x80}, {3, 0}, {3, 6}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    char was = bytes[rows[i].at];
    bytes[rows[i].at] = rows[i].value;
    assert_int_equal(tti_record_decode((tti_slice){bytes, len}, &r),
                     TT_ECORRUPT);
    bytes[rows[i].at] = was;
  }
  free(bytes);
}

static void damaged_metadata_is_found(void **state) {
  (void)state;
  tti_buf metadata;
  tti_buf_init(&metadata, 4096);
  tti_metadata_append(&metadata, TTI_SLICE("ab"), TTI_SLICE("c"));
  assert_true(tti_metadata_check(tti_buf_slice(&metadata)));
  for (size_t at = 0; at < 8; at++) {
    metadata.data[at]++;
    tti_record r = {.level = TT_LEVEL_INFO,
                    .metadata = tti_buf_slice(&metadata)};
    size_t len = tti_record_size(&r);
    char *bytes = malloc(len);
    assert_non_null(bytes);
    tti_record_encode(&r, bytes);
    assert_int_equal(tti_record_decode((tti_slice){bytes, len}, &r),
                     TT_ECORRUPT);
    free(bytes);
    metadata.data[at]--;
  }
  tti_buf_fini(&metadata);
}

static void refuses_bad_events(void **state) {
  (void)state;
  tti_buf metadata;
  tti_record r;
  tt_event event = {.metadata_count = 1};
  tti_buf_init(&metadata, 4);
  assert_int_equal(tti_record_from_event(NULL, TTI_KIND_RELAY, &metadata, &r),
                   TT_EINVAL);
  assert_int_equal(tti_record_from_event(&event, TTI_KIND_RELAY, &metadata, &r),
                   TT_EINVAL);
  event.metadata = pairs;
  assert_int_equal(tti_record_from_event(&event, TTI_KIND_RELAY, &metadata, &r),
                   TT_ETOOBIG);
  tti_buf_fini(&metadata);
}

static void levels(void **state) {
  (void)state;
  static const struct {
    const char *in;
    tt_level level;
    const char *name, *text;
  } rows[] = {
      {"debug", TT_LEVEL_DEBUG, "", "debug"},
      {"INFO", TT_LEVEL_INFO, "", "info"},
      {"Warn", TT_LEVEL_WARN, "", "warn"},
      {"eRROR", TT_LEVEL_ERROR, "", "error"},
      {"fatal", TT_LEVEL_FATAL, "", "fatal"},
      {"", TT_LEVEL_INFO, "", "info"},
      {"warning", TT_LEVEL_INFO, "warning", "warning"},
      {" warn", TT_LEVEL_INFO, " warn", " warn"},
  };
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    tti_record r = {.level_name = TTI_SLICE("left over")};
    tti_record_set_level(&r, tti_slice_of(rows[i].in));
    assert_int_equal(r.level, rows[i].level);
    assert_text(r.level_name, rows[i].name);
    assert_text(tti_record_level_text(&r), rows[i].text);
  }
  assert_string_equal(tt_level_name(TT_LEVEL_UNSET), "info");
  assert_string_equal(tt_level_name(TT_LEVEL_FATAL), "fatal");
  assert_string_equal(tt_level_name((tt_level)99), "info");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keeps_everything),
      cmocka_unit_test(keeps_nothing),
      cmocka_unit_test(layout_is_fixed),
      cmocka_unit_test(damage_is_found),
      cmocka_unit_test(damaged_metadata_is_found),
      cmocka_unit_test(refuses_bad_events),
      cmocka_unit_test(levels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
