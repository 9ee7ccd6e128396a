#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include "server/http/head.h"

/* Where a request's body ends: a length, or the chunked coding. Stricter than
 * llhttp: nothing between a chunk's size and its line end but a short
 * extension, CR LF and nothing else as line end, trailers limited and dropped.
 * RFC 9112, 7.1. */
typedef struct http_framing {
  uint64_t left;        /* of the length, or of the chunk */
  uint32_t extra_bytes; /* extensions and trailers so far */
  uint8_t state;
  uint8_t digits;
} http_framing;

typedef enum http_framed {
  HTTP_FRAMED_MORE, /* all bytes taken, the body goes on */
  HTTP_FRAMED_DATA, /* out_data is a piece of the body; call again */
  HTTP_FRAMED_END,  /* the body is complete; bytes may be left */
  HTTP_FRAMED_REFUSED
} http_framed;

/* For a head that passed http_head_parse. */
void http_framing_init(http_framing *framing, const http_head *head);

/* Takes bytes off *rest. out_data borrows them. */
http_framed http_framing_next(http_framing *framing, tti_slice *rest,
                              tti_slice *out_data,
                              const http_refusal **out_refusal);

#endif
