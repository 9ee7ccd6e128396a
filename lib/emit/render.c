#include "lib/emit/render.h"

#include "lib/base/time.h"
#include "lib/json/scan.h"
#include "lib/json/write.h"

static void write_json(tti_buf *out, tti_slice text) {
  if (tti_json_check(text, NULL, NULL) == TT_OK)
    tti_json_write_one_line(out, tti_slice_trim(text));
  else
    tti_buf_append_text(out, "null");
}

static void write_value(tti_buf *out, const tti_packed_value *v) {
  switch (v->kind) {
  case TT_FIELD_STRING:
    tti_json_write_string(out, v->text);
    break;
  case TT_FIELD_JSON:
    write_json(out, v->text);
    break;
  case TT_FIELD_INT:
    tti_buf_append_i64(out, v->plain.value.integer);
    break;
  case TT_FIELD_UINT:
    tti_buf_append_u64(out, v->plain.value.unsigned_integer);
    break;
  case TT_FIELD_DOUBLE:
    tti_json_write_double(out, v->plain.value.real);
    break;
  case TT_FIELD_BOOL:
    tti_json_write_bool(out, v->plain.value.boolean);
    break;
  case TT_FIELD_NULL:
  case TT_FIELD_END:
    tti_buf_append_text(out, "null");
    break;
  }
}

static void write_member(tti_buf *out, bool first, const tti_packed_value *v) {
  tti_buf_append_char(out, first ? '{' : ',');
  tti_json_write_key(out, v->key);
  write_value(out, v);
}

void tti_render_fields(tti_buf *out, const tt_field *fields) {
  bool first = true;
  for (const tt_field *f = fields; f->kind != TT_FIELD_END; f++) {
    tti_packed_value value = {.kind = f->kind, .key = tti_slice_of(f->key)};
    if (f->kind == TT_FIELD_STRING || f->kind == TT_FIELD_JSON)
      value.text = tti_slice_of(f->value.string);
    else
      value.plain = *f;
    write_member(out, first, &value);
    first = false;
  }
  tti_buf_append_text(out, first ? "{}" : "}");
}

static void write_text(tti_buf *out, const char *name, tti_slice text) {
  if (text.len == 0)
    return;
  tti_buf_append_text(out, name);
  tti_json_write_string(out, text);
}

static void write_metadata(tti_buf *out, const tti_packed *p) {
  const char *at = p->metadata;
  for (uint32_t i = 0; i < p->metadata_count; i++) {
    tti_slice key, value;
    tti_packed_pair(&at, &key, &value);
    tti_buf_append_text(out, i ? "," : ",\"metadata\":{");
    tti_json_write_key(out, key);
    tti_json_write_string(out, value);
  }
  if (p->metadata_count)
    tti_buf_append_char(out, '}');
}

/* Members, each after what stands before it. */
static void write_members(tti_buf *out, const tti_packed *p, bool first) {
  const char *at = p->fields;
  tti_packed_value value;
  for (; tti_packed_field(&at, &value); first = false)
    write_member(out, first, &value);
}

static void write_fields(tti_buf *out, const tti_packed *p) {
  if (*p->fields == TT_FIELD_END)
    return;
  tti_buf_append_text(out, ",\"data\":");
  write_members(out, p, true);
  tti_buf_append_char(out, '}');
}

static bool write_data(tti_buf *out, tti_slice text) {
  tti_json_value value;
  if (text.len == 0)
    return true;
  if (tti_json_check(text, &value, NULL))
    return false;
  bool wrap = value.type != TTI_JSON_OBJECT;
  tti_buf_append_text(out, wrap ? ",\"data\":{\"value\":" : ",\"data\":");
  tti_json_write_one_line(out, value.text);
  if (wrap)
    tti_buf_append_char(out, '}');
  return true;
}

/* What POST /log has a place for. */
static bool write_log_data(tti_buf *out, tti_slice text) {
  static const tti_slice names[] = {
      {"message", 7}, {"fields", 6}, {"caller", 6}};
  enum { COUNT = sizeof(names) / sizeof(names[0]) };
  tti_json_names table;
  tti_json_value values[COUNT];
  if (text.len == 0)
    return true;
  tti_json_names_init(&table, names, COUNT);
  if (tti_json_check_fields(text, &table, values, NULL))
    return false;
  for (int i = 0; i < COUNT; i++) {
    if (values[i].type == TTI_JSON_NONE)
      continue;
    tti_buf_append_char(out, ',');
    tti_json_write_key(out, names[i]);
    tti_json_write_one_line(out, values[i].text);
  }
  return true;
}

static void write_level(tti_buf *out, const tti_packed *packed) {
  tti_slice level = packed->texts[TTI_PACK_LEVEL_NAME];
  if (level.len == 0)
    level = tti_slice_of(tt_level_name(packed->level));
  write_text(out, ",\"level\":", level);
}

static void write_ts(tti_buf *out, const tti_packed *packed) {
  char ts[TTI_RFC3339_MAX];
  tti_rfc3339_format(packed->ts_us, ts);
  tti_buf_append_text(out, ",\"ts\":\"");
  tti_buf_append_text(out, ts);
  tti_buf_append_text(out, "\"}");
}

bool tti_render_event(tti_buf *out, const tti_packed *packed) {
  const tti_slice *texts = packed->texts;
  tti_buf_append_text(out, "{\"source\":");
  tti_json_write_string(out, texts[TTI_PACK_SOURCE]);
  write_text(out, ",\"source_event\":", texts[TTI_PACK_SOURCE_EVENT]);
  write_text(out, ",\"action\":", texts[TTI_PACK_TYPE]);
  write_text(out, ",\"channel\":", texts[TTI_PACK_CATEGORY]);
  write_level(out, packed);
  write_text(out, ",\"agent_id\":", texts[TTI_PACK_AGENT_ID]);
  write_text(out, ",\"session_id\":", texts[TTI_PACK_SESSION_ID]);
  if (packed->has_duration) {
    tti_buf_append_text(out, ",\"duration_ms\":");
    tti_buf_append_i64(out, packed->duration_ms);
  }
  write_metadata(out, packed);
  bool whole = true;
  if (packed->has_fields)
    write_fields(out, packed);
  else
    whole = write_data(out, texts[TTI_PACK_DATA]);
  write_ts(out, packed);
  return whole;
}

bool tti_render_log(tti_buf *out, const tti_packed *packed) {
  const tti_slice *texts = packed->texts;
  bool whole = true;
  tti_buf_append_text(out, "{\"source\":");
  tti_json_write_string(out, texts[TTI_PACK_SOURCE]);
  write_text(out, ",\"logger\":", texts[TTI_PACK_TYPE]);
  write_level(out, packed);
  write_text(out, ",\"agent_id\":", texts[TTI_PACK_AGENT_ID]);
  if (packed->has_fields)
    write_members(out, packed, false);
  else
    whole = write_log_data(out, texts[TTI_PACK_DATA]);
  write_ts(out, packed);
  return whole;
}
