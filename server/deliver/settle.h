#ifndef DELIVER_SETTLE_H
#define DELIVER_SETTLE_H

#include "server/deliver/lane.h"
#include "server/deliver/transfer.h"
#include <stdatomic.h>
#include <telltale/metrics.h>

/* What came of deliveries, on its way to the store: results gather while those
 * before them are being written, and go together. The deliverer's thread, but
 * for what runs in the store's jobs. */
typedef struct settle settle;

/* Results that may wait; whoever makes them has to see that there is room. */
#define SETTLE_MAX 512

typedef struct settle_options {
  store *store;
  tt_metrics *metrics; /* may be NULL */
  /* On the store's threads: sets the flag and has settle_turn called. */
  void (*wake)(void *context, atomic_bool *flag);
  /* A result is in the store, right before its item goes. */
  void (*settled)(void *context, item *i, const due_attempt *result);
  /* A webhook was disabled; on the store's writing thread, after COMMIT. */
  void (*disabled)(void *context);
  void *context;
} settle_options;

/* TT_ENOMEM. */
tt_error settle_new(const settle_options *options, settle **out_settle);
/* Only when it is not busy. */
void settle_free(settle *s);

/* Takes one result; the verdict's retry is not before the lane's hold.
 * `outcome` (NULL: nothing was tried) is copied. */
void settle_add(settle *s, item *i, const schedule_verdict *verdict,
                const transfer_outcome *outcome, int64_t now_us);

/* Keeps what a lane has that is due back until its hold ends. What does not fit
 * is not: it is only that the table says so. */
void settle_defer(settle *s, const lane *l, int64_t now_us);

size_t settle_waiting(const settle *s); /* results */

/* Takes what the store is done with, hands on what waits; after a failure not
 * before a second has passed. When it is to be called again, at the latest;
 * LANE_NEVER. */
int64_t settle_turn(settle *s, int64_t now_us);

/* Whether anything waits or is with the store. */
bool settle_busy(const settle *s);

#endif
