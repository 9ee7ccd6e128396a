#ifndef DELIVER_SWEEP_H
#define DELIVER_SWEEP_H

#include "server/store/tables/due.h"
#include <stdatomic.h>
#include <telltale/metrics.h>

/* Every five minutes: a webhook that had at least SWEEP_FAILED deliveries fail,
 * and none delivered, within the last 72 hours is disabled. The deliverer's
 * thread, but for what runs on the store's. */

#define SWEEP_EVERY_US  ((int64_t)300 * 1000000)
#define SWEEP_WINDOW_US ((int64_t)72 * 3600 * 1000000)
#define SWEEP_FAILED    10u

typedef struct sweep_options {
  store *store;
  tt_metrics *metrics; /* may be NULL */
  /* On the store's threads: sets the flag and has sweep_turn called. */
  void (*wake)(void *context, atomic_bool *flag);
  /* A webhook was disabled; on the store's writing thread, after COMMIT. */
  void (*disabled)(void *context);
  void *context;
} sweep_options;

/* Embedded; its fields are its own. */
typedef struct sweep {
  sweep_options options;
  store_read read;
  store_job job;
  char at[TABLES_ID_SIZE]; /* how far it came; the one that is to be disabled */
  int64_t now_us;
  int64_t due_us;
  bool found, disabled; /* of the read, of the job */
  bool reading, changing;
  atomic_bool done;
} sweep;

void sweep_init(sweep *s, const sweep_options *options, int64_t now_us);

/* Goes on where it is. When it is to be called again, at the latest. */
int64_t sweep_turn(sweep *s, int64_t now_us);

/* Something of it is with the store. */
bool sweep_busy(const sweep *s);

#endif
