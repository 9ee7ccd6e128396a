#include "cli/sse.h"

#include <stdio.h>

void sse_parser_init(sse_parser *p, size_t max_event_bytes,
                     void (*event)(void *context, const sse_event *event),
                     void *context) {
  *p = (sse_parser){.event = event, .context = context};
  tti_buf_init(&p->line, max_event_bytes);
  tti_buf_init(&p->data, max_event_bytes);
}

void sse_parser_fini(sse_parser *p) {
  tti_buf_fini(&p->line);
  tti_buf_fini(&p->data);
}

void sse_parser_restart(sse_parser *p) {
  tti_buf_clear(&p->line);
  tti_buf_clear(&p->data);
  p->type[0] = '\0';
  memcpy(p->next_id, p->id, sizeof(p->id));
  p->after_cr = false;
}

static void dispatch(sse_parser *p) {
  memcpy(p->id, p->next_id, sizeof(p->id));
  if (p->data.len) {
    sse_event event = {.type = p->type[0] ? p->type : "message",
                       .data = {p->data.data, p->data.len - 1},
                       .id = p->id};
    p->event(p->context, &event);
  }
  tti_buf_clear(&p->data);
  p->type[0] = '\0';
}

static void copy_text(char *out, size_t size, tti_slice text) {
  if (text.len < size && !memchr(text.ptr, '\0', text.len))
    snprintf(out, size, "%.*s", (int)text.len, text.ptr);
}

static void take_line(sse_parser *p) {
  tti_slice line = tti_buf_slice(&p->line);
  if (line.len == 0) {
    dispatch(p);
    return;
  }
  const char *colon = memchr(line.ptr, ':', line.len);
  tti_slice name = {line.ptr, colon ? (size_t)(colon - line.ptr) : line.len};
  tti_slice value = {"", 0};
  if (colon)
    value = (tti_slice){colon + 1, line.len - name.len - 1};
  if (value.len && value.ptr[0] == ' ')
    value = (tti_slice){value.ptr + 1, value.len - 1};
  unsigned long long ms;
  if (tti_slice_eq(name, TTI_SLICE("data"))) {
    tti_buf_append_slice(&p->data, value);
    tti_buf_append_char(&p->data, '\n');
  } else if (tti_slice_eq(name, TTI_SLICE("event"))) {
    copy_text(p->type, sizeof(p->type), value);
  } else if (tti_slice_eq(name, TTI_SLICE("id"))) {
    copy_text(p->next_id, sizeof(p->next_id), value);
  } else if (tti_slice_eq(name, TTI_SLICE("retry")) &&
             tti_slice_to_u64(value, &ms) && ms < 3600000) {
    p->retry_ms = (long)ms;
  }
}

bool sse_parser_take(sse_parser *p, const char *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) {
    char c = bytes[i];
    bool end = c == '\r' || (c == '\n' && !p->after_cr);
    if (end) {
      take_line(p);
      tti_buf_clear(&p->line);
    } else if (c != '\n') {
      tti_buf_append_char(&p->line, c);
    }
    p->after_cr = c == '\r';
    if (p->line.error || p->data.error)
      return false;
  }
  return true;
}
