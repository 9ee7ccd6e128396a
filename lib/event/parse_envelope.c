#include "lib/event/parser.h"

enum field { TS, TYPE, CATEGORY, SOURCE, DATA, FIELDS };

static const tti_slice names[FIELDS] = {
    [TS] = {"ts", 2},
    [TYPE] = {"type", 4},
    [CATEGORY] = {"category", 8},
    [SOURCE] = {"source", 6},
    [DATA] = {"data", 4},
};

enum source_field { KIND, EVENT, METADATA, SOURCE_FIELDS };

static const tti_slice source_names[SOURCE_FIELDS] = {
    [KIND] = {"source.kind", 11},
    [EVENT] = {"source.event", 12},
    [METADATA] = {"source.metadata", 15},
};

int tti_vocabulary_find(const tti_vocabulary *v, tti_slice category) {
  for (size_t i = 0; i < v->category_count; i++)
    if (tti_slice_eq(v->categories[i], category))
      return (int)i;
  return -1;
}

/* The category that a type has by itself; -1: none. */
static int category_of_type(const tti_vocabulary *v, tti_slice type) {
  size_t low = 0, high = v->type_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = tti_slice_compare(type, v->types[middle].type);
    if (order == 0)
      return (int)v->types[middle].category;
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return -1;
}

static tt_error read_category(tti_parser *p, const char *begin,
                              const tti_json_value *values,
                              tti_record *record) {
  tti_capture *capture = p->options->capture;
  const tti_vocabulary *v = capture->vocabulary;
  tti_slice given = {0};
  tt_error error = tti_parser_string(p, values, CATEGORY, &given);
  if (error)
    return error;
  int found = category_of_type(v, record->type);
  if (found < 0 && given.len == 0)
    return tti_parser_refuse(
        p, begin,
        "category is required, since the type \"%.*s\" belongs to none by "
        "itself",
        (int)(record->type.len < 64 ? record->type.len : 64), record->type.ptr);
  if (found < 0)
    found = tti_vocabulary_find(v, given);
  if (found < 0)
    return tti_parser_refuse(
        p, values[CATEGORY].text.ptr,
        "there is no category \"%.*s\"; the six are console, network, page, "
        "interaction, api and system, and the server may be configured to have "
        "more",
        (int)(given.len < 64 ? given.len : 64), given.ptr);
  capture->category = (unsigned)found;
  record->category = v->categories[found];
  return TT_OK;
}

/* Unix microseconds, as the envelope view has them; else RFC 3339. */
static tt_error read_ts(tti_parser *p, const tti_json_value *values,
                        int64_t *out_us) {
  const tti_json_value *value = &values[TS];
  int64_t us;
  if (value->type != TTI_JSON_NUMBER)
    return tti_parser_ts(p, values, TS, out_us);
  if (!tti_json_to_i64(value->text, &us) || us < TTI_PARSER_FIRST_US ||
      us > TTI_PARSER_LAST_US)
    return tti_parser_refuse(p, value->text.ptr,
                             "ts must be a whole number of microseconds since "
                             "1970, or an RFC 3339 time");
  *out_us = us ? us : p->options->now_us;
  return TT_OK;
}

static tt_error take_pair(tti_parser *p, tti_record *record, tti_slice key,
                          tti_slice value, const char *at) {
  static const tti_slice prefix = {"metadata.", 9};
  tti_json_value number;
  if (key.len > prefix.len && !memcmp(key.ptr, prefix.ptr, prefix.len)) {
    /* As the envelope view shows a pair that is called like an own one. */
    tti_slice rest = {key.ptr + prefix.len, key.len - prefix.len};
    return tti_parser_keep_pair(
        p, record, tti_metadata_is_own_key(rest) ? rest : key, value, at);
  }
  if (!tti_metadata_is_own_key(key))
    return tti_parser_keep_pair(p, record, key, value, at);
  if (tti_slice_eq(key, TTI_SLICE("level"))) {
    tti_record_set_level(record, value);
  } else if (tti_slice_eq(key, TTI_SLICE("agent_id"))) {
    record->agent_id = value;
  } else if (tti_slice_eq(key, TTI_SLICE("duration_ms"))) {
    if (tti_json_check(value, &number, NULL) != TT_OK ||
        number.type != TTI_JSON_NUMBER ||
        !tti_json_to_i64(number.text, &record->duration_ms))
      return tti_parser_refuse(
          p, at, "duration_ms must be a whole number of milliseconds");
    record->has_duration = true;
  }
  return TT_OK;
}

