#include "lib/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void tti_buf_init(tti_buf *buf, size_t max_bytes) {
  *buf = (tti_buf){.max = max_bytes};
}

void tti_buf_fini(tti_buf *buf) {
  free(buf->data);
  *buf = (tti_buf){.max = buf->max};
}

void tti_buf_clear(tti_buf *buf) {
  buf->len = 0;
  buf->error = TT_OK;
}

char *tti_buf_reserve(tti_buf *buf, size_t more) {
  if (buf->error)
    return NULL;
  if (more <= buf->cap - buf->len)
    return buf->data + buf->len;
  if (more > buf->max || buf->len > buf->max - more) {
    buf->error = TT_ETOOBIG;
    return NULL;
  }
  size_t cap = buf->cap ? buf->cap : buf->max < 64 ? buf->max : 64;
  while (cap - buf->len < more)
    cap = cap > buf->max / 2 ? buf->max : cap * 2;
  char *data = realloc(buf->data, cap);
  if (!data) {
    buf->error = TT_ENOMEM;
    return NULL;
  }
  buf->data = data;
  buf->cap = cap;
  return data + buf->len;
}

void tti_buf_append(tti_buf *buf, const void *bytes, size_t len) {
  if (len == 0)
    return;
  char *at = tti_buf_reserve(buf, len);
  if (!at)
    return;
  memcpy(at, bytes, len);
  buf->len += len;
}

void tti_buf_append_slice(tti_buf *buf, tti_slice s) {
  tti_buf_append(buf, s.ptr, s.len);
}

void tti_buf_append_text(tti_buf *buf, const char *text) {
  tti_buf_append(buf, text, strlen(text));
}

void tti_buf_append_char(tti_buf *buf, char c) {
  tti_buf_append(buf, &c, 1);
}

void tti_buf_append_u64(tti_buf *buf, uint64_t value) {
  char digits[20];
  size_t at = sizeof(digits);
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  tti_buf_append(buf, digits + at, sizeof(digits) - at);
}

void tti_buf_append_i64(tti_buf *buf, int64_t value) {
  if (value < 0) {
    tti_buf_append_char(buf, '-');
    tti_buf_append_u64(buf, (uint64_t)0 - (uint64_t)value);
  } else {
    tti_buf_append_u64(buf, (uint64_t)value);
  }
}

void tti_buf_printf(tti_buf *buf, const char *format, ...) {
  char small[256];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(small, sizeof(small), format, args);
  va_end(args);
  if (len < 0)
    return;
  if ((size_t)len < sizeof(small)) {
    tti_buf_append(buf, small, (size_t)len);
    return;
  }
  char *at = tti_buf_reserve(buf, (size_t)len + 1);
  if (!at)
    return;
  va_start(args, format);
  vsnprintf(at, (size_t)len + 1, format, args);
  va_end(args);
  buf->len += (size_t)len;
}

char *tti_buf_take(tti_buf *buf, size_t *out_len) {
  char *at = tti_buf_reserve(buf, 1);
  if (!at) {
    tti_buf_fini(buf);
    return NULL;
  }
  *at = '\0';
  char *data = buf->data;
  if (out_len)
    *out_len = buf->len;
  *buf = (tti_buf){.max = buf->max};
  return data;
}
