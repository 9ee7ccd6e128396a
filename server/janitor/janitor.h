#ifndef JANITOR_JANITOR_H
#define JANITOR_JANITOR_H

#include "server/io/loop.h"
#include "server/store/store.h"
#include <telltale/metrics.h>

/* Clears away what has had its time: events, deliveries and attempts, and what
 * is left of webhooks that were deleted. It goes in jobs of a millisecond or
 * two, one after the other, so that nobody waits for it. */
typedef struct janitor janitor;

typedef struct janitor_counts {
  uint64_t outbox, deliveries, attempts;
} janitor_counts;

/* A first run begins at once, to finish what an earlier life left; then one an
 * hour, on `l`, which is running. The store outlives it. TT_ENOMEM. */
tt_error janitor_new(store *s, tt_metrics *metrics, loop *l,
                     janitor **out_janitor);

/* Somebody who wants to know what a run took away; embedded in what it is
 * about. */
typedef struct janitor_wait {
  loop_task task; /* the janitor's, as the next two */
  struct janitor *janitor;
  struct janitor_wait *next;
  /* Called once, on the janitor's loop. `whole` false: the store failed, or the
   * server stops, and what is left waits for the next run. */
  void (*done)(struct janitor_wait *wait, const janitor_counts *counts,
               bool whole);
} janitor_wait;

/* A whole run from now on, after the one that is on its way, if there is one.
 * Any thread. */
void janitor_run(janitor *j, janitor_wait *wait);

/* To clear away soon, without waiting for it: something was deleted. Any
 * thread; not after janitor_close. */
void janitor_wake(janitor *j);

/* No further job is begun, the timer goes, whoever waits is told. On any
 * thread, before the loop is stopped. */
void janitor_close(janitor *j);
/* Once loop and store have ended. NULL is fine. */
void janitor_free(janitor *j);

#endif
