#include "lib/event/parse.h"

#include <stdlib.h>

void tti_batch_init(tti_batch *batch, size_t max_count, size_t max_bytes) {
  *batch = (tti_batch){.max_count = max_count};
  tti_buf_init(&batch->bytes, max_bytes);
}

void tti_batch_fini(tti_batch *batch) {
  tti_buf_fini(&batch->bytes);
  free(batch->lengths);
  batch->lengths = NULL;
  batch->count = batch->capacity = batch->truncated = batch->gated = 0;
}

static tt_error grow(tti_batch *batch) {
  size_t capacity = batch->capacity ? batch->capacity * 2 : 1;
  uint32_t *lengths =
      realloc(batch->lengths, capacity * sizeof(batch->lengths[0]));
  if (!lengths)
    return TT_ENOMEM;
  batch->lengths = lengths;
  batch->capacity = capacity;
  return TT_OK;
}

tt_error tti_batch_add(tti_batch *batch, const tti_record *record) {
  size_t size = tti_record_size(record);
  if (batch->count == batch->max_count || size > UINT32_MAX)
    return TT_ETOOBIG;
  if (batch->count == batch->capacity) {
    tt_error error = grow(batch);
    if (error)
      return error;
  }
  char *at = tti_buf_reserve(&batch->bytes, size);
  if (!at) {
    /* Nothing was written, so what is there stays good. */
    tt_error error = batch->bytes.error;
    batch->bytes.error = TT_OK;
    return error;
  }
  tti_record_encode(record, at);
  batch->bytes.len += size;
  batch->lengths[batch->count++] = (uint32_t)size;
  return TT_OK;
}
