#ifndef STORE_TABLES_EXPIRY_H
#define STORE_TABLES_EXPIRY_H

#include "server/store/tables/tables.h"

/* What has had its time. Each takes at most `max` rows, oldest first, and fewer
 * large ones, and tells how many it took of its own table, and whether there
 * may be more. */

typedef struct expiry {
  uint64_t rows;     /* of the table itself */
  uint64_t attempts; /* that went with deliveries */
  bool more;
} expiry;

/* Events whose time is over and which wait for nothing: `place` is where to go
 * on, begin with 0, so that those that wait are passed over once. */
tt_error expiry_events(store_tx *tx, int64_t now_us, size_t max, int64_t *place,
                       expiry *out_expiry);

/* Deliveries whose time is over, with their attempts. */
tt_error expiry_deliveries(store_tx *tx, int64_t now_us, size_t max,
                           expiry *out_expiry);

/* Deliveries of webhooks that were deleted, likewise. */
tt_error expiry_orphans(store_tx *tx, size_t max, expiry *out_expiry);

#endif
