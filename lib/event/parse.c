#include "lib/event/parse.h"

#include "lib/base/time.h"
#include "lib/json/scan.h"

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

/* One call's state. The two buffers hold what the event at hand needs decoded
 * until it is encoded into the batch. */
typedef struct parser {
  const char *text; /* the whole of it: offsets count from here */
  int64_t now_us;
  tti_batch *batch;
  tti_parse_error *error;
  size_t index; /* of the event at hand */
  tti_json_names names;
  tti_buf decoded;
  tti_buf metadata;
} parser;

static void parser_init(parser *p, tti_slice text,
                        const tti_parse_options *options, tti_batch *batch,
                        tti_parse_error *error) {
  p->text = text.ptr;
  p->now_us = options->now_us;
  p->batch = batch;
  p->error = error;
  p->index = 0;
  tti_json_names_init(&p->names, names, FIELDS);
  /* Decoded text is never longer than what it was written as; a pair of
   * metadata ("":"", is 6 bytes) packs into 10 more than its texts. */
  tti_buf_init(&p->decoded, text.len);
  tti_buf_init(&p->metadata, 10 + text.len * 3);
}

static void parser_fini(parser *p) {
  tti_buf_fini(&p->decoded);
  tti_buf_fini(&p->metadata);
}

static tt_error refuse(parser *p, const char *at, const char *format, ...)
    TELLTALE_PRINTF(3, 4);

static tt_error refuse(parser *p, const char *at, const char *format, ...) {
  va_list args;
  va_start(args, format);
  p->error->offset = at && p->text ? (size_t)(at - p->text) : 0;
  p->error->index = p->index;
  vsnprintf(p->error->reason, sizeof(p->error->reason), format, args);
  va_end(args);
  return TT_EPARSE;
}

static tt_error no_memory(parser *p, const char *at) {
  refuse(p, at, "out of memory");
  return TT_ENOMEM;
}

static tt_error refuse_syntax(parser *p, const tti_json_scan *scan) {
  const tti_json_error *error = &scan->error;
  const char *at = scan->begin + error->offset;
  if (error->name >= 0)
    return refuse(p, at, "%s is given twice", names[error->name].ptr);
  return refuse(p, at, "%s", error->reason);
}

/* A string value as text: borrowed from the input or decoded. */
static tt_error read_text(parser *p, const tti_json_value *value,
                          const char *what, tti_slice *out_text) {
  if (!value->escaped) {
    *out_text = tti_json_inside(value->text);
    return TT_OK;
  }
  char *at = tti_buf_reserve(&p->decoded, value->text.len);
  if (!at)
    return no_memory(p, value->text.ptr);
  tti_json_error error;
  size_t len;
  if (tti_json_decode(value->text, at, &len, &error) != TT_OK)
    return refuse(p, value->text.ptr + error.offset, "%s holds %s", what,
                  error.reason);
  p->decoded.len += len;
  *out_text = (tti_slice){at, len};
  return TT_OK;
}

static bool is_absent(const tti_json_value *value) {
  return value->type == TTI_JSON_NONE || value->type == TTI_JSON_NULL;
}

static tt_error read_string_field(parser *p, const tti_json_value *values,
                                  enum field field, tti_slice *out_text) {
  const tti_json_value *value = &values[field];
  if (is_absent(value))
    return TT_OK;
  if (value->type != TTI_JSON_STRING)
    return refuse(p, value->text.ptr, "%s must be a string", names[field].ptr);
  return read_text(p, value, names[field].ptr, out_text);
}

static bool is_blank(tti_slice text) {
  return tti_slice_trim(text).len == 0;
}

static tt_error read_duration(parser *p, const tti_json_value *value,
                              tti_record *record) {
  if (is_absent(value))
    return TT_OK;
  if (value->type != TTI_JSON_NUMBER ||
      !tti_json_to_i64(value->text, &record->duration_ms))
    return refuse(p, value->text.ptr,
                  "duration_ms must be a whole number of milliseconds");
  record->has_duration = true;
  return TT_OK;
}

/* The instants that RFC 3339 can write. The first is also the zero time of Go,
 * whose clients send it for "not set". */
#define FIRST_US INT64_C(-62135596800000000)
#define LAST_US  INT64_C(253402300799999999)

static tt_error read_ts(parser *p, const tti_json_value *values,
                        tti_record *record) {
  const tti_json_value *value = &values[TS];
  tti_slice text = {0};
  record->ts_us = p->now_us;
  if (is_absent(value))
    return TT_OK;
  tt_error error = read_string_field(p, values, TS, &text);
  if (error)
    return error;
  int64_t us;
  if (!tti_rfc3339_parse(text, &us) || us < FIRST_US || us > LAST_US)
    return refuse(p, value->text.ptr,
                  "ts must be an RFC 3339 time such as 2026-01-02T03:04:05Z");
  if (us != FIRST_US)
    record->ts_us = us;
  return TT_OK;
}

static tt_error read_pair(parser *p, tti_json_scan *scan,
                          const tti_json_value *key) {
  tti_json_value value;
  tti_slice key_text = {0}, value_text = {0};
  if (!tti_json_scan_value(scan, &value))
    return refuse_syntax(p, scan);
  if (value.type != TTI_JSON_STRING)
    return refuse(p, value.text.ptr, "metadata must hold strings only");
  tt_error error = read_text(p, key, "metadata", &key_text);
  if (!error)
    error = read_text(p, &value, "metadata", &value_text);
  if (error)
    return error;
  tti_metadata_append(&p->metadata, key_text, value_text);
  return p->metadata.error ? no_memory(p, value.text.ptr) : TT_OK;
}

