#include "lib/event/view.h"

#include "lib/base/time.h"
#include "lib/json/write.h"

static bool is_plain_info(const tti_record *r) {
  return r->level == TT_LEVEL_INFO && r->level_name.len == 0;
}

#define PUT(out, literal) tti_buf_append(out, literal, sizeof(literal) - 1)

/* ,"key":"text" unless the text is empty; `key` has its comma, quotes and
 * colon. */
static void put_text(tti_buf *out, tti_slice key, tti_slice text) {
  if (text.len == 0)
    return;
  tti_buf_append_slice(out, key);
  tti_json_write_string(out, text);
}

static void put_pairs(tti_buf *out, tti_slice pairs, bool envelope) {
  tti_slice key, value;
  bool first = true;
  while (tti_metadata_next(&pairs, &key, &value)) {
    if (!first)
      PUT(out, ",");
    first = false;
    if (envelope && tti_metadata_is_own_key(key)) {
      PUT(out, "\"metadata.");
      tti_buf_append_slice(out, key);
      PUT(out, "\":");
    } else {
      tti_json_write_key(out, key);
    }
    tti_json_write_string(out, value);
  }
}

static void put_data(tti_buf *out, const tti_record *r) {
  if (r->data.len) {
    PUT(out, ",\"data\":");
    tti_json_write_one_line(out, r->data);
  }
  if (r->truncated)
    PUT(out, ",\"truncated\":true");
}

static void render_relay(tti_buf *out, uint64_t seq, const tti_record *r) {
  PUT(out, "{\"seq\":");
  tti_buf_append_u64(out, seq);
  PUT(out, ",\"source\":");
  tti_json_write_string(out, r->source);
  put_text(out, TTI_SLICE(",\"source_event\":"), r->source_event);
  put_text(out, TTI_SLICE(",\"channel\":"), r->category);
  put_text(out, TTI_SLICE(",\"action\":"), r->type);
  PUT(out, ",\"level\":");
  tti_json_write_string(out, tti_record_level_text(r));
  put_text(out, TTI_SLICE(",\"agent_id\":"), r->agent_id);
  if (r->has_duration) {
    PUT(out, ",\"duration_ms\":");
    tti_buf_append_i64(out, r->duration_ms);
  }
  put_text(out, TTI_SLICE(",\"session_id\":"), r->session_id);
  if (r->metadata.len) {
    PUT(out, ",\"metadata\":{");
    put_pairs(out, r->metadata, false);
    PUT(out, "}");
  }
  put_data(out, r);
  char ts[TTI_RFC3339_MAX];
  size_t len = tti_rfc3339_format(r->ts_us, ts);
  PUT(out, ",\"ts\":\"");
  tti_buf_append(out, ts, len);
  PUT(out, "\"}");
}

static void render_metadata(tti_buf *out, const tti_record *r) {
  size_t begin = out->len;
  if (!is_plain_info(r))
    put_text(out, TTI_SLICE(",\"level\":"), tti_record_level_text(r));
  put_text(out, TTI_SLICE(",\"agent_id\":"), r->agent_id);
  if (r->has_duration) {
    PUT(out, ",\"duration_ms\":\"");
    tti_buf_append_i64(out, r->duration_ms);
    PUT(out, "\"");
  }
  put_text(out, TTI_SLICE(",\"telemetry_session_id\":"), r->session_id);
  if (r->metadata.len) {
    PUT(out, ",");
    put_pairs(out, r->metadata, true);
  }
  /* The first comma makes room for the brace. */
  if (!out->error && out->len > begin)
    out->data[begin] = '{';
  PUT(out, "}");
}

static bool has_metadata(const tti_record *r) {
  return !is_plain_info(r) || r->agent_id.len || r->has_duration ||
         r->session_id.len || r->metadata.len;
}

static void render_envelope(tti_buf *out, uint64_t seq, const tti_record *r) {
  PUT(out, "{\"seq\":");
  tti_buf_append_u64(out, seq);
  PUT(out, ",\"event\":{\"ts\":");
  tti_buf_append_i64(out, r->ts_us);
  PUT(out, ",\"type\":");
  tti_json_write_string(out, r->type);
  PUT(out, ",\"category\":");
  tti_json_write_string(out, r->category);
  PUT(out, ",\"source\":{\"kind\":");
  tti_json_write_string(out, r->source);
  put_text(out, TTI_SLICE(",\"event\":"), r->source_event);
  if (has_metadata(r)) {
    PUT(out, ",\"metadata\":");
    render_metadata(out, r);
  }
  PUT(out, "}");
  put_data(out, r);
  PUT(out, "}}");
}

void tti_view_render(tti_buf *out, tti_view view, uint64_t seq,
                     const tti_record *record) {
  if (view == TTI_VIEW_ENVELOPE)
    render_envelope(out, seq, record);
  else
    render_relay(out, seq, record);
}

tt_error tti_view_render_event(tti_buf *out, tti_buf *metadata, uint64_t seq,
                               const tt_event *event) {
  tti_record record;
  tti_buf_clear(metadata);
  tt_error error =
      tti_record_from_event(event, TTI_KIND_RELAY, metadata, &record);
  if (error)
    return error;
  render_envelope(out, seq, &record);
  return out->error;
}
