#ifndef TTI_STORAGE_SOURCE_H
#define TTI_STORAGE_SOURCE_H

#include "lib/stream/stream.h"

/* Where a storage writer gets its records: a ring, or whatever else keeps them
 * in order of seq. One thread at a time calls it, but for head, which any may
 * call. */
typedef struct tti_source_ops {
  /* As tti_reader_wait_next; a drop of 0 says that nothing up to its to_seq is
   * for this writer. */
  tt_error (*next)(void *self, int timeout_ms, tt_cancel *cancel,
                   tti_stream_entry *out_entry, tt_read_result *out_drop);
  /* The last seq there is. */
  uint64_t (*head)(void *self);
  /* Whether this seq is still held, so that waiting loses nothing. */
  bool (*reaches)(void *self, uint64_t seq);
  /* Goes on after `seq`; 0: from the oldest. */
  void (*seek)(void *self, uint64_t seq);
  void (*free)(void *self);
} tti_source_ops;

typedef struct tti_source {
  const tti_source_ops *ops;
  void *self; /* owned */
} tti_source;

/* A position in the ring of a stream, which must outlive it. */
tt_error tti_source_of_stream(tt_stream *stream, tti_source *out_source);

#endif
