#include "lib/storage/batch.h"

#include <stdlib.h>

#define KEEP_BYTES ((size_t)256 << 10)
#define MAX_BYTES  ((size_t)1 << 32)

struct tti_item {
  uint64_t seq;
  int64_t received_us;
  size_t offset;
  size_t len;
};

void tti_storage_batch_init(tti_storage_batch *batch) {
  *batch = (tti_storage_batch){0};
  tti_buf_init(&batch->bytes, MAX_BYTES);
}

void tti_storage_batch_fini(tti_storage_batch *batch) {
  tti_buf_fini(&batch->bytes);
  free(batch->items);
  free(batch->envelopes);
  free(batch->pairs);
}

void tti_storage_batch_clear(tti_storage_batch *batch) {
  if (batch->bytes.cap > KEEP_BYTES)
    tti_buf_fini(&batch->bytes);
  tti_buf_clear(&batch->bytes);
  batch->count = 0;
}

static tt_error grow(tti_storage_batch *batch) {
  size_t cap = batch->cap ? batch->cap * 2 : 64;
  struct tti_item *items = realloc(batch->items, cap * sizeof(*items));
  if (!items)
    return TT_ENOMEM;
  batch->items = items;
  tt_envelope *envelopes = realloc(batch->envelopes, cap * sizeof(*envelopes));
  if (!envelopes)
    return TT_ENOMEM;
  batch->envelopes = envelopes;
  batch->cap = cap;
  return TT_OK;
}

tt_error tti_storage_batch_add(tti_storage_batch *batch,
                               const tti_stream_entry *entry) {
  tti_record record;
  if (tti_record_decode(entry->record, &record))
    return TT_ECORRUPT;
  if (batch->count == batch->cap && grow(batch))
    return TT_ENOMEM;
  size_t offset = batch->bytes.len;
  tti_buf_append_slice(&batch->bytes, entry->record);
  if (batch->bytes.error) {
    batch->bytes.error = TT_OK;
    return TT_ENOMEM;
  }
  batch->items[batch->count++] = (struct tti_item){
      entry->seq, entry->received_us, offset, entry->record.len};
  return TT_OK;
}

tti_slice tti_storage_batch_record(const tti_storage_batch *batch,
                                   size_t index) {
  const struct tti_item *item = &batch->items[index];
  return (tti_slice){batch->bytes.data + item->offset, item->len};
}

/* The pairs of an envelope go behind those before it; `pairs` may be moved, so
 * that only their place is noted until all are there. */
static tt_error add_pairs(tti_storage_batch *batch, tti_slice metadata,
                          size_t used, size_t *out_count) {
  size_t room = batch->pairs_cap - used;
  tt_metadata *at = batch->pairs ? batch->pairs + used : NULL;
  *out_count = tti_metadata_unpack(metadata, at, room);
  if (*out_count <= room)
    return TT_OK;
  size_t cap = (used + *out_count) * 2;
  tt_metadata *pairs = realloc(batch->pairs, cap * sizeof(*pairs));
  if (!pairs)
    return TT_ENOMEM;
  batch->pairs = pairs;
  batch->pairs_cap = cap;
  tti_metadata_unpack(metadata, pairs + used, cap - used);
  return TT_OK;
}

tt_error tti_storage_batch_seal(tti_storage_batch *batch) {
  size_t used = 0, count = 0;
  for (size_t i = 0; i < batch->count; i++) {
    tti_record record;
    tt_envelope *e = &batch->envelopes[i];
    tt_error error =
        tti_record_decode(tti_storage_batch_record(batch, i), &record);
    if (!error && record.metadata.len)
      error = add_pairs(batch, record.metadata, used, &count);
    if (error)
      return error;
    e->seq = batch->items[i].seq;
    e->received_us = batch->items[i].received_us;
    tti_record_to_event(&record, &e->event);
    e->event.metadata_count = record.metadata.len ? count : 0;
    used += e->event.metadata_count;
  }
  used = 0;
  for (size_t i = 0; i < batch->count; i++) {
    tt_event *event = &batch->envelopes[i].event;
    if (event->metadata_count)
      event->metadata = batch->pairs + used;
    used += event->metadata_count;
  }
  return TT_OK;
}
