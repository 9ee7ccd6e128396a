#include "tests/unit.h"

#include "server/store/columns.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct block {
  columns_builder *builder;
  columns *read;
  tti_buf bytes;
} block;

static int set_up(void **state) {
  block *b = calloc(1, sizeof *b);
  b->builder = calloc(1, sizeof *b->builder);
  b->read = malloc(sizeof *b->read);
  tti_buf_init(&b->bytes, SIZE_MAX);
  *state = b;
  return b->builder && b->read ? 0 : -1;
}

static int tear_down(void **state) {
  block *b = *state;
  tti_buf_fini(&b->bytes);
  free(b->builder);
  free(b->read);
  free(b);
  return 0;
}

static tt_error write_and_read(block *b) {
  columns_write(b->builder, &b->bytes);
  assert_int_equal(b->bytes.error, TT_OK);
  return columns_read(tti_buf_slice(&b->bytes), b->read);
}

static void check_text(tti_slice got, tti_slice want) {
  assert_int_equal(got.len, want.len);
  assert_memory_equal(got.ptr, want.ptr, want.len);
}

static tti_record make(unsigned i, char text[5][32]) {
  static const int64_t durations[] = {0,  1,   -1,        63,           64,
                                      -7, 300, INT64_MAX, INT64_MIN + 1};
  snprintf(text[0], 32, "source-%u", i % 7);
  snprintf(text[1], 32, "%s", i % 3 ? "" : "channel");
  snprintf(text[2], 32, "action-%u", i); /* more than 256 of them */
  snprintf(text[3], 32, "agent-%u", i % 256);
  snprintf(text[4], 32, "%.*s", i % 50 ? 0 : (int)(i % 7), "notice");
  return (tti_record){.kind = (tti_kind)(i % 4),
                      .level = (tt_level)(TT_LEVEL_DEBUG + i % 5),
                      .level_name = tti_slice_of(text[4]),
                      .source = tti_slice_of(text[0]),
                      .category = tti_slice_of(text[1]),
                      .type = tti_slice_of(text[2]),
                      .agent_id = tti_slice_of(text[3]),
                      .has_duration = i % 2,
                      .duration_ms = i % 2 ? durations[i / 2 % 9] : 0};
}

static uint64_t seq_of(unsigned i) {
  return 5000000000 + i + (i > 600 ? 100000 : 0);
}

static int64_t time_of(unsigned i) {
  return 1700000000000000 + (int64_t)(i / 10) * 250 +
         (i > 900 ? 86400000000 : 0);
}

static void rows_come_back_as_they_went_in(void **state) {
  block *b = *state;
  char text[5][32];
  for (unsigned i = 0; i < COLUMNS_ROWS; i++) {
    tti_record record = make(i, text);
    columns_add(b->builder, seq_of(i), time_of(i), &record);
  }
  assert_int_equal(write_and_read(b), TT_OK);
  assert_int_equal(b->read->rows, COLUMNS_ROWS);
  for (unsigned i = 0; i < COLUMNS_ROWS; i++) {
    tti_record want = make(i, text), got;
    columns_record(b->read, i, &got);
    assert_int_equal(b->read->seq[i], seq_of(i));
    assert_int_equal(b->read->received_us[i], time_of(i));
    assert_int_equal(got.kind, want.kind);
    assert_int_equal(got.level, want.level);
    check_text(got.level_name, want.level_name);
    check_text(got.source, want.source);
    check_text(got.category, want.category);
    check_text(got.type, want.type);
    check_text(got.agent_id, want.agent_id);
    assert_int_equal(got.has_duration, want.has_duration);
    assert_true(got.duration_ms == want.duration_ms);
    assert_int_equal(got.data.len, 0);
  }
}

static void what_all_rows_share_takes_no_room(void **state) {
  block *b = *state;
  tti_record record = {.level = TT_LEVEL_INFO, .source = TTI_SLICE("one")};
  for (unsigned i = 0; i < COLUMNS_ROWS; i++)
    columns_add(b->builder, 1 + i, 1, &record);
  assert_int_equal(write_and_read(b), TT_OK);
  /* Three numbers of a byte a row. */
  assert_in_range(b->bytes.len, 3 * COLUMNS_ROWS - 2, 3 * COLUMNS_ROWS + 40);
}

static void what_is_too_large_has_no_columns(void **state) {
  block *b = *state;
  char text[COLUMNS_VALUE_BYTES + 1] = "";
  tti_record record = {.level = TT_LEVEL_INFO,
                       .agent_id = {text, sizeof text - 1}};
  columns_add(b->builder, 1, 1, &record);
  assert_false(b->builder->failed);
  record.agent_id.len = sizeof text;
  columns_add(b->builder, 2, 1, &record);
  columns_write(b->builder, &b->bytes);
  assert_int_equal(b->bytes.len, 0);
  /* Each short enough, all together not. */
  memset(b->builder, 0, sizeof *b->builder);
  record.agent_id.len = sizeof text - 1;
  unsigned fit = 0;
  for (; fit < COLUMNS_ROWS && !b->builder->failed; fit++) {
    snprintf(text, sizeof text, "%0200u", fit);
    columns_add(b->builder, 1 + fit, 1, &record);
  }
  assert_in_range(fit, COLUMNS_TEXT_BYTES / 256, COLUMNS_TEXT_BYTES / 256 + 2);
  /* One row too many. */
  memset(b->builder, 0, sizeof *b->builder);
  record.agent_id.len = 0;
  for (unsigned i = 0; i <= COLUMNS_ROWS; i++)
    columns_add(b->builder, 1 + i, 1, &record);
  columns_write(b->builder, &b->bytes);
  assert_int_equal(b->bytes.len, 0);
}

/* Each copy has the size of what is read, so that a sanitizer sees one byte too
 * far. */
static void bytes_that_are_no_block_are_refused(void **state) {
  block *b = *state;
  char text[5][32];
  for (unsigned i = 0; i < 300; i++) {
    tti_record record = make(i, text);
    columns_add(b->builder, seq_of(i), time_of(i), &record);
  }
  assert_int_equal(write_and_read(b), TT_OK);
  for (size_t len = 0; len < b->bytes.len; len++) {
    char *exact = malloc(len ? len : 1);
    if (len)
      memcpy(exact, b->bytes.data, len);
    assert_non_null(exact);
    assert_int_equal(columns_read((tti_slice){exact, len}, b->read),
                     TT_ECORRUPT);
    free(exact);
  }
  char *changed = malloc(b->bytes.len);
  uint64_t x = 88172645463325252u;
  for (int round = 0; round < 20000; round++) {
    memcpy(changed, b->bytes.data, b->bytes.len);
    for (int i = 0; i < 1 + round % 3; i++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      changed[x % b->bytes.len] ^= (char)(1 << (x >> 40) % 8);
    }
    tti_record record;
    if (columns_read((tti_slice){changed, b->bytes.len}, b->read) == TT_OK)
      for (size_t i = 0; i < b->read->rows; i++) {
        columns_record(b->read, i, &record);
        assert_in_range(record.level, TT_LEVEL_DEBUG, TT_LEVEL_FATAL);
        assert_true(record.source.ptr >= changed &&
                    record.source.ptr + record.source.len <=
                        changed + b->bytes.len);
      }
  }
  free(changed);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(rows_come_back_as_they_went_in),
      TEST(what_all_rows_share_takes_no_room),
      TEST(what_is_too_large_has_no_columns),
      TEST(bytes_that_are_no_block_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
