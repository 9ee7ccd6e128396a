#ifndef STORE_TABLES_FLEET_UPDATES_H
#define STORE_TABLES_FLEET_UPDATES_H

#include "server/store/tables/tables.h"

/* Updates as they came, for a time. */
typedef struct fleet_update_row {
  int64_t n; /* given by the table */
  int64_t instance_n;
  int64_t received_us;
  int64_t timestamp_us; /* INT64_MIN: it had none */
  int64_t expect_next_us;
  tti_slice data; /* JSON as sent; ptr NULL: none. Borrowed. */
} fleet_update_row;

tt_error fleet_updates_insert(store_tx *tx, const fleet_update_row *row);

/* Walks an instance's updates below `n`, the latest first; tx_end at the end.
 * Data is borrowed until the next. */
sqlite3_stmt *fleet_updates_before(store_tx *tx, int64_t instance_n, int64_t n);
bool fleet_updates_step(store_tx *tx, sqlite3_stmt *stmt,
                        fleet_update_row *out_row);

/* Deletes some of the oldest updates that were received before `before_us`, or
 * that are too much when all of them may take `max_bytes`; never one that was
 * not added up yet. *out_deleted 0: there are none. */
tt_error fleet_updates_retain(store_tx *tx, int64_t before_us,
                              int64_t max_bytes, uint64_t *out_deleted);

#endif
