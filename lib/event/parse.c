#include "lib/event/parser.h"

#include "lib/base/time.h"

#include <stdarg.h>
#include <stdio.h>

enum field {
  SOURCE,
  SOURCE_EVENT,
  ACTION,
  CHANNEL,
  LEVEL,
  AGENT_ID,
  DURATION_MS,
  METADATA,
  DATA,
  TS,
  FIELDS
};

static const tti_slice names[FIELDS] = {
    [SOURCE] = {"source", 6},
    [SOURCE_EVENT] = {"source_event", 12},
    [ACTION] = {"action", 6},
    [CHANNEL] = {"channel", 7},
    [LEVEL] = {"level", 5},
    [AGENT_ID] = {"agent_id", 8},
    [DURATION_MS] = {"duration_ms", 11},
    [METADATA] = {"metadata", 8},
    [DATA] = {"data", 4},
    [TS] = {"ts", 2},
};

static void parser_init(tti_parser *p, tti_slice text) {
  p->text = text.ptr;
  p->index = 0;
  tti_json_names_init(&p->names, p->dialect->names, p->dialect->count);
  /* Decoded text is never longer than what it was written as; what is composed
   * of it (a pair of metadata, "":"", is 6 bytes and packs into 10 more than
   * its texts) is not three times as long. */
  tti_buf_init(&p->decoded, text.len);
  tti_buf_init(&p->composed, 16 + text.len * 3);
}

static void parser_fini(tti_parser *p) {
  tti_buf_fini(&p->decoded);
  tti_buf_fini(&p->composed);
}

tt_error tti_parser_refuse(tti_parser *p, const char *at, const char *format,
                           ...) {
  va_list args;
  va_start(args, format);
  p->error->offset = at && p->text ? (size_t)(at - p->text) : 0;
  p->error->index = p->index;
  vsnprintf(p->error->reason, sizeof(p->error->reason), format, args);
  va_end(args);
  return TT_EPARSE;
}

tt_error tti_parser_no_memory(tti_parser *p, const char *at) {
  tti_parser_refuse(p, at, "out of memory");
  return TT_ENOMEM;
}

tt_error tti_parser_syntax(tti_parser *p, const char *begin,
                           const tti_json_error *error, const tti_slice *keys) {
  const char *at = begin + error->offset;
  if (error->name >= 0)
    return tti_parser_refuse(p, at, "%s is given twice", keys[error->name].ptr);
  return tti_parser_refuse(p, at, "%s", error->reason);
}

static tt_error refuse_syntax(tti_parser *p, const tti_json_scan *scan) {
  return tti_parser_syntax(p, scan->begin, &scan->error, p->dialect->names);
}

tt_error tti_parser_text(tti_parser *p, const tti_json_value *value,
                         const char *what, tti_slice *out_text) {
  if (!value->escaped) {
    *out_text = tti_json_inside(value->text);
    return TT_OK;
  }
  char *at = tti_buf_reserve(&p->decoded, value->text.len);
  if (!at)
    return tti_parser_no_memory(p, value->text.ptr);
  tti_json_error error;
  size_t len;
  if (tti_json_decode(value->text, at, &len, &error) != TT_OK)
    return tti_parser_refuse(p, value->text.ptr + error.offset, "%s holds %s",
                             what, error.reason);
  p->decoded.len += len;
  *out_text = (tti_slice){at, len};
  return TT_OK;
}

tt_error tti_parser_begin(tti_parser *p, const char *begin,
                          const tti_json_value *values, size_t except) {
  size_t escaped = 0;
  tti_buf_clear(&p->decoded);
  tti_buf_clear(&p->composed);
  for (size_t i = 0; i < p->dialect->count; i++)
    if (values[i].escaped && i != except)
      escaped += values[i].text.len;
  if (escaped && !tti_buf_reserve(&p->decoded, escaped))
    return tti_parser_no_memory(p, begin);
  return TT_OK;
}

tt_error tti_parser_string(tti_parser *p, const tti_json_value *values,
                           size_t field, tti_slice *out_text) {
  const tti_json_value *value = &values[field];
  const char *name = p->dialect->names[field].ptr;
  if (tti_parser_is_absent(value))
    return TT_OK;
  if (value->type != TTI_JSON_STRING)
    return tti_parser_refuse(p, value->text.ptr, "%s must be a string", name);
  return tti_parser_text(p, value, name, out_text);
}

static bool is_blank(tti_slice text) {
  return tti_slice_trim(text).len == 0;
}

