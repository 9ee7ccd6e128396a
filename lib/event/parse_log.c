#include "lib/event/parser.h"

enum field {
  LEVEL,
  MESSAGE,
  LOGGER,
  LINE_FIELDS,
  CALLER,
  TS,
  SOURCE,
  AGENT_ID
};

static const tti_slice names[] = {
    [LEVEL] = {"level", 5},   [MESSAGE] = {"message", 7},
    [LOGGER] = {"logger", 6}, [LINE_FIELDS] = {"fields", 6},
    [CALLER] = {"caller", 6}, [TS] = {"ts", 2},
    [SOURCE] = {"source", 6}, [AGENT_ID] = {"agent_id", 8},
};

/* Appends a member with the value as the producer wrote it. */
static void put(tti_buf *out, const char *name, tti_slice value) {
  tti_buf_append_text(out, name);
  tti_buf_append_slice(out, value);
}

/* The line's data, composed of what it brings. */
static tt_error compose(tti_parser *p, const char *begin,
                        const tti_json_value *values, tti_record *record) {
  const tti_json_value *message = &values[MESSAGE], *caller = &values[CALLER];
  const tti_json_value *fields = &values[LINE_FIELDS];
  const tti_json_value *texts[] = {message, caller};
  for (size_t i = 0; i < 2; i++)
    if (!tti_parser_is_absent(texts[i]) && texts[i]->type != TTI_JSON_STRING)
      return tti_parser_refuse(p, texts[i]->text.ptr, "%s must be a string",
                               texts[i] == message ? "message" : "caller");
  if (!tti_parser_is_absent(fields) && fields->type != TTI_JSON_OBJECT)
    return tti_parser_refuse(p, fields->text.ptr, "fields must be an object");
  put(&p->composed, "{\"message\":",
      tti_parser_is_absent(message) ? TTI_SLICE("\"\"") : message->text);
  if (!tti_parser_is_absent(fields))
    put(&p->composed, ",\"fields\":", fields->text);
  if (!tti_parser_is_absent(caller))
    put(&p->composed, ",\"caller\":", caller->text);
  tti_buf_append_char(&p->composed, '}');
  if (p->composed.error)
    return tti_parser_no_memory(p, begin);
  record->data = tti_buf_slice(&p->composed);
  return TT_OK;
}

static tt_error add_line(tti_parser *p, const char *begin,
                         const tti_json_value *values) {
  tti_record record = {.kind = TTI_KIND_LOG, .category = TTI_SLICE("log")};
  tti_slice level = {0};
  tt_error error;
  if ((error = tti_parser_begin(p, begin, values, LINE_FIELDS)) ||
      (error = tti_parser_string(p, values, LEVEL, &level)) ||
      (error = tti_parser_string(p, values, LOGGER, &record.type)) ||
      (error = tti_parser_string(p, values, SOURCE, &record.source)) ||
      (error = tti_parser_string(p, values, AGENT_ID, &record.agent_id)) ||
      (error = tti_parser_ts(p, values, TS, &record.ts_us)) ||
      (error = compose(p, begin, values, &record)))
    return error;
  tti_record_set_level(&record, level);
  if (record.level < p->options->log_min_level) {
    p->batch->gated++;
    return TT_OK;
  }
  if (tti_slice_trim(record.source).len == 0)
    record.source =
        tti_slice_trim(record.type).len ? record.type : TTI_SLICE("log");
  return tti_parser_add(p, begin, &record, values[LINE_FIELDS].line_breaks);
}

tt_error tti_parse_log(tti_slice text, const tti_parse_options *options,
                       tti_batch *batch, tti_parse_error *out_error) {
  static const tti_dialect log = {names, sizeof(names) / sizeof(names[0]),
                                  add_line};
  return tti_parse(text, &log, options, batch, out_error);
}
