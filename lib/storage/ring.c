#include "lib/storage/source.h"

#include <stdlib.h>

typedef struct ring {
  tt_stream *stream; /* borrowed */
  tt_reader *reader;
} ring;

static tt_error ring_next(void *self, int timeout_ms, tt_cancel *cancel,
                          tti_stream_entry *out_entry,
                          tt_read_result *out_drop) {
  ring *r = self;
  return tti_reader_wait_next(r->reader, timeout_ms, cancel, out_entry,
                              out_drop);
}

static uint64_t ring_head(void *self) {
  ring *r = self;
  return tt_stream_seq(r->stream);
}

static bool ring_reaches(void *self, uint64_t seq) {
  ring *r = self;
  tti_stream_usage usage;
  tti_stream_usage_get(r->stream, &usage);
  return usage.first_seq != 0 && seq >= usage.first_seq;
}

static void ring_seek(void *self, uint64_t seq) {
  ring *r = self;
  tti_reader_seek(r->reader, seq);
}

static void ring_free(void *self) {
  ring *r = self;
  tt_reader_free(r->reader);
  free(r);
}

tt_error tti_source_of_stream(tt_stream *stream, tti_source *out_source) {
  static const tti_source_ops ops = {.next = ring_next,
                                     .head = ring_head,
                                     .reaches = ring_reaches,
                                     .seek = ring_seek,
                                     .free = ring_free};
  ring *r = calloc(1, sizeof(*r));
  if (!r)
    return TT_ENOMEM;
  r->stream = stream;
  tt_error error = tt_reader_new(stream, 0, &r->reader);
  if (error) {
    free(r);
    return error;
  }
  *out_source = (tti_source){&ops, r};
  return TT_OK;
}
