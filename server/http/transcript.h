#ifndef HTTP_TRANSCRIPT_H
#define HTTP_TRANSCRIPT_H

/* For tests and the fuzzer: what the parser makes of bytes, as text, without a
 * socket. The bytes arrive in pieces, each in memory of its own size. */

#include "lib/base/buf.h"
#include "server/http/framing.h"
#include <stdlib.h>

typedef struct transcript {
  tti_buf *out;
  http_scanner scanner;
  http_framing framing;
  http_head head;
  http_field fields[HTTP_FIELDS_MAX];
  char *head_bytes;
  char *in; /* not yet taken */
  size_t in_len;
  size_t head_max;
  bool in_body, over;
} transcript;

static inline void transcript_init(transcript *t, tti_buf *out) {
  *t = (transcript){.out = out, .head_max = 65536};
}

static inline void transcript_fini(transcript *t) {
  free(t->head_bytes);
  free(t->in);
}

static inline void transcript_refuse(transcript *t, const http_refusal *why) {
  tti_buf_printf(t->out, "ERROR %d %s\n", why->status, why->message);
  t->over = true;
}

static inline void transcript_head(transcript *t) {
  const http_head *h = &t->head;
  tti_buf_append_slice(t->out, h->method_name);
  tti_buf_append_char(t->out, ' ');
  tti_buf_append_slice(t->out, h->path);
  tti_buf_append_char(t->out, '?');
  tti_buf_append_slice(t->out, h->query);
  tti_buf_printf(t->out, " %zu %d%d%d%d%d%d %d", h->field_count, h->is_head,
                 h->http_1_0, h->keep_alive, h->chunked, h->expects_continue,
                 h->expects_other, (int)h->coding);
  for (size_t i = 0; i < h->field_count; i++) {
    const http_field *f = &h->fields[i];
    tti_buf_append_char(t->out, '|');
    tti_buf_append(t->out, h->bytes + f->name, f->name_len);
    tti_buf_append_char(t->out, '=');
    tti_buf_append(t->out, h->bytes + f->value, f->value_len);
  }
  tti_buf_append_text(t->out, " [");
}

/* One step over the bytes at hand; false: more are needed. */
static inline bool transcript_step(transcript *t, const char *bytes, size_t len,
                                   size_t *used) {
  const http_refusal *why = NULL;
  tti_slice data, rest = {bytes, len};
  http_scanner *s = &t->scanner;
  if (t->in_body) {
    http_framed framed = http_framing_next(&t->framing, &rest, &data, &why);
    *used = len - rest.len;
    if (framed == HTTP_FRAMED_DATA)
      tti_buf_append_slice(t->out, data);
    if (framed == HTTP_FRAMED_END) {
      tti_buf_append_text(t->out, "]\n");
      t->in_body = false;
    }
    if (framed == HTTP_FRAMED_REFUSED)
      transcript_refuse(t, why);
    return framed != HTTP_FRAMED_MORE;
  }
  http_scan scan = http_scanner_run(s, bytes, len, t->head_max, &why);
  if (scan == HTTP_SCAN_MORE)
    return false;
  if (scan == HTTP_SCAN_REFUSED) {
    transcript_refuse(t, why);
    return true;
  }
  size_t head_len = s->at - s->start, lines = s->lines;
  free(t->head_bytes);
  t->head_bytes = malloc(head_len + 1);
  memcpy(t->head_bytes, bytes + s->start, head_len);
  t->head_bytes[head_len] = '\0';
  *used = s->at;
  *s = (http_scanner){.at = 0};
  if (!http_head_parse(t->head_bytes, head_len, lines, t->fields, &t->head,
                       &why)) {
    transcript_refuse(t, why);
    return true;
  }
  transcript_head(t);
  http_framing_init(&t->framing, &t->head);
  t->in_body = true;
  return true;
}

static inline void transcript_feed(transcript *t, const char *bytes,
                                   size_t len) {
  char *in = malloc(t->in_len + len + !(t->in_len + len));
  if (t->in_len)
    memcpy(in, t->in, t->in_len);
  if (len)
    memcpy(in + t->in_len, bytes, len);
  free(t->in);
  t->in = in;
  t->in_len += len;
  size_t used = 0, taken = 0;
  while (!t->over &&
         transcript_step(t, t->in + used, t->in_len - used, &taken)) {
    used += taken;
    taken = 0;
  }
  used += taken;
  t->in_len -= used;
  memmove(t->in, t->in + used, t->in_len);
}

#endif
