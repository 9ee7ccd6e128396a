#include "server/http/inflate.h"

#include <stdlib.h>
#include <zlib.h>

#define FIRST_BYTES ((size_t)4 << 10)
/* A short text may shrink a lot without being an attack. */
#define RATIO_FREE ((size_t)64 << 10)

struct http_inflate {
  z_stream z;
  http_inflate_limits limits;
  size_t compressed;
  char *out;
  size_t len, cap;
  bool in_member; /* a member has begun and is not finished */
};

static const http_refusal bad_gzip = {400, "bad_encoding",
                                      "the body is not valid gzip"};
static const http_refusal cut_gzip = {400, "bad_encoding",
                                      "the gzip body ends too early"};
static const http_refusal trailing = {400, "bad_encoding",
                                      "bytes follow the end of the gzip body"};
static const http_refusal too_large = {413, "body_too_large",
                                       "the decoded body is too large"};
static const http_refusal bomb = {413, "body_too_large",
                                  "the body expands too much"};
static const http_refusal no_memory = {503, "out_of_memory",
                                       "out of memory; try again"};

http_inflate *http_inflate_new(tti_slice compressed,
                               const http_inflate_limits *limits) {
  http_inflate *i = calloc(1, sizeof(*i));
  if (!i)
    return NULL;
  i->limits = *limits;
  i->compressed = compressed.len;
  i->z.next_in = (Bytef *)(uintptr_t)compressed.ptr;
  i->z.avail_in = (uInt)compressed.len;
  if (compressed.len > UINT32_MAX || inflateInit2(&i->z, 15 + 16) != Z_OK) {
    free(i);
    return NULL;
  }
  i->in_member = true;
  return i;
}

static const http_refusal *grow(http_inflate *i) {
  if (i->len < i->cap)
    return NULL;
  size_t cap = i->cap ? i->cap * 2 : FIRST_BYTES;
  /* One byte over the limit tells too much from just enough. */
  if (cap > i->limits.max_bytes + 1)
    cap = i->limits.max_bytes + 1;
  char *out = realloc(i->out, cap);
  if (!out)
    return &no_memory;
  i->out = out;
  i->cap = cap;
  return NULL;
}

static const http_refusal *check(const http_inflate *i) {
  if (i->len > i->limits.max_bytes)
    return &too_large;
  if (i->len > RATIO_FREE && i->len / i->limits.ratio > i->compressed)
    return &bomb;
  return NULL;
}

/* A member has ended. */
static const http_refusal *next_member(http_inflate *i) {
  i->in_member = false;
  if (i->z.avail_in == 0)
    return NULL;
  if (i->z.next_in[0] != 0x1f)
    return &trailing;
  i->in_member = true;
  return inflateReset(&i->z) == Z_OK ? NULL : &bad_gzip;
}

http_inflated http_inflate_run(http_inflate *i, size_t until,
                               const http_refusal **out_refusal) {
  const http_refusal *why = NULL;
  while (i->in_member && i->len < until) {
    why = grow(i);
    if (why)
      break;
    size_t room = i->cap - i->len;
    i->z.next_out = (Bytef *)i->out + i->len;
    i->z.avail_out = room > UINT32_MAX ? UINT32_MAX : (uInt)room;
    uInt before = i->z.avail_out;
    int result = inflate(&i->z, Z_NO_FLUSH);
    i->len += before - i->z.avail_out;
    why = check(i);
    if (why)
      break;
    if (result == Z_STREAM_END)
      why = next_member(i);
    else if (result == Z_BUF_ERROR ||
             (result == Z_OK && !i->z.avail_in && i->z.avail_out))
      why = &cut_gzip;
    else if (result == Z_MEM_ERROR)
      why = &no_memory;
    else if (result != Z_OK)
      why = &bad_gzip;
    if (why)
      break;
  }
  if (why) {
    *out_refusal = why;
    return HTTP_INFLATED_REFUSED;
  }
  return i->in_member ? HTTP_INFLATED_PART : HTTP_INFLATED_ALL;
}

char *http_inflate_take(http_inflate *i, size_t *out_len, size_t *out_memory) {
  char *out = i->out;
  *out_len = i->len;
  *out_memory = i->cap;
  i->out = NULL;
  i->len = i->cap = 0;
  return out;
}

void http_inflate_free(http_inflate *i) {
  if (!i)
    return;
  inflateEnd(&i->z);
  free(i->out);
  free(i);
}
