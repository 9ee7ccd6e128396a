#ifndef HTTP_INFLATE_H
#define HTTP_INFLATE_H

#include "server/http/codec.h"

/* Decoding of bodies (several members in a row are one body), piece by piece,
 * so that a small body is decoded on the loop and a large one goes on from
 * there in the pool. */
typedef struct http_inflate http_inflate;

typedef struct http_inflate_limits {
  size_t max_bytes; /* decoded */
  unsigned ratio;   /* decoded bytes for each compressed one */
} http_inflate_limits;

typedef enum http_inflated {
  HTTP_INFLATED_ALL,
  HTTP_INFLATED_PART,   /* `until` decoded bytes are reached; call again */
  HTTP_INFLATED_MEMORY, /* the next member needs memory that was not allowed */
  HTTP_INFLATED_REFUSED
} http_inflated;

/* Borrows the compressed bytes, of which there is at least one. NULL: out of
 * memory. */
http_inflate *http_inflate_new(const http_codec *codec, tti_slice compressed,
                               const http_inflate_limits *limits);

/* Decodes until the end or until about `until` bytes, with a decoder that takes
 * at most `memory` bytes. Any thread, one at a time. The refusal lives as long
 * as the inflate. */
http_inflated http_inflate_run(http_inflate *inflate, size_t until,
                               size_t memory, const http_refusal **out_refusal);

/* What the decoder takes for the member at hand, bytes. */
size_t http_inflate_memory(const http_inflate *inflate);

/* The decoded bytes: the caller frees them with free(). Never NULL after
 * HTTP_INFLATED_ALL. */
char *http_inflate_take(http_inflate *inflate, size_t *out_len,
                        size_t *out_memory);

void http_inflate_free(http_inflate *inflate);

#endif