static tt_error source_text(tti_parser *p, const tti_json_value *value,
                            const char *what, tti_slice *out_text) {
  if (tti_parser_is_absent(value))
    return TT_OK;
  if (value->type != TTI_JSON_STRING)
    return tti_parser_refuse(p, value->text.ptr, "%s must be a string", what);
  return tti_parser_text(p, value, what, out_text);
}

static tt_error read_source(tti_parser *p, const tti_json_value *source,
                            tti_record *record) {
  /* The keys are the names without "source.". */
  static const tti_slice keys[SOURCE_FIELDS] = {[KIND] = {"kind", 4},
                                                [EVENT] = {"event", 5},
                                                [METADATA] = {"metadata", 8}};
  tti_json_value values[SOURCE_FIELDS];
  tti_json_names table;
  tti_json_error bad;
  tt_error error;
  record->source = TTI_SLICE("local_process");
  if (tti_parser_is_absent(source))
    return TT_OK;
  if (source->type != TTI_JSON_OBJECT)
    return tti_parser_refuse(p, source->text.ptr,
                             "source must be an object: {\"kind\": …}");
  tti_json_names_init(&table, keys, SOURCE_FIELDS);
  if (tti_json_check_fields(source->text, &table, values, &bad) != TT_OK)
    return tti_parser_syntax(p, source->text.ptr, &bad, source_names);
  if ((error = source_text(p, &values[KIND], source_names[KIND].ptr,
                           &record->source)) ||
      (error = source_text(p, &values[EVENT], source_names[EVENT].ptr,
                           &record->source_event)) ||
      (error = tti_parser_pairs(p, &values[METADATA], take_pair, record)))
    return error;
  if (tti_slice_trim(record->source).len == 0)
    record->source = TTI_SLICE("local_process");
  if (tti_slice_eq(record->source, TTI_SLICE("kernel_api")))
    return tti_parser_refuse(p, values[KIND].text.ptr,
                             "source.kind kernel_api is reserved");
  return TT_OK;
}

static tt_error add_event(tti_parser *p, const char *begin,
                          const tti_json_value *values) {
  const tti_capture *capture = p->options->capture;
  tti_record record = {.kind = TTI_KIND_SESSION, .level = TT_LEVEL_INFO};
  tt_error error;
  if ((error = tti_parser_begin(p, begin, values, DATA)) ||
      (error = tti_parser_string(p, values, TYPE, &record.type)))
    return error;
  if (tti_slice_trim(record.type).len == 0)
    return tti_parser_refuse(
        p, tti_parser_is_absent(&values[TYPE]) ? begin : values[TYPE].text.ptr,
        "type is required");
  if ((error = read_category(p, begin, values, &record)) ||
      (error = read_source(p, &values[SOURCE], &record)) ||
      (error = read_ts(p, values, &record.ts_us)))
    return error;
  if (!(capture->captured >> capture->category & 1)) {
    p->batch->gated++;
    return TT_OK;
  }
  record.session_id = capture->session_id;
  if (values[DATA].type != TTI_JSON_NONE)
    record.data = values[DATA].text;
  return tti_parser_add(p, begin, &record, values[DATA].line_breaks);
}

tt_error tti_parse_envelope(tti_slice text, const tti_parse_options *options,
                            tti_batch *batch, tti_parse_error *out_error) {
  static const tti_dialect envelope = {names, FIELDS, add_event};
  return tti_parse(text, &envelope, options, batch, out_error);
}
