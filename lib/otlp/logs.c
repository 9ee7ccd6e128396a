#include "lib/otlp/logs.h"

#include "lib/event/record.h"
#include "lib/json/scan.h"
#include <stdio.h>

enum {
  SEVERITY_DEBUG = 5,
  SEVERITY_INFO = 9,
  SEVERITY_WARN = 13,
  SEVERITY_ERROR = 17,
  SEVERITY_FATAL = 21
};

/* The members of data that get an attribute of their own. */
enum { METHOD, URL, STATUS, ERROR_CODE, LEVEL, RESOURCE_TYPE, MEMBERS };
static const tti_slice member_names[MEMBERS] = {
    {"method", 6},      {"url", 3},   {"status", 6},
    {"error_code", 10}, {"level", 5}, {"resource_type", 13}};

static bool is(const char *text, const char *other) {
  return text && strcmp(text, other) == 0;
}

static bool ends_with(const char *text, const char *end) {
  size_t len, end_len = strlen(end);
  if (!text)
    return false;
  len = strlen(text);
  return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static bool string_is(const tti_json_value *value, tti_slice text) {
  return value->type == TTI_JSON_STRING &&
         tti_slice_eq(tti_json_inside(value->text), text);
}

/* What the type alone says, of an event at info. */
static tt_level level_of_type(const char *type,
                              const tti_json_value members[MEMBERS]) {
  static const char *const broken[] = {"console_error", "service_crashed",
                                       "system_oom_kill", "page_crashed"};
  for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
    if (is(type, broken[i]))
      return TT_LEVEL_ERROR;
  if (is(type, "proxy_error"))
    return string_is(&members[RESOURCE_TYPE], TTI_SLICE("Document"))
               ? TT_LEVEL_ERROR
               : TT_LEVEL_WARN;
  return ends_with(type, "_failed") ? TT_LEVEL_WARN : TT_LEVEL_INFO;
}

static void set_severity(Tti__Otlp__LogRecord *record, tti_arena *arena,
                         const tt_event *event,
                         const tti_json_value members[MEMBERS]) {
  static const int numbers[] = {
      [TT_LEVEL_UNSET] = SEVERITY_INFO,  [TT_LEVEL_DEBUG] = SEVERITY_DEBUG,
      [TT_LEVEL_INFO] = SEVERITY_INFO,   [TT_LEVEL_WARN] = SEVERITY_WARN,
      [TT_LEVEL_ERROR] = SEVERITY_ERROR, [TT_LEVEL_FATAL] = SEVERITY_FATAL};
  bool own_name = event->level_name && *event->level_name;
  tt_level level = event->level;
  if (!own_name && (level == TT_LEVEL_UNSET || level == TT_LEVEL_INFO))
    level = level_of_type(event->type, members);
  record->severity_number = numbers[level];
  record->severity_text = tti_otlp_text(
      arena, tti_slice_of(own_name ? event->level_name : tt_level_name(level)));
}

/* ---- Attributes ---- */

static void put_text(tti_arena *arena, tti_otlp_pairs *pairs, tti_slice key,
                     const char *text) {
  if (text && *text)
    tti_otlp_pair(arena, pairs, key,
                  tti_otlp_string(arena, tti_slice_of(text)));
}

static void put_metadata(tti_arena *arena, tti_otlp_pairs *pairs,
                         const tt_metadata *pair) {
  static const char prefix[] = "telltale.";
  tti_slice key = tti_slice_of(pair->key);
  char *name = tti_arena_new(arena, sizeof(prefix) + key.len);
  if (!name)
    return;
  memcpy(name, prefix, sizeof(prefix) - 1);
  if (key.len)
    memcpy(name + sizeof(prefix) - 1, key.ptr, key.len);
  tti_otlp_pair(arena, pairs, (tti_slice){name, sizeof(prefix) - 1 + key.len},
                tti_otlp_string(arena, tti_slice_of(pair->value)));
}

static void put_member(tti_arena *arena, tti_otlp_pairs *pairs, tti_slice key,
                       const tti_json_value *member) {
  if (member->type == TTI_JSON_STRING || member->type == TTI_JSON_NUMBER)
    tti_otlp_pair(arena, pairs, key, tti_otlp_json(arena, member->text));
}

static void put_promoted(tti_arena *arena, tti_otlp_pairs *pairs,
                         const tt_event *event,
                         const tti_json_value members[MEMBERS]) {
  bool network = is(event->category, "network");
  if (network) {
    put_member(arena, pairs, TTI_SLICE("http.request.method"),
               &members[METHOD]);
    put_member(arena, pairs, TTI_SLICE("http.response.status_code"),
               &members[STATUS]);
  }
  if (network || is(event->category, "page"))
    put_member(arena, pairs, TTI_SLICE("url.full"), &members[URL]);
  if (is(event->type, "proxy_error"))
    put_member(arena, pairs, TTI_SLICE("telltale.proxy_error_code"),
               &members[ERROR_CODE]);
  if (is(event->category, "console"))
    put_member(arena, pairs, TTI_SLICE("telltale.console.level"),
               &members[LEVEL]);
}

static void put_attributes(tti_arena *arena, tti_otlp_pairs *pairs,
                           const tt_envelope *envelope,
                           const tti_json_value members[MEMBERS]) {
  const tt_event *event = &envelope->event;
  put_text(arena, pairs, TTI_SLICE("telltale.event.type"), event->type);
  put_text(arena, pairs, TTI_SLICE("telltale.event.category"), event->category);
  tti_otlp_pair(arena, pairs, TTI_SLICE("telltale.event.seq"),
                tti_otlp_int(arena, (int64_t)envelope->seq));
  put_text(arena, pairs, TTI_SLICE("telltale.source.kind"), event->source);
  put_text(arena, pairs, TTI_SLICE("telltale.source.event"),
           event->source_event);
  if (event->truncated)
    tti_otlp_pair(arena, pairs, TTI_SLICE("telltale.truncated"),
                  tti_otlp_bool(arena, true));
  put_text(arena, pairs, TTI_SLICE("telltale.agent_id"), event->agent_id);
  put_text(arena, pairs, TTI_SLICE("telltale.telemetry_session_id"),
           event->session_id);
  if (event->has_duration)
    tti_otlp_pair(arena, pairs, TTI_SLICE("telltale.duration_ms"),
                  tti_otlp_int(arena, event->duration_ms));
  for (size_t i = 0; i < event->metadata_count; i++)
    put_metadata(arena, pairs, &event->metadata[i]);
  put_promoted(arena, pairs, event, members);
}

/* ---- Records ---- */

static tti_slice data_of(const tt_event *event) {
  if (event->data && event->data_len == 0)
    return tti_slice_of(event->data);
  return (tti_slice){event->data, event->data_len};
}

static void find_members(tti_slice data, const tti_json_names *names,
                         tti_json_value out_members[MEMBERS]) {
  tti_json_scan scan;
  tti_json_scan_init(&scan, data);
  if (data.len == 0 || !tti_json_scan_fields(&scan, names, out_members))
    memset(out_members, 0, MEMBERS * sizeof(*out_members));
}

static uint64_t nanoseconds(int64_t us) {
  return us > 0 ? (uint64_t)us * 1000 : 0;
}

static Tti__Otlp__LogRecord *record_of(tti_arena *arena,
                                       const tti_json_names *names,
                                       const tt_envelope *envelope) {
  const tt_event *event = &envelope->event;
  tti_json_value members[MEMBERS];
  tti_otlp_pairs attributes = {0};
  tti_slice data = data_of(event);
  Tti__Otlp__LogRecord *record = tti_arena_new(arena, sizeof(*record));
  if (!record)
    return NULL;
  tti__otlp__log_record__init(record);
  find_members(data, names, members);
  record->time_unix_nano = nanoseconds(event->ts_us);
  record->observed_time_unix_nano = nanoseconds(envelope->received_us);
  set_severity(record, arena, event, members);
  record->event_name = tti_otlp_text(arena, tti_slice_of(event->type));
  if (data.len)
    record->body = tti_otlp_json(arena, data);
  put_attributes(arena, &attributes, envelope, members);
  record->attributes = attributes.items;
  record->n_attributes = attributes.count;
  return record;
}

static bool set_records(tti_arena *arena, Tti__Otlp__ScopeLogs *scope,
                        const tt_envelope *const *envelopes, size_t count) {
  tti_json_names names;
  tti_json_names_init(&names, member_names, MEMBERS);
  scope->log_records = tti_arena_new(arena, count * sizeof(void *));
  for (size_t i = 0; scope->log_records && i < count; i++) {
    scope->log_records[i] = record_of(arena, &names, envelopes[i]);
    scope->n_log_records++;
  }
  return !arena->failed;
}

tt_error tti_otlp_logs(tti_arena *arena, const tti_otlp_resource *resource,
                       const tt_envelope *const *envelopes, size_t count,
                       tti_buf *out) {
  Tti__Otlp__ScopeLogs scope_logs = TTI__OTLP__SCOPE_LOGS__INIT;
  Tti__Otlp__ResourceLogs resource_logs = TTI__OTLP__RESOURCE_LOGS__INIT;
  Tti__Otlp__LogsRequest request = TTI__OTLP__LOGS_REQUEST__INIT;
  Tti__Otlp__ScopeLogs *only_scope = &scope_logs;
  Tti__Otlp__ResourceLogs *only_resource = &resource_logs;
  tti_arena_clear(arena);
  Tti__Otlp__Resource from = tti_otlp_resource_message(resource);
  Tti__Otlp__Scope scope = tti_otlp_scope(arena);
  scope_logs.scope = &scope;
  resource_logs.resource = &from;
  resource_logs.scope_logs = &only_scope;
  resource_logs.n_scope_logs = 1;
  request.resource_logs = &only_resource;
  request.n_resource_logs = 1;
  if (!set_records(arena, &scope_logs, envelopes, count))
    return TT_ENOMEM;
  return tti_otlp_pack(&request.base, out);
}

/* ---- Answers ---- */

static void copy_message(ProtobufCBinaryData text,
                         tti_otlp_answer *out_answer) {
  size_t len = text.len < sizeof(out_answer->message)
                   ? text.len
                   : sizeof(out_answer->message) - 1;
  if (len)
    memcpy(out_answer->message, text.data, len);
  out_answer->message[len] = '\0';
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)out_answer->message[i] < ' ')
      out_answer->message[i] = ' ';
}

bool tti_otlp_parse_response(tti_slice body, tti_otlp_answer *out_answer) {
  *out_answer = (tti_otlp_answer){0};
  Tti__Otlp__ExportResponse *response = tti__otlp__export_response__unpack(
      NULL, body.len, (const uint8_t *)body.ptr);
  if (!response)
    return false;
  if (response->partial_success) {
    out_answer->rejected = response->partial_success->rejected;
    copy_message(response->partial_success->error_message, out_answer);
  }
  tti__otlp__export_response__free_unpacked(response, NULL);
  return true;
}

bool tti_otlp_parse_status(tti_slice body, tti_otlp_answer *out_answer) {
  *out_answer = (tti_otlp_answer){0};
  Tti__Otlp__Status *status =
      tti__otlp__status__unpack(NULL, body.len, (const uint8_t *)body.ptr);
  if (!status)
    return false;
  copy_message(status->message, out_answer);
  tti__otlp__status__free_unpacked(status, NULL);
  return true;
}
