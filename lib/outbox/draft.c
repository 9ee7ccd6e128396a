#include "lib/outbox/outbox.h"

#include "lib/base/hex.h"
#include "lib/base/random.h"
#include "lib/base/time.h"
#include "lib/json/bytes.h"
#include "lib/json/scan.h"
#include "lib/json/write.h"

#define LABEL_MAX 64
/* Each label in quotes, and a comma. */
#define LABELS_BYTES_MAX (TELLTALE_OUTBOX_LABELS_MAX * (LABEL_MAX + 3) + 2)

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool made_of(const char *text, const char *allowed, size_t max) {
  size_t len = strspn(text, allowed);
  return len > 0 && len <= max && text[len] == '\0';
}

static bool valid_id(const char *id) {
  return strncmp(id, "evt_", 4) == 0 &&
         made_of(id + 4, LOWER UPPER DIGITS "_-", TTI_OUTBOX_ID_MAX - 4);
}

/* Takes an optional text; false when it is too long or not UTF-8. */
static bool take_text(const char *text, tti_slice *out) {
  *out = (tti_slice){NULL, 0};
  if (!text || !*text)
    return true;
  size_t len = strnlen(text, TELLTALE_OUTBOX_TEXT_MAX + 1);
  if (len > TELLTALE_OUTBOX_TEXT_MAX)
    return false;
  for (const char *at = text, *end = text + len; at < end;) {
    size_t step = tti_json_utf8(at, end);
    if (step == 0)
      return false;
    at += step;
  }
  *out = (tti_slice){text, len};
  return true;
}

static bool take_texts(const tt_outbox_event *event, tti_outbox_row *row) {
  return take_text(event->subject, &row->subject) &&
         take_text(event->source, &row->source) &&
         take_text(event->category, &row->category) &&
         take_text(event->agent_id, &row->agent_id);
}

static bool take_labels(const tt_outbox_event *event, tti_buf *out) {
  if (event->label_count > TELLTALE_OUTBOX_LABELS_MAX ||
      (event->label_count && !event->labels))
    return false;
  for (size_t i = 0; i < event->label_count; i++) {
    const char *label = event->labels[i];
    if (!label || !made_of(label, LOWER DIGITS ":_-", LABEL_MAX))
      return false;
    tti_buf_append_char(out, i ? ',' : '[');
    tti_json_write_text(out, label);
  }
  if (event->label_count)
    tti_buf_append_char(out, ']');
  return true;
}

static void new_id(char out_id[TELLTALE_OUTBOX_ID_SIZE]) {
  unsigned char bytes[16];
  tti_random_bytes(bytes, sizeof(bytes));
  memcpy(out_id, "evt_", 4);
  tti_hex(bytes, sizeof(bytes), out_id + 4);
}

static void write_body(tti_buf *out, const tti_outbox_row *row, int64_t ts_us,
                       tti_slice data) {
  char timestamp[TTI_RFC3339_MAX];
  tti_rfc3339_format(ts_us, timestamp);
  tti_buf_append_text(out, "{\"type\":");
  tti_json_write_string(out, row->type);
  tti_buf_append_text(out, ",\"id\":");
  tti_json_write_string(out, row->id);
  tti_buf_append_text(out, ",\"timestamp\":");
  tti_json_write_text(out, timestamp);
  tti_buf_append_text(out, ",\"schema_version\":\"1\"");
  if (row->subject.ptr) {
    tti_buf_append_text(out, ",\"subject\":");
    tti_json_write_string(out, row->subject);
  }
  tti_buf_append_text(out, ",\"data\":");
  tti_json_write_one_line(out, data);
  tti_buf_append_char(out, '}');
}

static tt_error refuse(tt_error error, const char *problem,
                       const char **out_problem) {
  *out_problem = problem;
  return error;
}

tt_error tti_outbox_draft_init(tti_outbox_draft *draft,
                               const tt_outbox_event *event, int64_t now_us,
                               const char **out_problem) {
  tti_outbox_row *row = &draft->row;
  *row = (tti_outbox_row){.created_us = now_us,
                          .next_poll_us = now_us,
                          .expires_us = now_us + TTI_OUTBOX_KEEP_US};
  tti_buf_init(&draft->body, TELLTALE_OUTBOX_BODY_MAX);
  tti_buf_init(&draft->labels, LABELS_BYTES_MAX);
  if (!event || !event->type ||
      !made_of(event->type, LOWER DIGITS "_.-", TTI_OUTBOX_TYPE_MAX))
    return refuse(TT_EINVAL, "the type is not [a-z0-9_.-]{1,128}", out_problem);
  if (event->id && !valid_id(event->id))
    return refuse(TT_EINVAL, "the id is not evt_[A-Za-z0-9_-]{1,64}",
                  out_problem);
  if (!take_texts(event, row))
    return refuse(TT_EINVAL,
                  "subject, source, category or agent_id is longer than 200 "
                  "bytes or not UTF-8",
                  out_problem);
  if (!take_labels(event, &draft->labels))
    return refuse(TT_EINVAL,
                  "the labels are more than 50, or one is not "
                  "[a-z0-9:_-]{1,64}",
                  out_problem);
  tti_slice data = TTI_SLICE("null");
  if (event->data)
    data = (tti_slice){event->data,
                       event->data_len ? event->data_len : strlen(event->data)};
  if (data.len > TELLTALE_OUTBOX_BODY_MAX)
    return refuse(TT_ETOOBIG, "the body is over 1,000,000 bytes", out_problem);
  if (tti_json_check(data, NULL, NULL))
    return refuse(TT_EPARSE, "data is not one JSON value", out_problem);

  if (!event->id)
    new_id(draft->id);
  row->id = tti_slice_of(event->id ? event->id : draft->id);
  row->type = tti_slice_of(event->type);
  if (event->level != TT_LEVEL_UNSET)
    row->level = tti_slice_of(tt_level_name(event->level));
  write_body(&draft->body, row, event->ts_us ? event->ts_us : now_us, data);
  if (draft->body.error || draft->labels.error)
    return refuse(draft->body.error ? draft->body.error : draft->labels.error,
                  draft->body.error == TT_ETOOBIG
                      ? "the body is over 1,000,000 bytes"
                      : "out of memory",
                  out_problem);
  row->body = tti_buf_slice(&draft->body);
  row->labels = tti_buf_slice(&draft->labels);
  return TT_OK;
}

void tti_outbox_draft_fini(tti_outbox_draft *draft) {
  tti_buf_fini(&draft->body);
  tti_buf_fini(&draft->labels);
}
