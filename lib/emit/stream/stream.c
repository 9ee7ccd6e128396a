#include "lib/emit/render.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <telltale/emitter.h>

/* Beyond this the stream would cut the data anyway. */
#define DATA_MAX_BYTES (TELLTALE_ENVELOPE_MAX_BYTES * 2)

/* Independent counters: `emitted` is derived, so the balance always holds.
 * Relaxed, since they order nothing. */
typedef struct stream_emitter {
  tt_stream *stream; /* borrowed */
  atomic_uint_least64_t sent;
  atomic_uint_least64_t dropped[TT_DROP_REASON_COUNT];
} stream_emitter;

static void count(atomic_uint_least64_t *counter) {
  atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static tt_drop_reason reason_of(tt_error error) {
  switch (error) {
  case TT_ENOMEM:
    return TT_DROP_NO_MEMORY;
  case TT_ETOOBIG:
    return TT_DROP_TOO_LARGE;
  case TT_ECLOSED:
    return TT_DROP_SHUTDOWN;
  default:
    return TT_DROP_REJECTED;
  }
}

static void stream_emit(void *self, const tt_event *event,
                        const tt_field *fields) {
  stream_emitter *e = self;
  tt_event copy = *event;
  tti_buf data;
  tti_buf_init(&data, DATA_MAX_BYTES);
  if (fields && fields->kind != TT_FIELD_END) {
    tti_render_fields(&data, fields);
    copy.data = data.data;
    copy.data_len = data.len;
  }
  tt_error error = data.error;
  if (!error)
    error = tt_stream_publish(e->stream, &copy, NULL);
  count(error ? &e->dropped[reason_of(error)] : &e->sent);
  tti_buf_fini(&data);
}

static void stream_stats(void *self, tt_emitter_stats *out_stats) {
  stream_emitter *e = self;
  *out_stats = (tt_emitter_stats){
      .sent = atomic_load_explicit(&e->sent, memory_order_relaxed)};
  out_stats->emitted = out_stats->sent;
  for (int i = 0; i < TT_DROP_REASON_COUNT; i++) {
    out_stats->dropped[i] =
        atomic_load_explicit(&e->dropped[i], memory_order_relaxed);
    out_stats->emitted += out_stats->dropped[i];
  }
}

static void stream_free(void *self, int timeout_ms) {
  (void)timeout_ms;
  free(self);
}

tt_error tt_emitter_stream_new(tt_stream *stream, const char *source,
                               tt_emitter **out_emitter) {
  /* Nothing is ever queued, so there is nothing to flush. */
  static const tt_emitter_ops ops = {.version = 1,
                                     .emit = stream_emit,
                                     .stats = stream_stats,
                                     .free = stream_free};
  if (!stream)
    return TT_EINVAL;
  stream_emitter *e = calloc(1, sizeof(*e));
  if (!e)
    return TT_ENOMEM;
  e->stream = stream;
  tt_error error = tt_emitter_from_ops(&ops, e, source, out_emitter);
  if (error)
    free(e);
  return error;
}