static tt_error read_duration(tti_parser *p, const tti_json_value *value,
                              tti_record *record) {
  if (tti_parser_is_absent(value))
    return TT_OK;
  if (value->type != TTI_JSON_NUMBER ||
      !tti_json_to_i64(value->text, &record->duration_ms))
    return tti_parser_refuse(
        p, value->text.ptr,
        "duration_ms must be a whole number of milliseconds");
  record->has_duration = true;
  return TT_OK;
}

tt_error tti_parser_ts(tti_parser *p, const tti_json_value *values,
                       size_t field, int64_t *out_us) {
  tti_slice text = {0};
  int64_t us;
  *out_us = p->options->now_us;
  if (tti_parser_is_absent(&values[field]))
    return TT_OK;
  tt_error error = tti_parser_string(p, values, field, &text);
  if (error)
    return error;
  if (!tti_rfc3339_parse(text, &us) || us < TTI_PARSER_FIRST_US ||
      us > TTI_PARSER_LAST_US)
    return tti_parser_refuse(
        p, values[field].text.ptr,
        "ts must be an RFC 3339 time such as 2026-01-02T03:04:05Z");
  if (us != TTI_PARSER_FIRST_US)
    *out_us = us;
  return TT_OK;
}

tt_error tti_parser_keep_pair(tti_parser *p, tti_record *record, tti_slice key,
                              tti_slice value, const char *at) {
  tti_metadata_append(&p->composed, key, value);
  record->metadata = tti_buf_slice(&p->composed);
  return p->composed.error ? tti_parser_no_memory(p, at) : TT_OK;
}

tt_error tti_parser_pairs(tti_parser *p, const tti_json_value *value,
                          tt_error (*take)(tti_parser *p, tti_record *record,
                                           tti_slice key, tti_slice value,
                                           const char *at),
                          tti_record *record) {
  if (tti_parser_is_absent(value))
    return TT_OK;
  if (value->type != TTI_JSON_OBJECT)
    return tti_parser_refuse(p, value->text.ptr,
                             "metadata must be an object of strings");
  tti_json_scan scan;
  tti_json_value key, one;
  tti_json_scan_init(&scan, value->text);
  tti_json_scan_open_object(&scan);
  while (tti_json_scan_member(&scan, &key)) {
    tti_slice key_text = {0}, value_text = {0};
    if (!tti_json_scan_value(&scan, &one))
      return refuse_syntax(p, &scan);
    if (one.type != TTI_JSON_STRING)
      return tti_parser_refuse(p, one.text.ptr,
                               "metadata must hold strings only");
    tt_error error = tti_parser_text(p, &key, "metadata", &key_text);
    if (!error)
      error = tti_parser_text(p, &one, "metadata", &value_text);
    if (!error)
      error = take(p, record, key_text, value_text, one.text.ptr);
    if (error)
      return error;
  }
  return TT_OK;
}

static tt_error read_data(tti_parser *p, const tti_json_value *value,
                          tti_record *record) {
  if (tti_parser_is_absent(value))
    return TT_OK;
  if (value->type != TTI_JSON_OBJECT)
    return tti_parser_refuse(p, value->text.ptr, "data must be an object");
  record->data = value->text;
  return TT_OK;
}

/* Fills the record; what it borrows lives in the text and the parser. */
static tt_error read_fields(tti_parser *p, const char *begin,
                            const tti_json_value *values, tti_record *record) {
  tti_slice level = {0};
  tt_error error;
  if ((error = tti_parser_string(p, values, SOURCE, &record->source)) ||
      (error =
           tti_parser_string(p, values, SOURCE_EVENT, &record->source_event)) ||
      (error = tti_parser_string(p, values, ACTION, &record->type)) ||
      (error = tti_parser_string(p, values, CHANNEL, &record->category)) ||
      (error = tti_parser_string(p, values, LEVEL, &level)) ||
      (error = tti_parser_string(p, values, AGENT_ID, &record->agent_id)) ||
      (error = read_duration(p, &values[DURATION_MS], record)) ||
      (error = tti_parser_pairs(p, &values[METADATA], tti_parser_keep_pair,
                                record)) ||
      (error = read_data(p, &values[DATA], record)) ||
      (error = tti_parser_ts(p, values, TS, &record->ts_us)))
    return error;
  if (is_blank(record->source))
    return tti_parser_refuse(
        p,
        tti_parser_is_absent(&values[SOURCE]) ? begin : values[SOURCE].text.ptr,
        "source is required");
  tti_record_set_level(record, level);
  return TT_OK;
}

