#ifndef TTI_FLEET_CYCLE_H
#define TTI_FLEET_CYCLE_H

#include "lib/base/time.h"
#include "lib/fleet/collect.h"
#include "lib/http/client.h"
#include <pthread.h>
#include <telltale/log.h>

/* The updates: one thread that sends what was collected, waits as long as the
 * server wishes, and does so again, until it is stopped by its user or by the
 * server.
 *
 *     start ─► send ─► accepted ─► wait next_update ─┐
 *               ▲  │                                 │
 *               │  ├─► failed, early ─► wait, again  │  4 tries; then merge
 *               │  │   (8, 27, 64 s, or as asked)    │  back and wait
 *               │  └─► ended by the server ─► over   │
 *               └────────────────────────────────────┘
 *     stop: whatever is waited for ends; send once more; what is not taken is
 *     kept in a file, if there is one; over.
 */
typedef struct tti_cycle tti_cycle;

/* Where time comes from, and what waiting is. `wait` is called with the mutex
 * held, and returns when the condition is signalled, when the instant of the
 * monotonic clock is there, or before. */
typedef struct tti_cycle_time {
  const tti_clock *clock;
  void (*wait)(void *context, pthread_cond_t *condition, pthread_mutex_t *lock,
               int64_t until_us);
  void *context;
} tti_cycle_time;

extern const tti_cycle_time tti_cycle_time_system;

/* All of it outlives the cycle. */
typedef struct tti_cycle_options {
  char *url;       /* with the instance id */
  char *shown_url; /* without it, for log lines */
  char *instance_id;
  char *kept_path;     /* NULL: what is left at the end is lost */
  char *authorization; /* a header line; NULL: none */
  char *ca_file;
  int request_timeout_ms;
  tt_log_hook log;
  const tti_cycle_time *time;
} tti_cycle_options;

/* NULL: no memory. No thread yet. The collector outlives it. */
tti_cycle *tti_cycle_new(const tti_cycle_options *options,
                         tti_collector *collector);

/* Gives up what is on its way, keeps what is left. */
void tti_cycle_free(tti_cycle *cycle);

/* TT_ESTATE: started or stopped before; TT_ENOMEM. */
tt_error tti_cycle_start(tti_cycle *cycle);

/* TT_OK: all was delivered, or nothing was to be; TT_EIO: kept or lost;
 * TT_ETIMEOUT: that is not certain yet. */
tt_error tti_cycle_stop(tti_cycle *cycle, int timeout_ms);

typedef struct tti_cycle_stats {
  uint64_t updates, tries;
} tti_cycle_stats;

tti_cycle_stats tti_cycle_stats_of(tti_cycle *cycle);

/* Makes a waiting thread look at the clock. For tests that bring one. */
void tti_cycle_wake(tti_cycle *cycle);

#endif
