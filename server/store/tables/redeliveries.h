#ifndef STORE_TABLES_REDELIVERIES_H
#define STORE_TABLES_REDELIVERIES_H

#include "server/store/tables/deliveries.h"

/* Deliveries that are made once more: the same event, another delivery. */

typedef enum redelivery_outcome {
  REDELIVERY_MADE,
  REDELIVERY_NOT_MATCHED, /* the event never was for this webhook */
  REDELIVERY_PENDING,     /* a delivery of it is under way */
  REDELIVERY_DISABLED,
  REDELIVERY_NO_WEBHOOK
} redelivery_outcome;

/* Makes one, due now. */
tt_error redeliveries_insert(store_tx *tx, tti_slice event_id,
                             tti_slice event_type, tti_slice webhook_id,
                             tti_slice replay_id, int64_t now_us,
                             char out_id[TABLES_ID_SIZE],
                             redelivery_outcome *out_outcome);

/* The delivery of a replay. TT_ENOTFOUND. */
tt_error redeliveries_find(store_tx *tx, tti_slice event_id,
                           tti_slice webhook_id, tti_slice replay_id,
                           char out_id[TABLES_ID_SIZE]);

/* The webhooks that an event matched, in the order of their ids, at most `max`
 * behind `after`. */
tt_error redeliveries_matched(
    store_tx *tx, tti_slice event_id, tti_slice after, size_t max,
    void (*visit)(void *context, tti_slice webhook_id), void *context);

/* One step through a webhook's first deliveries since a time, oldest first:
 * at most `max` from `*place` on, which moves on. Of each whose event is still
 * there, and not delivered just now, a redelivery is made. */
typedef struct redeliver_step {
  int64_t created_us; /* begin: since, n 0 */
  int64_t n;
  uint64_t scheduled;       /* by this step */
  uint64_t skipped_pending; /* likewise */
  bool ended;
} redeliver_step;
tt_error redeliveries_step(store_tx *tx, tti_slice webhook_id, int64_t since_us,
                           int64_t until_us, tti_slice replay_id,
                           int64_t now_us, size_t max, redeliver_step *step);

#endif
