#include "lib/http/gzip.h"

/* zlib: a window of 32 KiB, with a gzip head and tail. */
#define GZIP_WINDOW (15 + 16)
#define GZIP_MEMORY 8

int tti_gzip_init(z_stream *out_stream) {
  *out_stream = (z_stream){0};
  return deflateInit2(out_stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW,
                      GZIP_MEMORY, Z_DEFAULT_STRATEGY);
}

tt_error tti_gzip(tti_slice bytes, tti_buf *out) {
  z_stream z;
  if (tti_gzip_init(&z) != Z_OK)
    return TT_ENOMEM;
  uLong bound = deflateBound(&z, (uLong)bytes.len);
  char *at = tti_buf_reserve(out, bound);
  if (at) {
    z.next_in = (Bytef *)bytes.ptr;
    z.avail_in = (uInt)bytes.len;
    z.next_out = (Bytef *)at;
    z.avail_out = (uInt)bound;
    deflate(&z, Z_FINISH); /* the bound is enough */
    out->len += bound - z.avail_out;
  }
  deflateEnd(&z);
  return out->error;
}