static tt_error read_metadata(parser *p, const tti_json_value *value,
                              tti_record *record) {
  if (is_absent(value))
    return TT_OK;
  if (value->type != TTI_JSON_OBJECT)
    return refuse(p, value->text.ptr, "metadata must be an object of strings");
  tti_json_scan scan;
  tti_json_value key;
  tti_json_scan_init(&scan, value->text);
  tti_json_scan_open_object(&scan);
  while (tti_json_scan_member(&scan, &key)) {
    tt_error error = read_pair(p, &scan, &key);
    if (error)
      return error;
  }
  record->metadata = tti_buf_slice(&p->metadata);
  return TT_OK;
}

static tt_error read_data(parser *p, const tti_json_value *value,
                          tti_record *record) {
  if (is_absent(value))
    return TT_OK;
  if (value->type != TTI_JSON_OBJECT)
    return refuse(p, value->text.ptr, "data must be an object");
  record->data = value->text;
  return TT_OK;
}

/* Fills the record; what it borrows lives in the text and the parser. */
static tt_error read_fields(parser *p, const char *begin,
                            const tti_json_value *values, tti_record *record) {
  tti_slice level = {0};
  tt_error error;
  if ((error = read_string_field(p, values, SOURCE, &record->source)) ||
      (error =
           read_string_field(p, values, SOURCE_EVENT, &record->source_event)) ||
      (error = read_string_field(p, values, ACTION, &record->type)) ||
      (error = read_string_field(p, values, CHANNEL, &record->category)) ||
      (error = read_string_field(p, values, LEVEL, &level)) ||
      (error = read_string_field(p, values, AGENT_ID, &record->agent_id)) ||
      (error = read_duration(p, &values[DURATION_MS], record)) ||
      (error = read_metadata(p, &values[METADATA], record)) ||
      (error = read_data(p, &values[DATA], record)) ||
      (error = read_ts(p, values, record)))
    return error;
  if (is_blank(record->source))
    return refuse(p,
                  is_absent(&values[SOURCE]) ? begin : values[SOURCE].text.ptr,
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

static tt_error add_event(parser *p, const char *begin,
                          const tti_json_value *values) {
  tti_record record = {.kind = TTI_KIND_RELAY};
  tti_buf_clear(&p->decoded);
  tti_buf_clear(&p->metadata);
  size_t escaped = 0;
  for (size_t i = 0; i < FIELDS; i++)
    if (values[i].escaped && i != DATA)
      escaped += values[i].text.len;
  /* At once, so that texts already decoded never move. */
  if (escaped && !tti_buf_reserve(&p->decoded, escaped))
    return no_memory(p, begin);
  tt_error error = read_fields(p, begin, values, &record);
  if (error)
    return error;
  bool truncated = tti_record_truncate(&record);
  error = tti_batch_add(p->batch, &record);
  if (error == TT_ETOOBIG) {
    refuse(p, begin, "more than one batch may hold (%zu events, %zu bytes)",
           p->batch->max_count, p->batch->bytes.max);
    return TT_ETOOBIG;
  }
  if (error)
    return no_memory(p, begin);
  if (truncated)
    p->batch->truncated++;
  else if (values[DATA].line_breaks)
    straighten(p->batch, record.data.len);
  return TT_OK;
}

/* The next event of the scan into the batch. */
static tt_error read_event(parser *p, tti_json_scan *scan) {
  tti_json_value values[FIELDS];
  const char *begin = scan->at;
  if (!tti_json_scan_fields(scan, &p->names, values))
    return refuse_syntax(p, scan);
  return add_event(p, begin, values);
}

static tt_error read_one(parser *p, tti_slice text) {
  tti_json_scan scan;
  tti_json_scan_init(&scan, text);
  tti_json_value values[FIELDS];
  if (!tti_json_scan_fields(&scan, &p->names, values) ||
      !tti_json_scan_end(&scan))
    return refuse_syntax(p, &scan);
  return add_event(p, text.ptr, values);
}

static tt_error read_array(parser *p, tti_slice text) {
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

static tt_error read_lines(parser *p, tti_slice text) {
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

/* Runs one of the readers, all or nothing. */
static tt_error parse(tti_slice text, const tti_parse_options *options,
                      tti_batch *batch, tti_parse_error *out_error,
                      tt_error (*read)(parser *, tti_slice)) {
  tti_batch before = *batch;
  parser p;
  parser_init(&p, text, options, batch, out_error);
  tt_error error = read(&p, text);
  parser_fini(&p);
  if (error) {
    batch->bytes.len = before.bytes.len;
    batch->count = before.count;
    batch->truncated = before.truncated;
  }
  return error;
}

tt_error tti_parse_relay(tti_slice text, const tti_parse_options *options,
                         tti_batch *batch, tti_parse_error *out_error) {
  return parse(text, options, batch, out_error, read_one);
}

tt_error tti_parse_relay_array(tti_slice text, const tti_parse_options *options,
                               tti_batch *batch, tti_parse_error *out_error) {
  return parse(text, options, batch, out_error, read_array);
}

tt_error tti_parse_relay_ndjson(tti_slice text,
                                const tti_parse_options *options,
                                tti_batch *batch, tti_parse_error *out_error) {
  return parse(text, options, batch, out_error, read_lines);
}
