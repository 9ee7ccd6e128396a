#include "lib/emit/http/post.h"

#include "lib/emit/pack.h"
#include "lib/emit/render.h"
#include "lib/http/gzip.h"

/* An escape takes up to six bytes for one. */
#define JSON_MAX_BYTES ((size_t)8 * 1024 * 1024)
#define KEEP_BYTES     ((size_t)256 * 1024)

void tti_post_init(tti_post *post) {
  *post = (tti_post){0};
  tti_buf_init(&post->json, JSON_MAX_BYTES);
  tti_buf_init(&post->gzip, JSON_MAX_BYTES);
}

void tti_post_fini(tti_post *post) {
  if (post->deflate_ready)
    deflateEnd(&post->deflate);
  tti_buf_fini(&post->json);
  tti_buf_fini(&post->gzip);
}

tt_error tti_post_build(tti_post *post, tti_slice packed, size_t max_events,
                        size_t max_bytes, bool single) {
  tti_buf *json = &post->json;
  tti_slice rest = packed;
  tti_packed event;
  tti_buf_clear(json);
  tti_buf_clear(&post->gzip);
  post->events = post->packed_bytes = post->repaired = 0;
  if (single)
    max_events = 1;
  else
    tti_buf_append_char(json, '[');
  while (post->events < max_events && tti_unpack(&rest, &event)) {
    size_t before = json->len;
    if (post->events && event.is_log != post->is_log)
      break;
    post->is_log = event.is_log;
    if (post->events)
      tti_buf_append_text(json, ",\n");
    bool whole =
        (event.is_log ? tti_render_log : tti_render_event)(json, &event);
    if (post->events && (json->error || json->len >= max_bytes)) {
      json->len = before;
      json->error = TT_OK;
      break;
    }
    post->events++;
    post->packed_bytes = packed.len - rest.len;
    post->repaired += !whole;
  }
  if (!single)
    tti_buf_append_char(json, ']');
  return json->error;
}

static bool ready(tti_post *post) {
  if (post->deflate_ready)
    return deflateReset(&post->deflate) == Z_OK;
  post->deflate_ready = tti_gzip_init(&post->deflate) == Z_OK;
  return post->deflate_ready;
}

bool tti_post_compress(tti_post *post) {
  tti_buf *out = &post->gzip;
  z_stream *z = &post->deflate;
  tti_buf_clear(out);
  if (!ready(post))
    return false;
  /* Room for what came in is enough: a larger result is not wanted. */
  char *at = tti_buf_reserve(out, post->json.len);
  if (!at)
    return false;
  z->next_in = (Bytef *)post->json.data;
  z->avail_in = (uInt)post->json.len;
  z->next_out = (Bytef *)at;
  z->avail_out = (uInt)post->json.len;
  if (deflate(z, Z_FINISH) != Z_STREAM_END)
    return false;
  out->len = post->json.len - z->avail_out;
  return true;
}

void tti_post_trim(tti_post *post) {
  if (post->json.cap > KEEP_BYTES)
    tti_buf_fini(&post->json);
  if (post->gzip.cap > KEEP_BYTES)
    tti_buf_fini(&post->gzip);
}
