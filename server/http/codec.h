#ifndef HTTP_CODEC_H
#define HTTP_CODEC_H

#include "server/http/head.h"

/* A coding that bodies come in: members in a row (gzip members, zstd frames),
 * each of which begins with a header. One thread at a time. */

typedef enum codec_result {
  CODEC_GOES_ON,
  CODEC_MEMBER_ENDED,
  CODEC_CUT, /* the bytes end within a member */
  CODEC_BROKEN,
  CODEC_WINDOW, /* a member asks for more memory than any may have */
  CODEC_NO_MEMORY
} codec_result;

typedef struct http_codec {
  const char *name; /* as in Content-Encoding */
  /* Allocates no more than a few words; NULL: out of memory. */
  void *(*open)(void);
  void (*close)(void *state);
  /* What `rest` begins with: BROKEN where it is no member, else GOES_ON with
   * the bytes of memory that decoding it takes. Allocates nothing. */
  codec_result (*look)(tti_slice rest, size_t *out_memory);
  /* Takes bytes off *rest, from the beginning of a member on, and writes at
   * most *len decoded ones to `out`; *len is then how many. `out` has room. */
  codec_result (*step)(void *state, tti_slice *rest, char *out, size_t *len);
} http_codec;

extern const http_codec codec_gzip; /* RFC 1952 */
extern const http_codec codec_zstd; /* RFC 8878, windows as RFC 9659 */

#endif
