#include "server/http/codec.h"

#include <stdlib.h>
#include <zlib.h>

/* zlib's own figure for its largest window, about 7 KiB of state included. */
#define MEMORY ((size_t)40 << 10)

typedef struct gzip {
  z_stream z;
  bool open; /* z is initialised */
} gzip;

static void *gzip_open(void) {
  return calloc(1, sizeof(gzip));
}

static void gzip_close(void *state) {
  gzip *g = state;
  if (g->open)
    inflateEnd(&g->z);
  free(g);
}

static codec_result gzip_look(tti_slice rest, size_t *out_memory) {
  if (rest.ptr[0] != 0x1f)
    return CODEC_BROKEN;
  *out_memory = MEMORY;
  return CODEC_GOES_ON;
}

static uInt at_most(size_t len) {
  return len > UINT32_MAX ? UINT32_MAX : (uInt)len;
}

static codec_result gzip_step(void *state, tti_slice *rest, char *out,
                              size_t *len) {
  gzip *g = state;
  size_t room = *len;
  *len = 0;
  if (!g->open && inflateInit2(&g->z, 15 + 16) != Z_OK)
    return CODEC_NO_MEMORY;
  g->open = true;
  g->z.next_in = (Bytef *)(uintptr_t)rest->ptr;
  g->z.avail_in = at_most(rest->len);
  g->z.next_out = (Bytef *)out;
  g->z.avail_out = at_most(room);
  int result = inflate(&g->z, Z_NO_FLUSH);
  const char *at = (const char *)g->z.next_in;
  *rest = (tti_slice){at, rest->len - (size_t)(at - rest->ptr)};
  *len = (size_t)((char *)g->z.next_out - out);
  switch (result) {
  case Z_STREAM_END:
    inflateReset(&g->z);
    return CODEC_MEMBER_ENDED;
  case Z_OK:
    return rest->len == 0 && *len < room ? CODEC_CUT : CODEC_GOES_ON;
  case Z_BUF_ERROR:
    return CODEC_CUT;
  case Z_MEM_ERROR:
    return CODEC_NO_MEMORY;
  default:
    return CODEC_BROKEN;
  }
}

const http_codec codec_gzip = {"gzip", gzip_open, gzip_close, gzip_look,
                               gzip_step};
