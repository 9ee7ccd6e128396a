#ifndef STORE_TABLES_DELIVERIES_H
#define STORE_TABLES_DELIVERIES_H

#include "server/store/tables/tables.h"

/* One event for one webhook. */
typedef enum delivery_status {
  DELIVERY_PENDING = 0,
  DELIVERY_DELIVERED = 1,
  DELIVERY_FAILED = 2
} delivery_status;

/* What is not there has a NULL pointer or is 0; times are unix microseconds. */
typedef struct delivery {
  int64_t n;
  tti_slice id; /* whd_… */
  tti_slice webhook_id;
  tti_slice event_id;
  tti_slice replay_id; /* of a test, a redelivery or a replay */
  tti_slice event_type;
  tti_slice body; /* of a test; else it is the event's */
  delivery_status status;
  uint64_t attempts;
  int64_t next_retry_us;
  int64_t last_attempt_us;
  int64_t last_status;
  tti_slice last_error;
  tti_slice reason;
  int64_t created_us;
  int64_t expires_us;
} delivery;

#define DELIVERIES_KEEP_US ((int64_t)90 * 86400 * 1000000)

/* Writes a pending delivery with a new id, due at next_retry_us (0: at once).
 * Looked at besides: webhook_id, event_id, replay_id, event_type, body,
 * created_us; it expires DELIVERIES_KEEP_US after that. Nothing is written,
 * and *out_inserted is false, when the webhook has this event already (without
 * replay_id), is gone, or is not enabled and `enabled_only`. */
tt_error deliveries_insert(store_tx *tx, const delivery *row, bool enabled_only,
                           char out_id[TABLES_ID_SIZE], bool *out_inserted);

#endif
