/* Compressed bodies: whatever the bytes and however large the pieces, decoding
 * ends the same way, within its limits. The first byte chooses the coding, the
 * second one the pieces. */
#include "server/http/inflate.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_BYTES ((size_t)200 << 10)

typedef struct outcome {
  http_inflated result;
  char *out;
  size_t len;
} outcome;

static outcome decode(const http_codec *codec, tti_slice bytes, size_t piece) {
  const http_inflate_limits limits = {MAX_BYTES, 100};
  const http_refusal *refusal;
  outcome o = {.result = HTTP_INFLATED_PART};
  size_t until = 0, memory = 0;
  http_inflate *inflate = http_inflate_new(codec, bytes, &limits);
  if (!inflate)
    abort();
  while (o.result == HTTP_INFLATED_PART || o.result == HTTP_INFLATED_MEMORY) {
    if (o.result == HTTP_INFLATED_MEMORY) {
      if (http_inflate_memory(inflate) <= memory)
        abort();
      memory = http_inflate_memory(inflate);
    } else {
      until += piece;
    }
    o.result = http_inflate_run(inflate, until, memory, &refusal);
  }
  if (memory > (9u << 20))
    abort();
  if (o.result == HTTP_INFLATED_REFUSED && !refusal->message[0])
    abort();
  size_t cap;
  o.out = http_inflate_take(inflate, &o.len, &cap);
  http_inflate_free(inflate);
  if (o.result == HTTP_INFLATED_ALL && (!o.out || o.len > MAX_BYTES))
    abort();
  return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 3)
    return 0;
  const http_codec *codec = data[0] & 1 ? &codec_zstd : &codec_gzip;
  tti_slice bytes = {(const char *)data + 2, size - 2};
  outcome whole = decode(codec, bytes, 2 * MAX_BYTES);
  outcome pieces = decode(codec, bytes, 1 + data[1] * 16u);
  if (whole.result != pieces.result)
    abort();
  if (whole.result == HTTP_INFLATED_ALL &&
      !tti_slice_eq((tti_slice){whole.out, whole.len},
                    (tti_slice){pieces.out, pieces.len}))
    abort();
  free(whole.out);
  free(pieces.out);
  return 0;
}
