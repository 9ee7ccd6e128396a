#include "server/http/codec.h"

#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* RFC 9659: what every decoder of the content coding offers, and what no
 * encoder may pass. A frame says in a few bytes how much it wants. */
#define WINDOW_LOG_MAX 23
#define WINDOW_MAX     ((uint64_t)1 << WINDOW_LOG_MAX)
/* A context, its buffer for a block of input, and two blocks of output beyond
 * the window: 128 KiB at most each. */
#define BESIDE_WINDOW ((size_t)512 << 10)

typedef struct zstd {
  ZSTD_DCtx *context; /* NULL before the first step */
  size_t hint;        /* bytes that the next step wants; 0: unknown */
} zstd;

static void *zstd_open(void) {
  return calloc(1, sizeof(zstd));
}

static void zstd_close(void *state) {
  zstd *z = state;
  ZSTD_freeDCtx(z->context);
  free(z);
}

static uint64_t little_endian(const unsigned char *at, size_t len) {
  uint64_t value = 0;
  while (len--)
    value = value << 8 | at[len];
  return value;
}

/* RFC 8878, 3.1.1.1: a descriptor, then by its bits a window, the id of a
 * dictionary and the size of the content, which is the window where there is
 * none. False: `len` ends before. */
static bool read_window(const unsigned char *at, size_t len,
                        uint64_t *out_window) {
  static const size_t id_sizes[] = {0, 1, 2, 4}, sizes[] = {0, 2, 4, 8};
  if (len < 1)
    return false;
  unsigned descriptor = *at++;
  bool single = descriptor >> 5 & 1;
  size_t id_size = id_sizes[descriptor & 3];
  size_t size = sizes[descriptor >> 6];
  if (single && size == 0)
    size = 1;
  if (len - 1 < (single ? 0 : 1) + id_size + size)
    return false;
  if (single) {
    *out_window = little_endian(at + id_size, size) + (size == 2 ? 256 : 0);
  } else {
    uint64_t base = UINT64_C(1) << (10 + (*at >> 3));
    *out_window = base + base / 8 * (*at & 7);
  }
  return true;
}

static codec_result zstd_look(tti_slice rest, size_t *out_memory) {
  static const unsigned char magic[] = {0x28, 0xb5, 0x2f, 0xfd};
  const unsigned char *at = (const unsigned char *)rest.ptr;
  size_t n = rest.len < 4 ? rest.len : 4;
  uint64_t window = 0;
  if (memcmp(at, magic, n) == 0) {
    if (!read_window(at + n, rest.len - n, &window))
      return CODEC_CUT;
  } else if ((at[0] & 0xf0) != 0x50 ||
             (n > 1 && memcmp(at + 1, "\x2a\x4d\x18", n - 1) != 0)) {
    return CODEC_BROKEN; /* nor a skippable frame (3.1.2) */
  }
  if (window > WINDOW_MAX)
    return CODEC_WINDOW;
  *out_memory = BESIDE_WINDOW + (size_t)window;
  return CODEC_GOES_ON;
}

static bool open_context(zstd *z) {
  if (z->context)
    return true;
  z->context = ZSTD_createDCtx();
  return z->context && !ZSTD_isError(ZSTD_DCtx_setParameter(
                           z->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX));
}

/* One block at a time, so that an error is known to its block. */
static codec_result zstd_step(void *state, tti_slice *rest, char *out,
                              size_t *len) {
  zstd *z = state;
  ZSTD_outBuffer to = {out, *len, 0};
  *len = 0;
  if (!open_context(z))
    return CODEC_NO_MEMORY;
  bool part = z->hint && z->hint < rest->len;
  ZSTD_inBuffer from = {rest->ptr, part ? z->hint : rest->len, 0};
  size_t result = ZSTD_decompressStream(z->context, &to, &from);
  *rest = (tti_slice){rest->ptr + from.pos, rest->len - from.pos};
  *len = to.pos;
  if (ZSTD_isError(result)) {
    bool memory = ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation;
    return memory ? CODEC_NO_MEMORY : CODEC_BROKEN;
  }
  z->hint = result;
  if (result == 0)
    return CODEC_MEMBER_ENDED;
  return rest->len == 0 && to.pos < to.size ? CODEC_CUT : CODEC_GOES_ON;
}

const http_codec codec_zstd = {"zstd", zstd_open, zstd_close, zstd_look,
                               zstd_step};
