/* The request parser: whatever the bytes, and however they are cut, it ends in
 * the same requests and the same error. The first byte chooses the cuts. */
#include "server/http/transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX ((size_t)16 << 20)

static void run(const char *bytes, size_t size, unsigned seed, tti_buf *out) {
  transcript t;
  transcript_init(&t, out);
  while (size) {
    size_t piece = size;
    if (seed) {
      seed = seed * 1664525u + 1013904223u;
      piece = 1 + (seed >> 24) % (seed & 0x100 ? 40 : 3);
      piece = piece < size ? piece : size;
    }
    transcript_feed(&t, bytes, piece);
    bytes += piece;
    size -= piece;
  }
  transcript_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1)
    return 0;
  tti_buf whole, cut;
  tti_buf_init(&whole, OUT_MAX);
  tti_buf_init(&cut, OUT_MAX);
  run((const char *)data + 1, size - 1, 0, &whole);
  run((const char *)data + 1, size - 1, data[0] + 1u, &cut);
  if (!tti_slice_eq(tti_buf_slice(&whole), tti_buf_slice(&cut)))
    abort();
  tti_buf_fini(&whole);
  tti_buf_fini(&cut);
  return 0;
}
