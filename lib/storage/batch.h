#ifndef TTI_STORAGE_BATCH_H
#define TTI_STORAGE_BATCH_H

#include "lib/event/record.h"
#include "lib/stream/stream.h"

/* Copies of some records in order of seq, and, once sealed, the envelopes that
 * a storage is given. */
typedef struct tti_storage_batch {
  tti_buf bytes;          /* the records, back to back */
  struct tti_item *items; /* owned, with the envelopes; `cap` of each */
  tt_envelope *envelopes;
  size_t count;
  size_t cap;
  tt_metadata *pairs; /* owned; of all envelopes */
  size_t pairs_cap;
} tti_storage_batch;

/* A batch takes records until it has this much, however many they are. */
#define TTI_STORAGE_BATCH_BYTES ((size_t)4 << 20)

void tti_storage_batch_init(tti_storage_batch *batch);
void tti_storage_batch_fini(tti_storage_batch *batch);

/* Forgets what is in it and gives back what a rare large one took. */
void tti_storage_batch_clear(tti_storage_batch *batch);

/* Copies one record. TT_ENOMEM, TT_ECORRUPT; the batch is then as it was. */
tt_error tti_storage_batch_add(tti_storage_batch *batch,
                               const tti_stream_entry *entry);

/* Makes the envelopes; nothing is added any more. TT_ENOMEM. */
tt_error tti_storage_batch_seal(tti_storage_batch *batch);

/* The encoded form of one of them. */
tti_slice tti_storage_batch_record(const tti_storage_batch *batch,
                                   size_t index);

#endif