/* Line breaks between the tokens of data become spaces, in the encoded record,
 * whose last text data is. */
static void straighten(tti_batch *batch, size_t data_len) {
  char *end = batch->bytes.data + batch->bytes.len - 1;
  for (char *at = end - data_len; at < end; at++)
    if (*at == '\n' || *at == '\r')
      *at = ' ';
}

tt_error tti_parser_add(tti_parser *p, const char *begin, tti_record *record,
                        bool line_breaks) {
  bool truncated = tti_record_truncate(record);
  tt_error error = tti_batch_add(p->batch, record);
  if (error == TT_ETOOBIG) {
    tti_parser_refuse(p, begin,
                      "more than one batch may hold (%zu events, %zu bytes)",
                      p->batch->max_count, p->batch->bytes.max);
    return TT_ETOOBIG;
  }
  if (error)
    return tti_parser_no_memory(p, begin);
  if (truncated)
    p->batch->truncated++;
  else if (line_breaks)
    straighten(p->batch, record->data.len);
  return TT_OK;
}

static tt_error add_event(tti_parser *p, const char *begin,
                          const tti_json_value *values) {
  tti_record record = {.kind = TTI_KIND_RELAY};
  tt_error error = tti_parser_begin(p, begin, values, DATA);
  if (!error)
    error = read_fields(p, begin, values, &record);
  if (!error)
    error = tti_parser_add(p, begin, &record, values[DATA].line_breaks);
  return error;
}

/* The next event of the scan into the batch. */
static tt_error read_event(tti_parser *p, tti_json_scan *scan) {
  tti_json_value values[TTI_PARSER_FIELDS_MAX];
  const char *begin = scan->at;
  if (!tti_json_scan_fields(scan, &p->names, values))
    return refuse_syntax(p, scan);
  return p->dialect->add(p, begin, values);
}

static tt_error read_one(tti_parser *p, tti_slice text) {
  tti_json_scan scan;
  tti_json_scan_init(&scan, text);
  tti_json_value values[TTI_PARSER_FIELDS_MAX];
  if (!tti_json_scan_fields(&scan, &p->names, values) ||
      !tti_json_scan_end(&scan))
    return refuse_syntax(p, &scan);
  return p->dialect->add(p, text.ptr, values);
}

static tt_error read_array(tti_parser *p, tti_slice text) {
  tti_json_scan scan;
  tti_json_scan_init(&scan, text);
  tti_json_scan_open_array(&scan);
  /* An event may be as deep in a batch as alone. */
  scan.max_depth++;
  for (; tti_json_scan_item(&scan); p->index++) {
    tt_error error = read_event(p, &scan);
    if (error)
      return error;
  }
  tti_json_scan_end(&scan);
  return tti_json_scan_failed(&scan) ? refuse_syntax(p, &scan) : TT_OK;
}

static tt_error read_lines(tti_parser *p, tti_slice text) {
  while (text.len) {
    const char *newline = memchr(text.ptr, '\n', text.len);
    tti_slice line = {text.ptr,
                      newline ? (size_t)(newline - text.ptr) : text.len};
    size_t step = line.len + (newline != NULL);
    text.ptr += step;
    text.len -= step;
    if (is_blank(line))
      continue;
    tt_error error = read_one(p, line);
    if (error)
      return error;
    p->index++;
  }
  return TT_OK;
}

tt_error tti_parse(tti_slice text, const tti_dialect *dialect,
                   const tti_parse_options *options, tti_batch *batch,
                   tti_parse_error *out_error) {
  static tt_error (*const readers[])(tti_parser *, tti_slice) = {
      [TTI_PARSE_ONE] = read_one,
      [TTI_PARSE_ARRAY] = read_array,
      [TTI_PARSE_LINES] = read_lines};
  tti_batch before = *batch;
  tti_parser p = {.dialect = dialect,
                  .options = options,
                  .batch = batch,
                  .error = out_error};
  parser_init(&p, text);
  tt_error error = readers[options->form](&p, text);
  parser_fini(&p);
  if (error) {
    batch->bytes.len = before.bytes.len;
    batch->count = before.count;
    batch->truncated = before.truncated;
    batch->gated = before.gated;
  }
  return error;
}

tt_error tti_parse_relay(tti_slice text, const tti_parse_options *options,
                         tti_batch *batch, tti_parse_error *out_error) {
  static const tti_dialect relay = {names, FIELDS, add_event};
  return tti_parse(text, &relay, options, batch, out_error);
}
