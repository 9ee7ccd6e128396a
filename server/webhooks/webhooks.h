#ifndef WEBHOOKS_WEBHOOKS_H
#define WEBHOOKS_WEBHOOKS_H

#include "server/deliver/guard.h"
#include "server/janitor/janitor.h"
#include "server/relay/relay.h"

/* The routes under /api/v1/webhooks, those that look at published events and
 * send them again, and the janitor's. */
typedef struct webhook_api webhook_api;

#define WEBHOOK_URL_PROBLEM GUARD_PROBLEM_MAX

/* All borrowed; they outlive it. Functions are called on any thread and must
 * not block; NULL ones are not. */
typedef struct webhook_api_options {
  store *store;
  relay *relay; /* whose routes these become */
  tt_metrics *metrics;
  janitor *janitor;
  loop *loop;            /* for what goes on in the background; it is running */
  uint64_t webhooks_max; /* 0: 100,000 */
  void *context;
  /* A webhook was made, changed or deleted, after COMMIT. */
  void (*changed)(void *context);
  /* Deliveries were made, after COMMIT. */
  void (*due)(void *context);
  /* Whether a webhook may have this URL; else out_problem is a sentence. */
  bool (*may_call)(void *context, const char *url,
                   char out_problem[WEBHOOK_URL_PROBLEM]);
} webhook_api_options;

/* Adds the routes. TT_ENOMEM. */
tt_error webhook_api_new(const webhook_api_options *options,
                         webhook_api **out_api);

/* Redeliveries in the background begin no further step. On any thread, before
 * the loop is stopped. */
void webhook_api_close(webhook_api *api);
/* Once loops and store have ended. NULL is fine. */
void webhook_api_free(webhook_api *api);

#endif
