#include "server/history/csv.h"

#include "lib/base/time.h"
#include "lib/json/write.h"

static bool needs_quotes(tti_slice text) {
  for (size_t i = 0; i < text.len; i++)
    if (strchr("\",\r\n", text.ptr[i])) /* a NUL is quoted too */
      return true;
  return false;
}

/* A comma and the field. */
static void put(tti_buf *out, tti_slice text) {
  tti_buf_append_char(out, ',');
  if (!needs_quotes(text)) {
    tti_buf_append_slice(out, text);
    return;
  }
  tti_buf_append_char(out, '"');
  while (text.len > 0) {
    const char *quote = memchr(text.ptr, '"', text.len);
    size_t len = quote ? (size_t)(quote - text.ptr) + 1 : text.len;
    tti_buf_append(out, text.ptr, len);
    if (quote)
      tti_buf_append_char(out, '"');
    text.ptr += len;
    text.len -= len;
  }
  tti_buf_append_char(out, '"');
}

static void put_scratch(tti_buf *out, tti_buf *scratch) {
  put(out, tti_buf_slice(scratch));
  if (scratch->error && !out->error)
    out->error = scratch->error;
}

static void write_metadata(tti_buf *out, tti_slice pairs) {
  tti_slice key, value;
  char before = '{';
  while (tti_metadata_next(&pairs, &key, &value)) {
    tti_buf_append_char(out, before);
    before = ',';
    tti_json_write_key(out, key);
    tti_json_write_string(out, value);
  }
  if (out->len > 0)
    tti_buf_append_char(out, '}');
}

void csv_header(tti_buf *out) {
  tti_buf_append_text(out, "seq,ts,source,channel,action,level,agent_id,"
                           "duration_ms,data,metadata\r\n");
}

void csv_row(tti_buf *out, uint64_t seq, const tti_record *r,
             tti_buf *scratch) {
  char ts[TTI_RFC3339_MAX];
  size_t len = tti_rfc3339_format(r->ts_us, ts);
  tti_buf_append_u64(out, seq);
  put(out, (tti_slice){ts, len});
  put(out, r->source);
  put(out, r->category);
  put(out, r->type);
  put(out, tti_record_level_text(r));
  put(out, r->agent_id);
  tti_buf_append_char(out, ',');
  if (r->has_duration)
    tti_buf_append_i64(out, r->duration_ms);
  tti_buf_clear(scratch);
  if (r->data.len > 0)
    tti_json_write_one_line(scratch, r->data);
  put_scratch(out, scratch);
  tti_buf_clear(scratch);
  write_metadata(scratch, r->metadata);
  put_scratch(out, scratch);
  tti_buf_append_text(out, "\r\n");
}
