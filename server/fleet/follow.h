#ifndef FLEET_FOLLOW_H
#define FLEET_FOLLOW_H

#include "server/fleet/gather.h"
#include "server/io/watchdog.h"

/* Adds updates up. The updates that the store keeps are a log, and a thread
 * follows it: it reads what came since, gathers it in memory, and writes each
 * sum together with how far it goes, so that nothing is missed or counted twice
 * wherever the process ends. It is less than a second behind, unless updates
 * come faster than it can add. Once an hour it takes away what is too old. */
typedef struct fleet_follow fleet_follow;

typedef struct fleet_follow_options {
  store *store;
  tt_metrics *metrics;     /* may be NULL */
  char *const *dimensions; /* copied; NULL-terminated; may be NULL */
  int64_t retain_us;       /* of days; 0: 400 days */
} fleet_follow_options;

/* Hours are kept so long. */
#define FLEET_HOURS_RETAIN_US INT64_C(604800000000)

/* TT_ENOMEM; TT_EINVAL: too many dimensions. */
tt_error fleet_follow_new(const fleet_follow_options *options,
                          fleet_follow **out_follow);
/* Ends the thread; what it has not added is added after the next start. */
void fleet_follow_free(fleet_follow *f);

const fleet_dimensions *fleet_follow_dimensions(const fleet_follow *f);

/* An update was committed. Any thread. */
void fleet_follow_wake(fleet_follow *f);

watchdog_worker fleet_follow_watch(fleet_follow *f);

#endif
