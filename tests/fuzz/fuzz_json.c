/* Any bytes as JSON text, and as text to be written as JSON. */
#include "lib/json/scan.h"
#include "lib/json/write.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise) {
  if (!promise)
    abort();
}

static const tti_slice names[] = {{"source", 6}, {"data", 4}, {"a", 1}};
#define NAMES (sizeof(names) / sizeof(names[0]))

/* A string decoded, written and decoded again is the same text. */
static void check_string(tti_slice quoted) {
  char *text = malloc(quoted.len), *again = NULL;
  size_t len, again_len;
  must(text != NULL);
  if (tti_json_decode(quoted, text, &len, NULL) == TT_OK) {
    tti_buf out;
    tti_buf_init(&out, SIZE_MAX / 2);
    tti_json_write_string(&out, (tti_slice){text, len});
    must(tti_json_string_size((tti_slice){text, len}) == out.len);
    must(tti_json_check(tti_buf_slice(&out), NULL, NULL) == TT_OK);
    again = malloc(out.len);
    must(again != NULL);
    must(tti_json_decode(tti_buf_slice(&out), again, &again_len, NULL) ==
         TT_OK);
    must(tti_slice_eq((tti_slice){text, len}, (tti_slice){again, again_len}));
    tti_buf_fini(&out);
  }
  free(again);
  free(text);
}

/* A whole number written again reads as the same. */
static void check_number(tti_slice text) {
  int64_t value, again;
  if (!tti_json_to_i64(text, &value))
    return;
  tti_buf out;
  tti_buf_init(&out, 64);
  tti_buf_append_i64(&out, value);
  must(tti_json_to_i64(tti_buf_slice(&out), &again) && again == value);
  tti_buf_fini(&out);
}

static void check_accepted(const tti_json_value *value) {
  tti_json_value again;
  must(tti_json_check(value->text, &again, NULL) == TT_OK);
  must(again.type == value->type && again.escaped == value->escaped &&
       again.line_breaks == value->line_breaks &&
       tti_slice_eq(again.text, value->text));
  tti_buf out;
  tti_buf_init(&out, SIZE_MAX / 2);
  tti_json_write_one_line(&out, value->text);
  must(out.len == value->text.len);
  must(!memchr(out.data, '\n', out.len) && !memchr(out.data, '\r', out.len));
  must(tti_json_check(tti_buf_slice(&out), &again, NULL) == TT_OK);
  must(again.type == value->type && !again.line_breaks);
  tti_buf_fini(&out);
  if (value->type == TTI_JSON_STRING)
    check_string(value->text);
  if (value->type == TTI_JSON_NUMBER)
    check_number(value->text);
}

/* Members walked one by one are those that the table finds. */
static void check_members(tti_slice text, const tti_json_value *fields) {
  tti_json_scan s;
  tti_json_value key, value;
  size_t found = 0, want = 0;
  tti_json_scan_init(&s, text);
  must(tti_json_scan_open_object(&s));
  while (tti_json_scan_member(&s, &key)) {
    must(tti_json_scan_value(&s, &value));
    for (size_t i = 0; i < NAMES; i++)
      found += fields[i].text.ptr == value.text.ptr;
  }
  must(tti_json_scan_end(&s));
  for (size_t i = 0; i < NAMES; i++)
    want += fields[i].type != TTI_JSON_NONE;
  must(found == want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tti_slice text = {(const char *)data, size};
  tti_json_value value, fields[NAMES];
  tti_json_error error = {SIZE_MAX, NULL, -1};
  tti_json_names table;
  bool accepted = tti_json_check(text, &value, &error) == TT_OK;
  if (accepted)
    check_accepted(&value);
  else
    must(error.offset <= size && error.reason);

  tti_json_names_init(&table, names, NAMES);
  if (tti_json_check_fields(text, &table, fields, &error) == TT_OK) {
    must(accepted && value.type == TTI_JSON_OBJECT);
    check_members(text, fields);
  } else {
    must(!accepted || value.type != TTI_JSON_OBJECT || error.name >= 0);
    must(error.offset <= size && error.reason);
  }

  /* Whatever the bytes are, what is written of them is JSON. */
  tti_buf out;
  tti_buf_init(&out, SIZE_MAX / 2);
  tti_json_write_string(&out, text);
  must(tti_json_string_size(text) == out.len);
  must(tti_json_check(tti_buf_slice(&out), NULL, NULL) == TT_OK);
  tti_buf_fini(&out);
  return 0;
}
