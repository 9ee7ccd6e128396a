#ifndef TTI_BASE_VARINT_H
#define TTI_BASE_VARINT_H

#include "lib/base/buf.h"

/* Whole numbers in as few bytes as they need: 7 bits a byte, the lowest first,
 * at most 10 bytes. */

static inline void tti_varint_put(tti_buf *out, uint64_t value) {
  char bytes[10];
  size_t len = 0;
  for (; value >= 0x80; value >>= 7)
    bytes[len++] = (char)(value | 0x80);
  bytes[len++] = (char)value;
  tti_buf_append(out, bytes, len);
}

/* The sign goes into the lowest bit: 0, -1, 1, -2 … as 0, 1, 2, 3 … */
static inline uint64_t tti_varint_fold(int64_t value) {
  return value < 0 ? ~((uint64_t)value << 1) : (uint64_t)value << 1;
}

static inline int64_t tti_varint_unfold(uint64_t value) {
  return (int64_t)(value & 1 ? ~(value >> 1) : value >> 1);
}

/* A place in bytes that may be anything. */
typedef struct tti_bytes {
  const unsigned char *at, *end;
  bool bad; /* they ended too early; sticks */
} tti_bytes;

static inline tti_bytes tti_bytes_of(tti_slice s) {
  /* NULL + 0 is undefined. */
  const unsigned char *at = (const unsigned char *)(s.len ? s.ptr : "");
  return (tti_bytes){at, at + s.len, false};
}

static inline uint64_t tti_varint_take(tti_bytes *in) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
    unsigned char byte = *in->at++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80)
      return value;
  }
  in->bad = true;
  return 0;
}

/* The next `len` bytes; ptr NULL: there are not so many. */
static inline tti_slice tti_bytes_take(tti_bytes *in, uint64_t len) {
  if (in->bad || len > (size_t)(in->end - in->at)) {
    in->bad = true;
    return (tti_slice){0};
  }
  in->at += len;
  return (tti_slice){(const char *)in->at - len, (size_t)len};
}

#endif
