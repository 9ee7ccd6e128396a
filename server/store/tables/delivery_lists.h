#ifndef STORE_TABLES_DELIVERY_LISTS_H
#define STORE_TABLES_DELIVERY_LISTS_H

#include "server/store/tables/deliveries.h"

/* Deliveries as those who ask about them see them. */

/* Sees one row, borrowed for the call; false: no more. */
typedef bool (*deliveries_visit)(void *context, const delivery *row);

/* Those of a webhook, newest first, behind the one that was created at
 * `before_us` and is `before_n` (0: from the newest); `status` < 0: of any.
 * Looks at no more than `scan_max`: *out_last is the last that was looked at,
 * its n 0 when nothing is behind it. */
typedef struct delivery_place {
  int64_t created_us;
  int64_t n;
} delivery_place;
tt_error deliveries_list(store_tx *tx, tti_slice webhook_id, int status,
                         delivery_place before, size_t scan_max,
                         deliveries_visit visit, void *context,
                         delivery_place *out_last);

/* One of that webhook. TT_ENOTFOUND. */
tt_error deliveries_show(store_tx *tx, tti_slice webhook_id, tti_slice id,
                         deliveries_visit visit, void *context);

/* The one that began last of an event for a webhook: the first, or a
 * redelivery. TT_ENOTFOUND. */
tt_error deliveries_newest(store_tx *tx, tti_slice event_id,
                           tti_slice webhook_id, deliveries_visit visit,
                           void *context);

/* What became of an event: of each webhook the delivery that began last, by
 * status. */
typedef struct delivery_counts {
  uint64_t of[DELIVERY_FAILED + 1];
} delivery_counts;
tt_error deliveries_count(store_tx *tx, tti_slice event_id,
                          delivery_counts *out_counts);

/* One POST, or what kept it from being made. */
typedef struct delivery_attempt {
  uint64_t attempt; /* from 1 */
  int64_t at_us;
  int64_t duration_us;
  int64_t status;     /* 0: there was no answer */
  tti_slice response; /* the beginning of the answer's body */
  tti_slice error;
} delivery_attempt;

/* In their order. */
tt_error deliveries_attempts(store_tx *tx, int64_t n,
                             void (*visit)(void *context,
                                           const delivery_attempt *attempt),
                             void *context);

#endif
