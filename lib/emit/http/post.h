#ifndef TTI_EMIT_HTTP_POST_H
#define TTI_EMIT_HTTP_POST_H

#include "lib/base/buf.h"
#include <zlib.h>

/* The body of one request, rendered from packed events. */
typedef struct tti_post {
  tti_buf json;
  tti_buf gzip; /* the same compressed; empty: not compressed */
  bool is_log;  /* log lines, and nothing else */
  size_t events;
  size_t packed_bytes; /* what these events take in the queue */
  size_t repaired;     /* how many of them had data that was no JSON */
  z_stream deflate;
  bool deflate_ready;
} tti_post;

void tti_post_init(tti_post *post);
void tti_post_fini(tti_post *post);

/* Renders the first events of `packed`, at least one, until there are
 * max_events, the body would pass max_bytes, or log lines follow events or the
 * other way round: as a JSON array with a line an event, or, when `single`, one
 * event by itself. TT_ETOOBIG: the first event's JSON is beyond any limit;
 * TT_ENOMEM. */
tt_error tti_post_build(tti_post *post, tti_slice packed, size_t max_events,
                        size_t max_bytes, bool single);

/* Fills post->gzip. False, and empty, when that fails or saves nothing. */
bool tti_post_compress(tti_post *post);

/* Gives large memory back. */
void tti_post_trim(tti_post *post);

#endif
