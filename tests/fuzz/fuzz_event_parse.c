/* Any bytes as a relay event, a log line or an envelope's event, an array of
 * them, or a line each. What is taken comes out of both views as one line of
 * JSON, and goes through the view that it came in and back without a change. */
#include "lib/event/parse.h"
#include "lib/event/view.h"
#include "lib/json/scan.h"
#include <telltale/session.h>

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise) {
  if (!promise)
    abort();
}

static void render(tti_buf *out, tti_view view, const tti_record *record) {
  tti_buf_init(out, SIZE_MAX / 2);
  tti_view_render(out, view, 42, record);
  must(out->error == TT_OK);
  must(!memchr(out->data, '\n', out->len) &&
       !memchr(out->data, '\r', out->len));
  /* The fields of a log line lie one level deeper than they came. */
  tti_json_scan scan;
  tti_json_value value;
  tti_json_scan_init(&scan, tti_buf_slice(out));
  scan.max_depth += record->kind == TTI_KIND_LOG;
  must(tti_json_scan_value(&scan, &value) && tti_json_scan_end(&scan));
}

/* Every category is captured; `shop` is one more, and the type `paid` its own.
 */
static tti_capture *capture(void) {
  static tti_slice categories[TELLTALE_ALL_CATEGORIES_COUNT + 1];
  static const struct tti_known_type types[] = {
      {{"paid", 4}, TELLTALE_ALL_CATEGORIES_COUNT}};
  static const tti_vocabulary vocabulary = {
      categories, TELLTALE_ALL_CATEGORIES_COUNT + 1, types, 1};
  static tti_capture all = {&vocabulary, {"id", 2}, UINT64_MAX, 0};
  for (size_t i = 0; i < TELLTALE_ALL_CATEGORIES_COUNT; i++)
    categories[i] = tti_slice_of(tt_all_categories[i]);
  categories[TELLTALE_ALL_CATEGORIES_COUNT] = TTI_SLICE("shop");
  return &all;
}

/* The event in its envelope, as it would be sent. */
static void check_back(tti_slice envelope, tti_slice bytes) {
  static const tti_slice event = {"event", 5};
  tti_json_names names;
  tti_json_value inner;
  tti_batch batch;
  tti_parse_error error;
  tti_parse_options options = {.now_us = 99, .capture = capture()};
  tti_json_names_init(&names, &event, 1);
  must(tti_json_check_fields(envelope, &names, &inner, NULL) == TT_OK);
  tti_batch_init(&batch, 1, SIZE_MAX / 2);
  must(tti_parse_envelope(inner.text, &options, &batch, &error) == TT_OK);
  must(tti_slice_eq(tti_buf_slice(&batch.bytes), bytes));
  tti_batch_fini(&batch);
}

static void check_record(tti_slice bytes) {
  tti_record record;
  tti_buf relay, envelope;
  must(tti_record_decode(bytes, &record) == TT_OK);
  render(&relay, TTI_VIEW_RELAY, &record);
  /* One level deeper than what came in. */
  tti_buf_init(&envelope, SIZE_MAX / 2);
  tti_view_render(&envelope, TTI_VIEW_ENVELOPE, UINT64_MAX, &record);
  must(envelope.error == TT_OK && !memchr(envelope.data, '\n', envelope.len));
  must(envelope.len == tti_record_envelope_size(&record));
  if (!record.truncated && record.kind == TTI_KIND_SESSION)
    check_back(tti_buf_slice(&envelope), bytes);
  tti_buf_fini(&envelope);

  /* What goes back in comes out as a relay event. */
  if (!record.truncated && record.kind == TTI_KIND_RELAY) {
    tti_batch batch;
    tti_parse_error error;
    tti_parse_options options = {.now_us = 99};
    tti_batch_init(&batch, 1, SIZE_MAX / 2);
    must(tti_parse_relay(tti_buf_slice(&relay), &options, &batch, &error) ==
         TT_OK);
    must(tti_slice_eq(tti_buf_slice(&batch.bytes), bytes));
    tti_batch_fini(&batch);
  }
  tti_buf_fini(&relay);
}

static void check(tti_slice text, tti_parse_form form,
                  tt_error (*parse)(tti_slice, const tti_parse_options *,
                                    tti_batch *, tti_parse_error *)) {
  tti_batch batch;
  tti_parse_options options = {
      .now_us = 1700000000000000, .form = form, .capture = capture()};
  tti_parse_error error = {.offset = SIZE_MAX};
  tti_batch_init(&batch, 64, 1 << 22);
  if (parse(text, &options, &batch, &error) != TT_OK) {
    must(error.offset <= text.len && error.reason[0]);
    must(batch.count == 0 && batch.bytes.len == 0);
  }
  size_t at = 0;
  for (size_t i = 0; i < batch.count; at += batch.lengths[i++])
    check_record((tti_slice){batch.bytes.data + at, batch.lengths[i]});
  must(at == batch.bytes.len);
  tti_batch_fini(&batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tti_slice text = {(const char *)data, size};
  for (int form = TTI_PARSE_ONE; form <= TTI_PARSE_LINES; form++) {
    check(text, (tti_parse_form)form, tti_parse_relay);
    check(text, (tti_parse_form)form, tti_parse_log);
    check(text, (tti_parse_form)form, tti_parse_envelope);
  }
  return 0;
}
