#include "server/http/inflate.h"

#include <stdio.h>
#include <stdlib.h>

#define FIRST_BYTES ((size_t)4 << 10)
/* A short text may shrink a lot without being an attack. */
#define RATIO_FREE ((size_t)64 << 10)

struct http_inflate {
  const http_codec *codec;
  void *state;
  http_inflate_limits limits;
  size_t compressed;
  tti_slice rest; /* of the compressed bytes */
  char *out;
  size_t len, cap;
  size_t memory;  /* of the decoder, for the member at hand */
  bool in_member; /* a member has begun and is not finished */
  http_refusal refusal;
  char message[160];
};

http_inflate *http_inflate_new(const http_codec *codec, tti_slice compressed,
                               const http_inflate_limits *limits) {
  http_inflate *i = calloc(1, sizeof(*i));
  if (!i)
    return NULL;
  *i = (http_inflate){.codec = codec,
                      .state = codec->open(),
                      .limits = *limits,
                      .compressed = compressed.len,
                      .rest = compressed};
  if (!i->state) {
    free(i);
    return NULL;
  }
  return i;
}

/* Always HTTP_INFLATED_REFUSED. */
static http_inflated refuse(http_inflate *i, int status, const char *code,
                            const char *message) {
  snprintf(i->message, sizeof(i->message), "%s", message);
  i->refusal = (http_refusal){status, code, i->message};
  return HTTP_INFLATED_REFUSED;
}

static http_inflated refuse_bytes(http_inflate *i, codec_result result) {
  const char *name = i->codec->name;
  size_t at = i->compressed - i->rest.len;
  char message[sizeof(i->message)];
  if (result == CODEC_NO_MEMORY)
    return refuse(i, 503, "out_of_memory", "out of memory; try again");
  if (result == CODEC_CUT)
    snprintf(message, sizeof(message),
             "the %s body ends too early (at byte %zu)", name, i->compressed);
  else if (result == CODEC_WINDOW)
    snprintf(message, sizeof(message),
             "the %s body asks for a window of more than 8 MiB (at byte %zu); "
             "compress it with a smaller one",
             name, at);
  else if (!i->in_member && at > 0)
    snprintf(message, sizeof(message),
             "bytes follow the end of the %s body (at byte %zu)", name, at);
  else
    snprintf(message, sizeof(message), "the body is not valid %s (at byte %zu)",
             name, at);
  return refuse(i, 400, "bad_encoding", message);
}

static bool grow(http_inflate *i) {
  if (i->len < i->cap)
    return true;
  size_t cap = i->cap ? i->cap * 2 : FIRST_BYTES;
  /* One byte over the limit tells too much from just enough. */
  if (cap > i->limits.max_bytes + 1)
    cap = i->limits.max_bytes + 1;
  char *out = realloc(i->out, cap);
  if (!out)
    return false;
  i->out = out;
  i->cap = cap;
  return true;
}

/* One step of the member at hand. */
static http_inflated step(http_inflate *i) {
  if (!grow(i))
    return refuse_bytes(i, CODEC_NO_MEMORY);
  size_t len = i->cap - i->len;
  codec_result result =
      i->codec->step(i->state, &i->rest, i->out + i->len, &len);
  i->len += len;
  if (i->len > i->limits.max_bytes)
    return refuse(i, 413, "body_too_large", "the decoded body is too large");
  if (i->len > RATIO_FREE && i->len / i->limits.ratio > i->compressed)
    return refuse(i, 413, "body_too_large", "the body expands too much");
  if (result == CODEC_MEMBER_ENDED)
    i->in_member = false;
  else if (result != CODEC_GOES_ON)
    return refuse_bytes(i, result);
  return HTTP_INFLATED_PART;
}

http_inflated http_inflate_run(http_inflate *i, size_t until, size_t memory,
                               const http_refusal **out_refusal) {
  http_inflated result = HTTP_INFLATED_PART;
  *out_refusal = &i->refusal;
  while (result == HTTP_INFLATED_PART && (i->in_member || i->rest.len > 0)) {
    if (i->len >= until)
      return HTTP_INFLATED_PART;
    if (!i->in_member) {
      codec_result look = i->codec->look(i->rest, &i->memory);
      if (look != CODEC_GOES_ON)
        return refuse_bytes(i, look);
      if (i->memory > memory)
        return HTTP_INFLATED_MEMORY;
      i->in_member = true;
    }
    result = step(i);
  }
  return result == HTTP_INFLATED_PART ? HTTP_INFLATED_ALL : result;
}

size_t http_inflate_memory(const http_inflate *i) {
  return i->memory;
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
  i->codec->close(i->state);
  free(i->out);
  free(i);
}
