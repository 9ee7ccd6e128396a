#ifndef DELIVER_DELIVER_H
#define DELIVER_DELIVER_H

#include "server/deliver/guard.h"
#include "server/io/watchdog.h"
#include "server/store/store.h"
#include <telltale/metrics.h>

/* Sends what is due to webhooks, on a thread of its own: each webhook has its
 * queue, its breaker and its share of the requests under way, so that one that
 * is dead or slow holds up itself alone. What is to be sent, and what came of
 * it, is in the store: at least once, whatever happens in between. */
typedef struct deliver deliver;
typedef struct deliver_rules deliver_rules; /* what it may reach */

/* Requests under way at once; half of them are for webhooks that took the last
 * one. */
#define DELIVER_IN_FLIGHT 256

typedef struct deliver_options {
  store *store;
  tt_metrics *metrics; /* may be NULL */
  const char *user_agent;
  /* webhooks.allow_cidrs, checked; NULL-terminated, may be NULL. Copied. */
  char *const *allow_cidrs;
  /* A webhook was disabled here; on the store's writing thread, must not block.
   * May be NULL. */
  void (*webhooks_changed)(void *context);
  void *context;
} deliver_options;

/* Initialises libcurl for the process. TT_ENOMEM. */
tt_error deliver_new(const deliver_options *options, deliver **out_deliver);

/* Runs the thread. TT_EIO. */
tt_error deliver_start(deliver *d);

/* Begins nothing more, lets requests under way end and their results be
 * written, and joins; after the time it gives requests up, which are sent again
 * after the next start. False: the store holds something of it, which cannot be
 * freed. */
bool deliver_stop(deliver *d, int timeout_ms);
/* Stopped, or never started. NULL is fine. */
void deliver_free(deliver *d);

/* Deliveries were made. Any thread, never blocks. */
void deliver_wake(deliver *d);

/* Webhooks were changed or deleted: nothing goes out by what they were before.
 * Any thread, never blocks. */
void deliver_changed(deliver *d);

/* Another allow_cidrs. NULL: out of memory. */
deliver_rules *deliver_rules_new(char *const *allow_cidrs);
void deliver_rules_free(deliver_rules *rules);

/* Takes it and puts it in force; connections that it does not allow are not
 * used again. Any thread, never blocks. */
void deliver_use(deliver *d, deliver_rules *rules);

/* What webhooks may reach now, for checking a URL (guard_check_url). Any
 * thread. */
bool deliver_check_url(deliver *d, const char *url,
                       char out_problem[GUARD_PROBLEM_MAX]);

/* Its thread, for the watchdog, which has to stop before. */
watchdog_worker deliver_watch(deliver *d);

#endif
